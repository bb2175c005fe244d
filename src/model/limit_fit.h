// SPDX-License-Identifier: Apache-2.0
// The rate at which a share of bad requests crosses its allowed value, from probes at rates around
// it: a pooled quasi-Poisson regression, log E[bad] = log n + a + b·log(rate / centre).
#pragma once

// One probe, or one stretch of a long one: the unit that noise hits as a whole.
struct limit_cell {
    double rate;
    double n;      // requests that the objective judged
    double bad;    // of them, those that broke it
    double weight; // 0 to 1; old evidence counts less
};

struct limit_fit {
    double rate;       // where the fitted share equals the allowed share
    double se;         // standard error of log(rate), the larger of robust and model-based
    double slope;      // b: log share per log rate
    double dispersion; // variance of the counts over Poisson's, at least 1
};

// Fits `count` cells. A ridge prior keeps the slope near what queues near their limit show and the
// share at `centre` near `allowed`, so that few cells, or cells without a bad request, still give
// an answer. A cell's share is capped at some times `allowed`: far above the limit the log link
// does not hold, and one probe in overload must not bend the line. Variance is clustered by cell.
void limit_fit_solve(const struct limit_cell *cells,
                     int count,
                     double allowed,
                     double centre,
                     struct limit_fit *ret_fit);
