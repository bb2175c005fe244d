// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <math.h>

#include "base/mem.h"
#include "model/arrival.h"
#include "model/ramp.h"
#include "model/segment.h"
#include "unit.h"

START_TEST(segments_add_up_to_the_whole)
{
    static const int64_t weights[][5] = {{1},       {1, 1},     {1, 1, 1},
                                         {3, 5, 2}, {90, 1, 9}, {7, 7, 1, 2, 3}};
    static const unsigned counts[] = {1, 2, 3, 3, 3, 5};

    for (unsigned c = 0; c < ARRAY_SIZE(counts); c++) {
        struct segment parts[5];
        double weight_sum = 0;
        for (unsigned i = 0; i < counts[c]; i++) {
            ck_assert_int_eq(segment_init_part(&parts[i], weights[c], counts[c], i), 0);
            weight_sum += (double)weights[c][i];
        }
        for (int64_t n = 0; n < 400; n++) {
            int64_t sum = 0, owners = 0;
            for (unsigned i = 0; i < counts[c]; i++) {
                int64_t k = segment_scale(&parts[i], n);
                sum += k;
                owners += segment_index(&parts[i], k) == n;
                // Never a whole number away from the fair share.
                double fair = (double)n * (double)weights[c][i] / weight_sum;
                ck_assert_double_le(fabs((double)k - fair), 1.5);
            }
            ck_assert_int_eq(sum, n);
            ck_assert_int_eq(owners, 1); // exactly one part does number n
        }
        for (unsigned i = 0; i < counts[c]; i++) {
            segment_fini(&parts[i]);
        }
    }
    struct segment s;
    ck_assert_int_eq(segment_init_part(&s, weights[3], 3, 3), -EINVAL);
    ck_assert_int_eq(segment_init_part(&s, (const int64_t[]){1, 0}, 2, 0), -EINVAL);
    ck_assert_int_eq(segment_init_part(&s, (const int64_t[]){60000, 60000}, 2, 0), -EINVAL);
}
END_TEST

START_TEST(split_of_a_segment)
{
    struct segment outer, parts[3];

    ck_assert_int_eq(segment_init_part(&outer, (const int64_t[]){2, 3}, 2, 1), 0);
    for (unsigned i = 0; i < 3; i++) {
        segment_init_split(&parts[i], &outer, 3, i);
    }
    for (int64_t k = 0; k < 60; k++) {
        ck_assert_int_eq(segment_index(&parts[k % 3], k / 3), segment_index(&outer, k));
    }
    for (int64_t n = 0; n < 100; n++) {
        ck_assert_int_eq(segment_scale(&parts[0], n) + segment_scale(&parts[1], n) +
                             segment_scale(&parts[2], n),
                         segment_scale(&outer, n));
    }
    for (unsigned i = 0; i < 3; i++) {
        segment_fini(&parts[i]);
    }
    segment_fini(&outer);
}
END_TEST

START_TEST(constant_rate)
{
    const struct arrival_stage stage = {1500 * NSEC_PER_MSEC, 20, 20};
    struct arrival_plan p = {&stage, 1, 0};
    struct arrival_at at = {0};

    ck_assert_int_eq(arrival_total(&p), 31); // both ends count
    for (int64_t n = 0; n < 31; n++) {
        ck_assert_int_eq(arrival_offset(&p, &at, n), n * 50 * NSEC_PER_MSEC);
    }
    ck_assert_int_eq(arrival_offset(&p, &at, 31), -1);
}
END_TEST

START_TEST(ramping_rate_follows_the_area)
{
    // 0 → 10/s in 10 s (area 50), hold 5 s (50), a jump, down to 0 in 4 s from 10 (20).
    const struct arrival_stage stages[] = {{10 * NSEC_PER_SEC, 0, 10},
                                           {5 * NSEC_PER_SEC, 10, 10},
                                           {0, 10, 10},
                                           {4 * NSEC_PER_SEC, 10, 0}};
    struct arrival_plan p = {stages, 4, 1};
    struct arrival_at at = {0};

    ck_assert_int_eq(arrival_total(&p), 120);
    // t² / 2 = n
    ck_assert_int_eq(arrival_offset(&p, &at, 0) / NSEC_PER_USEC, 1414213);
    ck_assert_int_eq(arrival_offset(&p, &at, 49), 10 * NSEC_PER_SEC);
    ck_assert_int_eq(arrival_offset(&p, &at, 59), 11 * NSEC_PER_SEC);
    ck_assert_int_eq(arrival_offset(&p, &at, 99), 15 * NSEC_PER_SEC);
    nsec_t last = 15 * NSEC_PER_SEC;
    for (int64_t n = 100; n < 120; n++) {
        nsec_t t = arrival_offset(&p, &at, n);
        ck_assert_int_gt(t, last);
        last = t;
    }
    ck_assert_double_eq_tol((double)last / NSEC_PER_SEC, 19, 0.01);
    ck_assert_int_eq(arrival_offset(&p, &at, 120), -1);
}
END_TEST

START_TEST(segments_start_what_the_whole_starts)
{
    const struct arrival_stage stages[] = {{3 * NSEC_PER_SEC, 5, 40}, {2 * NSEC_PER_SEC, 40, 0}};
    struct arrival_plan p = {stages, 2, 1};
    struct segment whole, part[2];
    struct arrival_at at[3] = {{0}};

    segment_init_whole(&whole);
    segment_init_split(&part[0], &whole, 2, 0);
    segment_init_split(&part[1], &whole, 2, 1);
    for (int64_t n = 0; n < arrival_total(&p); n++) {
        ck_assert_int_eq(arrival_offset(&p, &at[2], n),
                         arrival_offset(&p, &at[n % 2], segment_index(&part[n % 2], n / 2)));
    }
    segment_fini(&whole);
    segment_fini(&part[0]);
    segment_fini(&part[1]);
}
END_TEST

START_TEST(poisson_gaps_have_their_mean)
{
    struct rng rng;
    double sum = 0;

    rng_init(&rng, 1, 0);
    for (int i = 0; i < 20000; i++) {
        sum += (double)arrival_poisson_gap(&rng, 50) / NSEC_PER_SEC;
    }
    ck_assert_double_eq_tol(sum / 20000, 0.02, 0.0006);
}
END_TEST

START_TEST(vus_cross_their_lines)
{
    const struct ramp_stage stages[] = {
        {4 * NSEC_PER_SEC, 5}, {0, 2}, {NSEC_PER_SEC, 2}, {2 * NSEC_PER_SEC, 0}};
    struct ramp_plan p = {1, stages, 4};
    static const struct {
        nsec_t offset;
        int64_t vus;
    } want[] = {{NSEC_PER_SEC, 2},     {2 * NSEC_PER_SEC, 3}, {3 * NSEC_PER_SEC, 4},
                {4 * NSEC_PER_SEC, 5}, {4 * NSEC_PER_SEC, 2}, {6 * NSEC_PER_SEC, 1},
                {7 * NSEC_PER_SEC, 0}};
    struct ramp_at at;
    nsec_t offset;
    int64_t vus;

    ramp_begin(&p, &at);
    for (unsigned i = 0; i < ARRAY_SIZE(want); i++) {
        ck_assert(ramp_next(&p, &at, &offset, &vus));
        ck_assert_int_eq(offset, want[i].offset);
        ck_assert_int_eq(vus, want[i].vus);
    }
    ck_assert(!ramp_next(&p, &at, &offset, &vus));
    ck_assert_int_eq(ramp_duration(&p), 7 * NSEC_PER_SEC);
    ck_assert_int_eq(ramp_max(&p), 5);
}
END_TEST

UNIT_MAIN("model/plans",
          segments_add_up_to_the_whole,
          split_of_a_segment,
          constant_rate,
          ramping_rate_follows_the_area,
          segments_start_what_the_whole_starts,
          poisson_gaps_have_their_mean,
          vus_cross_their_lines)
