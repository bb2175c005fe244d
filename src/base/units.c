// SPDX-License-Identifier: Apache-2.0
#include "base/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    double nsec;
} DURATION_UNITS[] = {
    {"ns", 1},  {"us", 1e3}, {"\xc2\xb5s", 1e3}, {"\xce\xbcs", 1e3}, {"ms", 1e6},
    {"s", 1e9}, {"m", 60e9}, {"h", 3600e9},      {"d", 86400e9},
};

int units_parse_double(struct slice text, double *ret_value)
{
    char copy[64];
    char *end;

    if (!text.n || text.n >= sizeof(copy) || isspace((unsigned char)text.p[0])) {
        return -EINVAL;
    }
    for (size_t i = 0; i < text.n; i++) {
        // No hexadecimal, "inf" or "nan".
        if (!strchr("0123456789.eE+-", text.p[i]) || !text.p[i]) {
            return -EINVAL;
        }
        copy[i] = text.p[i];
    }
    copy[text.n] = 0;
    double value = strtod(copy, &end);
    if (*end || !isfinite(value)) {
        return -EINVAL;
    }
    *ret_value = value;
    return 0;
}

int units_parse_int(struct slice text, int64_t *ret_value)
{
    char copy[32];
    char *end;

    if (!text.n || text.n >= sizeof(copy) || isspace((unsigned char)text.p[0])) {
        return -EINVAL;
    }
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    errno = 0;
    long long value = strtoll(copy, &end, 10);
    if (*end || end == copy) {
        return -EINVAL;
    }
    if (errno == ERANGE) {
        return -ERANGE;
    }
    *ret_value = value;
    return 0;
}

// Takes "12.5" off the front; false when there is no number.
static bool take_number(struct slice *s, double *ret_value)
{
    size_t n = 0;
    bool digit = false;

    while (n < s->n && (isdigit((unsigned char)s->p[n]) || s->p[n] == '.')) {
        digit |= s->p[n] != '.';
        n++;
    }
    if (!digit || units_parse_double((struct slice){s->p, n}, ret_value) < 0) {
        return false;
    }
    s->p += n;
    s->n -= n;
    return true;
}

static bool take_unit(struct slice *s, double *ret_nsec)
{
    size_t n = 0;

    while (n < s->n && !isdigit((unsigned char)s->p[n]) && s->p[n] != '.') {
        n++;
    }
    for (size_t i = 0; i < sizeof(DURATION_UNITS) / sizeof(DURATION_UNITS[0]); i++) {
        if (slice_eqs((struct slice){s->p, n}, DURATION_UNITS[i].name)) {
            *ret_nsec = DURATION_UNITS[i].nsec;
            s->p += n;
            s->n -= n;
            return true;
        }
    }
    return false;
}

static int parse_duration(struct slice text, bool bare_ms, nsec_t *ret_duration)
{
    struct slice s = text;
    double total = 0;
    double sign = 1;

    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        sign = s.p[0] == '-' ? -1 : 1;
        s.p++;
        s.n--;
    }
    if (!s.n) {
        return -EINVAL;
    }
    while (s.n) {
        double value;
        double unit = 1e6;
        if (!take_number(&s, &value)) {
            return -EINVAL;
        }
        bool bare = !s.n && total == 0 && (bare_ms || value == 0);
        if (!bare && !take_unit(&s, &unit)) {
            return -EINVAL;
        }
        total += value * unit;
    }
    if (total > 9.2e18) {
        return -ERANGE;
    }
    *ret_duration = (nsec_t)llround(sign * total);
    return 0;
}

int units_parse_duration(struct slice text, nsec_t *ret_duration)
{
    return parse_duration(text, true, ret_duration);
}

int units_parse_duration_unit(struct slice text, nsec_t *ret_duration)
{
    return parse_duration(text, false, ret_duration);
}

// `value` of `unit` without trailing zeros, e.g. 1.5 and "ms".
static const char *
format_fraction(nsec_t d, nsec_t unit, int digits, const char *name, char *buf, unsigned size)
{
    char fraction[16];
    int n = snprintf(fraction, sizeof(fraction), "%0*lld", digits, (long long)(d % unit));

    while (n > 0 && fraction[n - 1] == '0') {
        fraction[--n] = 0;
    }
    snprintf(buf, size, "%lld%s%s%s", (long long)(d / unit), n ? "." : "", fraction, name);
    return buf;
}

const char *units_format_duration(nsec_t d, char *buf, unsigned size)
{
    char seconds[32];
    const char *sign = d < 0 ? "-" : "";
    nsec_t a = d < 0 ? -d : d;

    if (a == 0) {
        snprintf(buf, size, "0s");
        return buf;
    }
    if (a < NSEC_PER_USEC) {
        snprintf(buf, size, "%s%lldns", sign, (long long)a);
        return buf;
    }
    if (a < NSEC_PER_MSEC) {
        format_fraction(a, NSEC_PER_USEC, 3, "\xc2\xb5s", seconds, sizeof(seconds));
    } else if (a < NSEC_PER_SEC) {
        format_fraction(a, NSEC_PER_MSEC, 6, "ms", seconds, sizeof(seconds));
    } else {
        format_fraction(a % (60 * NSEC_PER_SEC), NSEC_PER_SEC, 9, "s", seconds, sizeof(seconds));
    }
    long long minutes = a / (60 * NSEC_PER_SEC);
    if (minutes >= 60) {
        snprintf(buf, size, "%s%lldh%lldm%s", sign, minutes / 60, minutes % 60, seconds);
    } else if (minutes) {
        snprintf(buf, size, "%s%lldm%s", sign, minutes, seconds);
    } else {
        snprintf(buf, size, "%s%s", sign, seconds);
    }
    return buf;
}

int units_parse_rate(struct slice text, double *ret_per_second)
{
    struct slice s = text;
    double value;
    double per = 1;

    if (!take_number(&s, &value)) {
        return -EINVAL;
    }
    if (s.n && (s.p[0] == 'k' || s.p[0] == 'K')) {
        value *= 1000;
        s.p++;
        s.n--;
    }
    if (slice_eqs(s, "/m") || slice_eqs(s, "/min")) {
        per = 60;
    } else if (slice_eqs(s, "/h")) {
        per = 3600;
    } else if (s.n && !slice_eqs(s, "/s")) {
        return -EINVAL;
    }
    *ret_per_second = value / per;
    return 0;
}

int units_parse_share(struct slice text, double *ret_share)
{
    bool percent = text.n && text.p[text.n - 1] == '%';
    double value;

    if (percent) {
        text.n--;
    }
    int r = units_parse_double(text, &value);
    if (r < 0) {
        return r;
    }
    value = percent ? value / 100 : value;
    if (value < 0 || value > 1) {
        return -EINVAL;
    }
    *ret_share = value;
    return 0;
}

int units_parse_bytes(struct slice text, uint64_t *ret_bytes)
{
    static const struct {
        const char *name;
        double factor;
    } units[] = {{"", 1},
                 {"B", 1},
                 {"k", 1e3},
                 {"kB", 1e3},
                 {"KB", 1e3},
                 {"M", 1e6},
                 {"MB", 1e6},
                 {"G", 1e9},
                 {"GB", 1e9},
                 {"Ki", 1024.0},
                 {"KiB", 1024.0},
                 {"Mi", 1048576.0},
                 {"MiB", 1048576.0},
                 {"Gi", 1073741824.0},
                 {"GiB", 1073741824.0}};
    struct slice s = text;
    double value;

    if (!take_number(&s, &value)) {
        return -EINVAL;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (slice_eqs(s, units[i].name) && value * units[i].factor < 9e18) {
            *ret_bytes = (uint64_t)(value * units[i].factor);
            return 0;
        }
    }
    return -EINVAL;
}
