// SPDX-License-Identifier: Apache-2.0
#include "load/worker.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/log.h"
#include "base/mem.h"
#include "load/engine_int.h"
#include "load/runner.h"
#include "load/vu.h"

enum { SERIES_LIMIT = 100000 }; // as k6

// ---- What scripts may ask ----

static uint64_t view_completed(void *arg)
{
    return atomic_load(&((struct worker *)arg)->engine->iterations);
}

static uint64_t view_interrupted(void *arg)
{
    return atomic_load(&((struct worker *)arg)->engine->interrupted);
}

static uint64_t view_active(void *arg)
{
    return atomic_load(&((struct worker *)arg)->engine->vus_active);
}

static uint64_t view_initialized(void *arg)
{
    return atomic_load(&((struct worker *)arg)->engine->vus_initialized);
}

static nsec_t view_start(void *arg)
{
    return atomic_load(&((struct worker *)arg)->engine->test_start);
}

static double view_progress(void *arg, const struct script_scenario *scenario)
{
    const struct worker *w = arg;

    return runner_progress(scenario->executor_state, loop_now(w->loop));
}

static void view_abort(void *arg, const char *message)
{
    struct engine *e = ((struct worker *)arg)->engine;

    engine_script_abort(e, message);
}

static void view_fail(void *arg, const char *message)
{
    atomic_store(&((struct worker *)arg)->engine->failed, true);
    log_error("test marked as failed%s%s", message && *message ? ": " : "", message ? message : "");
}

static nsec_t view_rps_slot(void *arg, nsec_t now)
{
    struct engine *e = ((struct worker *)arg)->engine;
    nsec_t gap = (nsec_t)(NSEC_PER_SEC / e->settings.rps);
    nsec_t next = atomic_load(&e->rps_next), slot;

    do {
        slot = MAX(next, now);
    } while (!atomic_compare_exchange_weak(&e->rps_next, &next, slot + gap));
    return slot;
}

// ---- Thread and calls ----

static void *thread_main(void *arg)
{
    struct worker *w = arg;

    // The default of 50 us would be most of the start error of arrivals.
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    loop_run(w->loop);
    return NULL;
}

int worker_start(struct worker *w, struct engine *e, unsigned index)
{
    const struct run_options *o = e->config.options;

    w->engine = e;
    w->index = index;
    w->series_warned = SERIES_LIMIT;
    w->loop = loop_new();
    w->shard = shard_new(e->config.registry, o->submetrics, o->submetric_count);
    segment_init_split(&w->segment, &e->segment, e->worker_count, index);
    list_init(&w->vus);
    list_init(&w->idle);
    w->view = (struct engine_view){
        .arg = w,
        .iterations_completed = view_completed,
        .iterations_interrupted = view_interrupted,
        .vus_active = view_active,
        .vus_initialized = view_initialized,
        .test_start = view_start,
        .scenario_progress = view_progress,
        .abort = view_abort,
        .fail = view_fail,
        .rps_slot = view_rps_slot,
    };
    int r = pthread_create(&w->thread, NULL, thread_main, w);
    w->thread_runs = r == 0;
    return -r;
}

static void call_main(void *arg)
{
    struct call *c = arg;

    c->fn(c);
}

void worker_send(struct worker *w, struct call *c, void (*fn)(struct call *c), void *arg)
{
    c->worker = w;
    c->fn = fn;
    c->arg = arg;
    c->done = false;
    loop_post(w->loop, call_main, c);
}

void worker_reply(struct call *c, int result)
{
    struct engine *e = c->worker->engine;

    pthread_mutex_lock(&e->lock);
    c->result = result;
    c->done = true;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
}

static void call_free(struct call *c)
{
    struct worker *w = c->worker;

    for (unsigned i = 0; w->runners && i < w->engine->config.options->scenario_count; i++) {
        if (w->runners[i]) {
            runner_free(w->runners[i]);
        }
    }
    free(w->runners);
    LIST_FOREACH_SAFE (it, &w->vus) {
        vu_free(LIST_ENTRY(it, struct vu, link));
    }
    if (w->script) {
        w->engine->config.ops->thread_free(w->script);
    }
    worker_reply(c, 0);
}

void worker_stop(struct worker *w)
{
    if (w->thread_runs) {
        struct call c = {0};
        worker_send(w, &c, call_free, NULL);
        pthread_mutex_lock(&w->engine->lock);
        while (!c.done) {
            pthread_cond_wait(&w->engine->wake, &w->engine->lock);
        }
        pthread_mutex_unlock(&w->engine->lock);
        loop_stop(w->loop);
        pthread_join(w->thread, NULL);
    }
    if (w->loop) {
        loop_free(w->loop);
    }
    shard_free(w->shard);
    segment_fini(&w->segment);
    strbuf_fini(&w->snapshot);
}

// ---- VUs ----

struct prepare {
    struct call *call;
    uint64_t left;
    struct vu *vu;
};

static void prepare_next(void *arg);

static void prepare_main(struct vu *vu)
{
    struct prepare *p = vu->worker->preparing;
    int r = vu_init_script(vu, &p->call->err);

    vu->co = NULL;
    if (r == 0) {
        vu_release(vu);
        p->left--;
        r = engine_is_aborted(vu->worker->engine) ? -ECANCELED : 0;
    }
    if (r != 0 || p->left == 0) {
        worker_reply(p->call, r);
        vu->worker->preparing = NULL;
        free(p);
    } else {
        loop_post(vu->worker->loop, prepare_next, p);
    }
}

static void prepare_next(void *arg)
{
    struct prepare *p = arg;
    struct worker *w = p->call->worker;

    vu_spawn(vu_new(w, atomic_fetch_add(&w->engine->next_vu, 1) + 1), prepare_main);
}

void worker_call_prepare(struct call *c)
{
    struct worker *w = c->worker;
    struct engine *e = w->engine;

    int r = e->config.ops->thread_new(e->config.script, &e->settings, w->loop, w->shard, &w->view,
                                      &w->script, &c->err);
    if (r != 0) {
        worker_reply(c, r);
        return;
    }
    unsigned count = e->config.options->scenario_count;
    w->runners = xcalloc(count + 1, sizeof(struct runner *));
    for (unsigned i = 0; i < count; i++) {
        w->runners[i] = runner_new(w, i);
    }
    struct prepare *p = XNEW(struct prepare);
    *p = (struct prepare){.call = c, .left = worker_planned_vus(w)};
    if (p->left == 0) {
        free(p);
        worker_reply(c, 0);
        return;
    }
    w->preparing = p;
    prepare_next(p);
}

uint64_t worker_planned_vus(const struct worker *w)
{
    const struct run_options *o = w->engine->config.options;
    uint64_t most = 0;

    // The most is reached when some scenario starts.
    for (unsigned i = 0; i < o->scenario_count; i++) {
        nsec_t t = o->scenarios[i].start_time;
        uint64_t sum = 0;
        for (unsigned j = 0; j < o->scenario_count; j++) {
            const struct scenario_options *s = &o->scenarios[j];
            nsec_t end = s->start_time + scenario_duration(s) + s->graceful_stop;
            sum += s->start_time <= t && t < end ? w->runners[j]->vus : 0;
        }
        most = MAX(most, sum);
    }
    return most;
}

// ---- Hooks ----

static void on_hook_timeout(struct timer *t)
{
    struct hook *h = CONTAINER_OF(t, struct hook, timer);

    h->timed_out = true;
    vu_interrupt(h->vu);
}

static void free_hook_vu(void *arg)
{
    struct hook *h = arg;
    struct call *c = h->call;

    vu_free(h->vu);
    h->vu = NULL;
    worker_reply(c, c->result);
}

static int run_hook(struct hook *h)
{
    struct vu *vu = h->vu;
    const struct engine *e = vu->worker->engine;
    const struct script_ops *ops = e->config.ops;
    int r = vu_init_script(vu, &h->call->err);

    if (r != 0) {
        return r;
    }
    if (h->kind != HOOK_SETUP && e->setup_data) {
        ops->vu_set_data(vu->script, e->setup_data);
    }
    switch (h->kind) {
    case HOOK_SETUP:
        return ops->setup(vu->script, &h->json, &h->call->err);
    case HOOK_TEARDOWN:
        return ops->teardown(vu->script, &h->call->err);
    case HOOK_SUMMARY:
        if (!ops->has_function(e->config.script, "handleSummary")) {
            h->missing = true;
            return 0;
        }
        return ops->handle_summary(vu->script, h->data, &h->json, &h->call->err);
    }
    return -EINVAL;
}

static void hook_main(struct vu *vu)
{
    struct worker *w = vu->worker;
    struct hook *h = w->hook;

    int result = run_hook(h);
    timer_cancel(w->loop, &h->timer);
    if (vu->script && h->kind != HOOK_SUMMARY) {
        const struct tagset *metadata = NULL, *tags = tagset_empty(shard_tags(w->shard));
        if (w->engine->config.ops->vu_tags) {
            tags = w->engine->config.ops->vu_tags(vu->script, &metadata);
        }
        vu_flush_bytes(vu, tags, metadata, loop_update_now(w->loop));
    }
    vu->co = NULL;
    w->hook = NULL;
    h->call->result = result;
    loop_post(w->loop, free_hook_vu, h); // not while its coroutine lives
}

void worker_call_hook(struct call *c)
{
    struct worker *w = c->worker;
    struct hook *h = c->arg;

    h->call = c;
    h->vu = vu_new(w, 0);
    w->hook = h;
    vu_spawn(h->vu, hook_main);
    if (c->deadline) {
        timer_set(w->loop, &h->timer, c->deadline, on_hook_timeout);
    }
}

void worker_call_set_data(struct call *c)
{
    struct worker *w = c->worker;

    LIST_FOREACH (it, &w->vus) {
        struct vu *vu = LIST_ENTRY(it, struct vu, link);
        if (vu->script && c->arg) {
            w->engine->config.ops->vu_set_data(vu->script, c->arg);
        }
    }
    worker_reply(c, 0);
}

// ---- The run ----

void worker_call_go(struct call *c)
{
    struct worker *w = c->worker;
    unsigned count = w->engine->config.options->scenario_count;

    w->runners_left = count;
    for (unsigned i = 0; i < count; i++) {
        runner_go(w->runners[i], *(const nsec_t *)c->arg);
    }
    worker_reply(c, 0);
}

void worker_call_interrupt(struct call *c)
{
    struct worker *w = c->worker;

    if (w->hook && w->hook->kind != HOOK_SUMMARY) {
        vu_interrupt(w->hook->vu);
    }
    for (unsigned i = 0; w->runners_left > 0 && i < w->engine->config.options->scenario_count;
         i++) {
        runner_interrupt(w->runners[i]);
    }
    worker_reply(c, 0);
}

// Each set of tags costs memory for as long as the run lasts.
static void warn_of_series(struct worker *w)
{
    unsigned count = tag_interner_count(shard_tags(w->shard));

    if (count > w->series_warned) {
        log_warn("the samples have more than %u different sets of tags, which costs memory: give "
                 "URLs with changing parts a name, and keep unique values out of tags",
                 w->series_warned);
        w->series_warned = count * 2;
    }
}

void worker_call_snapshot(struct call *c)
{
    warn_of_series(c->worker);
    strbuf_reset(&c->worker->snapshot);
    shard_snapshot(c->worker->shard, &c->worker->snapshot);
    worker_reply(c, 0);
}

// ---- The drive of the limit search ----

static void watch(void *arg, unsigned objective, double value)
{
    struct worker *w = arg;
    const struct window_objective *o = &w->engine->config.objectives[objective];
    struct window *c = &w->window.counts;

    c->n[objective]++;
    if (o->metric->type == METRIC_RATE) {
        c->bad[objective] += (value != 0) != o->below;
        return;
    }
    if (o->add_lag && w->current) {
        value += (double)w->current->lag / NSEC_PER_MSEC;
    }
    c->bad[objective] += o->below ? value < o->limit : value > o->limit;
    c->slow[objective] += value > o->limit / 2;
}

static void start_window(struct worker *w)
{
    const struct engine_config *config = &w->engine->config;

    for (unsigned i = 0; i < config->objective_count; i++) {
        const struct window_objective *o = &config->objectives[i];
        const struct submetric *sub = o->submetric;
        shard_watch(w->shard, i, o->metric, sub ? sub->selectors : NULL,
                    sub ? sub->selector_count : 0, watch, w);
    }
    w->window.since = loop_now(w->loop);
    w->window.cpu_since = clock_thread_cpu();
}

void worker_call_drive(struct call *c)
{
    struct worker *w = c->worker;
    struct runner *r = w->runners[0];

    w->runners_left = 1;
    r->arrivals.driven = true;
    r->started = r->scenario.start = loop_update_now(w->loop);
    r->ends = NSEC_MAX;
    r->state = RUNNER_RUNNING;
    start_window(w);
    worker_reply(c, 0);
}

void worker_call_set_rate(struct call *c)
{
    arrivals_set_rate(c->worker->runners[0], c->arg);
    worker_reply(c, 0);
}

void worker_call_take_window(struct call *c)
{
    struct worker *w = c->worker;
    struct window *sum = c->arg, *mine = &w->window.counts;
    nsec_t now = loop_update_now(w->loop), cpu = clock_thread_cpu();

    mine->elapsed = now - w->window.since;
    mine->in_flight = w->window.due - w->window.ended;
    mine->busy =
        mine->elapsed > 0 ? (double)(cpu - w->window.cpu_since) / (double)mine->elapsed : 0;
    *sum = *mine;
    *mine = (struct window){0};
    w->window.since = now;
    w->window.cpu_since = cpu;
    worker_reply(c, 0);
}

void worker_call_end(struct call *c)
{
    struct runner *r = c->worker->runners[0];

    if (r->state == RUNNER_RUNNING) {
        runner_end(r, true);
    }
    worker_reply(c, 0);
}
