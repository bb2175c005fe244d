// SPDX-License-Identifier: Apache-2.0
#include "cmd/labs.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"

const char *labs_root(struct arena *arena)
{
    const char *temporary = getenv("TMPDIR");

    return arena_printf(arena, "%s/plimsoll-%u",
                        temporary && temporary[0] == '/' ? temporary : "/tmp", (unsigned)geteuid());
}

// build/services/ beside build/plimsoll, or libexec/plimsoll/ beside bin/.
static const char *find_program_dir(struct arena *arena)
{
    static const char *const places[] = {"services", "../libexec/plimsoll"};
    CLEANUP_FREE char *exe = realpath("/proc/self/exe", NULL);
    CLEANUP_FREE char *dir = fs_dirname(exe ? exe : ".");

    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        const char *path = arena_printf(arena, "%s/%s", dir, places[i]);
        if (fs_exists(path)) {
            return path;
        }
    }
    return NULL;
}

void labs_defaults(struct lab_options *o, struct arena *arena)
{
    const char *path = getenv("PATH");
    const char *test_run = getenv("PLIMSOLL_TEST_RUN");

    *o = (struct lab_options){
        .root = labs_root(arena),
        // Servers are in sbin, which users often do not have in their path.
        .path = arena_printf(arena, "%s:/usr/local/sbin:/usr/sbin:/sbin",
                             path ? path : "/usr/local/bin:/usr/bin:/bin"),
        .program_dir = find_program_dir(arena),
        // Lets a suite of tests tell its processes from others.
        .tag = test_run ? arena_printf(arena, "PLIMSOLL_TEST_RUN=%s", test_run) : NULL,
    };
}
