// SPDX-License-Identifier: Apache-2.0
// Typed reading of the tree, and its messages.
#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "base/units.h"
#include "codec/yaml.h"

const struct yaml_node *yaml_find(const struct yaml_node *map, const char *key)
{
    if (!map || map->type != YAML_MAP) {
        return NULL;
    }
    YAML_FOREACH(it, map)
    {
        if (strcmp(it->key, key) == 0) {
            return it;
        }
    }
    return NULL;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    const struct yaml_node *node = yaml_find(map, key);

    return node && node->type != YAML_NULL ? node : NULL;
}

const char *yaml_path(const struct yaml_node *node, char *buf, unsigned size)
{
    const struct yaml_node *chain[YAML_DEPTH_MAX + 2];
    unsigned depth = 0;
    unsigned at = 0;

    for (; node && node->parent && depth < ARRAY_SIZE(chain); node = node->parent) {
        chain[depth++] = node;
    }
    buf[0] = 0;
    while (depth && at < size) {
        const struct yaml_node *n = chain[--depth];
        int wrote = n->key ? snprintf(buf + at, size - at, "%s%s", at ? "." : "", n->key)
                           : snprintf(buf + at, size - at, "[%u]", n->index);
        at += (unsigned)wrote;
    }
    return buf;
}

static int verror(const struct yaml_node *node, struct err *err, const char *format, va_list args)
{
    char path[200];

    err_vset(err, -EINVAL, format, args);
    if (*yaml_path(node, path, sizeof(path))) {
        err_wrap(err, "%s", path);
    }
    err_at(err, node->file, node->line, node->column);
    return -EINVAL;
}

int yaml_error(const struct yaml_node *node, struct err *err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    verror(node, err, format, args);
    va_end(args);
    return -EINVAL;
}

int yaml_missing(const struct yaml_node *map, const char *key, struct err *err)
{
    char path[200];

    yaml_path(map, path, sizeof(path));
    err_set(err, -EINVAL, "%s%s%s: required, but missing", path, *path ? "." : "", key);
    err_at(err, map->file, map->line, map->column);
    return -EINVAL;
}

const char *yaml_found(const struct yaml_node *node, char *buf, unsigned size)
{
    switch (node->type) {
    case YAML_NULL:
        snprintf(buf, size, "nothing");
        break;
    case YAML_BOOL:
        snprintf(buf, size, "the boolean %.40s", node->text);
        break;
    case YAML_INT:
    case YAML_FLOAT:
        snprintf(buf, size, "the number %.40s", node->text);
        break;
    case YAML_STRING:
        snprintf(buf, size, "the string '%.40s'%s", node->text, node->text_n > 40 ? "…" : "");
        break;
    case YAML_LIST:
        snprintf(buf, size, "a list");
        break;
    case YAML_MAP:
        snprintf(buf, size, "a map");
        break;
    }
    return buf;
}

static int mismatch(const struct yaml_node *node, const char *expected, struct err *err)
{
    char found[96];

    return yaml_error(node, err, "expected %s, found %s", expected,
                      yaml_found(node, found, sizeof(found)));
}

int yaml_expect(const struct yaml_node *node, enum yaml_type type, struct err *err)
{
    static const char *const names[] = {"nothing",  "true or false", "an integer", "a number",
                                        "a string", "a list",        "a map"};

    return node->type == type ? 0 : mismatch(node, names[type], err);
}

int yaml_check_keys(const struct yaml_node *map,
                    const char *const *names,
                    size_t count,
                    struct err *err)
{
    int r = yaml_expect(map, YAML_MAP, err);

    if (r < 0) {
        return r;
    }
    YAML_FOREACH(it, map)
    {
        size_t i = 0;
        while (i < count && strcmp(it->key, names[i]) != 0) {
            i++;
        }
        if (i == count) {
            const char *meant = str_suggest(it->key, names, count);
            yaml_error(it, err, meant ? "unknown field, did you mean '%s'?" : "unknown field",
                       meant);
            err_at(err, it->file, it->key_line, it->key_column);
            return -EINVAL;
        }
    }
    return 0;
}

int yaml_string(const struct yaml_node *node, const char **ret_text, struct err *err)
{
    if (node->type == YAML_INT || node->type == YAML_FLOAT || node->type == YAML_BOOL) {
        char found[96];
        return yaml_error(node, err, "expected a string, found %s: put it in quotes",
                          yaml_found(node, found, sizeof(found)));
    }
    if (node->type != YAML_STRING) {
        return mismatch(node, "a string", err);
    }
    if (strlen(node->text) != node->text_n) {
        return yaml_error(node, err, "must not contain a zero byte");
    }
    *ret_text = node->text;
    return 0;
}

int yaml_text(const struct yaml_node *node, const char **ret_text, struct err *err)
{
    if (node->type == YAML_INT || node->type == YAML_FLOAT || node->type == YAML_BOOL) {
        *ret_text = node->text;
        return 0;
    }
    return yaml_string(node, ret_text, err);
}

int yaml_int(
    const struct yaml_node *node, int64_t min, int64_t max, int64_t *ret_value, struct err *err)
{
    int64_t value;

    if (node->type == YAML_INT) {
        value = node->integer;
    } else if (node->type == YAML_FLOAT && fabs(node->real) < 9e15 &&
               node->real == floor(node->real)) {
        value = (int64_t)node->real;
    } else {
        return mismatch(node, "an integer", err);
    }
    if (value < min || value > max) {
        return max == INT64_MAX
                   ? yaml_error(node, err, "%lld is below %lld", (long long)value, (long long)min)
                   : yaml_error(node, err, "%lld is not from %lld to %lld", (long long)value,
                                (long long)min, (long long)max);
    }
    *ret_value = value;
    return 0;
}

int yaml_bool(const struct yaml_node *node, bool *ret_value, struct err *err)
{
    if (node->type != YAML_BOOL) {
        return mismatch(node, "true or false", err);
    }
    *ret_value = node->boolean;
    return 0;
}

int yaml_double(const struct yaml_node *node, double *ret_value, struct err *err)
{
    if (node->type == YAML_INT) {
        *ret_value = (double)node->integer;
        return 0;
    }
    if (node->type != YAML_FLOAT || !isfinite(node->real)) {
        return mismatch(node, "a number", err);
    }
    *ret_value = node->real;
    return 0;
}

int yaml_duration(const struct yaml_node *node, nsec_t *ret_value, struct err *err)
{
    nsec_t value;

    if (node->type != YAML_STRING && node->type != YAML_INT) {
        return mismatch(node, "a duration such as 30s or 1m30s", err);
    }
    if (units_parse_duration_unit((struct slice){node->text, node->text_n}, &value) < 0) {
        return mismatch(node, "a duration with its unit, such as 30s or 1m30s", err);
    }
    if (value < 0) {
        return yaml_error(node, err, "must not be negative");
    }
    *ret_value = value;
    return 0;
}

int yaml_quantity(const struct yaml_node *node, quantity_t *ret_value, struct err *err)
{
    if (node->type != YAML_STRING && node->type != YAML_INT && node->type != YAML_FLOAT) {
        return mismatch(node, "a quantity such as 500m, 2 or 64Mi", err);
    }
    int r = quantity_parse((struct slice){node->text, node->text_n}, ret_value);
    if (r == -ERANGE) {
        return yaml_error(node, err, "the quantity '%.40s' is too large", node->text);
    }
    return r < 0 ? mismatch(node, "a quantity such as 500m, 2 or 64Mi", err) : 0;
}
