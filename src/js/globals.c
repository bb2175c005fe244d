// SPDX-License-Identifier: Apache-2.0
// Globals that k6 adds to the language.
#include <math.h>

#include "js/vu.h"

// ---- timers

JSValue js_set_timer(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int repeat)
{
    struct script_vu *vu = js_vu(ctx);
    double ms = 0;

    if (argc < 1 || !JS_IsFunction(ctx, argv[0])) {
        return JS_ThrowTypeError(ctx, "%s requires a callback as first argument",
                                 repeat ? "setInterval" : "setTimeout");
    }
    if (argc > 1 && JS_ToFloat64(ctx, &ms, argv[1])) {
        return JS_EXCEPTION;
    }
    ms = isnan(ms) ? 0 : ms < 0 ? 0 : ms > 1e12 ? 1e12 : ms;
    int extra = argc > 2 ? argc - 2 : 0;
    struct js_timer *t = js_mallocz(ctx, sizeof *t + (size_t)extra * sizeof(JSValue));
    if (!t) {
        return JS_EXCEPTION;
    }
    t->argv = (JSValue *)(t + 1);
    t->argc = extra;
    for (int i = 0; i < extra; i++) {
        t->argv[i] = JS_DupValue(ctx, argv[i + 2]);
    }
    t->fn = JS_DupValue(ctx, argv[0]);
    t->id = ++vu->next_timer;
    t->due = loop_update_now(vu->thread->loop) + (nsec_t)(ms * NSEC_PER_MSEC);
    t->every = repeat ? MAX((nsec_t)(ms * NSEC_PER_MSEC), NSEC_PER_MSEC) : 0;
    js_timer_insert(vu, t);
    return JS_NewUint32(ctx, t->id);
}

JSValue js_clear_timer(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);
    int64_t id;

    if (argc < 1 || !JS_IsNumber(argv[0]) || JS_ToInt64(ctx, &id, argv[0])) {
        return JS_UNDEFINED;
    }
    LIST_FOREACH (it, &vu->timers) {
        struct js_timer *t = LIST_ENTRY(it, struct js_timer, link);
        if (t->id == id) {
            js_timer_free(vu, t);
            break;
        }
    }
    return JS_UNDEFINED;
}

// ---- open()

static JSValue open_file(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);
    JSValue result = JS_EXCEPTION;
    CLEANUP_FREE char *absolute = NULL;

    if (vu->phase != JS_INIT) {
        return js_throw(ctx, "the 'open' function is only available in the init stage (i.e. the "
                             "global scope)");
    }
    const char *path = argc ? JS_ToCString(ctx, argv[0]) : NULL;
    const char *mode = argc > 1 && !js_is_nullish(argv[1]) ? JS_ToCString(ctx, argv[1]) : NULL;
    if (!path || !*path) {
        if (!JS_HasException(ctx)) {
            js_throw(ctx, "open() can't be used with an empty filename");
        }
        goto out;
    }
    JSAtom caller = JS_GetScriptOrModuleName(ctx, 1);
    const char *base = caller == JS_ATOM_NULL ? NULL : JS_AtomToCString(ctx, caller);
    absolute = js_open_path(vu->thread->script, base, path);
    JS_FreeCString(ctx, base);
    JS_FreeAtom(ctx, caller);
    const struct js_file *file = js_load_file(ctx, absolute);
    if (file) {
        result = mode && strchr(mode, 'b')
                     ? JS_NewArrayBufferCopy(ctx, (const uint8_t *)file->text, file->n)
                     : js_string_of_bytes(ctx, (struct slice){file->text, file->n});
    }
out:
    JS_FreeCString(ctx, path);
    JS_FreeCString(ctx, mode);
    return result;
}

// ---- TextEncoder, TextDecoder (UTF-8)

static JSValue encode_text(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct slice text = SLICE("");

    if (argc && !JS_IsUndefined(argv[0]) && !js_slice(ctx, argv[0], &text)) {
        return JS_EXCEPTION;
    }
    JSValue bytes = JS_NewUint8ArrayCopy(ctx, (const uint8_t *)text.p, text.n);
    if (argc && !JS_IsUndefined(argv[0])) {
        js_slice_free(ctx, text);
    }
    return bytes;
}

static JSValue decode_text(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct slice bytes = {0};

    if (argc && !js_is_nullish(argv[0]) && !js_bytes(ctx, argv[0], &bytes)) {
        return JS_ThrowTypeError(ctx, "decode() needs an ArrayBuffer or a view of one");
    }
    if (bytes.n >= 3 && !memcmp(bytes.p, "\xef\xbb\xbf", 3)) {
        bytes.p += 3;
        bytes.n -= 3;
    }
    return js_string_of_bytes(ctx, bytes);
}

static JSValue
text_coder(JSContext *ctx, JSValueConst target, int argc, JSValueConst *argv, int is_decoder)
{
    JSValue proto = JS_GetPropertyStr(ctx, target, "prototype");
    JSValue self = JS_NewObjectProto(ctx, proto);
    struct slice label;

    JS_FreeValue(ctx, proto);
    if (is_decoder && argc && !JS_IsUndefined(argv[0])) {
        if (!js_slice(ctx, argv[0], &label)) {
            JS_FreeValue(ctx, self);
            return JS_EXCEPTION;
        }
        bool known =
            slice_eq_nocase(label, SLICE("utf-8")) || slice_eq_nocase(label, SLICE("utf8"));
        js_slice_free(ctx, label);
        if (!known) {
            JS_FreeValue(ctx, self);
            return JS_ThrowRangeError(ctx, "unsupported encoding; only utf-8 is");
        }
    }
    return self;
}

static void install_coder(JSContext *ctx,
                          JSValueConst global,
                          const char *name,
                          JSCFunction *fn,
                          const char *method,
                          int is_decoder)
{
    JSValue constructor =
        JS_NewCFunctionMagic(ctx, text_coder, name, 0, JS_CFUNC_constructor_magic, is_decoder);
    JSValue proto = JS_NewObject(ctx);

    JS_DefinePropertyValueStr(ctx, proto, method, JS_NewCFunction(ctx, fn, method, 1),
                              JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
    JS_DefinePropertyValueStr(ctx, proto, "encoding", JS_NewString(ctx, "utf-8"), 0);
    JS_SetConstructor(ctx, constructor, proto);
    JS_FreeValue(ctx, proto);
    JS_DefinePropertyValueStr(ctx, global, name, constructor,
                              JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
}

// What most scripts never touch is made when it is first read; a write replaces it.
static JSValue lazy_global(JSContext *ctx, JSValueConst self, int which)
{
    static const char *const names[] = {"TextEncoder", "TextDecoder", "crypto"};
    JSValue global = JS_GetGlobalObject(ctx);

    if (which == 0) {
        install_coder(ctx, global, names[0], encode_text, "encode", 0);
    } else if (which == 1) {
        install_coder(ctx, global, names[1], decode_text, "decode", 1);
    } else {
        JS_DefinePropertyValueStr(ctx, global, names[2], js_webcrypto(ctx),
                                  JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
    }
    JSValue v = JS_GetPropertyStr(ctx, global, names[which]);
    JS_FreeValue(ctx, global);
    return v;
}

static JSValue set_lazy_global(JSContext *ctx, JSValueConst self, JSValueConst value, int which)
{
    static const char *const names[] = {"TextEncoder", "TextDecoder", "crypto"};
    JSValue global = JS_GetGlobalObject(ctx);

    JS_DefinePropertyValueStr(ctx, global, names[which], JS_DupValue(ctx, value), JS_PROP_C_W_E);
    JS_FreeValue(ctx, global);
    return JS_UNDEFINED;
}

// ---- __ENV

static int set_env(JSContext *ctx, JSValueConst object, const char *entry)
{
    struct slice value = slice_of(entry);
    struct slice name = slice_cut(&value, '=');
    JSAtom atom = JS_NewAtomLen(ctx, name.p, name.n);
    int r =
        JS_DefinePropertyValue(ctx, object, atom, js_string_of_bytes(ctx, value), JS_PROP_C_W_E);

    JS_FreeAtom(ctx, atom);
    return r;
}

void js_env_reset(struct script_vu *vu)
{
    struct script_thread *t = vu->thread;
    JSContext *ctx = vu->ctx;
    JSValue global = JS_GetGlobalObject(ctx);

    JS_FreeValue(ctx, vu->env);
    vu->env = JS_NewObject(ctx);
    for (unsigned i = 0; i < t->env_count; i++) {
        JS_DefinePropertyValue(ctx, vu->env, t->env_names[i], JS_DupValue(ctx, t->env_values[i]),
                               JS_PROP_C_W_E);
    }
    if (vu->scenario && vu->scenario->env) {
        for (const char *const *e = vu->scenario->env; *e; e++) {
            set_env(ctx, vu->env, *e);
        }
    }
    JS_SetPropertyStr(ctx, global, "__ENV", JS_DupValue(ctx, vu->env));
    JS_FreeValue(ctx, global);
}

static const JSCFunctionListEntry global_functions[] = {
    JS_CFUNC_MAGIC_DEF("setTimeout", 2, js_set_timer, 0),
    JS_CFUNC_MAGIC_DEF("setInterval", 2, js_set_timer, 1),
    JS_CFUNC_DEF("clearTimeout", 1, js_clear_timer),
    JS_CFUNC_DEF("clearInterval", 1, js_clear_timer),
    JS_CFUNC_DEF("open", 2, open_file),
    JS_CFUNC_DEF("require", 1, js_require),
    JS_CGETSET_MAGIC_DEF("TextEncoder", lazy_global, set_lazy_global, 0),
    JS_CGETSET_MAGIC_DEF("TextDecoder", lazy_global, set_lazy_global, 1),
    JS_CGETSET_MAGIC_DEF("crypto", lazy_global, set_lazy_global, 2),
};

int js_globals_install(struct script_vu *vu)
{
    JSContext *ctx = vu->ctx;
    JSValue global = JS_GetGlobalObject(ctx);

    JS_SetPropertyFunctionList(ctx, global, global_functions, ARRAY_SIZE(global_functions));
    JS_SetPropertyStr(ctx, global, "global", JS_DupValue(ctx, global));
    JS_SetPropertyStr(ctx, global, "__VU", JS_NewInt64(ctx, (int64_t)vu->id));
    js_console_install(ctx, global);
    JS_FreeValue(ctx, global);
    qx_random_seed(ctx, rng_u64(&vu->rng));
    js_env_reset(vu);
    return 0;
}
