// SPDX-License-Identifier: Apache-2.0
// Inside of rt: what loop.c and co.c share.
#pragma once

#include <pthread.h>
#include <sys/epoll.h>

#include "rt/co.h"
#include "rt/heap.h"

enum { LOOP_EVENTS = 128 };

struct loop_post_item {
    void (*fn)(void *arg);
    void *arg;
};

struct loop {
    int epoll_fd;
    nsec_t now;
    struct timer_heap timers;
    struct list ready;   // coroutines, by co.link
    struct list flushes; // by flush.link
    struct epoll_event events[LOOP_EVENTS];
    int event_count, event_next; // the batch that phase 2 walks through
    struct loop_stats stats;

    // Coroutines (co.c).
    struct co *current;
    void *sp;         // the loop's own stack while a coroutine runs
    struct list idle; // ended coroutines with their stacks
    unsigned idle_count;
    unsigned live;         // not ended
    unsigned stacks;       // mapped
    void *asan_stack;      // fake stack of the loop's side
    const void *asan_base; // bounds of the loop's stack
    size_t asan_size;
    void *tsan_fiber;

    // From other threads.
    struct io wake;
    pthread_mutex_t lock;
    struct loop_post_item *posts;
    size_t post_count, post_cap;
    bool stopping;
};

// Runs the coroutines that are ready now; ones that become ready meanwhile wait for the next turn.
void co_run_ready(struct loop *l);
// Unmaps the pooled stacks.
void co_fini_pool(struct loop *l);
