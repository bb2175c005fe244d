// SPDX-License-Identifier: Apache-2.0
#include "observe/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { PROCESSES_MAX = 8192 };

struct process {
    pid_t pid, parent;
    double seconds;
};

static int read_small(const char *path, char *buf, size_t size)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);

    if (n < 0) {
        return -errno;
    }
    buf[n] = '\0';
    return 0;
}

static bool read_process(const char *pid, struct process *p)
{
    char path[64];
    char buf[1024];
    unsigned long long ticks[4];

    snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
    if (read_small(path, buf, sizeof(buf))) {
        return false;
    }
    // The name in parentheses may hold anything; what follows the last one is numbers.
    const char *rest = strrchr(buf, ')');
    if (!rest || sscanf(rest + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu %llu",
                        &p->parent, &ticks[0], &ticks[1], &ticks[2], &ticks[3]) != 5) {
        return false;
    }
    p->pid = (pid_t)strtol(pid, NULL, 10);
    p->seconds = (double)(ticks[0] + ticks[1] + ticks[2] + ticks[3]) / (double)sysconf(_SC_CLK_TCK);
    return true;
}

static const struct process *find(const struct process *all, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++) {
        if (all[i].pid == pid) {
            return &all[i];
        }
    }
    return NULL;
}

void procfs_cpu_of_trees(const pid_t *roots, size_t count, double *ret_seconds)
{
    CLEANUP_FREE struct process *all = xcalloc(PROCESSES_MAX, sizeof(*all));
    DIR *dir = opendir("/proc");
    size_t n = 0;

    memset(ret_seconds, 0, count * sizeof(*ret_seconds));
    if (!dir) {
        return;
    }
    for (struct dirent *e; n < PROCESSES_MAX && (e = readdir(dir));) {
        n += isdigit((unsigned char)e->d_name[0]) && read_process(e->d_name, &all[n]);
    }
    closedir(dir);
    for (size_t i = 0; i < n; i++) {
        const struct process *p = &all[i];
        // The depth is bounded: a tree read while it changes might seem to have a cycle.
        for (int depth = 0; p && p->pid > 1 && depth < 32; depth++) {
            for (size_t k = 0; k < count; k++) {
                if (roots[k] == p->pid) {
                    ret_seconds[k] += all[i].seconds;
                    p = NULL;
                    break;
                }
            }
            p = p ? find(all, n, p->parent) : NULL;
        }
    }
}

int procfs_cpu_of_host(double *ret_busy, double *ret_total)
{
    unsigned long long t[8] = {0};
    char buf[512];
    int r = read_small("/proc/stat", buf, sizeof(buf));

    if (r) {
        return r;
    }
    if (sscanf(buf, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &t[0], &t[1], &t[2], &t[3],
               &t[4], &t[5], &t[6], &t[7]) < 4) {
        return -EBADMSG;
    }
    double hz = (double)sysconf(_SC_CLK_TCK);
    double idle = (double)(t[3] + t[4]);
    // Stolen time is busy: it is not there for us.
    double busy = (double)(t[0] + t[1] + t[2] + t[5] + t[6] + t[7]);
    *ret_busy = busy / hz;
    *ret_total = (busy + idle) / hz;
    return 0;
}

int procfs_cpu_pressure(double *ret_seconds)
{
    unsigned long long total;
    char buf[512];
    int r = read_small("/proc/pressure/cpu", buf, sizeof(buf));

    if (r) {
        return r;
    }
    const char *at = strstr(buf, "total=");
    if (!at || sscanf(at, "total=%llu", &total) != 1) {
        return -EBADMSG;
    }
    *ret_seconds = (double)total / 1e6;
    return 0;
}
