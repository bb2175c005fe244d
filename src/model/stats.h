// SPDX-License-Identifier: Apache-2.0
// Quantiles and intervals of the distributions that our verdicts rest on. Pure functions.
#pragma once

// Regularised incomplete beta function I_x(a, b): the beta distribution's CDF; a, b > 0.
double stats_beta_cdf(double a, double b, double x);
// Inverse of it: the p-quantile of Beta(a, b), 0 <= p <= 1.
double stats_beta_quantile(double a, double b, double p);
// p-quantile of the standard normal, and of Student's t with df > 0 degrees of freedom.
double stats_normal_quantile(double p);
double stats_t_quantile(double df, double p);
// One-sided Clopper-Pearson bounds of a share: `bad` of `n` were bad, confidence 0 < c < 1.
// Counts may be fractional (deflated by a design effect).
double stats_share_upper(double bad, double n, double confidence);
double stats_share_lower(double bad, double n, double confidence);
// Wilson's score interval of a share for the normal deviate z (1.96 = 95 %, two-sided).
void stats_wilson(double bad, double n, double z, double *ret_low, double *ret_high);
