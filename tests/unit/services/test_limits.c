// SPDX-License-Identifier: Apache-2.0
// Token bucket, metrics, tokens.
#include "common/bucket.h"
#include "common/clock.h"
#include "common/jwt.h"
#include "common/mem.h"
#include "common/metric.h"
#include "unit.h"

#include <string.h>

static unsigned take(struct bucket *bucket, int64_t start, int64_t step, unsigned tries)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < tries; i++) {
        taken += bucket_take(bucket, start + i * step) == 0;
    }
    return taken;
}

START_TEST(bucket_lets_the_rate_through)
{
    struct bucket bucket;

    bucket_init(&bucket, 100, 5);
    // All at once: the burst.
    ck_assert_uint_eq(take(&bucket, SEC, 0, 50), 5);
    // Then a second at ten times the rate: a hundred (the first at once, for it has waited).
    ck_assert_uint_eq(take(&bucket, SEC + 10 * MSEC, MSEC, 1000), 100);
    // After a long rest no more than the burst has gathered.
    ck_assert_uint_eq(take(&bucket, 100 * SEC, 0, 50), 5);
}
END_TEST

START_TEST(bucket_tells_when)
{
    struct bucket bucket;

    bucket_init(&bucket, 10, 1);
    ck_assert_int_eq(bucket_take(&bucket, SEC), 0);
    ck_assert_int_eq(bucket_take(&bucket, SEC), 100 * MSEC);
    ck_assert_int_eq(bucket_take(&bucket, SEC + 60 * MSEC), 40 * MSEC);
    ck_assert_int_eq(bucket_take(&bucket, SEC + 100 * MSEC), 0);
}
END_TEST

START_TEST(bucket_defaults)
{
    struct bucket bucket;

    bucket_init(&bucket, 0, 0);
    ck_assert_uint_eq(take(&bucket, SEC, 0, 1000), 1000);
    bucket_init(&bucket, 600, 0);
    ck_assert_uint_eq(take(&bucket, SEC, 0, 1000), 60);
    bucket_init(&bucket, 2, 0);
    ck_assert_uint_eq(take(&bucket, SEC, 0, 1000), 1);
}
END_TEST

START_TEST(histogram_text)
{
    struct metric_hist hist = {0};
    struct buf out = BUF_NULL;

    metric_hist_add(&hist, 500 * USEC);
    metric_hist_add(&hist, 500 * USEC + 1);
    metric_hist_add(&hist, 20 * MSEC);
    metric_hist_add(&hist, 11 * SEC);
    metric_hist_add(&hist, -5);
    ck_assert_uint_eq(metric_hist_count(&hist), 5);
    metric_hist_write(&out, "d", "route=\"/x\"", &hist);
    ck_assert_ptr_nonnull(strstr(out.data, "d_bucket{route=\"/x\",le=\"0.0005\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "d_bucket{route=\"/x\",le=\"0.001\"} 3\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "d_bucket{route=\"/x\",le=\"0.01\"} 3\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "d_bucket{route=\"/x\",le=\"0.025\"} 4\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "d_bucket{route=\"/x\",le=\"10\"} 4\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "d_bucket{route=\"/x\",le=\"+Inf\"} 5\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "d_sum{route=\"/x\"} 11.021000001\n"));
    ck_assert_ptr_nonnull(strstr(out.data, "d_count{route=\"/x\"} 5\n"));
    buf_fini(&out);
    metric_single(&out, "size", "gauge", "Size.", 10);
    ck_assert_str_eq(out.data, "# HELP size Size.\n# TYPE size gauge\nsize 10\n");
    buf_fini(&out);
}
END_TEST

START_TEST(base64url)
{
    static const struct {
        const char *plain, *coded;
    } known[] = {{"", ""},           {"f", "Zg"},        {"fo", "Zm8"},
                 {"foo", "Zm9v"},    {"foob", "Zm9vYg"}, {"foobar", "Zm9vYmFy"},
                 {"\xff\xfe", "__4"}};
    char text[16];
    unsigned char raw[16];

    for (unsigned i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t len = strlen(known[i].plain);
        ck_assert_uint_eq(jwt_base64_encode(text, (const unsigned char *)known[i].plain, len),
                          strlen(known[i].coded));
        ck_assert_str_eq(text, known[i].coded);
        ck_assert_int_eq(jwt_base64_decode(raw, sizeof(raw), text, strlen(text)), (long)len);
        ck_assert(memcmp(raw, known[i].plain, len) == 0);
    }
    ck_assert_int_eq(jwt_base64_decode(raw, sizeof(raw), "Zg==", 4), -1);
    ck_assert_int_eq(jwt_base64_decode(raw, sizeof(raw), "Z", 1), -1);
    ck_assert_int_eq(jwt_base64_decode(raw, sizeof(raw), "Z+8v", 4), -1);
    ck_assert_int_eq(jwt_base64_decode(raw, 2, "Zm9v", 4), -1);
    ck_assert_int_eq(jwt_base64_decode(raw, sizeof(raw), "Zm\0v", 4), -1);
}
END_TEST

static int verify(const char *token, int64_t now)
{
    char subject[JWT_SUBJECT_MAX];

    return jwt_verify("a secret of some length", token, now, subject);
}

START_TEST(tokens)
{
    char subject[JWT_SUBJECT_MAX];
    char *token = jwt_sign("a secret of some length", "client \"7\"", 1000, 4600);

    ck_assert_int_eq(jwt_verify("a secret of some length", token, 1000, subject), 0);
    ck_assert_str_eq(subject, "client \"7\"");
    ck_assert_int_eq(verify(token, 4599), 0);
    ck_assert_int_eq(verify(token, 4600), JWT_EXPIRED);
    ck_assert_int_eq(jwt_verify("another secret", token, 1000, subject), JWT_FORGED);
    // Any changed character of header or claims breaks the signature.
    for (size_t i = 0; token[i]; i++) {
        char kept = token[i];
        if (kept != '.' && token[i + 1]) {
            token[i] = kept == 'A' ? 'B' : 'A';
            ck_assert_int_ne(verify(token, 1000), 0);
            token[i] = kept;
        }
    }
    free(token);
}
END_TEST

START_TEST(tokens_of_others)
{
    static char huge[JWT_MAX + 10];

    // RFC 7515, appendix A.1 with the key of this test: made with another implementation.
    ck_assert_int_eq(verify("", 0), JWT_MALFORMED);
    ck_assert_int_eq(verify("a.b", 0), JWT_MALFORMED);
    ck_assert_int_eq(verify("..", 0), JWT_MALFORMED);
    ck_assert_int_eq(verify("a.b.c.d", 0), JWT_MALFORMED);
    memset(huge, 'a', sizeof(huge) - 1);
    ck_assert_int_eq(verify(huge, 0), JWT_MALFORMED);
}
END_TEST

UNIT_MAIN("limits",
          bucket_lets_the_rate_through,
          bucket_tells_when,
          bucket_defaults,
          histogram_text,
          base64url,
          tokens,
          tokens_of_others)
