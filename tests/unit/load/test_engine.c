// SPDX-License-Identifier: Apache-2.0
#include "unit.h"

#include "fake.h"

#define MS NSEC_PER_MSEC

START_TEST(iterations_are_counted)
{
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct script s = {.takes = MS};
        struct fake_run r = fake_run("{\"vus\": 4, \"iterations\": 103}", &s, workers, NULL);
        ck_assert_int_eq(r.code, 0);
        ck_assert_uint_eq(r.iterations, 103);
        ck_assert_uint_eq(r.workers, workers);
        ck_assert_uint_eq(atomic_load(&s.inits), 4);
        ck_assert_uint_eq(atomic_load(&s.sum), 103 * 102 / 2); // each number once
        struct script p = {0};
        r = fake_run("{\"scenarios\": {\"a\": {\"executor\": \"per-vu-iterations\", \"vus\": 5,"
                     "\"iterations\": 7}}}",
                     &p, workers, NULL);
        ck_assert_uint_eq(r.iterations, 35);
        ck_assert_int_lt(r.took, 3 * NSEC_PER_SEC);
    }
}
END_TEST

START_TEST(defaults_are_one_iteration)
{
    struct script s = {.has_setup = true, .has_teardown = true};
    struct fake_run r = fake_run("{}", &s, 0, NULL);

    ck_assert_int_eq(r.code, 0);
    ck_assert_uint_eq(r.iterations, 1);
    ck_assert_uint_eq(r.workers, 1);
    ck_assert_uint_eq(atomic_load(&s.setups), 1);
    ck_assert_uint_eq(atomic_load(&s.teardowns), 1);
    ck_assert_uint_eq(atomic_load(&s.data_seen), 2); // the VU and teardown's
    ck_assert_uint_eq(atomic_load(&s.inits), 3);
}
END_TEST

START_TEST(constant_vus_go_on_until_the_end)
{
    struct script s = {.takes = 20 * MS};
    struct fake_run r = fake_run("{\"vus\": 10, \"duration\": \"1s\"}", &s, 2, NULL);

    ck_assert_int_eq(r.code, 0);
    ck_assert_uint_ge(r.iterations, 250); // 500 on a quiet machine
    ck_assert_uint_le(r.iterations, 510);
    ck_assert_uint_eq(r.dropped, 0);
    ck_assert_int_ge(r.took, NSEC_PER_SEC);
}
END_TEST

START_TEST(a_script_that_never_waits_ends)
{
    struct script s = {0};
    struct fake_run r = fake_run("{\"vus\": 3, \"duration\": \"1s\"}", &s, 1, NULL);

    ck_assert_int_eq(r.code, 0);
    ck_assert_uint_ge(r.iterations, 1000);
    ck_assert_int_lt(r.took, 4 * NSEC_PER_SEC);
}
END_TEST

START_TEST(arrivals_are_iterations_and_drops)
{
    static const char *const options[] = {
        // plenty of VUs: 51 arrivals (both ends count)
        "{\"scenarios\": {\"a\": {\"executor\": \"constant-arrival-rate\", \"rate\": 50,"
        "\"duration\": \"1s\", \"preAllocatedVUs\": 20}}}",
        // too few: one VU does what it can
        "{\"scenarios\": {\"a\": {\"executor\": \"constant-arrival-rate\", \"rate\": 50,"
        "\"duration\": \"1s\", \"preAllocatedVUs\": 1}}}",
        // area 25 + 50
        "{\"scenarios\": {\"a\": {\"executor\": \"ramping-arrival-rate\", \"startRate\": 0,"
        "\"stages\": [{\"duration\": \"1s\", \"target\": 50}, {\"duration\": \"1s\","
        "\"target\": 50}], \"preAllocatedVUs\": 20}}}",
    };
    static const uint64_t arrivals[] = {51, 51, 75};

    for (unsigned i = 0; i < 3; i++) {
        for (unsigned workers = 1; workers <= 2; workers++) {
            struct script s = {.takes = 100 * MS};
            struct fake_run r = fake_run(options[i], &s, workers, NULL);
            ck_assert_int_eq(r.code, 0);
            ck_assert_uint_eq(r.iterations + r.dropped, arrivals[i]);
            ck_assert_uint_eq(r.interrupted, 0);
            if (i == 1) {
                ck_assert_uint_ge(r.dropped, 35);
                ck_assert_uint_le(r.iterations, 12);
            }
        }
    }
}
END_TEST

START_TEST(vus_are_added_up_to_the_most)
{
    struct script s = {.takes = 300 * MS};
    struct fake_run r =
        fake_run("{\"scenarios\": {\"a\": {\"executor\": \"constant-arrival-rate\", \"rate\": 40,"
                 "\"duration\": \"2s\", \"preAllocatedVUs\": 2, \"maxVUs\": 30}}}",
                 &s, 1, NULL);

    ck_assert_uint_eq(r.iterations + r.dropped, 81);
    ck_assert_uint_ge(r.vus_max, 10); // 40/s of 0.3 s need 12
    ck_assert_uint_le(r.vus_max, 30);
    ck_assert_uint_ge(r.iterations, 50);
}
END_TEST

START_TEST(ramping_vus_follow_their_stages)
{
    // 0 → 10 → 0 in two seconds, iterations of 50 ms: about 200
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct script s = {.takes = 50 * MS};
        struct fake_run r =
            fake_run("{\"scenarios\": {\"a\": {\"executor\": \"ramping-vus\", \"startVUs\": 0,"
                     "\"stages\": [{\"duration\": \"1s\", \"target\": 10}, {\"duration\": \"1s\","
                     "\"target\": 0}]}}}",
                     &s, workers, NULL);
        ck_assert_int_eq(r.code, 0);
        ck_assert_uint_ge(r.iterations, 120);
        ck_assert_uint_le(r.iterations, 230);
        ck_assert_uint_eq(r.interrupted, 0);
        ck_assert_uint_eq(r.vus_max, 10);
    }
}
END_TEST

START_TEST(grace_then_interruption)
{
    struct script s = {.hang = true};
    struct fake_run r = fake_run(
        "{\"scenarios\": {\"a\": {\"executor\": \"constant-vus\", \"vus\": 3, \"duration\": \"1s\","
        "\"gracefulStop\": \"500ms\"}}}",
        &s, 2, NULL);

    ck_assert_int_eq(r.code, 0);
    ck_assert_uint_eq(r.iterations, 0);
    ck_assert_uint_eq(r.interrupted, 3);
    ck_assert_int_ge(r.took, 1500 * MS);
    ck_assert_int_lt(r.took, 4 * NSEC_PER_SEC);
    struct script t = {.hang = true};
    r = fake_run("{\"scenarios\": {\"a\": {\"executor\": \"ramping-vus\", \"startVUs\": 2,"
                 "\"gracefulRampDown\": \"0s\", \"gracefulStop\": \"0s\", \"stages\": ["
                 "{\"duration\": \"1s\", \"target\": 0}, {\"duration\": \"200ms\","
                 "\"target\": 3}]}}}",
                 &t, 1, NULL);
    ck_assert_int_eq(r.code, 0);
    ck_assert_uint_ge(r.interrupted, 4); // both went, both came again
    ck_assert_uint_le(r.interrupted, 5);
}
END_TEST

START_TEST(what_was_not_started_is_dropped)
{
    struct script s = {.takes = 400 * MS};
    struct fake_run r =
        fake_run("{\"scenarios\": {\"a\": {\"executor\": \"shared-iterations\", \"vus\": 2,"
                 "\"iterations\": 50, \"maxDuration\": \"1s\"}}}",
                 &s, 2, NULL);

    ck_assert_uint_eq(r.iterations + r.dropped, 50);
    ck_assert_uint_ge(r.dropped, 40);
    struct script t = {.takes = 400 * MS};
    r = fake_run("{\"scenarios\": {\"a\": {\"executor\": \"per-vu-iterations\", \"vus\": 2,"
                 "\"iterations\": 25, \"maxDuration\": \"1s\"}}}",
                 &t, 2, NULL);
    ck_assert_uint_eq(r.iterations + r.dropped, 50);
    ck_assert_uint_ge(r.dropped, 40);
}
END_TEST

START_TEST(abort_and_signal)
{
    struct script s = {.abort_at = 5, .has_teardown = true, .takes = MS};
    struct fake_run r = fake_run("{\"vus\": 1, \"iterations\": 100}", &s, 1, NULL);

    ck_assert_int_eq(r.code, EXIT_CODE_ABORTED);
    ck_assert_uint_eq(r.iterations, 6); // the one that aborts counts
    ck_assert_uint_eq(r.dropped, 0);
    ck_assert_uint_eq(atomic_load(&s.teardowns), 1);
    volatile sig_atomic_t stop = 1;
    struct script t = {.hang = true, .has_teardown = true};
    r = fake_run("{\"vus\": 2, \"duration\": \"20s\"}", &t, 1, &stop);
    ck_assert_int_eq(r.code, EXIT_CODE_SIGNAL);
    ck_assert_int_lt(r.took, 3 * NSEC_PER_SEC);
}
END_TEST

START_TEST(hooks_that_fail)
{
    struct script s = {.has_setup = true, .setup_throws = true, .has_teardown = true};
    struct fake_run r = fake_run("{}", &s, 1, NULL);

    ck_assert_int_eq(r.code, EXIT_CODE_SCRIPT);
    ck_assert_str_eq(r.err.message, "Error: no database");
    ck_assert_uint_eq(atomic_load(&s.teardowns), 0);
    struct script h = {.has_setup = true, .setup_hangs = true};
    r = fake_run("{\"setupTimeout\": \"200ms\"}", &h, 1, NULL);
    ck_assert_int_eq(r.code, EXIT_CODE_SETUP_TIMEOUT);
    struct script i = {.init_throws = true};
    r = fake_run("{\"vus\": 4, \"iterations\": 4}", &i, 2, NULL);
    ck_assert_int_eq(r.code, EXIT_CODE_SCRIPT);
    struct script t = {.has_teardown = true, .teardown_throws = true};
    r = fake_run("{}", &t, 1, NULL);
    ck_assert_int_eq(r.code, EXIT_CODE_SCRIPT);
    struct script n = {.exec = "other"};
    r = fake_run("{}", &n, 1, NULL);
    ck_assert_int_eq(r.code, EXIT_CODE_CONFIG);
}
END_TEST

START_TEST(thresholds_end_the_run)
{
    struct script s = {.takes = 10 * MS};
    struct fake_run r = fake_run(
        "{\"vus\": 2, \"duration\": \"30s\", \"thresholds\": {\"iterations\": [{\"threshold\":"
        "\"count<3\", \"abortOnFail\": true}]}}",
        &s, 2, NULL);

    ck_assert_int_eq(r.code, EXIT_CODE_THRESHOLDS);
    ck_assert_int_ge(r.took, 2 * NSEC_PER_SEC);
    ck_assert_int_lt(r.took, 6 * NSEC_PER_SEC);
    struct script t = {0};
    r = fake_run("{\"iterations\": 3, \"thresholds\": {\"iterations\": [\"count>2\"],"
                 "\"iterations{scenario:default}\": [\"count<3\"]}}",
                 &t, 1, NULL);
    ck_assert_int_eq(r.code, EXIT_CODE_THRESHOLDS);
    struct script u = {0};
    r = fake_run("{\"iterations\": 3, \"noThresholds\": true, \"thresholds\":"
                 "{\"iterations\": [\"count<3\"]}}",
                 &u, 1, NULL);
    ck_assert_int_eq(r.code, 0);
}
END_TEST

START_TEST(few_vus_on_many_workers_lose_nothing)
{
    struct script s = {.takes = MS};
    struct fake_run r = fake_run(
        "{\"scenarios\": {\"a\": {\"executor\": \"shared-iterations\", \"vus\": 1,"
        "\"iterations\": 9}, \"b\": {\"executor\": \"constant-arrival-rate\", \"rate\": 20,"
        "\"duration\": \"1s\", \"preAllocatedVUs\": 1}, \"c\": {\"executor\":"
        "\"per-vu-iterations\", \"vus\": 3}}}",
        &s, 4, NULL);

    ck_assert_uint_eq(r.workers, 4);
    ck_assert_uint_eq(r.dropped, 0);
    ck_assert_uint_eq(r.iterations, 9 + 21 + 3);
}
END_TEST

START_TEST(segments_do_what_the_whole_does)
{
    static const char *const shapes[] = {
        "\"vus\": 12, \"iterations\": 23",
        "\"scenarios\": {\"a\": {\"executor\": \"constant-arrival-rate\", \"rate\": 30,"
        "\"duration\": \"1s\", \"preAllocatedVUs\": 40}}",
        "\"scenarios\": {\"a\": {\"executor\": \"per-vu-iterations\", \"vus\": 7,"
        "\"iterations\": 3}}",
    };
    static const uint64_t totals[] = {23, 31, 21};

    for (unsigned i = 0; i < 3; i++) {
        uint64_t iterations = 0, sum = 0, vus = 0;
        for (unsigned part = 0; part < 3; part++) {
            static const char *const parts[] = {"0:1/3", "1/3:1/2", "1/2:1"};
            char json[512];
            struct script s = {0};
            snprintf(json, sizeof(json),
                     "{%s, \"executionSegment\": \"%s\","
                     "\"executionSegmentSequence\": \"0,1/3,1/2,1\"}",
                     shapes[i], parts[part]);
            struct fake_run r = fake_run(json, &s, 1 + part % 2, NULL);
            ck_assert_int_eq(r.code, 0);
            iterations += r.iterations;
            sum += atomic_load(&s.sum);
            vus += r.vus_max;
        }
        ck_assert_uint_eq(iterations, totals[i]);
        if (i < 2) { // what is dealt out by number: each exactly once
            ck_assert_uint_eq(sum, totals[i] * (totals[i] - 1) / 2);
        }
        ck_assert_uint_eq(vus, i == 0 ? 12 : i == 1 ? 40 : 7);
    }
}
END_TEST

START_TEST(open_model_drive)
{
    struct script s = {.takes = 5 * MS, .has_teardown = true};
    struct metric_registry *registry = metric_registry_new();
    struct run_options o;
    struct engine *e;
    struct window w;
    struct err err = {0};
    const struct window_objective objective = {
        .metric = metric_by_id(registry, METRIC_ITERATION_DURATION), .limit = 1};

    fake_build("{\"scenarios\": {\"a\": {\"executor\": \"constant-arrival-rate\", \"rate\": 1,"
               "\"duration\": \"1h\", \"preAllocatedVUs\": 20, \"maxVUs\": 50}}}",
               &o, registry);
    struct engine_config config = {.ops = &fake_ops,
                                   .script = &s,
                                   .options = &o,
                                   .registry = registry,
                                   .workers = 2,
                                   .seed = 1,
                                   .objectives = &objective,
                                   .objective_count = 1};
    ck_assert_int_eq(engine_start(&config, &e, &err), 0);
    uint64_t arrivals = 0, completed = 0;
    for (int i = 0; i < 2; i++) {
        engine_set_rate(e, 400, i == 1);
        ck_assert_int_eq(engine_pass(e, 500 * MS, &err), 0);
        ck_assert_int_eq(engine_take_window(e, &w), 0);
        ck_assert_uint_ge(w.arrivals, 120);
        ck_assert_uint_le(w.arrivals, 320);
        ck_assert_int_ge(w.elapsed, 500 * MS);
        ck_assert_uint_eq(w.n[0], w.bad[0]); // all take longer than 1 ms
        ck_assert_uint_eq(w.n[0], w.completed);
        ck_assert_double_ge(w.duration, 0.005 * (double)w.completed);
        ck_assert_double_gt(w.busy, 0);
        arrivals += w.arrivals - w.dropped;
        completed += w.completed;
    }
    engine_set_rate(e, 0, false);
    ck_assert(engine_drain(e, 5 * NSEC_PER_SEC));
    ck_assert_int_eq(engine_take_window(e, &w), 0);
    ck_assert_uint_eq(w.in_flight, 0);
    arrivals += w.arrivals - w.dropped;
    completed += w.completed;
    ck_assert_uint_eq(arrivals, completed);
    ck_assert_int_eq(engine_finish(e, &err), 0);
    ck_assert_uint_eq(atomic_load(&s.teardowns), 1);
    engine_free(e);
    options_fini(&o);
    metric_registry_free(registry);
}
END_TEST

START_TEST(a_drive_of_few_vus_drops_nothing_for_want_of_a_worker)
{
    struct script s = {0};
    struct metric_registry *registry = metric_registry_new();
    struct run_options o;
    struct engine *e;
    struct window w;
    struct err err = {0};

    fake_build("{\"scenarios\": {\"a\": {\"executor\": \"constant-arrival-rate\", \"rate\": 1,"
               "\"duration\": \"1h\", \"preAllocatedVUs\": 1, \"maxVUs\": 50}}}",
               &o, registry);
    struct engine_config config = {.ops = &fake_ops,
                                   .script = &s,
                                   .options = &o,
                                   .registry = registry,
                                   .workers = 3,
                                   .seed = 1};
    ck_assert_int_eq(engine_start(&config, &e, &err), 0);
    engine_set_rate(e, 300, false);
    ck_assert_int_eq(engine_pass(e, 400 * MS, &err), 0);
    ck_assert_int_eq(engine_take_window(e, &w), 0);
    ck_assert_uint_ge(w.arrivals, 100);
    ck_assert_uint_le(w.dropped, w.arrivals / 4);
    ck_assert_int_eq(engine_finish(e, &err), 0);
    engine_free(e);
    options_fini(&o);
    metric_registry_free(registry);
}
END_TEST

UNIT_MAIN("load/engine",
          iterations_are_counted,
          defaults_are_one_iteration,
          constant_vus_go_on_until_the_end,
          a_script_that_never_waits_ends,
          arrivals_are_iterations_and_drops,
          vus_are_added_up_to_the_most,
          ramping_vus_follow_their_stages,
          grace_then_interruption,
          what_was_not_started_is_dropped,
          abort_and_signal,
          hooks_that_fail,
          thresholds_end_the_run,
          few_vus_on_many_workers_lose_nothing,
          segments_do_what_the_whole_does,
          open_model_drive,
          a_drive_of_few_vus_drops_nothing_for_want_of_a_worker)
