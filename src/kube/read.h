// SPDX-License-Identifier: Apache-2.0
// Shared by the readers of kube; not for other layers. All return 0 or -EINVAL with err set.
#pragma once

#include "base/arena.h"
#include "kube/manifest.h"

struct kube_reader {
    struct arena *arena;
    struct err *err;
};

struct kube_meta {
    const char *name, *namespace;
    struct kube_pairs labels, annotations;
    const struct yaml_node *annotations_node;
};

// `metadata` of an object; `named`: a name is required. `node` may be NULL.
int kube_read_meta(struct kube_reader *r,
                   const struct yaml_node *node,
                   bool named,
                   struct kube_meta *ret_meta);
// A map of strings; NULL gives an empty one.
int kube_read_pairs(struct kube_reader *r,
                    const struct yaml_node *node,
                    struct kube_pairs *ret_pairs);
int kube_read_strings(struct kube_reader *r,
                      const struct yaml_node *node,
                      struct kube_strings *ret_strings);
// Optional fields of a map: the result is untouched when the field is absent.
int kube_read_string(struct kube_reader *r,
                     const struct yaml_node *map,
                     const char *key,
                     const char **ret_text);
int kube_read_int(struct kube_reader *r,
                  const struct yaml_node *map,
                  const char *key,
                  int64_t min,
                  int64_t max,
                  int64_t *ret_value);
int kube_read_bool(struct kube_reader *r,
                   const struct yaml_node *map,
                   const char *key,
                   bool *ret_value);
int kube_read_seconds(struct kube_reader *r,
                      const struct yaml_node *map,
                      const char *key,
                      int64_t min,
                      nsec_t *ret_value);
// A port by number, or by name (ret_name, ret_number 0).
int kube_read_port(struct kube_reader *r,
                   const struct yaml_node *node,
                   int *ret_number,
                   const char **ret_name);
// The field, checked to be a list (NULL when absent).
int kube_read_list(struct kube_reader *r,
                   const struct yaml_node *map,
                   const char *key,
                   const struct yaml_node **ret_list);
// Whether the text is a DNS label (RFC 1123) of up to `max` characters; dots allowed with `dots`.
bool kube_is_dns_name(const char *text, size_t max, bool dots);

// Readers of objects; `root` is the document.
int kube_read_workload(struct kube_reader *r,
                       const struct yaml_node *root,
                       enum kube_workload_kind kind,
                       struct kube_workload *ret_workload);
int kube_read_service(struct kube_reader *r,
                      const struct yaml_node *root,
                      struct kube_service *ret_service);
int kube_read_config(struct kube_reader *r,
                     const struct yaml_node *root,
                     bool secret,
                     struct kube_config *ret_config);
int kube_read_container(struct kube_reader *r,
                        const struct yaml_node *node,
                        struct kube_container *ret_container);

// Copies of the keys that a map may have; used as KEYS(name, "a", "b").
#define KEYS(array, ...)           static const char *const array[] = {__VA_ARGS__}
#define CHECK_KEYS(r, node, array) yaml_check_keys((node), (array), ARRAY_SIZE(array), (r)->err)
#define TRY(call)                                                                                  \
    do {                                                                                           \
        int try_r_ = (call);                                                                       \
        if (try_r_ < 0) {                                                                          \
            return try_r_;                                                                         \
        }                                                                                          \
    } while (0)
