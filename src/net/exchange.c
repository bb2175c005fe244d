// SPDX-License-Identifier: Apache-2.0
#include "net/exchange.h"

#include <errno.h>

#include "base/mem.h"
#include "net/net_int.h"

bool exchange_next_header(struct slice *at, struct slice *ret_name, struct slice *ret_value)
{
    return http1_next_header(at, ret_name, ret_value);
}

struct slice exchange_header(const struct exchange *x, const char *name)
{
    struct slice at = x->raw_headers, key, value, wanted = slice_of(name);

    while (http1_next_header(&at, &key, &value)) {
        if (slice_eq_nocase(key, wanted)) {
            return value;
        }
    }
    return (struct slice){0};
}

struct queued {
    struct list link;
    struct co *co;
    bool timed_out;
    struct timer timer;
};

static void on_queue_timer(struct timer *t)
{
    struct queued *q = CONTAINER_OF(t, struct queued, timer);

    q->timed_out = true;
    co_wake(q->co, 0);
}

void endpoint_wake(struct endpoint *e)
{
    if (!list_empty(&e->waiters)) {
        struct queued *q = LIST_ENTRY(e->waiters.next, struct queued, link);
        list_del(&q->link);
        e->turns++;
        co_wake(q->co, 0);
    }
}

// Waits for a turn on an endpoint that has all the connections it may have. 0, -ETIMEDOUT or
// -ECANCELED.
static int queue_await(struct endpoint *e, nsec_t deadline)
{
    struct queued q = {.co = co_self()};
    struct loop *l = e->client->loop;
    int r = 0;

    list_push_back(&e->waiters, &q.link);
    if (deadline != NSEC_MAX) {
        timer_set(l, &q.timer, deadline, on_queue_timer);
    }
    while (r != -ECANCELED && !list_empty(&q.link) && !q.timed_out) {
        r = co_suspend();
    }
    timer_cancel(l, &q.timer);
    bool had_turn = list_empty(&q.link);
    list_del(&q.link);
    e->turns -= had_turn;
    if (r == -ECANCELED || q.timed_out) {
        if (had_turn) {
            endpoint_wake(e); // the turn is the next one's
        }
        return r == -ECANCELED ? r : -ETIMEDOUT;
    }
    return 0;
}

// Whether there is, or may be made, a connection beside the `promised` ones.
static bool has_place(const struct endpoint *e, unsigned promised)
{
    unsigned max = e->client->settings->max_per_host;

    return !max || e->idle_count + (max - MIN(e->conns, max)) > promised;
}

// 0 with a connection, -ECANCELED, or an error code (set in x).
static int get_conn(struct endpoint *e, struct exchange *x, nsec_t deadline, struct conn **ret_conn)
{
    bool must_wait = !has_place(e, e->turns) || !list_empty(&e->waiters);

    while (must_wait) {
        int r = queue_await(e, deadline);
        if (r == -ETIMEDOUT) {
            return exchange_fail(x, NETERR_TIMEOUT, "request timeout");
        }
        if (r) {
            return r;
        }
        must_wait = !has_place(e, 0);
    }
    if (!list_empty(&e->idle)) {
        *ret_conn = LIST_ENTRY(e->idle.next, struct conn, link);
        return 0;
    }
    return dial_await(e, x, deadline, ret_conn);
}

static bool is_idempotent(const struct exchange *x)
{
    struct slice at = x->headers, name, value;

    if (slice_eqs(x->method, "GET") || slice_eqs(x->method, "HEAD") ||
        slice_eqs(x->method, "OPTIONS") || slice_eqs(x->method, "TRACE")) {
        return true;
    }
    while (http1_next_header(&at, &name, &value)) {
        if (slice_eq_nocase(name, SLICE("idempotency-key")) ||
            slice_eq_nocase(name, SLICE("x-idempotency-key"))) {
            return true;
        }
    }
    return false;
}

// A kept connection that the server closed meanwhile is no failure: the request is sent again when
// it did not get out, or may be sent twice (RFC 9110 9.2.2).
static bool may_retry(const struct exchange *x, const struct conn *c)
{
    return c->reused && c->failed_early && (c->sent == 0 || is_idempotent(x));
}

static void reset(struct exchange *x)
{
    x->status = 0;
    x->error_code = 0;
    x->error[0] = 0;
    x->reason = x->raw_headers = x->response_body = (struct slice){0};
    x->times = (struct exchange_times){.start = x->times.start};
    strbuf_reset(&x->buffer);
}

static void set_connection_facts(struct exchange *x, const struct conn *c)
{
    x->reused = c->reused;
    x->peer = c->peer;
    x->tls_version = c->tls ? tls_version_name(c->tls) : NULL;
    x->tls_cipher = c->tls ? tls_cipher_name(c->tls) : NULL;
}

// One attempt. 0 (answered or failed), 1 = try again, -ECANCELED.
static int attempt(struct exchange *x, nsec_t deadline)
{
    struct conn *c = NULL;
    int r;

    reset(x);
    r = get_conn(x->endpoint, x, deadline, &c);
    if (r) {
        return r < 0 ? r : 0;
    }
    ASSERT(c);
    x->times.got_conn = clock_now();
    set_connection_facts(x, c);
    conn_start(c, x, deadline);
    while (!c->finished) {
        r = co_suspend();
        if (r == -ECANCELED) {
            conn_close(c);
            return r;
        }
    }
    bool again = x->error_code && x->error_code != NETERR_TIMEOUT && may_retry(x, c);
    conn_finish(c);
    return again;
}

int exchange_await(struct client *c, struct exchange *x)
{
    int r;

    x->times.start = clock_now();
    x->bytes_sent = x->bytes_received = 0;
    x->buffer = (struct strbuf)STRBUF_NULL;
    nsec_t deadline = x->timeout && x->timeout < NSEC_MAX - x->times.start
                          ? x->times.start + x->timeout
                          : NSEC_MAX;
    if (x->timeout < 0) {
        reset(x);
        exchange_fail(x, NETERR_TIMEOUT, "request timeout");
        r = 0;
    } else {
        do {
            r = attempt(x, deadline);
        } while (r > 0);
    }
    if (r < 0) {
        exchange_release(c, x);
        return r;
    }
    if (!x->times.end) {
        x->times.end = clock_now();
    }
    if (!x->times.got_conn) {
        x->times.got_conn = x->times.end;
    }
    if (c->settings->observe && x->status) {
        c->settings->observe(c->settings->observe_arg, x);
    }
    return 0;
}
