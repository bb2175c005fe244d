// SPDX-License-Identifier: Apache-2.0
#include "load/vu.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "load/engine_int.h"
#include "load/exits.h"
#include "load/runner.h"

static void enter(void *arg)
{
    struct vu *vu = arg;

    vu->worker->current = vu;
    if (vu->own_hooks.enter) {
        vu->own_hooks.enter(vu->own_hooks.arg);
    }
}

static void leave(void *arg)
{
    struct vu *vu = arg;

    vu->worker->current = NULL;
    if (vu->own_hooks.leave) {
        vu->own_hooks.leave(vu->own_hooks.arg);
    }
}

static void co_main(void *arg)
{
    struct vu *vu = arg;

    vu->main(vu);
}

void vu_spawn(struct vu *vu, void (*main)(struct vu *vu))
{
    struct co_hooks hooks = {enter, leave, vu};

    vu->main = main;
    vu->cancelled = false;
    vu->co = co_spawn(vu->worker->loop, co_main, vu, &hooks);
}

struct vu *vu_new(struct worker *w, uint64_t id)
{
    const struct script_ops *ops = w->engine->config.ops;
    struct vu *vu = XNEW(struct vu);

    vu->worker = w;
    vu->id = id;
    vu->in_scenario = xcalloc(w->engine->config.options->scenario_count + 1, sizeof(uint64_t));
    list_init(&vu->idle_link);
    list_push_back(&w->vus, &vu->link);
    if (ops->co_state_new) {
        vu->own_hooks = ops->co_state_new(w->script);
    }
    return vu;
}

int vu_init_script(struct vu *vu, struct err *err)
{
    struct engine *e = vu->worker->engine;
    uint64_t in_test = vu->id ? (uint64_t)segment_index(&e->segment, (int64_t)vu->id - 1) + 1 : 0;

    int r = e->config.ops->vu_new(vu->worker->script, vu->id, in_test, &vu->script, err);
    if (r == 0) {
        atomic_fetch_add(&e->vus_initialized, vu->id != 0);
    }
    return r;
}

void vu_free(struct vu *vu)
{
    const struct script_ops *ops = vu->worker->engine->config.ops;

    if (vu->script) {
        ops->vu_free(vu->script);
        atomic_fetch_sub(&vu->worker->engine->vus_initialized, vu->id != 0);
    }
    if (ops->co_state_free) {
        ops->co_state_free(vu->worker->script, vu->own_hooks);
    }
    timer_cancel(vu->worker->loop, &vu->kill);
    list_del(&vu->link);
    list_del(&vu->idle_link);
    free(vu->in_scenario);
    free(vu);
}

struct vu *vu_take(struct worker *w, struct runner *r)
{
    if (list_empty(&w->idle)) {
        return NULL;
    }
    struct vu *vu = LIST_ENTRY(w->idle.next, struct vu, idle_link);
    list_del(&vu->idle_link);
    vu->runner = r;
    vu->stop = vu->cancelled = vu->waiting = false;
    vu->done = 0;
    r->attached++;
    return vu;
}

void vu_release(struct vu *vu)
{
    vu->runner = NULL;
    timer_cancel(vu->worker->loop, &vu->kill);
    list_del(&vu->idle_link);
    list_push_back(&vu->worker->idle, &vu->idle_link);
}

void vu_interrupt(struct vu *vu)
{
    vu->stop = true;
    if (!vu->co || vu->cancelled) {
        return;
    }
    vu->cancelled = true;
    vu->worker->engine->config.ops->interrupt(vu->script);
    co_cancel(vu->co);
}

void vu_flush_bytes(struct vu *vu,
                    const struct tagset *tags,
                    const struct tagset *metadata,
                    nsec_t when)
{
    struct worker *w = vu->worker;
    const struct engine_config *config = &w->engine->config;
    uint64_t sent = 0, received = 0;

    if (config->ops->vu_take_bytes) {
        config->ops->vu_take_bytes(vu->script, &sent, &received);
    }
    const struct metric *m = metric_by_id(config->registry, METRIC_DATA_SENT);
    shard_add(w->shard, m, tags, (double)sent, when, metadata);
    m = metric_by_id(config->registry, METRIC_DATA_RECEIVED);
    shard_add(w->shard, m, tags, (double)received, when, metadata);
}

static void
count_window(struct worker *w, const struct vu *vu, nsec_t end, enum script_result result)
{
    struct window *c = &w->window.counts;

    c->completed++;
    c->interrupted += result == SCRIPT_INTERRUPTED || result == SCRIPT_THREW;
    c->duration += (double)(end - vu->intended) / NSEC_PER_SEC;
    w->window.ended++;
}

static double ms(nsec_t d)
{
    return (double)d / NSEC_PER_MSEC;
}

static void record(struct vu *vu, nsec_t start, nsec_t end, enum script_result result)
{
    struct worker *w = vu->worker;
    struct engine *e = w->engine;
    const struct engine_config *config = &e->config;
    const struct metric_registry *registry = config->registry;
    const struct tagset *metadata = NULL;
    const struct tagset *tags =
        config->ops->vu_tags ? config->ops->vu_tags(vu->script, &metadata) : vu->runner->tags;

    vu_flush_bytes(vu, tags, metadata, end);
    if (result == SCRIPT_INTERRUPTED) {
        atomic_fetch_add_explicit(&e->interrupted, 1, memory_order_relaxed);
    } else {
        shard_add(w->shard, metric_by_id(registry, METRIC_ITERATION_DURATION), tags,
                  ms(end - start), end, metadata);
        shard_add(w->shard, metric_by_id(registry, METRIC_ITERATIONS), tags, 1, end, metadata);
        atomic_fetch_add_explicit(&e->iterations, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&e->counts[vu->runner->index].completed, 1, memory_order_relaxed);
        if (vu->intended && e->trace_lag) {
            shard_add(w->shard, metric_by_id(registry, METRIC_ITERATION_LAG), tags, ms(vu->lag),
                      end, metadata);
            shard_add(w->shard, metric_by_id(registry, METRIC_INTENDED_DURATION), tags,
                      ms(end - vu->intended), end, metadata);
        }
    }
    if (vu->intended) {
        count_window(w, vu, end, result);
    }
}

static void note_start(struct vu *vu, nsec_t start)
{
    struct worker *w = vu->worker;
    struct window *c = &w->window.counts;
    bool late;

    vu->lag = vu->intended && start > vu->intended ? start - vu->intended : 0;
    late = vu->lag > NSEC_PER_MSEC;
    if (vu->intended) {
        atomic_fetch_add_explicit(&w->engine->starts, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&w->engine->late, late, memory_order_relaxed);
        c->late += late;
        c->lag_max = MAX(c->lag_max, vu->lag);
    }
}

void vu_iterate(struct vu *vu, nsec_t intended)
{
    struct worker *w = vu->worker;
    struct engine *e = w->engine;
    struct runner *r = vu->runner;
    struct script_iteration it = {
        .scenario = &r->scenario,
        .iteration_in_vu = vu->iterations++,
        .iteration_in_scenario = vu->in_scenario[r->index]++,
        .iteration_in_instance =
            atomic_fetch_add_explicit(&e->counts[r->index].started, 1, memory_order_relaxed),
        .intended_start = intended,
    };

    it.iteration_in_test = (uint64_t)segment_index(&e->segment, (int64_t)it.iteration_in_instance);
    vu->intended = intended;
    vu->done++;
    vu->running = true;
    atomic_fetch_add_explicit(&e->vus_active, 1, memory_order_relaxed);
    nsec_t start = loop_update_now(w->loop);
    note_start(vu, start);
    enum script_result result = e->config.ops->iterate(vu->script, &it);
    record(vu, start, loop_update_now(w->loop), result);
    if (result == SCRIPT_ABORTED) {
        vu->stop = true;
        engine_abort(e, EXIT_CODE_ABORTED);
    }
    nsec_t padded = start + e->config.options->min_iteration_duration;
    if (e->config.options->min_iteration_duration && padded > loop_now(w->loop)) {
        (void)co_await_until(padded);
    }
    atomic_fetch_sub_explicit(&e->vus_active, 1, memory_order_relaxed);
    vu->running = false;
}
