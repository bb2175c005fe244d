// SPDX-License-Identifier: Apache-2.0
#include "codec/gjson.h"

#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"

#define MAX_DEPTH      512
#define MAX_PATH_DEPTH 32
#define MAX_MADE       ((size_t)64 << 20)

// ---- scanning. A cursor never passes the end: at the end it reads 0.

struct cursor {
    const char *p, *end;
};

static char peek(const struct cursor *c)
{
    return c->p < c->end ? *c->p : 0;
}

static void skip_blanks(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r')) {
        c->p++;
    }
}

static bool is_hex(char ch)
{
    return (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'f') || (ch >= 'A' && ch <= 'F');
}

static bool scan_string(struct cursor *c)
{
    if (peek(c) != '"') {
        return false;
    }
    for (c->p++; c->p < c->end; c->p++) {
        unsigned char ch = (unsigned char)*c->p;
        if (ch == '"') {
            c->p++;
            return true;
        }
        if (ch < 0x20) {
            return false;
        }
        if (ch == '\\') {
            c->p++;
            char kind = peek(c);
            if (kind == 'u') {
                for (unsigned i = 1; i <= 4; i++) {
                    if (c->end - c->p <= (ptrdiff_t)i || !is_hex(c->p[i])) {
                        return false;
                    }
                }
                c->p += 4;
            } else if (!kind || !strchr("\"\\/bfnrt", kind)) {
                return false;
            }
        }
    }
    return false;
}

static bool scan_digits(struct cursor *c)
{
    const char *start = c->p;

    while (peek(c) >= '0' && peek(c) <= '9') {
        c->p++;
    }
    return c->p > start;
}

static bool scan_number(struct cursor *c)
{
    if (peek(c) == '-') {
        c->p++;
    }
    if (peek(c) == '0') {
        c->p++;
    } else if (!scan_digits(c)) {
        return false;
    }
    if (peek(c) == '.') {
        c->p++;
        if (!scan_digits(c)) {
            return false;
        }
    }
    if (peek(c) == 'e' || peek(c) == 'E') {
        c->p++;
        if (peek(c) == '+' || peek(c) == '-') {
            c->p++;
        }
        return scan_digits(c);
    }
    return true;
}

static bool scan_word(struct cursor *c, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0) {
        return false;
    }
    c->p += n;
    return true;
}

static bool scan_value(struct cursor *c, unsigned depth);

static bool scan_members(struct cursor *c, unsigned depth, bool is_object)
{
    char close = is_object ? '}' : ']';

    c->p++;
    skip_blanks(c);
    if (peek(c) == close) {
        c->p++;
        return true;
    }
    for (;;) {
        skip_blanks(c);
        if (is_object) {
            if (!scan_string(c)) {
                return false;
            }
            skip_blanks(c);
            if (peek(c) != ':') {
                return false;
            }
            c->p++;
        }
        if (!scan_value(c, depth + 1)) {
            return false;
        }
        skip_blanks(c);
        char ch = peek(c);
        if (ch != ',' && ch != close) {
            return false;
        }
        c->p++;
        if (ch == close) {
            return true;
        }
    }
}

static bool scan_value(struct cursor *c, unsigned depth)
{
    skip_blanks(c);
    if (depth > MAX_DEPTH) {
        return false;
    }
    switch (peek(c)) {
    case '{':
        return scan_members(c, depth, true);
    case '[':
        return scan_members(c, depth, false);
    case '"':
        return scan_string(c);
    case 't':
        return scan_word(c, "true");
    case 'f':
        return scan_word(c, "false");
    case 'n':
        return scan_word(c, "null");
    default:
        return scan_number(c);
    }
}

bool gjson_valid(struct slice json)
{
    struct cursor c = {json.p, json.p + json.n};

    if (!json.p || !scan_value(&c, 0)) {
        return false;
    }
    skip_blanks(&c);
    return c.p == c.end;
}

// Steps through an object's or array's members. Start with `c` behind the bracket.
static bool
next_member(struct cursor *c, bool is_object, struct slice *ret_key, struct slice *ret_value)
{
    skip_blanks(c);
    if (peek(c) == ',') {
        c->p++;
        skip_blanks(c);
    }
    if (c->p >= c->end || *c->p == '}' || *c->p == ']') {
        return false;
    }
    *ret_key = (struct slice){0};
    if (is_object) {
        const char *start = c->p;
        if (!scan_string(c)) {
            return false;
        }
        *ret_key = (struct slice){start, (size_t)(c->p - start)};
        skip_blanks(c);
        if (peek(c) != ':') {
            return false;
        }
        c->p++;
        skip_blanks(c);
    }
    const char *start = c->p;
    if (!scan_value(c, 0)) {
        return false;
    }
    *ret_value = (struct slice){start, (size_t)(c->p - start)};
    return true;
}

// ---- strings

static void add_utf8(struct strbuf *out, uint32_t c)
{
    if (c < 0x80) {
        strbuf_addc(out, (char)c);
    } else if (c < 0x800) {
        strbuf_addc(out, (char)(0xc0 | c >> 6));
        strbuf_addc(out, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        strbuf_addc(out, (char)(0xe0 | c >> 12));
        strbuf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
        strbuf_addc(out, (char)(0x80 | (c & 0x3f)));
    } else {
        strbuf_addc(out, (char)(0xf0 | c >> 18));
        strbuf_addc(out, (char)(0x80 | (c >> 12 & 0x3f)));
        strbuf_addc(out, (char)(0x80 | (c >> 6 & 0x3f)));
        strbuf_addc(out, (char)(0x80 | (c & 0x3f)));
    }
}

// The code unit of "\uXXXX" at p, -1 if there is none before end.
static int32_t unicode_escape(const char *p, const char *end)
{
    int32_t v = 0;

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') {
        return -1;
    }
    for (unsigned i = 2; i < 6; i++) {
        if (!is_hex(p[i])) {
            return -1;
        }
        v = v * 16 + (p[i] <= '9' ? p[i] - '0' : (p[i] | 32) - 'a' + 10);
    }
    return v;
}

void gjson_unquote(struct slice string, struct strbuf *out)
{
    const char *p = string.p + 1, *end = string.p + string.n - 1;

    for (; p < end; p++) {
        if (*p != '\\' || p + 1 >= end) {
            strbuf_addc(out, *p);
            continue;
        }
        static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
        const char *known = strchr(from, p[1]);
        int32_t unit = unicode_escape(p, end);
        if (unit >= 0) {
            int32_t low = unit >= 0xd800 && unit < 0xdc00 ? unicode_escape(p + 6, end) : -1;
            if (low >= 0xdc00 && low < 0xe000) {
                add_utf8(out,
                         0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00));
                p += 11;
            } else {
                add_utf8(out, unit >= 0xd800 && unit < 0xe000 ? 0xfffd : (uint32_t)unit);
                p += 5;
            }
        } else {
            strbuf_addc(out, known ? to[known - from] : p[1]);
            p++;
        }
    }
}

// `*` and `?` match; a backslash takes the next character as it is.
static bool wild_match(struct slice pattern, struct slice text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;

    while (t < text.n) {
        bool literal = p < pattern.n && pattern.p[p] == '\\' && p + 1 < pattern.n;
        char c = p < pattern.n ? pattern.p[p + literal] : 0;
        if (p < pattern.n && !literal && c == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.n && ((!literal && c == '?') || c == text.p[t])) {
            p += 1u + literal;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') {
        p++;
    }
    return p == pattern.n;
}

static bool key_match(struct slice pattern, struct slice key)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    struct slice bare = {key.p + 1, key.n - 2};

    if (memchr(bare.p, '\\', bare.n)) {
        gjson_unquote(key, &text);
        bare = (struct slice){strbuf_str(&text), text.n};
    }
    return wild_match(pattern, bare);
}

// ---- paths

struct eval {
    struct arena *scratch; // results that are no part of the document
    unsigned depth;
};

static struct slice eval(struct eval *e, struct slice json, struct slice path);

// The first component of a path; *ret_pipe: it ended with '|'. Brackets, quotes and escapes hide
// separators.
static struct slice cut_path(struct slice *path, bool *ret_pipe)
{
    size_t i = 0;
    int depth = 0;
    bool quoted = false;

    for (; i < path->n; i++) {
        char c = path->p[i];
        if (c == '\\') {
            i++;
        } else if (quoted) {
            quoted = c != '"';
        } else if (c == '"' && depth) {
            quoted = true;
        } else if (c == '(' || c == '[' || c == '{') {
            depth++;
        } else if ((c == ')' || c == ']' || c == '}') && depth) {
            depth--;
        } else if (!depth && (c == '.' || c == '|')) {
            break;
        }
    }
    i = MIN(i, path->n);
    struct slice part = {path->p, i};
    *ret_pipe = i < path->n && path->p[i] == '|';
    size_t used = i < path->n ? i + 1 : i;
    *path = (struct slice){path->p + used, path->n - used};
    return part;
}

// What of `path` is before its first '|'; *path becomes what is behind it.
static struct slice cut_pipe(struct slice *path)
{
    const char *start = path->p;
    bool pipe = false;
    struct slice part = {path->p, 0};

    while (path->n && !pipe) {
        part = cut_path(path, &pipe);
    }
    return (struct slice){start, (size_t)(part.p + part.n - start)};
}

// The text of a value that was made, in memory that stays.
static struct slice hand_over(struct eval *e, struct strbuf *made)
{
    struct slice kept = {0};

    if (e->scratch->total + made->n <= MAX_MADE) {
        kept = (struct slice){arena_strndup(e->scratch, strbuf_str(made), made->n), made->n};
    }
    strbuf_fini(made);
    return kept;
}

static bool is_container(struct slice json, char open)
{
    return json.n && json.p[0] == open;
}

static struct cursor inside(struct slice json)
{
    return (struct cursor){json.p + 1, json.p + json.n};
}

// ---- queries: #(left op right)

struct query {
    struct slice left, op, right;
};

static bool parse_query(struct slice text, struct query *ret)
{
    static const char *const ops[] = {"==", "!=", "<=", ">=", "!%", "=", "<", ">", "%"};
    int depth = 0;
    bool quoted = false;

    text = slice_trim(text);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\') {
            i++;
            continue;
        }
        quoted ^= c == '"';
        depth += !quoted && (c == '(' || c == '[') ? 1 : !quoted && (c == ')' || c == ']') ? -1 : 0;
        for (unsigned k = 0; !quoted && depth == 0 && k < ARRAY_SIZE(ops); k++) {
            size_t n = strlen(ops[k]);
            if (text.n - i >= n && !memcmp(text.p + i, ops[k], n)) {
                *ret = (struct query){slice_trim((struct slice){text.p, i}),
                                      {text.p + i, n},
                                      slice_trim((struct slice){text.p + i + n, text.n - i - n})};
                return true;
            }
        }
    }
    *ret = (struct query){text, {0}, {0}};
    return true;
}

static double number_of(struct slice s)
{
    char buf[64];
    size_t n = MIN(s.n, sizeof buf - 1);

    memcpy(buf, s.p, n);
    buf[n] = 0;
    return strtod(buf, NULL);
}

static bool compare(struct slice op, int order)
{
    if (slice_eqs(op, "=") || slice_eqs(op, "==")) {
        return order == 0;
    }
    if (slice_eqs(op, "!=")) {
        return order != 0;
    }
    if (op.p[0] == '<') {
        return order < 0 || (op.n == 2 && order == 0);
    }
    return order > 0 || (op.n == 2 && order == 0);
}

static bool match_string(struct slice value, struct slice op, struct slice right)
{
    CLEANUP(strbuf_fini) struct strbuf a = STRBUF_NULL, b = STRBUF_NULL;

    gjson_unquote(value, &a);
    if (right.n >= 2 && right.p[0] == '"') {
        gjson_unquote(right, &b);
    } else {
        strbuf_add(&b, right.p, right.n);
    }
    struct slice left = {strbuf_str(&a), a.n}, r = {strbuf_str(&b), b.n};
    if (op.p[op.n - 1] == '%') {
        return wild_match(r, left) == (op.n == 1);
    }
    int order = memcmp(left.p, r.p, MIN(left.n, r.n));
    return compare(op, order ? order : left.n < r.n ? -1 : left.n > r.n);
}

static bool matches(struct eval *e, struct slice item, const struct query *q)
{
    struct slice value = q->left.n ? eval(e, item, q->left) : item;

    if (!value.p) {
        return false;
    }
    if (!q->op.n) {
        return true;
    }
    char kind = value.p[0];
    if (kind == '"') {
        return (q->right.n == 0 || q->right.p[0] == '"' || q->op.p[q->op.n - 1] == '%') &&
               match_string(value, q->op, q->right);
    }
    if (kind == '-' || (kind >= '0' && kind <= '9')) {
        char first = q->right.n ? q->right.p[0] : 0;
        double a = number_of(value), b = number_of(q->right);
        return (first == '-' || (first >= '0' && first <= '9')) &&
               compare(q->op, a < b ? -1 : a > b);
    }
    return (slice_eqs(q->op, "=") || slice_eqs(q->op, "==")) == slice_eq(value, q->right) &&
           (q->op.p[0] == '=' || q->op.p[0] == '!');
}

// #(query): the first match; #(query)#: all of them.
static struct slice query_array(
    struct eval *e, struct slice json, struct slice text, bool all, struct slice rest, bool pipe)
{
    struct strbuf made = STRBUF_NULL;
    struct query q;
    struct slice key, item;
    bool any = false;

    if (!is_container(json, '[') || !parse_query(text, &q)) {
        return (struct slice){0};
    }
    struct cursor c = inside(json);
    struct slice each = all && !pipe ? cut_pipe(&rest) : (struct slice){0};
    strbuf_addc(&made, '[');
    while (next_member(&c, false, &key, &item)) {
        if (!matches(e, item, &q)) {
            continue;
        }
        if (!all) {
            strbuf_fini(&made);
            return rest.n ? eval(e, item, rest) : item;
        }
        struct slice v = each.n ? eval(e, item, each) : item;
        if (v.p) {
            strbuf_addf(&made, "%s", any ? "," : "");
            strbuf_add(&made, v.p, v.n);
            any = true;
        }
    }
    if (!all) {
        strbuf_fini(&made);
        return (struct slice){0};
    }
    strbuf_addc(&made, ']');
    struct slice list = hand_over(e, &made);
    return list.p && rest.n ? eval(e, list, rest) : list;
}

// `#` alone counts; `#.rest` maps.
static struct slice hash(struct eval *e, struct slice json, struct slice rest, bool pipe)
{
    struct strbuf made = STRBUF_NULL;
    struct slice key, item;
    size_t count = 0, found = 0;

    if (!is_container(json, '[')) {
        return (struct slice){0};
    }
    struct cursor c = inside(json);
    struct slice each = rest.n && !pipe ? cut_pipe(&rest) : (struct slice){0};
    bool map = each.n != 0;
    strbuf_adds(&made, map ? "[" : "");
    while (next_member(&c, false, &key, &item)) {
        struct slice v = map ? eval(e, item, each) : (struct slice){0};
        count++;
        if (v.p) {
            strbuf_adds(&made, found++ ? "," : "");
            strbuf_add(&made, v.p, v.n);
        }
    }
    if (map) {
        strbuf_addc(&made, ']');
    } else {
        strbuf_addf(&made, "%zu", count);
    }
    struct slice result = hand_over(e, &made);
    return result.p && rest.n ? eval(e, result, rest) : result;
}

// ---- modifiers and multipaths

static void add_list(struct strbuf *made, struct slice json, char what)
{
    struct cursor c = inside(json);
    struct slice key, item;
    bool is_object = is_container(json, '{'), any = false;

    while (next_member(&c, is_object, &key, &item)) {
        if (what == 'f' && is_container(item, '[')) {
            struct slice k, v;
            struct cursor deep = inside(item);
            while (next_member(&deep, false, &k, &v)) {
                strbuf_adds(made, any ? "," : "");
                strbuf_add(made, v.p, v.n);
                any = true;
            }
            continue;
        }
        struct slice v = what == 'k' ? key : item;
        strbuf_adds(made, any ? "," : "");
        strbuf_add(made, v.p, v.n);
        any = true;
    }
}

static void add_reversed(struct strbuf *made, struct slice json)
{
    struct cursor c = inside(json);
    struct slice key, item;
    bool is_object = is_container(json, '{');
    CLEANUP(strbuf_fini) struct strbuf other = STRBUF_NULL;

    while (next_member(&c, is_object, &key, &item)) {
        strbuf_reset(&other);
        strbuf_add(&other, made->p, made->n);
        strbuf_reset(made);
        if (key.n) {
            strbuf_add(made, key.p, key.n);
            strbuf_addc(made, ':');
        }
        strbuf_add(made, item.p, item.n);
        strbuf_adds(made, other.n ? "," : "");
        strbuf_add(made, strbuf_str(&other), other.n);
    }
}

static struct slice modify(struct eval *e, struct slice json, struct slice name)
{
    bool array = is_container(json, '['), object = is_container(json, '{');
    struct strbuf body = STRBUF_NULL, made = STRBUF_NULL;
    const char *brackets = "[]";

    name = slice_cut(&name, ':'); // arguments of modifiers are of no use here
    if (slice_eqs(name, "@this") || slice_eqs(name, "@valid") || slice_eqs(name, "@ugly")) {
        return json;
    }
    if (slice_eqs(name, "@reverse")) {
        if (!array && !object) {
            return json;
        }
        add_reversed(&body, json);
        brackets = object ? "{}" : "[]";
    } else if (slice_eqs(name, "@keys") && object) {
        add_list(&body, json, 'k');
    } else if (slice_eqs(name, "@values") && (object || array)) {
        add_list(&body, json, 'v');
    } else if (slice_eqs(name, "@flatten") && array) {
        add_list(&body, json, 'f');
    } else {
        return slice_eqs(name, "@flatten") ? json : (struct slice){0};
    }
    strbuf_addc(&made, brackets[0]);
    strbuf_add(&made, strbuf_str(&body), body.n);
    strbuf_addc(&made, brackets[1]);
    strbuf_fini(&body);
    return hand_over(e, &made);
}

// "a" or "name":a of a multipath's items.
static void
add_item(struct eval *e, struct strbuf *made, struct slice json, struct slice item, bool is_object)
{
    struct slice name = {0}, path = item;

    if (is_object && item.n && item.p[0] == '"') {
        struct cursor c = {item.p, item.p + item.n};
        if (scan_string(&c) && peek(&c) == ':') {
            name = (struct slice){item.p, (size_t)(c.p - item.p)};
            path = (struct slice){c.p + 1, (size_t)(c.end - c.p - 1)};
        }
    }
    struct slice v = eval(e, json, path);
    if (!v.p) {
        return;
    }
    strbuf_adds(made, made->n > 1 ? "," : "");
    if (is_object && name.n) {
        strbuf_add(made, name.p, name.n);
        strbuf_addc(made, ':');
    } else if (is_object) {
        size_t at = path.n;
        while (at && path.p[at - 1] != '.' && path.p[at - 1] != '|') {
            at--;
        }
        strbuf_addf(made, "\"%.*s\":", (int)MIN(path.n - at, 1000u), path.p + at);
    }
    strbuf_add(made, v.p, v.n);
}

static struct slice multipath(struct eval *e, struct slice json, struct slice items, bool is_object)
{
    struct strbuf made = STRBUF_NULL;
    size_t start = 0;
    int depth = 0;
    bool quoted = false;

    strbuf_addc(&made, is_object ? '{' : '[');
    for (size_t i = 0; i <= items.n; i++) {
        char c = i < items.n ? items.p[i] : ',';
        if (c == '\\') {
            i++;
            continue;
        }
        quoted ^= c == '"';
        depth += quoted ? 0 : strchr("([{", c) && c ? 1 : strchr(")]}", c) && c ? -1 : 0;
        if ((i >= items.n || (c == ',' && depth == 0 && !quoted)) && start < MIN(i, items.n)) {
            add_item(e, &made, json, (struct slice){items.p + start, MIN(i, items.n) - start},
                     is_object);
            start = i + 1;
        }
    }
    strbuf_addc(&made, is_object ? '}' : ']');
    return hand_over(e, &made);
}

// ---- plain keys and indexes

static struct slice member(struct slice json, struct slice part)
{
    struct slice key, item;
    size_t index = 0, i = 0;

    if (is_container(json, '{')) {
        struct cursor c = inside(json);
        while (next_member(&c, true, &key, &item)) {
            if (key_match(part, key)) {
                return item;
            }
        }
        return (struct slice){0};
    }
    if (!is_container(json, '[') || part.n == 0 || part.n > 9) {
        return (struct slice){0};
    }
    for (size_t k = 0; k < part.n; k++) {
        if (part.p[k] < '0' || part.p[k] > '9') {
            return (struct slice){0};
        }
        index = index * 10 + (size_t)(part.p[k] - '0');
    }
    struct cursor c = inside(json);
    while (next_member(&c, false, &key, &item)) {
        if (i++ == index) {
            return item;
        }
    }
    return (struct slice){0};
}

static struct slice step(struct eval *e, struct slice json, struct slice path)
{
    bool pipe;
    struct slice rest = path;
    struct slice part = cut_path(&rest, &pipe);
    struct slice found;

    if (part.n == 1 && part.p[0] == '#') {
        return hash(e, json, rest, pipe);
    }
    if (part.n >= 3 && part.p[0] == '#' && (part.p[1] == '(' || part.p[1] == '[')) {
        bool all = part.p[part.n - 1] == '#';
        size_t tail = all ? 2 : 1;
        if (part.n < 2 + tail) {
            return (struct slice){0};
        }
        return query_array(e, json, (struct slice){part.p + 2, part.n - 2 - tail}, all, rest, pipe);
    }
    if (part.n && part.p[0] == '@') {
        found = modify(e, json, part);
    } else if (part.n >= 2 && ((part.p[0] == '{' && part.p[part.n - 1] == '}') ||
                               (part.p[0] == '[' && part.p[part.n - 1] == ']'))) {
        found = multipath(e, json, (struct slice){part.p + 1, part.n - 2}, part.p[0] == '{');
    } else {
        found = member(json, part);
    }
    return found.p && rest.n ? eval(e, found, rest) : found;
}

static struct slice eval(struct eval *e, struct slice json, struct slice path)
{
    if (++e->depth > MAX_PATH_DEPTH) {
        e->depth--;
        return (struct slice){0};
    }
    struct slice result = step(e, slice_trim(json), path);
    e->depth--;
    return result;
}

struct slice gjson_get(struct slice json, struct slice path, struct arena *scratch)
{
    struct eval e = {scratch, 0};

    if (!path.n || path.n > 4096) {
        return (struct slice){0};
    }
    return eval(&e, json, path);
}
