// SPDX-License-Identifier: Apache-2.0
// Digest authentication, RFC 2617 and 7616: MD5 and SHA-256, qop auth or none.
#include <openssl/evp.h>
#include <stdio.h>

#include "js/http.h"

static void hex_digest(const char *algorithm, const char *text, char out[65])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_MD *md = EVP_MD_fetch(NULL, algorithm, NULL);

    ASSERT(md && EVP_Digest(text, strlen(text), sum, &n, md, NULL) == 1);
    EVP_MD_free(md);
    for (unsigned i = 0; i < n && i < 32; i++) {
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
    }
}

// Value of `name=` in a challenge, unquoted; "" if absent.
static char *parameter(struct arena *arena, struct slice challenge, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i + n < challenge.n; i++) {
        bool starts = i == 0 || strchr(" ,\t", challenge.p[i - 1]);
        if (!starts || !slice_eq_nocase((struct slice){challenge.p + i, n}, slice_of(name)) ||
            challenge.p[i + n] != '=') {
            continue;
        }
        const char *p = challenge.p + i + n + 1, *end = challenge.p + challenge.n;
        bool quoted = p < end && *p == '"';
        const char *start = p += quoted;
        while (p < end && (quoted ? *p != '"' : !strchr(", \t", *p))) {
            p++;
        }
        return arena_strndup(arena, start, (size_t)(p - start));
    }
    return arena_strdup(arena, "");
}

struct slice js_digest_answer(struct js_request *r,
                              const struct js_url *u,
                              struct slice method,
                              struct slice challenge)
{
    struct arena *a = &r->arena;
    char ha1[65], ha2[65], response[65], cnonce[17];

    if (challenge.n < 7 || !slice_eq_nocase((struct slice){challenge.p, 7}, SLICE("digest "))) {
        return (struct slice){0};
    }
    struct slice rest = {challenge.p + 7, challenge.n - 7};
    const char *realm = parameter(a, rest, "realm"), *nonce = parameter(a, rest, "nonce");
    const char *opaque = parameter(a, rest, "opaque"), *algorithm = parameter(a, rest, "algorithm");
    bool with_qop = *parameter(a, rest, "qop") != 0;
    bool sha = slice_eq_nocase(slice_of(algorithm), SLICE("SHA-256"));
    const char *hash = sha ? "SHA256" : "MD5";

    snprintf(cnonce, sizeof cnonce, "%016llx", (unsigned long long)rng_u64(&r->vu->rng));
    hex_digest(hash,
               arena_printf(a, "%.*s:%s:%.*s", (int)u->user.n, u->user.p, realm, (int)u->password.n,
                            u->password.p),
               ha1);
    hex_digest(hash,
               arena_printf(a, "%.*s:%.*s", (int)method.n, method.p, (int)u->target.n, u->target.p),
               ha2);
    hex_digest(hash,
               with_qop ? arena_printf(a, "%s:%s:00000001:%s:auth:%s", ha1, nonce, cnonce, ha2)
                        : arena_printf(a, "%s:%s:%s", ha1, nonce, ha2),
               response);
    char *answer = arena_printf(
        a,
        "Digest username=\"%.*s\", realm=\"%s\", nonce=\"%s\", uri=\"%.*s\", response=\"%s\"%s%s%s%s",
        (int)u->user.n, u->user.p, realm, nonce, (int)u->target.n, u->target.p, response,
        *algorithm ? ", algorithm=" : "", algorithm,
        *opaque ? arena_printf(a, ", opaque=\"%s\"", opaque) : "",
        with_qop ? arena_printf(a, ", qop=auth, nc=00000001, cnonce=\"%s\"", cnonce) : "");
    return slice_of(answer);
}
