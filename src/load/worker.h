// SPDX-License-Identifier: Apache-2.0
// One worker: a thread with a loop, a shard, an interpreter, and its segment of the VUs. The
// conductor (engine.c) talks to it by calls that run on its loop; the worker answers each once.
// Inside of load/.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/strbuf.h"
#include "load/engine.h"
#include "load/view.h"
#include "load/window.h"
#include "metric/shard.h"
#include "model/segment.h"
#include "rt/co.h"
#include "rt/loop.h"

struct engine;
struct runner;
struct vu;
struct prepare;
struct hook;

// Counted on one thread, read by the conductor in calls only.
struct worker_window {
    struct window counts;    // since the last take
    uint64_t due, ended;     // since the start: in flight = due - ended
    nsec_t since, cpu_since; // of the last take
};

struct worker {
    struct engine *engine;
    unsigned index;
    pthread_t thread;
    bool thread_runs;
    struct loop *loop;
    struct shard *shard;
    struct script_thread *script;
    struct engine_view view;
    struct segment segment; // of the numbers of the whole test

    struct list vus;    // all, by vu.link
    struct list idle;   // those in no scenario, by vu.idle_link, longest idle first
    struct vu *current; // whose coroutine runs now, or NULL
    bool growing;       // a VU is being made in the background
    bool unplanned_warned;
    unsigned series_warned;    // sets of tags beyond which there is a (further) warning
    struct prepare *preparing; // VUs being made before the run
    struct hook *hook;         // setup(), teardown() or handleSummary() under way

    struct runner **runners; // by scenario
    unsigned runners_left;   // that have not ended

    struct strbuf snapshot; // bytes of the last worker_snapshot()
    struct worker_window window;
};

// A request of the conductor to one worker. `done` is set by worker_reply().
struct call {
    struct worker *worker;
    void (*fn)(struct call *c); // on the worker's loop; replies now or later
    void *arg;
    int result;
    struct err err;
    bool done;       // under the engine's lock
    nsec_t deadline; // for hooks: when to interrupt, 0 = never
};

// Starts the thread and its loop. 0 or negative errno.
int worker_start(struct worker *w, struct engine *e, unsigned index);
// Ends the thread; VUs must be idle. Frees everything.
void worker_stop(struct worker *w);
// Sends a call; it must stay where it is until done.
void worker_send(struct worker *w, struct call *c, void (*fn)(struct call *c), void *arg);
// From the worker's thread: the call is answered.
void worker_reply(struct call *c, int result);

// ---- Calls ----
// Makes the interpreter and the VUs that are planned. Result: 0, SCRIPT_THREW …, negative errno.
void worker_call_prepare(struct call *c);
// arg: struct hook. Runs setup(), teardown() or handleSummary() in a VU of its own.
enum hook_kind { HOOK_SETUP, HOOK_TEARDOWN, HOOK_SUMMARY };
struct hook {
    enum hook_kind kind;
    const char *data;   // setup data, or the summary's JSON
    struct strbuf json; // result
    bool timed_out;
    bool missing; // there is no such function
    // private
    struct timer timer;
    struct vu *vu;
    struct call *call;
};
void worker_call_hook(struct call *c);
// arg: const char * setup data or NULL, for all VUs.
void worker_call_set_data(struct call *c);
// arg: const nsec_t * start of the test. Starts all runners.
void worker_call_go(struct call *c);
// No grace: all VUs are interrupted.
void worker_call_interrupt(struct call *c);
// Fills w->snapshot.
void worker_call_snapshot(struct call *c);
// Drive: the one runner starts without a plan; arg is struct drive_rate *, struct window *,
// nothing.
struct drive_rate {
    double per_second; // of this worker
    bool poisson;
    nsec_t base;      // start of the grid of evenly spaced arrivals
    double first_gap; // where this worker's first arrival lies on it, in seconds
};
void worker_call_drive(struct call *c);
void worker_call_set_rate(struct call *c);
void worker_call_take_window(struct call *c);
void worker_call_end(struct call *c);

// Most VUs that the worker's runners need at once.
uint64_t worker_planned_vus(const struct worker *w);
