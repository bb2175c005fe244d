// SPDX-License-Identifier: Apache-2.0
// The life of pods inside the supervisor: containers, restarts with back-off, probes, stop. One
// thread; time is passed in, except that starting a process waits for its exec.
#pragma once

#include "lab/logfile.h"
#include "lab/probe.h"
#include "lab/program.h"
#include "lab/spawn.h"
#include "lab/state.h"

// Kubernetes' CrashLoopBackOff at a twentieth of its length: the first restart comes at once, the
// next after 0.5 s (there 10 s), doubling up to 15 s (5 min), and anew after 30 s (10 min) of
// running.
#define POD_BACKOFF_FIRST (500 * NSEC_PER_MSEC)
#define POD_BACKOFF_MAX   (15 * NSEC_PER_SEC)
#define POD_BACKOFF_CLEAR (30 * NSEC_PER_SEC)

// Without a readiness probe a container is ready once it has run this long: one that cannot work at
// all mostly ends sooner.
#define POD_SETTLE (500 * NSEC_PER_MSEC)

struct pod_world { // what all pods of a lab share
    struct kube_set *set;
    struct state *state;
    struct program_paths paths;
    struct kube_pairs base; // variables of every pod
    struct kube_link *links;
    size_t link_count;
};

enum container_state {
    CONTAINER_WAITING, // for the init containers, or for its first start
    CONTAINER_RUNNING,
    CONTAINER_STOPPING, // SIGTERM was sent
    CONTAINER_BACKOFF,  // restarts at `due`
    CONTAINER_DONE,     // an init container that succeeded, or its pod is going
};

enum { PROBE_STARTUP, PROBE_READINESS, PROBE_LIVENESS, PROBE_COUNT };

struct container {
    struct pod *pod;
    const struct kube_container *spec;
    bool init;
    enum container_state state;
    struct ident child;
    int output; // read end of its stdout and stderr, -1 = none
    unsigned restarts;
    bool settled; // RUNNING: for POD_SETTLE, or it has a readiness probe
    nsec_t started;
    nsec_t due;     // BACKOFF: of the restart; STOPPING: of SIGKILL
    nsec_t backoff; // before the restart after the next
    char why[256];  // how it ended last, or why it could not start
    struct probe probes[PROBE_COUNT];
};

struct pod {
    const struct pod_world *world;
    const struct kube_workload *workload;
    const struct kube_pairs *over; // changed variables of its workload
    char *name, *dir, *log_path;
    char ip[16], uid[40];
    struct logfile log;
    struct container *containers; // init containers first
    size_t count, init_count;
    unsigned generation; // of the workload's settings
    bool stopping;
    nsec_t created;
};

// Makes the pod with its directory and log. `over` is borrowed for the pod's life.
struct pod *pod_new(const struct pod_world *world,
                    const struct kube_workload *workload,
                    const struct kube_pairs *over,
                    const char *name,
                    const char *ip,
                    nsec_t now);
// After pod_is_gone(). keep_dir: a StatefulSet's data outlives its pod.
void pod_free(struct pod *pod, bool keep_dir);
// Builds what the first start of each container needs, and throws it away: 0, or the error that a
// start would have, with the manifest's place.
int pod_check(struct pod *pod, struct err *err);
// Does what is due: starts, kills, probes.
void pod_step(struct pod *pod, nsec_t now);
// When pod_step() is to be called at the latest.
nsec_t pod_next(const struct pod *pod);
// A child of this process has ended; true when it was this pod's.
bool pod_reap(struct pod *pod, pid_t pid, int status, nsec_t now);
// Output of a container is there.
void pod_read_output(struct container *c);
// Begins the graceful stop.
void pod_stop(struct pod *pod, nsec_t now);
// SIGKILL for all its processes; without pod_stop() it restarts.
void pod_kill(struct pod *pod);
bool pod_is_gone(const struct pod *pod);
bool pod_is_ready(const struct pod *pod);
unsigned pod_restarts(const struct pod *pod);
// As kubectl shows it.
const char *pod_status(const struct pod *pod);
// Why it is not running or not ready; "" when it is.
const char *pod_detail(const struct pod *pod);
