// SPDX-License-Identifier: Apache-2.0
// A line with a path, then a document: what a path selects without making is a part of the document
// and valid itself.
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "codec/gjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(arena_fini) struct arena scratch = ARENA_NULL;
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    struct slice json = {(const char *)data, size};
    struct slice path = slice_cut(&json, '\n');

    if (!gjson_valid(json)) {
        return 0;
    }
    struct slice found = gjson_get(json, path, &scratch);
    bool inside = found.p >= json.p && found.p < json.p + json.n;
    if (inside && (found.p + found.n > json.p + json.n || !gjson_valid(found))) {
        abort();
    }
    if (found.n >= 2 && found.p[0] == '"') {
        gjson_unquote(found, &text);
    }
    return 0;
}
