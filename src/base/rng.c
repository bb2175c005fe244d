// SPDX-License-Identifier: Apache-2.0
#include "base/rng.h"

#include <errno.h>
#include <math.h>
#include <sys/random.h>

#include "base/mem.h"

static uint64_t splitmix(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

void rng_init(struct rng *r, uint64_t seed, uint64_t stream)
{
    uint64_t x = seed;

    x = splitmix(&x) ^ (stream * 0xd1342543de82ef95ull);
    for (unsigned i = 0; i < 4; i++) {
        r->s[i] = splitmix(&x);
    }
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

double rng_double(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    return (uint64_t)(((__uint128_t)rng_u64(r) * n) >> 64);
}

double rng_exponential(struct rng *r, double mean)
{
    return -mean * log1p(-rng_double(r));
}

double rng_normal(struct rng *r)
{
    double u = 1.0 - rng_double(r);

    return sqrt(-2.0 * log(u)) * cos(2.0 * M_PI * rng_double(r));
}

void rng_system_bytes(void *p, unsigned n)
{
    char *at = p;

    while (n) {
        ssize_t got = getrandom(at, n, 0);
        ASSERT(got > 0 || errno == EINTR);
        if (got > 0) {
            at += got;
            n -= (unsigned)got;
        }
    }
}

uint64_t rng_system_seed(void)
{
    uint64_t seed;

    rng_system_bytes(&seed, sizeof(seed));
    return seed;
}
