// SPDX-License-Identifier: Apache-2.0
// How commands open labs.
#pragma once

#include "base/arena.h"
#include "lab/lab.h"

// Directory of this user's labs, ${TMPDIR:-/tmp}/plimsoll-UID, in the arena. Not XDG_RUNTIME_DIR:
// the data of a database may be larger than that is meant for, and other users' pods must pass.
const char *labs_root(struct arena *arena);
// Root, search paths and defaults from the environment and the place of this program; strings in
// the arena.
void labs_defaults(struct lab_options *o, struct arena *arena);
