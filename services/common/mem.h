// SPDX-License-Identifier: Apache-2.0
// Allocation that aborts on failure (every size from outside is bounded before it gets here) and
// cleanup attributes for locals. Any thread.
#pragma once

#include <stddef.h>
#include <stdlib.h>

void *mem_alloc(size_t size) __attribute__((malloc));
void *mem_zalloc(size_t size) __attribute__((malloc));
void *mem_realloc(void *ptr, size_t size);
char *mem_strdup(const char *text) __attribute__((malloc));

#define CLEANUP(function) __attribute__((cleanup(function)))
// Frees the pointer that a local CLEANUP(mem_free_ptr) variable holds.
static inline void mem_free_ptr(void *ptr)
{
    free(*(void **)ptr);
}
