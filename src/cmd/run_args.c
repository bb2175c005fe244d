// SPDX-License-Identifier: Apache-2.0
#include "cmd/run_args.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/opt.h"
#include "cmd/cmd.h"
#include "load/options.h"

static const struct opt_spec OWN[] = {
    {"env", 'e', "NAME=VALUE", false, "variable of the script's __ENV, repeatable"},
    {"include-system-env-vars", 0, NULL, false, "the script sees the environment (default: yes)"},
    {"config", 'c', "FILE", false, "options as JSON (default: k6's config.json, if it exists)"},
    {"quiet", 'q', NULL, false, "no header, no progress"},
    {"verbose", 'v', NULL, false, "debug messages too"},
    {"no-color", 0, NULL, false, "no colours"},
    {"progress", 0, "json", false, "json: progress as events on stderr, one JSON object a line"},
    {"log-format", 0, "FORMAT", false, "text, json or raw"},
    {"log-output", 0, "WHERE", false, "stderr, stdout, none or file=NAME"},
    {"no-record", 0, NULL, false, "write no run directory"},
    {"compatibility-mode", 0, "MODE", false, "accepted and not needed"},
    {"type", 't', "js", false, "accepted: scripts only"},
    {"features", 0, "LIST", false, "accepted and ignored"},
    {"address", 'a', "HOST:PORT", false, "accepted; there is no REST interface yet"},
    {"help", 'h', NULL, false, "this text"},
};

static bool is_true(const char *value)
{
    return !value || (strcmp(value, "false") != 0 && strcmp(value, "0") != 0);
}

static int add_variable(struct run_args *a, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    bool valid = n > 0 && (isalpha((unsigned char)text[0]) || text[0] == '_');

    for (size_t i = 1; i < n; i++) {
        valid &= isalnum((unsigned char)text[i]) || text[i] == '_';
    }
    if (!valid) {
        return err_set(err, EXIT_CODE_GENERIC,
                       "'--env %s': the name must have letters, digits and '_' only", text);
    }
    CLEANUP_FREE char *name = xstrndup(text, n);
    const char *value = equals ? equals + 1 : getenv(name);
    if (value) {
        json_object_set_new(a->variables, name, json_string(value));
    }
    return 0;
}

static int on_option(void *arg, const struct opt_spec *spec, const char *value, struct err *err)
{
    struct run_args *a = arg;
    const char *name = spec->name;

    int r = options_add_flag(a->flags, spec, value, err);
    if (r != -ENOENT) {
        return r < 0 ? EXIT_CODE_CONFIG : 0;
    }
    if (strcmp(name, "env") == 0) {
        return add_variable(a, value, err);
    } else if (strcmp(name, "include-system-env-vars") == 0) {
        a->system_env = is_true(value);
    } else if (strcmp(name, "config") == 0) {
        a->config = value;
    } else if (strcmp(name, "quiet") == 0) {
        a->quiet = is_true(value);
    } else if (strcmp(name, "verbose") == 0) {
        a->verbose = is_true(value);
    } else if (strcmp(name, "no-color") == 0) {
        a->no_color = is_true(value);
    } else if (strcmp(name, "no-record") == 0) {
        a->no_record = is_true(value);
    } else if (strcmp(name, "log-format") == 0) {
        a->log_format = value;
    } else if (strcmp(name, "log-output") == 0) {
        a->log_output = value;
    } else if (strcmp(name, "progress") == 0) {
        a->progress_json = strcmp(value, "json") == 0;
        if (!a->progress_json) {
            return err_set(err, EXIT_CODE_GENERIC, "'--progress %s': there is only json", value);
        }
    } else if (strcmp(name, "type") == 0 && strcmp(value, "js") != 0) {
        return err_set(err, EXIT_CODE_GENERIC, "'--type %s': archives are not supported", value);
    } else if (strcmp(name, "help") == 0) {
        a->help = true;
    }
    return 0;
}

static struct opt_spec *all_specs(size_t *ret_count)
{
    unsigned n;
    const struct opt_spec *table = options_specs(&n);
    struct opt_spec *all = xcalloc(n + ARRAY_SIZE(OWN), sizeof(*all));

    memcpy(all, table, n * sizeof(*all));
    memcpy(all + n, OWN, sizeof(OWN));
    *ret_count = n + ARRAY_SIZE(OWN);
    return all;
}

void run_args_help(void)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
    size_t count;
    CLEANUP_FREE struct opt_spec *specs = all_specs(&count);

    opt_add_help(&b, specs, count, 100);
    printf("usage: plimsoll run [OPTIONS] SCRIPT\n\nRuns a k6 load test; SCRIPT may be - for "
           "standard input.\n\noptions:\n%s\nOptions may also be set by the script, by K6_ "
           "variables and by --config.\nexit codes: 0 all held, 99 thresholds crossed, 104 bad "
           "options, 105 interrupted, 107 the script\nthrew, 108 it aborted the test; the manual "
           "has all.\n",
           strbuf_str(&b));
}

int run_args_parse(int argc, char **argv, struct run_args *ret_args, struct err *err)
{
    size_t count;
    CLEANUP_FREE struct opt_spec *specs = all_specs(&count);
    struct run_args *a = ret_args;
    int n = 0;

    const char *mode = getenv("K6_INCLUDE_SYSTEM_ENV_VARS");
    *a = (struct run_args){.flags = json_object(), .variables = json_object()};
    a->system_env = !mode || is_true(mode);
    a->config = getenv("K6_CONFIG");
    a->log_format = getenv("K6_LOG_FORMAT");
    a->log_output = getenv("K6_LOG_OUTPUT");
    a->no_color = getenv("NO_COLOR") || getenv("K6_NO_COLOR");
    int r = opt_parse(specs, count, argc, argv, on_option, a, &n, err);
    if (r != 0) {
        return r < 0 ? EXIT_CODE_GENERIC : r;
    }
    if (a->help) {
        return 0;
    }
    if (n != 1) {
        return err_set(err, EXIT_CODE_GENERIC,
                       n == 0 ? "no script given, see 'plimsoll run --help'"
                              : "only one script can be run, '%s' is one too many",
                       n ? argv[1] : "");
    }
    a->script = argv[0];
    return 0;
}

void run_args_env(struct run_args *a)
{
    size_t count = 0, n = 0;
    const char *name;
    json_t *value;

    while (environ[count]) {
        count++;
    }
    a->env = xcalloc(count + json_object_size(a->variables) + 1, sizeof(char *));
    for (size_t i = 0; a->system_env && i < count; i++) {
        const char *equals = strchr(environ[i], '=');
        CLEANUP_FREE char *key =
            equals ? xstrndup(environ[i], (size_t)(equals - environ[i])) : xstrdup(environ[i]);
        if (equals && !json_object_get(a->variables, key)) {
            a->env[n++] = xstrdup(environ[i]);
        }
    }
    json_object_foreach(a->variables, name, value)
    {
        a->env[n++] = xasprintf("%s=%s", name, json_string_value(value));
    }
}

void run_args_fini(struct run_args *a)
{
    json_decref(a->flags);
    json_decref(a->variables);
    for (size_t i = 0; a->env && a->env[i]; i++) {
        free(a->env[i]);
    }
    free(a->env);
}
