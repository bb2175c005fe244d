// SPDX-License-Identifier: Apache-2.0
#include "model/stats.h"

#include <math.h>

#include "base/mem.h"

// Continued fraction of the incomplete beta function by Lentz's method (DLMF 8.17.22).
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1;
    double d = 1 - (a + b) * x / (a + 1);

    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < 1000; m++) {
        for (int odd = 0; odd < 2; odd++) {
            double k = odd ? -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
                           : m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
            d = 1 + k * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + k / c;
            c = fabs(c) < tiny ? tiny : c;
            f *= c * d;
        }
        if (fabs(c * d - 1) < 1e-14) {
            break;
        }
    }
    return f;
}

double stats_beta_cdf(double a, double b, double x)
{
    ASSERT(a > 0 && b > 0);
    if (x <= 0 || x >= 1) {
        return x <= 0 ? 0 : 1;
    }
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2)) {
        return front * beta_fraction(a, b, x) / a;
    }
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double stats_beta_quantile(double a, double b, double p)
{
    double low = 0;
    double high = 1;

    for (int i = 0; i < 200 && high - low > 1e-15 * high; i++) {
        double mid = (low + high) / 2;
        if (stats_beta_cdf(a, b, mid) < p) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return (low + high) / 2;
}

double stats_t_quantile(double df, double p)
{
    if (p < 0.5) {
        return -stats_t_quantile(df, 1 - p);
    }
    // If T is t-distributed, df / (df + T²) is Beta(df/2, 1/2).
    double x = stats_beta_quantile(df / 2, 0.5, 2 * (1 - p));
    return sqrt(df * (1 / x - 1));
}

double stats_normal_quantile(double p)
{
    double low = -40;
    double high = 40;

    while (high - low > 1e-13) {
        double mid = (low + high) / 2;
        if (0.5 * erfc(-mid / M_SQRT2) < p) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return (low + high) / 2;
}

double stats_share_upper(double bad, double n, double confidence)
{
    return bad >= n ? 1 : stats_beta_quantile(bad + 1, n - bad, confidence);
}

double stats_share_lower(double bad, double n, double confidence)
{
    return bad <= 0 ? 0 : stats_beta_quantile(bad, n - bad + 1, 1 - confidence);
}

void stats_wilson(double bad, double n, double z, double *ret_low, double *ret_high)
{
    if (n <= 0) {
        *ret_low = 0;
        *ret_high = 1;
        return;
    }
    double share = bad / n;
    double scale = 1 / (1 + z * z / n);
    double centre = (share + z * z / (2 * n)) * scale;
    double half = z * scale * sqrt(share * (1 - share) / n + z * z / (4 * n * n));
    *ret_low = MAX(0, centre - half);
    *ret_high = MIN(1, centre + half);
}
