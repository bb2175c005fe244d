// SPDX-License-Identifier: Apache-2.0
#include "plan/objectives.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

void objectives_init(struct objectives *o)
{
    *o = (struct objectives){0};
}

void objectives_fini(struct objectives *o)
{
    for (unsigned i = 0; i < o->count; i++) {
        free(o->items[i].name);
    }
    o->count = 0;
}

static bool is_upper_bound(enum threshold_op op)
{
    return op == OP_LESS || op == OP_LESS_EQUAL;
}

static bool is_lower_bound(enum threshold_op op)
{
    return op == OP_GREATER || op == OP_GREATER_EQUAL;
}

static int refuse(struct err *err, const char *name, const char *why)
{
    return err_set(err, -EINVAL, "threshold '%s' cannot be a limit: %s (use p(N), med or a rate)",
                   name, why);
}

// Share of bad samples that the threshold allows, and which samples are bad.
static int count_threshold(const struct threshold *t,
                           const struct metric *m,
                           struct objective *o,
                           struct window_objective *w,
                           struct err *err)
{
    bool upper = is_upper_bound(t->op);

    if (!upper && !is_lower_bound(t->op)) {
        return refuse(err, o->name, "equality leaves nothing to count");
    }
    w->metric = m;
    w->below = !upper;
    switch (t->agg) {
    case THRESHOLD_MED:
    case THRESHOLD_PERCENTILE: {
        double p = t->agg == THRESHOLD_MED ? 0.5 : t->percentile / 100;
        o->allowed = upper ? 1 - p : p;
        w->limit = t->limit;
        break;
    }
    case THRESHOLD_RATE:
        if (m->type != METRIC_RATE) {
            return refuse(err, o->name, "a rate per second grows with the load");
        }
        o->allowed = upper ? t->limit : 1 - t->limit;
        break;
    case THRESHOLD_AVG:
        return refuse(err, o->name, "an average is not a share of requests");
    case THRESHOLD_MIN:
    case THRESHOLD_MAX:
        return refuse(err, o->name, "one request decides an extreme");
    case THRESHOLD_COUNT:
    case THRESHOLD_VALUE:
        return refuse(err, o->name, "a total grows with the time spent");
    }
    if (o->allowed <= 0 || o->allowed >= 1) {
        return refuse(err, o->name, "it allows no bad request, or every one");
    }
    return 0;
}

static int add(struct objectives *o,
               const struct threshold_set *set,
               const struct threshold *t,
               struct err *err)
{
    const struct metric *m = set->metric;

    if (o->count == WINDOW_OBJECTIVES_MAX) {
        return err_set(err, -EINVAL, "more than %d thresholds", WINDOW_OBJECTIVES_MAX);
    }
    struct window_objective *w = &o->windows[o->count];
    struct objective *x = &o->items[o->count++];
    *w = (struct window_objective){
        .submetric = set->submetric,
        .add_lag = m->id == METRIC_HTTP_REQ_DURATION || m->id == METRIC_ITERATION_DURATION,
    };
    *x = (struct objective){.name = xasprintf("%s %s", set->key, t->source)};
    return count_threshold(t, m, x, w, err);
}

int objectives_add_sets(struct objectives *o,
                        const struct threshold_set *sets,
                        unsigned count,
                        struct err *err)
{
    for (unsigned i = 0; i < count; i++) {
        for (unsigned j = 0; j < sets[i].count; j++) {
            int r = add(o, &sets[i], &sets[i].items[j], err);
            if (r) {
                return r;
            }
        }
    }
    return 0;
}
