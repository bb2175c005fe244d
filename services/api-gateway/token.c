// SPDX-License-Identifier: Apache-2.0
#include "token.h"

#include "common/body.h"
#include "common/clock.h"
#include "common/metric.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define HASH_SIZE  32
#define SALT_SIZE  16
#define SECRET_MAX 256

static const char *client_id, *client_secret, *jwt_secret;
static int64_t lifetime, iterations;
static unsigned char salt[SALT_SIZE], wanted[HASH_SIZE];
static _Atomic uint64_t issued, refused;

const struct env_setting token_settings[] = {
    {"CLIENT_ID", ENV_STRING, &client_id, "demo", 0, 0, "the client that may have tokens"},
    {"CLIENT_SECRET", ENV_STRING, &client_secret, NULL, 0, 0, "its secret, at most 256 bytes"},
    {"JWT_SECRET", ENV_STRING, &jwt_secret, NULL, 0, 0,
     "the key that signs tokens, at least 16 bytes"},
    {"TOKEN_LIFETIME", ENV_DURATION, &lifetime, "1h", 1, 1e6, "how long a token is good"},
    {"SECRET_ITERATIONS", ENV_INTEGER, &iterations, "1000", 1, 1e7,
     "rounds of PBKDF2-HMAC-SHA256 that checking a secret costs"},
    {NULL}};

static void hash_secret(const char *secret, unsigned char hash[static HASH_SIZE])
{
    if (!PKCS5_PBKDF2_HMAC(secret, (int)strlen(secret), salt, SALT_SIZE, (int)iterations,
                           EVP_sha256(), HASH_SIZE, hash)) {
        abort();
    }
}

int token_start(char *message, size_t size)
{
    size_t len = strlen(client_secret);

    if (len > SECRET_MAX || strlen(client_id) >= JWT_SUBJECT_MAX) {
        snprintf(message, size, "CLIENT_ID or CLIENT_SECRET is too long");
        return -EINVAL;
    }
    if (strlen(jwt_secret) < 16) {
        snprintf(message, size, "JWT_SECRET must have at least 16 bytes");
        return -EINVAL;
    }
    if (getrandom(salt, sizeof(salt), 0) != (ssize_t)sizeof(salt)) {
        snprintf(message, size, "no random bytes");
        return -1;
    }
    hash_secret(client_secret, wanted);
    client_secret = NULL;
    unsetenv("CLIENT_SECRET");
    return 0;
}

void token_post(struct request *request)
{
    unsigned char hash[HASH_SIZE];
    json_t *body = body_object(request);
    struct buf answer = BUF_NULL;

    if (!body) {
        return;
    }
    const char *id = body_string(request, body, "client_id", JWT_SUBJECT_MAX - 1);
    const char *secret = id ? body_string(request, body, "client_secret", SECRET_MAX) : NULL;
    if (!secret) {
        json_decref(body);
        return;
    }
    // The hash is made for an unknown client too, so that time does not tell which clients exist.
    hash_secret(secret, hash);
    bool same_secret = CRYPTO_memcmp(hash, wanted, HASH_SIZE) == 0;
    if (!same_secret || strcmp(id, client_id) != 0) {
        json_decref(body);
        atomic_fetch_add(&refused, 1);
        request_fail(request, 401, "invalid_client", NULL, "unknown client or wrong secret");
        return;
    }
    int64_t now = clock_wall() / SEC;
    char *token = jwt_sign(jwt_secret, id, now, now + lifetime / SEC);
    json_decref(body);
    buf_format(&answer, "{\"access_token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%lld}\n",
               token, (long long)(lifetime / SEC));
    free(token);
    atomic_fetch_add(&issued, 1);
    request_set_header(request, "Cache-Control", "no-store");
    request_reply(request, 200, "application/json", &answer);
}

bool token_check(struct request *request)
{
    char subject[JWT_SUBJECT_MAX];

    return body_bearer(request, jwt_secret, subject);
}

void token_metrics(struct buf *out)
{
    metric_single(out, "tokens_issued_total", "counter", "Tokens issued.", (double)issued);
    metric_single(out, "tokens_refused_total", "counter", "Wrong credentials.", (double)refused);
}
