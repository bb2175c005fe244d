// SPDX-License-Identifier: Apache-2.0
// URLs as k6 takes them: what the script wrote goes on the wire, nothing is encoded or cleaned.
#include "js/http.h"

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int hex(char c)
{
    return c >= '0' && c <= '9'             ? c - '0'
           : is_alpha(c) && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                            : -1;
}

static struct slice percent_decode(struct slice s, struct arena *arena)
{
    char *out = arena_alloc(arena, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%' && i + 2 < s.n && hex(s.p[i + 1]) >= 0 && hex(s.p[i + 2]) >= 0) {
            out[n++] = (char)(hex(s.p[i + 1]) * 16 + hex(s.p[i + 2]));
            i += 2;
        } else {
            out[n++] = s.p[i];
        }
    }
    return (struct slice){out, n};
}

static const char *parse_port(struct slice text, uint16_t *ret_port)
{
    unsigned port = 0;

    if (text.n == 0) {
        return NULL; // "host:" is the default port
    }
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' ||
            (port = port * 10 + (unsigned)(text.p[i] - '0')) > 65535) {
            return "invalid port";
        }
    }
    *ret_port = (uint16_t)port;
    return NULL;
}

static const char *parse_host(struct slice host, struct js_url *u)
{
    const char *colon;

    u->authority = host;
    if (host.n && host.p[0] == '[') {
        const char *close = memchr(host.p, ']', host.n);
        if (!close) {
            return "missing ']' in host";
        }
        u->host = (struct slice){host.p + 1, (size_t)(close - host.p - 1)};
        size_t rest = host.n - (size_t)(close + 1 - host.p);
        if (rest && close[1] != ':') {
            return "invalid port after host";
        }
        return rest ? parse_port((struct slice){close + 2, rest - 1}, &u->port) : NULL;
    }
    u->host = host;
    colon = memchr(host.p, ':', host.n);
    if (colon) {
        u->host.n = (size_t)(colon - host.p);
        return parse_port((struct slice){colon + 1, host.n - u->host.n - 1}, &u->port);
    }
    return NULL;
}

// The tag shows no credentials. (What k6 leaves of an encoded password is its own mistake.)
static void set_tag(struct js_url *u, struct slice userinfo, struct slice text, struct arena *arena)
{
    u->tag = text;
    if (userinfo.p) {
        const char *rest = userinfo.p + userinfo.n;
        u->tag.p = arena_printf(arena, "%.*s****:****%.*s", (int)(userinfo.p - text.p), text.p,
                                (int)(text.p + text.n - rest), rest);
        u->tag.n = strlen(u->tag.p);
    }
}

const char *js_url_parse(struct slice text, struct arena *arena, struct js_url *ret_url)
{
    struct js_url u = {.text = text};
    struct slice rest = text;
    size_t scheme = 0;

    for (size_t i = 0; i < text.n; i++) {
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f) {
            return "invalid control character in URL";
        }
    }
    while (scheme < text.n &&
           (is_alpha(text.p[scheme]) || (scheme && strchr("+-.0123456789", text.p[scheme])))) {
        scheme++;
    }
    *ret_url = u;
    if (!scheme || text.n - scheme < 3 || memcmp(text.p + scheme, "://", 3) != 0) {
        return "unsupported protocol scheme \"\"";
    }
    u.tls = scheme == 5 && slice_eq_nocase((struct slice){text.p, 5}, SLICE("https"));
    if (!u.tls && !(scheme == 4 && slice_eq_nocase((struct slice){text.p, 4}, SLICE("http")))) {
        return "unsupported protocol scheme";
    }
    u.port = u.tls ? 443 : 80;
    rest.p += scheme + 3;
    rest.n -= scheme + 3;
    size_t end = 0;
    while (end < rest.n && !strchr("/?#", rest.p[end])) {
        end++;
    }
    struct slice authority = {rest.p, end};
    u.origin = (struct slice){text.p, (size_t)(rest.p + end - text.p)};
    struct slice target = {rest.p + end, rest.n - end};
    const char *hash = memchr(target.p, '#', target.n);
    target.n = hash ? (size_t)(hash - target.p) : target.n;
    if (target.n == 0 || target.p[0] == '?') {
        char *p = arena_alloc(arena, target.n + 2);
        p[0] = '/';
        memcpy(p + 1, target.n ? target.p : "", target.n);
        target = (struct slice){p, target.n + 1};
    }
    u.target = u.path = target;
    const char *query = memchr(target.p, '?', target.n);
    u.path.n = query ? (size_t)(query - target.p) : target.n;
    struct slice userinfo = {0};
    const char *at = memrchr(authority.p, '@', authority.n);
    if (at) {
        userinfo = (struct slice){authority.p, (size_t)(at - authority.p)};
        struct slice password = userinfo;
        u.user = percent_decode(slice_cut(&password, ':'), arena);
        u.password = percent_decode(password, arena);
        authority.n -= userinfo.n + 1;
        authority.p = at + 1;
    }
    set_tag(&u, userinfo, text, arena);
    const char *wrong = parse_host(authority, &u);
    *ret_url = u;
    return wrong ? wrong : u.host.n == 0 ? "no Host in request URL" : NULL;
}

// Removes dot segments of a path, RFC 3986 section 5.2.4.
static struct slice remove_dots(struct slice path, struct arena *arena)
{
    char *out = arena_alloc(arena, path.n + 2);
    size_t n = 0;

    while (path.n) {
        const char *next = path.n > 1 ? memchr(path.p + 1, '/', path.n - 1) : NULL;
        size_t len = next ? (size_t)(next - path.p) : path.n;
        struct slice segment = {path.p, len};
        if (slice_eqs(segment, "/..")) {
            while (n && out[--n] != '/') {
            }
            n = !next ? n + (out[n] = '/', 1) : n;
        } else if (slice_eqs(segment, "/.")) {
            n = !next ? n + (out[n] = '/', 1) : n;
        } else {
            memcpy(out + n, segment.p, segment.n);
            n += segment.n;
        }
        path.p += len;
        path.n -= len;
    }
    return (struct slice){out, n};
}

struct slice js_url_resolve(const struct js_url *base, struct slice reference, struct arena *arena)
{
    size_t scheme = 0;

    while (scheme < reference.n && is_alpha(reference.p[scheme])) {
        scheme++;
    }
    if (scheme && scheme < reference.n && reference.p[scheme] == ':') {
        return (struct slice){arena_strndup(arena, reference.p, reference.n), reference.n};
    }
    struct strbuf b = STRBUF_NULL;
    if (reference.n >= 2 && reference.p[0] == '/' && reference.p[1] == '/') {
        strbuf_adds(&b, base->tls ? "https:" : "http:");
        strbuf_add(&b, reference.p, reference.n);
    } else {
        struct slice query = reference;
        struct slice path = {reference.p,
                             strcspn(arena_strndup(arena, reference.p, reference.n), "?#")};
        query.p += path.n;
        query.n -= path.n;
        strbuf_add(&b, base->origin.p, base->origin.n);
        if (path.n == 0) {
            strbuf_add(&b, base->path.p, base->path.n);
        } else if (path.p[0] == '/') {
            path = remove_dots(path, arena);
            strbuf_add(&b, path.p, path.n);
        } else {
            const char *slash = memrchr(base->path.p, '/', base->path.n);
            size_t keep = slash ? (size_t)(slash + 1 - base->path.p) : 0;
            char *joined =
                arena_printf(arena, "%.*s%.*s", (int)keep, base->path.p, (int)path.n, path.p);
            path = remove_dots(slice_of(joined), arena);
            strbuf_add(&b, path.p, path.n);
        }
        strbuf_add(&b, query.p, query.n);
    }
    struct slice result = {arena_strndup(arena, strbuf_str(&b), b.n), b.n};
    strbuf_fini(&b);
    return result;
}
