// SPDX-License-Identifier: Apache-2.0
#include "lab/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static int open_log(struct logfile *log)
{
    struct stat st;

    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (log->fd < 0) {
        return -errno;
    }
    log->bytes = fstat(log->fd, &st) == 0 ? (size_t)st.st_size : 0;
    return 0;
}

int logfile_init(struct logfile *log, const char *path)
{
    *log = (struct logfile){.path = xstrdup(path), .fd = -1};
    return open_log(log);
}

void logfile_fini(struct logfile *log)
{
    mem_close_p(&log->fd);
    log->fd = -1;
    free(TAKE(log->path));
}

static void rotate(struct logfile *log)
{
    CLEANUP_FREE char *older = xasprintf("%s.1", log->path);

    close(log->fd);
    rename(log->path, older);
    open_log(log);
}

void logfile_write(struct logfile *log, const void *p, size_t n)
{
    const char *at = p;

    if (log->fd >= 0 && log->bytes && log->bytes + n > LOGFILE_BYTES_MAX) {
        rotate(log);
    }
    while (n && log->fd >= 0) {
        ssize_t done = write(log->fd, at, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return;
        }
        at += done;
        n -= (size_t)done;
        log->bytes += (size_t)done;
    }
}

char *logfile_tail(const char *path, size_t max)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0) {
        return xstrdup("");
    }
    off_t from = st.st_size > (off_t)max ? st.st_size - (off_t)max : 0;
    char *text = xmalloc(max + 1);
    ssize_t n = pread(fd, text, max, from);
    text[n > 0 ? n : 0] = 0;
    char *line = from ? strchr(text, '\n') : NULL;
    if (line && line[1]) {
        memmove(text, line + 1, strlen(line + 1) + 1);
    }
    return text;
}
