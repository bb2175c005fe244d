// SPDX-License-Identifier: Apache-2.0
// The options of a run: what a script, a configuration file, the environment and flags say, merged
// (default < file < script < environment < flag) and checked. Table: tbl/options.h.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/opt.h"
#include "metric/threshold.h"
#include "net/settings.h"

enum executor {
#define EXECUTOR(id, name, summary) EXECUTOR_##id,
#include "tbl/executors.h"
#undef EXECUTOR
    EXECUTOR_N_
};
const char *executor_name(enum executor e);

struct stage {
    nsec_t duration;
    int64_t target; // VUs, or iterations per time unit
};

// One scenario, complete with defaults. Which fields matter depends on the executor.
struct scenario_options {
    char *name;
    enum executor executor;
    nsec_t start_time;
    nsec_t graceful_stop; // 30 s
    char *exec;           // "default"
    char **env;           // "NAME=value", NULL-terminated, or NULL
    struct tag *tags;
    unsigned tag_count;
    uint64_t vus, iterations;
    nsec_t max_duration; // 10 min
    nsec_t duration;
    uint64_t start_vus;
    struct stage *stages;
    unsigned stage_count;
    nsec_t graceful_ramp_down; // 30 s
    double rate;               // iterations per time unit
    double start_rate;
    nsec_t time_unit; // 1 s
    uint64_t pre_allocated_vus, max_vus;
    bool max_vus_set; // given, not a default
};

// Regular duration (without graceful stop) and most VUs at once of one scenario.
nsec_t scenario_duration(const struct scenario_options *s);
uint64_t scenario_max_vus(const struct scenario_options *s);

enum option_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_SCRIPT, SOURCE_ENV, SOURCE_FLAG };

enum option_id {
#define OPTION(id, key, flag, letter, env, kind, arg, help) OPTION_##id,
#include "tbl/options.h"
#undef OPTION
    OPTION_N_
};

struct run_options {
    struct scenario_options *scenarios; // sorted by start time, then name
    unsigned scenario_count;
    struct threshold_set *thresholds; // not resolved
    unsigned threshold_count;
    struct tag *tags;
    unsigned tag_count;
    unsigned system_tags; // bits of load/tags.h
    bool no_setup, no_teardown, no_thresholds;
    bool throw_errors, no_connection_reuse, no_vu_connection_reuse, no_cookies_reset;
    bool discard_response_bodies, insecure_skip_tls_verify, paused;
    nsec_t setup_timeout, teardown_timeout, handle_summary_timeout, min_iteration_duration;
    double rps;
    unsigned batch, batch_per_host, max_redirects;
    bool max_redirects_set;
    unsigned http_debug; // 0, 1 headers, 2 full
    char *user_agent;
    char *summary_time_unit;    // "", "s", "ms", "us"
    char **summary_trend_stats; // NULL-terminated
    char *summary_mode;         // "compact", "full", "disabled"
    char *summary_export;       // file or NULL
    char **outputs;             // "json=file", NULL-terminated
    char *console_output;       // file or NULL
    int64_t *segment_weights;   // of all parts of the test, in order; NULL = the whole test is ours
    unsigned segment_parts, segment_part;
    uint64_t vu_memory; // bytes, 0 = default
    unsigned cpus;      // worker threads, 0 = all
    uint64_t seed;
    bool seed_set;
    struct submetric *submetrics; // filled in by options_resolve_thresholds()
    unsigned submetric_count;
    json_t *merged; // what was merged, in k6's keys; options of exec.test.options and the summary
    enum option_source sources[OPTION_N_];
};

// One source of options: JSON in k6's script keys.
struct option_layer {
    enum option_source source;
    const char *name; // for messages: "script options", a file name …
    json_t *values;   // object
};

// Flags of the table, for opt_parse() and --help. `ret_count` specs in a static array.
const struct opt_spec *options_specs(unsigned *ret_count);
// Adds a flag's value to a layer's object. -ENOENT if the spec is none of the table's.
int options_add_flag(json_t *values,
                     const struct opt_spec *spec,
                     const char *value,
                     struct err *err);
// Adds what the K6_ variables of `env` ("NAME=value", NULL-terminated) say.
int options_add_env(json_t *values, const char *const *env, struct err *err);
// Merges layers (lowest first), derives scenarios from shortcuts, checks everything, fills in
// defaults. Warnings (unknown keys, scenarios lost) are logged. 0, or -EINVAL with err (exit 104).
int options_build(const struct option_layer *layers,
                  unsigned count,
                  struct run_options *ret_options,
                  struct err *err);
void options_fini(struct run_options *o);
// Finds the metrics of the thresholds and makes the sub-metrics that they and k6 want, once all
// metrics are registered. 0 or -EINVAL with err (exit 104).
int options_resolve_thresholds(struct run_options *o,
                               const struct metric_registry *registry,
                               struct err *err);
// Most VUs of all scenarios at once and the time of the whole with graceful stops.
uint64_t options_max_vus(const struct run_options *o);
nsec_t options_max_duration(const struct run_options *o);
// Fills the network settings from the merged options (hosts, dns, TLS …). 0 or -EINVAL with err.
int options_net(const struct run_options *o, struct net_settings *ret_settings, struct err *err);
