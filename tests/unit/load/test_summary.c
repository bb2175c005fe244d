// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "load/options.h"
#include "load/summary.h"
#include "metric/shard.h"
#include "unit.h"

static const char *format(double v, enum metric_contains contains, const char *unit)
{
    static char buf[48];

    return summary_format(v, contains, unit, buf, sizeof(buf));
}

START_TEST(values_as_k6_prints_them)
{
    ck_assert_str_eq(format(0, METRIC_TIME, ""), "0s");
    ck_assert_str_eq(format(0.0125, METRIC_TIME, ""), "12.5\xc2\xb5s");
    ck_assert_str_eq(format(0.00025, METRIC_TIME, ""), "250ns");
    ck_assert_str_eq(format(1.999, METRIC_TIME, ""), "1.99ms"); // cut, not rounded
    ck_assert_str_eq(format(1500, METRIC_TIME, ""), "1.5s");
    ck_assert_str_eq(format(61500, METRIC_TIME, ""), "1m1s");
    ck_assert_str_eq(format(3661000, METRIC_TIME, ""), "1h1m1s");
    ck_assert_str_eq(format(0.5, METRIC_TIME, "ms"), "0.50ms");
    ck_assert_str_eq(format(65000, METRIC_TIME, "s"), "65.00s");
    ck_assert_str_eq(format(519, METRIC_DATA, ""), "519 B");
    ck_assert_str_eq(format(4900, METRIC_DATA, ""), "4.9 kB");
    ck_assert_str_eq(format(519000, METRIC_DATA, ""), "519 kB");
    ck_assert_str_eq(format(3.8499999999999996, METRIC_DEFAULT, ""), "3.85");
    ck_assert_str_eq(format(61500, METRIC_DEFAULT, ""), "61500");
    ck_assert_str_eq(format(63724.691356, METRIC_DEFAULT, ""), "63724.691356");
}
END_TEST

START_TEST(the_whole_text)
{
    static const char expected[] =
        "\n\n  \xe2\x96\x88 THRESHOLDS \n\n    apples\n    \xe2\x9c\x93 'count>1' count=8\n\n"
        "    checks\n    \xe2\x9c\x97 'rate>0.9' rate=75.00%\n\n"
        "\n  \xe2\x96\x88 TOTAL RESULTS \n\n"
        "    checks_total.......: 4      2/s\n"
        "    checks_succeeded...: 75.00% 3 out of 4\n"
        "    checks_failed......: 25.00% 1 out of 4\n\n"
        "    \xe2\x9c\x97 fine\n"
        "      \xe2\x86\xb3  75% \xe2\x80\x94 \xe2\x9c\x93 3 / \xe2\x9c\x97 1\n\n"
        "    CUSTOM\n"
        "    apples............: 8 4/s\n\n"
        "    EXECUTION\n"
        "    iteration_duration...: avg=2.5ms max=4ms\n"
        "    vus..................: 3 min=2 max=3\n\n";
    struct metric_registry *r = metric_registry_new();
    const struct metric *apples;
    struct err err = {0};
    struct run_options o;
    struct strbuf bytes = STRBUF_NULL, text = STRBUF_NULL;
    json_t *values = json_pack("{s:[s,s],s:{s:[s],s:[s]}}", "summaryTrendStats", "avg", "max",
                               "thresholds", "checks", "rate>0.9", "apples", "count>1");
    struct option_layer layer = {SOURCE_SCRIPT, "script", values};

    ck_assert_int_eq(metric_register(r, SLICE("apples"), METRIC_COUNTER, METRIC_DEFAULT, &apples),
                     0);
    ck_assert_int_eq(options_build(&layer, 1, &o, &err), 0);
    ck_assert_int_eq(options_resolve_thresholds(&o, r, &err), 0);
    struct shard *s = shard_new(r, o.submetrics, o.submetric_count);
    struct aggregate *a = aggregate_new(r, o.submetrics, o.submetric_count);
    const struct tagset *none = tagset_empty(shard_tags(s));
    const struct tagset *check = tagset_with(shard_tags(s), none, SLICE("check"), SLICE("fine"));
    for (int i = 1; i <= 4; i++) {
        shard_add(s, apples, none, 2, i, NULL);
        shard_add(s, metric_by_id(r, METRIC_ITERATION_DURATION), none, i, i, NULL);
        shard_add(s, metric_by_id(r, METRIC_CHECKS), check, i > 1, i, NULL);
    }
    shard_add(s, metric_by_id(r, METRIC_VUS), none, 2, 1, NULL);
    shard_add(s, metric_by_id(r, METRIC_VUS), none, 3, 2, NULL);
    shard_snapshot(s, &bytes);
    ck_assert_int_eq(aggregate_merge(a, bytes.p, bytes.n, &err), 0);
    for (unsigned i = 0; i < o.threshold_count; i++) {
        (void)threshold_set_evaluate(&o.thresholds[i], a, 2 * NSEC_PER_SEC, true);
    }
    const struct summary summary = {.options = &o, .results = a, .duration = 2 * NSEC_PER_SEC};
    summary_text(&summary, &text);
    // Dots are padded to the longest name; compare without them.
    char *dots = strstr(text.p, "apples....");
    ck_assert_ptr_nonnull(dots);
    ck_assert_uint_eq(strspn(dots + 6, "."), strlen("iteration_duration...") - 6);
    memmove(dots + 6 + 12, dots + 6 + 15, strlen(dots + 6 + 15) + 1);
    ck_assert_str_eq(text.p, expected);
    json_t *export = summary_export(&summary), *data = summary_data(&summary);
    json_t *m = json_object_get(json_object_get(export, "metrics"), "checks");
    ck_assert_double_eq(json_number_value(json_object_get(m, "value")), 0.75);
    ck_assert(json_is_true(json_object_get(json_object_get(m, "thresholds"), "rate>0.9")));
    json_t *group = json_object_get(data, "root_group");
    ck_assert_str_eq(json_string_value(json_object_get(group, "id")),
                     "d41d8cd98f00b204e9800998ecf8427e"); // MD5 of ""
    json_decref(export);
    json_decref(data);
    json_decref(values);
    strbuf_fini(&bytes);
    strbuf_fini(&text);
    aggregate_free(a);
    shard_free(s);
    options_fini(&o);
    metric_registry_free(r);
}
END_TEST

UNIT_MAIN("load/summary", values_as_k6_prints_them, the_whole_text)
