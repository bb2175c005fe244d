// SPDX-License-Identifier: Apache-2.0
#include "rt/heap.h"

#include <stdlib.h>

// timer.index is the slot + 1, so that 0 means "not armed".

static void put(struct timer_heap *h, size_t i, struct timer_slot slot)
{
    h->slots[i] = slot;
    slot.timer->index = (unsigned)i + 1;
}

static void sift_up(struct timer_heap *h, size_t i, struct timer_slot slot)
{
    while (i > 0) {
        size_t parent = (i - 1) / 4;
        if (h->slots[parent].due <= slot.due) {
            break;
        }
        put(h, i, h->slots[parent]);
        i = parent;
    }
    put(h, i, slot);
}

static void sift_down(struct timer_heap *h, size_t i, struct timer_slot slot)
{
    for (;;) {
        size_t first = i * 4 + 1;
        size_t least = first;
        if (first >= h->n) {
            break;
        }
        for (size_t c = first + 1; c < first + 4 && c < h->n; c++) {
            if (h->slots[c].due < h->slots[least].due) {
                least = c;
            }
        }
        if (h->slots[least].due >= slot.due) {
            break;
        }
        put(h, i, h->slots[least]);
        i = least;
    }
    put(h, i, slot);
}

void timer_heap_fini(struct timer_heap *h)
{
    free(h->slots);
    *h = (struct timer_heap){0};
}

void timer_heap_add(struct timer_heap *h, struct timer *t, nsec_t due)
{
    ASSERT(t->index == 0);
    ARRAY_RESERVE(h->slots, h->n, h->cap);
    t->due = due;
    sift_up(h, h->n++, (struct timer_slot){due, t});
}

void timer_heap_del(struct timer_heap *h, struct timer *t)
{
    size_t i = t->index - 1;

    ASSERT(t->index && i < h->n && h->slots[i].timer == t);
    struct timer_slot last = h->slots[--h->n];
    t->index = 0;
    t->due = 0;
    if (i == h->n) {
        return;
    }
    if (i > 0 && h->slots[(i - 1) / 4].due > last.due) {
        sift_up(h, i, last);
    } else {
        sift_down(h, i, last);
    }
}

struct timer *timer_heap_take(struct timer_heap *h, nsec_t now)
{
    if (!h->n || h->slots[0].due > now) {
        return NULL;
    }
    struct timer *t = h->slots[0].timer;
    timer_heap_del(h, t);
    return t;
}
