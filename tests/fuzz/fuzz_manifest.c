// SPDX-License-Identifier: Apache-2.0
// Kubernetes manifests: a refusal names a place.
#include <stdint.h>
#include <stdlib.h>

#include "kube/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(kube_sources_fini) struct kube_sources sources = KUBE_SOURCES_NULL;
    struct kube_set *set = NULL;
    struct err err = {0};

    kube_sources_add_text(&sources, "fuzz.yaml", (struct slice){(const char *)data, size});
    if (kube_load(&sources, &set, &err) && !err.message[0]) {
        abort();
    }
    kube_set_free(set);
    return 0;
}
