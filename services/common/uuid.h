// SPDX-License-Identifier: Apache-2.0
// RFC 9562 identifiers. Any thread.
#pragma once

#include <stdbool.h>

#define UUID_SIZE 37 // 36 characters and the NUL

void uuid_random(char text[static UUID_SIZE]);
// A version 8 identifier that is a function (SHA-256) of the two names.
void uuid_named(char text[static UUID_SIZE], const char *space, const char *name);
// 8-4-4-4-12 hexadecimal digits and nothing after them.
bool uuid_is_valid(const char *text);
