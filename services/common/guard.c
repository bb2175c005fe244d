// SPDX-License-Identifier: Apache-2.0
#include "guard.h"

#include "clock.h"
#include "mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>

#define LOOK_EVERY (250 * MSEC)

struct guard_entry {
    struct guard_entry *previous, *next;
    int fd;
    _Atomic int64_t deadline;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stop;
static bool stopping;
static pthread_t thread;
static struct guard_entry head = {.previous = &head, .next = &head}; // ring

static void *look(void *closure)
{
    pthread_mutex_lock(&lock);
    while (!stopping) {
        int64_t now = clock_monotonic();
        for (struct guard_entry *e = head.next; e != &head; e = e->next) {
            int64_t deadline = e->deadline;
            if (deadline && now > deadline) {
                e->deadline = 0;
                shutdown(e->fd, SHUT_RDWR);
            }
        }
        struct timespec until = clock_timespec(now + LOOK_EVERY);
        pthread_cond_timedwait(&stop, &lock, &until);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

void guard_start(void)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&stop, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&thread, NULL, look, NULL) != 0) {
        abort();
    }
}

void guard_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_signal(&stop);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&stop);
}

struct guard_entry *guard_add(int fd)
{
    struct guard_entry *entry = mem_zalloc(sizeof(*entry));

    entry->fd = fd;
    pthread_mutex_lock(&lock);
    entry->previous = head.previous;
    entry->next = &head;
    head.previous->next = entry;
    head.previous = entry;
    pthread_mutex_unlock(&lock);
    return entry;
}

void guard_remove(struct guard_entry *entry)
{
    pthread_mutex_lock(&lock);
    entry->previous->next = entry->next;
    entry->next->previous = entry->previous;
    pthread_mutex_unlock(&lock);
    free(entry);
}

void guard_set(struct guard_entry *entry, int64_t deadline)
{
    atomic_store_explicit(&entry->deadline, deadline, memory_order_relaxed);
}
