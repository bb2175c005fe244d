// SPDX-License-Identifier: Apache-2.0
// From an endpoint to a connection: name, rules, TCP, TLS.
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/net_int.h"

static int timed_out(struct exchange *x, nsec_t deadline)
{
    // The exchange's own time may have run out first.
    if (clock_now() >= deadline) {
        return exchange_fail(x, NETERR_TIMEOUT, "request timeout");
    }
    return exchange_fail(x, NETERR_DIAL_TIMEOUT, "dial: i/o timeout");
}

static int check_address(const struct net_settings *s,
                         const struct endpoint *e,
                         const struct sockaddr_storage *a,
                         struct exchange *x)
{
    struct slice host = {e->host, e->host_n};
    char text[64], range[64];
    const struct net_cidr *c = settings_blacklisted(s, a);

    if (c) {
        bool v4 = IN6_IS_ADDR_V4MAPPED(&c->address) && c->prefix >= 96;
        struct sockaddr_storage base = {.ss_family = v4 ? AF_INET : AF_INET6};
        if (v4) {
            memcpy(&((struct sockaddr_in *)&base)->sin_addr, &c->address.s6_addr[12], 4);
        } else {
            ((struct sockaddr_in6 *)&base)->sin6_addr = c->address;
        }
        return exchange_fail(x, NETERR_BLACKLISTED_IP, "IP (%s) is in a blacklisted range (%s/%u)",
                             address_format(a, text), address_format(&base, range),
                             v4 ? c->prefix - 96 : c->prefix);
    }
    if (s->allow && !s->allow(s->allow_arg, host, a)) {
        return exchange_fail(x, NETERR_BLACKLISTED_IP, "target %s (%s) is not allowed", e->host,
                             address_format(a, text));
    }
    return 0;
}

// Where the endpoint is. 0, -ECANCELED or an error code.
static int resolve(struct endpoint *e, struct exchange *x, nsec_t deadline, struct addresses *ret)
{
    const struct net_settings *s = e->client->settings;
    const struct net_host *h = settings_find_host(s, e->host, e->port);
    const char *pattern = settings_blocked_host(s, e->host);
    char error[160] = "";

    if (pattern) {
        return exchange_fail(x, NETERR_BLOCKED_HOST, "hostname (%s) is in a blocked pattern (%s)",
                             e->host, pattern);
    }
    if (h) {
        ret->n = 1;
        ret->a[0] = h->address;
        address_set_port(&ret->a[0], h->port ? h->port : e->port);
        return 0;
    }
    if (address_parse(e->host, e->port, &ret->a[0])) {
        ret->n = 1;
        return 0;
    }
    int r = resolver_await(e->client->thread->resolver, s, e->host, deadline, ret, error);
    if (r == -ETIMEDOUT) {
        return r;
    }
    if (r > 0) {
        return exchange_fail(x, r, "%s", error);
    }
    for (unsigned i = 0; i < ret->n; i++) {
        address_set_port(&ret->a[i], e->port);
    }
    return r;
}

// Connects the (fresh) connection. 0, -ECANCELED, -ETIMEDOUT, or another negative errno: the next
// address may do.
static int connect_await(struct conn *c, const struct sockaddr_storage *a, nsec_t deadline)
{
    socklen_t size =
        a->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    int fd = socket(a->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1, error = 0;

    if (fd < 0) {
        return -errno;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    int r = connect(fd, (const struct sockaddr *)a, size) < 0 ? -errno : 0;
    int attached = conn_attach(c, fd);
    if (attached) {
        return attached;
    }
    while (r == -EINPROGRESS) {
        struct sockaddr_storage peer;
        socklen_t n = sizeof(error);
        r = conn_await_io(c, deadline);
        if (r) {
            return r;
        }
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n);
        n = sizeof(peer);
        r = error ? -error : getpeername(fd, (struct sockaddr *)&peer, &n) < 0 ? -EINPROGRESS : 0;
    }
    c->peer = *a;
    return r;
}

static int flush_ciphertext(struct conn *c, struct exchange *x)
{
    const char *p;
    size_t n;

    while ((n = tls_pending(c->tls, &p)) > 0) {
        ssize_t r = send(c->io.fd, p, n, MSG_NOSIGNAL);
        if (r < 0) {
            return errno == EINTR ? 0 : -errno;
        }
        x->bytes_sent += (uint64_t)r;
        tls_sent(c->tls, (size_t)r);
    }
    return 0;
}

static int handshake_await(struct conn *c, struct exchange *x, nsec_t deadline)
{
    char *scratch = c->endpoint->client->thread->scratch;

    c->tls = tls_new(c->endpoint);
    for (;;) {
        int done = tls_handshake(c->tls, x);
        int r = flush_ciphertext(c, x); // an alert too
        if (done > 0) {
            return done;
        }
        if (r < 0 && r != -EAGAIN) {
            return exchange_fail_errno(x, "write", r);
        }
        if (done == 0 && r == 0) {
            return 0;
        }
        ssize_t n = recv(c->io.fd, scratch, SCRATCH_SIZE, 0);
        if (n > 0) {
            x->bytes_received += (uint64_t)n;
            tls_feed(c->tls, scratch, (size_t)n);
            continue;
        }
        if (n == 0) {
            return exchange_fail(x, NETERR_GENERIC, "EOF");
        }
        if (errno != EAGAIN && errno != EINTR) {
            return exchange_fail_errno(x, "read", errno);
        }
        r = conn_await_io(c, deadline);
        if (r == -ETIMEDOUT) {
            return exchange_fail(x, NETERR_TIMEOUT, "request timeout");
        }
        if (r) {
            return r;
        }
    }
}

// TCP to the first address that answers. 0 with *ret_conn, -ECANCELED or an error code.
static int connect_any(struct endpoint *e,
                       struct exchange *x,
                       const struct addresses *addresses,
                       nsec_t dial_deadline,
                       struct conn **ret_conn)
{
    int first_error = 0;

    for (unsigned i = 0; i < MIN(addresses->n, 4u); i++) {
        int r = check_address(e->client->settings, e, &addresses->a[i], x);
        if (r) {
            return r;
        }
        struct conn *c = conn_new(e);
        x->times.connect_start = clock_now();
        r = connect_await(c, &addresses->a[i], dial_deadline);
        x->times.connect_end = clock_now();
        if (r == 0) {
            *ret_conn = c;
            return 0;
        }
        conn_close(c);
        if (r == -ECANCELED || r == -ETIMEDOUT) {
            return r;
        }
        first_error = first_error ? first_error : r;
    }
    return exchange_fail_errno(x, "dial", first_error);
}

int dial_await(struct endpoint *e, struct exchange *x, nsec_t deadline, struct conn **ret_conn)
{
    nsec_t dial_deadline = MIN(deadline, clock_now() + e->client->settings->dial_timeout);
    struct addresses addresses = {.n = 0};
    struct conn *c = NULL;

    // The place is taken while the name is looked up: others count it.
    e->conns++;
    int r = resolve(e, x, dial_deadline, &addresses);
    e->conns--;
    if (r == 0) {
        r = connect_any(e, x, &addresses, dial_deadline, &c);
        ASSERT(r || c);
    }
    if (r == 0 && e->tls) {
        x->times.tls_start = clock_now();
        r = handshake_await(c, x, deadline);
        x->times.tls_end = clock_now();
        if (r) {
            conn_close(c);
        }
    }
    if (r) {
        endpoint_wake(e);
        return r == -ETIMEDOUT ? timed_out(x, deadline) : r;
    }
    *ret_conn = c;
    return 0;
}
