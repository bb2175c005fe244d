// SPDX-License-Identifier: Apache-2.0
// Messages between a lab's users and its supervisor: JSON objects, one a line, on a unix socket.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/strbuf.h"

enum { WIRE_BYTES_MAX = 64 << 20 }; // of one message

struct wire {
    int fd; // -1 = none
    struct strbuf in, out;
};
#define WIRE_NULL                                                                                  \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

// A JSON string; bytes that are not UTF-8 (of programs, of paths, of a cut message) become '?'.
json_t *wire_text(const char *text);
void wire_fini(struct wire *w);
// Queues a message; takes the reference.
void wire_put(struct wire *w, json_t *message);
// Sends what is queued as far as the socket takes it. 0 or negative errno.
int wire_flush(struct wire *w);
// Receives what is there. 0, -EPIPE when the other side has gone, or negative errno.
int wire_fill(struct wire *w);
// Takes the next whole message; NULL when there is none yet. ret_broken: it is no JSON object.
json_t *wire_get(struct wire *w, bool *ret_broken);
// Sends a request and waits for its answer until `deadline` (monotonic). Takes the request. 0,
// -ETIME, -EPIPE or another negative errno.
int wire_ask(struct wire *w, json_t *request, nsec_t deadline, json_t **ret_answer);
