// SPDX-License-Identifier: Apache-2.0
#include <errno.h>

#include "kube/env.h"
#include "unit.h"

static const char TEXT[] =
    "apiVersion: apps/v1\n"
    "kind: Deployment\n"
    "metadata: {name: web}\n"
    "spec:\n"
    "  selector: {matchLabels: {app: web}}\n"
    "  template:\n"
    "    metadata: {labels: {app: web}}\n"
    "    spec:\n"
    "      containers:\n"
    "      - name: web\n"
    "        ports: [{name: http, containerPort: 8080}]\n"
    "        envFrom: [{prefix: P_, configMapRef: {name: conf}}, {configMapRef: {name: absent, optional: true}}]\n"
    "        env:\n"
    "        - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}\n"
    "        - {name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}\n"
    "        - {name: LABEL, valueFrom: {fieldRef: {fieldPath: \"metadata.labels['app']\"}}}\n"
    "        - {name: LISTEN, value: \"$(IP):8080\"}\n"
    "        - {name: LATER, value: \"$(POOL) $(UNKNOWN) $$(IP) $(P_b) $HOME $\"}\n"
    "        - {name: POOL, value: \"10\"}\n"
    "        - {name: SIZE, value: \"pool $(POOL)\"}\n"
    "        - {name: URL, value: \"http://$(DATA_BASE_SERVICE_HOST):$(DATA_BASE_SERVICE_PORT)\"}\n"
    "        - {name: NONE, valueFrom: {configMapKeyRef: {name: conf, key: z, optional: true}}}\n"
    "        - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.cpu, divisor: 1m}}}\n"
    "        - {name: CPUS, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}\n"
    "        resources: {limits: {cpu: 1500m}}\n"
    "---\n"
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}, data: {b: bee}}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {name: data-base}\n"
    "spec: {selector: {app: web}, ports: [{name: sql-x, port: 80, targetPort: http}]}\n";

struct fixture {
    struct kube_set *set;
    struct arena arena;
    struct kube_pairs env;
};

static struct fixture build(const struct kube_pairs *over)
{
    CLEANUP(kube_sources_fini) struct kube_sources s = KUBE_SOURCES_NULL;
    struct fixture f = {.arena = ARENA_NULL};
    struct kube_pair base = {"POD_IP", "1.2.3.4", 7};
    struct err err = {0};

    kube_sources_add_text(&s, "m.yaml", slice_of(TEXT));
    ck_assert_msg(kube_load(&s, &f.set, &err) == 0, "%d: %s", err.line, err.message);
    const struct kube_workload *w = kube_find_workload(f.set, "web");
    struct kube_link link = {&f.set->services[0], &w->pod, "127.64.0.9"};
    struct kube_identity who = {.name = "web-0",
                                .uid = "u",
                                .ip = "127.64.0.2",
                                .node = "local",
                                .base = &(struct kube_pairs){&base, 1},
                                .over = over,
                                .links = &link,
                                .link_count = 1};
    ck_assert_msg(kube_env_build(f.set, w, &w->pod.containers[0], &who, &f.arena, &f.env, &err) ==
                      0,
                  "%s", err.message);
    return f;
}

static void drop(struct fixture *f)
{
    kube_set_free(f->set);
    arena_fini(&f->arena);
}

START_TEST(order)
{
    CLEANUP(drop) struct fixture f = build(NULL);

    ck_assert_str_eq(kube_pairs_get(&f.env, "POD_IP"), "1.2.3.4");
    ck_assert_str_eq(kube_pairs_get(&f.env, "LISTEN"), "127.64.0.2:8080");
    ck_assert_str_eq(kube_pairs_get(&f.env, "ME"), "web-0");
    ck_assert_str_eq(kube_pairs_get(&f.env, "LABEL"), "web");
    ck_assert_str_eq(kube_pairs_get(&f.env, "P_b"), "bee");
    ck_assert_str_eq(kube_pairs_get(&f.env, "LATER"), "$(POOL) $(UNKNOWN) $(IP) bee $HOME $");
    ck_assert_str_eq(kube_pairs_get(&f.env, "SIZE"), "pool 10");
    ck_assert_str_eq(kube_pairs_get(&f.env, "CPU"), "1500");
    ck_assert_str_eq(kube_pairs_get(&f.env, "CPUS"), "2");
    ck_assert_ptr_null(kube_pairs_get(&f.env, "NONE"));
}
END_TEST

START_TEST(services)
{
    CLEANUP(drop) struct fixture f = build(NULL);

    // The port is the pod's: nothing translates service ports here.
    ck_assert_str_eq(kube_pairs_get(&f.env, "URL"), "http://127.64.0.9:8080");
    ck_assert_str_eq(kube_pairs_get(&f.env, "DATA_BASE_SERVICE_PORT_SQL_X"), "8080");
    ck_assert_str_eq(kube_pairs_get(&f.env, "DATA_BASE_PORT"), "tcp://127.64.0.9:8080");
    ck_assert_str_eq(kube_pairs_get(&f.env, "DATA_BASE_PORT_8080_TCP_ADDR"), "127.64.0.9");
}
END_TEST

START_TEST(changes)
{
    struct kube_pair changed[] = {{"POOL", "15", 2}, {"NEW", "x", 1}};
    CLEANUP(drop) struct fixture f = build(&(struct kube_pairs){changed, 2});

    ck_assert_str_eq(kube_pairs_get(&f.env, "POOL"), "15");
    ck_assert_str_eq(kube_pairs_get(&f.env, "SIZE"), "pool 15");
    ck_assert_str_eq(kube_pairs_get(&f.env, "NEW"), "x");
}
END_TEST

UNIT_MAIN("kube/env", order, services, changes)
