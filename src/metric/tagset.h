// SPDX-License-Identifier: Apache-2.0
// Immutable sets of tags, interned: equal sets of one interner are the same pointer. One interner
// per thread, no locks. Sets live as long as their interner.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

struct tag {
    const char *key, *value; // owned by the interner
};

struct tagset {
    uint64_t hash;
    unsigned id; // dense within the interner, from 0; 0 is the empty set
    unsigned count;
    struct tag tags[]; // sorted by key
};

struct tag_interner;
struct tag_interner *tag_interner_new(void);
void tag_interner_free(struct tag_interner *in);
const struct tagset *tagset_empty(struct tag_interner *in);
// `base` with one tag set or replaced. Cached: after the first time a lookup without allocation.
const struct tagset *tagset_with(struct tag_interner *in,
                                 const struct tagset *base,
                                 struct slice key,
                                 struct slice value);
// `base` with several (later ones win).
const struct tagset *tagset_with_all(struct tag_interner *in,
                                     const struct tagset *base,
                                     const struct slice (*pairs)[2],
                                     size_t count);
const struct tagset *
tagset_without(struct tag_interner *in, const struct tagset *base, struct slice key);
// NULL if absent.
const char *tagset_get(const struct tagset *t, const char *key);
// Number of sets made (k6 warns from 100,000 time series on).
unsigned tag_interner_count(const struct tag_interner *in);
