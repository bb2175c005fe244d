// SPDX-License-Identifier: Apache-2.0
// The engine itself is part of this unit: nothing else may see its inside.
#include <quickjs.c>

#include "js/quickjs_ext.h"

static qx_resolve_fn resolver;

static void move_list(struct list_head *to, struct list_head *from)
{
    if (list_empty(from)) {
        init_list_head(to);
        return;
    }
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to;
    to->prev->next = to;
    init_list_head(from);
}

static struct list_head *jobs_of(struct qx_state *s)
{
    _Static_assert(sizeof(struct list_head) == sizeof s->jobs, "list head is two pointers");
    return (struct list_head *)s->jobs;
}

void qx_state_init(struct qx_state *s)
{
    s->frame = NULL;
    s->exception = JS_UNINITIALIZED;
    s->in_stack_trace = false;
    init_list_head(jobs_of(s));
}

void qx_enter(JSRuntime *rt, struct qx_state *s, uintptr_t stack_limit)
{
    rt->current_stack_frame = s->frame;
    rt->current_exception = s->exception;
    rt->stack_limit = stack_limit;
    rt->in_build_stack_trace = s->in_stack_trace;
    move_list(&rt->job_list, jobs_of(s));
}

void qx_leave(JSRuntime *rt, struct qx_state *s)
{
    s->frame = rt->current_stack_frame;
    s->exception = rt->current_exception;
    s->in_stack_trace = rt->in_build_stack_trace;
    move_list(jobs_of(s), &rt->job_list);
    rt->current_stack_frame = NULL;
    rt->current_exception = JS_UNINITIALIZED;
    rt->in_build_stack_trace = false;
}

void qx_state_fini(JSContext *ctx, struct qx_state *s)
{
    struct list_head *el, *next;

    list_for_each_safe(el, next, jobs_of(s))
    {
        JSJobEntry *e = list_entry(el, JSJobEntry, link);
        for (int i = 0; i < e->argc; i++) {
            JS_FreeValue(ctx, e->argv[i]);
        }
        list_del(&e->link);
        js_free(ctx, e);
    }
    JS_FreeValue(ctx, s->exception);
    qx_state_init(s);
}

size_t qx_heap_bytes(const JSRuntime *rt)
{
    return rt->malloc_state.malloc_size;
}

void qx_heap_allow(JSRuntime *rt, size_t more)
{
    rt->malloc_state.malloc_limit = more ? rt->malloc_state.malloc_size + more + 1 : 0;
}

bool qx_is_out_of_memory(JSContext *ctx, JSValueConst exception)
{
    if (JS_IsNull(exception)) {
        // Not even the error had room. (Scripts may throw null themselves.)
        const JSMallocState *m = &ctx->rt->malloc_state;
        return m->malloc_limit && m->malloc_size + 65536 > m->malloc_limit;
    }
    if (!JS_IsError(exception)) {
        return false;
    }
    JSValue message = JS_GetPropertyStr(ctx, exception, "message");
    const char *text = JS_ToCString(ctx, message);
    bool found = text && !strcmp(text, "out of memory");
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, message);
    return found;
}

void qx_random_seed(JSContext *ctx, uint64_t seed)
{
    ctx->random_state = seed ? seed : 1; // xorshift: never 0
}

// ---- native modules

static int native_init(JSContext *ctx, JSModuleDef *m)
{
    if (JS_IsUndefined(m->private_value)) {
        const char *name = JS_AtomToCString(ctx, m->module_name);
        JSValue object = name ? resolver(ctx, name) : JS_EXCEPTION;
        JS_FreeCString(ctx, name);
        if (JS_IsException(object)) {
            return -1;
        }
        m->private_value = object;
    }
    for (int i = 0; i < m->export_entries_count; i++) {
        JSExportEntry *e = &m->export_entries[i];
        JSValue v = e->export_name == JS_ATOM_default || !JS_IsObject(m->private_value)
                        ? js_dup(m->private_value)
                        : JS_GetProperty(ctx, m->private_value, e->export_name);
        if (JS_IsException(v)) {
            return -1;
        }
        set_value(ctx, e->u.local.var_ref->pvalue, v);
    }
    return 0;
}

static int native_want(JSContext *ctx, JSModuleDef *m, JSAtom name)
{
    if (m->func_created || find_export_entry(ctx, m, name)) {
        return 0;
    }
    return add_export_entry2(ctx, NULL, m, JS_ATOM_NULL, name, JS_EXPORT_TYPE_LOCAL) ? 0 : -1;
}

static int native_want_all(JSContext *ctx, JSModuleDef *m)
{
    JSPropertyEnum *names;
    uint32_t count;
    int result = 0;

    if (!JS_IsObject(m->private_value)) {
        return 0;
    }
    if (JS_GetOwnPropertyNames(ctx, &names, &count, m->private_value, JS_GPN_STRING_MASK)) {
        return -1;
    }
    for (uint32_t i = 0; i < count && !result; i++) {
        result = native_want(ctx, m, names[i].atom);
    }
    JS_FreePropertyEnum(ctx, names, count);
    return result;
}

JSModuleDef *qx_native_module(JSContext *ctx, const char *name, JSValue object, bool all)
{
    JSModuleDef *m = JS_NewCModule(ctx, name, native_init);

    if (!m || native_want(ctx, m, JS_ATOM_default)) {
        JS_FreeValue(ctx, object);
        return NULL;
    }
    m->private_value = object;
    return all && native_want_all(ctx, m) ? NULL : m;
}

void qx_set_resolver(qx_resolve_fn fn)
{
    if (resolver != fn) { // threads come later and give the same
        resolver = fn;
    }
}

// Every name that `m` takes from a native module becomes an export of that module.
static int want_imports(JSContext *ctx, JSModuleDef *m)
{
#define NATIVE(i) (m->req_module_entries[i].module->init_func == native_init)
    for (int i = 0; i < m->import_entries_count; i++) {
        JSImportEntry *e = &m->import_entries[i];
        JSModuleDef *from = m->req_module_entries[e->req_module_idx].module;
        if (NATIVE(e->req_module_idx) &&
            (e->import_name == JS_ATOM__star_ ? native_want_all(ctx, from)
                                              : native_want(ctx, from, e->import_name))) {
            return -1;
        }
    }
    for (int i = 0; i < m->export_entries_count; i++) {
        JSExportEntry *e = &m->export_entries[i];
        if (e->export_type != JS_EXPORT_TYPE_INDIRECT || !NATIVE(e->u.req_module_idx)) {
            continue;
        }
        JSModuleDef *from = m->req_module_entries[e->u.req_module_idx].module;
        if (e->local_name == JS_ATOM__star_ ? native_want_all(ctx, from)
                                            : native_want(ctx, from, e->local_name)) {
            return -1;
        }
    }
    for (int i = 0; i < m->star_export_entries_count; i++) {
        int from = m->star_export_entries[i].req_module_idx;
        if (NATIVE(from) && native_want_all(ctx, m->req_module_entries[from].module)) {
            return -1;
        }
    }
    return 0;
#undef NATIVE
}

// ---- compiled modules

bool qx_is_module(JSValueConst module)
{
    if (JS_VALUE_GET_TAG(module) != JS_TAG_MODULE) {
        return false;
    }
    const JSModuleDef *m = JS_VALUE_GET_PTR(module);
    return m->req_module_entries_count || m->export_entries_count || m->star_export_entries_count ||
           m->has_tla;
}

void qx_forget_module(JSContext *ctx, JSValue module)
{
    JSModuleDef *m = JS_VALUE_GET_PTR(module);

    // The list of loaded modules owns the record; the value is one more reference to the same.
    JS_FreeValue(ctx, module);
    js_free_module_def(ctx, m);
}

struct qx_plan {
    JSModuleDef **modules;
    int count, root;
    JSContext *ctx;
};

struct qx_plan *qx_plan_new(JSContext *template_ctx, JSValueConst root)
{
    struct qx_plan *p = calloc(1, sizeof *p);
    struct list_head *el;
    int count = 0;

    list_for_each(el, &template_ctx->loaded_modules)
    {
        count++;
    }
    p->modules = calloc(count + 1, sizeof *p->modules);
    p->ctx = template_ctx;
    list_for_each(el, &template_ctx->loaded_modules)
    {
        JSModuleDef *m = list_entry(el, JSModuleDef, link);
        if (m->init_func) {
            continue;
        }
        m->dfs_index = p->count; // unused before linking, and these are never linked
        if (m == JS_VALUE_GET_PTR(root)) {
            p->root = p->count;
        }
        p->modules[p->count++] = m;
    }
    return p;
}

void qx_plan_free(struct qx_plan *p)
{
    if (p) {
        free(p->modules);
        free(p);
    }
}

static bool copy_array(JSContext *ctx, void *ret_array, const void *from, size_t size, int count)
{
    void *p = NULL;

    if (count && !(p = js_malloc(ctx, size * count))) {
        return false;
    }
    if (count) {
        memcpy(p, from, size * count);
    }
    memcpy(ret_array, &p, sizeof p);
    return true;
}

#define COPY(field)                                                                                \
    (copy_array(ctx, &m->field, t->field, sizeof *t->field, t->field##_count) &&                   \
     (m->field##_count = m->field##_size = t->field##_count, true))

static JSModuleDef *clone_record(JSContext *ctx, const JSModuleDef *t)
{
    JSModuleDef *m = js_new_module_def(ctx, JS_DupAtom(ctx, t->module_name));

    if (!m) {
        return NULL;
    }
    if (COPY(req_module_entries)) {
        for (int i = 0; i < m->req_module_entries_count; i++) {
            JS_DupAtom(ctx, m->req_module_entries[i].module_name);
            js_dup(m->req_module_entries[i].attributes);
        }
    }
    if (COPY(export_entries)) {
        for (int i = 0; i < m->export_entries_count; i++) {
            JSExportEntry *e = &m->export_entries[i];
            JS_DupAtom(ctx, e->export_name);
            JS_DupAtom(ctx, e->local_name);
            if (e->export_type == JS_EXPORT_TYPE_LOCAL) {
                e->u.local.var_ref = NULL;
            }
        }
    }
    if (COPY(import_entries)) {
        for (int i = 0; i < m->import_entries_count; i++) {
            JS_DupAtom(ctx, m->import_entries[i].import_name);
        }
    }
    m->func_obj = js_dup(t->func_obj);
    m->has_tla = t->has_tla;
    m->resolved = true;
    JSValue meta = JS_GetImportMeta(ctx, m);
    if (!JS_IsObject(meta)) {
        return NULL;
    }
    JS_DefinePropertyValueStr(ctx, meta, "url", JS_AtomToString(ctx, t->module_name),
                              JS_PROP_C_W_E);
    JS_FreeValue(ctx, meta);
    if (!COPY(star_export_entries) || m->req_module_entries_count != t->req_module_entries_count ||
        m->export_entries_count != t->export_entries_count ||
        m->import_entries_count != t->import_entries_count) {
        return NULL;
    }
    return m;
}
#undef COPY

// A native module exists once per context, whoever imports it.
static JSModuleDef *native_of(JSContext *ctx, const JSModuleDef *placeholder, qx_native_fn native)
{
    JSModuleDef *m = js_find_loaded_module_by_name(ctx, placeholder->module_name);

    if (!m) {
        const char *name = JS_AtomToCString(ctx, placeholder->module_name);
        m = name ? native(ctx, name) : NULL;
        JS_FreeCString(ctx, name);
        if (m) {
            m->resolved = true;
        }
    }
    return m;
}

JSValue
qx_plan_run(JSContext *ctx, const struct qx_plan *p, qx_native_fn native, JSModuleDef **ret_root)
{
    JSModuleDef **clones = js_mallocz(ctx, sizeof *clones * (p->count + 1));
    JSValue result = JS_EXCEPTION;

    if (!clones) {
        return JS_EXCEPTION;
    }
    for (int k = 0; k < p->count; k++) {
        if (!(clones[k] = clone_record(ctx, p->modules[k]))) {
            goto out;
        }
    }
    for (int k = 0; k < p->count; k++) {
        for (int i = 0; i < clones[k]->req_module_entries_count; i++) {
            const JSModuleDef *t = p->modules[k]->req_module_entries[i].module;
            JSModuleDef *m = t->init_func ? native_of(ctx, t, native) : clones[t->dfs_index];
            if (!m) {
                goto out;
            }
            clones[k]->req_module_entries[i].module = m;
        }
        if (want_imports(ctx, clones[k])) {
            goto out;
        }
    }
    *ret_root = clones[p->root];
    result = JS_EvalFunction(ctx, JS_NewModuleValue(ctx, clones[p->root]));
    // Import tables are only read while linking.
    for (int k = 0; k < p->count; k++) {
        JSModuleDef *m = clones[k];
        for (int i = 0; m->status >= JS_MODULE_STATUS_LINKED && i < m->import_entries_count; i++) {
            JS_FreeAtom(ctx, m->import_entries[i].import_name);
        }
        if (m->status >= JS_MODULE_STATUS_LINKED) {
            js_free(ctx, m->import_entries);
            m->import_entries = NULL;
            m->import_entries_count = m->import_entries_size = 0;
        }
    }
out:
    js_free(ctx, clones);
    return result;
}

const void *qx_export_ref(JSContext *ctx, JSModuleDef *m, const char *name)
{
    JSAtom atom = JS_NewAtom(ctx, name);
    JSExportEntry *e;
    JSModuleDef *from;
    const JSVarRef *ref = NULL;

    if (js_resolve_export(ctx, &from, &e, m, atom) == JS_RESOLVE_RES_FOUND &&
        e->local_name != JS_ATOM__star_) {
        ref = js_get_local_export_var_ref(ctx, from, e);
    }
    JS_FreeAtom(ctx, atom);
    return ref;
}

JSValue qx_export_value(JSContext *ctx, const void *ref)
{
    const JSVarRef *r = ref;

    return r && !JS_IsUninitialized(*r->pvalue) ? js_dup(*r->pvalue) : JS_UNDEFINED;
}

JSValue qx_export(JSContext *ctx, JSModuleDef *m, const char *name)
{
    return qx_export_value(ctx, qx_export_ref(ctx, m, name));
}

// ---- objects of premade shape

JSValue qx_object_like(JSContext *ctx, JSValueConst model, JSValue *values, unsigned count)
{
    JSObject *t = JS_VALUE_GET_OBJ(model);
    JSShape *shape = t->shape;
    JSProperty props[32];

    for (int i = 0; i < shape->prop_count; i++) {
        if ((unsigned)i < count) {
            props[i].u.value = values[i];
            continue;
        }
        props[i] = t->prop[i];
        if ((get_shape_prop(shape)[i].flags & JS_PROP_TMASK) == JS_PROP_GETSET) {
            if (props[i].u.getset.getter) {
                JS_REF_COUNT(props[i].u.getset.getter)++;
            }
            if (props[i].u.getset.setter) {
                JS_REF_COUNT(props[i].u.getset.setter)++;
            }
        } else {
            js_dup(props[i].u.value);
        }
    }
    return JS_NewObjectFromShape(ctx, js_dup_shape(shape), t->class_id, props);
}

bool qx_same_shape(JSValueConst a, JSValueConst b)
{
    return JS_VALUE_GET_OBJ(a)->shape == JS_VALUE_GET_OBJ(b)->shape;
}
