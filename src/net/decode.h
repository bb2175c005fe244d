// SPDX-License-Identifier: Apache-2.0
// Undoes the content coding of a response body. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/strbuf.h"

// Whether `encodings`, the value of Content-Encoding, names one that decode_body() undoes.
bool decode_needed(struct slice encodings);
// Undoes the encodings (gzip, deflate, br, zstd; several are undone from the last to the first;
// unknown ones are left) and appends the result to `out`. 0, or NETERR_DECOMPRESSION (tbl/neterr.h)
// with a text in `ret_error`: broken data, or more than `max` bytes of result. `out` then holds
// nothing new. Keeps its working memory nowhere; allocates.
int decode_body(struct slice encodings,
                struct slice body,
                size_t max,
                struct strbuf *out,
                char *ret_error,
                size_t error_size);
