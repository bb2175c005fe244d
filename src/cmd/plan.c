// SPDX-License-Identifier: Apache-2.0
// plimsoll plan PLAN.yaml: the capacity plan of a system.
#include "plan/plan.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/rng.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/labs.h"
#include "cmd/report_format.h"
#include "js/js.h"
#include "report/plan_table.h"

struct plan_options {
    struct plan_config plan;
    enum report_format format;
    bool help, quiet, json, terminal, drawn;
};

static const struct opt_spec SPECS[] = {
    {"only", 0, "SERVICE", false, "measure this service only"},
    {"budget", 0, "DURATION", false, "time for each limit (75s)"},
    {"seed", 0, "N", false, "for everything random"},
    {"format", 0, "FORMAT", false, "text, markdown or json"},
    {"progress", 0, "FORM", false, "json: events for programs on stderr"},
    {"quiet", 'q', NULL, false, "no progress"},
    {"help", 'h', NULL, false, "print this"},
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    stopped = 1;
    // A second one ends the program at once; the lab's supervisor then ends the pods.
    signal(number, SIG_DFL);
}

static int read_option(void *arg, const struct opt_spec *spec, const char *value, struct err *err)
{
    struct plan_options *o = arg;
    const char *n = spec->name;
    nsec_t d;
    int64_t seed;

    if (strcmp(n, "only") == 0) {
        o->plan.only = value;
    } else if (strcmp(n, "budget") == 0) {
        if (units_parse_duration_unit(slice_of(value), &d) || d < 20 * NSEC_PER_SEC) {
            return err_set(err, -EINVAL, "--budget: '%s' is no duration of at least 20s", value);
        }
        o->plan.budget = (double)d / NSEC_PER_SEC;
    } else if (strcmp(n, "seed") == 0) {
        if (units_parse_int(slice_of(value), &seed)) {
            return err_set(err, -EINVAL, "--seed: '%s' is no number", value);
        }
        o->plan.seed = (uint64_t)seed;
    } else if (strcmp(n, "format") == 0) {
        return report_format_read(value, &o->format, err);
    } else if (strcmp(n, "progress") == 0) {
        o->json = true;
        return strcmp(value, "json") == 0
                   ? 0
                   : err_set(err, -EINVAL, "--progress: '%s' is not 'json'", value);
    } else if (strcmp(n, "quiet") == 0) {
        o->quiet = true;
    } else {
        o->help = true;
    }
    return 0;
}

static int print_help(void)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;

    opt_add_help(&b, SPECS, ARRAY_SIZE(SPECS), 100);
    printf("usage: plimsoll plan [OPTIONS] PLAN.yaml\n\n"
           "Starts the plan's system as local pods, finds the limit of each service with the\n"
           "others held above it, names what binds it, checks that by changing it, and prints the\n"
           "capacity plan. Exit status 0: all limits found, 1: a service held no rate, 2: bad\n"
           "input or a service that could not be measured, 3: inconclusive.\n\n"
           "options:\n%s",
           strbuf_str(&b));
    return EXIT_CODE_OK;
}

// ---- Progress ----

static void clear_line(struct plan_options *o)
{
    if (o->drawn) {
        fputs("\r\033[K", stderr);
        o->drawn = false;
    }
}

static void on_event(void *arg, const struct plan_event *e)
{
    struct plan_options *o = arg;
    const struct limit_run_event *p = e->probe;
    const char *who = e->service ? e->service : "system";
    int left = (int)e->left;

    if (o->quiet) {
        return;
    }
    if (o->json) {
        fprintf(stderr,
                "{\"event\":\"%s\",\"service\":\"%s\",\"stage\":\"%s\",\"left\":%d,\"phase\":"
                "\"%s\",\"rate\":%.6g,\"bad\":%.6g,\"estimate\":%.6g}\n",
                !p            ? "stage"
                : p->finished ? "probe"
                              : "progress",
                who, e->stage, left, p ? p->phase : "", p ? p->rate : 0, p ? p->worst_share : 0,
                p ? p->estimate : 0);
    } else if (!p) {
        clear_line(o);
        fprintf(stderr, "%d:%02d left  %s: %s\n", left / 60, left % 60, who, e->stage);
    } else if (p->finished) {
        clear_line(o);
        fprintf(stderr, "%d:%02d left  %s: %-8s %8.4g/s  bad %6.2f %%%s", left / 60, left % 60, who,
                p->phase, p->rate, 100 * p->worst_share,
                p->generator_bound ? "  generator-bound, not counted" : "");
        fprintf(stderr, p->estimate > 0 ? "  limit about %.4g/s\n" : "\n", p->estimate);
    } else if (o->terminal) {
        int full = (int)(p->progress * 20);
        fprintf(stderr, "\r\033[K%d:%02d left  %s: %-8s [%.*s%*s] %.4g/s", left / 60, left % 60,
                who, p->phase, full, "====================", 20 - full, "", p->rate);
        o->drawn = true;
    }
}

// ---- Running ----

static unsigned terminal_width(void)
{
    struct winsize w;

    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0
               ? w.ws_col
               : 140;
}

static void write_report(struct plan_options *o, json_t *result, bool tell)
{
    CLEANUP(strbuf_fini) struct strbuf markdown = STRBUF_NULL;
    struct rundir *dir = o->plan.dir;
    struct err err = {0};

    if (!dir) {
        return;
    }
    plan_table_markdown(result, &markdown);
    int r = rundir_write_file(dir, "plan.md", strbuf_str(&markdown), &err);
    r = r ? r : rundir_write_result(dir, json_incref(result), &err);
    if (r || rundir_error(dir)) {
        log_warn("the run directory '%s' is not complete: %s", rundir_path(dir),
                 r ? err.message : err_errno(rundir_error(dir)));
    } else if (tell && !o->quiet) {
        fprintf(stderr, "report: %s/plan.md\n", rundir_path(dir));
    }
    rundir_close(dir);
    o->plan.dir = NULL;
}

static int check_only(const struct plan_options *o, struct err *err)
{
    const struct plan_file *f = o->plan.file;
    const char *names[PLAN_LIMITS_MAX];

    for (size_t i = 0; i < f->limit_count; i++) {
        names[i] = f->limits[i].service;
        if (!o->plan.only || strcmp(o->plan.only, names[i]) == 0) {
            return 0;
        }
    }
    const char *meant = str_suggest(o->plan.only, names, f->limit_count);
    return meant ? err_set(err, -EINVAL, "--only: the plan has no service '%s', did you mean '%s'?",
                           o->plan.only, meant)
                 : err_set(err, -EINVAL, "--only: the plan has no service '%s'", o->plan.only);
}

static int run_plan(struct plan_options *o, const char *path, int argc, char **argv)
{
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    struct lab_options lab;
    struct err err = {0};
    nsec_t started = clock_wall();
    json_t *limits = json_array();

    labs_defaults(&lab, &arena);
    CLEANUP_FREE char *name = xasprintf("plan-%d", (int)getpid());
    lab.name = name;
    o->plan.lab = &lab;
    o->plan.ops = js_script_ops();
    o->plan.stop = &stopped;
    o->plan.event = on_event;
    o->plan.event_arg = o;
    if (rundir_create(RUNDIR_PARENT, o->plan.file->name, &o->plan.dir, &err)) {
        log_warn("no run directory is written: %s", err.message);
        o->plan.dir = NULL;
    }
    for (const char *const *s = o->plan.file->skipped; *s; s++) {
        log_warn("%s: the section '%s' is not carried out by this version", path, *s);
    }
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int code = plan_run(&o->plan, limits, &err);
    clear_line(o);
    bool failed = code < 0;
    code = failed ? cmd_fail(&err) : code;
    json_t *result = rundir_result_base("plan", argc, argv, o->plan.seed, started);
    json_object_set_new(result, "version", json_string(PLIMSOLL_VERSION));
    json_object_set_new(result, "plan", json_string(o->plan.file->name));
    json_object_set_new(result, "exit", json_integer(code));
    if (failed) {
        json_object_set_new(result, "message", json_string(err.message));
    }
    bool any = json_array_size(limits) > 0;
    json_object_set_new(result, "limits", limits);
    if (any) {
        report_print(result, o->format, terminal_width());
        fflush(stdout);
    }
    write_report(o, result, any);
    json_decref(result);
    return code;
}

int cmd_plan(int argc, char **argv)
{
    CLEANUP(plan_file_free_p) struct plan_file *file = NULL;
    CLEANUP_FREE char **typed = xcalloc((size_t)argc + 1, sizeof(*typed));
    struct plan_options o = {.terminal = isatty(STDERR_FILENO)};
    struct err err = {0};
    int count;

    memcpy(typed, argv, (size_t)argc * sizeof(*typed));
    if (opt_parse(SPECS, ARRAY_SIZE(SPECS), argc, argv, read_option, &o, &count, &err)) {
        return cmd_usage("plan", "%s", err.message);
    }
    if (o.help) {
        return print_help();
    }
    if (count != 1) {
        return cmd_usage("plan", "needs one PLAN.yaml");
    }
    o.plan.seed = o.plan.seed ? o.plan.seed : rng_system_seed() >> 1;
    if (plan_file_read(argv[0], &file, &err)) {
        return cmd_fail(&err);
    }
    o.plan.file = file;
    if (check_only(&o, &err)) {
        return cmd_fail(&err);
    }
    return run_plan(&o, argv[0], argc, typed);
}
