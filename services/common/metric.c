// SPDX-License-Identifier: Apache-2.0
#include "metric.h"

#include "clock.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static const int64_t bounds[METRIC_BUCKETS] = {
    500 * USEC, 1 * MSEC,   2500 * USEC, 5 * MSEC,    10 * MSEC,   25 * MSEC,   50 * MSEC,
    100 * MSEC, 250 * MSEC, 500 * MSEC,  1000 * MSEC, 2500 * MSEC, 5000 * MSEC, 10000 * MSEC};

void metric_hist_add(struct metric_hist *hist, int64_t ns)
{
    unsigned i = 0;

    while (i < METRIC_BUCKETS && ns > bounds[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&hist->counts[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&hist->sum_ns, ns > 0 ? (uint64_t)ns : 0, memory_order_relaxed);
}

uint64_t metric_hist_count(const struct metric_hist *hist)
{
    uint64_t count = 0;

    for (unsigned i = 0; i <= METRIC_BUCKETS; i++) {
        count += atomic_load_explicit(&hist->counts[i], memory_order_relaxed);
    }
    return count;
}

void metric_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metric_sample(struct buf *out, const char *name, const char *labels, double value)
{
    buf_format(out, *labels ? "%s{%s} %.15g\n" : "%s%s %.15g\n", name, labels, value);
}

void metric_hist_write(struct buf *out,
                       const char *name,
                       const char *labels,
                       const struct metric_hist *hist)
{
    const char *comma = *labels ? "," : "";
    unsigned long long total = 0;

    for (unsigned i = 0; i <= METRIC_BUCKETS; i++) {
        total += atomic_load_explicit(&hist->counts[i], memory_order_relaxed);
        buf_format(out, "%s_bucket{%s%sle=\"", name, labels, comma);
        if (i < METRIC_BUCKETS) {
            buf_format(out, "%.10g", (double)bounds[i] / (double)SEC);
        } else {
            buf_text(out, "+Inf");
        }
        buf_format(out, "\"} %llu\n", total);
    }
    const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    double sum = (double)atomic_load_explicit(&hist->sum_ns, memory_order_relaxed) / (double)SEC;
    buf_format(out, "%s_sum%s%s%s %.9f\n", name, open, labels, close, sum);
    buf_format(out, "%s_count%s%s%s %llu\n", name, open, labels, close, total);
}

void metric_single(
    struct buf *out, const char *name, const char *type, const char *help, double value)
{
    metric_head(out, name, type, help);
    metric_sample(out, name, "", value);
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = -3; // ".", ".." and the directory's own

    if (!dir) {
        return 0;
    }
    while (readdir(dir)) {
        count++;
    }
    closedir(dir);
    return count;
}

static double resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "re");
    char line[128] = "";
    unsigned long pages = 0;

    if (file) {
        // "size resident …" in pages.
        if (fgets(line, sizeof(line), file) && strchr(line, ' ')) {
            pages = strtoul(strchr(line, ' '), NULL, 10);
        }
        fclose(file);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

void metric_process(struct buf *out)
{
    static _Atomic int64_t start;
    struct rusage usage;
    int64_t none = 0;

    atomic_compare_exchange_strong(&start, &none, clock_wall());
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    metric_single(out, "process_cpu_seconds_total", "counter", "User and system CPU time.", cpu);
    metric_single(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
                  resident_bytes());
    metric_single(out, "process_open_fds", "gauge", "Open file descriptors.", count_fds());
    metric_single(out, "process_start_time_seconds", "gauge", "Start time since 1970.",
                  (double)start / (double)SEC);
}
