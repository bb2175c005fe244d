// SPDX-License-Identifier: Apache-2.0
#include "kube/env.h"

#include <ctype.h>
#include <errno.h>

#include "base/map.h"

struct build {
    struct arena *arena;
    struct kube_pairs env;
    size_t cap;
    struct err *err;
};

static void put(struct build *b, const char *name, const char *value)
{
    struct kube_pairs *env = &b->env;

    for (size_t i = 0; i < env->count; i++) {
        if (strcmp(env->items[i].key, name) == 0) {
            env->items[i].value = value;
            env->items[i].value_n = strlen(value);
            return;
        }
    }
    if (env->count == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 64;
        struct kube_pair *items = arena_alloc(b->arena, b->cap * sizeof(*items));
        if (env->count) {
            memcpy(items, env->items, env->count * sizeof(*items));
        }
        env->items = items;
    }
    env->items[env->count++] = (struct kube_pair){name, value, strlen(value)};
}

const char *kube_expand(const char *text, const struct kube_pairs *env, struct arena *arena)
{
    CLEANUP(strbuf_fini) struct strbuf out = STRBUF_NULL;

    if (!strchr(text, '$')) {
        return text;
    }
    for (const char *p = text; *p; p++) {
        const char *end = p[0] == '$' && p[1] == '(' ? strchr(p, ')') : NULL;
        if (p[0] == '$' && p[1] == '$') {
            strbuf_addc(&out, '$');
            p++;
        } else if (end) {
            CLEANUP_FREE char *name = xstrndup(p + 2, (size_t)(end - p - 2));
            const char *value = kube_pairs_get(env, name);
            if (value) {
                strbuf_adds(&out, value);
            } else {
                strbuf_add(&out, p, (size_t)(end - p) + 1);
            }
            p = end;
        } else {
            strbuf_addc(&out, *p);
        }
    }
    return arena_strndup(arena, strbuf_str(&out), out.n);
}

// "order-service" → "ORDER_SERVICE".
static const char *variable_name(struct arena *arena, const char *name)
{
    char *out = arena_strdup(arena, name);

    for (char *p = out; *p; p++) {
        *p = isalnum((unsigned char)*p) ? (char)toupper((unsigned char)*p) : '_';
    }
    return out;
}

// Kubernetes' variables and those of Docker links, as the kubelet's envvars package names them.
static void put_link(struct build *b, const struct kube_link *link)
{
    const struct kube_service *s = link->service;
    const char *name = variable_name(b->arena, s->name);

    if (!s->port_count) {
        return;
    }
    put(b, arena_printf(b->arena, "%s_SERVICE_HOST", name), link->host);
    for (size_t i = 0; i < s->port_count; i++) {
        const struct kube_service_port *p = &s->ports[i];
        const char *port = arena_printf(b->arena, "%d", kube_target_port(p, link->target));
        const char *protocol = p->tcp ? "tcp" : "udp";
        const char *prefix =
            arena_printf(b->arena, "%s_PORT_%s_%s", name, port, p->tcp ? "TCP" : "UDP");
        const char *url = arena_printf(b->arena, "%s://%s:%s", protocol, link->host, port);
        if (i == 0) {
            put(b, arena_printf(b->arena, "%s_SERVICE_PORT", name), port);
            put(b, arena_printf(b->arena, "%s_PORT", name), url);
        }
        if (p->name) {
            put(b,
                arena_printf(b->arena, "%s_SERVICE_PORT_%s", name,
                             variable_name(b->arena, p->name)),
                port);
        }
        put(b, prefix, url);
        put(b, arena_printf(b->arena, "%s_PROTO", prefix), protocol);
        put(b, arena_printf(b->arena, "%s_PORT", prefix), port);
        put(b, arena_printf(b->arena, "%s_ADDR", prefix), link->host);
    }
}

static const char *field_value(const struct kube_workload *w,
                               const struct kube_identity *who,
                               const char *path,
                               struct arena *arena)
{
    const struct {
        const char *path, *value;
    } fields[] = {{"metadata.name", who->name},
                  {"metadata.namespace", w->namespace},
                  {"metadata.uid", who->uid},
                  {"spec.nodeName", who->node},
                  {"spec.serviceAccountName", "default"},
                  {"status.hostIP", "127.0.0.1"},
                  {"status.hostIPs", "127.0.0.1"},
                  {"status.podIP", who->ip},
                  {"status.podIPs", who->ip}};

    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        if (strcmp(fields[i].path, path) == 0) {
            return fields[i].value;
        }
    }
    // metadata.labels['KEY'] or metadata.annotations['KEY']
    const char *open = strchr(path, '\'');
    if (!open || strlen(open) < 3) {
        return "";
    }
    const char *key = arena_strndup(arena, open + 1, strlen(open) - 3);
    const char *value = kube_pairs_get(
        str_starts(path, "metadata.labels") ? &w->pod.labels : &w->pod.annotations, key);
    return value ? value : "";
}

static int resource_value(struct build *b,
                          const struct kube_workload *w,
                          const struct kube_container *c,
                          const struct kube_env *e,
                          const char **ret_value)
{
    for (size_t i = 0; e->ref && i < w->pod.container_count; i++) {
        if (strcmp(w->pod.containers[i].name, e->ref) == 0) {
            c = &w->pod.containers[i];
        }
    }
    bool cpu = str_ends(e->key, "cpu");
    quantity_t value = str_starts(e->key, "limits.") ? (cpu ? c->cpu_limit : c->memory_limit)
                                                     : (cpu ? c->cpu_request : c->memory_request);
    if (!value) {
        return yaml_error(e->node, b->err, "the container '%s' sets no %s", c->name, e->key);
    }
    long long units = (long long)((value + e->divisor - 1) / e->divisor);
    *ret_value = arena_printf(b->arena, "%lld", units);
    return 0;
}

static int put_env(struct build *b,
                   const struct kube_set *set,
                   const struct kube_workload *w,
                   const struct kube_container *c,
                   const struct kube_identity *who,
                   const struct kube_env *e)
{
    const char *value = NULL;
    const struct kube_config *config;
    int r;

    switch (e->kind) {
    case KUBE_ENV_VALUE:
        value = kube_expand(e->value, &b->env, b->arena);
        break;
    case KUBE_ENV_CONFIG_MAP:
    case KUBE_ENV_SECRET:
        config = kube_find_config(set, e->kind == KUBE_ENV_SECRET, e->ref);
        value = config ? kube_pairs_get(&config->data, e->key) : NULL;
        if (!value && !e->optional) {
            return yaml_error(e->node, b->err, "'%.60s' has no key '%.60s'", e->ref, e->key);
        }
        break;
    case KUBE_ENV_FIELD:
        value = field_value(w, who, e->key, b->arena);
        break;
    case KUBE_ENV_RESOURCE:
        r = resource_value(b, w, c, e, &value);
        if (r < 0) {
            return r;
        }
        break;
    }
    if (value) {
        put(b, e->name, value);
    }
    return 0;
}

int kube_env_build(const struct kube_set *set,
                   const struct kube_workload *workload,
                   const struct kube_container *container,
                   const struct kube_identity *who,
                   struct arena *arena,
                   struct kube_pairs *ret_env,
                   struct err *err)
{
    struct build b = {.arena = arena, .err = err};

    for (size_t i = 0; who->base && i < who->base->count; i++) {
        put(&b, who->base->items[i].key, who->base->items[i].value);
    }
    for (size_t i = 0; workload->pod.service_links && i < who->link_count; i++) {
        put_link(&b, &who->links[i]);
    }
    for (size_t i = 0; i < container->env_from_count; i++) {
        const struct kube_env_from *f = &container->env_from[i];
        const struct kube_config *c = kube_find_config(set, f->kind == KUBE_ENV_SECRET, f->ref);
        for (size_t k = 0; c && k < c->data.count; k++) {
            put(&b, arena_printf(arena, "%s%s", f->prefix, c->data.items[k].key),
                c->data.items[k].value);
        }
    }
    for (size_t i = 0; i < container->env_count; i++) {
        const struct kube_env *e = &container->env[i];
        const char *over = who->over ? kube_pairs_get(who->over, e->name) : NULL;
        if (over) { // here, so that what follows sees the change
            put(&b, e->name, over);
            continue;
        }
        int r = put_env(&b, set, workload, container, who, e);
        if (r < 0) {
            return r;
        }
    }
    for (size_t i = 0; who->over && i < who->over->count; i++) {
        put(&b, who->over->items[i].key, who->over->items[i].value);
    }
    *ret_env = b.env;
    return 0;
}
