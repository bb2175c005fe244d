// SPDX-License-Identifier: Apache-2.0
// Seeded random numbers (xoshiro256**, D. Blackman and S. Vigna 2018), one state per user.
#pragma once

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

// Streams of one seed are independent: give each VU, probe or test its own.
void rng_init(struct rng *r, uint64_t seed, uint64_t stream);
uint64_t rng_u64(struct rng *r);
// Uniform in [0, 1).
double rng_double(struct rng *r);
// Uniform in [0, n), n > 0.
uint64_t rng_below(struct rng *r, uint64_t n);
// Exponential with the given mean; normal with mean 0 and deviation 1.
double rng_exponential(struct rng *r, double mean);
double rng_normal(struct rng *r);
// A seed from the kernel.
uint64_t rng_system_seed(void);
// Cryptographic bytes from the kernel, for tokens and secrets.
void rng_system_bytes(void *p, unsigned n);
