// SPDX-License-Identifier: Apache-2.0
// Values with units: a duration that was read is written and read again without change.
#include <stdint.h>
#include <stdlib.h>

#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = {(const char *)data, size};
    char buf[40];
    nsec_t duration;
    nsec_t again;
    double number;
    uint64_t bytes;
    int64_t whole;

    if (units_parse_duration(text, &duration) == 0) {
        units_format_duration(duration, buf, sizeof(buf));
        if (units_parse_duration(slice_of(buf), &again) || again != duration) {
            abort();
        }
    }
    units_parse_duration_unit(text, &duration);
    units_parse_rate(text, &number);
    units_parse_share(text, &number);
    units_parse_double(text, &number);
    units_parse_bytes(text, &bytes);
    units_parse_int(text, &whole);
    return 0;
}
