// SPDX-License-Identifier: Apache-2.0
// URLs and response heads of the HTTP client, and what an order must look like.
#include "common/body.h"
#include "common/http1.h"
#include "order-service/order.h"
#include "unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

START_TEST(urls)
{
    static const struct {
        const char *text, *host, *port;
    } good[] = {{"http://a", "a", "80"},
                {"http://a/", "a", "80"},
                {"http://10.0.0.1:8080", "10.0.0.1", "8080"},
                {"http://[::1]:81/", "::1", "81"},
                {"http://order-service:8080", "order-service", "8080"}};
    static const char *const bad[] = {
        "",           "a:80",         "https://a",    "http://",
        "http://:1",  "http://a/b",   "http://a:",    "http://a:99999",
        "http://a:x", "http://[::1",  "http://a b",   "http://a\r\nX: y",
        "http://u@a", "http://a:1:2", "http://$(A):1"};
    struct http1_url url;

    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ck_assert_msg(http1_url_parse(good[i].text, &url) == 0, "%s", good[i].text);
        ck_assert_str_eq(url.host, good[i].host);
        ck_assert_str_eq(url.port, good[i].port);
    }
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(http1_url_parse(bad[i], &url) == -EINVAL, "%s", bad[i]);
    }
    ck_assert_int_eq(http1_authority_parse("127.0.0.1:0", &url), 0);
    ck_assert_int_eq(http1_authority_parse("127.0.0.1", &url), -EINVAL);
}
END_TEST

static int parse(const char *text, struct http1_head *head)
{
    // A copy of the exact length, so that a sanitizer sees any read beyond it.
    size_t len = strlen(text);
    char *copy = malloc(len ? len : 1);

    memcpy(copy, text, len);
    int r = http1_head_parse(copy, len, head);
    free(copy);
    return r;
}

START_TEST(heads)
{
    struct http1_head head;
    const char *text =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 12\r\nretry-after:  7 \r\n"
        "CONTENT-TYPE: application/json; charset=utf-8\r\n\r\nrest";

    ck_assert_int_eq(parse(text, &head), 1);
    ck_assert_int_eq(head.status, 503);
    ck_assert_int_eq(head.body_len, 12);
    ck_assert_uint_eq(head.head_len, strlen(text) - 4);
    ck_assert(head.keep_alive);
    ck_assert_str_eq(head.retry_after, "7");
    ck_assert_str_eq(head.type, "application/json; charset=utf-8");
    ck_assert_int_eq(parse("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", &head), 1);
    ck_assert(!head.keep_alive);
    ck_assert_int_eq(parse("HTTP/1.1 200\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", &head),
                     1);
    ck_assert(!head.keep_alive);
    ck_assert_int_eq(parse("HTTP/1.1 204 No\r\n\r\n", &head), 1);
    ck_assert_int_eq(head.body_len, 0);
    // Every prefix asks for more.
    for (size_t len = 0; len < strlen(text) - 4; len++) {
        ck_assert_int_eq(http1_head_parse(text, len, &head), 0);
    }
}
END_TEST

START_TEST(bad_heads)
{
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\r\n\r\n", // no length
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 000 OK\r\n\r\n",
        "\r\n",
        "nonsense\n",
    };
    struct http1_head head;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(parse(bad[i], &head) == -EBADMSG, "%s", bad[i]);
    }
}
END_TEST

START_TEST(bodies)
{
    char deep[100];
    json_t *value;

    memset(deep, '[', 50);
    memset(deep + 50, ']', 50);
    ck_assert_ptr_null(body_parse(deep, sizeof(deep)));
    ck_assert_ptr_null(body_parse("", 0));
    ck_assert_ptr_null(body_parse("[]", 2));
    ck_assert_ptr_null(body_parse("{\"a\":1,\"a\":2}", 13));
    ck_assert_ptr_null(body_parse("{\"a\":\"\\", 7));
    // Brackets inside a string are no depth.
    value = body_parse("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"}", 34);
    ck_assert_ptr_nonnull(value);
    json_decref(value);
}
END_TEST

static const char *check(const char *text)
{
    struct order_input input;
    const char *field = "", *message = "";
    json_t *body = body_parse(text, strlen(text));

    ck_assert_ptr_nonnull(body);
    int r = order_input_check(body, &input, &field, &message);
    json_decref(body);
    ck_assert_int_eq(r, *field ? -EINVAL : 0);
    ck_assert(!*field || strstr(message, field));
    return field;
}

START_TEST(orders)
{
    ck_assert_str_eq(check("{\"amount\":1,\"currency\":\"EUR\"}"), "");
    ck_assert_str_eq(check("{\"amount\":9007199254740991,\"currency\":\"ZWG\"}"), "");
    ck_assert_str_eq(check("{\"amount\":9007199254740992,\"currency\":\"EUR\"}"), "amount");
    ck_assert_str_eq(check("{\"amount\":0,\"currency\":\"EUR\"}"), "amount");
    ck_assert_str_eq(check("{\"amount\":1.0,\"currency\":\"EUR\"}"), "amount");
    ck_assert_str_eq(check("{\"currency\":\"EUR\"}"), "amount");
    ck_assert_str_eq(check("{\"amount\":1,\"currency\":\"XAU\"}"), "currency");
    ck_assert_str_eq(check("{\"amount\":1}"), "currency");
    ck_assert(order_currency_is_known("AED"));
    ck_assert(order_currency_is_known("JPY"));
    ck_assert(!order_currency_is_known("AAA"));
    ck_assert(!order_currency_is_known(""));
}
END_TEST

START_TEST(keys)
{
    char key[ORDER_KEY_MAX + 2];

    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    ck_assert(!order_key_is_valid(key));
    key[ORDER_KEY_MAX] = '\0';
    ck_assert(order_key_is_valid(key));
    ck_assert(!order_key_is_valid(""));
    ck_assert(!order_key_is_valid("a b"));
    ck_assert(!order_key_is_valid("a\xc3\xa4"));
}
END_TEST

UNIT_MAIN("http", urls, heads, bad_heads, bodies, orders, keys)
