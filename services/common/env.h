// SPDX-License-Identifier: Apache-2.0
// Settings from the environment, by table: one entry is parser, default, bounds and --help.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum env_type {
    ENV_STRING,   // const char *, borrowed from the environment
    ENV_INTEGER,  // int64_t
    ENV_REAL,     // double
    ENV_DURATION, // int64_t, nanoseconds; written as 250us, 20ms, 1.5s, 2m; a bare 0 is allowed
};

struct env_setting {
    const char *name; // NULL ends a table
    enum env_type type;
    void *ret;            // where the value goes
    const char *fallback; // text of the default; NULL = must be set
    double min, max;      // inclusive; seconds for a duration; unused for a string
    const char *about;    // one line for --help
};

// Reads all settings of one table. 0, or -EINVAL with the message in `message`.
int env_read(const struct env_setting *settings, char *message, size_t size);
// The table as lines "NAME  default  what it does".
void env_help(const struct env_setting *settings, FILE *out);
// "20ms" → 20,000,000. -EINVAL if it is none; the result is never negative.
int env_parse_duration(const char *text, int64_t *ret_ns);
int env_parse_integer(const char *text, int64_t *ret_value);
int env_parse_real(const char *text, double *ret_value);
