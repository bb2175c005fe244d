// SPDX-License-Identifier: Apache-2.0
// The script seam: scripts, worker threads and the runtime of each.
#include <errno.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "js/js.h"
#include "js/vu.h"

#define MAX_SCRIPT_BYTES ((size_t)64 << 20)

JSClassID js_class[JS_CLS_N_];

void js_classes_register(JSRuntime *rt)
{
    static const JSClassDef *const defs[JS_CLS_N_] = {
        [JS_CLS_METRIC] = &js_metric_class,     [JS_CLS_RESPONSE] = &js_response_class,
        [JS_CLS_JAR] = &js_jar_class,           [JS_CLS_SHARED_ARRAY] = &js_shared_array_class,
        [JS_CLS_HASHER] = &js_hasher_class,     [JS_CLS_TAG_MAP] = &js_tag_map_class,
        [JS_CLS_CALLBACK] = &js_callback_class, [JS_CLS_KEY] = &js_key_class,
    };

    // Ids are given out on the main thread by the first runtime, and kept.
    for (unsigned i = 0; i < JS_CLS_N_; i++) {
        JS_NewClassID(rt, &js_class[i]);
        JS_NewClass(rt, js_class[i], defs[i]);
    }
}

// All built-ins but those that k6 lacks and scripts would take for a browser's.
static JSContext *new_context(JSRuntime *rt)
{
    JSContext *ctx = JS_NewContextRaw(rt);

    ASSERT(ctx);
    JS_AddIntrinsicBaseObjects(ctx);
    JS_AddIntrinsicDate(ctx);
    JS_AddIntrinsicEval(ctx);
    JS_AddIntrinsicRegExp(ctx);
    JS_AddIntrinsicJSON(ctx);
    JS_AddIntrinsicProxy(ctx);
    JS_AddIntrinsicMapSet(ctx);
    JS_AddIntrinsicTypedArrays(ctx);
    JS_AddIntrinsicPromise(ctx);
    JS_AddIntrinsicBigInt(ctx);
    JS_AddIntrinsicWeakRef(ctx);
    return ctx;
}

JSContext *js_context_new(struct script_thread *t)
{
    return new_context(t->rt);
}

static void fill_thread(struct script_thread *t)
{
    static const char *const names[JS_ATOM_N_] = {
#define X(name) #name,
        JS_ATOMS(X)
#undef X
    };
    char *const *env = t->script->env;

    for (unsigned i = 0; i < JS_ATOM_N_; i++) {
        t->atoms[i] = JS_NewAtom(t->model, names[i]);
    }
    while (env[t->env_count]) {
        t->env_count++;
    }
    t->env_names = xcalloc(t->env_count + 1, sizeof *t->env_names);
    t->env_values = xcalloc(t->env_count + 1, sizeof *t->env_values);
    for (unsigned i = 0; i < t->env_count; i++) {
        struct slice value = slice_of(env[i]);
        struct slice name = slice_cut(&value, '=');
        t->env_names[i] = JS_NewAtomLen(t->model, name.p, name.n);
        t->env_values[i] = js_string_of_bytes(t->model, value);
    }
}

static void thread_free(struct script_thread *t)
{
    if (!t) {
        return;
    }
    ASSERT(t->vus == 0);
    js_http_thread_free(t);
    qx_plan_free(t->plan);
    MAP_FOREACH (it, &t->commonjs) {
        JSValue *code = it->value;
        JS_FreeValue(t->model, *code);
        free(code);
    }
    map_fini(&t->commonjs);
    for (unsigned i = 0; i < JS_ATOM_N_; i++) {
        JS_FreeAtom(t->model, t->atoms[i]);
    }
    for (unsigned i = 0; i < t->env_count; i++) {
        JS_FreeAtom(t->model, t->env_names[i]);
        JS_FreeValue(t->model, t->env_values[i]);
    }
    free(t->env_names);
    free(t->env_values);
    JS_FreeContext(t->model);
    JS_RunGC(t->rt);
    JS_FreeRuntime(t->rt);
    free(t);
}

static int thread_new(struct script *s,
                      const struct script_settings *settings,
                      struct loop *l,
                      struct shard *shard,
                      const struct engine_view *view,
                      struct script_thread **ret_thread,
                      struct err *err)
{
    struct script_thread *t = XNEW(struct script_thread);

    t->script = s;
    t->settings = settings;
    t->loop = l;
    t->shard = shard;
    t->view = view;
    t->rt = JS_NewRuntime();
    ASSERT(t->rt);
    JS_SetRuntimeOpaque(t->rt, t);
    JS_SetMaxStackSize(t->rt, 0); // js_vu_enter() sets the limit of each coroutine
    js_classes_register(t->rt);
    js_loader_install(t);
    js_run_install(t);
    t->model = new_context(t->rt);
    fill_thread(t);
    if (shard) {
        t->run_tags = tagset_empty(shard_tags(shard));
        for (unsigned i = 0; i < settings->tag_count; i++) {
            t->run_tags =
                tagset_with(shard_tags(shard), t->run_tags, slice_of(settings->tags[i].key),
                            slice_of(settings->tags[i].value));
        }
    }
    if (js_loader_compile(t)) {
        int r = js_exception_to_err(t->model, JS_GetException(t->model), err);
        thread_free(t);
        return r;
    }
    *ret_thread = t;
    return 0;
}

// ---- opening

static void script_free(struct script *s)
{
    if (!s) {
        return;
    }
    MAP_FOREACH (it, &s->files) {
        struct js_file *file = it->value;
        free(file->path);
        free(file->text);
        free(file);
    }
    map_fini(&s->files);
    map_fini(&s->exports);
    js_shared_arrays_free(s);
    for (char **e = s->env; e && *e; e++) {
        free(*e);
    }
    free(s->env);
    free(s->path);
    free(s->name);
    free(s->folder);
    free(s->options);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static char **copy_env(const char *const *env)
{
    unsigned n = 0;

    while (env && env[n]) {
        n++;
    }
    char **copy = xcalloc(n + 1, sizeof *copy);
    for (unsigned i = 0; i < n; i++) {
        copy[i] = xstrdup(env[i]);
    }
    return copy;
}

static int read_source(struct script *s, const struct script_source *source, struct err *err)
{
    struct strbuf text = STRBUF_NULL;
    CLEANUP_FREE char *cwd = getcwd(NULL, 0);

    if (!cwd) {
        return err_set(err, -errno, "cannot tell the current directory: %s", err_errno(-errno));
    }
    bool is_stdin = !strcmp(source->path, "-");
    if (source->text) {
        strbuf_adds(&text, source->text);
    } else {
        int r = fs_read(source->path, MAX_SCRIPT_BYTES, &text, err);
        if (r) {
            strbuf_fini(&text);
            return r;
        }
    }
    CLEANUP_FREE char *joined = is_stdin ? xstrdup("/-") : fs_join(cwd, source->path);
    char *real = is_stdin ? NULL : realpath(joined, NULL);
    s->path = real ? real : xstrdup(joined);
    s->folder = is_stdin ? xstrdup(cwd) : fs_dirname(s->path);
    s->name = xasprintf("file://%s", s->path);
    struct js_file *file = XNEW(struct js_file);
    file->path = xstrdup(s->path);
    file->n = text.n;
    file->text = strbuf_take(&text);
    map_sets(&s->files, s->path, file);
    return 0;
}

struct opening {
    struct script *script;
    struct script_thread *thread;
    struct err *err;
    int result;
};

static int note_export(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    struct script *s = arg;

    if (JS_IsFunction(ctx, value)) {
        map_set(&s->exports, key, s);
    }
    return 0;
}

// What the script exports: options as JSON, names of functions. 0 or SCRIPT_THREW.
static int note_exports(struct script *s, struct script_vu *vu, struct err *err)
{
    JSContext *ctx = vu->ctx;
    JSValue exports =
        vu->root ? JS_GetModuleNamespace(ctx, vu->root) : JS_DupValue(ctx, vu->exports);
    struct slice text = SLICE("{}");
    int r = 0;

    if (!JS_IsObject(exports)) {
        JS_FreeValue(ctx, exports);
        s->options = xstrdup("{}");
        return 0;
    }
    JSValue options = JS_GetPropertyStr(ctx, exports, "options");
    JSValue json = js_is_nullish(options)
                       ? JS_UNDEFINED
                       : JS_JSONStringify(ctx, options, JS_UNDEFINED, JS_UNDEFINED);
    if (JS_IsException(json) || js_each_property(ctx, exports, note_export, s)) {
        r = js_exception_to_err(ctx, JS_GetException(ctx), err);
    } else if (JS_IsString(json) && js_slice(ctx, json, &text)) {
        s->options = xstrndup(text.p, text.n);
        js_slice_free(ctx, text);
    }
    if (!s->options) {
        s->options = xstrdup("{}");
    }
    JS_FreeValue(ctx, json);
    JS_FreeValue(ctx, options);
    JS_FreeValue(ctx, exports);
    return r;
}

static void open_in_coroutine(void *arg)
{
    struct opening *o = arg;
    struct script_vu *vu = NULL;

    o->result = js_vu_new(o->thread, 0, 0, &vu, o->err);
    if (o->result == 0) {
        js_vu_enter(vu);
        o->result = note_exports(o->script, vu, o->err);
        js_vu_leave(vu);
        js_vu_free(vu);
    }
    loop_stop(o->thread->loop);
}

static int
script_open(const struct script_source *source, struct script **ret_script, struct err *err)
{
    struct script *s = XNEW(struct script);
    struct opening o = {.script = s, .err = err};

    pthread_mutex_init(&s->lock, NULL);
    s->env = copy_env(source->env);
    s->registry = source->registry;
    s->seed = source->seed;
    int r = read_source(s, source, err);
    if (r) {
        script_free(s);
        return r;
    }
    CLEANUP(loop_free_p) struct loop *l = loop_new();
    r = thread_new(s, NULL, l, NULL, NULL, &o.thread, err);
    if (r == 0) {
        co_spawn(l, open_in_coroutine, &o, NULL);
        loop_run(l);
        r = o.result;
        thread_free(o.thread);
    }
    if (r) {
        script_free(s);
        return r;
    }
    s->sealed = true;
    *ret_script = s;
    return 0;
}

static const char *script_options(const struct script *s)
{
    return s->options;
}

static bool has_function(const struct script *s, const char *name)
{
    return map_gets(&s->exports, name) != NULL;
}

static unsigned function_count(const struct script *s)
{
    return (unsigned)s->exports.live;
}

const struct script_ops *js_script_ops(void)
{
    static const struct script_ops ops = {
        .open = script_open,
        .close = script_free,
        .options = script_options,
        .has_function = has_function,
        .function_count = function_count,
        .thread_new = thread_new,
        .thread_free = thread_free,
        .vu_new = js_vu_new,
        .vu_set_data = js_vu_set_data,
        .vu_free = js_vu_free,
        .iterate = js_vu_iterate,
        .setup = js_vu_setup,
        .teardown = js_vu_teardown,
        .handle_summary = js_vu_summary,
        .vu_take_bytes = js_vu_take_bytes,
        .vu_tags = js_vu_tags,
        .interrupt = js_vu_interrupt,
    };

    return &ops;
}
