// SPDX-License-Identifier: Apache-2.0
// Names to addresses by c-ares on the loop, with a cache. Several that ask for one name at once
// share the query.
#include <ares.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"
#include "net/net_int.h"

enum { ENTRIES_MAX = 4096 };

struct entry {
    bool pending;
    int status; // of c-ares
    nsec_t answered;
    struct addresses v4, v6;
    unsigned next; // round robin
    struct list waiters;
};

struct waiter {
    struct list link;
    struct co *co;
    bool timed_out;
    struct timer timer;
};

struct watch {
    struct list link;
    struct io io;
    struct resolver *resolver;
};

struct resolver {
    struct loop *loop;
    ares_channel channel;
    bool has_channel;
    struct timer timer;
    struct list watches;
    struct map entries;
    struct rng rng;
};

static void set_timer(struct resolver *r);

static void on_timer(struct timer *t)
{
    struct resolver *r = CONTAINER_OF(t, struct resolver, timer);

    ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    set_timer(r);
}

static void set_timer(struct resolver *r)
{
    struct timeval tv;

    if (ares_timeout(r->channel, NULL, &tv)) {
        nsec_t wait = tv.tv_sec * NSEC_PER_SEC + tv.tv_usec * NSEC_PER_USEC;
        timer_set(r->loop, &r->timer, clock_now() + MAX(wait, NSEC_PER_MSEC), on_timer);
    } else {
        timer_cancel(r->loop, &r->timer);
    }
}

static struct watch *find_watch(struct resolver *r, int fd)
{
    LIST_FOREACH (it, &r->watches) {
        struct watch *w = LIST_ENTRY(it, struct watch, link);
        if (w->io.fd == fd) {
            return w;
        }
    }
    return NULL;
}

static void on_io(struct io *io, unsigned events)
{
    struct resolver *r = CONTAINER_OF(io, struct watch, io)->resolver;
    int fd = io->fd;
    char byte;

    // Edge-triggered: whatever is there must be taken now. c-ares may close the socket meanwhile.
    do {
        ares_process_fd(r->channel, events & (IO_READ | IO_HANGUP) ? fd : ARES_SOCKET_BAD,
                        events & IO_WRITE ? fd : ARES_SOCKET_BAD);
    } while (find_watch(r, fd) && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0);
    set_timer(r);
}

static void on_socket_state(void *arg, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = arg;
    struct watch *w = find_watch(r, fd);

    if (!readable && !writable) {
        if (w) {
            io_del(r->loop, &w->io);
            list_del(&w->link);
            free(w);
        }
    } else if (!w) {
        w = XNEW(struct watch);
        w->io = (struct io){.fd = fd, .fn = on_io};
        w->resolver = r;
        list_push_back(&r->watches, &w->link);
        io_add(r->loop, &w->io);
    }
}

static void init_library(void)
{
    ares_library_init(ARES_LIB_INIT_ALL);
}

static bool open_channel(struct resolver *r)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct ares_options options = {
        .sock_state_cb = on_socket_state, .sock_state_cb_data = r, .timeout = 2000, .tries = 3};

    pthread_once(&once, init_library);
    if (!r->has_channel) {
        r->has_channel = ares_init_options(&r->channel, &options,
                                           ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS |
                                               ARES_OPT_TRIES) == ARES_SUCCESS;
    }
    return r->has_channel;
}

struct resolver *resolver_new(struct loop *l)
{
    struct resolver *r = XNEW(struct resolver);

    r->loop = l;
    list_init(&r->watches);
    rng_init(&r->rng, rng_system_seed(), 0);
    return r;
}

void resolver_free(struct resolver *r)
{
    if (!r) {
        return;
    }
    timer_cancel(r->loop, &r->timer);
    if (r->has_channel) {
        ares_destroy(r->channel);
    }
    MAP_FOREACH (it, &r->entries) {
        free(it->value);
    }
    map_fini(&r->entries);
    free(r);
}

static void add_address(struct addresses *list, const void *a, size_t n)
{
    if (list->n < ADDRESSES_MAX) {
        list->a[list->n] = (struct sockaddr_storage){0};
        memcpy(&list->a[list->n++], a, n);
    }
}

static void wake_all(struct entry *e)
{
    while (!list_empty(&e->waiters)) {
        struct waiter *w = LIST_ENTRY(e->waiters.next, struct waiter, link);
        list_del(&w->link);
        co_wake(w->co, 0);
    }
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *result)
{
    struct entry *e = arg;

    e->pending = false;
    e->status = status;
    e->answered = clock_now();
    e->v4.n = e->v6.n = 0;
    for (struct ares_addrinfo_node *n = result ? result->nodes : NULL; n; n = n->ai_next) {
        if (n->ai_family == AF_INET) {
            add_address(&e->v4, n->ai_addr, sizeof(struct sockaddr_in));
        } else if (n->ai_family == AF_INET6) {
            add_address(&e->v6, n->ai_addr, sizeof(struct sockaddr_in6));
        }
    }
    if (result) {
        ares_freeaddrinfo(result);
    }
    wake_all(e);
}

// RFC 6761 6.3: never asked of a server.
static bool is_localhost(const char *host)
{
    size_t n = strlen(host);

    return strcasecmp(host, "localhost") == 0 ||
           (n > 10 && strcasecmp(host + n - 10, ".localhost") == 0);
}

static void query(struct resolver *r, const char *host, struct entry *e)
{
    struct ares_addrinfo_hints hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = ARES_AI_NOSORT};

    e->pending = true;
    if (is_localhost(host)) {
        struct sockaddr_storage a;
        e->pending = false;
        e->status = ARES_SUCCESS;
        e->answered = clock_now();
        e->v4.n = e->v6.n = 0;
        address_parse("127.0.0.1", 0, &a);
        add_address(&e->v4, &a, sizeof(struct sockaddr_in));
        address_parse("::1", 0, &a);
        add_address(&e->v6, &a, sizeof(struct sockaddr_in6));
    } else if (!open_channel(r)) {
        e->pending = false;
        e->status = ARES_ENOTINITIALIZED;
    } else {
        ares_getaddrinfo(r->channel, host, NULL, &hints, on_answer, e);
        set_timer(r);
    }
}

static void forget_old(struct resolver *r)
{
    if (r->entries.live < ENTRIES_MAX) {
        return;
    }
    MAP_FOREACH (it, &r->entries) {
        struct entry *e = it->value;
        if (!e->pending && list_empty(&e->waiters)) {
            map_del(&r->entries, (struct slice){it->key, it->key_n});
            free(e);
        }
    }
}

static void on_waiter_timer(struct timer *t)
{
    struct waiter *w = CONTAINER_OF(t, struct waiter, timer);

    w->timed_out = true;
    co_wake(w->co, 0);
}

// 0, -ETIMEDOUT or -ECANCELED.
static int wait_for(struct resolver *r, struct entry *e, nsec_t deadline)
{
    struct waiter w = {.co = co_self()};
    int result = 0;

    list_push_back(&e->waiters, &w.link);
    if (deadline != NSEC_MAX) {
        timer_set(r->loop, &w.timer, deadline, on_waiter_timer);
    }
    while (e->pending && !w.timed_out && result != -ECANCELED) {
        result = co_suspend();
    }
    timer_cancel(r->loop, &w.timer);
    list_del(&w.link);
    return result == -ECANCELED ? result : e->pending ? -ETIMEDOUT : 0;
}

// Those of one family, from the one whose turn it is.
static void rotate(const struct addresses *from, unsigned first, struct addresses *to)
{
    for (unsigned i = 0; i < from->n && to->n < ADDRESSES_MAX; i++) {
        to->a[to->n++] = from->a[(first + i) % from->n];
    }
}

static void select_addresses(struct resolver *r,
                             const struct net_settings *s,
                             struct entry *e,
                             struct addresses *ret)
{
    unsigned first = s->dns_select == DNS_ROUND_ROBIN ? e->next++
                     : s->dns_select == DNS_RANDOM    ? (unsigned)rng_below(&r->rng, 1u << 20)
                                                      : 0;

    ret->n = 0;
    if (s->dns_policy == DNS_PREFER_IPV6 || s->dns_policy == DNS_ONLY_IPV6) {
        rotate(&e->v6, first, ret);
    }
    if (s->dns_policy != DNS_ONLY_IPV6) {
        rotate(&e->v4, first, ret);
    }
    if (s->dns_policy == DNS_PREFER_IPV4 || s->dns_policy == DNS_ANY) {
        rotate(&e->v6, first, ret);
    }
}

int resolver_await(struct resolver *r,
                   const struct net_settings *s,
                   const char *host,
                   nsec_t deadline,
                   struct addresses *ret_addresses,
                   char error[160])
{
    struct entry *e = map_gets(&r->entries, host);

    if (!e) {
        forget_old(r);
        e = XNEW(struct entry);
        list_init(&e->waiters);
        map_sets(&r->entries, host, e);
        query(r, host, e);
    } else if (!e->pending && list_empty(&e->waiters) &&
               (e->status != ARES_SUCCESS || s->dns_ttl == 0 ||
                (s->dns_ttl != NSEC_MAX && clock_now() - e->answered >= s->dns_ttl))) {
        query(r, host, e);
    }
    if (e->pending) {
        int waited = wait_for(r, e, deadline);
        if (waited) {
            return waited;
        }
    }
    if (e->status == ARES_SUCCESS) {
        select_addresses(r, s, e, ret_addresses);
    }
    if (e->status == ARES_ENOTFOUND || e->status == ARES_ENODATA || e->status == ARES_EBADNAME ||
        (e->status == ARES_SUCCESS && ret_addresses->n == 0)) {
        snprintf(error, 160, "lookup: no such host");
        return NETERR_DNS_NO_HOST;
    }
    if (e->status != ARES_SUCCESS) {
        snprintf(error, 160, "lookup: %s", ares_strerror(e->status));
        return NETERR_DNS;
    }
    return 0;
}
