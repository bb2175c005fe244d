// SPDX-License-Identifier: Apache-2.0
// GJSON paths (github.com/tidwall/gjson, SYNTAX.md) evaluated on the bytes of a JSON text: keys
// with wildcards and escapes, indexes, `#`, queries, pipes, multipaths, the modifiers @this,
// @reverse,
// @keys, @values, @flatten, @ugly and @valid. Bounded in depth; never reads outside of its input.
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/strbuf.h"

// Is the text one JSON value (RFC 8259), blanks around it allowed? At most 512 levels deep.
bool gjson_valid(struct slice json);
// The JSON text of the value that `path` selects in valid `json`: a part of it, or memory of
// `scratch` where the path makes a new value (64 MiB at most). {NULL, 0} when nothing matches or
// the path is no path.
struct slice gjson_get(struct slice json, struct slice path, struct arena *scratch);
// Appends the text that a JSON string (quotes included) stands for.
void gjson_unquote(struct slice string, struct strbuf *out);
