// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "metric/threshold.h"
#include "unit.h"

START_TEST(expressions)
{
    struct threshold t;
    struct err err;

    ck_assert_int_eq(threshold_parse("p(99.9) < 300.5", &t, &err), 0);
    ck_assert_int_eq(t.agg, THRESHOLD_PERCENTILE);
    ck_assert_double_eq(t.percentile, 99.9);
    ck_assert_int_eq(t.op, OP_LESS);
    ck_assert_double_eq(t.limit, 300.5);
    ck_assert_str_eq(t.source, "p(99.9) < 300.5");
    threshold_fini(&t);
    ck_assert_int_eq(threshold_parse("rate===1", &t, &err), 0);
    ck_assert_int_eq(t.op, OP_EQUAL);
    threshold_fini(&t);
    static const char *const bad[] = {"p(101)<1",   "p(-1)<1", "p()<1",    "rate<1%",
                                      "rate<300ms", "foo<1",   "rate",     "rate<",
                                      "rate=1",     "<1",      "rate<1e3", ""};
    for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ck_assert_msg(threshold_parse(bad[i], &t, &err) == -EINVAL, "'%s' was accepted", bad[i]);
    }
}
END_TEST

START_TEST(keys)
{
    struct submetric sub;
    struct slice name;
    struct err err;

    ck_assert_int_eq(threshold_parse_key("http_reqs", &name, &sub, &err), 0);
    ck_assert_uint_eq(sub.selector_count, 0);
    ck_assert_int_eq(threshold_parse_key("m{ url:http://a:80/x , 'kind':\"b\"}", &name, &sub, &err),
                     0);
    ck_assert(slice_eqs(name, "m"));
    ck_assert_uint_eq(sub.selector_count, 2);
    ck_assert_str_eq(sub.selectors[0].key, "url");
    ck_assert_str_eq(sub.selectors[0].value, "http://a:80/x");
    ck_assert_str_eq(sub.selectors[1].key, "kind");
    ck_assert_str_eq(sub.selectors[1].value, "b");
    for (unsigned i = 0; i < 2; i++) {
        free((char *)sub.selectors[i].key);
        free((char *)sub.selectors[i].value);
    }
    free(sub.selectors);
    free(sub.name);
    ck_assert_int_eq(threshold_parse_key("m{a:b", &name, &sub, &err), -EINVAL);
    ck_assert_int_eq(threshold_parse_key("m{}", &name, &sub, &err), -EINVAL);
}
END_TEST

START_TEST(evaluation)
{
    struct metric_registry *r = metric_registry_new();
    struct shard *s = shard_new(r, NULL, 0);
    struct aggregate *a = aggregate_new(r, NULL, 0);
    struct threshold items[2];
    struct threshold_set set = {(char *)"http_req_failed", items, 2,
                                metric_by_id(r, METRIC_HTTP_REQ_FAILED), NULL};

    ck_assert_int_eq(threshold_parse("rate<0.01", &items[0], NULL), 0);
    ck_assert_int_eq(threshold_parse("rate>0.9", &items[1], NULL), 0);
    ck_assert_int_eq(threshold_check_type(&items[0], set.metric, NULL), 0);
    ck_assert_int_eq(
        threshold_check_type(&items[0], metric_by_id(r, METRIC_HTTP_REQ_DURATION), NULL), -EINVAL);
    items[0].abort_on_fail = true;
    items[0].delay_abort = 3 * NSEC_PER_SEC;
    // No samples: not evaluated on the way; at the end an empty rate passes both ways.
    ck_assert(!threshold_set_evaluate(&set, a, NSEC_PER_SEC, false));
    ck_assert(!threshold_set_evaluate(&set, a, NSEC_PER_SEC, true));
    ck_assert(!items[0].crossed && !items[1].crossed);
    for (int i = 0; i < 100; i++) {
        shard_add(s, set.metric, tagset_empty(shard_tags(s)), i < 2, i, NULL);
    }
    struct strbuf b = STRBUF_NULL;
    shard_snapshot(s, &b);
    ck_assert_int_eq(aggregate_merge(a, b.p, b.n, NULL), 0);
    ck_assert(!threshold_set_evaluate(&set, a, 2 * NSEC_PER_SEC, false)); // too early to abort
    ck_assert(items[0].crossed && items[1].crossed);
    ck_assert_double_eq(items[0].actual, 0.02);
    ck_assert(threshold_set_evaluate(&set, a, 4 * NSEC_PER_SEC, false));
    strbuf_fini(&b);
    threshold_fini(&items[0]);
    threshold_fini(&items[1]);
    aggregate_free(a);
    shard_free(s);
    metric_registry_free(r);
}
END_TEST

UNIT_MAIN("metric/threshold", expressions, keys, evaluation)
