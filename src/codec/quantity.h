// SPDX-License-Identifier: Apache-2.0
// Kubernetes resource quantities: "500m", "1.5", "64Mi", "1e3", "2k".
#pragma once

#include <stdint.h>

#include "base/strbuf.h"

// In billionths, the smallest that Kubernetes keeps.
typedef __int128 quantity_t;

// Sign, digits with an optional point, then one of n u m "" k M G T P E, Ki Mi Gi Ti Pi Ei, or an
// exponent. Anything below a billionth is rounded away from zero. 0, -EINVAL, or -ERANGE past
// 2^63-1 whole units (Kubernetes caps there).
int quantity_parse(struct slice text, quantity_t *ret_value);
// In thousandths and in whole units, rounded away from zero as MilliValue() and Value() do; limited
// to the range of the result.
int64_t quantity_milli(quantity_t value);
int64_t quantity_value(quantity_t value);
