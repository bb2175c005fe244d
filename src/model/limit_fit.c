// SPDX-License-Identifier: Apache-2.0
#include "model/limit_fit.h"

#include <math.h>

#include "base/mem.h"

// Shares at and above this many times the allowed one say "overloaded" and nothing more.
static const double SHARE_CAP = 30;
// Priors (mean, deviation) of the slope and of log(share / allowed) at the centre.
static const double SLOPE_MEAN = 25;
static const double SLOPE_SD = 15;
static const double LEVEL_SD = 1.5;

// Normal equations of two parameters: the symmetric matrix (aa ab; ab bb).
struct sym {
    double aa;
    double ab;
    double bb;
};

static struct sym invert(struct sym m)
{
    double det = m.aa * m.bb - m.ab * m.ab;

    return (struct sym){m.bb / det, -m.ab / det, m.aa / det};
}

struct line {
    double a;
    double b;
};

static double capped_bad(const struct limit_cell *c, double allowed)
{
    return MIN(c->bad, MIN(1, SHARE_CAP * allowed) * c->n);
}

static double expected_bad(const struct limit_cell *c, struct line f, double x)
{
    return c->n * exp(MIN(f.a + f.b * x, 0));
}

// One pass of iteratively reweighted least squares for the penalised quasi-likelihood.
static struct line newton_step(const struct limit_cell *cells,
                               int count,
                               double allowed,
                               double centre,
                               double dispersion,
                               struct line f,
                               struct sym *ret_h)
{
    struct sym h = {1 / (LEVEL_SD * LEVEL_SD), 0, 1 / (SLOPE_SD * SLOPE_SD)};
    double ga = (log(allowed) - f.a) * h.aa;
    double gb = (SLOPE_MEAN - f.b) * h.bb;

    for (int i = 0; i < count; i++) {
        double x = log(cells[i].rate / centre);
        double mu = expected_bad(&cells[i], f, x);
        double w = cells[i].weight / dispersion;
        double r = w * (capped_bad(&cells[i], allowed) - mu);
        ga += r;
        gb += r * x;
        h.aa += w * mu;
        h.ab += w * mu * x;
        h.bb += w * mu * x * x;
    }
    struct sym inv = invert(h);
    double da = inv.aa * ga + inv.ab * gb;
    double db = inv.ab * ga + inv.bb * gb;
    double scale = MIN(1, MIN(1 / (fabs(da) + 1e-12), 20 / (fabs(db) + 1e-12)));
    *ret_h = h;
    // A share that falls with the rate has no crossing: the slope stays positive.
    return (struct line){f.a + scale * da, MAX(f.b + scale * db, 2)};
}

// Pearson's estimate. Cells whose expectation is tiny would dominate it by one stray request.
static double estimate_dispersion(
    const struct limit_cell *cells, int count, double allowed, double centre, struct line f)
{
    double sum = 0;
    double weight = 0;

    for (int i = 0; i < count; i++) {
        double x = log(cells[i].rate / centre);
        double mu = expected_bad(&cells[i], f, x);
        double r = capped_bad(&cells[i], allowed) - mu;
        sum += cells[i].weight * r * r / MAX(mu, 1);
        weight += cells[i].weight;
    }
    return MAX(1, sum / MAX(weight - 2, 1));
}

static double robust_variance(const struct limit_cell *cells,
                              int count,
                              double allowed,
                              double centre,
                              double dispersion,
                              struct line f,
                              struct sym inv,
                              double x0)
{
    double sum = 0;
    double weight = 0;

    for (int i = 0; i < count; i++) {
        double x = log(cells[i].rate / centre);
        double w = cells[i].weight / dispersion;
        double r = w * (capped_bad(&cells[i], allowed) - expected_bad(&cells[i], f, x));
        // Influence of this cell on the line's value at x0.
        double influence = inv.aa + inv.ab * (x + x0) + inv.bb * x * x0;
        sum += influence * influence * r * r;
        weight += cells[i].weight;
    }
    return sum * weight / MAX(weight - 2, 1) / (f.b * f.b);
}

void limit_fit_solve(const struct limit_cell *cells,
                     int count,
                     double allowed,
                     double centre,
                     struct limit_fit *ret_fit)
{
    struct line f = {log(allowed), SLOPE_MEAN};
    struct sym h = {1, 0, 1};
    double dispersion = 1;

    for (int outer = 0; outer < 6; outer++) {
        for (int i = 0; i < 25; i++) {
            struct line next = newton_step(cells, count, allowed, centre, dispersion, f, &h);
            double moved = fabs(next.a - f.a) + fabs(next.b - f.b) / 30;
            f = next;
            if (moved < 1e-8) {
                break;
            }
        }
        dispersion = estimate_dispersion(cells, count, allowed, centre, f);
    }
    struct sym inv = invert(h);
    double x0 = (log(allowed) - f.a) / f.b;
    double model = (inv.aa + 2 * inv.ab * x0 + inv.bb * x0 * x0) / (f.b * f.b);
    double robust = robust_variance(cells, count, allowed, centre, dispersion, f, inv, x0);
    *ret_fit = (struct limit_fit){
        .rate = centre * exp(x0),
        .se = sqrt(MAX(model, robust)),
        .slope = f.b,
        .dispersion = dispersion,
    };
}
