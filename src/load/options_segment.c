// SPDX-License-Identifier: Apache-2.0
// Execution segments as users write them: "1/3:2/3", "0:10%", "0,1/3,2/3,1".
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/units.h"
#include "load/options_build.h"
#include "model/segment.h"

struct fraction {
    int64_t top, bottom;
};

static int64_t gcd(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static int parse_fraction(struct slice text, struct fraction *ret, struct err *err)
{
    struct slice s = slice_trim(text), bottom = s, top = slice_cut(&bottom, '/');
    struct fraction f = {0, 1};
    int r = 0;

    if (top.n < s.n) {
        r = units_parse_int(top, &f.top) < 0 || units_parse_int(bottom, &f.bottom) < 0;
    } else {
        double v = 0;
        bool percent = s.n && s.p[s.n - 1] == '%';
        s.n -= percent;
        r = units_parse_double(s, &v) < 0 || v < 0 || v > 100;
        f.bottom = 1000000;
        f.top = (int64_t)(v * (percent ? 1e4 : 1e6) + 0.5);
    }
    if (r || f.bottom <= 0 || f.bottom > 1000000 || f.top < 0 || f.top > f.bottom) {
        return err_set(err, -EINVAL,
                       "'%.*s' is no part of a test: write 1/3, 0.25 or 10%%, from 0 to 1",
                       (int)text.n, text.p);
    }
    int64_t divisor = gcd(f.top, f.bottom);
    *ret = (struct fraction){f.top / divisor, f.bottom / divisor};
    return 0;
}

static bool same(struct fraction a, struct fraction b)
{
    return a.top == b.top && a.bottom == b.bottom;
}

static int parse_bounds(const char *sequence,
                        struct fraction **ret_bounds,
                        unsigned *ret_count,
                        struct err *err)
{
    struct slice rest = slice_of(sequence);
    unsigned cap = 0;

    while (rest.n) {
        ARRAY_RESERVE(*ret_bounds, *ret_count, cap);
        int r = parse_fraction(slice_cut(&rest, ','), &(*ret_bounds)[*ret_count], err);
        if (r < 0) {
            return r;
        }
        (*ret_count)++;
    }
    if (*ret_count < 2 || (*ret_bounds)[0].top != 0 ||
        !same((*ret_bounds)[*ret_count - 1], (struct fraction){1, 1})) {
        return err_set(err, -EINVAL, "executionSegmentSequence must go from 0 to 1");
    }
    return 0;
}

int options_parse_segment(struct run_options *o,
                          const char *segment,
                          const char *sequence,
                          struct err *err)
{
    CLEANUP_FREE struct fraction *bounds = NULL;
    struct fraction from = {0, 1}, to = {1, 1};
    unsigned count = 0;
    int r;

    if (!segment) {
        return sequence ? err_set(err, -EINVAL, "executionSegmentSequence needs executionSegment")
                        : 0;
    }
    struct slice right = slice_of(segment), left = slice_cut(&right, ':');
    bool pair = strchr(segment, ':') != NULL;
    if (parse_fraction(pair ? left : SLICE("0"), &from, err) < 0 ||
        parse_fraction(pair ? right : left, &to, err) < 0) {
        return err_wrap(err, "executionSegment");
    }
    if (sequence) {
        if ((r = parse_bounds(sequence, &bounds, &count, err)) < 0) {
            return r;
        }
    } else { // what is before, ours, what is after
        bounds = xcalloc(4, sizeof(*bounds));
        bounds[count++] = (struct fraction){0, 1};
        if (from.top != 0) {
            bounds[count++] = from;
        }
        bounds[count++] = to;
        if (!same(to, (struct fraction){1, 1})) {
            bounds[count++] = (struct fraction){1, 1};
        }
    }
    int64_t common = 1;
    for (unsigned i = 0; i < count && common <= SEGMENT_PERIOD_MAX; i++) {
        common = common / gcd(common, bounds[i].bottom) * bounds[i].bottom;
    }
    if (common > SEGMENT_PERIOD_MAX) {
        return err_set(err, -EINVAL, "the parts of the test have no common measure above 1/%d",
                       SEGMENT_PERIOD_MAX);
    }
    o->segment_weights = xcalloc(count, sizeof(*o->segment_weights));
    o->segment_parts = count - 1;
    o->segment_part = count;
    for (unsigned i = 0; i + 1 < count; i++) {
        int64_t low = bounds[i].top * (common / bounds[i].bottom);
        int64_t high = bounds[i + 1].top * (common / bounds[i + 1].bottom);
        if (high <= low) {
            return err_set(err, -EINVAL, "the bounds of execution segments must ascend");
        }
        o->segment_weights[i] = high - low;
        if (same(bounds[i], from) && same(bounds[i + 1], to)) {
            o->segment_part = i;
        }
    }
    if (o->segment_part == count) {
        return err_set(err, -EINVAL, "executionSegment '%s' is not in executionSegmentSequence",
                       segment);
    }
    return 0;
}
