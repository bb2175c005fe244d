// SPDX-License-Identifier: Apache-2.0
#include "pool.h"

#include "clock.h"
#include "mem.h"
#include "metric.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

struct pool {
    struct pool_config config;
    pthread_mutex_t lock;
    pthread_cond_t work;  // a job is queued, or stopping
    pthread_cond_t queue; // a job has to wait, or stopping; for the expiry thread
    struct pool_job *head, **tail;
    unsigned pending, in_use;
    bool stopping;
    bool expiry_idle; // the expiry thread waits for `queue`, without a time
    uint64_t timeouts, rejected;
    struct metric_hist wait;
    pthread_t expiry;
    pthread_t threads[];
};

static struct pool_job *pop(struct pool *pool)
{
    struct pool_job *job = pool->head;

    pool->head = job->next;
    if (!pool->head) {
        pool->tail = &pool->head;
    }
    pool->pending--;
    return job;
}

static void *work(void *closure)
{
    struct pool *pool = closure;
    void *state = pool->config.open(pool->config.closure);

    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->head && !pool->stopping) {
            pthread_cond_wait(&pool->work, &pool->lock);
        }
        if (!pool->head) {
            break;
        }
        struct pool_job *job = pop(pool);
        pool->in_use++;
        pthread_mutex_unlock(&pool->lock);
        metric_hist_add(&pool->wait, clock_monotonic() - job->queued_at);
        job->run(job, state);
        pthread_mutex_lock(&pool->lock);
        pool->in_use--;
    }
    pthread_mutex_unlock(&pool->lock);
    pool->config.close(state);
    return NULL;
}

// All jobs may wait equally long, so the head is always the next to expire.
static void *expire(void *closure)
{
    struct pool *pool = closure;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (!pool->head) {
            pool->expiry_idle = true;
            pthread_cond_wait(&pool->queue, &pool->lock);
            continue;
        }
        int64_t due = pool->head->queued_at + pool->config.wait_max_ns;
        if (clock_monotonic() < due) {
            struct timespec until = clock_timespec(due);
            pthread_cond_timedwait(&pool->queue, &pool->lock, &until);
            continue;
        }
        struct pool_job *job = pop(pool);
        pool->timeouts++;
        pthread_mutex_unlock(&pool->lock);
        metric_hist_add(&pool->wait, clock_monotonic() - job->queued_at);
        job->expire(job);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void start_thread(pthread_t *thread, void *(*function)(void *), struct pool *pool)
{
    if (pthread_create(thread, NULL, function, pool) != 0) {
        abort();
    }
}

struct pool *pool_new(const struct pool_config *config)
{
    struct pool *pool = mem_zalloc(sizeof(*pool) + config->workers * sizeof(pool->threads[0]));
    pthread_condattr_t attr;

    pool->config = *config;
    pool->tail = &pool->head;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&pool->queue, &attr);
    pthread_condattr_destroy(&attr);
    start_thread(&pool->expiry, expire, pool);
    for (unsigned i = 0; i < config->workers; i++) {
        start_thread(&pool->threads[i], work, pool);
    }
    return pool;
}

int pool_submit(struct pool *pool, struct pool_job *job)
{
    int r = 0;

    job->next = NULL;
    job->queued_at = clock_monotonic();
    pthread_mutex_lock(&pool->lock);
    // A job that a free worker will take at once does not count as waiting.
    unsigned waiting = pool->pending + pool->in_use;
    if (pool->stopping || waiting >= pool->config.workers + pool->config.queue_max) {
        pool->rejected++;
        r = -EAGAIN;
    } else {
        *pool->tail = job;
        pool->tail = &job->next;
        pool->pending++;
        pthread_cond_signal(&pool->work);
        // Only when a job has to wait: the expiry thread sleeps through the quiet hours.
        if (waiting >= pool->config.workers && pool->expiry_idle) {
            pool->expiry_idle = false;
            pthread_cond_signal(&pool->queue);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return r;
}

struct pool *pool_free(struct pool *pool)
{
    if (!pool) {
        return NULL;
    }
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_cond_broadcast(&pool->queue);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->config.workers; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    pthread_join(pool->expiry, NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->queue);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    return NULL;
}

static void write_one(const struct pool *pool,
                      struct buf *out,
                      const char *suffix,
                      const char *type,
                      const char *help,
                      double value)
{
    char name[64];

    snprintf(name, sizeof(name), "%s_%s", pool->config.name, suffix);
    metric_single(out, name, type, help, value);
}

void pool_metrics(struct pool *pool, struct buf *out)
{
    char name[64];

    pthread_mutex_lock(&pool->lock);
    unsigned in_use = pool->in_use, pending = pool->pending;
    uint64_t timeouts = pool->timeouts, rejected = pool->rejected;
    pthread_mutex_unlock(&pool->lock);
    write_one(pool, out, "size", "gauge", "Connections at most.", pool->config.workers);
    write_one(pool, out, "in_use", "gauge", "Connections that carry a request.", in_use);
    write_one(pool, out, "pending", "gauge", "Requests that wait for a connection.", pending);
    write_one(pool, out, "queue_max", "gauge", "Requests that may wait.", pool->config.queue_max);
    write_one(pool, out, "timeouts_total", "counter", "Requests that waited too long.",
              (double)timeouts);
    write_one(pool, out, "rejected_total", "counter", "Requests that found the queue full.",
              (double)rejected);
    snprintf(name, sizeof(name), "%s_wait_seconds", pool->config.name);
    metric_head(out, name, "histogram", "Wait for a connection.");
    metric_hist_write(out, name, "", &pool->wait);
}
