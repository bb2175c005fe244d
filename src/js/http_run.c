// SPDX-License-Identifier: Apache-2.0
// One request of a script: its exchanges (redirects, authentication), cookies, decoding, samples.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "js/http.h"
#include "net/decode.h"

#define TAG_SLOTS   2048u
#define MAX_DECODED ((size_t)1 << 30)

// ---- timings and samples

void js_timings(const struct exchange_times *t, nsec_t ret[7])
{
    nsec_t ready = t->tls_end ? t->tls_end : t->connect_end ? t->connect_end : t->got_conn;
    nsec_t blocked = t->got_conn ? t->got_conn - t->start : t->end - t->start;
    nsec_t sending = t->wrote && ready ? t->wrote - ready : 0;
    nsec_t waiting = !t->wrote ? 0 : (t->first_byte ? t->first_byte : t->end) - t->wrote;
    nsec_t receiving = t->first_byte ? t->end - t->first_byte : 0;

    ret[0] = MAX(blocked, 0);
    ret[1] = t->connect_end ? t->connect_end - t->connect_start : 0;
    ret[2] = t->tls_end ? t->tls_end - t->tls_start : 0;
    ret[3] = MAX(sending, 0);
    ret[4] = MAX(waiting, 0);
    ret[5] = MAX(receiving, 0);
    ret[6] = ret[3] + ret[4] + ret[5];
}

static bool is_expected(const struct js_request *r, int status)
{
    if (!r->expected) {
        return status >= 200 && status <= 399;
    }
    for (unsigned i = 0; i < r->expected->count; i++) {
        if (status >= r->expected->ranges[i].min && status <= r->expected->ranges[i].max) {
            return true;
        }
    }
    return false;
}

struct js_tag_slot {
    uint64_t key;
    const struct tagset *base, *tags;
};

// What one exchange was, for its tags.
struct outcome {
    struct slice url, name, method;
    const struct exchange *x;
    const char *error;
    int status, error_code;
    bool expected;
};

static uint64_t outcome_key(const struct js_request *r, const struct outcome *o)
{
    uint64_t key = hash_bytes(o->url.p, o->url.n);

    key = hash_mix(key, o->name.p ? hash_bytes(o->name.p, o->name.n) : 1);
    key = hash_mix(key, hash_bytes(o->method.p, o->method.n));
    key = hash_mix(key, (uint64_t)(unsigned)o->status << 32 | (unsigned)o->error_code);
    key = hash_mix(key, (uint64_t)o->expected | (uint64_t)r->mark_expected << 1 |
                            (uint64_t)o->x->http_major << 2 | (uint64_t)o->x->http_minor << 6 |
                            (uint64_t)(uintptr_t)o->x->tls_version << 10);
    if (*o->error) {
        key = hash_mix(key, hash_bytes(o->error, strlen(o->error)));
    }
    return hash_mix(key, (uint64_t)(uintptr_t)r->tags);
}

static const struct tagset *make_tags(const struct js_request *r, const struct outcome *o)
{
    struct script_thread *t = r->vu->thread;
    unsigned on = t->settings->system_tags;
    char status[16], code[16], proto[16];
    struct slice pairs[SYSTEM_TAG_N_][2];
    size_t n = 0;
    struct slice name = o->name.p ? o->name : o->url;

#define ADD(bit, key, text)                                                                        \
    do {                                                                                           \
        if (on & SYSTEM_TAG_BIT(bit)) {                                                            \
            pairs[n][0] = SLICE(key);                                                              \
            pairs[n++][1] = (text);                                                                \
        }                                                                                          \
    } while (0)
    snprintf(status, sizeof status, "%d", o->status);
    ADD(METHOD, "method", o->method);
    ADD(STATUS, "status", slice_of(status));
    ADD(URL, "url", name);
    ADD(NAME, "name", name);
    if (o->x->http_major) {
        snprintf(proto, sizeof proto, "HTTP/%u.%u", o->x->http_major % 10, o->x->http_minor % 10);
        ADD(PROTO, "proto", slice_of(proto));
    }
    if (*o->error) {
        ADD(ERROR, "error", slice_of(o->error));
    }
    if (o->error_code) {
        snprintf(code, sizeof code, "%d", o->error_code);
        ADD(ERROR_CODE, "error_code", slice_of(code));
    }
    if (o->x->tls_version) {
        ADD(TLS_VERSION, "tls_version", slice_of(o->x->tls_version));
    }
    if (r->mark_expected) {
        ADD(EXPECTED_RESPONSE, "expected_response", o->expected ? SLICE("true") : SLICE("false"));
    }
    char ip[INET6_ADDRSTRLEN] = "";
    if (o->x->peer.ss_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)&o->x->peer)->sin_addr, ip, sizeof ip);
    } else if (o->x->peer.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)&o->x->peer)->sin6_addr, ip, sizeof ip);
    }
    if (*ip) {
        ADD(IP, "ip", slice_of(ip));
    }
#undef ADD
    return tagset_with_all(shard_tags(t->shard), r->tags, (const struct slice(*)[2])pairs, n);
}

static const struct tagset *tags_of(const struct js_request *r, const struct outcome *o)
{
    struct js_http_thread *h = js_http_thread_of(r->vu);
    uint64_t key = outcome_key(r, o);

    // Addresses are not part of the key; who wants them as tags pays for it.
    if (r->vu->thread->settings->system_tags & SYSTEM_TAG_BIT(IP)) {
        return make_tags(r, o);
    }
    if (!h->tag_cache) {
        h->tag_cache = xcalloc(TAG_SLOTS, sizeof *h->tag_cache);
    }
    struct js_tag_slot *slot = &h->tag_cache[key % TAG_SLOTS];
    if (slot->key != key || slot->base != r->tags) {
        *slot = (struct js_tag_slot){key, r->tags, make_tags(r, o)};
    }
    return slot->tags;
}

static void add_samples(struct js_request *r, const struct outcome *o)
{
    static const enum metric_id trends[] = {
        METRIC_HTTP_REQ_BLOCKED, METRIC_HTTP_REQ_CONNECTING, METRIC_HTTP_REQ_TLS_HANDSHAKING,
        METRIC_HTTP_REQ_SENDING, METRIC_HTTP_REQ_WAITING,    METRIC_HTTP_REQ_RECEIVING,
        METRIC_HTTP_REQ_DURATION};
    struct script_vu *vu = r->vu;
    struct shard *shard = vu->thread->shard;
    const struct metric_registry *registry = vu->thread->script->registry;
    const struct tagset *tags = tags_of(r, o);
    nsec_t when = o->x->times.end ? o->x->times.end : loop_now(vu->thread->loop);
    nsec_t times[7];

    js_timings(&o->x->times, times);
    shard_add(shard, metric_by_id(registry, METRIC_HTTP_REQS), tags, 1, when, vu->metadata);
    for (unsigned i = 0; i < ARRAY_SIZE(trends); i++) {
        shard_add(shard, metric_by_id(registry, trends[i]), tags, (double)times[i] / NSEC_PER_MSEC,
                  when, vu->metadata);
    }
    if (r->mark_expected) {
        shard_add(shard, metric_by_id(registry, METRIC_HTTP_REQ_FAILED), tags, !o->expected, when,
                  vu->metadata);
    }
    vu->bytes_sent += o->x->bytes_sent;
    vu->bytes_received += o->x->bytes_received;
}

// ---- one exchange

static bool has_header(const struct strbuf *headers, const char *name)
{
    struct slice lines = {headers->p, headers->n}, key, value;

    while (exchange_next_header(&lines, &key, &value)) {
        if (slice_eq_nocase(key, slice_of(name))) {
            return true;
        }
    }
    return false;
}

// Without printf: this is the hot path.
static void add_number(struct strbuf *out, size_t n)
{
    char digits[24];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    strbuf_add(out, digits + at, sizeof digits - at);
}

// What differs between the hops of a request.
struct hop {
    struct slice method, body;
    bool has_body;
    struct slice referer;
    bool foreign;               // the host changed: no credentials
    struct slice authorization; // of digest
};

// All header lines but Host, which goes first on the wire.
static void build_headers(struct js_request *r, const struct js_url *u, const struct hop *hop)
{
    struct strbuf *out = &r->sent_headers;
    const char *agent = r->vu->thread->settings->user_agent;

    strbuf_reset(out);
    if (!r->has_user_agent && agent && *agent) {
        strbuf_adds(out, "User-Agent: ");
        strbuf_adds(out, agent);
        strbuf_add(out, "\r\n", 2);
    }
    bool counts = slice_eqs(hop->method, "POST") || slice_eqs(hop->method, "PUT") ||
                  slice_eqs(hop->method, "PATCH");
    if (hop->body.n || (counts && !hop->has_body)) {
        strbuf_adds(out, "Content-Length: ");
        add_number(out, hop->body.n);
        strbuf_add(out, "\r\n", 2);
    }
    struct slice lines = {r->headers.p, r->headers.n}, key, value;
    if (!hop->foreign && hop->has_body == r->has_body) {
        strbuf_add(out, r->headers.p, r->headers.n);
    } else {
        while (exchange_next_header(&lines, &key, &value)) {
            bool secret = slice_eqs(key, "Authorization") || slice_eqs(key, "Cookie") ||
                          slice_eqs(key, "Www-Authenticate");
            bool of_body = slice_eqs(key, "Content-Type") || slice_eqs(key, "Content-Encoding");
            if (!(hop->foreign && secret) && !(hop->has_body != r->has_body && of_body)) {
                strbuf_addf(out, "%.*s: %.*s\r\n", (int)key.n, key.p, (int)value.n, value.p);
            }
        }
    }
    if (hop->authorization.n) {
        strbuf_addf(out, "Authorization: %.*s\r\n", (int)hop->authorization.n,
                    hop->authorization.p);
    } else if (u->user.p && r->auth != JS_AUTH_DIGEST && !has_header(out, "Authorization")) {
        CLEANUP(strbuf_fini) struct strbuf pair = STRBUF_NULL;
        strbuf_addf(&pair, "%.*s:%.*s", (int)u->user.n, u->user.p, (int)u->password.n,
                    u->password.p);
        strbuf_adds(out, "Authorization: Basic ");
        js_base64_encode(out, (struct slice){pair.p, pair.n}, "std");
        strbuf_add(out, "\r\n", 2);
    }
    if (hop->referer.n) {
        strbuf_addf(out, "Referer: %.*s\r\n", (int)hop->referer.n, hop->referer.p);
    }
    size_t before = out->n;
    strbuf_adds(out, "Cookie: ");
    if (js_cookies_header(r, u, out)) {
        strbuf_add(out, "\r\n", 2);
    } else {
        out->n = before;
    }
}

// Decodes the body as Content-Encoding says; code 1701 if it cannot be.
static void decode_response(struct js_request *r)
{
    struct exchange *x = &r->x;
    struct slice encoding = exchange_header(x, "content-encoding");

    r->response_body = x->response_body;
    if (!encoding.n || !x->response_body.n || r->response_type == JS_RESPONSE_NONE) {
        return;
    }
    if (!decode_needed(encoding)) {
        return;
    }
    strbuf_reset(&r->decoded);
    int e = decode_body(encoding, x->response_body, MAX_DECODED, &r->decoded, r->error,
                        sizeof r->error);
    r->response_body = (struct slice){strbuf_str(&r->decoded), r->decoded.n};
    if (e) {
        r->status = 0;
        r->error_code = e;
        r->response_body = (struct slice){0};
    }
}

static void note_outcome(struct js_request *r)
{
    const struct exchange *x = &r->x;
    bool bodyless = x->status / 100 == 1 || x->status == 204 || x->status == 304;

    r->status = x->status;
    r->error_code = x->error_code;
    if (x->error[0]) {
        snprintf(r->error, sizeof r->error, "%s", x->error);
    } else {
        r->error[0] = 0;
    }
    r->has_response_body = x->status && !bodyless && r->response_type != JS_RESPONSE_NONE;
    decode_response(r);
    if (!r->error_code && r->status >= 400) {
        r->error_code = 1000 + r->status;
    } else if (r->error_code) {
        r->status = 0;
        if (r->error_code == 1050) {
            r->response_body.n = 0;
        }
    }
}

static int
exchange_once(struct js_request *r, const struct js_url *u, const struct hop *hop, nsec_t deadline)
{
    struct script_vu *vu = r->vu;
    struct loop *l = vu->thread->loop;
    struct exchange *x = &r->x;

    exchange_release(vu->client, x);
    memset(x, 0, sizeof *x);
    build_headers(r, u, hop);
    // Host is kept out of res.request.headers, as k6 does.
    struct slice host = r->host.p ? r->host : u->authority;
    char *head = arena_alloc(&r->arena, host.n + r->sent_headers.n + 9);
    memcpy(head, "Host: ", 6);
    memcpy(head + 6, host.p, host.n);
    memcpy(head + 6 + host.n, "\r\n", 2);
    memcpy(head + 8 + host.n, strbuf_str(&r->sent_headers), r->sent_headers.n);
    x->endpoint = client_endpoint(vu->client, u->tls, u->host, u->port);
    x->method = hop->method;
    x->target = u->target;
    x->headers = (struct slice){head, host.n + r->sent_headers.n + 8};
    x->body = hop->body;
    x->discard_body = r->response_type == JS_RESPONSE_NONE;
    nsec_t left = deadline - loop_now(l);
    x->timeout = MAX(left, 1);
    int e = exchange_await(vu->client, x);
    if (e == 0) {
        note_outcome(r);
        if (x->status) {
            js_cookies_keep(r, u, x->raw_headers);
        }
    }
    return e;
}

static void sample(struct js_request *r, const struct js_url *u, struct slice method, bool expected)
{
    struct outcome o = {.url = u->tag,
                        .name = r->name,
                        .method = method,
                        .x = &r->x,
                        .error = r->error,
                        .status = r->status,
                        .error_code = r->error_code,
                        .expected = expected};

    add_samples(r, &o);
}

// --http-debug: what went over the wire, as log lines.
static void show_wire(const struct js_request *r)
{
    const struct exchange *x = &r->x;
    bool full = r->vu->thread->settings->http_debug > 1;
    CLEANUP_FREE char *sent =
        xasprintf("Request:\n%.*s %.*s HTTP/1.1\r\n%.*s\r\n%.*s", (int)x->method.n, x->method.p,
                  (int)x->target.n, x->target.p, (int)x->headers.n, x->headers.p,
                  full ? (int)x->body.n : 0, full && x->body.p ? x->body.p : "");
    CLEANUP_FREE char *received = xasprintf(
        "Response:\nHTTP/%u.%u %d %.*s\r\n%.*s\r\n%.*s", x->http_major, x->http_minor, x->status,
        (int)x->reason.n, x->reason.p ? x->reason.p : "", (int)x->raw_headers.n,
        x->raw_headers.p ? x->raw_headers.p : "", full ? (int)r->response_body.n : 0,
        full && r->response_body.p ? r->response_body.p : "");

    log_info("%s", sent);
    if (x->status) {
        log_info("%s", received);
    }
}

// ---- the whole request

// Prepares the next hop of a redirect. False when the response is the last one.
static bool next_hop(struct js_request *r, struct hop *hop, unsigned hops)
{
    int status = r->status;
    struct slice location = exchange_header(&r->x, "location");
    bool keeps = status == 307 || status == 308;

    if (!(keeps || (status >= 301 && status <= 303)) || !location.n) {
        return false;
    }
    if (hops >= r->redirects) {
        if (r->redirects && !r->redirects_set && !r->vu->thread->settings->max_redirects_set) {
            js_log_warn(r->vu,
                        "Stopped after %u redirects and returned the redirection; pass "
                        "{ redirects: n } in request params or set global maxRedirects to "
                        "silence this",
                        hops);
        }
        return false;
    }
    struct slice next = js_url_resolve(&r->target, location, &r->arena);
    struct js_url u;
    const char *wrong = js_url_parse(next, &r->arena, &u);
    if (wrong) {
        r->status = 0;
        r->error_code = 1000;
        snprintf(r->error, sizeof r->error, "failed to parse Location header: %s", wrong);
        r->has_response_body = false;
        return false;
    }
    if (!keeps) {
        if (!slice_eqs(hop->method, "HEAD")) {
            hop->method = SLICE("GET");
        }
        hop->body = (struct slice){0};
        hop->has_body = false;
    }
    hop->authorization = (struct slice){0};
    if (!(r->target.tls && !u.tls)) {
        struct slice from = r->target.text;
        if (r->target.user.p) {
            const char *at = memchr(from.p, '@', from.n);
            char *bare = arena_printf(&r->arena, "%s://%.*s", r->target.tls ? "https" : "http",
                                      (int)(from.p + from.n - at - 1), at + 1);
            from = slice_of(bare);
        }
        hop->referer = from;
    }
    hop->foreign |= !slice_eq_nocase(u.host, r->target.host);
    r->target = u;
    return true;
}

static void fail_before(struct js_request *r, int code, const char *error)
{
    nsec_t now = loop_now(r->vu->thread->loop);

    r->status = 0;
    r->error_code = code;
    snprintf(r->error, sizeof r->error, "%s", error);
    memset(&r->x, 0, sizeof r->x);
    r->x.times = (struct exchange_times){.start = now, .end = now};
    r->target.text = r->url;
    if (!r->target.tag.p) {
        r->target.tag = r->url;
    }
    sample(r, &r->target, r->method, is_expected(r, 0));
}

int js_http_run(struct js_request *r)
{
    struct script_vu *vu = r->vu;
    struct script_thread *t = vu->thread;
    struct hop hop = {.method = r->method, .body = r->body, .has_body = r->has_body};
    const char *wrong = js_url_parse(r->url, &r->arena, &r->target);

    if (wrong) {
        fail_before(r, 1000, wrong);
        return 0;
    }
    if (r->timeout < 0) {
        fail_before(r, 1050, "request timeout");
        return 0;
    }
    if (t->settings->rps > 0 && t->view->rps_slot &&
        co_await_until(t->view->rps_slot(t->view->arg, loop_now(t->loop))) < 0) {
        return -ECANCELED;
    }
    nsec_t deadline = loop_now(t->loop) + (r->timeout ? r->timeout : NSEC_MAX / 4);
    bool challenged = false;
    for (unsigned hops = 0;; hops++) {
        int e = exchange_once(r, &r->target, &hop, deadline);
        if (e) {
            return e;
        }
        struct js_url u = r->target;
        struct slice method = hop.method;
        if (t->settings->http_debug) {
            show_wire(r);
        }
        if (r->auth == JS_AUTH_DIGEST && r->status == 401 && !challenged && u.user.p) {
            challenged = true;
            hop.authorization =
                js_digest_answer(r, &u, method, exchange_header(&r->x, "www-authenticate"));
            if (hop.authorization.n) {
                sample(r, &u, method, true);
                hops--;
                continue;
            }
        }
        bool more = next_hop(r, &hop, hops);
        sample(r, &u, method, is_expected(r, r->status));
        if (!more) {
            return 0;
        }
    }
}
