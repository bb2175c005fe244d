// SPDX-License-Identifier: Apache-2.0
#include "model/arrival.h"

#include <math.h>

// A hair of an arrival, so that rounding does not lose the one that falls on the end.
static const double slack = 1e-6;

static double seconds(nsec_t d)
{
    return (double)d / NSEC_PER_SEC;
}

static double stage_area(const struct arrival_stage *s)
{
    return (s->from + s->to) / 2 * seconds(s->duration);
}

nsec_t arrival_duration(const struct arrival_plan *p)
{
    nsec_t sum = 0;

    for (unsigned i = 0; i < p->count; i++) {
        sum += p->stages[i].duration;
    }
    return sum;
}

int64_t arrival_total(const struct arrival_plan *p)
{
    double area = 0;

    for (unsigned i = 0; i < p->count; i++) {
        area += stage_area(&p->stages[i]);
    }
    int64_t total = (int64_t)floor(area - p->first + slack) + 1;
    return total < 0 ? 0 : total;
}

nsec_t arrival_offset(const struct arrival_plan *p, struct arrival_at *at, int64_t number)
{
    double wanted = p->first + (double)number;

    for (; at->stage < p->count; at->stage++) {
        const struct arrival_stage *s = &p->stages[at->stage];
        double area = stage_area(s), rest = wanted - at->area;
        if (rest <= area + slack && (area > 0 || (rest <= 0 && s->from + s->to > 0))) {
            double slope = s->duration ? (s->to - s->from) / seconds(s->duration) : 0;
            // area = from t + slope t²/2, solved without cancellation
            double root = sqrt(fmax(s->from * s->from + 2 * slope * rest, 0));
            double t = rest <= 0 ? 0 : 2 * rest / (s->from + root);
            nsec_t offset = (nsec_t)llround(t * NSEC_PER_SEC);
            return at->offset + (offset < s->duration ? offset : s->duration);
        }
        at->area += area;
        at->offset += s->duration;
    }
    return -1;
}

nsec_t arrival_poisson_gap(struct rng *rng, double rate)
{
    return (nsec_t)(rng_exponential(rng, 1 / rate) * NSEC_PER_SEC);
}
