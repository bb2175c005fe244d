// SPDX-License-Identifier: Apache-2.0
#include "record/rundir.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

enum { LINES_LIMIT = 1 << 28, RESULT_LIMIT = 1 << 26 };

struct rundir {
    char *path;
    int events, series; // file descriptors
    int error;          // negative errno of the first failed append
    nsec_t wall_offset; // wall clock = monotonic + this
    struct redactor redactor;
};

static char *clean_name(const char *name)
{
    const char *slash = strrchr(name, '/');
    char *clean = xstrdup(slash ? slash + 1 : name);

    for (char *c = clean; *c; c++) {
        *c = isalnum((unsigned char)*c) || *c == '_' || *c == '.' ? *c : '-';
    }
    if (str_ends(clean, ".js")) {
        clean[strlen(clean) - 3] = 0;
    }
    return clean;
}

static int open_lines(const struct rundir *d, const char *name, struct err *err)
{
    CLEANUP_FREE char *path = fs_join(d->path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    return fd >= 0 ? fd : err_set(err, -errno, "cannot write '%s': %s", path, err_errno(-errno));
}

int rundir_create(const char *parent, const char *name, struct rundir **ret_dir, struct err *err)
{
    char when[48];
    CLEANUP_FREE char *clean = clean_name(name);

    int r = fs_make_dirs(parent, err);
    if (r < 0) {
        return r;
    }
    clock_format_rfc3339(clock_wall(), 3, when, sizeof(when));
    for (char *c = when; *c; c++) {
        *c = *c == ':' ? '.' : *c;
    }
    struct rundir *d = XNEW(struct rundir);
    d->events = d->series = -1;
    d->path = xasprintf("%s/%s-%s", parent, when, clean);
    d->wall_offset = clock_wall() - clock_now();
    if (mkdir(d->path, 0777) < 0) {
        r = err_set(err, -errno, "cannot make '%s': %s", d->path, err_errno(-errno));
    } else if ((d->events = open_lines(d, "events.jsonl", err)) < 0) {
        r = d->events;
    } else if ((d->series = open_lines(d, "series.jsonl", err)) < 0) {
        r = d->series;
    }
    if (r < 0) {
        rundir_close(d);
        return r;
    }
    *ret_dir = d;
    return 0;
}

void rundir_close(struct rundir *d)
{
    if (!d) {
        return;
    }
    if (d->events >= 0) {
        close(d->events);
    }
    if (d->series >= 0) {
        close(d->series);
    }
    redactor_fini(&d->redactor);
    free(d->path);
    free(d);
}

const char *rundir_path(const struct rundir *d)
{
    return d->path;
}

struct redactor *rundir_redactor(struct rundir *d)
{
    return &d->redactor;
}

int rundir_error(const struct rundir *d)
{
    return d->error;
}

static void dump(const struct rundir *d, json_t *json, size_t flags, struct strbuf *ret_text)
{
    CLEANUP_FREE char *text = json_dumps(json, flags);

    strbuf_adds(ret_text, text ? text : "{}");
    strbuf_addc(ret_text, '\n');
    redact(&d->redactor, ret_text);
}

// One write() a line, so that a crash tears the last one at most.
static void append(struct rundir *d, int fd, json_t *line)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;

    dump(d, line, JSON_COMPACT, &text);
    json_decref(line);
    ssize_t n = d->error ? 0 : write(fd, text.p, text.n);
    if (!d->error && n != (ssize_t)text.n) {
        d->error = n < 0 ? -errno : -ENOSPC;
    }
}

void rundir_event(
    struct rundir *d, nsec_t now, const char *source, const char *kind, json_t *fields)
{
    char wall[48];
    json_t *line = json_pack("{s:I,s:s,s:s,s:s}", "t", (json_int_t)now, "wall",
                             clock_format_rfc3339(now + d->wall_offset, 6, wall, sizeof(wall)),
                             "source", source, "kind", kind);

    json_object_update_missing(line, fields);
    json_decref(fields);
    append(d, d->events, line);
}

void rundir_series(struct rundir *d, nsec_t now, json_t *values)
{
    json_t *line = json_pack("{s:I}", "t", (json_int_t)now);

    json_object_update_missing(line, values);
    json_decref(values);
    append(d, d->series, line);
}

int rundir_write_file(struct rundir *d, const char *name, const char *text, struct err *err)
{
    CLEANUP_FREE char *path = fs_join(d->path, name);
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;

    strbuf_adds(&b, text);
    redact(&d->redactor, &b);
    return fs_write(path, strbuf_str(&b), b.n, err);
}

int rundir_write_result(struct rundir *d, json_t *result, struct err *err)
{
    CLEANUP_FREE char *path = fs_join(d->path, "result.json");
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;

    json_object_set_new(result, "schema", json_integer(RUNDIR_SCHEMA));
    dump(d, result, JSON_INDENT(2), &text);
    json_decref(result);
    return fs_write(path, text.p, text.n, err);
}

json_t *
rundir_result_base(const char *command, int argc, char **argv, uint64_t seed, nsec_t started_wall)
{
    json_t *args = json_array();
    struct utsname u = {0};
    struct rlimit files = {0};
    char when[48];

    for (int i = 0; i < argc; i++) {
        const char *equals = strchr(argv[i], '=');
        CLEANUP_FREE char *name = equals ? xstrndup(argv[i], (size_t)(equals - argv[i])) : NULL;
        if (name && redact_is_secret_name(name)) {
            CLEANUP_FREE char *masked = xasprintf("%s=" REDACT_MASK, name);
            json_array_append_new(args, json_string(masked));
        } else {
            json_array_append_new(args, json_string(argv[i]));
        }
    }
    uname(&u);
    getrlimit(RLIMIT_NOFILE, &files);
    return json_pack("{s:i,s:s,s:o,s:I,s:s,s:s,s:s,s:i,s:I}", "schema", RUNDIR_SCHEMA, "command",
                     command, "argv", args, "seed", (json_int_t)seed, "started",
                     clock_format_rfc3339(started_wall, 3, when, sizeof(when)), "kernel", u.release,
                     "machine", u.machine, "cpus", (int)sysconf(_SC_NPROCESSORS_ONLN), "openFiles",
                     (json_int_t)files.rlim_cur);
}

int rundir_read_lines(const char *dir,
                      const char *name,
                      void (*fn)(void *arg, const json_t *line),
                      void *arg,
                      struct err *err)
{
    CLEANUP_FREE char *path = fs_join(dir, name);
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    int number = 0, r = fs_read(path, LINES_LIMIT, &text, err);

    if (r < 0) {
        return r;
    }
    struct slice rest = {strbuf_str(&text), text.n};
    while (rest.n) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        json_t *line = json_loadb(rest.p, n, 0, NULL);
        number++;
        if (!line && end) {
            err_set(err, -EBADMSG, "not a line of JSON");
            err_at(err, path, number, 0);
            return -EBADMSG;
        }
        if (line && end) {
            fn(arg, line);
        }
        json_decref(line);
        rest = end ? (struct slice){end + 1, rest.n - n - 1} : (struct slice){NULL, 0};
    }
    return 0;
}

int rundir_read_result(const char *dir, json_t **ret_result, struct err *err)
{
    CLEANUP_FREE char *path = fs_join(dir, "result.json");
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    json_error_t at;
    int r = fs_read(path, RESULT_LIMIT, &text, err);

    if (r < 0) {
        return r;
    }
    json_t *result = json_loadb(strbuf_str(&text), text.n, 0, &at);
    json_t *schema = json_object_get(result, "schema");
    if (json_integer_value(schema) == RUNDIR_SCHEMA) {
        *ret_result = result;
        return 0;
    }
    if (result) {
        err_set(err, -EBADMSG, "result of schema %lld, this program reads schema %d",
                (long long)json_integer_value(schema), RUNDIR_SCHEMA);
        err_at(err, path, 0, 0);
    } else {
        err_set(err, -EBADMSG, "%s", at.text);
        err_at(err, path, at.line, at.column);
    }
    json_decref(result);
    return -EBADMSG;
}
