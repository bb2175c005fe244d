// SPDX-License-Identifier: Apache-2.0
#include "plan/limit_drive.h"

#include <errno.h>
#include <math.h>
#include <unistd.h>

#include "base/mem.h"

static const nsec_t BIN = 250 * NSEC_PER_MSEC;
static const nsec_t DRAIN_MAX = 10 * NSEC_PER_SEC;

bool limit_run_is_stopped(const struct limit_run *run)
{
    return run->config->stop && *run->config->stop;
}

static double seconds_of(nsec_t d)
{
    return (double)d / NSEC_PER_SEC;
}

void limit_run_emit(const struct limit_run *run, const struct limit_run_event *e)
{
    struct limit_run_event event = *e;

    if (run->config->event) {
        event.budget = run->limit.config.budget;
        event.estimate = run->limit.estimate;
        run->config->event(run->config->event_arg, &event);
    }
}

static void
emit_progress(const struct limit_run *run, const struct limit_probe *probe, nsec_t began)
{
    double spent = run->limit.spent + seconds_of(clock_now() - began);

    limit_run_emit(run, &(struct limit_run_event){
                            .phase = limit_kind_name(probe->kind),
                            .rate = probe->rate,
                            .spent = spent,
                            .progress = MIN(spent / run->limit.config.budget, 0.99),
                        });
}

static void read_deficits(struct limit_run *run, struct limit_bin *bin)
{
    unsigned first = run->objectives.count;

    for (unsigned i = 0; i < run->config->deficit_count; i++) {
        double ahead;
        double behind;
        run->config->deficits[i].read(run->config->deficits[i].arg, &ahead, &behind);
        if (bin) {
            bin->n[first + i] = ahead - run->ahead[i];
            // Negative while a backlog shrinks; over a window the sum counts.
            bin->bad[first + i] = bin->n[first + i] - (behind - run->behind[i]);
        }
        run->ahead[i] = ahead;
        run->behind[i] = behind;
    }
}

static void fill_bin(struct limit_run *run, const struct window *w, struct limit_bin *b)
{
    *b = (struct limit_bin){
        .arrivals = (double)w->arrivals,
        // A dropped iteration never completes: to the system's user it is still waiting.
        .completions = (double)w->completed,
        .in_flight = (double)w->in_flight,
        .latency = w->duration,
    };
    for (unsigned i = 0; i < run->objectives.count; i++) {
        // An iteration that was dropped, or that threw, is bad for every objective.
        b->bad[i] = (double)(w->bad[i] + w->dropped + w->interrupted);
        b->n[i] = MAX((double)(w->n[i] + w->dropped), b->bad[i]);
        b->slow = MAX(b->slow, (double)w->slow[i]);
    }
    read_deficits(run, b);
    run->requests += w->arrivals;
    run->vus = w->vus;
}

// Counts that tell whether an iteration is one request.
static void count_requests(struct limit_run *run, const struct window *w)
{
    double most = 0;

    for (unsigned i = 0; i < run->objectives.count; i++) {
        const struct window_objective *o = &run->objectives.windows[i];
        bool http =
            o->metric->id == METRIC_HTTP_REQ_DURATION || o->metric->id == METRIC_HTTP_REQ_FAILED;
        most = http && !o->submetric ? MAX(most, (double)w->n[i]) : most;
    }
    run->judged_http += most;
    run->completed += (double)w->completed;
}

void limit_tally_add(struct limit_tally *t, const struct limit_run *run, const struct window *w)
{
    t->seconds += seconds_of(w->elapsed);
    t->arrivals += (double)w->arrivals;
    t->completed += (double)w->completed;
    t->dropped += (double)w->dropped;
    t->late += (double)w->late;
    t->busy = MAX(t->busy, w->busy);
    for (unsigned i = 0; i < run->objectives.count; i++) {
        t->bad[i] += (double)(w->bad[i] + w->interrupted);
        t->n[i] += (double)MAX(w->n[i], w->bad[i] + w->interrupted);
    }
}

bool limit_tally_held(const struct limit_tally *t, const struct limit_run *run)
{
    for (unsigned i = 0; i < run->objectives.count; i++) {
        if (t->bad[i] > run->objectives.items[i].allowed * t->n[i]) {
            return false;
        }
    }
    return true;
}

bool limit_tally_generator_bound(const struct limit_tally *t,
                                 const struct limit_run *run,
                                 double rate)
{
    double due = rate * t->seconds;

    return t->arrivals < 0.97 * due - 2 - (run->config->poisson ? 4 * sqrt(due) : 0) ||
           t->late > 0.3 * t->arrivals + 2 || (t->busy > 0.9 && t->late > 0.05 * t->arrivals + 2) ||
           (t->dropped > 0.005 * t->arrivals + 2 && limit_tally_held(t, run));
}

static void emit_finished(const struct limit_run *run,
                          const struct limit_probe *probe,
                          const struct limit_window *w,
                          nsec_t from,
                          nsec_t to)
{
    struct limit_run_event e = {
        .finished = true,
        .phase = limit_kind_name(probe->kind),
        .rate = probe->rate,
        .spent = run->limit.spent,
        .progress = limit_progress(&run->limit),
        .from = from,
        .to = to,
        .generator_bound = w->generator_bound,
    };
    double worst = -1;

    for (unsigned i = 0; i < w->count; i++) {
        e.arrivals += w->bins[i].arrivals;
        e.completions += w->bins[i].completions;
    }
    for (unsigned o = 0; o < run->limit.config.objectives; o++) {
        double n = 0;
        double bad = 0;
        for (unsigned i = 0; i < w->count; i++) {
            n += w->bins[i].n[o];
            bad += w->bins[i].bad[o];
        }
        double share = n > 0 ? MAX(bad, 0) / n : 0;
        if (share / run->limit.config.allowed[o] > worst) {
            worst = share / run->limit.config.allowed[o];
            e.worst_share = share;
            e.bad = bad;
        }
    }
    limit_run_emit(run, &e);
}

// Drains if asked, sets the rate and lets it settle; what happens meanwhile is not counted.
static int
settle(struct limit_run *run, const struct limit_probe *probe, nsec_t began, struct err *err)
{
    struct window discarded;
    nsec_t left = (nsec_t)(probe->settle * NSEC_PER_SEC);

    if (probe->drain) {
        engine_set_rate(run->engine, 0, run->config->poisson);
        engine_drain(run->engine, DRAIN_MAX);
    }
    engine_set_rate(run->engine, probe->rate, run->config->poisson);
    for (; left > 0 && !limit_run_is_stopped(run); left -= BIN) {
        int r = engine_pass(run->engine, MIN(BIN, left), err);
        if (r) {
            return r;
        }
        emit_progress(run, probe, began);
    }
    return engine_take_window(run->engine, &discarded);
}

static int run_probe(struct limit_run *run, const struct limit_probe *probe, struct err *err)
{
    struct limit_window w = {.bin_seconds = seconds_of(BIN), .bins = run->bins};
    struct limit_tally tally = {0};
    struct window counted;
    nsec_t began = clock_now();
    unsigned bins = (unsigned)MAX(ceil(probe->measure / w.bin_seconds - 1e-6), 1);

    int r = settle(run, probe, began, err);
    nsec_t from = clock_now();
    nsec_t cpu = clock_process_cpu();
    read_deficits(run, NULL);
    while (!r && w.count < MIN(bins, LIMIT_RUN_BINS) && !limit_run_is_stopped(run) &&
           !limit_watch(&run->limit, &w)) {
        r = engine_pass(run->engine, BIN, err);
        r = r ? r : engine_take_window(run->engine, &counted);
        if (!r) {
            fill_bin(run, &counted, &run->bins[w.count++]);
            limit_tally_add(&tally, run, &counted);
            count_requests(run, &counted);
            emit_progress(run, probe, began);
        }
    }
    if (r || limit_run_is_stopped(run)) {
        return r;
    }
    nsec_t to = clock_now();
    w.bin_seconds = tally.seconds / w.count;
    w.elapsed = seconds_of(to - began);
    w.generator_bound = limit_tally_generator_bound(&tally, run, probe->rate);
    if (probe->kind != LIMIT_WARMUP && probe->kind != LIMIT_BRACKET) {
        run->cpu_share = (double)(clock_process_cpu() - cpu) / (double)(to - from) /
                         (double)sysconf(_SC_NPROCESSORS_ONLN);
    }
    limit_feed(&run->limit, &w);
    emit_finished(run, probe, &w, from, to);
    return 0;
}

int limit_run_check_targets(const struct limit_run *run, int r, struct err *err)
{
    if (!run->guard.refused[0]) {
        return r;
    }
    return err_set(err, -EPERM,
                   "'%s' is neither loopback nor a local pod: overload is dangerous; "
                   "--allow-target %s permits it",
                   run->guard.refused, run->guard.refused);
}

int limit_run_drive(struct limit_run *run, struct err *err)
{
    struct limit_probe probe;
    int r = 0;

    while (!r && !limit_run_is_stopped(run) && limit_next(&run->limit, &probe)) {
        if (probe.kind != LIMIT_WARMUP && run->recording) {
            run->recording = false;
            limit_run_calibrate(run);
            continue; // the probe may have changed
        }
        r = run_probe(run, &probe, err);
        // The engine ends itself when the user stops it; what is known is kept.
        r = limit_run_is_stopped(run) ? 0 : limit_run_check_targets(run, r, err);
    }
    return r;
}
