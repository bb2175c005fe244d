// SPDX-License-Identifier: Apache-2.0
// Has a series left its warm-up? MSER-5 (K. P. White, M. J. Cobb, S. C. Spratt: "A comparison of
// five steady-state truncation heuristics for simulation", WSC 2000).
#pragma once

#include <stdbool.h>

// How many leading values of `x` to discard: the multiple of `batch` (5 in MSER-5) in the first
// half that minimises the squared standard error of what remains, the values taken in batch means.
// Returns -1 where there are fewer than 4 batches.
int steady_truncation(const double *x, int count, int batch);
// The warm-up is over when the truncation point lies inside the first half.
bool steady_is_reached(const double *x, int count, int batch);
// The last quarter's mean differs from that of the quarter before by more than the share `change`
// and by more than three standard errors: whatever this is, it has not settled.
bool steady_is_moving(const double *x, int count, double change);
