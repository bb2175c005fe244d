// SPDX-License-Identifier: Apache-2.0
// The environment, command and arguments of a container, as the kubelet makes them.
#pragma once

#include "base/arena.h"
#include "kube/manifest.h"

// A service as a pod is told of it.
struct kube_link {
    const struct kube_service *service;
    const struct kube_pod *target; // what it selects, for named ports
    const char *host;
};

// Who the pod is.
struct kube_identity {
    const char *name, *uid, *ip, *node;
    const struct kube_pairs *base; // lowest precedence, may be used in $(…); may be NULL
    const struct kube_pairs *over; // highest precedence: changes made while running; may be NULL
    const struct kube_link *links;
    size_t link_count;
};

// The variables in the arena, each name once: base, the services' (NAME_SERVICE_HOST and its kin,
// where ports are those of the pods, because nothing translates them here), envFrom, env in its
// order with $(VAR) expanded from all before it. 0 or -EINVAL with err.
int kube_env_build(const struct kube_set *set,
                   const struct kube_workload *workload,
                   const struct kube_container *container,
                   const struct kube_identity *who,
                   struct arena *arena,
                   struct kube_pairs *ret_env,
                   struct err *err);
// Replaces $(VAR) where VAR is known, $$ by $. The result is in the arena.
const char *kube_expand(const char *text, const struct kube_pairs *env, struct arena *arena);
