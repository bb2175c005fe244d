// SPDX-License-Identifier: Apache-2.0
// What we need of QuickJS-ng's inside: the interpreter state of a coroutine, heap limits per
// virtual user, modules whose compiled form is shared by contexts, objects of premade shape.
// Everything on the runtime's thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quickjs.h>

// The part of a runtime's state that belongs to a coroutine. While a coroutine is off the thread it
// is here; jobs (promise reactions) of its virtual user wait here, too.
struct qx_state {
    void *frame;
    JSValue exception;
    void *jobs[2];
    bool in_stack_trace;
};
void qx_state_init(struct qx_state *s);
// Puts the state into the runtime; JS may then run with the stack down to `stack_limit`.
void qx_enter(JSRuntime *rt, struct qx_state *s, uintptr_t stack_limit);
// Takes it out again; the runtime is then free for another coroutine.
void qx_leave(JSRuntime *rt, struct qx_state *s);
// Frees jobs and exception; before the context is freed.
void qx_state_fini(JSContext *ctx, struct qx_state *s);

size_t qx_heap_bytes(const JSRuntime *rt);
// The heap may grow by `more` bytes from now; 0 = without limit.
void qx_heap_allow(JSRuntime *rt, size_t more);
// Was the pending exception made for want of memory? (Its value may be null.)
bool qx_is_out_of_memory(JSContext *ctx, JSValueConst exception);

// Seeds Math.random of this context.
void qx_random_seed(JSContext *ctx, uint64_t seed);

// A module of ours: its exports are the properties of `object` (JS_UNDEFINED: asked of the resolver
// when the module is evaluated) and `default`, which is the object itself. Names that importers ask
// for and the object lacks are undefined; with `all`, for importers that are not known beforehand,
// every property is an export. NULL with an exception.
JSModuleDef *qx_native_module(JSContext *ctx, const char *name, JSValue object, bool all);
typedef JSValue (*qx_resolve_fn)(JSContext *ctx, const char *name);
void qx_set_resolver(qx_resolve_fn fn); // process-wide, once

// Does the compiled module value import or export anything or await at its top level?
bool qx_is_module(JSValueConst module);
// Drops a compiled module that was not linked, and its value.
void qx_forget_module(JSContext *ctx, JSValue module);

// The modules that a template context compiled but never linked; contexts of the same runtime get
// records of their own over the shared bytecode.
struct qx_plan;
// `root`: value of JS_Eval(MODULE | COMPILE_ONLY). The template must outlive the plan.
struct qx_plan *qx_plan_new(JSContext *template_ctx, JSValueConst root);
void qx_plan_free(struct qx_plan *p);
// Makes a native module of a context: the template only had a placeholder. NULL with an exception.
typedef JSModuleDef *(*qx_native_fn)(JSContext *ctx, const char *name);
// Makes the records of `ctx`, links and evaluates; the promise of the root's evaluation, or
// JS_EXCEPTION. ret_root is set as soon as it exists.
JSValue
qx_plan_run(JSContext *ctx, const struct qx_plan *p, qx_native_fn native, JSModuleDef **ret_root);
// The current value of an export, JS_UNDEFINED if there is none.
JSValue qx_export(JSContext *ctx, JSModuleDef *m, const char *name);

// The variable behind an export, for qx_export_value(); NULL if there is none. Lives as long as the
// module.
const void *qx_export_ref(JSContext *ctx, JSModuleDef *m, const char *name);
JSValue qx_export_value(JSContext *ctx, const void *ref);

// Objects made from a model without looking at properties: same shape, class and prototype. The
// model stays alive as long as the caller keeps it; accessors are shared with it, values are given.
// `values` (owned, consumed) go to the first `count` properties in the order of definition, which
// must be plain data properties.
JSValue qx_object_like(JSContext *ctx, JSValueConst model, JSValue *values, unsigned count);
// Same order and names of properties? Cheap; false negatives are possible.
bool qx_same_shape(JSValueConst a, JSValueConst b);
