// SPDX-License-Identifier: Apache-2.0
// What all clients of a run share: names, limits, TLS. Built by the owner of the run before the
// workers start, then read only.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/strbuf.h"

struct exchange; // net/exchange.h

struct net_host { // "host", "host:port" or "*.suffix" → address, port 0 = keep
    char *name;
    struct sockaddr_storage address;
    unsigned short port;
};

enum dns_select { DNS_FIRST, DNS_RANDOM, DNS_ROUND_ROBIN };
enum dns_policy { DNS_PREFER_IPV4, DNS_PREFER_IPV6, DNS_ONLY_IPV4, DNS_ONLY_IPV6, DNS_ANY };

struct net_settings {
    struct net_host *hosts;
    size_t host_count;
    char **blocked_hosts; // patterns, leading '*' allowed
    size_t blocked_host_count;
    struct net_cidr {
        struct in6_addr address; // IPv4 mapped
        unsigned prefix;         // of 128
    } * blacklist;
    size_t blacklist_count;
    nsec_t dns_ttl; // NSEC_MAX = for ever, 0 = never kept
    enum dns_select dns_select;
    enum dns_policy dns_policy;
    nsec_t dial_timeout; // 30 s
    bool tls_skip_verify;
    int tls_min, tls_max; // TLS1_VERSION … or 0
    char *tls_ciphers;    // OpenSSL's list or NULL
    char *ca_file;        // NULL = the system's
    struct net_tls_auth { // client certificates
        char **domains;
        size_t domain_count;
        char *cert, *key; // PEM texts
    } * tls_auth;
    size_t tls_auth_count;
    bool no_connection_reuse;
    unsigned max_per_host; // connections per endpoint and client, 0 = no limit (batchPerHost)
    // Asked before each connection with the URL's host and what it resolved to; false fails the
    // exchange as a blacklisted address does. Any thread. NULL = everything is allowed.
    bool (*allow)(void *arg, struct slice host, const struct sockaddr_storage *address);
    void *allow_arg;
    // Told of each exchange that had a response, before exchange_await() returns. Any thread. May
    // be NULL. The limit search records the responses for its null server with it.
    void (*observe)(void *arg, const struct exchange *x);
    void *observe_arg;
    void *tls_context; // of net/tls.c
};

void net_settings_init(struct net_settings *s); // k6's defaults
void net_settings_fini(struct net_settings *s);
// Parses "host[:port]" or "*.host" → "ip[:port]". 0 or -EINVAL with err.
int net_settings_add_host(struct net_settings *s,
                          const char *name,
                          const char *address,
                          struct err *err);
// "10.0.0.0/8". 0 or -EINVAL with err.
int net_settings_add_blacklist(struct net_settings *s, const char *cidr, struct err *err);
// Loads certificates; after the fields are set, before the first client.
int net_settings_seal(struct net_settings *s, struct err *err);
