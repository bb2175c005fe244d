// SPDX-License-Identifier: Apache-2.0
#include "netserver.h"

#define HELLO "HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-A: b \r\n\r\nhello"

static void answer_always(struct netserver *s, int fd, unsigned number)
{
    char buf[2048];

    while (netserver_read(s, fd, buf, sizeof(buf))) {
        netserver_write(fd, s->arg ? s->arg : HELLO);
    }
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
    struct netrun r = {0};

    netserver_start(&s, answer_always, NULL);
    net_settings_init(&r.settings);
    r.port = s.port;
    netrun(&r, two_requests);
    netserver_stop(&s);
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

UNIT_MAIN("net/exchange", keeps_connections, connection_refused)
