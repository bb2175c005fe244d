// SPDX-License-Identifier: Apache-2.0
#include "lab/program.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/units.h"
#include "lab/words.h"

#define ANNOTATION "plimsoll.dev/"

static bool is_program(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

static const char *try_path(const char *dir, const char *name, struct arena *arena)
{
    const char *path = arena_printf(arena, "%s/%s", *dir ? dir : "/", name);

    return is_program(path) ? path : NULL;
}

static const char *find_relative(const char *name,
                                 const char *manifest,
                                 const struct program_paths *paths,
                                 struct arena *arena)
{
    CLEANUP_FREE char *file = fs_join(paths->cwd, manifest);
    const char *found = try_path(paths->cwd, name, arena);

    for (char *slash; !found && (slash = strrchr(file, '/'));) {
        *slash = 0;
        found = try_path(file, name, arena);
    }
    if (!found && paths->program_dir) {
        found = try_path(paths->program_dir, strrchr(name, '/') + 1, arena);
    }
    return found;
}

const char *program_find(const char *name,
                         const char *manifest,
                         const struct program_paths *paths,
                         struct arena *arena)
{
    const char *found = NULL;

    if (name[0] == '/') {
        return is_program(name) ? arena_strdup(arena, name) : NULL;
    }
    if (strchr(name, '/')) {
        return find_relative(name, manifest, paths, arena);
    }
    if (paths->program_dir) {
        found = try_path(paths->program_dir, name, arena);
    }
    for (struct slice rest = slice_of(paths->path); !found && rest.n;) {
        struct slice dir = slice_cut(&rest, ':');
        if (dir.n) {
            found = try_path(arena_strndup(arena, dir.p, dir.n), name, arena);
        }
    }
    return found;
}

// The annotation that stands for this container's image; NULL when there is none.
static const char *find_exec(const struct kube_workload *w,
                             const struct kube_container *c,
                             const struct yaml_node **ret_node,
                             struct arena *arena)
{
    const char *own = arena_printf(arena, ANNOTATION "exec.%s", c->name);
    bool only = w->pod.container_count == 1 && c == &w->pod.containers[0];
    const char *text = kube_pairs_get(&w->pod.annotations, own);

    if (text) {
        *ret_node = yaml_find(w->pod.annotations_node, own);
    } else if (only) {
        text = kube_pairs_get(&w->pod.annotations, ANNOTATION "exec");
        *ret_node = text ? yaml_find(w->pod.annotations_node, ANNOTATION "exec") : c->node;
    } else {
        *ret_node = c->node;
    }
    return text;
}

int program_check(const struct kube_workload *w, struct err *err)
{
    const char *known[64] = {ANNOTATION "user"};
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    size_t count = 1;

    if (w->pod.container_count == 1) {
        known[count++] = ANNOTATION "exec";
    }
    for (size_t i = 0; i < w->pod.container_count && count < ARRAY_SIZE(known); i++) {
        known[count++] = arena_printf(&arena, ANNOTATION "exec.%s", w->pod.containers[i].name);
    }
    for (size_t i = 0; i < w->pod.init_count && count < ARRAY_SIZE(known); i++) {
        known[count++] = arena_printf(&arena, ANNOTATION "exec.%s", w->pod.init_containers[i].name);
    }
    for (size_t i = 0; i < w->pod.annotations.count; i++) {
        const char *key = w->pod.annotations.items[i].key;
        size_t k = 0;
        if (!str_starts(key, ANNOTATION)) {
            continue;
        }
        while (k < count && strcmp(known[k], key) != 0) {
            k++;
        }
        if (k < count) {
            continue;
        }
        const struct yaml_node *n = w->pod.annotations_node->items[i];
        const char *meant = str_suggest(key, known, count);
        yaml_error(n, err,
                   meant ? "unknown annotation, did you mean '%s'?"
                         : "unknown annotation: 'plimsoll.dev/user' and "
                           "'plimsoll.dev/exec' (with several containers "
                           "'plimsoll.dev/exec.CONTAINER') are known",
                   meant);
        err_at(err, n->file, n->key_line, n->key_column);
        return -EINVAL;
    }
    return 0;
}

static int find_user(const struct kube_workload *w,
                     const struct kube_container *c,
                     struct program *p,
                     struct err *err)
{
    const char *name = kube_pairs_get(&w->pod.annotations, ANNOTATION "user");
    int64_t uid = c->run_as_user >= 0 ? c->run_as_user : w->pod.run_as_user;
    const struct passwd *entry;

    if (geteuid() != 0) {
        return 0;
    }
    p->drop = true;
    if (!name && uid >= 0) {
        entry = getpwuid((uid_t)uid);
        p->uid = (uid_t)uid;
        p->gid = entry ? entry->pw_gid : (gid_t)uid;
        return 0;
    }
    entry = getpwnam(name ? name : "nobody");
    if (!entry && name && units_parse_int(slice_of(name), &uid) == 0 && uid >= 0 &&
        uid < INT32_MAX) {
        p->uid = (uid_t)uid;
        p->gid = (gid_t)uid;
        return 0;
    }
    if (!entry) {
        return yaml_error(name ? yaml_find(w->pod.annotations_node, ANNOTATION "user") : c->node,
                          err, "there is no user '%.60s' on this machine", name ? name : "nobody");
    }
    p->uid = entry->pw_uid;
    p->gid = entry->pw_gid;
    return 0;
}

// Words of the annotation, or command and args with $(VAR) expanded. `env` gains assignments that
// stand in front of the annotation's program.
static int find_words(const struct kube_workload *w,
                      const struct kube_container *c,
                      struct kube_pairs *env,
                      struct arena *arena,
                      struct kube_strings *ret_words,
                      const struct yaml_node **ret_node,
                      struct err *err)
{
    const char *exec = find_exec(w, c, ret_node, arena);
    struct kube_strings words = {
        arena_alloc(arena, (c->command.count + c->args.count + 1) * sizeof(char *))};

    if (!exec && !c->command.count) {
        return yaml_error(c->node, err,
                          "images are not run here: give the container a command, or the pod "
                          "template the annotation 'plimsoll.dev/exec%s%s'",
                          w->pod.container_count > 1 ? "." : "",
                          w->pod.container_count > 1 ? c->name : "");
    }
    if (!exec) {
        for (size_t i = 0; i < c->command.count; i++) {
            words.items[words.count++] = kube_expand(c->command.items[i], env, arena);
        }
        for (size_t i = 0; i < c->args.count; i++) {
            words.items[words.count++] = kube_expand(c->args.items[i], env, arena);
        }
        *ret_words = words;
        return 0;
    }
    struct err why = {0};
    if (words_split(exec, env, arena, &words, &why) < 0) {
        return yaml_error(*ret_node, err, "%s", why.message);
    }
    struct kube_pair *items = arena_alloc(arena, (env->count + words.count + 1) * sizeof(*items));
    if (env->count) {
        memcpy(items, env->items, env->count * sizeof(*items));
    }
    env->items = items;
    while (words.count && words_is_assignment(words.items[0])) {
        const char *equals = strchr(words.items[0], '=');
        env->items[env->count++] = (struct kube_pair){
            arena_strndup(arena, words.items[0], (size_t)(equals - words.items[0])), equals + 1,
            strlen(equals + 1)};
        words.items++;
        words.count--;
    }
    if (!words.count) {
        return yaml_error(*ret_node, err, "names no program");
    }
    *ret_words = words;
    return 0;
}

int program_build(const struct kube_set *set,
                  const struct kube_workload *workload,
                  const struct kube_container *container,
                  const struct kube_strings *command,
                  const struct kube_identity *who,
                  const struct program_paths *paths,
                  struct arena *arena,
                  struct program *ret_program,
                  struct err *err)
{
    struct program p = {0};
    struct kube_pairs env;
    struct kube_strings words = {0};
    const struct yaml_node *node = container->node;

    int r = find_user(workload, container, &p, err);
    r = r < 0 ? r : kube_env_build(set, workload, container, who, arena, &env, err);
    if (r == 0 && command) {
        words = *command;
    } else if (r == 0) {
        r = find_words(workload, container, &env, arena, &words, &node, err);
    }
    if (r < 0) {
        return r;
    }
    p.path = program_find(words.items[0], node->file, paths, arena);
    if (!p.path) {
        return yaml_error(node, err, "no program '%.120s' on this machine%s", words.items[0],
                          strchr(words.items[0], '/') ? "" : "; install it, or give its path");
    }
    p.argv = arena_alloc(arena, (words.count + 1) * sizeof(char *));
    memcpy(p.argv, words.items, words.count * sizeof(char *));
    p.envp = arena_alloc(arena, (env.count + 1) * sizeof(char *));
    size_t count = 0;
    for (size_t i = 0; i < env.count; i++) {
        size_t later = i + 1; // an assignment of the annotation replaces the manifest's
        while (later < env.count && strcmp(env.items[later].key, env.items[i].key) != 0) {
            later++;
        }
        if (later == env.count) {
            p.envp[count++] = arena_printf(arena, "%s=%s", env.items[i].key, env.items[i].value);
        }
    }
    *ret_program = p;
    return 0;
}
