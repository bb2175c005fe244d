// SPDX-License-Identifier: Apache-2.0
#include "observe/prom.h"

#include <math.h>

#include "base/units.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// Length of "{…}" at the start of `s` with its braces, 0 if it does not end.
static size_t labels_length(struct slice s)
{
    bool quoted = false;

    for (size_t i = 1; i < s.n; i++) {
        if (quoted && s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            quoted = !quoted;
        } else if (s.p[i] == '}' && !quoted) {
            return i + 1;
        }
    }
    return 0;
}

static bool read_value(struct slice text, double *ret_value)
{
    if (units_parse_double(text, ret_value) == 0) {
        return true;
    }
    if (slice_eqs(text, "NaN")) {
        *ret_value = NAN;
    } else if (slice_eqs(text, "+Inf") || slice_eqs(text, "Inf")) {
        *ret_value = INFINITY;
    } else if (slice_eqs(text, "-Inf")) {
        *ret_value = -INFINITY;
    } else {
        return false;
    }
    return true;
}

static bool read_line(struct slice line, struct prom_sample *s)
{
    size_t n = 0;

    if (line.n == 0 || line.p[0] == '#') {
        return false;
    }
    while (n < line.n && line.p[n] != '{' && !is_blank(line.p[n])) {
        n++;
    }
    s->name = (struct slice){line.p, n};
    struct slice rest = slice_trim((struct slice){line.p + n, line.n - n});
    s->labels = (struct slice){rest.p, 0};
    if (rest.n && rest.p[0] == '{') {
        size_t braces = labels_length(rest);
        if (!braces) {
            return false;
        }
        s->labels = (struct slice){rest.p + 1, braces - 2};
        rest = (struct slice){rest.p + braces, rest.n - braces};
    }
    rest = slice_trim(rest);
    size_t end = 0;
    while (end < rest.n && !is_blank(rest.p[end])) {
        end++;
    }
    return n > 0 && read_value((struct slice){rest.p, end}, &s->value);
}

bool prom_next(struct slice *rest, struct prom_sample *ret_sample)
{
    while (rest->n) {
        struct prom_sample s;
        if (read_line(slice_trim(slice_cut(rest, '\n')), &s)) {
            *ret_sample = s;
            return true;
        }
    }
    return false;
}

bool prom_has_label(struct slice labels, const char *name, const char *value)
{
    size_t name_n = strlen(name);
    size_t value_n = strlen(value);
    size_t at = 0;

    while (at < labels.n) {
        while (at < labels.n && (labels.p[at] == ',' || is_blank(labels.p[at]))) {
            at++;
        }
        size_t start = at;
        while (at < labels.n && labels.p[at] != '=') {
            at++;
        }
        bool named = at - start == name_n && memcmp(labels.p + start, name, name_n) == 0;
        size_t open = at + 2;
        for (at = open; at < labels.n && labels.p[at] != '"'; at++) {
            at += labels.p[at] == '\\';
        }
        if (named && at <= labels.n && at >= open && at - open == value_n &&
            memcmp(labels.p + open, value, value_n) == 0) {
            return true;
        }
        at++;
    }
    return false;
}
