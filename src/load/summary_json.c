// SPDX-License-Identifier: Apache-2.0
// The summary as JSON: data of handleSummary() and the older form of --summary-export.
#include <openssl/evp.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/units.h"
#include "load/summary.h"
#include "load/summary_int.h"

double summary_stat(const struct metric_result *r, const char *stat)
{
    double p;
    size_t n = strlen(stat);

    if (strcmp(stat, "avg") == 0) {
        return r->count ? r->sum / (double)r->count : 0;
    }
    if (strcmp(stat, "min") == 0) {
        return r->min;
    }
    if (strcmp(stat, "max") == 0) {
        return r->max;
    }
    if (strcmp(stat, "med") == 0) {
        return metric_result_percentile(r, 50);
    }
    if (strcmp(stat, "count") == 0) {
        return (double)r->count;
    }
    if (n > 3 && units_parse_double((struct slice){stat + 2, n - 3}, &p) == 0) {
        return metric_result_percentile(r, p);
    }
    return 0;
}

const struct threshold_set *summary_thresholds(const struct summary *s,
                                               const struct metric_result *r)
{
    for (unsigned i = 0; i < s->options->threshold_count && !s->options->no_thresholds; i++) {
        const struct threshold_set *set = &s->options->thresholds[i];
        if (strcmp(set->key, r->name) == 0) {
            return set;
        }
    }
    return NULL;
}

bool summary_shows(const struct summary *s, const struct metric_result *r)
{
    return r->count > 0 || summary_thresholds(s, r);
}

// Whole numbers without a fraction, as JavaScript prints them.
static json_t *number(double v)
{
    return v == (double)(int64_t)v && v < 9e15 && v > -9e15 ? json_integer((json_int_t)v)
                                                            : json_real(v);
}

static double per_second(const struct summary *s, double total)
{
    return s->duration > 0 ? total / ((double)s->duration / NSEC_PER_SEC) : 0;
}

// `share` is the name of a rate's value.
static json_t *values_of(const struct summary *s, const struct metric_result *r, const char *share)
{
    json_t *v = json_object();

    switch (r->metric->type) {
    case METRIC_COUNTER:
        json_object_set_new(v, "count", number(r->sum));
        json_object_set_new(v, "rate", number(per_second(s, r->sum)));
        break;
    case METRIC_GAUGE:
        json_object_set_new(v, "value", number(r->last));
        json_object_set_new(v, "min", number(r->min));
        json_object_set_new(v, "max", number(r->max));
        break;
    case METRIC_RATE:
        json_object_set_new(v, share, number(r->count ? (double)r->trues / (double)r->count : 0));
        json_object_set_new(v, "passes", json_integer((json_int_t)r->trues));
        json_object_set_new(v, "fails", json_integer((json_int_t)(r->count - r->trues)));
        break;
    case METRIC_TREND:
        for (char **stat = s->options->summary_trend_stats; *stat; stat++) {
            json_object_set_new(v, *stat, number(summary_stat(r, *stat)));
        }
        break;
    }
    return v;
}

static void set_id(json_t *o, const char *path)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char md[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned n = 0;

    EVP_Digest(path, strlen(path), md, &n, EVP_md5(), NULL);
    for (unsigned i = 0; i < n; i++) {
        hex[2 * i] = digits[md[i] >> 4];
        hex[2 * i + 1] = digits[md[i] & 15];
    }
    hex[2 * n] = 0;
    json_object_set_new(o, "id", json_string(hex));
}

static json_t *group_new(const char *name, size_t name_n, const char *path, bool keyed)
{
    json_t *g = json_object();

    json_object_set_new(g, "name", json_stringn(name, name_n));
    json_object_set_new(g, "path", json_string(path));
    set_id(g, path);
    json_object_set_new(g, "groups", keyed ? json_object() : json_array());
    json_object_set_new(g, "checks", keyed ? json_object() : json_array());
    return g;
}

static void put(json_t *container, const char *name, json_t *item)
{
    if (json_is_array(container)) {
        json_array_append_new(container, item);
    } else {
        json_object_set_new(container, name, item);
    }
}

static json_t *group_child(json_t *group, const char *name, size_t n, const char *path, bool keyed)
{
    json_t *children = json_object_get(group, "groups"), *g;
    CLEANUP_FREE char *key = xstrndup(name, n);

    if (keyed) {
        g = json_object_get(children, key);
    } else {
        size_t i;
        json_array_foreach(children, i, g)
        {
            if (strcmp(json_string_value(json_object_get(g, "name")), key) == 0) {
                return g;
            }
        }
        g = NULL;
    }
    if (!g) {
        g = group_new(name, n, path, keyed);
        put(children, key, g);
    }
    return g;
}

// The group of a path such as "::a::b", made with those above it.
static json_t *group_at(json_t *root, const char *path, bool keyed)
{
    json_t *group = root;
    const char *at = path;

    while (str_starts(at, "::")) {
        const char *name = at + 2, *end = strstr(name, "::");
        size_t n = end ? (size_t)(end - name) : strlen(name);
        CLEANUP_FREE char *full = xstrndup(path, (size_t)(name - path) + n);
        group = group_child(group, name, n, full, keyed);
        at = name + n;
    }
    return group;
}

static json_t *root_group(const struct summary *s, bool keyed)
{
    json_t *root = group_new("", 0, "", keyed);

    for (unsigned i = 0; i < aggregate_group_count(s->results); i++) {
        (void)group_at(root, aggregate_group(s->results, i), keyed);
    }
    for (unsigned i = 0; i < aggregate_check_count(s->results); i++) {
        struct check_result c;
        aggregate_check(s->results, i, &c);
        json_t *group = group_at(root, c.group, keyed), *check = json_object();
        CLEANUP_FREE char *path = xasprintf("%s::%s", c.group, c.name);
        json_object_set_new(check, "name", json_string(c.name));
        json_object_set_new(check, "path", json_string(path));
        set_id(check, path);
        json_object_set_new(check, "passes", json_integer((json_int_t)c.passes));
        json_object_set_new(check, "fails", json_integer((json_int_t)c.fails));
        put(json_object_get(group, "checks"), c.name, check);
    }
    return root;
}

static json_t *setup_data(const struct summary *s)
{
    json_t *v = s->setup_data ? json_loads(s->setup_data, JSON_DECODE_ANY, NULL) : NULL;

    return v ? v : json_null();
}

json_t *summary_data(const struct summary *s)
{
    json_t *data = json_object(), *metrics = json_object(), *stats = json_array();

    for (unsigned i = 0, n = aggregate_count(s->results); i < n; i++) {
        struct metric_result r;
        aggregate_get(s->results, i, &r);
        if (!summary_shows(s, &r)) {
            continue;
        }
        json_t *m = json_object();
        json_object_set_new(m, "type", json_string(metric_type_name(r.metric->type)));
        json_object_set_new(m, "contains", json_string(metric_contains_name(r.metric->contains)));
        json_object_set_new(m, "values", values_of(s, &r, "rate"));
        const struct threshold_set *set = summary_thresholds(s, &r);
        if (set) {
            json_t *thresholds = json_object();
            for (unsigned j = 0; j < set->count; j++) {
                json_object_set_new(thresholds, set->items[j].source,
                                    json_pack("{s:b}", "ok", !set->items[j].crossed));
            }
            json_object_set_new(m, "thresholds", thresholds);
        }
        json_object_set_new(metrics, r.name, m);
    }
    for (char **stat = s->options->summary_trend_stats; *stat; stat++) {
        json_array_append_new(stats, json_string(*stat));
    }
    json_object_set_new(data, "root_group", root_group(s, false));
    json_object_set_new(data, "options",
                        json_pack("{s:o,s:s,s:b}", "summaryTrendStats", stats, "summaryTimeUnit",
                                  s->options->summary_time_unit, "noColor", !s->colors));
    json_object_set_new(data, "state",
                        json_pack("{s:b,s:b,s:f}", "isStdOutTTY", s->stdout_tty, "isStdErrTTY",
                                  s->stderr_tty, "testRunDurationMs",
                                  (double)s->duration / NSEC_PER_MSEC));
    json_object_set_new(data, "metrics", metrics);
    json_object_set_new(data, "setup_data", setup_data(s));
    return data;
}

json_t *summary_export(const struct summary *s)
{
    json_t *data = json_object(), *metrics = json_object();

    for (unsigned i = 0, n = aggregate_count(s->results); i < n; i++) {
        struct metric_result r;
        aggregate_get(s->results, i, &r);
        if (!summary_shows(s, &r)) {
            continue;
        }
        json_t *m = values_of(s, &r, "value");
        const struct threshold_set *set = summary_thresholds(s, &r);
        if (set) {
            json_t *thresholds = json_object();
            for (unsigned j = 0; j < set->count; j++) { // true = crossed, in this form
                json_object_set_new(thresholds, set->items[j].source,
                                    json_boolean(set->items[j].crossed));
            }
            json_object_set_new(m, "thresholds", thresholds);
        }
        json_object_set_new(metrics, r.name, m);
    }
    json_object_set_new(data, "metrics", metrics);
    json_object_set_new(data, "root_group", root_group(s, true));
    if (s->setup_data) {
        json_object_set_new(data, "setup_data", setup_data(s));
    }
    return data;
}
