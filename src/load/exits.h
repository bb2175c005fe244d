// SPDX-License-Identifier: Apache-2.0
// Exit codes by name; the table is tbl/exitcodes.h.
#pragma once

enum exit_code {
#define EXIT_CODE(id, value, meaning) EXIT_CODE_##id = value,
#include "tbl/exitcodes.h"
#undef EXIT_CODE
};
