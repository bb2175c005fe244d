// SPDX-License-Identifier: Apache-2.0
#include "metric/tagset.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

// One remembered step: `base` with `key` set to `value` is `result`.
struct step {
    uint64_t hash; // 0 = free slot
    const struct tagset *base;
    const struct tagset *result;
    struct slice key, value; // memory of result's tag (or of the step, for removals: value.p NULL)
};

struct tag_interner {
    struct map strings; // text → its one copy
    struct tagset **sets;
    unsigned count, cap;
    uint32_t *by_hash; // set id + 1, 0 = free
    size_t hash_slots;
    struct step *steps;
    size_t step_count, step_slots;
};

static const char *intern_string(struct tag_interner *in, struct slice s)
{
    char *copy = map_get(&in->strings, s);

    if (!copy) {
        copy = xstrndup(s.n ? s.p : "", s.n);
        map_set(&in->strings, s, copy);
    }
    return copy;
}

static bool sets_equal(const struct tagset *t, const struct tag *tags, unsigned count)
{
    if (t->count != count) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) { // strings are interned: pointers suffice
        if (t->tags[i].key != tags[i].key || t->tags[i].value != tags[i].value) {
            return false;
        }
    }
    return true;
}

static void index_set(struct tag_interner *in, const struct tagset *t)
{
    size_t slot = t->hash & (in->hash_slots - 1);

    while (in->by_hash[slot]) {
        slot = (slot + 1) & (in->hash_slots - 1);
    }
    in->by_hash[slot] = t->id + 1;
}

static const struct tagset *
intern_set(struct tag_interner *in, const struct tag *tags, unsigned count)
{
    uint64_t hash = 0x51ed270b;

    for (unsigned i = 0; i < count; i++) {
        hash = hash_mix(hash, (uintptr_t)tags[i].key);
        hash = hash_mix(hash, (uintptr_t)tags[i].value);
    }
    for (size_t slot = hash & (in->hash_slots - 1); in->by_hash[slot];
         slot = (slot + 1) & (in->hash_slots - 1)) {
        const struct tagset *t = in->sets[in->by_hash[slot] - 1];
        if (t->hash == hash && sets_equal(t, tags, count)) {
            return t;
        }
    }
    struct tagset *t = xmalloc(sizeof(*t) + count * sizeof(*tags));
    t->hash = hash;
    t->id = in->count;
    t->count = count;
    if (count) {
        memcpy(t->tags, tags, count * sizeof(*tags));
    }
    ARRAY_RESERVE(in->sets, in->count, in->cap);
    in->sets[in->count++] = t;
    if ((size_t)in->count * 2 > in->hash_slots) {
        free(in->by_hash);
        in->hash_slots *= 2;
        in->by_hash = xcalloc(in->hash_slots, sizeof(*in->by_hash));
        for (unsigned i = 0; i < in->count; i++) {
            index_set(in, in->sets[i]);
        }
    } else {
        index_set(in, t);
    }
    return t;
}

struct tag_interner *tag_interner_new(void)
{
    struct tag_interner *in = XNEW(struct tag_interner);

    in->hash_slots = 64;
    in->by_hash = xcalloc(in->hash_slots, sizeof(*in->by_hash));
    in->step_slots = 64;
    in->steps = xcalloc(in->step_slots, sizeof(*in->steps));
    intern_set(in, NULL, 0);
    return in;
}

void tag_interner_free(struct tag_interner *in)
{
    if (!in) {
        return;
    }
    for (unsigned i = 0; i < in->count; i++) {
        free(in->sets[i]);
    }
    MAP_FOREACH (it, &in->strings) {
        free(it->value);
    }
    map_fini(&in->strings);
    free(in->sets);
    free(in->by_hash);
    free(in->steps);
    free(in);
}

const struct tagset *tagset_empty(struct tag_interner *in)
{
    return in->sets[0];
}

static void grow_steps(struct tag_interner *in)
{
    size_t slots = in->step_slots * 2;
    struct step *steps = xcalloc(slots, sizeof(*steps));

    for (size_t i = 0; i < in->step_slots; i++) {
        if (in->steps[i].hash) {
            size_t slot = in->steps[i].hash & (slots - 1);
            while (steps[slot].hash) {
                slot = (slot + 1) & (slots - 1);
            }
            steps[slot] = in->steps[i];
        }
    }
    free(in->steps);
    in->steps = steps;
    in->step_slots = slots;
}

// `base` with key = value, or without key when value is NULL.
static const struct tagset *
build(struct tag_interner *in, const struct tagset *base, const char *key, const char *value)
{
    CLEANUP_FREE struct tag *tags = xcalloc(base->count + 1, sizeof(*tags));
    unsigned n = 0;
    bool placed = value == NULL;

    for (unsigned i = 0; i < base->count; i++) {
        int order = base->tags[i].key == key ? 0 : strcmp(base->tags[i].key, key);
        if (!placed && order >= 0) {
            tags[n++] = (struct tag){key, value};
            placed = true;
        }
        if (order != 0) {
            tags[n++] = base->tags[i];
        }
    }
    if (!placed) {
        tags[n++] = (struct tag){key, value};
    }
    return intern_set(in, tags, n);
}

static const struct tagset *step(struct tag_interner *in,
                                 const struct tagset *base,
                                 struct slice key,
                                 struct slice value,
                                 bool remove)
{
    uint64_t hash = hash_mix(hash_bytes(key.p, key.n), base->id);

    hash = hash_mix(hash, remove ? 1 : hash_bytes(value.p, value.n)) | 1;
    size_t slot = hash & (in->step_slots - 1);
    for (; in->steps[slot].hash; slot = (slot + 1) & (in->step_slots - 1)) {
        const struct step *s = &in->steps[slot];
        if (s->hash == hash && s->base == base && slice_eq(s->key, key) &&
            (s->value.p == NULL) == remove && (remove || slice_eq(s->value, value))) {
            return s->result;
        }
    }
    const char *k = intern_string(in, key), *v = remove ? NULL : intern_string(in, value);
    const struct tagset *result = build(in, base, k, v);
    in->steps[slot] = (struct step){hash, base, result, {k, key.n}, {v, remove ? 0 : value.n}};
    if (++in->step_count * 2 > in->step_slots) {
        grow_steps(in);
    }
    return result;
}

const struct tagset *tagset_with(struct tag_interner *in,
                                 const struct tagset *base,
                                 struct slice key,
                                 struct slice value)
{
    return step(in, base, key, value, false);
}

const struct tagset *tagset_with_all(struct tag_interner *in,
                                     const struct tagset *base,
                                     const struct slice (*pairs)[2],
                                     size_t count)
{
    for (size_t i = 0; i < count; i++) {
        base = step(in, base, pairs[i][0], pairs[i][1], false);
    }
    return base;
}

const struct tagset *
tagset_without(struct tag_interner *in, const struct tagset *base, struct slice key)
{
    return step(in, base, key, (struct slice){NULL, 0}, true);
}

const char *tagset_get(const struct tagset *t, const char *key)
{
    for (unsigned i = 0; i < t->count; i++) {
        if (strcmp(t->tags[i].key, key) == 0) {
            return t->tags[i].value;
        }
    }
    return NULL;
}

unsigned tag_interner_count(const struct tag_interner *in)
{
    return in->count;
}
