// SPDX-License-Identifier: Apache-2.0
// How commands open labs.
#pragma once

#include "base/arena.h"
#include "lab/lab.h"

// Directory of this user's labs: $XDG_RUNTIME_DIR/plimsoll, or ${TMPDIR:-/tmp}/plimsoll-UID where
// there is none, and for root always (other users' pods must be able to pass). In the arena.
const char *labs_root(struct arena *arena);
// Root, search paths and defaults from the environment and the place of this program; strings in
// the arena.
void labs_defaults(struct lab_options *o, struct arena *arena);
