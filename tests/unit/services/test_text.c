// SPDX-License-Identifier: Apache-2.0
// Buffers, JSON strings, settings and identifiers.
#include "common/buf.h"
#include "common/clock.h"
#include "common/env.h"
#include "common/log.h"
#include "common/uuid.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

START_TEST(buf_grows_and_gives_away)
{
    struct buf buf = BUF_NULL;
    char *text = buf_take(&buf);

    ck_assert_str_eq(text, "");
    free(text);
    for (int i = 0; i < 1000; i++) {
        buf_format(&buf, "%03d,", i);
    }
    ck_assert_uint_eq(buf.len, 4000);
    ck_assert_uint_eq(strlen(buf.data), 4000);
    ck_assert(memcmp(buf.data + 3996, "999,", 4) == 0);
    text = buf_take(&buf);
    ck_assert_uint_eq(strlen(text), 4000);
    ck_assert_ptr_null(buf.data);
    free(text);
}
END_TEST

static void assert_json(const char *text, const char *expected)
{
    struct buf buf = BUF_NULL;

    buf_json(&buf, text);
    ck_assert_str_eq(buf.data, expected);
    buf_fini(&buf);
}

START_TEST(json_strings_are_escaped_and_valid_utf8)
{
    assert_json("", "\"\"");
    assert_json("a\"b\\c\n\x01", "\"a\\\"b\\\\c\\u000a\\u0001\"");
    assert_json("\xc3\xa4 \xe2\x82\xac \xf0\x9f\x9a\xa2",
                "\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x9a\xa2\"");
    // A lone continuation, an overlong form, a surrogate, beyond U+10FFFF, cut short.
    assert_json("\x80", "\"\\ufffd\"");
    assert_json("\xc0\xaf", "\"\\ufffd\\ufffd\"");
    assert_json("\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");
    assert_json("\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    assert_json("\xe2\x82", "\"\\ufffd\\ufffd\"");
}
END_TEST

START_TEST(log_quote_is_bounded)
{
    static char control[5000], plain[5000];

    memset(control, 1, sizeof(control) - 1);
    memset(plain, 'x', sizeof(plain) - 1);
    const char *a = log_quote(control), *b = log_quote(plain), *c = log_quote("short");
    ck_assert_uint_lt(strlen(a), LOG_TEXT_MAX);
    ck_assert_uint_lt(strlen(b), LOG_TEXT_MAX);
    ck_assert_int_eq(a[strlen(a) - 1], '"');
    ck_assert_int_eq(b[strlen(b) - 1], '"');
    ck_assert_str_eq(c, "\"short\"");
}
END_TEST

START_TEST(durations)
{
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"0", 0},
                {"20ms", 20 * MSEC},
                {"250us", 250 * USEC},
                {"1.5s", 1500 * MSEC},
                {"2m", 120 * SEC},
                {"1h", 3600 * SEC},
                {"7ns", 7},
                {"0.5ms", 500 * USEC},
                {"0s", 0},
                {"1000s", 1000 * SEC}};
    static const char *const bad[] = {"",       "20",   "ms",  "-1s",  "+1s",   " 1s",
                                      "1 s",    "1S",   "1s ", "1e3s", "inf",   "nan",
                                      "0x10ms", "1ms2", ".",   "..5s", "1days", "99999999999999h"};
    int64_t ns;

    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(env_parse_duration(good[i].text, &ns) == 0, "'%s'", good[i].text);
        ck_assert_msg(ns == good[i].ns, "'%s': %lld", good[i].text, (long long)ns);
    }
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ns = 42;
        ck_assert_msg(env_parse_duration(bad[i], &ns) == -EINVAL, "'%s' = %lld", bad[i],
                      (long long)ns);
        ck_assert_int_eq(ns, 42);
    }
}
END_TEST

START_TEST(numbers)
{
    int64_t integer;
    double real;

    ck_assert_int_eq(env_parse_integer("-12", &integer), 0);
    ck_assert_int_eq(integer, -12);
    ck_assert_int_eq(env_parse_integer("1.5", &integer), -EINVAL);
    ck_assert_int_eq(env_parse_integer("", &integer), -EINVAL);
    ck_assert_int_eq(env_parse_integer("99999999999999999999", &integer), -EINVAL);
    ck_assert_int_eq(env_parse_real("0.25", &real), 0);
    ck_assert_double_eq(real, 0.25);
    ck_assert_int_eq(env_parse_real("nan", &real), -EINVAL);
    ck_assert_int_eq(env_parse_real("1x", &real), -EINVAL);
}
END_TEST

static const char *name;
static int64_t size, wait;
static double share;
static const struct env_setting settings[] = {
    {"TEST_NAME", ENV_STRING, &name, NULL, 0, 0, "a name"},
    {"TEST_SIZE", ENV_INTEGER, &size, "10", 1, 100, "a size"},
    {"TEST_WAIT", ENV_DURATION, &wait, "20ms", 0.001, 60, "a wait"},
    {"TEST_SHARE", ENV_REAL, &share, "0.5", 0, 1, "a share"},
    {NULL}};

static void assert_refused(const char *variable, const char *value, const char *word)
{
    char message[256] = "";

    setenv(variable, value, 1);
    ck_assert_int_eq(env_read(settings, message, sizeof(message)), -EINVAL);
    ck_assert_msg(strstr(message, variable) && strstr(message, word), "message: %s", message);
    unsetenv(variable);
}

START_TEST(settings_come_from_the_environment)
{
    char message[256] = "";

    ck_assert_int_eq(env_read(settings, message, sizeof(message)), -EINVAL);
    ck_assert_str_eq(message, "TEST_NAME is not set; it must hold a name");
    setenv("TEST_NAME", "", 1);
    ck_assert_int_eq(env_read(settings, message, sizeof(message)), -EINVAL);
    setenv("TEST_NAME", "n", 1);
    setenv("TEST_WAIT", "1.5s", 1);
    ck_assert_int_eq(env_read(settings, message, sizeof(message)), 0);
    ck_assert_str_eq(name, "n");
    ck_assert_int_eq(size, 10);
    ck_assert_int_eq(wait, 1500 * MSEC);
    ck_assert_double_eq(share, 0.5);
    unsetenv("TEST_WAIT");
    assert_refused("TEST_SIZE", "0", "between 1 and 100");
    assert_refused("TEST_SIZE", "ten", "an integer");
    assert_refused("TEST_WAIT", "20", "a duration");
    assert_refused("TEST_WAIT", "2m", "between 0.001 and 60 seconds");
    assert_refused("TEST_SHARE", "1.5", "between 0 and 1");
}
END_TEST

START_TEST(uuids)
{
    char a[UUID_SIZE], b[UUID_SIZE], c[UUID_SIZE];

    uuid_random(a);
    uuid_random(b);
    ck_assert(uuid_is_valid(a));
    ck_assert_str_ne(a, b);
    ck_assert_int_eq(a[14], '4');
    ck_assert_ptr_nonnull(strchr("89ab", a[19]));
    uuid_named(a, "client", "key");
    uuid_named(b, "client", "key");
    uuid_named(c, "clientk", "ey");
    ck_assert(uuid_is_valid(a));
    ck_assert_int_eq(a[14], '8');
    ck_assert_str_eq(a, b);
    ck_assert_str_ne(a, c);
    ck_assert(uuid_is_valid("00000000-0000-0000-0000-00000000000F"));
    ck_assert(!uuid_is_valid("00000000-0000-0000-0000-00000000000"));
    ck_assert(!uuid_is_valid("00000000-0000-0000-0000-0000000000000"));
    ck_assert(!uuid_is_valid("00000000x0000-0000-0000-000000000000"));
    ck_assert(!uuid_is_valid("0000000g-0000-0000-0000-000000000000"));
    ck_assert(!uuid_is_valid(""));
}
END_TEST

START_TEST(times)
{
    char text[32];

    clock_rfc3339(INT64_C(1769851800123456789), text, sizeof(text));
    ck_assert_str_eq(text, "2026-01-31T09:30:00.123Z");
    clock_rfc3339(0, text, sizeof(text));
    ck_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
    ck_assert_int_eq(clock_poll_ms(0), 0);
    int ms = clock_poll_ms(clock_monotonic() + 1);
    ck_assert(ms == 0 || ms == 1);
}
END_TEST

UNIT_MAIN("text",
          buf_grows_and_gives_away,
          json_strings_are_escaped_and_valid_utf8,
          log_quote_is_bounded,
          durations,
          numbers,
          settings_come_from_the_environment,
          uuids,
          times)
