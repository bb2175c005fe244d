// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "net/cookie.h"
#include "unit.h"

#define NOW (1700000000 * NSEC_PER_SEC) // 2023-11-14T22:13:20Z

static struct cookie_url url_of(const char *text)
{
    struct cookie_url u = {.tls = strncmp(text, "https", 5) == 0};
    const char *host = strstr(text, "//") + 2;
    const char *path = strchr(host, '/');

    u.host = (struct slice){host, path ? (size_t)(path - host) : strlen(host)};
    u.path = slice_of(path ? path : "");
    return u;
}

static bool set(struct cookie_jar *jar, const char *url, const char *line)
{
    struct cookie_url u = url_of(url);
    struct cookie c;

    return cookie_parse(slice_of(line), &c) && cookie_jar_set(jar, &u, &c, NOW);
}

static void has(struct cookie_jar *jar, const char *url, nsec_t now, const char *expected)
{
    struct cookie_url u = url_of(url);
    CLEANUP(strbuf_fini) struct strbuf out = STRBUF_NULL;
    const struct cookie *cookies;
    size_t n = cookie_jar_get(jar, &u, now, &cookies);

    for (size_t i = 0; i < n; i++) {
        cookie_add_to_header(&out, &cookies[i]);
    }
    ck_assert_msg(strcmp(strbuf_str(&out), expected) == 0, "%s: '%s', not '%s'", url,
                  strbuf_str(&out), expected);
}

START_TEST(parses)
{
    struct cookie c;

    ck_assert(cookie_parse(SLICE(" a = b c ; Path=/x; Domain=.h.test ;SECURE; HttpOnly; Max-Age=60;"
                                 " Expires=Wed, 09 Jun 2032 10:18:14 GMT; SameSite=Lax"),
                           &c));
    ck_assert(slice_eqs(c.name, "a"));
    ck_assert(slice_eqs(c.path, "/x"));
    ck_assert(slice_eqs(c.domain, ".h.test"));
    ck_assert(c.secure && c.http_only && c.has_max_age && c.has_expires && !c.quoted);
    ck_assert_int_eq(c.max_age, 60);
    ck_assert_int_eq(c.expires, 1970389094 * NSEC_PER_SEC);
    ck_assert(cookie_parse(SLICE("q=\"x y\""), &c));
    ck_assert(c.quoted && slice_eqs(c.value, "x y"));
    ck_assert(cookie_parse(SLICE("empty="), &c));
    ck_assert_int_eq(c.value.n, 0);
    ck_assert(!cookie_parse(SLICE("novalue"), &c));
    ck_assert(!cookie_parse(SLICE("=x"), &c));
    ck_assert(!cookie_parse(SLICE("a b=x"), &c));
    ck_assert(!cookie_parse(SLICE("a=\x01"), &c));
    ck_assert(!cookie_parse(SLICE(""), &c));
    ck_assert(cookie_parse(SLICE("a=b; Max-Age=x; Expires=never"), &c));
    ck_assert(!c.has_max_age && !c.has_expires);
}
END_TEST

START_TEST(dates)
{
    static const char *const good[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                       "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
                                       "6 nov 1994 8:49:37"};
    static const char *const bad[] = {"", "tomorrow", "Sun, 32 Nov 1994 08:49:37 GMT",
                                      "Sun, 06 Nov 1994", "Sun, 06 Nov 1994 24:00:00 GMT"};
    nsec_t wall;

    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        ck_assert_int_eq(cookie_parse_date(slice_of(good[i]), &wall), 0);
        ck_assert_int_eq(wall, 784111777 * NSEC_PER_SEC);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_int_eq(cookie_parse_date(slice_of(bad[i]), &wall), -EINVAL);
    }
}
END_TEST

START_TEST(hosts_and_paths)
{
    struct cookie_jar *jar = cookie_jar_new();

    ck_assert(set(jar, "http://www.shop.test/a/b", "host=1"));
    ck_assert(set(jar, "http://www.shop.test/a/b", "deep=2; Path=/a/b/c"));
    ck_assert(set(jar, "http://www.shop.test/", "wide=3; Domain=shop.test; Path=/"));
    ck_assert(set(jar, "http://www.shop.test/", "safe=4; Secure; Path=/"));
    ck_assert(!set(jar, "http://www.shop.test/", "foreign=5; Domain=other.test"));
    ck_assert(!set(jar, "http://www.shop.test/", "sub=6; Domain=x.www.shop.test"));
    ck_assert(!set(jar, "http://www.shop.test/", "tld=7; Domain=test"));
    has(jar, "http://www.shop.test/a", NOW, "host=1; wide=3");
    has(jar, "http://www.shop.test/ab", NOW, "wide=3");
    has(jar, "http://www.shop.test/a/b/c/d", NOW, "deep=2; host=1; wide=3");
    has(jar, "https://WWW.Shop.test/", NOW, "wide=3; safe=4");
    has(jar, "http://shop.test/", NOW, "wide=3");
    has(jar, "http://notshop.test/", NOW, "");
    ck_assert(set(jar, "http://127.0.0.1/", "ip=1"));
    ck_assert(!set(jar, "http://127.0.0.1/", "ip2=1; Domain=0.0.1"));
    has(jar, "http://127.0.0.1/", NOW, "ip=1");
    cookie_jar_free(jar);
}
END_TEST

START_TEST(replaces_and_expires)
{
    struct cookie_jar *jar = cookie_jar_new();
    const char *url = "http://a.test/";
    struct cookie_url u = url_of(url);

    set(jar, url, "a=1");
    set(jar, url, "b=2; Max-Age=10");
    set(jar, url, "c=\"3\"; Expires=Tue, 14 Nov 2023 22:13:25 GMT");
    set(jar, url, "a=4");
    has(jar, url, NOW, "a=4; b=2; c=\"3\"");
    has(jar, url, NOW + 6 * NSEC_PER_SEC, "a=4; b=2");
    has(jar, url, NOW + 10 * NSEC_PER_SEC, "a=4");
    set(jar, url, "a=; Max-Age=0");
    has(jar, url, NOW, "");
    set(jar, url, "x=1");
    set(jar, url, "y=2");
    set(jar, url, "y=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    has(jar, url, NOW, "x=1");
    set(jar, url, "z=3");
    cookie_jar_delete(jar, &u, SLICE("x"));
    has(jar, url, NOW, "z=3");
    cookie_jar_clear(jar, &u);
    has(jar, url, NOW, "");
    cookie_jar_set_headers(jar, &u, SLICE("A: b\r\nSet-Cookie: p=1\r\nset-cookie: q=2\r\n"), NOW);
    has(jar, url, NOW, "p=1; q=2");
    cookie_jar_reset(jar);
    has(jar, url, NOW, "");
    cookie_jar_free(jar);
}
END_TEST

START_TEST(is_bounded)
{
    struct cookie_jar *jar = cookie_jar_new();
    struct cookie_url u = url_of("http://a.test/");
    const struct cookie *cookies;
    char line[32];

    for (int i = 0; i < 3010; i++) {
        snprintf(line, sizeof(line), "n%d=1", i);
        set(jar, "http://a.test/", line);
    }
    ck_assert_int_eq(cookie_jar_get(jar, &u, NOW, &cookies), 3000);
    ck_assert(slice_eqs(cookies[0].name, "n10"));
    cookie_jar_free(jar);
}
END_TEST

UNIT_MAIN("net/cookie", parses, dates, hosts_and_paths, replaces_and_expires, is_bounded)
