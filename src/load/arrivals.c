// SPDX-License-Identifier: Apache-2.0
// The open model: iterations start when they are due, whoever is still busy. An arrival that finds
// no idle VU is dropped at once; one more VU is then made in the background, up to maxVUs.
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "load/engine_int.h"
#include "load/exits.h"
#include "load/runner.h"

unsigned arrivals_workers(const struct engine *e, const struct scenario_options *o)
{
    int64_t ready = segment_scale(&e->segment, (int64_t)o->pre_allocated_vus);
    int64_t most = segment_scale(&e->segment, (int64_t)o->max_vus);

    return (unsigned)MAX(MIN(ready > 0 ? ready : most, e->worker_count), 1);
}

void arrivals_init(struct runner *r)
{
    const struct scenario_options *o = r->options;

    const struct engine *e = r->worker->engine;
    unsigned parts = arrivals_workers(e, o);

    if (r->worker->index < parts) {
        struct segment *s = &r->arrivals.segment;
        segment_init_split(s, &e->segment, parts, r->worker->index);
        r->vus = (uint64_t)segment_scale(s, (int64_t)o->pre_allocated_vus);
        r->arrivals.max_vus = (uint64_t)segment_scale(s, (int64_t)o->max_vus);
    }
    rng_init(&r->arrivals.rng, r->worker->engine->config.seed, 1000 + r->worker->index);
}

void arrivals_fini(struct runner *r)
{
    timer_cancel(r->worker->loop, &r->arrivals.timer);
    free(r->arrivals.stages);
    segment_fini(&r->arrivals.segment);
}

// A VU of an open model: runs the iteration it was given, then waits for the next.
static void open_main(struct vu *vu)
{
    struct runner *r = vu->runner;

    while (!vu->stop) {
        vu_iterate(vu, vu->intended);
        if (vu->stop || vu->cancelled || r->state != RUNNER_RUNNING) {
            break;
        }
        vu->waiting = true;
        list_push_front(&r->arrivals.free, &vu->idle_link); // the one with the warmest caches first
        if (co_suspend() < 0) {
            break;
        }
    }
    runner_vu_left(vu);
}

static bool give(struct runner *r, nsec_t intended)
{
    struct arrivals *a = &r->arrivals;
    struct vu *vu;

    if (!list_empty(&a->free)) {
        vu = LIST_ENTRY(a->free.next, struct vu, idle_link);
        list_del(&vu->idle_link);
        vu->waiting = false;
        vu->intended = intended;
        co_wake(vu->co, 0);
        return true;
    }
    if (r->attached < r->vus && (vu = vu_take(r->worker, r))) {
        vu->intended = intended;
        vu_spawn(vu, open_main);
        return true;
    }
    return false;
}

static void maker_main(struct vu *vu)
{
    struct worker *w = vu->worker;
    struct err err = {0};
    struct runner *r = vu->runner;

    vu->runner = NULL;
    int result = vu_init_script(vu, &err);
    if (result == 0 && w->engine->setup_data) {
        w->engine->config.ops->vu_set_data(vu->script, w->engine->setup_data);
    }
    vu->co = NULL;
    w->growing = false;
    if (result == 0) {
        vu_release(vu);
        r->vus++;
    } else {
        log_error("cannot initialise another VU: %s", err.message);
        engine_abort(w->engine, EXIT_CODE_SCRIPT);
    }
}

static void grow(struct runner *r)
{
    struct worker *w = r->worker;
    struct engine *e = w->engine;

    if (w->growing) {
        return;
    }
    if (r->vus >= r->arrivals.max_vus) {
        if (!w->unplanned_warned && !r->arrivals.driven) {
            w->unplanned_warned = true;
            log_warn("Insufficient VUs, reached %llu active VUs and cannot initialize more",
                     (unsigned long long)r->attached);
        }
        return;
    }
    w->growing = true;
    struct vu *vu = vu_new(w, atomic_fetch_add(&e->next_vu, 1) + 1);
    vu->runner = r; // for maker_main() only
    vu_spawn(vu, maker_main);
}

static void arrive(struct runner *r, nsec_t intended)
{
    struct worker *w = r->worker;

    w->window.counts.arrivals++;
    w->window.due++;
    if (engine_is_aborted(w->engine)) {
        w->window.ended++;
    } else if (!give(r, intended)) {
        w->window.counts.dropped++;
        w->window.ended++;
        runner_drop(r, 1);
        grow(r);
    }
}

// The instant of the arrival after the one at `last`; 0 = none.
static nsec_t next_arrival(struct runner *r, nsec_t last)
{
    struct arrivals *a = &r->arrivals;

    if (a->driven) {
        if (a->rate <= 0) {
            return 0;
        }
        if (a->poisson) {
            return last + arrival_poisson_gap(&a->rng, a->rate);
        }
        nsec_t at = a->grid_base + (nsec_t)(a->grid_next * NSEC_PER_SEC);
        a->grid_next += 1 / a->rate;
        return at;
    }
    if (a->segment.own == 0) {
        return 0;
    }
    nsec_t offset = arrival_offset(&a->plan, &a->at, segment_index(&a->segment, a->number));
    a->number++;
    return offset < 0 ? 0 : r->started + offset;
}

static void on_arrival(struct timer *t);

static void catch_up(struct runner *r, nsec_t now)
{
    struct arrivals *a = &r->arrivals;

    while (a->next && a->next <= now) {
        arrive(r, a->next);
        a->next = next_arrival(r, a->next);
    }
    if (a->next && r->state == RUNNER_RUNNING) {
        timer_set(r->worker->loop, &a->timer, a->next, on_arrival);
    }
}

static void on_arrival(struct timer *t)
{
    struct runner *r = CONTAINER_OF(t, struct runner, arrivals.timer);

    catch_up(r, loop_now(r->worker->loop));
}

void arrivals_start(struct runner *r)
{
    if (!r->arrivals.driven) {
        r->arrivals.next = next_arrival(r, r->started);
        catch_up(r, loop_now(r->worker->loop));
    }
}

void arrivals_set_rate(struct runner *r, const struct drive_rate *rate)
{
    struct arrivals *a = &r->arrivals;

    a->driven = true;
    a->rate = rate->per_second;
    a->poisson = rate->poisson;
    a->grid_base = rate->base;
    a->grid_next = rate->first_gap;
    a->next = next_arrival(r, rate->base);
    timer_cancel(r->worker->loop, &a->timer);
    catch_up(r, loop_now(r->worker->loop));
}

void arrivals_end(struct runner *r, bool aborted)
{
    struct arrivals *a = &r->arrivals;

    timer_cancel(r->worker->loop, &a->timer);
    // An arrival at the very end counts, although the end's timer may have come first.
    while (!aborted && !a->driven && a->next && a->next <= r->ends) {
        arrive(r, a->next);
        a->next = next_arrival(r, a->next);
    }
    LIST_FOREACH_SAFE (it, &r->worker->vus) {
        struct vu *vu = LIST_ENTRY(it, struct vu, link);
        if (vu->runner == r && vu->waiting) {
            vu->stop = true;
            vu->waiting = false;
            list_del(&vu->idle_link);
            co_wake(vu->co, 0);
        }
    }
}
