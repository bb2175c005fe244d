// SPDX-License-Identifier: Apache-2.0
#include "load/output.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "load/tags.h"

enum { FLUSH_BYTES = 128 * 1024 };

enum kind { KIND_OF_JSON, KIND_OF_CSV };

struct file {
    enum kind kind;
    char *path;
    gzFile gz;       // writes plain text too ("T")
    int failed;      // negative errno of the first failure
    bool *described; // json: metrics whose definition was written, by id
    unsigned described_count;
};

// One shard's lines on their way, per file.
struct feed {
    struct outputs *outputs;
    struct feed *next;
    struct strbuf *lines; // by file
    char **json_tags;     // by tag set id, made once
    unsigned tags_cap;
    bool *seen; // metrics that were described, by id
    unsigned seen_cap;
    nsec_t flushed;
};

struct outputs {
    pthread_mutex_t lock;
    struct file *files;
    unsigned count;
    struct feed *feeds;
    nsec_t wall_offset;                 // wall clock = monotonic stamp + this
    const char *columns[SYSTEM_TAG_N_]; // csv: enabled system tags by name
    unsigned column_count;
};

static const char *const system_names[] = {
#define SYSTEM_TAG(id, name, on) name,
#include "tbl/system_tags.h"
#undef SYSTEM_TAG
};

static void add_json_string(struct strbuf *b, const char *s)
{
    strbuf_addc(b, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            strbuf_addc(b, '\\');
            strbuf_addc(b, *s);
        } else if (c == '\n') {
            strbuf_adds(b, "\\n");
        } else if (c < 0x20) {
            strbuf_addf(b, "\\u%04x", c);
        } else {
            strbuf_addc(b, *s);
        }
    }
    strbuf_addc(b, '"');
}

static void add_json_tags(struct strbuf *b, const struct tagset *t)
{
    strbuf_addc(b, '{');
    for (unsigned i = 0; i < t->count; i++) {
        strbuf_adds(b, i ? "," : "");
        add_json_string(b, t->tags[i].key);
        strbuf_addc(b, ':');
        add_json_string(b, t->tags[i].value);
    }
    strbuf_addc(b, '}');
}

static const char *tags_text(struct feed *f, const struct tagset *t)
{
    if (t->id >= f->tags_cap) {
        unsigned cap = MAX(t->id + 16, f->tags_cap * 2);
        f->json_tags = xreallocarray(f->json_tags, cap, sizeof(char *));
        memset(f->json_tags + f->tags_cap, 0, (cap - f->tags_cap) * sizeof(char *));
        f->tags_cap = cap;
    }
    if (!f->json_tags[t->id]) {
        struct strbuf b = STRBUF_NULL;
        add_json_tags(&b, t);
        f->json_tags[t->id] = strbuf_take(&b);
    }
    return f->json_tags[t->id];
}

static void add_number(struct strbuf *b, double v)
{
    if (v == floor(v) && fabs(v) < 1e15) {
        strbuf_addf(b, "%lld", (long long)v);
    } else {
        strbuf_addf(b, "%.17g", v);
    }
}

static void add_json_line(struct feed *f,
                          struct strbuf *b,
                          const struct metric *m,
                          const struct tagset *tags,
                          double value,
                          nsec_t wall,
                          const struct tagset *metadata)
{
    char time[48];

    strbuf_addf(b, "{\"metric\":\"%s\",\"type\":\"Point\",\"data\":{\"time\":\"%s\",\"value\":",
                m->name, clock_format_rfc3339(wall, 9, time, sizeof(time)));
    add_number(b, value);
    strbuf_addf(b, ",\"tags\":%s", tags_text(f, tags));
    if (metadata && metadata->count) {
        strbuf_adds(b, ",\"metadata\":");
        add_json_tags(b, metadata);
    }
    strbuf_adds(b, "}}\n");
}

static void add_csv_field(struct strbuf *b, const char *s)
{
    if (!strpbrk(s, ",\"\n\r")) {
        strbuf_adds(b, s);
        return;
    }
    strbuf_addc(b, '"');
    for (; *s; s++) {
        strbuf_adds(b, *s == '"' ? "\"" : "");
        strbuf_addc(b, *s);
    }
    strbuf_addc(b, '"');
}

static void
add_csv_pairs(const struct outputs *out, struct strbuf *b, const struct tagset *t, bool all)
{
    CLEANUP(strbuf_fini) struct strbuf pairs = STRBUF_NULL;

    for (unsigned i = 0; t && i < t->count; i++) {
        bool column = false;
        for (unsigned c = 0; c < out->column_count && !all; c++) {
            column |= strcmp(out->columns[c], t->tags[i].key) == 0;
        }
        if (!column) {
            strbuf_addf(&pairs, "%s%s=%s", pairs.n ? "&" : "", t->tags[i].key, t->tags[i].value);
        }
    }
    add_csv_field(b, strbuf_str(&pairs));
}

static void add_csv_line(const struct outputs *out,
                         struct strbuf *b,
                         const struct metric *m,
                         const struct tagset *tags,
                         double value,
                         nsec_t wall,
                         const struct tagset *metadata)
{
    strbuf_addf(b, "%s,%lld,%f", m->name, (long long)(wall / NSEC_PER_SEC), value);
    for (unsigned i = 0; i < out->column_count; i++) {
        const char *v = tagset_get(tags, out->columns[i]);
        strbuf_addc(b, ',');
        add_csv_field(b, v ? v : "");
    }
    strbuf_addc(b, ',');
    add_csv_pairs(out, b, tags, false);
    strbuf_addc(b, ',');
    add_csv_pairs(out, b, metadata, true);
    strbuf_addc(b, '\n');
}

static void write_file(struct file *f, const char *p, size_t n)
{
    if (n == 0 || f->failed) {
        return;
    }
    errno = 0;
    if (gzwrite(f->gz, p, (unsigned)n) != (int)n) {
        f->failed = errno ? -errno : -EIO;
        log_warn("cannot write '%s': %s; the samples from here on are lost", f->path,
                 err_errno(f->failed));
    }
}

// json: says what a metric is, before its first sample. With the lock held.
static void describe(struct file *f, const struct metric *m)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;

    if (m->id >= f->described_count) {
        unsigned count = m->id + 16;
        f->described = xreallocarray(f->described, count, sizeof(*f->described));
        memset(f->described + f->described_count, 0,
               (count - f->described_count) * sizeof(*f->described));
        f->described_count = count;
    }
    if (f->described[m->id]) {
        return;
    }
    f->described[m->id] = true;
    strbuf_addf(
        &b,
        "{\"type\":\"Metric\",\"data\":{\"name\":\"%s\",\"type\":\"%s\",\"contains\":\"%s\","
        "\"thresholds\":[],\"submetrics\":null},\"metric\":\"%s\"}\n",
        m->name, metric_type_name(m->type), metric_contains_name(m->contains), m->name);
    write_file(f, b.p, b.n);
}

// Before the first sample of a metric on this thread.
static void meet(struct feed *f, const struct metric *m)
{
    struct outputs *out = f->outputs;

    if (m->id >= f->seen_cap) {
        unsigned cap = m->id + 16;
        f->seen = xreallocarray(f->seen, cap, sizeof(*f->seen));
        memset(f->seen + f->seen_cap, 0, (cap - f->seen_cap) * sizeof(*f->seen));
        f->seen_cap = cap;
    }
    f->seen[m->id] = true;
    pthread_mutex_lock(&out->lock);
    for (unsigned i = 0; i < out->count; i++) {
        if (out->files[i].kind == KIND_OF_JSON) {
            describe(&out->files[i], m);
        }
    }
    pthread_mutex_unlock(&out->lock);
}

static void flush_feed(struct feed *f)
{
    struct outputs *out = f->outputs;

    pthread_mutex_lock(&out->lock);
    for (unsigned i = 0; i < out->count; i++) {
        write_file(&out->files[i], f->lines[i].p, f->lines[i].n);
        strbuf_reset(&f->lines[i]);
    }
    pthread_mutex_unlock(&out->lock);
}

static void on_sample(void *arg,
                      const struct metric *m,
                      const struct tagset *tags,
                      double value,
                      nsec_t when,
                      const struct tagset *metadata)
{
    struct feed *f = arg;
    struct outputs *out = f->outputs;
    nsec_t wall = when + out->wall_offset;
    size_t most = 0;

    if (m->id >= f->seen_cap || !f->seen[m->id]) {
        meet(f, m);
    }
    for (unsigned i = 0; i < out->count; i++) {
        struct file *file = &out->files[i];
        if (file->kind == KIND_OF_JSON) {
            add_json_line(f, &f->lines[i], m, tags, value, wall, metadata);
        } else {
            add_csv_line(out, &f->lines[i], m, tags, value, wall, metadata);
        }
        most = MAX(most, f->lines[i].n);
    }
    if (most >= FLUSH_BYTES || when - f->flushed > NSEC_PER_SEC) {
        f->flushed = when;
        flush_feed(f);
    }
}

void outputs_attach(void *outputs, struct shard *shard)
{
    struct outputs *out = outputs;
    struct feed *f = XNEW(struct feed);

    if (!out) {
        free(f);
        return;
    }
    f->outputs = out;
    f->lines = xcalloc(out->count, sizeof(*f->lines));
    pthread_mutex_lock(&out->lock);
    f->next = out->feeds;
    out->feeds = f;
    pthread_mutex_unlock(&out->lock);
    shard_set_sink(shard, on_sample, f);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void write_csv_head(struct outputs *out, struct file *f)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;

    strbuf_adds(&b, "metric_name,timestamp,metric_value");
    for (unsigned i = 0; i < out->column_count; i++) {
        strbuf_addf(&b, ",%s", out->columns[i]);
    }
    strbuf_adds(&b, ",extra_tags,metadata\n");
    write_file(f, b.p, b.n);
}

static int open_file(struct outputs *out, const char *spec, struct err *err)
{
    struct slice path = slice_of(spec), kind = slice_cut(&path, '=');
    struct file *f = &out->files[out->count];

    if (slice_eqs(kind, "json")) {
        f->kind = KIND_OF_JSON;
    } else if (slice_eqs(kind, "csv")) {
        f->kind = KIND_OF_CSV;
        path = path.n ? path : SLICE("file.csv");
    } else {
        return err_set(err, -EINVAL, "unknown output '%.*s': use json=FILE or csv=FILE",
                       (int)kind.n, kind.p);
    }
    f->path = path.n ? xstrndup(path.p, path.n) : xstrdup("-");
    const char *mode = str_ends(f->path, ".gz") ? "wb6" : "wbT";
    errno = 0;
    f->gz = strcmp(f->path, "-") == 0 ? gzdopen(dup(STDOUT_FILENO), mode) : gzopen(f->path, mode);
    if (!f->gz) {
        int code = errno ? -errno : -EIO;
        err_set(err, code, "cannot write output '%s': %s", f->path, err_errno(code));
        free(f->path);
        return code;
    }
    out->count++;
    if (f->kind == KIND_OF_CSV) {
        write_csv_head(out, f);
    }
    return 0;
}

int outputs_open(const struct run_options *o, struct outputs **ret, struct err *err)
{
    unsigned count = 0;
    int r = 0;

    *ret = NULL;
    while (o->outputs && o->outputs[count]) {
        count++;
    }
    if (count == 0) {
        return 0;
    }
    struct outputs *out = XNEW(struct outputs);
    pthread_mutex_init(&out->lock, NULL);
    out->files = xcalloc(count, sizeof(*out->files));
    out->wall_offset = clock_wall() - clock_now();
    for (unsigned i = 0; i < SYSTEM_TAG_N_; i++) {
        bool metadata = i == SYSTEM_TAG_VU || i == SYSTEM_TAG_ITER;
        if ((o->system_tags & 1u << i) && !metadata) {
            out->columns[out->column_count++] = system_names[i];
        }
    }
    qsort(out->columns, out->column_count, sizeof(*out->columns), compare_names);
    for (unsigned i = 0; i < count && r == 0; i++) {
        r = open_file(out, o->outputs[i], err);
    }
    if (r < 0) {
        (void)outputs_close(out, NULL);
        return r;
    }
    *ret = out;
    return 0;
}

int outputs_close(struct outputs *out, struct err *err)
{
    int r = 0;

    if (!out) {
        return 0;
    }
    for (struct feed *f = out->feeds, *next; f; f = next) {
        next = f->next;
        flush_feed(f);
        for (unsigned i = 0; i < out->count; i++) {
            strbuf_fini(&f->lines[i]);
        }
        for (unsigned i = 0; i < f->tags_cap; i++) {
            free(f->json_tags[i]);
        }
        free(f->json_tags);
        free(f->seen);
        free(f->lines);
        free(f);
    }
    for (unsigned i = 0; i < out->count; i++) {
        struct file *f = &out->files[i];
        errno = 0;
        if (gzclose(f->gz) != Z_OK && !f->failed) {
            f->failed = errno ? -errno : -EIO;
        }
        if (f->failed && r == 0) {
            r = err_set(err, f->failed, "output '%s' is not complete: %s", f->path,
                        err_errno(f->failed));
        }
        free(f->path);
        free(f->described);
    }
    free(out->files);
    pthread_mutex_destroy(&out->lock);
    free(out);
    return r;
}
