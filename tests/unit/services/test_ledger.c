// SPDX-License-Identifier: Apache-2.0
// What the provider remembers, over restarts and torn files.
#include "provider/ledger.h"
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct ledger *open_ledger(const char *path)
{
    char message[256] = "";
    struct ledger *ledger = ledger_open(path, message, sizeof(message));

    ck_assert_msg(ledger != NULL, "%s", message);
    return ledger;
}

static void assert_counts(struct ledger *ledger, uint64_t accepted, uint64_t repeated)
{
    uint64_t a, r;

    ledger_counts(ledger, &a, &r);
    ck_assert_uint_eq(a, accepted);
    ck_assert_uint_eq(r, repeated);
}

START_TEST(accepts_each_key_once)
{
    struct ledger *ledger = open_ledger("");

    ck_assert_int_eq(ledger_accept(ledger, "a"), 1);
    ck_assert_int_eq(ledger_accept(ledger, "b"), 1);
    ck_assert_int_eq(ledger_accept(ledger, "a"), 0);
    ck_assert(ledger_has(ledger, "b"));
    ck_assert(!ledger_has(ledger, "c"));
    assert_counts(ledger, 2, 1);
    ledger_close(ledger);
}
END_TEST

START_TEST(forgets_only_the_oldest)
{
    struct ledger *ledger = open_ledger("");
    char key[32];

    for (int i = 0; i < 2 * LEDGER_KEYS + 10; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        ck_assert_int_eq(ledger_accept(ledger, key), 1);
    }
    ck_assert(!ledger_has(ledger, "key-0"));
    for (int i = LEDGER_KEYS; i < 2 * LEDGER_KEYS + 10; i += 7777) {
        snprintf(key, sizeof(key), "key-%d", i);
        ck_assert_msg(ledger_has(ledger, key), "%s", key);
    }
    ledger_close(ledger);
}
END_TEST

START_TEST(survives_a_restart_and_a_torn_line)
{
    char path[] = "/tmp/ledger-test-XXXXXX";
    int fd = mkstemp(path);
    struct ledger *ledger = open_ledger(path);

    ck_assert_int_eq(ledger_accept(ledger, "a"), 1);
    ck_assert_int_eq(ledger_accept(ledger, "b"), 1);
    ledger_close(ledger);
    ck_assert_int_eq(lseek(fd, 0, SEEK_END), 4);
    ck_assert_int_eq(write(fd, "torn", 4), 4);
    ledger = open_ledger(path);
    assert_counts(ledger, 2, 0);
    ck_assert(!ledger_has(ledger, "torn"));
    ck_assert_int_eq(ledger_accept(ledger, "a"), 0);
    ck_assert_int_eq(ledger_accept(ledger, "c"), 1);
    ledger_close(ledger);
    ledger = open_ledger(path);
    assert_counts(ledger, 3, 0);
    ck_assert(ledger_has(ledger, "c"));
    ledger_close(ledger);
    unlink(path);
    close(fd);
}
END_TEST

START_TEST(refuses_a_bad_path_and_a_full_disk)
{
    char message[256] = "";

    ck_assert_ptr_null(ledger_open("/nowhere/at/all", message, sizeof(message)));
    ck_assert_ptr_nonnull(strstr(message, "/nowhere/at/all"));
    ck_assert_ptr_null(ledger_open("/dev/zero", message, sizeof(message)));

    char path[] = "/tmp/ledger-test-XXXXXX";
    close(mkstemp(path));
    struct ledger *ledger = open_ledger(path);
    struct rlimit limit = {.rlim_cur = 10, .rlim_max = RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_int_eq(ledger_accept(ledger, "12345678"), 1);
    ck_assert_int_lt(ledger_accept(ledger, "second"), 0);
    ck_assert(!ledger_has(ledger, "second"));
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_int_eq(ledger_accept(ledger, "third"), 1);
    ledger_close(ledger);
    ledger = open_ledger(path);
    assert_counts(ledger, 2, 0);
    ck_assert(ledger_has(ledger, "third"));
    ledger_close(ledger);
    unlink(path);
}
END_TEST

UNIT_MAIN("ledger",
          accepts_each_key_once,
          forgets_only_the_oldest,
          survives_a_restart_and_a_torn_line,
          refuses_a_bad_path_and_a_full_disk)
