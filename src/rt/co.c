// SPDX-License-Identifier: Apache-2.0
#include "rt/co.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "base/mem.h"
#include "rt/loop_internal.h"
#include "rt/tools.h"

enum {
    STACK_SIZE = 256 * 1024,
    GUARD_SIZE = 4096,
    C_RESERVE = 48 * 1024, // for natives and libc below the interpreter
    POOL_MAX = 1024,
    GUARDED_MAX = 16000, // beyond, mappings would run out (vm.max_map_count)
    MADV_GUARD = 102,    // MADV_GUARD_INSTALL, Linux 6.13; missing from older headers
};
#define CANARY 0x6c6f737d6d696c70ull

enum co_state { CO_SUSPENDED, CO_RUNNING, CO_DONE };

struct co {
    struct list link; // in loop.ready or loop.idle
    struct loop *loop;
    enum co_state state;
    bool woken, cancelled;
    bool guarded; // by the kernel; else by a canary, which costs a page
    int value;
    void *sp;
    char *stack; // lowest address
    void (*fn)(void *arg);
    void *arg;
    struct co_hooks hooks;
    void *asan_stack;
    void *tsan_fiber;
    unsigned valgrind_id;
};

// Saves the callee-saved registers on the running stack, stores its pointer in *save_sp and goes on
// from load_sp. The only assembly of the project.
void co_switch(void **save_sp, void *load_sp);

#if defined(__x86_64__)
__asm__(".text\n"
        ".globl co_switch\n"
        ".hidden co_switch\n"
        ".type co_switch, @function\n"
        "co_switch:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size co_switch, .-co_switch\n");
enum { SAVED_WORDS = 6 };

// Six registers, the address to "return" to, and an empty return address above it.
static void *first_frame(char *top, void (*entry)(void))
{
    uintptr_t *sp = (uintptr_t *)(void *)top;

    *--sp = 0;
    *--sp = (uintptr_t)entry;
    for (int i = 0; i < SAVED_WORDS; i++) {
        *--sp = 0;
    }
    return sp;
}
#elif defined(__aarch64__)
__asm__(".text\n"
        ".globl co_switch\n"
        ".hidden co_switch\n"
        ".type co_switch, %function\n"
        "co_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        ".size co_switch, .-co_switch\n");

static void *first_frame(char *top, void (*entry)(void))
{
    uintptr_t *sp = (uintptr_t *)(void *)(top - 160);

    memset(sp, 0, 160);
    sp[11] = (uintptr_t)entry; // x30
    return sp;
}
#else
#error "coroutines: write the switch for this processor"
#endif

static __thread struct co *self;

struct co *co_self(void)
{
    return self;
}

size_t co_stack_size(void)
{
    return STACK_SIZE;
}

unsigned co_count(const struct loop *l)
{
    return l->live;
}

uintptr_t co_stack_limit(void)
{
    ASSERT(self);
    return (uintptr_t)self->stack + GUARD_SIZE + C_RESERVE;
}

static void map_stack(struct loop *l, struct co *co)
{
    char *p = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    ASSERT(p != MAP_FAILED);
#ifdef PR_SET_VMA
    prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, p, STACK_SIZE, "coroutine stack");
#endif
    // A guard costs one mapping more where the kernel has no MADV_GUARD_INSTALL.
    co->guarded = madvise(p, GUARD_SIZE, MADV_GUARD) == 0 ||
                  (l->stacks < GUARDED_MAX && mprotect(p, GUARD_SIZE, PROT_NONE) == 0);
    co->stack = p;
    if (!co->guarded) {
        *(uint64_t *)(void *)(p + GUARD_SIZE) = CANARY;
    }
    co->valgrind_id = tools_register_stack(p, p + STACK_SIZE);
    l->stacks++;
}

static void free_co(struct loop *l, struct co *co)
{
    tools_unregister_stack(co->valgrind_id);
    munmap(co->stack, STACK_SIZE);
    l->stacks--;
    free(co);
}

void co_fini_pool(struct loop *l)
{
    LIST_FOREACH_SAFE (it, &l->idle) {
        free_co(l, LIST_ENTRY(it, struct co, link));
    }
    list_init(&l->idle);
    l->idle_count = 0;
}

static void switch_to_loop(struct co *co, bool last)
{
    struct loop *l = co->loop;

    tools_start_switch(last ? NULL : &co->asan_stack, l->asan_base, l->asan_size, l->tsan_fiber);
    co_switch(&co->sp, l->sp);
    tools_finish_switch(co->asan_stack, &l->asan_base, &l->asan_size);
}

static void entry(void)
{
    struct co *co = self;

    tools_finish_switch(NULL, &co->loop->asan_base, &co->loop->asan_size);
    co->fn(co->arg);
    co->state = CO_DONE;
    switch_to_loop(co, true);
    __builtin_unreachable();
}

struct co *co_spawn(struct loop *l, void (*fn)(void *arg), void *arg, const struct co_hooks *hooks)
{
    struct co *co;

    if (!list_empty(&l->idle)) {
        co = LIST_ENTRY(l->idle.next, struct co, link);
        list_del(&co->link);
        l->idle_count--;
    } else {
        co = XNEW(struct co);
        map_stack(l, co);
    }
    co->loop = l;
    co->state = CO_SUSPENDED;
    co->woken = true;
    co->cancelled = false;
    co->value = 0;
    co->fn = fn;
    co->arg = arg;
    co->hooks = hooks ? *hooks : (struct co_hooks){0};
    co->asan_stack = NULL;
    tools_unpoison_stack(co->stack + GUARD_SIZE, STACK_SIZE - GUARD_SIZE);
    co->sp = first_frame(co->stack + STACK_SIZE, entry);
    co->tsan_fiber = tools_new_fiber();
    list_push_back(&l->ready, &co->link);
    l->live++;
    return co;
}

static void recycle(struct loop *l, struct co *co)
{
    tools_free_fiber(co->tsan_fiber);
    l->live--;
    if (l->idle_count < POOL_MAX) {
        list_push_front(&l->idle, &co->link);
        l->idle_count++;
    } else {
        free_co(l, co);
    }
}

static void resume(struct loop *l, struct co *co)
{
    co->woken = false;
    co->state = CO_RUNNING;
    if (co->hooks.enter) {
        co->hooks.enter(co->hooks.arg);
    }
    self = co;
    l->tsan_fiber = tools_this_fiber();
    tools_start_switch(&l->asan_stack, co->stack, STACK_SIZE, co->tsan_fiber);
    co_switch(&l->sp, co->sp);
    tools_finish_switch(l->asan_stack, NULL, NULL);
    self = NULL;
    ASSERT(co->guarded || *(uint64_t *)(void *)(co->stack + GUARD_SIZE) == CANARY);
    if (co->hooks.leave) {
        co->hooks.leave(co->hooks.arg);
    }
    if (co->state == CO_DONE) {
        recycle(l, co);
    }
}

void co_run_ready(struct loop *l)
{
    struct list batch;

    list_init(&batch);
    list_splice(&batch, &l->ready);
    while (!list_empty(&batch)) {
        struct co *co = LIST_ENTRY(batch.next, struct co, link);
        list_del(&co->link);
        resume(l, co);
    }
}

int co_suspend(void)
{
    struct co *co = self;

    ASSERT(co);
    if (co->cancelled && !co->woken) {
        return -ECANCELED;
    }
    co->state = CO_SUSPENDED;
    switch_to_loop(co, false);
    return co->cancelled ? -ECANCELED : co->value;
}

void co_wake(struct co *co, int value)
{
    if (co->state != CO_SUSPENDED) {
        return;
    }
    if (!co->woken) {
        co->woken = true;
        co->value = value;
        list_push_back(&co->loop->ready, &co->link);
    }
}

void co_cancel(struct co *co)
{
    co->cancelled = true;
    co_wake(co, -ECANCELED);
}

bool co_is_cancelled(const struct co *co)
{
    return co->cancelled;
}

int co_yield (void)
{
    struct co *co = self;

    ASSERT(co);
    co->woken = true;
    co->value = 0;
    list_push_back(&co->loop->ready, &co->link);
    return co_suspend();
}

struct sleeper {
    struct timer timer;
    struct co *co;
};

static void wake_sleeper(struct timer *t)
{
    co_wake(CONTAINER_OF(t, struct sleeper, timer)->co, 0);
}

int co_await_until(nsec_t due)
{
    struct co *co = self;
    struct sleeper s = {.co = co};
    int r = 0;

    ASSERT(co);
    timer_set(co->loop, &s.timer, due, wake_sleeper);
    // Somebody else's late wake does not end a sleep.
    while (r >= 0 && s.timer.index) {
        r = co_suspend();
    }
    timer_cancel(co->loop, &s.timer);
    return r < 0 ? r : 0;
}

int co_await_sleep(nsec_t d)
{
    ASSERT(self);
    return co_await_until(loop_update_now(self->loop) + MAX(d, 0));
}

void co_group_done(struct co_group *g)
{
    ASSERT(g->pending > 0);
    if (--g->pending == 0 && g->waiter) {
        co_wake(g->waiter, 0);
    }
}

int co_group_await(struct co_group *g)
{
    int r = 0;

    g->waiter = self;
    while (g->pending && r >= 0) {
        r = co_suspend();
    }
    g->waiter = NULL;
    return r < 0 ? r : 0;
}

void co_group_await_all(struct co_group *g)
{
    struct co *co = self;
    bool cancelled = co->cancelled;

    // The children's ends must be waited for whatever happens: they use the waiter's memory.
    g->waiter = co;
    while (g->pending) {
        co->cancelled = false;
        co_suspend();
        cancelled |= co->cancelled;
    }
    co->cancelled = cancelled;
    g->waiter = NULL;
}
