// SPDX-License-Identifier: Apache-2.0
// The command line of `plimsoll run`: k6's flags, and what of them is no option of the run.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/strbuf.h"

struct run_args {
    const char *script; // file or "-"
    json_t *flags;      // options given as flags, in script keys
    json_t *variables;  // -e NAME=VALUE
    bool system_env;    // the script sees the environment
    const char *config; // file or NULL
    bool quiet, verbose, no_color, help, progress_json, no_record;
    const char *log_format, *log_output;
    char **env; // what the script sees: "NAME=value", NULL-terminated; run_args_env()
};

// 0, or an exit code with err. Strings of argv are borrowed.
int run_args_parse(int argc, char **argv, struct run_args *ret_args, struct err *err);
void run_args_fini(struct run_args *a);
void run_args_help(void);
// Fills a->env from -e and, unless told otherwise, the environment.
void run_args_env(struct run_args *a);
