// SPDX-License-Identifier: Apache-2.0
// Values with units as users write them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/strbuf.h"

// Go's duration form ("300ms", "1.5h", "1h45m", "-2s"), with "d" for days; a bare number is
// milliseconds. Returns 0 or -EINVAL (-ERANGE past 292 years).
int units_parse_duration(struct slice text, nsec_t *ret_duration);
// Strict: a unit is required (plain "0" excepted).
int units_parse_duration_unit(struct slice text, nsec_t *ret_duration);
// Go's String() of a duration: "1h0m0s", "1.5s", "300ms", "0s". buf of 40 bytes; returns buf.
const char *units_format_duration(nsec_t d, char *buf, unsigned size);
// "500", "500/s", "30/m", "2k/s" → requests per second. 0 or -EINVAL.
int units_parse_rate(struct slice text, double *ret_per_second);
// "1%", "0.01" → a share 0..1. 0 or -EINVAL.
int units_parse_share(struct slice text, double *ret_share);
// "64MiB", "1GB", "512" → bytes. 0 or -EINVAL.
int units_parse_bytes(struct slice text, uint64_t *ret_bytes);
// Whole text as a finite decimal number. 0 or -EINVAL.
int units_parse_double(struct slice text, double *ret_value);
// Whole text as an integer. 0, -EINVAL or -ERANGE.
int units_parse_int(struct slice text, int64_t *ret_value);
