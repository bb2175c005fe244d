// SPDX-License-Identifier: Apache-2.0
// RFC 9562 identifiers, version 4. Any thread.
#pragma once

#include <stdbool.h>

#define UUID_SIZE 37 // 36 characters and the NUL

void uuid_random(char text[static UUID_SIZE]);
// 8-4-4-4-12 hexadecimal digits and nothing after them.
bool uuid_is_valid(const char *text);
