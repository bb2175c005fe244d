// SPDX-License-Identifier: Apache-2.0
// Response objects. All bytes of the answer are copied once, behind the object; what scripts read
// is built from them on first reading.
#include <arpa/inet.h>

#include "codec/gjson.h"
#include "js/http.h"

struct response {
    JSValue body, headers, cookies, timings, request, json; // JS_UNDEFINED until read
    nsec_t times[7]; // blocked, connecting, tls, sending, waiting, receiving, duration
    struct slice url, reason, raw_headers, bytes, error;
    struct slice method, asked_url, sent_headers, sent_body; // the request

    const char *tls_version, *tls_cipher;
    int status;
    unsigned http_major, http_minor;
    struct in6_addr peer; // of peer_family
    unsigned short peer_family, port;
    bool is_binary, has_body;
    char text[];
};

static void finalize(JSRuntime *rt, JSValueConst object)
{
    struct response *p = JS_GetOpaque(object, js_class[JS_CLS_RESPONSE]);

    if (p) {
        JS_FreeValueRT(rt, p->body);
        JS_FreeValueRT(rt, p->headers);
        JS_FreeValueRT(rt, p->cookies);
        JS_FreeValueRT(rt, p->timings);
        JS_FreeValueRT(rt, p->request);
        JS_FreeValueRT(rt, p->json);
        js_free_rt(rt, p);
    }
}

static void mark(JSRuntime *rt, JSValueConst object, JS_MarkFunc *fn)
{
    struct response *p = JS_GetOpaque(object, js_class[JS_CLS_RESPONSE]);

    if (p) {
        JS_MarkValue(rt, p->body, fn);
        JS_MarkValue(rt, p->headers, fn);
        JS_MarkValue(rt, p->cookies, fn);
        JS_MarkValue(rt, p->timings, fn);
        JS_MarkValue(rt, p->request, fn);
        JS_MarkValue(rt, p->json, fn);
    }
}
const JSClassDef js_response_class = {"Response", .finalizer = finalize, .gc_mark = mark};

// ---- what getters build

// {Name: "a, b"}, or {Name: ["a", "b"]} for requests.
static JSValue headers_object(JSContext *ctx, struct slice lines, bool lists)
{
    JSValue object = JS_NewObject(ctx);
    struct slice name, value;
    char key[256];

    while (exchange_next_header(&lines, &name, &value)) {
        size_t n = MIN(name.n, sizeof key);
        memcpy(key, name.p, n);
        js_header_canonical(key, n);
        JSAtom atom = JS_NewAtomLen(ctx, key, n);
        JSValue former = JS_GetProperty(ctx, object, atom);
        JSValue text = js_string_of_bytes(ctx, value);
        if (lists) {
            int64_t count = 0;
            JSValue list = JS_IsUndefined(former) ? JS_NewArray(ctx) : JS_DupValue(ctx, former);
            JS_GetLength(ctx, list, &count);
            JS_SetPropertyInt64(ctx, list, count, text);
            JS_SetProperty(ctx, object, atom, list);
        } else if (JS_IsUndefined(former)) {
            JS_SetProperty(ctx, object, atom, text);
        } else {
            struct slice a = {0};
            CLEANUP(strbuf_fini) struct strbuf joined = STRBUF_NULL;
            if (js_slice(ctx, former, &a)) {
                strbuf_add(&joined, a.p, a.n);
                js_slice_free(ctx, a);
            }
            strbuf_adds(&joined, ", ");
            strbuf_add(&joined, value.p, value.n);
            JS_FreeValue(ctx, text);
            JS_SetProperty(ctx, object, atom,
                           js_string_of_bytes(ctx, (struct slice){joined.p, joined.n}));
        }
        JS_FreeValue(ctx, former);
        JS_FreeAtom(ctx, atom);
    }
    return object;
}

static JSValue timings_object(JSContext *ctx, const struct response *p)
{
    static const char *const names[] = {"duration",        "blocked", "looking_up", "connecting",
                                        "tls_handshaking", "sending", "waiting",    "receiving"};
    struct js_http *h = js_http_of(js_vu(ctx));
    JSValue values[ARRAY_SIZE(names)];

    if (JS_IsUndefined(h->timings_model)) {
        h->timings_model = JS_NewObject(ctx);
        for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
            JS_SetPropertyStr(ctx, h->timings_model, names[i], JS_NewFloat64(ctx, 0));
        }
    }
#define MS(i) JS_NewFloat64(ctx, (double)p->times[i] / NSEC_PER_MSEC)
    values[0] = MS(6);
    values[1] = MS(0);
    values[2] = JS_NewFloat64(ctx, 0);
    for (unsigned i = 1; i < 6; i++) {
        values[i + 2] = MS(i);
    }
#undef MS
    return qx_object_like(ctx, h->timings_model, values, ARRAY_SIZE(names));
}

static JSValue request_object(JSContext *ctx, const struct response *p)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyStr(ctx, object, "method", js_string(ctx, p->method));
    JS_SetPropertyStr(ctx, object, "url", js_string_of_bytes(ctx, p->asked_url));
    JS_SetPropertyStr(ctx, object, "headers", headers_object(ctx, p->sent_headers, true));
    JS_SetPropertyStr(ctx, object, "body", js_string_of_bytes(ctx, p->sent_body));
    JS_SetPropertyStr(ctx, object, "cookies", JS_NewObject(ctx));
    return object;
}

static JSValue ocsp_object(JSContext *ctx, bool tls)
{
    static const char *const zeros[] = {"produced_at", "this_update", "next_update", "revoked_at"};
    JSValue object = JS_NewObject(ctx);

    for (unsigned i = 0; i < ARRAY_SIZE(zeros); i++) {
        JS_SetPropertyStr(ctx, object, zeros[i], JS_NewInt32(ctx, 0));
    }
    JS_SetPropertyStr(ctx, object, "revocation_reason", JS_NewString(ctx, ""));
    // No stapled answer is asked for yet.
    JS_SetPropertyStr(ctx, object, "status", JS_NewString(ctx, tls ? "unknown" : ""));
    return object;
}

static JSValue body_value(JSContext *ctx, const struct response *p)
{
    if (!p->has_body) {
        return JS_NULL;
    }
    return p->is_binary ? JS_NewArrayBufferCopy(ctx, (const uint8_t *)p->bytes.p, p->bytes.n)
                        : js_string_of_bytes(ctx, p->bytes);
}

// ---- properties, in the order of the model. The first two are plain.

#define PROPERTIES(X)                                                                              \
    X(remote_ip)                                                                                   \
    X(remote_port)                                                                                 \
    X(url)                                                                                         \
    X(status_text)                                                                                 \
    X(proto)                                                                                       \
    X(headers)                                                                                     \
    X(cookies) X(body) X(timings) X(tls_version) X(tls_cipher_suite) X(ocsp) X(error) X(request)

enum property {
#define X(name) GET_##name,
    PROPERTIES(X)
#undef X
        PROPERTY_N
};
static const char *const property_names[PROPERTY_N] = {
#define X(name) #name,
    PROPERTIES(X)
#undef X
};

static JSValue status_text(JSContext *ctx, const struct response *p)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;

    if (p->status) {
        strbuf_addf(&text, "%d %.*s", p->status, (int)MIN(p->reason.n, 1000u), p->reason.p);
    }
    return js_string_of_bytes(ctx, (struct slice){strbuf_str(&text), text.n});
}

static JSValue remote_ip(JSContext *ctx, const struct response *p)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (p->peer_family == AF_INET || p->peer_family == AF_INET6) {
        inet_ntop(p->peer_family, &p->peer, text, sizeof text);
    }
    return JS_NewString(ctx, text);
}

static JSValue cached(JSContext *ctx, JSValue *slot, JSValue made)
{
    *slot = made;
    return JS_DupValue(ctx, made);
}

static JSValue get(JSContext *ctx, JSValueConst self, int which)
{
    struct response *p = JS_GetOpaque2(ctx, self, js_class[JS_CLS_RESPONSE]);
    char proto[16];

    if (!p) {
        return JS_EXCEPTION;
    }
#define CACHED(slot, make)                                                                         \
    (JS_IsUndefined(p->slot) ? cached(ctx, &p->slot, make) : JS_DupValue(ctx, p->slot))
    switch ((enum property)which) {
    case GET_remote_ip:
        return remote_ip(ctx, p);
    case GET_remote_port:
        return JS_NewInt32(ctx, (int)p->port);
    case GET_url:
        return js_string_of_bytes(ctx, p->url);
    case GET_status_text:
        return status_text(ctx, p);
    case GET_proto:
        snprintf(proto, sizeof proto, "HTTP/%u.%u", p->http_major % 10, p->http_minor % 10);
        return JS_NewString(ctx, p->http_major ? proto : "");
    case GET_headers:
        return CACHED(headers, headers_object(ctx, p->raw_headers, false));
    case GET_cookies:
        return CACHED(cookies, js_cookies_object(ctx, p->raw_headers));
    case GET_body:
        return CACHED(body, body_value(ctx, p));
    case GET_timings:
        return CACHED(timings, timings_object(ctx, p));
    case GET_tls_version:
        return JS_NewString(ctx, p->tls_version ? p->tls_version : "");
    case GET_tls_cipher_suite:
        return JS_NewString(ctx, p->tls_cipher ? p->tls_cipher : "");
    case GET_ocsp:
        return ocsp_object(ctx, p->tls_version);
    case GET_error:
        return js_string_of_bytes(ctx, p->error);
    case GET_request:
        return CACHED(request, request_object(ctx, p));
    case PROPERTY_N:
        break;
    }
#undef CACHED
    return JS_UNDEFINED;
}

// A script that writes to a response gets a plain property.
static JSValue set(JSContext *ctx, JSValueConst self, JSValueConst value, int which)
{
    JS_DefinePropertyValueStr(ctx, self, property_names[which], JS_DupValue(ctx, value),
                              JS_PROP_C_W_E);
    return JS_UNDEFINED;
}

// ---- json()

// The value of a JSON text that is known to be valid.
static JSValue value_of(JSContext *ctx, struct slice json)
{
    struct slice inner = {json.p + 1, json.n > 1 ? json.n - 2 : 0};

    if (!json.p) {
        return JS_UNDEFINED;
    }
    if (json.p[0] == '"' && !memchr(inner.p, '\\', inner.n)) {
        return js_string_of_bytes(ctx, inner);
    }
    // The parser wants a terminator.
    CLEANUP_FREE char *text = xstrndup(json.p, json.n);
    return JS_ParseJSON(ctx, text, json.n, "response");
}

static void count_place(struct slice text, size_t at, unsigned *ret_line, unsigned *ret_column)
{
    *ret_line = 1;
    *ret_column = 1;
    for (size_t i = 0; i < at && i < text.n; i++) {
        ++*ret_column;
        if (text.p[i] == '\n') {
            ++*ret_line;
            *ret_column = 1;
        }
    }
}

static JSValue json_whole(JSContext *ctx, struct response *p)
{
    if (JS_IsUndefined(p->json)) {
        JSValue v = JS_ParseJSON(ctx, p->bytes.p, p->bytes.n, "response");
        if (JS_IsException(v)) {
            JSValue error = JS_GetException(ctx);
            JSValue message = JS_GetPropertyStr(ctx, error, "message");
            const char *text = JS_ToCString(ctx, message);
            unsigned line, column;
            count_place(p->bytes, p->bytes.n, &line, &column);
            js_throw(ctx, "cannot parse json due to an error in its %u lines, error: %s", line,
                     text ? text : "");
            JS_FreeCString(ctx, text);
            JS_FreeValue(ctx, message);
            JS_FreeValue(ctx, error);
            return JS_EXCEPTION;
        }
        p->json = v;
    }
    return JS_DupValue(ctx, p->json);
}

static JSValue json(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct response *p = JS_GetOpaque2(ctx, self, js_class[JS_CLS_RESPONSE]);
    struct slice path;

    if (!p) {
        return JS_EXCEPTION;
    }
    if (!p->has_body) {
        return js_throw(ctx, "the body is null so we can't transform it to JSON - this likely was "
                             "because of a request error getting the response");
    }
    if (argc < 1 || js_is_nullish(argv[0])) {
        return json_whole(ctx, p);
    }
    if (!js_slice(ctx, argv[0], &path)) {
        return JS_EXCEPTION;
    }
    JSValue v = JS_UNDEFINED;
    if (gjson_valid(p->bytes)) {
        CLEANUP(arena_fini) struct arena scratch = ARENA_NULL;
        v = value_of(ctx, gjson_get(p->bytes, path, &scratch));
    }
    js_slice_free(ctx, path);
    return v;
}

static JSValue no_html(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    return js_throw(ctx, "k6/html is not supported yet");
}

// ---- making

static JSValue make_model(JSContext *ctx)
{
    static const struct {
        const char *name;
        JSCFunction *fn;
    } methods[] = {
        {"json", json}, {"html", no_html}, {"submitForm", no_html}, {"clickLink", no_html}};
    JSValue plain = JS_NewObject(ctx);
    JSValue proto = JS_GetPrototype(ctx, plain);
    JSValue model = JS_NewObjectProtoClass(ctx, proto, js_class[JS_CLS_RESPONSE]);

    JS_FreeValue(ctx, proto);
    JS_FreeValue(ctx, plain);
    JS_DefinePropertyValueStr(ctx, model, "status", JS_NewInt32(ctx, 0), JS_PROP_C_W_E);
    JS_DefinePropertyValueStr(ctx, model, "error_code", JS_NewInt32(ctx, 0), JS_PROP_C_W_E);
    for (int i = 0; i < PROPERTY_N; i++) {
        JSAtom atom = JS_NewAtom(ctx, property_names[i]);
        JSCFunctionType getter = {.getter_magic = get}, setter = {.setter_magic = set};
        JSValue g =
            JS_NewCFunction2(ctx, getter.generic, property_names[i], 0, JS_CFUNC_getter_magic, i);
        JSValue s =
            JS_NewCFunction2(ctx, setter.generic, property_names[i], 1, JS_CFUNC_setter_magic, i);
        JS_DefinePropertyGetSet(ctx, model, atom, g, s, JS_PROP_CONFIGURABLE | JS_PROP_ENUMERABLE);
        JS_FreeAtom(ctx, atom);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(methods); i++) {
        JS_DefinePropertyValueStr(ctx, model, methods[i].name,
                                  JS_NewCFunction(ctx, methods[i].fn, methods[i].name, 1),
                                  JS_PROP_C_W_E);
    }
    return model;
}

// Copies `from` behind the object, with a zero byte after it.
static struct slice put(char **at, struct slice from)
{
    struct slice s = {*at, from.n};

    if (from.n) {
        memcpy(*at, from.p, from.n);
    }
    (*at)[from.n] = 0;
    *at += from.n + 1;
    return s;
}

static void set_peer(struct response *p, const struct sockaddr_storage *peer)
{
    p->peer_family = (unsigned short)peer->ss_family;
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
        memcpy(&p->peer, &in->sin_addr, sizeof in->sin_addr);
        p->port = ntohs(in->sin_port);
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)peer;
        p->peer = in->sin6_addr;
        p->port = ntohs(in->sin6_port);
    }
}

static JSValue finish(struct script_vu *vu, struct response *p, int error_code)
{
    struct js_http *h = js_http_of(vu);
    JSContext *ctx = vu->ctx;

    p->body = p->headers = p->cookies = p->timings = p->request = p->json = JS_UNDEFINED;
    if (JS_IsUndefined(h->response_model)) {
        h->response_model = make_model(ctx);
    }
    JSValue values[] = {JS_NewInt32(ctx, p->status), JS_NewInt32(ctx, error_code)};
    JSValue object = qx_object_like(ctx, h->response_model, values, ARRAY_SIZE(values));
    if (JS_IsException(object)) {
        js_free(ctx, p);
    } else {
        JS_SetOpaque(object, p);
    }
    return object;
}

JSValue js_response_new(struct script_vu *vu, struct js_request *r)
{
    const struct exchange *x = &r->x;
    struct slice error = slice_of(r->error);
    struct slice sent = {r->sent_headers.p, r->sent_headers.n};
    struct slice headers = x->raw_headers;
    size_t size = r->target.text.n + x->reason.n + headers.n + r->response_body.n + error.n +
                  r->method.n + r->url.n + sent.n + r->body.n + 9;
    struct response *p = js_malloc(vu->ctx, sizeof *p + size);

    if (!p) {
        return JS_EXCEPTION;
    }
    memset(p, 0, sizeof *p);
    char *at = p->text;
    p->url = put(&at, r->target.text);
    p->reason = put(&at, x->reason);
    p->raw_headers = put(&at, headers);
    p->bytes = put(&at, r->response_body);
    p->error = put(&at, error);
    p->method = put(&at, r->method);
    p->asked_url = put(&at, r->url);
    p->sent_headers = put(&at, sent);
    p->sent_body = put(&at, r->body);
    js_timings(&x->times, p->times);
    p->status = r->status;
    p->http_major = x->http_major;
    p->http_minor = x->http_minor;
    p->tls_version = x->tls_version;
    p->tls_cipher = x->tls_cipher;
    p->has_body = r->has_response_body;
    p->is_binary = r->response_type == JS_RESPONSE_BINARY;
    set_peer(p, &x->peer);
    return finish(vu, p, r->error_code);
}

JSValue js_response_failed(
    struct script_vu *vu, struct slice method, struct slice url, const char *error, int code)
{
    size_t size = method.n + url.n + strlen(error) + 3;
    struct response *p = js_malloc(vu->ctx, sizeof *p + size);

    if (!p) {
        return JS_EXCEPTION;
    }
    memset(p, 0, sizeof *p);
    char *at = p->text;
    p->method = put(&at, method);
    p->url = p->asked_url = put(&at, url);
    p->error = put(&at, slice_of(error));
    return finish(vu, p, code);
}
