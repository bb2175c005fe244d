// SPDX-License-Identifier: Apache-2.0
#include <math.h>
#include <stdlib.h>

#include "observe/observer.h"
#include "observe/prom.h"
#include "unit.h"

static const char TEXT[] = "# HELP db_pool_size Connections.\n"
                           "# TYPE db_pool_size gauge\n"
                           "db_pool_size 10\r\n"
                           "http_requests_total{method=\"GET\",path=\"a}b\\\"\",status=\"429\"} 7\n"
                           "http_requests_total{status=\"200\"} 1e3 1700000000000\n"
                           "\n"
                           "broken{a=\"b 4\n"
                           "nothing\n"
                           "not_a_number {} x\n"
                           "spaced { le = 3 } 2\n"
                           "hist_bucket{le=\"+Inf\"} +Inf\n"
                           "quantile NaN";

START_TEST(samples)
{
    struct slice rest = slice_of(TEXT);
    struct prom_sample s;

    ck_assert(prom_next(&rest, &s));
    ck_assert(slice_eqs(s.name, "db_pool_size"));
    ck_assert_double_eq(s.value, 10);
    ck_assert_uint_eq(s.labels.n, 0);
    ck_assert(prom_next(&rest, &s));
    ck_assert_double_eq(s.value, 7);
    ck_assert(prom_has_label(s.labels, "status", "429"));
    ck_assert(prom_has_label(s.labels, "method", "GET"));
    ck_assert(!prom_has_label(s.labels, "status", "42"));
    ck_assert(!prom_has_label(s.labels, "tatus", "429"));
    ck_assert(prom_next(&rest, &s));
    ck_assert_double_eq(s.value, 1000);
    ck_assert(prom_next(&rest, &s));
    ck_assert(slice_eqs(s.name, "spaced"));
    ck_assert(prom_next(&rest, &s) && isinf(s.value));
    ck_assert(prom_next(&rest, &s) && isnan(s.value));
    ck_assert(!prom_next(&rest, &s));
}
END_TEST

START_TEST(any_cut_is_safe)
{
    for (size_t n = 0; n <= sizeof(TEXT) - 1; n++) {
        char *copy = malloc(n + 1);
        memcpy(copy, TEXT, n);
        struct slice rest = {copy, n};
        struct prom_sample s;
        while (prom_next(&rest, &s)) {
            ck_assert(s.labels.p + s.labels.n <= copy + n);
            (void)prom_has_label(s.labels, "status", "429");
        }
        free(copy);
    }
}
END_TEST

START_TEST(names)
{
    ck_assert_int_eq(observe_metric_by_name("nats.consumer.acked"), OBSERVE_ACKED);
    ck_assert_int_eq(observe_metric_by_name("db_pool_size"), OBSERVE_POOL_SIZE);
    ck_assert_int_eq(observe_metric_by_name("nats.consumer.nothing"), -1);
}
END_TEST

UNIT_MAIN("observe/prom", samples, any_cut_is_safe, names)
