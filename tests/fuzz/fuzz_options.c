// SPDX-License-Identifier: Apache-2.0
// The options of a script: whatever the JSON, they are built or refused with a message.
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "load/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *values = json_loadb((const char *)data, size, 0, NULL);
    struct option_layer layer = {SOURCE_SCRIPT, "script", values};
    struct metric_registry *registry;
    struct run_options options;
    struct err err = {0};

    if (!json_is_object(values)) {
        json_decref(values);
        return 0;
    }
    log_setup(LOG_ERROR, LOG_LOGFMT, 2);
    registry = metric_registry_new();
    if (options_build(&layer, 1, &options, &err)) {
        if (!err.message[0]) {
            abort();
        }
    } else {
        options_resolve_thresholds(&options, registry, &err);
        options_max_vus(&options);
        options_max_duration(&options);
        options_fini(&options);
    }
    metric_registry_free(registry);
    json_decref(values);
    return 0;
}
