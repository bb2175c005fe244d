// SPDX-License-Identifier: Apache-2.0
#include "lab/state.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/rng.h"

static const in_addr_t NET_FIRST = 0x7f400000; // 127.64.0.0/10
enum { NET_BLOCKS = (1 << 22) / STATE_ADDRESSES, KILL_TRIES = 200 };

struct owner {
    struct ident id;
    char boot[40];
    char lab[33];
    in_addr_t net;
};

static char *path_of(const char *dir, const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

int state_lock_root(const char *root, struct err *err)
{
    for (int tries = 0; tries < 100; tries++) {
        struct stat st;
        struct stat now;
        CLEANUP_FREE char *parent = fs_dirname(root);
        int r = fs_make_dirs(parent, err);
        if (r < 0) {
            return r;
        }
        if (mkdir(root, 0711) < 0 && errno != EEXIST) {
            return err_set(err, -errno, "cannot make the directory '%s': %s", root,
                           err_errno(errno));
        }
        CLEANUP_CLOSE int fd = open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT) {
            continue; // removed by a lab that ended
        }
        if (fd < 0 || fstat(fd, &st) < 0) {
            return err_set(err, -errno, "cannot open the directory '%s': %s", root,
                           err_errno(errno));
        }
        if (st.st_uid != geteuid() || (st.st_mode & 022)) {
            return err_set(
                err, -EPERM,
                "the directory '%s' belongs to another user or is open to others: remove "
                "it",
                root);
        }
        // Without regard to the umask: pods of another user pass through.
        fchmod(fd, 0711);
        if (flock(fd, LOCK_EX) < 0) {
            return err_set(err, -errno, "cannot lock '%s': %s", root, err_errno(errno));
        }
        if (stat(root, &now) == 0 && now.st_ino == st.st_ino && now.st_dev == st.st_dev) {
            int locked = fd;
            fd = -1;
            return locked;
        }
    }
    return err_set(err, -EAGAIN, "cannot lock '%s'", root);
}

void state_drop_root(const char *root)
{
    rmdir(root); // fails while something is in it
}

static bool read_owner(const char *dir, struct owner *ret_owner)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    CLEANUP_FREE char *path = path_of(dir, "owner");
    unsigned long long start;
    unsigned net;
    int pid;

    *ret_owner = (struct owner){0};
    if (fs_read(path, 4096, &text, NULL) < 0 ||
        sscanf(strbuf_str(&text), "%d %llu %39s %32s %x", &pid, &start, ret_owner->boot,
               ret_owner->lab, &net) != 5) {
        return false;
    }
    ret_owner->id = (struct ident){pid, start};
    ret_owner->net = net;
    return true;
}

static bool is_this_boot(const struct owner *o)
{
    char boot[40];

    return strcmp(ident_boot(boot, sizeof(boot)), o->boot) == 0;
}

bool state_is_live(const char *dir)
{
    struct owner o;

    return read_owner(dir, &o) && is_this_boot(&o) && ident_is_alive(o.id);
}

struct leftover {
    char variable[64]; // "PLIMSOLL_LAB=id"
    unsigned killed;
};

static void kill_marked(const struct ident_stat *stat, void *arg)
{
    struct leftover *l = arg;

    if (stat->state != 'Z' && stat->id.pid != getpid() &&
        ident_has_variable(stat->id.pid, l->variable) && ident_kill(stat->id, SIGKILL) == 0) {
        l->killed++;
    }
}

// One pass over what the dead lab had started; number of processes that were still there.
static unsigned kill_children(const char *dir, const struct owner *o)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    CLEANUP_FREE char *path = path_of(dir, "children");
    struct leftover l = {.killed = 0};
    struct slice rest;

    if (fs_read(path, 16 << 20, &text, NULL) == 0) {
        rest = (struct slice){text.p, text.n};
        while (rest.n) {
            struct slice line = slice_cut(&rest, '\n');
            CLEANUP_FREE char *copy = xstrndup(line.n ? line.p : "", line.n);
            unsigned long long start;
            int pid;
            // The leader lives, so the session of its number is its own.
            if (sscanf(copy, "%d %llu", &pid, &start) == 2 &&
                ident_is_alive((struct ident){pid, start})) {
                l.killed += ident_kill_session(pid);
                l.killed += ident_kill((struct ident){pid, start}, SIGKILL) == 0;
            }
        }
    }
    snprintf(l.variable, sizeof(l.variable), "PLIMSOLL_LAB=%s", o->lab);
    ident_scan(kill_marked, &l);
    return l.killed;
}

static void clean_one(const char *dir)
{
    const struct timespec pause = {0, 10000000};
    struct owner o;

    if (read_owner(dir, &o) && is_this_boot(&o)) {
        // Until two passes in a row find nobody: one that executes a new program just then is not
        // seen, because its environment cannot be read.
        for (int i = 0, empty = 0; i < KILL_TRIES && empty < 2; i++) {
            empty = kill_children(dir, &o) ? 0 : empty + 1;
            nanosleep(&pause, NULL);
        }
    }
    fs_remove_tree(dir);
}

char **state_names(const char *root)
{
    DIR *dir = opendir(root);
    const struct dirent *entry;
    char **names = xcalloc(1, sizeof(char *));
    size_t count = 0;

    while (dir && (entry = readdir(dir))) {
        if (str_starts(entry->d_name, "lab-")) {
            names = xreallocarray(names, count + 2, sizeof(char *));
            names[count++] = xstrdup(entry->d_name + 4);
            names[count] = NULL;
        }
    }
    if (dir) {
        closedir(dir);
    }
    return names;
}

int state_clean(const char *root)
{
    char **names = state_names(root);
    int count = 0;

    for (char **name = names; *name; name++) {
        CLEANUP_FREE char *dir = xasprintf("%s/lab-%s", root, *name);
        if (!state_is_live(dir)) {
            clean_one(dir);
            count++;
        }
        free(*name);
    }
    free(names);
    return count;
}

// Whether a socket of anyone is bound to one of the addresses from `net`.
static bool is_net_used(struct slice tcp, in_addr_t net)
{
    while (tcp.n) {
        struct slice line = slice_cut(&tcp, '\n');
        char copy[64];
        unsigned address;
        size_t n = MIN(line.n, sizeof(copy) - 1);
        memcpy(copy, line.p, n);
        copy[n] = 0;
        if (sscanf(copy, " %*u: %8x:", &address) == 1) {
            in_addr_t host = ntohl(address); // printed as it stands in memory
            if (host >= net && host - net < STATE_ADDRESSES) {
                return true;
            }
        }
    }
    return false;
}

static bool is_net_claimed(const char *root, in_addr_t net)
{
    char **names = state_names(root);
    bool claimed = false;

    for (char **name = names; *name; name++) {
        CLEANUP_FREE char *dir = xasprintf("%s/lab-%s", root, *name);
        struct owner o;
        claimed |= read_owner(dir, &o) && o.net == net;
        free(*name);
    }
    free(names);
    return claimed;
}

static int pick_net(const char *root, in_addr_t *ret_net, struct err *err)
{
    CLEANUP(strbuf_fini) struct strbuf tcp = STRBUF_NULL;
    uint64_t at = rng_system_seed() % NET_BLOCKS;

    fs_read("/proc/net/tcp", 64 << 20, &tcp, NULL);
    for (unsigned i = 0; i < NET_BLOCKS; i++) {
        in_addr_t net = NET_FIRST + (in_addr_t)((at + i) % NET_BLOCKS) * STATE_ADDRESSES;
        if (!is_net_used((struct slice){tcp.p, tcp.n}, net) && !is_net_claimed(root, net)) {
            *ret_net = net;
            return 0;
        }
    }
    return err_set(err, -EADDRINUSE, "no free addresses in 127.64.0.0/10");
}

static int make_dir(const char *parent, const char *name, mode_t mode, struct err *err)
{
    CLEANUP_FREE char *path = path_of(parent, name);

    if (mkdir(path, mode) < 0) {
        return err_set(err, -errno, "cannot make the directory '%s': %s", path, err_errno(errno));
    }
    chmod(path, mode); // whatever the umask
    return 0;
}

int state_make(struct state *s, const char *root, const char *name, struct err *err)
{
    CLEANUP_FREE char *entry = xasprintf("lab-%s", name);
    unsigned char bytes[16];

    *s = (struct state){.dir = path_of(root, entry)};
    if (fs_exists(s->dir)) {
        return err_set(err, -EEXIST, "a lab '%s' runs already: plimsoll lab down %s", name, name);
    }
    int r = pick_net(root, &s->net, err);
    if (r < 0) {
        return r;
    }
    rng_system_bytes(bytes, sizeof(bytes));
    for (unsigned i = 0; i < sizeof(bytes); i++) {
        snprintf(s->id + 2 * i, 3, "%02x", bytes[i]);
    }
    r = make_dir(root, entry, 0711, err);
    r = r < 0 ? r : make_dir(s->dir, "logs", 0700, err);
    r = r < 0 ? r : make_dir(s->dir, "pods", 0711, err);
    return r < 0 ? r : make_dir(s->dir, "secrets", 0700, err);
}

int state_own(const struct state *s, struct err *err)
{
    CLEANUP_FREE char *path = path_of(s->dir, "owner");
    struct ident_stat me;
    char boot[40];

    if (ident_read(getpid(), &me) < 0) {
        return err_set(err, -ESRCH, "cannot read /proc/self/stat");
    }
    CLEANUP_FREE char *text =
        xasprintf("%d %llu %s %s %x\n", (int)me.id.pid, (unsigned long long)me.id.start,
                  ident_boot(boot, sizeof(boot)), s->id, (unsigned)s->net);
    return fs_write(path, text, strlen(text), err);
}

void state_note_child(const struct state *s, struct ident child)
{
    CLEANUP_FREE char *path = path_of(s->dir, "children");
    char line[64];
    int n =
        snprintf(line, sizeof(line), "%d %llu\n", (int)child.pid, (unsigned long long)child.start);

    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd >= 0 && write(fd, line, (size_t)n) < 0) {
        return; // a full disk; see the header
    }
}

void state_remove(const struct state *s)
{
    CLEANUP_FREE char *root = fs_dirname(s->dir);

    fs_remove_tree(s->dir);
    state_drop_root(root);
}

void state_fini(struct state *s)
{
    free(TAKE(s->dir));
}

const char *state_address(in_addr_t net, unsigned i, char *buf)
{
    // Last octets 1 to 254 only: some programs take .0 and .255 for something else.
    struct in_addr a = {htonl(net + i / 254 * 256 + i % 254 + 1)};

    inet_ntop(AF_INET, &a, buf, INET_ADDRSTRLEN);
    return buf;
}
