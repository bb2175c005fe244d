// SPDX-License-Identifier: Apache-2.0
// Time. The only place that reads a clock; everything else is given `now`.
#pragma once

#include <stdint.h>

// Nanoseconds: a duration, or an instant of the monotonic clock.
typedef int64_t nsec_t;

#define NSEC_PER_SEC  ((nsec_t)1000000000)
#define NSEC_PER_MSEC ((nsec_t)1000000)
#define NSEC_PER_USEC ((nsec_t)1000)
#define NSEC_MAX      INT64_MAX

// Monotonic clock; starts at an arbitrary point, never goes back.
nsec_t clock_now(void);
// Wall clock, nanoseconds since 1970-01-01 UTC.
nsec_t clock_wall(void);
// CPU time used by this thread, and by this process.
nsec_t clock_thread_cpu(void);
nsec_t clock_process_cpu(void);
// CPU time used by another process of ours, 0 when it is gone.
nsec_t clock_other_cpu(int pid);
// RFC 3339 in UTC with `digits` (0-9) of a second's fraction into buf (at least 40 bytes).
const char *clock_format_rfc3339(nsec_t wall, int digits, char *buf, unsigned size);
