// SPDX-License-Identifier: Apache-2.0
// Values of options: from JSON and from the text of a flag or variable to one canonical JSON form.
// Inside of load/options*.c.
#pragma once

#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/strbuf.h"

enum option_kind {
    KIND_COUNT, // integer >= 0; JSON numbers and numeric texts
    KIND_DURATION,
    KIND_STRING,
    KIND_BOOL,
    KIND_LIST,
    KIND_TAGS,
    KIND_STAGES,
    KIND_SCENARIOS,
    KIND_DNS,
    KIND_OPTIONAL, // a flag with or without a value
    KIND_SIZE,
    KIND_JSON, // looked at later
};

// The canonical form of a JSON value, a new reference; NULL without error: not set (null, "").
// `what` names it in messages.
int value_check(
    enum option_kind kind, json_t *value, const char *what, json_t **ret_value, struct err *err);
// The same for a text. With `into` (the value so far, or NULL) repeatable kinds add to it.
int value_parse(enum option_kind kind,
                const char *text,
                const char *what,
                json_t *into,
                json_t **ret_value,
                struct err *err);
// Reads what value_check() made.
int64_t value_int(const json_t *v, int64_t missing);
nsec_t value_duration(const json_t *v, nsec_t missing);
bool value_bool(const json_t *v, bool missing);
// A copy from xmalloc, or of `missing` (which may be NULL).
char *value_string(const json_t *v, const char *missing);
// NULL-terminated copies; NULL if `v` is no array.
char **value_strings(const json_t *v);
