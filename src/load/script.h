// SPDX-License-Identifier: Apache-2.0
// The seam between the load engine and whatever interprets scripts. The engine knows no JavaScript;
// src/js implements this, tests implement it in C.
//
// Threads: `open` runs on the main thread before the workers start. Each worker thread makes one
// script_thread; its VUs live and die on that thread. iterate() runs in the VU's coroutine and may
// suspend; everything that waits inside it is woken with -ECANCELED when the VU is interrupted.
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "metric/shard.h"
#include "net/settings.h"
#include "rt/co.h"
#include "rt/loop.h"

struct script;        // compiled script, shared
struct script_thread; // interpreter of one worker thread
struct script_vu;     // one virtual user (or the transient one of setup, teardown, summary)
struct engine_view;   // what scripts may ask of the engine; load/view.h

// How iterate() and the hooks ended.
enum script_result {
    SCRIPT_OK = 0,
    SCRIPT_THREW,       // an exception; logged by the interpreter (iterations) or in err (hooks)
    SCRIPT_INTERRUPTED, // cancelled, timed out, out of its memory
    SCRIPT_ABORTED,     // exec.test.abort(): ends the test, exit 108
};

// Options of the run that the interpreter and its HTTP module obey; owned by the engine's caller,
// constant while the run lasts. k6's names and meanings.
struct script_settings {
    const struct net_settings *net;
    struct metric_registry *registry;
    const char *user_agent;
    unsigned max_redirects;
    bool max_redirects_set; // then there is no warning
    unsigned batch, batch_per_host;
    bool discard_response_bodies;
    bool throw_errors;
    bool no_cookies_reset;
    bool no_vu_connection_reuse;
    unsigned http_debug;    // 0 off, 1 headers, 2 full
    unsigned system_tags;   // bit set of load/tags.h
    const struct tag *tags; // of the run
    unsigned tag_count;
    uint64_t vu_memory;       // bytes of heap that one VU may use, 0 = default
    nsec_t time_slice;        // of JS before others run, 0 = default
    const char *options_json; // consolidated options, for exec.test.options
    uint64_t seed;
    double rps; // 0 = unlimited
};

// How a script is opened.
struct script_source {
    const char *path;       // file name or "-"
    const char *text;       // its contents, if already read; else NULL
    const char *const *env; // "NAME=value", NULL-terminated: __ENV
    struct metric_registry *registry;
    uint64_t seed;
};

// One scenario as the script sees it.
struct script_scenario {
    const char *name, *executor;
    const char *exec;       // exported function, "default"
    const char *const *env; // "NAME=value", NULL-terminated, on top of __ENV; NULL = none
    const struct tag *tags;
    unsigned tag_count;
    nsec_t start;               // monotonic
    const void *executor_state; // for engine_view's functions
};

// What one iteration is about.
struct script_iteration {
    const struct script_scenario *scenario; // NULL in setup and teardown
    uint64_t iteration_in_vu;               // __ITER
    uint64_t iteration_in_scenario;         // of this VU in this scenario
    uint64_t iteration_in_instance;         // of the scenario on this instance
    uint64_t iteration_in_test;             // of the scenario, over all segments
    nsec_t intended_start;                  // 0 for closed executors
};

struct script_ops {
    // Compiles and evaluates the init code once. 0; on failure a code with err (file and line):
    // SCRIPT_THREW (exit 107), SCRIPT_ABORTED (108), -ENOENT and the like for files.
    int (*open)(const struct script_source *source, struct script **ret_script, struct err *err);
    void (*close)(struct script *s);
    // The exported `options` as JSON text ("{}" if none); owned by the script.
    const char *(*options)(const struct script *s);
    bool (*has_function)(const struct script *s, const char *name); // "default", "setup" …
    unsigned (*function_count)(const struct script *s);             // callable exports

    // On the worker's thread. `shard` is the thread's.
    int (*thread_new)(struct script *s,
                      const struct script_settings *settings,
                      struct loop *l,
                      struct shard *shard,
                      const struct engine_view *view,
                      struct script_thread **ret_thread,
                      struct err *err);
    void (*thread_free)(struct script_thread *t);

    // A VU: evaluates the init code in a context of its own. May suspend (top-level await).
    // vu_id 0 = transient. setup_data: JSON text or NULL; copied.
    int (*vu_new)(struct script_thread *t,
                  uint64_t vu_id,
                  uint64_t vu_id_in_test,
                  struct script_vu **ret_vu,
                  struct err *err);
    void (*vu_set_data)(struct script_vu *vu, const char *setup_data);
    // Suspended VUs must have been cancelled and have unwound.
    void (*vu_free)(struct script_vu *vu);
    // In a coroutine. Runs the function to its end, event loop included.
    enum script_result (*iterate)(struct script_vu *vu, const struct script_iteration *iteration);
    // In a coroutine: setup() → its result as JSON (NULL text: nothing returned), teardown(data).
    // Exceptions are in err, not logged.
    enum script_result (*setup)(struct script_vu *vu, struct strbuf *ret_json, struct err *err);
    enum script_result (*teardown)(struct script_vu *vu, struct err *err);
    // handleSummary(data JSON) → JSON object of {target: text}; binary values as
    // {"base64": "…"}. In a coroutine.
    enum script_result (*handle_summary)(struct script_vu *vu,
                                         const char *data_json,
                                         struct strbuf *ret_json,
                                         struct err *err);
    // Bytes that the VU's requests put on the wire since the last call; the engine flushes them as
    // data_sent and data_received after each iteration, setup() and teardown(). NULL = none.
    void (*vu_take_bytes)(struct script_vu *vu, uint64_t *ret_sent, uint64_t *ret_received);
    // The VU's tags right now (run, scenario, group, vu.metrics.tags) and its metadata, for the
    // engine's samples about it (iterations, iteration_duration, data_*). Valid after iterate(),
    // setup(), teardown(). NULL = the engine makes them from the run's and the scenario's tags.
    const struct tagset *(*vu_tags)(struct script_vu *vu, const struct tagset **ret_metadata);

    // Interpreter state that belongs to a coroutine: the engine makes one before it spawns each
    // coroutine that runs a VU of the thread (vu_new() too) and gives it to co_spawn(). NULL = the
    // interpreter saves its state around suspending calls by itself.
    struct co_hooks (*co_state_new)(struct script_thread *t);
    void (*co_state_free)(struct script_thread *t, struct co_hooks hooks);

    // An interrupted VU may be used again: the next iterate() starts afresh, in another coroutine.
    // From the loop's thread, any time: the VU must stop soon. Its running JS is interrupted at the
    // next poll, its suspended coroutine is woken with -ECANCELED by the engine.
    void (*interrupt)(struct script_vu *vu);
};
