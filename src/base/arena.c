// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { CHUNK_SIZE = 16 * 1024, ALIGN = 16 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t used, size;
    char data[] __attribute__((aligned(ALIGN)));
};

static void free_chunk(struct arena_chunk *chunk)
{
    ASAN_UNPOISON_MEMORY_REGION(chunk->data, chunk->size);
    free(chunk);
}

void arena_fini(struct arena *a)
{
    while (a->chunk) {
        struct arena_chunk *chunk = a->chunk;
        a->chunk = chunk->older;
        free_chunk(chunk);
    }
    a->total = 0;
}

void arena_reset(struct arena *a)
{
    while (a->chunk && a->chunk->older) {
        struct arena_chunk *chunk = a->chunk;
        a->chunk = chunk->older;
        free_chunk(chunk);
    }
    if (a->chunk) {
        ASAN_POISON_MEMORY_REGION(a->chunk->data, a->chunk->size);
        a->chunk->used = 0;
    }
    a->total = 0;
}

void *arena_alloc(struct arena *a, size_t size)
{
    struct arena_chunk *chunk = a->chunk;
    size_t rounded = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);

    ASSERT(rounded >= size);
    if (!chunk || chunk->size - chunk->used < rounded) {
        size_t room = MAX((size_t)CHUNK_SIZE, rounded);
        chunk = xmalloc(sizeof(*chunk) + room);
        *chunk = (struct arena_chunk){.older = a->chunk, .size = room};
        a->chunk = chunk;
        ASAN_POISON_MEMORY_REGION(chunk->data, room);
    }
    char *p = chunk->data + chunk->used;
    chunk->used += rounded;
    a->total += size;
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    memset(p, 0, size);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy = arena_alloc(a, n + 1);

    if (n) {
        memcpy(copy, s, n);
    }
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    CLEANUP_FREE char *text = xvasprintf(format, args);
    va_end(args);
    return arena_strdup(a, text);
}
