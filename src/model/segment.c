// SPDX-License-Identifier: Apache-2.0
#include "model/segment.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

void segment_init_whole(struct segment *s)
{
    s->period = s->own = 1;
    s->offsets = xcalloc(1, sizeof(*s->offsets));
}

int segment_init_part(struct segment *s, const int64_t *weights, unsigned count, unsigned index)
{
    int64_t period = 0;

    if (index >= count) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < count; i++) {
        if (weights[i] <= 0 || weights[i] > SEGMENT_PERIOD_MAX) {
            return -EINVAL;
        }
        period += weights[i];
    }
    if (period > SEGMENT_PERIOD_MAX) {
        return -EINVAL;
    }
    s->period = period;
    s->own = 0;
    s->offsets = xcalloc((size_t)weights[index], sizeof(*s->offsets));
    // Each number goes to the part that lags its share most (the first of equals).
    CLEANUP_FREE int64_t *credit = xcalloc(count, sizeof(*credit));
    for (int64_t slot = 0; slot < period; slot++) {
        unsigned best = 0;
        for (unsigned i = 0; i < count; i++) {
            credit[i] += weights[i];
            best = credit[i] > credit[best] ? i : best;
        }
        credit[best] -= period;
        if (best == index) {
            s->offsets[s->own++] = slot;
        }
    }
    return 0;
}

void segment_init_split(struct segment *s,
                        const struct segment *outer,
                        unsigned parts,
                        unsigned part)
{
    s->period = outer->period * parts;
    s->own = outer->own;
    s->offsets = xcalloc((size_t)outer->own + 1, sizeof(*s->offsets));
    for (int64_t k = 0; k < s->own; k++) {
        s->offsets[k] = segment_index(outer, part + k * parts);
    }
}

void segment_fini(struct segment *s)
{
    free(s->offsets);
    s->offsets = NULL;
}

int64_t segment_scale(const struct segment *s, int64_t n)
{
    int64_t rest = n % s->period, low = 0, high = s->own;

    while (low < high) { // places below `rest`
        int64_t middle = (low + high) / 2;
        if (s->offsets[middle] < rest) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return n / s->period * s->own + low;
}

int64_t segment_index(const struct segment *s, int64_t k)
{
    return k / s->own * s->period + s->offsets[k % s->own];
}
