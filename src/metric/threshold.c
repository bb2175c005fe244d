// SPDX-License-Identifier: Apache-2.0
#include "metric/threshold.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/units.h"

static const char *const agg_names[] = {"count", "rate", "value", "avg", "min", "max", "med"};
// Longer operators first.
static const struct {
    const char *text;
    enum threshold_op op;
} operators[] = {
    {"===", OP_EQUAL},        {"==", OP_EQUAL}, {"!=", OP_NOT_EQUAL}, {"<=", OP_LESS_EQUAL},
    {">=", OP_GREATER_EQUAL}, {"<", OP_LESS},   {">", OP_GREATER},
};

static bool number_is_plain(struct slice s)
{
    if (s.n && s.p[0] == '-') {
        s.p++;
        s.n--;
    }
    for (size_t i = 0; i < s.n; i++) {
        if (!isdigit((unsigned char)s.p[i]) && s.p[i] != '.') {
            return false;
        }
    }
    return s.n > 0;
}

static int parse_agg(struct slice name, struct threshold *t)
{
    for (unsigned i = 0; i < ARRAY_SIZE(agg_names); i++) {
        if (slice_eqs(name, agg_names[i])) {
            t->agg = (enum threshold_agg)i;
            return 0;
        }
    }
    if (name.n > 3 && name.p[0] == 'p' && name.p[1] == '(' && name.p[name.n - 1] == ')') {
        struct slice number = slice_trim((struct slice){name.p + 2, name.n - 3});
        t->agg = THRESHOLD_PERCENTILE;
        if (number_is_plain(number) && units_parse_double(number, &t->percentile) == 0 &&
            t->percentile >= 0 && t->percentile <= 100) {
            return 0;
        }
    }
    return -EINVAL;
}

int threshold_parse(const char *text, struct threshold *ret_threshold, struct err *err)
{
    struct threshold t = {0};
    size_t at = strcspn(text, "<>=!");

    if (parse_agg(slice_trim((struct slice){text, at}), &t) < 0) {
        return err_set(err, -EINVAL,
                       "malformed threshold expression '%s': failed parsing its aggregation; "
                       "use count, rate, value, avg, min, max, med or p(N) with N from 0 to 100",
                       text);
    }
    size_t length = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(operators) && !length; i++) {
        if (str_starts(text + at, operators[i].text)) {
            t.op = operators[i].op;
            length = strlen(operators[i].text);
        }
    }
    if (!length) {
        return err_set(err, -EINVAL,
                       "malformed threshold expression '%s': failed parsing its operator; "
                       "use one of < <= > >= == === !=",
                       text);
    }
    struct slice number = slice_trim(slice_of(text + at + length));
    if (!number_is_plain(number) || units_parse_double(number, &t.limit) < 0) {
        return err_set(err, -EINVAL,
                       "malformed threshold expression '%s': failed parsing its value; "
                       "it is a plain number without a unit",
                       text);
    }
    t.source = xstrdup(text);
    *ret_threshold = t;
    return 0;
}

void threshold_fini(struct threshold *t)
{
    free(t->source);
    t->source = NULL;
}

static struct slice unquote(struct slice s)
{
    s = slice_trim(s);
    while (s.n && (s.p[0] == '"' || s.p[0] == '\'')) {
        s.p++;
        s.n--;
    }
    while (s.n && (s.p[s.n - 1] == '"' || s.p[s.n - 1] == '\'')) {
        s.n--;
    }
    return s;
}

int threshold_parse_key(const char *key,
                        struct slice *ret_name,
                        struct submetric *ret_submetric,
                        struct err *err)
{
    struct slice rest = slice_of(key);
    const char *brace = strchr(key, '{');

    *ret_submetric = (struct submetric){0};
    if (!brace) {
        *ret_name = rest;
        return 0;
    }
    if (key[rest.n - 1] != '}') {
        return err_set(err, -EINVAL, "threshold key '%s': '}' is missing at its end", key);
    }
    *ret_name = (struct slice){key, (size_t)(brace - key)};
    rest = (struct slice){brace + 1, rest.n - (size_t)(brace - key) - 2};
    if (slice_trim(rest).n == 0) {
        return err_set(err, -EINVAL, "threshold key '%s': no tags between the braces", key);
    }
    unsigned cap = 0;
    while (rest.n) {
        struct slice value = slice_cut(&rest, ','), name = slice_cut(&value, ':');
        ARRAY_RESERVE(ret_submetric->selectors, ret_submetric->selector_count, cap);
        name = unquote(name);
        value = unquote(value);
        ret_submetric->selectors[ret_submetric->selector_count++] = (struct tag){
            xstrndup(name.n ? name.p : "", name.n), xstrndup(value.n ? value.p : "", value.n)};
    }
    ret_submetric->name = xstrdup(key);
    return 0;
}

int threshold_check_type(const struct threshold *t, const struct metric *m, struct err *err)
{
    static const unsigned legal[] = {
        [METRIC_COUNTER] = 1u << THRESHOLD_COUNT | 1u << THRESHOLD_RATE,
        [METRIC_GAUGE] = 1u << THRESHOLD_VALUE,
        [METRIC_RATE] = 1u << THRESHOLD_RATE,
        [METRIC_TREND] = 1u << THRESHOLD_AVG | 1u << THRESHOLD_MIN | 1u << THRESHOLD_MAX |
                         1u << THRESHOLD_MED | 1u << THRESHOLD_PERCENTILE,
    };
    static const char *const names[] = {
        [METRIC_COUNTER] = "count, rate",
        [METRIC_GAUGE] = "value",
        [METRIC_RATE] = "rate",
        [METRIC_TREND] = "avg, min, max, med, p(N)",
    };

    if (legal[m->type] & 1u << t->agg) {
        return 0;
    }
    return err_set(err, -EINVAL,
                   "threshold '%s' on metric '%s' of type %s: unsupported aggregation method; "
                   "supported are %s",
                   t->source, m->name, metric_type_name(m->type), names[m->type]);
}

static double actual_value(const struct threshold *t, const struct metric_result *r, nsec_t elapsed)
{
    switch (t->agg) {
    case THRESHOLD_COUNT:
        return r->sum;
    case THRESHOLD_RATE:
        if (r->metric->type == METRIC_RATE) {
            return r->count ? (double)r->trues / (double)r->count : 0;
        }
        return elapsed > 0 ? r->sum / ((double)elapsed / NSEC_PER_SEC) : 0;
    case THRESHOLD_VALUE:
        return r->last;
    case THRESHOLD_AVG:
        return r->count ? r->sum / (double)r->count : 0;
    case THRESHOLD_MIN:
        return r->min;
    case THRESHOLD_MAX:
        return r->max;
    case THRESHOLD_MED:
        return metric_result_percentile(r, 50);
    case THRESHOLD_PERCENTILE:
        return metric_result_percentile(r, t->percentile);
    }
    return 0;
}

static bool holds(const struct threshold *t, double v)
{
    switch (t->op) {
    case OP_LESS:
        return v < t->limit;
    case OP_LESS_EQUAL:
        return v <= t->limit;
    case OP_GREATER:
        return v > t->limit;
    case OP_GREATER_EQUAL:
        return v >= t->limit;
    case OP_EQUAL:
        return v == t->limit;
    case OP_NOT_EQUAL:
        return v != t->limit;
    }
    return false;
}

bool threshold_set_evaluate(struct threshold_set *set,
                            const struct aggregate *results,
                            nsec_t elapsed,
                            bool final)
{
    struct metric_result r;
    bool stop = false;
    const char *name = set->submetric ? set->submetric->name : set->key;

    if (!aggregate_find(results, name, &r) || (r.count == 0 && !final)) {
        return false;
    }
    for (unsigned i = 0; i < set->count; i++) {
        struct threshold *t = &set->items[i];
        t->actual = actual_value(t, &r, elapsed);
        // A rate without samples passes whatever is asked of it.
        t->crossed = !(r.count == 0 && r.metric->type == METRIC_RATE) && !holds(t, t->actual);
        stop |= t->crossed && t->abort_on_fail && elapsed > t->delay_abort;
    }
    return stop;
}
