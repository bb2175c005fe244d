// SPDX-License-Identifier: Apache-2.0
// A cookie jar by RFC 6265, as Go's net/http/cookiejar without a public suffix list. Pure: the wall
// clock is passed in. Not thread safe.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/strbuf.h"

// What a cookie is kept for or asked for: of the request's URL. `host` without port and brackets,
// `path` without the query, "" counts as "/".
struct cookie_url {
    bool tls;
    struct slice host, path;
};

// One cookie as a Set-Cookie line or a script gives it; absent texts are {NULL, 0}.
struct cookie {
    struct slice name;
    struct slice value; // without the quotes
    bool quoted;        // the value was in quotes
    struct slice domain, path;
    bool has_expires;
    nsec_t expires; // wall clock
    bool has_max_age;
    int64_t max_age; // seconds; 0 or less = delete now
    bool secure, http_only;
};

// Parses the value of a Set-Cookie header; the slices point into `line`. False: not a cookie.
bool cookie_parse(struct slice line, struct cookie *ret_cookie);
// Parses a date as RFC 6265 5.1.1 does (RFC 1123 and its old relatives). 0 or -EINVAL.
int cookie_parse_date(struct slice text, nsec_t *ret_wall);

struct cookie_jar;

struct cookie_jar *cookie_jar_new(void);
void cookie_jar_free(struct cookie_jar *jar);
// Forgets everything and keeps the memory.
void cookie_jar_reset(struct cookie_jar *jar);
// Keeps, replaces or deletes (expired) the cookie, if the URL may set it. Copies. A jar holds at
// most 3,000 cookies, of 8 KiB each; the oldest make room. Returns false when it was refused.
bool cookie_jar_set(struct cookie_jar *jar,
                    const struct cookie_url *url,
                    const struct cookie *cookie,
                    nsec_t wall_now);
// Keeps the cookies of all Set-Cookie lines of a response head ("Name: value" lines).
void cookie_jar_set_headers(struct cookie_jar *jar,
                            const struct cookie_url *url,
                            struct slice raw_headers,
                            nsec_t wall_now);
// The cookies that a request for the URL carries: longer paths first, then older ones. Returns
// their number; the array and its slices are valid until the jar is used again.
size_t cookie_jar_get(struct cookie_jar *jar,
                      const struct cookie_url *url,
                      nsec_t wall_now,
                      const struct cookie **ret_cookies);
// Appends one "name=value", in quotes where the value came in quotes; "; " before it unless out is
// empty.
void cookie_add_to_header(struct strbuf *out, const struct cookie *cookie);
// Deletes those that cookie_jar_get() gives, or the ones of them with this name.
void cookie_jar_clear(struct cookie_jar *jar, const struct cookie_url *url);
void cookie_jar_delete(struct cookie_jar *jar, const struct cookie_url *url, struct slice name);
