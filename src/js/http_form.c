// SPDX-License-Identifier: Apache-2.0
// Bodies made of objects: forms, files, compression.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "js/http.h"

struct field {
    struct slice key;
    JSValue value;
};

struct fields {
    struct field *items;
    unsigned count, cap;
    bool has_file;
};

static bool is_file(JSContext *ctx, JSValueConst v)
{
    JSValue data;

    if (!JS_IsObject(v) || JS_IsArray(v)) {
        return false;
    }
    JSValue kind = JS_GetPropertyStr(ctx, v, "content_type");
    data = JS_GetPropertyStr(ctx, v, "data");
    bool yes = JS_IsString(kind) && !JS_IsUndefined(data);
    JS_FreeValue(ctx, kind);
    JS_FreeValue(ctx, data);
    return yes;
}

static int collect(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    struct fields *f = arg;

    ARRAY_RESERVE(f->items, f->count, f->cap);
    f->items[f->count++] = (struct field){{xstrndup(key.p, key.n), key.n}, JS_DupValue(ctx, value)};
    f->has_file |= is_file(ctx, value);
    return 0;
}

static int by_key(const void *a, const void *b)
{
    const struct field *x = a, *y = b;
    int order = memcmp(x->key.p, y->key.p, MIN(x->key.n, y->key.n));

    return order ? order : x->key.n < y->key.n ? -1 : x->key.n > y->key.n;
}

// Go's url.QueryEscape.
static void add_escaped(struct strbuf *out, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c && strchr("-_.~", c))) {
            strbuf_addc(out, (char)c);
        } else if (c == ' ') {
            strbuf_addc(out, '+');
        } else {
            strbuf_addf(out, "%%%02X", c);
        }
    }
}

static bool add_pair(JSContext *ctx, struct strbuf *out, struct slice key, JSValueConst v)
{
    struct slice text = {0};
    bool nested = JS_IsObject(v);

    if (!js_is_nullish(v) && !nested && !js_slice(ctx, v, &text)) {
        return false;
    }
    if (nested) {
        js_log_warn(js_vu(ctx),
                    "form field '%.*s' is an object, which a form cannot hold; it is sent "
                    "empty",
                    (int)MIN(key.n, 100u), key.p);
    }
    strbuf_adds(out, out->n ? "&" : "");
    add_escaped(out, key);
    strbuf_addc(out, '=');
    add_escaped(out, text);
    js_slice_free(ctx, text);
    return true;
}

static bool add_urlencoded(JSContext *ctx, struct strbuf *out, const struct fields *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        int64_t n = 1;
        bool list = JS_IsArray(f->items[i].value);
        if (list && JS_GetLength(ctx, f->items[i].value, &n)) {
            return false;
        }
        for (int64_t k = 0; k < n; k++) {
            JSValue v = list ? JS_GetPropertyInt64(ctx, f->items[i].value, k)
                             : JS_DupValue(ctx, f->items[i].value);
            bool good = !JS_IsException(v) && add_pair(ctx, out, f->items[i].key, v);
            JS_FreeValue(ctx, v);
            if (!good) {
                return false;
            }
        }
    }
    return true;
}

// Quotes of multipart's parameters.
static void add_quoted(struct strbuf *out, struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            strbuf_addc(out, '\\');
        }
        if (s.p[i] != '\r' && s.p[i] != '\n') {
            strbuf_addc(out, s.p[i]);
        }
    }
}

static bool add_text_of(JSContext *ctx, struct strbuf *out, JSValueConst v, bool quoted)
{
    struct slice text;

    if (js_bytes(ctx, v, &text)) {
        strbuf_add(out, text.p, text.n);
        return true;
    }
    if (js_is_nullish(v)) {
        return true;
    }
    if (!js_slice(ctx, v, &text)) {
        return false;
    }
    if (quoted) {
        add_quoted(out, text);
    } else {
        strbuf_add(out, text.p, text.n);
    }
    js_slice_free(ctx, text);
    return true;
}

static bool
add_part(JSContext *ctx, struct strbuf *out, const struct field *f, const char *boundary)
{
    bool good = true;

    strbuf_addf(out, "--%s\r\nContent-Disposition: form-data; name=\"", boundary);
    add_quoted(out, f->key);
    strbuf_addc(out, '"');
    if (is_file(ctx, f->value)) {
        JSValue name = JS_GetPropertyStr(ctx, f->value, "filename");
        JSValue type = JS_GetPropertyStr(ctx, f->value, "content_type");
        JSValue data = JS_GetPropertyStr(ctx, f->value, "data");
        strbuf_adds(out, "; filename=\"");
        good = add_text_of(ctx, out, name, true);
        strbuf_adds(out, "\"\r\nContent-Type: ");
        good = good && add_text_of(ctx, out, type, true);
        strbuf_adds(out, "\r\n\r\n");
        good = good && add_text_of(ctx, out, data, false);
        JS_FreeValue(ctx, name);
        JS_FreeValue(ctx, type);
        JS_FreeValue(ctx, data);
    } else if (JS_IsObject(f->value)) {
        js_throw(ctx, "form field '%.*s' of a multipart body is neither text nor a file",
                 (int)MIN(f->key.n, 100u), f->key.p);
        return false;
    } else {
        strbuf_adds(out, "\r\n\r\n");
        good = add_text_of(ctx, out, f->value, false);
    }
    strbuf_adds(out, "\r\n");
    return good;
}

bool js_form_body(struct script_vu *vu,
                  struct js_request *r,
                  JSValueConst body,
                  struct strbuf *out,
                  struct strbuf *ret_content_type)
{
    JSContext *ctx = vu->ctx;
    struct fields f = {0};
    bool good = js_each_property(ctx, body, collect, &f) == 0;

    if (f.count) {
        qsort(f.items, f.count, sizeof *f.items, by_key);
    }
    if (good && f.has_file) {
        char boundary[64] = "";
        for (unsigned i = 0; i < 60; i++) {
            boundary[i] = "0123456789abcdef"[rng_below(&vu->rng, 16)];
        }
        boundary[60] = 0;
        for (unsigned i = 0; good && i < f.count; i++) {
            good = add_part(ctx, out, &f.items[i], boundary);
        }
        strbuf_addf(out, "--%s--\r\n", boundary);
        strbuf_addf(ret_content_type, "multipart/form-data; boundary=%s", boundary);
    } else if (good) {
        good = add_urlencoded(ctx, out, &f);
        strbuf_adds(ret_content_type, "application/x-www-form-urlencoded");
    }
    for (unsigned i = 0; i < f.count; i++) {
        free((char *)(uintptr_t)f.items[i].key.p);
        JS_FreeValue(ctx, f.items[i].value);
    }
    free(f.items);
    return good;
}

JSValue js_http_file(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    char name[32];

    if (argc < 1 || (!JS_IsString(argv[0]) && !JS_IsArrayBuffer(argv[0]))) {
        return js_throw(ctx, "http.file() needs a string or an ArrayBuffer");
    }
    snprintf(name, sizeof name, "%lld", (long long)clock_wall());
    JSValue file = JS_NewObject(ctx);
    JS_SetPropertyStr(ctx, file, "data", JS_DupValue(ctx, argv[0]));
    JS_SetPropertyStr(ctx, file, "filename",
                      argc > 1 && JS_IsString(argv[1]) ? JS_DupValue(ctx, argv[1])
                                                       : JS_NewString(ctx, name));
    JS_SetPropertyStr(ctx, file, "content_type",
                      argc > 2 && JS_IsString(argv[2])
                          ? JS_DupValue(ctx, argv[2])
                          : JS_NewString(ctx, "application/octet-stream"));
    return file;
}

// gzip, deflate (zlib's form) and zstd. 0 or -ENOTSUP.
static int encode_content(struct slice algorithm, struct slice body, struct strbuf *out)
{
    if (slice_eqs(algorithm, "zstd")) {
        size_t room = ZSTD_compressBound(body.n);
        size_t n = ZSTD_compress(strbuf_reserve(out, room), room, body.p, body.n, 3);
        out->n = ZSTD_isError(n) ? 0 : n;
        return ZSTD_isError(n) ? -ENOTSUP : 0;
    }
    bool gzip = slice_eqs(algorithm, "gzip");
    if (!gzip && !slice_eqs(algorithm, "deflate")) {
        return -ENOTSUP;
    }
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body.p, .avail_in = (uInt)body.n};
    if (body.n > UINT32_MAX || deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, gzip ? 31 : 15,
                                            8, Z_DEFAULT_STRATEGY)) {
        return -ENOTSUP;
    }
    size_t room = deflateBound(&z, body.n);
    z.next_out = (Bytef *)strbuf_reserve(out, room);
    z.avail_out = (uInt)room;
    int r = deflate(&z, Z_FINISH);
    out->n = z.total_out;
    deflateEnd(&z);
    return r == Z_STREAM_END ? 0 : -ENOTSUP;
}

bool js_compress_body(struct script_vu *vu, struct js_request *r, struct slice algorithms)
{
    CLEANUP(strbuf_fini) struct strbuf names = STRBUF_NULL;

    while (algorithms.n) {
        struct slice name = slice_trim(slice_cut(&algorithms, ','));
        CLEANUP(strbuf_fini) struct strbuf packed = STRBUF_NULL;
        if (encode_content(name, r->body, &packed)) {
            js_throw(vu->ctx, "unknown compression algorithm %.*s", (int)MIN(name.n, 100u), name.p);
            return false;
        }
        r->body = (struct slice){arena_strndup(&r->arena, strbuf_str(&packed), packed.n), packed.n};
        strbuf_addf(&names, "%s%.*s", names.n ? ", " : "", (int)name.n, name.p);
    }
    struct slice lines = {r->headers.p, r->headers.n}, key, value;
    bool set = false;
    while (exchange_next_header(&lines, &key, &value)) {
        set |= slice_eqs(key, "Content-Encoding");
    }
    if (!set && names.n) {
        strbuf_addf(&r->headers, "Content-Encoding: %s\r\n", names.p);
    }
    return true;
}
