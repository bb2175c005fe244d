// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "base/units.h"
#include "unit.h"

static nsec_t duration(const char *text)
{
    nsec_t d = -1;

    return units_parse_duration(slice_of(text), &d) < 0 ? INT64_MIN : d;
}

START_TEST(durations_as_go_reads_them)
{
    ck_assert_int_eq(duration("300ms"), 300 * NSEC_PER_MSEC);
    ck_assert_int_eq(duration("1h45m"), 6300 * NSEC_PER_SEC);
    ck_assert_int_eq(duration("1d2h"), 93600 * NSEC_PER_SEC);
    ck_assert_int_eq(duration("1.5"), 1500000);
    ck_assert_int_eq(duration("-2s"), -2 * NSEC_PER_SEC);
    ck_assert_int_eq(duration("0"), 0);
    ck_assert_int_eq(duration(""), INT64_MIN);
    ck_assert_int_eq(duration("5x"), INT64_MIN);
    ck_assert_int_eq(duration("5s3"), INT64_MIN);
    nsec_t d;
    ck_assert_int_eq(units_parse_duration_unit(SLICE("5"), &d), -EINVAL);
}
END_TEST

START_TEST(durations_as_go_prints_them)
{
    char buf[40];

    ck_assert_str_eq(units_format_duration(26 * 3600 * NSEC_PER_SEC, buf, sizeof(buf)), "26h0m0s");
    ck_assert_str_eq(units_format_duration(1500 * NSEC_PER_MSEC, buf, sizeof(buf)), "1.5s");
    ck_assert_str_eq(units_format_duration(90 * NSEC_PER_SEC, buf, sizeof(buf)), "1m30s");
    ck_assert_str_eq(units_format_duration(1250, buf, sizeof(buf)), "1.25\xc2\xb5s");
    ck_assert_str_eq(units_format_duration(0, buf, sizeof(buf)), "0s");
}
END_TEST

START_TEST(rates_shares_bytes)
{
    double v;
    uint64_t n;

    ck_assert_int_eq(units_parse_rate(SLICE("2k/s"), &v), 0);
    ck_assert_double_eq(v, 2000);
    ck_assert_int_eq(units_parse_rate(SLICE("30/m"), &v), 0);
    ck_assert_double_eq(v, 0.5);
    ck_assert_int_eq(units_parse_rate(SLICE("fast"), &v), -EINVAL);
    ck_assert_int_eq(units_parse_share(SLICE("1%"), &v), 0);
    ck_assert_double_eq(v, 0.01);
    ck_assert_int_eq(units_parse_share(SLICE("1.5"), &v), -EINVAL);
    ck_assert_int_eq(units_parse_bytes(SLICE("64MiB"), &n), 0);
    ck_assert_uint_eq(n, 64u << 20);
}
END_TEST

UNIT_MAIN("base/units", durations_as_go_reads_them, durations_as_go_prints_them, rates_shares_bytes)
