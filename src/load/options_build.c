// SPDX-License-Identifier: Apache-2.0
#include "load/options_build.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "load/tags.h"

#define VERSION_TEXT "0.1.0"

static const char default_stats[] = "avg,min,med,max,p(90),p(95)";

// The scenario of the shortcuts, as JSON.
static json_t *shortcut(json_t *m)
{
    json_t *vus = json_object_get(m, "vus"), *duration = json_object_get(m, "duration");
    json_t *iterations = json_object_get(m, "iterations"), *stages = json_object_get(m, "stages");
    json_t *s = json_object();
    const char *executor = "per-vu-iterations";

    if (stages) {
        executor = "ramping-vus";
        json_object_set(s, "stages", stages);
        json_object_set(s, "startVUs", vus);
    } else if (iterations || (vus && !duration)) {
        executor = "shared-iterations";
        json_object_set(s, "vus", vus);
        json_object_set(s, "iterations", iterations ? iterations : vus);
        json_object_set(s, "maxDuration", duration);
    } else if (duration) {
        executor = "constant-vus";
        json_object_set(s, "vus", vus);
        json_object_set(s, "duration", duration);
    }
    json_object_set_new(s, "executor", json_string(executor));
    return json_pack("{s:o}", "default", s);
}

static int compare_scenarios(const void *a, const void *b)
{
    const struct scenario_options *x = a, *y = b;

    return x->start_time != y->start_time ? (x->start_time > y->start_time ? 1 : -1)
                                          : strcmp(x->name, y->name);
}

static int fill_scenarios(struct run_options *o, struct err *err)
{
    json_t *given = json_object_get(o->merged, "scenarios");
    json_t *list = json_object_size(given) ? json_incref(given) : shortcut(o->merged);
    json_t *canonical = json_object(), *value;
    const char *name;
    int r = 0;

    o->scenarios = xcalloc(json_object_size(list) + 1, sizeof(*o->scenarios));
    json_object_foreach(list, name, value)
    {
        json_t *one = NULL;
        r = r == 0 ? scenario_parse(name, value, &o->scenarios[o->scenario_count], &one, err) : r;
        if (one) {
            o->scenario_count++;
            json_object_set_new(canonical, name, one);
        }
    }
    json_decref(list);
    json_object_set_new(o->merged, "scenarios", canonical);
    qsort(o->scenarios, o->scenario_count, sizeof(*o->scenarios), compare_scenarios);
    return r;
}

static int parse_threshold(struct threshold *t, json_t *value, const char *key, struct err *err)
{
    json_t *text = json_is_object(value) ? json_object_get(value, "threshold") : value;
    json_t *v, *delay = NULL;
    const char *field;

    if (!json_is_string(text)) {
        return err_set(err, -EINVAL,
                       "thresholds of '%s': each must be a text or {threshold, abortOnFail, "
                       "delayAbortEval}",
                       key);
    }
    int r = threshold_parse(json_string_value(text), t, err);
    if (r < 0) {
        return err_wrap(err, "thresholds of '%s'", key);
    }
    json_object_foreach(value, field, v)
    {
        if (strcmp(field, "abortOnFail") == 0 && json_is_boolean(v)) {
            t->abort_on_fail = json_is_true(v);
        } else if (strcmp(field, "delayAbortEval") == 0) {
            r = r == 0 ? value_check(KIND_DURATION, v, field, &delay, err) : r;
            t->delay_abort = value_duration(delay, 0);
            json_decref(delay);
        } else if (strcmp(field, "threshold") != 0 && r == 0) {
            r = err_set(err, -EINVAL, "thresholds of '%s': bad field '%s'", key, field);
        }
    }
    return r;
}

static int fill_thresholds(struct run_options *o, struct err *err)
{
    json_t *given = json_object_get(o->merged, "thresholds"), *list;
    const char *key;
    int r = 0;

    if (given && !json_is_object(given)) {
        return err_set(err, -EINVAL, "'thresholds' must be an object of lists");
    }
    o->thresholds = xcalloc(json_object_size(given) + 1, sizeof(*o->thresholds));
    json_object_foreach(given, key, list)
    {
        if (!json_is_array(list)) {
            return err_set(err, -EINVAL, "thresholds of '%s' must be a list, as in ['rate<0.01']",
                           key);
        }
        struct threshold_set *set = &o->thresholds[o->threshold_count++];
        set->key = xstrdup(key);
        set->items = xcalloc(json_array_size(list) + 1, sizeof(*set->items));
        for (size_t i = 0; i < json_array_size(list) && r == 0; i++) {
            r = parse_threshold(&set->items[set->count++], json_array_get(list, i), key, err);
        }
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int fill_system_tags(struct run_options *o, struct err *err)
{
    static const struct {
        const char *name;
        bool on;
    } names[] = {
#define SYSTEM_TAG(id, name, on) {name, on},
#include "tbl/system_tags.h"
#undef SYSTEM_TAG
    };
    json_t *list = json_object_get(o->merged, "systemTags");

    for (unsigned i = 0; !list && i < SYSTEM_TAG_N_; i++) {
        o->system_tags |= names[i].on ? 1u << i : 0;
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        unsigned tag = 0;
        while (tag < SYSTEM_TAG_N_ && strcmp(names[tag].name, name) != 0) {
            tag++;
        }
        if (tag < SYSTEM_TAG_N_) {
            o->system_tags |= 1u << tag;
        } else {
            log_warn("unknown system tag '%s'", name);
        }
    }
    return 0;
}

static int fill_stats(struct run_options *o, struct err *err)
{
    json_t *list = json_object_get(o->merged, "summaryTrendStats"), *stats = NULL;

    if (!list) {
        (void)value_parse(KIND_LIST, default_stats, "", NULL, &stats, NULL);
        json_object_set_new(o->merged, "summaryTrendStats", stats);
        list = stats;
    }
    o->summary_trend_stats = value_strings(list);
    for (char **s = o->summary_trend_stats; *s; s++) {
        static const char *const names[] = {"avg", "min", "med", "max", "count"};
        bool known = false;
        double p;
        size_t n = strlen(*s);
        for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
            known |= strcmp(*s, names[i]) == 0;
        }
        if (!known &&
            !(n > 3 && str_starts(*s, "p(") && (*s)[n - 1] == ')' &&
              units_parse_double((struct slice){*s + 2, n - 3}, &p) == 0 && p >= 0 && p <= 100)) {
            return err_set(err, -EINVAL,
                           "unknown statistic '%s': use avg, min, med, max, count or p(N)", *s);
        }
    }
    return 0;
}

static int one_of(const char *what, const char *value, const char *const *names, struct err *err)
{
    for (; *names; names++) {
        if (strcmp(value, *names) == 0) {
            return 0;
        }
    }
    return err_set(err, -EINVAL, "'%s' is '%s', which it cannot be", what, value);
}

static void fill_tags(struct run_options *o)
{
    json_t *tags = json_object_get(o->merged, "tags"), *v;
    const char *key;

    o->tags = xcalloc(json_object_size(tags) + 1, sizeof(*o->tags));
    json_object_foreach(tags, key, v)
    {
        o->tags[o->tag_count++] = (struct tag){xstrdup(key), value_string(v, "")};
    }
}

static void fill_plain(struct run_options *o)
{
#define GET(key) json_object_get(o->merged, key)
    o->no_setup = value_bool(GET("noSetup"), false);
    o->no_teardown = value_bool(GET("noTeardown"), false);
    o->no_thresholds = value_bool(GET("noThresholds"), false);
    o->throw_errors = value_bool(GET("throw"), false);
    o->no_connection_reuse = value_bool(GET("noConnectionReuse"), false);
    o->no_vu_connection_reuse = value_bool(GET("noVUConnectionReuse"), false);
    o->no_cookies_reset = value_bool(GET("noCookiesReset"), false);
    o->discard_response_bodies = value_bool(GET("discardResponseBodies"), false);
    o->insecure_skip_tls_verify = value_bool(GET("insecureSkipTLSVerify"), false);
    o->paused = value_bool(GET("paused"), false);
    o->setup_timeout = value_duration(GET("setupTimeout"), 60 * NSEC_PER_SEC);
    o->teardown_timeout = value_duration(GET("teardownTimeout"), 60 * NSEC_PER_SEC);
    o->handle_summary_timeout = value_duration(GET("handleSummaryTimeout"), 120 * NSEC_PER_SEC);
    o->min_iteration_duration = value_duration(GET("minIterationDuration"), 0);
    o->rps = (double)value_int(GET("rps"), 0);
    o->batch = (unsigned)value_int(GET("batch"), 20);
    o->batch_per_host = (unsigned)value_int(GET("batchPerHost"), 6);
    o->max_redirects_set = GET("maxRedirects") != NULL;
    o->max_redirects = (unsigned)value_int(GET("maxRedirects"), 10);
    o->user_agent = value_string(GET("userAgent"), "Plimsoll/" VERSION_TEXT " (k6 script)");
    o->summary_time_unit = value_string(GET("summaryTimeUnit"), "");
    o->summary_mode = value_string(GET("summaryMode"), "compact");
    o->summary_export = value_string(GET("summaryExport"), NULL);
    o->console_output = value_string(GET("consoleOutput"), NULL);
    o->outputs = value_strings(GET("out"));
    o->vu_memory = (uint64_t)value_int(GET("vuMemory"), 0);
    o->cpus = (unsigned)MIN(value_int(GET("cpus"), 0), 1024);
    o->seed_set = GET("seed") != NULL;
    o->seed = (uint64_t)value_int(GET("seed"), 0);
    const char *debug = json_string_value(GET("httpDebug"));
    o->http_debug = !debug || !*debug ? 0 : strcmp(debug, "full") == 0 ? 2 : 1;
#undef GET
}

// What exec.test.options shows: every option of k6, null where nothing was set.
static void finish_merged(struct run_options *o)
{
    static const char *const hidden[] = {
        "vus",  "duration",      "iterations",   "stages",        "vusMax", "summaryMode",
        "out",  "summaryExport", "noThresholds", "consoleOutput", "linger", "noUsageReport",
        "cpus", "seed",          "vuMemory",     "ext",           "cloud",  "localIPs"};
    char text[40];

    for (unsigned i = 0; i < ARRAY_SIZE(hidden); i++) {
        json_object_del(o->merged, hidden[i]);
    }
    for (unsigned i = 0; i < OPTION_N_; i++) {
        bool hide = false;
        for (unsigned j = 0; j < ARRAY_SIZE(hidden); j++) {
            hide |= strcmp(option_table[i].key, hidden[j]) == 0;
        }
        if (!hide && !json_object_get(o->merged, option_table[i].key)) {
            json_object_set_new(o->merged, option_table[i].key, json_null());
        }
    }
    json_object_set_new(o->merged, "maxRedirects", json_integer(o->max_redirects));
    json_object_set_new(o->merged, "batch", json_integer(o->batch));
    json_object_set_new(o->merged, "batchPerHost", json_integer(o->batch_per_host));
    json_object_set_new(o->merged, "userAgent", json_string(o->user_agent));
    json_object_set_new(o->merged, "setupTimeout",
                        json_string(units_format_duration(o->setup_timeout, text, sizeof(text))));
    json_object_set_new(
        o->merged, "teardownTimeout",
        json_string(units_format_duration(o->teardown_timeout, text, sizeof(text))));
    if (!json_is_object(json_object_get(o->merged, "thresholds"))) {
        json_object_set_new(o->merged, "thresholds", json_object());
    }
}

int options_fill(struct run_options *o, struct err *err)
{
    static const char *const modes[] = {"compact", "full", "disabled", NULL};
    static const char *const units[] = {"", "s", "ms", "us", NULL};
    int64_t most = value_int(json_object_get(o->merged, "vusMax"), INT64_MAX);
    json_t *duration = json_object_get(o->merged, "duration");

    if (duration && value_duration(duration, 0) <= 0) {
        return err_set(err, -EINVAL, "'duration' must be more than 0");
    }
    fill_plain(o);
    fill_tags(o);
    int r = fill_scenarios(o, err);
    r = r == 0 ? fill_thresholds(o, err) : r;
    r = r == 0 ? fill_system_tags(o, err) : r;
    r = r == 0 ? fill_stats(o, err) : r;
    r = r == 0 ? one_of("summaryMode", o->summary_mode, modes, err) : r;
    r = r == 0 ? one_of("summaryTimeUnit", o->summary_time_unit, units, err) : r;
    r = r == 0 ? options_parse_segment(
                     o, json_string_value(json_object_get(o->merged, "executionSegment")),
                     json_string_value(json_object_get(o->merged, "executionSegmentSequence")), err)
               : r;
    if (r == 0 && options_max_vus(o) > (uint64_t)most) {
        r = err_set(err, -EINVAL, "the scenarios may need %llu VUs, but --vus-max is %lld",
                    (unsigned long long)options_max_vus(o), (long long)most);
    }
    if (r == 0) {
        finish_merged(o);
    }
    return r;
}

int options_resolve_thresholds(struct run_options *o,
                               const struct metric_registry *registry,
                               struct err *err)
{
    static const char always[] = "http_req_duration{expected_response:true}";
    struct slice name;

    o->submetrics = xcalloc(o->threshold_count + 1, sizeof(*o->submetrics));
    // Pointers into the array: it must not move, so it has room for all from the start.
    if (o->system_tags & SYSTEM_TAG_BIT(EXPECTED_RESPONSE)) {
        struct submetric *sub = &o->submetrics[o->submetric_count++];
        (void)threshold_parse_key(always, &name, sub, err);
        sub->parent = metric_by_id(registry, METRIC_HTTP_REQ_DURATION);
    }
    for (unsigned i = 0; i < o->threshold_count; i++) {
        struct threshold_set *set = &o->thresholds[i];
        struct submetric sub;
        int r = threshold_parse_key(set->key, &name, &sub, err);
        if (r < 0) {
            return r;
        }
        set->metric = metric_by_name(registry, name);
        for (unsigned j = 0; j < o->submetric_count && sub.name; j++) {
            if (strcmp(o->submetrics[j].name, sub.name) == 0) {
                set->submetric = &o->submetrics[j];
            }
        }
        if (sub.name && !set->submetric && set->metric) {
            o->submetrics[o->submetric_count] = sub;
            o->submetrics[o->submetric_count].parent = set->metric;
            set->submetric = &o->submetrics[o->submetric_count++];
        } else {
            for (unsigned j = 0; j < sub.selector_count; j++) {
                free((char *)sub.selectors[j].key);
                free((char *)sub.selectors[j].value);
            }
            free(sub.selectors);
            free(sub.name);
        }
        if (!set->metric) {
            return err_set(err, -EINVAL,
                           "invalid threshold defined on %s: no metric of name '%.*s' found",
                           set->key, (int)name.n, name.p);
        }
        for (unsigned j = 0; j < set->count; j++) {
            r = threshold_check_type(&set->items[j], set->metric, err);
            if (r < 0) {
                return r;
            }
        }
    }
    return 0;
}

static nsec_t end_of(const struct scenario_options *s)
{
    return s->start_time + scenario_duration(s) + s->graceful_stop;
}

uint64_t options_max_vus(const struct run_options *o)
{
    uint64_t most = 0;

    // The most is reached when some scenario starts.
    for (unsigned i = 0; i < o->scenario_count; i++) {
        nsec_t t = o->scenarios[i].start_time;
        uint64_t sum = 0;
        for (unsigned j = 0; j < o->scenario_count; j++) {
            const struct scenario_options *s = &o->scenarios[j];
            sum += s->start_time <= t && t < end_of(s) ? scenario_max_vus(s) : 0;
        }
        most = MAX(most, sum);
    }
    return most;
}

nsec_t options_max_duration(const struct run_options *o)
{
    nsec_t most = 0;

    for (unsigned i = 0; i < o->scenario_count; i++) {
        most = MAX(most, end_of(&o->scenarios[i]));
    }
    return most;
}
