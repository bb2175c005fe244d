// SPDX-License-Identifier: Apache-2.0
#include "delay.h"

#include "common/clock.h"
#include "common/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>

struct entry {
    int64_t due;
    delay_fn fn;
    void *closure;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t earlier; // the earliest time changed, or stopping
static pthread_t thread;
static bool stopping;
static struct entry
    *heap; // binary heap by due; as many as requests wait, bounded by the connections
static size_t count, capacity;

static void sift_up(size_t i)
{
    struct entry entry = heap[i];

    for (; i > 0 && entry.due < heap[(i - 1) / 2].due; i = (i - 1) / 2) {
        heap[i] = heap[(i - 1) / 2];
    }
    heap[i] = entry;
}

static struct entry pop(void)
{
    struct entry top = heap[0], last = heap[--count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < count && heap[child + 1].due < heap[child].due) {
            child++;
        }
        if (child >= count || last.due <= heap[child].due) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    if (count > 0) {
        heap[i] = last;
    }
    return top;
}

static void *run(void *closure)
{
    prctl(PR_SET_TIMERSLACK, 1UL);
    pthread_mutex_lock(&lock);
    while (!stopping || count > 0) {
        if (count == 0) {
            pthread_cond_wait(&earlier, &lock);
        } else if (!stopping && clock_monotonic() < heap[0].due) {
            struct timespec until = clock_timespec(heap[0].due);
            pthread_cond_timedwait(&earlier, &lock, &until);
        } else {
            struct entry entry = pop();
            pthread_mutex_unlock(&lock);
            entry.fn(entry.closure);
            pthread_mutex_lock(&lock);
        }
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

void delay_start(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&earlier, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&thread, NULL, run, NULL) != 0) {
        abort();
    }
}

void delay_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_signal(&earlier);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&earlier);
    free(heap);
}

void delay_call(int64_t due, delay_fn fn, void *closure)
{
    pthread_mutex_lock(&lock);
    if (count == capacity) {
        capacity = capacity ? capacity * 2 : 256;
        heap = mem_realloc(heap, capacity * sizeof(*heap));
    }
    heap[count++] = (struct entry){due, fn, closure};
    sift_up(count - 1);
    if (heap[0].closure == closure) {
        pthread_cond_signal(&earlier);
    }
    pthread_mutex_unlock(&lock);
}
