// SPDX-License-Identifier: Apache-2.0
// How good is the limit search? Every server, many seeds, two budgets: bias, RMSE, over-claims,
// coverage and time.
//
//     bench-limit [RUNS [NAME]]    the table on stdout; NAME: servers whose name contains it, with
//                                  every probe of every search
//     bench-limit RUNS > FILE      docs/reference/limit-accuracy.md is made by `make bench-limit`
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "simserver.h"

struct scenario {
    const char *name;
    struct sim_params params;
};

#define BASE                                                                                       \
    .workers = 8, .service_mean = 0.004, .service_cv = 1, .objective = 0.05, .allowed = 0.01
#define STALLS .stall_every = 8, .stall_mean = 0.03

static const struct scenario TUNED[] = {
    {"calm", {BASE}},
    {"stalls, 2 % drift", {BASE, STALLS, .drift_sd = 0.02, .drift_memory = 10}},
    {"the same, cold start",
     {BASE, STALLS, .drift_sd = 0.02, .drift_memory = 10, .cold_factor = 0.6, .cold_memory = 15}},
    {"stalls, 5 % drift", {BASE, STALLS, .drift_sd = 0.05, .drift_memory = 10}},
    {"pool of 10 × 20 ms",
     {.workers = 10,
      .service_mean = 0.02,
      .service_cv = 0.2,
      .objective = 0.3,
      .allowed = 0.01,
      .uniform = true}},
    {"mutex 5 ms",
     {.workers = 1,
      .service_mean = 0.005,
      .service_cv = 0,
      .objective = 0.1,
      .allowed = 0.01,
      .uniform = true}},
    {"rate limiter 300/s",
     {.workers = 8,
      .service_mean = 0.004,
      .service_cv = 1,
      .objective = 0.2,
      .allowed = 0.01,
      .limiter_rate = 300,
      .limiter_burst = 30,
      .uniform = true}},
    {"queue refuses",
     {.workers = 10,
      .service_mean = 0.02,
      .service_cv = 1,
      .objective = 0.5,
      .allowed = 0.01,
      .queue_max = 0.1,
      .uniform = true}},
    {"errors only, endless queue",
     {.workers = 10,
      .service_mean = 0.02,
      .service_cv = 1,
      .objective = 0.5,
      .allowed = 0.01,
      .errors_only = true,
      .uniform = true}},
    {"worker behind a queue",
     {.workers = 4,
      .service_mean = 0.02,
      .service_cv = 0.3,
      .objective = 1,
      .allowed = 0.01,
      .hidden_queue = true,
      .uniform = true}},
    {"slow, 3/s",
     {.workers = 6,
      .service_mean = 2,
      .service_cv = 0.3,
      .objective = 6,
      .allowed = 0.05,
      .uniform = true}},
    {"fast, 40,000/s",
     {.workers = 8, .service_mean = 0.0002, .service_cv = 1, .objective = 0.005, .allowed = 0.01}},
};
static const struct scenario HELD_OUT[] = {
    {"calm, 3 workers",
     {.workers = 3, .service_mean = 0.006, .service_cv = 0.7, .objective = 0.08, .allowed = 0.01}},
    {"calm, p95, 20 workers",
     {.workers = 20, .service_mean = 0.03, .service_cv = 1.5, .objective = 0.3, .allowed = 0.05}},
    {"stalls every 5 s of 50 ms",
     {.workers = 12,
      .service_mean = 0.01,
      .service_cv = 1,
      .objective = 0.1,
      .allowed = 0.01,
      .stall_every = 5,
      .stall_mean = 0.05}},
    {"3 % drift, memory 20 s",
     {.workers = 6,
      .service_mean = 0.008,
      .service_cv = 1,
      .objective = 0.08,
      .allowed = 0.01,
      .drift_sd = 0.03,
      .drift_memory = 20}},
    {"stalls, cold 2×, 10 s",
     {.workers = 4,
      .service_mean = 0.003,
      .service_cv = 0.8,
      .objective = 0.04,
      .allowed = 0.01,
      .stall_every = 10,
      .stall_mean = 0.025,
      .cold_factor = 1,
      .cold_memory = 10}},
    {"rate limiter 1,250/s",
     {.workers = 16,
      .service_mean = 0.004,
      .service_cv = 1,
      .objective = 0.2,
      .allowed = 0.02,
      .limiter_rate = 1250,
      .limiter_burst = 1250,
      .uniform = true}},
    {"pool of 24 × 45 ms, queue",
     {.workers = 24,
      .service_mean = 0.045,
      .service_cv = 0.3,
      .objective = 0.4,
      .allowed = 0.005,
      .queue_max = 0.3,
      .uniform = true}},
    {"mutex 0.8 ms",
     {.workers = 1,
      .service_mean = 0.0008,
      .service_cv = 0.1,
      .objective = 0.02,
      .allowed = 0.01,
      .uniform = true}},
};

struct score {
    double bias;
    double square;
    double over;
    double covered;
    double half;
    double seconds;
    int found;
};

static const char *const INTRODUCTION =
    "# How accurate the limit search is\n"
    "\n"
    "Measured by `make bench-limit` on simulated servers whose true limit is known from long runs;\n"
    "made by a program, not by hand. One line is %d searches with different seeds.\n"
    "\n"
    "- **bias**, **RMSE**: of the printed rate against the true limit, of the searches that ended\n"
    "  with the verdict \"limit\";\n"
    "- **over-claim**: searches whose *confirmed* rate is more than 2 %% above the true limit;\n"
    "- **coverage**: searches whose 95 %% interval holds the true limit;\n"
    "- **verdict**: share that ended with \"limit\"; the others said lower-bound, unstable and the\n"
    "  like, and gave no rate as a limit;\n"
    "- **seconds**: simulated time that a search took.\n"
    "\n"
    "What the default budget of 90 s does not buy: on servers with rare long stalls a search sees\n"
    "only a handful of them, finds rates that are too high more often than it should, and its\n"
    "interval covers less than it says. `--budget 300s` is the remedy. Services that answer in\n"
    "seconds need the longer budget to get a verdict at all.\n";
static const char *const COLUMNS =
    "\n| server | true limit | budget | bias | RMSE | over-claim | coverage | half-width | verdict | "
    "seconds |\n|---|---|---|---|---|---|---|---|---|---|\n";

static void
print_score(const struct scenario *sc, double truth, double budget, int runs, const struct score *s)
{
    double n = s->found;

    printf("| %s | %.4g | %.0f s | ", sc->name, truth, budget);
    if (s->found) {
        printf("%+.1f %% | %.1f %% | %.0f %% | %.0f %% | ±%.1f %% | ", 100 * s->bias / n,
               100 * sqrt(s->square / n), 100 * s->over / n, 100 * s->covered / n,
               100 * s->half / n);
    } else {
        printf("– | – | – | – | – | ");
    }
    printf("%.0f %% | %.0f |\n", 100.0 * s->found / runs, s->seconds / runs);
    fflush(stdout);
}

static void
score_server(const struct scenario *sc, double truth, double budget, int runs, FILE *trace)
{
    struct score s = {0};
    struct limit_config config = {.budget = budget};

    for (int i = 0; i < runs; i++) {
        struct limit_result r;
        sim_search(&sc->params, &config, 1000 + (uint64_t)i, trace, &r);
        s.seconds += r.seconds;
        if (trace) {
            fprintf(trace, "%s: %s %.1f [%.1f, %.1f], confirmed %.1f, truth %.1f\n", sc->name,
                    limit_verdict_name(r.verdict), r.rate, r.low, r.high, r.confirmed, truth);
        }
        if (r.verdict != LIMIT_FOUND) {
            continue;
        }
        double e = r.rate / truth - 1;
        s.found++;
        s.bias += e;
        s.square += e * e;
        s.over += r.confirmed > 1.02 * truth;
        s.covered += r.low <= truth && truth <= r.high;
        s.half += (r.high - r.low) / 2 / r.rate;
    }
    print_score(sc, truth, budget, runs, &s);
}

static void score_all(const struct scenario *list, size_t count, int runs, const char *only)
{
    fputs(COLUMNS, stdout);
    for (size_t i = 0; i < count; i++) {
        if (only && !strstr(list[i].name, only)) {
            continue;
        }
        double truth = sim_true_limit(&list[i].params, 400);
        score_server(&list[i], truth, 90, runs, only ? stdout : NULL);
        score_server(&list[i], truth, 300, runs, only ? stdout : NULL);
    }
}

int main(int argc, char **argv)
{
    int runs = argc > 1 ? atoi(argv[1]) : 100;
    const char *only = argc > 2 ? argv[2] : NULL;

    printf(INTRODUCTION, runs);
    puts("\n## Servers that the search was tuned on");
    score_all(TUNED, ARRAY_SIZE(TUNED), runs, only);
    puts("\n## Held out");
    score_all(HELD_OUT, ARRAY_SIZE(HELD_OUT), runs, only);
    return 0;
}
