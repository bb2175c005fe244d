// SPDX-License-Identifier: Apache-2.0
#include "codec/yaml.h"

#include <errno.h>
#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/fs.h"
#include "base/map.h"
#include "codec/yaml_scalar.h"

struct yaml_file {
    struct arena arena;
    char *name;
    struct yaml_node **documents;
    unsigned count, cap;
    unsigned nodes; // made so far, copies included
};

// A list or map that is being read.
struct level {
    struct yaml_node *node;
    struct yaml_node **items;
    unsigned count, cap;
    char *key; // of the value that comes next, NULL = a key comes next (maps)
    int key_line, key_column;
    bool merge; // the key is a plain "<<"
    char *anchor;
};

struct builder {
    struct yaml_file *file;
    struct err *err;
    struct map anchors; // name → finished node
    struct level levels[YAML_DEPTH_MAX];
    unsigned depth;
    struct yaml_node *root; // of the document, once it is finished
};

static int fail(const struct builder *b, int line, int column, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int fail(const struct builder *b, int line, int column, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    err_vset(b->err, -EINVAL, format, args);
    va_end(args);
    err_at(b->err, b->file->name, line, column);
    return -EINVAL;
}

static struct yaml_node *new_node(struct builder *b, enum yaml_type type, int line, int column)
{
    if (++b->file->nodes > YAML_NODES_MAX) {
        fail(b, line, column, "more than %d nodes (aliases count as often as they are used)",
             (int)YAML_NODES_MAX);
        return NULL;
    }
    struct yaml_node *n = ARENA_NEW(&b->file->arena, struct yaml_node);
    n->type = type;
    n->line = line;
    n->column = column;
    n->file = b->file->name;
    n->text = "";
    return n;
}

static struct level *top(struct builder *b)
{
    return b->depth ? &b->levels[b->depth - 1] : NULL;
}

static void append(struct level *at, struct yaml_node *node)
{
    ARRAY_RESERVE(at->items, at->count, at->cap);
    node->parent = at->node;
    node->index = at->count;
    at->items[at->count++] = node;
}

// Depth is bounded by that of the source, and checked where the copy goes.
static struct yaml_node *copy_node(struct builder *b, const struct yaml_node *from, unsigned depth)
{
    if (depth > YAML_DEPTH_MAX) {
        fail(b, from->line, from->column, "nested deeper than %d", (int)YAML_DEPTH_MAX);
        return NULL;
    }
    struct yaml_node *to = new_node(b, from->type, from->line, from->column);
    if (!to) {
        return NULL;
    }
    *to = *from;
    if (from->count) {
        to->items = arena_alloc(&b->file->arena, from->count * sizeof(struct yaml_node *));
    }
    for (unsigned i = 0; i < from->count; i++) {
        to->items[i] = copy_node(b, from->items[i], depth + 1);
        if (!to->items[i]) {
            return NULL;
        }
        to->items[i]->parent = to;
    }
    return to;
}

// Puts a finished node where it belongs.
static int place(struct builder *b, struct yaml_node *node)
{
    struct level *at = top(b);

    if (!at) {
        b->root = node;
        return 0;
    }
    if (at->node->type == YAML_LIST) {
        append(at, node);
        return 0;
    }
    node->key = at->key;
    node->key_line = at->key_line;
    node->key_column = at->key_column;
    if (at->merge && node->type != YAML_MAP && node->type != YAML_LIST) {
        return fail(b, node->line, node->column, "'<<' needs a map or a list of maps");
    }
    append(at, node);
    at->key = NULL;
    return 0;
}

// Adds to `map` the entries of `from` whose keys are not in `seen`.
static int
merge_map(struct builder *b, struct level *at, struct map *seen, const struct yaml_node *from)
{
    if (from->type != YAML_MAP) {
        return fail(b, from->line, from->column, "'<<' needs a map or a list of maps");
    }
    for (unsigned i = 0; i < from->count; i++) {
        if (map_gets(seen, from->items[i]->key)) {
            continue;
        }
        struct yaml_node *copy = copy_node(b, from->items[i], b->depth + 1);
        if (!copy) {
            return -EINVAL;
        }
        map_sets(seen, copy->key, copy);
        append(at, copy);
    }
    return 0;
}

static int
merge_all(struct builder *b, struct level *at, struct map *seen, const struct yaml_node *value)
{
    if (value->type == YAML_MAP) {
        return merge_map(b, at, seen, value);
    }
    for (unsigned i = 0; i < value->count; i++) {
        int r = merge_map(b, at, seen, value->items[i]);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

// Refuses doubled keys and expands "<<".
static int finish_map(struct builder *b, struct level *at)
{
    CLEANUP(map_fini) struct map seen = MAP_NULL;
    const struct yaml_node *merged = NULL;
    unsigned kept = 0;
    unsigned count = at->count;

    for (unsigned i = 0; i < count; i++) {
        struct yaml_node *n = at->items[i];
        const struct yaml_node *before = map_sets(&seen, n->key, n);
        if (before) {
            return fail(b, n->key_line, n->key_column,
                        "the key '%.80s' is here twice (first in line %d)", n->key,
                        before->key_line);
        }
        if (strcmp(n->key, "<<") == 0) {
            merged = n;
            continue;
        }
        n->index = kept;
        at->items[kept++] = n;
    }
    at->count = kept;
    return merged ? merge_all(b, at, &seen, merged) : 0;
}

static int
open_level(struct builder *b, enum yaml_type type, int line, int column, struct slice anchor)
{
    struct level *at = top(b);

    if (at && at->node->type == YAML_MAP && !at->key) {
        return fail(b, line, column, "a key must be a scalar");
    }
    if (b->depth == YAML_DEPTH_MAX) {
        return fail(b, line, column, "nested deeper than %d", (int)YAML_DEPTH_MAX);
    }
    struct yaml_node *n = new_node(b, type, line, column);
    if (!n) {
        return -EINVAL;
    }
    b->levels[b->depth++] = (struct level){
        .node = n, .anchor = anchor.n ? arena_strndup(&b->file->arena, anchor.p, anchor.n) : NULL};
    return 0;
}

static int close_level(struct builder *b)
{
    struct level *at = top(b);
    struct yaml_node *n = at->node;
    int r = n->type == YAML_MAP ? finish_map(b, at) : 0;

    if (r < 0) {
        return r;
    }
    n->count = at->count;
    n->items = arena_alloc(&b->file->arena, (at->count + 1) * sizeof(struct yaml_node *));
    if (at->count) {
        memcpy(n->items, at->items, at->count * sizeof(struct yaml_node *));
    }
    if (at->anchor) {
        map_sets(&b->anchors, at->anchor, n);
    }
    free(at->items);
    b->depth--;
    return place(b, n);
}

static struct slice token_text(struct fy_token *token)
{
    size_t n = 0;
    const char *p = token ? fy_token_get_text(token, &n) : NULL;

    return p ? (struct slice){p, n} : (struct slice){"", 0};
}

static int add_key(struct builder *b, struct slice text, bool plain, int line, int column)
{
    struct level *at = top(b);

    if (memchr(text.p, 0, text.n)) {
        return fail(b, line, column, "a key must not contain a zero byte");
    }
    at->key = arena_strndup(&b->file->arena, text.p, text.n);
    at->key_line = line;
    at->key_column = column;
    at->merge = plain && slice_eqs(text, "<<");
    return 0;
}

static int add_scalar(struct builder *b, struct fy_event *e, int line, int column)
{
    struct slice text = token_text(e->scalar.value);
    struct slice anchor = token_text(e->scalar.anchor);
    struct level *at = top(b);
    bool plain = !e->scalar.value || fy_token_scalar_style(e->scalar.value) == FYSS_PLAIN;

    if (at && at->node->type == YAML_MAP && !at->key) {
        return add_key(b, text, plain, line, column);
    }
    struct yaml_node *n = new_node(b, YAML_STRING, line, column);
    if (!n) {
        return -EINVAL;
    }
    n->text = arena_strndup(&b->file->arena, text.p, text.n);
    n->text_n = text.n;
    if (!yaml_scalar_resolve(n, plain, token_text(e->scalar.tag))) {
        struct slice tag = token_text(e->scalar.tag);
        return fail(b, line, column, "'%.40s' is not what the tag '%.*s' says", n->text,
                    (int)MIN(tag.n, 40), tag.p);
    }
    if (anchor.n) {
        CLEANUP_FREE char *name = xstrndup(anchor.p, anchor.n);
        map_sets(&b->anchors, name, n);
    }
    return place(b, n);
}

static int add_alias(struct builder *b, struct fy_event *e, int line, int column)
{
    struct slice name = token_text(e->alias.anchor);
    const struct yaml_node *from = map_get(&b->anchors, name);
    struct level *at = top(b);

    if (!from) {
        return fail(b, line, column, "unknown alias '*%.*s'", (int)MIN(name.n, 80), name.p);
    }
    if (at && at->node->type == YAML_MAP && !at->key) {
        if (from->type == YAML_MAP || from->type == YAML_LIST) {
            return fail(b, line, column, "a key must be a scalar");
        }
        return add_key(b, slice_of(from->text), false, line, column);
    }
    struct yaml_node *copy = copy_node(b, from, b->depth + 1);
    if (!copy) {
        return -EINVAL;
    }
    copy->parent = NULL;
    copy->key = NULL;
    return place(b, copy);
}

static int end_document(struct builder *b, int line, int column)
{
    struct yaml_file *f = b->file;

    if (!b->root) {
        b->root = new_node(b, YAML_NULL, line, column);
    }
    if (!b->root) {
        return -EINVAL;
    }
    ARRAY_RESERVE(f->documents, f->count, f->cap);
    f->documents[f->count++] = TAKE(b->root);
    map_fini(&b->anchors);
    b->anchors = (struct map)MAP_NULL;
    return 0;
}

static int check_tag(struct builder *b, struct slice tag, const char *name, int line, int column)
{
    if (tag.n && !slice_eqs(tag, name) && !slice_eqs(tag, "!")) {
        return fail(b, line, column, "unknown tag '%.*s'", (int)MIN(tag.n, 80), tag.p);
    }
    return 0;
}

static int handle(struct builder *b, struct fy_event *e)
{
    const struct fy_mark *mark = fy_event_start_mark(e);
    int line = mark ? mark->line + 1 : 1;
    int column = mark ? mark->column + 1 : 1;
    int r;

    switch (e->type) {
    case FYET_MAPPING_START:
        r = check_tag(b, token_text(e->mapping_start.tag), "tag:yaml.org,2002:map", line, column);
        return r < 0 ? r
                     : open_level(b, YAML_MAP, line, column, token_text(e->mapping_start.anchor));
    case FYET_SEQUENCE_START:
        r = check_tag(b, token_text(e->sequence_start.tag), "tag:yaml.org,2002:seq", line, column);
        return r < 0 ? r
                     : open_level(b, YAML_LIST, line, column, token_text(e->sequence_start.anchor));
    case FYET_MAPPING_END:
    case FYET_SEQUENCE_END:
        return close_level(b);
    case FYET_SCALAR:
        return add_scalar(b, e, line, column);
    case FYET_ALIAS:
        return add_alias(b, e, line, MAX(1, column - 1)); // the mark is past the '*'
    case FYET_DOCUMENT_END:
        return end_document(b, line, column);
    case FYET_NONE:
    case FYET_STREAM_START:
    case FYET_STREAM_END:
    case FYET_DOCUMENT_START:
        return 0;
    }
    return 0;
}

// The parser's own first complaint.
static int syntax_error(struct builder *b, struct fy_diag *diag)
{
    void *at = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);

    if (!e) {
        return fail(b, 0, 0, "is not valid YAML");
    }
    // libfyaml counts lines and columns of errors from 1, marks from 0.
    return fail(b, e->line, e->column, "is not valid YAML: %.200s", e->msg);
}

static int run(struct builder *b, struct slice text)
{
    struct fy_diag_cfg diag_cfg;

    fy_diag_cfg_default(&diag_cfg);
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    ASSERT(diag);
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_DISABLE_MMAP_OPT, .diag = diag};
    struct fy_parser *parser = fy_parser_create(&cfg);
    ASSERT(parser);
    int r = fy_parser_set_string(parser, text.p, text.n) ? -EINVAL : 0;
    while (r == 0) {
        struct fy_event *e = fy_parser_parse(parser);
        if (!e) {
            r = fy_parser_get_stream_error(parser) ? syntax_error(b, diag) : 0;
            break;
        }
        bool last = e->type == FYET_STREAM_END;
        r = handle(b, e);
        fy_parser_event_free(parser, e);
        if (last) {
            break;
        }
    }
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return r;
}

// Offset of the first byte that is not UTF-8, or text.n. libfyaml loops for ever on a directive
// with such a byte.
static size_t not_utf8(struct slice text)
{
    static const unsigned least[] = {0, 0x80, 0x800, 0x10000};

    for (size_t i = 0; i < text.n;) {
        unsigned char lead = (unsigned char)text.p[i];
        unsigned more = lead < 0x80 ? 0 : lead < 0xc2 ? 4 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
        unsigned code = more ? lead & (0x3f >> more) : lead;

        if (more > 3 || lead > 0xf4 || text.n - i <= more) {
            return i;
        }
        for (unsigned k = 1; k <= more; k++) {
            unsigned char next = (unsigned char)text.p[i + k];
            if ((next & 0xc0) != 0x80) {
                return i;
            }
            code = code << 6 | (next & 0x3f);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) {
            return i;
        }
        i += more + 1;
    }
    return text.n;
}

int yaml_parse(const char *name, struct slice text, struct yaml_file **ret_file, struct err *err)
{
    CLEANUP(yaml_free_p) struct yaml_file *file = XNEW(struct yaml_file);
    struct builder *b = XNEW(struct builder);
    const char *zero = text.n ? memchr(text.p, 0, text.n) : NULL;
    int r = 0;

    file->name = xstrdup(name);
    b->file = file;
    b->err = err;
    if (text.n > YAML_BYTES_MAX) {
        r = err_set(err, -EFBIG, "is larger than %d MiB", (int)YAML_BYTES_MAX >> 20);
        err_at(err, name, 0, 0);
    } else if (zero) {
        r = fail(b, 0, 0, "is not text: a zero byte at offset %zu", (size_t)(zero - text.p));
    } else if (not_utf8(text) < text.n) {
        r = fail(b, 0, 0, "is not UTF-8: byte 0x%02x at offset %zu",
                 (unsigned char)text.p[not_utf8(text)], not_utf8(text));
    } else if (text.n) {
        r = run(b, text);
    }
    while (b->depth) {
        free(top(b)->items);
        b->depth--;
    }
    map_fini(&b->anchors);
    free(b);
    if (r == 0) {
        *ret_file = TAKE(file);
    }
    return r;
}

int yaml_read(const char *path, struct yaml_file **ret_file, struct err *err)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    int r = fs_read(path, YAML_BYTES_MAX, &text, err);

    return r < 0 ? r : yaml_parse(path, (struct slice){text.p, text.n}, ret_file, err);
}

void yaml_free(struct yaml_file *file)
{
    if (!file) {
        return;
    }
    arena_fini(&file->arena);
    free(file->documents);
    free(file->name);
    free(file);
}

unsigned yaml_count(const struct yaml_file *file)
{
    return file->count;
}

const struct yaml_node *yaml_document(const struct yaml_file *file, unsigned i)
{
    return file->documents[i];
}
