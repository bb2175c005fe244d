// SPDX-License-Identifier: Apache-2.0
#include "net/cookie.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/units.h"
#include "codec/http1.h"

enum { COOKIES_MAX = 3000, COOKIE_SIZE_MAX = 8192 };

struct kept {
    struct cookie c; // its slices point into `memory`
    char *memory;
    bool host_only;
    bool persistent;
    nsec_t expires; // wall clock
    uint64_t created;
};

struct cookie_jar {
    struct kept *items;
    size_t n, cap;
    uint64_t sequence;
    struct cookie *result;
    size_t result_cap;
};

// ---- parsing

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        if (b <= 0x20 || b >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", b)) {
            return false;
        }
    }
    return s.n > 0;
}

// As Go: a value with other bytes is no cookie; space and comma are taken.
static bool is_value(struct slice s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char b = (unsigned char)s.p[i];
        if (b < 0x20 || b >= 0x7f || b == '"' || b == ';' || b == '\\') {
            return false;
        }
    }
    return true;
}

static bool parse_attribute(struct slice name, struct slice value, struct cookie *c)
{
    int64_t seconds;

    if (slice_eq_nocase(name, SLICE("domain"))) {
        c->domain = value;
    } else if (slice_eq_nocase(name, SLICE("path"))) {
        c->path = value;
    } else if (slice_eq_nocase(name, SLICE("secure"))) {
        c->secure = true;
    } else if (slice_eq_nocase(name, SLICE("httponly"))) {
        c->http_only = true;
    } else if (slice_eq_nocase(name, SLICE("max-age"))) {
        if (units_parse_int(value, &seconds) == 0 && !(value.n > 1 && value.p[0] == '0')) {
            c->has_max_age = true;
            c->max_age = seconds;
        }
    } else if (slice_eq_nocase(name, SLICE("expires"))) {
        c->has_expires = cookie_parse_date(value, &c->expires) == 0;
    }
    return true;
}

bool cookie_parse(struct slice line, struct cookie *ret_cookie)
{
    struct cookie c = {0};
    struct slice rest = line;
    struct slice pair = slice_trim(slice_cut(&rest, ';'));
    const char *equals = pair.n ? memchr(pair.p, '=', pair.n) : NULL;

    if (!equals) {
        return false;
    }
    c.name = slice_trim((struct slice){pair.p, (size_t)(equals - pair.p)});
    c.value = (struct slice){equals + 1, pair.n - (size_t)(equals + 1 - pair.p)};
    if (c.value.n > 1 && c.value.p[0] == '"' && c.value.p[c.value.n - 1] == '"') {
        c.quoted = true;
        c.value = (struct slice){c.value.p + 1, c.value.n - 2};
    }
    if (!is_name(c.name) || !is_value(c.value)) {
        return false;
    }
    while (rest.n) {
        struct slice value = slice_trim(slice_cut(&rest, ';'));
        struct slice name = slice_trim(slice_cut(&value, '='));
        parse_attribute(name, slice_trim(value), &c);
    }
    *ret_cookie = c;
    return true;
}

// Days from 1970-01-01 to a date of the Gregorian calendar.
static int64_t days_from_date(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;
    int64_t era = y / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct date_fields {
    int hour, minute, second, day, month, year; // -1 = not seen
};

static bool digits(struct slice *s, unsigned min, unsigned max, int *ret)
{
    unsigned n = 0;
    int value = 0;

    while (n < s->n && n < max && s->p[n] >= '0' && s->p[n] <= '9') {
        value = value * 10 + (s->p[n++] - '0');
    }
    if (n < min || (n < s->n && s->p[n] >= '0' && s->p[n] <= '9')) {
        return false;
    }
    s->p += n;
    s->n -= n;
    *ret = value;
    return true;
}

static bool parse_time(struct slice s, struct date_fields *f)
{
    int h, m, sec;

    if (!digits(&s, 1, 2, &h) || !s.n || *s.p != ':') {
        return false;
    }
    s = (struct slice){s.p + 1, s.n - 1};
    if (!digits(&s, 1, 2, &m) || !s.n || *s.p != ':') {
        return false;
    }
    s = (struct slice){s.p + 1, s.n - 1};
    if (!digits(&s, 1, 2, &sec)) {
        return false;
    }
    f->hour = h;
    f->minute = m;
    f->second = sec;
    return true;
}

static int month_of(struct slice s)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    for (int i = 0; s.n >= 3 && i < 12; i++) {
        if (slice_eq_nocase((struct slice){names + i * 3, 3}, (struct slice){s.p, 3})) {
            return i + 1;
        }
    }
    return -1;
}

static void parse_date_token(struct slice token, struct date_fields *f)
{
    struct slice s = token;
    int n;

    if (f->hour < 0 && parse_time(token, f)) {
        return;
    }
    if (f->day < 0 && digits(&s, 1, 2, &n)) {
        f->day = n;
        return;
    }
    if (f->month < 0 && month_of(token) > 0) {
        f->month = month_of(token);
        return;
    }
    s = token;
    if (f->year < 0 && digits(&s, 2, 4, &n)) {
        f->year = n >= 70 && n <= 99 ? n + 1900 : n <= 69 ? n + 2000 : n;
    }
}

static bool is_date_separator(char c)
{
    return !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             c == ':');
}

int cookie_parse_date(struct slice text, nsec_t *ret_wall)
{
    struct date_fields f = {-1, -1, -1, -1, -1, -1};

    for (size_t i = 0; i < text.n;) {
        size_t begin = i;
        while (i < text.n && !is_date_separator(text.p[i])) {
            i++;
        }
        if (i > begin) {
            parse_date_token((struct slice){text.p + begin, i - begin}, &f);
        }
        i += i < text.n;
    }
    if (f.hour < 0 || f.day < 1 || f.month < 1 || f.year < 1601 || f.day > 31 || f.hour > 23 ||
        f.minute > 59 || f.second > 59) {
        return -EINVAL;
    }
    int64_t seconds =
        days_from_date(f.year, f.month, f.day) * 86400 + f.hour * 3600 + f.minute * 60 + f.second;
    // 292 years around 1970 is what nanoseconds hold.
    seconds = MAX(MIN(seconds, NSEC_MAX / NSEC_PER_SEC), -(NSEC_MAX / NSEC_PER_SEC));
    *ret_wall = seconds * NSEC_PER_SEC;
    return 0;
}

// ---- matching

static bool is_address(struct slice host)
{
    char text[64];
    unsigned char a[16];

    if (host.n >= sizeof(text)) {
        return false;
    }
    memcpy(text, host.p, host.n);
    text[host.n] = 0;
    return inet_pton(AF_INET, text, a) == 1 || inet_pton(AF_INET6, text, a) == 1;
}

// RFC 6265 5.1.3, for names (an address matches itself only).
static bool is_subdomain(struct slice host, struct slice domain)
{
    return host.n > domain.n && host.p[host.n - domain.n - 1] == '.' &&
           slice_eq_nocase((struct slice){host.p + host.n - domain.n, domain.n}, domain);
}

// RFC 6265 5.1.4.
static bool path_matches(struct slice path, struct slice prefix)
{
    if (path.n < prefix.n || memcmp(path.p, prefix.p, prefix.n) != 0) {
        return false;
    }
    return path.n == prefix.n || prefix.p[prefix.n - 1] == '/' || path.p[prefix.n] == '/';
}

static struct slice path_of(const struct cookie_url *url)
{
    return url->path.n ? url->path : SLICE("/");
}

static struct slice default_path(struct slice path)
{
    const char *slash = path.n && path.p[0] == '/' ? memrchr(path.p, '/', path.n) : NULL;

    return slash && slash > path.p ? (struct slice){path.p, (size_t)(slash - path.p)} : SLICE("/");
}

static bool belongs(const struct kept *k, const struct cookie_url *url)
{
    return (slice_eq_nocase(k->c.domain, url->host) ||
            (!k->host_only && is_subdomain(url->host, k->c.domain))) &&
           path_matches(path_of(url), k->c.path) && (!k->c.secure || url->tls);
}

// ---- the jar

struct cookie_jar *cookie_jar_new(void)
{
    return XNEW(struct cookie_jar);
}

void cookie_jar_reset(struct cookie_jar *jar)
{
    while (jar->n) {
        free(jar->items[--jar->n].memory);
    }
}

void cookie_jar_free(struct cookie_jar *jar)
{
    if (jar) {
        cookie_jar_reset(jar);
        free(jar->items);
        free(jar->result);
        free(jar);
    }
}

static void remove_at(struct cookie_jar *jar, size_t i)
{
    free(jar->items[i].memory);
    memmove(&jar->items[i], &jar->items[i + 1], (--jar->n - i) * sizeof(*jar->items));
}

static size_t find(const struct cookie_jar *jar, const struct cookie *c)
{
    size_t i = 0;

    while (i < jar->n && !(slice_eq(jar->items[i].c.name, c->name) &&
                           slice_eq_nocase(jar->items[i].c.domain, c->domain) &&
                           slice_eq(jar->items[i].c.path, c->path))) {
        i++;
    }
    return i;
}

static void copy(struct slice *s, char **to)
{
    if (s->n) {
        memcpy(*to, s->p, s->n);
    }
    s->p = *to;
    *to += s->n;
}

static void make_room(struct cookie_jar *jar)
{
    size_t oldest = 0;

    if (jar->n < COOKIES_MAX) {
        return;
    }
    for (size_t i = 1; i < jar->n; i++) {
        oldest = jar->items[i].created < jar->items[oldest].created ? i : oldest;
    }
    remove_at(jar, oldest);
}

// The domain that a cookie is kept under; false when the URL may not set it.
static bool decide_domain(struct kept *k, const struct cookie_url *url)
{
    struct slice domain = k->c.domain;

    if (domain.n && domain.p[0] == '.') {
        domain = (struct slice){domain.p + 1, domain.n - 1};
    }
    k->host_only = domain.n == 0;
    if (k->host_only) {
        k->c.domain = url->host;
        return k->c.domain.n > 0;
    }
    if (is_address(url->host)) {
        k->host_only = true;
        k->c.domain = url->host;
        return slice_eq_nocase(domain, url->host);
    }
    if (domain.p[0] == '.' || domain.p[domain.n - 1] == '.') {
        return false;
    }
    k->c.domain = domain;
    // Without a list of public suffixes, a name without a dot is taken for one (as Go does).
    if (!memchr(domain.p, '.', domain.n)) {
        k->host_only = true;
        return slice_eq_nocase(domain, url->host);
    }
    return slice_eq_nocase(domain, url->host) || is_subdomain(url->host, domain);
}

bool cookie_jar_set(struct cookie_jar *jar,
                    const struct cookie_url *url,
                    const struct cookie *cookie,
                    nsec_t wall_now)
{
    struct kept k = {.c = *cookie};

    if (!decide_domain(&k, url) || cookie->name.n + cookie->value.n > COOKIE_SIZE_MAX ||
        k.c.domain.n > 256 || k.c.path.n > COOKIE_SIZE_MAX) {
        return false;
    }
    if (!k.c.path.n || k.c.path.p[0] != '/') {
        k.c.path = default_path(path_of(url));
    }
    k.persistent = k.c.has_max_age || k.c.has_expires;
    if (k.c.has_max_age) {
        int64_t most = (NSEC_MAX - wall_now) / NSEC_PER_SEC;
        k.expires = k.c.max_age <= 0 ? 0 : wall_now + MIN(k.c.max_age, most) * NSEC_PER_SEC;
    } else {
        k.expires = k.c.expires;
    }
    size_t i = find(jar, &k.c);
    uint64_t created = i < jar->n ? jar->items[i].created : ++jar->sequence;
    char *memory = xmalloc(k.c.name.n + k.c.value.n + k.c.domain.n + k.c.path.n + 1);
    char *to = k.memory = memory;
    copy(&k.c.name, &to);
    copy(&k.c.value, &to);
    copy(&k.c.domain, &to);
    copy(&k.c.path, &to);
    k.created = created;
    if (i < jar->n) {
        remove_at(jar, i);
    }
    if (k.persistent && k.expires <= wall_now) {
        free(memory);
        return true;
    }
    make_room(jar);
    ARRAY_RESERVE(jar->items, jar->n, jar->cap);
    jar->items[jar->n++] = k;
    return true;
}

void cookie_jar_set_headers(struct cookie_jar *jar,
                            const struct cookie_url *url,
                            struct slice raw_headers,
                            nsec_t wall_now)
{
    struct slice name, value;
    struct cookie c;

    while (http1_next_header(&raw_headers, &name, &value)) {
        if (name.n == 10 && slice_eq_nocase(name, SLICE("set-cookie")) && cookie_parse(value, &c)) {
            cookie_jar_set(jar, url, &c, wall_now);
        }
    }
}

static int by_path_and_age(const void *pa, const void *pb)
{
    const struct kept *a = *(const struct kept *const *)pa, *b = *(const struct kept *const *)pb;

    if (a->c.path.n != b->c.path.n) {
        return a->c.path.n > b->c.path.n ? -1 : 1;
    }
    return a->created < b->created ? -1 : a->created > b->created;
}

size_t cookie_jar_get(struct cookie_jar *jar,
                      const struct cookie_url *url,
                      nsec_t wall_now,
                      const struct cookie **ret_cookies)
{
    const struct kept **found;
    size_t n = 0;

    for (size_t i = jar->n; i-- > 0;) {
        if (jar->items[i].persistent && jar->items[i].expires <= wall_now) {
            remove_at(jar, i);
        }
    }
    for (size_t i = 0; i < jar->n; i++) {
        n += belongs(&jar->items[i], url);
    }
    *ret_cookies = NULL;
    if (n == 0) {
        return 0;
    }
    if (n > jar->result_cap) {
        jar->result_cap = n * 2;
        jar->result = xreallocarray(jar->result, jar->result_cap, sizeof(*jar->result));
    }
    found = xreallocarray(NULL, n, sizeof(const struct kept *));
    n = 0;
    for (size_t i = 0; i < jar->n; i++) {
        if (belongs(&jar->items[i], url)) {
            found[n++] = &jar->items[i];
        }
    }
    qsort(found, n, sizeof(const struct kept *), by_path_and_age);
    for (size_t i = 0; i < n; i++) {
        jar->result[i] = found[i]->c;
    }
    free(found);
    *ret_cookies = jar->result;
    return n;
}

void cookie_add_to_header(struct strbuf *out, const struct cookie *cookie)
{
    const char *quote = cookie->quoted ? "\"" : "";

    if (out->n) {
        strbuf_adds(out, "; ");
    }
    strbuf_add(out, cookie->name.p, cookie->name.n);
    strbuf_addc(out, '=');
    strbuf_adds(out, quote);
    strbuf_add(out, cookie->value.p, cookie->value.n);
    strbuf_adds(out, quote);
}

static void remove_matching(struct cookie_jar *jar, const struct cookie_url *url, struct slice name)
{
    for (size_t i = jar->n; i-- > 0;) {
        if (belongs(&jar->items[i], url) && (!name.p || slice_eq(jar->items[i].c.name, name))) {
            remove_at(jar, i);
        }
    }
}

void cookie_jar_clear(struct cookie_jar *jar, const struct cookie_url *url)
{
    remove_matching(jar, url, (struct slice){0});
}

void cookie_jar_delete(struct cookie_jar *jar, const struct cookie_url *url, struct slice name)
{
    remove_matching(jar, url, name.p ? name : SLICE(""));
}
