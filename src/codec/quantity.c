// SPDX-License-Identifier: Apache-2.0
#include "codec/quantity.h"

#include <ctype.h>
#include <errno.h>

#include "base/mem.h"
#include "base/units.h"

enum { DIGITS_MAX = 48 };

static const struct {
    const char *name;
    int exponent; // of `base`
    int base;
} SUFFIXES[] = {{"n", -9, 10}, {"u", -6, 10}, {"m", -3, 10}, {"", 0, 10},
                {"k", 3, 10},  {"M", 6, 10},  {"G", 9, 10},  {"T", 12, 10},
                {"P", 15, 10}, {"E", 18, 10}, {"Ki", 10, 2}, {"Mi", 20, 2},
                {"Gi", 30, 2}, {"Ti", 40, 2}, {"Pi", 50, 2}, {"Ei", 60, 2}};

static const __int128 LIMIT = (__int128)INT64_MAX * 1000000000;

static int read_suffix(struct slice s, int *ret_exponent, int *ret_base)
{
    for (size_t i = 0; i < ARRAY_SIZE(SUFFIXES); i++) {
        if (slice_eqs(s, SUFFIXES[i].name)) {
            *ret_exponent = SUFFIXES[i].exponent;
            *ret_base = SUFFIXES[i].base;
            return 0;
        }
    }
    int64_t exponent;
    if (s.n < 2 || (s.p[0] != 'e' && s.p[0] != 'E') ||
        units_parse_int((struct slice){s.p + 1, s.n - 1}, &exponent) < 0) {
        return -EINVAL;
    }
    if (exponent < -100 || exponent > 100) {
        return -ERANGE;
    }
    *ret_exponent = (int)exponent;
    *ret_base = 10;
    return 0;
}

// digits * 10^scale * 2^shift in billionths, rounded up; -ERANGE when it is too large.
static int compose(const char *digits, size_t n, int scale, int shift, __int128 *ret_value)
{
    unsigned __int128 value = 0;
    bool rest = false;

    scale += 9;
    for (size_t i = 0; i < n; i++) {
        if (value < (unsigned __int128)LIMIT) {
            value = value * 10 + (unsigned)(digits[i] - '0');
        } else { // more digits than matter
            rest |= digits[i] != '0';
            scale++;
        }
    }
    for (; scale > 0 && value; scale--) {
        value *= 10;
        if (value > (unsigned __int128)LIMIT * 1000000) {
            return -ERANGE;
        }
    }
    for (; shift > 0 && value; shift--) {
        value *= 2;
        if (value > (unsigned __int128)LIMIT * 100000000) {
            return -ERANGE;
        }
    }
    for (; scale < 0 && value; scale++) {
        rest |= value % 10 != 0;
        value /= 10;
    }
    value += rest;
    if (value > (unsigned __int128)LIMIT) {
        return -ERANGE;
    }
    *ret_value = (__int128)value;
    return 0;
}

int quantity_parse(struct slice text, quantity_t *ret_value)
{
    struct slice s = text;
    bool negative = s.n && s.p[0] == '-';
    char digits[DIGITS_MAX];
    size_t n = 0;
    int scale = 0;
    int exponent;
    int base;
    bool point = false;
    bool any = false;
    __int128 value;

    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        s.p++;
        s.n--;
    }
    for (; s.n && (isdigit((unsigned char)s.p[0]) || (s.p[0] == '.' && !point)); s.p++, s.n--) {
        if (s.p[0] == '.') {
            point = true;
            continue;
        }
        any = true;
        if (n == 0 && s.p[0] == '0') {
            scale -= point;
            continue;
        }
        if (n == DIGITS_MAX) {
            return -ERANGE;
        }
        digits[n++] = s.p[0];
        scale -= point;
    }
    if (!any) {
        return -EINVAL;
    }
    int r = read_suffix(s, &exponent, &base);
    if (r == 0) {
        r = compose(digits, n, scale + (base == 10 ? exponent : 0), base == 2 ? exponent : 0,
                    &value);
    }
    if (r == 0) {
        *ret_value = negative ? -value : value;
    }
    return r;
}

static int64_t divide_up(quantity_t value, int64_t by)
{
    bool negative = value < 0;
    unsigned __int128 v = negative ? -(unsigned __int128)value : (unsigned __int128)value;

    v = (v + (unsigned __int128)by - 1) / (unsigned __int128)by;
    if (v > INT64_MAX) {
        v = INT64_MAX;
    }
    return negative ? -(int64_t)v : (int64_t)v;
}

int64_t quantity_milli(quantity_t value)
{
    return divide_up(value, 1000000);
}

int64_t quantity_value(quantity_t value)
{
    return divide_up(value, 1000000000);
}
