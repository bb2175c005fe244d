// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/net_int.h"

static pthread_mutex_t threads_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list threads = {&threads, &threads};

static struct net_thread *thread_ref(struct loop *l)
{
    struct net_thread *t = NULL;

    pthread_mutex_lock(&threads_lock);
    LIST_FOREACH (it, &threads) {
        struct net_thread *known = LIST_ENTRY(it, struct net_thread, link);
        t = known->loop == l ? known : t;
    }
    if (!t) {
        t = XNEW(struct net_thread);
        t->loop = l;
        t->scratch = xmalloc(SCRATCH_SIZE);
        t->resolver = resolver_new(l);
        list_push_back(&threads, &t->link);
    }
    t->refs++;
    pthread_mutex_unlock(&threads_lock);
    return t;
}

static void thread_unref(struct net_thread *t)
{
    pthread_mutex_lock(&threads_lock);
    bool last = --t->refs == 0;
    if (last) {
        list_del(&t->link);
    }
    pthread_mutex_unlock(&threads_lock);
    if (!last) {
        return;
    }
    while (t->buffer_count) {
        strbuf_fini(&t->buffers[--t->buffer_count]);
    }
    resolver_free(t->resolver);
    free(t->scratch);
    free(t);
}

void net_take_buffer(struct net_thread *t, struct strbuf *b)
{
    if (t->buffer_count) {
        *b = t->buffers[--t->buffer_count];
    } else {
        *b = (struct strbuf)STRBUF_NULL;
        strbuf_reserve(b, BUFFER_SIZE - 1);
    }
}

void exchange_release(struct client *c, struct exchange *x)
{
    struct net_thread *t = c->thread;

    if (!x->buffer.p) {
        return;
    }
    if (t->buffer_count < BUFFERS_MAX && x->buffer.cap <= BUFFER_KEEP) {
        strbuf_reset(&x->buffer);
        t->buffers[t->buffer_count++] = x->buffer;
        x->buffer = (struct strbuf)STRBUF_NULL;
    } else {
        strbuf_fini(&x->buffer);
    }
    x->reason = x->raw_headers = x->response_body = (struct slice){0};
}

struct client *client_new(struct loop *l, const struct net_settings *settings)
{
    struct client *c = XNEW(struct client);

    c->thread = thread_ref(l);
    c->loop = l;
    c->settings = settings;
    list_init(&c->endpoints);
    return c;
}

static void close_idle(struct endpoint *e)
{
    LIST_FOREACH_SAFE (it, &e->idle) {
        conn_close(LIST_ENTRY(it, struct conn, link));
    }
}

void client_close_idle(struct client *c)
{
    LIST_FOREACH (it, &c->endpoints) {
        close_idle(LIST_ENTRY(it, struct endpoint, link));
    }
}

void client_free(struct client *c)
{
    if (!c) {
        return;
    }
    LIST_FOREACH_SAFE (it, &c->endpoints) {
        struct endpoint *e = LIST_ENTRY(it, struct endpoint, link);
        close_idle(e);
        ASSERT(e->conns == 0 && list_empty(&e->waiters));
        tls_session_free(e->tls_session);
        free(e->host);
        free(e);
    }
    thread_unref(c->thread);
    free(c);
}

struct endpoint *client_endpoint(struct client *c, bool tls, struct slice host, uint16_t port)
{
    LIST_FOREACH (it, &c->endpoints) {
        struct endpoint *e = LIST_ENTRY(it, struct endpoint, link);
        if (e->port == port && e->tls == tls &&
            slice_eq_nocase((struct slice){e->host, e->host_n}, host)) {
            return e;
        }
    }
    struct endpoint *e = XNEW(struct endpoint);
    e->client = c;
    e->tls = tls;
    e->port = port;
    e->host = xstrndup(host.p, host.n);
    e->host_n = host.n;
    list_init(&e->idle);
    list_init(&e->waiters);
    list_push_front(&c->endpoints, &e->link);
    return e;
}
