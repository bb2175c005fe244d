// SPDX-License-Identifier: Apache-2.0
// Error codes of exchanges as an enum: NETERR_TIMEOUT = 1050 …
#pragma once

enum neterr {
#define NETERR(name, code, text) NETERR_##name = code,
#include "tbl/neterr.h"
#undef NETERR
};
