// SPDX-License-Identifier: Apache-2.0
#include "jwt.h"

#include "buf.h"
#include "mem.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define MAC_SIZE 32

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t jwt_base64_encode(char *dst, const unsigned char *src, size_t len)
{
    size_t out = 0;
    unsigned bits = 0, held = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | src[i];
        for (held += 8; held >= 6;) {
            held -= 6;
            dst[out++] = alphabet[bits >> held & 63];
        }
    }
    if (held > 0) {
        dst[out++] = alphabet[bits << (6 - held) & 63];
    }
    dst[out] = '\0';
    return out;
}

long jwt_base64_decode(unsigned char *dst, size_t size, const char *src, size_t len)
{
    size_t out = 0;
    unsigned bits = 0, held = 0;

    if (len % 4 == 1) {
        return -1;
    }
    for (size_t i = 0; i < len; i++) {
        const char *at = src[i] ? strchr(alphabet, src[i]) : NULL;
        if (!at) {
            return -1;
        }
        bits = bits << 6 | (unsigned)(at - alphabet);
        held += 6;
        if (held >= 8) {
            held -= 8;
            if (out == size) {
                return -1;
            }
            dst[out++] = (unsigned char)(bits >> held);
        }
    }
    return (long)out;
}

static void sign(const char *secret, const char *text, size_t len, unsigned char mac[MAC_SIZE])
{
    unsigned size = MAC_SIZE;

    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)text, len, mac,
              &size)) {
        abort();
    }
}

static void add_base64(struct buf *out, const void *data, size_t len)
{
    char *text = mem_alloc((len * 4 + 2) / 3 + 1);

    buf_add(out, text, jwt_base64_encode(text, data, len));
    free(text);
}

char *jwt_sign(const char *secret, const char *subject, int64_t issued, int64_t expires)
{
    static const char header[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    struct buf token = BUF_NULL, claims = BUF_NULL;
    unsigned char mac[MAC_SIZE];

    buf_text(&claims, "{\"iss\":\"api-gateway\",\"sub\":");
    buf_json(&claims, subject);
    buf_format(&claims, ",\"iat\":%lld,\"exp\":%lld}", (long long)issued, (long long)expires);
    add_base64(&token, header, sizeof(header) - 1);
    buf_text(&token, ".");
    add_base64(&token, claims.data, claims.len);
    buf_fini(&claims);
    sign(secret, token.data, token.len, mac);
    buf_text(&token, ".");
    add_base64(&token, mac, sizeof(mac));
    return buf_take(&token);
}

// One part of a token as a JSON object, NULL if it is none. The caller owns the result.
static json_t *decode_object(const char *text, size_t len)
{
    unsigned char raw[JWT_MAX];
    long size = jwt_base64_decode(raw, sizeof(raw), text, len);
    json_t *object =
        size < 0 ? NULL : json_loadb((const char *)raw, (size_t)size, JSON_REJECT_DUPLICATES, NULL);

    if (object && !json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static int check_claims(const json_t *claims, int64_t now, char *ret_subject)
{
    const char *subject = json_string_value(json_object_get(claims, "sub"));
    const json_t *expires = json_object_get(claims, "exp");

    if (!subject || strlen(subject) >= JWT_SUBJECT_MAX || !json_is_integer(expires)) {
        return JWT_MALFORMED;
    }
    if (json_integer_value(expires) <= now) {
        return JWT_EXPIRED;
    }
    memcpy(ret_subject, subject, strlen(subject) + 1);
    return 0;
}

int jwt_verify(const char *secret,
               const char *token,
               int64_t now,
               char ret_subject[static JWT_SUBJECT_MAX])
{
    unsigned char mac[MAC_SIZE], given[MAC_SIZE];

    if (strnlen(token, JWT_MAX) == JWT_MAX) {
        return JWT_MALFORMED;
    }
    const char *dot = strchr(token, '.');
    const char *dot2 = dot ? strchr(dot + 1, '.') : NULL;
    if (!dot2 || jwt_base64_decode(given, sizeof(given), dot2 + 1, strlen(dot2 + 1)) != MAC_SIZE) {
        return JWT_MALFORMED;
    }
    sign(secret, token, (size_t)(dot2 - token), mac);
    if (CRYPTO_memcmp(mac, given, MAC_SIZE) != 0) {
        return JWT_FORGED;
    }
    json_t *header = decode_object(token, (size_t)(dot - token));
    const char *algorithm = json_string_value(json_object_get(header, "alg"));
    int r = algorithm && strcmp(algorithm, "HS256") == 0 ? 0 : JWT_MALFORMED;
    json_decref(header);
    if (r == 0) {
        json_t *claims = decode_object(dot + 1, (size_t)(dot2 - dot - 1));
        r = claims ? check_claims(claims, now, ret_subject) : JWT_MALFORMED;
        json_decref(claims);
    }
    return r;
}
