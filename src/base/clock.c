// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static nsec_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (nsec_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

nsec_t clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

nsec_t clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

nsec_t clock_thread_cpu(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

nsec_t clock_process_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

nsec_t clock_other_cpu(int pid)
{
    clockid_t id;

    return clock_getcpuclockid(pid, &id) == 0 ? read_clock(id) : 0;
}

const char *clock_format_rfc3339(nsec_t wall, int digits, char *buf, unsigned size)
{
    time_t seconds = (time_t)(wall / NSEC_PER_SEC);
    char fraction[16] = "";
    struct tm tm;

    gmtime_r(&seconds, &tm);
    if (digits > 0) {
        snprintf(fraction, sizeof(fraction), ".%09d", (int)(wall % NSEC_PER_SEC));
        fraction[digits + 1] = 0;
    }
    snprintf(buf, size, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, fraction);
    return buf;
}
