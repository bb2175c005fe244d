// SPDX-License-Identifier: Apache-2.0
// Network settings from the merged options.
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/units.h"
#include "load/options.h"
#include "load/options_value.h"

// The protocol numbers of TLS 1.0 to 1.3 (RFC 8446 4.2.1).
static const struct {
    const char *name;
    int version;
} tls_names[] = {{"tls1.0", 0x0301}, {"tls1.1", 0x0302}, {"tls1.2", 0x0303}, {"tls1.3", 0x0304}};

static int tls_version(const json_t *v, int *ret, struct err *err)
{
    if (!v || json_is_null(v) || (json_is_string(v) && !*json_string_value(v))) {
        return 0;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(tls_names); i++) {
        if (json_is_string(v) && strcmp(json_string_value(v), tls_names[i].name) == 0) {
            *ret = tls_names[i].version;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "'tlsVersion' must be tls1.0, tls1.1, tls1.2 or tls1.3");
}

static int
choose(const char *what, const char *text, const char *const *names, unsigned *ret, struct err *err)
{
    if (!text) {
        return 0;
    }
    for (unsigned i = 0; names[i]; i++) {
        if (strcmp(names[i], text) == 0) {
            *ret = i;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "dns: unknown %s '%s'", what, text);
}

static int dns(struct net_settings *s, const json_t *v, struct err *err)
{
    static const char *const selects[] = {"first", "random", "roundRobin", NULL};
    static const char *const policies[] = {"preferIPv4", "preferIPv6", "onlyIPv4",
                                           "onlyIPv6",   "any",        NULL};
    const char *ttl = json_string_value(json_object_get(v, "ttl"));
    unsigned select = s->dns_select, policy = s->dns_policy;
    int r =
        choose("select", json_string_value(json_object_get(v, "select")), selects, &select, err);

    r = r == 0 ? choose("policy", json_string_value(json_object_get(v, "policy")), policies,
                        &policy, err)
               : r;
    s->dns_select = (enum dns_select)select;
    s->dns_policy = (enum dns_policy)policy;
    if (r == 0 && ttl && strcmp(ttl, "inf") == 0) {
        s->dns_ttl = NSEC_MAX;
    } else if (r == 0 && ttl && units_parse_duration(slice_of(ttl), &s->dns_ttl) < 0) {
        r = err_set(err, -EINVAL, "dns: ttl '%s' is neither a duration nor inf", ttl);
    }
    return r;
}

static int tls_auth(struct net_settings *s, const json_t *list, struct err *err)
{
    if (!json_array_size(list)) {
        return 0;
    }
    s->tls_auth = xcalloc(json_array_size(list), sizeof(*s->tls_auth));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        struct net_tls_auth *a = &s->tls_auth[s->tls_auth_count++];
        a->cert = value_string(json_object_get(one, "cert"), NULL);
        a->key = value_string(json_object_get(one, "key"), NULL);
        a->domains = value_strings(json_object_get(one, "domains"));
        a->domain_count = json_array_size(json_object_get(one, "domains"));
        if (!a->cert || !a->key) {
            return err_set(err, -EINVAL, "tlsAuth: entry %zu needs cert and key as PEM texts",
                           i + 1);
        }
    }
    return 0;
}

int options_net(const struct run_options *o, struct net_settings *s, struct err *err)
{
#define GET(key) json_object_get(o->merged, key)
    const json_t *v = GET("tlsVersion"), *list;
    json_t *hosts = GET("hosts"), *address;
    const char *name;
    int r = 0;

    net_settings_init(s);
    s->tls_skip_verify = o->insecure_skip_tls_verify;
    s->no_connection_reuse = o->no_connection_reuse;
    s->max_per_host = o->batch_per_host;
    if (json_is_object(v)) {
        r = tls_version(json_object_get(v, "min"), &s->tls_min, err);
        r = r == 0 ? tls_version(json_object_get(v, "max"), &s->tls_max, err) : r;
    } else {
        r = tls_version(v, &s->tls_min, err);
        s->tls_max = s->tls_min;
    }
    json_object_foreach(hosts, name, address)
    {
        const char *text = json_string_value(address);
        r = r == 0 ? text ? net_settings_add_host(s, name, text, err)
                          : err_set(err, -EINVAL, "hosts: '%s' must be a text", name)
                   : r;
    }
    list = GET("blacklistIPs");
    for (size_t i = 0; i < json_array_size(list) && r == 0; i++) {
        r = net_settings_add_blacklist(s, json_string_value(json_array_get(list, i)), err);
    }
    s->blocked_hosts = value_strings(GET("blockHostnames"));
    s->blocked_host_count = json_array_size(GET("blockHostnames"));
    r = r == 0 ? dns(s, GET("dns"), err) : r;
    r = r == 0 ? tls_auth(s, GET("tlsAuth"), err) : r;
    return r;
#undef GET
}
