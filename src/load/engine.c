// SPDX-License-Identifier: Apache-2.0
// The conductor: prepares workers, runs the life cycle, merges results, evaluates thresholds.
#include "load/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "load/engine_int.h"
#include "load/exits.h"
#include "load/runner.h"

enum { VUS_PER_WORKER = 8 }; // fewer do not earn a thread of their own

static const nsec_t poll_every = 20 * NSEC_PER_MSEC; // signals and aborts are noticed within

// ---- Waiting for workers ----

void engine_abort(struct engine *e, int exit_code)
{
    int none = 0;

    atomic_compare_exchange_strong(&e->abort_code, &none, exit_code);
    pthread_mutex_lock(&e->lock);
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
}

void engine_script_abort(struct engine *e, const char *message)
{
    int before = atomic_load(&e->abort_code);

    engine_abort(e, EXIT_CODE_ABORTED);
    if (before == 0) {
        log_error("test aborted%s%s", message && *message ? ": " : "", message ? message : "");
    }
}

void engine_worker_done(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->workers_running--;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
}

void engine_stop(struct engine *e, int level)
{
    int now = atomic_load(&e->stop_level);

    while (now < level && !atomic_compare_exchange_weak(&e->stop_level, &now, level)) {
    }
}

static int stop_level(const struct engine *e)
{
    int asked = atomic_load(&e->stop_level);
    int signalled = e->config.stop_level ? *e->config.stop_level : 0;

    return MAX(asked, signalled);
}

// Interrupts the workers once there is a reason to.
static void check_abort(struct engine *e)
{
    if (stop_level(e) > 0 && !engine_is_aborted(e)) {
        int none = 0;
        atomic_compare_exchange_strong(&e->abort_code, &none, EXIT_CODE_SIGNAL);
    }
    if (engine_is_aborted(e) && !e->interrupt_sent && e->may_interrupt) {
        e->interrupt_sent = true;
        for (unsigned i = 0; i < e->worker_count; i++) {
            worker_send(&e->workers[i], &e->interrupts[i], worker_call_interrupt, NULL);
        }
    }
}

// Sleeps until something changed or `until`, at most poll_every. With e->lock held.
static void sleep_locked(struct engine *e, nsec_t until)
{
    nsec_t due = MIN(until, clock_now() + poll_every);
    struct timespec ts = {due / NSEC_PER_SEC, due % NSEC_PER_SEC};

    pthread_cond_clockwait(&e->wake, &e->lock, CLOCK_MONOTONIC, &ts);
}

static void wait_calls(struct engine *e, struct call *calls, unsigned count)
{
    pthread_mutex_lock(&e->lock);
    for (unsigned i = 0; i < count; i++) {
        while (!calls[i].done) {
            sleep_locked(e, NSEC_MAX);
            pthread_mutex_unlock(&e->lock);
            check_abort(e);
            pthread_mutex_lock(&e->lock);
        }
    }
    pthread_mutex_unlock(&e->lock);
}

// The same call to all workers; the first result that is not 0, with its err.
static int call_all(struct engine *e, void (*fn)(struct call *c), void *arg, struct err *err)
{
    CLEANUP_FREE struct call *calls = xcalloc(e->worker_count, sizeof(*calls));

    for (unsigned i = 0; i < e->worker_count; i++) {
        worker_send(&e->workers[i], &calls[i], fn, arg);
    }
    wait_calls(e, calls, e->worker_count);
    for (unsigned i = 0; i < e->worker_count; i++) {
        if (calls[i].result != 0) {
            if (err) {
                *err = calls[i].err;
            }
            return calls[i].result;
        }
    }
    return 0;
}

// ---- Start ----

static void fill_settings(struct engine *e)
{
    const struct run_options *o = e->config.options;

    e->options_json = json_dumps(o->merged, JSON_COMPACT);
    e->settings = (struct script_settings){
        .net = e->config.net,
        .registry = e->config.registry,
        .user_agent = o->user_agent,
        .max_redirects = o->max_redirects,
        .max_redirects_set = o->max_redirects_set,
        .batch = o->batch,
        .batch_per_host = o->batch_per_host,
        .discard_response_bodies = o->discard_response_bodies,
        .throw_errors = o->throw_errors,
        .no_cookies_reset = o->no_cookies_reset,
        .no_vu_connection_reuse = o->no_vu_connection_reuse,
        .http_debug = o->http_debug,
        .system_tags = o->system_tags,
        .tags = o->tags,
        .tag_count = o->tag_count,
        .vu_memory = o->vu_memory,
        .options_json = e->options_json,
        .seed = e->config.seed,
        .rps = o->rps,
    };
    for (unsigned i = 0; i < o->threshold_count; i++) {
        const struct metric *m = o->thresholds[i].metric;
        e->trace_lag |= m && (m->id == METRIC_ITERATION_LAG || m->id == METRIC_INTENDED_DURATION);
    }
}

static int check_exports(const struct engine *e, struct err *err)
{
    const struct engine_config *c = &e->config;

    if (c->ops->function_count(c->script) == 0) {
        return err_set(err, EXIT_CODE_GENERIC, "no exported functions in script");
    }
    for (unsigned i = 0; i < c->options->scenario_count; i++) {
        const struct scenario_options *s = &c->options->scenarios[i];
        if (!c->ops->has_function(c->script, s->exec)) {
            return err_set(err, EXIT_CODE_CONFIG,
                           "scenario '%s': function '%s' not found in exports", s->name, s->exec);
        }
    }
    return 0;
}

static unsigned count_workers(const struct engine_config *config)
{
    unsigned wanted = config->workers ? config->workers : config->options->cpus;
    uint64_t most = options_max_vus(config->options);

    if (wanted == 0) {
        cpu_set_t set;
        wanted = pthread_getaffinity_np(pthread_self(), sizeof(set), &set) == 0
                     ? (unsigned)CPU_COUNT(&set)
                     : 1;
        wanted = (unsigned)MIN(wanted, MAX((most + VUS_PER_WORKER - 1) / VUS_PER_WORKER, 1));
    }
    return (unsigned)MAX(MIN(wanted, MAX(most, 1)), 1);
}

static int exit_code_of(int result)
{
    switch (result) {
    case 0:
        return 0;
    case SCRIPT_THREW:
        return EXIT_CODE_SCRIPT;
    case SCRIPT_ABORTED:
        return EXIT_CODE_ABORTED;
    case SCRIPT_INTERRUPTED:
    case -ECANCELED:
        return EXIT_CODE_SIGNAL;
    default:
        return EXIT_CODE_GENERIC;
    }
}

static int run_hook(struct engine *e, struct hook *h, nsec_t timeout, struct err *err)
{
    struct call c = {.deadline = clock_now() + timeout};

    worker_send(&e->workers[0], &c, worker_call_hook, h);
    wait_calls(e, &c, 1);
    if (err) {
        *err = c.err;
    }
    return c.result;
}

static int setup(struct engine *e, struct err *err)
{
    const struct run_options *o = e->config.options;
    struct hook h = {.kind = HOOK_SETUP};
    char text[40];

    if (o->no_setup || !e->config.ops->has_function(e->config.script, "setup")) {
        return 0;
    }
    int r = run_hook(e, &h, o->setup_timeout, err);
    if (h.timed_out && r != 0) {
        strbuf_fini(&h.json);
        return err_set(err, EXIT_CODE_SETUP_TIMEOUT,
                       "setup() execution timed out after %s, see the option setupTimeout",
                       units_format_duration(o->setup_timeout, text, sizeof(text)));
    }
    if (r == 0 && h.json.n) {
        e->setup_data = strbuf_take(&h.json);
    }
    strbuf_fini(&h.json);
    if (r == 0) {
        return call_all(e, worker_call_set_data, e->setup_data, err);
    }
    return r < 0 && r != -ECANCELED ? EXIT_CODE_GENERIC : exit_code_of(r);
}

int engine_start(const struct engine_config *config, struct engine **ret_engine, struct err *err)
{
    struct engine *e = XNEW(struct engine);
    const struct run_options *o = config->options;

    e->config = *config;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->wake, NULL);
    if (o->segment_weights) {
        ASSERT(segment_init_part(&e->segment, o->segment_weights, o->segment_parts,
                                 o->segment_part) == 0);
    } else {
        segment_init_whole(&e->segment);
    }
    e->counts = xcalloc(o->scenario_count + 1, sizeof(*e->counts));
    e->results = aggregate_new(config->registry, o->submetrics, o->submetric_count);
    e->shard = shard_new(config->registry, o->submetrics, o->submetric_count);
    fill_settings(e);
    int r = check_exports(e, err);
    if (r == 0) {
        e->worker_count = count_workers(config);
        e->workers = xcalloc(e->worker_count, sizeof(*e->workers));
        e->interrupts = xcalloc(e->worker_count, sizeof(*e->interrupts));
        for (unsigned i = 0; i < e->worker_count && r == 0; i++) {
            r = worker_start(&e->workers[i], e, i) < 0
                    ? err_set(err, EXIT_CODE_GENERIC, "cannot start thread %u", i)
                    : 0;
            if (r == 0 && config->on_shard) {
                config->on_shard(config->on_shard_arg, e->workers[i].shard);
            }
        }
        if (config->on_shard) {
            config->on_shard(config->on_shard_arg, e->shard);
        }
    }
    r = r == 0 ? exit_code_of(call_all(e, worker_call_prepare, NULL, err)) : r;
    if (r != 0) {
        engine_free(e);
        return r;
    }
    e->may_interrupt = true;
    r = setup(e, err);
    if (r == 0 && engine_is_aborted(e)) {
        r = atomic_load(&e->abort_code);
    }
    e->setup_failed = r != 0;
    *ret_engine = e;
    return r;
}

void engine_free(struct engine *e)
{
    if (!e) {
        return;
    }
    for (unsigned i = 0; i < e->worker_count; i++) {
        if (e->workers[i].loop) {
            worker_stop(&e->workers[i]);
        }
    }
    shard_free(e->shard);
    aggregate_free(e->results);
    segment_fini(&e->segment);
    strbuf_fini(&e->snapshot);
    free(e->workers);
    free(e->interrupts);
    free(e->counts);
    free(e->options_json);
    free(e->setup_data);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->wake);
    free(e);
}

// ---- Results ----

static void refresh(struct engine *e)
{
    struct err err = {0};

    aggregate_reset(e->results);
    (void)call_all(e, worker_call_snapshot, NULL, NULL);
    strbuf_reset(&e->snapshot);
    shard_snapshot(e->shard, &e->snapshot);
    int r = aggregate_merge(e->results, e->snapshot.p, e->snapshot.n, &err);
    for (unsigned i = 0; i < e->worker_count && r == 0; i++) {
        const struct strbuf *b = &e->workers[i].snapshot;
        r = aggregate_merge(e->results, b->p, b->n, &err);
    }
    ASSERT(r == 0);
}

static void fill_status(struct engine *e, struct engine_status *s)
{
    const struct run_options *o = e->config.options;
    nsec_t end = options_max_duration(o), started = atomic_load(&e->test_start);
    double least = 1;

    *s = (struct engine_status){
        .now = clock_now(),
        .started = started,
        .vus_active = atomic_load(&e->vus_active),
        .vus_initialized = atomic_load(&e->vus_initialized),
        .vus_max = options_max_vus(o),
        .iterations = atomic_load(&e->iterations),
        .interrupted = atomic_load(&e->interrupted),
        .dropped = atomic_load(&e->dropped),
        .generator_late = e->generator_late,
    };
    for (unsigned i = 0; i < o->scenario_count; i++) {
        least = MIN(least, engine_scenario_progress(e, i));
    }
    s->progress = started && end ? least : 0;
}

double engine_scenario_progress(struct engine *e, unsigned index)
{
    const struct scenario_options *s = &e->config.options->scenarios[index];
    nsec_t started = atomic_load(&e->test_start);
    double done = (double)atomic_load(&e->counts[index].completed), whole = 0;

    if (!started) {
        return 0;
    }
    if (s->executor == EXECUTOR_SHARED_ITERATIONS) {
        whole = (double)segment_scale(&e->segment, (int64_t)s->iterations);
    } else if (s->executor == EXECUTOR_PER_VU_ITERATIONS) {
        whole = (double)s->iterations * (double)segment_scale(&e->segment, (int64_t)s->vus);
    } else {
        done = (double)((e->test_end ? e->test_end : clock_now()) - started - s->start_time);
        whole = (double)scenario_duration(s);
    }
    return whole <= 0 ? 1 : MAX(MIN(done / whole, 1), 0);
}

static void watch_lateness(struct engine *e)
{
    uint64_t starts = atomic_load(&e->starts), late = atomic_load(&e->late);
    uint64_t recent = starts - e->recent_starts;

    e->generator_late = recent >= 20 && (double)(late - e->recent_late) > 0.03 * (double)recent;
    e->recent_starts = starts;
    e->recent_late = late;
}

static void sample_vus(struct engine *e, nsec_t now)
{
    const struct run_options *o = e->config.options;
    struct tag_interner *in = shard_tags(e->shard);
    const struct tagset *tags = tagset_empty(in);

    for (unsigned i = 0; i < o->tag_count; i++) {
        tags = tagset_with(in, tags, slice_of(o->tags[i].key), slice_of(o->tags[i].value));
    }
    shard_add(e->shard, metric_by_id(e->config.registry, METRIC_VUS), tags,
              (double)atomic_load(&e->vus_active), now, NULL);
    shard_add(e->shard, metric_by_id(e->config.registry, METRIC_VUS_MAX), tags,
              (double)atomic_load(&e->vus_initialized), now, NULL);
}

// True if a crossed threshold wants the run to end.
static bool evaluate(struct engine *e, nsec_t elapsed, bool final)
{
    const struct run_options *o = e->config.options;
    bool stop = false;

    e->thresholds_crossed = false;
    for (unsigned i = 0; i < o->threshold_count && !o->no_thresholds; i++) {
        struct threshold_set *set = &o->thresholds[i];
        stop |= threshold_set_evaluate(set, e->results, elapsed, final);
        for (unsigned j = 0; j < set->count; j++) {
            e->thresholds_crossed |= set->items[j].crossed;
        }
    }
    return stop;
}

// ---- The run ----

static void on_time(
    struct engine *e, nsec_t now, nsec_t period, nsec_t *next_tick, engine_tick_fn tick, void *arg)
{
    bool fresh = false;

    if (now >= e->next_vus) {
        e->next_vus += NSEC_PER_SEC;
        sample_vus(e, now);
        watch_lateness(e);
    }
    if (now >= e->next_thresholds) {
        e->next_thresholds += 2 * NSEC_PER_SEC;
        refresh(e);
        fresh = true;
        if (evaluate(e, now - atomic_load(&e->test_start), false)) {
            log_error("thresholds on metrics were crossed; at least one has abortOnFail enabled, "
                      "stopping test prematurely");
            engine_abort(e, EXIT_CODE_THRESHOLDS);
        }
    }
    if (tick && now >= *next_tick) {
        struct engine_status status;
        *next_tick = now + period;
        if (!fresh) {
            refresh(e);
        }
        fill_status(e, &status);
        tick(arg, &status, e->results);
    }
}

static int teardown(struct engine *e, struct err *err)
{
    const struct run_options *o = e->config.options;
    struct hook h = {.kind = HOOK_TEARDOWN};
    char text[40];

    if (o->no_teardown || stop_level(e) > 1 ||
        !e->config.ops->has_function(e->config.script, "teardown")) {
        return 0;
    }
    int r = run_hook(e, &h, o->teardown_timeout, err);
    strbuf_fini(&h.json);
    if (h.timed_out && r != 0) {
        return err_set(err, EXIT_CODE_TEARDOWN_TIMEOUT,
                       "teardown() execution timed out after %s, see the option teardownTimeout",
                       units_format_duration(o->teardown_timeout, text, sizeof(text)));
    }
    return exit_code_of(r);
}

static void wait_workers(struct engine *e, nsec_t period, engine_tick_fn tick, void *arg)
{
    nsec_t next_tick = atomic_load(&e->test_start) + period;

    for (;;) {
        nsec_t next = MIN(MIN(e->next_vus, e->next_thresholds), tick ? next_tick : NSEC_MAX);
        pthread_mutex_lock(&e->lock);
        unsigned running = e->workers_running;
        if (running > 0) {
            sleep_locked(e, next);
            running = e->workers_running;
        }
        pthread_mutex_unlock(&e->lock);
        if (running == 0) {
            return;
        }
        check_abort(e);
        on_time(e, clock_now(), period, &next_tick, tick, arg);
    }
}

static void warn_late(const struct engine *e)
{
    unsigned long long starts = atomic_load(&e->starts), late = atomic_load(&e->late);

    if (starts >= 100 && late * 100 > starts * 3 && !e->driving) {
        log_warn("the generator was late: %llu of %llu iterations started more than 1 ms after "
                 "they were due; use more CPUs or a lower rate",
                 late, starts);
    }
}

static int finish(struct engine *e, struct err *err)
{
    e->test_end = clock_now();
    // Calls that were sent to end the run must be answered before their memory goes.
    if (e->interrupt_sent) {
        wait_calls(e, e->interrupts, e->worker_count);
    }
    int r = teardown(e, err);
    warn_late(e);
    refresh(e);
    (void)evaluate(e, engine_duration(e), true);
    int aborted = atomic_load(&e->abort_code);
    if (aborted) {
        return aborted;
    }
    if (r != 0) {
        return r;
    }
    if (atomic_load(&e->failed)) {
        return EXIT_CODE_FAILED;
    }
    return e->thresholds_crossed ? EXIT_CODE_THRESHOLDS : 0;
}

int engine_run(struct engine *e, nsec_t period, engine_tick_fn tick, void *arg, struct err *err)
{
    nsec_t start = clock_now() + NSEC_PER_MSEC;

    ASSERT(!e->setup_failed);
    e->next_vus = start + NSEC_PER_SEC;
    e->next_thresholds = start + 2 * NSEC_PER_SEC;
    e->workers_running = e->worker_count;
    atomic_store(&e->test_start, start);
    (void)call_all(e, worker_call_go, &start, NULL);
    wait_workers(e, period, tick, arg);
    return finish(e, err);
}

const struct aggregate *engine_results(struct engine *e, struct engine_status *ret_status)
{
    refresh(e);
    if (ret_status) {
        fill_status(e, ret_status);
    }
    return e->results;
}

const char *engine_setup_data(const struct engine *e)
{
    return e->setup_data;
}

nsec_t engine_duration(const struct engine *e)
{
    nsec_t start = atomic_load(&e->test_start);

    return start == 0 ? 0 : (e->test_end ? e->test_end : clock_now()) - start;
}

int engine_handle_summary(struct engine *e,
                          const char *data_json,
                          struct strbuf *ret_json,
                          struct err *err)
{
    struct hook h = {.kind = HOOK_SUMMARY, .data = data_json};

    int r = run_hook(e, &h, e->config.options->handle_summary_timeout, err);
    if (r == 0 && !h.missing) {
        strbuf_add(ret_json, h.json.p, h.json.n);
    }
    strbuf_fini(&h.json);
    if (h.timed_out && r != 0) {
        return -ETIMEDOUT;
    }
    return r != 0 ? -EFAULT : h.missing ? -ENOENT : 0;
}

// ---- Open-model drive ----

static void start_drive(struct engine *e)
{
    e->driving = true;
    e->next_vus = e->next_thresholds = NSEC_MAX;
    e->workers_running = e->worker_count;
    atomic_store(&e->test_start, clock_now());
    (void)call_all(e, worker_call_drive, NULL, NULL);
}

void engine_set_rate(struct engine *e, double per_second, bool poisson)
{
    CLEANUP_FREE struct call *calls = xcalloc(e->worker_count, sizeof(*calls));
    CLEANUP_FREE struct drive_rate *rates = xcalloc(e->worker_count, sizeof(*rates));
    unsigned parts = arrivals_workers(e, &e->config.options->scenarios[0]);
    nsec_t now = clock_now();

    if (!e->driving) {
        start_drive(e);
        now = clock_now();
    }
    for (unsigned i = 0; i < e->worker_count; i++) {
        rates[i] = (struct drive_rate){
            .per_second = i < parts ? per_second / parts : 0,
            .poisson = poisson,
            .base = now,
            .first_gap = per_second > 0 ? (i + 1) / per_second : 0,
        };
        worker_send(&e->workers[i], &calls[i], worker_call_set_rate, &rates[i]);
    }
    wait_calls(e, calls, e->worker_count);
}

int engine_pass(struct engine *e, nsec_t d, struct err *err)
{
    nsec_t end = clock_now() + d;

    while (clock_now() < end) {
        pthread_mutex_lock(&e->lock);
        sleep_locked(e, end);
        pthread_mutex_unlock(&e->lock);
        check_abort(e);
        if (engine_is_aborted(e)) {
            return err_set(err, -EPIPE, "the run was ended");
        }
    }
    return 0;
}

int engine_take_window(struct engine *e, struct window *ret_window)
{
    CLEANUP_FREE struct call *calls = xcalloc(e->worker_count, sizeof(*calls));
    CLEANUP_FREE struct window *parts = xcalloc(e->worker_count, sizeof(*parts));
    struct window sum = {.vus = atomic_load(&e->vus_initialized)};

    if (engine_is_aborted(e)) {
        return -EPIPE;
    }
    for (unsigned i = 0; i < e->worker_count; i++) {
        worker_send(&e->workers[i], &calls[i], worker_call_take_window, &parts[i]);
    }
    wait_calls(e, calls, e->worker_count);
    for (unsigned i = 0; i < e->worker_count; i++) {
        const struct window *p = &parts[i];
        sum.elapsed = MAX(sum.elapsed, p->elapsed);
        sum.lag_max = MAX(sum.lag_max, p->lag_max);
        sum.busy = MAX(sum.busy, p->busy);
        sum.arrivals += p->arrivals;
        sum.dropped += p->dropped;
        sum.completed += p->completed;
        sum.interrupted += p->interrupted;
        sum.in_flight += p->in_flight;
        sum.duration += p->duration;
        sum.late += p->late;
        for (unsigned j = 0; j < WINDOW_OBJECTIVES_MAX; j++) {
            sum.n[j] += p->n[j];
            sum.bad[j] += p->bad[j];
            sum.slow[j] += p->slow[j];
        }
    }
    *ret_window = sum;
    return 0;
}

bool engine_drain(struct engine *e, nsec_t limit)
{
    nsec_t end = clock_now() + limit;
    unsigned quiet = 0;

    // Twice, so that an arrival between two switches is not overlooked.
    while (quiet < 2) {
        quiet = atomic_load(&e->vus_active) == 0 ? quiet + 1 : 0;
        if (clock_now() >= end || engine_pass(e, 5 * NSEC_PER_MSEC, NULL) < 0) {
            return atomic_load(&e->vus_active) == 0;
        }
    }
    return true;
}

int engine_finish(struct engine *e, struct err *err)
{
    if (e->driving) {
        (void)call_all(e, worker_call_end, NULL, NULL);
        wait_workers(e, NSEC_PER_SEC, NULL, NULL);
    }
    return finish(e, err);
}
