// SPDX-License-Identifier: Apache-2.0
#include "model/limit.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "model/limit_estimate.h"
#include "model/stats.h"
#include "model/steady.h"

// Nominal intervals cover too little where noise comes in bursts; this factor on the standard error
// was calibrated on the simulated servers of tests/sim.
static const double WIDEN = 1.4;
static const double MODEL_ERROR = 0.005;
static const double RATE_MIN = 0.05;   // per second
static const double HOPELESS_RATE = 3; // per second
static const double OVERRUN = 1.25;    // of the budget, to confirm and to bound from above
static const double RECENTRE_MAX = 0.06;
static const int OFFSETS[] = {-80, -50, -25, -10, 10, 25, 40};
enum { REFINES_MIN = 5, SOAKS_MAX = 3, STARVED_MAX = 2 };

static const char *const KINDS[] = {"warm-up", "bracket", "refine", "confirm", "above"};
static const char *const VERDICTS[] = {"limit",    "lower-bound",  "not-reached", "no-steady-state",
                                       "unstable", "non-monotone", "not-held"};
static const char *const REASONS[] = {"", "generator", "max-rate", "budget", "interrupted"};

const char *limit_kind_name(enum limit_kind kind)
{
    return KINDS[kind];
}

const char *limit_verdict_name(enum limit_verdict verdict)
{
    return VERDICTS[verdict];
}

const char *limit_reason_name(enum limit_reason reason)
{
    return REASONS[reason];
}

static double clamp(double x, double low, double high)
{
    return MAX(low, MIN(x, high));
}

// Lengths of the probes, in seconds, from the budget. A probe needs some requests to say anything,
// and must outlast a few response times.

static double bracket_seconds(const struct limit *l, double rate)
{
    return MAX(clamp(40 / rate, 1, l->config.budget / 15), 2.5 * MIN(l->response, 8));
}

static double refine_seconds(const struct limit *l, double rate)
{
    double base = clamp(l->config.budget / 22, 2, 10);

    return MAX(clamp(150 / rate, base, MAX(base, l->config.budget / 10)), 5 * MIN(l->response, 5));
}

static double soak_seconds(const struct limit *l)
{
    return clamp(l->config.budget / 6, 4, 120) * (l->soaks ? 0.6 : 1);
}

static double above_seconds(const struct limit *l)
{
    return MAX(clamp(l->config.budget / 14, 2, 20), refine_seconds(l, l->centre) * 0.8);
}

static double settle_seconds(const struct limit *l)
{
    return clamp(0.4 + 2 * l->response, 0.6, 10);
}

static double time_left(const struct limit *l)
{
    return l->config.budget - l->spent;
}

static void shuffle_offsets(struct limit *l)
{
    int count = (int)ARRAY_SIZE(OFFSETS);

    memcpy(l->offsets, OFFSETS, sizeof(OFFSETS));
    for (int i = count - 1; i > 0; i--) {
        int j = (int)rng_below(&l->rng, (uint64_t)i + 1);
        int t = l->offsets[i];
        l->offsets[i] = l->offsets[j];
        l->offsets[j] = t;
    }
    l->offset_at = 0;
}

void limit_init(struct limit *l, const struct limit_config *config)
{
    ASSERT(config->objectives >= 1 && config->objectives <= LIMIT_OBJECTIVES_MAX);
    *l = (struct limit){.config = *config, .objective = LIMIT_NONE, .cap = INFINITY};
    struct limit_config *c = &l->config;
    c->start_rate = c->start_rate > 0 ? c->start_rate : 10;
    c->precision = c->precision > 0 ? c->precision : 0.03;
    c->confidence = c->confidence > 0 ? c->confidence : 0.95;
    c->budget = MAX(c->budget, 10);
    rng_init(&l->rng, c->seed, 1);
    shuffle_offsets(l);
    if (c->max_rate > 0) {
        l->cap = c->max_rate;
        l->cap_reason = LIMIT_REASON_CAP;
    }
    if (c->generator_rate > 0 && c->generator_rate < l->cap) {
        l->cap = c->generator_rate;
        l->cap_reason = LIMIT_REASON_GENERATOR;
    }
    l->probe = (struct limit_probe){
        .kind = LIMIT_WARMUP,
        .rate = MIN(c->start_rate, l->cap),
        .measure = clamp(c->budget / 18, 2, 10),
    };
}

// Prepares the next probe; what the last one left behind decides whether to drain first.
static void plan_probe(struct limit *l, enum limit_kind kind, double rate, double measure)
{
    double usual = rate * MAX(l->response, 0.001);

    rate = MIN(rate, l->cap);
    l->probe = (struct limit_probe){
        .kind = kind,
        .rate = rate,
        .settle = settle_seconds(l),
        .measure = measure,
        .drain = l->in_flight > 3 * usual + 3 * sqrt(usual) + 10,
    };
}

static void end(struct limit *l, enum limit_verdict verdict, enum limit_reason reason)
{
    l->status = LIMIT_ENDED;
    l->verdict = verdict;
    l->reason = reason;
}

static void plan_bracket(struct limit *l, double rate)
{
    plan_probe(l, LIMIT_BRACKET, rate, bracket_seconds(l, MIN(rate, l->cap)));
}

static void plan_above(struct limit *l)
{
    double step = MAX(0.04, MIN(l->se, 0.08));
    double rate = l->estimate * (1 + step);

    if (l->confirmed > 0) {
        rate = MAX(rate, l->confirmed * (1 + step));
    }
    plan_probe(l, LIMIT_ABOVE, rate, above_seconds(l));
}

static void plan_confirm(struct limit *l)
{
    // Further down after each soak that failed.
    double back = clamp(l->se * (1 + l->soaks), 0.01, 0.12);
    double rate = l->at_cap ? l->cap : l->estimate * exp(-back);

    plan_probe(l, LIMIT_CONFIRM, rate, soak_seconds(l));
}

static void plan_refine(struct limit *l)
{
    if (l->offset_at == (int)ARRAY_SIZE(OFFSETS)) {
        shuffle_offsets(l);
    }
    double rate = l->centre * (1 + l->offsets[l->offset_at++] / 1000.0);
    plan_probe(l, LIMIT_REFINE, rate, refine_seconds(l, rate));
}

// Everything held up to the cap: one soak there, and the answer is a bound.
static void plan_at_cap(struct limit *l)
{
    l->at_cap = true;
    plan_confirm(l);
}

static void begin_refine(struct limit *l, double centre)
{
    l->centre = MIN(centre, l->cap);
    l->estimate = l->centre;
    l->se = 0.1;
    plan_refine(l);
}

// A first guess between the rate that held and the one that failed. Under overload the completions
// are the capacity; where requests are refused, those that were not are. 0 where neither tells.
static double find_anchor(const struct limit *l, const struct limit_record *r)
{
    double from = MAX(l->low * 0.9, l->high / 4);

    if (r->growth > 0.03 * r->arrivals) {
        return clamp(0.92 * r->completions / r->seconds, from, l->high);
    }
    for (unsigned o = 0; o < l->config.objectives; o++) {
        double good = (r->n[o] - r->bad[o]) / MAX(r->n[o], 1) * r->rate;
        if (r->bad[o] > 5 * l->config.allowed[o] * r->n[o] && good > from && good < l->high) {
            return good;
        }
    }
    return 0;
}

// Between a rate that held and one that failed: closes in until the regression can take over.
static void narrow(struct limit *l)
{
    if (l->anchor > l->low * 0.9 && l->anchor < l->high) {
        begin_refine(l, l->anchor);
    } else if (time_left(l) < soak_seconds(l) + above_seconds(l)) {
        begin_refine(l, l->low);
    } else if (l->high > 1.4 * l->low) {
        plan_bracket(l, sqrt(l->low * l->high));
    } else {
        begin_refine(l, sqrt(l->low * l->high));
    }
}

// The very first rate may be too much already: most of what arrived in the second half stayed.
static bool warmup_overloads(const struct limit_window *w)
{
    double arrivals = 0;
    double growth = 0;

    for (unsigned i = w->count / 2; i < w->count; i++) {
        arrivals += w->bins[i].arrivals;
        growth += w->bins[i].arrivals - w->bins[i].completions;
    }
    return growth > 0.5 * arrivals && growth > 10;
}

static void read_bins(const struct limit_window *w,
                      double rate,
                      unsigned from,
                      unsigned to,
                      struct limit_record *ret_record)
{
    struct limit_record r = {.rate = rate, .seconds = (to - from) * w->bin_seconds};

    double squares = 0;

    for (unsigned i = from; i < to; i++) {
        const struct limit_bin *b = &w->bins[i];
        double growth = b->arrivals - b->completions;
        squares += growth * growth;
        r.arrivals += b->arrivals;
        r.completions += b->completions;
        for (unsigned o = 0; o < LIMIT_OBJECTIVES_MAX; o++) {
            r.n[o] += b->n[o];
            r.bad[o] += b->bad[o];
        }
    }
    r.growth = r.arrivals - r.completions;
    // The difference of two random counts moves by the square root of them; evenly spaced arrivals
    // and constant service make it steadier, which the scatter of the bins shows.
    double scatter = MAX(0, squares - r.growth * r.growth / MAX(to - from, 1));
    r.noise = clamp(1.3 * sqrt(scatter), 0.3 * sqrt(r.arrivals), sqrt(r.arrivals));
    *ret_record = r;
}

static void after_warmup(struct limit *l, const struct limit_window *w)
{
    const struct limit_config *c = &l->config;
    double cap = clamp(c->budget / 5, 6, 120);

    for (unsigned i = 0; i < w->count && l->bins < LIMIT_WARMUP_BINS; i++) {
        const struct limit_bin *b = &w->bins[i];
        bool empty = b->completions <= 0;
        int at = l->bins++;
        double last = at ? l->means[at - 1] : 0;
        l->means[at] = empty ? last : b->latency / b->completions;
        l->slows[at] = empty ? 0 : b->slow / b->completions;
    }
    l->warmup_spent += w->elapsed;
    if (warmup_overloads(w)) {
        l->high = l->probe.rate;
        plan_bracket(l, l->probe.rate / 4);
        return;
    }
    // A short warm-up has too few values for batches of five.
    int batch = (int)clamp(l->bins / 8.0, 1, 5);
    l->settled =
        steady_is_reached(l->means, l->bins, batch) && steady_is_reached(l->slows, l->bins, batch);
    if (!l->settled && l->warmup_spent + l->probe.measure <= cap) {
        return; // the same probe again
    }
    if (!l->settled && steady_is_moving(l->means, l->bins, 0.3)) {
        end(l, LIMIT_NO_STEADY_STATE, LIMIT_REASON_NONE);
        return;
    }
    // The warm-up is the first rung as well, unless it broke.
    struct limit_record r;
    read_bins(w, l->probe.rate, 0, w->count, &r);
    if (limit_judge(c, &r) == LIMIT_GROSS || l->probe.rate >= l->cap * 0.999) {
        plan_bracket(l, l->probe.rate);
        return;
    }
    l->low = l->probe.rate;
    plan_bracket(l, 2 * l->probe.rate);
}

// Next to everything fails, at a rate at which nothing can be overloaded: less would not help.
static bool is_hopeless(const struct limit *l, const struct limit_record *r)
{
    int objective;

    return r->rate <= HOPELESS_RATE && r->growth < 0.1 * r->arrivals &&
           limit_worst_share(&l->config, r, &objective) > 0.95;
}

static void after_bracket(struct limit *l, const struct limit_record *r)
{
    bool failed = limit_judge(&l->config, r) == LIMIT_GROSS;

    if (failed && !l->repeating) {
        l->repeating = true;
        plan_bracket(l, r->rate);
        return;
    }
    l->repeating = false;
    if (failed) {
        l->high = r->rate;
        l->anchor = find_anchor(l, r);
        if (l->low > 0) {
            narrow(l);
        } else if (r->rate / 4 < RATE_MIN || is_hopeless(l, r) || time_left(l) < soak_seconds(l)) {
            end(l, LIMIT_NOT_HELD, LIMIT_REASON_NONE);
        } else {
            plan_bracket(l, clamp(l->anchor / 2, r->rate / 4, r->rate / 2));
        }
        return;
    }
    l->low = r->rate;
    if (r->rate >= l->cap * 0.999) {
        plan_at_cap(l);
    } else if (l->high > 0) {
        narrow(l);
    } else if (time_left(l) < soak_seconds(l)) {
        end(l, LIMIT_LOWER_BOUND, LIMIT_REASON_BUDGET);
    } else {
        plan_bracket(l, 2 * r->rate);
    }
}

// Nominal half-width of the interval, relative.
static double half_width(const struct limit *l)
{
    int count = 0;

    for (int i = 0; i < l->record_count; i++) {
        count += fabs(log(l->records[i].rate / l->centre)) < 0.2;
    }
    double t = stats_t_quantile(MAX(count - 2, 2), 0.5 + l->config.confidence / 2);
    // The model is a straight line; closer than this it is not to be trusted.
    return WIDEN * t * sqrt(l->se * l->se + MODEL_ERROR * MODEL_ERROR);
}

static void recentre(struct limit *l)
{
    limit_estimate_update(l);
    double moved = l->centre * clamp(l->estimate / l->centre, 1 - RECENTRE_MAX, 1 + RECENTRE_MAX);
    l->centre = MIN(moved, l->cap);
    limit_estimate_update(l);
}

static void after_refine(struct limit *l)
{
    double reserve = soak_seconds(l) + above_seconds(l) + 3 * settle_seconds(l);

    l->refined++;
    recentre(l);
    if (l->refined >= 4 && l->estimate > l->cap * 1.02 && l->centre >= l->cap * 0.999) {
        plan_at_cap(l);
        return;
    }
    bool precise = l->refined >= 8 && half_width(l) < l->config.precision;
    bool late = time_left(l) < reserve + refine_seconds(l, l->centre) + settle_seconds(l);
    if (precise || (late && l->refined >= REFINES_MIN) || time_left(l) < 0.4 * reserve) {
        plan_confirm(l);
    } else {
        plan_refine(l);
    }
}

// The lowest rate above the estimate, and not far from it, that broke beyond doubt.
static double find_breach(const struct limit *l)
{
    double lowest = 0;

    for (int i = 0; i < l->record_count; i++) {
        const struct limit_record *r = &l->records[i];
        if (r->rate > l->estimate && r->rate > l->confirmed && r->rate < 1.25 * l->estimate &&
            (lowest <= 0 || r->rate < lowest) && limit_judge(&l->config, r) == LIMIT_GROSS) {
            lowest = r->rate;
        }
    }
    return lowest;
}

static void finish(struct limit *l)
{
    if (l->breached <= 0) {
        l->breached = find_breach(l);
    }
    if (limit_is_non_monotone(l)) {
        end(l, LIMIT_NON_MONOTONE, LIMIT_REASON_NONE);
    } else if (l->confirmed <= 0) {
        end(l, LIMIT_UNSTABLE, LIMIT_REASON_NONE);
    } else if (l->breached <= 0) {
        end(l, LIMIT_LOWER_BOUND, LIMIT_REASON_BUDGET);
    } else {
        end(l, LIMIT_FOUND, LIMIT_REASON_NONE);
    }
}

static bool may_spend(const struct limit *l, double seconds)
{
    return l->spent + seconds + settle_seconds(l) <= OVERRUN * l->config.budget;
}

static void after_confirm(struct limit *l, const struct limit_record *pool)
{
    int objective;
    bool held = limit_judge(&l->config, pool) == LIMIT_HELD;

    l->soaks++;
    recentre(l);
    if (limit_judge(&l->config, pool) == LIMIT_GROSS) {
        l->breached = pool->rate;
    }
    if (held) {
        l->confirmed = pool->rate;
        l->soak_share = limit_worst_share(&l->config, pool, &objective);
        if (l->at_cap) {
            bool user = l->cap_reason == LIMIT_REASON_CAP;
            end(l, user ? LIMIT_NOT_REACHED : LIMIT_LOWER_BOUND, l->cap_reason);
        } else if (l->breached > 0 && l->breached < 1.12 * l->estimate) {
            finish(l);
        } else {
            plan_above(l);
        }
        return;
    }
    if (l->at_cap) {
        l->at_cap = false;
        begin_refine(l, l->cap * 0.95);
    } else if (l->soaks < SOAKS_MAX && may_spend(l, soak_seconds(l))) {
        plan_confirm(l);
    } else {
        finish(l);
    }
}

static void after_above(struct limit *l, const struct limit_record *r)
{
    bool held = limit_judge(&l->config, r) == LIMIT_HELD;

    recentre(l);
    if (!held) {
        l->breached = r->rate;
        finish(l);
    } else if (r->rate >= l->cap * 0.999) {
        plan_at_cap(l);
    } else if (may_spend(l, above_seconds(l))) {
        l->confirmed = MAX(l->confirmed, 0);
        l->estimate = MAX(l->estimate, r->rate);
        plan_above(l);
    } else {
        finish(l);
    }
}

// The generator could not offer this rate. Once may be an accident; twice is a fact about it.
static void after_starved(struct limit *l)
{
    double rate = l->probe.rate;

    l->discarded++;
    if (++l->starved < STARVED_MAX) {
        return; // the same probe again
    }
    l->starved = 0;
    l->cap = rate * (l->probe.kind == LIMIT_BRACKET ? 0.8 : 0.95);
    l->cap_reason = LIMIT_REASON_GENERATOR;
    if (l->cap < RATE_MIN || time_left(l) < -0.1 * l->config.budget) {
        end(l, LIMIT_LOWER_BOUND, LIMIT_REASON_GENERATOR);
    } else if (l->probe.kind == LIMIT_WARMUP || l->probe.kind == LIMIT_BRACKET) {
        plan_bracket(l, l->cap > l->low ? l->cap : l->low);
    } else if (l->confirmed > 0) {
        end(l, LIMIT_LOWER_BOUND, LIMIT_REASON_GENERATOR);
    } else {
        l->centre = MIN(l->centre, l->cap);
        plan_at_cap(l);
    }
}

// Remembers a window, a long one in pieces of a refining probe's length: noise comes in bursts, and
// pieces tell its variance. Leaves the whole in *ret_pool.
static void remember(struct limit *l, const struct limit_window *w, struct limit_record *ret_pool)
{
    unsigned piece = (unsigned)MAX(refine_seconds(l, l->probe.rate) / w->bin_seconds, 1);
    unsigned pieces = MAX(1, (w->count + piece / 2) / piece);
    int first = l->record_count;

    for (unsigned i = 0; i < pieces && l->record_count < LIMIT_PROBES_MAX; i++) {
        struct limit_record *r = &l->records[l->record_count++];
        read_bins(w, l->probe.rate, i * w->count / pieces, (i + 1) * w->count / pieces, r);
        r->kind = l->probe.kind;
        r->phase = l->spent;
    }
    limit_pool(&l->records[first], l->record_count - first, ret_pool);
}

void limit_feed(struct limit *l, const struct limit_window *w)
{
    struct limit_record pool;
    double latency = 0;
    double completions = 0;

    ASSERT(l->status == LIMIT_RUNNING);
    l->spent += w->elapsed;
    if (w->count == 0 || w->generator_bound) {
        after_starved(l);
        return;
    }
    l->starved = 0;
    l->in_flight = w->bins[w->count - 1].in_flight;
    for (unsigned i = 0; i < w->count; i++) {
        latency += w->bins[i].latency;
        completions += w->bins[i].completions;
    }
    if (l->probe.kind == LIMIT_WARMUP) {
        l->response = completions > 0 ? latency / completions : 0;
        after_warmup(l, w);
        return;
    }
    remember(l, w, &pool);
    if (completions > 0 && limit_judge(&l->config, &pool) != LIMIT_GROSS) {
        l->response = latency / completions;
    }
    if (l->record_count > LIMIT_PROBES_MAX - 32) {
        finish(l);
        return;
    }
    switch (l->probe.kind) {
    case LIMIT_BRACKET:
        after_bracket(l, &pool);
        break;
    case LIMIT_REFINE:
        after_refine(l);
        break;
    case LIMIT_CONFIRM:
        after_confirm(l, &pool);
        break;
    case LIMIT_ABOVE:
        after_above(l, &pool);
        break;
    case LIMIT_WARMUP:
        break;
    }
}

void limit_set_generator(struct limit *l, double rate, double seconds)
{
    l->spent += seconds;
    if (rate > 0 && rate < l->cap) {
        l->cap = rate;
        l->cap_reason = LIMIT_REASON_GENERATOR;
        l->probe.rate = MIN(l->probe.rate, l->cap);
    }
}

bool limit_next(struct limit *l, struct limit_probe *ret_probe)
{
    if (l->status == LIMIT_ENDED) {
        return false;
    }
    *ret_probe = l->probe;
    return true;
}

bool limit_watch(const struct limit *l, const struct limit_window *w)
{
    struct limit_record r;
    double seconds = w->count * w->bin_seconds;

    if (l->probe.kind == LIMIT_WARMUP || seconds < MAX(1, 2 * MIN(l->response, 3))) {
        return false;
    }
    read_bins(w, l->probe.rate, 0, w->count, &r);
    if (r.growth > 0.25 * r.arrivals && r.growth > 6 * r.noise + 10) {
        return true;
    }
    for (unsigned o = 0; o < l->config.objectives; o++) {
        double surge = MIN(20 * l->config.allowed[o], (1 + l->config.allowed[o]) / 2);
        if (r.bad[o] >= 50 && r.bad[o] > surge * r.n[o]) {
            return true;
        }
    }
    return false;
}

void limit_result(const struct limit *l, struct limit_result *ret_result)
{
    bool ended = l->status == LIMIT_ENDED;
    struct limit_result r = {
        .verdict = ended ? l->verdict : LIMIT_LOWER_BOUND,
        .reason = ended ? l->reason : LIMIT_REASON_INTERRUPTED,
        .confirmed = l->confirmed,
        .breached = l->breached,
        .saturation = limit_estimate_saturation(l),
        .response = l->response,
        .objective = LIMIT_NONE,
        .share = l->soak_share,
        .seconds = l->spent,
        .probes = l->record_count,
        .discarded = l->discarded,
        .settled = l->settled,
    };
    bool bound = r.verdict == LIMIT_LOWER_BOUND || r.verdict == LIMIT_NOT_REACHED;
    if (bound) {
        r.rate = l->confirmed > 0 ? l->confirmed : l->low;
        r.low = r.rate;
    } else if (l->estimate > 0) {
        double half = MIN(half_width(l), log(100));
        r.rate = l->estimate;
        r.low = l->estimate * exp(-half);
        r.high = l->estimate * exp(half);
        r.objective = l->objective;
    }
    *ret_result = r;
}

double limit_progress(const struct limit *l)
{
    return l->status == LIMIT_ENDED ? 1 : MIN(l->spent / l->config.budget, 0.99);
}
