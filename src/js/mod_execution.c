// SPDX-License-Identifier: Apache-2.0
// k6/execution: where the script stands in the run.
#include <math.h>

#include "js/vu.h"

static JSValue number(JSContext *ctx, uint64_t n)
{
    return JS_NewInt64(ctx, (int64_t)n);
}

static JSValue ask(JSContext *ctx, uint64_t (*fn)(void *arg))
{
    const struct engine_view *view = js_vu(ctx)->thread->view;

    return number(ctx, view && fn ? fn(view->arg) : 0);
}

// ---- scenario, vu

enum { NAME, EXECUTOR, START_TIME, PROGRESS, IN_INSTANCE, IN_TEST, IN_SCENARIO };

static JSValue scenario_get(JSContext *ctx, JSValueConst self, int which)
{
    struct script_vu *vu = js_vu(ctx);
    const struct script_iteration *it = vu->iteration;

    if (vu->phase != JS_ITERATION || !it) {
        return js_throw(ctx,
                        "getting scenario information outside of the VU context is not supported");
    }
    const struct script_scenario *s = it->scenario;
    const struct engine_view *view = vu->thread->view;
    switch (which) {
    case NAME:
        return JS_NewString(ctx, s->name);
    case EXECUTOR:
        return JS_NewString(ctx, s->executor);
    case START_TIME:
        return JS_NewFloat64(ctx, floor((double)(clock_wall() - (clock_now() - s->start)) / 1e6));
    case PROGRESS:
        return JS_NewFloat64(ctx, view->scenario_progress(view->arg, s));
    case IN_INSTANCE:
        return number(ctx, it->iteration_in_instance);
    default:
        return number(ctx, it->iteration_in_test);
    }
}

static const JSCFunctionListEntry scenario_properties[] = {
    JS_CGETSET_MAGIC_DEF2("name", scenario_get, NULL, NAME, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2("executor", scenario_get, NULL, EXECUTOR, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2("startTime", scenario_get, NULL, START_TIME, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2("progress", scenario_get, NULL, PROGRESS, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2(
        "iterationInInstance", scenario_get, NULL, IN_INSTANCE, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2("iterationInTest", scenario_get, NULL, IN_TEST, JS_PROP_ENUMERABLE),
};

static JSValue vu_get(JSContext *ctx, JSValueConst self, int which)
{
    struct script_vu *vu = js_vu(ctx);
    const struct script_iteration *it = vu->iteration;

    if (vu->phase == JS_INIT) {
        return js_throw(ctx, "getting VU information in the init context is not supported");
    }
    switch (which) {
    case NAME:
        return number(ctx, vu->id);
    case EXECUTOR:
        return number(ctx, vu->id_in_test);
    case IN_SCENARIO:
        return number(ctx, it ? it->iteration_in_scenario : 0);
    default:
        return number(ctx, it ? it->iteration_in_vu : 0);
    }
}

static const JSCFunctionListEntry vu_properties[] = {
    JS_CGETSET_MAGIC_DEF2("idInInstance", vu_get, NULL, NAME, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2("idInTest", vu_get, NULL, EXECUTOR, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2("iterationInInstance", vu_get, NULL, IN_INSTANCE, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2("iterationInScenario", vu_get, NULL, IN_SCENARIO, JS_PROP_ENUMERABLE),
};

// ---- vu.metrics.tags and .metadata: live maps

enum { TAGS = 1, METADATA };

static const struct tagset **map_of(struct script_vu *vu, JSValueConst object)
{
    uintptr_t which = (uintptr_t)JS_GetOpaque(object, js_class[JS_CLS_TAG_MAP]);

    if (!vu->thread->shard) {
        return NULL;
    }
    if (which == METADATA && !vu->metadata) {
        vu->metadata = tagset_empty(shard_tags(vu->thread->shard));
    }
    return which == METADATA ? &vu->metadata : &vu->tags;
}

static int map_get_own(JSContext *ctx, JSPropertyDescriptor *desc, JSValueConst object, JSAtom name)
{
    const struct tagset **map = map_of(js_vu(ctx), object);
    const char *key = JS_AtomToCString(ctx, name);
    const char *value = map && key ? tagset_get(*map, key) : NULL;

    JS_FreeCString(ctx, key);
    if (value && desc) {
        *desc = (JSPropertyDescriptor){.flags = JS_PROP_C_W_E,
                                       .value = JS_NewString(ctx, value),
                                       .getter = JS_UNDEFINED,
                                       .setter = JS_UNDEFINED};
    }
    return value != NULL;
}

static int
map_names(JSContext *ctx, JSPropertyEnum **ret_names, uint32_t *ret_count, JSValueConst object)
{
    const struct tagset **map = map_of(js_vu(ctx), object);
    unsigned n = map ? (*map)->count : 0;
    JSPropertyEnum *names = js_mallocz(ctx, sizeof *names * (n + 1));

    if (!names) {
        return -1;
    }
    for (unsigned i = 0; i < n; i++) {
        names[i] =
            (JSPropertyEnum){.is_enumerable = true, .atom = JS_NewAtom(ctx, (*map)->tags[i].key)};
    }
    *ret_names = names;
    *ret_count = n;
    return 0;
}

static int map_delete(JSContext *ctx, JSValueConst object, JSAtom name)
{
    struct script_vu *vu = js_vu(ctx);
    const struct tagset **map = map_of(vu, object);
    const char *key = JS_AtomToCString(ctx, name);

    if (map && key) {
        *map = tagset_without(shard_tags(vu->thread->shard), *map, slice_of(key));
    }
    JS_FreeCString(ctx, key);
    return 1;
}

static int map_set_property(JSContext *ctx,
                            JSValueConst object,
                            JSAtom name,
                            JSValueConst value,
                            JSValueConst receiver,
                            int flags)
{
    struct script_vu *vu = js_vu(ctx);
    const struct tagset **map = map_of(vu, object);
    struct slice text;

    if (!map) {
        return 0;
    }
    if (!js_tag_text(ctx, value, &text)) {
        if (!JS_HasException(ctx)) {
            JS_ThrowTypeError(ctx, "only String, Boolean and Number types are accepted as a metric "
                                   "tag or metadata value");
        }
        return -1;
    }
    const char *key = JS_AtomToCString(ctx, name);
    if (key) {
        *map = tagset_with(shard_tags(vu->thread->shard), *map, slice_of(key), text);
    }
    JS_FreeCString(ctx, key);
    js_slice_free(ctx, text);
    return key ? 1 : -1;
}

static const JSClassExoticMethods map_methods = {
    .get_own_property = map_get_own,
    .get_own_property_names = map_names,
    .delete_property = map_delete,
    .set_property = map_set_property,
};
const JSClassDef js_tag_map_class = {"TagMap",
                                     .exotic = (JSClassExoticMethods *)(uintptr_t)&map_methods};

static JSValue new_map(JSContext *ctx, uintptr_t which)
{
    JSValue proto = JS_NewObject(ctx);
    JSValue map = JS_NewObjectProtoClass(ctx, proto, js_class[JS_CLS_TAG_MAP]);

    JS_FreeValue(ctx, proto);
    JS_SetOpaque(map, (void *)which);
    return map;
}

// ---- instance

enum { INTERRUPTED, COMPLETED, ACTIVE, INITIALIZED, DURATION };

static JSValue instance_get(JSContext *ctx, JSValueConst self, int which)
{
    struct script_vu *vu = js_vu(ctx);
    const struct engine_view *view = vu->thread->view;

    switch (which) {
    case INTERRUPTED:
        return ask(ctx, view ? view->iterations_interrupted : NULL);
    case COMPLETED:
        return ask(ctx, view ? view->iterations_completed : NULL);
    case ACTIVE:
        if (vu->phase == JS_TEARDOWN) {
            return js_throw(ctx, "getting the number of active VUs is not supported in teardown");
        }
        return ask(ctx, view ? view->vus_active : NULL);
    case INITIALIZED:
        return ask(ctx, view ? view->vus_initialized : NULL);
    default: {
        nsec_t start = view ? view->test_start(view->arg) : 0;
        return JS_NewFloat64(ctx, start ? (double)(clock_now() - start) / NSEC_PER_MSEC : 0);
    }
    }
}

static const JSCFunctionListEntry instance_properties[] = {
    JS_CGETSET_MAGIC_DEF2(
        "iterationsInterrupted", instance_get, NULL, INTERRUPTED, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2("iterationsCompleted", instance_get, NULL, COMPLETED, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2("vusActive", instance_get, NULL, ACTIVE, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2("vusInitialized", instance_get, NULL, INITIALIZED, JS_PROP_ENUMERABLE),
    JS_CGETSET_MAGIC_DEF2(
        "currentTestRunDuration", instance_get, NULL, DURATION, JS_PROP_ENUMERABLE),
};

// ---- test

static JSValue test_abort(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);
    const struct engine_view *view = vu->thread->view;
    const char *reason = argc && !JS_IsUndefined(argv[0]) ? JS_ToCString(ctx, argv[0]) : NULL;
    CLEANUP_FREE char *text =
        reason ? xasprintf("test aborted: %s", reason) : xstrdup("test aborted");

    JS_FreeCString(ctx, reason);
    if (view) {
        view->abort(view->arg, text);
    }
    vu->aborted = true;
    return js_vu_throw_interrupted(vu);
}

static JSValue test_fail(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);
    const struct engine_view *view = vu->thread->view;

    if (vu->phase != JS_ITERATION || !view) {
        return js_throw(ctx,
                        "marking the test as failed outside of the VU context is not supported");
    }
    const char *reason = argc && !JS_IsUndefined(argv[0]) ? JS_ToCString(ctx, argv[0]) : NULL;
    CLEANUP_FREE char *text = reason ? xasprintf("test run marked as failed: %s", reason)
                                     : xstrdup("test run marked as failed");
    JS_FreeCString(ctx, reason);
    view->fail(view->arg, text);
    return JS_UNDEFINED;
}

static void deep_freeze(JSContext *ctx, JSValueConst v);

static int freeze_member(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    deep_freeze(ctx, value);
    return 0;
}

static void deep_freeze(JSContext *ctx, JSValueConst v)
{
    if (JS_IsObject(v)) {
        js_each_property(ctx, v, freeze_member, NULL);
        JS_FreezeObject(ctx, v);
    }
}

static JSValue test_options(JSContext *ctx, JSValueConst self)
{
    struct script_vu *vu = js_vu(ctx);

    if (vu->phase == JS_INIT || !vu->thread->settings || !vu->thread->settings->options_json) {
        return js_throw(ctx, "getting test options in the init context is not supported");
    }
    const char *json = vu->thread->settings->options_json;
    JSValue options = JS_ParseJSON(ctx, json, strlen(json), "options");
    deep_freeze(ctx, options);
    return options;
}

static const JSCFunctionListEntry test_properties[] = {
    JS_CFUNC_DEF2("abort", 1, test_abort, JS_PROP_ENUMERABLE),
    JS_CFUNC_DEF2("fail", 1, test_fail, JS_PROP_ENUMERABLE),
    {"options",
     JS_PROP_ENUMERABLE,
     JS_DEF_CGETSET,
     0,
     {.getset = {.get = {.getter = test_options}}}},
};

// ---- the module

static JSValue part(JSContext *ctx, const JSCFunctionListEntry *list, int n)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, object, list, n);
    return object;
}

static JSValue vu_part(JSContext *ctx)
{
    JSValue object = part(ctx, vu_properties, ARRAY_SIZE(vu_properties));
    JSValue tags = new_map(ctx, TAGS);
    JSValue metrics = JS_NewObject(ctx);

    JS_DefinePropertyValueStr(ctx, metrics, "tags", JS_DupValue(ctx, tags), JS_PROP_ENUMERABLE);
    JS_DefinePropertyValueStr(ctx, metrics, "metadata", new_map(ctx, METADATA), JS_PROP_ENUMERABLE);
    JS_DefinePropertyValueStr(ctx, object, "tags", tags, JS_PROP_ENUMERABLE);
    JS_DefinePropertyValueStr(ctx, object, "metrics", metrics, JS_PROP_ENUMERABLE);
    return object;
}

JSValue js_mod_execution(JSContext *ctx)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyStr(ctx, object, "instance",
                      part(ctx, instance_properties, ARRAY_SIZE(instance_properties)));
    JS_SetPropertyStr(ctx, object, "scenario",
                      part(ctx, scenario_properties, ARRAY_SIZE(scenario_properties)));
    JS_SetPropertyStr(ctx, object, "test", part(ctx, test_properties, ARRAY_SIZE(test_properties)));
    JS_SetPropertyStr(ctx, object, "vu", vu_part(ctx));
    return object;
}
