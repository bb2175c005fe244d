// SPDX-License-Identifier: Apache-2.0
#include "model/limit_estimate.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "model/stats.h"

// Records further than this from the centre (in log rate) say nothing about the limit's place.
static const double REACH = 0.2;
static const double BANDWIDTH_MIN = 0.03;

// Growth of the backlog beyond a share of the arrivals and beyond what chance does.
static bool backlog_grew(const struct limit_record *r, double share, double deviations)
{
    return r->growth > MAX(share * r->arrivals, deviations * r->noise) + 1;
}

static bool share_is_gross(double bad, double n, double allowed)
{
    double low;
    double high;

    if (n <= 0 || bad < MIN(1, n) || bad / n < MIN(5 * allowed, (1 + allowed) / 2)) {
        return false;
    }
    stats_wilson(bad, n, 1.64, &low, &high);
    return low > allowed;
}

enum limit_mark limit_judge(const struct limit_config *config, const struct limit_record *r)
{
    enum limit_mark mark = backlog_grew(r, 0.01, 2.5) ? LIMIT_BREACHED : LIMIT_HELD;

    if (backlog_grew(r, 0.03, 3.5) || backlog_grew(r, 0.2, 1.5)) {
        return LIMIT_GROSS;
    }
    for (unsigned i = 0; i < config->objectives; i++) {
        if (share_is_gross(r->bad[i], r->n[i], config->allowed[i])) {
            return LIMIT_GROSS;
        }
        if (r->bad[i] > config->allowed[i] * r->n[i]) {
            mark = LIMIT_BREACHED;
        }
    }
    return mark;
}

void limit_pool(const struct limit_record *records, int count, struct limit_record *ret_pool)
{
    struct limit_record pool = {0};

    for (int i = 0; i < count; i++) {
        pool.kind = records[i].kind;
        pool.rate = records[i].rate;
        pool.seconds += records[i].seconds;
        pool.arrivals += records[i].arrivals;
        pool.completions += records[i].completions;
        pool.growth += records[i].growth;
        pool.noise = hypot(pool.noise, records[i].noise);
        for (unsigned o = 0; o < LIMIT_OBJECTIVES_MAX; o++) {
            pool.n[o] += records[i].n[o];
            pool.bad[o] += records[i].bad[o];
        }
    }
    *ret_pool = pool;
}

double limit_worst_share(const struct limit_config *config,
                         const struct limit_record *r,
                         int *ret_objective)
{
    double worst = 0;
    double share = 0;

    *ret_objective = LIMIT_NONE;
    for (unsigned i = 0; i < config->objectives; i++) {
        double s = r->n[i] > 0 ? r->bad[i] / r->n[i] : 0;
        if (s / config->allowed[i] > worst) {
            worst = s / config->allowed[i];
            share = s;
            *ret_objective = (int)i;
        }
    }
    return share;
}

static int gather_cells(struct limit *l, unsigned objective)
{
    // Local: the straight line holds near the limit only, the nearer the steeper it is.
    double h = MAX(BANDWIDTH_MIN, MIN(4 * l->se, REACH));
    int count = 0;

    for (int i = 0; i < l->record_count; i++) {
        const struct limit_record *r = &l->records[i];
        double x = log(r->rate / l->centre);
        if (r->n[objective] > 0 && fabs(x) < REACH) {
            l->cells[count++] = (struct limit_cell){
                .rate = r->rate,
                .n = r->n[objective],
                // A shrinking backlog counts below zero in a bin; in a cell it is no bad request.
                .bad = MAX(r->bad[objective], 0),
                .weight = (r->kind == LIMIT_BRACKET ? 0.5 : 1) * exp(-x * x / (2 * h * h)),
            };
        }
    }
    return count;
}

// Where only the backlog breaks, completions under a growing backlog are the limit itself.
static bool solve_backlog(const struct limit *l, double *ret_rate, double *ret_se)
{
    double seconds = 0;
    double completions = 0;
    double squares = 0;
    int count = 0;
    bool late = false;

    for (int i = 0; i < l->record_count; i++) {
        const struct limit_record *r = &l->records[i];
        if (backlog_grew(r, 0.02, 3) && fabs(log(r->rate / l->centre)) < REACH) {
            seconds += r->seconds;
            completions += r->completions;
            squares += r->completions * r->completions / r->seconds;
            count++;
            late |= r->kind == LIMIT_CONFIRM || r->kind == LIMIT_ABOVE;
        }
    }
    // One refining probe may have met an accident; the last ones have nobody after them.
    if (count < 2 && !late) {
        return false;
    }
    double rate = completions / seconds;
    double variance = MAX(0, squares / seconds - rate * rate) / count;
    *ret_rate = rate;
    *ret_se = sqrt(variance + rate / seconds) / rate;
    return true;
}

void limit_estimate_update(struct limit *l)
{
    static const double FAR = 1e300;
    double best = FAR;

    for (unsigned o = 0; o < l->config.objectives; o++) {
        struct limit_fit fit;
        int count = gather_cells(l, o);
        limit_fit_solve(l->cells, count, l->config.allowed[o], l->centre, &fit);
        if (fit.rate < best) {
            best = fit.rate;
            l->se = fit.se;
            l->slope = fit.slope;
            l->objective = (int)o;
        }
    }
    double rate;
    double se;
    if (solve_backlog(l, &rate, &se) && rate < best) {
        best = rate;
        l->se = se;
        l->objective = LIMIT_BACKLOG;
    }
    // Beyond the reach of the data a line is no evidence.
    l->estimate = MAX(l->centre * exp(-REACH), MIN(best, l->centre * exp(REACH)));
}

double limit_estimate_saturation(const struct limit *l)
{
    double near_seconds = 0;
    double near_completions = 0;
    double any = 0;

    for (int i = 0; i < l->record_count; i++) {
        const struct limit_record *r = &l->records[i];
        if (!backlog_grew(r, 0.02, 3)) {
            continue;
        }
        if (l->estimate > 0 && r->rate < 1.3 * l->estimate) {
            near_seconds += r->seconds;
            near_completions += r->completions;
        }
        any = MAX(any, r->completions / r->seconds);
    }
    return near_seconds > 0 ? near_completions / near_seconds : any;
}

bool limit_is_non_monotone(const struct limit *l)
{
    for (int i = 0; i < l->record_count; i++) {
        int failed = 0;
        int held = 0;
        double at = l->records[i].rate;
        for (int j = 0; j < l->record_count; j++) {
            const struct limit_record *r = &l->records[j];
            enum limit_mark mark = limit_judge(&l->config, r);
            failed += mark == LIMIT_GROSS && r->rate <= at;
            held += mark == LIMIT_HELD && r->rate > 1.15 * at;
        }
        if (failed >= 2 && held >= 2) {
            return true;
        }
    }
    return false;
}
