// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "unit.h"

START_TEST(buffer_grows_and_formats)
{
    struct strbuf b = STRBUF_NULL;

    ck_assert_str_eq(strbuf_str(&b), "");
    for (int i = 0; i < 1000; i++) {
        strbuf_addf(&b, "%d,", i);
    }
    ck_assert_uint_eq(b.n, 3890);
    char *text = strbuf_take(&b);
    ck_assert_uint_eq(strlen(text), 3890);
    free(text);
    strbuf_fini(&b);
}
END_TEST

START_TEST(slices_cut_and_trim)
{
    struct slice rest = SLICE("a=b=c");

    ck_assert(slice_eqs(slice_cut(&rest, '='), "a"));
    ck_assert(slice_eqs(rest, "b=c"));
    ck_assert(slice_eqs(slice_trim(SLICE(" \tx y\r\n")), "x y"));
    ck_assert(slice_eq_nocase(SLICE("Content-Type"), SLICE("content-type")));
}
END_TEST

START_TEST(suggestions)
{
    static const char *const names[] = {"constant-vus", "ramping-vus", "vus"};

    ck_assert_str_eq(str_suggest("constant-vsu", names, 3), "constant-vus");
    ck_assert_ptr_null(str_suggest("nothing-like-it", names, 3));
}
END_TEST

START_TEST(error_text)
{
    struct err err = {0};
    char buf[256];

    ck_assert_int_eq(err_set(&err, -EINVAL, "bad rate '%d'", 5), -EINVAL);
    err_wrap(&err, "scenario '%s'", "x");
    err_at(&err, "a.js", 3, 0);
    ck_assert_str_eq(err_text(&err, buf, sizeof(buf)), "a.js:3: scenario 'x': bad rate '5'");
}
END_TEST

START_TEST(files)
{
    char dir[] = "/tmp/plimsoll-test-XXXXXX";
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    struct err err = {0};

    ck_assert_ptr_nonnull(mkdtemp(dir));
    CLEANUP_FREE char *deep = fs_join(dir, "a/b");
    CLEANUP_FREE char *file = fs_join(deep, "c");
    ck_assert_int_eq(fs_make_dirs(deep, &err), 0);
    ck_assert_int_eq(fs_write(file, "hello", 5, &err), 0);
    ck_assert_int_eq(fs_read(file, 100, &text, &err), 0);
    ck_assert_str_eq(strbuf_str(&text), "hello");
    ck_assert_int_eq(fs_read(file, 4, &text, &err), -EFBIG);
    ck_assert_int_eq(fs_read(deep, 4, &text, &err), -EISDIR);
    ck_assert_int_eq(fs_remove_tree(dir), 0);
    ck_assert(!fs_exists(dir));
}
END_TEST

START_TEST(rfc3339)
{
    char buf[40];

    ck_assert_str_eq(clock_format_rfc3339(1700000000123456789, 3, buf, sizeof(buf)),
                     "2023-11-14T22:13:20.123Z");
    ck_assert_str_eq(clock_format_rfc3339(0, 0, buf, sizeof(buf)), "1970-01-01T00:00:00Z");
}
END_TEST

UNIT_MAIN("base/text",
          buffer_grows_and_formats,
          slices_cut_and_trim,
          suggestions,
          error_text,
          files,
          rfc3339)
