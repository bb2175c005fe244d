// SPDX-License-Identifier: Apache-2.0
// k6's system tags as a bit set.
#pragma once

enum system_tag {
#define SYSTEM_TAG(id, name, on) SYSTEM_TAG_##id,
#include "tbl/system_tags.h"
#undef SYSTEM_TAG
    SYSTEM_TAG_N_
};
#define SYSTEM_TAG_BIT(id) (1u << SYSTEM_TAG_##id)
