// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/host.h"
#include "lab/spawn.h"
#include "unit.h"

static struct ident start(const char **argv)
{
    const char *envp[] = {"MARK=unit", NULL};
    struct program p = {.path = "/bin/sh", .argv = argv, .envp = envp};
    CLEANUP_CLOSE int null = open("/dev/null", O_WRONLY);
    struct err err = {0};
    struct ident child = {0};

    ck_assert_msg(spawn(&p, "/", null, &child, &err) == 0, "%s", err.message);
    return child;
}

START_TEST(identity)
{
    struct ident child = start((const char *[]){"sh", "-c", "exec sleep 60", NULL});
    struct ident_stat stat;

    ck_assert(ident_is_alive(child));
    ck_assert_int_eq(ident_read(child.pid, &stat), 0);
    ck_assert_int_eq(stat.session, child.pid);
    ck_assert_int_eq(stat.parent, getpid());
    // While a process executes another program its environment cannot be read.
    for (int i = 0; i < 1000 && !ident_has_variable(child.pid, "MARK=unit"); i++) {
        usleep(5000);
    }
    ck_assert(ident_has_variable(child.pid, "MARK=unit"));
    ck_assert(!ident_has_variable(child.pid, "MARK=uni"));
    // Another process that had this pid is not it.
    struct ident other = {child.pid, child.start + 1};
    ck_assert(!ident_is_alive(other));
    ck_assert_int_eq(ident_kill(other, SIGKILL), -ESRCH);
    ck_assert(ident_is_alive(child));
    ck_assert_int_eq(ident_kill((struct ident){1, 0}, SIGKILL), -EINVAL);
    ck_assert_int_eq(ident_kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child.pid, NULL, 0), child.pid);
    ck_assert(!ident_is_alive(child));
    ck_assert_int_eq(ident_read(child.pid, &stat), -ESRCH);
}
END_TEST

// Waits for the orphans that come to us, at most until `count` have ended.
static void reap(int count)
{
    while (count--) {
        ck_assert_int_gt(waitpid(-1, NULL, 0), 0);
    }
}

START_TEST(trees)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    // A shell, a child in its session, and one that left the session.
    struct ident child =
        start((const char *[]){"sh", "-c", "sleep 60 & setsid sleep 60 & wait", NULL});
    struct ident_stat stat;

    usleep(200000); // the children are not seen from here; too early only makes the test weaker
    ident_kill_tree(child.pid);
    reap(3);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(ident_read(child.pid, &stat), -ESRCH);
}
END_TEST

START_TEST(failures)
{
    const char *argv[] = {"x", NULL};
    const char *envp[] = {NULL};
    struct program p = {.path = "/nonexistent/x", .argv = argv, .envp = envp};
    struct ident child = {0};
    struct err err = {0};

    ck_assert_int_eq(spawn(&p, "/", 1, &child, &err), -ENOENT);
    p.path = "/etc/passwd";
    ck_assert_int_eq(spawn(&p, "/", 1, &child, &err), -EACCES);
    ck_assert_str_eq(err.message, "cannot start '/etc/passwd': execute: Permission denied");
    p.path = "/bin/sh";
    ck_assert_int_eq(spawn(&p, "/nonexistent", 1, &child, &err), -ENOENT);
    ck_assert_str_eq(err.message,
                     "cannot start '/bin/sh': change directory: No such file or directory");
    ck_assert_int_eq(child.pid, 0);
}
END_TEST

START_TEST(dies_with_parent)
{
    int ends[2];
    pid_t grandchild = 0;
    struct ident_stat stat;

    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct ident child = start((const char *[]){"sh", "-c", "exec sleep 60", NULL});
        _exit(write(ends[1], &child.pid, sizeof(child.pid)) > 0 ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(read(ends[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
    close(ends[0]);
    close(ends[1]);
    for (int i = 0; i < 2000 && ident_read(grandchild, &stat) == 0 && stat.state != 'Z'; i++) {
        usleep(5000);
    }
    ck_assert(ident_read(grandchild, &stat) < 0 || stat.state == 'Z');
}
END_TEST

START_TEST(host)
{
    ck_assert_int_eq(host_try_loopback(), 0);
    ck_assert_int_le(host_try_user_namespace(), 0);
}
END_TEST

UNIT_MAIN("lab/process", identity, trees, failures, dies_with_parent, host)
