// SPDX-License-Identifier: Apache-2.0
// Execution segments: which of the numbered things of a whole test (VUs, iterations, arrivals) one
// part of it does. The parts of a sequence deal out the numbers 0, 1, 2 … between them in a
// repeating pattern that is as even as it can be, so that what the parts do adds up to the whole
// exactly. The split between threads is the same arithmetic as the split between machines.
#pragma once

#include <stdint.h>

struct segment {
    int64_t period;   // length of the pattern
    int64_t own;      // of them, ours
    int64_t *offsets; // our places in the pattern, ascending
};

enum { SEGMENT_PERIOD_MAX = 100000 };

// The whole test.
void segment_init_whole(struct segment *s);
// Part `index` of `count` parts with these weights (all > 0, adding up to SEGMENT_PERIOD_MAX at
// most). 0 or -EINVAL.
int segment_init_part(struct segment *s, const int64_t *weights, unsigned count, unsigned index);
// Deals what `outer` does to `parts` equal parts; this is number `part`.
void segment_init_split(struct segment *s,
                        const struct segment *outer,
                        unsigned parts,
                        unsigned part);
void segment_fini(struct segment *s);
// How many of the first `n` numbers are ours.
int64_t segment_scale(const struct segment *s, int64_t n);
// The number of our k-th (from 0).
int64_t segment_index(const struct segment *s, int64_t k);
