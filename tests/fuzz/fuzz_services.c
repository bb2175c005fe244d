// SPDX-License-Identifier: Apache-2.0
// What the reference services read from strangers. The first byte says as what to read the rest.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/body.h"
#include "common/buf.h"
#include "common/env.h"
#include "common/http1.h"
#include "common/uuid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_head(const char *text, size_t len)
{
    struct http1_head head, again;

    if (http1_head_parse(text, len, &head) != 1) {
        return;
    }
    // What a head says does not depend on what follows it, and nothing shorter is one.
    if (head.head_len > len || head.status < 100 || head.body_len < 0 ||
        http1_head_parse(text, head.head_len, &again) != 1 || again.body_len != head.body_len ||
        http1_head_parse(text, head.head_len - 1, &again) != 0) {
        abort();
    }
}

// A string that is written as JSON is read as itself, but for bytes that were no UTF-8.
static void write_json(const char *text)
{
    struct buf buf = BUF_NULL;

    buf_json(&buf, text);
    json_t *value = json_loadb(buf.data, buf.len, JSON_DECODE_ANY, NULL);
    if (!value) {
        abort();
    }
    json_t *same = json_string(text);
    if (same && !json_equal(value, same)) {
        abort();
    }
    json_decref(same);
    json_decref(value);
    buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char subject[JWT_SUBJECT_MAX];
    struct http1_url url;
    int64_t ns;

    if (size == 0) {
        return 0;
    }
    size_t len = size - 1;
    char *text = malloc(size);
    memcpy(text, data + 1, len);
    text[len] = '\0';
    switch (data[0] % 5) {
    case 0:
        read_head(text, len);
        break;
    case 1:
        json_decref(body_parse(text, len));
        break;
    case 2:
        jwt_verify("a secret of some length", text, 1000, subject);
        break;
    case 3:
        write_json(text);
        break;
    default:
        http1_url_parse(text, &url);
        http1_authority_parse(text, &url);
        uuid_is_valid(text);
        if (env_parse_duration(text, &ns) == 0 && ns < 0) {
            abort();
        }
        break;
    }
    free(text);
    return 0;
}
