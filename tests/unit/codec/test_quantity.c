// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "base/mem.h"
#include "codec/quantity.h"
#include "unit.h"

static int64_t milli(const char *text)
{
    quantity_t q = 0;

    ck_assert_msg(quantity_parse(slice_of(text), &q) == 0, "'%s' was refused", text);
    return quantity_milli(q);
}

static int code(const char *text)
{
    quantity_t q = 7;
    int r = quantity_parse(slice_of(text), &q);

    ck_assert(r == 0 || q == 7);
    return r;
}

START_TEST(values)
{
    ck_assert_int_eq(milli("500m"), 500);
    ck_assert_int_eq(milli("2"), 2000);
    ck_assert_int_eq(milli("+1"), 1000);
    ck_assert_int_eq(milli(".5"), 500);
    ck_assert_int_eq(milli("1."), 1000);
    ck_assert_int_eq(milli("-1.5"), -1500);
    ck_assert_int_eq(milli("64Mi"), 67108864000);
    ck_assert_int_eq(milli("1.5Gi"), 1610612736000);
    ck_assert_int_eq(milli("1e3"), 1000000);
    ck_assert_int_eq(milli("1E3"), 1000000);
    ck_assert_int_eq(milli("1k"), 1000000);
    ck_assert_int_eq(milli("12e-3"), 12);
    ck_assert_int_eq(milli("0"), 0);
    ck_assert_int_eq(milli("000000000000000000000000000000000000000000000000000000001"), 1000);
    ck_assert_int_eq(milli("1.0000000000000000000000000000000000000"), 1000);
}
END_TEST

START_TEST(rounding)
{
    quantity_t q;

    // Away from zero, as in k8s.io/apimachinery.
    ck_assert_int_eq(milli("1n"), 1);
    ck_assert_int_eq(milli("-1n"), -1);
    ck_assert_int_eq(milli("1.0001"), 1001);
    ck_assert_int_eq(quantity_parse(SLICE("0.0000000001"), &q), 0);
    ck_assert(q == 1);
    ck_assert_int_eq(quantity_value(q), 1);
    ck_assert_int_eq(quantity_parse(SLICE("1100m"), &q), 0);
    ck_assert_int_eq(quantity_value(q), 2);
}
END_TEST

START_TEST(refused)
{
    static const char *const bad[] = {"",   "m",   "K",    "1K",  "mi", "1mi", "1i",   "1 ",
                                      " 1", "1 m", "1.5.", "--1", "1e", "0x1", "1e1e1"};

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_msg(code(bad[i]) == -EINVAL, "'%s' was accepted", bad[i]);
    }
    ck_assert_int_eq(code("10E"), -ERANGE);
    ck_assert_int_eq(code("9Ei"), -ERANGE);
    ck_assert_int_eq(code("1e99"), -ERANGE);
    ck_assert_int_eq(code("1e1000"), -ERANGE);
    ck_assert_int_eq(code("9E"), 0);
}
END_TEST

UNIT_MAIN("codec/quantity", values, rounding, refused)
