// SPDX-License-Identifier: Apache-2.0
// Cost of adding to a histogram, and the error of what is read from it, as JSON on stdout.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "metric/hist.h"

enum { SAMPLES = 1 << 20, ROUNDS = 20 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

// Response times in milliseconds: most near 10, some in the hundreds.
static double response_time(struct rng *r)
{
    double sum = 0;

    for (int i = 0; i < 4; i++) {
        sum += rng_double(r);
    }
    return exp(2.3 + 2.5 * (sum - 2));
}

int main(void)
{
    double *samples = xcalloc(SAMPLES, sizeof(*samples));
    struct hist hist = {0};
    struct rng r;
    double worst = 0;

    rng_init(&r, 1, 0);
    for (int i = 0; i < SAMPLES; i++) {
        samples[i] = response_time(&r);
    }
    nsec_t begin = clock_thread_cpu();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < SAMPLES; i++) {
            hist_add(&hist, samples[i]);
        }
    }
    nsec_t spent = clock_thread_cpu() - begin;
    qsort(samples, SAMPLES, sizeof(*samples), ascending);
    for (int i = 0; i < SAMPLES; i += 64) {
        double read = hist_at_rank(&hist, (uint64_t)i * ROUNDS);
        worst = fmax(worst, fabs(read - samples[i]) / samples[i]);
    }
    printf("{\"add_ns\": %.2f, \"worst_relative_error\": %.5f, \"samples\": %llu}\n",
           (double)spent / ROUNDS / SAMPLES, worst, (unsigned long long)hist.count);
    hist_fini(&hist);
    free(samples);
    return 0;
}
