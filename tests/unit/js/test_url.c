// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include "js/http.h"

static struct slice text_of(const char *s)
{
    return slice_of(s);
}

START_TEST(takes_urls_apart)
{
    static const struct {
        const char *text, *host, *authority, *target, *user, *password, *tag;
        unsigned port;
        bool tls;
    } cases[] = {
        {"http://a.b/c?d=e#f", "a.b", "a.b", "/c?d=e", NULL, NULL, "http://a.b/c?d=e#f", 80, false},
        {"HTTPS://a:8443", "a", "a:8443", "/", NULL, NULL, "HTTPS://a:8443", 8443, true},
        {"http://a?x=1", "a", "a", "/?x=1", NULL, NULL, "http://a?x=1", 80, false},
        {"http://[::1]:90/x", "::1", "[::1]:90", "/x", NULL, NULL, "http://[::1]:90/x", 90, false},
        {"http://u%40:p%3A@h/..//x y", "h", "h", "/..//x y", "u@",
         "p:", "http://****:****@h/..//x y", 80, false},
        {"http://u@h", "h", "h", "/", "u", "", "http://****:****@h", 80, false},
        {"http://h:/", "h", "h:", "/", NULL, NULL, "http://h:/", 80, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
        struct js_url u;
        const char *wrong = js_url_parse(text_of(cases[i].text), &arena, &u);
        ck_assert_msg(!wrong, "%s: %s", cases[i].text, wrong);
        ck_assert_msg(slice_eqs(u.host, cases[i].host), "%s", cases[i].text);
        ck_assert_msg(slice_eqs(u.authority, cases[i].authority), "%s", cases[i].text);
        ck_assert_msg(slice_eqs(u.target, cases[i].target), "%s", cases[i].text);
        ck_assert_msg(slice_eqs(u.tag, cases[i].tag), "%s: %.*s", cases[i].text, (int)u.tag.n,
                      u.tag.p);
        ck_assert_msg((u.user.p != NULL) == (cases[i].user != NULL), "%s", cases[i].text);
        if (cases[i].user) {
            ck_assert(slice_eqs(u.user, cases[i].user) && slice_eqs(u.password, cases[i].password));
        }
        ck_assert_uint_eq(u.port, cases[i].port);
        ck_assert(u.tls == cases[i].tls);
    }
}
END_TEST

START_TEST(refuses_what_cannot_be_requested)
{
    static const char *const bad[] = {
        "",         "not a url",       "/relative",    "http://",      "http:///path",
        "ftp://h/", "http://h:99999/", "http://h:8x/", "http://[::1/", "http://h/a\nb"};

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
        struct js_url u;
        ck_assert_msg(js_url_parse(text_of(bad[i]), &arena, &u), "%s", bad[i]);
    }
}
END_TEST

START_TEST(resolves_references)
{
    // RFC 3986 section 5.4, those that Location headers have.
    static const struct {
        const char *reference, *result;
    } cases[] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g/x", "http://g/x"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"..", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../../g", "http://a/g"},
        {"../../../g", "http://a/g"},
        {"https://x/y", "https://x/y"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
    };
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    struct js_url base;

    ck_assert_ptr_null(js_url_parse(text_of("http://a/b/c/d;p?q"), &arena, &base));
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        struct slice got = js_url_resolve(&base, text_of(cases[i].reference), &arena);
        ck_assert_msg(slice_eqs(got, cases[i].result), "%s: %.*s", cases[i].reference, (int)got.n,
                      got.p);
    }
}
END_TEST

UNIT_MAIN("url", takes_urls_apart, refuses_what_cannot_be_requested, resolves_references)
