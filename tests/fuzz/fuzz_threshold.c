// SPDX-License-Identifier: Apache-2.0
// Threshold expressions, and keys such as http_req_duration{status:200}. A line is one expression.
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "metric/threshold.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xstrndup((const char *)data, size);
    struct threshold threshold = {0};
    struct submetric submetric = {0};
    struct slice name;
    struct err err = {0};

    if (threshold_parse(text, &threshold, &err) == 0) {
        if (threshold.percentile < 0 || threshold.percentile > 100) {
            abort();
        }
        threshold_fini(&threshold);
    }
    if (threshold_parse_key(text, &name, &submetric, &err) == 0) {
        for (unsigned i = 0; i < submetric.selector_count; i++) {
            free((char *)submetric.selectors[i].key);
            free((char *)submetric.selectors[i].value);
        }
        free(submetric.selectors);
        free(submetric.name);
    }
    free(text);
    return 0;
}
