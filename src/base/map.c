// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"

#include <stdlib.h>

#include "base/mem.h"

uint64_t hash_bytes(const void *p, size_t n)
{
    const unsigned char *bytes = p;
    uint64_t h = 0x2545f4914f6cdd1dull ^ n;

    while (n >= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        h = hash_mix(h, word);
        bytes += 8;
        n -= 8;
    }
    if (n) {
        uint64_t word = 0;
        memcpy(&word, bytes, n);
        h = hash_mix(h, word);
    }
    return h ^ (h >> 32);
}

void map_fini(struct map *m)
{
    MAP_FOREACH (it, m) {
        free(it->key);
    }
    free(m->entries);
    free(m->index);
    *m = (struct map)MAP_NULL;
}

static struct map_entry *find(const struct map *m, struct slice key, uint64_t hash)
{
    if (!m->slots) {
        return NULL;
    }
    for (size_t i = hash & (m->slots - 1); m->index[i]; i = (i + 1) & (m->slots - 1)) {
        struct map_entry *e = &m->entries[m->index[i] - 1];
        if (e->hash == hash && e->key && slice_eq((struct slice){e->key, e->key_n}, key)) {
            return e;
        }
    }
    return NULL;
}

static void place(struct map *m, size_t number)
{
    size_t i = m->entries[number].hash & (m->slots - 1);

    while (m->index[i]) {
        i = (i + 1) & (m->slots - 1);
    }
    m->index[i] = (uint32_t)number + 1;
}

// Drops removed entries and doubles the room when it is really full.
static void rebuild(struct map *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->used; i++) {
        if (m->entries[i].key) {
            m->entries[n++] = m->entries[i];
        }
    }
    m->used = n;
    if (n * 2 > m->cap || !m->cap) {
        m->cap = m->cap ? m->cap * 2 : 8;
        m->entries = xreallocarray(m->entries, m->cap, sizeof(*m->entries));
    }
    m->slots = m->cap * 2;
    free(m->index);
    m->index = xcalloc(m->slots, sizeof(*m->index));
    for (size_t i = 0; i < n; i++) {
        place(m, i);
    }
}

void *map_get(const struct map *m, struct slice key)
{
    struct map_entry *e = find(m, key, hash_bytes(key.p, key.n));

    return e ? e->value : NULL;
}

void *map_gets(const struct map *m, const char *key)
{
    return map_get(m, slice_of(key));
}

void *map_set(struct map *m, struct slice key, void *value)
{
    uint64_t hash = hash_bytes(key.p, key.n);
    struct map_entry *e = find(m, key, hash);

    if (e) {
        void *former = e->value;
        e->value = value;
        return former;
    }
    if (m->used == m->cap) {
        rebuild(m);
    }
    char *copy = xmalloc(key.n + 1);
    if (key.n) {
        memcpy(copy, key.p, key.n);
    }
    copy[key.n] = 0;
    m->entries[m->used] = (struct map_entry){copy, key.n, hash, value};
    place(m, m->used++);
    m->live++;
    return NULL;
}

void *map_sets(struct map *m, const char *key, void *value)
{
    return map_set(m, slice_of(key), value);
}

void *map_del(struct map *m, struct slice key)
{
    struct map_entry *e = find(m, key, hash_bytes(key.p, key.n));

    if (!e) {
        return NULL;
    }
    // The slot keeps pointing here, so that probing goes on over it.
    free(e->key);
    e->key = NULL;
    m->live--;
    return e->value;
}
