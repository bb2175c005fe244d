// SPDX-License-Identifier: Apache-2.0
// Inside of the script interpreter: what script, thread and virtual user are made of. Everything on
// the VU's thread; functions that may suspend say so.
//
// A VU's interpreter state is in the runtime only between js_vu_enter() and js_vu_leave(). Natives
// are called entered; whoever suspends leaves before and enters after (JS_AWAIT).
#pragma once

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "js/quickjs_ext.h"
#include "load/script.h"
#include "load/tags.h"
#include "load/view.h"
#include "net/exchange.h"
#include "rt/co.h"

struct cookie_jar;
struct js_http; // what mod_http.c keeps per VU
struct js_http_thread;

// A file that the script has read, import or open(); text ends with a zero byte.
struct js_file {
    char *path; // absolute
    char *text;
    size_t n;
    bool is_commonjs; // no import, no export
};

struct js_shared_array; // mod_data.c

// Compiled script, shared by threads. After open() everything but `arrays` is constant.
struct script {
    char *path;           // absolute, or "-"
    char *name;           // "file:///…"
    char *folder;         // of the script; of the process for "-"
    char **env;           // "NAME=value", NULL-terminated
    struct map files;     // path → struct js_file
    bool sealed;          // open() is over: no more files
    struct map arrays;    // SharedArray name → struct js_shared_array
    pthread_mutex_t lock; // of arrays
    struct map exports;   // names of callable exports → non-NULL
    char *options;        // JSON
    struct metric_registry *registry;
    uint64_t seed;
};

// Names used often, interned once per thread.
// clang-format off
#define JS_ATOMS(X)                                                                                \
    X(__ITER) X(auth) X(body) X(compression) X(cookies) X(headers) X(jar) X(method) X(name)        \
    X(params) X(redirects) X(replace) X(responseCallback) X(responseType) X(tags) X(throw)         \
    X(timeout) X(url) X(value)
// clang-format on

enum js_atom {
#define X(name) JS_ATOM_ID_##name,
    JS_ATOMS(X)
#undef X
        JS_ATOM_N_
};

struct script_thread {
    struct script *script;
    const struct script_settings *settings; // NULL while opening
    struct loop *loop;
    struct shard *shard;            // NULL while opening
    const struct engine_view *view; // NULL while opening
    JSRuntime *rt;
    JSContext *model;     // compiles and never runs; owns the shared bytecode
    struct qx_plan *plan; // NULL when the script is CommonJS
    struct map commonjs;  // path → JSValue * of the compiled wrapper
    JSAtom atoms[JS_ATOM_N_];
    JSAtom *env_names; // of script->env
    JSValue *env_values;
    unsigned env_count;
    struct script_vu *current; // entered, NULL = none
    struct js_http_thread *http;
    const struct tagset *run_tags;
    unsigned vus;
};
#define JS_ATOM_OF(vu, which) ((vu)->thread->atoms[JS_ATOM_ID_##which])

enum js_phase { JS_INIT, JS_SETUP, JS_ITERATION, JS_TEARDOWN, JS_SUMMARY };

struct js_timer {
    struct list link; // of vu->timers, by due time, then by id
    nsec_t due;
    nsec_t every; // setInterval, else 0
    uint32_t id;
    JSValue fn;
    int argc;
    JSValue *argv;
};

// Work that runs beside the VU's JS and ends in a callback on it (asyncRequest).
struct js_task {
    struct list link; // of vu->running, then of vu->finished
    struct script_vu *vu;
    struct co *co;
    // Called entered, on the VU's coroutine; frees the task. -1: exception pending.
    int (*finish)(struct script_vu *vu, struct js_task *task);
    // Frees the task without running JS.
    void (*drop)(struct script_vu *vu, struct js_task *task);
};

struct script_vu {
    struct script_thread *thread;
    JSContext *ctx;
    struct qx_state state;
    size_t heap_at_enter;
    int64_t heap;       // bytes charged to this VU
    nsec_t slice_start; // of the JS that runs without having suspended
    bool interrupted;   // must unwind
    bool aborted;       // by exec.test.abort()
    enum js_phase phase;
    uint64_t id, id_in_test;

    JSModuleDef *root;                     // NULL when CommonJS
    const struct script_scenario *exec_of; // whose function is exec_ref
    const void *exec_ref;
    JSValue exports;  // module.exports of a CommonJS script
    JSValue required; // path → module object
    JSValue env;      // __ENV
    JSValue data;     // parsed setup data; JS_UNINITIALIZED until used
    char *data_json;
    JSValue rejected; // reason of the first unhandled rejection, JS_UNINITIALIZED = none
    JSValue rejected_promise;
    bool uncaught_in_promise; // what run_jobs() threw was such a reason

    struct list timers;
    uint32_t next_timer;
    struct list running, finished; // struct js_task
    struct co_group tasks;         // counts `running`
    struct co *waiter;             // waits for a timer or a task
    struct timer wake;

    struct rng rng;
    const struct script_iteration *iteration; // NULL outside
    const struct script_scenario *scenario;   // of the last iteration
    const struct tagset *tags;                // run, scenario, group and the user's
    const struct tagset *user_base;           // tags as they were when the scenario began
    const struct tagset *metadata;            // NULL = none
    struct strbuf group;                      // "::a::b", "" outside of groups
    uint64_t bytes_sent, bytes_received;

    struct client *client; // made at the first request
    struct cookie_jar *jar;
    struct js_http *http;
};

static inline struct script_vu *js_vu(JSContext *ctx)
{
    return JS_GetContextOpaque(ctx);
}

// ---- vu.c: the seam's functions of virtual users; see load/script.h.
int js_vu_new(struct script_thread *t,
              uint64_t vu_id,
              uint64_t vu_id_in_test,
              struct script_vu **ret_vu,
              struct err *err);
void js_vu_set_data(struct script_vu *vu, const char *setup_data);
void js_vu_free(struct script_vu *vu);
enum script_result js_vu_iterate(struct script_vu *vu, const struct script_iteration *iteration);
enum script_result js_vu_setup(struct script_vu *vu, struct strbuf *ret_json, struct err *err);
enum script_result js_vu_teardown(struct script_vu *vu, struct err *err);
enum script_result js_vu_summary(struct script_vu *vu,
                                 const char *data_json,
                                 struct strbuf *ret_json,
                                 struct err *err);
void js_vu_take_bytes(struct script_vu *vu, uint64_t *ret_sent, uint64_t *ret_received);
const struct tagset *js_vu_tags(struct script_vu *vu, const struct tagset **ret_metadata);
void js_vu_interrupt(struct script_vu *vu);
// A context with all built-ins, and none of ours.
JSContext *js_context_new(struct script_thread *t);

// ---- run.c
void js_run_install(struct script_thread *t);
// Collects garbage when the VU is near its limit, or always, and credits the VU with it.
void js_vu_collect(struct script_vu *vu, bool always);
void js_timer_insert(struct script_vu *vu, struct js_timer *t);
// Puts the VU's interpreter state in. The running coroutine's stack bounds the JS.
void js_vu_enter(struct script_vu *vu);
void js_vu_leave(struct script_vu *vu);
// Evaluates `call`, which may suspend, outside of the interpreter.
#define JS_AWAIT(vu, call)                                                                         \
    ({                                                                                             \
        js_vu_leave(vu);                                                                           \
        __auto_type js_await_result_ = (call);                                                     \
        js_vu_enter(vu);                                                                           \
        js_await_result_;                                                                          \
    })
// Throws what no script can catch: the VU unwinds. For -ECANCELED of suspending calls.
JSValue js_vu_throw_interrupted(struct script_vu *vu);
// Runs jobs, timers and tasks until there are none (or something failed). Takes `result`, the value
// of the call that started it, and gives what it resolved to. JS_EXCEPTION with the exception
// pending in the context. May suspend.
JSValue js_vu_run_to_end(struct script_vu *vu, JSValue result);
// Waits until `promise` is settled; its result, or JS_EXCEPTION. May suspend.
JSValue js_vu_await(struct script_vu *vu, JSValue promise);
// Forgets timers, tasks and rejections, as at the end of an iteration. May suspend (tasks unwind).
void js_vu_drop_pending(struct script_vu *vu);
// A task ended: to be called on the loop's thread; wakes the VU.
void js_task_finished(struct js_task *task);
void js_task_started(struct script_vu *vu, struct js_task *task);

// An exported function or value; JS_UNDEFINED if there is none.
JSValue js_vu_export(struct script_vu *vu, const char *name);

// Tags: recomputes vu->tags after group or scenario changed.
void js_vu_set_scenario(struct script_vu *vu, const struct script_scenario *scenario);
void js_vu_set_group(struct script_vu *vu, struct slice path);

// ---- loader.c
// Reads a file into script->files, once. NULL with an exception.
const struct js_file *js_load_file(JSContext *ctx, const char *path);
// Absolute path or "file://" name of what `specifier` means in the module `base`. NULL with an
// exception. From js_malloc.
char *js_resolve_name(JSContext *ctx, const char *base, const char *specifier);
void js_loader_install(struct script_thread *t);
// Compiles the script in the thread's model context. -1 with an exception in t->model.
int js_loader_compile(struct script_thread *t);
// Makes and evaluates the VU's modules. The promise, undefined (CommonJS) or JS_EXCEPTION.
JSValue js_loader_instantiate(struct script_vu *vu);
JSValue js_require(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv);
// Path of "file://…" as a file name, or the text itself.
const char *js_path_of_name(const char *name);

// Where open() looks: relative to the module `base` that is running.
char *js_open_path(struct script *s, const char *base, const char *path);

// ---- mod_encoding.c; variant: std, rawstd, url, rawurl
void js_base64_encode(struct strbuf *out, struct slice bytes, const char *variant);
bool js_base64_decode(struct strbuf *out, struct slice text, const char *variant);

// ---- modules.c
// Makes the default export of a module; JS_UNINITIALIZED if there is no such module.
JSValue js_module_make(JSContext *ctx, const char *name);
bool js_module_exists(const char *name);

// ---- globals.c
int js_globals_install(struct script_vu *vu);
void js_env_reset(struct script_vu *vu); // __ENV of the scenario
JSValue js_set_timer(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int repeat);
JSValue js_clear_timer(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv);
void js_timer_free(struct script_vu *vu, struct js_timer *t);

// ---- console.c
int js_console_install(JSContext *ctx, JSValueConst global);
// Appends a value as console shows it at the top level.
void js_format_value(JSContext *ctx, struct strbuf *out, JSValueConst v);

// ---- error.c
// "Error: text\n\tat f (file:///s.js:1:2)\n". Takes the value.
void js_format_exception(JSContext *ctx, struct strbuf *out, JSValue exception);
// The same into err, with the place. Takes the value. Returns SCRIPT_THREW.
int js_exception_to_err(JSContext *ctx, JSValue exception, struct err *err);
// A plain Error with a message of any length.
JSValue js_throw(JSContext *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
void js_log_warn(struct script_vu *vu, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// ---- value.c
// Borrowed text of a value while `*keep` is held; false with an exception.
bool js_slice(JSContext *ctx, JSValueConst v, struct slice *ret_text);
void js_slice_free(JSContext *ctx, struct slice s);
// Bytes of an ArrayBuffer or a view, borrowed. False (no exception) if it is neither.
bool js_bytes(JSContext *ctx, JSValueConst v, struct slice *ret_bytes);
// A string of bytes that may not be UTF-8 (broken ones become U+FFFD).
JSValue js_string_of_bytes(JSContext *ctx, struct slice bytes);
JSValue js_string(JSContext *ctx, struct slice text);
// Walks own enumerable string keys; stops when fn returns non-zero, which is returned.
int js_each_property(JSContext *ctx,
                     JSValueConst object,
                     int (*fn)(void *arg, JSContext *ctx, struct slice key, JSValueConst value),
                     void *arg);
// Duration option: number of ms or Go's text. False with an exception.
bool js_duration(JSContext *ctx, JSValueConst v, nsec_t *ret_duration);
// Tag value: string, number or boolean. False with no exception if it is none of them.
bool js_tag_text(JSContext *ctx, JSValueConst v, struct slice *ret_text);
// `tags` object on top of `base`; NULL with an exception.
const struct tagset *js_tags_of(struct script_vu *vu, const struct tagset *base, JSValueConst tags);
// JSON of setup()'s result as k6 makes it. False with err.
bool js_setup_json(JSContext *ctx, struct strbuf *out, JSValueConst v, int depth, struct err *err);
bool js_is_nullish(JSValueConst v);

// ---- classes: ids are the same in all runtimes; set when the first runtime is made
enum js_class_id {
    JS_CLS_METRIC,
    JS_CLS_RESPONSE,
    JS_CLS_JAR,
    JS_CLS_SHARED_ARRAY,
    JS_CLS_HASHER,
    JS_CLS_TAG_MAP,
    JS_CLS_CALLBACK,
    JS_CLS_KEY,
    JS_CLS_N_
};
extern JSClassID js_class[JS_CLS_N_];
void js_classes_register(JSRuntime *rt);
extern const JSClassDef js_metric_class, js_response_class, js_jar_class, js_shared_array_class,
    js_hasher_class, js_tag_map_class, js_callback_class, js_key_class;

// Modules.
JSValue js_mod_k6(JSContext *ctx);
JSValue js_mod_http(JSContext *ctx);
JSValue js_mod_metrics(JSContext *ctx);
JSValue js_mod_execution(JSContext *ctx);
JSValue js_mod_data(JSContext *ctx);
JSValue js_mod_timers(JSContext *ctx);
JSValue js_mod_encoding(JSContext *ctx);
JSValue js_mod_crypto(JSContext *ctx);
JSValue js_webcrypto(JSContext *ctx);
void js_http_vu_free(struct script_vu *vu);
void js_http_iteration_start(struct script_vu *vu);
void js_http_iteration_end(struct script_vu *vu);
void js_http_thread_free(struct script_thread *t);
void js_shared_arrays_free(struct script *s);
