// SPDX-License-Identifier: Apache-2.0
// One HTTP exchange: a request sent, a response received, no redirect followed, no cookie touched.
// Independent of the HTTP version. A client belongs to one loop (usually to one virtual user) and
// keeps its connections alive; after warm-up an exchange allocates nothing.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/strbuf.h"
#include "rt/loop.h"

struct client;
struct endpoint;
struct net_settings;

// Shared by the clients of a process, immutable while a run lasts. See net/settings.h.
// One client: its connections, and the buffers of its exchanges.
struct client *client_new(struct loop *l, const struct net_settings *settings);
// Closes its connections. No exchange may be under way.
void client_free(struct client *c);
// Closes idle connections (noVUConnectionReuse).
void client_close_idle(struct client *c);

// Where requests go: (tls, host, port), interned for the life of the client. `host` as in the URL,
// without brackets.
struct endpoint *client_endpoint(struct client *c, bool tls, struct slice host, uint16_t port);

// Stamps are loop times, 0 when the phase did not happen.
struct exchange_times {
    nsec_t start;         // exchange_await() was called
    nsec_t got_conn;      // a connection was there (blocked = got_conn - start)
    nsec_t connect_start; // TCP, new connections only
    nsec_t connect_end;
    nsec_t tls_start;
    nsec_t tls_end;
    nsec_t wrote;      // request handed to the kernel
    nsec_t first_byte; // first byte of the response
    nsec_t end;        // response complete, or the failure
};

// Filled in by the caller above the line, by exchange_await() below it.
struct exchange {
    struct endpoint *endpoint;
    struct slice method;  // as on the wire
    struct slice target;  // origin form as on the wire: "/a?b"
    struct slice headers; // "Name: value\r\n" lines, all of them (Host and Content-Length too)
    struct slice body;
    nsec_t timeout;    // whole exchange, 0 = none
    size_t max_body;   // a larger response body fails the exchange; 0 = 1 GiB
    bool discard_body; // read and counted, not kept
    bool no_reuse;     // close the connection afterwards

    // ----
    int status; // 0 when there was no whole response; raw_headers.p tells whether its head came
    unsigned http_major, http_minor;
    struct slice reason;        // "Created"
    struct slice raw_headers;   // header lines as received, without the empty one
    struct slice response_body; // decoded of transfer coding, not of content coding
    struct exchange_times times;
    uint64_t bytes_sent, bytes_received; // on the wire, TLS included
    int error_code;                      // 0, or k6's error code (tbl/neterr.h), e.g. 1212
    char error[160];                     // its text, e.g. "dial: connection refused"
    bool reused;                         // of a kept connection
    struct sockaddr_storage peer;
    const char *tls_version; // "tls1.3", NULL without TLS; static
    const char *tls_cipher;  // e.g. "TLS_AES_128_GCM_SHA256"; static
    struct strbuf buffer;    // owned by the client's pool; holds the slices above
};

// Does the exchange. Returns 0 (a failed one too: see error_code) or -ECANCELED. May suspend. The
// response slices are valid until exchange_release(). Several may run at once on one client (from
// different coroutines), each on a connection of its own.
int exchange_await(struct client *c, struct exchange *x);
// Gives the buffer back. Harmless twice.
void exchange_release(struct client *c, struct exchange *x);
// The value of a header (first one, trimmed), {NULL, 0} if absent. `name` in any case.
struct slice exchange_header(const struct exchange *x, const char *name);
// Iterates header lines: start with *at = raw_headers; false at the end.
bool exchange_next_header(struct slice *at, struct slice *ret_name, struct slice *ret_value);
