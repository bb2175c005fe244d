// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include <dirent.h>
#include <stdlib.h>

static int open_fds_before;

static int count_open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    ck_assert_ptr_nonnull(dir);
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

static void remember_fds(void)
{
    open_fds_before = count_open_fds();
}

static void compare_fds(void)
{
    ck_assert_msg(count_open_fds() == open_fds_before,
                  "file descriptors leaked: %d before, %d after", open_fds_before,
                  count_open_fds());
}

int unit_run(const char *name, const TTest *const *tests)
{
    Suite *suite = suite_create(name);

    for (; *tests; tests++) {
        TCase *tcase = tcase_create((*tests)->name);
        tcase_set_timeout(tcase, 180);
        tcase_add_checked_fixture(tcase, remember_fds, compare_fds);
        tcase_add_test(tcase, *tests);
        suite_add_tcase(suite, tcase);
    }
    SRunner *runner = srunner_create(suite);
    srunner_set_tap(runner, "-");
    srunner_run_all(runner, CK_SILENT);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
