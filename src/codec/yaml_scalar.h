// SPDX-License-Identifier: Apache-2.0
// Types of YAML scalars; for codec/yaml.c.
#pragma once

#include <stdbool.h>

#include "codec/yaml.h"

// Sets type and value of a scalar from its text by the rules that kubectl has (YAML 1.1: yes, off,
// 0o17, 017, 0x1f, 1_000, .inf, ~; no dates, no base 60). Quoted scalars are strings. `tag` is the
// full name or empty; false when the text is not what the tag says or the tag is unknown.
bool yaml_scalar_resolve(struct yaml_node *n, bool plain, struct slice tag);
