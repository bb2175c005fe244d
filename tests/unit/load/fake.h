// SPDX-License-Identifier: Apache-2.0
// A script in C: proves the engine without an interpreter.
#pragma once

#include <check.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "load/engine.h"
#include "load/engine_int.h"
#include "load/exits.h"
#include "load/view.h"
#include "net/settings.h"
#include "rt/co.h"

struct script {
    nsec_t takes;              // of an iteration
    enum script_result result; // of an iteration
    bool hang;                 // iterations wait until they are cancelled
    uint64_t abort_at;         // iteration in the test that aborts, 0 = none
    bool has_setup, has_teardown, setup_throws, setup_hangs, init_throws, teardown_throws;
    const char *exec; // exported function, "default" if NULL
    atomic_uint inits, setups, teardowns, data_seen, iterations;
    atomic_uint_fast64_t highest; // iteration_in_test
    atomic_uint_fast64_t sum;     // of iteration_in_test
};
struct script_thread {
    struct script *script;
    const struct engine_view *view;
    struct shard *shard;
    const struct script_settings *settings;
};
struct script_vu {
    struct script_thread *thread;
    uint64_t id;
    bool interrupted;
    bool has_data;
};

static const char *fake_options(const struct script *s)
{
    return "{}";
}

static bool fake_has_function(const struct script *s, const char *name)
{
    if (strcmp(name, "setup") == 0) {
        return s->has_setup;
    }
    if (strcmp(name, "teardown") == 0) {
        return s->has_teardown;
    }
    return strcmp(name, s->exec ? s->exec : "default") == 0;
}

static unsigned fake_function_count(const struct script *s)
{
    return 1;
}

static int fake_thread_new(struct script *s,
                           const struct script_settings *settings,
                           struct loop *l,
                           struct shard *shard,
                           const struct engine_view *view,
                           struct script_thread **ret_thread,
                           struct err *err)
{
    *ret_thread = XNEW(struct script_thread);
    **ret_thread = (struct script_thread){s, view, shard, settings};
    return 0;
}

static void fake_thread_free(struct script_thread *t)
{
    free(t);
}

static int fake_vu_new(struct script_thread *t,
                       uint64_t vu_id,
                       uint64_t vu_id_in_test,
                       struct script_vu **ret_vu,
                       struct err *err)
{
    ck_assert_ptr_nonnull(co_self());
    atomic_fetch_add(&t->script->inits, 1);
    if (t->script->init_throws) {
        err_set(err, SCRIPT_THREW, "Error: cannot start");
        return SCRIPT_THREW;
    }
    *ret_vu = XNEW(struct script_vu);
    **ret_vu = (struct script_vu){t, vu_id, false, false};
    return 0;
}

static void fake_vu_set_data(struct script_vu *vu, const char *data)
{
    ck_assert_str_eq(data, "{\"token\":1}");
    atomic_fetch_add(&vu->thread->script->data_seen, 1);
}

static void fake_vu_free(struct script_vu *vu)
{
    free(vu);
}

static enum script_result fake_iterate(struct script_vu *vu, const struct script_iteration *it)
{
    struct script *s = vu->thread->script;

    ck_assert_ptr_nonnull(co_self());
    ck_assert_str_eq(it->scenario->exec, s->exec ? s->exec : "default");
    atomic_fetch_add(&s->iterations, 1);
    atomic_fetch_add(&s->sum, it->iteration_in_test);
    uint64_t highest = atomic_load(&s->highest);
    while (highest < it->iteration_in_test &&
           !atomic_compare_exchange_weak(&s->highest, &highest, it->iteration_in_test)) {
    }
    if (s->abort_at && it->iteration_in_test == s->abort_at) {
        vu->thread->view->abort(vu->thread->view->arg, "enough");
        return SCRIPT_ABORTED;
    }
    if (s->hang ? co_suspend() < 0 : s->takes && co_await_sleep(s->takes) < 0) {
        return SCRIPT_INTERRUPTED;
    }
    return s->result;
}

static enum script_result fake_setup(struct script_vu *vu, struct strbuf *ret_json, struct err *err)
{
    struct script *s = vu->thread->script;

    ck_assert_uint_eq(vu->id, 0);
    atomic_fetch_add(&s->setups, 1);
    if (s->setup_throws) {
        err_set(err, SCRIPT_THREW, "Error: no database");
        return SCRIPT_THREW;
    }
    if (s->setup_hangs && co_suspend() < 0) {
        return SCRIPT_INTERRUPTED;
    }
    strbuf_adds(ret_json, "{\"token\":1}");
    return SCRIPT_OK;
}

static enum script_result fake_teardown(struct script_vu *vu, struct err *err)
{
    atomic_fetch_add(&vu->thread->script->teardowns, 1);
    return vu->thread->script->teardown_throws ? SCRIPT_THREW : SCRIPT_OK;
}

static enum script_result
fake_summary(struct script_vu *vu, const char *data_json, struct strbuf *ret_json, struct err *err)
{
    return SCRIPT_OK;
}

static void fake_interrupt(struct script_vu *vu)
{
    vu->interrupted = true;
}

static const struct script_ops fake_ops = {
    .options = fake_options,
    .has_function = fake_has_function,
    .function_count = fake_function_count,
    .thread_new = fake_thread_new,
    .thread_free = fake_thread_free,
    .vu_new = fake_vu_new,
    .vu_set_data = fake_vu_set_data,
    .vu_free = fake_vu_free,
    .iterate = fake_iterate,
    .setup = fake_setup,
    .teardown = fake_teardown,
    .handle_summary = fake_summary,
    .interrupt = fake_interrupt,
};

// A run of options (JSON of a script) and what came of it.
struct fake_run {
    int code;
    struct err err;
    uint64_t iterations, interrupted, dropped, duration_count;
    double iterations_metric, dropped_metric;
    nsec_t took;
    uint64_t vus_max;
    unsigned workers;
    struct window window;
};

static void fake_build(const char *json, struct run_options *o, struct metric_registry *registry)
{
    json_error_t at;
    json_t *values = json_loads(json, 0, &at);
    struct option_layer layer = {SOURCE_SCRIPT, "script", values};
    struct err err = {0};

    ck_assert_msg(values != NULL, "%s", at.text);
    ck_assert_msg(options_build(&layer, 1, o, &err) == 0, "%s", err.message);
    ck_assert_int_eq(options_resolve_thresholds(o, registry, &err), 0);
    json_decref(values);
}

static struct fake_run
fake_run(const char *json, struct script *s, unsigned workers, const volatile sig_atomic_t *stop)
{
    struct fake_run run = {0};
    struct metric_registry *registry = metric_registry_new();
    struct run_options o;
    struct engine *e = NULL;
    struct metric_result m;

    fake_build(json, &o, registry);
    struct engine_config config = {.ops = &fake_ops,
                                   .script = s,
                                   .options = &o,
                                   .registry = registry,
                                   .workers = workers,
                                   .seed = 1,
                                   .stop_level = stop};
    nsec_t start = clock_now();
    run.code = engine_start(&config, &e, &run.err);
    if (run.code == 0) {
        run.code = engine_run(e, NSEC_PER_SEC, NULL, NULL, &run.err);
    }
    run.took = clock_now() - start;
    if (e) {
        struct engine_status status;
        const struct aggregate *results = engine_results(e, &status);
        run.iterations = status.iterations;
        run.interrupted = status.interrupted;
        run.dropped = status.dropped;
        run.vus_max = status.vus_initialized;
        run.workers = e->worker_count;
        ck_assert(aggregate_find(results, "iterations", &m));
        run.iterations_metric = m.sum;
        ck_assert(aggregate_find(results, "iteration_duration", &m));
        run.duration_count = m.count;
        ck_assert(aggregate_find(results, "dropped_iterations", &m));
        run.dropped_metric = m.sum;
        // What the metrics say is what the counters say.
        ck_assert_uint_eq((uint64_t)run.iterations_metric, run.iterations);
        ck_assert_uint_eq(run.duration_count, run.iterations);
        ck_assert_uint_eq((uint64_t)run.dropped_metric, run.dropped);
        ck_assert_uint_eq(atomic_load(&s->iterations), run.iterations + run.interrupted);
    }
    engine_free(e);
    options_fini(&o);
    metric_registry_free(registry);
    return run;
}
