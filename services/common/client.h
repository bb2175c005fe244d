// SPDX-License-Identifier: Apache-2.0
// One keep-alive HTTP/1.1 connection to one origin. Blocking, with a deadline; one thread at a
// time.
#pragma once

#include "buf.h"
#include "http1.h"

#include <stdbool.h>
#include <stdint.h>

#define CLIENT_HEAD_MAX 8192
#define CLIENT_BODY_MAX (1024 * 1024)

enum client_e {
    CLIENT_REFUSED = 1, // no connection to be had
    CLIENT_TIMEOUT,     // the deadline passed; the request may have been carried out
    CLIENT_BROKEN,      // closed or nonsense in mid-exchange; the request may have been carried out
};

struct client_request {
    const char *method, *target;
    const char *headers; // further lines "Name: value\r\n…", or ""
    const char *body;    // may be NULL when body_len is 0
    size_t body_len;
    bool repeatable; // may be sent again if a kept connection turns out to be dead
};

struct client_response {
    struct http1_head head;
    struct buf body;
};

struct client;

struct client *client_new(const struct http1_url *origin); // copies origin
struct client *client_free(struct client *client);         // NULL is fine; returns NULL
// One exchange, done by `deadline` (monotonic). ret_response->body is reset and filled; the caller
// keeps it for the next call and frees it with buf_fini. 0 or enum client_e.
int client_call(struct client *client,
                const struct client_request *request,
                int64_t deadline,
                struct client_response *ret_response);
const char *client_error(int code); // text of enum client_e
