// SPDX-License-Identifier: Apache-2.0
#include "plan/target.h"

#include <arpa/inet.h>
#include <stdio.h>

void target_guard_init(struct target_guard *g, const char *const *allowed)
{
    *g = (struct target_guard){.allowed = allowed};
    pthread_mutex_init(&g->lock, NULL);
}

void target_guard_fini(struct target_guard *g)
{
    pthread_mutex_destroy(&g->lock);
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)address;
        return ntohl(a->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->ss_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)address)->sin6_addr;
        return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
    }
    return address->ss_family == AF_UNIX;
}

static bool
is_named(const struct target_guard *g, struct slice host, const struct sockaddr_storage *address)
{
    char text[INET6_ADDRSTRLEN] = "";

    if (address->ss_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof(text));
    } else if (address->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof(text));
    }
    for (const char *const *a = g->allowed; a && *a; a++) {
        if (slice_eq_nocase(slice_of(*a), host) || strcmp(*a, text) == 0) {
            return true;
        }
    }
    return false;
}

static unsigned short port_of(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

static void remember(struct target_guard *g, struct slice host, unsigned short port)
{
    for (unsigned i = 0; i < g->seen_count; i++) {
        if (slice_eqs(host, g->seen[i].host) && g->seen[i].port == port) {
            return;
        }
    }
    if (g->seen_count < TARGETS_MAX && host.n < sizeof(g->seen[0].host)) {
        struct target *t = &g->seen[g->seen_count++];
        snprintf(t->host, sizeof(t->host), "%.*s", (int)host.n, host.p);
        t->port = port;
    }
}

bool target_guard_allow(void *arg, struct slice host, const struct sockaddr_storage *address)
{
    struct target_guard *g = arg;
    bool loopback = is_loopback(address);
    bool allowed = loopback || is_named(g, host, address);

    pthread_mutex_lock(&g->lock);
    if (allowed) {
        remember(g, host, port_of(address));
    }
    g->loopback_seen |= loopback;
    g->foreign_seen |= !loopback && allowed;
    if (!allowed && !g->refused[0]) {
        snprintf(g->refused, sizeof(g->refused), "%.*s", (int)host.n, host.p);
    }
    pthread_mutex_unlock(&g->lock);
    return allowed;
}
