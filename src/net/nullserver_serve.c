// SPDX-License-Identifier: Apache-2.0
// The serving loop: reads requests, writes canned responses. One thread; nothing is parsed that
// does not decide where a request ends and which response it gets.
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "net/nullserver_int.h"
#include "rt/loop.h"

enum { INPUT_MAX = 4 << 20 };

static const struct null_response NOTHING = {
    .bytes = (char[]){"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    .size = sizeof("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") - 1,
    .head = sizeof("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") - 1,
};

struct server {
    struct loop *loop;
    struct io listener;
    struct io control;
    struct list conns;
    const struct nullserver_table *table;
};

struct conn {
    struct io io;
    struct list link;
    struct server *server;
    struct strbuf in;
    size_t skip; // bytes of a request body still to come
    struct strbuf out;
    size_t written;
};

static void conn_free(struct conn *c)
{
    io_del(c->server->loop, &c->io);
    close(c->io.fd);
    list_del(&c->link);
    strbuf_fini(&c->in);
    strbuf_fini(&c->out);
    free(c);
}

// 0, or negative errno when the connection is gone.
static int flush(struct conn *c)
{
    while (c->written < c->out.n) {
        ssize_t n = send(c->io.fd, c->out.p + c->written, c->out.n - c->written, MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN ? 0 : -errno;
        }
        c->written += (size_t)n;
    }
    strbuf_reset(&c->out);
    c->written = 0;
    return 0;
}

static size_t body_length(struct slice head)
{
    while (head.n) {
        struct slice line = slice_cut(&head, '\n');
        struct slice name = slice_cut(&line, ':');
        int64_t n;
        if (slice_eq_nocase(name, SLICE("content-length")) &&
            units_parse_int(slice_trim(line), &n) == 0 && n > 0) {
            return (size_t)n;
        }
    }
    return 0;
}

static void respond(struct conn *c, struct slice head)
{
    struct slice line = slice_cut(&head, '\n');
    struct slice method = slice_cut(&line, ' ');
    struct slice target = slice_cut(&line, ' ');
    const struct null_response *r = nullserver_table_find(c->server->table, method, target);

    r = r ? r : &NOTHING;
    strbuf_add(&c->out, r->bytes, slice_eqs(method, "HEAD") ? r->head : r->size);
}

// Answers every whole request head in the input; bodies are skipped. Returns what was consumed.
static size_t consume(struct conn *c)
{
    size_t at = 0;

    while (at < c->in.n) {
        if (c->skip > 0) {
            size_t n = MIN(c->skip, c->in.n - at);
            c->skip -= n;
            at += n;
            continue;
        }
        const char *end = memmem(c->in.p + at, c->in.n - at, "\r\n\r\n", 4);
        if (!end) {
            break;
        }
        struct slice head = {c->in.p + at, (size_t)(end - c->in.p) - at};
        c->skip = body_length(head);
        at += head.n + 4;
        respond(c, head);
    }
    return at;
}

static void on_conn(struct io *io, unsigned events)
{
    struct conn *c = CONTAINER_OF(io, struct conn, io);
    bool gone = events & IO_HANGUP;

    for (;;) {
        char *room = strbuf_reserve(&c->in, 16384);
        ssize_t n = recv(io->fd, room, 16384, 0);
        if (n <= 0) {
            gone |= n == 0 || errno != EAGAIN;
            break;
        }
        c->in.n += (size_t)n;
        size_t used = consume(c);
        memmove(c->in.p, c->in.p + used, c->in.n - used);
        c->in.n -= used;
        if (c->in.n > INPUT_MAX) {
            gone = true;
            break;
        }
    }
    if (gone || flush(c)) {
        conn_free(c);
    }
}

static void on_accept(struct io *io, unsigned events)
{
    struct server *s = CONTAINER_OF(io, struct server, listener);
    int one = 1;
    int fd;

    while ((fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = XNEW(struct conn);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        c->server = s;
        c->io = (struct io){.fd = fd, .fn = on_conn};
        list_push_back(&s->conns, &c->link);
        if (io_add(s->loop, &c->io)) {
            conn_free(c);
        }
    }
}

static void on_control(struct io *io, unsigned events)
{
    struct server *s = CONTAINER_OF(io, struct server, control);
    char byte;

    if (read(io->fd, &byte, 1) <= 0 && errno != EAGAIN) {
        loop_stop(s->loop);
    }
}

void nullserver_serve(int listener, int control, const struct nullserver_table *t)
{
    struct server s = {
        .loop = loop_new(),
        .listener = {.fd = listener, .fn = on_accept},
        .control = {.fd = control, .fn = on_control},
        .table = t,
    };

    list_init(&s.conns);
    if (io_add(s.loop, &s.listener) == 0 && io_add(s.loop, &s.control) == 0) {
        loop_run(s.loop);
    }
    // The process ends here; the kernel closes what is open.
}
