// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "observe/procfs.h"
#include "unit.h"

START_TEST(a_tree_has_its_children)
{
    double before, after;
    int tube[2];
    char c;
    pid_t self = getpid();

    ck_assert_int_eq(pipe(tube), 0);
    procfs_cpu_of_trees(&self, 1, &before);
    pid_t child = fork();
    if (child == 0) {
        while (clock_process_cpu() < 200 * NSEC_PER_MSEC) {
        }
        (void)!write(tube[1], "", 1);
        pause();
        _exit(0);
    }
    ck_assert_int_eq(read(tube[0], &c, 1), 1);
    procfs_cpu_of_trees(&self, 1, &after);
    ck_assert_double_ge(after - before, 0.15);
    double own;
    procfs_cpu_of_trees(&child, 1, &own);
    ck_assert_double_ge(own, 0.15);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    procfs_cpu_of_trees(&child, 1, &own);
    ck_assert_double_eq(own, 0);
    close(tube[0]);
    close(tube[1]);
}
END_TEST

START_TEST(the_machine)
{
    double busy, total;

    ck_assert_int_eq(procfs_cpu_of_host(&busy, &total), 0);
    ck_assert_double_gt(busy, 0);
    ck_assert_double_gt(total, busy);
}
END_TEST

UNIT_MAIN("observe/procfs", a_tree_has_its_children, the_machine)
