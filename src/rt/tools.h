// SPDX-License-Identifier: Apache-2.0
// Tells ASan, TSan and Valgrind of stack switches. Inside of rt; nothing when they are absent.
#pragma once

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#endif

// On the stack that is left; `save` NULL = it will not be entered again.
static inline void tools_start_switch(void **save, const void *base, size_t size, void *fiber)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(save, base, size);
#endif
#if defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(fiber, 0);
#endif
    (void)save, (void)base, (void)size, (void)fiber;
}

// On the stack that was entered; yields the bounds of the one that was left.
static inline void tools_finish_switch(void *saved, const void **ret_base, size_t *ret_size)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(saved, ret_base, ret_size);
#endif
    (void)saved, (void)ret_base, (void)ret_size;
}

// A reused stack still carries the red zones of the frames that were on it.
static inline void tools_unpoison_stack(void *p, size_t n)
{
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(p, n);
#endif
    (void)p, (void)n;
}

static inline void *tools_this_fiber(void)
{
#if defined(__SANITIZE_THREAD__)
    return __tsan_get_current_fiber();
#else
    return NULL;
#endif
}

static inline void *tools_new_fiber(void)
{
#if defined(__SANITIZE_THREAD__)
    return __tsan_create_fiber(0);
#else
    return NULL;
#endif
}

static inline void tools_free_fiber(void *fiber)
{
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(fiber);
#endif
    (void)fiber;
}

static inline unsigned tools_register_stack(void *low, void *high)
{
#ifdef VALGRIND_STACK_REGISTER
    return VALGRIND_STACK_REGISTER(low, high);
#else
    (void)low, (void)high;
    return 0;
#endif
}

static inline void tools_unregister_stack(unsigned id)
{
#ifdef VALGRIND_STACK_DEREGISTER
    VALGRIND_STACK_DEREGISTER(id);
#endif
    (void)id;
}
