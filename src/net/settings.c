// SPDX-License-Identifier: Apache-2.0
#include "net/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/units.h"
#include "net/net_int.h"

void net_settings_init(struct net_settings *s)
{
    *s = (struct net_settings){
        .dns_ttl = 300 * NSEC_PER_SEC,
        .dns_select = DNS_RANDOM,
        .dns_policy = DNS_PREFER_IPV4,
        .dial_timeout = 30 * NSEC_PER_SEC,
    };
}

static void free_texts(char **list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(list[i]);
    }
    free(list);
}

void net_settings_fini(struct net_settings *s)
{
    for (size_t i = 0; i < s->host_count; i++) {
        free(s->hosts[i].name);
    }
    free(s->hosts);
    free_texts(s->blocked_hosts, s->blocked_host_count);
    free(s->blacklist);
    for (size_t i = 0; i < s->tls_auth_count; i++) {
        free_texts(s->tls_auth[i].domains, s->tls_auth[i].domain_count);
        free(s->tls_auth[i].cert);
        free(s->tls_auth[i].key);
    }
    free(s->tls_auth);
    free(s->tls_ciphers);
    free(s->ca_file);
    tls_context_free(s->tls_context);
    *s = (struct net_settings){0};
}

bool address_parse(const char *text, uint16_t port, struct sockaddr_storage *ret)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
        *ret = (struct sockaddr_storage){0};
        memcpy(ret, &in4, sizeof(in4));
        return true;
    }
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1) {
        *ret = (struct sockaddr_storage){0};
        memcpy(ret, &in6, sizeof(in6));
        return true;
    }
    return false;
}

void address_set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET) {
        ((struct sockaddr_in *)a)->sin_port = htons(port);
    } else {
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    }
}

const char *address_format(const struct sockaddr_storage *a, char *buf)
{
    const void *p = a->ss_family == AF_INET
                        ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
                        : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;

    buf[0] = 0;
    inet_ntop(a->ss_family, p, buf, 64);
    return buf;
}

// "ip", "ip:port", "[ip6]:port" or "ip6".
static bool parse_address(const char *text, struct sockaddr_storage *ret, unsigned short *ret_port)
{
    char host[80];
    const char *end = NULL;
    int64_t port = 0;

    if (address_parse(text, 0, ret)) {
        *ret_port = 0;
        return true;
    }
    if (text[0] == '[') {
        text++;
        end = strchr(text, ']');
        if (!end || (end[1] && end[1] != ':')) {
            return false;
        }
    } else {
        end = strrchr(text, ':');
    }
    if (!end || (size_t)(end - text) >= sizeof(host)) {
        return false;
    }
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = 0;
    end += *end == ']';
    if (*end == ':' && (units_parse_int(slice_of(end + 1), &port) || port < 1 || port > 65535)) {
        return false;
    }
    *ret_port = (unsigned short)port;
    return address_parse(host, 0, ret);
}

int net_settings_add_host(struct net_settings *s,
                          const char *name,
                          const char *address,
                          struct err *err)
{
    struct net_host h = {0};

    if (!*name) {
        return err_set(err, -EINVAL, "hosts: empty name");
    }
    if (!parse_address(address, &h.address, &h.port)) {
        return err_set(err, -EINVAL, "hosts: '%s' is no address (IP or IP:port) for '%s'", address,
                       name);
    }
    h.name = xstrdup(name);
    s->hosts = xreallocarray(s->hosts, s->host_count + 1, sizeof(*s->hosts));
    s->hosts[s->host_count++] = h;
    return 0;
}

static struct in6_addr map_address(const struct sockaddr_storage *a)
{
    struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    if (a->ss_family == AF_INET6) {
        return ((const struct sockaddr_in6 *)a)->sin6_addr;
    }
    memcpy(&mapped.s6_addr[12], &((const struct sockaddr_in *)a)->sin_addr, 4);
    return mapped;
}

int net_settings_add_blacklist(struct net_settings *s, const char *cidr, struct err *err)
{
    struct sockaddr_storage a;
    char host[64];
    int64_t prefix;

    cidr = cidr ? cidr : "";
    const char *slash = strchr(cidr, '/');
    if (!slash || (size_t)(slash - cidr) >= sizeof(host)) {
        return err_set(err, -EINVAL, "blacklistIPs: '%s' is no range such as 10.0.0.0/8", cidr);
    }
    memcpy(host, cidr, (size_t)(slash - cidr));
    host[slash - cidr] = 0;
    if (!address_parse(host, 0, &a) || units_parse_int(slice_of(slash + 1), &prefix) ||
        prefix < 0 || prefix > (a.ss_family == AF_INET ? 32 : 128)) {
        return err_set(err, -EINVAL, "blacklistIPs: '%s' is no range such as 10.0.0.0/8", cidr);
    }
    s->blacklist = xreallocarray(s->blacklist, s->blacklist_count + 1, sizeof(*s->blacklist));
    s->blacklist[s->blacklist_count++] = (struct net_cidr){
        .address = map_address(&a),
        .prefix = (unsigned)prefix + (a.ss_family == AF_INET ? 96 : 0),
    };
    return 0;
}

// "*.suffix" and "*" match beginnings of any length.
static bool matches(const char *pattern, const char *host)
{
    size_t n = strlen(host), m;

    if (pattern[0] != '*') {
        return strcasecmp(pattern, host) == 0;
    }
    m = strlen(pattern + 1);
    return n >= m && strcasecmp(host + n - m, pattern + 1) == 0;
}

// "host:port" beats "host"; among patterns the longest wins.
const struct net_host *
settings_find_host(const struct net_settings *s, const char *host, uint16_t port)
{
    const struct net_host *best = NULL;
    size_t best_score = 0;
    char with_port[300];

    snprintf(with_port, sizeof(with_port), "%s:%u", host, port);
    for (size_t i = 0; i < s->host_count; i++) {
        const struct net_host *h = &s->hosts[i];
        size_t score = matches(h->name, with_port) ? 2 : matches(h->name, host) ? 1 : 0;
        if (score) {
            score += h->name[0] == '*' ? strlen(h->name) : 1000;
        }
        if (score > best_score) {
            best_score = score;
            best = h;
        }
    }
    return best;
}

const char *settings_blocked_host(const struct net_settings *s, const char *host)
{
    for (size_t i = 0; i < s->blocked_host_count; i++) {
        if (matches(s->blocked_hosts[i], host)) {
            return s->blocked_hosts[i];
        }
    }
    return NULL;
}

const struct net_cidr *settings_blacklisted(const struct net_settings *s,
                                            const struct sockaddr_storage *a)
{
    struct in6_addr ip = map_address(a);

    for (size_t i = 0; i < s->blacklist_count; i++) {
        const struct net_cidr *c = &s->blacklist[i];
        unsigned whole = c->prefix / 8, bits = c->prefix % 8;
        unsigned char mask = (unsigned char)(0xff00 >> bits);
        if (memcmp(&ip, &c->address, whole) == 0 &&
            (!bits || ((ip.s6_addr[whole] ^ c->address.s6_addr[whole]) & mask) == 0)) {
            return c;
        }
    }
    return NULL;
}

int net_settings_seal(struct net_settings *s, struct err *err)
{
    return tls_context_new(s, &s->tls_context, err);
}
