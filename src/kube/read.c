// SPDX-License-Identifier: Apache-2.0
#include "kube/read.h"

#include <ctype.h>
#include <errno.h>

bool kube_is_dns_name(const char *text, size_t max, bool dots)
{
    size_t n = strlen(text);

    if (!n || n > max) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool edge = i == 0 || i + 1 == n || text[i - 1] == '.' || text[i + 1] == '.';
        bool inner = (c == '-' && !edge) || (c == '.' && dots && i > 0 && i + 1 < n);
        if (!islower((unsigned char)c) && !isdigit((unsigned char)c) && !inner) {
            return false;
        }
    }
    return true;
}

int kube_read_pairs(struct kube_reader *r,
                    const struct yaml_node *node,
                    struct kube_pairs *ret_pairs)
{
    if (!node) {
        *ret_pairs = (struct kube_pairs){0};
        return 0;
    }
    TRY(yaml_expect(node, YAML_MAP, r->err));
    struct kube_pairs pairs = {arena_alloc(r->arena, (node->count + 1) * sizeof(struct kube_pair)),
                               node->count};
    YAML_FOREACH(it, node)
    {
        struct kube_pair *p = &pairs.items[it->index];
        p->key = it->key;
        p->value = "";
        if (it->type != YAML_NULL) {
            TRY(yaml_string(it, &p->value, r->err));
        }
        p->value_n = strlen(p->value);
    }
    *ret_pairs = pairs;
    return 0;
}

int kube_read_strings(struct kube_reader *r,
                      const struct yaml_node *node,
                      struct kube_strings *ret_strings)
{
    if (!node) {
        *ret_strings = (struct kube_strings){0};
        return 0;
    }
    TRY(yaml_expect(node, YAML_LIST, r->err));
    struct kube_strings s = {arena_alloc(r->arena, (node->count + 1) * sizeof(char *)),
                             node->count};
    YAML_FOREACH(it, node)
    {
        TRY(yaml_string(it, &s.items[it->index], r->err));
    }
    *ret_strings = s;
    return 0;
}

int kube_read_string(struct kube_reader *r,
                     const struct yaml_node *map,
                     const char *key,
                     const char **ret_text)
{
    const struct yaml_node *n = yaml_get(map, key);

    return n ? yaml_string(n, ret_text, r->err) : 0;
}

int kube_read_int(struct kube_reader *r,
                  const struct yaml_node *map,
                  const char *key,
                  int64_t min,
                  int64_t max,
                  int64_t *ret_value)
{
    const struct yaml_node *n = yaml_get(map, key);

    return n ? yaml_int(n, min, max, ret_value, r->err) : 0;
}

int kube_read_bool(struct kube_reader *r,
                   const struct yaml_node *map,
                   const char *key,
                   bool *ret_value)
{
    const struct yaml_node *n = yaml_get(map, key);

    return n ? yaml_bool(n, ret_value, r->err) : 0;
}

int kube_read_seconds(struct kube_reader *r,
                      const struct yaml_node *map,
                      const char *key,
                      int64_t min,
                      nsec_t *ret_value)
{
    int64_t seconds = -1;

    TRY(kube_read_int(r, map, key, min, 86400, &seconds));
    if (seconds >= 0) {
        *ret_value = seconds * NSEC_PER_SEC;
    }
    return 0;
}

int kube_read_port(struct kube_reader *r,
                   const struct yaml_node *node,
                   int *ret_number,
                   const char **ret_name)
{
    int64_t number;

    if (node->type == YAML_STRING) {
        if (!kube_is_dns_name(node->text, 15, false)) {
            return yaml_error(node, r->err,
                              "expected a port number from 1 to 65535 or the name of a port, "
                              "found '%.40s'",
                              node->text);
        }
        *ret_name = node->text;
        *ret_number = 0;
        return 0;
    }
    TRY(yaml_int(node, 1, 65535, &number, r->err));
    *ret_number = (int)number;
    *ret_name = NULL;
    return 0;
}

int kube_read_list(struct kube_reader *r,
                   const struct yaml_node *map,
                   const char *key,
                   const struct yaml_node **ret_list)
{
    *ret_list = yaml_get(map, key);
    return *ret_list ? yaml_expect(*ret_list, YAML_LIST, r->err) : 0;
}

int kube_read_meta(struct kube_reader *r,
                   const struct yaml_node *node,
                   bool named,
                   struct kube_meta *ret_meta)
{
    KEYS(keys, "name", "namespace", "labels", "annotations", "generateName", "selfLink", "uid",
         "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp",
         "deletionGracePeriodSeconds", "ownerReferences", "finalizers", "managedFields",
         "clusterName");

    *ret_meta = (struct kube_meta){.namespace = "default"};
    if (!node) {
        return 0;
    }
    TRY(CHECK_KEYS(r, node, keys));
    if (named && !yaml_get(node, "name")) {
        return yaml_missing(node, "name", r->err);
    }
    TRY(kube_read_string(r, node, "name", &ret_meta->name));
    if (ret_meta->name && !kube_is_dns_name(ret_meta->name, 253, true)) {
        return yaml_error(yaml_get(node, "name"), r->err,
                          "'%.80s' is no object name: lower case letters, digits, '-' and '.'",
                          ret_meta->name);
    }
    TRY(kube_read_string(r, node, "namespace", &ret_meta->namespace));
    TRY(kube_read_pairs(r, yaml_get(node, "labels"), &ret_meta->labels));
    ret_meta->annotations_node = yaml_get(node, "annotations");
    return kube_read_pairs(r, ret_meta->annotations_node, &ret_meta->annotations);
}
