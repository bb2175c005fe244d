// SPDX-License-Identifier: Apache-2.0
// Kubernetes manifests as typed structs: Deployments, StatefulSets, Services, ConfigMaps, Secrets.
// Strict: an unknown or misplaced field, a wrong type or a dangling reference is an error with
// file, line, column and field path. Fields that a cluster knows and local pods do not need are
// accepted.
//
// Everything in a set is owned by it and read only; strings live as long as the set. Thread safe
// once built. Places in files are kept as `node`, for messages by yaml_error().
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "codec/quantity.h"
#include "codec/yaml.h"

enum { KUBE_REPLICAS_MAX = 1000, KUBE_FILES_MAX = 1000 };

struct kube_pair {
    const char *key, *value;
    size_t value_n; // bytes of value, which is terminated as well
};
struct kube_pairs { // labels, annotations, data
    struct kube_pair *items;
    size_t count;
};

struct kube_strings {
    const char **items;
    size_t count;
};

enum kube_env_kind {
    KUBE_ENV_VALUE,
    KUBE_ENV_CONFIG_MAP,
    KUBE_ENV_SECRET,
    KUBE_ENV_FIELD,    // key: "metadata.name", "status.podIP", …
    KUBE_ENV_RESOURCE, // key: "limits.cpu", …; name: the container or NULL; divisor
};

struct kube_env { // one of `env`
    const char *name;
    enum kube_env_kind kind;
    const char *value;     // KUBE_ENV_VALUE
    const char *ref, *key; // object and key in it
    quantity_t divisor;
    bool optional;
    const struct yaml_node *node;
};

struct kube_env_from {       // one of `envFrom`
    enum kube_env_kind kind; // KUBE_ENV_CONFIG_MAP or KUBE_ENV_SECRET
    const char *ref;
    const char *prefix; // "" for none
    bool optional;
    const struct yaml_node *node;
};

struct kube_port {
    const char *name; // NULL for none
    int number;
    bool tcp;
    const struct yaml_node *node;
};

enum kube_probe_kind { KUBE_PROBE_NONE, KUBE_PROBE_HTTP, KUBE_PROBE_TCP, KUBE_PROBE_EXEC };

struct kube_probe { // a gRPC probe is read as KUBE_PROBE_TCP
    enum kube_probe_kind kind;
    int port;         // resolved from its name
    const char *host; // NULL = the pod's address
    const char *path; // begins with '/'
    bool tls;         // scheme HTTPS: only the connection is checked
    struct kube_pairs headers;
    struct kube_strings command;
    nsec_t delay, period, timeout;
    int successes, failures; // thresholds
    const struct yaml_node *node;
};

struct kube_container {
    const char *name;
    const char *image; // NULL for none
    struct kube_strings command, args;
    struct kube_env *env;
    size_t env_count;
    struct kube_env_from *env_from;
    size_t env_from_count;
    struct kube_port *ports;
    size_t port_count;
    struct kube_probe startup, readiness, liveness;
    quantity_t cpu_request, cpu_limit, memory_request, memory_limit; // 0 = not set; cores, bytes
    int64_t run_as_user;                                             // -1 = not set
    const struct yaml_node *node;
};

struct kube_pod {
    struct kube_pairs labels, annotations;
    struct kube_container *containers;
    size_t container_count;
    struct kube_container *init_containers;
    size_t init_count;
    nsec_t grace;                                    // terminationGracePeriodSeconds
    int64_t run_as_user;                             // -1 = not set
    bool service_links;                              // enableServiceLinks
    const struct yaml_node *node, *annotations_node; // annotations_node NULL when there are none
};

enum kube_workload_kind { KUBE_DEPLOYMENT, KUBE_STATEFUL_SET };

struct kube_workload {
    enum kube_workload_kind kind;
    const char *name;
    const char *namespace; // "default" when not given
    int replicas;
    struct kube_pod pod;
    const struct yaml_node *node;
};

struct kube_service_port {
    const char *name; // NULL for none
    int port;
    int target;              // number, or 0 when target_name is set
    const char *target_name; // name of a container port
    bool tcp;
    const struct yaml_node *node;
};

struct kube_service {
    const char *name;
    const char *namespace;
    struct kube_pairs selector; // empty: reaches no pod
    struct kube_service_port *ports;
    size_t port_count;
    bool headless;
    const struct yaml_node *node;
};

struct kube_config { // ConfigMap or Secret; values decoded
    bool secret;
    const char *name;
    const char *namespace;
    struct kube_pairs data;
    // Keys whose values the lab makes for each run (annotation plimsoll.dev/generate on a Secret).
    struct kube_strings generate;
    const struct yaml_node *node;
};

struct kube_skipped { // an object of a kind that is not run here
    const char *kind, *name;
    const struct yaml_node *node;
};

struct kube_set {
    struct kube_workload *workloads;
    size_t workload_count;
    struct kube_service *services;
    size_t service_count;
    struct kube_config *configs;
    size_t config_count;
    struct kube_skipped *skipped;
    size_t skipped_count;
    struct kube_memory *memory;
};

// The texts of manifests, each with the name that stands in messages.
struct kube_source {
    char *name, *text;
    size_t text_n;
};
struct kube_sources {
    struct kube_source *items;
    size_t count, cap;
};
#define KUBE_SOURCES_NULL                                                                          \
    {                                                                                              \
        0                                                                                          \
    }

// Adds a file, or every *.yaml, *.yml and *.json of a directory in order of their names (not of its
// subdirectories). 0 or negative with err.
int kube_sources_add(struct kube_sources *s, const char *path, struct err *err);
// Adds a copy of a text.
void kube_sources_add_text(struct kube_sources *s, const char *name, struct slice text);
void kube_sources_fini(struct kube_sources *s);

// Reads all documents and checks references between them. 0, or negative with err.
int kube_load(const struct kube_sources *sources, struct kube_set **ret_set, struct err *err);
void kube_set_free(struct kube_set *set);
DEFINE_CLEANUP(struct kube_set *, kube_set_free);

// NULL when there is none of that name.
const struct kube_workload *kube_find_workload(const struct kube_set *set, const char *name);
const struct kube_service *kube_find_service(const struct kube_set *set, const char *name);
const struct kube_config *
kube_find_config(const struct kube_set *set, bool secret, const char *name);
// Gives a key of a secret of this set its value (see `generate`); before the set is shared.
void kube_set_generated(struct kube_set *set,
                        const struct kube_config *secret,
                        const char *key,
                        const char *value);
// The value of a key, NULL when it is not there.
const char *kube_pairs_get(const struct kube_pairs *pairs, const char *key);
// Whether all pairs of the selector are among the labels; an empty selector selects nothing.
bool kube_selects(const struct kube_pairs *selector, const struct kube_pairs *labels);
// The port of the pods behind a service's port; 0 when no container has a port of that name.
int kube_target_port(const struct kube_service_port *port, const struct kube_pod *pod);
