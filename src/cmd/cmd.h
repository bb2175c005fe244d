// SPDX-License-Identifier: Apache-2.0
// Subcommands and what they share.
#pragma once

#include "base/err.h"
#include "load/exits.h"

// Each takes argv with its own name in argv[0] and returns the exit status.
#define COMMAND(id, name, arguments, summary) int cmd_##id(int argc, char **argv);
#include "tbl/commands.h"
#undef COMMAND

// Prints "plimsoll: file:line:column: message" on stderr; returns EXIT_CODE_USAGE.
int cmd_fail(const struct err *err);
// Prints a usage error with a hint at `plimsoll COMMAND --help`; returns EXIT_CODE_USAGE.
int cmd_usage(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));
