// SPDX-License-Identifier: Apache-2.0
// Services, ConfigMaps and Secrets.
#include <errno.h>

#include "codec/base64.h"
#include "kube/read.h"

static int read_service_port(struct kube_reader *r,
                             const struct yaml_node *node,
                             struct kube_service_port *port)
{
    KEYS(keys, "name", "protocol", "appProtocol", "port", "targetPort", "nodePort");
    const struct yaml_node *target = yaml_get(node, "targetPort");
    const char *protocol = "TCP";
    int64_t number;

    *port = (struct kube_service_port){.node = node};
    TRY(CHECK_KEYS(r, node, keys));
    if (!yaml_get(node, "port")) {
        return yaml_missing(node, "port", r->err);
    }
    TRY(yaml_int(yaml_get(node, "port"), 1, 65535, &number, r->err));
    port->port = port->target = (int)number;
    TRY(kube_read_string(r, node, "name", &port->name));
    TRY(kube_read_string(r, node, "protocol", &protocol));
    port->tcp = strcmp(protocol, "TCP") == 0;
    return target ? kube_read_port(r, target, &port->target, &port->target_name) : 0;
}

int kube_read_service(struct kube_reader *r,
                      const struct yaml_node *root,
                      struct kube_service *ret_service)
{
    KEYS(root_keys, "apiVersion", "kind", "metadata", "spec", "status");
    KEYS(keys, "ports", "selector", "clusterIP", "clusterIPs", "type", "externalIPs",
         "sessionAffinity", "loadBalancerIP", "loadBalancerSourceRanges", "externalName",
         "externalTrafficPolicy", "healthCheckNodePort", "publishNotReadyAddresses",
         "sessionAffinityConfig", "ipFamilies", "ipFamilyPolicy", "allocateLoadBalancerNodePorts",
         "loadBalancerClass", "internalTrafficPolicy", "trafficDistribution");
    const struct yaml_node *spec = yaml_get(root, "spec");
    struct kube_service s = {.node = root};
    const struct yaml_node *ports;
    const char *cluster_ip = "";
    struct kube_meta meta;

    TRY(CHECK_KEYS(r, root, root_keys));
    if (!yaml_get(root, "metadata") || !spec) {
        return yaml_missing(root, spec ? "metadata" : "spec", r->err);
    }
    TRY(kube_read_meta(r, yaml_get(root, "metadata"), true, &meta));
    s.name = meta.name;
    s.namespace = meta.namespace;
    TRY(CHECK_KEYS(r, spec, keys));
    TRY(kube_read_pairs(r, yaml_get(spec, "selector"), &s.selector));
    TRY(kube_read_string(r, spec, "clusterIP", &cluster_ip));
    s.headless = strcmp(cluster_ip, "None") == 0;
    TRY(kube_read_list(r, spec, "ports", &ports));
    if (ports) {
        s.ports = arena_alloc(r->arena, (ports->count + 1) * sizeof(*s.ports));
        s.port_count = ports->count;
        YAML_FOREACH(it, ports)
        {
            TRY(read_service_port(r, it, &s.ports[it->index]));
            if (ports->count > 1 && !s.ports[it->index].name) {
                return yaml_missing(it, "name", r->err);
            }
        }
    }
    *ret_service = s;
    return 0;
}

static bool is_data_key(const char *key)
{
    return *key && strlen(key) <= 253 &&
           key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")] ==
               0;
}

// Adds a map's entries to data; later maps win.
static int
add_data(struct kube_reader *r, const struct yaml_node *map, bool base64, struct kube_pairs *data)
{
    struct kube_pairs pairs;

    TRY(kube_read_pairs(r, map, &pairs));
    struct kube_pairs all = {
        arena_alloc(r->arena, (data->count + pairs.count + 1) * sizeof(struct kube_pair)),
        data->count};
    if (data->count) {
        memcpy(all.items, data->items, data->count * sizeof(struct kube_pair));
    }
    for (size_t i = 0; i < pairs.count; i++) {
        struct kube_pair *p = &pairs.items[i];
        const struct yaml_node *n = map->items[i];
        if (!is_data_key(p->key)) {
            yaml_error(n, r->err, "a key has letters, digits, '-', '_' and '.' only");
            err_at(r->err, n->file, n->key_line, n->key_column);
            return -EINVAL;
        }
        if (base64) {
            CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
            if (base64_decode((struct slice){p->value, p->value_n}, &b) < 0) {
                return yaml_error(n, r->err, "is not base64; plain text belongs to stringData");
            }
            p->value = arena_strndup(r->arena, strbuf_str(&b), b.n);
            p->value_n = b.n;
        }
        size_t at = 0;
        while (at < all.count && strcmp(all.items[at].key, p->key) != 0) {
            at++;
        }
        all.items[at] = *p;
        all.count += at == all.count;
    }
    *data = all;
    return 0;
}

// "KEY1, KEY2" of the annotation plimsoll.dev/generate.
static int
read_generate(struct kube_reader *r, const struct kube_meta *meta, struct kube_config *config)
{
    const char *text = kube_pairs_get(&meta->annotations, "plimsoll.dev/generate");
    struct slice rest = slice_of(text);

    if (!text) {
        return 0;
    }
    const struct yaml_node *node = yaml_find(meta->annotations_node, "plimsoll.dev/generate");
    if (!config->secret) {
        return yaml_error(node, r->err, "is for a Secret");
    }
    config->generate.items = arena_alloc(r->arena, (rest.n / 2 + 1) * sizeof(char *));
    while (rest.n) {
        struct slice key = slice_trim(slice_cut(&rest, ','));
        const char *name = arena_strndup(r->arena, key.p, key.n);
        if (!is_data_key(name)) {
            return yaml_error(node, r->err, "'%.80s' is no key of a secret: KEY1,KEY2", name);
        }
        config->generate.items[config->generate.count++] = name;
    }
    return 0;
}

int kube_read_config(struct kube_reader *r,
                     const struct yaml_node *root,
                     bool secret,
                     struct kube_config *ret_config)
{
    KEYS(map_keys, "apiVersion", "kind", "metadata", "data", "binaryData", "immutable");
    KEYS(secret_keys, "apiVersion", "kind", "metadata", "data", "stringData", "immutable", "type");
    struct kube_config c = {.secret = secret, .node = root};
    struct kube_meta meta;

    TRY(secret ? CHECK_KEYS(r, root, secret_keys) : CHECK_KEYS(r, root, map_keys));
    if (!yaml_get(root, "metadata")) {
        return yaml_missing(root, "metadata", r->err);
    }
    TRY(kube_read_meta(r, yaml_get(root, "metadata"), true, &meta));
    c.name = meta.name;
    c.namespace = meta.namespace;
    TRY(add_data(r, yaml_get(root, "data"), secret, &c.data));
    TRY(add_data(r, yaml_get(root, "binaryData"), true, &c.data));
    TRY(add_data(r, yaml_get(root, "stringData"), false, &c.data));
    TRY(read_generate(r, &meta, &c));
    *ret_config = c;
    return 0;
}
