// SPDX-License-Identifier: Apache-2.0
// Time, always in nanoseconds. The only file of the services that reads a clock. Any thread.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define USEC INT64_C(1000)
#define MSEC (1000 * USEC)
#define SEC  (1000 * MSEC)

int64_t clock_monotonic(void);
int64_t clock_wall(void); // since 1970, UTC
// Milliseconds from now until `deadline` (monotonic) as poll(2) wants them: rounded up, 0 if past.
int clock_poll_ms(int64_t deadline);
struct timespec clock_timespec(int64_t ns);
// `wall` as RFC 3339 in UTC with milliseconds, "2026-01-31T09:30:00.123Z"; size >= 25.
void clock_rfc3339(int64_t wall, char *text, size_t size);
