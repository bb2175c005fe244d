// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "record/rundir.h"
#include "unit.h"

static char folder[64];

static const char *make_folder(void)
{
    snprintf(folder, sizeof(folder), "/tmp/plimsoll-rundir-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    return folder;
}

static void count_line(void *arg, const json_t *line)
{
    ck_assert(json_is_object(line));
    ck_assert(json_is_integer(json_object_get(line, "t")));
    ++*(int *)arg;
}

START_TEST(what_is_written_is_read)
{
    struct rundir *d;
    struct err err = {0};
    json_t *result;
    int lines = 0;

    ck_assert_int_eq(rundir_create(make_folder(), "dir/order creation.js", &d, &err), 0);
    ck_assert(str_ends(rundir_path(d), "-order-creation"));
    rundir_event(d, clock_now(), "run", "started", json_pack("{s:s}", "script", "x.js"));
    rundir_event(d, clock_now(), "run", "ended", NULL);
    rundir_series(d, clock_now(), json_pack("{s:i}", "vus", 3));
    CLEANUP_FREE char *path = xstrdup(rundir_path(d));
    ck_assert_int_eq(rundir_read_result(path, &result, &err), -ENOENT); // not ended yet
    char *argv[] = {(char *)"run", (char *)"CLIENT_SECRET=hunter22", (char *)"x.js"};
    ck_assert_int_eq(
        rundir_write_result(d, rundir_result_base("run", 3, argv, 7, clock_wall()), &err), 0);
    ck_assert_int_eq(rundir_error(d), 0);
    rundir_close(d);
    ck_assert_int_eq(rundir_read_lines(path, "events.jsonl", count_line, &lines, &err), 0);
    ck_assert_int_eq(lines, 2);
    ck_assert_int_eq(rundir_read_result(path, &result, &err), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(result, "seed")), 7);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(result, "argv"), 1)),
                     "CLIENT_SECRET=***");
    json_decref(result);
    fs_remove_tree(folder);
}
END_TEST

static int read_text(const char *text, int *ret_lines, struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/events.jsonl", folder);

    *ret_lines = 0;
    ck_assert_int_eq(fs_write(path, text, strlen(text), NULL), 0);
    return rundir_read_lines(folder, "events.jsonl", count_line, ret_lines, err);
}

START_TEST(a_torn_tail_is_left_out)
{
    struct err err = {0};
    int lines;

    make_folder();
    ck_assert_int_eq(read_text("{\"t\":1}\n{\"t\":2}\n{\"t\":3,\"so", &lines, &err), 0);
    ck_assert_int_eq(lines, 2);
    ck_assert_int_eq(read_text("{\"t\":1}\n{\"t\":2", &lines, &err), 0);
    ck_assert_int_eq(lines, 1);
    ck_assert_int_eq(read_text("", &lines, &err), 0);
    ck_assert_int_eq(read_text("{\"t\":1}\nrubbish\n{\"t\":3}\n", &lines, &err), -EBADMSG);
    ck_assert_int_eq(err.line, 2);
    ck_assert_int_eq(rundir_read_lines(folder, "none.jsonl", count_line, &lines, &err), -ENOENT);
    fs_remove_tree(folder);
}
END_TEST

START_TEST(secrets_are_masked_everywhere)
{
    static const char *const env[] = {"CLIENT_SECRET=pass\"word", "HOME=/srv/data",
                                      "API_TOKEN=abcdef", "SHORT_TOKEN=ab", NULL};
    struct rundir *d;
    struct err err = {0};
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;

    ck_assert_int_eq(rundir_create(make_folder(), "x", &d, &err), 0);
    redactor_add_env(rundir_redactor(d), env);
    rundir_event(d, 1, "run", "log",
                 json_pack("{s:s}", "msg", "Bearer abcdef, pass\"word, /srv/data, ab"));
    CLEANUP_FREE char *path = fs_join(rundir_path(d), "events.jsonl");
    ck_assert_int_eq(fs_read(path, 4096, &text, &err), 0);
    ck_assert(strstr(text.p, "Bearer ***, ***, /srv/data, ab") != NULL);
    rundir_close(d);
    fs_remove_tree(folder);
}
END_TEST

START_TEST(where_it_cannot_be_written)
{
    struct rundir *d;
    struct err err = {0};

    ck_assert_int_lt(rundir_create("/proc/none", "x", &d, &err), 0);
    ck_assert(strstr(err.message, "/proc/none") != NULL);
}
END_TEST

UNIT_MAIN("record/rundir",
          what_is_written_is_read,
          a_torn_tail_is_left_out,
          secrets_are_masked_everywhere,
          where_it_cannot_be_written)
