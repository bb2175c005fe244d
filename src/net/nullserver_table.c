// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "base/mem.h"
#include "net/nullserver_int.h"

enum { KINDS_MAX = 256, BODY_MAX = 1 << 20, TOTAL_MAX = 16 << 20 };

struct nullserver_table *nullserver_table_new(void)
{
    struct nullserver_table *t = XNEW(struct nullserver_table);

    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void nullserver_table_free(struct nullserver_table *t)
{
    if (!t) {
        return;
    }
    for (unsigned i = 0; i < t->count; i++) {
        free(t->items[i].key);
        free(t->items[i].bytes);
    }
    free(t->items);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

unsigned nullserver_table_count(struct nullserver_table *t)
{
    pthread_mutex_lock(&t->lock);
    unsigned count = t->count;
    pthread_mutex_unlock(&t->lock);
    return count;
}

static char *make_key(struct slice method, struct slice target)
{
    struct slice path = slice_cut(&target, '?');

    return xasprintf("%.*s %.*s", (int)method.n, method.p, (int)path.n, path.p);
}

// What describes one transfer and not the content is written anew.
static bool is_of_the_transfer(struct slice name)
{
    static const char *const NAMES[] = {"content-length", "transfer-encoding", "connection",
                                        "keep-alive", "trailer"};

    for (size_t i = 0; i < ARRAY_SIZE(NAMES); i++) {
        if (slice_eq_nocase(name, slice_of(NAMES[i]))) {
            return true;
        }
    }
    return false;
}

static void write_response(const struct exchange *x, struct null_response *r)
{
    struct strbuf b = STRBUF_NULL;
    struct slice at = x->raw_headers;
    struct slice name;
    struct slice value;
    bool bodiless = x->status == 204 || x->status == 304;

    strbuf_addf(&b, "HTTP/1.1 %d %.*s\r\n", x->status, (int)x->reason.n, x->reason.p);
    while (exchange_next_header(&at, &name, &value)) {
        if (!is_of_the_transfer(name)) {
            strbuf_addf(&b, "%.*s: %.*s\r\n", (int)name.n, name.p, (int)value.n, value.p);
        }
    }
    if (!bodiless) {
        strbuf_addf(&b, "Content-Length: %zu\r\n", x->response_body.n);
    }
    strbuf_adds(&b, "\r\n");
    r->head = b.n;
    if (!bodiless) {
        strbuf_add(&b, x->response_body.p, x->response_body.n);
    }
    r->size = b.n;
    r->bytes = strbuf_take(&b);
    r->status = x->status;
}

static struct null_response *find_key(struct nullserver_table *t, const char *key)
{
    for (unsigned i = 0; i < t->count; i++) {
        if (strcmp(t->items[i].key, key) == 0) {
            return &t->items[i];
        }
    }
    return NULL;
}

void nullserver_table_record(struct nullserver_table *t, const struct exchange *x)
{
    if (x->status < 200 || x->discard_body || x->response_body.n > BODY_MAX) {
        return;
    }
    CLEANUP_FREE char *key = make_key(x->method, x->target);
    pthread_mutex_lock(&t->lock);
    struct null_response *r = find_key(t, key);
    bool better = r && r->status >= 400 && x->status < 400;
    if (!r && t->count < KINDS_MAX && t->total + x->response_body.n < TOTAL_MAX) {
        ARRAY_RESERVE(t->items, t->count, t->cap);
        r = &t->items[t->count++];
        *r = (struct null_response){.key = TAKE(key)};
        better = true;
    }
    if (better) {
        t->total -= r->size;
        free(r->bytes);
        write_response(x, r);
        t->total += r->size;
    }
    pthread_mutex_unlock(&t->lock);
}

const struct null_response *
nullserver_table_find(const struct nullserver_table *t, struct slice method, struct slice target)
{
    struct slice path = slice_cut(&target, '?');
    const struct null_response *best = NULL;
    size_t longest = 0;

    for (unsigned i = 0; i < t->count; i++) {
        const char *key = t->items[i].key;
        if (strncmp(key, method.p, method.n) != 0 || key[method.n] != ' ') {
            continue;
        }
        const char *known = key + method.n + 1;
        size_t same = 0;
        while (same < path.n && known[same] == path.p[same]) {
            same++;
        }
        bool exact = same == path.n && known[same] == '\0';
        if (exact) {
            return &t->items[i];
        }
        if (!best || same > longest) {
            best = &t->items[i];
            longest = same;
        }
    }
    return best;
}
