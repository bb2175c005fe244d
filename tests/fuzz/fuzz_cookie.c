// SPDX-License-Identifier: Apache-2.0
// Set-Cookie lines of a server that nobody trusts: what the jar keeps is sent to that server only,
// and reads back as it was.
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct cookie_url from = {.host = SLICE("www.shop.test"), .path = SLICE("/a/b")};
    const struct cookie_url other = {.tls = true, .host = SLICE("other.test"), .path = SLICE("/")};
    nsec_t now = 1700000000 * NSEC_PER_SEC;
    const struct cookie *cookies;
    char *copy = xmalloc(size + 1);
    struct cookie_jar *jar = cookie_jar_new();

    if (size) {
        memcpy(copy, data, size);
    }
    cookie_jar_set_headers(jar, &from, (struct slice){copy, size}, now);
    free(copy);
    size_t n = cookie_jar_get(jar, &from, now, &cookies);
    for (size_t i = 0; i < n; i++) {
        CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
        struct cookie again;
        cookie_add_to_header(&text, &cookies[i]);
        if (!cookie_parse((struct slice){text.p, text.n}, &again) ||
            !slice_eq(again.name, cookies[i].name) || again.has_max_age || again.domain.n) {
            abort();
        }
    }
    if (cookie_jar_get(jar, &other, now, &cookies) != 0) {
        abort();
    }
    cookie_jar_free(jar);
    return 0;
}
