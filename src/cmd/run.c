// SPDX-License-Identifier: Apache-2.0
// plimsoll run: a k6 load test from the script to the summary.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cmd/cmd.h"
#include "cmd/progress.h"
#include "cmd/run_args.h"
#include "cmd/run_record.h"
#include "cmd/run_summary.h"
#include "js/js.h"
#include "load/engine.h"
#include "load/options.h"
#include "load/output.h"

enum { CONFIG_LIMIT = 1 << 20 };

// Everything of one run, in the order of its making.
struct run {
    struct run_args args;
    const struct script_ops *ops;
    struct metric_registry *registry;
    struct script *script;
    struct run_options options;
    bool options_built;
    struct net_settings net;
    bool net_built;
    struct outputs *outputs;
    struct progress progress;
    struct run_record record;
    nsec_t last_record; // stamp of the last line of its series
    struct engine *engine;
};

static volatile sig_atomic_t stop_level;

static void on_signal(int number)
{
    if (stop_level > 0) {
        _exit(EXIT_CODE_SIGNAL); // asked twice: at once
    }
    stop_level = 1;
}

static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static int setup_log(const struct run_args *a, struct err *err)
{
    enum log_format format = LOG_LOGFMT;
    int fd = STDERR_FILENO;

    if (a->log_format && strcmp(a->log_format, "json") == 0) {
        format = LOG_JSON;
    } else if (a->log_format && strcmp(a->log_format, "raw") == 0) {
        format = LOG_RAW;
    } else if (a->log_format && *a->log_format && strcmp(a->log_format, "text") != 0) {
        return err_set(err, EXIT_CODE_GENERIC, "'--log-format %s': use text, json or raw",
                       a->log_format);
    }
    if (!a->log_output || !*a->log_output || strcmp(a->log_output, "stderr") == 0) {
        fd = STDERR_FILENO;
    } else if (strcmp(a->log_output, "stdout") == 0) {
        fd = STDOUT_FILENO;
    } else if (strcmp(a->log_output, "none") == 0) {
        fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    } else if (str_starts(a->log_output, "file=")) {
        fd = open(a->log_output + 5, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (fd < 0) {
            return err_set(err, EXIT_CODE_GENERIC, "cannot write '%s': %s", a->log_output + 5,
                           err_errno(-errno));
        }
    } else {
        return err_set(err, EXIT_CODE_GENERIC,
                       "'--log-output %s': use stderr, stdout, none or file=NAME", a->log_output);
    }
    log_setup(a->verbose ? LOG_DEBUG : LOG_INFO, format, fd);
    return 0;
}

// The configuration file: the one named, which must exist, or k6's own if there is one.
static int read_config(const struct run_args *a, json_t **ret_values, struct err *err)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    CLEANUP_FREE char *path = a->config && *a->config ? xstrdup(a->config)
                              : base && *base         ? xasprintf("%s/k6/config.json", base)
                              : home                  ? xasprintf("%s/.config/k6/config.json", home)
                                                      : NULL;
    json_error_t at;

    *ret_values = NULL;
    if (!path || (!a->config && !fs_exists(path))) {
        return 0;
    }
    if (fs_read(path, CONFIG_LIMIT, &text, err) < 0) {
        return EXIT_CODE_CONFIG;
    }
    *ret_values = json_loadb(strbuf_str(&text), text.n, 0, &at);
    if (!*ret_values) {
        err_set(err, EXIT_CODE_CONFIG, "%s", at.text);
        err_at(err, path, at.line, at.column);
        return EXIT_CODE_CONFIG;
    }
    return 0;
}

static int build_options(struct run *r, struct err *err)
{
    json_t *file = NULL, *env = json_object();
    json_t *script = json_loads(r->ops->options(r->script), JSON_DECODE_ANY, NULL);
    struct option_layer layers[4];
    unsigned count = 0;

    int code = read_config(&r->args, &file, err);
    if (code == 0 && options_add_env(env, (const char *const *)environ, err) < 0) {
        code = EXIT_CODE_CONFIG;
    }
    if (code == 0) {
        if (file) {
            layers[count++] = (struct option_layer){SOURCE_FILE, "configuration file", file};
        }
        layers[count++] =
            (struct option_layer){SOURCE_SCRIPT, "options exported in the script", script};
        layers[count++] = (struct option_layer){SOURCE_ENV, "environment", env};
        layers[count++] = (struct option_layer){SOURCE_FLAG, "command line", r->args.flags};
        code = options_build(layers, count, &r->options, err) < 0 ? EXIT_CODE_CONFIG : 0;
        r->options_built = code == 0;
    }
    if (code == 0 && options_resolve_thresholds(&r->options, r->registry, err) < 0) {
        code = EXIT_CODE_CONFIG;
    }
    json_decref(file);
    json_decref(env);
    json_decref(script);
    return code;
}

static int open_script(struct run *r, uint64_t seed, struct err *err)
{
    const struct script_source source = {
        .path = r->args.script,
        .env = (const char *const *)r->args.env,
        .registry = r->registry,
        .seed = seed,
    };
    int code = r->ops->open(&source, &r->script, err);

    return code == 0                ? 0
           : code == SCRIPT_THREW   ? EXIT_CODE_SCRIPT
           : code == SCRIPT_ABORTED ? EXIT_CODE_ABORTED
                                    : EXIT_CODE_GENERIC;
}

// --console-output: what the script says goes to a file.
static int open_console(const struct run_options *o, struct err *err)
{
    if (!o->console_output || !*o->console_output) {
        return 0;
    }
    int fd = open(o->console_output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) {
        return err_set(err, EXIT_CODE_GENERIC, "cannot write '%s': %s", o->console_output,
                       err_errno(-errno));
    }
    log_set_console(fd);
    return 0;
}

static int prepare(struct run *r, struct err *err)
{
    json_t *seed_flag = json_object_get(r->args.flags, "seed");
    uint64_t seed =
        json_is_integer(seed_flag) ? (uint64_t)json_integer_value(seed_flag) : rng_system_seed();

    run_args_env(&r->args);
    r->ops = js_script_ops();
    r->registry = metric_registry_new();
    int code = open_script(r, seed, err);
    code = code == 0 ? build_options(r, err) : code;
    if (code != 0) {
        return code;
    }
    if (!r->options.seed_set) {
        r->options.seed = seed;
    }
    r->net_built = true;
    if (options_net(&r->options, &r->net, err) < 0 || net_settings_seal(&r->net, err) < 0) {
        return EXIT_CODE_CONFIG;
    }
    if (outputs_open(&r->options, &r->outputs, err) < 0) {
        return EXIT_CODE_GENERIC;
    }
    return open_console(&r->options, err);
}

static void log_thresholds(const struct run_options *o)
{
    CLEANUP(strbuf_fini) struct strbuf names = STRBUF_NULL;

    for (unsigned i = 0; i < o->threshold_count; i++) {
        bool crossed = false;
        for (unsigned j = 0; j < o->thresholds[i].count; j++) {
            crossed |= o->thresholds[i].items[j].crossed;
        }
        if (crossed) {
            strbuf_addf(&names, "%s%s", names.n ? ", " : "", o->thresholds[i].key);
        }
    }
    if (names.n) {
        log_error("thresholds on metrics '%s' have been crossed", strbuf_str(&names));
    }
}

static void on_tick(void *arg, const struct engine_status *status, const struct aggregate *results)
{
    struct run *r = arg;

    if (!r->args.quiet || r->args.progress_json) {
        progress_tick(&r->progress, status, results);
    }
    if (status->now - r->last_record >= NSEC_PER_SEC * 9 / 10) {
        r->last_record = status->now;
        run_record_tick(&r->record, status);
    }
}

static int execute(struct run *r, struct err *err)
{
    struct engine_status status;
    const struct engine_config config = {
        .ops = r->ops,
        .script = r->script,
        .options = &r->options,
        .net = &r->net,
        .registry = r->registry,
        .seed = r->options.seed,
        .on_shard = r->outputs ? outputs_attach : NULL,
        .on_shard_arg = r->outputs,
        .stop_level = &stop_level,
    };

    progress_init(&r->progress, &r->options, r->args.quiet, r->args.progress_json);
    progress_header(&r->progress, r->args.script);
    catch_signals();
    run_record_open(&r->record, &r->args);
    int code = engine_start(&config, &r->engine, err);
    r->progress.engine = r->engine;
    if (code == 0) {
        code = engine_run(r->engine, r->progress.live ? 200 * NSEC_PER_MSEC : NSEC_PER_SEC, on_tick,
                          r, err);
        (void)engine_results(r->engine, &status);
        progress_end(&r->progress, &status);
    }
    progress_fini(&r->progress);
    if (r->engine) {
        bool colors = !r->args.no_color && isatty(STDOUT_FILENO);
        run_summary_write(r->engine, &r->options, colors);
        log_thresholds(&r->options);
    }
    return code;
}

static void run_fini(struct run *r)
{
    struct err err = {0};

    engine_free(r->engine);
    if (outputs_close(r->outputs, &err) < 0) {
        log_error("%s", err.message);
    }
    if (r->net_built) {
        net_settings_fini(&r->net);
    }
    if (r->options_built) {
        options_fini(&r->options);
    }
    if (r->script) {
        r->ops->close(r->script);
    }
    metric_registry_free(r->registry);
    run_record_fini(&r->record);
    run_args_fini(&r->args);
}

int cmd_run(int argc, char **argv)
{
    struct run r = {0};
    struct err err = {0};
    char text[800];

    run_record_init(&r.record, argc, argv);
    int code = run_args_parse(argc, argv, &r.args, &err);
    if (code == 0 && r.args.help) {
        run_args_help();
        run_fini(&r);
        return EXIT_CODE_OK;
    }
    code = code == 0 ? setup_log(&r.args, &err) : code;
    code = code == 0 ? prepare(&r, &err) : code;
    code = code == 0 ? execute(&r, &err) : code;
    if (code != 0 && err.message[0]) {
        log_error("%s", err_text(&err, text, sizeof(text)));
    }
    run_record_end(&r.record, &r.args, r.options_built ? &r.options : NULL, r.engine, code,
                   err.message);
    run_fini(&r);
    return code;
}
