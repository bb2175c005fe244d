// SPDX-License-Identifier: Apache-2.0
// A response read in two pieces gives what it gives read at once, however it is cut (the first byte
// says where); nothing is taken that was not there.
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "codec/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(cond) ((cond) ? (void)0 : abort())

static void inside(struct slice s, const char *p, size_t n)
{
    CHECK(s.n == 0 || (s.p >= p && s.p + s.n <= p + n));
}

static void check_headers(const struct http1_head *h, const char *p, size_t n)
{
    struct slice at = h->headers, name, value;

    inside(h->headers, p, n);
    inside(h->reason, p, n);
    while (http1_next_header(&at, &name, &value)) {
        inside(name, p, n);
        inside(value, p, n);
        CHECK(name.n > 0 && !memchr(value.p, '\r', value.n) && !memchr(name.p, ' ', name.n));
    }
}

// The body's bytes, in memory of the caller's; its size, SIZE_MAX when refused.
static size_t unchunk(const char *p, size_t n, size_t cut, char *copy, size_t *ret_used)
{
    struct http1_chunks c = {0};
    size_t out = 0, at = 0, ends[2] = {MIN(cut, n), n};
    int r = 0;

    memcpy(copy, p, n);
    for (int i = 0; i < 2 && r == 0; i++) {
        size_t used, body;
        r = http1_chunks_feed(&c, copy + at, ends[i] - at, &used, &body);
        CHECK(used <= ends[i] - at && body <= used && (r || used == ends[i] - at));
        memmove(copy + out, copy + at, body);
        out += body;
        at += used;
    }
    *ret_used = at;
    return r < 0 ? SIZE_MAX : out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http1_head whole, later;
    size_t scanned = 0, cut_scanned = 0;

    if (size < 1) {
        return 0;
    }
    size_t n = size - 1, cut = MIN((size_t)data[0], n);
    // Exactly as large as the input, so that a sanitizer sees every byte too far.
    char *p = xmalloc(n + 1), *a = xmalloc(n + 1), *b = xmalloc(n + 1);
    memcpy(p, data + 1, n);
    ssize_t r = http1_parse_response(p, n, false, &scanned, &whole);
    ssize_t first = http1_parse_response(p, cut, false, &cut_scanned, &later);
    if (first == 0) {
        first = http1_parse_response(p, n, false, &cut_scanned, &later);
    }
    CHECK(first == r || (r == -EMSGSIZE && first == -EBADMSG));
    if (r > 0) {
        CHECK(whole.body == later.body && whole.status == later.status);
        check_headers(&whole, p, (size_t)r);
    }
    size_t used_a, used_b;
    size_t body_a = unchunk(p, n, 0, a, &used_a), body_b = unchunk(p, n, cut, b, &used_b);
    CHECK(body_a == body_b && used_a == used_b);
    CHECK(body_a == SIZE_MAX || memcmp(a, b, body_a) == 0);
    free(p);
    free(a);
    free(b);
    return 0;
}
