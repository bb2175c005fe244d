// SPDX-License-Identifier: Apache-2.0
// Local pods from Kubernetes manifests; first form: supervised processes, without namespaces.
//
// A pod is one process group per container, with an address of its own from 127.64.0.0/10, so that
// the ports of the manifests stay as they are. Programs must bind that address: it is in POD_IP.
// Images are not run: the annotation `plimsoll.dev/exec` of the pod template (with several
// containers `plimsoll.dev/exec.CONTAINER`) is the local command line in place of the image, its
// command and its args; without it the container's own command and args are run. Services are told
// by NAME_SERVICE_HOST and its kin, with the first pod's address and the pods' own port.
//
// A supervisor process (`plimsoll lab-supervisor`) owns the pods, so nothing here needs a loop: the
// functions block until it has answered. When the owner of a lab ends in whatever way, the
// supervisor kills every descendant of the pods and removes the state directory; when the
// supervisor is killed as well, the kernel kills the pods and the next lab_open() or lab_clean()
// does the rest, by recorded identity (pid, start time, boot), never by name.
//
// A struct lab is for one thread at a time.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "kube/manifest.h"

enum { LAB_PODS_MAX = 2000, LAB_NAME_MAX = 40 };

struct lab;

struct lab_options {
    const char *root;        // directory of all labs of this user; made when missing
    const char *name;        // lower case letters, digits, '-'; NULL = "lab"
    const char *exe;         // the program with the command lab-supervisor; NULL = this program
    const char *path;        // PATH of the pods
    const char *program_dir; // where programs of plimsoll.dev/exec are looked for as well; or NULL
    const char *tag;         // NAME=value put into every pod's environment, or NULL
    bool detached;           // the lab outlives its owner, until lab_down()
};

// Reads the manifests, ends what earlier labs under the same root left, makes the state directory
// and starts the supervisor; no pod yet. 0; -EINVAL with the place in the manifests in err; else
// negative errno with err.
int lab_open(const struct kube_sources *sources,
             const struct lab_options *options,
             struct lab **ret_lab,
             struct err *err);
// Joins a lab that runs; `name` NULL when there is only one. -ENOENT with err when there is none.
int lab_attach(const char *root, const char *name, struct lab **ret_lab, struct err *err);
// Ends the connection; an owned lab that is not detached is killed with it. NULL is allowed.
void lab_free(struct lab *lab);
DEFINE_CLEANUP(struct lab *, lab_free);

// Starts all pods (their order does not matter: readiness and restarts sort it out). Fails when a
// port is taken or a program is missing.
int lab_up(struct lab *lab, struct err *err);
// Until all pods that should run are ready and up to date, at most `timeout`. -ETIME with a message
// that names the pod, its state and the end of its log.
int lab_await_ready(struct lab *lab, nsec_t timeout, struct err *err);
// Stops all pods (SIGTERM, their grace, SIGKILL), removes the state directory, ends the supervisor.
// lab_free() is still to be called.
int lab_down(struct lab *lab, struct err *err);

// Number of pods of a workload; returns at once, see lab_await_ready().
int lab_scale(struct lab *lab, const char *workload, int replicas, struct err *err);
// Sets variables of all containers of a workload (value NULL: back to the manifest's) and replaces
// its pods one at a time, each once the one before is ready; returns at once, as lab_restart().
int lab_set_env(struct lab *lab,
                const char *workload,
                const struct kube_pair *env,
                size_t count,
                struct err *err);
int lab_restart(struct lab *lab, const char *workload, struct err *err);
// Kills the processes of a pod with SIGKILL; it restarts with its back-off.
int lab_kill(struct lab *lab, const char *pod, struct err *err);

struct lab_pod {
    char *name, *workload, *ip;
    char *status; // as kubectl shows it: Pending, Running, CrashLoopBackOff, Terminating, …
    char *detail; // why it is not running, "" when it is
    char *log;    // path of its log
    char *dir;    // its data directory
    pid_t pid;    // of its (first) container, which leads a session of that number; 0 = none
    bool ready;
    unsigned restarts;
    nsec_t age;
    double cpu_limit;    // cores, 0 = none; for information: not enforced in this form
    double memory_limit; // bytes, 0 = none
};
struct lab_pods {
    struct lab_pod *items;
    size_t count;
};
#define LAB_PODS_NULL                                                                              \
    {                                                                                              \
        0                                                                                          \
    }
// All pods in order of workload and number; replaces ret_pods (initialised by the caller).
int lab_list(struct lab *lab, struct lab_pods *ret_pods, struct err *err);
void lab_pods_fini(struct lab_pods *pods);

// A name of a service and where it is: the ready pods behind it, each an entry of its own. `name`
// is "SERVICE:PORT" with the service's port, as in its URL.
struct lab_host {
    char *name;
    char *address; // "127.x.y.z:PORT"
};
struct lab_hosts {
    struct lab_host *items;
    size_t count;
};
#define LAB_HOSTS_NULL                                                                             \
    {                                                                                              \
        0                                                                                          \
    }
int lab_hosts(struct lab *lab, struct lab_hosts *ret_hosts, struct err *err);
void lab_hosts_fini(struct lab_hosts *hosts);

// Value of a secret's key, made or given, from xmalloc. -ENOENT with err.
int lab_secret(
    struct lab *lab, const char *name, const char *key, char **ret_value, struct err *err);
// The manifests of this lab (an attached lab has none: NULL), its name and its state directory.
const struct kube_set *lab_manifests(const struct lab *lab);
const char *lab_name(const struct lab *lab);
const char *lab_dir(const struct lab *lab);

// Names of the labs that run under root, from xmalloc; an array ended by NULL.
char **lab_names(const char *root);
void lab_names_free(char **names);
// Kills what is left of labs under root whose supervisor is gone, removes their directories.
// Returns how many there were.
int lab_clean(const char *root);
// The process of `plimsoll lab-supervisor`: serves one lab on the connection `fd`, then returns its
// exit status.
int lab_supervise(int fd);
