// SPDX-License-Identifier: Apache-2.0
// What a container is on this machine: program, arguments, environment, user.
#pragma once

#include <sys/types.h>

#include "kube/env.h"

// Where programs are looked for: a name in `program_dir`, then PATH; a relative path with '/' from
// `cwd`, then from the directory of its manifest and each one above, then its last part in
// `program_dir`.
struct program_paths {
    const char *cwd, *program_dir, *path; // program_dir may be NULL
};

struct program { // all in the arena
    const char *path;
    const char **argv;
    const char **envp;
    uid_t uid;
    gid_t gid;
    bool drop; // to that user; else we stay who we are
};

// Finds everything that starting the container needs, or running `command` (of a probe; NULL = the
// container's own) in it. 0, or -EINVAL with the manifest's place.
int program_build(const struct kube_set *set,
                  const struct kube_workload *workload,
                  const struct kube_container *container,
                  const struct kube_strings *command,
                  const struct kube_identity *who,
                  const struct program_paths *paths,
                  struct arena *arena,
                  struct program *ret_program,
                  struct err *err);
// Checks the annotations of the template that begin with plimsoll.dev/.
int program_check(const struct kube_workload *workload, struct err *err);
// Path of a program, in the arena; NULL when there is none. `manifest` is a file's path.
const char *program_find(const char *name,
                         const char *manifest,
                         const struct program_paths *paths,
                         struct arena *arena);
