// SPDX-License-Identifier: Apache-2.0
// The whole limit run on the real engine, with a script in C whose "request" waits for one of a few
// workers: a service of known capacity without a network.
#include <stdlib.h>

#include "base/mem.h"
#include "plan/limit_run.h"
#include "rt/co.h"
#include "unit.h"

enum { WORKERS = 10 };
static const nsec_t SERVICE = 20 * NSEC_PER_MSEC;

// One thread runs all VUs, so this needs no lock.
static nsec_t free_at[WORKERS];

struct script {
    struct metric_registry *registry;
};

struct script_thread {
    struct shard *shard;
    struct loop *loop;
    const struct metric *duration;
};

struct script_vu {
    struct script_thread *thread;
};

static int
fake_open(const struct script_source *source, struct script **ret_script, struct err *err)
{
    *ret_script = XNEW(struct script);
    (*ret_script)->registry = source->registry;
    return 0;
}

static void fake_close(struct script *s)
{
    free(s);
}

static const char *fake_options(const struct script *s)
{
    // The shape of the load is the search's business; the thresholds are the script's.
    return "{\"stages\":[{\"duration\":\"1m\",\"target\":5}],"
           "\"thresholds\":{\"http_req_duration\":[\"p(99)<300\"]}}";
}

static bool fake_has_function(const struct script *s, const char *name)
{
    return strcmp(name, "default") == 0;
}

static unsigned fake_function_count(const struct script *s)
{
    return 1;
}

static int fake_thread_new(struct script *s,
                           const struct script_settings *settings,
                           struct loop *l,
                           struct shard *shard,
                           const struct engine_view *view,
                           struct script_thread **ret_thread,
                           struct err *err)
{
    struct script_thread *t = XNEW(struct script_thread);

    t->shard = shard;
    t->loop = l;
    t->duration = metric_by_name(s->registry, SLICE("http_req_duration"));
    *ret_thread = t;
    return 0;
}

static void fake_thread_free(struct script_thread *t)
{
    free(t);
}

static int fake_vu_new(struct script_thread *t,
                       uint64_t vu_id,
                       uint64_t vu_id_in_test,
                       struct script_vu **ret_vu,
                       struct err *err)
{
    *ret_vu = XNEW(struct script_vu);
    (*ret_vu)->thread = t;
    return 0;
}

static void fake_vu_set_data(struct script_vu *vu, const char *setup_data)
{
}

static void fake_vu_free(struct script_vu *vu)
{
    free(vu);
}

static enum script_result fake_iterate(struct script_vu *vu, const struct script_iteration *it)
{
    struct script_thread *t = vu->thread;
    nsec_t arrival = loop_now(t->loop);
    int worker = 0;

    for (int i = 1; i < WORKERS; i++) {
        if (free_at[i] < free_at[worker]) {
            worker = i;
        }
    }
    // From when it became free, not from when that was noticed: capacity is exact.
    free_at[worker] = MAX(free_at[worker], arrival) + SERVICE;
    if (co_await_until(free_at[worker])) {
        return SCRIPT_INTERRUPTED;
    }
    nsec_t now = loop_now(t->loop);
    shard_add(t->shard, t->duration, tagset_empty(shard_tags(t->shard)),
              (double)(now - arrival) / NSEC_PER_MSEC, now, NULL);
    return SCRIPT_OK;
}

static void fake_interrupt(struct script_vu *vu)
{
}

static const struct script_ops OPS = {
    .open = fake_open,
    .close = fake_close,
    .options = fake_options,
    .has_function = fake_has_function,
    .function_count = fake_function_count,
    .thread_new = fake_thread_new,
    .thread_free = fake_thread_free,
    .vu_new = fake_vu_new,
    .vu_set_data = fake_vu_set_data,
    .vu_free = fake_vu_free,
    .iterate = fake_iterate,
    .interrupt = fake_interrupt,
};

static unsigned finished;

static void on_event(void *arg, const struct limit_run_event *e)
{
    finished += e->finished;
    if (getenv("PLIMSOLL_TEST_VERBOSE") && e->finished) {
        fprintf(stderr, "%5.1f s %-8s %8.2f/s arrivals %.0f completions %.0f bad %.4f%s est %.1f\n",
                e->spent, e->phase, e->rate, e->arrivals, e->completions, e->worst_share,
                e->generator_bound ? " generator-bound" : "", e->estimate);
    }
}

START_TEST(the_limit_of_a_pool)
{
    struct limit_run_config config = {
        .ops = &OPS,
        .path = "pool.js",
        .budget = 15,
        .start_rate = 100,
        .no_calibration = true,
        .seed = 1,
        .event = on_event,
    };
    struct limit_run_result r;
    struct err err = {0};

    ck_assert_msg(limit_run(&config, &r, &err) == 0, "%s", err.message);
    // A busy machine may leave a bound instead of a limit, but never a wrong one.
    ck_assert_double_le(r.limit.rate, 540);
    ck_assert_double_ge(r.limit.rate, 200);
    if (r.limit.verdict == LIMIT_FOUND) {
        ck_assert_double_ge(r.limit.rate, 460);
        ck_assert_str_eq(r.unit, "requests/s");
    }
    ck_assert_uint_gt(finished, 5);
    ck_assert_uint_gt(r.requests, 1000);
    json_t *o = limit_run_json(&r, "pool", "pool.js");
    ck_assert_str_eq(json_string_value(json_object_get(o, "verdict")),
                     limit_verdict_name(r.limit.verdict));
    json_decref(o);
}
END_TEST

START_TEST(max_rate_holds)
{
    struct limit_run_config config = {
        .ops = &OPS,
        .path = "pool.js",
        .budget = 10,
        .start_rate = 100,
        .max_rate = 150,
        .no_calibration = true,
    };
    struct limit_run_result r;
    struct err err = {0};

    ck_assert_msg(limit_run(&config, &r, &err) == 0, "%s", err.message);
    ck_assert_double_le(r.limit.rate, 150);
    ck_assert(r.limit.verdict == LIMIT_NOT_REACHED || r.limit.reason == LIMIT_REASON_GENERATOR);
}
END_TEST

START_TEST(thresholds_are_needed)
{
    struct limit_run_config config = {
        .ops = &OPS,
        .path = "pool.js",
        .only_these_thresholds = true,
        .no_calibration = true,
    };
    struct limit_run_result r;
    struct err err = {0};

    ck_assert_int_lt(limit_run(&config, &r, &err), 0);
    ck_assert_ptr_nonnull(strstr(err.message, "--p99"));
}
END_TEST

UNIT_MAIN("plan/limit_run", the_limit_of_a_pool, max_rate_holds, thresholds_are_needed)
