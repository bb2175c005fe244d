// SPDX-License-Identifier: Apache-2.0
// One event loop per thread: epoll (edge-triggered), timers, coroutines, work posted from
// elsewhere.
//
// A turn has phases, so that the caches stay warm: (1) wait for events, at most 128 a turn, and
// read the clock once; (2) call the io callbacks, which receive bytes and mark coroutines ready;
// (3) run due timers and all ready coroutines; (4) call the flush callbacks, which send what was
// queued. Everything here is for the loop's own thread, but for loop_post() and loop_stop().
#pragma once

#include <stdbool.h>

#include "base/clock.h"
#include "base/list.h"

struct loop;

struct loop *loop_new(void);
// After every coroutine has ended.
void loop_free(struct loop *l);
DEFINE_CLEANUP(struct loop *, loop_free);
// The loop that runs on this thread, NULL outside of loop_run().
struct loop *loop_current(void);
// Time of the current phase, monotonic. Read after waiting and by loop_update_now().
nsec_t loop_now(const struct loop *l);
// Reads the clock again (end stamps of samples, after long computations).
nsec_t loop_update_now(struct loop *l);
// Runs until loop_stop(). Ready work is done before it returns.
void loop_run(struct loop *l);
// Ends loop_run() after the current turn. Any thread.
void loop_stop(struct loop *l);

// A timer embedded in its owner; TIMER_NULL before first use. Accurate to the kernel's timer slack
// (set to 1 ns on the loop's thread); never early.
struct timer {
    struct list link; // slot of the wheel or heap
    nsec_t due;       // 0 = not armed
    unsigned index;   // of the implementation
    void (*fn)(struct timer *t);
};
#define TIMER_NULL                                                                                 \
    {                                                                                              \
        0                                                                                          \
    }
// Arms or re-arms. `due` in the past fires in this turn's or the next turn's phase 3.
void timer_set(struct loop *l, struct timer *t, nsec_t due, void (*fn)(struct timer *t));
// Harmless when not armed.
void timer_cancel(struct loop *l, struct timer *t);

// A watched file descriptor, embedded in its owner. Registered once, edge-triggered, for reading
// and writing; the owner must read or write until EAGAIN.
struct io {
    int fd;
    unsigned ready; // IO_* seen since the owner cleared them
    void (*fn)(struct io *io, unsigned events);
};
// IO_EOF comes with IO_READ: the peer will send nothing more.
enum { IO_READ = 1, IO_WRITE = 2, IO_HANGUP = 4, IO_EOF = 8 };
// 0 or negative errno. The fd must be non-blocking.
int io_add(struct loop *l, struct io *io);
// Before the fd is closed, always.
void io_del(struct loop *l, struct io *io);

// Called once in phase 4 of this turn (a queued flush is not queued twice).
struct flush {
    struct list link;
    bool queued;
    void (*fn)(struct flush *f);
};
void loop_flush_later(struct loop *l, struct flush *f);
void loop_flush_cancel(struct flush *f);

// Calls fn(arg) on the loop's thread in a later turn. Any thread; takes a lock, not for hot paths.
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

// What the loop knows of its own lateness, for "the generator was the limit".
struct loop_stats {
    nsec_t busy;     // time spent outside of waiting
    nsec_t waiting;  // time spent waiting
    nsec_t late_max; // worst lateness of a timer since the last call
    unsigned long turns;
};
void loop_take_stats(struct loop *l, struct loop_stats *ret_stats);
