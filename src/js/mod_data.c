// SPDX-License-Identifier: Apache-2.0
// k6/data: SharedArray. The elements are JSON texts in C, one copy for all threads; each read
// parses one and freezes it. Scripts see a proxy of an empty array.
#include "js/vu.h"

struct js_shared_array {
    struct slice *items; // NULL text: undefined
    uint32_t count;
};

// The proxy's handler carries the array.
const JSClassDef js_shared_array_class = {"SharedArray"};

static void array_free(struct js_shared_array *a)
{
    for (uint32_t i = 0; i < a->count; i++) {
        free((char *)(uintptr_t)a->items[i].p);
    }
    free(a->items);
    free(a);
}

void js_shared_arrays_free(struct script *s)
{
    MAP_FOREACH (it, &s->arrays) {
        array_free(it->value);
    }
    map_fini(&s->arrays);
}

static int freeze_deep(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    if (JS_IsObject(value)) {
        js_each_property(ctx, value, freeze_deep, NULL);
        JS_FreezeObject(ctx, value);
    }
    return 0;
}

static JSValue item(JSContext *ctx, const struct js_shared_array *a, uint32_t i)
{
    if (i >= a->count || !a->items[i].p) {
        return JS_UNDEFINED;
    }
    JSValue v = JS_ParseJSON(ctx, a->items[i].p, a->items[i].n, "SharedArray");
    freeze_deep(NULL, ctx, (struct slice){0}, v);
    return v;
}

static const struct js_shared_array *array_of(JSContext *ctx, JSValueConst handler)
{
    return JS_GetOpaque2(ctx, handler, js_class[JS_CLS_SHARED_ARRAY]);
}

// Is the key an index of the array?
static bool
is_index(JSContext *ctx, JSValueConst key, const struct js_shared_array *a, uint32_t *ret_i)
{
    const char *text = JS_IsString(key) ? JS_ToCString(ctx, key) : NULL;
    uint64_t n = 0;
    bool good = text && *text && strlen(text) < 11 && !(text[0] == '0' && text[1]);

    for (const char *p = text; good && *p; p++) {
        good = *p >= '0' && *p <= '9';
        n = n * 10 + (uint64_t)(*p - '0');
    }
    JS_FreeCString(ctx, text);
    *ret_i = (uint32_t)n;
    return good && n < a->count;
}

static bool is_length(JSContext *ctx, JSValueConst key)
{
    const char *text = JS_IsString(key) ? JS_ToCString(ctx, key) : NULL;
    bool yes = text && !strcmp(text, "length");

    JS_FreeCString(ctx, text);
    return yes;
}

// Traps; argv: target, key, …
static JSValue trap_get(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    const struct js_shared_array *a = array_of(ctx, self);
    uint32_t i;

    if (!a) {
        return JS_EXCEPTION;
    }
    if (is_index(ctx, argv[1], a, &i)) {
        return item(ctx, a, i);
    }
    if (is_length(ctx, argv[1])) {
        return JS_NewUint32(ctx, a->count);
    }
    JSAtom atom = JS_ValueToAtom(ctx, argv[1]);
    JSValue v = JS_GetProperty(ctx, argv[0], atom);
    JS_FreeAtom(ctx, atom);
    return v;
}

static JSValue trap_has(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    const struct js_shared_array *a = array_of(ctx, self);
    uint32_t i;

    if (!a || is_index(ctx, argv[1], a, &i)) {
        return a ? JS_TRUE : JS_EXCEPTION;
    }
    JSAtom atom = JS_ValueToAtom(ctx, argv[1]);
    int has = JS_HasProperty(ctx, argv[0], atom);
    JS_FreeAtom(ctx, atom);
    return has < 0 ? JS_EXCEPTION : JS_NewBool(ctx, has);
}

static JSValue trap_keys(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    const struct js_shared_array *a = array_of(ctx, self);
    char text[16];

    if (!a) {
        return JS_EXCEPTION;
    }
    JSValue keys = JS_NewArray(ctx);
    for (uint32_t i = 0; i < a->count; i++) {
        snprintf(text, sizeof text, "%u", i);
        JS_SetPropertyUint32(ctx, keys, i, JS_NewString(ctx, text));
    }
    JS_SetPropertyUint32(ctx, keys, a->count, JS_NewString(ctx, "length"));
    return keys;
}

static JSValue trap_descriptor(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    const struct js_shared_array *a = array_of(ctx, self);
    uint32_t i = 0;

    if (!a) {
        return JS_EXCEPTION;
    }
    bool index = is_index(ctx, argv[1], a, &i);
    if (!index && !is_length(ctx, argv[1])) {
        return JS_UNDEFINED;
    }
    JSValue d = JS_NewObject(ctx);
    JS_SetPropertyStr(ctx, d, "value", index ? item(ctx, a, i) : JS_NewUint32(ctx, a->count));
    JS_SetPropertyStr(ctx, d, "writable", JS_NewBool(ctx, !index));
    JS_SetPropertyStr(ctx, d, "enumerable", JS_NewBool(ctx, index));
    JS_SetPropertyStr(ctx, d, "configurable", JS_NewBool(ctx, index));
    return d;
}

static JSValue trap_refuse(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    return JS_ThrowTypeError(ctx, "SharedArray is immutable");
}

static const JSCFunctionListEntry traps[] = {
    JS_CFUNC_DEF("get", 3, trap_get),
    JS_CFUNC_DEF("has", 2, trap_has),
    JS_CFUNC_DEF("ownKeys", 1, trap_keys),
    JS_CFUNC_DEF("getOwnPropertyDescriptor", 2, trap_descriptor),
    JS_CFUNC_DEF("set", 4, trap_refuse),
    JS_CFUNC_DEF("deleteProperty", 2, trap_refuse),
    JS_CFUNC_DEF("defineProperty", 3, trap_refuse),
    JS_CFUNC_DEF("preventExtensions", 1, trap_refuse),
    JS_CFUNC_DEF("setPrototypeOf", 2, trap_refuse),
};

static JSValue proxy_of(JSContext *ctx, struct js_shared_array *a)
{
    JSValue handler = JS_NewObjectClass(ctx, (int)js_class[JS_CLS_SHARED_ARRAY]);
    JSValue target = JS_NewArray(ctx);

    JS_SetOpaque(handler, a);
    JS_SetPropertyFunctionList(ctx, handler, traps, ARRAY_SIZE(traps));
    JSValue proxy = JS_NewProxy(ctx, target, handler);
    JS_FreeValue(ctx, target);
    JS_FreeValue(ctx, handler);
    return proxy;
}

// Calls the script's function and keeps its elements as JSON. NULL with an exception.
static struct js_shared_array *build(JSContext *ctx, JSValueConst fn)
{
    JSValue list = JS_Call(ctx, fn, JS_UNDEFINED, 0, NULL);
    int64_t n = 0;

    if (JS_IsException(list) || !JS_IsArray(list) || JS_GetLength(ctx, list, &n) || n > INT32_MAX) {
        if (!JS_HasException(ctx)) {
            js_throw(ctx, "only arrays can be made into SharedArray");
        }
        JS_FreeValue(ctx, list);
        return NULL;
    }
    struct js_shared_array *a = XNEW(struct js_shared_array);
    a->count = (uint32_t)n;
    a->items = xcalloc((size_t)n + 1, sizeof *a->items);
    for (uint32_t i = 0; i < a->count; i++) {
        JSValue v = JS_GetPropertyUint32(ctx, list, i);
        JSValue json =
            JS_IsException(v) ? JS_EXCEPTION : JS_JSONStringify(ctx, v, JS_UNDEFINED, JS_UNDEFINED);
        struct slice text = {0};
        JS_FreeValue(ctx, v);
        if (JS_IsException(json) || (JS_IsString(json) && !js_slice(ctx, json, &text))) {
            JS_FreeValue(ctx, json);
            JS_FreeValue(ctx, list);
            array_free(a);
            return NULL;
        }
        if (text.p) {
            a->items[i] = (struct slice){xstrndup(text.p, text.n), text.n};
            js_slice_free(ctx, text);
        }
        JS_FreeValue(ctx, json);
    }
    JS_FreeValue(ctx, list);
    return a;
}

static JSValue construct(JSContext *ctx, JSValueConst target, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);
    struct script *s = vu->thread->script;
    struct slice name;

    if (vu->phase != JS_INIT) {
        return js_throw(ctx, "new SharedArray must be called in the init context");
    }
    if (argc < 2 || !JS_IsFunction(ctx, argv[1]) || JS_IsAsyncFunction(argv[1])) {
        return js_throw(ctx, "a function (not an async one) is expected as the second argument of "
                             "SharedArray's constructor");
    }
    if (!js_slice(ctx, argv[0], &name)) {
        return JS_EXCEPTION;
    }
    if (name.n == 0) {
        js_slice_free(ctx, name);
        return js_throw(ctx, "empty name provided to SharedArray's constructor");
    }
    pthread_mutex_lock(&s->lock);
    struct js_shared_array *a = map_get(&s->arrays, name);
    pthread_mutex_unlock(&s->lock);
    if (!a && (a = build(ctx, argv[1]))) {
        // The function may have taken long; another thread may have been first.
        pthread_mutex_lock(&s->lock);
        struct js_shared_array *first = map_get(&s->arrays, name);
        if (first) {
            array_free(a);
            a = first;
        } else {
            map_set(&s->arrays, name, a);
        }
        pthread_mutex_unlock(&s->lock);
    }
    js_slice_free(ctx, name);
    return a ? proxy_of(ctx, a) : JS_EXCEPTION;
}

JSValue js_mod_data(JSContext *ctx)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyStr(ctx, object, "SharedArray",
                      JS_NewCFunction2(ctx, construct, "SharedArray", 2, JS_CFUNC_constructor, 0));
    return object;
}
