// SPDX-License-Identifier: Apache-2.0
// console, with k6's way of showing values.
#include "base/log.h"
#include "js/vu.h"

#define MAX_DEPTH 64

// Objects on the way from the root, to see cycles.
struct path {
    const struct path *up;
    JSValueConst v;
    unsigned depth;
};

static void show(JSContext *ctx, struct strbuf *out, JSValueConst v, const struct path *up);

static void add_string_of(JSContext *ctx, struct strbuf *out, JSValueConst v)
{
    struct slice s;

    if (js_slice(ctx, v, &s)) {
        strbuf_add(out, s.p, s.n);
        js_slice_free(ctx, s);
    } else {
        JS_FreeValue(ctx, JS_GetException(ctx));
    }
}

static void add_quoted(JSContext *ctx, struct strbuf *out, JSValueConst v)
{
    JSValue text = JS_JSONStringify(ctx, v, JS_UNDEFINED, JS_UNDEFINED);

    if (JS_IsException(text)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
    } else {
        add_string_of(ctx, out, text);
    }
    JS_FreeValue(ctx, text);
}

struct members {
    struct strbuf *out;
    const struct path *path;
    bool any;
};

// A key is written bare when it reads as an identifier.
static bool is_bare(struct slice key)
{
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
              (c >= '0' && c <= '9'))) {
            return false;
        }
    }
    return key.n != 0;
}

static int show_member(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    struct members *m = arg;

    strbuf_adds(m->out, m->any ? ", " : "{ ");
    m->any = true;
    if (is_bare(key)) {
        strbuf_add(m->out, key.p, key.n);
    } else {
        JSValue name = js_string(ctx, key);
        add_quoted(ctx, m->out, name);
        JS_FreeValue(ctx, name);
    }
    strbuf_adds(m->out, ": ");
    show(ctx, m->out, value, m->path);
    return 0;
}

static void show_elements(JSContext *ctx, struct strbuf *out, JSValueConst v, const struct path *p)
{
    int64_t n = 0;

    if (JS_GetLength(ctx, v, &n)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
    }
    if (n == 0) {
        strbuf_adds(out, "[]");
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        JSValue item = JS_GetPropertyInt64(ctx, v, i);
        strbuf_adds(out, i ? ", " : "[ ");
        if (JS_IsException(item)) {
            JS_FreeValue(ctx, JS_GetException(ctx));
        } else {
            show(ctx, out, item, p);
        }
        JS_FreeValue(ctx, item);
    }
    strbuf_adds(out, " ]");
}

static void show_buffer(JSContext *ctx, struct strbuf *out, JSValueConst v)
{
    struct slice bytes = {0};

    js_bytes(ctx, v, &bytes);
    strbuf_adds(out, "ArrayBuffer { [Uint8Contents]: <");
    for (size_t i = 0; i < bytes.n; i++) {
        strbuf_addf(out, i ? " %02x" : "%02x", (unsigned char)bytes.p[i]);
    }
    strbuf_addf(out, ">, byteLength: %zu }", bytes.n);
}

static void show_object(JSContext *ctx, struct strbuf *out, JSValueConst v, const struct path *up)
{
    struct path here = {up, v, up ? up->depth + 1 : 1};

    for (const struct path *p = up; p; p = p->up) {
        if (JS_IsStrictEqual(ctx, p->v, v)) {
            strbuf_adds(out, "[Circular]");
            return;
        }
    }
    if (here.depth > MAX_DEPTH) {
        strbuf_adds(out, "[Object]");
    } else if (JS_IsFunction(ctx, v)) {
        strbuf_adds(out, "[object Function]");
    } else if (JS_IsDate(v)) {
        add_quoted(ctx, out, v);
    } else if (JS_IsError(v)) {
        add_string_of(ctx, out, v);
    } else if (JS_IsArrayBuffer(v)) {
        show_buffer(ctx, out, v);
    } else if (JS_IsArray(v) || JS_GetTypedArrayType(v) >= 0) {
        if (!JS_IsArray(v)) {
            JSValue constructor = JS_GetPropertyStr(ctx, v, "constructor");
            JSValue name = JS_GetPropertyStr(ctx, constructor, "name");
            int64_t n = 0;
            JS_GetLength(ctx, v, &n);
            add_string_of(ctx, out, name);
            strbuf_addf(out, "(%lld) ", (long long)n);
            JS_FreeValue(ctx, name);
            JS_FreeValue(ctx, constructor);
        }
        show_elements(ctx, out, v, &here);
    } else {
        struct members m = {out, &here, false};
        if (js_each_property(ctx, v, show_member, &m)) {
            JS_FreeValue(ctx, JS_GetException(ctx));
        }
        strbuf_adds(out, m.any ? " }" : "{}");
    }
}

static void show(JSContext *ctx, struct strbuf *out, JSValueConst v, const struct path *up)
{
    if (JS_IsObject(v)) {
        show_object(ctx, out, v, up);
    } else if (js_is_nullish(v)) {
        strbuf_adds(out, "null");
    } else if (JS_IsString(v)) {
        add_quoted(ctx, out, v);
    } else {
        JSValue text = JS_IsSymbol(v) ? JS_NewString(ctx, "Symbol()") : JS_DupValue(ctx, v);
        add_string_of(ctx, out, text);
        JS_FreeValue(ctx, text);
    }
}

void js_format_value(JSContext *ctx, struct strbuf *out, JSValueConst v)
{
    if (JS_IsObject(v)) {
        show_object(ctx, out, v, NULL);
    } else if (JS_IsSymbol(v)) {
        strbuf_adds(out, "Symbol()");
    } else {
        add_string_of(ctx, out, v);
    }
}

static JSValue
console_write(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int level)
{
    CLEANUP(strbuf_fini) struct strbuf line = STRBUF_NULL;

    if (!log_enabled((enum log_level)level)) {
        return JS_UNDEFINED;
    }
    for (int i = 0; i < argc; i++) {
        if (i) {
            strbuf_addc(&line, ' ');
        }
        js_format_value(ctx, &line, argv[i]);
    }
    log_write((enum log_level)level, line.n ? line.p : NULL,
              &(struct log_field){"source", "console"}, 1);
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry console_functions[] = {
    JS_CFUNC_MAGIC_DEF("log", 0, console_write, LOG_INFO),
    JS_CFUNC_MAGIC_DEF("info", 0, console_write, LOG_INFO),
    JS_CFUNC_MAGIC_DEF("debug", 0, console_write, LOG_DEBUG),
    JS_CFUNC_MAGIC_DEF("warn", 0, console_write, LOG_WARN),
    JS_CFUNC_MAGIC_DEF("error", 0, console_write, LOG_ERROR),
};

int js_console_install(JSContext *ctx, JSValueConst global)
{
    JSValue console = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, console, console_functions, ARRAY_SIZE(console_functions));
    return JS_SetPropertyStr(ctx, global, "console", console);
}
