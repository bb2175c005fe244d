// SPDX-License-Identifier: Apache-2.0
// JSON Web Tokens, HS256 only (RFC 7515, 7519). Time is an argument. Any thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

#define JWT_MAX         2048 // longest token that is looked at
#define JWT_SUBJECT_MAX 128  // longest subject, with its NUL

enum jwt_e {
    JWT_MALFORMED = 1, // not three parts, not base64url, not JSON, too long, another algorithm
    JWT_FORGED,        // signature does not match
    JWT_EXPIRED,
};

// A signed token for `subject`, as a string that the caller frees. Times in seconds since 1970.
char *jwt_sign(const char *secret, const char *subject, int64_t issued, int64_t expires);
// Checks signature, algorithm and expiry; the claim "sub" into ret_subject. 0 or enum jwt_e.
int jwt_verify(const char *secret,
               const char *token,
               int64_t now,
               char ret_subject[static JWT_SUBJECT_MAX]);
// Base64url without padding (RFC 4648, 5). Encode: dst needs (len * 4 + 2) / 3 + 1 bytes. Decode:
// -1 if `len` characters are no such text or do not fit `size`, else the number of bytes.
size_t jwt_base64_encode(char *dst, const unsigned char *src, size_t len);
long jwt_base64_decode(unsigned char *dst, size_t size, const char *src, size_t len);
