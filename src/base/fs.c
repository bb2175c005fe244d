// SPDX-License-Identifier: Apache-2.0
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static int fail(struct err *err, const char *path, int code, const char *what)
{
    err_set(err, code, "cannot %s '%s': %s", what, path, err_errno(code));
    return code;
}

int fs_read(const char *path, size_t limit, struct strbuf *ret_text, struct err *err)
{
    bool standard = strcmp(path, "-") == 0;
    CLEANUP_CLOSE int fd = standard ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
    struct strbuf text = STRBUF_NULL;

    if (fd < 0) {
        return fail(err, path, -errno, "read");
    }
    for (;;) {
        ssize_t n = read(fd, strbuf_reserve(&text, 65536), 65536);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 || text.n + (size_t)n > limit) {
            int code = n < 0 ? -errno : -EFBIG;
            strbuf_fini(&text);
            return fail(err, path, code, "read");
        }
        text.n += (size_t)n;
        text.p[text.n] = 0;
        if (n == 0) {
            break;
        }
    }
    strbuf_fini(ret_text);
    *ret_text = text;
    return 0;
}

int fs_write(const char *path, const void *p, size_t n, struct err *err)
{
    CLEANUP_FREE char *temporary = xasprintf("%s.%d.tmp", path, (int)getpid());
    const char *at = p;

    CLEANUP_CLOSE int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return fail(err, path, -errno, "write");
    }
    while (n) {
        ssize_t done = write(fd, at, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            int code = -errno;
            unlink(temporary);
            return fail(err, path, code, "write");
        }
        at += done;
        n -= (size_t)done;
    }
    if (rename(temporary, path) < 0) {
        int code = -errno;
        unlink(temporary);
        return fail(err, path, code, "write");
    }
    return 0;
}

int fs_make_dirs(const char *path, struct err *err)
{
    CLEANUP_FREE char *copy = xstrdup(path);

    for (char *slash = copy + 1;; slash++) {
        slash = strchr(slash, '/');
        if (slash) {
            *slash = 0;
        }
        if (mkdir(copy, 0777) < 0 && errno != EEXIST) {
            return fail(err, copy, -errno, "make the directory");
        }
        if (!slash) {
            return 0;
        }
        *slash = '/';
    }
}

bool fs_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

char *fs_dirname(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash) {
        return xstrdup(".");
    }
    return xstrndup(path, slash == path ? 1 : (size_t)(slash - path));
}

char *fs_join(const char *dir, const char *name)
{
    if (name[0] == '/') {
        return xstrdup(name);
    }
    return xasprintf("%s%s%s", dir, str_ends(dir, "/") ? "" : "/", name);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) < 0 ? -errno : 0;
}

int fs_remove_tree(const char *path)
{
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
