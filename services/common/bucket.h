// SPDX-License-Identifier: Apache-2.0
// Token bucket without a lock, as the generic cell rate algorithm (ITU-T I.371): the bucket's level
// is the one number "theoretical arrival time". Time is an argument, so it is pure. Any thread.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct bucket {
    int64_t interval_ns;     // between two tokens; 0 = no limit
    int64_t tolerance_ns;    // (burst - 1) * interval
    _Atomic int64_t arrival; // theoretical arrival time of the next request
};

// rate in tokens per second, 0 = no limit; burst in tokens, below 1 means a tenth of a second's
// worth (at least one).
void bucket_init(struct bucket *bucket, double rate, double burst);
// Takes one token at time `now` (monotonic). 0, or the nanoseconds until one will be there.
int64_t bucket_take(struct bucket *bucket, int64_t now);
