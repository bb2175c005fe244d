// SPDX-License-Identifier: Apache-2.0
// Plan files (kind CapacityPlan): what `plimsoll plan` is to measure. Strict: an unknown or wrong
// field is an error with its place.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "codec/yaml.h"

enum { PLAN_LIMITS_MAX = 32, PLAN_ITEMS_MAX = 32 };

struct plan_env {
    const char *name;
    const char *value;            // NULL: from a secret of the manifests
    const char *secret, *key;     // of it
    const struct yaml_node *node; // its place
};

struct plan_hold { // a service that is held clearly above the one that is measured
    const char *service;
    struct plan_env env[PLAN_ITEMS_MAX];
    size_t env_count;
    int replicas; // -1: as in the manifests
    const struct yaml_node *node;
};

struct plan_knob {   // what an intervention may change
    const char *env; // NULL: the CPU
    double scale;
};

struct plan_deficit { // deficit(ahead, behind) < allowed
    const char *text;
    int ahead, behind; // enum observe_metric
    double allowed;
};

struct plan_limit {
    const char *service;
    char *script; // path
    struct plan_env env[PLAN_ITEMS_MAX];
    size_t env_count;
    struct plan_hold holds[PLAN_ITEMS_MAX];
    size_t hold_count;
    struct plan_knob knobs[PLAN_ITEMS_MAX];
    size_t knob_count;
    struct plan_deficit sustained[4];
    size_t sustained_count;
    const struct yaml_node *node;
};

struct plan_file {
    struct yaml_file *yaml; // owns the texts
    const char *name;
    char **manifests; // paths
    size_t manifest_count;
    struct plan_limit *limits;
    size_t limit_count;
    const char *skipped[4]; // sections that this version does not carry out, NULL-terminated
};

// Paths in the file are relative to it. 0 or -EINVAL, -ENOENT, … with err.
int plan_file_read(const char *path, struct plan_file **ret_plan, struct err *err);
void plan_file_free(struct plan_file *p);
DEFINE_CLEANUP(struct plan_file *, plan_file_free);
