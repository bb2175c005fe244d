// SPDX-License-Identifier: Apache-2.0
// What every unit test shares: libcheck with TAP output and a check that no file descriptor leaks.
#pragma once

#include <check.h>

// Runs `tests` (NULL-terminated) as suite `name`, each in a process of its own with a time limit of
// 180 s; a test that leaves a file descriptor open fails. Returns the exit status for main().
int unit_run(const char *name, const TTest *const *tests);

#define UNIT_MAIN(name, ...)                                                                       \
    int main(void)                                                                                 \
    {                                                                                              \
        return unit_run(name, (const TTest *const[]){__VA_ARGS__, NULL});                          \
    }
