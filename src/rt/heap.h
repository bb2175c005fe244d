// SPDX-License-Identifier: Apache-2.0
// Timers ordered by due time: a 4-ary heap. Pure, time is passed in; inside of rt.
#pragma once

#include <stddef.h>

#include "rt/loop.h"

struct timer_slot {
    nsec_t due;
    struct timer *timer;
};

// `struct timer_heap h = {0};`
struct timer_heap {
    struct timer_slot *slots;
    size_t n, cap;
};

void timer_heap_fini(struct timer_heap *h);
// t must not be in a heap.
void timer_heap_add(struct timer_heap *h, struct timer *t, nsec_t due);
// t must be in this heap.
void timer_heap_del(struct timer_heap *h, struct timer *t);
// Takes out the first timer that is due at `now`, NULL if none is.
struct timer *timer_heap_take(struct timer_heap *h, nsec_t now);
// Due time of the first, NSEC_MAX when empty.
static inline nsec_t timer_heap_next(const struct timer_heap *h)
{
    return h->n ? h->slots[0].due : NSEC_MAX;
}
