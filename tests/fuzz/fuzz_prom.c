// SPDX-License-Identifier: Apache-2.0
// Prometheus' text: every slice of a sample lies within the input.
#include <stdint.h>
#include <stdlib.h>

#include "observe/prom.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    struct slice rest = text;
    struct prom_sample s;

    while (prom_next(&rest, &s)) {
        if (s.name.p < text.p || s.name.p + s.name.n > text.p + size ||
            s.labels.p + s.labels.n > text.p + size) {
            abort();
        }
        (void)prom_has_label(s.labels, "status", "429");
    }
    return 0;
}
