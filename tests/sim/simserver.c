// SPDX-License-Identifier: Apache-2.0
#include "simserver.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

const double SIM_BIN = 0.25;

void sim_init(struct sim_server *s, const struct sim_params *params, uint64_t seed)
{
    *s = (struct sim_server){.params = *params, .tokens = params->limiter_burst};
    rng_init(&s->rng, seed, 2);
    s->next_stall = params->stall_every > 0 ? rng_exponential(&s->rng, params->stall_every) : 1e300;
    ASSERT(params->workers <= SIM_WORKERS_MAX);
}

void sim_fini(struct sim_server *s)
{
    free(s->bins);
}

static struct limit_bin *bin_at(struct sim_server *s, double t)
{
    int at = (int)MIN(t / SIM_BIN, 1e6);

    if (at >= s->bin_count) {
        int count = MAX(at + 64, 2 * s->bin_count);
        s->bins = xreallocarray(s->bins, (size_t)count, sizeof(*s->bins));
        memset(s->bins + s->bin_count, 0, (size_t)(count - s->bin_count) * sizeof(*s->bins));
        s->bin_count = count;
    }
    return &s->bins[at];
}

static void complete(struct sim_server *s, double arrival, double end, bool refused)
{
    const struct sim_params *p = &s->params;
    struct limit_bin *b = bin_at(s, end);
    double latency = end - arrival;

    b->completions++;
    b->latency += latency;
    b->slow += latency > p->objective / 2;
    b->n[0]++;
    b->bad[0] += refused || (!p->errors_only && latency > p->objective);
}

static double speed(struct sim_server *s, double t)
{
    const struct sim_params *p = &s->params;
    double factor = 1 + p->cold_factor * (p->cold_memory > 0 ? exp(-t / p->cold_memory) : 0);

    if (p->drift_sd > 0) {
        double keep = exp(-(t - s->drift_at) / p->drift_memory);
        s->drift = keep * s->drift + sqrt(1 - keep * keep) * p->drift_sd * rng_normal(&s->rng);
        s->drift_at = t;
        factor *= exp(s->drift);
    }
    return factor;
}

static void stall_until(struct sim_server *s, double t)
{
    while (s->next_stall <= t) {
        double length = rng_exponential(&s->rng, s->params.stall_mean);
        for (int i = 0; i < s->params.workers; i++) {
            s->free_at[i] = MAX(s->free_at[i], s->next_stall) + length;
        }
        s->next_stall += length + rng_exponential(&s->rng, s->params.stall_every);
    }
}

static bool limiter_refuses(struct sim_server *s, double t)
{
    const struct sim_params *p = &s->params;

    if (p->limiter_rate <= 0) {
        return false;
    }
    s->tokens = MIN(p->limiter_burst, s->tokens + (t - s->arrived_at) * p->limiter_rate);
    s->arrived_at = t;
    if (s->tokens < 1) {
        return true;
    }
    s->tokens -= 1;
    return false;
}

static void arrive(struct sim_server *s, double t, double rate)
{
    const struct sim_params *p = &s->params;
    int worker = 0;

    bin_at(s, t)->arrivals++;
    stall_until(s, t);
    for (int i = 1; i < p->workers; i++) {
        if (s->free_at[i] < s->free_at[worker]) {
            worker = i;
        }
    }
    double start = MAX(t, s->free_at[worker]);
    if (limiter_refuses(s, t) || rate < p->failing_below ||
        (p->queue_max > 0 && start - t > p->queue_max)) {
        complete(s, t, t + 0.001, true);
        return;
    }
    double service = p->service_mean;
    if (p->service_cv > 0) {
        double sigma = sqrt(log1p(p->service_cv * p->service_cv));
        service *= exp(sigma * rng_normal(&s->rng) - sigma * sigma / 2);
    }
    s->free_at[worker] = start + service * speed(s, t);
    complete(s, t, s->free_at[worker], false);
}

void sim_run(struct sim_server *s, double rate, double seconds)
{
    double end = s->now + seconds;

    s->next_arrival = MAX(s->next_arrival, s->now);
    // A rate change keeps the arrivals on time: the gap in progress is drawn anew.
    if (rate > 0) {
        double gap = 1 / rate;
        s->next_arrival = s->now + (s->params.uniform ? gap : rng_exponential(&s->rng, gap));
        while (s->next_arrival < end) {
            arrive(s, s->next_arrival, rate);
            s->next_arrival += s->params.uniform ? gap : rng_exponential(&s->rng, gap);
        }
    }
    s->now = end;
}

static double in_flight(const struct sim_server *s, double t)
{
    double count = 0;

    for (int i = 0; i < s->bin_count && i < (int)(t / SIM_BIN + 0.5); i++) {
        count += s->bins[i].arrivals - s->bins[i].completions;
    }
    return count;
}

static double whole_bins(double seconds)
{
    return MAX(1, ceil(seconds / SIM_BIN - 1e-9)) * SIM_BIN;
}

static void run_probe(struct sim_server *s, struct limit *l, const struct limit_probe *probe)
{
    double began = s->now;
    static struct limit_bin bins[LIMIT_BINS_MAX];
    struct limit_window w = {.bin_seconds = SIM_BIN, .bins = bins};
    double cap = s->params.generator_rate > 0 ? s->params.generator_rate : INFINITY;

    for (int i = 0; probe->drain && !s->params.hidden_queue && i < 40 && in_flight(s, s->now) > 1;
         i++) {
        sim_run(s, 0, SIM_BIN);
    }
    if (probe->settle > 0) {
        sim_run(s, MIN(probe->rate, cap), whole_bins(probe->settle));
    }
    int first = (int)(s->now / SIM_BIN + 0.5);
    double flying = in_flight(s, s->now);
    int count = MIN((int)(whole_bins(probe->measure) / SIM_BIN + 0.5), (int)ARRAY_SIZE(bins));
    while ((int)w.count < count && !limit_watch(l, &w)) {
        sim_run(s, MIN(probe->rate, cap), SIM_BIN);
        struct limit_bin *b = &bins[w.count];
        *b = *bin_at(s, (first + (int)w.count + 0.5) * SIM_BIN);
        if (s->params.hidden_queue) {
            b->n[0] = b->arrivals;
            b->bad[0] = b->arrivals - b->completions;
            b->completions = b->arrivals;
            b->latency = 0.001 * b->arrivals;
        }
        flying += b->arrivals - b->completions;
        b->in_flight = flying;
        w.count++;
    }
    w.elapsed = s->now - began;
    w.generator_bound = probe->rate > cap;
    limit_feed(l, &w);
}

void sim_search(const struct sim_params *params,
                const struct limit_config *config,
                uint64_t seed,
                FILE *trace,
                struct limit_result *ret_result)
{
    struct sim_server s;
    static struct limit l;
    struct limit_probe probe;
    struct limit_config c = *config;

    c.objectives = 1;
    c.allowed[0] = params->allowed;
    c.seed = seed;
    sim_init(&s, params, seed);
    limit_init(&l, &c);
    while (limit_next(&l, &probe)) {
        run_probe(&s, &l, &probe);
        if (trace) {
            fprintf(trace, "%6.1f s %-8s %10.2f/s: estimate %.2f ± %.1f %%, slope %.0f\n", l.spent,
                    limit_kind_name(probe.kind), probe.rate, l.estimate, 100 * l.se, l.slope);
        }
    }
    limit_result(&l, ret_result);
    sim_fini(&s);
}

static bool holds(const struct sim_params *params, double rate, double requests, double stalls)
{
    struct sim_server s;
    double skip = whole_bins(20 * params->service_mean + 5 + 10 * params->cold_memory);
    double seconds = whole_bins(MAX(requests / rate, stalls * params->stall_every));
    double n = 0;
    double bad = 0;
    double arrivals = 0;
    double completions = 0;

    sim_init(&s, params, 99);
    sim_run(&s, rate, skip);
    sim_run(&s, rate, seconds);
    for (int i = (int)(skip / SIM_BIN + 0.5); i < (int)(s.now / SIM_BIN + 0.5); i++) {
        n += bin_at(&s, (i + 0.5) * SIM_BIN)->n[0];
        bad += s.bins[i].bad[0];
        arrivals += s.bins[i].arrivals;
        completions += s.bins[i].completions;
    }
    sim_fini(&s);
    if (params->hidden_queue) {
        return completions > (1 - params->allowed) * arrivals;
    }
    return bad <= params->allowed * n && completions > 0.997 * arrivals;
}

double sim_true_limit(const struct sim_params *params, double stalls)
{
    double low = 0;
    double high = params->workers / params->service_mean * 1.2;

    for (int i = 0; i < 13; i++) {
        double mid = (low + high) / 2;
        if (mid < params->failing_below || holds(params, mid, 4e5, stalls)) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return (low + high) / 2;
}
