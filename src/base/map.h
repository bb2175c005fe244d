// SPDX-License-Identifier: Apache-2.0
// Hash map from byte strings (copied) to pointers (borrowed). Open addressing, insertion ordered.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

struct map_entry {
    char *key; // owned, terminated; NULL once removed
    size_t key_n;
    uint64_t hash;
    void *value;
};

// `struct map m = MAP_NULL;`
struct map {
    struct map_entry *entries; // in the order of insertion; removed ones have key == NULL
    size_t used;               // entries filled, removed ones included
    size_t live;               // entries present
    size_t cap;                // room in entries
    uint32_t *index;           // 2 * cap slots: entry number + 1, 0 = free
    size_t slots;
};
#define MAP_NULL                                                                                   \
    {                                                                                              \
        0                                                                                          \
    }

// Frees the map, not the values.
void map_fini(struct map *m);
void *map_get(const struct map *m, struct slice key);
void *map_gets(const struct map *m, const char *key);
// Sets, replacing; returns the former value or NULL.
void *map_set(struct map *m, struct slice key, void *value);
void *map_sets(struct map *m, const char *key, void *value);
// Removes; returns the value or NULL.
void *map_del(struct map *m, struct slice key);

#define MAP_FOREACH(it, m)                                                                         \
    for (struct map_entry *it = (m)->entries; it && it < (m)->entries + (m)->used; it++)           \
        if (it->key)

// 64-bit hash of bytes, stable within a run.
uint64_t hash_bytes(const void *p, size_t n);
// Mixes two hashes, order matters.
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    uint64_t x = (a ^ (b + 0x9e3779b97f4a7c15ull)) * 0xbf58476d1ce4e5b9ull;

    return x ^ (x >> 29);
}
