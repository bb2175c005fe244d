// SPDX-License-Identifier: Apache-2.0
// k6/http: the functions.
#include <errno.h>

#include "base/log.h"
#include "js/http.h"
#include "net/cookie.h"

// ---- per virtual user

struct js_http *js_http_of(struct script_vu *vu)
{
    if (!vu->http) {
        vu->http = XNEW(struct js_http);
        vu->http->response_model = vu->http->timings_model = vu->http->callback = JS_UNDEFINED;
    }
    return vu->http;
}

void js_http_vu_free(struct script_vu *vu)
{
    if (vu->http) {
        JS_FreeValue(vu->ctx, vu->http->response_model);
        JS_FreeValue(vu->ctx, vu->http->timings_model);
        JS_FreeValue(vu->ctx, vu->http->callback);
        free(vu->http);
        vu->http = NULL;
    }
    if (vu->client) {
        client_free(vu->client);
        vu->client = NULL;
    }
    if (vu->jar) {
        cookie_jar_free(vu->jar);
        vu->jar = NULL;
    }
}

void js_http_iteration_start(struct script_vu *vu)
{
    const struct script_settings *settings = vu->thread->settings;

    if (vu->jar && !(settings && settings->no_cookies_reset)) {
        cookie_jar_reset(vu->jar);
    }
}

void js_http_iteration_end(struct script_vu *vu)
{
    if (vu->client && vu->thread->settings->no_vu_connection_reuse) {
        client_close_idle(vu->client);
    }
}

static bool ready(struct script_vu *vu)
{
    if (vu->phase == JS_INIT || !vu->thread->settings) {
        js_throw(vu->ctx, "Making http requests in the init context is not supported");
        return false;
    }
    if (!vu->client) {
        vu->client = client_new(vu->thread->loop, vu->thread->settings->net);
    }
    if (!vu->jar) {
        vu->jar = cookie_jar_new();
    }
    return true;
}

// ---- errors of arguments and of the network

static void warn_failed(const char *error)
{
    log_write(LOG_WARN, "Request Failed", &(struct log_field){"error", error}, 1);
}

// What throw-less calls give for a bad argument: a warning and an empty response.
static JSValue
failed_argument(struct script_vu *vu, struct slice method, JSValueConst url, JSValueConst params)
{
    JSContext *ctx = vu->ctx;
    bool throws = vu->thread->settings->throw_errors;

    JSValue exception = JS_GetException(ctx);
    if (JS_IsUncatchableError(exception)) {
        return JS_Throw(ctx, exception);
    }
    if (JS_IsObject(params)) {
        JSValue v = JS_GetProperty(ctx, params, JS_ATOM_OF(vu, throw));
        throws = JS_IsUndefined(v) ? throws : JS_ToBool(ctx, v) == 1;
        JS_FreeValue(ctx, v);
    }
    if (throws) {
        return JS_Throw(ctx, exception);
    }
    JSValue message = JS_GetPropertyStr(ctx, exception, "message");
    const char *text = JS_ToCString(ctx, message);
    const char *where = JS_IsString(url) ? JS_ToCString(ctx, url) : NULL;
    warn_failed(text ? text : "");
    JSValue response = js_response_failed(vu, method, slice_of(where), text ? text : "",
                                          text && str_starts(text, "invalid URL") ? 1020 : 0);
    JS_FreeCString(ctx, where);
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, message);
    JS_FreeValue(ctx, exception);
    return response;
}

// The Response of a finished request, or its exception. Takes the request.
static JSValue answer(struct script_vu *vu, struct js_request *r)
{
    JSValue result;

    if (r->status == 0 && r->error_code) {
        CLEANUP_FREE char *text = xasprintf("%.*s \"%.*s\": %s", (int)r->method.n, r->method.p,
                                            (int)r->url.n, r->url.p, r->error);
        if (r->throw_errors) {
            result = js_throw(vu->ctx, "%s", text);
            js_request_release(r);
            return result;
        }
        warn_failed(text);
    }
    result = js_response_new(vu, r);
    js_request_release(r);
    return result;
}

// ---- one request

static JSValue send_now(struct script_vu *vu,
                        struct slice method,
                        JSValueConst url,
                        JSValueConst body,
                        JSValueConst params)
{
    if (!ready(vu)) {
        return JS_EXCEPTION;
    }
    struct js_request *r = js_request_new(vu, method, url, body, params);
    if (!r) {
        return failed_argument(vu, method, url, params);
    }
    if (JS_AWAIT(vu, js_http_run(r)) < 0) {
        js_request_release(r);
        return js_vu_throw_interrupted(vu);
    }
    return answer(vu, r);
}

#define ARG(i) (argc > (i) ? argv[i] : JS_UNDEFINED)

enum { GET, HEAD, POST, PUT, PATCH, DEL, OPTIONS };
static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

static JSValue
short_call(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int which)
{
    bool bodyless = which == GET || which == HEAD;

    if (bodyless && argc > 2 && js_vu(ctx)->phase != JS_INIT) {
        js_log_warn(js_vu(ctx),
                    "http.%s() takes two arguments, a URL and params; the others are "
                    "ignored",
                    which == GET ? "get" : "head");
    }
    return send_now(js_vu(ctx), slice_of(methods[which]), ARG(0), bodyless ? JS_UNDEFINED : ARG(1),
                    bodyless ? ARG(1) : ARG(2));
}

static JSValue request(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct slice method = {0};

    if (!js_is_nullish(ARG(0)) && !js_slice(ctx, ARG(0), &method)) {
        return JS_EXCEPTION;
    }
    JSValue response =
        send_now(js_vu(ctx), method.n ? method : SLICE("GET"), ARG(1), ARG(2), ARG(3));
    js_slice_free(ctx, method);
    return response;
}

// ---- asyncRequest

struct async_request {
    struct js_task task;
    struct js_request *request;
    JSValue resolve, reject;
    int result;
};

static void async_main(void *arg)
{
    struct async_request *a = arg;

    a->result = js_http_run(a->request);
    js_task_finished(&a->task);
}

static void async_free(struct script_vu *vu, struct async_request *a)
{
    JS_FreeValue(vu->ctx, a->resolve);
    JS_FreeValue(vu->ctx, a->reject);
    free(a);
}

static void async_drop(struct script_vu *vu, struct js_task *task)
{
    struct async_request *a = CONTAINER_OF(task, struct async_request, task);

    js_request_release(a->request);
    async_free(vu, a);
}

static int async_finish(struct script_vu *vu, struct js_task *task)
{
    struct async_request *a = CONTAINER_OF(task, struct async_request, task);
    JSContext *ctx = vu->ctx;

    if (a->result < 0) {
        async_drop(vu, task);
        js_vu_throw_interrupted(vu);
        return -1;
    }
    JSValue value = answer(vu, a->request);
    bool failed = JS_IsException(value);
    if (failed) {
        value = JS_GetException(ctx);
    }
    JSValue done =
        JS_Call(ctx, failed ? a->reject : a->resolve, JS_UNDEFINED, 1, (JSValueConst *)&value);
    JS_FreeValue(ctx, value);
    JS_FreeValue(ctx, done);
    async_free(vu, a);
    return JS_IsException(done) ? -1 : 0;
}

static JSValue async_call(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);
    JSValue functions[2];
    struct slice method = {0};

    if (!ready(vu) || (!js_is_nullish(ARG(0)) && !js_slice(ctx, ARG(0), &method))) {
        return JS_EXCEPTION;
    }
    struct js_request *r =
        js_request_new(vu, method.n ? method : SLICE("GET"), ARG(1), ARG(2), ARG(3));
    if (!r) {
        JSValue value = failed_argument(vu, method, ARG(1), ARG(3));
        bool failed = JS_IsException(value);
        JSValue v = failed ? JS_GetException(ctx) : value;
        JSValue promise = JS_NewSettledPromise(ctx, failed, v);
        JS_FreeValue(ctx, v);
        js_slice_free(ctx, method);
        return promise;
    }
    js_slice_free(ctx, method);
    JSValue promise = JS_NewPromiseCapability(ctx, functions);
    if (JS_IsException(promise)) {
        js_request_release(r);
        return promise;
    }
    struct async_request *a = XNEW(struct async_request);
    a->task.finish = async_finish;
    a->task.drop = async_drop;
    a->request = r;
    a->resolve = functions[0];
    a->reject = functions[1];
    js_task_started(vu, &a->task);
    a->task.co = co_spawn(vu->thread->loop, async_main, a, NULL);
    return promise;
}

// ---- batch

struct batch {
    struct js_request **requests; // NULL where the arguments were bad
    unsigned count, next;
    struct co **workers; // NULL where one has ended
    unsigned worker_count;
    bool cancelled;
    struct co_group group;
};

static void batch_main(void *arg)
{
    struct batch *b = arg;

    while (b->next < b->count && !b->cancelled) {
        struct js_request *r = b->requests[b->next++];
        if (r && js_http_run(r) < 0) {
            b->cancelled = true;
        }
    }
    for (unsigned i = 0; i < b->worker_count; i++) {
        if (b->workers[i] == co_self()) {
            b->workers[i] = NULL;
        }
    }
    co_group_done(&b->group);
}

// Runs the requests side by side. 0 or -ECANCELED.
static int run_batch(struct script_vu *vu, struct batch *b)
{
    unsigned limit = vu->thread->settings->batch;
    unsigned workers = MIN(b->count, limit ? limit : b->count);
    CLEANUP_FREE struct co **children = xcalloc(workers + 1, sizeof(struct co *));

    b->group.pending = b->worker_count = workers;
    b->workers = children;
    for (unsigned i = 0; i < workers; i++) {
        children[i] = co_spawn(vu->thread->loop, batch_main, b, NULL);
    }
    int r = co_group_await(&b->group);
    if (r < 0) {
        b->cancelled = true;
        for (unsigned i = 0; i < workers; i++) {
            if (children[i]) {
                co_cancel(children[i]);
            }
        }
        co_group_await_all(&b->group);
    }
    return r;
}

// An entry: URL, http.url, [method, url, body, params] or {method, url, body, params}.
static void read_entry(JSContext *ctx, JSValueConst entry, JSValue part[4])
{
    struct script_vu *vu = js_vu(ctx);
    static const enum js_atom names[] = {JS_ATOM_ID_method, JS_ATOM_ID_url, JS_ATOM_ID_body,
                                         JS_ATOM_ID_params};

    for (unsigned i = 0; i < 4; i++) {
        part[i] = JS_UNDEFINED;
    }
    JSValue name =
        JS_IsObject(entry) ? JS_GetProperty(ctx, entry, JS_ATOM_OF(vu, name)) : JS_UNDEFINED;
    bool is_url = JS_IsString(name) && !JS_IsArray(entry);
    JS_FreeValue(ctx, name);
    if (JS_IsArray(entry)) {
        for (unsigned i = 0; i < 4; i++) {
            part[i] = JS_GetPropertyUint32(ctx, entry, i);
        }
    } else if (JS_IsObject(entry) && !is_url) {
        for (unsigned i = 0; i < 4; i++) {
            part[i] = JS_GetProperty(ctx, entry, vu->thread->atoms[names[i]]);
        }
        const char *method = JS_IsString(part[0]) ? JS_ToCString(ctx, part[0]) : NULL;
        if (method) {
            CLEANUP_FREE char *upper = xstrdup(method);
            for (char *p = upper; *p; p++) {
                *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 32) : *p;
            }
            JS_FreeValue(ctx, part[0]);
            part[0] = JS_NewString(ctx, upper);
            if (!strcmp(upper, "GET") || !strcmp(upper, "HEAD")) {
                JS_FreeValue(ctx, part[2]);
                part[2] = JS_UNDEFINED;
            }
        } else {
            JS_FreeValue(ctx, part[2]);
            part[2] = JS_UNDEFINED;
        }
        JS_FreeCString(ctx, method);
    } else {
        part[1] = JS_DupValue(ctx, entry);
    }
}

struct batch_arg {
    struct batch *batch;
    JSValue results;
    bool is_array;
    struct slice *keys;
    unsigned cap;
    bool failed; // an argument was bad: nothing is sent
};

static int batch_entry(void *arg, JSContext *ctx, struct slice key, JSValueConst entry)
{
    struct batch_arg *a = arg;
    struct script_vu *vu = js_vu(ctx);
    struct batch *b = a->batch;
    JSValue part[4];
    struct slice method = {0};

    read_entry(ctx, entry, part);
    if (!js_is_nullish(part[0]) && !js_slice(ctx, part[0], &method)) {
        return -1;
    }
    struct js_request *r =
        js_request_new(vu, method.n ? method : SLICE("GET"), part[1], part[2], part[3]);
    int result = 0;
    if (!r) {
        JSValue failed = failed_argument(vu, method, part[1], part[3]);
        a->failed = true;
        if (JS_IsException(failed)) {
            result = -1;
        } else {
            JS_SetPropertyStr(ctx, a->results, key.p, failed);
        }
    }
    js_slice_free(ctx, method);
    for (unsigned i = 0; i < 4; i++) {
        JS_FreeValue(ctx, part[i]);
    }
    if (b->count == a->cap) {
        a->cap = a->cap ? a->cap * 2 : 16;
        b->requests = xreallocarray(b->requests, a->cap, sizeof(struct js_request *));
        a->keys = xreallocarray(a->keys, a->cap, sizeof *a->keys);
    }
    a->keys[b->count] = (struct slice){xstrndup(key.p, key.n), key.n};
    b->requests[b->count++] = r;
    return result;
}

static JSValue batch(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);
    struct batch b = {0};
    struct batch_arg a = {.batch = &b};

    if (!ready(vu)) {
        return JS_EXCEPTION;
    }
    if (!JS_IsObject(ARG(0))) {
        return js_throw(ctx, "invalid http.batch() argument type, it needs an array or an object");
    }
    a.is_array = JS_IsArray(argv[0]);
    a.results = a.is_array ? JS_NewArray(ctx) : JS_NewObject(ctx);
    int r = js_each_property(ctx, argv[0], batch_entry, &a);
    bool interrupted = false;
    if (r == 0 && !a.failed) {
        interrupted = JS_AWAIT(vu, run_batch(vu, &b)) < 0;
    }
    for (unsigned i = 0; i < b.count; i++) {
        struct js_request *request_i = b.requests[i];
        if (request_i && (r || a.failed || interrupted)) {
            js_request_release(request_i);
        } else if (request_i) {
            JSValue v = answer(vu, request_i);
            if (JS_IsException(v)) {
                r = -1;
            } else {
                JS_SetPropertyStr(ctx, a.results, a.keys[i].p, v);
            }
        }
        free((char *)(uintptr_t)a.keys[i].p);
    }
    free(a.keys);
    free(b.requests);
    if (r || interrupted) {
        JS_FreeValue(ctx, a.results);
        return interrupted ? js_vu_throw_interrupted(vu) : JS_EXCEPTION;
    }
    return a.results;
}

// ---- expectedStatuses, setResponseCallback

static void expected_finalize(JSRuntime *rt, JSValueConst object)
{
    free(JS_GetOpaque(object, js_class[JS_CLS_CALLBACK]));
}
const JSClassDef js_callback_class = {"expectedStatuses", .finalizer = expected_finalize};

const struct js_expected *js_expected_of(JSValueConst object)
{
    return JS_GetOpaque(object, js_class[JS_CLS_CALLBACK]);
}

static bool read_range(JSContext *ctx, JSValueConst v, int *ret_min, int *ret_max)
{
    double min, max;

    if (JS_IsNumber(v)) {
        JS_ToFloat64(ctx, &min, v);
        *ret_min = *ret_max = (int)min;
        return min == (double)(int)min;
    }
    if (!JS_IsObject(v)) {
        return false;
    }
    JSValue low = JS_GetPropertyStr(ctx, v, "min"), high = JS_GetPropertyStr(ctx, v, "max");
    bool good = JS_IsNumber(low) && JS_IsNumber(high) && !JS_ToFloat64(ctx, &min, low) &&
                !JS_ToFloat64(ctx, &max, high) && min == (double)(int)min &&
                max == (double)(int)max;
    if (good) {
        *ret_min = (int)min;
        *ret_max = (int)max;
    }
    JS_FreeValue(ctx, low);
    JS_FreeValue(ctx, high);
    return good;
}

static JSValue expected_statuses(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    if (argc < 1) {
        return js_throw(ctx, "no arguments");
    }
    struct js_expected *e = xcalloc(1, sizeof *e + (size_t)argc * sizeof e->ranges[0]);
    for (int i = 0; i < argc; i++) {
        if (!read_range(ctx, argv[i], &e->ranges[i].min, &e->ranges[i].max)) {
            free(e);
            return js_throw(ctx,
                            "argument number %d to expectedStatuses was neither an integer nor an "
                            "object like {min:100, max:329}",
                            i + 1);
        }
        e->count++;
    }
    JSValue proto = JS_NewObject(ctx);
    JSValue object = JS_NewObjectProtoClass(ctx, proto, js_class[JS_CLS_CALLBACK]);
    JS_FreeValue(ctx, proto);
    JS_SetOpaque(object, e);
    return object;
}

static JSValue
set_response_callback(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct js_http *h = js_http_of(js_vu(ctx));

    if (argc < 1 || (!JS_IsNull(argv[0]) && !js_expected_of(argv[0]))) {
        return js_throw(ctx, "unsupported argument, expected http.expectedStatuses");
    }
    JS_FreeValue(ctx, h->callback);
    h->callback = JS_DupValue(ctx, argv[0]);
    return JS_UNDEFINED;
}

// ---- http.url`…`

static JSValue url_template(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    CLEANUP(strbuf_fini) struct strbuf url = STRBUF_NULL, name = STRBUF_NULL;
    int64_t n = 0;

    if (argc < 1 || !JS_IsArray(argv[0]) || JS_GetLength(ctx, argv[0], &n)) {
        return js_throw(ctx, "http.url is a tag of template literals: http.url`…`");
    }
    for (int64_t i = 0; i < n; i++) {
        JSValue part = JS_GetPropertyInt64(ctx, argv[0], i);
        struct slice text;
        if (!js_slice(ctx, part, &text)) {
            JS_FreeValue(ctx, part);
            return JS_EXCEPTION;
        }
        strbuf_add(&url, text.p, text.n);
        strbuf_add(&name, text.p, text.n);
        js_slice_free(ctx, text);
        JS_FreeValue(ctx, part);
        if (i + 1 < n && i + 1 < argc) {
            if (!js_slice(ctx, argv[i + 1], &text)) {
                return JS_EXCEPTION;
            }
            strbuf_add(&url, text.p, text.n);
            strbuf_adds(&name, "${}");
            js_slice_free(ctx, text);
        }
    }
    JSValue object = JS_NewObject(ctx);
    JS_SetPropertyStr(ctx, object, "name", JS_NewStringLen(ctx, strbuf_str(&name), name.n));
    JS_SetPropertyStr(ctx, object, "url", JS_NewStringLen(ctx, strbuf_str(&url), url.n));
    JS_SetPropertyStr(ctx, object, "clean_url", JS_NewStringLen(ctx, strbuf_str(&url), url.n));
    return object;
}

// ---- the module

static JSValue cookie_jar(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);

    if (!ready(vu)) {
        return JS_EXCEPTION;
    }
    return js_jar_of_vu(ctx);
}

#define STRING(name, value) JS_PROP_STRING_DEF(name, value, JS_PROP_C_W_E)
static const JSCFunctionListEntry entries[] = {
    JS_CFUNC_MAGIC_DEF("get", 2, short_call, GET),
    JS_CFUNC_MAGIC_DEF("head", 2, short_call, HEAD),
    JS_CFUNC_MAGIC_DEF("post", 3, short_call, POST),
    JS_CFUNC_MAGIC_DEF("put", 3, short_call, PUT),
    JS_CFUNC_MAGIC_DEF("patch", 3, short_call, PATCH),
    JS_CFUNC_MAGIC_DEF("del", 3, short_call, DEL),
    JS_CFUNC_MAGIC_DEF("options", 3, short_call, OPTIONS),
    JS_CFUNC_DEF2("request", 4, request, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("asyncRequest", 4, async_call, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("batch", 1, batch, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("file", 3, js_http_file, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("cookieJar", 0, cookie_jar, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("url", 1, url_template, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("expectedStatuses", 1, expected_statuses, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("setResponseCallback", 1, set_response_callback, JS_PROP_C_W_E),
    STRING("TLS_1_0", "tls1.0"),
    STRING("TLS_1_1", "tls1.1"),
    STRING("TLS_1_2", "tls1.2"),
    STRING("TLS_1_3", "tls1.3"),
    STRING("OCSP_STATUS_GOOD", "good"),
    STRING("OCSP_STATUS_REVOKED", "revoked"),
    STRING("OCSP_STATUS_SERVER_FAILED", "server_failed"),
    STRING("OCSP_STATUS_UNKNOWN", "unknown"),
    STRING("OCSP_REASON_UNSPECIFIED", "unspecified"),
    STRING("OCSP_REASON_KEY_COMPROMISE", "key_compromise"),
    STRING("OCSP_REASON_CA_COMPROMISE", "ca_compromise"),
    STRING("OCSP_REASON_AFFILIATION_CHANGED", "affiliation_changed"),
    STRING("OCSP_REASON_SUPERSEDED", "superseded"),
    STRING("OCSP_REASON_CESSATION_OF_OPERATION", "cessation_of_operation"),
    STRING("OCSP_REASON_CERTIFICATE_HOLD", "certificate_hold"),
    STRING("OCSP_REASON_REMOVE_FROM_CRL", "remove_from_crl"),
    STRING("OCSP_REASON_PRIVILEGE_WITHDRAWN", "privilege_withdrawn"),
    STRING("OCSP_REASON_AA_COMPROMISE", "aa_compromise"),
};

JSValue js_mod_http(JSContext *ctx)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, object, entries, ARRAY_SIZE(entries));
    JS_SetPropertyStr(
        ctx, object, "CookieJar",
        JS_NewCFunction2(ctx, js_jar_construct, "CookieJar", 0, JS_CFUNC_constructor, 0));
    return object;
}
