// SPDX-License-Identifier: Apache-2.0
// The log of a pod: appended to, with one older file beside it (NAME.1), so bounded in size.
#pragma once

#include <stddef.h>

enum { LOGFILE_BYTES_MAX = 4 << 20 }; // of each of the two

struct logfile {
    char *path;
    int fd; // -1 = not open
    size_t bytes;
};
#define LOGFILE_NULL                                                                               \
    {                                                                                              \
        .fd = -1                                                                                   \
    }

// Opens for appending. 0 or negative errno. Takes nothing; copies path.
int logfile_init(struct logfile *log, const char *path);
void logfile_fini(struct logfile *log);
// What cannot be written (a full disk) is dropped.
void logfile_write(struct logfile *log, const void *p, size_t n);
// The last lines of the file, at most `max` bytes, from xmalloc; never NULL.
char *logfile_tail(const char *path, size_t max);
