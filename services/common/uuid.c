// SPDX-License-Identifier: Apache-2.0
#include "uuid.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void print(char *out, unsigned char raw[static 16], unsigned version)
{
    static const char digits[] = "0123456789abcdef";

    raw[6] = (unsigned char)((raw[6] & 0x0f) | version << 4);
    raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
    for (unsigned i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }
        *out++ = digits[raw[i] >> 4];
        *out++ = digits[raw[i] & 15];
    }
    *out = '\0';
}

void uuid_random(char text[static UUID_SIZE])
{
    unsigned char raw[16];

    if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw)) {
        abort();
    }
    print(text, raw, 4);
}

void uuid_named(char text[static UUID_SIZE], const char *space, const char *name)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    unsigned char raw[EVP_MAX_MD_SIZE];

    // The NUL of the first name keeps ("ab", "c") apart from ("a", "bc").
    if (!hash || !EVP_DigestInit_ex(hash, EVP_sha256(), NULL) ||
        !EVP_DigestUpdate(hash, space, strlen(space) + 1) ||
        !EVP_DigestUpdate(hash, name, strlen(name)) || !EVP_DigestFinal_ex(hash, raw, NULL)) {
        abort();
    }
    EVP_MD_CTX_free(hash);
    print(text, raw, 8);
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
