// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdlib.h>

#include "codec/base64.h"
#include "kube/manifest.h"
#include "unit.h"

static const char GOOD[] =
    "apiVersion: apps/v1\n"
    "kind: Deployment\n"
    "metadata: {name: web, labels: {app: web}}\n"
    "spec:\n"
    "  replicas: 2\n"
    "  selector: {matchLabels: {app: web}}\n"
    "  strategy: {type: RollingUpdate}\n"
    "  template:\n"
    "    metadata:\n"
    "      labels: {app: web, tier: front}\n"
    "      annotations: {plimsoll.dev/exec: \"sleep 1\"}\n"
    "    spec:\n"
    "      terminationGracePeriodSeconds: 5\n"
    "      securityContext: {runAsUser: 1000}\n"
    "      containers:\n"
    "      - name: web\n"
    "        image: web:1\n"
    "        command: [web]\n"
    "        args: [\"--port=8080\"]\n"
    "        ports: [{name: http, containerPort: 8080}]\n"
    "        env:\n"
    "        - {name: A, value: \"1\"}\n"
    "        - name: B\n"
    "          valueFrom: {configMapKeyRef: {name: conf, key: b}}\n"
    "        - name: C\n"
    "          valueFrom: {secretKeyRef: {name: keys, key: c}}\n"
    "        envFrom: [{configMapRef: {name: conf}}]\n"
    "        readinessProbe: {httpGet: {path: ready, port: http}, periodSeconds: 2}\n"
    "        livenessProbe: {tcpSocket: {port: 8080}, failureThreshold: 4}\n"
    "        resources: {limits: {cpu: 500m, memory: 64Mi}}\n"
    "        volumeMounts: [{name: x, mountPath: /x}]\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {name: web}\n"
    "spec:\n"
    "  selector: {app: web}\n"
    "  ports: [{port: 80, targetPort: http}]\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: ConfigMap\n"
    "metadata: {name: conf}\n"
    "data: {b: bee, empty: \"\"}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Secret\n"
    "metadata: {name: keys, annotations: {plimsoll.dev/generate: \"c, d\"}}\n"
    "data: {e: c2VjcmV0}\n"
    "stringData: {f: plain}\n"
    "---\n"
    "apiVersion: networking.k8s.io/v1\n"
    "kind: Ingress\n"
    "metadata: {name: front}\n"
    "spec: {whatever: 1}\n";

static int load(const char *text, struct kube_set **ret_set, struct err *err)
{
    CLEANUP(kube_sources_fini) struct kube_sources s = KUBE_SOURCES_NULL;

    kube_sources_add_text(&s, "m.yaml", slice_of(text));
    return kube_load(&s, ret_set, err);
}

START_TEST(reads)
{
    CLEANUP(kube_set_free_p) struct kube_set *set = NULL;
    struct err err = {0};

    ck_assert_msg(load(GOOD, &set, &err) == 0, "%d: %s", err.line, err.message);
    const struct kube_workload *w = kube_find_workload(set, "web");
    ck_assert_int_eq(w->kind, KUBE_DEPLOYMENT);
    ck_assert_int_eq(w->replicas, 2);
    ck_assert_str_eq(w->namespace, "default");
    ck_assert_int_eq(w->pod.grace, 5 * NSEC_PER_SEC);
    ck_assert_int_eq(w->pod.run_as_user, 1000);
    ck_assert_str_eq(kube_pairs_get(&w->pod.annotations, "plimsoll.dev/exec"), "sleep 1");
    const struct kube_container *c = &w->pod.containers[0];
    ck_assert_str_eq(c->command.items[0], "web");
    ck_assert_str_eq(c->args.items[0], "--port=8080");
    ck_assert_int_eq(c->ports[0].number, 8080);
    ck_assert_uint_eq(c->env_count, 3);
    ck_assert_int_eq(c->env[2].kind, KUBE_ENV_SECRET);
    ck_assert_int_eq(c->readiness.kind, KUBE_PROBE_HTTP);
    ck_assert_int_eq(c->readiness.port, 8080);
    ck_assert_str_eq(c->readiness.path, "/ready");
    ck_assert_int_eq(c->readiness.period, 2 * NSEC_PER_SEC);
    ck_assert_int_eq(c->readiness.timeout, NSEC_PER_SEC);
    ck_assert_int_eq(c->readiness.failures, 3);
    ck_assert_int_eq(c->liveness.kind, KUBE_PROBE_TCP);
    ck_assert_int_eq(c->liveness.failures, 4);
    ck_assert_int_eq(c->startup.kind, KUBE_PROBE_NONE);
    ck_assert_int_eq(quantity_milli(c->cpu_limit), 500);
    ck_assert_int_eq(quantity_milli(c->cpu_request), 500);
    ck_assert_int_eq(quantity_value(c->memory_limit), 64 << 20);
    const struct kube_service *s = kube_find_service(set, "web");
    ck_assert(kube_selects(&s->selector, &w->pod.labels));
    ck_assert_int_eq(kube_target_port(&s->ports[0], &w->pod), 8080);
    const struct kube_config *keys = kube_find_config(set, true, "keys");
    ck_assert_str_eq(kube_pairs_get(&keys->data, "e"), "secret");
    ck_assert_str_eq(kube_pairs_get(&keys->data, "f"), "plain");
    ck_assert_uint_eq(keys->generate.count, 2);
    ck_assert_str_eq(keys->generate.items[1], "d");
    kube_set_generated(set, keys, "c", "made");
    ck_assert_str_eq(kube_pairs_get(&keys->data, "c"), "made");
    ck_assert_uint_eq(set->skipped_count, 1);
    ck_assert_str_eq(set->skipped[0].kind, "Ingress");
    ck_assert_str_eq(set->skipped[0].name, "front");
    ck_assert(!kube_selects(&(struct kube_pairs){0}, &w->pod.labels));
}
END_TEST

// GOOD with one place changed gives exactly this message.
static const struct {
    const char *from, *to, *message;
} BAD[] = {
    {"replicas: 2", "replcas: 2",
     "m.yaml:5:3: spec.replcas: unknown field, did you mean 'replicas'?"},
    {"replicas: 2", "replicas: two",
     "m.yaml:5:13: spec.replicas: expected an integer, found the string 'two'"},
    {"replicas: 2", "replicas: -1", "m.yaml:5:13: spec.replicas: -1 is not from 0 to 1000"},
    {"containerPort: 8080", "containerPort: http",
     "m.yaml:20:45: spec.template.spec.containers[0].ports[0].containerPort: expected an integer, "
     "found the string 'http'"},
    {"containerPort: 8080", "containerPort: 80800",
     "m.yaml:20:45: spec.template.spec.containers[0].ports[0].containerPort: 80800 is not from 1 to "
     "65535"},
    {"value: \"1\"", "value: 1",
     "m.yaml:22:28: spec.template.spec.containers[0].env[0].value: expected a string, found the "
     "number 1: put it in quotes"},
    {"key: b}", "key: bb}",
     "m.yaml:24:40: spec.template.spec.containers[0].env[1].valueFrom.configMapKeyRef: the ConfigMap "
     "'conf' has no key 'bb', did you mean 'b'?"},
    {"name: conf, key", "name: none, key",
     "m.yaml:24:40: spec.template.spec.containers[0].env[1].valueFrom.configMapKeyRef: there is no "
     "ConfigMap 'none' in these manifests"},
    {"port: http}, per", "port: htpt}, per",
     "m.yaml:28:55: spec.template.spec.containers[0].readinessProbe.httpGet.port: this container has "
     "no port 'htpt', did you mean 'http'?"},
    {"periodSeconds: 2", "periodSeconds: 2s",
     "m.yaml:28:77: spec.template.spec.containers[0].readinessProbe.periodSeconds: expected an "
     "integer, found the string '2s'"},
    {"tcpSocket: {port: 8080}, ", "",
     "m.yaml:29:24: spec.template.spec.containers[0].livenessProbe: needs exactly one of httpGet, "
     "tcpSocket, exec, grpc"},
    {"failureThreshold: 4", "failureThreshold: 4, successThreshold: 2",
     "m.yaml:29:89: spec.template.spec.containers[0].livenessProbe.successThreshold: must be 1 for a "
     "livenessProbe"},
    {"cpu: 500m", "cpu: 500x",
     "m.yaml:30:35: spec.template.spec.containers[0].resources.limits.cpu: expected a quantity such "
     "as 500m, 2 or 64Mi, found the string '500x'"},
    {"cpu: 500m", "cpus: 500m",
     "m.yaml:30:30: spec.template.spec.containers[0].resources.limits.cpus: unknown resource: cpu, "
     "memory, ephemeral-storage, hugepages-SIZE or a name with a domain"},
    {"matchLabels: {app: web}", "matchLabels: {app: wbe}",
     "m.yaml:6:33: spec.selector.matchLabels.app: the labels of the template do not have 'app: wbe'"},
    // A null label is an empty one; fuzzing found that its place was not known.
    {"matchLabels: {app: web}", "matchLabels: {app: ~}",
     "m.yaml:6:33: spec.selector.matchLabels.app: the labels of the template do not have 'app: '"},
    {"  selector: {matchLabels: {app: web}}\n", "",
     "m.yaml:5:3: spec.selector: required, but missing"},
    {"kind: Deployment", "kind: Deploymnet",
     "m.yaml:2:7: kind: unknown kind 'Deploymnet', did you mean 'Deployment'?"},
    {"apiVersion: apps/v1", "apiVersion: v1",
     "m.yaml:1:13: apiVersion: a Deployment is of 'apps/v1', not 'v1'"},
    {"labels: {app: web}}", "annotations: {plimsoll.dev/exec: x}}",
     "m.yaml:3:37: metadata.annotations.plimsoll.dev/exec: belongs to "
     "spec.template.metadata.annotations"},
    {"metadata: {name: web, ", "metadata: {name: Web, ",
     "m.yaml:3:18: metadata.name: 'Web' is no object name: lower case letters, digits, '-' and '.'"},
    {"targetPort: http", "targetPort: htp",
     "m.yaml:38:34: spec.ports[0].targetPort: no container of 'web' has a port named 'htp'"},
    {"kind: ConfigMap\nmetadata: {name: conf}", "kind: Service\nmetadata: {name: web}\nspec: {}",
     "m.yaml:44:1: data: unknown field"},
    {"c2VjcmV0", "c2VjcmV",
     "m.yaml:48:11: data.e: is not base64; plain text belongs to stringData"},
    {"      containers:", "      restartPolicy: Never\n      containers:",
     "m.yaml:15:22: spec.template.spec.restartPolicy: must be 'Always' here, as Kubernetes has it, "
     "found 'Never'"},
    {"{configMapKeyRef: {name: conf, key: b}}", "{fieldRef: {fieldPath: status.podIp}}",
     "m.yaml:24:45: spec.template.spec.containers[0].env[1].valueFrom.fieldRef.fieldPath: unknown "
     "field 'status.podIp', did you mean 'status.podIP'?"},
};

START_TEST(refuses)
{
    for (size_t i = 0; i < ARRAY_SIZE(BAD); i++) {
        CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
        CLEANUP(kube_set_free_p) struct kube_set *set = NULL;
        struct err err = {0};
        char line[800];
        const char *at = strstr(GOOD, BAD[i].from);

        ck_assert_msg(at, "'%s' is not in the text", BAD[i].from);
        strbuf_add(&text, GOOD, (size_t)(at - GOOD));
        strbuf_adds(&text, BAD[i].to);
        strbuf_adds(&text, at + strlen(BAD[i].from));
        ck_assert_msg(load(text.p, &set, &err) < 0, "'%s' was accepted", BAD[i].to);
        ck_assert_ptr_null(set);
        ck_assert_str_eq(err_text(&err, line, sizeof(line)), BAD[i].message);
    }
}
END_TEST

START_TEST(doubled)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    struct kube_set *set = NULL;
    struct err err = {0};
    char line[800];

    strbuf_addf(&text, "%s---\n%s", GOOD, GOOD);
    ck_assert_int_eq(load(text.p, &set, &err), -EINVAL);
    ck_assert_str_eq(
        err_text(&err, line, sizeof(line)),
        "m.yaml:58:18: metadata.name: there is a Deployment 'web' already, in m.yaml:1");
}
END_TEST

START_TEST(lists)
{
    CLEANUP(kube_set_free_p) struct kube_set *set = NULL;
    struct err err = {0};

    ck_assert_int_eq(load("apiVersion: v1\nkind: List\nitems:\n"
                          "- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {x: z}}\n"
                          "- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n",
                          &set, &err),
                     0);
    ck_assert_uint_eq(set->config_count, 2);
    struct kube_set *none = NULL;
    ck_assert_int_eq(load("[]", &none, &err), -EINVAL);
    ck_assert_int_eq(load("kind: Service", &none, &err), -EINVAL);
    ck_assert_str_eq(err.message, "apiVersion: required, but missing");
}
END_TEST

START_TEST(directories)
{
    CLEANUP(kube_sources_fini) struct kube_sources s = KUBE_SOURCES_NULL;
    struct err err = {0};

    ck_assert_int_lt(kube_sources_add(&s, "/nonexistent/x.yaml", &err), 0);
    ck_assert_str_eq(err.message, "cannot read '/nonexistent/x.yaml': No such file or directory");
    ck_assert_int_lt(kube_sources_add(&s, "/proc/self/fdinfo", &err), 0);
    ck_assert_uint_eq(s.count, 0);
}
END_TEST

START_TEST(base64)
{
    static const struct {
        const char *text, *bytes; // bytes NULL = refused
    } cases[] = {{"", ""},          {"Zg==", "f"},        {"Zm8=", "fo"}, {"Zm9v", "foo"},
                 {"Zm9v\n", "foo"}, {"Zm9vYg==", "foob"}, {"Zm9", NULL},  {"=", NULL},
                 {"Z===", NULL},    {"Zg==Zg==", NULL},   {"Zm9-", NULL}};

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
        int r = base64_decode(slice_of(cases[i].text), &b);
        ck_assert_msg((r == 0) == (cases[i].bytes != NULL), "'%s'", cases[i].text);
        if (r == 0) {
            ck_assert_str_eq(strbuf_str(&b), cases[i].bytes);
        }
    }
}
END_TEST

UNIT_MAIN("kube/manifest", reads, refuses, doubled, lists, directories, base64)
