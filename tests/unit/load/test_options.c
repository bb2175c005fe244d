// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "load/options.h"
#include "load/tags.h"
#include "unit.h"

static json_t *parse(const char *text)
{
    json_error_t at;
    json_t *v = json_loads(text, 0, &at);

    ck_assert_msg(v != NULL, "%s in %s", at.text, text);
    return v;
}

// Options of a script, then of flags (NULL = none).
static int build(const char *script, const char *flags, struct run_options *o, struct err *err)
{
    struct option_layer layers[2] = {{SOURCE_SCRIPT, "script", parse(script)},
                                     {SOURCE_FLAG, "command line", flags ? parse(flags) : NULL}};
    int r = options_build(layers, flags ? 2 : 1, o, err);

    json_decref(layers[0].values);
    json_decref(layers[1].values);
    return r;
}

static struct run_options good(const char *script, const char *flags)
{
    struct run_options o;
    struct err err = {0};

    ck_assert_msg(build(script, flags, &o, &err) == 0, "%s", err.message);
    return o;
}

START_TEST(shortcuts_make_scenarios)
{
    static const struct {
        const char *script, *flags;
        enum executor executor;
        uint64_t vus, iterations;
    } cases[] = {
        {"{}", NULL, EXECUTOR_PER_VU_ITERATIONS, 1, 1},
        {"{\"vus\": 3, \"duration\": \"10s\"}", NULL, EXECUTOR_CONSTANT_VUS, 3, 1},
        {"{\"vus\": \"3\", \"iterations\": 9}", NULL, EXECUTOR_SHARED_ITERATIONS, 3, 9},
        {"{\"vus\": 3}", NULL, EXECUTOR_SHARED_ITERATIONS, 3, 3},
        {"{\"vus\": 3, \"duration\": \"10s\"}", "{\"iterations\": 7}", EXECUTOR_SHARED_ITERATIONS,
         3, 7},
        {"{\"iterations\": 7}", "{\"vus\": 2}", EXECUTOR_SHARED_ITERATIONS, 2, 7},
        {"{\"scenarios\": {\"a\": {\"executor\": \"constant-vus\", \"duration\": \"5s\"}}}",
         "{\"vus\": 4}", EXECUTOR_SHARED_ITERATIONS, 4, 4},
        {"{\"stages\": [{\"duration\": \"2s\", \"target\": 5}]}", NULL, EXECUTOR_RAMPING_VUS, 5, 1},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run_options o = good(cases[i].script, cases[i].flags);
        ck_assert_uint_eq(o.scenario_count, 1);
        ck_assert_msg(o.scenarios[0].executor == cases[i].executor, "case %u", i);
        ck_assert_uint_eq(scenario_max_vus(&o.scenarios[0]), cases[i].vus);
        ck_assert_uint_eq(o.scenarios[0].iterations, cases[i].iterations);
        ck_assert_str_eq(o.scenarios[0].name, "default");
        options_fini(&o);
    }
}
END_TEST

START_TEST(bad_options_are_refused_by_name)
{
    static const struct {
        const char *script, *says;
    } cases[] = {
        {"{\"vus\": \"many\"}", "'vus'"},
        {"{\"vus\": 1.5}", "'vus'"},
        {"{\"vus\": -1}", "'vus'"},
        {"{\"duration\": \"5 parsecs\"}", "'duration'"},
        {"{\"duration\": 0}", "'duration'"},
        {"{\"noSetup\": \"yes\"}", "'noSetup'"},
        {"{\"iterations\": 3, \"stages\": [{\"duration\": \"1s\", \"target\": 1}]}", "two ways"},
        {"{\"iterations\": 1, \"vus\": 2}", "cannot be less"},
        {"{\"scenarios\": {\"a b\": {\"executor\": \"constant-vus\"}}}", "scenario 'a b'"},
        {"{\"scenarios\": {\"a\": {\"executor\": \"constant-vu\"}}}",
         "did you mean 'constant-vus'"},
        {"{\"scenarios\": {\"a\": {\"vus\": 1}}}", "'executor' is missing"},
        {"{\"scenarios\": {\"a\": {\"executor\": \"constant-vus\", \"vus\": 1}}}",
         "'duration' is missing"},
        {"{\"scenarios\": {\"a\": {\"executor\": \"constant-vus\", \"duration\": \"1s\", \"rates\": 1}}}",
         "'rates'"},
        {"{\"scenarios\": {\"a\": {\"executor\": \"constant-vus\", \"duration\": \"0s\"}}}",
         "at least 1s"},
        {"{\"scenarios\": {\"a\": {\"executor\": \"constant-arrival-rate\", \"rate\": 5, \"duration\": \"1s\"}}}",
         "preAllocatedVUs"},
        {"{\"scenarios\": {\"a\": {\"executor\": \"constant-arrival-rate\", \"rate\": 5, \"duration\": \"1s\", \"preAllocatedVUs\": 5, \"maxVUs\": 3}}}",
         "maxVUs"},
        {"{\"scenarios\": {\"a\": {\"executor\": \"ramping-vus\", \"startVUs\": 0, \"stages\": [{\"duration\": \"1s\", \"target\": 0}]}}}",
         "more than 0"},
        {"{\"stages\": [{\"target\": 1}]}", "no duration"},
        {"{\"stages\": [{\"duration\": \"1s\", \"targets\": 1}]}", "'targets'"},
        {"{\"thresholds\": {\"m\": [\"p(95)<\"]}}", "thresholds of 'm'"},
        {"{\"thresholds\": {\"m\": \"rate<1\"}}", "must be a list"},
        {"{\"thresholds\": {\"m\": [{\"threshold\": \"rate<1\", \"abort\": true}]}}", "'abort'"},
        {"{\"summaryTrendStats\": [\"p95\"]}", "'p95'"},
        {"{\"summaryTimeUnit\": \"h\"}", "summaryTimeUnit"},
        {"{\"tags\": {\"a\": 1}}", "'tags'"},
        {"{\"executionSegment\": \"1/3:2\"}", "'2'"},
        {"{\"executionSegment\": \"0:1/2\", \"executionSegmentSequence\": \"0,1/3,1\"}", "not in"},
        {"{\"vusMax\": 3, \"vus\": 4}", "--vus-max"},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct run_options o;
        struct err err = {0};
        ck_assert_msg(build(cases[i].script, NULL, &o, &err) == -EINVAL, "%s was accepted",
                      cases[i].script);
        ck_assert_msg(strstr(err.message, cases[i].says) != NULL, "%s: %s", cases[i].script,
                      err.message);
    }
}
END_TEST

START_TEST(sources_and_precedence)
{
    struct run_options o = good("{\"tags\": {\"a\": \"1\"}, \"rps\": 5, \"noSetup\": true}",
                                "{\"tags\": {\"b\": \"2\"}, \"rps\": \"7\"}");

    ck_assert_uint_eq(o.tag_count, 1); // a map is replaced as a whole
    ck_assert_str_eq(o.tags[0].key, "b");
    ck_assert_double_eq(o.rps, 7);
    ck_assert(o.no_setup);
    ck_assert_int_eq(o.sources[OPTION_RPS], SOURCE_FLAG);
    ck_assert_int_eq(o.sources[OPTION_NO_SETUP], SOURCE_SCRIPT);
    ck_assert_int_eq(o.sources[OPTION_BATCH], SOURCE_DEFAULT);
    ck_assert_uint_eq(o.batch, 20);
    ck_assert(o.system_tags & SYSTEM_TAG_BIT(URL));
    ck_assert(!(o.system_tags & SYSTEM_TAG_BIT(VU)));
    options_fini(&o);
}
END_TEST

START_TEST(flags_and_variables)
{
    json_t *values = json_object();
    struct err err = {0};
    unsigned count;
    const struct opt_spec *specs = options_specs(&count);
    static const char *const given[][2] = {{"stage", "10s:5,1m:20"},
                                           {"stage", "5s:0"},
                                           {"tag", "a=b=c"},
                                           {"tag", "d=e,f"},
                                           {"dns", "ttl=5m,policy=any"},
                                           {"summary-trend-stats", "min,p(99.9)"},
                                           {"http-debug", NULL},
                                           {"no-setup", NULL},
                                           {"vu-memory", "2MiB"}};

    for (unsigned i = 0; i < ARRAY_SIZE(given); i++) {
        for (unsigned j = 0; j < count; j++) {
            if (strcmp(specs[j].name, given[i][0]) == 0) {
                ck_assert_msg(options_add_flag(values, &specs[j], given[i][1], &err) == 0, "%s",
                              err.message);
            }
        }
    }
    static const char *const env[] = {"K6_VUS=4", "K6_TAGS=x=1,y=2", "K6_DURATION=", "OTHER=1",
                                      NULL};
    json_t *from_env = json_object();
    ck_assert_int_eq(options_add_env(from_env, env, &err), 0);
    ck_assert_uint_eq(json_object_size(from_env), 2);
    struct option_layer layers[] = {{SOURCE_ENV, "environment", from_env},
                                    {SOURCE_FLAG, "command line", values}};
    struct run_options o;
    ck_assert_int_eq(options_build(layers, 2, &o, &err), 0);
    ck_assert_uint_eq(o.scenarios[0].stage_count, 3);
    ck_assert_int_eq(o.scenarios[0].stages[1].target, 20);
    ck_assert_uint_eq(o.scenarios[0].start_vus, 4);
    ck_assert_uint_eq(o.tag_count, 2);
    ck_assert_str_eq(o.tags[0].value, "b=c");
    ck_assert_str_eq(o.tags[1].value, "e,f");
    ck_assert_str_eq(o.summary_trend_stats[1], "p(99.9)");
    ck_assert_uint_eq(o.http_debug, 1);
    ck_assert(o.no_setup);
    ck_assert_uint_eq(o.vu_memory, 2u << 20);
    options_fini(&o);
    static const char *const bad[] = {"K6_VUS=x", NULL};
    ck_assert_int_eq(options_add_env(from_env, bad, &err), -EINVAL);
    ck_assert(strstr(err.message, "K6_VUS") != NULL);
    json_decref(values);
    json_decref(from_env);
}
END_TEST

START_TEST(thresholds_find_their_metrics)
{
    struct metric_registry *r = metric_registry_new();
    struct err err = {0};
    struct run_options o =
        good("{\"thresholds\": {\"http_req_duration{status:200}\": [\"p(95)<1\"],"
             "\"http_req_duration{expected_response:true}\": [\"max<1\"],"
             "\"checks\": [{\"threshold\": \"rate>0.9\", \"abortOnFail\": true,"
             "\"delayAbortEval\": \"3s\"}]}}",
             NULL);

    ck_assert_int_eq(options_resolve_thresholds(&o, r, &err), 0);
    ck_assert_uint_eq(o.submetric_count, 2);
    ck_assert_ptr_eq(o.thresholds[1].submetric, &o.submetrics[0]); // k6's own one
    ck_assert_ptr_null(o.thresholds[2].submetric);
    ck_assert(o.thresholds[2].items[0].abort_on_fail);
    ck_assert_int_eq(o.thresholds[2].items[0].delay_abort, 3 * NSEC_PER_SEC);
    options_fini(&o);
    o = good("{\"thresholds\": {\"no_such_metric\": [\"rate<1\"]}}", NULL);
    ck_assert_int_eq(options_resolve_thresholds(&o, r, &err), -EINVAL);
    ck_assert(strstr(err.message, "no_such_metric") != NULL);
    options_fini(&o);
    o = good("{\"thresholds\": {\"iterations\": [\"p(95)<1\"]}}", NULL);
    ck_assert_int_eq(options_resolve_thresholds(&o, r, &err), -EINVAL);
    options_fini(&o);
    metric_registry_free(r);
}
END_TEST

START_TEST(segments)
{
    struct run_options o = good("{\"executionSegment\": \"1/4:50%\"}", NULL);

    ck_assert_uint_eq(o.segment_parts, 3);
    ck_assert_uint_eq(o.segment_part, 1);
    ck_assert_int_eq(o.segment_weights[0], 1);
    ck_assert_int_eq(o.segment_weights[1], 1);
    ck_assert_int_eq(o.segment_weights[2], 2);
    options_fini(&o);
}
END_TEST

START_TEST(totals_of_scenarios)
{
    struct run_options o = good(
        "{\"scenarios\": {\"b\": {\"executor\": \"constant-vus\", \"vus\": 3, \"duration\": \"10s\","
        "\"gracefulStop\": 0}, \"a\": {\"executor\": \"constant-vus\", \"vus\": 4, \"duration\":"
        "\"5s\", \"startTime\": \"10s\"}, \"c\": {\"executor\": \"per-vu-iterations\", \"vus\": 2,"
        "\"startTime\": \"1s\", \"maxDuration\": \"2s\", \"gracefulStop\": \"1s\"}}}",
        NULL);

    ck_assert_str_eq(o.scenarios[0].name, "b");
    ck_assert_str_eq(o.scenarios[2].name, "a");
    ck_assert_uint_eq(options_max_vus(&o), 5); // a starts when b has ended
    ck_assert_int_eq(options_max_duration(&o), 45 * NSEC_PER_SEC);
    options_fini(&o);
}
END_TEST

UNIT_MAIN("load/options",
          shortcuts_make_scenarios,
          bad_options_are_refused_by_name,
          sources_and_precedence,
          flags_and_variables,
          thresholds_find_their_metrics,
          segments,
          totals_of_scenarios)
