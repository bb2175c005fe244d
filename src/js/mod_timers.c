// SPDX-License-Identifier: Apache-2.0
// k6/timers: the same functions as the globals.
#include "js/vu.h"

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_MAGIC_DEF("setTimeout", 2, js_set_timer, 0),
    JS_CFUNC_MAGIC_DEF("setInterval", 2, js_set_timer, 1),
    JS_CFUNC_DEF2("clearTimeout", 1, js_clear_timer, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("clearInterval", 1, js_clear_timer, JS_PROP_C_W_E),
};

JSValue js_mod_timers(JSContext *ctx)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, object, functions, ARRAY_SIZE(functions));
    return object;
}
