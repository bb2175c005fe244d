// SPDX-License-Identifier: Apache-2.0
// Bump allocator: many small objects, freed together.
#pragma once

#include <stddef.h>

#include "base/strbuf.h"

struct arena_chunk;

// `struct arena a = ARENA_NULL;`
struct arena {
    struct arena_chunk *chunk; // newest first
    size_t total;              // bytes handed out
};
#define ARENA_NULL                                                                                 \
    {                                                                                              \
        0                                                                                          \
    }

void arena_fini(struct arena *a);
// Forgets everything and keeps one chunk for reuse.
void arena_reset(struct arena *a);
// Zeroed memory, aligned for any type; lives until reset or fini.
void *arena_alloc(struct arena *a, size_t size);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
