// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "base/mem.h"
#include "base/opt.h"
#include "unit.h"

static const struct opt_spec SPECS[] = {
    {"vus", 'u', "N", false, "number of virtual users"},
    {"quiet", 'q', NULL, false, "no progress"},
    {"verbose", 'v', NULL, false, "more log lines"},
    {"debug", 0, "WHAT", true, "debug"},
};

static int note(void *arg, const struct opt_spec *spec, const char *value, struct err *err)
{
    (void)err;
    strbuf_addf(arg, "%s=%s;", spec->name, value ? value : "-");
    return 0;
}

static int parse(struct strbuf *seen, int *count, const char **argv, struct err *err)
{
    int argc = 0;

    while (argv[argc]) {
        argc++;
    }
    return opt_parse(SPECS, ARRAY_SIZE(SPECS), argc, (char **)argv, note, seen, count, err);
}

START_TEST(forms)
{
    CLEANUP(strbuf_fini) struct strbuf seen = STRBUF_NULL;
    const char *argv[] = {"x", "-u5",     "a",         "--vus", "6",  "--vus=7", "-qv",
                          "-", "--debug", "--debug=y", "--",    "-u", NULL};
    struct err err = {0};
    int count;

    ck_assert_int_eq(parse(&seen, &count, argv, &err), 0);
    ck_assert_str_eq(strbuf_str(&seen), "vus=5;vus=6;vus=7;quiet=-;verbose=-;debug=-;debug=y;");
    ck_assert_int_eq(count, 3);
    ck_assert_str_eq(argv[0], "a");
    ck_assert_str_eq(argv[1], "-");
    ck_assert_str_eq(argv[2], "-u");
}
END_TEST

START_TEST(errors)
{
    CLEANUP(strbuf_fini) struct strbuf seen = STRBUF_NULL;
    struct err err = {0};
    int count;

    ck_assert_int_eq(parse(&seen, &count, (const char *[]){"x", "--vsu=1", NULL}, &err), -EINVAL);
    ck_assert_str_eq(err.message, "unknown option '--vsu', did you mean '--vus'?");
    ck_assert_int_eq(parse(&seen, &count, (const char *[]){"x", "--vus", NULL}, &err), -EINVAL);
    ck_assert_int_eq(parse(&seen, &count, (const char *[]){"x", "-z", NULL}, &err), -EINVAL);
}
END_TEST

UNIT_MAIN("base/opt", forms, errors)
