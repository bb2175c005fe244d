// SPDX-License-Identifier: Apache-2.0
// The whole life of a lab through its interface; this program is its supervisor as well.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "lab/ident.h"
#include "lab/lab.h"
#include "unit.h"

static const char TEXT[] =
    "apiVersion: apps/v1\n"
    "kind: Deployment\n"
    "metadata: {name: web}\n"
    "spec:\n"
    "  replicas: 2\n"
    "  selector: {matchLabels: {app: web}}\n"
    "  template:\n"
    "    metadata: {labels: {app: web}}\n"
    "    spec:\n"
    "      terminationGracePeriodSeconds: 5\n"
    "      containers:\n"
    "      - name: web\n"
    "        command: [/bin/sh, -c, 'echo \"pool $POOL $SIZE\"; exec sleep 1000']\n"
    "        ports: [{name: http, containerPort: 8080}]\n"
    "        env: [{name: POOL, value: \"10\"}, {name: SIZE, value: \"<$(POOL)>\"}]\n"
    "        readinessProbe: {exec: {command: [\"true\"]}, periodSeconds: 1}\n"
    "        resources: {limits: {cpu: 500m, memory: 64Mi}}\n"
    "---\n"
    "{apiVersion: v1, kind: Service, metadata: {name: shop}, spec: {selector: {app: web}, ports: "
    "[{port: 80, targetPort: http}]}}\n"
    "---\n"
    "{apiVersion: v1, kind: Secret, metadata: {name: keys, annotations: {plimsoll.dev/generate: a}}, "
    "stringData: {b: given}}\n";

struct fixture {
    char *dir, *root;
    struct lab *lab;
};

static int open_lab(struct fixture *f, const char *text, struct err *err)
{
    CLEANUP(kube_sources_fini) struct kube_sources sources = KUBE_SOURCES_NULL;
    struct lab_options o = {.root = f->root, .name = "unit", .path = "/usr/bin:/bin"};

    kube_sources_add_text(&sources, "m.yaml", slice_of(text));
    return lab_open(&sources, &o, &f->lab, err);
}

static struct fixture make(void)
{
    struct fixture f = {.dir = xstrdup("/tmp/plimsoll-unit-XXXXXX")};

    ck_assert_ptr_nonnull(mkdtemp(f.dir));
    ck_assert_int_eq(chmod(f.dir, 0755), 0);
    f.root = xasprintf("%s/labs", f.dir);
    return f;
}

static void drop(struct fixture *f)
{
    lab_free(f->lab);
    ck_assert_msg(!fs_exists(f->root), "%s was left", f->root);
    fs_remove_tree(f->dir);
    free(f->dir);
    free(f->root);
}

static void must(int r, const struct err *err)
{
    ck_assert_msg(r == 0, "%d: %s", r, err->message);
}

static void await(struct lab *lab)
{
    struct err err = {0};

    must(lab_await_ready(lab, 20 * NSEC_PER_SEC, &err), &err);
}

static struct lab_pods list(struct lab *lab)
{
    struct lab_pods pods = LAB_PODS_NULL;
    struct err err = {0};

    must(lab_list(lab, &pods, &err), &err);
    return pods;
}

static char *log_of(const struct lab_pod *pod)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;

    fs_read(pod->log, 1 << 20, &text, NULL);
    return strbuf_take(&text);
}

START_TEST(life)
{
    CLEANUP(drop) struct fixture f = make();
    CLEANUP(lab_hosts_fini) struct lab_hosts hosts = LAB_HOSTS_NULL;
    struct err err = {0};
    char *secret = NULL;

    must(open_lab(&f, TEXT, &err), &err);
    must(lab_up(f.lab, &err), &err);
    await(f.lab);
    CLEANUP(lab_pods_fini) struct lab_pods pods = list(f.lab);
    ck_assert_uint_eq(pods.count, 2);
    ck_assert_str_eq(pods.items[0].name, "web-0");
    ck_assert_str_eq(pods.items[1].workload, "web");
    ck_assert(pods.items[0].ready && pods.items[1].ready);
    ck_assert(pods.items[0].cpu_limit == 0.5);
    ck_assert(pods.items[0].memory_limit == 64 << 20);
    must(lab_hosts(f.lab, &hosts, &err), &err);
    ck_assert_uint_eq(hosts.count, 2);
    ck_assert_str_eq(hosts.items[0].name, "shop:80");
    CLEANUP_FREE char *address = xasprintf("%s:8080", pods.items[0].ip);
    ck_assert_str_eq(hosts.items[0].address, address);
    must(lab_secret(f.lab, "keys", "b", &secret, &err), &err);
    ck_assert_str_eq(secret, "given");
    free(secret);
    must(lab_secret(f.lab, "keys", "a", &secret, &err), &err);
    ck_assert_uint_eq(strlen(secret), 48);
    free(secret);
    ck_assert_int_eq(lab_secret(f.lab, "keys", "../x", &secret, &err), -ENOENT);
    char **names = lab_names(f.root);
    ck_assert_str_eq(names[0], "unit");
    lab_names_free(names);
    must(lab_down(f.lab, &err), &err);
    ck_assert(!fs_exists(lab_dir(f.lab)));
}
END_TEST

START_TEST(changes)
{
    CLEANUP(drop) struct fixture f = make();
    struct kube_pair env[] = {{"POOL", "15", 2}};
    struct err err = {0};

    must(open_lab(&f, TEXT, &err), &err);
    must(lab_up(f.lab, &err), &err);
    await(f.lab);
    CLEANUP(lab_pods_fini) struct lab_pods before = list(f.lab);
    must(lab_set_env(f.lab, "web", env, 1, &err), &err);
    await(f.lab);
    CLEANUP(lab_pods_fini) struct lab_pods after = list(f.lab);
    for (int i = 0; i < 2; i++) {
        CLEANUP_FREE char *log = log_of(&after.items[i]);
        // References follow the change; the address stays, so that nobody needs to be told.
        ck_assert_str_eq(log, "pool 10 <10>\npool 15 <15>\n");
        ck_assert_int_ne(after.items[i].pid, before.items[i].pid);
        ck_assert_str_eq(after.items[i].ip, before.items[i].ip);
        ck_assert_uint_eq(after.items[i].restarts, 0);
    }
    env[0].value = NULL;
    must(lab_set_env(f.lab, "web", env, 1, &err), &err);
    await(f.lab);
    CLEANUP_FREE char *log = log_of(&after.items[0]);
    ck_assert_str_eq(log, "pool 10 <10>\npool 15 <15>\npool 10 <10>\n");
    CLEANUP(lab_pods_fini) struct lab_pods third = list(f.lab);
    must(lab_restart(f.lab, "web", &err), &err);
    await(f.lab);
    CLEANUP(lab_pods_fini) struct lab_pods fourth = list(f.lab);
    ck_assert_int_ne(third.items[0].pid, fourth.items[0].pid);
    ck_assert_int_eq(lab_set_env(f.lab, "wbe", env, 1, &err), -ENOENT);
    ck_assert_str_eq(err.message, "no workload 'wbe', did you mean 'web'?");
    must(lab_down(f.lab, &err), &err);
}
END_TEST

START_TEST(scaling)
{
    CLEANUP(drop) struct fixture f = make();
    struct err err = {0};

    must(open_lab(&f, TEXT, &err), &err);
    must(lab_up(f.lab, &err), &err);
    must(lab_scale(f.lab, "web", 5, &err), &err);
    await(f.lab);
    CLEANUP(lab_pods_fini) struct lab_pods five = list(f.lab);
    ck_assert_uint_eq(five.count, 5);
    must(lab_scale(f.lab, "web", 1, &err), &err);
    await(f.lab);
    CLEANUP(lab_pods_fini) struct lab_pods one = list(f.lab);
    ck_assert_uint_eq(one.count, 1);
    ck_assert_int_eq(one.items[0].pid, five.items[0].pid);
    must(lab_scale(f.lab, "web", 2, &err), &err);
    await(f.lab);
    CLEANUP(lab_pods_fini) struct lab_pods two = list(f.lab);
    ck_assert_str_eq(two.items[1].ip, five.items[1].ip);
    ck_assert_int_eq(lab_scale(f.lab, "web", 1001, &err), -EINVAL);
    ck_assert_int_eq(lab_scale(f.lab, "none", 1, &err), -ENOENT);
    must(lab_scale(f.lab, "web", 0, &err), &err);
    await(f.lab);
    must(lab_down(f.lab, &err), &err);
}
END_TEST

START_TEST(killing)
{
    CLEANUP(drop) struct fixture f = make();
    struct err err = {0};

    must(open_lab(&f, TEXT, &err), &err);
    must(lab_up(f.lab, &err), &err);
    await(f.lab);
    CLEANUP(lab_pods_fini) struct lab_pods before = list(f.lab);
    must(lab_kill(f.lab, "web-1", &err), &err);
    for (unsigned restarts = 0; restarts < 1;) {
        CLEANUP(lab_pods_fini) struct lab_pods pods = list(f.lab);
        restarts = pods.items[1].restarts;
    }
    await(f.lab);
    CLEANUP(lab_pods_fini) struct lab_pods after = list(f.lab);
    ck_assert_int_eq(after.items[0].pid, before.items[0].pid);
    ck_assert_int_ne(after.items[1].pid, before.items[1].pid);
    ck_assert_int_eq(lab_kill(f.lab, "web-7", &err), -ENOENT);
    // Without lab_down() everything ends with us as well; see drop().
    pid_t pid = after.items[0].pid;
    lab_free(TAKE(f.lab));
    struct ident_stat stat;
    ck_assert_int_eq(ident_read(pid, &stat), -ESRCH);
}
END_TEST

START_TEST(failures)
{
    CLEANUP(drop) struct fixture f = make();
    struct fixture second = {.root = f.root};
    struct err err = {0};

    ck_assert_int_eq(open_lab(&f, "kind: [", &err), -EINVAL);
    ck_assert_str_eq(err.file, "m.yaml");
    ck_assert(!fs_exists(f.root));
    must(open_lab(&f, TEXT, &err), &err);
    ck_assert_int_eq(open_lab(&second, TEXT, &err), -EEXIST);
    ck_assert_ptr_null(second.lab);
    struct lab *attached = NULL;
    ck_assert_int_eq(lab_attach(f.root, "unti", &attached, &err), -ENOENT);
    ck_assert_str_eq(err.message, "no lab 'unti' runs, did you mean 'unit'?");
    must(lab_attach(f.root, NULL, &attached, &err), &err);
    must(lab_up(attached, &err), &err);
    must(lab_down(attached, &err), &err);
    lab_free(attached);
    ck_assert_int_eq(lab_up(f.lab, &err), -EPIPE);
    lab_free(TAKE(f.lab));
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "lab-supervisor") == 0) {
        return lab_supervise(0);
    }
    return unit_run("lab/lab",
                    (const TTest *const[]){life, changes, scaling, killing, failures, NULL});
}
