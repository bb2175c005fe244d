// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "base/units.h"
#include "js/vu.h"

bool js_slice(JSContext *ctx, JSValueConst v, struct slice *ret_text)
{
    size_t n;
    const char *p = JS_ToCStringLen(ctx, &n, v);

    if (!p) {
        return false;
    }
    *ret_text = (struct slice){p, n};
    return true;
}

void js_slice_free(JSContext *ctx, struct slice s)
{
    JS_FreeCString(ctx, s.p);
}

bool js_is_nullish(JSValueConst v)
{
    return JS_IsNull(v) || JS_IsUndefined(v);
}

bool js_bytes(JSContext *ctx, JSValueConst v, struct slice *ret_bytes)
{
    size_t size, offset, length;
    uint8_t *p;

    if (!JS_IsObject(v)) {
        return false;
    }
    if (JS_IsArrayBuffer(v)) {
        p = JS_GetArrayBuffer(ctx, &size, v);
        if (!p && size) {
            JS_FreeValue(ctx, JS_GetException(ctx));
            return false;
        }
        *ret_bytes = (struct slice){(const char *)p, p ? size : 0};
        return true;
    }
    if (JS_GetTypedArrayType(v) < 0) {
        return false;
    }
    JSValue buffer = JS_GetTypedArrayBuffer(ctx, v, &offset, &length, NULL);
    if (JS_IsException(buffer)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return false;
    }
    p = JS_GetArrayBuffer(ctx, &size, buffer);
    JS_FreeValue(ctx, buffer); // the view keeps it
    *ret_bytes = (struct slice){(const char *)p + (p ? offset : 0), p ? length : 0};
    return true;
}

// Length of the UTF-8 sequence at p, 0 if it is broken.
static size_t utf8_length(const unsigned char *p, size_t n)
{
    size_t need = p[0] < 0x80 ? 1 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : 0;

    if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        need = 4;
    }
    if (need == 0 || need > n) {
        return 0;
    }
    for (size_t i = 1; i < need; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90)) {
        return 0;
    }
    return need;
}

JSValue js_string(JSContext *ctx, struct slice text)
{
    return JS_NewStringLen(ctx, text.p ? text.p : "", text.n);
}

JSValue js_string_of_bytes(JSContext *ctx, struct slice bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t at = 0, good;

    while (at < bytes.n && (good = p[at] < 0x80 ? 1 : utf8_length(p + at, bytes.n - at))) {
        at += good;
    }
    if (at == bytes.n) {
        return js_string(ctx, bytes);
    }
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
    strbuf_add(&b, p, at);
    while (at < bytes.n) {
        good = utf8_length(p + at, bytes.n - at);
        if (good) {
            strbuf_add(&b, p + at, good);
        } else {
            strbuf_adds(&b, "\xef\xbf\xbd");
        }
        at += good ? good : 1;
    }
    return JS_NewStringLen(ctx, b.p, b.n);
}

int js_each_property(JSContext *ctx,
                     JSValueConst object,
                     int (*fn)(void *arg, JSContext *ctx, struct slice key, JSValueConst value),
                     void *arg)
{
    JSPropertyEnum *names;
    uint32_t count;
    int result = 0;

    if (JS_GetOwnPropertyNames(ctx, &names, &count, object,
                               JS_GPN_STRING_MASK | JS_GPN_ENUM_ONLY)) {
        return -1;
    }
    for (uint32_t i = 0; i < count && !result; i++) {
        JSValue value = JS_GetProperty(ctx, object, names[i].atom);
        struct slice key;
        key.p = JS_AtomToCStringLen(ctx, &key.n, names[i].atom);
        result = JS_IsException(value) || !key.p ? -1 : fn(arg, ctx, key, value);
        JS_FreeCString(ctx, key.p);
        JS_FreeValue(ctx, value);
    }
    JS_FreePropertyEnum(ctx, names, count);
    return result;
}

bool js_duration(JSContext *ctx, JSValueConst v, nsec_t *ret_duration)
{
    struct slice text;

    if (JS_IsNumber(v)) {
        double ms;
        JS_ToFloat64(ctx, &ms, v);
        if (!isfinite(ms) || fabs(ms) > 9e12) {
            js_throw(ctx, "invalid duration");
            return false;
        }
        *ret_duration = (nsec_t)(ms * NSEC_PER_MSEC);
        return true;
    }
    if (!JS_IsString(v)) {
        js_throw(ctx, "a duration is a number of milliseconds or text such as '1m30s'");
        return false;
    }
    if (!js_slice(ctx, v, &text)) {
        return false;
    }
    int r = units_parse_duration(text, ret_duration);
    if (r) {
        js_throw(ctx, "'%.*s' is not a valid duration value", (int)MIN(text.n, 100u), text.p);
    }
    js_slice_free(ctx, text);
    return r == 0;
}

bool js_tag_text(JSContext *ctx, JSValueConst v, struct slice *ret_text)
{
    if (!JS_IsString(v) && !JS_IsNumber(v) && !JS_IsBool(v)) {
        return false;
    }
    return js_slice(ctx, v, ret_text);
}

struct tags_arg {
    struct script_vu *vu;
    const struct tagset *tags;
};

static int add_tag(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    struct tags_arg *a = arg;
    struct slice text;

    if (!js_tag_text(ctx, value, &text)) {
        if (!JS_HasException(ctx)) {
            JS_ThrowTypeError(ctx,
                              "invalid value for tag '%.*s': only String, Boolean and Number "
                              "types are accepted",
                              (int)MIN(key.n, 100u), key.p);
        }
        return -1;
    }
    a->tags = tagset_with(shard_tags(a->vu->thread->shard), a->tags, key, text);
    js_slice_free(ctx, text);
    return 0;
}

const struct tagset *js_tags_of(struct script_vu *vu, const struct tagset *base, JSValueConst tags)
{
    struct tags_arg a = {vu, base};

    if (js_is_nullish(tags)) {
        return base;
    }
    if (!JS_IsObject(tags)) {
        JS_ThrowTypeError(vu->ctx, "tags must be an object");
        return NULL;
    }
    return js_each_property(vu->ctx, tags, add_tag, &a) ? NULL : a.tags;
}

// ---- setup() data

static void add_json_text(JSContext *ctx, struct strbuf *out, JSValueConst v)
{
    JSValue text = JS_JSONStringify(ctx, v, JS_UNDEFINED, JS_UNDEFINED);
    struct slice s;

    if (!JS_IsException(text) && !JS_IsUndefined(text) && js_slice(ctx, text, &s)) {
        strbuf_add(out, s.p, s.n);
        js_slice_free(ctx, s);
    } else {
        JS_FreeValue(ctx, JS_GetException(ctx));
        strbuf_adds(out, "null");
    }
    JS_FreeValue(ctx, text);
}

// As Go writes a time: no zeros at the end of the fraction.
static void add_date(JSContext *ctx, struct strbuf *out, JSValueConst v)
{
    double ms = NAN;
    char text[48];

    JS_ToFloat64(ctx, &ms, v);
    if (!isfinite(ms)) {
        strbuf_adds(out, "null");
        return;
    }
    int64_t fraction = (int64_t)fmod(ms, 1000);
    int digits = fraction == 0 ? 0 : fraction % 100 == 0 ? 1 : fraction % 10 == 0 ? 2 : 3;
    clock_format_rfc3339((nsec_t)ms * NSEC_PER_MSEC, digits, text, sizeof text);
    strbuf_addf(out, "\"%s\"", text);
}

struct setup_arg {
    struct strbuf *out;
    struct err *err;
    int depth;
    bool any;
};

static int add_member(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    struct setup_arg *a = arg;
    JSValue name = js_string(ctx, key);

    if (a->any) {
        strbuf_addc(a->out, ',');
    }
    a->any = true;
    add_json_text(ctx, a->out, name);
    JS_FreeValue(ctx, name);
    strbuf_addc(a->out, ':');
    return js_setup_json(ctx, a->out, value, a->depth + 1, a->err) ? 0 : 1;
}

static bool
add_elements(JSContext *ctx, struct strbuf *out, JSValueConst v, int depth, struct err *err)
{
    int64_t n;
    bool good = JS_GetLength(ctx, v, &n) == 0;

    strbuf_addc(out, '[');
    for (int64_t i = 0; good && i < n; i++) {
        JSValue item = JS_GetPropertyInt64(ctx, v, i);
        if (i) {
            strbuf_addc(out, ',');
        }
        good = js_setup_json(ctx, out, item, depth + 1, err);
        JS_FreeValue(ctx, item);
    }
    strbuf_addc(out, ']');
    return good;
}

// Array.from() of a Map or Set.
static JSValue array_of(JSContext *ctx, JSValueConst v)
{
    JSValue global = JS_GetGlobalObject(ctx);
    JSValue array = JS_GetPropertyStr(ctx, global, "Array");
    JSAtom from = JS_NewAtom(ctx, "from");
    JSValue result = JS_Invoke(ctx, array, from, 1, &v);

    JS_FreeAtom(ctx, from);
    JS_FreeValue(ctx, array);
    JS_FreeValue(ctx, global);
    return result;
}

bool js_setup_json(JSContext *ctx, struct strbuf *out, JSValueConst v, int depth, struct err *err)
{
    struct setup_arg a = {out, err, depth, false};
    double number;

    if (depth > 1000) {
        err_set(err, SCRIPT_THREW,
                "error marshaling setup() data to JSON: it is nested too deeply");
        return false;
    }
    if (JS_IsFunction(ctx, v)) {
        err_set(err, SCRIPT_THREW,
                "error marshaling setup() data to JSON: functions cannot be "
                "handed to other virtual users");
        return false;
    }
    if (JS_IsNumber(v) && (JS_ToFloat64(ctx, &number, v), !isfinite(number))) {
        err_set(err, SCRIPT_THREW, "error marshaling setup() data to JSON: %s is no JSON value",
                isnan(number) ? "NaN" : "Infinity");
        return false;
    }
    if (JS_IsDate(v)) {
        add_date(ctx, out, v);
        return true;
    }
    if (!JS_IsObject(v)) {
        add_json_text(ctx, out, v);
        return true;
    }
    if (JS_IsArray(v) || JS_GetTypedArrayType(v) >= 0) {
        return add_elements(ctx, out, v, depth, err);
    }
    if (JS_IsMap(v) || JS_IsSet(v)) {
        JSValue list = array_of(ctx, v);
        bool good = !JS_IsException(list) && add_elements(ctx, out, list, depth, err);
        JS_FreeValue(ctx, list);
        return good;
    }
    strbuf_addc(out, '{');
    if (!JS_IsArrayBuffer(v) && js_each_property(ctx, v, add_member, &a)) {
        return false;
    }
    strbuf_addc(out, '}');
    return true;
}
