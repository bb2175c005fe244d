// SPDX-License-Identifier: Apache-2.0
#include "lab/ident.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

// Start of a small file of /proc; bytes read, or -1.
static ssize_t read_start(const char *path, char *buf, size_t size)
{
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return -1;
    }
    ssize_t n = read(fd, buf, size - 1);
    buf[n > 0 ? n : 0] = 0;
    return n;
}

int ident_read(pid_t pid, struct ident_stat *ret_stat)
{
    char path[40];
    char text[1024];
    unsigned long long start;
    int parent;
    int group;
    int session;
    char state;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (read_start(path, text, sizeof(text)) <= 0) {
        return -ESRCH;
    }
    // The name, field 2, may hold anything; it ends at the last ')'.
    const char *rest = strrchr(text, ')');
    if (!rest || sscanf(rest + 1,
                        " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                        "%llu",
                        &state, &parent, &group, &session, &start) != 5) {
        return -ESRCH;
    }
    *ret_stat = (struct ident_stat){{pid, start}, parent, group, session, state};
    return 0;
}

bool ident_is_alive(struct ident id)
{
    struct ident_stat stat;

    return id.pid > 0 && ident_read(id.pid, &stat) == 0 && stat.id.start == id.start &&
           stat.state != 'Z' && stat.state != 'X';
}

int ident_kill(struct ident id, int signal)
{
    if (id.pid <= 1) {
        return -EINVAL;
    }
    // The descriptor holds the process, so that the pid cannot pass to another one after the check.
    CLEANUP_CLOSE int fd = (int)syscall(SYS_pidfd_open, id.pid, 0);
    if (fd < 0) {
        return -errno;
    }
    if (!ident_is_alive(id)) {
        return -ESRCH;
    }
    return syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0) < 0 ? -errno : 0;
}

void ident_scan(void (*fn)(const struct ident_stat *stat, void *arg), void *arg)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry;
    struct ident_stat stat;

    if (!dir) {
        return;
    }
    while ((entry = readdir(dir))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid > 0 && ident_read(pid, &stat) == 0) {
            fn(&stat, arg);
        }
    }
    closedir(dir);
}

struct session_kill {
    pid_t session;
    unsigned count;
};

static void kill_member(const struct ident_stat *stat, void *arg)
{
    struct session_kill *k = arg;

    if (stat->session == k->session && stat->state != 'Z' && ident_kill(stat->id, SIGKILL) == 0) {
        k->count++;
    }
}

unsigned ident_kill_session(pid_t session)
{
    struct session_kill k = {session, 0};

    if (session > 1) {
        ident_scan(kill_member, &k);
    }
    return k.count;
}

struct tree {
    struct ident_stat *all;
    size_t count, cap;
};

static void collect(const struct ident_stat *stat, void *arg)
{
    struct tree *t = arg;

    ARRAY_RESERVE(t->all, t->count, t->cap);
    t->all[t->count++] = *stat;
}

// Moves what descends from root to the front; returns how many those are.
static size_t gather(struct tree *t, pid_t root)
{
    size_t found = 0;

    for (size_t before = t->count; before != found;) {
        before = found;
        for (size_t i = found; i < t->count; i++) {
            bool below = t->all[i].id.pid == root || t->all[i].parent == root;
            for (size_t k = 0; k < found && !below; k++) {
                below = t->all[i].parent == t->all[k].id.pid;
            }
            if (below) {
                struct ident_stat swap = t->all[found];
                t->all[found++] = t->all[i];
                t->all[i] = swap;
            }
        }
    }
    return found;
}

void ident_kill_tree(pid_t root)
{
    struct tree t = {0};

    if (root <= 1) {
        return;
    }
    ident_scan(collect, &t);
    size_t count = gather(&t, root);
    for (size_t i = 0; i < count; i++) {
        ident_kill(t.all[i].id, SIGKILL);
    }
    free(t.all);
    ident_kill_session(root);
}

bool ident_has_variable(pid_t pid, const char *assignment)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    char path[40];
    size_t n = strlen(assignment);

    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    if (fs_read(path, 4 << 20, &text, NULL) < 0) {
        return false;
    }
    for (size_t at = 0; at < text.n; at += strlen(text.p + at) + 1) {
        if (text.n - at >= n && strncmp(text.p + at, assignment, n + 1) == 0) {
            return true;
        }
    }
    return false;
}

const char *ident_boot(char *buf, unsigned size)
{
    if (read_start("/proc/sys/kernel/random/boot_id", buf, size) < 0) {
        buf[0] = 0;
    }
    buf[strcspn(buf, "\n")] = 0;
    return buf;
}
