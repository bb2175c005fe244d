// SPDX-License-Identifier: Apache-2.0
// Pure HTTP/1.1 pieces of the client: URLs and response heads. No clock, no descriptor.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http1_url {
    char host[256];
    char port[6];
};

// "http://host[:port][/]" (also "[v6]"); -EINVAL for anything else.
int http1_url_parse(const char *text, struct http1_url *ret_url);
// "host:port" or "[v6]:port", port 0-65535; -EINVAL for anything else.
int http1_authority_parse(const char *text, struct http1_url *ret_url);

struct http1_head {
    int status;
    size_t head_len;      // bytes up to and with the empty line
    int64_t body_len;     // Content-Length, 0 for a status without a body
    bool keep_alive;      // may the connection carry another request
    char type[128];       // Content-Type, "" if none (a longer one is cut)
    char retry_after[16]; // "" if none or longer
    char replayed[8];     // Idempotent-Replayed
    char location[128];   // Location
};

// Parses the head at the start of `data`. 0 = need more, 1 = ret_head is set, -EBADMSG = not a
// response that we understand (only Content-Length framing is).
int http1_head_parse(const char *data, size_t len, struct http1_head *ret_head);
