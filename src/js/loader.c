// SPDX-License-Identifier: Apache-2.0
// From import specifiers to modules: files are read once per process, compiled once per thread,
// and every virtual user gets records of its own over the shared bytecode.
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "js/vu.h"

#define MAX_FILE_BYTES ((size_t)256 << 20)

const char *js_path_of_name(const char *name)
{
    return str_starts(name, "file://") ? name + 7 : name;
}

// Removes "." and ".." parts and doubled slashes of an absolute path, in place.
static void clean_path(char *path)
{
    char *out = path;
    const char *at = path;

    while (*at) {
        while (*at == '/') {
            at++;
        }
        size_t n = strcspn(at, "/");
        if (n == 2 && at[0] == '.' && at[1] == '.') {
            while (out > path && *--out != '/') {
            }
        } else if (n && !(n == 1 && at[0] == '.')) {
            *out++ = '/';
            memmove(out, at, n);
            out += n;
        }
        at += n;
    }
    if (out == path) {
        *out++ = '/';
    }
    *out = 0;
}

// Absolute path of `specifier`, seen from the file `base` ("" = the script's folder).
static char *path_from(struct script *s, const char *base, const char *specifier)
{
    CLEANUP_FREE char *folder = NULL;

    if (str_starts(specifier, "file://")) {
        specifier += 7;
    }
    if (*base == '/' && strcmp(base, "/-") != 0) {
        folder = fs_dirname(base);
    } else {
        folder = xstrdup(s->folder);
    }
    char *path = fs_join(folder, specifier);
    clean_path(path);
    return path;
}

char *js_open_path(struct script *s, const char *base, const char *path)
{
    return path_from(s, base ? js_path_of_name(base) : "", path);
}

char *js_resolve_name(JSContext *ctx, const char *base, const char *specifier)
{
    struct script_thread *t = JS_GetRuntimeOpaque(JS_GetRuntime(ctx));

    if (js_module_exists(specifier)) {
        return js_strdup(ctx, specifier);
    }
    if (!strcmp(specifier, "k6") || str_starts(specifier, "k6/")) {
        js_throw(ctx, "unknown module: %s", specifier);
        return NULL;
    }
    if (str_starts(specifier, "https://") || str_starts(specifier, "http://")) {
        js_throw(ctx,
                 "cannot load '%s': remote modules are not supported; save it beside the "
                 "script and import './FILE'",
                 specifier);
        return NULL;
    }
    if (specifier[0] != '/' && !str_starts(specifier, "./") && !str_starts(specifier, "../") &&
        !str_starts(specifier, "file://")) {
        js_throw(ctx,
                 "the module specifier '%s' is neither a module of k6 nor a file; for a file "
                 "write './%s'",
                 specifier, specifier);
        return NULL;
    }
    CLEANUP_FREE char *path = path_from(t->script, js_path_of_name(base), specifier);
    CLEANUP_FREE char *name = xasprintf("file://%s", path);
    return js_strdup(ctx, name);
}

const struct js_file *js_load_file(JSContext *ctx, const char *path)
{
    struct script_thread *t = JS_GetRuntimeOpaque(JS_GetRuntime(ctx));
    struct js_file *file = map_gets(&t->script->files, path);
    struct strbuf text = STRBUF_NULL;
    struct err err = {0};

    if (file) {
        return file;
    }
    if (t->script->sealed) {
        js_throw(ctx,
                 "cannot open '%s': it was not opened when the script was first run (the "
                 "init code must open the same files in every virtual user)",
                 path);
        return NULL;
    }
    if (fs_read(path, MAX_FILE_BYTES, &text, &err)) {
        strbuf_fini(&text);
        js_throw(ctx, "%s", err.message);
        return NULL;
    }
    file = XNEW(struct js_file);
    file->path = xstrdup(path);
    file->n = text.n;
    file->text = strbuf_take(&text);
    map_sets(&t->script->files, path, file);
    return file;
}

// ---- compiling, in the model context

static const char *source_of(const struct js_file *file, size_t *ret_n)
{
    bool mark = file->n >= 3 && !memcmp(file->text, "\xef\xbb\xbf", 3);

    *ret_n = file->n - (mark ? 3 : 0);
    return file->text + (mark ? 3 : 0);
}

// The source as a function of exports, require and module; bytecode, not yet a closure.
static JSValue compile_commonjs(JSContext *ctx, const struct js_file *file, const char *name)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    size_t n;
    const char *source = source_of(file, &n);

    strbuf_adds(&text, "(function (exports, require, module) {");
    strbuf_add(&text, source, n);
    strbuf_adds(&text, "\n})");
    return JS_Eval(ctx, text.p, text.n, name, JS_EVAL_TYPE_GLOBAL | JS_EVAL_FLAG_COMPILE_ONLY);
}

// A module value, or undefined for CommonJS (then its bytecode is in t->commonjs).
static JSValue
compile_file(struct script_thread *t, JSContext *ctx, const struct js_file *file, const char *name)
{
    size_t n;
    const char *source = source_of(file, &n);
    JSValue module = JS_Eval(ctx, source, n, name, JS_EVAL_TYPE_MODULE | JS_EVAL_FLAG_COMPILE_ONLY);
    JSValue failure = JS_UNINITIALIZED;

    if (!JS_IsException(module) && qx_is_module(module)) {
        return module;
    }
    if (JS_IsException(module)) {
        failure = JS_GetException(ctx);
    } else {
        qx_forget_module(ctx, module);
    }
    JSValue *wrapper = map_gets(&t->commonjs, name);
    if (!wrapper) {
        // In the model, whoever asks: the bytecode outlives this virtual user.
        JSValue code = compile_commonjs(t->model, file, name);
        if (JS_IsException(code)) {
            if (!JS_IsUninitialized(failure)) {
                JS_FreeValue(ctx, JS_GetException(ctx));
                return JS_Throw(ctx, failure);
            }
            return JS_EXCEPTION;
        }
        wrapper = xmalloc(sizeof *wrapper);
        *wrapper = code;
        map_sets(&t->commonjs, name, wrapper);
    }
    JS_FreeValue(ctx, failure);
    return JS_UNDEFINED;
}

static JSModuleDef *load_module(JSContext *ctx, const char *name, void *opaque)
{
    struct script_thread *t = opaque;

    if (js_module_exists(name)) {
        // In the model a placeholder: its object is never asked for.
        JSValue object = ctx == t->model ? JS_NULL : js_module_make(ctx, name);
        return JS_IsException(object) ? NULL : qx_native_module(ctx, name, object, true);
    }
    const struct js_file *file = js_load_file(ctx, js_path_of_name(name));
    if (!file) {
        return NULL;
    }
    JSValue module = compile_file(t, ctx, file, name);
    if (JS_IsException(module)) {
        return NULL;
    }
    if (JS_IsUndefined(module)) {
        return qx_native_module(ctx, name, JS_UNDEFINED, false);
    }
    JSModuleDef *m = JS_VALUE_GET_PTR(module);
    JS_FreeValue(ctx, module); // the context's list keeps it
    return m;
}

// Reads the file too, so that a missing one is named as the script names it.
static char *normalize_name(JSContext *ctx, const char *base, const char *specifier, void *opaque)
{
    char *name = js_resolve_name(ctx, base, specifier);

    if (!name || js_module_exists(name) || js_load_file(ctx, js_path_of_name(name))) {
        return name;
    }
    JSValue error = JS_GetException(ctx);
    JSValue message = JS_GetPropertyStr(ctx, error, "message");
    const char *text = JS_ToCString(ctx, message);
    js_throw(ctx, "cannot import '%s': %s", specifier, text ? text : "");
    JS_FreeCString(ctx, text);
    JS_FreeValue(ctx, message);
    JS_FreeValue(ctx, error);
    js_free(ctx, name);
    return NULL;
}

static JSValue evaluate_commonjs(JSContext *ctx, const char *name);

void js_loader_install(struct script_thread *t)
{
    JS_SetModuleLoaderFunc(t->rt, normalize_name, load_module, t);
    qx_set_resolver(evaluate_commonjs);
}

int js_loader_compile(struct script_thread *t)
{
    const struct js_file *file = map_gets(&t->script->files, t->script->path);
    JSValue module = compile_file(t, t->model, file, t->script->name);

    if (JS_IsException(module)) {
        return -1;
    }
    if (!JS_IsUndefined(module)) {
        t->plan = qx_plan_new(t->model, module);
        JS_FreeValue(t->model, module);
    }
    return 0;
}

// ---- running, in a virtual user's context

// A native or CommonJS module that the plan mentions.
static JSModuleDef *native_module(JSContext *ctx, const char *name)
{
    JSValue object = JS_UNDEFINED;

    if (js_module_exists(name)) {
        object = js_module_make(ctx, name);
    }
    return JS_IsException(object) ? NULL : qx_native_module(ctx, name, object, false);
}

static JSValue evaluate_commonjs(JSContext *ctx, const char *name)
{
    struct script_vu *vu = js_vu(ctx);
    JSValue module = JS_GetPropertyStr(ctx, vu->required, name);

    if (JS_IsUndefined(module)) {
        const JSValue *wrapper = map_gets(&vu->thread->commonjs, name);
        if (!wrapper) {
            return js_throw(ctx, "module '%s' was not compiled", name);
        }
        JSValue fn = JS_EvalFunction(ctx, JS_DupValue(ctx, *wrapper));
        JSValue require = JS_NewCFunction(ctx, js_require, "require", 1);
        JSValue exports = JS_NewObject(ctx);
        module = JS_NewObject(ctx);
        JS_SetPropertyStr(ctx, module, "exports", JS_DupValue(ctx, exports));
        JS_SetPropertyStr(ctx, vu->required, name, JS_DupValue(ctx, module));
        JSValue result = JS_IsException(fn) ? JS_EXCEPTION
                                            : JS_Call(ctx, fn, exports, 3,
                                                      (JSValueConst[]){exports, require, module});
        JS_FreeValue(ctx, fn);
        JS_FreeValue(ctx, require);
        JS_FreeValue(ctx, exports);
        if (JS_IsException(result)) {
            JS_FreeValue(ctx, module);
            return JS_EXCEPTION;
        }
        JS_FreeValue(ctx, result);
    }
    JSValue exports = JS_GetPropertyStr(ctx, module, "exports");
    JS_FreeValue(ctx, module);
    return exports;
}

JSValue js_loader_instantiate(struct script_vu *vu)
{
    if (vu->thread->plan) {
        return qx_plan_run(vu->ctx, vu->thread->plan, native_module, &vu->root);
    }
    vu->exports = evaluate_commonjs(vu->ctx, vu->thread->script->name);
    return JS_IsException(vu->exports) ? JS_EXCEPTION : JS_UNDEFINED;
}

// require() of an ES module: a module of its own, evaluated at once.
static JSValue require_module(JSContext *ctx, JSValue module)
{
    JSModuleDef *m = JS_VALUE_GET_PTR(module);
    JSValue promise = JS_EvalFunction(ctx, module);

    if (JS_IsException(promise)) {
        return JS_EXCEPTION;
    }
    JS_PromiseMarkAsHandled(ctx, promise);
    if (JS_PromiseState(ctx, promise) == JS_PROMISE_REJECTED) {
        JSValue reason = JS_PromiseResult(ctx, promise);
        JS_FreeValue(ctx, promise);
        return JS_Throw(ctx, reason);
    }
    JS_FreeValue(ctx, promise);
    return JS_GetModuleNamespace(ctx, m);
}

static JSValue require_file(JSContext *ctx, const char *name)
{
    struct script_vu *vu = js_vu(ctx);
    JSValue known = JS_GetPropertyStr(ctx, vu->required, name);

    if (!JS_IsUndefined(known)) {
        JSValue exports = JS_GetPropertyStr(ctx, known, "exports");
        JS_FreeValue(ctx, known);
        return exports;
    }
    if (map_gets(&vu->thread->commonjs, name)) {
        return evaluate_commonjs(ctx, name);
    }
    const struct js_file *file = js_load_file(ctx, js_path_of_name(name));
    if (!file) {
        return JS_EXCEPTION;
    }
    JSValue module = compile_file(vu->thread, ctx, file, name);
    if (JS_IsException(module)) {
        return JS_EXCEPTION;
    }
    if (JS_IsUndefined(module)) {
        return evaluate_commonjs(ctx, name);
    }
    JSValue exports = require_module(ctx, module);
    if (!JS_IsException(exports)) {
        JSValue record = JS_NewObject(ctx);
        JS_SetPropertyStr(ctx, record, "exports", JS_DupValue(ctx, exports));
        JS_SetPropertyStr(ctx, vu->required, name, record);
    }
    return exports;
}

JSValue js_require(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct script_vu *vu = js_vu(ctx);

    if (vu->phase != JS_INIT) {
        return js_throw(ctx, "the 'require' function is only available in the init stage (i.e. the "
                             "global scope)");
    }
    if (argc < 1 || !JS_IsString(argv[0])) {
        return JS_ThrowTypeError(ctx, "require() needs the name of a module");
    }
    JSAtom caller = JS_GetScriptOrModuleName(ctx, 1);
    const char *base = caller == JS_ATOM_NULL ? NULL : JS_AtomToCString(ctx, caller);
    const char *specifier = JS_ToCString(ctx, argv[0]);
    char *name =
        specifier ? js_resolve_name(ctx, base ? base : vu->thread->script->name, specifier) : NULL;
    JSValue result = JS_EXCEPTION;
    if (name && js_module_exists(name)) {
        result = JS_GetPropertyStr(ctx, vu->required, name);
        if (JS_IsUndefined(result)) {
            result = js_module_make(ctx, name);
            if (!JS_IsException(result)) {
                JS_SetPropertyStr(ctx, vu->required, name, JS_DupValue(ctx, result));
            }
        }
    } else if (name) {
        result = require_file(ctx, name);
    }
    js_free(ctx, name);
    JS_FreeCString(ctx, specifier);
    JS_FreeCString(ctx, base);
    JS_FreeAtom(ctx, caller);
    return result;
}
