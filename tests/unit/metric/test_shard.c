// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "metric/aggregate.h"
#include "metric/shard.h"
#include "unit.h"

static struct tag status_200[] = {{"status", "200"}};

static const struct tagset *tagged(struct shard *s, const char *key, const char *value)
{
    return tagset_with(shard_tags(s), tagset_empty(shard_tags(s)), slice_of(key), slice_of(value));
}

START_TEST(equal_tag_sets_are_one)
{
    struct tag_interner *in = tag_interner_new();
    const struct tagset *e = tagset_empty(in);
    const struct tagset *ab =
        tagset_with(in, tagset_with(in, e, SLICE("a"), SLICE("1")), SLICE("b"), SLICE("2"));
    const struct tagset *ba =
        tagset_with(in, tagset_with(in, e, SLICE("b"), SLICE("2")), SLICE("a"), SLICE("1"));

    ck_assert_ptr_eq(ab, ba);
    ck_assert_str_eq(ab->tags[0].key, "a");
    ck_assert_str_eq(tagset_get(ab, "b"), "2");
    ck_assert_ptr_null(tagset_get(ab, "c"));
    const struct tagset *replaced = tagset_with(in, ab, SLICE("b"), SLICE("3"));
    ck_assert_uint_eq(replaced->count, 2);
    ck_assert_str_eq(tagset_get(replaced, "b"), "3");
    ck_assert_ptr_eq(tagset_without(in, replaced, SLICE("b")),
                     tagset_with(in, e, SLICE("a"), SLICE("1")));
    ck_assert_ptr_ne(tagset_with(in, e, SLICE("a"), SLICE("")), e);
    for (int i = 0; i < 5000; i++) { // growth of all tables
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        const struct tagset *t = tagset_with(in, e, SLICE("n"), slice_of(text));
        ck_assert_str_eq(tagset_get(t, "n"), text);
        ck_assert_ptr_eq(t, tagset_with(in, e, SLICE("n"), slice_of(text)));
    }
    tag_interner_free(in);
}
END_TEST

START_TEST(registration_rules)
{
    struct metric_registry *r = metric_registry_new();
    const struct metric *m, *again;

    ck_assert_uint_eq(metric_count(r), METRIC_BUILTIN_N_);
    ck_assert_str_eq(metric_by_id(r, METRIC_HTTP_REQS)->name, "http_reqs");
    ck_assert_int_eq(metric_register(r, SLICE("order_errors"), METRIC_RATE, METRIC_DEFAULT, &m), 0);
    ck_assert_int_eq(metric_register(r, SLICE("order_errors"), METRIC_RATE, METRIC_DEFAULT, &again),
                     0);
    ck_assert_ptr_eq(m, again);
    ck_assert_int_eq(metric_register(r, SLICE("order_errors"), METRIC_TREND, METRIC_TIME, &m),
                     METRIC_E_TYPE);
    ck_assert_int_eq(metric_register(r, SLICE("x"), METRIC_RATE, METRIC_DEFAULT, &m),
                     METRIC_E_NAME);
    ck_assert_int_eq(metric_register(r, SLICE("1x"), METRIC_RATE, METRIC_DEFAULT, &m),
                     METRIC_E_NAME);
    ck_assert_int_eq(metric_register(r, SLICE("a-b"), METRIC_RATE, METRIC_DEFAULT, &m),
                     METRIC_E_NAME);
    metric_registry_free(r);
}
END_TEST

static double watched;

static void watch(void *arg, unsigned id, double value)
{
    watched += value + id;
}

START_TEST(submetrics_checks_groups_across_shards)
{
    struct metric_registry *r = metric_registry_new();
    const struct metric *duration = metric_by_id(r, METRIC_HTTP_REQ_DURATION);
    const struct metric *checks = metric_by_id(r, METRIC_CHECKS);
    struct submetric sub = {duration, (char *)"http_req_duration{status:200}", status_200, 1};
    struct aggregate *a = aggregate_new(r, &sub, 1);

    for (int n = 0; n < 2; n++) {
        struct shard *s = shard_new(r, &sub, 1);
        shard_watch(s, 1, duration, status_200, 1, watch, NULL);
        for (int i = 0; i < 10; i++) {
            shard_add(s, duration, tagged(s, "status", i < 7 ? "200" : "500"), i, 1, NULL);
        }
        const struct tagset *c =
            tagset_with(shard_tags(s), tagged(s, "check", "ok"), SLICE("group"), SLICE("::a"));
        shard_add(s, checks, c, 1, 1, NULL);
        shard_add(s, checks, c, n, 1, NULL);
        shard_add(s, metric_by_id(r, METRIC_VUS), tagset_empty(shard_tags(s)), 5 - n, 10 + n, NULL);
        struct strbuf b = STRBUF_NULL;
        shard_snapshot(s, &b);
        ck_assert_int_eq(aggregate_merge(a, b.p, b.n, NULL), 0);
        strbuf_fini(&b);
        shard_free(s);
    }
    struct metric_result m;
    ck_assert(aggregate_find(a, "http_req_duration", &m));
    ck_assert_uint_eq(m.count, 20);
    ck_assert_double_eq(m.max, 9);
    ck_assert(aggregate_find(a, "http_req_duration{status:200}", &m));
    ck_assert_uint_eq(m.count, 14);
    ck_assert_double_eq(m.max, 6);
    ck_assert_double_eq(metric_result_percentile(&m, 50), 3);
    ck_assert(aggregate_find(a, "vus", &m));
    ck_assert_double_eq(m.last, 4); // the later one
    ck_assert_double_eq(m.max, 5);
    ck_assert_double_eq(watched, 2 * (21 + 7));
    ck_assert_uint_eq(aggregate_check_count(a), 1);
    struct check_result c;
    aggregate_check(a, 0, &c);
    ck_assert_str_eq(c.group, "::a");
    ck_assert_uint_eq(c.passes, 3);
    ck_assert_uint_eq(c.fails, 1);
    ck_assert_uint_eq(aggregate_group_count(a), 1);
    ck_assert(!aggregate_find(a, "nothing", &m));
    aggregate_free(a);
    metric_registry_free(r);
}
END_TEST

START_TEST(garbage_is_refused)
{
    struct metric_registry *r = metric_registry_new();
    struct shard *s = shard_new(r, NULL, 0);
    struct strbuf b = STRBUF_NULL;
    struct rng rng;
    struct err err = {0};

    for (int i = 0; i < 3000; i++) {
        shard_add(s, metric_by_id(r, i % 2 ? METRIC_HTTP_REQ_WAITING : METRIC_HTTP_REQ_FAILED),
                  tagged(s, "group", "::x"), i, i, NULL);
    }
    shard_snapshot(s, &b);
    struct aggregate *a = aggregate_new(r, NULL, 0);
    ck_assert_int_eq(aggregate_merge(a, b.p, b.n, &err), 0);
    for (size_t n = 0; n < b.n; n++) { // every truncation
        char *copy = malloc(n + 1);
        memcpy(copy, b.p, n);
        ck_assert_int_eq(aggregate_merge(a, copy, n, &err), -EBADMSG);
        free(copy);
    }
    rng_init(&rng, 3, 0);
    for (int i = 0; i < 2000; i++) { // damage never crashes (sanitizers watch)
        size_t at = rng_below(&rng, b.n);
        char old = b.p[at];
        b.p[at] = (char)rng_u64(&rng);
        aggregate_reset(a);
        (void)aggregate_merge(a, b.p, b.n, &err);
        b.p[at] = old;
    }
    b.p[4] = 9;
    ck_assert_int_eq(aggregate_merge(a, b.p, b.n, &err), -EBADMSG);
    ck_assert(strstr(err.message, "version") != NULL);
    strbuf_fini(&b);
    aggregate_free(a);
    shard_free(s);
    metric_registry_free(r);
}
END_TEST

UNIT_MAIN("metric/shard",
          equal_tag_sets_are_one,
          registration_rules,
          submetrics_checks_groups_across_shards,
          garbage_is_refused)
