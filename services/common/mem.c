// SPDX-License-Identifier: Apache-2.0
#include "mem.h"

#include <string.h>

static void *checked(void *ptr)
{
    if (!ptr) {
        abort();
    }
    return ptr;
}

void *mem_alloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *mem_zalloc(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

void *mem_realloc(void *ptr, size_t size)
{
    return checked(realloc(ptr, size ? size : 1));
}

char *mem_strdup(const char *text)
{
    return checked(strdup(text));
}
