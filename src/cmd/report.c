// SPDX-License-Identifier: Apache-2.0
// plimsoll report DIR: the result of a run directory, rendered again.
#include "report/plan_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/opt.h"
#include "cmd/cmd.h"
#include "cmd/report_format.h"
#include "record/rundir.h"

static const struct opt_spec SPECS[] = {
    {"format", 0, "FORMAT", false, "text, markdown or json"},
    {"help", 'h', NULL, false, "print this"},
};

struct report_options {
    enum report_format format;
    bool help;
};

int report_format_read(const char *value, enum report_format *ret_format, struct err *err)
{
    static const char *const names[] = {"text", "json", "markdown"};

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            *ret_format = (enum report_format)i;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "--format: expected text, json or markdown, found '%s'", value);
}

void report_print(const json_t *result, enum report_format format, unsigned width)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;

    if (format == REPORT_JSON) {
        char *text = json_dumps(result, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        strbuf_addf(&b, "%s\n", text);
        free(text);
    } else if (format == REPORT_MARKDOWN) {
        plan_table_markdown(result, &b);
    } else {
        plan_table_text(result, width, &b);
    }
    fputs(strbuf_str(&b), stdout);
}

static int read_option(void *arg, const struct opt_spec *spec, const char *value, struct err *err)
{
    struct report_options *o = arg;

    if (strcmp(spec->name, "format") == 0) {
        return report_format_read(value, &o->format, err);
    }
    o->help = true;
    return 0;
}

int cmd_report(int argc, char **argv)
{
    struct report_options o = {0};
    struct err err = {0};
    json_t *result;
    int count;

    if (opt_parse(SPECS, ARRAY_SIZE(SPECS), argc, argv, read_option, &o, &count, &err)) {
        return cmd_usage("report", "%s", err.message);
    }
    if (o.help) {
        CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
        opt_add_help(&b, SPECS, ARRAY_SIZE(SPECS), 100);
        printf("usage: plimsoll report [OPTIONS] DIR\n\n"
               "Renders the result of a run directory (plimsoll-runs/TIME-NAME) again.\n\n"
               "options:\n%s",
               strbuf_str(&b));
        return EXIT_CODE_OK;
    }
    if (count != 1) {
        return cmd_usage("report", "needs one run directory");
    }
    int r = rundir_read_result(argv[0], &result, &err);
    if (r == -ENOENT) {
        err_set(&err, r, "no result.json in '%s': it is no run directory, or its run did not end",
                argv[0]);
    }
    if (r) {
        return cmd_fail(&err);
    }
    if (o.format != REPORT_JSON && !json_is_array(json_object_get(result, "limits"))) {
        json_decref(result);
        err_set(&err, -EINVAL, "'%s' holds no limits; --format json shows what it holds", argv[0]);
        return cmd_fail(&err);
    }
    report_print(result, o.format, 120);
    json_decref(result);
    return EXIT_CODE_OK;
}
