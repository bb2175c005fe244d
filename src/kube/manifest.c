// SPDX-License-Identifier: Apache-2.0
#include "kube/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/fs.h"
#include "kube/read.h"

struct kube_memory {
    struct arena arena;
    struct yaml_file **files;
    size_t file_count, file_cap;
    size_t workload_cap, service_cap, config_cap, skipped_cap;
};

void kube_sources_add_text(struct kube_sources *s, const char *name, struct slice text)
{
    ARRAY_RESERVE(s->items, s->count, s->cap);
    s->items[s->count++] =
        (struct kube_source){xstrdup(name), xstrndup(text.n ? text.p : "", text.n), text.n};
}

static int add_file(struct kube_sources *s, const char *path, struct err *err)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;

    if (s->count >= KUBE_FILES_MAX) {
        return err_set(err, -E2BIG, "more than %d files of manifests", (int)KUBE_FILES_MAX);
    }
    int r = fs_read(path, YAML_BYTES_MAX, &text, err);
    if (r == 0) {
        kube_sources_add_text(s, path, (struct slice){text.p, text.n});
    }
    return r;
}

static int is_manifest(const struct dirent *entry)
{
    return entry->d_name[0] != '.' &&
           (str_ends(entry->d_name, ".yaml") || str_ends(entry->d_name, ".yml") ||
            str_ends(entry->d_name, ".json"));
}

int kube_sources_add(struct kube_sources *s, const char *path, struct err *err)
{
    struct dirent **entries = NULL;
    struct stat st;

    if (strcmp(path, "-") == 0 || stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
        return add_file(s, path, err);
    }
    int count = scandir(path, &entries, is_manifest, alphasort);
    if (count < 0) {
        return err_set(err, -errno, "cannot read the directory '%s': %s", path, err_errno(errno));
    }
    int r = count
                ? 0
                : err_set(err, -ENOENT, "the directory '%s' has no *.yaml, *.yml or *.json", path);
    for (int i = 0; i < count; i++) {
        CLEANUP_FREE char *file = fs_join(path, entries[i]->d_name);
        if (r == 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode)) {
            r = add_file(s, file, err);
        }
        free(entries[i]);
    }
    free(entries);
    return r;
}

void kube_sources_fini(struct kube_sources *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->items[i].name);
        free(s->items[i].text);
    }
    free(s->items);
    *s = (struct kube_sources)KUBE_SOURCES_NULL;
}

const char *kube_pairs_get(const struct kube_pairs *pairs, const char *key)
{
    for (size_t i = 0; i < pairs->count; i++) {
        if (strcmp(pairs->items[i].key, key) == 0) {
            return pairs->items[i].value;
        }
    }
    return NULL;
}

bool kube_selects(const struct kube_pairs *selector, const struct kube_pairs *labels)
{
    for (size_t i = 0; i < selector->count; i++) {
        const char *value = kube_pairs_get(labels, selector->items[i].key);
        if (!value || strcmp(value, selector->items[i].value) != 0) {
            return false;
        }
    }
    return selector->count > 0;
}

const struct kube_workload *kube_find_workload(const struct kube_set *set, const char *name)
{
    for (size_t i = 0; i < set->workload_count; i++) {
        if (strcmp(set->workloads[i].name, name) == 0) {
            return &set->workloads[i];
        }
    }
    return NULL;
}

const struct kube_service *kube_find_service(const struct kube_set *set, const char *name)
{
    for (size_t i = 0; i < set->service_count; i++) {
        if (strcmp(set->services[i].name, name) == 0) {
            return &set->services[i];
        }
    }
    return NULL;
}

const struct kube_config *
kube_find_config(const struct kube_set *set, bool secret, const char *name)
{
    for (size_t i = 0; i < set->config_count; i++) {
        if (set->configs[i].secret == secret && strcmp(set->configs[i].name, name) == 0) {
            return &set->configs[i];
        }
    }
    return NULL;
}

void kube_set_generated(struct kube_set *set,
                        const struct kube_config *secret,
                        const char *key,
                        const char *value)
{
    struct kube_pairs *data = &set->configs[secret - set->configs].data;
    struct arena *a = &set->memory->arena;
    size_t i = 0;

    while (i < data->count && strcmp(data->items[i].key, key) != 0) {
        i++;
    }
    if (i == data->count) {
        struct kube_pair *items = arena_alloc(a, (i + 1) * sizeof(*items));
        if (i) {
            memcpy(items, data->items, i * sizeof(*items));
        }
        data->items = items;
        data->count++;
    }
    data->items[i] =
        (struct kube_pair){arena_strdup(a, key), arena_strdup(a, value), strlen(value)};
}

int kube_target_port(const struct kube_service_port *port, const struct kube_pod *pod)
{
    for (size_t c = 0; port->target_name && c < pod->container_count; c++) {
        const struct kube_container *container = &pod->containers[c];
        for (size_t i = 0; i < container->port_count; i++) {
            if (container->ports[i].name &&
                strcmp(container->ports[i].name, port->target_name) == 0) {
                return container->ports[i].number;
            }
        }
    }
    return port->target;
}

enum object {
    OBJECT_DEPLOYMENT,
    OBJECT_STATEFUL_SET,
    OBJECT_SERVICE,
    OBJECT_CONFIG_MAP,
    OBJECT_SECRET,
    OBJECT_LIST,
    OBJECT_OTHER,
};

static const char *const KINDS[] = {"Deployment", "StatefulSet", "Service",
                                    "ConfigMap",  "Secret",      "List"};
static const char *const VERSIONS[] = {"apps/v1", "apps/v1", "v1", "v1", "v1", "v1"};

static int
doubled(struct kube_reader *r, const struct yaml_node *root, const struct yaml_node *before)
{
    const struct yaml_node *name = yaml_get(yaml_get(root, "metadata"), "name");

    return yaml_error(name, r->err, "there is a %s '%.80s' already, in %.100s:%d",
                      yaml_get(root, "kind")->text, name->text, before->file, before->line);
}

static int add_workload(struct kube_reader *r,
                        struct kube_set *set,
                        const struct yaml_node *root,
                        enum kube_workload_kind kind)
{
    struct kube_workload w;

    TRY(kube_read_workload(r, root, kind, &w));
    const struct kube_workload *before = kube_find_workload(set, w.name);
    if (before) {
        // Pods are named after their workload, so one name is for one workload of either kind.
        return doubled(r, root, before->node);
    }
    ARRAY_RESERVE(set->workloads, set->workload_count, set->memory->workload_cap);
    set->workloads[set->workload_count++] = w;
    return 0;
}

static int add_service(struct kube_reader *r, struct kube_set *set, const struct yaml_node *root)
{
    struct kube_service s;

    TRY(kube_read_service(r, root, &s));
    const struct kube_service *before = kube_find_service(set, s.name);
    if (before) {
        return doubled(r, root, before->node);
    }
    ARRAY_RESERVE(set->services, set->service_count, set->memory->service_cap);
    set->services[set->service_count++] = s;
    return 0;
}

static int
add_config(struct kube_reader *r, struct kube_set *set, const struct yaml_node *root, bool secret)
{
    struct kube_config c;

    TRY(kube_read_config(r, root, secret, &c));
    const struct kube_config *before = kube_find_config(set, secret, c.name);
    if (before) {
        return doubled(r, root, before->node);
    }
    ARRAY_RESERVE(set->configs, set->config_count, set->memory->config_cap);
    set->configs[set->config_count++] = c;
    return 0;
}

static int add_skipped(struct kube_reader *r,
                       struct kube_set *set,
                       const struct yaml_node *root,
                       const char *kind)
{
    const struct yaml_node *kind_node = yaml_get(root, "kind");
    const char *meant = str_suggest(kind, KINDS, ARRAY_SIZE(KINDS));
    const char *name = "";

    if (meant) {
        return yaml_error(kind_node, r->err, "unknown kind '%.80s', did you mean '%s'?", kind,
                          meant);
    }
    TRY(kube_read_string(r, yaml_get(root, "metadata"), "name", &name));
    ARRAY_RESERVE(set->skipped, set->skipped_count, set->memory->skipped_cap);
    set->skipped[set->skipped_count++] = (struct kube_skipped){kind, name, root};
    return 0;
}

static int add_object(struct kube_reader *r, struct kube_set *set, const struct yaml_node *root)
{
    const char *kind;
    const char *version;
    unsigned object = 0;

    TRY(yaml_expect(root, YAML_MAP, r->err));
    if (!yaml_get(root, "kind") || !yaml_get(root, "apiVersion")) {
        return yaml_missing(root, yaml_get(root, "kind") ? "apiVersion" : "kind", r->err);
    }
    TRY(yaml_string(yaml_get(root, "kind"), &kind, r->err));
    TRY(yaml_string(yaml_get(root, "apiVersion"), &version, r->err));
    while (object < OBJECT_OTHER && strcmp(KINDS[object], kind) != 0) {
        object++;
    }
    // Services exist elsewhere too, for instance as serving.knative.dev/v1.
    if (object != OBJECT_OTHER && strcmp(version, VERSIONS[object]) != 0) {
        if (!strchr(version, '.')) {
            return yaml_error(yaml_get(root, "apiVersion"), r->err, "a %s is of '%s', not '%.60s'",
                              kind, VERSIONS[object], version);
        }
        object = OBJECT_OTHER;
    }
    switch ((enum object)object) {
    case OBJECT_DEPLOYMENT:
        return add_workload(r, set, root, KUBE_DEPLOYMENT);
    case OBJECT_STATEFUL_SET:
        return add_workload(r, set, root, KUBE_STATEFUL_SET);
    case OBJECT_SERVICE:
        return add_service(r, set, root);
    case OBJECT_CONFIG_MAP:
    case OBJECT_SECRET:
        return add_config(r, set, root, object == OBJECT_SECRET);
    case OBJECT_LIST: {
        KEYS(keys, "apiVersion", "kind", "metadata", "items");
        const struct yaml_node *items;
        TRY(CHECK_KEYS(r, root, keys));
        TRY(kube_read_list(r, root, "items", &items));
        for (unsigned i = 0; items && i < items->count; i++) {
            TRY(add_object(r, set, items->items[i]));
        }
        return 0;
    }
    case OBJECT_OTHER:
        break;
    }
    return add_skipped(r, set, root, kind);
}

// The message for a reference to a config, or a key of one, that is not there.
static int check_ref(struct kube_reader *r,
                     const struct kube_set *set,
                     enum kube_env_kind kind,
                     const char *name,
                     const char *key,
                     const struct yaml_node *node)
{
    bool secret = kind == KUBE_ENV_SECRET;
    const struct kube_config *c = kube_find_config(set, secret, name);
    const char *what = secret ? "Secret" : "ConfigMap";

    if (!c) {
        return yaml_error(node, r->err, "there is no %s '%.80s' in these manifests", what, name);
    }
    if (!key || kube_pairs_get(&c->data, key)) {
        return 0;
    }
    const char *keys[64];
    size_t count = 0;
    for (size_t i = 0; i < c->generate.count; i++) {
        if (strcmp(c->generate.items[i], key) == 0) {
            return 0;
        }
    }
    for (size_t i = 0; i < c->data.count && count < ARRAY_SIZE(keys); i++) {
        keys[count++] = c->data.items[i].key;
    }
    const char *meant = str_suggest(key, keys, count);
    return yaml_error(node, r->err,
                      meant ? "the %s '%.60s' has no key '%.60s', did you mean '%.60s'?"
                            : "the %s '%.60s' has no key '%.60s'",
                      what, name, key, meant);
}

static int
check_container(struct kube_reader *r, const struct kube_set *set, const struct kube_container *c)
{
    for (size_t i = 0; i < c->env_count; i++) {
        const struct kube_env *e = &c->env[i];
        if ((e->kind == KUBE_ENV_CONFIG_MAP || e->kind == KUBE_ENV_SECRET) && !e->optional) {
            const struct yaml_node *from = yaml_get(e->node, "valueFrom");
            TRY(check_ref(r, set, e->kind, e->ref, e->key, from->items[0]));
        }
    }
    for (size_t i = 0; i < c->env_from_count; i++) {
        const struct kube_env_from *e = &c->env_from[i];
        if (!e->optional) {
            TRY(check_ref(r, set, e->kind, e->ref, NULL, e->node));
        }
    }
    return 0;
}

static int check_references(struct kube_reader *r, const struct kube_set *set)
{
    for (size_t i = 0; i < set->workload_count; i++) {
        const struct kube_pod *pod = &set->workloads[i].pod;
        for (size_t c = 0; c < pod->container_count; c++) {
            TRY(check_container(r, set, &pod->containers[c]));
        }
        for (size_t c = 0; c < pod->init_count; c++) {
            TRY(check_container(r, set, &pod->init_containers[c]));
        }
    }
    for (size_t i = 0; i < set->service_count; i++) {
        const struct kube_service *s = &set->services[i];
        for (size_t w = 0; w < set->workload_count; w++) {
            const struct kube_pod *pod = &set->workloads[w].pod;
            for (size_t p = 0; p < s->port_count && kube_selects(&s->selector, &pod->labels); p++) {
                if (!kube_target_port(&s->ports[p], pod)) {
                    return yaml_error(yaml_get(s->ports[p].node, "targetPort"), r->err,
                                      "no container of '%.60s' has a port named '%s'",
                                      set->workloads[w].name, s->ports[p].target_name);
                }
            }
        }
    }
    return 0;
}

int kube_load(const struct kube_sources *sources, struct kube_set **ret_set, struct err *err)
{
    CLEANUP(kube_set_free_p) struct kube_set *set = XNEW(struct kube_set);
    struct kube_memory *m = set->memory = XNEW(struct kube_memory);
    struct kube_reader r = {&m->arena, err};

    for (size_t i = 0; i < sources->count; i++) {
        const struct kube_source *s = &sources->items[i];
        ARRAY_RESERVE(m->files, m->file_count, m->file_cap);
        TRY(yaml_parse(s->name, (struct slice){s->text, s->text_n}, &m->files[m->file_count], err));
        struct yaml_file *file = m->files[m->file_count++];
        for (unsigned d = 0; d < yaml_count(file); d++) {
            const struct yaml_node *root = yaml_document(file, d);
            TRY(root->type == YAML_NULL ? 0 : add_object(&r, set, root));
        }
    }
    TRY(check_references(&r, set));
    *ret_set = TAKE(set);
    return 0;
}

void kube_set_free(struct kube_set *set)
{
    if (!set) {
        return;
    }
    for (size_t i = 0; i < set->memory->file_count; i++) {
        yaml_free(set->memory->files[i]);
    }
    free(set->memory->files);
    arena_fini(&set->memory->arena);
    free(set->memory);
    free(set->workloads);
    free(set->services);
    free(set->configs);
    free(set->skipped);
    free(set);
}
