// SPDX-License-Identifier: Apache-2.0
#include "model/steady.h"

#include <math.h>

#include "base/mem.h"

enum { BATCHES_MIN = 4 };

static double mean_of(const double *x, int count)
{
    double sum = 0;

    for (int i = 0; i < count; i++) {
        sum += x[i];
    }
    return sum / count;
}

int steady_truncation(const double *x, int count, int batch)
{
    int batches = count / batch;
    double sum = 0;
    double squares = 0;
    double best = 0;
    int best_at = -1;

    if (batches < BATCHES_MIN) {
        return -1;
    }
    // From the end, so that each step adds one batch to what remains.
    for (int d = batches - 1; d >= 0; d--) {
        double mean = mean_of(x + d * batch, batch);
        int left = batches - d;
        sum += mean;
        squares += mean * mean;
        if (2 * d > batches) {
            continue;
        }
        double score = MAX(0, squares - sum * sum / left) / ((double)left * left);
        // A constant series must not be truncated because of rounding.
        if (best_at < 0 || score <= best * (1 + 1e-9) + 1e-300) {
            best = score;
            best_at = d;
        }
    }
    return best_at * batch;
}

bool steady_is_reached(const double *x, int count, int batch)
{
    int at = steady_truncation(x, count, batch);

    return at >= 0 && at / batch < count / batch / 2;
}

bool steady_is_moving(const double *x, int count, double change)
{
    int quarter = count / 4;

    if (quarter < 2) {
        return false;
    }
    const double *last = x + count - quarter;
    const double *before = last - quarter;
    double a = mean_of(before, quarter);
    double b = mean_of(last, quarter);
    double squares = 0;
    for (int i = 0; i < quarter; i++) {
        squares += (before[i] - a) * (before[i] - a) + (last[i] - b) * (last[i] - b);
    }
    double error = sqrt(squares / (quarter - 1) / quarter);
    return fabs(b - a) > change * fabs(a) && fabs(b - a) > 3 * error;
}
