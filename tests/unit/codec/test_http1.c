// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "codec/http1.h"
#include "unit.h"

static ssize_t parse(const char *text, struct http1_head *h)
{
    size_t scanned = 0;

    return http1_parse_response(text, strlen(text), false, &scanned, h);
}

START_TEST(heads)
{
    static const char text[] = "HTTP/1.1 200 All right\r\nContent-Length: 12\r\nX:\r\n\r\nbody";
    struct slice at, name, value;
    struct http1_head h;
    size_t scanned = 0;

    for (size_t n = 0; n < sizeof(text) - 5; n++) {
        ck_assert_int_eq(http1_parse_response(text, n, false, &scanned, &h), 0);
    }
    ck_assert_int_eq(http1_parse_response(text, sizeof(text) - 1, false, &scanned, &h),
                     sizeof(text) - 5);
    ck_assert_int_eq(h.status, 200);
    ck_assert(slice_eqs(h.reason, "All right"));
    ck_assert_int_eq(h.body, HTTP1_BODY_LENGTH);
    ck_assert_int_eq(h.length, 12);
    ck_assert(h.keep_alive);
    at = h.headers;
    ck_assert(http1_next_header(&at, &name, &value));
    ck_assert(slice_eqs(name, "Content-Length") && slice_eqs(value, "12"));
    ck_assert(http1_next_header(&at, &name, &value));
    ck_assert(slice_eqs(name, "X") && value.n == 0);
    ck_assert(!http1_next_header(&at, &name, &value));
}
END_TEST

START_TEST(framing)
{
    static const struct {
        const char *text;
        enum http1_body body;
        bool keep_alive;
    } cases[] = {
        {"HTTP/1.1 204 N\r\nContent-Length: 3\r\n\r\n", HTTP1_BODY_NONE, true},
        {"HTTP/1.1 304\r\n\r\n", HTTP1_BODY_NONE, true},
        {"HTTP/1.1 204 N\r\nTabs: a\tb\tcdefgh \xc3\xbc\xff\x80 12345678\r\n\r\n", HTTP1_BODY_NONE,
         true},
        {"HTTP/1.1 101 S\r\n\r\n", HTTP1_BODY_NONE, false},
        {"HTTP/1.1 200 OK\r\n\r\n", HTTP1_BODY_CLOSE, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", HTTP1_BODY_CHUNKED, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
         HTTP1_BODY_CHUNKED, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: a, Close\r\n\r\n", HTTP1_BODY_LENGTH,
         false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", HTTP1_BODY_LENGTH, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
         HTTP1_BODY_LENGTH, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", HTTP1_BODY_LENGTH,
         true},
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct http1_head h = {0};
        ck_assert_int_eq(parse(cases[i].text, &h), strlen(cases[i].text));
        ck_assert_msg(h.body == cases[i].body && h.keep_alive == cases[i].keep_alive, "%s",
                      cases[i].text);
    }
}
END_TEST

START_TEST(refused)
{
    static const char *const cases[] = {
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1 099 X\r\n\r\n",
        "HTTP/1.1 200 O\1K\r\n\r\n",
        "HTTP/1.1 200 OK\r\nName : x\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: 12345678901234567\x7f\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: 1234\x01 the first of many bytes\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "x",
    };
    struct http1_head h;

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        ck_assert_msg(parse(cases[i], &h) == -EBADMSG, "%s", cases[i]);
    }
}
END_TEST

START_TEST(bounded)
{
    char *text = xmalloc(HTTP1_HEAD_MAX + 100);
    struct http1_head h;
    size_t scanned = 0;

    memset(text, 'x', HTTP1_HEAD_MAX + 100);
    memcpy(text, "HTTP/1.1 200 OK\r\nA: ", 20);
    ck_assert_int_eq(http1_parse_response(text, HTTP1_HEAD_MAX, false, &scanned, &h), 0);
    ck_assert_int_eq(http1_parse_response(text, HTTP1_HEAD_MAX + 1, false, &scanned, &h),
                     -EMSGSIZE);
    free(text);
}
END_TEST

// Feeds in pieces of `step` bytes; the body, or NULL when refused.
static const char *unchunk(const char *text, size_t step, size_t *ret_left)
{
    static char body[256];
    struct http1_chunks c = {0};
    size_t n = strlen(text), at = 0, out = 0;
    int r = 0;

    while (at < n && r == 0) {
        char piece[256];
        size_t m = MIN(step, n - at), used, got;
        memcpy(piece, text + at, m);
        r = http1_chunks_feed(&c, piece, m, &used, &got);
        memcpy(body + out, piece, got);
        out += got;
        at += used;
        ck_assert(r || used == m);
    }
    body[out] = 0;
    *ret_left = n - at;
    return r < 0 ? NULL : r ? body : "unfinished";
}

START_TEST(chunks)
{
    static const char good[] = "5\r\nhello\r\nA;x=1\r\n, 10 bytes\r\n0\r\nT: 1\r\n\r\nrest";
    static const char *const bad[] = {
        "\r\n",     "g\r\n",   "5\nhello",        "5\r\nhelloX",          "1;\n",
        "1\r\na\n", "0\r\n\n", "0\r\nT: 1\n\r\n", "11111111111111111\r\n"};
    size_t left;

    for (size_t step = 1; step < sizeof(good); step++) {
        ck_assert_str_eq(unchunk(good, step, &left), "hello, 10 bytes");
        ck_assert_int_eq(left, 4);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_msg(unchunk(bad[i], 100, &left) == NULL, "%s", bad[i]);
        ck_assert_msg(unchunk(bad[i], 1, &left) == NULL, "%s", bad[i]);
    }
    ck_assert_str_eq(unchunk("5\r\nhel", 2, &left), "unfinished");
}
END_TEST

UNIT_MAIN("codec/http1", heads, framing, refused, bounded, chunks)
