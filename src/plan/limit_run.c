// SPDX-License-Identifier: Apache-2.0
#include "plan/limit_run.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "plan/limit_drive.h"
#include "plan/limit_options.h"

static const double BUDGET = 90;

static int open_script(struct limit_run *run, struct err *err)
{
    const struct limit_run_config *c = run->config;
    struct script_source source = {
        .path = c->path,
        .text = c->text,
        .env = c->env,
        .registry = run->registry,
        .seed = c->seed,
    };

    int r = c->ops->open(&source, &run->script, err);
    if (r) {
        return r;
    }
    return limit_options_build(c, c->ops->options(run->script), &run->options, err);
}

static void record_response(void *arg, const struct exchange *x)
{
    struct limit_run *run = arg;

    if (atomic_load_explicit(&run->recording, memory_order_relaxed)) {
        nullserver_table_record(run->responses, x);
    }
}

static int add_objectives(struct limit_run *run, struct err *err)
{
    const struct limit_run_config *c = run->config;
    int r = options_resolve_thresholds(&run->options, run->registry, err);

    r = r ? r
          : objectives_add_sets(&run->objectives, run->options.thresholds,
                                run->options.threshold_count, err);
    if (r) {
        return r;
    }
    if (run->objectives.count + c->deficit_count == 0) {
        return err_set(err, -EINVAL,
                       "the script has no thresholds, so nothing says what its limit is: add "
                       "--p99 300ms and --errors 1%%, or thresholds to its options");
    }
    if (run->objectives.count + c->deficit_count > LIMIT_OBJECTIVES_MAX) {
        return err_set(err, -EINVAL, "more than %d objectives", LIMIT_OBJECTIVES_MAX);
    }
    return 0;
}

int limit_run_set_network(struct limit_run *run,
                          struct net_settings *net,
                          uint16_t null_port,
                          struct err *err)
{
    int r = options_net(&run->options, net, err);

    for (const char *const *h = run->config->hosts; h && *h && !r; h++) {
        CLEANUP_FREE char *name = xstrdup(*h);
        char *equals = strchr(name, '=');
        if (!equals) {
            return err_set(err, -EINVAL, "host '%s': 'name=address' expected", *h);
        }
        *equals = '\0';
        r = net_settings_add_host(net, name, equals + 1, err);
    }
    for (unsigned i = 0; null_port && i < run->guard.seen_count && !r; i++) {
        const struct target *t = &run->guard.seen[i];
        CLEANUP_FREE char *name = xasprintf("%s:%u", t->host, t->port);
        CLEANUP_FREE char *address = xasprintf("127.0.0.1:%u", null_port);
        r = net_settings_add_host(net, name, address, err);
    }
    net->allow = target_guard_allow;
    net->allow_arg = &run->guard;
    if (run->responses && !null_port) {
        net->observe = record_response;
        net->observe_arg = run;
    }
    return r ? r : net_settings_seal(net, err);
}

int limit_run_start_engine(struct limit_run *run,
                           struct net_settings *net,
                           struct engine **ret_engine,
                           struct err *err)
{
    const struct limit_run_config *c = run->config;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct engine_config config = {
        .ops = c->ops,
        .script = run->script,
        .options = &run->options,
        .net = net,
        .registry = run->registry,
        // The service usually shares this machine: half of it is the generator's at most.
        .workers = c->workers ? c->workers : (unsigned)MAX(cpus / 2, 1),
        .seed = c->seed,
        .objectives = run->objectives.windows,
        .objective_count = run->objectives.count,
        .stop_level = c->stop,
    };

    return engine_start(&config, ret_engine, err);
}

static int start(struct limit_run *run, struct err *err)
{
    int r = limit_run_set_network(run, &run->net, 0, err);

    r = r ? r : limit_run_start_engine(run, &run->net, &run->engine, err);
    return limit_run_check_targets(run, r, err);
}

static void start_search(struct limit_run *run)
{
    const struct limit_run_config *c = run->config;
    struct limit_config config = {
        .objectives = run->objectives.count + c->deficit_count,
        .budget = c->budget > 0 ? c->budget : BUDGET,
        .start_rate = c->start_rate,
        .max_rate = c->max_rate,
        .seed = c->seed,
    };

    for (unsigned i = 0; i < run->objectives.count; i++) {
        config.allowed[i] = run->objectives.items[i].allowed;
    }
    for (unsigned i = 0; i < c->deficit_count; i++) {
        config.allowed[run->objectives.count + i] = c->deficits[i].allowed;
    }
    limit_init(&run->limit, &config);
}

static void conclude(const struct limit_run *run, struct limit_run_result *r)
{
    limit_result(&run->limit, &r->limit);
    int o = r->limit.objective;
    if (o == LIMIT_BACKLOG) {
        snprintf(r->objective, sizeof(r->objective), "backlog (completions fall behind arrivals)");
    } else if (o >= (int)run->objectives.count) {
        snprintf(r->objective, sizeof(r->objective), "%s",
                 run->config->deficits[o - (int)run->objectives.count].name);
    } else if (o >= 0) {
        snprintf(r->objective, sizeof(r->objective), "%s", run->objectives.items[o].name);
    }
    r->colocated = run->guard.loopback_seen;
    r->generator_share = run->cpu_share;
    r->vus = run->vus;
    r->requests = run->requests;
    r->calibrated = run->generator_rate > 0;
    r->generator_rate = run->generator_rate;
    r->headroom = r->calibrated && r->limit.rate > 0 ? run->generator_rate / r->limit.rate : 0;
    snprintf(r->calibration, sizeof(r->calibration), "not established%s%s",
             run->calibration[0] ? ": " : "", run->calibration);
    // Iterations of one request each are what everyone calls requests.
    bool single = run->judged_http > 0 && fabs(run->judged_http / run->completed - 1) < 0.05;
    r->unit = single ? "requests/s" : "iterations/s";
}

static void close_run(struct limit_run *run)
{
    const struct script_ops *ops = run->config->ops;

    engine_free(run->engine);
    nullserver_free(run->null);
    nullserver_table_free(run->responses);
    objectives_fini(&run->objectives);
    options_fini(&run->options);
    net_settings_fini(&run->net);
    target_guard_fini(&run->guard);
    if (run->script) {
        ops->close(run->script);
    }
    metric_registry_free(run->registry);
    free(run);
}

int limit_run(const struct limit_run_config *config,
              struct limit_run_result *ret_result,
              struct err *err)
{
    struct limit_run *run = XNEW(struct limit_run);
    struct limit_run_result result = {0};
    nsec_t began = clock_now();

    run->config = config;
    run->registry = metric_registry_new();
    objectives_init(&run->objectives);
    target_guard_init(&run->guard, config->allowed_targets);
    net_settings_init(&run->net);
    limit_run_emit(run, &(struct limit_run_event){.phase = "prepare"});
    // Forked before any thread is there.
    if (!config->no_calibration && nullserver_fork(&run->null) == 0) {
        run->responses = nullserver_table_new();
        run->recording = true;
    }
    int r = open_script(run, err);
    r = r ? r : add_objectives(run, err);
    r = r ? r : start(run, err);
    if (!r) {
        start_search(run);
        r = limit_run_drive(run, err);
        struct err late = {0};
        if (engine_finish(run->engine, &late) && late.message[0]) {
            // The search has its answer; a teardown() that fails does not take it away.
            log_warn("%s", late.message);
        }
        conclude(run, &result);
    }
    close_run(run);
    result.seconds = (double)(clock_now() - began) / NSEC_PER_SEC;
    if (!r) {
        *ret_result = result;
    }
    return r;
}
