// SPDX-License-Identifier: Apache-2.0
// plimsoll doctor: what will work on this machine, what will not, and why.
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fs.h"
#include "base/opt.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/labs.h"
#include "lab/host.h"

enum verdict { GOOD, LIMITED, BAD };

static const char *const VERDICTS[] = {"ok", "limited", "missing"};

struct finding {
    enum verdict verdict;
    const char *name;
    const char *value;  // what is there
    const char *effect; // what follows from it, "" for nothing
    const char *mend;   // what to do, "" for nothing
};

struct doctor {
    struct arena arena;
    struct finding findings[32];
    size_t count;
};

static void add(struct doctor *d,
                enum verdict verdict,
                const char *name,
                const char *value,
                const char *effect,
                const char *mend)
{
    ASSERT(d->count < ARRAY_SIZE(d->findings));
    d->findings[d->count++] = (struct finding){verdict, name, value, effect, mend};
}

// First line of a file in the arena, "" when it cannot be read.
static const char *read_line(struct doctor *d, const char *path)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;

    if (fs_read(path, 1 << 20, &text, NULL) < 0) {
        return "";
    }
    struct slice rest = {text.p, text.n};
    struct slice line = slice_trim(slice_cut(&rest, '\n'));
    return line.n ? arena_strndup(&d->arena, line.p, line.n) : "";
}

static int64_t read_number(struct doctor *d, const char *path, int64_t otherwise)
{
    struct slice rest = slice_of(read_line(d, path));
    int64_t value;

    return units_parse_int(slice_cut(&rest, ' '), &value) == 0 ? value : otherwise;
}

static void check_kernel(struct doctor *d)
{
    struct utsname u;
    int major = 0;
    int minor = 0;

    uname(&u);
    sscanf(u.release, "%d.%d", &major, &minor);
    bool good = major > 5 || (major == 5 && minor >= 10);
    add(d, good ? GOOD : BAD, "kernel", arena_printf(&d->arena, "%s %s", u.release, u.machine),
        good ? "" : "local pods need pidfd and more of Linux 5.10",
        good ? "" : "use Linux 5.10 or later");
}

static void check_cores(struct doctor *d)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const char *load = read_line(d, "/proc/loadavg");
    const char *quota = read_line(d, "/sys/fs/cgroup/cpu.max");
    double busy = strtod(load, NULL);
    bool limited = *quota && !str_starts(quota, "max");

    const char *value =
        arena_printf(&d->arena, "%ld%s%s, load %.1f", cores,
                     limited ? ", limited by cgroup to " : "", limited ? quota : "", busy);
    if (cores < 2) {
        add(d, LIMITED, "cores", value,
            "generator and service share one core: results are marked co-located and vary", "");
    } else if (busy > 0.3 * (double)cores) {
        add(d, LIMITED, "cores", value, "other programs use the cores: results vary",
            "end them while measuring");
    } else {
        add(d, GOOD, "cores", value, "", "");
    }
}

static void check_memory(struct doctor *d)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    unsigned long long kib = 0;

    fs_read("/proc/meminfo", 1 << 16, &text, NULL);
    const char *at = strstr(strbuf_str(&text), "MemAvailable:");
    if (at) {
        sscanf(at, "MemAvailable: %llu", &kib);
    }
    const char *value = arena_printf(&d->arena, "%.1f GiB available", (double)kib / 1048576);
    if (kib < 1 << 20) {
        add(d, LIMITED, "memory", value, "the reference system with PostgreSQL needs about 1 GiB",
            "");
    } else {
        add(d, GOOD, "memory", value, "", "");
    }
}

static void check_files(struct doctor *d)
{
    struct rlimit files = {0};

    getrlimit(RLIMIT_NOFILE, &files);
    bool good = files.rlim_max >= 65536;
    add(d, good ? GOOD : LIMITED, "open files",
        arena_printf(&d->arena, "%llu now, up to %llu", (unsigned long long)files.rlim_cur,
                     (unsigned long long)files.rlim_max),
        good ? "" : "each connection of a virtual user needs one",
        good ? "" : "ulimit -Hn 1048576, or LimitNOFILE= of the service manager");
}

static void check_network(struct doctor *d)
{
    long long first = 0;
    long long last = 0;
    const char *range = read_line(d, "/proc/sys/net/ipv4/ip_local_port_range");
    int64_t backlog = read_number(d, "/proc/sys/net/core/somaxconn", 0);
    int r = host_try_loopback();

    sscanf(range, "%lld %lld", &first, &last);
    bool wide = last - first >= 20000;
    add(d, wide ? GOOD : LIMITED, "local ports",
        arena_printf(&d->arena, "%lld to %lld", first, last),
        wide ? "" : "limits connections that are opened and closed to one address",
        wide ? "" : "sysctl -w net.ipv4.ip_local_port_range='1024 65535'");
    add(d, backlog >= 1024 ? GOOD : LIMITED, "somaxconn",
        arena_printf(&d->arena, "%lld", (long long)backlog),
        backlog >= 1024 ? "" : "services drop connections that arrive together",
        backlog >= 1024 ? "" : "sysctl -w net.core.somaxconn=4096");
    add(d, r == 0 ? GOOD : BAD, "loopback addresses", r == 0 ? "127.64.0.0/10" : err_errno(r),
        r == 0 ? "" : "every local pod needs an address of its own",
        r == 0 ? "" : "ip link set lo up");
}

static void check_cgroup(struct doctor *d)
{
    bool v2 = fs_exists("/sys/fs/cgroup/cgroup.controllers");
    bool v1 = fs_exists("/sys/fs/cgroup/cpu") || fs_exists("/sys/fs/cgroup/memory");

    add(d, v2 || v1 ? GOOD : LIMITED, "cgroup",
        v2   ? "v2"
        : v1 ? "v1"
             : "not mounted",
        "limits of cpu and memory in manifests are not enforced yet", "");
}

static void check_namespaces(struct doctor *d)
{
    int r = host_try_user_namespace();

    add(d, r == 0 ? GOOD : LIMITED, "user namespaces", r == 0 ? "work" : err_errno(r),
        r == 0 ? "" : "not needed for local pods of the present form",
        r == 0 ? ""
               : "sysctl -w kernel.unprivileged_userns_clone=1, or "
                 "kernel.apparmor_restrict_unprivileged_userns=0");
}

static bool has_module(struct doctor *d, const char *module)
{
    static const char *const lists[] = {"modules.builtin", "modules.dep"};
    struct utsname u;

    uname(&u);
    if (fs_exists(arena_printf(&d->arena, "/sys/module/%s", module))) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
        fs_read(arena_printf(&d->arena, "/lib/modules/%s/%s", u.release, lists[i]), 64 << 20, &text,
                NULL);
        if (strstr(strbuf_str(&text), arena_printf(&d->arena, "/%s.ko", module))) {
            return true;
        }
    }
    return false;
}

static void check_kernel_parts(struct doctor *d)
{
    bool netem = has_module(d, "sch_netem");
    int64_t paranoid = read_number(d, "/proc/sys/kernel/perf_event_paranoid", 9);
    bool perf = geteuid() == 0 || paranoid <= 1;

    // A kernel without a list of modules may still have it built in.
    add(d, netem ? GOOD : LIMITED, "sch_netem", netem ? "there" : "not seen",
        netem ? "" : "delay and loss on the network cannot be made by the kernel", "");
    add(d, perf ? GOOD : LIMITED, "perf_event_paranoid",
        arena_printf(&d->arena, "%lld", (long long)paranoid),
        perf ? "" : "no profiles of the kernel's part",
        perf ? "" : "sysctl -w kernel.perf_event_paranoid=1");
}

static bool has_program(const char *path, const char *name)
{
    struct slice rest = slice_of(path);

    while (rest.n) {
        struct slice dir = slice_cut(&rest, ':');
        CLEANUP_FREE char *file = xasprintf("%.*s/%s", (int)dir.n, dir.n ? dir.p : ".", name);
        if (access(file, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

// Directory of the newest PostgreSQL in the arena; NULL when there is none.
static const char *find_postgres(struct doctor *d, const char *path)
{
    struct dirent **entries = NULL;
    const char *found = NULL;

    int count = scandir("/usr/lib/postgresql", &entries, NULL, versionsort);
    for (int i = 0; i < count; i++) {
        const char *bin = arena_printf(&d->arena, "/usr/lib/postgresql/%s/bin", entries[i]->d_name);
        if (has_program(bin, "postgres") && has_program(bin, "initdb")) {
            found = bin;
        }
        free(entries[i]);
    }
    free(entries);
    return found || !has_program(path, "initdb") || !has_program(path, "postgres") ? found : "PATH";
}

static void check_programs(struct doctor *d)
{
    struct lab_options o;

    labs_defaults(&o, &d->arena);
    const char *postgres = find_postgres(d, o.path);
    bool nats = has_program(o.path, "nats-server");
    bool wrk = has_program(o.path, "wrk");
    add(d, postgres ? GOOD : LIMITED, "postgres", postgres ? postgres : "not found",
        postgres ? "" : "the reference system does not run",
        postgres ? "" : "apt-get install postgresql");
    add(d, nats ? GOOD : LIMITED, "nats-server", nats ? "found" : "not found",
        nats ? "" : "the reference system does not run", nats ? "" : "apt-get install nats-server");
    add(d, wrk ? GOOD : LIMITED, "wrk", wrk ? "found" : "not found",
        wrk ? "" : "make bench cannot compare", wrk ? "" : "apt-get install wrk");
}

static void check_places(struct doctor *d)
{
    const char *root = labs_root(&d->arena);
    CLEANUP_FREE char *parent = fs_dirname(root);
    bool state = access(fs_exists(root) ? root : parent, W_OK | X_OK) == 0;
    bool here = access(".", W_OK | X_OK) == 0;

    add(d, state ? GOOD : BAD, "state directory", root, state ? "" : "labs cannot start",
        state ? "" : "set TMPDIR to a directory that can be written");
    add(d, here ? GOOD : LIMITED, "this directory", here ? "can be written" : "cannot be written",
        here ? "" : "no run directories (plimsoll-runs/) here",
        here ? "" : "work in another directory");
}

static const struct finding *find(const struct doctor *d, const char *name)
{
    for (size_t i = 0; i < d->count; i++) {
        if (strcmp(d->findings[i].name, name) == 0) {
            return &d->findings[i];
        }
    }
    return NULL;
}

// What commands need, by findings; `hard` breaks the exit status.
struct ability {
    const char *name;
    const char *needs[6];
    enum verdict tolerated; // a need that is worse than this prevents it
};

static const struct ability ABILITIES[] = {
    {"local pods (plimsoll lab)", {"kernel", "loopback addresses", "state directory"}, LIMITED},
    {"the reference system (make demo)",
     {"kernel", "loopback addresses", "state directory", "postgres", "nats-server"},
     GOOD},
};

static const struct finding *obstacle(const struct doctor *d, const struct ability *a)
{
    for (size_t i = 0; i < ARRAY_SIZE(a->needs) && a->needs[i]; i++) {
        const struct finding *f = find(d, a->needs[i]);
        if (f && f->verdict > a->tolerated) {
            return f;
        }
    }
    return NULL;
}

static void print_text(const struct doctor *d)
{
    for (size_t i = 0; i < d->count; i++) {
        const struct finding *f = &d->findings[i];
        printf("%-8s %-20s %s\n", VERDICTS[f->verdict], f->name, f->value);
        if (*f->effect && f->verdict != GOOD) {
            printf("%29s %s\n", "", f->effect);
        }
        if (*f->mend) {
            printf("%29s mend: %s\n", "", f->mend);
        }
    }
    printf("\n");
    for (size_t i = 0; i < ARRAY_SIZE(ABILITIES); i++) {
        const struct finding *f = obstacle(d, &ABILITIES[i]);
        if (f) {
            printf("%-40s will not work: %s: %s\n", ABILITIES[i].name, f->name, f->value);
        } else {
            printf("%-40s will work\n", ABILITIES[i].name);
        }
    }
}

static void print_json(const struct doctor *d)
{
    json_t *findings = json_array();
    json_t *abilities = json_array();

    for (size_t i = 0; i < d->count; i++) {
        const struct finding *f = &d->findings[i];
        json_array_append_new(findings,
                              json_pack("{s:s,s:s,s:s,s:s,s:s}", "name", f->name, "verdict",
                                        VERDICTS[f->verdict], "value", f->value, "effect",
                                        f->verdict == GOOD ? "" : f->effect, "mend", f->mend));
    }
    for (size_t i = 0; i < ARRAY_SIZE(ABILITIES); i++) {
        const struct finding *f = obstacle(d, &ABILITIES[i]);
        json_array_append_new(abilities, json_pack("{s:s,s:b,s:s}", "name", ABILITIES[i].name,
                                                   "works", !f, "why", f ? f->name : ""));
    }
    json_t *all = json_pack("{s:o,s:o}", "findings", findings, "abilities", abilities);
    char *text = json_dumps(all, JSON_INDENT(2));
    printf("%s\n", text);
    free(text);
    json_decref(all);
}

static const struct opt_spec OPTIONS[] = {
    {"format", 0, "text|json", false, "how to print (text)"},
    {"help", 'h', NULL, false, "print this"},
};

struct doctor_args {
    bool json, help;
};

static int take_option(void *arg, const struct opt_spec *spec, const char *value, struct err *err)
{
    struct doctor_args *a = arg;

    if (strcmp(spec->name, "help") == 0) {
        a->help = true;
        return 0;
    }
    a->json = strcmp(value, "json") == 0;
    return a->json || strcmp(value, "text") == 0
               ? 0
               : err_set(err, -EINVAL, "--format: expected text or json, found '%s'", value);
}

int cmd_doctor(int argc, char **argv)
{
    static void (*const checks[])(struct doctor * d) = {
        check_kernel, check_cores,      check_memory,       check_files,    check_network,
        check_cgroup, check_namespaces, check_kernel_parts, check_programs, check_places,
    };
    struct doctor_args a = {0};
    struct err err = {0};
    bool fit = true;
    int count;

    if (opt_parse(OPTIONS, ARRAY_SIZE(OPTIONS), argc, argv, take_option, &a, &count, &err) < 0) {
        return cmd_usage("doctor", "%s", err.message);
    }
    if (count) {
        return cmd_usage("doctor", "takes no arguments");
    }
    if (a.help) {
        CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
        opt_add_help(&b, OPTIONS, ARRAY_SIZE(OPTIONS), 100);
        printf(
            "usage: plimsoll doctor [OPTIONS]\n\nWhat will work on this machine, what will not, "
            "and why. Exit status 1 when a part that\nis always needed is missing.\n\noptions:\n%s",
            strbuf_str(&b));
        return EXIT_CODE_OK;
    }
    struct doctor *d = XNEW(struct doctor);
    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        checks[i](d);
    }
    for (size_t i = 0; i < d->count; i++) {
        fit &= d->findings[i].verdict != BAD;
    }
    if (a.json) {
        print_json(d);
    } else {
        print_text(d);
    }
    arena_fini(&d->arena);
    free(d);
    return fit ? EXIT_CODE_OK : EXIT_CODE_VERDICT;
}
