// SPDX-License-Identifier: Apache-2.0
// Inside of net: clients, endpoints and connections. All of it is for the loop's thread.
#pragma once

#include <sys/socket.h>

#include "codec/http1.h"
#include "net/exchange.h"
#include "net/neterr.h"
#include "net/settings.h"
#include "rt/co.h"

enum {
    BUFFER_SIZE = 8 * 1024,  // of a fresh response buffer
    BUFFER_KEEP = 64 * 1024, // larger ones are not pooled
    BUFFERS_MAX = 256,
    SCRATCH_SIZE = 64 * 1024,
    SEND_INLINE = 16 * 1024, // bodies up to this are copied behind the head
    RECV_TURN = 4 << 20,     // bytes taken from one connection before others get their turn
    ADDRESSES_MAX = 16,
};

struct resolver;
struct tls;

// What the clients of one loop share; made by the first, freed by the last.
struct net_thread {
    struct list link;
    struct loop *loop;
    unsigned refs;
    struct strbuf buffers[BUFFERS_MAX]; // a stack, so that the warm one is used next
    unsigned buffer_count;
    char *scratch; // SCRATCH_SIZE bytes, valid within one call
    struct resolver *resolver;
};

struct client {
    struct net_thread *thread;
    struct loop *loop;
    const struct net_settings *settings;
    struct list endpoints;
};

struct endpoint {
    struct list link; // of client.endpoints
    struct client *client;
    bool tls;
    uint16_t port;
    char *host;
    size_t host_n;
    struct list idle;    // connections, last used first
    struct list waiters; // struct queued, first come first
    unsigned conns;      // idle, in use and being made
    unsigned idle_count;
    unsigned turns;    // waiters that were woken and did not run yet
    void *tls_session; // SSL_SESSION to resume
};

enum conn_stage { CONN_DIALING, CONN_IDLE, CONN_BUSY };

struct conn {
    struct io io;
    struct list link; // of endpoint.idle while idle
    struct endpoint *endpoint;
    enum conn_stage stage;
    bool registered;
    bool reused;
    bool closing;  // the peer sent its end: not for another exchange
    bool readable; // more to read than one turn may take
    struct co *waiter;
    struct tls *tls;
    struct sockaddr_storage peer;
    struct flush flush;
    struct timer timer;
    nsec_t deadline; // of the exchange, NSEC_MAX = none

    // The exchange under way.
    struct exchange *x;
    bool finished;     // whole response, or failed
    bool failed_early; // the reused connection ended before any byte of the response
    bool sent_all;
    size_t sent; // bytes of head and body handed over
    bool has_head;
    size_t head_at, scanned;
    struct http1_head head; // its slices are not used: the buffer moves
    size_t reason_at, headers_at;
    size_t body_at, body_end; // of the body kept in the buffer
    uint64_t body_seen;       // bytes of the body, kept or not
    struct http1_chunks chunks;
};

// ---- client.c
void net_take_buffer(struct net_thread *t, struct strbuf *b);
// The endpoint's next waiter may have a connection.
void endpoint_wake(struct endpoint *e);

// ---- conn.c: one connection, from dialled to closed
struct conn *conn_new(struct endpoint *e);
// Registers a connected or connecting socket. 0 or negative errno.
int conn_attach(struct conn *c, int fd);
// Closes, forgets and frees it; its exchange has no connection any more.
void conn_close(struct conn *c);
// Starts an exchange on it: the request goes out in this turn's flush phase. The waiter is woken
// when c->finished.
void conn_start(struct conn *c, struct exchange *x, nsec_t deadline);
// Takes a finished exchange off: the connection becomes idle or is closed.
void conn_finish(struct conn *c);
// Waits for its socket, at most until `deadline`. 0, -ETIMEDOUT or -ECANCELED. Suspends.
int conn_await_io(struct conn *c, nsec_t deadline);
// Ends the exchange on it with an error.
void conn_fail(struct conn *c, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// ---- dial.c
// Makes a connection for x, ready for requests. 0 with *ret_conn; -ECANCELED; or an error code,
// with its text in x. Suspends.
int dial_await(struct endpoint *e, struct exchange *x, nsec_t deadline, struct conn **ret_conn);

// ---- neterr.c
// Sets the exchange's error, the first one only.
int exchange_fail(struct exchange *x, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int exchange_vfail(struct exchange *x, int code, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
// The code and text of an errno that `operation` ("read", "write", "dial") met.
int exchange_fail_errno(struct exchange *x, const char *operation, int error);

// ---- dns.c
struct addresses {
    struct sockaddr_storage a[ADDRESSES_MAX];
    unsigned n;
};
struct resolver *resolver_new(struct loop *l);
void resolver_free(struct resolver *r);
// Addresses of a name in the order in which they are to be tried, by the settings' policy and
// selection. 0, an error code (NETERR_DNS…), -ETIMEDOUT or -ECANCELED. Suspends unless cached.
int resolver_await(struct resolver *r,
                   const struct net_settings *s,
                   const char *host,
                   nsec_t deadline,
                   struct addresses *ret_addresses,
                   char error[160]);
// An address written in digits. False if it is a name.
bool address_parse(const char *text, uint16_t port, struct sockaddr_storage *ret);
void address_set_port(struct sockaddr_storage *a, uint16_t port);
// As text without the port; buf of 64 bytes.
const char *address_format(const struct sockaddr_storage *a, char *buf);

// ---- settings.c
const struct net_host *
settings_find_host(const struct net_settings *s, const char *host, uint16_t port);
// The pattern or range that forbids it, NULL if none does.
const char *settings_blocked_host(const struct net_settings *s, const char *host);
const struct net_cidr *settings_blacklisted(const struct net_settings *s,
                                            const struct sockaddr_storage *a);

// ---- tls.c: TLS on memory buffers; it never touches a socket
int tls_context_new(const struct net_settings *s, void **ret_context, struct err *err);
void tls_context_free(void *context);
void tls_session_free(void *session);
struct tls *tls_new(struct endpoint *e);
void tls_free(struct tls *t);
// Ciphertext that came from the peer.
void tls_feed(struct tls *t, const void *p, size_t n);
// Ciphertext to send; tls_sent() drops what was.
size_t tls_pending(struct tls *t, const char **ret_p);
void tls_sent(struct tls *t, size_t n);
// 0 done, -EAGAIN needs bytes from the peer, or an error code with its text in x.
int tls_handshake(struct tls *t, struct exchange *x);
// Plaintext received: > 0, 0 at the peer's end, -EAGAIN, -EPROTO.
ssize_t tls_read(struct tls *t, void *p, size_t n);
// Encrypts all of it. 0 or -EPROTO.
int tls_write(struct tls *t, const void *p, size_t n);
const char *tls_version_name(const struct tls *t);
const char *tls_cipher_name(const struct tls *t);
// The text of OpenSSL's last error on this thread.
const char *tls_error_text(char *buf, size_t size);
