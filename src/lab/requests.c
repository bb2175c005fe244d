// SPDX-License-Identifier: Apache-2.0
// What a lab's users may ask of its supervisor.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/rng.h"
#include "lab/super.h"

static const char *text_of(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static void refuse(struct super_client *c, const struct err *err)
{
    wire_put(&c->wire, json_pack("{s:b,s:i,s:o,s:o,s:i,s:i}", "ok", 0, "code", err->code, "error",
                                 wire_text(err->message), "file", wire_text(err->file), "line",
                                 err->line, "column", err->column));
}

static void answer(struct super_client *c, int r, const struct err *err)
{
    if (r < 0) {
        refuse(c, err);
    } else {
        wire_put(&c->wire, json_pack("{s:b}", "ok", 1));
    }
}

static int listen_on(struct super *s, struct err *err)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    CLEANUP_FREE char *path = xasprintf("%s/ctl", s->state.dir);

    if (strlen(path) >= sizeof(to.sun_path)) {
        return err_set(err, -ENAMETOOLONG, "the path '%s' is too long for a socket", path);
    }
    memcpy(to.sun_path, path, strlen(path));
    s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t mask = umask(0177);
    int r = s->listener < 0 || bind(s->listener, (struct sockaddr *)&to, sizeof(to)) < 0 ||
                    listen(s->listener, 16) < 0
                ? -errno
                : 0;
    umask(mask);
    return r < 0 ? err_set(err, r, "cannot listen on '%s': %s", path, err_errno(r)) : 0;
}

static int write_secret(const struct super *s,
                        const struct kube_config *config,
                        const struct kube_pair *pair,
                        struct err *err)
{
    CLEANUP_FREE char *dir = xasprintf("%s/secrets/%s", s->state.dir, config->name);
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, pair->key);

    mkdir(dir, 0700);
    mode_t mask = umask(0177);
    int r = fs_write(path, pair->value, pair->value_n, err);
    umask(mask);
    return r;
}

// Makes the values that the annotation asks for, and files with all values of secrets (mode 0600).
static int make_secrets(struct super *s, struct err *err)
{
    int r = 0;

    for (size_t i = 0; i < s->set->config_count; i++) {
        const struct kube_config *c = &s->set->configs[i];
        for (size_t k = 0; k < c->generate.count; k++) {
            unsigned char bytes[24];
            char text[2 * sizeof(bytes) + 1];
            rng_system_bytes(bytes, sizeof(bytes));
            for (size_t b = 0; b < sizeof(bytes); b++) {
                snprintf(text + 2 * b, 3, "%02x", bytes[b]);
            }
            kube_set_generated(s->set, c, c->generate.items[k], text);
        }
        for (size_t k = 0; c->secret && k < c->data.count && r == 0; k++) {
            r = write_secret(s, c, &c->data.items[k], err);
        }
    }
    return r;
}

static void add_base(struct super *s, const char *assignment)
{
    const char *equals = assignment ? strchr(assignment, '=') : NULL;

    if (equals) {
        const char *name = arena_strndup(&s->arena, assignment, (size_t)(equals - assignment));
        const char *value = arena_strdup(&s->arena, equals + 1);
        s->world.base.items[s->world.base.count++] = (struct kube_pair){name, value, strlen(value)};
    }
}

// Where each service is: at the first pod of what it selects.
static void make_links(struct super *s)
{
    s->world.links = arena_alloc(&s->arena, (s->set->service_count + 1) * sizeof(struct kube_link));
    for (size_t i = 0; i < s->set->service_count; i++) {
        const struct kube_service *service = &s->set->services[i];
        for (size_t w = 0; w < s->workload_count; w++) {
            const struct kube_pod *pod = &s->workloads[w].spec->pod;
            char ip[16];
            if (kube_selects(&service->selector, &pod->labels)) {
                super_address(s, &s->workloads[w], 0, ip);
                s->world.links[s->world.link_count++] =
                    (struct kube_link){service, pod, arena_strdup(&s->arena, ip)};
                break;
            }
        }
    }
}

static int init(struct super *s, json_t *request, struct err *err)
{
    CLEANUP(kube_sources_fini) struct kube_sources sources = KUBE_SOURCES_NULL;
    json_t *list = json_object_get(request, "sources");
    const char *dir = text_of(request, "dir");
    const char *id = text_of(request, "id");
    const char *path = text_of(request, "path");
    const char *cwd = text_of(request, "cwd");
    const char *program_dir = text_of(request, "program_dir");

    if (s->set || !dir || !id || !path || !cwd) {
        return err_set(err, -EINVAL, "a lab is made once");
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *item = json_array_get(list, i);
        json_t *text = json_object_get(item, "text");
        kube_sources_add_text(&sources, text_of(item, "name"),
                              (struct slice){json_string_value(text), json_string_length(text)});
    }
    int r = kube_load(&sources, &s->set, err);
    if (r < 0) {
        return r;
    }
    s->detached = json_is_true(json_object_get(request, "detached"));
    s->state.dir = xstrdup(dir);
    snprintf(s->state.id, sizeof(s->state.id), "%s", id);
    s->state.net = (in_addr_t)json_integer_value(json_object_get(request, "net"));
    s->world = (struct pod_world){
        .set = s->set,
        .state = &s->state,
        .paths = {.cwd = arena_strdup(&s->arena, cwd),
                  .path = arena_strdup(&s->arena, path),
                  .program_dir = program_dir ? arena_strdup(&s->arena, program_dir) : NULL},
        .base = {arena_alloc(&s->arena, 8 * sizeof(struct kube_pair)), 0}};
    add_base(s, arena_printf(&s->arena, "PATH=%s", path));
    add_base(s, arena_printf(&s->arena, "PLIMSOLL_LAB=%s", id));
    add_base(s, "LANG=C.UTF-8");
    add_base(s, text_of(request, "tag"));
    s->workload_count = s->set->workload_count;
    s->workloads = xcalloc(s->workload_count + 1, sizeof(*s->workloads));
    for (size_t i = 0; i < s->workload_count; i++) {
        s->workloads[i].spec = &s->set->workloads[i];
        s->workloads[i].replicas = s->set->workloads[i].replicas;
    }
    make_links(s);
    r = state_own(&s->state, err);
    r = r < 0 ? r : make_secrets(s, err);
    return r < 0 ? r : listen_on(s, err);
}

static int check_port(const struct kube_port *port, const char *ip, struct err *err)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port->number)};
    int on = 1;

    inet_pton(AF_INET, ip, &at.sin_addr);
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || !port->tcp) {
        return 0;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 || errno == EACCES) {
        return 0;
    }
    return yaml_error(port->node, err,
                      "port %d of %s cannot be had (%s): another program listens on all addresses; "
                      "see ss -ltnp 'sport = :%d'",
                      port->number, ip, err_errno(errno), port->number);
}

static int check_workload(struct super *s, struct super_workload *w, struct err *err)
{
    char ip[16];
    int r = program_check(w->spec, err);

    if (r < 0 || !w->replicas) {
        return r;
    }
    super_address(s, w, 0, ip);
    for (size_t i = 0; i < w->spec->pod.container_count && r == 0; i++) {
        const struct kube_container *c = &w->spec->pod.containers[i];
        for (size_t p = 0; p < c->port_count && r == 0; p++) {
            r = check_port(&c->ports[p], ip, err);
        }
    }
    if (r == 0) {
        struct pod *pod = pod_new(&s->world, w->spec, &w->over, "check", ip, s->now);
        r = pod_check(pod, err);
        unlink(pod->log_path);
        pod_free(pod, false);
    }
    return r;
}

static int up(struct super *s, struct err *err)
{
    size_t total = 0;
    int r = 0;

    for (size_t i = 0; i < s->workload_count && r == 0; i++) {
        total += (size_t)s->workloads[i].replicas;
        r = check_workload(s, &s->workloads[i], err);
    }
    if (r == 0 && total > LAB_PODS_MAX) {
        r = err_set(err, -E2BIG, "%zu pods; at most %d run here", total, (int)LAB_PODS_MAX);
    }
    s->up |= r == 0;
    return r;
}

static struct super_workload *find_workload(struct super *s, const char *name, struct err *err)
{
    const char *names[64];
    size_t count = 0;

    for (size_t i = 0; name && i < s->workload_count; i++) {
        if (strcmp(s->workloads[i].spec->name, name) == 0) {
            return &s->workloads[i];
        }
        if (count < ARRAY_SIZE(names)) {
            names[count++] = s->workloads[i].spec->name;
        }
    }
    const char *meant = name ? str_suggest(name, names, count) : NULL;
    err_set(err, -ENOENT, meant ? "no workload '%.80s', did you mean '%s'?" : "no workload '%.80s'",
            name ? name : "", meant);
    return NULL;
}

static struct pod *find_pod(const struct super *s, const char *name, struct err *err)
{
    for (size_t i = 0; name && i < s->workload_count; i++) {
        for (size_t k = 0; k < s->workloads[i].slots; k++) {
            struct pod *pod = s->workloads[i].pods[k];
            if (pod && strcmp(pod->name, name) == 0) {
                return pod;
            }
        }
    }
    err_set(err, -ENOENT, "no pod '%.80s'", name ? name : "");
    return NULL;
}

static int scale(struct super *s, json_t *request, struct err *err)
{
    struct super_workload *w = find_workload(s, text_of(request, "workload"), err);
    json_int_t replicas = json_integer_value(json_object_get(request, "replicas"));

    if (!w) {
        return -ENOENT;
    }
    if (replicas < 0 || replicas > KUBE_REPLICAS_MAX) {
        return err_set(err, -EINVAL, "replicas: %lld is not from 0 to %d", (long long)replicas,
                       (int)KUBE_REPLICAS_MAX);
    }
    w->replicas = (int)replicas;
    return 0;
}

static int set_env(struct super *s, json_t *request, struct err *err)
{
    struct super_workload *w = find_workload(s, text_of(request, "workload"), err);
    json_t *env = json_object_get(request, "env");
    const char *name;
    json_t *value;

    if (!w) {
        return -ENOENT;
    }
    struct kube_pairs over = {arena_alloc(&s->arena, (w->over.count + json_object_size(env) + 1) *
                                                         sizeof(struct kube_pair)),
                              0};
    for (size_t i = 0; i < w->over.count; i++) {
        if (!json_object_get(env, w->over.items[i].key)) {
            over.items[over.count++] = w->over.items[i];
        }
    }
    json_object_foreach(env, name, value)
    {
        if (!*name || strchr(name, '=')) {
            return err_set(err, -EINVAL, "'%.80s' is no name of a variable", name);
        }
        if (json_is_string(value)) {
            const char *copy = arena_strdup(&s->arena, json_string_value(value));
            over.items[over.count++] =
                (struct kube_pair){arena_strdup(&s->arena, name), copy, strlen(copy)};
        }
    }
    w->over = over;
    w->generation++;
    return 0;
}

static int restart(struct super *s, json_t *request, struct err *err)
{
    struct super_workload *w = find_workload(s, text_of(request, "workload"), err);

    if (!w) {
        return -ENOENT;
    }
    w->generation++;
    return 0;
}

static int kill_pod(struct super *s, json_t *request, struct err *err)
{
    struct pod *pod = find_pod(s, text_of(request, "pod"), err);

    if (!pod) {
        return -ENOENT;
    }
    pod_kill(pod);
    return 0;
}

static json_t *
describe(const struct super *s, const struct super_workload *w, const struct pod *pod)
{
    const struct container *main = &pod->containers[pod->init_count];
    double cpu = 0;
    double memory = 0;

    for (size_t i = 0; i < w->spec->pod.container_count; i++) {
        cpu += (double)quantity_milli(w->spec->pod.containers[i].cpu_limit) / 1e3;
        memory += (double)quantity_value(w->spec->pod.containers[i].memory_limit);
    }
    return json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:i,s:b,s:i,s:I,s:f,s:f}", "name", pod->name,
                     "workload", w->spec->name, "ip", pod->ip, "status", pod_status(pod), "detail",
                     wire_text(pod_is_ready(pod) ? "" : pod_detail(pod)), "log",
                     wire_text(pod->log_path), "dir", wire_text(pod->dir), "pid",
                     (int)main->child.pid, "ready", (int)pod_is_ready(pod), "restarts",
                     (int)pod_restarts(pod), "age", (json_int_t)(s->now - pod->created), "cpu", cpu,
                     "memory", memory);
}

static json_t *list_pods(const struct super *s)
{
    json_t *pods = json_array();

    for (size_t i = 0; i < s->workload_count; i++) {
        for (size_t k = 0; k < s->workloads[i].slots; k++) {
            if (s->workloads[i].pods[k]) {
                json_array_append_new(pods, describe(s, &s->workloads[i], s->workloads[i].pods[k]));
            }
        }
    }
    return json_pack("{s:b,s:o}", "ok", 1, "pods", pods);
}

static json_t *list_hosts(const struct super *s)
{
    json_t *hosts = json_array();

    for (size_t i = 0; i < s->set->service_count; i++) {
        const struct kube_service *service = &s->set->services[i];
        for (size_t w = 0; w < s->workload_count; w++) {
            const struct kube_pod *spec = &s->workloads[w].spec->pod;
            for (size_t k = 0; k < s->workloads[w].slots; k++) {
                const struct pod *pod = s->workloads[w].pods[k];
                if (!pod || !pod_is_ready(pod) ||
                    !kube_selects(&service->selector, &spec->labels)) {
                    continue;
                }
                for (size_t p = 0; p < service->port_count; p++) {
                    const struct kube_service_port *port = &service->ports[p];
                    CLEANUP_FREE char *name = xasprintf("%s:%d", service->name, port->port);
                    CLEANUP_FREE char *address =
                        xasprintf("%s:%d", pod->ip, kube_target_port(port, spec));
                    json_array_append_new(hosts,
                                          json_pack("{s:s,s:s}", "name", name, "address", address));
                }
            }
        }
    }
    return json_pack("{s:b,s:o}", "ok", 1, "hosts", hosts);
}

// The first pod that is not as it should be.
struct unsettled {
    const struct super_workload *workload; // NULL = all are
    size_t slot;
    const struct pod *pod; // NULL when it does not exist
};

static struct unsettled find_unsettled(const struct super *s)
{
    for (size_t i = 0; i < s->workload_count; i++) {
        const struct super_workload *w = &s->workloads[i];
        for (size_t k = 0; k < MAX(w->slots, (size_t)w->replicas); k++) {
            const struct pod *pod = k < w->slots ? w->pods[k] : NULL;
            bool wanted = k < (size_t)w->replicas;
            bool settled = wanted && pod && pod_is_ready(pod) && pod->generation == w->generation;
            if (!settled && (wanted || pod)) {
                return (struct unsettled){w, k, pod};
            }
        }
    }
    return (struct unsettled){0};
}

static void answer_late(struct super_client *c, struct unsettled u)
{
    struct err err = {0};

    if (!u.pod) {
        err_set(&err, -ETIME, "pod '%s-%zu' does not exist yet",
                u.workload ? u.workload->spec->name : "", u.slot);
        refuse(c, &err);
        return;
    }
    CLEANUP_FREE char *tail = logfile_tail(u.pod->log_path, 1024);
    err_set(&err, -ETIME, "pod '%s' is not ready: %s%s%s", u.pod->name, pod_status(u.pod),
            *pod_detail(u.pod) ? ": " : "", pod_detail(u.pod));
    wire_put(&c->wire, json_pack("{s:b,s:i,s:o,s:o}", "ok", 0, "code", err.code, "error",
                                 wire_text(err.message), "log", wire_text(tail)));
}

void super_answer_waiting(struct super *s)
{
    for (size_t i = 0; i < s->client_count; i++) {
        struct super_client *c = s->clients[i];
        if (!c->await_until) {
            continue;
        }
        struct unsettled u = find_unsettled(s);
        if (s->up && !u.workload) {
            c->await_until = 0;
            answer(c, 0, NULL);
        } else if (s->now >= c->await_until || s->stopping) {
            c->await_until = 0;
            answer_late(c, u);
        }
        wire_flush(&c->wire);
    }
}

void super_request(struct super *s, struct super_client *c, json_t *request)
{
    static const struct {
        const char *name;
        int (*fn)(struct super *s, json_t *request, struct err *err);
    } changes[] = {{"scale", scale}, {"env", set_env}, {"restart", restart}, {"kill", kill_pod}};
    const char *op = text_of(request, "op");
    struct err err = {0};

    op = op ? op : "";
    if (strcmp(op, "init") == 0) {
        answer(c, init(s, request, &err), &err);
        return;
    }
    if (!s->set) {
        err_set(&err, -EINVAL, "the lab is not made yet");
        refuse(c, &err);
        return;
    }
    if (strcmp(op, "up") == 0) {
        answer(c, up(s, &err), &err);
    } else if (strcmp(op, "pods") == 0) {
        wire_put(&c->wire, list_pods(s));
    } else if (strcmp(op, "hosts") == 0) {
        wire_put(&c->wire, list_hosts(s));
    } else if (strcmp(op, "await") == 0) {
        c->await_until = s->now + json_integer_value(json_object_get(request, "timeout"));
    } else if (strcmp(op, "down") == 0) {
        s->stopping = true;
        c->awaits_end = true;
    } else {
        for (size_t i = 0; i < ARRAY_SIZE(changes); i++) {
            if (strcmp(changes[i].name, op) == 0) {
                answer(c, changes[i].fn(s, request, &err), &err);
                return;
            }
        }
        err_set(&err, -EINVAL, "unknown request '%.40s'", op);
        refuse(c, &err);
    }
}
