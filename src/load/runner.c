// SPDX-License-Identifier: Apache-2.0
#include "load/runner.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "load/engine_int.h"
#include "load/tags.h"

static const struct executor_ops *const executors[] = {
    [EXECUTOR_SHARED_ITERATIONS] = &exec_shared_iterations,
    [EXECUTOR_PER_VU_ITERATIONS] = &exec_per_vu_iterations,
    [EXECUTOR_CONSTANT_VUS] = &exec_constant_vus,
    [EXECUTOR_RAMPING_VUS] = &exec_ramping_vus,
    [EXECUTOR_CONSTANT_ARRIVAL_RATE] = &exec_constant_arrival_rate,
    [EXECUTOR_RAMPING_ARRIVAL_RATE] = &exec_ramping_arrival_rate,
};

static const struct tagset *make_tags(const struct runner *r)
{
    const struct run_options *o = r->worker->engine->config.options;
    struct tag_interner *in = shard_tags(r->worker->shard);
    const struct tagset *t = tagset_empty(in);

    for (unsigned i = 0; i < o->tag_count; i++) {
        t = tagset_with(in, t, slice_of(o->tags[i].key), slice_of(o->tags[i].value));
    }
    if (o->system_tags & SYSTEM_TAG_BIT(SCENARIO)) {
        t = tagset_with(in, t, SLICE("scenario"), slice_of(r->options->name));
    }
    if (o->system_tags & SYSTEM_TAG_BIT(GROUP)) {
        t = tagset_with(in, t, SLICE("group"), SLICE(""));
    }
    for (unsigned i = 0; i < r->options->tag_count; i++) {
        const struct tag *tag = &r->options->tags[i];
        t = tagset_with(in, t, slice_of(tag->key), slice_of(tag->value));
    }
    return t;
}

struct runner *runner_new(struct worker *w, unsigned index)
{
    struct runner *r = XNEW(struct runner);

    r->worker = w;
    r->index = index;
    r->options = &w->engine->config.options->scenarios[index];
    r->ops = executors[r->options->executor];
    r->scenario = (struct script_scenario){
        .name = r->options->name,
        .executor = executor_name(r->options->executor),
        .exec = r->options->exec,
        .env = (const char *const *)r->options->env,
        .tags = r->options->tags,
        .tag_count = r->options->tag_count,
        .executor_state = r,
    };
    r->tags = make_tags(r);
    list_init(&r->arrivals.free);
    r->ops->init(r);
    return r;
}

void runner_free(struct runner *r)
{
    struct loop *l = r->worker->loop;

    timer_cancel(l, &r->timer);
    timer_cancel(l, &r->ramp_timer);
    arrivals_fini(r);
    free(r->slots);
    free(r->stages);
    free(r);
}

static void done(struct runner *r)
{
    struct worker *w = r->worker;

    r->state = RUNNER_DONE;
    timer_cancel(w->loop, &r->timer);
    timer_cancel(w->loop, &r->ramp_timer);
    timer_cancel(w->loop, &r->arrivals.timer);
    if (--w->runners_left == 0) {
        engine_worker_done(w->engine);
    }
}

static void interrupt_all(struct runner *r)
{
    LIST_FOREACH_SAFE (it, &r->worker->vus) {
        struct vu *vu = LIST_ENTRY(it, struct vu, link);
        if (vu->runner == r) {
            vu_interrupt(vu);
        }
    }
}

static void on_grace_over(struct timer *t)
{
    interrupt_all(CONTAINER_OF(t, struct runner, timer));
}

void runner_end(struct runner *r, bool aborted)
{
    if (r->state != RUNNER_RUNNING) {
        return;
    }
    r->state = RUNNER_ENDING;
    timer_cancel(r->worker->loop, &r->ramp_timer);
    if (r->ops->end) {
        r->ops->end(r, aborted);
    }
    nsec_t grace = aborted ? 0 : r->options->graceful_stop;
    if (r->attached == 0) {
        done(r);
    } else if (grace == 0) {
        timer_cancel(r->worker->loop, &r->timer);
        interrupt_all(r);
    } else {
        timer_set(r->worker->loop, &r->timer, loop_now(r->worker->loop) + grace, on_grace_over);
    }
}

void runner_check_done(struct runner *r)
{
    if (r->attached > 0) {
        return;
    }
    if (r->state == RUNNER_RUNNING && r->ops->ends_when_idle) {
        runner_end(r, engine_is_aborted(r->worker->engine));
    } else if (r->state == RUNNER_ENDING) {
        done(r);
    }
}

static void on_end(struct timer *t)
{
    runner_end(CONTAINER_OF(t, struct runner, timer), false);
}

static void on_start(struct timer *t)
{
    struct runner *r = CONTAINER_OF(t, struct runner, timer);

    r->state = RUNNER_RUNNING;
    timer_set(r->worker->loop, &r->timer, r->ends, on_end);
    r->ops->start(r);
}

void runner_go(struct runner *r, nsec_t test_start)
{
    r->started = test_start + r->options->start_time;
    r->ends = r->started + scenario_duration(r->options);
    r->scenario.start = r->started;
    timer_set(r->worker->loop, &r->timer, r->started, on_start);
}

void runner_interrupt(struct runner *r)
{
    switch (r->state) {
    case RUNNER_WAITING:
        done(r);
        break;
    case RUNNER_RUNNING:
        runner_end(r, true);
        break;
    case RUNNER_ENDING:
        interrupt_all(r);
        break;
    case RUNNER_DONE:
        break;
    }
}

static void closed_main(struct vu *vu)
{
    struct runner *r = vu->runner;

    while (!vu->stop && r->state == RUNNER_RUNNING && !engine_is_aborted(r->worker->engine) &&
           r->ops->next(r, vu)) {
        vu_iterate(vu, 0);
        // A script that never waits must not keep the others from running.
        if (co_yield () < 0) {
            break;
        }
    }
    runner_vu_left(vu);
}

bool runner_add_vu(struct runner *r, unsigned slot)
{
    struct vu *vu = vu_take(r->worker, r);

    if (!vu) {
        return false;
    }
    vu->slot = slot;
    vu_spawn(vu, closed_main);
    return true;
}

void runner_vu_left(struct vu *vu)
{
    struct runner *r = vu->runner;

    r->attached--;
    vu->co = NULL;
    vu->waiting = false;
    vu_release(vu);
    if (r->ops->left) {
        r->ops->left(r, vu);
    }
    runner_check_done(r);
}

static double share(double part, double whole)
{
    return whole > 0 ? fmin(fmax(part / whole, 0), 1) : 1;
}

double runner_progress(const struct runner *r, nsec_t now)
{
    const struct scenario_options *o = r->options;
    const struct engine *e = r->worker->engine;
    double passed = r->started ? (double)(now - r->started) : 0;
    double completed =
        (double)atomic_load_explicit(&e->counts[r->index].completed, memory_order_relaxed);

    if (r->state == RUNNER_DONE) {
        return 1;
    }
    switch (o->executor) {
    case EXECUTOR_SHARED_ITERATIONS:
        return share(completed, (double)segment_scale(&e->segment, (int64_t)o->iterations));
    case EXECUTOR_PER_VU_ITERATIONS:
        return share(completed,
                     (double)o->iterations * (double)segment_scale(&e->segment, (int64_t)o->vus));
    case EXECUTOR_CONSTANT_VUS:
    case EXECUTOR_RAMPING_VUS:
    case EXECUTOR_CONSTANT_ARRIVAL_RATE:
    case EXECUTOR_RAMPING_ARRIVAL_RATE:
    case EXECUTOR_N_:
        break;
    }
    return share(passed, (double)scenario_duration(o));
}

void runner_drop(struct runner *r, uint64_t count)
{
    struct worker *w = r->worker;
    struct engine *e = w->engine;

    if (count == 0) {
        return;
    }
    atomic_fetch_add_explicit(&e->dropped, count, memory_order_relaxed);
    atomic_fetch_add_explicit(&e->counts[r->index].dropped, count, memory_order_relaxed);
    shard_add(w->shard, metric_by_id(e->config.registry, METRIC_DROPPED_ITERATIONS), r->tags,
              (double)count, loop_now(w->loop), NULL);
}
