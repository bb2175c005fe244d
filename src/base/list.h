// SPDX-License-Identifier: Apache-2.0
// Intrusive doubly linked list: embed `struct list` in the element and in the owner (as its head).
#pragma once

#include <stdbool.h>

#include "base/mem.h"

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert(struct list *prev, struct list *next, struct list *item)
{
    item->prev = prev;
    item->next = next;
    prev->next = item;
    next->prev = item;
}

static inline void list_push_back(struct list *head, struct list *item)
{
    list_insert(head->prev, head, item);
}

static inline void list_push_front(struct list *head, struct list *item)
{
    list_insert(head, head->next, item);
}

// Unlinks and leaves the item pointing to itself, so that unlinking again is harmless.
static inline void list_del(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}

// Moves all of `from` to the end of `to`.
static inline void list_splice(struct list *to, struct list *from)
{
    if (!list_empty(from)) {
        from->next->prev = to->prev;
        to->prev->next = from->next;
        from->prev->next = to;
        to->prev = from->prev;
        list_init(from);
    }
}

#define LIST_ENTRY(item, type, member) CONTAINER_OF(item, type, member)
#define LIST_FOREACH(it, head)         for (struct list *it = (head)->next; it != (head); it = it->next)
#define LIST_FOREACH_SAFE(it, head)                                                                \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head);                      \
         it = it##_next, it##_next = it->next)
