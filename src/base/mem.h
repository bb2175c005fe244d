// SPDX-License-Identifier: Apache-2.0
// Allocation that cannot fail (it aborts with a message) and cleanup attributes.
#pragma once

#include <stdarg.h>
#include <stddef.h>

void *xmalloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((alloc_size(2)));
// As realloc() for `count` elements of `size` bytes; aborts on overflow.
void *xreallocarray(void *p, size_t count, size_t size);
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
char *xvasprintf(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

#define XNEW(type)                      ((type *)xcalloc(1, sizeof(type)))
#define ARRAY_SIZE(a)                   (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define MIN(a, b)                       ((a) < (b) ? (a) : (b))
#define MAX(a, b)                       ((a) > (b) ? (a) : (b))

// Programming errors; kept in release builds.
#define ASSERT(cond) ((cond) ? (void)0 : mem_assert_failed(#cond, __FILE__, __LINE__))
void mem_assert_failed(const char *cond, const char *file, int line) __attribute__((noreturn));

// A local that is destroyed at the end of its scope: CLEANUP(strbuf_fini) struct strbuf b = ...
#define CLEANUP(fn) __attribute__((cleanup(fn)))
// Defines the cleanup function `fn_p` for a pointer type with destructor `fn`.
#define DEFINE_CLEANUP(type, fn)                                                                   \
    static inline void fn##_p(type *p)                                                             \
    {                                                                                              \
        if (*p) {                                                                                  \
            fn(*p);                                                                                \
        }                                                                                          \
    }                                                                                              \
    struct mem_semicolon
#define CLEANUP_FREE  CLEANUP(mem_free_p)
#define CLEANUP_CLOSE CLEANUP(mem_close_p)
void mem_free_p(void *p);
// Closes the fd unless it is negative; keeps errno.
void mem_close_p(int *fd);

// Hands over a pointer: yields its value and leaves NULL behind.
#define TAKE(p)                                                                                    \
    ({                                                                                             \
        __auto_type take_p_ = &(p);                                                                \
        __auto_type take_v_ = *take_p_;                                                            \
        *take_p_ = NULL;                                                                           \
        take_v_;                                                                                   \
    })

// Grows a typed array so that index `len` may be written. `items`, `len`, `cap` are lvalues.
#define ARRAY_RESERVE(items, len, cap)                                                             \
    do {                                                                                           \
        if ((len) >= (cap)) {                                                                      \
            (cap) = (cap) ? (cap)*2 : 8;                                                           \
            (items) = xreallocarray((items), (size_t)(cap), sizeof(*(items)));                     \
        }                                                                                          \
    } while (0)
