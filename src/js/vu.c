// SPDX-License-Identifier: Apache-2.0
// Life of a virtual user: init code, iterations, hooks.
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "js/vu.h"

// ---- tags

static const struct tagset *with_system(
    struct script_vu *vu, const struct tagset *t, unsigned bit, const char *key, struct slice value)
{
    if (!(vu->thread->settings->system_tags & bit)) {
        return t;
    }
    return tagset_with(shard_tags(vu->thread->shard), t, slice_of(key), value);
}

void js_vu_set_group(struct script_vu *vu, struct slice path)
{
    if (path.p != vu->group.p) {
        strbuf_reset(&vu->group);
        strbuf_add(&vu->group, path.p, path.n);
    }
    if (vu->thread->shard) {
        vu->tags = with_system(vu, vu->tags, SYSTEM_TAG_BIT(GROUP), "group", path);
    }
}

void js_vu_set_scenario(struct script_vu *vu, const struct script_scenario *scenario)
{
    struct script_thread *t = vu->thread;

    vu->scenario = scenario;
    if (!t->shard) {
        return;
    }
    vu->tags = t->run_tags;
    if (scenario) {
        vu->tags = with_system(vu, vu->tags, SYSTEM_TAG_BIT(SCENARIO), "scenario",
                               slice_of(scenario->name));
        for (unsigned i = 0; i < scenario->tag_count; i++) {
            vu->tags = tagset_with(shard_tags(t->shard), vu->tags, slice_of(scenario->tags[i].key),
                                   slice_of(scenario->tags[i].value));
        }
    }
    js_vu_set_group(vu, SLICE(""));
    vu->user_base = vu->tags;
    vu->metadata = NULL;
}

// The tags vu and iter are no series of their own: they are metadata.
static void set_metadata(struct script_vu *vu)
{
    struct tag_interner *in = shard_tags(vu->thread->shard);
    unsigned on = vu->thread->settings->system_tags;
    char number[24];

    if (!(on & (SYSTEM_TAG_BIT(VU) | SYSTEM_TAG_BIT(ITER)))) {
        return;
    }
    const struct tagset *m = vu->metadata ? vu->metadata : tagset_empty(in);
    if (on & SYSTEM_TAG_BIT(VU)) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)vu->id);
        m = tagset_with(in, m, SLICE("vu"), slice_of(number));
    }
    if ((on & SYSTEM_TAG_BIT(ITER)) && vu->iteration) {
        snprintf(number, sizeof number, "%llu", (unsigned long long)vu->iteration->iteration_in_vu);
        m = tagset_with(in, m, SLICE("iter"), slice_of(number));
    }
    vu->metadata = m;
}

const struct tagset *js_vu_tags(struct script_vu *vu, const struct tagset **ret_metadata)
{
    if (ret_metadata) {
        *ret_metadata = vu->metadata;
    }
    return vu->tags;
}

void js_vu_take_bytes(struct script_vu *vu, uint64_t *ret_sent, uint64_t *ret_received)
{
    *ret_sent = vu->bytes_sent;
    *ret_received = vu->bytes_received;
    vu->bytes_sent = vu->bytes_received = 0;
}

// ---- making and freeing

JSValue js_vu_export(struct script_vu *vu, const char *name)
{
    if (vu->root) {
        return qx_export(vu->ctx, vu->root, name);
    }
    return JS_IsObject(vu->exports) ? JS_GetPropertyStr(vu->ctx, vu->exports, name) : JS_UNDEFINED;
}

// How a call ended: the exception (if any) into `text`. Entered before and after.
static enum script_result outcome(struct script_vu *vu, JSValue result, struct strbuf *text)
{
    JSContext *ctx = vu->ctx;

    if (!JS_IsException(result)) {
        return SCRIPT_OK;
    }
    JSValue exception = JS_GetException(ctx);
    if (vu->aborted || vu->interrupted) {
        JS_FreeValue(ctx, exception);
        return vu->aborted ? SCRIPT_ABORTED : SCRIPT_INTERRUPTED;
    }
    if (qx_is_out_of_memory(ctx, exception)) {
        JS_FreeValue(ctx, exception);
        strbuf_addf(text, "out of memory: the virtual user needs more than it may have "
                          "(--vu-memory)");
        return SCRIPT_INTERRUPTED;
    }
    if (vu->uncaught_in_promise) {
        strbuf_adds(text, "Uncaught (in promise) ");
    }
    js_format_exception(ctx, text, exception);
    return SCRIPT_THREW;
}

static void begin(struct script_vu *vu, enum js_phase phase)
{
    vu->phase = phase;
    vu->interrupted = vu->aborted = vu->uncaught_in_promise = false;
    js_vu_collect(vu, false);
    js_vu_enter(vu);
}

static void end(struct script_vu *vu, enum script_result result)
{
    if (!list_empty(&vu->timers) && result == SCRIPT_THREW) {
        js_log_warn(vu, "the event loop of a virtual user was stopped with timers pending");
    }
    js_vu_drop_pending(vu);
    js_vu_leave(vu);
}

static struct script_vu *vu_alloc(struct script_thread *t, uint64_t id, uint64_t id_in_test)
{
    struct script_vu *vu = XNEW(struct script_vu);

    vu->thread = t;
    vu->id = id;
    vu->id_in_test = id_in_test;
    qx_state_init(&vu->state);
    list_init(&vu->timers);
    list_init(&vu->running);
    list_init(&vu->finished);
    vu->exports = vu->required = vu->env = JS_UNDEFINED;
    vu->data = vu->rejected = vu->rejected_promise = JS_UNINITIALIZED;
    rng_init(&vu->rng, t->settings ? t->settings->seed : t->script->seed, id_in_test);
    t->vus++;
    return vu;
}

int js_vu_new(struct script_thread *t,
              uint64_t vu_id,
              uint64_t vu_id_in_test,
              struct script_vu **ret_vu,
              struct err *err)
{
    struct script_vu *vu = vu_alloc(t, vu_id, vu_id_in_test);
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    int r = 0;

    js_vu_set_scenario(vu, NULL);
    begin(vu, JS_INIT);
    vu->ctx = js_context_new(t);
    JS_SetContextOpaque(vu->ctx, vu);
    vu->required = JS_NewObjectProto(vu->ctx, JS_NULL);
    js_globals_install(vu);
    JSValue result = js_vu_await(vu, js_loader_instantiate(vu));
    if (JS_IsException(result)) {
        if (vu->aborted || vu->interrupted) {
            JS_FreeValue(vu->ctx, JS_GetException(vu->ctx));
            r = err_set(err, vu->aborted ? SCRIPT_ABORTED : SCRIPT_INTERRUPTED, "%s",
                        vu->aborted ? "test aborted" : "interrupted");
        } else {
            r = js_exception_to_err(vu->ctx, JS_GetException(vu->ctx), err);
        }
    }
    JS_FreeValue(vu->ctx, result);
    if (r) {
        end(vu, SCRIPT_OK);
        js_vu_free(vu);
        return r;
    }
    js_vu_leave(vu); // timers of the init code stay
    *ret_vu = vu;
    return 0;
}

void js_vu_set_data(struct script_vu *vu, const char *setup_data)
{
    free(vu->data_json);
    vu->data_json = setup_data ? xstrdup(setup_data) : NULL;
    JS_FreeValue(vu->ctx, vu->data);
    vu->data = JS_UNINITIALIZED;
}

void js_vu_free(struct script_vu *vu)
{
    JSContext *ctx = vu->ctx;

    if (!vu) {
        return;
    }
    while (!list_empty(&vu->timers)) {
        js_timer_free(vu, LIST_ENTRY(vu->timers.next, struct js_timer, link));
    }
    js_http_vu_free(vu);
    qx_state_fini(ctx, &vu->state);
    JS_FreeValue(ctx, vu->exports);
    JS_FreeValue(ctx, vu->required);
    JS_FreeValue(ctx, vu->env);
    JS_FreeValue(ctx, vu->data);
    JS_FreeValue(ctx, vu->rejected);
    JS_FreeValue(ctx, vu->rejected_promise);
    JS_SetContextOpaque(ctx, NULL);
    JS_FreeContext(ctx); // the rest of its memory returns with the next collection
    vu->thread->vus--;
    strbuf_fini(&vu->group);
    free(vu->data_json);
    free(vu);
}

void js_vu_interrupt(struct script_vu *vu)
{
    vu->interrupted = true;
}

// ---- iterations

static JSValue setup_data(struct script_vu *vu)
{
    if (JS_IsUninitialized(vu->data)) {
        vu->data = vu->data_json
                       ? JS_ParseJSON(vu->ctx, vu->data_json, strlen(vu->data_json), "setup data")
                       : JS_UNDEFINED;
    }
    return JS_DupValue(vu->ctx, vu->data);
}

static void log_exception(struct script_vu *vu, const struct strbuf *text)
{
    const struct script_scenario *scenario = vu->iteration->scenario;
    struct log_field fields[] = {
        {"executor", scenario->executor}, {"scenario", scenario->name}, {"source", "stacktrace"}};

    log_write(LOG_ERROR, strbuf_str(text), fields, ARRAY_SIZE(fields));
}

static void start_iteration(struct script_vu *vu, const struct script_iteration *iteration)
{
    JSContext *ctx = vu->ctx;

    if (vu->scenario != iteration->scenario) {
        const struct script_scenario *former = vu->scenario;
        js_vu_set_scenario(vu, iteration->scenario);
        if (iteration->scenario->env || (former && former->env)) {
            js_env_reset(vu);
        }
    } else if (vu->group.n) {
        js_vu_set_group(vu, SLICE(""));
    }
    set_metadata(vu);
    js_http_iteration_start(vu);
    JSValue global = JS_GetGlobalObject(ctx);
    JS_SetProperty(ctx, global, JS_ATOM_OF(vu, __ITER),
                   JS_NewInt64(ctx, (int64_t)iteration->iteration_in_vu));
    JS_FreeValue(ctx, global);
}

// The variable is looked up once; its value may change.
static JSValue exec_function(struct script_vu *vu, const struct script_scenario *scenario)
{
    if (!vu->root) {
        return js_vu_export(vu, scenario->exec);
    }
    if (vu->exec_of != scenario) {
        vu->exec_of = scenario;
        vu->exec_ref = qx_export_ref(vu->ctx, vu->root, scenario->exec);
    }
    return qx_export_value(vu->ctx, vu->exec_ref);
}

enum script_result js_vu_iterate(struct script_vu *vu, const struct script_iteration *iteration)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    JSContext *ctx = vu->ctx;

    vu->iteration = iteration;
    begin(vu, JS_ITERATION);
    start_iteration(vu, iteration);
    JSValue fn = exec_function(vu, iteration->scenario);
    JSValue data = setup_data(vu);
    JSValue result =
        JS_IsFunction(ctx, fn)
            ? JS_Call(ctx, fn, JS_UNDEFINED, 1, (JSValueConst *)&data)
            : js_throw(ctx, "function '%s' not found in exports", iteration->scenario->exec);
    JS_FreeValue(ctx, data);
    JS_FreeValue(ctx, fn);
    result = js_vu_run_to_end(vu, result);
    enum script_result how = outcome(vu, result, &text);
    JS_FreeValue(ctx, result);
    js_http_iteration_end(vu);
    end(vu, how);
    if (text.n) {
        log_exception(vu, &text);
    }
    vu->iteration = NULL;
    return how;
}

// ---- hooks

// Calls the exported function. *ret_value on success; on failure err.
static enum script_result call_hook(
    struct script_vu *vu, const char *name, JSValue argument, JSValue *ret_value, struct err *err)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    JSContext *ctx = vu->ctx;
    JSValue fn = js_vu_export(vu, name);
    JSValue result = JS_UNDEFINED;

    js_http_iteration_start(vu);
    if (JS_IsFunction(ctx, fn) && !JS_IsException(argument)) {
        result = js_vu_run_to_end(vu, JS_Call(ctx, fn, JS_UNDEFINED, 1, (JSValueConst *)&argument));
    } else if (JS_IsException(argument)) {
        result = JS_EXCEPTION;
    }
    JS_FreeValue(ctx, argument);
    JS_FreeValue(ctx, fn);
    enum script_result how = outcome(vu, result, &text);
    js_http_iteration_end(vu);
    if (how != SCRIPT_OK) {
        while (text.n && text.p[text.n - 1] == '\n') {
            text.p[--text.n] = 0;
        }
        err_set(err, (int)how, "%s",
                text.n                  ? text.p
                : how == SCRIPT_ABORTED ? "test aborted"
                                        : "interrupted");
    }
    *ret_value = result;
    return how;
}

static void hook_tags(struct script_vu *vu, const char *group)
{
    js_vu_set_scenario(vu, NULL);
    js_vu_set_group(vu, slice_of(group));
    set_metadata(vu);
}

enum script_result js_vu_setup(struct script_vu *vu, struct strbuf *ret_json, struct err *err)
{
    JSValue value;

    hook_tags(vu, "::setup");
    begin(vu, JS_SETUP);
    enum script_result how = call_hook(vu, "setup", JS_UNDEFINED, &value, err);
    if (how == SCRIPT_OK && !JS_IsUndefined(value) &&
        !js_setup_json(vu->ctx, ret_json, value, 0, err)) {
        how = SCRIPT_THREW;
    }
    JS_FreeValue(vu->ctx, value);
    end(vu, how);
    return how;
}

enum script_result js_vu_teardown(struct script_vu *vu, struct err *err)
{
    JSValue value;

    hook_tags(vu, "::teardown");
    begin(vu, JS_TEARDOWN);
    enum script_result how = call_hook(vu, "teardown", setup_data(vu), &value, err);
    JS_FreeValue(vu->ctx, value);
    end(vu, how);
    return how;
}

struct summary_files {
    struct strbuf *out;
    bool any;
};

static int add_summary_file(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    struct summary_files *files = arg;
    struct slice bytes;
    JSValue name = js_string(ctx, key);
    JSValue quoted = JS_JSONStringify(ctx, name, JS_UNDEFINED, JS_UNDEFINED);
    JSValue content = JS_UNDEFINED;

    if (js_bytes(ctx, value, &bytes)) {
        CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
        js_base64_encode(&text, bytes, "std");
        JSValue object = JS_NewObject(ctx);
        JS_SetPropertyStr(ctx, object, "base64", JS_NewStringLen(ctx, strbuf_str(&text), text.n));
        content = JS_JSONStringify(ctx, object, JS_UNDEFINED, JS_UNDEFINED);
        JS_FreeValue(ctx, object);
    } else if (JS_IsString(value)) {
        content = JS_JSONStringify(ctx, value, JS_UNDEFINED, JS_UNDEFINED);
    } else {
        content = js_throw(ctx, "handleSummary() must give a string or an ArrayBuffer for '%.*s'",
                           (int)MIN(key.n, 100u), key.p);
    }
    struct slice n = {0}, c = {0};
    int r = JS_IsException(content) || !js_slice(ctx, quoted, &n) || !js_slice(ctx, content, &c);
    if (!r) {
        strbuf_addf(files->out, "%s%.*s:", files->any ? "," : "", (int)n.n, n.p);
        strbuf_add(files->out, c.p, c.n);
        files->any = true;
    }
    js_slice_free(ctx, n);
    js_slice_free(ctx, c);
    JS_FreeValue(ctx, name);
    JS_FreeValue(ctx, quoted);
    JS_FreeValue(ctx, content);
    return r ? -1 : 0;
}

enum script_result
js_vu_summary(struct script_vu *vu, const char *data_json, struct strbuf *ret_json, struct err *err)
{
    struct summary_files files = {ret_json, false};
    JSValue value;

    hook_tags(vu, "");
    begin(vu, JS_SUMMARY);
    enum script_result how =
        call_hook(vu, "handleSummary",
                  JS_ParseJSON(vu->ctx, data_json, strlen(data_json), "summary data"), &value, err);
    strbuf_addc(ret_json, '{');
    if (how == SCRIPT_OK && JS_IsObject(value) &&
        js_each_property(vu->ctx, value, add_summary_file, &files)) {
        js_exception_to_err(vu->ctx, JS_GetException(vu->ctx), err);
        how = SCRIPT_THREW;
    }
    strbuf_addc(ret_json, '}');
    JS_FreeValue(vu->ctx, value);
    end(vu, how);
    return how;
}
