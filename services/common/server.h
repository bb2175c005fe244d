// SPDX-License-Identifier: Apache-2.0
// The HTTP server of every service, on libmicrohttpd: routes, bounded bodies, answers now or later,
// metrics per route, /healthz, /readyz and /metrics, rate limit, draining.
#pragma once

#include "buf.h"
#include "env.h"

#include <stdbool.h>
#include <stdint.h>

struct request;
typedef void (*server_handler_fn)(struct request *request);

struct server_route {
    const char *method;        // GET also takes HEAD; NULL ends the table
    const char *path;          // whole path, or a prefix that ends in '*'
    server_handler_fn handler; // must answer or defer; on a thread of the server, must not block
    bool limited;              // RATE_LIMIT applies
};

struct server_config {
    const struct server_route *routes; // the service's own; borrowed for good
    // Readiness: true, or false and why. NULL = always ready. Any thread.
    bool (*ready)(const char **ret_why);
    void (*metrics)(struct buf *out); // the service's own metrics; may be NULL. Any thread.
};

// Settings that all services share (LISTEN, THREADS, …); read them with env_read first.
extern const struct env_setting server_settings[];
// The same for services that have routes with `limited` (RATE_LIMIT, RATE_BURST).
extern const struct env_setting server_limit_settings[];

// Starts listening. 0, or negative errno with the message in `message`.
int server_start(const struct server_config *server, char *message, size_t size);
unsigned server_port(void);
// Stops accepting, answers what has come in (each with Connection: close), and frees everything; at
// most SHUTDOWN_TIMEOUT. Returns the number of requests that were cut off.
unsigned server_drain(void);

// ---- one request; the pointers are good until it is answered

const char *request_method(const struct request *request);
const char *request_target(const struct request *request); // raw, with the query
const char *request_rest(const struct request *request);   // what '*' of the route stands for, raw
const char *request_header(const struct request *request, const char *name); // NULL if absent
const char *request_body(const struct request *request, size_t *ret_len);
int64_t request_started(const struct request *request); // monotonic
// Something of the handler's that is freed by `free_fn` after the answer was sent.
void request_keep(struct request *request, void *data, void (*free_fn)(void *));

// The handler will not answer before it returns. Call it first; from then on any one thread may
// answer, once.
void request_defer(struct request *request);
// Adds a header to the coming answer (at most 4). Both are copied.
void request_set_header(struct request *request, const char *name, const char *value);
// Answers. Takes the memory of `body` (leaves it empty). After this the request must not be
// touched.
void request_reply(struct request *request, int status, const char *type, struct buf *body);
// Answers {"error": code, "field": field, "message": message}; field may be NULL. 503 and 429 get
// Retry-After: 1 unless it was set.
void request_fail(
    struct request *request, int status, const char *code, const char *field, const char *message);
