// SPDX-License-Identifier: Apache-2.0
#include "uuid.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void uuid_random(char text[static UUID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char raw[16];
    char *out = text;

    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw)) {
        abort();
    }
    raw[6] = (unsigned char)((raw[6] & 0x0f) | 0x40);
    raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
    for (unsigned i = 0; i < sizeof(raw); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }
        *out++ = digits[raw[i] >> 4];
        *out++ = digits[raw[i] & 15];
    }
    *out = '\0';
}

bool uuid_is_valid(const char *text)
{
    for (unsigned i = 0; i < UUID_SIZE - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !isxdigit((unsigned char)text[i])) {
            return false;
        }
    }
    return text[UUID_SIZE - 1] == '\0';
}
