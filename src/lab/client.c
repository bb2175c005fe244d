// SPDX-License-Identifier: Apache-2.0
// The lab as its users see it: requests to the supervisor.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "lab/lab.h"
#include "lab/logfile.h"
#include "lab/state.h"
#include "lab/wire.h"

extern char **environ;

static const nsec_t ANSWER_TIMEOUT = 30 * NSEC_PER_SEC;

struct lab {
    struct wire wire;
    struct kube_set *set; // NULL when attached
    char *root, *name, *dir;
    pid_t supervisor; // our child, 0 when attached
    bool detached;
};

// Error of an answer into err; 0 when it has none.
static int read_answer(json_t *answer, struct err *err)
{
    json_int_t code = json_integer_value(json_object_get(answer, "code"));
    const char *message = json_string_value(json_object_get(answer, "error"));
    const char *file = json_string_value(json_object_get(answer, "file"));
    const char *log = json_string_value(json_object_get(answer, "log"));

    if (json_is_true(json_object_get(answer, "ok"))) {
        return 0;
    }
    err_set(err, code < 0 ? (int)code : -EPROTO, "%s%s%s", message ? message : "no answer",
            log && *log ? "; its log ends with:\n" : "", log ? log : "");
    if (file && *file) {
        err_at(err, file, (int)json_integer_value(json_object_get(answer, "line")),
               (int)json_integer_value(json_object_get(answer, "column")));
    }
    return code < 0 ? (int)code : -EPROTO;
}

// Sends a request (taken); the answer is the caller's when ret_answer is not NULL.
static int
ask(struct lab *lab, json_t *request, nsec_t timeout, json_t **ret_answer, struct err *err)
{
    json_t *answer = NULL;
    int r = wire_ask(&lab->wire, request, clock_now() + timeout, &answer);

    if (r < 0) {
        return err_set(err, r, r == -EPIPE ? "the lab has ended" : "the lab does not answer: %s",
                       err_errno(r));
    }
    r = read_answer(answer, err);
    if (r == 0 && ret_answer) {
        *ret_answer = answer;
    } else {
        json_decref(answer);
    }
    return r;
}

static int start_supervisor(struct lab *lab, const char *exe, struct err *err)
{
    char *const argv[] = {(char *)"plimsoll", (char *)"lab-supervisor", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    CLEANUP_FREE char *log = xasprintf("%s/supervisor.log", lab->dir);
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
        return err_set(err, -errno, "cannot make a socket: %s", err_errno(errno));
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    if (lab->detached) {
        posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT, 0600);
    }
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    int r = -posix_spawn(&lab->supervisor, exe, &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    lab->wire.fd = ends[0];
    if (r < 0) {
        lab->supervisor = 0;
        return err_set(err, r, "cannot start '%s': %s", exe, err_errno(r));
    }
    return 0;
}

static json_t *init_request(const struct kube_sources *sources,
                            const struct lab_options *o,
                            const struct state *state)
{
    json_t *list = json_array();
    CLEANUP_FREE char *cwd = getcwd(NULL, 0);

    for (size_t i = 0; i < sources->count; i++) {
        const struct kube_source *s = &sources->items[i];
        json_array_append_new(
            list, json_pack("{s:o,s:s%}", "name", wire_text(s->name), "text", s->text, s->text_n));
    }
    json_t *request =
        json_pack("{s:s,s:o,s:s,s:I,s:o,s:o,s:b,s:o}", "op", "init", "dir", wire_text(state->dir),
                  "id", state->id, "net", (json_int_t)state->net, "cwd", wire_text(cwd ? cwd : "/"),
                  "path", wire_text(o->path), "detached", (int)o->detached, "sources", list);
    if (o->program_dir) {
        json_object_set_new(request, "program_dir", wire_text(o->program_dir));
    }
    if (o->tag) {
        json_object_set_new(request, "tag", wire_text(o->tag));
    }
    return request;
}

static int check_name(const char *name, struct err *err)
{
    size_t n = strlen(name);

    if (!n || n > LAB_NAME_MAX || name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")]) {
        return err_set(err, -EINVAL,
                       "'%.80s' is no name of a lab: 1 to %d lower case letters, digits, '-'", name,
                       (int)LAB_NAME_MAX);
    }
    return 0;
}

int lab_open(const struct kube_sources *sources,
             const struct lab_options *options,
             struct lab **ret_lab,
             struct err *err)
{
    CLEANUP(lab_free_p) struct lab *lab = XNEW(struct lab);
    CLEANUP(state_fini) struct state state = {.dir = NULL};

    lab->wire.fd = -1;
    lab->detached = options->detached;
    lab->root = xstrdup(options->root);
    lab->name = xstrdup(options->name ? options->name : "lab");
    int r = check_name(lab->name, err);
    r = r < 0 ? r : kube_load(sources, &lab->set, err);
    if (r < 0) {
        return r;
    }
    CLEANUP_CLOSE int lock = state_lock_root(lab->root, err);
    if (lock < 0) {
        return lock;
    }
    state_clean(lab->root);
    r = state_make(&state, lab->root, lab->name, err);
    if (r < 0) {
        state_drop_root(lab->root);
        return r;
    }
    lab->dir = xstrdup(state.dir);
    r = start_supervisor(lab, options->exe ? options->exe : "/proc/self/exe", err);
    r = r < 0 ? r : ask(lab, init_request(sources, options, &state), ANSWER_TIMEOUT, NULL, err);
    if (r < 0) {
        wire_fini(&lab->wire);
        if (lab->supervisor) {
            waitpid(lab->supervisor, NULL, 0);
            lab->supervisor = 0;
        }
        state_remove(&state);
        return r;
    }
    *ret_lab = TAKE(lab);
    return 0;
}

// Whether the supervisor ended by itself; else what it left is ended here.
static void await_supervisor(struct lab *lab)
{
    int status;

    while (waitpid(lab->supervisor, &status, 0) < 0 && errno == EINTR) {
    }
    lab->supervisor = 0;
    if (fs_exists(lab->dir)) { // it was killed
        lab_clean(lab->root);
    }
}

void lab_free(struct lab *lab)
{
    if (!lab) {
        return;
    }
    wire_fini(&lab->wire);
    if (lab->supervisor && !lab->detached) {
        await_supervisor(lab);
    }
    kube_set_free(lab->set);
    free(lab->root);
    free(lab->name);
    free(lab->dir);
    free(lab);
}

static int connect_to(const char *dir)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    CLEANUP_FREE char *path = xasprintf("%s/ctl", dir);

    if (strlen(path) >= sizeof(to.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(to.sun_path, path, strlen(path));
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
        return -errno;
    }
    int connected = fd;
    fd = -1;
    return connected;
}

char **lab_names(const char *root)
{
    char **names = state_names(root);
    size_t kept = 0;

    for (char **name = names; *name; name++) {
        CLEANUP_FREE char *dir = xasprintf("%s/lab-%s", root, *name);
        char *own = TAKE(*name);
        if (state_is_live(dir)) {
            names[kept++] = own;
        } else {
            free(own);
        }
    }
    return names;
}

void lab_names_free(char **names)
{
    for (char **name = names; name && *name; name++) {
        free(*name);
    }
    free(names);
}

int lab_attach(const char *root, const char *name, struct lab **ret_lab, struct err *err)
{
    CLEANUP(lab_free_p) struct lab *lab = XNEW(struct lab);
    char **names = lab_names(root);
    const char *found = NULL;
    size_t count = 0;

    lab->wire.fd = -1;
    for (; names[count]; count++) {
        if (!name || strcmp(name, names[count]) == 0) {
            found = names[count];
        }
    }
    int r = 0;
    if (!found && !name) {
        r = err_set(err, -ENOENT, "no lab runs; start one with: plimsoll lab up FILES");
    } else if (!found) {
        const char *meant = str_suggest(name, (const char *const *)names, count);
        r = err_set(err, -ENOENT,
                    meant ? "no lab '%s' runs, did you mean '%s'?" : "no lab '%s' runs", name,
                    meant);
    } else if (!name && count > 1) {
        r = err_set(err, -EINVAL, "%zu labs run: say which by --name, such as --name %s", count,
                    found);
    } else {
        lab->root = xstrdup(root);
        lab->name = xstrdup(found);
        lab->dir = xasprintf("%s/lab-%s", root, found);
        lab->wire.fd = connect_to(lab->dir);
        if (lab->wire.fd < 0) {
            r = err_set(err, lab->wire.fd, "cannot reach the lab '%s': %s", found,
                        err_errno(lab->wire.fd));
        }
    }
    lab_names_free(names);
    if (r == 0) {
        *ret_lab = TAKE(lab);
    }
    return r;
}

int lab_clean(const char *root)
{
    CLEANUP_CLOSE int lock = fs_exists(root) ? state_lock_root(root, NULL) : -1;

    if (lock < 0) {
        return 0;
    }
    int count = state_clean(root);
    state_drop_root(root);
    return count;
}

int lab_up(struct lab *lab, struct err *err)
{
    return ask(lab, json_pack("{s:s}", "op", "up"), ANSWER_TIMEOUT, NULL, err);
}

int lab_await_ready(struct lab *lab, nsec_t timeout, struct err *err)
{
    return ask(lab, json_pack("{s:s,s:I}", "op", "await", "timeout", (json_int_t)timeout),
               timeout + ANSWER_TIMEOUT, NULL, err);
}

int lab_down(struct lab *lab, struct err *err)
{
    // Graces are a day at most; an impatient user ends the connection.
    int r = ask(lab, json_pack("{s:s}", "op", "down"), 2 * 86400 * NSEC_PER_SEC, NULL, err);

    wire_fini(&lab->wire);
    if (lab->supervisor) {
        await_supervisor(lab);
    }
    return r;
}

int lab_scale(struct lab *lab, const char *workload, int replicas, struct err *err)
{
    return ask(lab,
               json_pack("{s:s,s:o,s:i}", "op", "scale", "workload", wire_text(workload),
                         "replicas", replicas),
               ANSWER_TIMEOUT, NULL, err);
}

int lab_set_env(struct lab *lab,
                const char *workload,
                const struct kube_pair *env,
                size_t count,
                struct err *err)
{
    json_t *changes = json_object();

    for (size_t i = 0; i < count; i++) {
        json_object_set_new(changes, env[i].key,
                            env[i].value ? wire_text(env[i].value) : json_null());
    }
    return ask(
        lab,
        json_pack("{s:s,s:o,s:o}", "op", "env", "workload", wire_text(workload), "env", changes),
        ANSWER_TIMEOUT, NULL, err);
}

int lab_restart(struct lab *lab, const char *workload, struct err *err)
{
    return ask(lab, json_pack("{s:s,s:o}", "op", "restart", "workload", wire_text(workload)),
               ANSWER_TIMEOUT, NULL, err);
}

int lab_kill(struct lab *lab, const char *pod, struct err *err)
{
    return ask(lab, json_pack("{s:s,s:o}", "op", "kill", "pod", wire_text(pod)), ANSWER_TIMEOUT,
               NULL, err);
}

static char *copy_text(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return xstrdup(text ? text : "");
}

int lab_list(struct lab *lab, struct lab_pods *ret_pods, struct err *err)
{
    json_t *answer;
    int r = ask(lab, json_pack("{s:s}", "op", "pods"), ANSWER_TIMEOUT, &answer, err);

    if (r < 0) {
        return r;
    }
    json_t *list = json_object_get(answer, "pods");
    lab_pods_fini(ret_pods);
    ret_pods->count = json_array_size(list);
    ret_pods->items = xcalloc(ret_pods->count + 1, sizeof(struct lab_pod));
    for (size_t i = 0; i < ret_pods->count; i++) {
        json_t *p = json_array_get(list, i);
        ret_pods->items[i] = (struct lab_pod){
            .name = copy_text(p, "name"),
            .workload = copy_text(p, "workload"),
            .ip = copy_text(p, "ip"),
            .status = copy_text(p, "status"),
            .detail = copy_text(p, "detail"),
            .log = copy_text(p, "log"),
            .dir = copy_text(p, "dir"),
            .pid = (pid_t)json_integer_value(json_object_get(p, "pid")),
            .ready = json_is_true(json_object_get(p, "ready")),
            .restarts = (unsigned)json_integer_value(json_object_get(p, "restarts")),
            .age = json_integer_value(json_object_get(p, "age")),
            .cpu_limit = json_number_value(json_object_get(p, "cpu")),
            .memory_limit = json_number_value(json_object_get(p, "memory")),
        };
    }
    json_decref(answer);
    return 0;
}

void lab_pods_fini(struct lab_pods *pods)
{
    for (size_t i = 0; i < pods->count; i++) {
        struct lab_pod *p = &pods->items[i];
        free(p->name);
        free(p->workload);
        free(p->ip);
        free(p->status);
        free(p->detail);
        free(p->log);
        free(p->dir);
    }
    free(pods->items);
    *pods = (struct lab_pods)LAB_PODS_NULL;
}

int lab_hosts(struct lab *lab, struct lab_hosts *ret_hosts, struct err *err)
{
    json_t *answer;
    int r = ask(lab, json_pack("{s:s}", "op", "hosts"), ANSWER_TIMEOUT, &answer, err);

    if (r < 0) {
        return r;
    }
    json_t *list = json_object_get(answer, "hosts");
    lab_hosts_fini(ret_hosts);
    ret_hosts->count = json_array_size(list);
    ret_hosts->items = xcalloc(ret_hosts->count + 1, sizeof(struct lab_host));
    for (size_t i = 0; i < ret_hosts->count; i++) {
        json_t *h = json_array_get(list, i);
        ret_hosts->items[i] = (struct lab_host){copy_text(h, "name"), copy_text(h, "address")};
    }
    json_decref(answer);
    return 0;
}

void lab_hosts_fini(struct lab_hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) {
        free(hosts->items[i].name);
        free(hosts->items[i].address);
    }
    free(hosts->items);
    *hosts = (struct lab_hosts)LAB_HOSTS_NULL;
}

int lab_secret(
    struct lab *lab, const char *name, const char *key, char **ret_value, struct err *err)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    CLEANUP_FREE char *path = xasprintf("%s/secrets/%s/%s", lab->dir, name, key);

    if (strchr(name, '/') || strchr(key, '/') || fs_read(path, 1 << 20, &text, NULL) < 0) {
        return err_set(err, -ENOENT, "the lab has no secret '%.80s' with a key '%.80s'", name, key);
    }
    *ret_value = strbuf_take(&text);
    return 0;
}

const struct kube_set *lab_manifests(const struct lab *lab)
{
    return lab->set;
}

const char *lab_name(const struct lab *lab)
{
    return lab->name;
}

const char *lab_dir(const struct lab *lab)
{
    return lab->dir;
}
