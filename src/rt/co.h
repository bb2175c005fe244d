// SPDX-License-Identifier: Apache-2.0
// Coroutines of a loop: code that looks as if it blocked. A suspended coroutine is never freed: it
// is woken with -ECANCELED and unwinds. Functions that may suspend are named x_await_y or say so.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rt/loop.h"

struct co;

// Switch hooks: called on the loop's side, `leave` after the coroutine gave up the thread, `enter`
// before it goes on (the first time too). They carry state that belongs to a coroutine, such as the
// interpreter's. NULL for none.
struct co_hooks {
    void (*enter)(void *arg);
    void (*leave)(void *arg);
    void *arg;
};

// Makes a coroutine that runs fn(arg) in a later phase 3 and frees itself when fn returns. Stacks
// are pooled, mapped lazily, guarded where that is cheap. `hooks` (copied) may be NULL.
struct co *co_spawn(struct loop *l, void (*fn)(void *arg), void *arg, const struct co_hooks *hooks);
// The running coroutine, NULL outside.
struct co *co_self(void);
// Gives up the thread until co_wake(); returns its value. -ECANCELED once the coroutine was
// cancelled: then it must unwind; every later suspension returns -ECANCELED at once.
int co_suspend(void);
// Makes a suspended coroutine ready with a value. When several wake it before it runs, a
// cancellation wins, else the first value. A wake of a running coroutine is ignored.
void co_wake(struct co *co, int value);
// From the loop or another coroutine of the same thread.
void co_cancel(struct co *co);
bool co_is_cancelled(const struct co *co);
// Lets the others run first. 0 or -ECANCELED.
int co_yield (void);
// Suspends until `due` (loop time). 0 or -ECANCELED.
int co_await_until(nsec_t due);
// Suspends for `d`. 0 or -ECANCELED.
int co_await_sleep(nsec_t d);
// Lowest usable address of the running coroutine's stack, with room left for C code below JS.
uintptr_t co_stack_limit(void);
// Size of the stack in bytes that coroutines of this process have (256 KiB by default).
size_t co_stack_size(void);
// Number of coroutines of the loop that have not ended.
unsigned co_count(const struct loop *l);

// Waits for several things: an owner counts `pending` down with co_group_done().
struct co_group {
    struct co *waiter;
    unsigned pending;
};
void co_group_done(struct co_group *g);
// Until pending is 0. 0 or -ECANCELED (then the caller cancels its children and waits again with
// co_group_await_all(), which ignores cancellation).
int co_group_await(struct co_group *g);
void co_group_await_all(struct co_group *g);
