// SPDX-License-Identifier: Apache-2.0
// The registry of native modules: ours, and those that other layers lend.
#include "js/module.h"
#include "js/vu.h"

static const struct {
    const char *name;
    JSValue (*make)(JSContext *ctx);
} builtin[] = {
    {"k6", js_mod_k6},
    {"k6/http", js_mod_http},
    {"k6/metrics", js_mod_metrics},
    {"k6/execution", js_mod_execution},
    {"k6/data", js_mod_data},
    {"k6/timers", js_mod_timers},
    {"k6/encoding", js_mod_encoding},
    {"k6/crypto", js_mod_crypto},
};

#define LENT_MAX 32
static const struct js_module_def *lent[LENT_MAX];
static unsigned lent_count;

void js_module_register(const struct js_module_def *def)
{
    ASSERT(lent_count < LENT_MAX);
    lent[lent_count++] = def;
}

static const struct js_module_def *find_lent(const char *name)
{
    for (unsigned i = 0; i < lent_count; i++) {
        if (!strcmp(lent[i]->name, name)) {
            return lent[i];
        }
    }
    return NULL;
}

bool js_module_exists(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(builtin); i++) {
        if (!strcmp(builtin[i].name, name)) {
            return true;
        }
    }
    return find_lent(name) != NULL;
}

// Calls a lent function: `data` holds the numbers of module and function.
static JSValue call_lent(
    JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int magic, JSValueConst *data)
{
    struct script_vu *vu = js_vu(ctx);
    CLEANUP(strbuf_fini) struct strbuf result = STRBUF_NULL;
    struct err err = {0};
    int32_t module, function;
    struct slice text;

    JS_ToInt32(ctx, &module, data[0]);
    JS_ToInt32(ctx, &function, data[1]);
    const struct js_module_def *def = lent[module];
    JSValue array = JS_NewArray(ctx);
    for (int i = 0; i < argc; i++) {
        JS_SetPropertyUint32(ctx, array, (uint32_t)i, JS_DupValue(ctx, argv[i]));
    }
    JSValue json = JS_JSONStringify(ctx, array, JS_UNDEFINED, JS_UNDEFINED);
    JS_FreeValue(ctx, array);
    if (JS_IsException(json) || !js_slice(ctx, json, &text)) {
        return JS_EXCEPTION;
    }
    int r = JS_AWAIT(vu, def->functions[function].call(def->arg, text.p, &result, &err));
    js_slice_free(ctx, text);
    JS_FreeValue(ctx, json);
    if (co_is_cancelled(co_self())) {
        return js_vu_throw_interrupted(vu);
    }
    if (r) {
        return js_throw(ctx, "%s", err.message);
    }
    return result.n ? JS_ParseJSON(ctx, result.p, result.n, def->name) : JS_UNDEFINED;
}

static JSValue make_lent(JSContext *ctx, const struct js_module_def *def)
{
    JSValue object = JS_NewObject(ctx);
    int32_t module = 0;

    while (lent[module] != def) {
        module++;
    }
    for (unsigned i = 0; i < def->function_count; i++) {
        JSValueConst data[] = {JS_NewInt32(ctx, module), JS_NewInt32(ctx, (int32_t)i)};
        JS_SetPropertyStr(ctx, object, def->functions[i].name,
                          JS_NewCFunctionData(ctx, call_lent, 0, 0, 2, data));
    }
    return object;
}

JSValue js_module_make(JSContext *ctx, const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(builtin); i++) {
        if (!strcmp(builtin[i].name, name)) {
            return builtin[i].make(ctx);
        }
    }
    const struct js_module_def *def = find_lent(name);
    return def ? make_lent(ctx, def) : JS_UNINITIALIZED;
}
