// SPDX-License-Identifier: Apache-2.0
#include "plan/plan_resources.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

// Demand is taken from windows about the limit, waiting from those at it and above.
static const double DEMAND_FROM = 0.7;
static const double DEMAND_TO = 1.1;
static const double WAITING_FROM = 0.93;

enum span { SPAN_DEMAND, SPAN_WAITING };

static bool in_span(const struct plan_observed *o, const struct plan_window *w, enum span span)
{
    return span == SPAN_DEMAND
               ? w->offered >= DEMAND_FROM * o->rate && w->offered <= DEMAND_TO * o->rate
               : w->offered >= WAITING_FROM * o->rate;
}

struct mean {
    double sum, weight;
};

static double mean_of(const struct mean *m)
{
    return m->weight > 0 ? m->sum / m->weight : NAN;
}

static double field(const struct observe_sample *s, size_t pod, int metric)
{
    return metric < 0 ? s->pods[pod].cpu : s->pods[pod].metrics[metric];
}

// Mean of a gauge over the span's windows.
static double gauge(const struct plan_observed *o, size_t pod, int metric, enum span span)
{
    struct mean m = {0};

    for (size_t w = 0; w < o->window_count; w++) {
        for (size_t i = 0; i < o->sample_count && in_span(o, &o->windows[w], span); i++) {
            const struct observe_sample *s = &o->samples[i];
            double v = field(s, pod, metric);
            if (s->at >= o->windows[w].from && s->at <= o->windows[w].to && !isnan(v)) {
                m.sum += v;
                m.weight += 1;
            }
        }
    }
    return mean_of(&m);
}

// Increase per second of a counter over the span's windows; pod SIZE_MAX: the host's busy CPU.
static double increase(const struct plan_observed *o, size_t pod, int metric, enum span span)
{
    struct mean m = {0};

    for (size_t w = 0; w < o->window_count; w++) {
        const struct observe_sample *first = NULL;
        const struct observe_sample *last = NULL;
        for (size_t i = 0; i < o->sample_count && in_span(o, &o->windows[w], span); i++) {
            const struct observe_sample *s = &o->samples[i];
            if (s->at >= o->windows[w].from && s->at <= o->windows[w].to) {
                first = first ? first : s;
                last = s;
            }
        }
        if (!first || first == last) {
            continue;
        }
        double d = pod == SIZE_MAX ? last->host_busy - first->host_busy
                                   : field(last, pod, metric) - field(first, pod, metric);
        if (!isnan(d) && d >= 0) {
            m.sum += d;
            m.weight += (double)(last->at - first->at) / NSEC_PER_SEC;
        }
    }
    return mean_of(&m);
}

static double completions(const struct plan_observed *o)
{
    struct mean m = {0};

    for (size_t w = 0; w < o->window_count; w++) {
        if (in_span(o, &o->windows[w], SPAN_DEMAND)) {
            double seconds = (double)(o->windows[w].to - o->windows[w].from) / NSEC_PER_SEC;
            m.sum += o->windows[w].completed * seconds;
            m.weight += seconds;
        }
    }
    return mean_of(&m);
}

// Scales what was busy at the windows' rate to the limit.
static void
set_busy(struct verdict_resource *r, const struct plan_observed *o, double busy, double at)
{
    r->observable = !isnan(busy) && !isnan(at) && at > 0;
    r->rate = o->rate;
    r->busy = r->observable ? busy / at * o->rate : 0;
}

static struct verdict_resource *add(struct verdict_resource *all,
                                    size_t *count,
                                    enum verdict_kind kind,
                                    const char *name,
                                    const char *owner)
{
    if (*count == PLAN_RESOURCES_MAX) {
        return NULL;
    }
    struct verdict_resource *r = &all[(*count)++];
    *r = (struct verdict_resource){.kind = kind};
    snprintf(r->name, sizeof(r->name), "%s", name);
    snprintf(r->owner, sizeof(r->owner), "%s", owner);
    return r;
}

static void add_pool(const struct plan_observed *o,
                     struct verdict_resource *all,
                     size_t *count,
                     size_t pod,
                     enum verdict_kind kind,
                     const char *name,
                     const int metrics[3])
{
    double size = gauge(o, pod, metrics[0], SPAN_WAITING);

    if (isnan(size) || size <= 0) {
        return;
    }
    struct verdict_resource *r = add(all, count, kind, name, o->pods[pod].workload);
    if (r) {
        double waiting = gauge(o, pod, metrics[2], SPAN_WAITING);
        r->capacity = size;
        r->has_waiting = !isnan(waiting);
        r->waiting = r->has_waiting ? waiting : 0;
        set_busy(r, o, gauge(o, pod, metrics[1], SPAN_DEMAND), completions(o));
    }
}

static void add_rate_limit(const struct plan_observed *o,
                           struct verdict_resource *all,
                           size_t *count,
                           size_t pod)
{
    if (o->rate_limit <= 0 || strcmp(o->pods[pod].workload, o->service) != 0) {
        return;
    }
    struct verdict_resource *r = add(all, count, VERDICT_RATE_LIMIT, "rate limiter", o->service);
    if (r) {
        double refused = increase(o, pod, OBSERVE_REFUSED, SPAN_WAITING);
        r->observable = !isnan(refused);
        r->capacity = o->rate_limit;
        r->rate = r->busy = o->rate;
        r->has_waiting = r->observable;
        r->waiting = r->observable ? refused : 0;
    }
}

static void
add_cpu(const struct plan_observed *o, struct verdict_resource *all, size_t *count, size_t pod)
{
    char name[96];

    snprintf(name, sizeof(name), "CPU of %s", o->pods[pod].workload);
    struct verdict_resource *r = add(all, count, VERDICT_CPU, name, o->pods[pod].workload);
    if (r) {
        r->capacity = o->cores;
        set_busy(r, o, increase(o, pod, -1, SPAN_DEMAND), completions(o));
    }
}

// The machine has other work too, which must not be charged to the requests: busy = other + D · X
// by least squares over all windows, and what the other work leaves is the capacity.
static void add_machine(const struct plan_observed *o, struct verdict_resource *all, size_t *count)
{
    struct verdict_resource *r = add(all, count, VERDICT_CPU, "CPU of this machine", "");
    double n = 0;
    double x = 0;
    double y = 0;
    double xx = 0;
    double xy = 0;

    for (size_t w = 0; r && w < o->window_count; w++) {
        struct plan_observed one = *o;
        one.windows = &o->windows[w];
        one.window_count = 1;
        one.rate = o->windows[w].offered;
        double busy = increase(&one, SIZE_MAX, -1, SPAN_DEMAND);
        double seconds = (double)(one.windows->to - one.windows->from) / NSEC_PER_SEC;
        if (!isnan(busy)) {
            n += seconds;
            x += seconds * one.windows->completed;
            y += seconds * busy;
            xx += seconds * one.windows->completed * one.windows->completed;
            xy += seconds * one.windows->completed * busy;
        }
    }
    double spread = n * xx - x * x;
    if (!r || n <= 0 || spread <= 1e-9 * n * xx) {
        return;
    }
    double demand = (n * xy - x * y) / spread;
    double other = fmax((y - demand * x) / n, 0);
    r->observable = demand > 0;
    r->rate = o->rate;
    r->busy = fmax(demand, 0) * o->rate;
    r->capacity = fmax(o->cores - other, 0.01);
}

size_t plan_resources(const struct plan_observed *o, struct verdict_resource *resources)
{
    static const int db[] = {OBSERVE_POOL_SIZE, OBSERVE_POOL_IN_USE, OBSERVE_POOL_PENDING};
    static const int upstream[] = {OBSERVE_UPSTREAM_SIZE, OBSERVE_UPSTREAM_IN_USE,
                                   OBSERVE_UPSTREAM_PENDING};
    static const int workers[] = {OBSERVE_WORKERS, OBSERVE_WORKERS_BUSY, OBSERVE_PENDING};
    size_t count = 0;

    for (size_t i = 0; i < o->pod_count; i++) {
        add_pool(o, resources, &count, i, VERDICT_POOL, "DB pool", db);
        add_pool(o, resources, &count, i, VERDICT_POOL, "upstream pool", upstream);
        add_pool(o, resources, &count, i, VERDICT_WORKERS, "worker concurrency", workers);
        add_rate_limit(o, resources, &count, i);
        add_cpu(o, resources, &count, i);
    }
    add_machine(o, resources, &count);
    return count;
}
