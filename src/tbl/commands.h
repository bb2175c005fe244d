// SPDX-License-Identifier: Apache-2.0
// clang-format off
// Subcommands: COMMAND(id, name, arguments, summary). One src/cmd/ID.c each, with cmd_ID().
COMMAND(run, "run", "SCRIPT", "run a k6 load test")
