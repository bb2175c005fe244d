// SPDX-License-Identifier: Apache-2.0
// The capacity plan as a table, from the `limits` of a result.json. Pure.
#pragma once

#include <jansson.h>

#include "base/strbuf.h"

enum { PLAN_TABLE_WIDTH_MIN = 60 };

// Aligned text, at most `width` columns where the words allow it: cells wrap.
void plan_table_text(const json_t *result, unsigned width, struct strbuf *out);
// Markdown: the table, then what was found of each resource of each service.
void plan_table_markdown(const json_t *result, struct strbuf *out);
