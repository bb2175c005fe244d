// SPDX-License-Identifier: Apache-2.0
#include "record/redact.h"

#include <jansson.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"

enum { SHORTEST = 4 };

void redactor_fini(struct redactor *r)
{
    for (unsigned i = 0; i < r->count; i++) {
        free(r->secrets[i]);
    }
    free(r->secrets);
    *r = (struct redactor){0};
}

void redactor_add(struct redactor *r, const char *secret)
{
    size_t n = strlen(secret);
    unsigned at = r->count;

    if (n < SHORTEST) {
        return;
    }
    ARRAY_RESERVE(r->secrets, r->count, r->cap);
    for (; at > 0 && strlen(r->secrets[at - 1]) < n; at--) {
        r->secrets[at] = r->secrets[at - 1];
    }
    r->secrets[at] = xstrdup(secret);
    r->count++;
}

bool redact_is_secret_name(const char *name)
{
    static const char *const words[] = {"secret", "token",   "passw",      "passphrase",
                                        "apikey", "api_key", "credential", "private_key",
                                        "cookie", "authoriz"};

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
        if (strcasestr(name, words[i])) {
            return true;
        }
    }
    return false;
}

void redactor_add_env(struct redactor *r, const char *const *env)
{
    for (; env && *env; env++) {
        const char *equals = strchr(*env, '=');
        CLEANUP_FREE char *name = equals ? xstrndup(*env, (size_t)(equals - *env)) : NULL;
        if (name && redact_is_secret_name(name)) {
            redactor_add(r, equals + 1);
        }
    }
}

static void replace(struct strbuf *text, const char *what)
{
    struct strbuf out = STRBUF_NULL;
    const char *at = strbuf_str(text), *hit;
    size_t n = strlen(what);

    if (n == 0 || !strstr(at, what)) {
        return;
    }
    for (; (hit = strstr(at, what)); at = hit + n) {
        strbuf_add(&out, at, (size_t)(hit - at));
        strbuf_adds(&out, REDACT_MASK);
    }
    strbuf_adds(&out, at);
    strbuf_fini(text);
    *text = out;
}

void redact(const struct redactor *r, struct strbuf *text)
{
    for (unsigned i = 0; i < r->count; i++) {
        replace(text, r->secrets[i]);
        json_t *v = json_string(r->secrets[i]);
        CLEANUP_FREE char *quoted = v ? json_dumps(v, JSON_ENCODE_ANY) : NULL;
        json_decref(v);
        if (quoted) { // without its quotes
            quoted[strlen(quoted) - 1] = 0;
            replace(text, quoted + 1);
        }
    }
}
