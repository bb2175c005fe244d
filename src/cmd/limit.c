// SPDX-License-Identifier: Apache-2.0
// plimsoll limit SCRIPT|URL: the highest sustained rate under the script's thresholds.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/opt.h"
#include "base/rng.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/limit_record.h"
#include "cmd/limit_show.h"
#include "js/js.h"
#include "plan/limit_run.h"

enum { LIST_MAX = 64 };

enum format { FORMAT_TEXT, FORMAT_JSON };

struct word_list {
    const char *items[LIST_MAX + 1]; // NULL-terminated
    unsigned count;
};

struct limit_options {
    struct limit_run_config run;
    enum format format;
    bool help;
    struct limit_show show;
    struct limit_record_dir record;
    struct word_list env;
    struct word_list targets;
    char p99[64]; // threshold expressions, "" = not given
    char errors[64];
    const char *thresholds[5];
};

static const struct opt_spec SPECS[] = {
    {"p99", 0, "DURATION", false,
     "99 % of the requests must be faster (replaces the script's thresholds; URL: 500ms)"},
    {"errors", 0, "SHARE", false,
     "share of requests that may fail (replaces the script's thresholds; URL: 1%)"},
    {"budget", 0, "DURATION", false, "time for the search (90s)"},
    {"start-rate", 0, "RATE", false, "first rate to try (10/s)"},
    {"max-rate", 0, "RATE", false, "never offer more than this"},
    {"max-vus", 0, "N", false, "virtual users at most (2000)"},
    {"workers", 0, "N", false, "threads of the generator (half of the CPUs)"},
    {"scenario", 0, "NAME", false, "scenario whose function to run, if the script has several"},
    {"allow-target", 0, "HOST", false, "permit a target that is neither loopback nor a local pod"},
    {"poisson", 0, NULL, false, "arrivals at random instead of evenly spaced"},
    {"no-calibration", 0, NULL, false,
     "do not measure the generator against the null server first"},
    {"env", 'e', "NAME=VALUE", false, "a variable of __ENV"},
    {"seed", 0, "N", false, "for everything random"},
    {"format", 0, "FORMAT", false, "text or json"},
    {"progress", 0, "FORM", false, "json: events for programs on stderr"},
    {"quiet", 'q', NULL, false, "no progress"},
    {"help", 'h', NULL, false, "print this"},
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    stopped = 1;
    // A second one ends the program at once.
    signal(number, SIG_DFL);
}

// ---- Options ----

static int bad_value(const struct opt_spec *spec, const char *value, struct err *err)
{
    return err_set(err, -EINVAL, "--%s: '%s' is no %s", spec->name, value, spec->value_name);
}

static int
add_item(struct word_list *list, const struct opt_spec *spec, const char *value, struct err *err)
{
    if (list->count == LIST_MAX) {
        return err_set(err, -EINVAL, "--%s: given more than %d times", spec->name, LIST_MAX);
    }
    list->items[list->count++] = value;
    return 0;
}

static int
read_rate(const struct opt_spec *spec, const char *value, double *ret_rate, struct err *err)
{
    return units_parse_rate(slice_of(value), ret_rate) || *ret_rate <= 0
               ? bad_value(spec, value, err)
               : 0;
}

static int
read_seconds(const struct opt_spec *spec, const char *value, double *ret_seconds, struct err *err)
{
    nsec_t d;

    if (units_parse_duration_unit(slice_of(value), &d) || d < 20 * NSEC_PER_SEC) {
        return err_set(err, -EINVAL, "--%s: '%s' is no duration of at least 20s", spec->name,
                       value);
    }
    *ret_seconds = (double)d / NSEC_PER_SEC;
    return 0;
}

static int
read_count(const struct opt_spec *spec, const char *value, int64_t *ret_count, struct err *err)
{
    return units_parse_int(slice_of(value), ret_count) || *ret_count < 1 || *ret_count > 1000000
               ? bad_value(spec, value, err)
               : 0;
}

static int read_threshold(struct limit_options *o,
                          const struct opt_spec *spec,
                          const char *value,
                          struct err *err)
{
    if (strcmp(spec->name, "p99") == 0) {
        nsec_t d;
        if (units_parse_duration_unit(slice_of(value), &d) || d <= 0) {
            return bad_value(spec, value, err);
        }
        snprintf(o->p99, sizeof(o->p99), "p(99)<%g", (double)d / NSEC_PER_MSEC);
        return 0;
    }
    double share;
    if (units_parse_share(slice_of(value), &share) || share <= 0 || share >= 1) {
        return err_set(err, -EINVAL, "--errors: '%s' is no share between 0 and 100%%", value);
    }
    snprintf(o->errors, sizeof(o->errors), "rate<%g", share);
    return 0;
}

static int read_number(struct limit_options *o,
                       const struct opt_spec *spec,
                       const char *value,
                       struct err *err)
{
    int64_t n;

    if (strcmp(spec->name, "seed") == 0) {
        if (units_parse_int(slice_of(value), &n)) {
            return bad_value(spec, value, err);
        }
        o->run.seed = (uint64_t)n;
        return 0;
    }
    int r = read_count(spec, value, &n, err);
    if (!r && strcmp(spec->name, "max-vus") == 0) {
        o->run.max_vus = (uint64_t)n;
    } else if (!r) {
        o->run.workers = (unsigned)n;
    }
    return r;
}

static int read_choice(struct limit_options *o,
                       const struct opt_spec *spec,
                       const char *value,
                       struct err *err)
{
    if (strcmp(spec->name, "progress") == 0) {
        o->show.json = true;
        return strcmp(value, "json") == 0
                   ? 0
                   : err_set(err, -EINVAL, "--progress: '%s' is not 'json'", value);
    }
    o->format = strcmp(value, "json") == 0 ? FORMAT_JSON : FORMAT_TEXT;
    if (strcmp(value, "json") != 0 && strcmp(value, "text") != 0) {
        return err_set(err, -EINVAL, "--format: '%s' is neither 'text' nor 'json'", value);
    }
    return 0;
}

static int read_option(void *arg, const struct opt_spec *spec, const char *value, struct err *err)
{
    struct limit_options *o = arg;
    const char *n = spec->name;

    if (strcmp(n, "p99") == 0 || strcmp(n, "errors") == 0) {
        return read_threshold(o, spec, value, err);
    } else if (strcmp(n, "budget") == 0) {
        return read_seconds(spec, value, &o->run.budget, err);
    } else if (strcmp(n, "start-rate") == 0) {
        return read_rate(spec, value, &o->run.start_rate, err);
    } else if (strcmp(n, "max-rate") == 0) {
        return read_rate(spec, value, &o->run.max_rate, err);
    } else if (strcmp(n, "allow-target") == 0) {
        return add_item(&o->targets, spec, value, err);
    } else if (strcmp(n, "env") == 0) {
        return strchr(value, '=') ? add_item(&o->env, spec, value, err)
                                  : bad_value(spec, value, err);
    } else if (strcmp(n, "scenario") == 0) {
        o->run.scenario = value;
    } else if (strcmp(n, "poisson") == 0) {
        o->run.poisson = true;
    } else if (strcmp(n, "no-calibration") == 0) {
        o->run.no_calibration = true;
    } else if (strcmp(n, "help") == 0) {
        o->help = true;
    } else if (strcmp(n, "quiet") == 0) {
        o->show.quiet = true;
    } else if (strcmp(n, "format") == 0 || strcmp(n, "progress") == 0) {
        return read_choice(o, spec, value, err);
    } else {
        return read_number(o, spec, value, err);
    }
    return 0;
}

static bool is_url(const char *s)
{
    return str_starts(s, "http://") || str_starts(s, "https://");
}

// A script that requests the URL, as a user would write it.
static char *make_script(const char *url, const struct limit_options *o)
{
    CLEANUP(strbuf_fini) struct strbuf thresholds = STRBUF_NULL;
    CLEANUP(strbuf_fini) struct strbuf quoted = STRBUF_NULL;

    for (const char *const *t = o->thresholds; *t; t += 2) {
        strbuf_addf(&thresholds, "        %s: ['%s'],\n", t[0], t[1]);
    }
    for (const char *p = url; *p; p++) {
        if (*p == '\'' || *p == '\\') {
            strbuf_addc(&quoted, '\\');
        }
        if ((unsigned char)*p >= ' ') {
            strbuf_addc(&quoted, *p);
        }
    }
    return xasprintf("import http from 'k6/http';\n"
                     "\n"
                     "export const options = {\n"
                     "    thresholds: {\n%s    },\n"
                     "};\n"
                     "\n"
                     "export default function () {\n"
                     "    http.get('%s');\n"
                     "}\n",
                     strbuf_str(&thresholds), strbuf_str(&quoted));
}

static void set_thresholds(struct limit_options *o)
{
    unsigned n = 0;

    if (is_url(o->show.target) && !o->p99[0] && !o->errors[0]) {
        snprintf(o->p99, sizeof(o->p99), "p(99)<500");
    }
    if (is_url(o->show.target) && !o->errors[0]) {
        snprintf(o->errors, sizeof(o->errors), "rate<0.01");
    }
    if (o->p99[0]) {
        o->thresholds[n++] = "http_req_duration";
        o->thresholds[n++] = o->p99;
    }
    if (o->errors[0]) {
        o->thresholds[n++] = "http_req_failed";
        o->thresholds[n++] = o->errors;
    }
    o->run.thresholds = o->thresholds;
    o->run.only_these_thresholds = n > 0;
}

// ---- Running ----

static int print_help(void)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;

    opt_add_help(&b, SPECS, ARRAY_SIZE(SPECS), 100);
    printf(
        "usage: plimsoll limit [OPTIONS] SCRIPT|URL\n\n"
        "Finds the highest rate that the target sustains within the script's thresholds. Its\n"
        "stages and VUs are ignored; its function runs as arrivals, sleeps included. Exit status\n"
        "0: found (or --max-rate held), 1: no rate held, 2: bad input, 3: inconclusive.\n\n"
        "options:\n%s",
        strbuf_str(&b));
    return EXIT_CODE_OK;
}

static void print_json(json_t *object)
{
    char *text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(6));

    puts(text);
    free(text);
}

static void on_event(void *arg, const struct limit_run_event *e)
{
    struct limit_options *o = arg;

    limit_show_event(&o->show, e);
    limit_record_event(&o->record, e);
}

static int run_search(struct limit_options *o)
{
    struct limit_run_result result;
    struct err err = {0};

    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    o->run.event = on_event;
    o->run.event_arg = o;
    limit_record_open(&o->record, o->show.target, &o->run);
    int r = limit_run(&o->run, &result, &err);
    limit_show_clear(&o->show);
    if (r) {
        limit_record_close(&o->record, NULL, EXIT_CODE_USAGE);
        return cmd_fail(&err);
    }
    json_t *object = limit_run_json(&result, NULL, o->show.target);
    json_object_set_new(object, "seed", json_integer((json_int_t)o->run.seed));
    if (o->format == FORMAT_JSON) {
        print_json(object);
    } else {
        limit_show_text(&o->show, &result);
    }
    limit_record_close(&o->record, object, limit_run_exit(&result));
    return limit_run_exit(&result);
}

int cmd_limit(int argc, char **argv)
{
    struct limit_options o = {0};
    struct err err = {0};
    int count;

    limit_record_init(&o.record, argc, argv);
    if (opt_parse(SPECS, ARRAY_SIZE(SPECS), argc, argv, read_option, &o, &count, &err)) {
        return cmd_usage("limit", "%s", err.message);
    }
    if (o.help) {
        return print_help();
    }
    if (count != 1) {
        return cmd_usage("limit", "needs one SCRIPT or URL");
    }
    o.show.target = argv[0];
    o.show.terminal = isatty(STDERR_FILENO);
    o.run.seed = o.run.seed ? o.run.seed : rng_system_seed() >> 1;
    o.show.seed = o.run.seed;
    o.run.ops = js_script_ops();
    o.run.env = o.env.items;
    o.run.allowed_targets = o.targets.items;
    o.run.stop = &stopped;
    set_thresholds(&o);
    CLEANUP_FREE char *script = is_url(argv[0]) ? make_script(argv[0], &o) : NULL;
    o.run.path = argv[0];
    o.run.text = script;
    if (script) {
        // For the eyes; with JSON on stdout it must not be in the way.
        fprintf(o.format == FORMAT_JSON ? stderr : stdout, "%s\n", script);
        fflush(stdout);
        o.run.path = "limit.js";
    }
    return run_search(&o);
}
