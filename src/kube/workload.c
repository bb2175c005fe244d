// SPDX-License-Identifier: Apache-2.0
// Deployments and StatefulSets.
#include <errno.h>

#include "kube/read.h"

static int read_containers(struct kube_reader *r,
                           const struct yaml_node *spec,
                           const char *key,
                           struct kube_container **ret_containers,
                           size_t *ret_count)
{
    const struct yaml_node *list;

    TRY(kube_read_list(r, spec, key, &list));
    if (!list) {
        return 0;
    }
    *ret_containers = arena_alloc(r->arena, (list->count + 1) * sizeof(struct kube_container));
    *ret_count = list->count;
    YAML_FOREACH(it, list)
    {
        struct kube_container *c = &(*ret_containers)[it->index];
        TRY(kube_read_container(r, it, c));
        for (unsigned i = 0; i < it->index; i++) {
            if (strcmp((*ret_containers)[i].name, c->name) == 0) {
                return yaml_error(yaml_get(it, "name"), r->err,
                                  "there is another container '%s' in this pod", c->name);
            }
        }
    }
    return 0;
}

static int read_pod_spec(struct kube_reader *r, const struct yaml_node *spec, struct kube_pod *pod)
{
    KEYS(keys, "volumes", "initContainers", "containers", "ephemeralContainers", "restartPolicy",
         "terminationGracePeriodSeconds", "activeDeadlineSeconds", "dnsPolicy", "nodeSelector",
         "serviceAccountName", "serviceAccount", "automountServiceAccountToken", "nodeName",
         "hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "securityContext",
         "imagePullSecrets", "hostname", "subdomain", "affinity", "schedulerName", "tolerations",
         "hostAliases", "priorityClassName", "priority", "dnsConfig", "readinessGates",
         "runtimeClassName", "enableServiceLinks", "preemptionPolicy", "overhead",
         "topologySpreadConstraints", "setHostnameAsFQDN", "os", "hostUsers", "schedulingGates",
         "resourceClaims", "resources", "hostnameOverride");
    KEYS(security_keys, "seLinuxOptions", "windowsOptions", "runAsUser", "runAsGroup",
         "runAsNonRoot", "supplementalGroups", "supplementalGroupsPolicy", "fsGroup", "sysctls",
         "fsGroupChangePolicy", "seccompProfile", "appArmorProfile", "seLinuxChangePolicy");
    const struct yaml_node *security = yaml_get(spec, "securityContext");
    const char *restart = "Always";

    TRY(CHECK_KEYS(r, spec, keys));
    TRY(kube_read_string(r, spec, "restartPolicy", &restart));
    if (strcmp(restart, "Always") != 0) {
        return yaml_error(yaml_get(spec, "restartPolicy"), r->err,
                          "must be 'Always' here, as Kubernetes has it, found '%.40s'", restart);
    }
    pod->grace = 30 * NSEC_PER_SEC;
    TRY(kube_read_seconds(r, spec, "terminationGracePeriodSeconds", 0, &pod->grace));
    TRY(kube_read_bool(r, spec, "enableServiceLinks", &pod->service_links));
    if (security) {
        TRY(CHECK_KEYS(r, security, security_keys));
        TRY(kube_read_int(r, security, "runAsUser", 0, INT32_MAX, &pod->run_as_user));
    }
    TRY(read_containers(r, spec, "containers", &pod->containers, &pod->container_count));
    if (!pod->container_count) {
        return yaml_missing(spec, "containers", r->err);
    }
    return read_containers(r, spec, "initContainers", &pod->init_containers, &pod->init_count);
}

static int read_template(struct kube_reader *r, const struct yaml_node *spec, struct kube_pod *pod)
{
    KEYS(keys, "metadata", "spec");
    const struct yaml_node *template = yaml_get(spec, "template");
    struct kube_meta meta;

    if (!template) {
        return yaml_missing(spec, "template", r->err);
    }
    TRY(CHECK_KEYS(r, template, keys));
    TRY(kube_read_meta(r, yaml_get(template, "metadata"), false, &meta));
    *pod = (struct kube_pod){.labels = meta.labels,
                             .annotations = meta.annotations,
                             .annotations_node = meta.annotations_node,
                             .run_as_user = -1,
                             .service_links = true,
                             .node = template};
    const struct yaml_node *pod_spec = yaml_get(template, "spec");
    return pod_spec ? read_pod_spec(r, pod_spec, pod) : yaml_missing(template, "spec", r->err);
}

static int
check_selector(struct kube_reader *r, const struct yaml_node *spec, const struct kube_pod *pod)
{
    KEYS(keys, "matchLabels", "matchExpressions");
    const struct yaml_node *selector = yaml_get(spec, "selector");
    struct kube_pairs labels;

    if (!selector) {
        return yaml_missing(spec, "selector", r->err);
    }
    TRY(CHECK_KEYS(r, selector, keys));
    TRY(kube_read_pairs(r, yaml_get(selector, "matchLabels"), &labels));
    if (!labels.count && !yaml_get(selector, "matchExpressions")) {
        return yaml_missing(selector, "matchLabels", r->err);
    }
    for (size_t i = 0; i < labels.count; i++) {
        const char *value = kube_pairs_get(&pod->labels, labels.items[i].key);
        if (!value || strcmp(value, labels.items[i].value) != 0) {
            return yaml_error(yaml_get(selector, "matchLabels")->items[i], r->err,
                              "the labels of the template do not have '%.60s: %.60s'",
                              labels.items[i].key, labels.items[i].value);
        }
    }
    return 0;
}

// Ours belong to the template; on the object they would be ignored without a word.
static int check_misplaced(struct kube_reader *r, const struct kube_meta *meta)
{
    for (size_t i = 0; i < meta->annotations.count; i++) {
        if (str_starts(meta->annotations.items[i].key, "plimsoll.dev/")) {
            const struct yaml_node *n = meta->annotations_node->items[i];
            yaml_error(n, r->err, "belongs to spec.template.metadata.annotations");
            err_at(r->err, n->file, n->key_line, n->key_column);
            return -EINVAL;
        }
    }
    return 0;
}

int kube_read_workload(struct kube_reader *r,
                       const struct yaml_node *root,
                       enum kube_workload_kind kind,
                       struct kube_workload *ret_workload)
{
    KEYS(root_keys, "apiVersion", "kind", "metadata", "spec", "status");
    KEYS(deployment_keys, "replicas", "selector", "template", "strategy", "minReadySeconds",
         "revisionHistoryLimit", "paused", "progressDeadlineSeconds");
    KEYS(stateful_keys, "replicas", "selector", "template", "volumeClaimTemplates", "serviceName",
         "podManagementPolicy", "updateStrategy", "revisionHistoryLimit", "minReadySeconds",
         "persistentVolumeClaimRetentionPolicy", "ordinals");
    const struct yaml_node *spec = yaml_get(root, "spec");
    struct kube_workload w = {.kind = kind, .node = root};
    struct kube_meta meta;
    int64_t replicas = 1;

    TRY(CHECK_KEYS(r, root, root_keys));
    if (!yaml_get(root, "metadata") || !spec) {
        return yaml_missing(root, spec ? "metadata" : "spec", r->err);
    }
    TRY(kube_read_meta(r, yaml_get(root, "metadata"), true, &meta));
    w.name = meta.name;
    w.namespace = meta.namespace;
    TRY(check_misplaced(r, &meta));
    TRY(kind == KUBE_DEPLOYMENT ? CHECK_KEYS(r, spec, deployment_keys)
                                : CHECK_KEYS(r, spec, stateful_keys));
    TRY(kube_read_int(r, spec, "replicas", 0, KUBE_REPLICAS_MAX, &replicas));
    w.replicas = (int)replicas;
    TRY(read_template(r, spec, &w.pod));
    TRY(check_selector(r, spec, &w.pod));
    *ret_workload = w;
    return 0;
}
