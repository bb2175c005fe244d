// SPDX-License-Identifier: Apache-2.0
// The supervisor: one thread around poll(2), because it has some dozens of descriptors and must
// depend on as little as possible; child ends come by signalfd. It alone owns the pods.
#include "lab/super.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"

enum { CLIENTS_MAX = 64 };

void super_reserve(struct super_workload *w, size_t count)
{
    if (count <= w->slots) {
        return;
    }
    w->pods = xreallocarray(w->pods, count, sizeof(*w->pods));
    w->addresses = xreallocarray(w->addresses, count, sizeof(*w->addresses));
    for (; w->slots < count; w->slots++) {
        w->pods[w->slots] = NULL;
        w->addresses[w->slots] = 0;
    }
}

const char *super_address(struct super *s, struct super_workload *w, size_t slot, char *buf)
{
    super_reserve(w, slot + 1);
    if (!w->addresses[slot]) {
        if (s->address_count >= LAB_PODS_MAX) {
            return NULL;
        }
        w->addresses[slot] = ++s->address_count;
    }
    return state_address(s->state.net, w->addresses[slot], buf);
}

static void make_pod(struct super *s, struct super_workload *w, size_t slot)
{
    char ip[16];
    CLEANUP_FREE char *name = xasprintf("%s-%zu", w->spec->name, slot);

    if (super_address(s, w, slot, ip)) {
        w->pods[slot] = pod_new(&s->world, w->spec, &w->over, name, ip, s->now);
        w->pods[slot]->generation = w->generation;
    }
}

// Replaces pods with old settings, one at a time, those that are not ready first.
static void roll(struct super *s, struct super_workload *w)
{
    struct pod *next = NULL;

    for (size_t i = 0; i < (size_t)w->replicas; i++) {
        struct pod *pod = w->pods[i];
        bool old = pod && pod->generation != w->generation;
        if (!pod || pod->stopping || (!old && !pod_is_ready(pod))) {
            return;
        }
        if (old && (!next || (pod_is_ready(next) && !pod_is_ready(pod)))) {
            next = pod;
        }
    }
    if (next) {
        pod_stop(next, s->now);
    }
}

static void reconcile(struct super *s, struct super_workload *w)
{
    size_t wanted = s->up && !s->stopping ? (size_t)w->replicas : 0;

    super_reserve(w, wanted);
    for (size_t i = 0; i < w->slots; i++) {
        struct pod *pod = w->pods[i];
        if (pod && pod_is_gone(pod)) {
            pod_free(pod, w->spec->kind == KUBE_STATEFUL_SET && !s->stopping);
            pod = w->pods[i] = NULL;
        }
        if (!pod && i < wanted) {
            make_pod(s, w, i);
        } else if (pod && i >= wanted && !pod->stopping) {
            pod_stop(pod, s->now);
        }
        if (w->pods[i]) {
            pod_step(w->pods[i], s->now);
        }
    }
    if (wanted) {
        roll(s, w);
    }
}

static bool is_empty(const struct super *s)
{
    for (size_t i = 0; i < s->workload_count; i++) {
        for (size_t k = 0; k < s->workloads[i].slots; k++) {
            if (s->workloads[i].pods[k]) {
                return false;
            }
        }
    }
    return true;
}

static nsec_t next_due(const struct super *s)
{
    nsec_t next = NSEC_MAX;

    for (size_t i = 0; i < s->workload_count; i++) {
        const struct super_workload *w = &s->workloads[i];
        for (size_t k = 0; k < w->slots; k++) {
            if (w->pods[k]) {
                next = MIN(next, pod_is_gone(w->pods[k]) ? 0 : pod_next(w->pods[k]));
            }
        }
    }
    for (size_t i = 0; i < s->client_count; i++) {
        if (s->clients[i]->await_until) {
            next = MIN(next, s->clients[i]->await_until);
        }
    }
    return next;
}

static void reap(struct super *s)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;

    while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        s->stopping |= info.ssi_signo == SIGTERM;
    }
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        bool found = false; // else an orphan of a pod, which came to us as its reaper
        for (size_t i = 0; i < s->workload_count && !found; i++) {
            const struct super_workload *w = &s->workloads[i];
            for (size_t k = 0; k < w->slots && !found; k++) {
                found = w->pods[k] && pod_reap(w->pods[k], pid, status, s->now);
            }
        }
    }
}

static void add_client(struct super *s, int fd, bool owner)
{
    struct super_client *c = XNEW(struct super_client);

    *c = (struct super_client){.wire = {.fd = fd}, .owner = owner};
    ARRAY_RESERVE(s->clients, s->client_count, s->client_cap);
    s->clients[s->client_count++] = c;
}

static void accept_client(struct super *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0 && s->client_count < CLIENTS_MAX) {
        add_client(s, fd, false);
    } else if (fd >= 0) {
        close(fd);
    }
}

// False when the client has gone.
static bool serve(struct super *s, struct super_client *c)
{
    int r = wire_fill(&c->wire);
    bool broken;
    json_t *request;

    while ((request = wire_get(&c->wire, &broken))) {
        super_request(s, c, request);
        json_decref(request);
    }
    return r == 0 && !broken;
}

static void drop_client(struct super *s, size_t i)
{
    struct super_client *c = s->clients[i];

    if (c->owner && !(s->detached && s->up)) {
        s->stopping = s->hurry = true;
    }
    wire_fini(&c->wire);
    free(c);
    s->clients[i] = s->clients[--s->client_count];
}

// What poll() watches, with the object behind each descriptor.
struct watch {
    struct pollfd *fds;
    void **objects;
    size_t count, cap, object_cap;
};

static void watch(struct watch *w, int fd, short events, void *object)
{
    if (w->count >= w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->fds = xreallocarray(w->fds, w->cap, sizeof(*w->fds));
        w->objects = xreallocarray(w->objects, w->cap, sizeof(*w->objects));
    }
    w->fds[w->count] = (struct pollfd){.fd = fd, .events = events};
    w->objects[w->count++] = object;
}

static void watch_pods(const struct super *s, struct watch *w, bool probes)
{
    for (size_t i = 0; i < s->workload_count; i++) {
        for (size_t k = 0; k < s->workloads[i].slots; k++) {
            struct pod *pod = s->workloads[i].pods[k];
            for (size_t n = 0; pod && n < pod->count; n++) {
                struct container *c = &pod->containers[n];
                if (!probes && c->output >= 0) {
                    watch(w, c->output, POLLIN, c);
                }
                for (int p = 0; probes && p < PROBE_COUNT; p++) {
                    if (c->probes[p].fd >= 0) {
                        watch(w, c->probes[p].fd, c->probes[p].events, &c->probes[p]);
                    }
                }
            }
        }
    }
}

static void turn(struct super *s, struct watch *w)
{
    struct timespec timeout;

    w->count = 0;
    watch(w, s->signals, POLLIN, NULL);
    watch(w, s->listener, POLLIN, NULL);
    size_t clients = w->count;
    for (size_t i = 0; i < s->client_count; i++) {
        const struct wire *wire = &s->clients[i]->wire;
        watch(w, wire->fd, (short)(POLLIN | (wire->out.n ? POLLOUT : 0)), s->clients[i]);
    }
    size_t outputs = w->count;
    watch_pods(s, w, false);
    size_t probes = w->count;
    watch_pods(s, w, true);

    nsec_t wait = MIN(next_due(s), s->now + 60 * NSEC_PER_SEC) - clock_now();
    wait = MAX(wait, 0);
    timeout = (struct timespec){wait / NSEC_PER_SEC, wait % NSEC_PER_SEC};
    int ready = ppoll(w->fds, w->count, &timeout, NULL);
    s->now = clock_now();
    if (ready < 0) {
        return;
    }
    // Containers and probes first: requests may end pods, and so these.
    for (size_t i = probes; i < w->count; i++) {
        struct probe *p = w->objects[i];
        if (w->fds[i].revents && p->fd == w->fds[i].fd) {
            probe_io(p, s->now);
        }
    }
    for (size_t i = outputs; i < probes; i++) {
        if (w->fds[i].revents) {
            pod_read_output(w->objects[i]);
        }
    }
    if (w->fds[0].revents) {
        reap(s);
    }
    // Backwards, because dropping one moves the last into its place.
    for (size_t i = outputs; i-- > clients;) {
        struct super_client *c = w->objects[i];
        bool alive = !(w->fds[i].revents & ~POLLOUT) || serve(s, c);
        alive = alive && wire_flush(&c->wire) == 0;
        if (!alive) {
            drop_client(s, i - clients);
        }
    }
    if (w->fds[1].revents) {
        accept_client(s);
    }
}

static void kill_child(const struct ident_stat *stat, void *arg)
{
    (void)arg;
    if (stat->parent == getpid() && stat->state != 'Z') {
        ident_kill_session(stat->session == getsid(0) ? 0 : stat->session);
        ident_kill(stat->id, SIGKILL);
    }
}

// Orphans of what is killed become our children, so that in the end nobody is left.
static void kill_descendants(void)
{
    const struct timespec pause = {0, 2000000};

    for (int i = 0; i < 5000; i++) {
        ident_scan(kill_child, NULL);
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD) {
            return;
        }
        nanosleep(&pause, NULL);
    }
}

static int set_up(struct super *s, int fd)
{
    struct rlimit files;
    sigset_t mask;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    // Only its owner's end and SIGTERM end it, not the terminal.
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signals < 0) {
        return -errno;
    }
    s->now = clock_now();
    add_client(s, fd, true);
    return chdir("/") < 0 ? -errno : 0;
}

static void tear_down(struct super *s)
{
    kill_descendants();
    for (size_t i = 0; i < s->workload_count; i++) {
        struct super_workload *w = &s->workloads[i];
        for (size_t k = 0; k < w->slots; k++) {
            pod_free(w->pods[k], false);
        }
        free(w->pods);
        free(w->addresses);
    }
    mem_close_p(&s->listener);
    if (s->state.dir) {
        state_remove(&s->state);
    }
    // Only now may clients know.
    for (size_t i = 0; i < s->client_count; i++) {
        struct super_client *c = s->clients[i];
        if (c->awaits_end) {
            wire_put(&c->wire, json_pack("{s:b}", "ok", 1));
            wire_flush(&c->wire);
        }
        wire_fini(&c->wire);
        free(c);
    }
    free(s->clients);
    close(s->signals);
    state_fini(&s->state);
    kube_set_free(s->set);
    free(s->workloads);
    arena_fini(&s->arena);
}

int lab_supervise(int fd)
{
    struct super s = {.listener = -1, .signals = -1, .arena = ARENA_NULL};
    struct watch w = {0};

    if (set_up(&s, fd) < 0) {
        return 1;
    }
    while (!s.stopping || (!s.hurry && !is_empty(&s))) {
        for (size_t i = 0; i < s.workload_count; i++) {
            reconcile(&s, &s.workloads[i]);
        }
        super_answer_waiting(&s);
        if (s.stopping && is_empty(&s)) {
            break;
        }
        turn(&s, &w);
    }
    tear_down(&s);
    free(w.fds);
    free(w.objects);
    return 0;
}
