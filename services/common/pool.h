// SPDX-License-Identifier: Apache-2.0
// A fixed number of worker threads, each with a state of its own (a database connection, an
// upstream connection), behind a bounded queue. A thread of the pool *is* one unit of the resource:
// pool size, in use and pending are what they say. Any thread may submit.
#pragma once

#include "buf.h"

#include <stdbool.h>
#include <stdint.h>

struct pool;

// Embedded in the caller's job, which must live until run() or expire() is called. Exactly one of
// the two is, once.
struct pool_job {
    struct pool_job *next;                          // the pool's
    int64_t queued_at;                              // monotonic; set by pool_submit
    void (*run)(struct pool_job *job, void *state); // on a worker
    void (*expire)(struct pool_job *job); // waited longer than wait_max; on a thread of the pool
};

struct pool_config {
    const char *name;             // prefix of the metrics, e.g. "db_pool"; borrowed for good
    unsigned workers;             // > 0
    unsigned queue_max;           // jobs that wait, besides those that run
    int64_t wait_max_ns;          // longest wait in the queue
    void *(*open)(void *closure); // makes the state of one worker, on its thread
    void (*close)(void *state);
    void *closure;
};

struct pool *pool_new(const struct pool_config *config);
// 0, or -EAGAIN when the queue is full or the pool is stopping (neither callback is called then).
int pool_submit(struct pool *pool, struct pool_job *job);
// Runs what is queued, stops the threads, frees. NULL is fine.
struct pool *pool_free(struct pool *pool);
// NAME_size, _in_use, _pending, _wait_seconds, _timeouts_total, _rejected_total.
void pool_metrics(struct pool *pool, struct buf *out);
