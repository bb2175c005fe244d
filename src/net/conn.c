// SPDX-License-Identifier: Apache-2.0
// One connection. Its socket's events arrive in the loop's receive phase: response bytes go
// straight into the exchange's buffer, and the coroutine is woken once, when the response is whole.
// Requests leave in the flush phase, by one system call each.
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/net_int.h"

static struct net_thread *thread_of(const struct conn *c)
{
    return c->endpoint->client->thread;
}

static struct loop *loop_of(const struct conn *c)
{
    return c->endpoint->client->loop;
}

static void wake(struct conn *c)
{
    if (c->waiter) {
        co_wake(c->waiter, 0);
    }
}

void conn_fail(struct conn *c, int code, const char *format, ...)
{
    va_list args;

    if (c->finished) {
        return;
    }
    va_start(args, format);
    exchange_vfail(c->x, code, format, args);
    va_end(args);
    c->x->times.end = clock_now();
    c->finished = c->closing = true;
    wake(c);
}

static void fail_errno(struct conn *c, const char *operation, int error)
{
    c->failed_early = c->x->times.first_byte == 0;
    exchange_fail_errno(c->x, operation, error);
    conn_fail(c, 0, "%s", "");
}

// ---- receiving

static void set_response(struct conn *c)
{
    struct exchange *x = c->x;
    const char *p = x->buffer.p;

    x->status = x->error_code ? 0 : c->head.status;
    x->http_major = c->head.major;
    x->http_minor = c->head.minor;
    x->reason = (struct slice){p + c->reason_at, c->head.reason.n};
    x->raw_headers = (struct slice){p + c->headers_at, c->head.headers.n};
    x->response_body = (struct slice){p + c->body_at, c->body_end - c->body_at};
}

static void complete(struct conn *c)
{
    c->x->times.end = loop_now(loop_of(c));
    c->finished = true;
    wake(c);
}

// Returns whether the head is there.
static bool take_head(struct conn *c)
{
    struct strbuf *b = &c->x->buffer;

    for (;;) {
        char *p = b->p + c->head_at;
        size_t n = b->n - c->head_at;
        bool to_head = slice_eqs(c->x->method, "HEAD");
        ssize_t size = http1_parse_response(p, n, to_head, &c->scanned, &c->head);
        if (size < 0) {
            conn_fail(c, NETERR_GENERIC,
                      size == -EMSGSIZE ? "response headers are larger than 64 KiB"
                                        : "malformed HTTP response");
        }
        if (size <= 0) {
            return false;
        }
        if (c->head.status >= 200 || c->head.status == 101) {
            c->has_head = true;
            c->reason_at = (size_t)(c->head.reason.p - b->p);
            c->headers_at = (size_t)(c->head.headers.p - b->p);
            c->body_at = c->body_end = c->head_at + (size_t)size;
            return true;
        }
        // An interim response (100, 103): the final one follows.
        memmove(p, p + size, n - (size_t)size);
        b->n -= (size_t)size;
        c->scanned = 0;
    }
}

// Counts `n` body bytes at the end of what is kept; false when there are too many.
static bool take_body(struct conn *c, size_t n)
{
    size_t max = c->x->max_body ? c->x->max_body : (size_t)1 << 30;

    c->body_seen += n;
    if (c->body_seen > max) {
        conn_fail(c, NETERR_GENERIC, "response body is larger than %zu bytes", max);
        return false;
    }
    c->body_end += c->x->discard_body ? 0 : n;
    return true;
}

// Looks at the bytes behind body_end.
static void parse(struct conn *c)
{
    struct strbuf *b = &c->x->buffer;
    size_t used = 0, body = 0;
    int done = 0;

    if (!c->has_head && !take_head(c)) {
        return;
    }
    size_t n = b->n - c->body_end;
    switch (c->head.body) {
    case HTTP1_BODY_NONE:
        done = 1;
        break;
    case HTTP1_BODY_LENGTH:
        used = body = (size_t)MIN((uint64_t)n, c->head.length - c->body_seen);
        done = c->body_seen + body == c->head.length;
        break;
    case HTTP1_BODY_CHUNKED:
        done = http1_chunks_feed(&c->chunks, b->p + c->body_end, n, &used, &body);
        break;
    case HTTP1_BODY_CLOSE:
    default:
        used = body = n;
        break;
    }
    if (!take_body(c, body)) {
        return;
    }
    // Bytes behind the response belong to nothing that was asked.
    c->closing |= used < n;
    b->n = c->body_end;
    if (done < 0) {
        conn_fail(c, NETERR_GENERIC, "invalid chunked response body");
    } else if (done) {
        complete(c);
    }
}

static void on_end(struct conn *c)
{
    c->closing = true;
    if (c->finished) {
        return;
    }
    if (c->has_head && c->head.body == HTTP1_BODY_CLOSE) {
        complete(c);
    } else if (c->x->times.first_byte) {
        conn_fail(c, NETERR_GENERIC, "unexpected EOF");
    } else {
        c->failed_early = true;
        conn_fail(c, NETERR_GENERIC, "EOF");
    }
}

// As recv(): bytes of the response into the buffer's room.
static ssize_t receive_plain(struct conn *c, char *room, size_t n)
{
    ssize_t r;

    do {
        r = recv(c->io.fd, room, n, 0);
    } while (r < 0 && errno == EINTR);
    if (r > 0) {
        c->x->bytes_received += (uint64_t)r;
    }
    return r < 0 ? -errno : r;
}

// Ciphertext goes by the thread's scratch memory.
static ssize_t receive_tls(struct conn *c, char *room, size_t n)
{
    for (;;) {
        ssize_t r = tls_read(c->tls, room, n);
        if (r != -EAGAIN) {
            return r;
        }
        r = recv(c->io.fd, thread_of(c)->scratch, SCRATCH_SIZE, 0);
        if (r <= 0) {
            return r < 0 ? -errno : r;
        }
        c->x->bytes_received += (uint64_t)r;
        tls_feed(c->tls, thread_of(c)->scratch, (size_t)r);
    }
}

static void on_timer(struct timer *t);

// Whether something came behind the finished response. It would have no event of its own, and be
// taken for the answer to the next request.
static bool has_more(struct conn *c)
{
    char byte;

    return (c->tls && tls_read(c->tls, &byte, 1) != -EAGAIN) ||
           recv(c->io.fd, &byte, 1, MSG_PEEK) >= 0 || errno != EAGAIN;
}

static void receive(struct conn *c, unsigned events)
{
    struct exchange *x = c->x;
    struct strbuf *b = &x->buffer;
    size_t total = 0;

    c->readable = false;
    if (!b->p) {
        net_take_buffer(thread_of(c), b);
    }
    while (!c->finished) {
        if (total > RECV_TURN) {
            c->readable = true;
            timer_set(loop_of(c), &c->timer, 1, on_timer);
            return;
        }
        strbuf_reserve(b, c->has_head ? 16 * 1024 : 2048);
        size_t room = b->cap - b->n - 1;
        ssize_t n =
            c->tls ? receive_tls(c, b->p + b->n, room) : receive_plain(c, b->p + b->n, room);
        if (n == -EAGAIN) {
            return;
        }
        if (n == 0) {
            on_end(c);
            return;
        }
        if (n < 0) {
            if (n == -EPROTO) {
                char text[120];
                conn_fail(c, NETERR_TLS, "%s", tls_error_text(text, sizeof(text)));
            } else {
                fail_errno(c, "read", (int)n);
            }
            return;
        }
        if (!x->times.first_byte) {
            x->times.first_byte = loop_now(loop_of(c));
        }
        total += (size_t)n;
        b->n += (size_t)n;
        parse(c);
        // A short read emptied the socket; an end that came with it has no event of its own.
        if (!c->tls && (size_t)n < room) {
            if (!(events & (IO_EOF | IO_HANGUP))) {
                return;
            }
        }
    }
    c->closing = c->closing || has_more(c);
}

// ---- sending

static int send_bytes(struct conn *c, const struct msghdr *m, size_t n)
{
    ssize_t r;

    do {
        r = sendmsg(c->io.fd, m, MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    if (r < 0) {
        return -errno;
    }
    c->x->bytes_sent += (uint64_t)r;
    c->sent += (size_t)r;
    return (size_t)r < n ? -EAGAIN : 0;
}

// The head is put together again for each attempt: a second one is rare, and memory of its own
// would be cold.
static size_t build_head(const struct exchange *x, struct strbuf *b)
{
    size_t n = x->method.n + x->target.n + x->headers.n + 16;
    char *p = strbuf_reserve(b, n);

#define PUT(q, m) (memcpy(p, (q), (m)), p += (m))
    PUT(x->method.p, x->method.n);
    *p++ = ' ';
    PUT(x->target.p, x->target.n);
    PUT(" HTTP/1.1\r\n", 11);
    PUT(x->headers.p, x->headers.n);
    PUT("\r\n", 2);
#undef PUT
    return (size_t)(p - b->p);
}

static int send_plain(struct conn *c)
{
    struct exchange *x = c->x;
    struct net_thread *t = thread_of(c);
    struct strbuf big = STRBUF_NULL;
    struct strbuf b = {.p = t->scratch, .cap = SCRATCH_SIZE};
    struct strbuf *out =
        x->method.n + x->target.n + x->headers.n + SEND_INLINE + 16 < SCRATCH_SIZE ? &b : &big;
    size_t head = build_head(x, out);
    size_t total = head + x->body.n;
    struct iovec iov[2] = {{out->p, head}, {(void *)(uintptr_t)x->body.p, x->body.n}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = x->body.n ? 2 : 1};
    int r;

    if (c->sent == 0 && out == &b && x->body.n <= SEND_INLINE) {
        memcpy(b.p + head, x->body.n ? x->body.p : "", x->body.n);
        do {
            r = (int)send(c->io.fd, b.p, total, MSG_NOSIGNAL);
        } while (r < 0 && errno == EINTR);
        if (r < 0) {
            return -errno;
        }
        c->x->bytes_sent += (uint64_t)r;
        c->sent = (size_t)r;
        return (size_t)r < total ? -EAGAIN : 0;
    }
    size_t skip = MIN(c->sent, head);
    iov[0].iov_base = out->p + skip;
    iov[0].iov_len = head - skip;
    skip = c->sent - skip;
    iov[1].iov_base = (char *)(uintptr_t)x->body.p + skip;
    iov[1].iov_len = x->body.n - skip;
    r = c->sent < total ? send_bytes(c, &m, total - c->sent) : 0;
    strbuf_fini(&big);
    return r;
}

// 0 when OpenSSL's output is out, -EAGAIN, or negative errno.
static int send_ciphertext(struct conn *c)
{
    const char *p;
    size_t n;

    while ((n = tls_pending(c->tls, &p)) > 0) {
        ssize_t r = send(c->io.fd, p, n, MSG_NOSIGNAL);
        if (r < 0 && errno == EINTR) {
            continue;
        }
        if (r < 0) {
            return -errno;
        }
        c->x->bytes_sent += (uint64_t)r;
        tls_sent(c->tls, (size_t)r);
    }
    return 0;
}

static int send_tls(struct conn *c)
{
    struct exchange *x = c->x;
    CLEANUP(strbuf_fini) struct strbuf head = STRBUF_NULL;
    int r = send_ciphertext(c);

    if (r == 0 && c->sent == 0) {
        size_t n = build_head(x, &head);
        size_t first = MIN(x->body.n, (size_t)SEND_INLINE - MIN(n, (size_t)SEND_INLINE));
        head.n = n;
        strbuf_add(&head, x->body.p, first);
        r = tls_write(c->tls, head.p, head.n);
        c->sent = 1 + first; // bytes of the body, + 1
    }
    for (;;) {
        r = r == 0 ? send_ciphertext(c) : r;
        if (r || c->sent > x->body.n) {
            return r;
        }
        size_t n = MIN(x->body.n - (c->sent - 1), (size_t)64 * 1024);
        r = tls_write(c->tls, x->body.p + c->sent - 1, n);
        c->sent += n;
    }
}

static void on_flush(struct flush *f)
{
    struct conn *c = CONTAINER_OF(f, struct conn, flush);
    struct exchange *x = c->x;

    if (c->finished || c->sent_all) {
        return;
    }
    int r = c->tls ? send_tls(c) : send_plain(c);
    if (r == 0) {
        c->sent_all = true;
        x->times.wrote = clock_now();
    } else if (r == -EPROTO) {
        char text[120];
        conn_fail(c, NETERR_TLS, "%s", tls_error_text(text, sizeof(text)));
    } else if (r != -EAGAIN) {
        // A server that refuses a request may have answered before it closed.
        if (x->bytes_sent) {
            receive(c, IO_READ | IO_HANGUP);
        }
        if (!c->finished) {
            fail_errno(c, "write", r);
        }
    }
}

// ---- events

static void idle_event(struct conn *c, unsigned events)
{
    char byte;

    if (c->tls && !(events & (IO_EOF | IO_HANGUP))) {
        struct net_thread *t = thread_of(c);
        ssize_t n = recv(c->io.fd, t->scratch, SCRATCH_SIZE, 0);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n > 0) { // session tickets come late
            tls_feed(c->tls, t->scratch, (size_t)n);
            if (tls_read(c->tls, &byte, 1) == -EAGAIN) {
                return;
            }
        }
    } else if (!(events & (IO_EOF | IO_HANGUP)) && recv(c->io.fd, &byte, 1, MSG_PEEK) < 0 &&
               errno == EAGAIN) {
        return;
    }
    conn_close(c);
}

static void on_io(struct io *io, unsigned events)
{
    struct conn *c = CONTAINER_OF(io, struct conn, io);

    if (c->stage == CONN_DIALING) {
        wake(c);
    } else if (c->stage == CONN_IDLE) {
        idle_event(c, events);
    } else if (c->finished) {
        c->closing |= (events & (IO_READ | IO_HANGUP)) != 0;
    } else {
        if ((events & IO_WRITE) && !c->sent_all) {
            loop_flush_later(loop_of(c), &c->flush);
        }
        if (events & (IO_READ | IO_HANGUP)) {
            receive(c, events);
        }
    }
}

// The timer stays armed from exchange to exchange and looks for the deadline when it fires: so that
// an exchange costs no timer operation.
static void on_timer(struct timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    nsec_t now = loop_now(loop_of(c));

    if (c->stage == CONN_DIALING) {
        wake(c);
        return;
    }
    if (c->stage != CONN_BUSY || c->finished) {
        return;
    }
    if (now >= c->deadline) {
        conn_fail(c, NETERR_TIMEOUT, "request timeout");
        return;
    }
    if (c->deadline != NSEC_MAX) {
        timer_set(loop_of(c), t, c->deadline, on_timer);
    }
    if (c->readable) {
        receive(c, IO_READ | IO_EOF);
    }
}

int conn_await_io(struct conn *c, nsec_t deadline)
{
    int r;

    if (deadline != NSEC_MAX) {
        timer_set(loop_of(c), &c->timer, deadline, on_timer);
    }
    c->waiter = co_self();
    r = co_suspend();
    c->waiter = NULL;
    return r == -ECANCELED ? r : clock_now() >= deadline ? -ETIMEDOUT : 0;
}

// ---- life

struct conn *conn_new(struct endpoint *e)
{
    struct conn *c = XNEW(struct conn);

    c->endpoint = e;
    c->io = (struct io){.fd = -1, .fn = on_io};
    c->flush.fn = on_flush;
    list_init(&c->link);
    e->conns++;
    return c;
}

int conn_attach(struct conn *c, int fd)
{
    c->io.fd = fd;
    int r = io_add(loop_of(c), &c->io);
    c->registered = r == 0;
    return r;
}

void conn_close(struct conn *c)
{
    struct endpoint *e = c->endpoint;

    loop_flush_cancel(&c->flush);
    timer_cancel(e->client->loop, &c->timer);
    if (c->registered) {
        io_del(e->client->loop, &c->io);
    }
    if (c->io.fd >= 0) {
        close(c->io.fd);
    }
    e->idle_count -= c->stage == CONN_IDLE;
    list_del(&c->link);
    tls_free(c->tls);
    free(c);
    e->conns--;
    endpoint_wake(e);
}

void conn_start(struct conn *c, struct exchange *x, nsec_t deadline)
{
    struct loop *l = loop_of(c);

    c->endpoint->idle_count -= c->stage == CONN_IDLE;
    list_del(&c->link);
    c->stage = CONN_BUSY;
    c->x = x;
    c->waiter = co_self();
    c->deadline = deadline;
    c->finished = c->failed_early = c->sent_all = c->has_head = c->readable = false;
    c->sent = c->head_at = c->scanned = c->body_seen = 0;
    c->chunks = (struct http1_chunks){0};
    if (deadline != NSEC_MAX && (!c->timer.index || c->timer.due > deadline)) {
        timer_set(l, &c->timer, deadline, on_timer);
    }
    loop_flush_later(l, &c->flush);
}

void conn_finish(struct conn *c)
{
    struct endpoint *e = c->endpoint;
    struct exchange *x = c->x;

    if (c->has_head) {
        set_response(c);
    }
    c->x = NULL;
    c->waiter = NULL;
    if (x->error_code || c->closing || !c->sent_all || !c->has_head || !c->head.keep_alive ||
        x->no_reuse || e->client->settings->no_connection_reuse) {
        conn_close(c);
        return;
    }
    c->stage = CONN_IDLE;
    c->reused = true;
    e->idle_count++;
    list_push_front(&e->idle, &c->link);
    if (!list_empty(&e->waiters)) {
        endpoint_wake(e);
    }
}
