// SPDX-License-Identifier: Apache-2.0
#include "metric/trend.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metric/wire.h"

void trend_fini(struct trend *t)
{
    if (t->hist) {
        hist_fini(t->hist);
    }
    free(t->hist);
    free(t->values);
    *t = (struct trend){0};
}

void trend_reset(struct trend *t)
{
    if (t->hist) {
        trend_fini(t);
    }
    t->count = 0;
    t->sum = t->min = t->max = 0;
}

// From here on the values live in the histogram.
static void spill(struct trend *t, uint64_t kept)
{
    t->hist = XNEW(struct hist);
    for (uint64_t i = 0; i < kept; i++) {
        hist_add(t->hist, t->values[i]);
    }
    free(t->values);
    t->values = NULL;
    t->cap = 0;
}

static void keep(struct trend *t, uint64_t kept, double value)
{
    if (!t->hist && kept == TREND_EXACT) {
        spill(t, kept);
    }
    if (t->hist) {
        hist_add(t->hist, value);
        return;
    }
    ARRAY_RESERVE(t->values, kept, t->cap);
    t->values[kept] = value;
}

void trend_add(struct trend *t, double value)
{
    keep(t, t->count, value);
    t->min = t->count == 0 || value < t->min ? value : t->min;
    t->max = t->count == 0 || value > t->max ? value : t->max;
    t->sum += value;
    t->count++;
}

void trend_merge(struct trend *t, const struct trend *other)
{
    if (other->count == 0) {
        return;
    }
    if (other->hist && !t->hist) {
        spill(t, t->count);
    }
    if (other->hist) {
        hist_merge(t->hist, other->hist);
    } else {
        for (uint64_t i = 0; i < other->count; i++) {
            keep(t, t->count + i, other->values[i]);
        }
    }
    t->min = t->count == 0 || other->min < t->min ? other->min : t->min;
    t->max = t->count == 0 || other->max > t->max ? other->max : t->max;
    t->sum += other->sum;
    t->count += other->count;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double at_rank(const struct trend *t, uint64_t rank)
{
    if (t->values) {
        return t->values[rank];
    }
    // The ends are known exactly; the middle of a bucket must not lie beyond them.
    return rank == 0              ? t->min
           : rank == t->count - 1 ? t->max
                                  : fmin(fmax(hist_at_rank(t->hist, rank), t->min), t->max);
}

double trend_percentile(struct trend *t, double percent)
{
    if (t->count == 0) {
        return 0;
    }
    if (t->values) {
        qsort(t->values, t->count, sizeof(*t->values), compare_doubles);
    }
    double index = fmin(fmax(percent / 100, 0), 1) * (double)(t->count - 1);
    double low = floor(index), part = index - low;
    double a = at_rank(t, (uint64_t)low);
    double b = part > 0 ? at_rank(t, (uint64_t)low + 1) : a;
    return a + (b - a) * part;
}

void trend_write(const struct trend *t, struct strbuf *b)
{
    wire_varint(b, t->count);
    wire_double(b, t->sum);
    wire_double(b, t->min);
    wire_double(b, t->max);
    if (!t->hist) {
        for (uint64_t i = 0; i < t->count; i++) {
            wire_double(b, t->values[i]);
        }
        return;
    }
    wire_varint(b, t->hist->zeros);
    unsigned pages = 0;
    for (int i = 0; i < 2 * HIST_OCTAVES; i++) {
        pages += t->hist->pages[i / HIST_OCTAVES][i % HIST_OCTAVES] != NULL;
    }
    wire_varint(b, pages);
    for (int i = 0; i < 2 * HIST_OCTAVES; i++) {
        const uint64_t *page = t->hist->pages[i / HIST_OCTAVES][i % HIST_OCTAVES];
        if (page) {
            wire_varint(b, (uint64_t)i);
            for (int sub = 0; sub < HIST_SUB; sub++) {
                wire_varint(b, page[sub]);
            }
        }
    }
}

static bool read_hist(struct trend *t, struct wire_reader *r)
{
    t->hist = XNEW(struct hist);
    t->hist->zeros = t->hist->count = wire_get_varint(r);
    uint64_t pages = wire_get_varint(r);
    for (uint64_t n = 0; n < pages && !r->bad; n++) {
        uint64_t i = wire_get_varint(r);
        if (r->bad || i >= 2 * HIST_OCTAVES || t->hist->pages[i / HIST_OCTAVES][i % HIST_OCTAVES]) {
            return false;
        }
        hist_add_page(t->hist, (int)(i / HIST_OCTAVES), (int)(i % HIST_OCTAVES));
        uint64_t *page = t->hist->pages[i / HIST_OCTAVES][i % HIST_OCTAVES];
        for (int sub = 0; sub < HIST_SUB; sub++) {
            page[sub] = wire_get_varint(r);
            t->hist->count += page[sub];
        }
    }
    return !r->bad && t->hist->count == t->count;
}

bool trend_read(struct trend *t, struct wire_reader *r)
{
    t->count = wire_get_varint(r);
    t->sum = wire_get_double(r);
    t->min = wire_get_double(r);
    t->max = wire_get_double(r);
    if (t->count > TREND_EXACT) {
        return read_hist(t, r);
    }
    if (r->bad || t->count * 8 > (uint64_t)(r->end - r->p)) {
        t->count = 0;
        return false;
    }
    for (uint64_t i = 0; i < t->count; i++) {
        ARRAY_RESERVE(t->values, i, t->cap);
        t->values[i] = wire_get_double(r);
        if (!isfinite(t->values[i])) {
            return false;
        }
    }
    return true;
}
