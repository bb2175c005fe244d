// SPDX-License-Identifier: Apache-2.0
#include "clock.h"

#include <limits.h>
#include <stdio.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec now;

    clock_gettime(id, &now);
    return now.tv_sec * SEC + now.tv_nsec;
}

int64_t clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

int clock_poll_ms(int64_t deadline)
{
    int64_t left = deadline - clock_monotonic();

    if (left <= 0) {
        return 0;
    }
    left = (left + MSEC - 1) / MSEC;
    return left > INT_MAX ? INT_MAX : (int)left;
}

struct timespec clock_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / SEC, .tv_nsec = ns % SEC};
}

void clock_rfc3339(int64_t wall, char *text, size_t size)
{
    time_t seconds = wall / SEC;
    struct tm tm;
    char date[32];

    gmtime_r(&seconds, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, size, "%s.%03dZ", date, (int)(wall % SEC / MSEC));
}
