// SPDX-License-Identifier: Apache-2.0
#include "lab/words.h"

#include <ctype.h>
#include <errno.h>

enum { WORDS_MAX = 1024 };

struct splitter {
    const char *p;
    const struct kube_pairs *env;
    struct arena *arena;
    struct strbuf word;
    bool in_word;
    struct kube_strings words;
    struct err *err;
};

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

bool words_is_assignment(const char *word)
{
    const char *p = word;

    while (is_name_char(*p)) {
        p++;
    }
    return p > word && *p == '=' && !isdigit((unsigned char)*word);
}

// At a '$'. Leaves p at the last character of the reference.
static int add_variable(struct splitter *s)
{
    const char *name = s->p + 1;
    char close = *name == '{' ? '}' : *name == '(' ? ')' : 0;
    const char *end;

    if (close) {
        name++;
        end = strchr(name, close);
        if (!end) {
            return err_set(s->err, -EINVAL, "'%c' is missing after '$%c'", close, name[-1]);
        }
    } else {
        for (end = name; is_name_char(*end); end++) {
        }
    }
    if (end == name) {
        strbuf_addc(&s->word, '$');
        return 0;
    }
    CLEANUP_FREE char *key = xstrndup(name, (size_t)(end - name));
    const char *value = kube_pairs_get(s->env, key);
    strbuf_adds(&s->word, value ? value : "");
    s->p = close ? end : end - 1;
    return 0;
}

static int add_quoted(struct splitter *s, char quote)
{
    for (s->p++; *s->p != quote; s->p++) {
        if (!*s->p) {
            return err_set(s->err, -EINVAL, "the closing %c is missing", quote);
        }
        if (quote == '"' && *s->p == '$') {
            int r = add_variable(s);
            if (r < 0) {
                return r;
            }
        } else {
            if (quote == '"' && *s->p == '\\' && s->p[1] && strchr("\\\"$`", s->p[1])) {
                s->p++;
            }
            strbuf_addc(&s->word, *s->p);
        }
    }
    return 0;
}

static int end_word(struct splitter *s)
{
    if (!s->in_word) {
        return 0;
    }
    if (s->words.count == WORDS_MAX) {
        return err_set(s->err, -EINVAL, "more than %d words", (int)WORDS_MAX);
    }
    s->words.items[s->words.count++] = arena_strndup(s->arena, strbuf_str(&s->word), s->word.n);
    strbuf_reset(&s->word);
    s->in_word = false;
    return 0;
}

static int add_plain(struct splitter *s)
{
    if (strchr("|&;<>`*?", *s->p)) {
        return err_set(s->err, -EINVAL, "'%c' needs a shell: put it in quotes, or run sh -c '…'",
                       *s->p);
    }
    if (*s->p == '\\' && s->p[1]) {
        s->p++;
    }
    strbuf_addc(&s->word, *s->p);
    return 0;
}

int words_split(const char *text,
                const struct kube_pairs *env,
                struct arena *arena,
                struct kube_strings *ret_words,
                struct err *err)
{
    struct splitter s = {.p = text, .env = env, .arena = arena, .word = STRBUF_NULL, .err = err};
    int r = 0;

    s.words.items = arena_alloc(arena, (WORDS_MAX + 1) * sizeof(char *));
    for (; *s.p && r == 0; s.p++) {
        if (isspace((unsigned char)*s.p)) {
            r = end_word(&s);
            continue;
        }
        s.in_word = true;
        r = *s.p == '\'' || *s.p == '"' ? add_quoted(&s, *s.p)
            : *s.p == '$'               ? add_variable(&s)
                                        : add_plain(&s);
        if (r < 0) {
            break;
        }
    }
    r = r < 0 ? r : end_word(&s);
    strbuf_fini(&s.word);
    if (r == 0) {
        *ret_words = s.words;
    }
    return r;
}
