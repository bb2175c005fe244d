// SPDX-License-Identifier: Apache-2.0
// The summary for people, in the form that k6 has now.
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "load/summary.h"
#include "load/summary_int.h"

#define GREEN "\033[32m"
#define RED   "\033[31m"
#define CYAN  "\033[36m"
#define FAINT "\033[2m"
#define BOLD  "\033[1m"
#define PLAIN "\033[0m"

enum section {
    SECTION_CUSTOM,
    SECTION_HTTP,
    SECTION_EXECUTION,
    SECTION_NETWORK,
    SECTION_GRPC,
    SECTION_WEBSOCKET,
    SECTION_N_,
    SECTION_NONE,
};
static const char *const section_names[] = {"CUSTOM",  "HTTP", "EXECUTION",
                                            "NETWORK", "GRPC", "WEBSOCKET"};

enum { COLUMNS = 12, CELL = 64 };

// One line of a section: name and up to COLUMNS cells.
struct row {
    struct metric_result result;
    enum section section;
    char *label;
    bool trend;
    unsigned cells;
    char cell[COLUMNS][CELL];
};

// Display width of UTF-8 text whose characters are one column wide.
static unsigned width_of(const char *s)
{
    unsigned n = 0;

    for (; *s; s++) {
        n += ((unsigned char)*s & 0xc0) != 0x80;
    }
    return n;
}

static void trim_zeros(char *s)
{
    if (!strchr(s, '.')) {
        return;
    }
    size_t n = strlen(s);
    while (s[n - 1] == '0') {
        s[--n] = 0;
    }
    if (s[n - 1] == '.') {
        s[n - 1] = 0;
    }
}

static double cut(double v, int digits)
{
    double scale = pow(10, digits);

    // A hair more, so that 12.34 held as 12.3399999 stays 12.34.
    return trunc(v * scale + (v < 0 ? -1e-7 : 1e-7)) / scale;
}

static const char *format_time(double ms, const char *unit, char *buf, unsigned size)
{
    static const struct {
        double below, factor;
        const char *name;
    } steps[] = {{1e-3, 1e6, "ns"}, {1, 1e3, "\xc2\xb5s"}, {1e3, 1, "ms"}, {6e4, 1e-3, "s"}};

    if (*unit) {
        double factor = strcmp(unit, "s") == 0 ? 1e-3 : strcmp(unit, "ms") == 0 ? 1 : 1e3;
        snprintf(buf, size, "%.2f%s", ms * factor, strcmp(unit, "us") == 0 ? "\xc2\xb5s" : unit);
        return buf;
    }
    if (ms == 0) {
        snprintf(buf, size, "0s");
        return buf;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        if (fabs(ms) < steps[i].below) {
            snprintf(buf, size, "%.2f", cut(ms * steps[i].factor, i == 0 ? 0 : 2));
            trim_zeros(buf);
            size_t n = strlen(buf);
            snprintf(buf + n, size - n, "%s", steps[i].name);
            return buf;
        }
    }
    long long seconds = (long long)(ms / 1000);
    if (llabs(seconds) >= 3600) {
        snprintf(buf, size, "%lldh%lldm%llds", seconds / 3600, seconds / 60 % 60, seconds % 60);
    } else {
        snprintf(buf, size, "%lldm%llds", seconds / 60, seconds % 60);
    }
    return buf;
}

static const char *format_bytes(double v, char *buf, unsigned size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    unsigned i = 0;

    while (fabs(v) >= 1000 && i + 1 < ARRAY_SIZE(units)) {
        v /= 1000;
        i++;
    }
    snprintf(buf, size, i > 0 && fabs(v) < 10 ? "%.1f %s" : "%.0f %s", v, units[i]);
    return buf;
}

const char *summary_format(
    double value, enum metric_contains contains, const char *unit, char *buf, unsigned size)
{
    switch (contains) {
    case METRIC_TIME:
        return format_time(value, unit, buf, size);
    case METRIC_DATA:
        return format_bytes(value, buf, size);
    case METRIC_DEFAULT:
        break;
    }
    snprintf(buf, size, "%.6f", value);
    trim_zeros(buf);
    return buf;
}

static void format_percent(double share, char *buf, unsigned size)
{
    snprintf(buf, size, "%.2f%%", cut(share * 100, 2));
}

static double per_second(const struct summary *s, double total)
{
    return s->duration > 0 ? total / ((double)s->duration / NSEC_PER_SEC) : 0;
}

static enum section section_of(const struct metric *m, bool full)
{
    static const char *const hidden[] = {
        "http_req_blocked",         "http_req_connecting", "http_req_receiving", "http_req_sending",
        "http_req_tls_handshaking", "http_req_waiting",    "group_duration"};

    if (strcmp(m->name, "checks") == 0) {
        return SECTION_NONE;
    }
    for (unsigned i = 0; !full && i < ARRAY_SIZE(hidden); i++) {
        if (strcmp(m->name, hidden[i]) == 0) {
            return SECTION_NONE;
        }
    }
    return m->id >= METRIC_BUILTIN_N_     ? SECTION_CUSTOM
           : str_starts(m->name, "http_") ? SECTION_HTTP
           : str_starts(m->name, "data_") ? SECTION_NETWORK
           : str_starts(m->name, "grpc_") ? SECTION_GRPC
           : str_starts(m->name, "ws_")   ? SECTION_WEBSOCKET
                                          : SECTION_EXECUTION;
}

static void fill_cells(const struct summary *s, struct row *row)
{
    const struct metric_result *r = &row->result;
    const char *unit = s->options->summary_time_unit;
    enum metric_contains contains = r->metric->contains;
    char a[48], b[48];

    switch (r->metric->type) {
    case METRIC_TREND:
        row->trend = true;
        for (char **stat = s->options->summary_trend_stats; *stat && row->cells < COLUMNS; stat++) {
            enum metric_contains c = strcmp(*stat, "count") == 0 ? METRIC_DEFAULT : contains;
            snprintf(row->cell[row->cells++], CELL, "%s=%s", *stat,
                     summary_format(summary_stat(r, *stat), c, unit, a, sizeof(a)));
        }
        break;
    case METRIC_COUNTER:
        row->cells = 2;
        snprintf(row->cell[0], CELL, "%s", summary_format(r->sum, contains, unit, a, sizeof(a)));
        snprintf(row->cell[1], CELL, "%s/s",
                 summary_format(per_second(s, r->sum), contains, unit, a, sizeof(a)));
        break;
    case METRIC_GAUGE:
        row->cells = 3;
        snprintf(row->cell[0], CELL, "%s", summary_format(r->last, contains, unit, a, sizeof(a)));
        snprintf(row->cell[1], CELL, "min=%s",
                 summary_format(r->min, contains, unit, a, sizeof(a)));
        snprintf(row->cell[2], CELL, "max=%s",
                 summary_format(r->max, contains, unit, b, sizeof(b)));
        break;
    case METRIC_RATE:
        row->cells = 2;
        format_percent(r->count ? (double)r->trues / (double)r->count : 0, a, sizeof(a));
        snprintf(row->cell[0], CELL, "%s", a);
        snprintf(row->cell[1], CELL, "%llu out of %llu", (unsigned long long)r->trues,
                 (unsigned long long)r->count);
        break;
    }
}

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    if (x->section != y->section) {
        return x->section < y->section ? -1 : 1;
    }
    int order = strcmp(x->result.metric->name, y->result.metric->name);
    return order ? order : strcmp(x->result.name, y->result.name);
}

static void collect(const struct summary *s, struct row **ret_rows, unsigned *ret_count)
{
    unsigned n = aggregate_count(s->results), count = 0;
    struct row *rows = xcalloc(n + 1, sizeof(*rows));
    bool full = strcmp(s->options->summary_mode, "full") == 0;

    for (unsigned i = 0; i < n; i++) {
        struct row *row = &rows[count];
        aggregate_get(s->results, i, &row->result);
        row->section = section_of(row->result.metric, full);
        if (row->section == SECTION_NONE || !summary_shows(s, &row->result)) {
            continue;
        }
        if (row->result.submetric) {
            const char *brace = strchr(row->result.name, '{');
            row->label = xasprintf("  { %.*s }", (int)strlen(brace) - 2, brace + 1);
        } else {
            row->label = xstrdup(row->result.name);
        }
        fill_cells(s, row);
        count++;
    }
    qsort(rows, count, sizeof(*rows), compare_rows);
    *ret_rows = rows;
    *ret_count = count;
}

static void pad(struct strbuf *b, const char *text, unsigned width, char with)
{
    strbuf_adds(b, text);
    for (unsigned n = width_of(text); n < width; n++) {
        strbuf_addc(b, with);
    }
}

static void add_color(const struct summary *s, struct strbuf *b, const char *color)
{
    if (s->colors) {
        strbuf_adds(b, color);
    }
}

static void add_rows(const struct summary *s, struct strbuf *b)
{
    struct row *rows;
    unsigned count, label = 0, widths[2][COLUMNS] = {{0}};
    enum section section = SECTION_NONE;

    collect(s, &rows, &count);
    for (unsigned i = 0; i < count; i++) {
        label = MAX(label, width_of(rows[i].label));
        for (unsigned c = 0; c < rows[i].cells; c++) {
            widths[rows[i].trend][c] = MAX(widths[rows[i].trend][c], width_of(rows[i].cell[c]));
        }
    }
    for (unsigned i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        if (row->section != section) {
            section = row->section;
            add_color(s, b, BOLD);
            strbuf_addf(b, "%s    %s", b->n ? "\n" : "", section_names[section]);
            add_color(s, b, PLAIN);
            strbuf_addc(b, '\n');
        }
        strbuf_adds(b, "    ");
        add_color(s, b, row->result.submetric ? FAINT : "");
        pad(b, row->label, label + 3, '.');
        add_color(s, b, row->result.submetric ? PLAIN : "");
        strbuf_adds(b, ": ");
        add_color(s, b, CYAN);
        for (unsigned c = 0; c < row->cells; c++) {
            if (c + 1 < row->cells) {
                pad(b, row->cell[c], widths[row->trend][c] + 1, ' ');
            } else {
                strbuf_adds(b, row->cell[c]);
            }
        }
        add_color(s, b, PLAIN);
        strbuf_addc(b, '\n');
        free(row->label);
    }
    free(rows);
}

static void add_threshold(const struct summary *s,
                          struct strbuf *b,
                          const struct metric *m,
                          const struct threshold *t)
{
    char value[48];
    bool time = m->contains == METRIC_TIME;

    if (m->type == METRIC_RATE) {
        format_percent(t->actual, value, sizeof(value));
    } else if (t->agg == THRESHOLD_RATE) {
        char number[40];
        snprintf(value, sizeof(value), "%s/s",
                 summary_format(t->actual, m->contains, "", number, sizeof(number)));
    } else {
        summary_format(t->actual, t->agg == THRESHOLD_COUNT && time ? METRIC_DEFAULT : m->contains,
                       s->options->summary_time_unit, value, sizeof(value));
    }
    size_t n = strcspn(t->source, "<>=! ");
    add_color(s, b, t->crossed ? RED : GREEN);
    strbuf_addf(b, "    %s", t->crossed ? "\xe2\x9c\x97" : "\xe2\x9c\x93");
    add_color(s, b, PLAIN);
    strbuf_addf(b, " '%s' %.*s=%s\n", t->source, (int)n, t->source, value);
}

static void add_thresholds(const struct summary *s, struct strbuf *b)
{
    const struct run_options *o = s->options;

    if (o->no_thresholds || o->threshold_count == 0) {
        return;
    }
    CLEANUP_FREE const struct threshold_set **sets = xcalloc(o->threshold_count, sizeof(*sets));
    for (unsigned i = 0; i < o->threshold_count; i++) { // by name: insertion sort, they are few
        unsigned at = i;
        for (; at > 0 && strcmp(sets[at - 1]->key, o->thresholds[i].key) > 0; at--) {
            sets[at] = sets[at - 1];
        }
        sets[at] = &o->thresholds[i];
    }
    strbuf_adds(b, "\n  \xe2\x96\x88 THRESHOLDS \n");
    for (unsigned i = 0; i < o->threshold_count; i++) {
        strbuf_addf(b, "\n    %s\n", sets[i]->key);
        for (unsigned j = 0; j < sets[i]->count; j++) {
            add_threshold(s, b, sets[i]->metric, &sets[i]->items[j]);
        }
    }
    strbuf_addc(b, '\n');
}

static void add_check(const struct summary *s,
                      struct strbuf *b,
                      const struct check_result *c,
                      const char *indent)
{
    uint64_t total = c->passes + c->fails;

    add_color(s, b, c->fails ? RED : GREEN);
    strbuf_addf(b, "%s%s", indent, c->fails ? "\xe2\x9c\x97" : "\xe2\x9c\x93");
    strbuf_addf(b, " %s\n", c->name);
    if (c->fails) {
        strbuf_addf(b,
                    "%s  \xe2\x86\xb3  %.0f%% \xe2\x80\x94 \xe2\x9c\x93 %llu / \xe2\x9c\x97 %llu\n",
                    indent, floor(100 * (double)c->passes / (double)total),
                    (unsigned long long)c->passes, (unsigned long long)c->fails);
    }
    add_color(s, b, PLAIN);
}

static void add_checks(const struct summary *s, struct strbuf *b)
{
    bool full = strcmp(s->options->summary_mode, "full") == 0;
    struct metric_result r;
    char total[48], rate[48], good[48], bad[48];

    if (!aggregate_find(s->results, "checks", &r) || r.count == 0) {
        return;
    }
    summary_format((double)r.count, METRIC_DEFAULT, "", total, sizeof(total));
    summary_format(per_second(s, (double)r.count), METRIC_DEFAULT, "", rate, sizeof(rate));
    format_percent((double)r.trues / (double)r.count, good, sizeof(good));
    format_percent((double)(r.count - r.trues) / (double)r.count, bad, sizeof(bad));
    unsigned width = MAX(MAX(width_of(total), width_of(good)), width_of(bad)) + 1;
    strbuf_adds(b, "    checks_total.......: ");
    pad(b, total, width, ' ');
    strbuf_addf(b, "%s/s\n    checks_succeeded...: ", rate);
    pad(b, good, width, ' ');
    strbuf_addf(b, "%llu out of %llu\n    checks_failed......: ", (unsigned long long)r.trues,
                (unsigned long long)r.count);
    pad(b, bad, width, ' ');
    strbuf_addf(b, "%llu out of %llu\n\n", (unsigned long long)(r.count - r.trues),
                (unsigned long long)r.count);
    for (unsigned i = 0; i < aggregate_check_count(s->results); i++) {
        struct check_result c;
        aggregate_check(s->results, i, &c);
        if (!full || !*c.group) {
            add_check(s, b, &c, "    ");
        }
    }
    strbuf_addc(b, '\n');
}

// Full form: the checks of each group under its name.
static void add_groups(const struct summary *s, struct strbuf *b)
{
    for (unsigned g = 0; g < aggregate_group_count(s->results); g++) {
        const char *group = aggregate_group(s->results, g);
        bool named = false;
        for (unsigned i = 0; i < aggregate_check_count(s->results); i++) {
            struct check_result c;
            aggregate_check(s->results, i, &c);
            if (strcmp(c.group, group) != 0) {
                continue;
            }
            if (!named) {
                strbuf_addf(b, "\n  \xe2\x96\x88 GROUP: %s\n\n", group + 2);
                named = true;
            }
            add_check(s, b, &c, "    ");
        }
    }
}

void summary_text(const struct summary *s, struct strbuf *ret_text)
{
    CLEANUP(strbuf_fini) struct strbuf rows = STRBUF_NULL;

    strbuf_addc(ret_text, '\n');
    add_thresholds(s, ret_text);
    strbuf_adds(ret_text, "\n  \xe2\x96\x88 TOTAL RESULTS \n\n");
    add_checks(s, ret_text);
    add_rows(s, &rows);
    strbuf_adds(ret_text, strbuf_str(&rows));
    if (strcmp(s->options->summary_mode, "full") == 0) {
        add_groups(s, ret_text);
    }
    strbuf_addc(ret_text, '\n');
}
