// SPDX-License-Identifier: Apache-2.0
#include "codec/yaml_scalar.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define TAG_PREFIX "tag:yaml.org,2002:"

enum { NUMBER_MAX = 64 };

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool resolve_word(struct yaml_node *n)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const trues[] = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                        "True", "TRUE", "on",  "On",  "ON"};
    static const char *const falses[] = {"n",     "N",     "no",  "No",  "NO", "false",
                                         "False", "FALSE", "off", "Off", "OFF"};
    static const char *const infinite[] = {".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"};
    static const char *const negative[] = {"-.inf", "-.Inf", "-.INF"};
    static const char *const nans[] = {".nan", ".NaN", ".NAN"};

    if (is_one_of(n->text, nulls, ARRAY_SIZE(nulls))) {
        n->type = YAML_NULL;
    } else if (is_one_of(n->text, trues, ARRAY_SIZE(trues))) {
        n->type = YAML_BOOL;
        n->boolean = true;
    } else if (is_one_of(n->text, falses, ARRAY_SIZE(falses))) {
        n->type = YAML_BOOL;
        n->boolean = false;
    } else if (is_one_of(n->text, infinite, ARRAY_SIZE(infinite))) {
        n->type = YAML_FLOAT;
        n->real = (double)INFINITY;
    } else if (is_one_of(n->text, negative, ARRAY_SIZE(negative))) {
        n->type = YAML_FLOAT;
        n->real = -(double)INFINITY;
    } else if (is_one_of(n->text, nans, ARRAY_SIZE(nans))) {
        n->type = YAML_FLOAT;
        n->real = (double)NAN;
    } else {
        return false;
    }
    return true;
}

static bool resolve_integer(struct yaml_node *n, const char *digits)
{
    const char *p = digits + (*digits == '-' || *digits == '+');
    int base = 10;
    char *end;

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    } else if (p[0] == '0' && (p[1] == 'b' || p[1] == 'B')) {
        base = 2;
        p += 2;
    } else if (p[0] == '0' && (p[1] == 'o' || p[1] == 'O')) {
        base = 8;
        p += 2;
    } else if (p[0] == '0' && p[1]) {
        base = 8;
    }
    if (!isxdigit((unsigned char)*p)) {
        return false;
    }
    errno = 0;
    unsigned long long value = strtoull(p, &end, base);
    if (*end || errno) {
        return false;
    }
    bool negative = *digits == '-';
    if (value > (unsigned long long)INT64_MAX + negative) {
        return false; // read as a float
    }
    n->type = YAML_INT;
    n->integer = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
static bool resolve_float(struct yaml_node *n, const char *text)
{
    const char *p = text + (*text == '-' || *text == '+');
    size_t whole = strspn(p, "0123456789");

    p += whole;
    if (*p == '.') {
        size_t fraction = strspn(p + 1, "0123456789");
        p += 1 + fraction;
        whole += fraction;
    }
    if (!whole) {
        return false;
    }
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '-' || p[1] == '+');
        size_t digits = strspn(p, "0123456789");
        if (!digits) {
            return false;
        }
        p += digits;
    }
    if (*p) {
        return false;
    }
    n->type = YAML_FLOAT;
    n->real = strtod(text, NULL);
    return true;
}

static void resolve_plain(struct yaml_node *n)
{
    char digits[NUMBER_MAX];
    size_t at = 0;

    if (resolve_word(n)) {
        return;
    }
    if (n->text_n >= NUMBER_MAX || !strchr("+-.0123456789", n->text[0])) {
        return;
    }
    for (const char *p = n->text; *p; p++) {
        if (*p != '_') {
            digits[at++] = *p;
        }
    }
    digits[at] = 0;
    if (!resolve_integer(n, digits)) {
        resolve_float(n, digits);
    }
}

bool yaml_scalar_resolve(struct yaml_node *n, bool plain, struct slice tag)
{
    n->type = YAML_STRING;
    if (!tag.n) {
        if (plain) {
            resolve_plain(n);
        }
        return true;
    }
    if (slice_eqs(tag, "!") || slice_eqs(tag, TAG_PREFIX "str")) {
        return true;
    }
    resolve_plain(n);
    if (slice_eqs(tag, TAG_PREFIX "float") && n->type == YAML_INT) {
        n->type = YAML_FLOAT;
        n->real = (double)n->integer;
    }
    return (n->type == YAML_INT && slice_eqs(tag, TAG_PREFIX "int")) ||
           (n->type == YAML_FLOAT && slice_eqs(tag, TAG_PREFIX "float")) ||
           (n->type == YAML_BOOL && slice_eqs(tag, TAG_PREFIX "bool")) ||
           (n->type == YAML_NULL && slice_eqs(tag, TAG_PREFIX "null"));
}
