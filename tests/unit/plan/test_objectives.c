// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>

#include "plan/objectives.h"
#include "plan/target.h"
#include "unit.h"

static struct metric_registry *registry;

static int add(struct objectives *o, const char *metric, const char *text, struct err *err)
{
    struct threshold t = {0};
    struct threshold_set set = {
        .key = (char *)metric,
        .items = &t,
        .count = 1,
        .metric = metric_by_name(registry, slice_of(metric)),
    };

    ck_assert_int_eq(threshold_parse(text, &t, err), 0);
    int r = objectives_add_sets(o, &set, 1, err);
    threshold_fini(&t);
    return r;
}

START_TEST(thresholds_become_counts)
{
    struct objectives o;
    struct err err = {0};

    registry = metric_registry_new();
    objectives_init(&o);
    ck_assert_int_eq(add(&o, "http_req_duration", "p(99)<300", &err), 0);
    ck_assert_int_eq(add(&o, "http_req_failed", "rate<0.02", &err), 0);
    ck_assert_int_eq(add(&o, "checks", "rate>0.95", &err), 0);
    ck_assert_int_eq(add(&o, "http_req_waiting", "med<=20", &err), 0);
    ck_assert_double_eq_tol(o.items[0].allowed, 0.01, 1e-12);
    ck_assert_double_eq(o.windows[0].limit, 300);
    ck_assert(o.windows[0].add_lag && !o.windows[0].below);
    ck_assert_str_eq(o.items[0].name, "http_req_duration p(99)<300");
    ck_assert_double_eq_tol(o.items[1].allowed, 0.02, 1e-12);
    ck_assert(!o.windows[1].add_lag && !o.windows[1].below);
    ck_assert_double_eq_tol(o.items[2].allowed, 0.05, 1e-12);
    ck_assert(o.windows[2].below);
    ck_assert_double_eq_tol(o.items[3].allowed, 0.5, 1e-12);
    ck_assert(!o.windows[3].add_lag);
    objectives_fini(&o);
    metric_registry_free(registry);
}
END_TEST

START_TEST(what_cannot_be_counted_is_refused_by_name)
{
    static const char *const CASES[][2] = {
        {"http_req_duration", "avg<200"}, {"http_req_duration", "max<900"},
        {"http_req_duration", "min<9"},   {"http_reqs", "count>100"},
        {"http_reqs", "rate>100"},        {"http_req_failed", "rate==0"},
        {"http_req_failed", "rate<=0"},   {"vus", "value<10"},
    };
    struct objectives o;

    registry = metric_registry_new();
    objectives_init(&o);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct err err = {0};
        ck_assert_int_lt(add(&o, CASES[i][0], CASES[i][1], &err), 0);
        ck_assert_ptr_nonnull(strstr(err.message, CASES[i][0]));
        ck_assert_ptr_nonnull(strstr(err.message, CASES[i][1]));
    }
    objectives_fini(&o);
    metric_registry_free(registry);
}
END_TEST

static bool allowed(struct target_guard *g, const char *host, const char *ip)
{
    struct sockaddr_storage a = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;

    if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(80);
    } else {
        ck_assert_int_eq(inet_pton(AF_INET6, ip, &v6->sin6_addr), 1);
        v6->sin6_family = AF_INET6;
    }
    return target_guard_allow(g, slice_of(host), &a);
}

START_TEST(foreign_targets_are_refused_unless_named)
{
    static const char *const NAMED[] = {"staging.example", "192.0.2.7", NULL};
    static struct target_guard g;

    target_guard_init(&g, NAMED);
    ck_assert(allowed(&g, "localhost", "127.0.0.1"));
    ck_assert(allowed(&g, "order-service", "127.3.2.1"));
    ck_assert(allowed(&g, "::1", "::1"));
    ck_assert(allowed(&g, "v6", "::ffff:127.0.0.1"));
    ck_assert(allowed(&g, "Staging.Example", "203.0.113.5"));
    ck_assert(allowed(&g, "other", "192.0.2.7"));
    ck_assert_str_eq(g.refused, "");
    ck_assert(!allowed(&g, "shop.example", "203.0.113.9"));
    ck_assert(!allowed(&g, "evil", "::ffff:10.0.0.1"));
    ck_assert_str_eq(g.refused, "shop.example");
    ck_assert_uint_eq(g.seen_count, 6);
    ck_assert_uint_eq(g.seen[0].port, 80);
    target_guard_fini(&g);
}
END_TEST

UNIT_MAIN("plan/objectives",
          thresholds_become_counts,
          what_cannot_be_counted_is_refused_by_name,
          foreign_targets_are_refused_unless_named)
