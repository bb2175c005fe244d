// SPDX-License-Identifier: Apache-2.0
// The engine as its workers see it. Inside of load/.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "load/engine.h"
#include "load/options.h"
#include "load/script.h"
#include "load/worker.h"
#include "metric/aggregate.h"

// Numbers of one scenario over all workers.
struct scenario_counts {
    atomic_uint_fast64_t started, completed, dropped;
    atomic_uint_fast64_t claimed; // shared iterations: taken by VUs of any worker
};

struct engine {
    struct engine_config config;
    struct script_settings settings;
    char *options_json;
    struct segment segment; // ours, of the whole test
    struct worker *workers;
    unsigned worker_count;
    struct scenario_counts *counts; // by scenario

    atomic_uint_fast64_t next_vu, vus_active, vus_initialized;
    atomic_uint_fast64_t iterations, interrupted, dropped;
    atomic_uint_fast64_t starts, late; // open models: iterations started, of them late
    _Atomic nsec_t test_start;         // 0 before the first scenario
    _Atomic nsec_t rps_next;           // global rps limiter
    atomic_int stop_level;             // asked by engine_stop()
    atomic_int abort_code;             // exit code that ends the run (first wins), 0 = none
    atomic_bool failed;                // exec.test.fail()
    bool trace_lag;                    // iteration_lag and intended_duration are wanted

    pthread_mutex_t lock;
    pthread_cond_t wake;      // the conductor waits here: calls answered, runners done
    unsigned workers_running; // under lock: with runners that have not ended
    struct call *interrupts;  // to each worker
    bool interrupt_sent, may_interrupt, driving;

    struct shard *shard; // the conductor's
    struct strbuf snapshot;
    struct aggregate *results;
    char *setup_data;
    nsec_t test_end;
    bool setup_failed, thresholds_crossed;
    nsec_t next_vus, next_thresholds;    // instants
    uint64_t recent_starts, recent_late; // generator lateness: at the last look
    bool generator_late;
};

// Ends the run with an exit code: first one wins. Any thread.
void engine_abort(struct engine *e, int exit_code);
// exec.test.abort(): logs the message and ends the run.
void engine_script_abort(struct engine *e, const char *message);
static inline bool engine_is_aborted(const struct engine *e)
{
    return atomic_load_explicit(&e->abort_code, memory_order_relaxed) != 0;
}
// A worker's runners have all ended. From its thread.
void engine_worker_done(struct engine *e);
