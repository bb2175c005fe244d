// SPDX-License-Identifier: Apache-2.0
#include "base/strbuf.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"

bool slice_eq_nocase(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice s)
{
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n && is_blank(s.p[s.n - 1])) {
        s.n--;
    }
    return s;
}

struct slice slice_cut(struct slice *rest, char separator)
{
    const char *at = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
    struct slice head = *rest;

    if (!at) {
        *rest = (struct slice){NULL, 0};
        return head;
    }
    head.n = (size_t)(at - rest->p);
    *rest = (struct slice){at + 1, rest->n - head.n - 1};
    return head;
}

void strbuf_fini(struct strbuf *b)
{
    free(b->p);
    *b = (struct strbuf)STRBUF_NULL;
}

void strbuf_reset(struct strbuf *b)
{
    b->n = 0;
    if (b->p) {
        b->p[0] = 0;
    }
}

char *strbuf_reserve(struct strbuf *b, size_t more)
{
    ASSERT(more < SIZE_MAX / 4);
    if (b->n + more + 1 > b->cap) {
        size_t cap = b->cap ? b->cap : 64;
        while (cap < b->n + more + 1) {
            cap *= 2;
        }
        b->p = xrealloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void strbuf_add(struct strbuf *b, const void *p, size_t n)
{
    char *to = strbuf_reserve(b, n);

    if (n) {
        memcpy(to, p, n);
    }
    b->n += n;
    b->p[b->n] = 0;
}

void strbuf_adds(struct strbuf *b, const char *s)
{
    strbuf_add(b, s, strlen(s));
}

void strbuf_addc(struct strbuf *b, char c)
{
    strbuf_add(b, &c, 1);
}

void strbuf_vaddf(struct strbuf *b, const char *format, va_list args)
{
    va_list again;

    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    ASSERT(n >= 0);
    vsnprintf(strbuf_reserve(b, (size_t)n), (size_t)n + 1, format, again);
    va_end(again);
    b->n += (size_t)n;
}

void strbuf_addf(struct strbuf *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    strbuf_vaddf(b, format, args);
    va_end(args);
}

const char *strbuf_str(const struct strbuf *b)
{
    return b->p ? b->p : "";
}

char *strbuf_take(struct strbuf *b)
{
    char *p = b->p ? b->p : xstrdup("");

    *b = (struct strbuf)STRBUF_NULL;
    return p;
}

// Edit distance (insert, delete, replace, swap of neighbours), at most `limit` + 1.
static unsigned distance(const char *a, const char *b, unsigned limit)
{
    enum { LONGEST = 63 };
    unsigned rows[3][LONGEST + 1];
    size_t la = strlen(a);
    size_t lb = strlen(b);

    if (la > LONGEST || lb > LONGEST) {
        return limit + 1;
    }
    for (size_t j = 0; j <= lb; j++) {
        rows[0][j] = (unsigned)j;
    }
    for (size_t i = 1; i <= la; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *above = rows[(i - 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= lb; j++) {
            char ca = (char)tolower((unsigned char)a[i - 1]);
            char cb = (char)tolower((unsigned char)b[j - 1]);
            unsigned best = above[j - 1] + (ca != cb);
            best = MIN(best, above[j] + 1);
            best = MIN(best, row[j - 1] + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                best = MIN(best, rows[(i - 2) % 3][j - 2] + 1);
            }
            row[j] = best;
        }
    }
    return MIN(rows[la % 3][lb], limit + 1);
}

const char *str_suggest(const char *word, const char *const *names, size_t count)
{
    unsigned limit = strlen(word) < 4 ? 1 : strlen(word) < 8 ? 2 : 3;
    unsigned closest = limit + 1;
    const char *found = NULL;

    for (size_t i = 0; i < count; i++) {
        unsigned d = distance(word, names[i], limit);
        if (d < closest) {
            closest = d;
            found = names[i];
        }
    }
    return found;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s);
    size_t m = strlen(suffix);

    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}
