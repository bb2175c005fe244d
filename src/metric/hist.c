// SPDX-License-Identifier: Apache-2.0
#include "metric/hist.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void hist_fini(struct hist *h)
{
    for (int i = 0; i < 2 * HIST_OCTAVES; i++) {
        free(h->pages[i / HIST_OCTAVES][i % HIST_OCTAVES]);
    }
    *h = (struct hist){0};
}

void hist_reset(struct hist *h)
{
    h->count = h->zeros = 0;
    for (int i = 0; i < 2 * HIST_OCTAVES; i++) {
        uint64_t *page = h->pages[i / HIST_OCTAVES][i % HIST_OCTAVES];
        if (page) {
            memset(page, 0, HIST_SUB * sizeof(*page));
        }
    }
}

void hist_add_page(struct hist *h, int negative, int octave)
{
    h->pages[negative][octave] = xcalloc(HIST_SUB, sizeof(uint64_t));
}

void hist_merge(struct hist *h, const struct hist *other)
{
    h->count += other->count;
    h->zeros += other->zeros;
    for (int sign = 0; sign < 2; sign++) {
        for (int octave = 0; octave < HIST_OCTAVES; octave++) {
            const uint64_t *from = other->pages[sign][octave];
            if (!from) {
                continue;
            }
            if (!h->pages[sign][octave]) {
                hist_add_page(h, sign, octave);
            }
            for (int i = 0; i < HIST_SUB; i++) {
                h->pages[sign][octave][i] += from[i];
            }
        }
    }
}

double hist_bucket_value(int negative, int octave, int sub)
{
    double v = ldexp(1 + (sub + 0.5) / HIST_SUB, octave + HIST_EXP_MIN);

    return negative ? -v : v;
}

double hist_at_rank(const struct hist *h, uint64_t rank)
{
    for (int octave = HIST_OCTAVES - 1; octave >= 0; octave--) {
        const uint64_t *page = h->pages[1][octave];
        for (int sub = HIST_SUB - 1; page && sub >= 0; sub--) {
            if (rank < page[sub]) {
                return hist_bucket_value(1, octave, sub);
            }
            rank -= page[sub];
        }
    }
    if (rank < h->zeros) {
        return 0;
    }
    rank -= h->zeros;
    double last = 0;
    for (int octave = 0; octave < HIST_OCTAVES; octave++) {
        const uint64_t *page = h->pages[0][octave];
        for (int sub = 0; page && sub < HIST_SUB; sub++) {
            if (page[sub]) {
                last = hist_bucket_value(0, octave, sub);
                if (rank < page[sub]) {
                    return last;
                }
                rank -= page[sub];
            }
        }
    }
    return last;
}
