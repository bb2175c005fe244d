// SPDX-License-Identifier: Apache-2.0
// Starts the process of a container.
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "lab/ident.h"
#include "lab/program.h"

// Starts the program in a session of its own, as its user, in directory `dir`, with `output` as its
// stdout and stderr and no stdin; the kernel kills it when this thread ends. The program's file is
// opened before the user changes, so that it need not be in a place that the user can reach.
// 0 with ret_child, or negative with err.
int spawn(
    const struct program *p, const char *dir, int output, struct ident *ret_child, struct err *err);
