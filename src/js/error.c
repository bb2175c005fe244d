// SPDX-License-Identifier: Apache-2.0
// From exceptions to messages.
#include "base/log.h"
#include "js/vu.h"

// "    at f (file:///s.js:1:2)" lines become "\tat f (…)" lines.
static void add_stack(struct strbuf *out, struct slice stack)
{
    while (stack.n) {
        struct slice line = slice_trim(slice_cut(&stack, '\n'));
        if (line.n) {
            strbuf_addc(out, '\t');
            strbuf_add(out, line.p, line.n);
            strbuf_addc(out, '\n');
        }
    }
}

void js_format_exception(JSContext *ctx, struct strbuf *out, JSValue exception)
{
    struct slice text;

    if (JS_IsNull(exception) || JS_IsUndefined(exception)) {
        strbuf_adds(out, JS_IsNull(exception) ? "null" : "undefined");
        return;
    }
    if (!JS_IsError(exception)) {
        js_format_value(ctx, out, exception);
        JS_FreeValue(ctx, exception);
        return;
    }
    if (js_slice(ctx, exception, &text)) {
        strbuf_add(out, text.p, text.n);
        js_slice_free(ctx, text);
    } else {
        JS_FreeValue(ctx, JS_GetException(ctx));
        strbuf_adds(out, "Error");
    }
    JSValue stack = JS_GetPropertyStr(ctx, exception, "stack");
    if (JS_IsString(stack) && js_slice(ctx, stack, &text)) {
        strbuf_addc(out, '\n');
        add_stack(out, text);
        js_slice_free(ctx, text);
    } else if (JS_IsException(stack)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
    }
    JS_FreeValue(ctx, stack);
    JS_FreeValue(ctx, exception);
}

// The first "(file:///path:line:column)" of the text.
static void find_place(const char *text, struct err *err)
{
    const char *at = strstr(text, "file://");
    int line = 0, column = 0, n = 0;

    if (!at) {
        return;
    }
    const char *end = at + strcspn(at, ")\n");
    const char *colon = end;
    for (int parts = 0; colon > at && parts < 2;) {
        if (*--colon == ':') {
            parts++;
        }
    }
    if (sscanf(colon, ":%d:%d%n", &line, &column, &n) == 2 && colon + n == end) {
        CLEANUP_FREE char *file = xstrndup(at + 7, (size_t)(colon - at - 7));
        err_at(err, file, line, column);
    }
}

int js_exception_to_err(JSContext *ctx, JSValue exception, struct err *err)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;

    js_format_exception(ctx, &text, exception);
    while (text.n && text.p[text.n - 1] == '\n') {
        text.p[--text.n] = 0;
    }
    err_set(err, SCRIPT_THREW, "%s", strbuf_str(&text));
    if (err) {
        find_place(strbuf_str(&text), err);
    }
    return SCRIPT_THREW;
}

JSValue js_throw(JSContext *ctx, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    CLEANUP_FREE char *text = xvasprintf(format, args);
    va_end(args);
    return JS_ThrowPlainError(ctx, "%s", text);
}

void js_log_warn(struct script_vu *vu, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    CLEANUP_FREE char *text = xvasprintf(format, args);
    va_end(args);
    log_write(LOG_WARN, text, NULL, 0);
}
