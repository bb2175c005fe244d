// SPDX-License-Identifier: Apache-2.0
#include "env.h"

#include "clock.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int env_parse_integer(const char *text, int64_t *ret_value)
{
    char *end;

    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno) {
        return -EINVAL;
    }
    *ret_value = value;
    return 0;
}

// A plain decimal number at the start of `text`. strtod alone would also take signs, leading space,
// exponents, hexadecimal and "inf".
static int parse_real(const char *text, double *ret_value, const char **ret_end)
{
    size_t len = strspn(text, "0123456789.");
    char digits[32], *end;

    if (len == 0 || len >= sizeof(digits)) {
        return -EINVAL;
    }
    memcpy(digits, text, len);
    digits[len] = '\0';
    double value = strtod(digits, &end);
    if (*end) {
        return -EINVAL;
    }
    *ret_value = value;
    *ret_end = text + len;
    return 0;
}

int env_parse_real(const char *text, double *ret_value)
{
    const char *end;
    double value;

    if (parse_real(text, &value, &end) < 0 || *end) {
        return -EINVAL;
    }
    *ret_value = value;
    return 0;
}

int env_parse_duration(const char *text, int64_t *ret_ns)
{
    static const struct {
        const char *name;
        double ns;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
    const char *unit;
    double value;

    if (parse_real(text, &value, &unit) < 0) {
        return -EINVAL;
    }
    if (*unit == '\0' && value == 0) {
        *ret_ns = 0;
        return 0;
    }
    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) == 0 && value * units[i].ns < 9e18) {
            *ret_ns = llround(value * units[i].ns);
            return 0;
        }
    }
    return -EINVAL;
}

static int read_one(const struct env_setting *s, const char *text, char *message, size_t size)
{
    static const char *const kinds[] = {"a text", "an integer", "a number",
                                        "a duration such as 20ms, 1.5s or 2m"};
    int64_t integer = 0;
    double real = 0;
    int r = 0;

    switch (s->type) {
    case ENV_STRING:
        *(const char **)s->ret = text;
        return 0;
    case ENV_INTEGER:
        r = env_parse_integer(text, &integer);
        real = (double)integer;
        break;
    case ENV_DURATION:
        r = env_parse_duration(text, &integer);
        real = (double)integer / (double)SEC;
        break;
    case ENV_REAL:
        r = env_parse_real(text, &real);
        break;
    }
    if (r < 0) {
        snprintf(message, size, "%s: '%.64s' is not %s", s->name, text, kinds[s->type]);
        return -EINVAL;
    }
    if (real < s->min || real > s->max) {
        snprintf(message, size, "%s: '%.64s' is not between %.10g and %.10g%s", s->name, text,
                 s->min, s->max, s->type == ENV_DURATION ? " seconds" : "");
        return -EINVAL;
    }
    if (s->type == ENV_REAL) {
        *(double *)s->ret = real;
    } else {
        *(int64_t *)s->ret = integer;
    }
    return 0;
}

int env_read(const struct env_setting *settings, char *message, size_t size)
{
    for (const struct env_setting *s = settings; s->name; s++) {
        const char *text = getenv(s->name);
        if (!text || (!*text && s->type != ENV_STRING)) {
            text = s->fallback;
        }
        if (!text || (!*text && !s->fallback)) {
            snprintf(message, size, "%s is not set; it must hold %s", s->name, s->about);
            return -EINVAL;
        }
        int r = read_one(s, text, message, size);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

void env_help(const struct env_setting *settings, FILE *out)
{
    for (const struct env_setting *s = settings; s->name; s++) {
        const char *fallback = !s->fallback ? "(required)" : *s->fallback ? s->fallback : "(empty)";
        fprintf(out, "  %-24s %-18s %s\n", s->name, fallback, s->about);
    }
}
