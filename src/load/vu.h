// SPDX-License-Identifier: Apache-2.0
// One virtual user on its worker's thread. It sits in the worker's pool or works for one runner, in
// a coroutine of its own that ends when the runner lets it go or it was interrupted. Inside of
// load/.
#pragma once

#include <stdbool.h>

#include "base/list.h"
#include "load/script.h"
#include "load/worker.h"

struct vu {
    struct worker *worker;
    struct list link;      // worker.vus
    struct list idle_link; // worker.idle, or the runner's free VUs
    struct script_vu *script;
    uint64_t id;
    struct co *co;             // NULL when it has none
    void (*main)(struct vu *); // of its coroutine
    struct co_hooks own_hooks; // the interpreter's
    struct runner *runner;     // NULL in the pool
    unsigned slot;             // number within the runner
    bool stop;                 // no further iteration
    bool cancelled;            // its coroutine was cancelled and unwinds
    bool waiting;              // open model: its coroutine waits for an arrival
    bool running;              // inside an iteration
    uint64_t iterations;       // __ITER
    uint64_t *in_scenario;     // iterations by scenario
    uint64_t done;             // iterations in this activation
    nsec_t intended;           // of the iteration under way, 0 for closed models
    nsec_t lag;                // its start after that
    struct timer kill;         // end of its grace (ramping VUs)
};

// A VU without a script yet; id 0 is for hooks.
struct vu *vu_new(struct worker *w, uint64_t id);
// Its init code runs. In a coroutine of vu_spawn(). 0 or a script result or negative errno with
// err.
int vu_init_script(struct vu *vu, struct err *err);
// Not while its coroutine lives.
void vu_free(struct vu *vu);
// A coroutine that will run the VU's script; vu->co is NULL again when main returned.
void vu_spawn(struct vu *vu, void (*main)(struct vu *vu));
// From the pool to a runner; NULL when the pool is empty.
struct vu *vu_take(struct worker *w, struct runner *r);
// Back to the pool.
void vu_release(struct vu *vu);
// One iteration, in the VU's coroutine: runs the script, records the samples about it.
void vu_iterate(struct vu *vu, nsec_t intended);
// Its iteration ends soon, the coroutine unwinds. Harmless when it has none.
void vu_interrupt(struct vu *vu);
// data_sent and data_received since the last time.
void vu_flush_bytes(struct vu *vu,
                    const struct tagset *tags,
                    const struct tagset *metadata,
                    nsec_t when);
