// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"
#include "cmd/cmd.h"
#include "lab/lab.h"

static const struct command {
    const char *name, *arguments, *summary;
    int (*fn)(int argc, char **argv);
} COMMANDS[] = {
#define COMMAND(id, name, arguments, summary) {name, arguments, summary, cmd_##id},
#include "tbl/commands.h"
#undef COMMAND
};

int cmd_fail(const struct err *err)
{
    char text[800];

    fprintf(stderr, "plimsoll: %s\n", err_text(err, text, sizeof(text)));
    return EXIT_CODE_USAGE;
}

int cmd_usage(const char *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    CLEANUP_FREE char *text = xvasprintf(format, args);
    va_end(args);
    fprintf(stderr, "plimsoll%s%s: %s\nsee: plimsoll%s%s --help\n", *command ? " " : "", command,
            text, *command ? " " : "", command);
    return EXIT_CODE_USAGE;
}

static int print_help(void)
{
    printf(
        "usage: plimsoll COMMAND [OPTIONS] …\n\nFinds a service's limits before its users do.\n\n"
        "commands:\n");
    for (size_t i = 0; i < ARRAY_SIZE(COMMANDS); i++) {
        CLEANUP_FREE char *call = xasprintf("%s %s", COMMANDS[i].name, COMMANDS[i].arguments);
        printf("  %-32s %s\n", call, COMMANDS[i].summary);
    }
    printf("\nplimsoll COMMAND --help tells more.\n");
    return EXIT_CODE_OK;
}

int main(int argc, char **argv)
{
    const char *names[ARRAY_SIZE(COMMANDS)];
    const char *name = argc > 1 ? argv[1] : "--help";

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        return print_help();
    }
    if (strcmp(name, "--version") == 0) {
        printf("plimsoll %s\n", PLIMSOLL_VERSION);
        return EXIT_CODE_OK;
    }
    // Internal: lab/client.c starts it with its connection as stdin.
    if (strcmp(name, "lab-supervisor") == 0) {
        return lab_supervise(0);
    }
    for (size_t i = 0; i < ARRAY_SIZE(COMMANDS); i++) {
        names[i] = COMMANDS[i].name;
        if (strcmp(name, COMMANDS[i].name) == 0) {
            return COMMANDS[i].fn(argc - 1, argv + 1);
        }
    }
    const char *meant = str_suggest(name, names, ARRAY_SIZE(names));
    if (meant) {
        return cmd_usage("", "unknown command '%s', did you mean '%s'?", name, meant);
    }
    return cmd_usage("", "unknown command '%s'", name);
}
