// SPDX-License-Identifier: Apache-2.0
#include <netinet/tcp.h>

#include "netserver.h"

#define HELLO "HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-A: b \r\n\r\nhello"

static void run_with(void (*serve)(struct netserver *s, int fd, unsigned number),
                     void *arg,
                     void (*test)(struct netrun *r),
                     struct netserver *s)
{
    struct netrun r = {.arg = arg};

    netserver_start(s, serve, arg);
    net_settings_init(&r.settings);
    r.port = s->port;
    netrun(&r, test);
    netserver_stop(s);
}

static void answer_always(struct netserver *s, int fd, unsigned number)
{
    char buf[2048];

    while (netserver_read(s, fd, buf, sizeof(buf))) {
        netserver_write(fd, s->arg ? s->arg : HELLO);
    }
}

static void answer_once(struct netserver *s, int fd, unsigned number)
{
    char buf[2048];

    netserver_read(s, fd, buf, sizeof(buf));
    netserver_write(fd, s->arg ? s->arg : HELLO);
}

static void two_requests(struct netrun *r)
{
    struct exchange x = netrun_request(r, "POST", "/a?b");

    x.headers = SLICE("Host: test\r\nContent-Length: 4\r\n");
    x.body = SLICE("body");
    ck_assert_int_eq(exchange_await(r->client, &x), 0);
    ck_assert_int_eq(x.error_code, 0);
    ck_assert_int_eq(x.status, 201);
    ck_assert(slice_eqs(x.reason, "Created"));
    ck_assert(netrun_body_is(&x, "hello"));
    ck_assert(slice_eqs(exchange_header(&x, "x-a"), "b"));
    ck_assert(!x.reused);
    ck_assert_int_eq(x.bytes_received, strlen(HELLO));
    ck_assert_int_eq(x.bytes_sent, strlen("POST /a?b HTTP/1.1\r\nHost: test\r\n"
                                          "Content-Length: 4\r\n\r\nbody"));
    ck_assert_int_gt(x.times.connect_end, x.times.connect_start);
    ck_assert_int_ge(x.times.got_conn, x.times.connect_end);
    ck_assert_int_ge(x.times.wrote, x.times.got_conn);
    ck_assert_int_ge(x.times.first_byte, x.times.wrote);
    ck_assert_int_ge(x.times.end, x.times.first_byte);
    exchange_release(r->client, &x);
    exchange_release(r->client, &x);
    x = netrun_request(r, "GET", "/");
    ck_assert_int_eq(exchange_await(r->client, &x), 0);
    ck_assert(x.reused);
    ck_assert_int_eq(x.times.connect_start, 0);
    ck_assert(netrun_body_is(&x, "hello"));
    exchange_release(r->client, &x);
}

START_TEST(keeps_connections)
{
    struct netserver s;

    run_with(answer_always, NULL, two_requests, &s);
    ck_assert_int_eq(s.accepted, 1);
    ck_assert_int_eq(s.requests, 2);
}
END_TEST

static void refused(struct netrun *r)
{
    struct exchange x = netrun_request(r, "GET", "/");

    ck_assert_int_eq(exchange_await(r->client, &x), 0);
    ck_assert_int_eq(x.error_code, 1212);
    ck_assert_str_eq(x.error, "dial: connection refused");
    ck_assert_int_eq(x.status, 0);
    ck_assert_int_ge(x.times.end, x.times.start);
    exchange_release(r->client, &x);
}

START_TEST(connection_refused)
{
    struct netrun r = {.port = 1};

    net_settings_init(&r.settings);
    netrun(&r, refused);
}
END_TEST

// ---- responses in two pieces, cut at every place

static const char *const PIECES[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    "2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: t\r\n\r\n",
    "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
};

static void answer_in_pieces(struct netserver *s, int fd, unsigned number)
{
    char buf[2048];
    const char *text = s->arg;
    size_t n = strlen(text);
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    for (size_t cut = 0; netserver_read(s, fd, buf, sizeof(buf)); cut++) {
        ck_assert_int_eq(send(fd, text, cut, MSG_NOSIGNAL), cut);
        usleep(300);
        ck_assert_int_eq(send(fd, text + cut, n - cut, MSG_NOSIGNAL), n - cut);
    }
}

static void each_cut(struct netrun *r)
{
    size_t n = strlen(r->arg);

    for (size_t cut = 0; cut <= n; cut++) {
        struct exchange x = netrun_request(r, "GET", "/");
        ck_assert_int_eq(exchange_await(r->client, &x), 0);
        ck_assert_msg(x.status == 200, "cut at %zu: %d %s", cut, x.error_code, x.error);
        ck_assert(netrun_body_is(&x, "hello"));
        ck_assert_int_eq(x.bytes_received, n);
        exchange_release(r->client, &x);
    }
}

START_TEST(responses_cut_anywhere)
{
    struct netserver s;

    for (size_t i = 0; i < ARRAY_SIZE(PIECES); i++) {
        run_with(answer_in_pieces, (void *)(uintptr_t)PIECES[i], each_cut, &s);
        ck_assert_int_eq(s.accepted, 1);
        ck_assert_int_eq(s.requests, strlen(PIECES[i]) + 1);
    }
}
END_TEST

// ---- one response each, on a connection of its own

struct expectation {
    const char *response;
    int status, error_code;
    const char *error, *body;
};
static const struct expectation *expected;

static void one_request(struct netrun *r)
{
    struct exchange x = netrun_request(r, "POST", "/");

    ck_assert_int_eq(exchange_await(r->client, &x), 0);
    ck_assert_msg(x.error_code == expected->error_code, "%s: %d %s", expected->response,
                  x.error_code, x.error);
    ck_assert_str_eq(x.error, expected->error);
    ck_assert_int_eq(x.status, expected->status);
    ck_assert(netrun_body_is(&x, expected->body));
    exchange_release(r->client, &x);
}

START_TEST(responses_good_and_bad)
{
    static const struct expectation cases[] = {
        {"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, 0, "", "until the end"},
        {"HTTP/1.1 204 No Content\r\n\r\n", 204, 0, "", ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart", 0, 1000, "unexpected EOF", "part"},
        {"HTTP/1.1 200 OK\r\nContent-Le", 0, 1000, "unexpected EOF", ""},
        {"", 0, 1000, "EOF", ""},
        {"SSH-2.0-x\r\n", 0, 1000, "malformed HTTP response", ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 0, 1000,
         "malformed HTTP response", ""},
        {"HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n", 0, 1000, "malformed HTTP response", ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 0, 1000,
         "invalid chunked response body", ""},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", 0, 1000, "unexpected EOF",
         "hel"},
    };
    struct netserver s;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        expected = &cases[i];
        run_with(answer_once, (void *)(uintptr_t)cases[i].response, one_request, &s);
        ck_assert_int_eq(s.requests, 1);
    }
}
END_TEST

static void endless_head(struct netserver *s, int fd, unsigned number)
{
    netserver_write(fd, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 10000; i++) {
        netserver_write(fd, "X-Header: 0123456789\r\n");
    }
}

static void too_large(struct netrun *r)
{
    struct exchange x = netrun_request(r, "GET", "/");

    ck_assert_int_eq(exchange_await(r->client, &x), 0);
    ck_assert_int_eq(x.error_code, 1000);
    ck_assert_str_eq(x.error, "response headers are larger than 64 KiB");
    exchange_release(r->client, &x);
}

START_TEST(head_is_bounded)
{
    struct netserver s;

    run_with(endless_head, NULL, too_large, &s);
}
END_TEST

// ---- what comes after a response is not taken for the next one

static void after_junk(struct netrun *r)
{
    for (int i = 0; i < 2; i++) {
        struct exchange x = netrun_request(r, "GET", "/");
        ck_assert_int_eq(exchange_await(r->client, &x), 0);
        ck_assert_int_eq(x.status, 201);
        ck_assert(!x.reused);
        exchange_release(r->client, &x);
    }
}

START_TEST(junk_ends_the_connection)
{
    struct netserver s;

    run_with(answer_always, (void *)(uintptr_t)HELLO "HTTP/1.1 200 OK\r\n\r\n", after_junk, &s);
    ck_assert_int_eq(s.accepted, 2);
}
END_TEST

// ---- resets and kept connections that the server closed

static void reset_it(struct netserver *s, int fd, unsigned number)
{
    struct linger linger = {1, 0};
    char buf[2048];

    netserver_read(s, fd, buf, sizeof(buf));
    netserver_write(fd, s->arg);
    usleep(20000);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void is_reset(struct netrun *r)
{
    struct exchange x = netrun_request(r, "GET", "/");

    ck_assert_int_eq(exchange_await(r->client, &x), 0);
    ck_assert_int_eq(x.error_code, 1220);
    ck_assert_str_eq(x.error, "read: connection reset by peer");
    ck_assert_int_eq(x.status, 0);
    ck_assert_int_eq(x.raw_headers.p != NULL, *(const char *)r->arg != 0);
    exchange_release(r->client, &x);
}

START_TEST(resets)
{
    struct netserver s;

    run_with(reset_it, (void *)(uintptr_t) "", is_reset, &s);
    ck_assert_int_eq(s.requests, 1);
    run_with(reset_it, (void *)(uintptr_t) "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
             is_reset, &s);
    ck_assert_int_eq(s.requests, 1);
}
END_TEST

// Answers the first request of each connection, reads the second and closes.
static void close_on_second(struct netserver *s, int fd, unsigned number)
{
    char buf[2048];

    netserver_read(s, fd, buf, sizeof(buf));
    netserver_write(fd, HELLO);
    netserver_read(s, fd, buf, sizeof(buf));
}

static void stale(struct netrun *r)
{
    static const char *const methods[] = {"GET", "GET", "POST"};
    static const int codes[] = {0, 0, 1000};

    for (int i = 0; i < 3; i++) {
        struct exchange x = netrun_request(r, methods[i], "/");
        ck_assert_int_eq(exchange_await(r->client, &x), 0);
        ck_assert_int_eq(x.error_code, codes[i]);
        ck_assert_str_eq(x.error, codes[i] ? "EOF" : "");
        exchange_release(r->client, &x);
    }
}

START_TEST(stale_connections_are_retried)
{
    struct netserver s;

    // GET on a first, GET on it and again on a second, POST on that: it may not be sent twice.
    run_with(close_on_second, NULL, stale, &s);
    ck_assert_int_eq(s.accepted, 2);
    ck_assert_int_eq(s.requests, 4);
}
END_TEST

static void pause_between(struct netrun *r)
{
    for (int i = 0; i < 3; i++) {
        struct exchange x = netrun_request(r, "POST", "/");
        ck_assert_int_eq(exchange_await(r->client, &x), 0);
        ck_assert_int_eq(x.status, 201);
        ck_assert(!x.reused);
        exchange_release(r->client, &x);
        co_await_sleep(50 * NSEC_PER_MSEC);
    }
}

START_TEST(closed_while_idle)
{
    struct netserver s;

    run_with(answer_once, NULL, pause_between, &s);
    ck_assert_int_eq(s.accepted, 3);
}
END_TEST

// ---- timeouts

static void never_ends(struct netserver *s, int fd, unsigned number)
{
    char buf[2048];

    netserver_read(s, fd, buf, sizeof(buf));
    netserver_write(fd, s->arg);
    netserver_read(s, fd, buf, sizeof(buf));
}

static void times_out(struct netrun *r)
{
    struct exchange x = netrun_request(r, "GET", "/");

    x.timeout = 60 * NSEC_PER_MSEC;
    ck_assert_int_eq(exchange_await(r->client, &x), 0);
    ck_assert_int_eq(x.error_code, 1050);
    ck_assert_str_eq(x.error, "request timeout");
    ck_assert_int_eq(x.status, 0);
    ck_assert_int_ge(x.times.end - x.times.start, x.timeout);
    ck_assert_int_lt(x.times.end - x.times.start, 2 * NSEC_PER_SEC);
    ck_assert_int_eq(x.raw_headers.p != NULL, *(const char *)r->arg != 0);
    exchange_release(r->client, &x);
}

START_TEST(timeouts)
{
    struct netserver s;

    run_with(never_ends, (void *)(uintptr_t) "", times_out, &s);
    run_with(never_ends, (void *)(uintptr_t) "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
             times_out, &s);
}
END_TEST

// ---- several at once

struct one {
    struct netrun *run;
    struct co_group *group;
    struct exchange x;
};

static void one_of_many(void *arg)
{
    struct one *o = arg;

    ck_assert_int_eq(exchange_await(o->run->client, &o->x), 0);
    co_group_done(o->group);
}

static void queue_up(struct netrun *r)
{
    struct co_group group = {.pending = 20};
    static struct one ones[20];
    nsec_t blocked = 0;

    for (int i = 0; i < 20; i++) {
        ones[i] = (struct one){r, &group, netrun_request(r, "GET", "/")};
        if (i == 7) {
            ones[i].x.timeout = 1; // its place goes to the next
        }
        co_spawn(r->loop, one_of_many, &ones[i], NULL);
    }
    co_group_await_all(&group);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(ones[i].x.error_code, i == 7 ? 1050 : 0);
        ck_assert(i == 7 || netrun_body_is(&ones[i].x, "hello"));
        blocked += ones[i].x.times.got_conn - ones[i].x.times.start;
        exchange_release(r->client, &ones[i].x);
    }
    ck_assert_int_gt(blocked, 0);
}

START_TEST(queues_at_the_limit)
{
    struct netserver s;
    struct netrun r = {0};

    netserver_start(&s, answer_always, NULL);
    net_settings_init(&r.settings);
    r.settings.max_per_host = 1;
    r.port = s.port;
    netrun(&r, queue_up);
    netserver_stop(&s);
    ck_assert_int_eq(s.accepted, 1);
    ck_assert_int_eq(s.requests, 19);
}
END_TEST

// One that asks again at once does not get before one that waits.
static unsigned long greedy_count;

static void greedy(void *arg)
{
    struct one *o = arg;

    for (int i = 0; i < 20; i++) {
        o->x = netrun_request(o->run, "GET", "/");
        ck_assert_int_eq(exchange_await(o->run->client, &o->x), 0);
        exchange_release(o->run->client, &o->x);
        greedy_count++;
    }
    co_group_done(o->group);
}

static void be_patient(struct netrun *r)
{
    struct co_group group = {.pending = 1};
    struct one o = {.run = r, .group = &group};
    struct exchange x = netrun_request(r, "GET", "/");

    co_spawn(r->loop, greedy, &o, NULL);
    co_yield ();
    ck_assert_int_eq(exchange_await(r->client, &x), 0);
    ck_assert_int_eq(x.error_code, 0);
    ck_assert_int_eq(greedy_count, 1);
    exchange_release(r->client, &x);
    co_group_await_all(&group);
}

START_TEST(queue_is_fair)
{
    struct netserver s;
    struct netrun r = {0};

    netserver_start(&s, answer_always, NULL);
    net_settings_init(&r.settings);
    r.settings.max_per_host = 1;
    r.port = s.port;
    netrun(&r, be_patient);
    netserver_stop(&s);
    ck_assert_int_eq(s.requests, 21);
}
END_TEST

// ---- cancellation wherever it strikes

static int cancelled, answered;

static void victim(void *arg)
{
    struct one *o = arg;
    int r = exchange_await(o->run->client, &o->x);

    ck_assert(r == 0 || r == -ECANCELED);
    cancelled += r != 0;
    answered += r == 0;
    exchange_release(o->run->client, &o->x);
    co_group_done(o->group);
}

static void cancel_at_any_time(struct netrun *r)
{
    for (int i = 0; i < 150; i++) {
        struct co_group group = {.pending = 1};
        struct one o = {r, &group, netrun_request(r, "GET", "/")};
        if (i % 10 == 0) {
            client_close_idle(r->client);
        }
        struct co *co = co_spawn(r->loop, victim, &o, NULL);
        for (int turns = i % 10; turns > 0 && group.pending; turns--) {
            co_await_sleep(20 * NSEC_PER_USEC);
        }
        if (group.pending) {
            co_cancel(co);
        }
        co_group_await_all(&group);
    }
}

static void answer_slowly(struct netserver *s, int fd, unsigned number)
{
    char buf[2048];

    while (netserver_read(s, fd, buf, sizeof(buf))) {
        usleep(50);
        netserver_write(fd, HELLO);
    }
}

START_TEST(cancellation)
{
    struct netserver s;

    run_with(answer_slowly, NULL, cancel_at_any_time, &s);
    ck_assert_int_eq(cancelled + answered, 150);
    ck_assert_int_gt(cancelled, 0);
}
END_TEST

// ---- large bodies

enum { LARGE = 6 << 20 };

static void swallow_and_send(struct netserver *s, int fd, unsigned number)
{
    char buf[2048];
    char head[100];
    size_t n = 0, head_n = netserver_read(s, fd, buf, sizeof(buf));
    char *block = xcalloc(1, 65536);

    ck_assert_int_gt(head_n, 0);
    // netserver_read() took as much of the body as fitted.
    n = head_n - (size_t)(strstr(buf, "\r\n\r\n") + 4 - buf);
    while (n < LARGE) {
        ssize_t r = recv(fd, block, 65536, 0);
        ck_assert_int_gt(r, 0);
        n += (size_t)r;
    }
    snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE);
    netserver_write(fd, head);
    memset(block, 'y', 65536);
    for (int i = 0; i < LARGE / 65536; i++) {
        send(fd, block, 65536, MSG_NOSIGNAL);
    }
    free(block);
}

static void send_large(struct netrun *r)
{
    char *body = xmalloc(LARGE);
    char headers[100];

    memset(body, 'x', LARGE);
    snprintf(headers, sizeof(headers), "Host: test\r\nContent-Length: %d\r\n", LARGE);
    for (int i = 0; i < 3; i++) {
        struct exchange x = netrun_request(r, "POST", "/");
        x.headers = slice_of(headers);
        x.body = (struct slice){body, LARGE};
        x.no_reuse = true;
        x.discard_body = i == 1;
        x.max_body = i == 2 ? LARGE - 1 : 0;
        ck_assert_int_eq(exchange_await(r->client, &x), 0);
        ck_assert_int_eq(x.error_code, i == 2 ? 1000 : 0);
        ck_assert(i == 2 || x.bytes_received > LARGE);
        ck_assert_int_gt(x.bytes_sent, LARGE);
        if (i == 0) {
            ck_assert_int_eq(x.response_body.n, LARGE);
            ck_assert_int_eq(x.response_body.p[LARGE - 1], 'y');
        } else if (i == 1) {
            ck_assert_int_eq(x.response_body.n, 0);
            ck_assert_int_lt(x.buffer.cap, 1 << 20);
        }
        exchange_release(r->client, &x);
    }
    free(body);
}

START_TEST(large_bodies)
{
    struct netserver s;

    run_with(swallow_and_send, NULL, send_large, &s);
    ck_assert_int_eq(s.accepted, 3);
}
END_TEST

// ---- names and rules

static bool allow_nothing(void *arg, struct slice host, const struct sockaddr_storage *address)
{
    return !slice_eqs(host, "forbidden.test");
}

static void ask(struct netrun *r, const char *host, uint16_t port, int code, const char *error)
{
    struct exchange x = netrun_request(r, "GET", "/");

    x.endpoint = client_endpoint(r->client, false, slice_of(host), port);
    ck_assert_int_eq(exchange_await(r->client, &x), 0);
    ck_assert_msg(x.error_code == code, "%s: %d %s", host, x.error_code, x.error);
    ck_assert_str_eq(x.error, error);
    exchange_release(r->client, &x);
}

static void by_name(struct netrun *r)
{
    ask(r, "localhost", r->port, 0, "");
    ask(r, "Shop.Test", 80, 0, "");
    ask(r, "a.wild.test", 80, 0, "");
    ask(r, "one.test", 8080, 0, "");
    ask(r, "forbidden.test", 80, 1110, "target forbidden.test (127.0.0.1) is not allowed");
    ask(r, "www.blocked.test", 80, 1111,
        "hostname (www.blocked.test) is in a blocked pattern (*.blocked.test)");
    ask(r, "127.9.9.9", 80, 1110, "IP (127.9.9.9) is in a blacklisted range (127.9.0.0/16)");
}

START_TEST(names_and_rules)
{
    struct netserver s;
    struct netrun r = {0};
    struct err err = {0};
    char address[40];

    netserver_start(&s, answer_always, NULL);
    net_settings_init(&r.settings);
    r.port = s.port;
    r.settings.allow = allow_nothing;
    snprintf(address, sizeof(address), "127.0.0.1:%u", s.port);
    ck_assert_int_eq(net_settings_add_host(&r.settings, "shop.test", address, &err), 0);
    ck_assert_int_eq(net_settings_add_host(&r.settings, "*.wild.test", address, &err), 0);
    ck_assert_int_eq(net_settings_add_host(&r.settings, "one.test:8080", address, &err), 0);
    ck_assert_int_eq(net_settings_add_host(&r.settings, "forbidden.test", address, &err), 0);
    ck_assert_int_eq(net_settings_add_blacklist(&r.settings, "127.9.0.0/16", &err), 0);
    r.settings.blocked_hosts = xcalloc(1, sizeof(char *));
    r.settings.blocked_hosts[r.settings.blocked_host_count++] = xstrdup("*.blocked.test");
    // One server thread serves one connection at a time.
    r.settings.no_connection_reuse = true;
    netrun(&r, by_name);
    netserver_stop(&s);
    ck_assert_int_eq(s.requests, 4);
}
END_TEST

START_TEST(bad_settings)
{
    static const char *const addresses[] = {"", "nowhere", "1.2.3.4:x", "1.2.3.4:99999", "[::1"};
    static const char *const ranges[] = {"", "10.0.0.0", "10.0.0.0/33", "x/8", "10.0.0.0/-1"};
    struct net_settings s;
    struct err err = {0};

    net_settings_init(&s);
    for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
        ck_assert_int_eq(net_settings_add_host(&s, "h", addresses[i], &err), -EINVAL);
        ck_assert_int_eq(net_settings_add_blacklist(&s, ranges[i], &err), -EINVAL);
    }
    ck_assert_int_eq(net_settings_add_host(&s, "h", "[::1]:80", &err), 0);
    ck_assert_int_eq(s.hosts[0].port, 80);
    net_settings_fini(&s);
}
END_TEST

UNIT_MAIN("net/exchange",
          keeps_connections,
          connection_refused,
          responses_cut_anywhere,
          responses_good_and_bad,
          head_is_bounded,
          junk_ends_the_connection,
          resets,
          stale_connections_are_retried,
          closed_while_idle,
          timeouts,
          queues_at_the_limit,
          queue_is_fair,
          cancellation,
          large_bodies,
          names_and_rules,
          bad_settings)
