// SPDX-License-Identifier: Apache-2.0
// Snapshots of shards, as they come from another machine.
#include <stdint.h>
#include <stdlib.h>

#include "metric/aggregate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct metric_registry *registry = metric_registry_new();
    struct aggregate *aggregate = aggregate_new(registry, NULL, 0);
    struct metric_result result;
    struct err err = {0};

    aggregate_merge(aggregate, data, size, &err);
    for (unsigned i = 0; i < aggregate_count(aggregate); i++) {
        aggregate_get(aggregate, i, &result);
        metric_result_percentile(&result, 99);
    }
    aggregate_free(aggregate);
    metric_registry_free(registry);
    return 0;
}
