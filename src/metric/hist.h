// SPDX-License-Identifier: Apache-2.0
// Log-linear histogram of doubles: 128 buckets in each octave, both signs, memory by the octaves
// that occur (1 KiB each). A bucket [a, a + w) has w <= a/128 and is read at its middle, so that no
// value is off by more than 1/256 (0.4 %).
#pragma once

#include <stdint.h>

#define HIST_SUB 128

// Magnitudes below 2^-40 count as 0, those from 2^88 on as 2^88.
enum { HIST_EXP_MIN = -40, HIST_EXP_MAX = 87, HIST_OCTAVES = HIST_EXP_MAX - HIST_EXP_MIN + 1 };

struct hist {
    uint64_t count;
    uint64_t zeros;
    uint64_t *pages[2][HIST_OCTAVES]; // [negative?][octave], NULL until needed
};

// All zero bytes is an empty histogram.
void hist_fini(struct hist *h);
// Forgets the counts and keeps the memory.
void hist_reset(struct hist *h);
void hist_add_page(struct hist *h, int negative, int octave);

// Adds one finite value.
static inline void hist_add(struct hist *h, double value)
{
    union {
        double d;
        uint64_t u;
    } bits = {value};
    int negative = (int)(bits.u >> 63);
    int octave = (int)((bits.u >> 52) & 0x7ff) - 1023 - HIST_EXP_MIN;

    h->count++;
    if (__builtin_expect(octave < 0, 0)) {
        h->zeros++;
        return;
    }
    unsigned sub = (unsigned)(bits.u >> 45) & (HIST_SUB - 1);
    if (__builtin_expect(octave >= HIST_OCTAVES, 0)) {
        octave = HIST_OCTAVES - 1;
        sub = HIST_SUB - 1;
    }
    if (__builtin_expect(!h->pages[negative][octave], 0)) {
        hist_add_page(h, negative, octave);
    }
    h->pages[negative][octave][sub]++;
}

// Adds all of `other`.
void hist_merge(struct hist *h, const struct hist *other);
// Value of the sample with this rank (0 .. count-1) in ascending order; 0 when empty.
double hist_at_rank(const struct hist *h, uint64_t rank);
// Middle of a bucket.
double hist_bucket_value(int negative, int octave, int sub);
