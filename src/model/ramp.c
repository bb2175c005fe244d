// SPDX-License-Identifier: Apache-2.0
#include "model/ramp.h"

void ramp_begin(const struct ramp_plan *p, struct ramp_at *at)
{
    *at = (struct ramp_at){.from = p->start, .current = p->start};
}

bool ramp_next(const struct ramp_plan *p, struct ramp_at *at, nsec_t *ret_offset, int64_t *ret_vus)
{
    for (; at->stage < p->count; at->stage++) {
        const struct ramp_stage *s = &p->stages[at->stage];
        int64_t steps = s->target > at->from ? s->target - at->from : at->from - s->target;
        if (s->duration == 0 && at->current != s->target) {
            at->current = s->target;
            *ret_offset = at->offset;
            *ret_vus = at->current;
            return true;
        }
        if (s->duration > 0 && at->done < steps) {
            at->done++;
            at->current += s->target > at->from ? 1 : -1;
            *ret_offset = at->offset + (nsec_t)((__int128)s->duration * at->done / steps);
            *ret_vus = at->current;
            return true;
        }
        at->offset += s->duration;
        at->from = s->target;
        at->done = 0;
    }
    return false;
}

nsec_t ramp_duration(const struct ramp_plan *p)
{
    nsec_t sum = 0;

    for (unsigned i = 0; i < p->count; i++) {
        sum += p->stages[i].duration;
    }
    return sum;
}

int64_t ramp_max(const struct ramp_plan *p)
{
    int64_t max = p->start;

    for (unsigned i = 0; i < p->count; i++) {
        max = p->stages[i].target > max ? p->stages[i].target : max;
    }
    return max;
}
