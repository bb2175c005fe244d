// SPDX-License-Identifier: Apache-2.0
// k6: check, fail, group, sleep, randomSeed.
#include <math.h>

#include "js/vu.h"

static bool in_vu_code(JSContext *ctx, const char *what)
{
    if (js_vu(ctx)->phase == JS_INIT || !js_vu(ctx)->thread->shard) {
        js_throw(ctx, "%s is not available in the init context", what);
        return false;
    }
    return true;
}

struct check_arg {
    struct script_vu *vu;
    const struct tagset *tags;
    JSValueConst value;
    nsec_t now;
    bool all;
};

static void add_check(struct check_arg *a, struct slice name, bool passed)
{
    struct script_thread *t = a->vu->thread;
    const struct tagset *tags = a->tags;

    if (t->settings->system_tags & SYSTEM_TAG_BIT(CHECK)) {
        tags = tagset_with(shard_tags(t->shard), tags, SLICE("check"), name);
    }
    shard_add(t->shard, metric_by_id(t->script->registry, METRIC_CHECKS), tags, passed, a->now,
              a->vu->metadata);
}

static int check_one(void *arg, JSContext *ctx, struct slice name, JSValueConst check)
{
    struct check_arg *a = arg;
    JSValue result = JS_DupValue(ctx, check);

    if (memmem(name.p, name.n, "::", 2)) {
        JS_FreeValue(ctx, result);
        js_throw(ctx, "group and check names may not contain '::'");
        return -1;
    }
    if (JS_IsFunction(ctx, check)) {
        JS_FreeValue(ctx, result);
        if (JS_IsAsyncFunction(check)) {
            js_throw(ctx, "check '%.*s' is an async function, which is not supported",
                     (int)MIN(name.n, 100u), name.p);
            return -1;
        }
        result = JS_Call(ctx, check, JS_UNDEFINED, 1, &a->value);
        if (JS_IsException(result)) {
            add_check(a, name, false);
            return -1;
        }
    }
    bool passed = JS_ToBool(ctx, result) == 1;
    JS_FreeValue(ctx, result);
    add_check(a, name, passed);
    a->all &= passed;
    return 0;
}

static JSValue k6_check(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);

    if (!in_vu_code(ctx, "check()")) {
        return JS_EXCEPTION;
    }
    if (argc < 2 || js_is_nullish(argv[1])) {
        return js_throw(ctx, "no checks provided to `check`");
    }
    struct check_arg a = {vu, vu->tags, argv[0], loop_now(vu->thread->loop), true};
    if (argc > 2 && !(a.tags = js_tags_of(vu, vu->tags, argv[2]))) {
        return JS_EXCEPTION;
    }
    if (js_each_property(ctx, argv[1], check_one, &a)) {
        return JS_EXCEPTION;
    }
    return JS_NewBool(ctx, a.all);
}

static JSValue k6_fail(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct slice text;

    if (argc < 1 || JS_IsUndefined(argv[0])) {
        return js_throw(ctx, "%s", "");
    }
    if (!js_slice(ctx, argv[0], &text)) {
        return JS_EXCEPTION;
    }
    JSValue result = js_throw(ctx, "%.*s", (int)text.n, text.p);
    js_slice_free(ctx, text);
    return result;
}

static JSValue k6_group(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);
    struct script_thread *t = vu->thread;
    struct slice name;

    if (!in_vu_code(ctx, "group()")) {
        return JS_EXCEPTION;
    }
    if (argc < 2 || !JS_IsFunction(ctx, argv[1])) {
        return js_throw(ctx, "group() requires a callback as a second argument");
    }
    if (JS_IsAsyncFunction(argv[1])) {
        return js_throw(ctx, "group() does not support async functions as arguments");
    }
    if (!js_slice(ctx, argv[0], &name)) {
        return JS_EXCEPTION;
    }
    if (memmem(name.p, name.n, "::", 2)) {
        js_slice_free(ctx, name);
        return js_throw(ctx, "group and check names may not contain '::'");
    }
    size_t outer = vu->group.n;
    strbuf_adds(&vu->group, "::");
    strbuf_add(&vu->group, name.p, name.n);
    js_slice_free(ctx, name);
    js_vu_set_group(vu, (struct slice){vu->group.p, vu->group.n});
    nsec_t start = loop_update_now(t->loop);
    JSValue result = JS_Call(ctx, argv[1], JS_UNDEFINED, 0, NULL);
    nsec_t now = loop_update_now(t->loop);
    shard_add(t->shard, metric_by_id(t->script->registry, METRIC_GROUP_DURATION), vu->tags,
              (double)(now - start) / NSEC_PER_MSEC, now, vu->metadata);
    vu->group.n = outer;
    vu->group.p[outer] = 0;
    js_vu_set_group(vu, (struct slice){vu->group.p, outer});
    return result;
}

static JSValue k6_sleep(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);
    double seconds = 0;

    if (argc < 1 || JS_ToFloat64(ctx, &seconds, argv[0])) {
        return argc < 1 ? js_throw(ctx, "sleep() needs a number of seconds") : JS_EXCEPTION;
    }
    if (!(seconds > 0)) {
        return JS_UNDEFINED;
    }
    nsec_t d = (nsec_t)(MIN(seconds, 1e9) * NSEC_PER_SEC);
    nsec_t due = loop_update_now(vu->thread->loop) + d;
    if (JS_AWAIT(vu, co_await_until(due)) < 0) {
        return js_vu_throw_interrupted(vu);
    }
    return JS_UNDEFINED;
}

static JSValue k6_random_seed(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    int64_t seed = 0;

    if (argc < 1 || JS_ToInt64(ctx, &seed, argv[0])) {
        return JS_EXCEPTION;
    }
    struct rng rng;
    rng_init(&rng, (uint64_t)seed, 0);
    qx_random_seed(ctx, rng_u64(&rng));
    return JS_UNDEFINED;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF2("check", 2, k6_check, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("fail", 1, k6_fail, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("group", 2, k6_group, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("sleep", 1, k6_sleep, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("randomSeed", 1, k6_random_seed, JS_PROP_C_W_E),
};

JSValue js_mod_k6(JSContext *ctx)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, object, functions, ARRAY_SIZE(functions));
    return object;
}
