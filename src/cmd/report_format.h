// SPDX-License-Identifier: Apache-2.0
// How results are printed.
#pragma once

#include <jansson.h>

#include "base/err.h"

enum report_format { REPORT_TEXT, REPORT_JSON, REPORT_MARKDOWN };

// 0, or -EINVAL with err.
int report_format_read(const char *value, enum report_format *ret_format, struct err *err);
// Prints the result on stdout; `width` in columns, of text.
void report_print(const json_t *result, enum report_format format, unsigned width);
