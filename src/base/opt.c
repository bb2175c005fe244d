// SPDX-License-Identifier: Apache-2.0
#include "base/opt.h"

#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"

struct parser {
    const struct opt_spec *specs;
    size_t count;
    int argc;
    char **argv;
    int next; // index of the next unread argument
    opt_fn fn;
    void *arg;
};

static int unknown_name(const struct parser *p, const char *name, struct err *err)
{
    CLEANUP_FREE const char **names = xcalloc(p->count + 1, sizeof(*names));

    for (size_t i = 0; i < p->count; i++) {
        names[i] = p->specs[i].name;
    }
    const char *close = str_suggest(name, names, p->count);
    return close ? err_set(err, -EINVAL, "unknown option '--%s', did you mean '--%s'?", name, close)
                 : err_set(err, -EINVAL, "unknown option '--%s', see '--help'", name);
}

static int
take_value(struct parser *p, const struct opt_spec *spec, const char **ret_value, struct err *err)
{
    if (p->next >= p->argc) {
        return err_set(err, -EINVAL, "option '--%s' needs a value: --%s %s", spec->name, spec->name,
                       spec->value_name);
    }
    *ret_value = p->argv[p->next++];
    return 0;
}

static int parse_long(struct parser *p, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    CLEANUP_FREE char *name = equals ? xstrndup(text, (size_t)(equals - text)) : xstrdup(text);
    const char *value = equals ? equals + 1 : NULL;

    for (size_t i = 0; i < p->count; i++) {
        const struct opt_spec *spec = &p->specs[i];
        if (strcmp(spec->name, name) != 0) {
            continue;
        }
        if (spec->value_name && !value && !spec->value_optional) {
            int r = take_value(p, spec, &value, err);
            if (r < 0) {
                return r;
            }
        }
        return p->fn(p->arg, spec, value, err);
    }
    return unknown_name(p, name, err);
}

static const struct opt_spec *find_letter(const struct parser *p, char letter)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->specs[i].letter == letter) {
            return &p->specs[i];
        }
    }
    return NULL;
}

static int parse_letters(struct parser *p, const char *letters, struct err *err)
{
    for (; *letters; letters++) {
        const struct opt_spec *spec = find_letter(p, *letters);
        const char *value = NULL;
        if (!spec) {
            return err_set(err, -EINVAL, "unknown option '-%c', see '--help'", *letters);
        }
        bool wants = spec->value_name && !spec->value_optional;
        if (wants && letters[1]) {
            value = letters[1] == '=' ? letters + 2 : letters + 1;
            return p->fn(p->arg, spec, value, err);
        }
        int r = wants ? take_value(p, spec, &value, err) : 0;
        r = r < 0 ? r : p->fn(p->arg, spec, value, err);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

int opt_parse(const struct opt_spec *specs,
              size_t count,
              int argc,
              char **argv,
              opt_fn fn,
              void *arg,
              int *ret_count,
              struct err *err)
{
    struct parser p = {specs, count, argc, argv, 1, fn, arg};
    int kept = 0;
    bool only_arguments = false;

    while (p.next < argc) {
        char *text = argv[p.next++];
        int r = 0;
        if (only_arguments || text[0] != '-' || !text[1]) {
            argv[kept++] = text;
        } else if (strcmp(text, "--") == 0) {
            only_arguments = true;
        } else if (text[1] == '-') {
            r = parse_long(&p, text + 2, err);
        } else {
            r = parse_letters(&p, text + 1, err);
        }
        if (r != 0) {
            return r;
        }
    }
    *ret_count = kept;
    return 0;
}

static void add_wrapped(struct strbuf *b, const char *text, unsigned indent, unsigned width)
{
    unsigned column = indent;

    while (*text) {
        size_t n = strcspn(text, " ");
        if (column > indent && column + n + 1 > width) {
            strbuf_addf(b, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            strbuf_addc(b, ' ');
            column++;
        }
        strbuf_add(b, text, n);
        column += (unsigned)n;
        text += n + (text[n] == ' ');
    }
    strbuf_addc(b, '\n');
}

void opt_add_help(struct strbuf *b, const struct opt_spec *specs, size_t count, unsigned width)
{
    enum { INDENT = 34 };

    for (size_t i = 0; i < count; i++) {
        const struct opt_spec *s = &specs[i];
        size_t start = b->n;
        strbuf_adds(b, "  ");
        if (s->letter) {
            strbuf_addf(b, "-%c, ", s->letter);
        } else {
            strbuf_adds(b, "    ");
        }
        strbuf_addf(b, "--%s", s->name);
        if (s->value_name) {
            strbuf_addf(b, s->value_optional ? "[=%s]" : " %s", s->value_name);
        }
        size_t used = b->n - start;
        if (used + 2 > INDENT) {
            strbuf_addf(b, "\n%*s", INDENT, "");
        } else {
            strbuf_addf(b, "%*s", (int)(INDENT - used), "");
        }
        add_wrapped(b, s->help, INDENT, width);
    }
}
