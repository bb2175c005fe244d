// SPDX-License-Identifier: Apache-2.0
// HTTP/1.1 on the wire (RFC 9112): response heads and chunked bodies, incrementally, on the
// caller's bytes. Nothing is allocated; what two parsers could read differently is refused.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/strbuf.h"

// A head (status line, header lines, empty line) of more bytes than this is refused.
enum { HTTP1_HEAD_MAX = 64 * 1024 };

enum http1_body {
    HTTP1_BODY_NONE,    // HEAD, 1xx, 204, 304
    HTTP1_BODY_LENGTH,  // Content-Length
    HTTP1_BODY_CHUNKED, // Transfer-Encoding: chunked
    HTTP1_BODY_CLOSE,   // until the connection ends
};

struct http1_head {
    int status; // 100 to 999
    unsigned major, minor;
    struct slice reason;  // without the line's end
    struct slice headers; // header lines with their line ends, without the empty line
    enum http1_body body;
    uint64_t length; // of HTTP1_BODY_LENGTH
    bool keep_alive; // the connection may carry another exchange
};

// Parses the head of a response at p. `to_head`: the request was HEAD. `*scanned` is 0 at first and
// given back unchanged with more bytes. Returns the head's size; 0 when more bytes are needed;
// -EBADMSG when it is no HTTP/1 response, -EMSGSIZE when it is too large. Slices point into p.
ssize_t http1_parse_response(
    const char *p, size_t n, bool to_head, size_t *scanned, struct http1_head *ret_head);

// Cuts the next header line off `*at` (lines as in http1_head.headers); false at the end. The value
// is trimmed.
bool http1_next_header(struct slice *at, struct slice *ret_name, struct slice *ret_value);

// State of a chunked body; {0} at its start.
struct http1_chunks {
    int state;
    unsigned digits; // of the size read so far
    size_t overhead; // bytes of extensions and trailers so far
    uint64_t left;   // of the chunk
};

// Takes n more bytes at p and moves the body bytes among them to the front of p. Yields how many
// bytes were used (all of them unless the body ended) and how many body bytes there are. Returns 1
// at the body's end, 0 when more bytes are needed, -EBADMSG when it is not chunked coding.
int http1_chunks_feed(
    struct http1_chunks *c, char *p, size_t n, size_t *ret_used, size_t *ret_body);
