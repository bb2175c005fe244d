// SPDX-License-Identifier: Apache-2.0
// Kubernetes manifests: a refusal names a place; of what is accepted every environment can be made,
// or refused with a place.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kube/env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
build_environments(const struct kube_set *set, const struct kube_workload *w, struct err *err)
{
    struct kube_link links[4];
    size_t count = 0;
    int r = 0;

    for (size_t i = 0; i < set->service_count && count < ARRAY_SIZE(links); i++) {
        if (kube_selects(&set->services[i].selector, &w->pod.labels)) {
            links[count++] = (struct kube_link){&set->services[i], &w->pod, "127.64.0.2"};
        }
    }
    struct kube_identity who = {.name = "p",
                                .uid = "u",
                                .ip = "127.64.0.3",
                                .node = "local",
                                .links = links,
                                .link_count = count};
    for (size_t i = 0; i < w->pod.container_count && r == 0; i++) {
        CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
        struct kube_pairs env;
        r = kube_env_build(set, w, &w->pod.containers[i], &who, &arena, &env, err);
    }
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(kube_sources_fini) struct kube_sources sources = KUBE_SOURCES_NULL;
    struct kube_set *set = NULL;
    struct err err = {0};

    kube_sources_add_text(&sources, "fuzz.yaml", (struct slice){(const char *)data, size});
    int r = kube_load(&sources, &set, &err);
    for (size_t i = 0; r == 0 && i < set->workload_count; i++) {
        r = build_environments(set, &set->workloads[i], &err);
    }
    if (r && (!err.message[0] || strcmp(err.file, "fuzz.yaml") != 0)) {
        abort();
    }
    kube_set_free(set);
    return 0;
}
