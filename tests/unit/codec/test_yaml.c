// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "codec/yaml.h"
#include "unit.h"

static struct yaml_file *parse(const char *text)
{
    struct err err = {0};
    struct yaml_file *f = NULL;
    char line[800];

    ck_assert_msg(yaml_parse("t.yaml", slice_of(text), &f, &err) == 0, "%s",
                  err_text(&err, line, sizeof(line)));
    return f;
}

// The message of a text that is refused.
static const char *refusal(const char *text)
{
    static char line[800];
    struct err err = {0};
    struct yaml_file *f = NULL;

    ck_assert_msg(yaml_parse("t.yaml", slice_of(text), &f, &err) < 0, "accepted:\n%s", text);
    ck_assert_ptr_null(f);
    return err_text(&err, line, sizeof(line));
}

START_TEST(tree)
{
    CLEANUP(yaml_free_p)
    struct yaml_file *f = parse("# comment\nkind: Pod\nspec:\n  containers:\n  - name: \"a\\tb\"\n"
                                "    ports: [{containerPort: 80}, {containerPort: 0x51}]\n"
                                "  text: |\n    one\n    two\n---\n- 1\n");
    const struct yaml_node *root = yaml_document(f, 0);
    char path[100];

    ck_assert_uint_eq(yaml_count(f), 2);
    ck_assert_int_eq(root->type, YAML_MAP);
    const struct yaml_node *containers = yaml_get(yaml_get(root, "spec"), "containers");
    ck_assert_int_eq(containers->type, YAML_LIST);
    const struct yaml_node *ports = yaml_get(containers->items[0], "ports");
    const struct yaml_node *port = yaml_get(ports->items[1], "containerPort");
    ck_assert_int_eq(port->integer, 81);
    ck_assert_int_eq(port->line, 6);
    ck_assert_int_eq(port->column, 50);
    ck_assert_int_eq(port->key_column, 35);
    ck_assert_str_eq(yaml_path(port, path, sizeof(path)),
                     "spec.containers[0].ports[1].containerPort");
    ck_assert_str_eq(yaml_get(containers->items[0], "name")->text, "a\tb");
    ck_assert_str_eq(yaml_get(yaml_get(root, "spec"), "text")->text, "one\ntwo\n");
    ck_assert_ptr_null(yaml_get(root, "missing"));
    ck_assert_int_eq(yaml_document(f, 1)->items[0]->integer, 1);
    ck_assert_int_eq(yaml_document(f, 1)->items[0]->line, 11);
}
END_TEST

START_TEST(scalars)
{
    static const struct {
        const char *text;
        enum yaml_type type;
        double value;
    } cases[] = {{"1", YAML_INT, 1},
                 {"-1_000", YAML_INT, -1000},
                 {"010", YAML_INT, 8},
                 {"0o10", YAML_INT, 8},
                 {"0x1F", YAML_INT, 31},
                 {"0b11", YAML_INT, 3},
                 {"08", YAML_FLOAT, 8},
                 {"-9223372036854775808", YAML_INT, -9223372036854775808.0},
                 {"9223372036854775808", YAML_FLOAT, 9223372036854775808.0},
                 {"1e1", YAML_FLOAT, 10},
                 {".5", YAML_FLOAT, .5},
                 {"1.", YAML_FLOAT, 1},
                 {"1.20", YAML_FLOAT, 1.2},
                 {"yes", YAML_BOOL, 1},
                 {"n", YAML_BOOL, 0},
                 {"Off", YAML_BOOL, 0},
                 {"tRUE", YAML_STRING, 0},
                 {"~", YAML_NULL, 0},
                 {"", YAML_NULL, 0},
                 {"null", YAML_NULL, 0},
                 {"2024-01-01", YAML_STRING, 0},
                 {"12:30", YAML_STRING, 0},
                 {"1.2.3", YAML_STRING, 0},
                 {"-", YAML_STRING, 0},
                 {".", YAML_STRING, 0},
                 {"0x", YAML_STRING, 0},
                 {"1e", YAML_STRING, 0},
                 {"'1'", YAML_STRING, 0},
                 {"\"yes\"", YAML_STRING, 0},
                 {"!!str 5", YAML_STRING, 0},
                 {"!!int \"5\"", YAML_INT, 5},
                 {"!!float 5", YAML_FLOAT, 5}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP_FREE char *text = xasprintf("k: %s\n", cases[i].text);
        if (strcmp(cases[i].text, "-") == 0) {
            continue; // a list to YAML
        }
        CLEANUP(yaml_free_p) struct yaml_file *f = parse(text);
        const struct yaml_node *n = yaml_document(f, 0)->items[0];
        ck_assert_msg(n->type == cases[i].type, "'%s' has type %d", cases[i].text, (int)n->type);
        double value = n->type == YAML_INT     ? (double)n->integer
                       : n->type == YAML_BOOL  ? n->boolean
                       : n->type == YAML_FLOAT ? n->real
                                               : 0;
        ck_assert_msg(value == cases[i].value, "'%s' is %g", cases[i].text, value);
    }
}
END_TEST

START_TEST(aliases)
{
    CLEANUP(yaml_free_p)
    struct yaml_file *f = parse("base: &b {x: 1, y: [1, 2]}\nover:\n  <<: *b\n  x: 5\n  z: &s 3\n"
                                "copy: *b\nmany:\n  <<: [{x: 7}, *b]\nscalar: *s\n");
    const struct yaml_node *root = yaml_document(f, 0);
    char path[100];

    ck_assert_int_eq(yaml_get(yaml_get(root, "over"), "x")->integer, 5);
    ck_assert_uint_eq(yaml_get(root, "over")->count, 3);
    ck_assert_int_eq(yaml_get(yaml_get(root, "many"), "x")->integer, 7);
    ck_assert_int_eq(yaml_get(root, "scalar")->integer, 3);
    const struct yaml_node *y = yaml_get(yaml_get(root, "copy"), "y");
    ck_assert_str_eq(yaml_path(y->items[1], path, sizeof(path)), "copy.y[1]");
    y = yaml_get(yaml_get(root, "over"), "y");
    ck_assert_str_eq(yaml_path(y->items[1], path, sizeof(path)), "over.y[1]");
}
END_TEST

START_TEST(refused)
{
    ck_assert_str_eq(refusal("a: 1\nb: 2\na: 3\n"),
                     "t.yaml:3:1: the key 'a' is here twice (first in line 1)");
    ck_assert_str_eq(refusal("a: *none\n"), "t.yaml:1:4: unknown alias '*none'");
    ck_assert_str_eq(refusal("a: &x [*x]\n"), "t.yaml:1:8: unknown alias '*x'");
    ck_assert_str_eq(refusal("? [1]\n: 2\n"), "t.yaml:1:3: a key must be a scalar");
    ck_assert_str_eq(refusal("a: !!int x\n"),
                     "t.yaml:1:10: 'x' is not what the tag 'tag:yaml.org,2002:int' says");
    ck_assert_str_eq(refusal("a:\n  <<: 5\n"), "t.yaml:2:7: '<<' needs a map or a list of maps");
    ck_assert_ptr_nonnull(strstr(refusal("a: [1, 2\nb: 3\n"), "t.yaml:"));
    ck_assert_ptr_nonnull(strstr(refusal("a: [1, 2\nb: 3\n"), "is not valid YAML: "));
    ck_assert_ptr_nonnull(strstr(refusal("a: b: c\n"), "t.yaml:1:"));
    ck_assert_ptr_nonnull(strstr(refusal("\ta: 1\n"), "t.yaml:1:"));
}
END_TEST

START_TEST(bounds)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
    struct yaml_file *f = NULL;
    struct err err = {0};

    strbuf_adds(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        strbuf_addf(&b, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1,
                    i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    ck_assert_ptr_nonnull(strstr(refusal(b.p), "more than 200000 nodes"));
    strbuf_reset(&b);
    for (int i = 0; i < 60; i++) {
        strbuf_addc(&b, '[');
    }
    ck_assert_ptr_nonnull(strstr(refusal(b.p), "nested deeper than 48"));
    strbuf_reset(&b);
    for (int i = 0; i < 60000; i++) {
        strbuf_addc(&b, '[');
    }
    refusal(b.p);
    ck_assert_int_eq(yaml_parse("z", (struct slice){"a\0b", 3}, &f, &err), -EINVAL);
    ck_assert_str_eq(err.message, "is not text: a zero byte at offset 1");
    // libfyaml never returned from a directive with a byte that is not UTF-8.
    ck_assert_int_eq(yaml_parse("z", SLICE("%x 1\xf7\n1\n...\n"), &f, &err), -EINVAL);
    ck_assert_str_eq(err.message, "is not UTF-8: byte 0xf7 at offset 4");
    ck_assert_int_eq(yaml_parse("z", SLICE("\xc3\xa9: \xe2\x82\xac\n"), &f, &err), 0);
    yaml_free(f);
    CLEANUP_FREE char *big = xmalloc(YAML_BYTES_MAX + 1);
    memset(big, ' ', YAML_BYTES_MAX + 1);
    ck_assert_int_eq(yaml_parse("z", (struct slice){big, YAML_BYTES_MAX + 1}, &f, &err), -EFBIG);
}
END_TEST

START_TEST(getters)
{
    CLEANUP(yaml_free_p)
    struct yaml_file *f = parse("spec:\n  port: http\n  n: 70\n  f: 7e1\n  d: 1m30s\n  q: 500m\n"
                                "  t: yes\n  s: \"5\"\n  x: 1.5\n  bare: 30\n  neg: -5s\n");
    const struct yaml_node *spec = yaml_get(yaml_document(f, 0), "spec");
    struct err err = {0};
    char line[800];
    int64_t i = 1;
    nsec_t d = 1;
    quantity_t q;
    double x;
    bool t = false;
    const char *s = NULL;

    ck_assert_int_eq(yaml_int(yaml_get(spec, "port"), 1, 65535, &i, &err), -EINVAL);
    ck_assert_int_eq(i, 1);
    ck_assert_str_eq(err_text(&err, line, sizeof(line)),
                     "t.yaml:2:9: spec.port: expected an integer, found the string 'http'");
    ck_assert_int_eq(yaml_int(yaml_get(spec, "n"), 1, 69, &i, &err), -EINVAL);
    ck_assert_str_eq(err.message, "spec.n: 70 is not from 1 to 69");
    ck_assert_int_eq(yaml_int(yaml_get(spec, "f"), 1, 70, &i, &err), 0);
    ck_assert_int_eq(i, 70);
    ck_assert_int_eq(yaml_string(yaml_get(spec, "n"), &s, &err), -EINVAL);
    ck_assert_str_eq(err.message,
                     "spec.n: expected a string, found the number 70: put it in quotes");
    ck_assert_int_eq(yaml_text(yaml_get(spec, "n"), &s, &err), 0);
    ck_assert_str_eq(s, "70");
    ck_assert_int_eq(yaml_string(yaml_get(spec, "s"), &s, &err), 0);
    ck_assert_str_eq(s, "5");
    ck_assert_int_eq(yaml_bool(yaml_get(spec, "t"), &t, &err), 0);
    ck_assert(t);
    ck_assert_int_eq(yaml_bool(yaml_get(spec, "n"), &t, &err), -EINVAL);
    ck_assert_int_eq(yaml_double(yaml_get(spec, "x"), &x, &err), 0);
    ck_assert(x == 1.5);
    ck_assert_int_eq(yaml_duration(yaml_get(spec, "d"), &d, &err), 0);
    ck_assert_int_eq(d, 90 * NSEC_PER_SEC);
    ck_assert_int_eq(yaml_duration(yaml_get(spec, "bare"), &d, &err), -EINVAL);
    ck_assert_int_eq(yaml_duration(yaml_get(spec, "neg"), &d, &err), -EINVAL);
    ck_assert_int_eq(yaml_quantity(yaml_get(spec, "q"), &q, &err), 0);
    ck_assert_int_eq(quantity_milli(q), 500);
    ck_assert_int_eq(yaml_quantity(yaml_get(spec, "port"), &q, &err), -EINVAL);
}
END_TEST

START_TEST(keys)
{
    CLEANUP(yaml_free_p) struct yaml_file *f = parse("a:\n  replcas: 1\n");
    static const char *const names[] = {"replicas", "template"};
    struct err err = {0};
    char line[800];

    ck_assert_int_eq(yaml_check_keys(yaml_document(f, 0)->items[0], names, 2, &err), -EINVAL);
    ck_assert_str_eq(err_text(&err, line, sizeof(line)),
                     "t.yaml:2:3: a.replcas: unknown field, did you mean 'replicas'?");
    yaml_missing(yaml_document(f, 0)->items[0], "template", &err);
    ck_assert_str_eq(err.message, "a.template: required, but missing");
}
END_TEST

START_TEST(json)
{
    CLEANUP(yaml_free_p)
    struct yaml_file *f = parse("{\n\t\"a\": [1, true, null, \"x\\u00e9\\/\"],\n\t\"b\": {}\n}\n");
    const struct yaml_node *a = yaml_get(yaml_document(f, 0), "a");

    ck_assert_uint_eq(a->count, 4);
    ck_assert_str_eq(a->items[3]->text, "x\xc3\xa9/");
    CLEANUP(yaml_free_p) struct yaml_file *empty = parse("");
    ck_assert_uint_eq(yaml_count(empty), 0);
    CLEANUP(yaml_free_p)
    struct yaml_file *comments = parse("# nothing\n---\n# nothing\n---\na: 1\n");
    ck_assert_uint_eq(yaml_count(comments), 2);
    ck_assert_int_eq(yaml_document(comments, 0)->type, YAML_NULL);
}
END_TEST

UNIT_MAIN("codec/yaml", tree, scalars, aliases, refused, bounds, getters, keys, json)
