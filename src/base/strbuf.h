// SPDX-License-Identifier: Apache-2.0
// Strings: a borrowed slice and a growing buffer.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

// Borrowed bytes, not terminated.
struct slice {
    const char *p;
    size_t n;
};

#define SLICE(literal) ((struct slice){"" literal, sizeof(literal) - 1})

static inline struct slice slice_of(const char *s)
{
    return (struct slice){s, s ? strlen(s) : 0};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_eqs(struct slice a, const char *s)
{
    return slice_eq(a, slice_of(s));
}
bool slice_eq_nocase(struct slice a, struct slice b);
// Without blanks, tabs, CR and LF at both ends.
struct slice slice_trim(struct slice s);
// Cuts `*rest` at the first `separator`: returns what is before it, leaves what is after it
// (everything and {NULL, 0} when there is none).
struct slice slice_cut(struct slice *rest, char separator);

// A growing string, always terminated once something was added. `struct strbuf b = STRBUF_NULL;`
struct strbuf {
    char *p; // NULL until the first addition
    size_t n;
    size_t cap;
};
#define STRBUF_NULL                                                                                \
    {                                                                                              \
        0                                                                                          \
    }

void strbuf_fini(struct strbuf *b);
// Empties it and keeps the memory.
void strbuf_reset(struct strbuf *b);
// Makes room for `more` bytes and the terminator; returns where they go.
char *strbuf_reserve(struct strbuf *b, size_t more);
void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_adds(struct strbuf *b, const char *s);
void strbuf_addc(struct strbuf *b, char c);
void strbuf_addf(struct strbuf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vaddf(struct strbuf *b, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
// The string (never NULL), still owned by b.
const char *strbuf_str(const struct strbuf *b);
// Hands the memory over (never NULL) and leaves b empty.
char *strbuf_take(struct strbuf *b);

// The closest of `count` names to `word` by edit distance, NULL when none is close.
const char *str_suggest(const char *word, const char *const *names, size_t count);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
