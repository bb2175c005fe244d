// SPDX-License-Identifier: Apache-2.0
// VUs that follow stages: slot n works while the line is above n. A VU whose slot closes gets
// gracefulRampDown to end its iteration; if the slot opens again meanwhile it just goes on.
#include <stdlib.h>

#include "base/mem.h"
#include "load/runner.h"

static int64_t scaled(const struct runner *r, int64_t vus)
{
    return segment_scale(&r->worker->segment, vus);
}

static void init(struct runner *r)
{
    const struct scenario_options *o = r->options;

    r->stages = xcalloc(o->stage_count + 1, sizeof(*r->stages));
    for (unsigned i = 0; i < o->stage_count; i++) {
        r->stages[i] = (struct ramp_stage){o->stages[i].duration, o->stages[i].target};
    }
    r->ramp = (struct ramp_plan){(int64_t)o->start_vus, r->stages, o->stage_count};
    r->slot_count = r->vus = (uint64_t)scaled(r, ramp_max(&r->ramp));
    r->slots = xcalloc(r->slot_count + 1, sizeof(struct vu *));
}

static void open_slot(struct runner *r, unsigned n)
{
    struct vu *vu = r->slots[n];

    if (vu && vu->cancelled) {
        return; // left() opens the slot again
    }
    if (vu) {
        timer_cancel(r->worker->loop, &vu->kill);
        vu->stop = false;
        return;
    }
    if (!list_empty(&r->worker->idle)) {
        r->slots[n] = LIST_ENTRY(r->worker->idle.next, struct vu, idle_link);
        (void)runner_add_vu(r, n);
    }
}

static void on_kill(struct timer *t)
{
    vu_interrupt(CONTAINER_OF(t, struct vu, kill));
}

static void close_slot(struct runner *r, unsigned n)
{
    struct vu *vu = r->slots[n];

    if (!vu || vu->stop) {
        return;
    }
    vu->stop = true;
    if (r->options->graceful_ramp_down == 0) {
        vu_interrupt(vu);
    } else {
        timer_set(r->worker->loop, &vu->kill,
                  loop_now(r->worker->loop) + r->options->graceful_ramp_down, on_kill);
    }
}

static void follow(struct runner *r, int64_t vus)
{
    uint64_t wanted = (uint64_t)scaled(r, vus);

    for (; r->wanted < wanted; r->wanted++) {
        open_slot(r, (unsigned)r->wanted);
    }
    for (; r->wanted > wanted; r->wanted--) {
        close_slot(r, (unsigned)r->wanted - 1);
    }
}

static void on_step(struct timer *t)
{
    struct runner *r = CONTAINER_OF(t, struct runner, ramp_timer);
    nsec_t now = loop_now(r->worker->loop), offset;
    int64_t vus;

    // Each step is known only after the one before it was taken.
    follow(r, r->ramp_at.current);
    while (ramp_next(&r->ramp, &r->ramp_at, &offset, &vus)) {
        if (r->started + offset > now) {
            timer_set(r->worker->loop, &r->ramp_timer, r->started + offset, on_step);
            return;
        }
        follow(r, vus);
    }
}

static void start(struct runner *r)
{
    ramp_begin(&r->ramp, &r->ramp_at);
    on_step(&r->ramp_timer);
}

static bool next(struct runner *r, struct vu *vu)
{
    return true;
}

static void left(struct runner *r, struct vu *vu)
{
    unsigned n = vu->slot;

    r->slots[n] = NULL;
    if (r->state == RUNNER_RUNNING && n < r->wanted) {
        open_slot(r, n);
    }
}

static void end(struct runner *r, bool aborted)
{
    r->wanted = 0;
    LIST_FOREACH (it, &r->worker->vus) {
        struct vu *vu = LIST_ENTRY(it, struct vu, link);
        if (vu->runner == r) {
            vu->stop = true;
        }
    }
}

const struct executor_ops exec_ramping_vus = {init, start, next, left, end, false};
