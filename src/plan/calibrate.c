// SPDX-License-Identifier: Apache-2.0
// What can the generator offer for this script? The same script on an engine of the same size, with
// the null server in the targets' place; the rate is raised until the generator fails to follow.
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "plan/limit_drive.h"

static const double RATE_FIRST = 250;
static const double RATE_FACTOR = 4;
static const double RATE_MAX = 1e6;
static const nsec_t STEP = 750 * NSEC_PER_MSEC;
// More VUs may have to be made first.
enum { TRIES = 3 };
// Share of what it can do that the search may ask of it.
static const double HEADROOM = 0.8;

struct step {
    struct limit_tally tally;
    double null_busy; // share of the time that the null server's CPU was busy
};

// Iterations that sleep must have come round, and VUs have been made, before counting.
static nsec_t settle_time(const struct limit_run *run)
{
    double seconds = MAX(0.25, MIN(1.5 * run->limit.response, 5));

    return (nsec_t)(seconds * NSEC_PER_SEC);
}

static int
offer(struct limit_run *run, struct engine *e, double rate, struct step *ret_step, struct err *err)
{
    struct window w;

    *ret_step = (struct step){0};
    engine_set_rate(e, rate, false);
    int r = engine_pass(e, settle_time(run), err);
    r = r ? r : engine_take_window(e, &w);
    nsec_t cpu = nullserver_cpu(run->null);
    nsec_t began = clock_now();
    r = r ? r : engine_pass(e, STEP, err);
    r = r ? r : engine_take_window(e, &w);
    if (!r) {
        limit_tally_add(&ret_step->tally, run, &w);
        ret_step->null_busy =
            (double)(nullserver_cpu(run->null) - cpu) / (double)MAX(clock_now() - began, 1);
    }
    return r;
}

static double completion_rate(const struct step *s)
{
    return s->tally.completed / MAX(s->tally.seconds, 1e-9);
}

static bool followed(const struct limit_run *run, const struct step *s, double rate)
{
    return !limit_tally_generator_bound(&s->tally, run, rate) && completion_rate(s) > 0.93 * rate &&
           limit_tally_held(&s->tally, run);
}

// Raises the rate until the generator fails to follow, however often it is asked; what it completes
// then is what it can do.
static double climb(struct limit_run *run, struct engine *e, struct err *err)
{
    double enough = run->config->max_rate > 0 ? run->config->max_rate / HEADROOM : RATE_MAX;
    double best = 0;
    int failures = 0;
    struct step s;

    for (double rate = RATE_FIRST; failures < TRIES && best < enough;) {
        if (offer(run, e, rate, &s, err)) {
            snprintf(run->calibration, sizeof(run->calibration), "%.150s", err->message);
            return 0;
        }
        if (followed(run, &s, rate)) {
            best = rate;
            rate *= RATE_FACTOR;
            failures = 0;
        } else {
            failures++;
        }
    }
    if (best <= 0 && !limit_tally_held(&s.tally, run)) {
        snprintf(run->calibration, sizeof(run->calibration),
                 "the script does not hold its thresholds against the null server");
        return 0;
    }
    if (failures > 0 && s.null_busy > 0.9) {
        snprintf(run->calibration, sizeof(run->calibration), "the null server was the limit");
        return 0;
    }
    return failures > 0 ? MAX(best, 0.9 * completion_rate(&s)) : best;
}

void limit_run_calibrate(struct limit_run *run)
{
    struct net_settings net;
    struct engine *e = NULL;
    struct err err = {0};
    uint16_t port = 0;
    nsec_t began = clock_now();

    limit_run_emit(run, &(struct limit_run_event){.phase = "calibrate", .spent = run->limit.spent});
    engine_set_rate(run->engine, 0, false);
    engine_drain(run->engine, 5 * NSEC_PER_SEC);
    net_settings_init(&net);
    if (nullserver_table_count(run->responses) == 0) {
        snprintf(run->calibration, sizeof(run->calibration), "no response was seen");
    } else if (nullserver_start(run->null, run->responses, &port)) {
        snprintf(run->calibration, sizeof(run->calibration), "the null server did not start");
    } else if (limit_run_set_network(run, &net, port, &err) ||
               limit_run_start_engine(run, &net, &e, &err)) {
        snprintf(run->calibration, sizeof(run->calibration), "%.150s", err.message);
    } else {
        run->generator_rate = climb(run, e, &err);
        engine_set_rate(e, 0, false);
        engine_drain(e, NSEC_PER_SEC);
        (void)engine_finish(e, &err);
    }
    engine_free(e);
    net_settings_fini(&net);
    double seconds = (double)(clock_now() - began) / NSEC_PER_SEC;
    limit_set_generator(&run->limit, HEADROOM * run->generator_rate, seconds);
}
