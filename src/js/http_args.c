// SPDX-License-Identifier: Apache-2.0
// Arguments of k6/http's functions.
#include <math.h>

#include "js/http.h"

#define SPARE_MAX       1024
#define KEEP_MAX        ((size_t)256 << 10)
#define DEFAULT_TIMEOUT (60 * NSEC_PER_SEC)

struct js_http_thread *js_http_thread_of(struct script_vu *vu)
{
    if (!vu->thread->http) {
        vu->thread->http = XNEW(struct js_http_thread);
    }
    return vu->thread->http;
}

// ---- requests are reused, with their memory

static struct js_request *take_request(struct script_vu *vu)
{
    struct js_http_thread *h = js_http_thread_of(vu);
    struct js_request *r = h->spare_count ? h->spare[--h->spare_count] : XNEW(struct js_request);
    // Everything is zeroed but what keeps memory.
    struct arena arena = r->arena;
    struct strbuf headers = r->headers, sent_headers = r->sent_headers, decoded = r->decoded;

    memset(r, 0, offsetof(struct js_request, x));
    r->arena = arena;
    r->headers = headers;
    r->sent_headers = sent_headers;
    r->decoded = decoded;
    r->vu = vu;
    r->jar_object = r->callback_object = JS_UNDEFINED;
    return r;
}

static void free_request(struct js_request *r)
{
    arena_fini(&r->arena);
    strbuf_fini(&r->headers);
    strbuf_fini(&r->sent_headers);
    strbuf_fini(&r->decoded);
    free(r);
}

void js_request_release(struct js_request *r)
{
    struct script_vu *vu = r->vu;
    struct js_http_thread *h = js_http_thread_of(vu);

    if (vu->client) {
        exchange_release(vu->client, &r->x);
    }
    JS_FreeValue(vu->ctx, r->jar_object);
    JS_FreeValue(vu->ctx, r->callback_object);
    if (h->spare_count >= SPARE_MAX || r->decoded.cap > KEEP_MAX || r->headers.cap > KEEP_MAX ||
        r->arena.total > KEEP_MAX) {
        free_request(r);
        return;
    }
    arena_reset(&r->arena);
    strbuf_reset(&r->headers);
    strbuf_reset(&r->sent_headers);
    strbuf_reset(&r->decoded);
    ARRAY_RESERVE(h->spare, h->spare_count, h->spare_cap);
    h->spare[h->spare_count++] = r;
}

void js_http_thread_free(struct script_thread *t)
{
    struct js_http_thread *h = t->http;

    if (h) {
        while (h->spare_count) {
            free_request(h->spare[--h->spare_count]);
        }
        free(h->spare);
        free(h->tag_cache);
        free(h);
    }
}

// ---- pieces

static struct slice keep(struct js_request *r, struct slice s)
{
    return (struct slice){arena_strndup(&r->arena, s.p ? s.p : "", s.n), s.n};
}

bool js_url_argument(JSContext *ctx,
                     JSValueConst v,
                     struct slice *ret_url,
                     struct slice *ret_name,
                     struct arena *arena)
{
    struct slice url, name;

    *ret_name = (struct slice){0};
    if (JS_IsString(v)) {
        if (!js_slice(ctx, v, &url)) {
            return false;
        }
        *ret_url = (struct slice){arena_strndup(arena, url.p, url.n), url.n};
        js_slice_free(ctx, url);
        return true;
    }
    JSValue inner = JS_IsObject(v) ? JS_GetPropertyStr(ctx, v, "url") : JS_UNDEFINED;
    JSValue label = JS_IsObject(v) ? JS_GetPropertyStr(ctx, v, "name") : JS_UNDEFINED;
    bool good = JS_IsString(inner) && JS_IsString(label) && js_slice(ctx, inner, &url);
    if (good) {
        *ret_url = (struct slice){arena_strndup(arena, url.p, url.n), url.n};
        js_slice_free(ctx, url);
        if ((good = js_slice(ctx, label, &name))) {
            *ret_name = (struct slice){arena_strndup(arena, name.p, name.n), name.n};
            js_slice_free(ctx, name);
        }
    } else if (!JS_HasException(ctx)) {
        CLEANUP(strbuf_fini) struct strbuf shown = STRBUF_NULL;
        js_format_value(ctx, &shown, v);
        js_throw(ctx, "invalid URL: parse \"%s\": it is no text", strbuf_str(&shown));
    }
    JS_FreeValue(ctx, inner);
    JS_FreeValue(ctx, label);
    return good;
}

void js_header_canonical(char *name, size_t n)
{
    bool upper = true;

    for (size_t i = 0; i < n; i++) {
        char c = name[i];
        if (upper && c >= 'a' && c <= 'z') {
            name[i] = (char)(c - 32);
        } else if (!upper && c >= 'A' && c <= 'Z') {
            name[i] = (char)(c + 32);
        }
        upper = c == '-';
    }
}

static bool has_line_end(struct slice s)
{
    return memchr(s.p, '\r', s.n) || memchr(s.p, '\n', s.n) || memchr(s.p, 0, s.n);
}

static int add_header(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    struct js_request *r = arg;
    struct slice text;

    if (!js_slice(ctx, value, &text)) {
        return -1;
    }
    bool bad = key.n == 0 || has_line_end(key) || has_line_end(text) || memchr(key.p, ':', key.n) ||
               memchr(key.p, ' ', key.n);
    if (bad) {
        js_throw(ctx, "invalid header field '%.*s'", (int)MIN(key.n, 100u), key.p);
    } else if (slice_eq_nocase(key, SLICE("host"))) {
        r->host = keep(r, text);
    } else if (!slice_eq_nocase(key, SLICE("content-length"))) {
        r->has_user_agent |= slice_eq_nocase(key, SLICE("user-agent"));
        r->has_content_type |= slice_eq_nocase(key, SLICE("content-type"));
        size_t at = r->headers.n;
        strbuf_add(&r->headers, key.p, key.n);
        js_header_canonical(r->headers.p + at, key.n);
        strbuf_add(&r->headers, ": ", 2);
        strbuf_add(&r->headers, text.p, text.n);
        strbuf_add(&r->headers, "\r\n", 2);
    }
    js_slice_free(ctx, text);
    return bad ? -1 : 0;
}

static int count_property(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    unsigned *count = arg;

    ++*count;
    return 0;
}

static int add_cookie(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    struct js_request *r = arg;
    struct js_param_cookie *c = &r->cookies[r->cookie_count];
    JSValue inner = JS_DupValue(ctx, value);
    struct slice text;

    if (js_is_nullish(value)) {
        return 0;
    }
    if (JS_IsObject(value)) {
        JS_FreeValue(ctx, inner);
        inner = JS_GetProperty(ctx, value, JS_ATOM_OF(r->vu, value));
        JSValue replace = JS_GetProperty(ctx, value, JS_ATOM_OF(r->vu, replace));
        c->replace = JS_ToBool(ctx, replace) == 1;
        JS_FreeValue(ctx, replace);
    }
    bool good = js_slice(ctx, inner, &text);
    JS_FreeValue(ctx, inner);
    if (!good) {
        return -1;
    }
    c->name = keep(r, key);
    c->value = keep(r, text);
    r->cookie_count++;
    js_slice_free(ctx, text);
    return 0;
}

static bool read_cookies(JSContext *ctx, struct js_request *r, JSValueConst v)
{
    unsigned count = 0;

    if (!JS_IsObject(v)) {
        return true;
    }
    if (js_each_property(ctx, v, count_property, &count)) {
        return false;
    }
    r->cookies = arena_alloc(&r->arena, sizeof *r->cookies * (count + 1));
    return js_each_property(ctx, v, add_cookie, r) == 0;
}

static bool read_auth(JSContext *ctx, struct js_request *r, JSValueConst v)
{
    struct slice text;

    if (!js_slice(ctx, v, &text)) {
        return false;
    }
    bool known = true;
    if (slice_eqs(text, "digest")) {
        r->auth = JS_AUTH_DIGEST;
    } else if (slice_eqs(text, "ntlm")) {
        known = false;
        js_throw(ctx, "the authentication 'ntlm' is not supported; 'basic' and 'digest' are");
    }
    js_slice_free(ctx, text);
    return known;
}

static bool read_response_type(JSContext *ctx, struct js_request *r, JSValueConst v)
{
    struct slice text;
    bool good = true;

    if (!js_slice(ctx, v, &text)) {
        return false;
    }
    if (slice_eqs(text, "text")) {
        r->response_type = JS_RESPONSE_TEXT;
    } else if (slice_eqs(text, "binary")) {
        r->response_type = JS_RESPONSE_BINARY;
    } else if (slice_eqs(text, "none")) {
        r->response_type = JS_RESPONSE_NONE;
    } else {
        js_throw(ctx, "%.*s is not a valid responseType", (int)MIN(text.n, 100u), text.p);
        good = false;
    }
    js_slice_free(ctx, text);
    return good;
}

static bool read_callback(JSContext *ctx, struct js_request *r, JSValueConst v)
{
    r->expected = NULL;
    r->mark_expected = !JS_IsNull(v);
    if (JS_IsNull(v)) {
        return true;
    }
    r->expected = js_expected_of(v);
    if (!r->expected) {
        js_throw(ctx, "unsupported responseCallback");
        return false;
    }
    r->callback_object = JS_DupValue(ctx, v);
    return true;
}

static bool read_jar(JSContext *ctx, struct js_request *r, JSValueConst v)
{
    struct cookie_jar *jar = js_jar_of(r->vu, v);

    if (js_is_nullish(v)) {
        return true;
    }
    if (!jar) {
        js_throw(ctx, "invalid cookie jar");
        return false;
    }
    r->jar = jar;
    r->jar_object = JS_DupValue(ctx, v);
    return true;
}

// ---- params

// One property of params: calls `read` unless it is absent.
#define READ(name, expression)                                                                     \
    do {                                                                                           \
        JSValue v = JS_GetProperty(ctx, params, JS_ATOM_OF(vu, name));                             \
        bool good = !JS_IsException(v) && (JS_IsUndefined(v) || (expression));                     \
        JS_FreeValue(ctx, v);                                                                      \
        if (!good) {                                                                               \
            return false;                                                                          \
        }                                                                                          \
    } while (0)

static bool read_redirects(JSContext *ctx, struct js_request *r, JSValueConst v)
{
    int64_t n;

    if (JS_IsNull(v)) {
        return true;
    }
    if (JS_ToInt64(ctx, &n, v)) {
        return false;
    }
    r->redirects = (unsigned)MIN(MAX(n, 0), 1000);
    r->redirects_set = true;
    return true;
}

static bool read_compression(JSContext *ctx, struct js_request *r, JSValueConst v)
{
    struct slice text;

    if (JS_IsNull(v) || !js_slice(ctx, v, &text)) {
        return JS_IsNull(v);
    }
    bool good = js_compress_body(r->vu, r, text);
    js_slice_free(ctx, text);
    return good;
}

static bool read_timeout(JSContext *ctx, struct js_request *r, JSValueConst v)
{
    return JS_IsNull(v) || js_duration(ctx, v, &r->timeout);
}

static bool read_params(JSContext *ctx, struct js_request *r, JSValueConst params)
{
    struct script_vu *vu = r->vu;

    if (!JS_IsObject(params)) {
        return true;
    }
    READ(headers, !JS_IsObject(v) || js_each_property(ctx, v, add_header, r) == 0);
    READ(tags, (r->tags = js_tags_of(vu, r->tags, v)) != NULL);
    READ(cookies, read_cookies(ctx, r, v));
    READ(jar, read_jar(ctx, r, v));
    READ(redirects, read_redirects(ctx, r, v));
    READ(timeout, read_timeout(ctx, r, v));
    READ(throw, (r->throw_errors = JS_ToBool(ctx, v) == 1, true));
    READ(auth, JS_IsNull(v) || read_auth(ctx, r, v));
    READ(responseType, JS_IsNull(v) || read_response_type(ctx, r, v));
    READ(responseCallback, read_callback(ctx, r, v));
    return true;
}

static bool read_body(JSContext *ctx, struct js_request *r, JSValueConst body)
{
    struct slice text;

    if (js_is_nullish(body)) {
        return true;
    }
    r->has_body = true;
    if (js_bytes(ctx, body, &text)) {
        r->body = keep(r, text);
        return true;
    }
    if (JS_IsString(body)) {
        if (!js_slice(ctx, body, &text)) {
            return false;
        }
        r->body = keep(r, text);
        js_slice_free(ctx, text);
        return true;
    }
    if (!JS_IsObject(body) || JS_IsFunction(ctx, body)) {
        js_throw(ctx, "unknown request body type %s", JS_IsNumber(body) ? "number" : "value");
        return false;
    }
    CLEANUP(strbuf_fini) struct strbuf form = STRBUF_NULL, type = STRBUF_NULL;
    if (!js_form_body(r->vu, r, body, &form, &type)) {
        return false;
    }
    r->body = keep(r, (struct slice){form.p, form.n});
    if (!r->has_content_type) {
        r->has_content_type = true;
        strbuf_addf(&r->headers, "Content-Type: %s\r\n", strbuf_str(&type));
    }
    return true;
}

struct js_request *js_request_new(struct script_vu *vu,
                                  struct slice method,
                                  JSValueConst url,
                                  JSValueConst body,
                                  JSValueConst params)
{
    const struct script_settings *settings = vu->thread->settings;
    struct js_request *r = take_request(vu);
    struct js_http *h = js_http_of(vu);
    JSContext *ctx = vu->ctx;

    r->method = keep(r, method.n ? method : SLICE("GET"));
    r->tags = vu->tags;
    r->timeout = DEFAULT_TIMEOUT;
    r->redirects = settings->max_redirects;
    r->response_type = settings->discard_response_bodies ? JS_RESPONSE_NONE : JS_RESPONSE_TEXT;
    r->throw_errors = settings->throw_errors;
    r->mark_expected = !JS_IsNull(h->callback);
    r->expected = JS_IsObject(h->callback) ? js_expected_of(h->callback) : NULL;
    r->callback_object = JS_DupValue(ctx, h->callback);
    bool good = js_url_argument(ctx, url, &r->url, &r->name, &r->arena) &&
                read_params(ctx, r, params) && read_body(ctx, r, body);
    if (good && JS_IsObject(params)) {
        JSValue v = JS_GetProperty(ctx, params, JS_ATOM_OF(vu, compression));
        good = JS_IsUndefined(v) || read_compression(ctx, r, v);
        JS_FreeValue(ctx, v);
    }
    if (!good) {
        js_request_release(r);
        return NULL;
    }
    if (!r->name.p) {
        const char *name = tagset_get(r->tags, "name");
        r->name = name ? slice_of(name) : (struct slice){0};
    }
    return r;
}
