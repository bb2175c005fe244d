// SPDX-License-Identifier: Apache-2.0
// k6/metrics: Counter, Gauge, Rate, Trend.
#include <math.h>

#include "js/vu.h"

const JSClassDef js_metric_class = {"Metric"};

static JSValue
construct(JSContext *ctx, JSValueConst target, int argc, JSValueConst *argv, int type)
{
    struct script_vu *vu = js_vu(ctx);
    const struct metric *m;
    struct slice name;

    if (vu->phase != JS_INIT) {
        return js_throw(ctx, "metrics must be declared in the init context");
    }
    if (argc < 1 || !js_slice(ctx, argv[0], &name)) {
        return argc < 1 ? js_throw(ctx, "a metric needs a name") : JS_EXCEPTION;
    }
    bool is_time = argc > 1 && JS_ToBool(ctx, argv[1]) == 1;
    int r = metric_register(vu->thread->script->registry, name, (enum metric_type)type,
                            is_time ? METRIC_TIME : METRIC_DEFAULT, &m);
    if (r) {
        js_throw(ctx,
                 r == METRIC_E_NAME
                     ? "invalid metric name '%.*s': it must have 2 to 128 of the characters "
                       "A-Z a-z 0-9 _ and begin with no digit"
                     : "metric '%.*s' already exists with another type",
                 (int)MIN(name.n, 150u), name.p);
        js_slice_free(ctx, name);
        return JS_EXCEPTION;
    }
    js_slice_free(ctx, name);
    JSValue proto = JS_GetPropertyStr(ctx, target, "prototype");
    JSValue self = JS_NewObjectProtoClass(ctx, proto, js_class[JS_CLS_METRIC]);
    JS_FreeValue(ctx, proto);
    if (!JS_IsException(self)) {
        JS_SetOpaque(self, (void *)(uintptr_t)m);
        JS_DefinePropertyValueStr(ctx, self, "name", JS_NewString(ctx, m->name),
                                  JS_PROP_ENUMERABLE);
    }
    return self;
}

// Numbers, booleans and what reads as a number. False without an exception.
static bool to_sample(JSContext *ctx, JSValueConst v, double *ret_value)
{
    if (js_is_nullish(v)) {
        return false;
    }
    if (JS_ToFloat64(ctx, ret_value, v)) {
        JS_FreeValue(ctx, JS_GetException(ctx));
        return false;
    }
    return !isnan(*ret_value);
}

static JSValue metric_add(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);
    struct script_thread *t = vu->thread;
    const struct metric *m = JS_GetOpaque2(ctx, self, js_class[JS_CLS_METRIC]);
    double value;

    if (!m) {
        return JS_EXCEPTION;
    }
    if (vu->phase == JS_INIT || !t->shard) {
        return js_throw(ctx, "adding to metrics is not available in the init context");
    }
    if (argc < 1 || !to_sample(ctx, argv[0], &value)) {
        CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
        if (argc) {
            js_format_value(ctx, &text, argv[0]);
        }
        if (t->settings->throw_errors) {
            return js_throw(ctx,
                            "'%s' is an invalid value for metric '%s', a number or a boolean "
                            "value is expected",
                            argc ? strbuf_str(&text) : "undefined", m->name);
        }
        js_log_warn(vu,
                    "'%s' is an invalid value for metric '%s', a number or a boolean value is "
                    "expected",
                    argc ? strbuf_str(&text) : "undefined", m->name);
        return JS_FALSE;
    }
    const struct tagset *tags = argc > 1 ? js_tags_of(vu, vu->tags, argv[1]) : vu->tags;
    if (!tags) {
        return JS_EXCEPTION;
    }
    shard_add(t->shard, m, tags, value, loop_now(t->loop), vu->metadata);
    return JS_TRUE;
}

JSValue js_mod_metrics(JSContext *ctx)
{
    static const struct {
        const char *name;
        enum metric_type type;
    } types[] = {{"Counter", METRIC_COUNTER},
                 {"Gauge", METRIC_GAUGE},
                 {"Rate", METRIC_RATE},
                 {"Trend", METRIC_TREND}};
    JSValue object = JS_NewObject(ctx);

    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        JSValue constructor = JS_NewCFunctionMagic(ctx, construct, types[i].name, 2,
                                                   JS_CFUNC_constructor_magic, (int)types[i].type);
        JSValue proto = JS_NewObject(ctx);
        JS_DefinePropertyValueStr(ctx, proto, "add", JS_NewCFunction(ctx, metric_add, "add", 2),
                                  JS_PROP_WRITABLE | JS_PROP_CONFIGURABLE);
        JS_SetConstructor(ctx, constructor, proto);
        JS_FreeValue(ctx, proto);
        JS_SetPropertyStr(ctx, object, types[i].name, constructor);
    }
    return object;
}
