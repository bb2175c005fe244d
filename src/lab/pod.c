// SPDX-License-Identifier: Apache-2.0
#include "lab/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/rng.h"

struct pod *pod_new(const struct pod_world *world,
                    const struct kube_workload *workload,
                    const struct kube_pairs *over,
                    const char *name,
                    const char *ip,
                    nsec_t now)
{
    const struct kube_pod *spec = &workload->pod;
    struct pod *pod = XNEW(struct pod);
    unsigned char bytes[16];

    *pod = (struct pod){.world = world,
                        .workload = workload,
                        .over = over,
                        .name = xstrdup(name),
                        .dir = xasprintf("%s/pods/%s", world->state->dir, name),
                        .log_path = xasprintf("%s/logs/%s.log", world->state->dir, name),
                        .init_count = spec->init_count,
                        .count = spec->init_count + spec->container_count,
                        .created = now};
    snprintf(pod->ip, sizeof(pod->ip), "%s", ip);
    rng_system_bytes(bytes, sizeof(bytes));
    for (unsigned i = 0, at = 0; i < sizeof(bytes); i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        at += (unsigned)snprintf(pod->uid + at, sizeof(pod->uid) - at, "%s%02x", dash ? "-" : "",
                                 bytes[i]);
    }
    mkdir(pod->dir, 0700);
    logfile_init(&pod->log, pod->log_path); // without a log (disk full) the pod runs all the same
    pod->containers = xcalloc(pod->count, sizeof(struct container));
    for (size_t i = 0; i < pod->count; i++) {
        bool init = i < spec->init_count;
        pod->containers[i] = (struct container){
            .pod = pod,
            .init = init,
            .spec = init ? &spec->init_containers[i] : &spec->containers[i - spec->init_count],
            .output = -1};
        for (int k = 0; k < PROBE_COUNT; k++) {
            pod->containers[i].probes[k].fd = -1;
        }
    }
    return pod;
}

void pod_free(struct pod *pod, bool keep_dir)
{
    if (!pod) {
        return;
    }
    for (size_t i = 0; i < pod->count; i++) {
        mem_close_p(&pod->containers[i].output);
        for (int k = 0; k < PROBE_COUNT; k++) {
            probe_stop(&pod->containers[i].probes[k]);
        }
    }
    if (!keep_dir) {
        fs_remove_tree(pod->dir);
    }
    logfile_fini(&pod->log);
    free(pod->containers);
    free(pod->log_path);
    free(pod->dir);
    free(pod->name);
    free(pod);
}

// Program of the container, or of a probe's command in it.
static int build(const struct container *c,
                 const struct kube_strings *command,
                 struct arena *arena,
                 struct program *ret_program,
                 struct err *err)
{
    const struct pod *pod = c->pod;
    const struct pod_world *world = pod->world;
    const struct kube_pair own[] = {
        {"POD_IP", pod->ip, strlen(pod->ip)},
        {"POD_NAME", pod->name, strlen(pod->name)},
        {"PLIMSOLL_POD_DIR", pod->dir, strlen(pod->dir)},
        {"HOSTNAME", pod->name, strlen(pod->name)},
        {"HOME", pod->dir, strlen(pod->dir)},
        {"TMPDIR", pod->dir, strlen(pod->dir)},
    };
    struct kube_pairs base = {
        arena_alloc(arena, (ARRAY_SIZE(own) + world->base.count) * sizeof(struct kube_pair)),
        ARRAY_SIZE(own) + world->base.count};
    memcpy(base.items, own, sizeof(own));
    memcpy(base.items + ARRAY_SIZE(own), world->base.items,
           world->base.count * sizeof(struct kube_pair));
    struct kube_identity who = {.name = pod->name,
                                .uid = pod->uid,
                                .ip = pod->ip,
                                .node = "local",
                                .base = &base,
                                .over = pod->over,
                                .links = world->links,
                                .link_count = world->link_count};
    return program_build(world->set, pod->workload, c->spec, command, &who, &world->paths, arena,
                         ret_program, err);
}

int pod_check(struct pod *pod, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < pod->count && r == 0; i++) {
        CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
        struct program program;
        r = build(&pod->containers[i], NULL, &arena, &program, err);
    }
    return r;
}

// Ends one life of a container; what comes next depends on the pod.
static void settle(struct container *c, bool success, nsec_t now)
{
    for (int i = 0; i < PROBE_COUNT; i++) {
        if (c->probes[i].pid) {
            ident_kill_session(c->probes[i].pid);
        }
        probe_stop(&c->probes[i]);
    }
    if (c->pod->stopping || (c->init && success)) {
        c->state = CONTAINER_DONE;
        return;
    }
    if (now - c->started >= POD_BACKOFF_CLEAR) {
        c->backoff = 0;
    }
    c->state = CONTAINER_BACKOFF;
    c->restarts++;
    c->due = now + c->backoff;
    c->backoff = c->backoff ? MIN(c->backoff * 2, POD_BACKOFF_MAX) : POD_BACKOFF_FIRST;
}

static int start_program(struct container *c, struct err *err)
{
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    struct program program;
    int ends[2];
    int r = build(c, NULL, &arena, &program, err);

    if (r < 0) {
        return r;
    }
    if (program.drop && chown(c->pod->dir, program.uid, program.gid) < 0) {
        return err_set(err, -errno, "cannot give '%s' to its user: %s", c->pod->dir,
                       err_errno(errno));
    }
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return err_set(err, -errno, "cannot make a pipe: %s", err_errno(errno));
    }
    r = spawn(&program, c->pod->dir, ends[1], &c->child, err);
    close(ends[1]);
    if (r < 0) {
        close(ends[0]);
        return r;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    mem_close_p(&c->output);
    c->output = ends[0];
    return 0;
}

static void start(struct container *c, nsec_t now)
{
    const struct kube_probe *specs[PROBE_COUNT] = {
        [PROBE_STARTUP] = &c->spec->startup,
        [PROBE_READINESS] = &c->spec->readiness,
        [PROBE_LIVENESS] = &c->spec->liveness,
    };
    struct err err = {0};

    c->started = now;
    if (start_program(c, &err) < 0) {
        err_text(&err, c->why, sizeof(c->why));
        settle(c, false, now);
        return;
    }
    state_note_child(c->pod->world->state, c->child);
    c->state = CONTAINER_RUNNING;
    c->settled = c->spec->readiness.kind != KUBE_PROBE_NONE;
    for (int i = 0; i < PROBE_COUNT; i++) {
        probe_reset(&c->probes[i], specs[i], c->pod->ip, i != PROBE_LIVENESS, now);
    }
}

static void stop(struct container *c, nsec_t now)
{
    if (c->state == CONTAINER_RUNNING) {
        c->state = CONTAINER_STOPPING;
        c->due = now + c->pod->workload->pod.grace;
        ident_kill(c->child, SIGTERM);
    } else if (c->state != CONTAINER_STOPPING && c->pod->stopping) {
        c->state = CONTAINER_DONE;
    }
}

static void start_probe_command(struct container *c, struct probe *p, nsec_t now)
{
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    CLEANUP_CLOSE int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct err err = {0};
    struct program program;
    struct ident child;

    if (null < 0 || build(c, &p->spec->command, &arena, &program, &err) < 0 ||
        spawn(&program, c->pod->dir, null, &child, &err) < 0) {
        probe_result(p, false, err.message, now);
        return;
    }
    state_note_child(c->pod->world->state, child);
    p->pid = child.pid;
}

static void step_probes(struct container *c, nsec_t now)
{
    for (int i = 0; i < PROBE_COUNT; i++) {
        struct probe *p = &c->probes[i];
        if (i != PROBE_STARTUP && !c->probes[PROBE_STARTUP].ever) {
            break;
        }
        if (p->pid && now >= p->deadline) {
            ident_kill_session(p->pid);
        }
        if (probe_step(p, now)) {
            start_probe_command(c, p, now);
        }
    }
    for (int i = 0; i < PROBE_COUNT; i++) {
        const struct probe *p = &c->probes[i];
        if (i != PROBE_READINESS && p->failed && c->state == CONTAINER_RUNNING) {
            snprintf(c->why, sizeof(c->why), "%s probe failed: %s",
                     i == PROBE_LIVENESS ? "liveness" : "startup", p->why);
            stop(c, now);
        }
    }
}

static void step_container(struct container *c, size_t inits_done, nsec_t now)
{
    bool turn =
        c->init ? (size_t)(c - c->pod->containers) == inits_done : inits_done == c->pod->init_count;

    switch (c->state) {
    case CONTAINER_WAITING:
        if (turn) {
            start(c, now);
        }
        break;
    case CONTAINER_BACKOFF:
        if (now >= c->due) {
            start(c, now);
        }
        break;
    case CONTAINER_RUNNING:
        c->settled |= now >= c->started + POD_SETTLE;
        step_probes(c, now);
        break;
    case CONTAINER_STOPPING:
        if (now >= c->due) {
            ident_kill_tree(c->child.pid);
            c->due = now + NSEC_PER_SEC;
        }
        break;
    case CONTAINER_DONE:
        break;
    }
}

static size_t inits_done(const struct pod *pod)
{
    size_t done = 0;

    while (done < pod->init_count && pod->containers[done].state == CONTAINER_DONE) {
        done++;
    }
    return done;
}

void pod_step(struct pod *pod, nsec_t now)
{
    for (size_t i = 0; i < pod->count; i++) {
        step_container(&pod->containers[i], inits_done(pod), now);
    }
}

nsec_t pod_next(const struct pod *pod)
{
    nsec_t next = NSEC_MAX;

    for (size_t i = 0; i < pod->count; i++) {
        const struct container *c = &pod->containers[i];
        if (c->state == CONTAINER_BACKOFF || c->state == CONTAINER_STOPPING) {
            next = MIN(next, c->due);
        }
        if (c->state == CONTAINER_RUNNING && !c->settled) {
            next = MIN(next, c->started + POD_SETTLE);
        }
        for (int k = 0; k < PROBE_COUNT && c->state == CONTAINER_RUNNING; k++) {
            if (k == PROBE_STARTUP || c->probes[PROBE_STARTUP].ever) {
                next = MIN(next, probe_next(&c->probes[k]));
            }
        }
        // Its turn has come with the end of the init container before it.
        if (c->state == CONTAINER_WAITING && (c->init ? i : pod->init_count) == inits_done(pod)) {
            next = 0;
        }
    }
    return next;
}

void pod_read_output(struct container *c)
{
    char buf[3072];

    for (int i = 0; i < 256 && c->output >= 0; i++) {
        ssize_t n = read(c->output, buf, sizeof(buf));
        if (n > 0) {
            logfile_write(&c->pod->log, buf, (size_t)n);
        } else if (n == 0) {
            close(c->output);
            c->output = -1;
        } else if (errno != EINTR) {
            return;
        }
    }
}

static void describe_end(struct container *c, int status)
{
    if (c->state == CONTAINER_STOPPING && !c->pod->stopping) {
        return; // `why` has the probe's failure
    }
    if (WIFSIGNALED(status)) {
        snprintf(c->why, sizeof(c->why), "killed by signal %d (%s)", WTERMSIG(status),
                 sigdescr_np(WTERMSIG(status)));
    } else {
        snprintf(c->why, sizeof(c->why), "exited with status %d", WEXITSTATUS(status));
    }
}

bool pod_reap(struct pod *pod, pid_t pid, int status, nsec_t now)
{
    for (size_t i = 0; i < pod->count; i++) {
        struct container *c = &pod->containers[i];
        if (c->child.pid == pid) {
            // The last of the output, before a child that still holds the pipe is killed.
            ident_kill_session(pid);
            pod_read_output(c);
            describe_end(c, status);
            c->child = (struct ident){0};
            settle(c, WIFEXITED(status) && WEXITSTATUS(status) == 0, now);
            return true;
        }
        for (int k = 0; k < PROBE_COUNT; k++) {
            if (c->probes[k].pid == pid) {
                char why[64];
                snprintf(why, sizeof(why), "the command exited with status %d",
                         WEXITSTATUS(status));
                ident_kill_session(pid);
                probe_result(&c->probes[k], WIFEXITED(status) && WEXITSTATUS(status) == 0, why,
                             now);
                return true;
            }
        }
    }
    return false;
}

void pod_stop(struct pod *pod, nsec_t now)
{
    pod->stopping = true;
    for (size_t i = 0; i < pod->count; i++) {
        stop(&pod->containers[i], now);
    }
}

void pod_kill(struct pod *pod)
{
    for (size_t i = 0; i < pod->count; i++) {
        ident_kill_tree(pod->containers[i].child.pid);
    }
}

bool pod_is_gone(const struct pod *pod)
{
    for (size_t i = 0; i < pod->count; i++) {
        if (pod->containers[i].child.pid) {
            return false;
        }
    }
    return pod->stopping;
}

static bool is_container_ready(const struct container *c)
{
    return c->init ? c->state == CONTAINER_DONE
                   : c->state == CONTAINER_RUNNING && c->settled && c->probes[PROBE_STARTUP].ever &&
                         c->probes[PROBE_READINESS].passed;
}

bool pod_is_ready(const struct pod *pod)
{
    for (size_t i = 0; i < pod->count; i++) {
        if (!is_container_ready(&pod->containers[i])) {
            return false;
        }
    }
    return !pod->stopping;
}

unsigned pod_restarts(const struct pod *pod)
{
    unsigned restarts = 0;

    for (size_t i = 0; i < pod->count; i++) {
        restarts += pod->containers[i].restarts;
    }
    return restarts;
}

const char *pod_status(const struct pod *pod)
{
    bool initialised = inits_done(pod) == pod->init_count;

    if (pod->stopping) {
        return "Terminating";
    }
    for (size_t i = 0; i < pod->count; i++) {
        if (pod->containers[i].state == CONTAINER_BACKOFF) {
            return pod->containers[i].init ? "Init:CrashLoopBackOff" : "CrashLoopBackOff";
        }
    }
    if (!initialised) {
        return "Init";
    }
    return pod->containers[pod->init_count].state == CONTAINER_WAITING ? "Pending" : "Running";
}

const char *pod_detail(const struct pod *pod)
{
    for (size_t i = 0; i < pod->count; i++) {
        const struct container *c = &pod->containers[i];
        if (is_container_ready(c)) {
            continue;
        }
        if (c->state == CONTAINER_RUNNING) {
            const struct probe *p =
                &c->probes[c->probes[PROBE_STARTUP].ever ? PROBE_READINESS : PROBE_STARTUP];
            return p->why[0] ? p->why : c->settled ? "not probed yet" : "just started";
        }
        return c->why;
    }
    return "";
}
