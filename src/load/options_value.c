// SPDX-License-Identifier: Apache-2.0
#include "load/options_value.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/units.h"

static int wrong(struct err *err, const char *what, json_t *value, const char *wanted)
{
    CLEANUP_FREE char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    return err_set(err, -EINVAL, "'%s' is %.80s, but must be %s", what, text ? text : "?", wanted);
}

static int check_count(json_t *value, const char *what, json_t **ret, struct err *err)
{
    int64_t n;

    if (json_is_string(value)) {
        if (json_string_length(value) == 0) {
            return 0;
        }
        if (units_parse_int(slice_of(json_string_value(value)), &n) < 0) {
            return wrong(err, what, value, "a whole number");
        }
    } else if (json_is_integer(value)) {
        n = json_integer_value(value);
    } else if (json_is_real(value) && json_real_value(value) == floor(json_real_value(value)) &&
               fabs(json_real_value(value)) < 9e15) {
        n = (int64_t)json_real_value(value);
    } else {
        return wrong(err, what, value, "a whole number");
    }
    if (n < 0) {
        return wrong(err, what, value, "0 or more");
    }
    *ret = json_integer(n);
    return 0;
}

static json_t *duration_json(nsec_t d)
{
    char text[40];

    return json_string(units_format_duration(d, text, sizeof(text)));
}

static int check_duration(json_t *value, const char *what, json_t **ret, struct err *err)
{
    nsec_t d;

    if (json_is_number(value)) {
        double ms = json_number_value(value);
        if (fabs(ms) > 9e12) {
            return wrong(err, what, value, "a duration below 292 years");
        }
        d = (nsec_t)(ms * NSEC_PER_MSEC);
    } else if (!json_is_string(value) ||
               units_parse_duration(slice_of(json_string_value(value)), &d) < 0) {
        return wrong(err, what, value, "a duration such as \"1m30s\" or a number of milliseconds");
    }
    if (d < 0) {
        return wrong(err, what, value, "a duration that is not negative");
    }
    *ret = duration_json(d);
    return 0;
}

static int check_list(json_t *value, const char *what, json_t **ret, struct err *err)
{
    size_t i;
    json_t *item;

    if (!json_is_array(value)) {
        return wrong(err, what, value, "a list of texts");
    }
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item)) {
            return wrong(err, what, value, "a list of texts");
        }
    }
    *ret = json_deep_copy(value);
    return 0;
}

static int check_tags(json_t *value, const char *what, json_t **ret, struct err *err)
{
    const char *key;
    json_t *item;

    if (!json_is_object(value)) {
        return wrong(err, what, value, "an object of texts");
    }
    json_object_foreach(value, key, item)
    {
        if (!json_is_string(item)) {
            return wrong(err, what, value, "an object of texts");
        }
    }
    *ret = json_deep_copy(value);
    return 0;
}

static int check_stages(json_t *value, const char *what, json_t **ret, struct err *err)
{
    json_t *list, *stage;
    size_t i;

    if (!json_is_array(value)) {
        return wrong(err, what, value, "a list of {duration, target}");
    }
    list = json_array();
    json_array_foreach(value, i, stage)
    {
        json_t *duration = NULL, *target = NULL, *v;
        const char *key;
        int r = json_is_object(stage) ? 0 : wrong(err, what, stage, "{duration, target}");
        json_object_foreach(stage, key, v)
        {
            if (r == 0 && strcmp(key, "duration") == 0) {
                r = check_duration(v, "duration", &duration, err);
            } else if (r == 0 && strcmp(key, "target") == 0) {
                r = json_is_null(v) ? 0 : check_count(v, "target", &target, err);
            } else if (r == 0) {
                r = err_set(err, -EINVAL, "unknown field '%s' in a stage", key);
            }
        }
        if (r == 0 && !duration) {
            r = err_set(err, -EINVAL, "stage %zu of '%s' has no duration", i + 1, what);
        }
        if (r < 0) {
            json_decref(duration);
            json_decref(target);
            json_decref(list);
            return r;
        }
        json_array_append_new(list, json_pack("{s:o,s:o}", "duration", duration, "target",
                                              target ? target : json_integer(0)));
    }
    *ret = list;
    return 0;
}

int value_check(
    enum option_kind kind, json_t *value, const char *what, json_t **ret_value, struct err *err)
{
    *ret_value = NULL;
    if (!value || json_is_null(value)) {
        return 0;
    }
    switch (kind) {
    case KIND_COUNT:
        return check_count(value, what, ret_value, err);
    case KIND_DURATION:
        return check_duration(value, what, ret_value, err);
    case KIND_LIST:
        return check_list(value, what, ret_value, err);
    case KIND_TAGS:
        return check_tags(value, what, ret_value, err);
    case KIND_STAGES:
        return check_stages(value, what, ret_value, err);
    case KIND_STRING:
    case KIND_OPTIONAL:
        if (!json_is_string(value)) {
            return wrong(err, what, value, "a text");
        }
        break;
    case KIND_BOOL:
        if (!json_is_boolean(value)) {
            return wrong(err, what, value, "true or false");
        }
        break;
    case KIND_SCENARIOS:
    case KIND_DNS:
        if (!json_is_object(value)) {
            return wrong(err, what, value, "an object");
        }
        break;
    case KIND_SIZE:
        if (json_is_string(value)) {
            return value_parse(kind, json_string_value(value), what, NULL, ret_value, err);
        }
        return check_count(value, what, ret_value, err);
    case KIND_JSON:
        break;
    }
    *ret_value = json_incref(value);
    return 0;
}

// Calls add() for each piece between commas.
static int split(const char *text,
                 const char *what,
                 json_t *into,
                 struct err *err,
                 int (*add)(json_t *into, struct slice piece, const char *what, struct err *err))
{
    struct slice rest = slice_of(text);

    while (rest.n) {
        int r = add(into, slice_trim(slice_cut(&rest, ',')), what, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int add_piece(json_t *into, struct slice piece, const char *what, struct err *err)
{
    json_array_append_new(into, json_stringn(piece.p, piece.n));
    return 0;
}

static int add_stage(json_t *into, struct slice piece, const char *what, struct err *err)
{
    struct slice duration = slice_cut(&piece, ':');
    nsec_t d;
    int64_t target;

    if (units_parse_duration(duration, &d) < 0 || d < 0 || units_parse_int(piece, &target) < 0 ||
        target < 0) {
        return err_set(err, -EINVAL, "'%s': a stage is DURATION:VUS, as in 30s:10", what);
    }
    json_array_append_new(
        into, json_pack("{s:o,s:I}", "duration", duration_json(d), "target", (json_int_t)target));
    return 0;
}

static int add_pair(json_t *into, struct slice piece, const char *what, struct err *err)
{
    const char *equals = memchr(piece.p, '=', piece.n);
    struct slice name = slice_cut(&piece, '=');

    if (!equals || !name.n || !piece.n) {
        return err_set(err, -EINVAL, "'%s': '%.*s' is not of the form NAME=VALUE", what,
                       (int)name.n, name.p);
    }
    CLEANUP_FREE char *key = xstrndup(name.p, name.n);
    json_object_set_new(into, key, json_stringn(piece.p, piece.n));
    return 0;
}

int value_parse(enum option_kind kind,
                const char *text,
                const char *what,
                json_t *into,
                json_t **ret_value,
                struct err *err)
{
    json_t *v = NULL;
    uint64_t bytes;
    int r = 0;

    *ret_value = NULL;
    switch (kind) {
    case KIND_COUNT:
    case KIND_DURATION:
    case KIND_STRING:
    case KIND_OPTIONAL:
        v = json_string(text);
        if (!v) {
            return err_set(err, -EINVAL, "'%s' is not UTF-8", what);
        }
        r = value_check(kind, v, what, ret_value, err);
        json_decref(v);
        return r;
    case KIND_BOOL:
        if (strcmp(text, "true") == 0 || strcmp(text, "1") == 0 || strcmp(text, "t") == 0) {
            *ret_value = json_true();
        } else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0 || strcmp(text, "f") == 0) {
            *ret_value = json_false();
        } else {
            return err_set(err, -EINVAL, "'%s' is '%s', but must be true or false", what, text);
        }
        return 0;
    case KIND_LIST:
    case KIND_STAGES:
        v = into ? json_incref(into) : json_array();
        r = split(text, what, v, err, kind == KIND_LIST ? add_piece : add_stage);
        break;
    case KIND_TAGS:
    case KIND_DNS:
        v = into ? json_incref(into) : json_object();
        r = kind == KIND_TAGS && into ? add_pair(v, slice_of(text), what, err)
                                      : split(text, what, v, err, add_pair);
        break;
    case KIND_SIZE:
        if (units_parse_bytes(slice_of(text), &bytes) < 0) {
            return err_set(err, -EINVAL, "'%s' is '%s', but must be a size such as 64MiB", what,
                           text);
        }
        v = json_integer((json_int_t)bytes);
        break;
    case KIND_SCENARIOS:
    case KIND_JSON:
        v = json_loads(text, JSON_DECODE_ANY, NULL);
        if (!v) {
            return err_set(err, -EINVAL, "'%s' is not JSON", what);
        }
        break;
    }
    if (r < 0) {
        json_decref(v);
        return r;
    }
    *ret_value = v;
    return 0;
}

int64_t value_int(const json_t *v, int64_t missing)
{
    return json_is_integer(v) ? json_integer_value(v) : missing;
}

nsec_t value_duration(const json_t *v, nsec_t missing)
{
    nsec_t d;

    return json_is_string(v) && units_parse_duration(slice_of(json_string_value(v)), &d) == 0
               ? d
               : missing;
}

bool value_bool(const json_t *v, bool missing)
{
    return json_is_boolean(v) ? json_is_true(v) : missing;
}

char *value_string(const json_t *v, const char *missing)
{
    const char *s = json_is_string(v) ? json_string_value(v) : missing;

    return s ? xstrdup(s) : NULL;
}

char **value_strings(const json_t *v)
{
    if (!json_is_array(v)) {
        return NULL;
    }
    char **list = xcalloc(json_array_size(v) + 1, sizeof(*list));
    for (size_t i = 0; i < json_array_size(v); i++) {
        list[i] = value_string(json_array_get(v, i), "");
    }
    return list;
}
