// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include "base/mem.h"
#include "codec/gjson.h"

static const char DOC[] =
    "{\"name\": {\"first\": \"Tom\", \"last\": \"And\\\"er\\u0073on\"}, \"age\": 37,\n"
    " \"children\": [\"Sara\", \"Alex\", \"Jack\"], \"fav.movie\": \"Deer Hunter\", \"nil\": null,\n"
    " \"friends\": [{\"first\": \"Dale\", \"age\": 44, \"nets\": [\"ig\", \"fb\", \"tw\"]},\n"
    "  {\"first\": \"Roger\", \"age\": 68, \"nets\": [\"fb\", \"tw\"]},\n"
    "  {\"first\": \"Jane\", \"age\": 47, \"nets\": [\"ig\", \"tw\"], \"ok\": true}],\n"
    " \"deep\": [[1, 2], [3, [4]], 5]}";

START_TEST(selects_by_path)
{
    static const struct {
        const char *path, *result; // NULL: nothing
    } cases[] = {
        {"name.first", "\"Tom\""},
        {"age", "37"},
        {"nil", "null"},
        {"missing", NULL},
        {"name.missing.x", NULL},
        {"", NULL},
        {"children", "[\"Sara\", \"Alex\", \"Jack\"]"},
        {"children.#", "3"},
        {"children.1", "\"Alex\""},
        {"children.3", NULL},
        {"children.01", "\"Alex\""},
        {"children.-1", NULL},
        {"child*.2", "\"Jack\""},
        {"c?ildren.0", "\"Sara\""},
        {"fav\\.movie", "\"Deer Hunter\""},
        {"fav*", "\"Deer Hunter\""},
        {"friends.#.first", "[\"Dale\",\"Roger\",\"Jane\"]"},
        {"friends.#.ok", "[true]"},
        {"friends.1.first", "\"Roger\""},
        {"friends.#(first==\"Jane\").age", "47"},
        {"friends.#(age>45)#.first", "[\"Roger\",\"Jane\"]"},
        {"friends.#(age>=68).first", "\"Roger\""},
        {"friends.#(first%\"D*\").age", "44"},
        {"friends.#(first!%\"D*\")#.age", "[68,47]"},
        {"friends.#(nets.#(==\"fb\"))#.first", "[\"Dale\",\"Roger\"]"},
        {"friends.#(ok==true).first", "\"Jane\""},
        {"friends.#(age<1)", NULL},
        {"friends.#(age<1)#", "[]"},
        {"friends.#(age>45)#|0.first", "\"Roger\""},
        {"friends.#", "3"},
        {"friends|#.age|#", "3"},
        {"children|@reverse", "[\"Jack\",\"Alex\",\"Sara\"]"},
        {"children.@reverse.0", "\"Jack\""},
        {"name.@keys", "[\"first\",\"last\"]"},
        {"name|@values|0", "\"Tom\""},
        {"name.@reverse.@keys", "[\"last\",\"first\"]"},
        {"deep.@flatten", "[1,2,3,[4],5]"},
        {"@this.age", "37"},
        {"{name.first,\"years\":age}", "{\"first\":\"Tom\",\"years\":37}"},
        {"[age,children.0,missing]", "[37,\"Sara\"]"},
        {"name.last", "\"And\\\"er\\u0073on\""},
        {"#", NULL},
        {"friends.#(", NULL},
        {"friends.#()#.first", "[\"Dale\",\"Roger\",\"Jane\"]"},
    };

    ck_assert(gjson_valid(slice_of(DOC)));
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(arena_fini) struct arena scratch = ARENA_NULL;
        struct slice got = gjson_get(slice_of(DOC), slice_of(cases[i].path), &scratch);
        bool same = cases[i].result ? slice_eqs(got, cases[i].result) : got.p == NULL;
        ck_assert_msg(same, "'%s': %.*s, expected %s", cases[i].path, (int)got.n,
                      got.p ? got.p : "-", cases[i].result ? cases[i].result : "nothing");
    }
}
END_TEST

START_TEST(knows_json)
{
    static const char *const good[] = {
        "0", "-1.5e+3", " [ ] ", "{\"a\":[1,{}]}", "\"\\u00e9\\n\"", "null", "true"};
    static const char *const bad[] = {
        "",          "01",  "1.",    "-",   "[1,]", "{\"a\"}", "{a:1}",    "\"\\x\"",
        "\"\\u12\"", "tru", "[1 2]", "1 2", "\"a",  "[",       "\"\x01\"", "{\"a\":1,}"};

    for (unsigned i = 0; i < ARRAY_SIZE(good); i++) {
        ck_assert_msg(gjson_valid(slice_of(good[i])), "%s", good[i]);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        ck_assert_msg(!gjson_valid(slice_of(bad[i])), "%s", bad[i]);
    }
}
END_TEST

START_TEST(is_bounded)
{
    CLEANUP(strbuf_fini) struct strbuf deep = STRBUF_NULL;
    CLEANUP(arena_fini) struct arena scratch = ARENA_NULL;

    for (unsigned i = 0; i < 100000; i++) {
        strbuf_addc(&deep, '[');
    }
    ck_assert(!gjson_valid((struct slice){deep.p, deep.n}));
    ck_assert_ptr_null(gjson_get((struct slice){deep.p, deep.n}, SLICE("0.0.0"), &scratch).p);
    strbuf_reset(&deep);
    for (unsigned i = 0; i < 2000; i++) {
        strbuf_adds(&deep, "@this|");
    }
    ck_assert_ptr_null(gjson_get(slice_of(DOC), (struct slice){deep.p, deep.n}, &scratch).p);
}
END_TEST

START_TEST(unquotes)
{
    CLEANUP(strbuf_fini) struct strbuf out = STRBUF_NULL;

    gjson_unquote(slice_of("\"a\\n\\u00e9\\ud83d\\ude00\\ud83dx\\/\\\"\""), &out);
    ck_assert_str_eq(strbuf_str(&out), "a\n\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbdx/\"");
}
END_TEST

UNIT_MAIN("gjson", selects_by_path, knows_json, is_bounded, unquotes)
