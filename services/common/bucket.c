// SPDX-License-Identifier: Apache-2.0
#include "bucket.h"

void bucket_init(struct bucket *bucket, double rate, double burst)
{
    bucket->interval_ns = rate > 0 ? (int64_t)(1e9 / rate) : 0;
    if (burst < 1) {
        burst = rate / 10 < 1 ? 1 : rate / 10;
    }
    bucket->tolerance_ns = (int64_t)((burst - 1) * (double)bucket->interval_ns);
    atomic_init(&bucket->arrival, INT64_MIN);
}

int64_t bucket_take(struct bucket *bucket, int64_t now)
{
    if (bucket->interval_ns == 0) {
        return 0;
    }
    int64_t arrival = atomic_load_explicit(&bucket->arrival, memory_order_relaxed);
    for (;;) {
        int64_t start = arrival > now ? arrival : now;
        if (start - now > bucket->tolerance_ns) {
            return start - now - bucket->tolerance_ns;
        }
        if (atomic_compare_exchange_weak_explicit(&bucket->arrival, &arrival,
                                                  start + bucket->interval_ns, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return 0;
        }
    }
}
