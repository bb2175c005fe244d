// SPDX-License-Identifier: Apache-2.0
#include "report/plan_table.h"

#include <math.h>

#include "base/mem.h"

enum { COLUMNS = 6, GAP = 2 };

static const char *const HEADS[COLUMNS] = {"SERVICE",    "MAX SUSTAINED RPS",
                                           "SATURATION", "BOTTLENECK",
                                           "NEXT LIMIT", "MITIGATION → PREDICTED (VERIFIED)"};

static double number(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);

    return json_is_number(v) ? json_number_value(v) : NAN;
}

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

// ---- Cells ----

static char *rate_cell(const json_t *l)
{
    double rate = number(l, "rate");
    double low = number(l, "low");
    double high = number(l, "high");
    const char *verdict = text(l, "verdict");

    if (*text(l, "error")) {
        return xasprintf("failed: %s", text(l, "error"));
    }
    if (!(rate > 0)) {
        return xasprintf("none (%s)", verdict);
    }
    if (strcmp(verdict, "limit") != 0) {
        const char *reason = text(l, "reason");
        return xasprintf("at least %.0f (%s)", rate, *reason ? reason : verdict);
    }
    // Wider than 10 %: a range, never a point.
    return high - low > 0.1 * rate ? xasprintf("%.0f to %.0f", low, high)
                                   : xasprintf("%.0f [%.0f, %.0f]", rate, low, high);
}

static char *bottleneck_cell(const json_t *l)
{
    const json_t *b = json_object_get(l, "bottleneck");
    const char *name = text(b, "name");

    if (json_is_true(json_object_get(b, "confirmed"))) {
        const char *unit = strstr(name, "pool")      ? "conns"
                           : strstr(name, "worker")  ? "workers"
                           : strstr(name, "limiter") ? "per s"
                                                     : "cores";
        return xasprintf("%s, %.0f %s (e = %.2f)", name, number(b, "capacity"), unit,
                         number(b, "elasticity"));
    }
    return b ? xasprintf("unknown: %s", text(b, "reason")) : xstrdup("-");
}

static char *next_cell(const json_t *l)
{
    const json_t *n = json_object_get(l, "next");

    return n ? xasprintf("%s at %.0f", text(n, "name"), number(n, "rate")) : xstrdup("-");
}

static char *mitigation_cell(const json_t *l)
{
    const json_t *m = json_object_get(l, "mitigation");

    return m ? xasprintf("%s %.0f → %.0f: %.0f (%.0f)", text(m, "knob"), number(m, "from"),
                         number(m, "to"), number(m, "predicted"), number(m, "verified"))
             : xstrdup("-");
}

static void fill_row(const json_t *l, char *cells[COLUMNS])
{
    double saturation = number(l, "saturation");

    cells[0] = xstrdup(text(l, "service"));
    cells[1] = rate_cell(l);
    cells[2] = saturation > 0 ? xasprintf("%.0f", saturation) : xstrdup("-");
    cells[3] = bottleneck_cell(l);
    cells[4] = next_cell(l);
    cells[5] = mitigation_cell(l);
}

// ---- Layout ----

// Columns on the screen: all characters that we write are one wide.
static unsigned width_of(const char *s, size_t n)
{
    unsigned w = 0;

    for (size_t i = 0; i < n; i++) {
        w += ((unsigned char)s[i] & 0xc0) != 0x80;
    }
    return w;
}

// Bytes of the next line of `s` that fit into `width`, broken at a blank where there is one.
static size_t line_length(const char *s, unsigned width)
{
    size_t best = 0;
    size_t n = strlen(s);

    if (width_of(s, n) <= width) {
        return n;
    }
    for (size_t i = 0; i < n; i++) {
        if (s[i] == ' ' && width_of(s, i) <= width) {
            best = i;
        }
    }
    if (best == 0) {
        while (best < n && s[best] != ' ') {
            best++;
        }
    }
    return best;
}

static void add_row(struct strbuf *out, char *const cells[COLUMNS], const unsigned widths[COLUMNS])
{
    const char *rest[COLUMNS];
    bool more = true;

    memcpy(rest, cells, sizeof(rest));
    while (more) {
        unsigned owed = 0;
        more = false;
        for (int c = 0; c < COLUMNS; c++) {
            size_t n = line_length(rest[c], widths[c]);
            if (n) {
                strbuf_addf(out, "%*s", (int)owed, "");
                strbuf_add(out, rest[c], n);
                owed = 0;
            }
            unsigned used = width_of(rest[c], n);
            owed += (widths[c] > used ? widths[c] - used : 0) + GAP;
            rest[c] += n;
            rest[c] += *rest[c] == ' ';
            more = more || *rest[c];
        }
        strbuf_addc(out, '\n');
    }
}

static void fit(unsigned widths[COLUMNS], unsigned width)
{
    unsigned sum = GAP * (COLUMNS - 1);

    for (int c = 0; c < COLUMNS; c++) {
        sum += widths[c];
    }
    while (sum > width) {
        int widest = 1;
        for (int c = 1; c < COLUMNS; c++) {
            widest = widths[c] > widths[widest] ? c : widest;
        }
        if (widths[widest] <= 10) {
            break;
        }
        widths[widest]--;
        sum--;
    }
}

void plan_table_text(const json_t *result, unsigned width, struct strbuf *out)
{
    const json_t *limits = json_object_get(result, "limits");
    size_t count = json_array_size(limits);
    CLEANUP_FREE char *(*rows)[COLUMNS] = xcalloc(count + 1, sizeof(*rows));
    unsigned widths[COLUMNS] = {0};

    for (int c = 0; c < COLUMNS; c++) {
        rows[0][c] = xstrdup(HEADS[c]);
    }
    for (size_t i = 0; i < count; i++) {
        fill_row(json_array_get(limits, i), rows[i + 1]);
    }
    for (size_t i = 0; i <= count; i++) {
        for (int c = 0; c < COLUMNS; c++) {
            widths[c] = MAX(widths[c], width_of(rows[i][c], strlen(rows[i][c])));
        }
    }
    fit(widths, MAX(width, PLAN_TABLE_WIDTH_MIN));
    for (size_t i = 0; i <= count; i++) {
        add_row(out, rows[i], widths);
        for (int c = 0; c < COLUMNS; c++) {
            free(rows[i][c]);
        }
    }
}

static void add_markdown_cell(struct strbuf *out, const char *s)
{
    strbuf_adds(out, "| ");
    for (; *s; s++) {
        if (*s == '|') {
            strbuf_addc(out, '\\');
        }
        strbuf_addc(out, *s == '\n' ? ' ' : *s);
    }
    strbuf_addc(out, ' ');
}

static void add_resources(struct strbuf *out, const json_t *l)
{
    size_t i;
    const json_t *r;

    strbuf_addf(out, "\n## %s\n\n", text(l, "service"));
    if (*text(l, "objective")) {
        strbuf_addf(out, "Objective that binds: `%s`. ", text(l, "objective"));
    }
    const json_t *g = json_object_get(l, "generator");
    if (number(g, "headroom") > 0) {
        strbuf_addf(out, "Generator: headroom %.1f×, %.0f %% of the machine%s.\n\n",
                    number(g, "headroom"), 100 * number(g, "share"),
                    json_is_true(json_object_get(g, "colocated")) ? ", co-located" : "");
    } else {
        strbuf_addf(out, "Generator: headroom not established.\n\n");
    }
    strbuf_adds(out, "| resource | of | utilisation at the limit | ceiling, per s | waiting | "
                     "state |\n|---|---|---|---|---|---|\n");
    json_array_foreach(json_object_get(l, "resources"), i, r)
    {
        CLEANUP_FREE char *use = number(r, "utilisation") >= 0
                                     ? xasprintf("%.0f %%", 100 * number(r, "utilisation"))
                                     : xstrdup("-");
        CLEANUP_FREE char *ceiling =
            number(r, "ceiling") > 0 ? xasprintf("%.0f", number(r, "ceiling")) : xstrdup("-");
        CLEANUP_FREE char *waiting =
            number(r, "waiting") >= 0 ? xasprintf("%.1f", number(r, "waiting")) : xstrdup("-");
        strbuf_addf(out, "| %s | %s | %s | %s | %s | %s |\n", text(r, "name"), text(r, "owner"),
                    use, ceiling, waiting, text(r, "state"));
    }
}

void plan_table_markdown(const json_t *result, struct strbuf *out)
{
    const json_t *limits = json_object_get(result, "limits");
    const json_t *l;
    size_t i;

    strbuf_addf(out, "# Capacity plan: %s\n\n", text(result, "plan"));
    for (int c = 0; c < COLUMNS; c++) {
        add_markdown_cell(out, HEADS[c]);
    }
    strbuf_adds(out, "|\n|---|---|---|---|---|---|\n");
    json_array_foreach(limits, i, l)
    {
        char *cells[COLUMNS];
        fill_row(l, cells);
        for (int c = 0; c < COLUMNS; c++) {
            add_markdown_cell(out, cells[c]);
            free(cells[c]);
        }
        strbuf_adds(out, "|\n");
    }
    json_array_foreach(limits, i, l)
    {
        if (json_object_get(l, "resources")) {
            add_resources(out, l);
        }
    }
}
