// SPDX-License-Identifier: Apache-2.0
// plimsoll lab up|ps|logs|down
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/map.h"
#include "base/opt.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/labs.h"

struct lab_args {
    const char *name;
    bool detach, follow, quiet, json, help;
    nsec_t timeout;
    int64_t lines; // -1 = all
};

enum lab_verb { LAB_UP, LAB_PS, LAB_LOGS, LAB_DOWN, LAB_VERBS };

static const struct {
    const char *name, *arguments, *summary;
} VERBS[LAB_VERBS] = {
    {"up", "FILES…", "start the Deployments and StatefulSets of these manifests as local pods"},
    {"ps", "", "list pods"},
    {"logs", "POD", "print what a pod wrote"},
    {"down", "[NAME]", "stop a lab and remove everything of it"},
};

static const struct opt_spec OPTIONS[] = {
    {"name", 0, "NAME", false, "name of the lab (up: that of the first file or directory)"},
    {"detach", 'd', NULL, false, "up: return once all pods are ready; end it with lab down"},
    {"timeout", 0, "DURATION", false, "up: how long pods may take to be ready (2m)"},
    {"follow", 'f', NULL, false, "logs: go on as more is written"},
    {"lines", 'n', "N", false, "logs: the last N lines only"},
    {"format", 0, "text|json", false, "ps: how to print (text)"},
    {"quiet", 'q', NULL, false, "no progress"},
    {"help", 'h', NULL, false, "print this"},
};

static volatile sig_atomic_t interrupted;

static void on_signal(int signal)
{
    (void)signal;
    interrupted++;
}

static int take_option(void *arg, const struct opt_spec *spec, const char *value, struct err *err)
{
    struct lab_args *a = arg;

    if (strcmp(spec->name, "name") == 0) {
        a->name = value;
    } else if (strcmp(spec->name, "detach") == 0) {
        a->detach = true;
    } else if (strcmp(spec->name, "follow") == 0) {
        a->follow = true;
    } else if (strcmp(spec->name, "quiet") == 0) {
        a->quiet = true;
    } else if (strcmp(spec->name, "help") == 0) {
        a->help = true;
    } else if (strcmp(spec->name, "timeout") == 0) {
        if (units_parse_duration_unit(slice_of(value), &a->timeout) < 0 || a->timeout <= 0) {
            return err_set(err, -EINVAL, "--timeout: expected a duration such as 90s, found '%s'",
                           value);
        }
    } else if (strcmp(spec->name, "lines") == 0) {
        if (units_parse_int(slice_of(value), &a->lines) < 0 || a->lines < 0) {
            return err_set(err, -EINVAL, "--lines: expected a number, found '%s'", value);
        }
    } else if (strcmp(spec->name, "format") == 0) {
        a->json = strcmp(value, "json") == 0;
        if (!a->json && strcmp(value, "text") != 0) {
            return err_set(err, -EINVAL, "--format: expected text or json, found '%s'", value);
        }
    }
    return 0;
}

static int print_help(void)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;

    printf("usage: plimsoll lab up|ps|logs|down …\n\nLocal pods from Kubernetes manifests.\n\n");
    for (size_t i = 0; i < LAB_VERBS; i++) {
        CLEANUP_FREE char *call = xasprintf("%s %s", VERBS[i].name, VERBS[i].arguments);
        printf("  %-16s %s\n", call, VERBS[i].summary);
    }
    opt_add_help(&b, OPTIONS, ARRAY_SIZE(OPTIONS), 100);
    printf("\noptions:\n%s", strbuf_str(&b));
    return EXIT_CODE_OK;
}

static void nap(nsec_t d)
{
    struct timespec t = {d / NSEC_PER_SEC, d % NSEC_PER_SEC};

    nanosleep(&t, NULL);
}

// -- up
// ---------------------------------------------------------------------------------------------

// "examples/system/" → "system", "web.yaml" → "web".
static char *name_of(const char *path)
{
    CLEANUP_FREE char *copy = strcmp(path, "-") == 0 ? xstrdup("stdin") : realpath(path, NULL);
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
    const char *base = copy ? strrchr(copy, '/') : NULL;

    for (const char *p = base ? base + 1 : copy ? copy : ""; *p && *p != '.'; p++) {
        strbuf_addc(&b, isalnum((unsigned char)*p) ? (char)tolower((unsigned char)*p) : '-');
    }
    if (b.n > LAB_NAME_MAX) {
        b.p[b.n = LAB_NAME_MAX] = 0;
    }
    return b.n ? strbuf_take(&b) : xstrdup("lab");
}

// Prints what changed since the last call: "order-service-0  Running  ready".
static int show_changes(struct lab *lab, struct map *seen, bool quiet, struct err *err)
{
    CLEANUP(lab_pods_fini) struct lab_pods pods = LAB_PODS_NULL;
    int r = lab_list(lab, &pods, err);

    for (size_t i = 0; i < pods.count && r == 0; i++) {
        const struct lab_pod *p = &pods.items[i];
        const char *detail = p->ready || strcmp(p->status, "Running") == 0 ? "" : p->detail;
        char *line = xasprintf("%-24s %-18s %s%s%s", p->name, p->ready ? "ready" : p->status, p->ip,
                               *detail ? "  " : "", detail);
        char *before = map_sets(seen, p->name, line);
        if (!quiet && (!before || strcmp(before, line) != 0)) {
            fprintf(stderr, "%s\n", line);
        }
        free(before);
    }
    return r;
}

static void show_services(struct lab *lab)
{
    CLEANUP(lab_hosts_fini) struct lab_hosts hosts = LAB_HOSTS_NULL;
    struct err err = {0};

    if (lab_hosts(lab, &hosts, &err) < 0) {
        return;
    }
    for (size_t i = 0; i < hosts.count; i++) {
        printf("%-32s %s\n", hosts.items[i].name, hosts.items[i].address);
    }
    const struct kube_set *set = lab_manifests(lab);
    for (size_t i = 0; set && i < set->config_count; i++) {
        const struct kube_config *c = &set->configs[i];
        for (size_t k = 0; k < c->generate.count; k++) {
            printf("secret %s %-20s %s/secrets/%s/%s\n", c->name, c->generate.items[k],
                   lab_dir(lab), c->name, c->generate.items[k]);
        }
    }
    fflush(stdout);
}

static int await_ready(struct lab *lab, const struct lab_args *a, struct map *seen, struct err *err)
{
    nsec_t deadline = clock_now() + a->timeout;
    int r = -ETIME;

    while (r == -ETIME && !interrupted) {
        bool last = clock_now() >= deadline;
        r = lab_await_ready(lab, last ? 1 : 200 * NSEC_PER_MSEC, err);
        int listed = show_changes(lab, seen, a->quiet, r < 0 && last ? NULL : err);
        if (last || (listed < 0 && r == 0)) {
            return listed < 0 ? listed : r;
        }
    }
    return interrupted ? -EINTR : r;
}

static int stay(struct lab *lab, const struct lab_args *a, struct map *seen, struct err *err)
{
    int r = 0;

    while (!interrupted && r == 0) {
        nap(500 * NSEC_PER_MSEC);
        r = show_changes(lab, seen, a->quiet, err);
    }
    return r;
}

static int bring_down(struct lab *lab, bool quiet, struct err *err)
{
    if (!quiet) {
        fprintf(stderr, "stopping (again: at once) …\n");
    }
    // A second signal ends this process, and with it the connection: then nothing waits for graces.
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    return lab_down(lab, err);
}

static int run_lab(struct lab *lab, const struct lab_args *a, struct err *err)
{
    struct map seen = MAP_NULL;
    int r = lab_up(lab, err);

    if (r == 0) {
        r = await_ready(lab, a, &seen, err);
        if (r == 0) {
            show_services(lab);
        }
        if (r == 0 && !a->detach) {
            if (!a->quiet) {
                fprintf(stderr, "all pods are ready; Ctrl-C stops them\n");
            }
            r = stay(lab, a, &seen, err);
        }
    }
    if (r == -EPIPE && !interrupted) {
        // A supervisor that ends by itself removes its directory first.
        bool killed = fs_exists(lab_dir(lab));
        r = killed ? err_set(err, -EPIPE, "the supervisor of the lab was killed, its pods are gone")
                   : 0;
        if (!killed && !a->quiet) {
            fprintf(stderr, "the lab was stopped\n");
        }
    } else if (r < 0 || !a->detach) {
        struct err late = {0};
        int down = bring_down(lab, a->quiet || !seen.used, &late);
        if (interrupted) {
            r = down;
            *err = late;
        }
    }
    MAP_FOREACH (it, &seen) {
        free(it->value);
    }
    map_fini(&seen);
    return r;
}

static int lab_verb_up(const struct lab_args *a, int argc, char **argv)
{
    CLEANUP(kube_sources_fini) struct kube_sources sources = KUBE_SOURCES_NULL;
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    CLEANUP(lab_free_p) struct lab *lab = NULL;
    struct sigaction action = {.sa_handler = on_signal};
    struct lab_options o;
    struct err err = {0};

    if (!argc) {
        return cmd_usage("lab", "up needs manifests: plimsoll lab up FILES…");
    }
    for (int i = 0; i < argc; i++) {
        if (kube_sources_add(&sources, argv[i], &err) < 0) {
            return cmd_fail(&err);
        }
    }
    CLEANUP_FREE char *name = name_of(argv[0]);
    labs_defaults(&o, &arena);
    o.name = a->name ? a->name : name;
    o.detached = a->detach;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (lab_open(&sources, &o, &lab, &err) < 0) {
        return cmd_fail(&err);
    }
    const struct kube_set *set = lab_manifests(lab);
    for (size_t i = 0; i < set->skipped_count && !a->quiet; i++) {
        fprintf(stderr, "%s:%d: %s '%s' is not run by the lab, skipped\n",
                set->skipped[i].node->file, set->skipped[i].node->line, set->skipped[i].kind,
                set->skipped[i].name);
    }
    if (!set->workload_count) {
        err_set(&err, -EINVAL, "no Deployment or StatefulSet in these manifests: nothing to run");
        return cmd_fail(&err);
    }
    int r = run_lab(lab, a, &err);
    if (r < 0) {
        cmd_fail(&err);
        return r == -ETIME || r == -EPIPE ? EXIT_CODE_VERDICT : EXIT_CODE_USAGE;
    }
    return EXIT_CODE_OK;
}

// -- ps
// ---------------------------------------------------------------------------------------------

static const char *format_age(nsec_t age, char *buf, unsigned size)
{
    long long s = age / NSEC_PER_SEC;

    if (s < 120) {
        snprintf(buf, size, "%llds", s);
    } else if (s < 2 * 3600) {
        snprintf(buf, size, "%lldm", s / 60);
    } else {
        snprintf(buf, size, "%lldh", s / 3600);
    }
    return buf;
}

static void print_pods(const char *lab, const struct lab_pods *pods, json_t *list)
{
    for (size_t i = 0; i < pods->count; i++) {
        const struct lab_pod *p = &pods->items[i];
        char age[32];
        if (list) {
            json_array_append_new(
                list, json_pack("{s:s,s:s,s:s,s:b,s:s,s:s,s:i,s:s,s:i,s:f,s:s}", "lab", lab, "name",
                                p->name, "workload", p->workload, "ready", (int)p->ready, "status",
                                p->status, "detail", p->detail, "restarts", (int)p->restarts, "ip",
                                p->ip, "pid", (int)p->pid, "age_seconds",
                                (double)p->age / NSEC_PER_SEC, "log", p->log));
            continue;
        }
        printf("%-16s %-28s %-6s %-18s %-9u %-16s %s\n", lab, p->name, p->ready ? "yes" : "no",
               p->status, p->restarts, p->ip, format_age(p->age, age, sizeof(age)));
    }
}

static int lab_verb_ps(const struct lab_args *a, int argc, char **argv)
{
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    const char *root = labs_root(&arena);
    char **names = lab_names(root);
    json_t *list = a->json ? json_array() : NULL;
    struct err err = {0};
    int status = EXIT_CODE_OK;
    bool any = false;

    (void)argv;
    if (argc) {
        status = cmd_usage("lab", "ps takes no arguments; --name NAME chooses a lab");
    } else if (!a->json && *names) {
        printf("%-16s %-28s %-6s %-18s %-9s %-16s %s\n", "LAB", "NAME", "READY", "STATUS",
               "RESTARTS", "IP", "AGE");
    }
    for (char **name = names; *name && !argc && status == EXIT_CODE_OK; name++) {
        CLEANUP(lab_pods_fini) struct lab_pods pods = LAB_PODS_NULL;
        CLEANUP(lab_free_p) struct lab *lab = NULL;
        if (a->name && strcmp(a->name, *name) != 0) {
            continue;
        }
        any = true;
        if (lab_attach(root, *name, &lab, &err) < 0 || lab_list(lab, &pods, &err) < 0) {
            status = cmd_fail(&err);
        } else {
            print_pods(*name, &pods, list);
        }
    }
    if (status == EXIT_CODE_OK && a->name && !any) {
        err_set(&err, -ENOENT, "no lab '%s' runs", a->name);
        status = cmd_fail(&err);
    } else if (status == EXIT_CODE_OK && !any && !a->json) {
        fprintf(stderr, "no lab runs\n");
    }
    if (list && status == EXIT_CODE_OK) {
        char *text = json_dumps(list, JSON_INDENT(2));
        printf("%s\n", text);
        free(text);
    }
    json_decref(list);
    lab_names_free(names);
    return status;
}

// -- logs and down
// ----------------------------------------------------------------------------------

// From the start of the last `lines` lines.
static const char *last_lines(const struct strbuf *text, int64_t lines)
{
    const char *p = strbuf_str(text) + text->n;

    if (lines < 0) {
        return strbuf_str(text);
    }
    for (int64_t seen = 0; p > strbuf_str(text); p--) {
        if (p[-1] == '\n' && p != strbuf_str(text) + text->n && ++seen == lines) {
            break;
        }
    }
    return lines ? p : strbuf_str(text) + text->n;
}

static int follow(const char *path, size_t from)
{
    char buf[1024];

    while (!interrupted) {
        CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            return 0; // the lab has ended
        }
        off_t size = lseek(fd, 0, SEEK_END);
        from = size < (off_t)from ? 0 : from; // a new file began
        ssize_t n;
        while ((n = pread(fd, buf, sizeof(buf), (off_t)from)) > 0) {
            fwrite(buf, 1, (size_t)n, stdout);
            from += (size_t)n;
        }
        fflush(stdout);
        nap(200 * NSEC_PER_MSEC);
    }
    return 0;
}

static int print_log(const char *path, const struct lab_args *a, struct err *err)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    CLEANUP(strbuf_fini) struct strbuf now = STRBUF_NULL;
    CLEANUP_FREE char *older = xasprintf("%s.1", path);

    fs_read(older, 64 << 20, &text, NULL);
    int r = fs_read(path, 64 << 20, &now, err);
    if (r < 0) {
        return r;
    }
    strbuf_add(&text, strbuf_str(&now), now.n);
    fputs(last_lines(&text, a->lines), stdout);
    fflush(stdout);
    return a->follow ? follow(path, now.n) : 0;
}

static int lab_verb_logs(const struct lab_args *a, int argc, char **argv)
{
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    CLEANUP(lab_pods_fini) struct lab_pods pods = LAB_PODS_NULL;
    CLEANUP(lab_free_p) struct lab *lab = NULL;
    struct sigaction action = {.sa_handler = on_signal};
    const struct lab_pod *found = NULL;
    const char *names[64];
    size_t count = 0;
    struct err err = {0};

    if (argc != 1) {
        return cmd_usage("lab", "logs needs the name of one pod");
    }
    if (lab_attach(labs_root(&arena), a->name, &lab, &err) < 0 || lab_list(lab, &pods, &err) < 0) {
        return cmd_fail(&err);
    }
    for (size_t i = 0; i < pods.count; i++) {
        const struct lab_pod *p = &pods.items[i];
        // A workload's name stands for its first pod.
        if (strcmp(p->name, argv[0]) == 0 || (!found && strcmp(p->workload, argv[0]) == 0)) {
            found = p;
        }
        if (count < ARRAY_SIZE(names)) {
            names[count++] = p->name;
        }
    }
    if (!found) {
        const char *meant = str_suggest(argv[0], names, count);
        err_set(&err, -ENOENT, meant ? "no pod '%s', did you mean '%s'?" : "no pod '%s'", argv[0],
                meant);
        return cmd_fail(&err);
    }
    sigaction(SIGINT, &action, NULL);
    return print_log(found->log, a, &err) < 0 ? cmd_fail(&err) : EXIT_CODE_OK;
}

// What killed labs left; says so.
static int clean(const char *root, bool quiet)
{
    int cleaned = lab_clean(root);

    if (cleaned && !quiet) {
        fprintf(stderr, "removed what %d killed lab%s left\n", cleaned, cleaned == 1 ? "" : "s");
    }
    return cleaned;
}

static int lab_verb_down(const struct lab_args *a, int argc, char **argv)
{
    CLEANUP(arena_fini) struct arena arena = ARENA_NULL;
    CLEANUP(lab_free_p) struct lab *lab = NULL;
    const char *root = labs_root(&arena);
    struct err err = {0};

    if (argc > 1) {
        return cmd_usage("lab", "down takes one name");
    }
    int cleaned = clean(root, a->quiet);
    if (lab_attach(root, argc ? argv[0] : a->name, &lab, &err) < 0) {
        return cleaned && !argc && !a->name && err.code == -ENOENT ? EXIT_CODE_OK : cmd_fail(&err);
    }
    int r = lab_down(lab, &err);
    // Its supervisor was being killed just then; the kernel needs a moment for that.
    for (int i = 0; r == -EPIPE && i < 100; i++) {
        clean(root, a->quiet);
        if (!fs_exists(lab_dir(lab))) {
            r = 0;
        } else {
            nap(20 * NSEC_PER_MSEC);
        }
    }
    return r < 0 ? cmd_fail(&err) : EXIT_CODE_OK;
}

int cmd_lab(int argc, char **argv)
{
    static int (*const verbs[LAB_VERBS])(const struct lab_args *a, int argc, char **argv) = {
        lab_verb_up, lab_verb_ps, lab_verb_logs, lab_verb_down};
    struct lab_args a = {.timeout = 120 * NSEC_PER_SEC, .lines = -1};
    const char *names[LAB_VERBS];
    struct err err = {0};
    int count;

    if (opt_parse(OPTIONS, ARRAY_SIZE(OPTIONS), argc, argv, take_option, &a, &count, &err) < 0) {
        return cmd_usage("lab", "%s", err.message);
    }
    if (a.help || !count) {
        return a.help ? print_help() : cmd_usage("lab", "needs one of up, ps, logs, down");
    }
    for (size_t i = 0; i < LAB_VERBS; i++) {
        names[i] = VERBS[i].name;
        if (strcmp(argv[0], VERBS[i].name) == 0) {
            return verbs[i](&a, count - 1, argv + 1);
        }
    }
    const char *meant = str_suggest(argv[0], names, LAB_VERBS);
    return meant ? cmd_usage("lab", "unknown '%s', did you mean '%s'?", argv[0], meant)
                 : cmd_usage("lab", "unknown '%s': up, ps, logs or down", argv[0]);
}
