// SPDX-License-Identifier: Apache-2.0
#include "plan/plan_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/units.h"
#include "observe/observer.h"

#define CHECK_KEYS(node, err, ...)                                                                 \
    check_map((node), (const char *const[]){__VA_ARGS__},                                          \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), (err))

static int
check_map(const struct yaml_node *node, const char *const *names, size_t count, struct err *err)
{
    int r = yaml_expect(node, YAML_MAP, err);

    return r ? r : yaml_check_keys(node, names, count, err);
}

static int required(const struct yaml_node *map,
                    const char *key,
                    const struct yaml_node **ret_node,
                    struct err *err)
{
    *ret_node = yaml_get(map, key);
    return *ret_node ? 0 : yaml_missing(map, key, err);
}

static int
required_string(const struct yaml_node *map, const char *key, const char **ret, struct err *err)
{
    const struct yaml_node *node;
    int r = required(map, key, &node, err);

    return r ? r : yaml_string(node, ret, err);
}

static int too_many(const struct yaml_node *node, struct err *err)
{
    return yaml_error(node, err, "more than %d entries", PLAN_ITEMS_MAX);
}

// NAME: "value" or NAME: {secretKeyRef: {name, key}}
static int
read_env(const struct yaml_node *map, struct plan_env *items, size_t *count, struct err *err)
{
    if (!map) {
        return 0;
    }
    int r = yaml_expect(map, YAML_MAP, err);
    if (!r && map->count > PLAN_ITEMS_MAX) {
        return too_many(map, err);
    }
    for (unsigned i = 0; !r && i < map->count; i++) {
        const struct yaml_node *value = map->items[i];
        struct plan_env *e = &items[(*count)++];
        *e = (struct plan_env){.name = value->key, .node = value};
        if (value->type != YAML_MAP) {
            r = yaml_text(value, &e->value, err);
            continue;
        }
        const struct yaml_node *ref;
        r = CHECK_KEYS(value, err, "secretKeyRef");
        r = r ? r : required(value, "secretKeyRef", &ref, err);
        r = r ? r : CHECK_KEYS(ref, err, "name", "key");
        r = r ? r : required_string(ref, "name", &e->secret, err);
        r = r ? r : required_string(ref, "key", &e->key, err);
    }
    return r;
}

static int read_holds(const struct yaml_node *map, struct plan_limit *l, struct err *err)
{
    if (!map) {
        return 0;
    }
    int r = yaml_expect(map, YAML_MAP, err);
    if (!r && map->count > PLAN_ITEMS_MAX) {
        return too_many(map, err);
    }
    for (unsigned i = 0; !r && i < map->count; i++) {
        const struct yaml_node *node = map->items[i];
        struct plan_hold *h = &l->holds[l->hold_count++];
        int64_t replicas = -1;
        *h = (struct plan_hold){.service = node->key, .node = node};
        r = CHECK_KEYS(node, err, "env", "replicas");
        r = r ? r : read_env(yaml_get(node, "env"), h->env, &h->env_count, err);
        if (!r && yaml_get(node, "replicas")) {
            r = yaml_int(yaml_get(node, "replicas"), 0, 100, &replicas, err);
        }
        h->replicas = (int)replicas;
    }
    return r;
}

static int read_knob(const struct yaml_node *node, struct plan_knob *k, struct err *err)
{
    const struct yaml_node *scale = yaml_get(node, "scale");
    int r = CHECK_KEYS(node, err, "env", "scale", "cpu");

    *k = (struct plan_knob){.scale = 1.5};
    if (r) {
        return r;
    }
    if (yaml_get(node, "cpu")) {
        scale = yaml_get(node, "cpu");
        if (yaml_get(node, "env")) {
            return yaml_error(node, err, "a knob is either 'env' or 'cpu'");
        }
    } else {
        r = required_string(node, "env", &k->env, err);
    }
    r = r || !scale ? r : yaml_double(scale, &k->scale, err);
    if (!r && (k->scale <= 0.1 || k->scale > 10 || k->scale == 1)) {
        return yaml_error(scale, err,
                          "expected a factor from 0.1 to 10 that is not 1, such as 1.5");
    }
    return r;
}

static int read_deficit(const struct yaml_node *node, struct plan_deficit *d, struct err *err)
{
    char names[2][64];
    char share[32];
    int end = 0;
    int *const metrics[2] = {&d->ahead, &d->behind};
    int r = yaml_string(node, &d->text, err);

    if (r) {
        return r;
    }
    int n = sscanf(d->text, " deficit ( %63[a-zA-Z0-9_.] , %63[a-zA-Z0-9_.] ) < %31[0-9.%%] %n",
                   names[0], names[1], share, &end);
    if (n != 3 || d->text[end] || units_parse_share(slice_of(share), &d->allowed) ||
        d->allowed <= 0 || d->allowed >= 1) {
        return yaml_error(node, err,
                          "expected 'deficit(AHEAD, BEHIND) < 1%%' with two counters, found '%s'",
                          d->text);
    }
    for (int i = 0; i < 2; i++) {
        *metrics[i] = observe_metric_by_name(names[i]);
        if (*metrics[i] < 0) {
            return yaml_error(node, err,
                              "'%s' is no counter that is observed; try nats.consumer.offered, "
                              "nats.consumer.delivered or nats.consumer.acked",
                              names[i]);
        }
    }
    return 0;
}

static int
read_limit(const char *dir, const struct yaml_node *node, struct plan_limit *l, struct err *err)
{
    const struct yaml_node *knobs = yaml_get(node, "knobs");
    const struct yaml_node *sustained = yaml_get(node, "sustained");
    const char *script = NULL;
    int r = CHECK_KEYS(node, err, "service", "script", "env", "hold", "knobs", "sustained");

    l->node = node;
    r = r ? r : required_string(node, "service", &l->service, err);
    r = r ? r : required_string(node, "script", &script, err);
    if (r) {
        return r;
    }
    l->script = fs_join(dir, script);
    if (!fs_exists(l->script)) {
        return yaml_error(yaml_get(node, "script"), err, "there is no file '%s'", l->script);
    }
    r = read_env(yaml_get(node, "env"), l->env, &l->env_count, err);
    r = r ? r : read_holds(yaml_get(node, "hold"), l, err);
    r = r || !knobs ? r : yaml_expect(knobs, YAML_LIST, err);
    for (unsigned i = 0; !r && knobs && i < knobs->count; i++) {
        r = l->knob_count == PLAN_ITEMS_MAX
                ? too_many(knobs, err)
                : read_knob(knobs->items[i], &l->knobs[l->knob_count++], err);
    }
    r = r || !sustained ? r : yaml_expect(sustained, YAML_LIST, err);
    for (unsigned i = 0; !r && sustained && i < sustained->count; i++) {
        if (i == 4) {
            return yaml_error(sustained, err, "more than 4 entries");
        }
        r = read_deficit(sustained->items[i], &l->sustained[l->sustained_count++], err);
    }
    return r;
}

static int
read_system(const char *dir, const struct yaml_node *spec, struct plan_file *p, struct err *err)
{
    const struct yaml_node *system;
    const struct yaml_node *manifests;
    const char *profile = "lab";
    int r = required(spec, "system", &system, err);

    r = r ? r : CHECK_KEYS(system, err, "manifests", "profile", "context", "namespace");
    if (!r && (yaml_get(system, "context") || yaml_get(system, "namespace"))) {
        return yaml_error(system, err,
                          "a system on a cluster is not available in this version: give "
                          "'manifests', they run as local pods");
    }
    if (!r && yaml_get(system, "profile")) {
        r = yaml_string(yaml_get(system, "profile"), &profile, err);
    }
    if (!r && strcmp(profile, "lab") != 0) {
        return yaml_error(yaml_get(system, "profile"), err, "expected 'lab', found '%s'", profile);
    }
    r = r ? r : required(system, "manifests", &manifests, err);
    r = r ? r : yaml_expect(manifests, YAML_LIST, err);
    if (r) {
        return r;
    }
    p->manifests = xcalloc(manifests->count + 1, sizeof(char *));
    for (unsigned i = 0; !r && i < manifests->count; i++) {
        const char *name;
        r = yaml_string(manifests->items[i], &name, err);
        if (!r) {
            p->manifests[p->manifest_count++] = fs_join(dir, name);
        }
        if (!r && !fs_exists(p->manifests[i])) {
            return yaml_error(manifests->items[i], err, "there is no file or directory '%s'",
                              p->manifests[i]);
        }
    }
    return r;
}

static int
read_spec(const char *dir, const struct yaml_node *spec, struct plan_file *p, struct err *err)
{
    static const char *const later[] = {"autoscale", "chaos", "forecast"};
    const struct yaml_node *limits;
    size_t skipped = 0;
    int r = CHECK_KEYS(spec, err, "system", "limits", "autoscale", "chaos", "forecast");

    r = r ? r : read_system(dir, spec, p, err);
    r = r ? r : required(spec, "limits", &limits, err);
    r = r ? r : yaml_expect(limits, YAML_LIST, err);
    if (r) {
        return r;
    }
    if (limits->count == 0 || limits->count > PLAN_LIMITS_MAX) {
        return yaml_error(limits, err, "expected 1 to %d services", PLAN_LIMITS_MAX);
    }
    p->limits = xcalloc(limits->count, sizeof(*p->limits));
    for (unsigned i = 0; !r && i < limits->count; i++) {
        r = read_limit(dir, limits->items[i], &p->limits[p->limit_count++], err);
        for (unsigned k = 0; !r && k < i; k++) {
            if (strcmp(p->limits[k].service, p->limits[i].service) == 0) {
                r = yaml_error(yaml_get(limits->items[i], "service"), err, "'%s' is there twice",
                               p->limits[i].service);
            }
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(later); i++) {
        if (yaml_get(spec, later[i])) {
            p->skipped[skipped++] = later[i];
        }
    }
    return r;
}

static int
read_document(const char *path, const struct yaml_node *root, struct plan_file *p, struct err *err)
{
    CLEANUP_FREE char *dir = fs_dirname(path);
    const struct yaml_node *metadata;
    const struct yaml_node *spec;
    const char *version;
    const char *kind;
    int r = CHECK_KEYS(root, err, "apiVersion", "kind", "metadata", "spec");

    r = r ? r : required_string(root, "apiVersion", &version, err);
    r = r ? r : required_string(root, "kind", &kind, err);
    if (!r && strcmp(version, "plimsoll.dev/v1") != 0) {
        return yaml_error(yaml_get(root, "apiVersion"), err,
                          "expected 'plimsoll.dev/v1', found '%s'", version);
    }
    if (!r && strcmp(kind, "CapacityPlan") != 0) {
        return yaml_error(yaml_get(root, "kind"), err, "expected 'CapacityPlan', found '%s'", kind);
    }
    r = r ? r : required(root, "metadata", &metadata, err);
    r = r ? r : CHECK_KEYS(metadata, err, "name");
    r = r ? r : required_string(metadata, "name", &p->name, err);
    r = r ? r : required(root, "spec", &spec, err);
    return r ? r : read_spec(dir, spec, p, err);
}

int plan_file_read(const char *path, struct plan_file **ret_plan, struct err *err)
{
    struct plan_file *p = XNEW(struct plan_file);
    int r = yaml_read(path, &p->yaml, err);

    if (!r && yaml_count(p->yaml) != 1) {
        r = err_set(err, -EINVAL, "a plan file holds one document, this one has %u",
                    yaml_count(p->yaml));
        err_at(err, path, 1, 0);
    }
    r = r ? r : read_document(path, yaml_document(p->yaml, 0), p, err);
    if (r) {
        plan_file_free(p);
        return r;
    }
    *ret_plan = p;
    return 0;
}

void plan_file_free(struct plan_file *p)
{
    if (!p) {
        return;
    }
    for (size_t i = 0; i < p->limit_count; i++) {
        free(p->limits[i].script);
    }
    for (size_t i = 0; i < p->manifest_count; i++) {
        free(p->manifests[i]);
    }
    free(p->limits);
    free(p->manifests);
    yaml_free(p->yaml);
    free(p);
}
