// SPDX-License-Identifier: Apache-2.0
#include "report/plan_table.h"

#include "base/mem.h"
#include "unit.h"

static const char RESULT[] =
    "{\"plan\":\"shop\",\"limits\":["
    "{\"service\":\"order-service\",\"rate\":412.4,\"low\":404,\"high\":421,\"saturation\":437,"
    "\"verdict\":\"limit\",\"objective\":\"http_req_duration p(99)<500\","
    "\"generator\":{\"headroom\":4.2,\"share\":0.1,\"colocated\":true},"
    "\"bottleneck\":{\"name\":\"DB pool\",\"capacity\":10,\"elasticity\":0.97,\"confirmed\":true},"
    "\"resources\":[{\"name\":\"DB pool\",\"owner\":\"order-service\",\"state\":\"saturated\","
    "\"capacity\":10,\"utilisation\":0.96,\"ceiling\":430,\"waiting\":12.5}],"
    "\"next\":{\"name\":\"CPU of this machine\",\"rate\":2010.2},"
    "\"mitigation\":{\"knob\":\"DB_POOL_SIZE\",\"from\":10,\"to\":15,\"predicted\":618,"
    "\"verified\":609}},"
    "{\"service\":\"wide\",\"rate\":100,\"low\":80,\"high\":120,\"verdict\":\"limit\","
    "\"bottleneck\":{\"name\":\"unknown\",\"confirmed\":false,\"reason\":\"nothing | moved\"}},"
    "{\"service\":\"bound\",\"rate\":50,\"verdict\":\"lower-bound\",\"reason\":\"generator\"},"
    "{\"service\":\"gone\",\"error\":\"no thresholds\"}]}";

static json_t *result;

static void setup(void)
{
    result = json_loads(RESULT, 0, NULL);
    ck_assert_ptr_nonnull(result);
}

START_TEST(text_in_one_line_each)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;

    setup();
    plan_table_text(result, 200, &b);
    const char *t = strbuf_str(&b);
    ck_assert(strstr(t, "SERVICE        MAX SUSTAINED RPS") == t);
    ck_assert_ptr_nonnull(strstr(t, "order-service  412 [404, 421]"));
    ck_assert_ptr_nonnull(strstr(t, "DB pool, 10 conns (e = 0.97)"));
    ck_assert_ptr_nonnull(strstr(t, "CPU of this machine at 2010"));
    ck_assert_ptr_nonnull(strstr(t, "DB_POOL_SIZE 10 → 15: 618 (609)"));
    // An interval wider than 10 % is a range, never a point.
    ck_assert_ptr_nonnull(strstr(t, "80 to 120"));
    ck_assert_ptr_null(strstr(t, "100"));
    ck_assert_ptr_nonnull(strstr(t, "unknown: nothing | moved"));
    ck_assert_ptr_nonnull(strstr(t, "at least 50 (generator)"));
    ck_assert_ptr_nonnull(strstr(t, "failed: no thresholds"));
    json_decref(result);
}
END_TEST

START_TEST(text_wraps)
{
    setup();
    for (unsigned width = 100; width <= 140; width += 10) {
        CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
        plan_table_text(result, width, &b);
        struct slice rest = {strbuf_str(&b), b.n};
        while (rest.n) {
            struct slice line = slice_cut(&rest, '\n');
            unsigned columns = 0;
            for (size_t i = 0; i < line.n; i++) {
                columns += ((unsigned char)line.p[i] & 0xc0) != 0x80;
            }
            ck_assert_uint_le(columns, width);
        }
        ck_assert_ptr_nonnull(strstr(strbuf_str(&b), "609"));
    }
    json_decref(result);
}
END_TEST

START_TEST(markdown)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;

    setup();
    plan_table_markdown(result, &b);
    const char *t = strbuf_str(&b);
    ck_assert(strstr(t, "# Capacity plan: shop\n") == t);
    ck_assert_ptr_nonnull(strstr(t, "| order-service | 412 [404, 421] | 437 |"));
    ck_assert_ptr_nonnull(strstr(t, "nothing \\| moved"));
    ck_assert_ptr_nonnull(strstr(t, "| DB pool | order-service | 96 % | 430 | 12.5 | saturated |"));
    json_decref(result);
}
END_TEST

UNIT_MAIN("report/plan_table", text_in_one_line_each, text_wraps, markdown)
