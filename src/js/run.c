// SPDX-License-Identifier: Apache-2.0
// A virtual user's event loop: interpreter state, jobs, timers, tasks, interruption.
#include <errno.h>

#include "base/log.h"
#include "js/vu.h"

#define DEFAULT_MEMORY ((int64_t)256 << 20)
#define DEFAULT_SLICE  (5 * NSEC_PER_MSEC)

static int64_t memory_limit(const struct script_thread *t)
{
    uint64_t set = t->settings ? t->settings->vu_memory : 0;

    return set ? (int64_t)MIN(set, (uint64_t)INT64_MAX / 2) : DEFAULT_MEMORY;
}

void js_vu_enter(struct script_vu *vu)
{
    struct script_thread *t = vu->thread;
    int64_t room = memory_limit(t) - vu->heap;

    ASSERT(!t->current);
    t->current = vu;
    qx_enter(t->rt, &vu->state, co_stack_limit());
    vu->heap_at_enter = qx_heap_bytes(t->rt);
    qx_heap_allow(t->rt, room > 0 ? (size_t)room : 1);
    vu->slice_start = 0;
}

void js_vu_leave(struct script_vu *vu)
{
    struct script_thread *t = vu->thread;

    ASSERT(t->current == vu);
    t->current = NULL;
    qx_leave(t->rt, &vu->state);
    qx_heap_allow(t->rt, 0);
    vu->heap += (int64_t)qx_heap_bytes(t->rt) - (int64_t)vu->heap_at_enter;
}

// Garbage in cycles counts until it is collected.
void js_vu_collect(struct script_vu *vu, bool always)
{
    struct script_thread *t = vu->thread;

    ASSERT(!t->current);
    if (always || vu->heap > memory_limit(t) / 4 * 3) {
        size_t before = qx_heap_bytes(t->rt);
        JS_RunGC(t->rt);
        vu->heap -= (int64_t)(before - qx_heap_bytes(t->rt));
        vu->heap = MAX(vu->heap, 0);
    }
}

JSValue js_vu_throw_interrupted(struct script_vu *vu)
{
    vu->interrupted = true;
    JS_ThrowInternalError(vu->ctx, "interrupted");
    JSValue error = JS_GetException(vu->ctx);
    JS_SetUncatchableError(vu->ctx, error);
    return JS_Throw(vu->ctx, error);
}

// Polled by the interpreter every 10,000 calls or turns of a loop: one VU's long computation must
// not delay the others of its thread.
static int poll_interrupt(JSRuntime *rt, void *opaque)
{
    struct script_thread *t = opaque;
    struct script_vu *vu = t->current;

    if (!vu) {
        return 0;
    }
    if (vu->interrupted || co_is_cancelled(co_self())) {
        vu->interrupted = true;
        return 1;
    }
    nsec_t now = clock_now();
    nsec_t slice = t->settings && t->settings->time_slice ? t->settings->time_slice : DEFAULT_SLICE;
    if (vu->slice_start == 0) {
        vu->slice_start = now;
    } else if (now - vu->slice_start > slice && JS_AWAIT(vu, co_yield ()) < 0) {
        vu->interrupted = true;
    }
    return vu->interrupted;
}

static void track_rejection(
    JSContext *ctx, JSValueConst promise, JSValueConst reason, bool is_handled, void *opaque)
{
    struct script_vu *vu = js_vu(ctx);

    if (!vu) {
        return;
    }
    if (!is_handled && JS_IsUninitialized(vu->rejected_promise)) {
        vu->rejected_promise = JS_DupValue(ctx, promise);
        vu->rejected = JS_DupValue(ctx, reason);
    } else if (is_handled && JS_IsStrictEqual(ctx, promise, vu->rejected_promise)) {
        JS_FreeValue(ctx, vu->rejected_promise);
        JS_FreeValue(ctx, vu->rejected);
        vu->rejected_promise = vu->rejected = JS_UNINITIALIZED;
    }
}

void js_run_install(struct script_thread *t)
{
    JS_SetInterruptHandler(t->rt, poll_interrupt, t);
    JS_SetHostPromiseRejectionTracker(t->rt, track_rejection, t);
}

// ---- timers and tasks

void js_timer_free(struct script_vu *vu, struct js_timer *t)
{
    list_del(&t->link);
    JS_FreeValue(vu->ctx, t->fn);
    for (int i = 0; i < t->argc; i++) {
        JS_FreeValue(vu->ctx, t->argv[i]);
    }
    js_free(vu->ctx, t);
}

void js_timer_insert(struct script_vu *vu, struct js_timer *t)
{
    struct list *at = vu->timers.prev;

    while (at != &vu->timers && LIST_ENTRY(at, struct js_timer, link)->due > t->due) {
        at = at->prev;
    }
    list_insert(at, at->next, &t->link);
}

static struct js_timer *next_timer(struct script_vu *vu)
{
    return list_empty(&vu->timers) ? NULL : LIST_ENTRY(vu->timers.next, struct js_timer, link);
}

// Calls a due timer. -1 with an exception.
static int fire(struct script_vu *vu, struct js_timer *t)
{
    JSContext *ctx = vu->ctx;
    JSValue fn = JS_DupValue(ctx, t->fn);
    uint32_t id = t->id;

    if (t->every) {
        list_del(&t->link);
        t->due = MAX(t->due + t->every, loop_now(vu->thread->loop));
        js_timer_insert(vu, t);
    }
    JSValue result = JS_Call(ctx, fn, JS_UNDEFINED, t->argc, (JSValueConst *)t->argv);
    JS_FreeValue(ctx, fn);
    LIST_FOREACH (it, &vu->timers) { // it may have cleared itself
        struct js_timer *again = LIST_ENTRY(it, struct js_timer, link);
        if (again->id == id && !again->every) {
            js_timer_free(vu, again);
            break;
        }
    }
    JS_FreeValue(ctx, result);
    return JS_IsException(result) ? -1 : 0;
}

void js_task_started(struct script_vu *vu, struct js_task *task)
{
    task->vu = vu;
    list_push_back(&vu->running, &task->link);
    vu->tasks.pending++;
}

void js_task_finished(struct js_task *task)
{
    struct script_vu *vu = task->vu;

    list_del(&task->link);
    list_push_back(&vu->finished, &task->link);
    co_group_done(&vu->tasks);
    if (vu->waiter) {
        co_wake(vu->waiter, 0);
    }
}

static void wake(struct timer *timer)
{
    struct script_vu *vu = CONTAINER_OF(timer, struct script_vu, wake);

    if (vu->waiter) {
        co_wake(vu->waiter, 0);
    }
}

// Suspends until a task has finished or `due` (0 = no timer).
static int wait_for_event(struct script_vu *vu, nsec_t due)
{
    struct loop *l = vu->thread->loop;

    vu->waiter = co_self();
    if (due) {
        timer_set(l, &vu->wake, due, wake);
    }
    int r = co_suspend();
    timer_cancel(l, &vu->wake);
    vu->waiter = NULL;
    return r;
}

void js_vu_drop_pending(struct script_vu *vu)
{
    JSContext *ctx = vu->ctx;

    while (next_timer(vu)) {
        js_timer_free(vu, next_timer(vu));
    }
    if (!list_empty(&vu->running)) {
        LIST_FOREACH (it, &vu->running) {
            co_cancel(LIST_ENTRY(it, struct js_task, link)->co);
        }
        js_vu_leave(vu);
        co_group_await_all(&vu->tasks);
        js_vu_enter(vu);
    }
    while (!list_empty(&vu->finished)) {
        struct js_task *task = LIST_ENTRY(vu->finished.next, struct js_task, link);
        list_del(&task->link);
        task->drop(vu, task);
    }
    JS_FreeValue(ctx, vu->rejected);
    JS_FreeValue(ctx, vu->rejected_promise);
    vu->rejected = vu->rejected_promise = JS_UNINITIALIZED;
    js_vu_leave(vu);
    qx_state_fini(ctx, &vu->state); // jobs that nobody will run
    js_vu_enter(vu);
}

// ---- the loop

// All queued jobs. -1 with an exception: one that cannot be caught, or an unhandled rejection.
static int run_jobs(struct script_vu *vu)
{
    JSContext *ctx;
    int r;

    while ((r = JS_ExecutePendingJob(vu->thread->rt, &ctx)) > 0) {
    }
    if (r < 0) {
        return -1;
    }
    if (!JS_IsUninitialized(vu->rejected_promise)) {
        JSValue reason = vu->rejected;
        JS_FreeValue(vu->ctx, vu->rejected_promise);
        vu->rejected = vu->rejected_promise = JS_UNINITIALIZED;
        vu->uncaught_in_promise = true;
        JS_Throw(vu->ctx, reason);
        return -1;
    }
    return 0;
}

// One finished task or due timer; waits for one. 1 when there is nothing to wait for, -1 with an
// exception.
static int run_event(struct script_vu *vu)
{
    struct loop *l = vu->thread->loop;

    if (!list_empty(&vu->finished)) {
        struct js_task *task = LIST_ENTRY(vu->finished.next, struct js_task, link);
        list_del(&task->link);
        return task->finish(vu, task);
    }
    struct js_timer *timer = next_timer(vu);
    if (timer && timer->due <= loop_now(l)) {
        return fire(vu, timer);
    }
    if (!timer && list_empty(&vu->running)) {
        return 1;
    }
    if (JS_AWAIT(vu, wait_for_event(vu, timer ? timer->due : 0)) < 0) {
        js_vu_throw_interrupted(vu);
        return -1;
    }
    return 0;
}

static JSValue run(struct script_vu *vu, JSValue result, bool until_settled)
{
    JSContext *ctx = vu->ctx;
    bool is_promise = JS_IsPromise(result);
    int r = 0;

    if (JS_IsException(result)) {
        return result;
    }
    if (is_promise) {
        JS_PromiseMarkAsHandled(ctx, result);
        if (JS_IsStrictEqual(ctx, result, vu->rejected_promise)) {
            JS_FreeValue(ctx, vu->rejected_promise);
            JS_FreeValue(ctx, vu->rejected);
            vu->rejected = vu->rejected_promise = JS_UNINITIALIZED;
        }
    }
    while (r == 0) {
        r = run_jobs(vu);
        JSPromiseStateEnum state = is_promise ? JS_PromiseState(ctx, result) : JS_PROMISE_FULFILLED;
        if (r == 0 && is_promise && state == JS_PROMISE_REJECTED) {
            JS_Throw(ctx, JS_PromiseResult(ctx, result));
            r = -1;
        } else if (r == 0 && until_settled && state == JS_PROMISE_FULFILLED) {
            r = 1;
        } else if (r == 0) {
            r = run_event(vu);
        }
    }
    if (r > 0 && is_promise) {
        JSValue value = JS_PromiseState(ctx, result) == JS_PROMISE_FULFILLED
                            ? JS_PromiseResult(ctx, result)
                            : JS_UNDEFINED;
        JS_FreeValue(ctx, result);
        return value;
    }
    if (r < 0) {
        JS_FreeValue(ctx, result);
        return JS_EXCEPTION;
    }
    return result;
}

JSValue js_vu_run_to_end(struct script_vu *vu, JSValue result)
{
    return run(vu, result, false);
}

JSValue js_vu_await(struct script_vu *vu, JSValue promise)
{
    return run(vu, promise, true);
}
