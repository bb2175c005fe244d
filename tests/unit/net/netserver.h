// SPDX-License-Identifier: Apache-2.0
// A scripted server in a thread: each connection is handled by the test's own function on a
// blocking socket. And a coroutine to run exchanges in.
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/exchange.h"
#include "net/neterr.h"
#include "net/settings.h"
#include "rt/co.h"
#include "unit.h"

struct netserver {
    int fd;
    uint16_t port;
    pthread_t thread;
    void (*serve)(struct netserver *s, int fd, unsigned number); // closes nothing
    void *arg;
    atomic_bool stop;
    atomic_uint accepted;
    atomic_uint requests;
};

static inline void *netserver_main(void *arg)
{
    struct netserver *s = arg;
    unsigned n = 0;

    while (!s->stop) {
        struct pollfd p = {s->fd, POLLIN, 0};
        if (poll(&p, 1, 20) <= 0) {
            continue;
        }
        int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            s->accepted++;
            s->serve(s, fd, n++);
            close(fd);
        }
    }
    return NULL;
}

static inline void netserver_start(struct netserver *s,
                                   void (*serve)(struct netserver *s, int fd, unsigned number),
                                   void *arg)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    *s = (struct netserver){.serve = serve, .arg = arg};
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    ck_assert_int_eq(listen(s->fd, 64), 0);
    ck_assert_int_eq(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
    s->port = ntohs(a.sin_port);
    ck_assert_int_eq(pthread_create(&s->thread, NULL, netserver_main, s), 0);
}

static inline void netserver_stop(struct netserver *s)
{
    s->stop = true;
    pthread_join(s->thread, NULL);
    close(s->fd);
}

// Reads one request (head and Content-Length body) into buf; its size, 0 at the end.
static inline size_t netserver_read(struct netserver *s, int fd, char *buf, size_t size)
{
    size_t n = 0, want = 0;

    while (n < size - 1 && (want == 0 || n < want)) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, 20) == 0) {
            if (s->stop) {
                return 0;
            }
            continue;
        }
        ssize_t r = recv(fd, buf + n, want ? MIN(want, size - 1) - n : 1, 0);
        if (r <= 0) {
            return 0;
        }
        n += (size_t)r;
        buf[n] = 0;
        if (!want && n >= 4 && memcmp(buf + n - 4, "\r\n\r\n", 4) == 0) {
            const char *length = strcasestr(buf, "content-length: ");
            want = n + (length ? strtoul(length + 16, NULL, 10) : 0);
        }
    }
    s->requests++;
    return n;
}

static inline void netserver_write(int fd, const char *text)
{
    size_t n = strlen(text);

    while (n) {
        ssize_t r = send(fd, text, n, MSG_NOSIGNAL);
        if (r <= 0) {
            return;
        }
        text += r;
        n -= (size_t)r;
    }
}

// ---- the client's side

struct netrun {
    struct loop *loop;
    struct client *client;
    struct net_settings settings;
    void (*test)(struct netrun *r);
    void *arg;
    uint16_t port;
};

static inline void netrun_co(void *arg)
{
    struct netrun *r = arg;

    r->test(r);
    loop_stop(r->loop);
}

// Runs test() in a coroutine with a client. `setup` may change the settings.
static inline void netrun(struct netrun *r, void (*test)(struct netrun *r))
{
    struct err err = {0};

    r->loop = loop_new();
    r->test = test;
    ck_assert_msg(net_settings_seal(&r->settings, &err) == 0, "%s", err.message);
    r->client = client_new(r->loop, &r->settings);
    co_spawn(r->loop, netrun_co, r, NULL);
    loop_run(r->loop);
    client_free(r->client);
    loop_free(r->loop);
    net_settings_fini(&r->settings);
}

static inline struct exchange
netrun_request(struct netrun *r, const char *method, const char *target)
{
    struct exchange x = {
        .endpoint = client_endpoint(r->client, false, SLICE("127.0.0.1"), r->port),
        .method = slice_of(method),
        .target = slice_of(target),
        .headers = SLICE("Host: test\r\n"),
        .timeout = 10 * NSEC_PER_SEC,
    };

    return x;
}

static inline bool netrun_body_is(const struct exchange *x, const char *text)
{
    return slice_eqs(x->response_body, text);
}
