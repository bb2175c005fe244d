// SPDX-License-Identifier: Apache-2.0
// Kubernetes quantities: what is read rounds away from zero.
#include <stdint.h>
#include <stdlib.h>

#include "codec/quantity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    quantity_t value;

    if (quantity_parse((struct slice){(const char *)data, size}, &value) == 0) {
        int64_t whole = quantity_value(value);
        quantity_t back = (quantity_t)whole * 1000000000;

        if ((value >= 0 && back < value) || (value <= 0 && back > value)) {
            abort();
        }
        quantity_milli(value);
    }
    return 0;
}
