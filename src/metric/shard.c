// SPDX-License-Identifier: Apache-2.0
#include "metric/shard.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "metric/sink.h"
#include "metric/snapshot.h"
#include "metric/wire.h"

// Which sub-metrics and watches of a metric a tag set belongs to, found once for each tag set.
enum { MATCH_KNOWN = 1, MATCH_LIMIT = 64 };

struct match {
    uint8_t known;
    uint64_t subs, watches; // bits over cell.subs and cell.watches
};

struct watch {
    unsigned id;
    const struct tag *selectors;
    unsigned selector_count;
    shard_watch_fn fn;
    void *arg;
};

// One metric.
struct cell {
    struct sink root;
    unsigned *subs; // indexes into shard.submetrics
    unsigned sub_count, sub_cap;
    struct watch *watches;
    unsigned watch_count, watch_cap;
    struct match *matches; // by tag set id
    unsigned match_cap;
};

struct check_count {
    const char *group, *name; // of the interner
    uint64_t passes, fails;
};

// What is remembered for each tag set.
struct tagset_note {
    uint8_t group_seen;
    unsigned check; // index + 1 into checks
};

struct shard {
    const struct metric_registry *registry;
    const struct submetric *submetrics;
    struct sink *sub_sinks;
    unsigned submetric_count;
    struct cell **cells; // by metric id, NULL until the first sample
    unsigned cell_count;
    struct tag_interner *tags;
    struct tagset_note *notes; // by tag set id
    unsigned note_cap;
    struct check_count *checks;
    unsigned check_count, check_cap;
    struct map check_index; // group NUL name → index + 1
    const char **groups;
    unsigned group_count, group_cap;
    struct map group_index;
    shard_sink_fn sink_fn;
    void *sink_arg;
};

struct shard *shard_new(const struct metric_registry *registry,
                        const struct submetric *submetrics,
                        unsigned submetric_count)
{
    struct shard *s = XNEW(struct shard);

    s->registry = registry;
    s->submetrics = submetrics;
    s->submetric_count = submetric_count;
    s->sub_sinks = xcalloc(submetric_count + 1, sizeof(*s->sub_sinks));
    for (unsigned i = 0; i < submetric_count; i++) {
        sink_init(&s->sub_sinks[i], submetrics[i].parent->type);
    }
    s->tags = tag_interner_new();
    return s;
}

void shard_free(struct shard *s)
{
    if (!s) {
        return;
    }
    for (unsigned i = 0; i < s->cell_count; i++) {
        struct cell *c = s->cells[i];
        if (c) {
            sink_fini(&c->root);
            free(c->subs);
            free(c->watches);
            free(c->matches);
            free(c);
        }
    }
    for (unsigned i = 0; i < s->submetric_count; i++) {
        sink_fini(&s->sub_sinks[i]);
    }
    free(s->sub_sinks);
    free(s->cells);
    free(s->notes);
    free(s->checks);
    free(s->groups);
    map_fini(&s->check_index);
    map_fini(&s->group_index);
    tag_interner_free(s->tags);
    free(s);
}

struct tag_interner *shard_tags(struct shard *s)
{
    return s->tags;
}

static struct cell *cell_make(struct shard *s, const struct metric *m)
{
    if (m->id >= s->cell_count) {
        unsigned count = MAX(m->id + 1, s->cell_count * 2);
        s->cells = xreallocarray(s->cells, count, sizeof(struct cell *));
        memset(s->cells + s->cell_count, 0, (count - s->cell_count) * sizeof(struct cell *));
        s->cell_count = count;
    }
    struct cell *c = s->cells[m->id] = XNEW(struct cell);
    sink_init(&c->root, m->type);
    for (unsigned i = 0; i < s->submetric_count; i++) {
        if (s->submetrics[i].parent == m) {
            ARRAY_RESERVE(c->subs, c->sub_count, c->sub_cap);
            c->subs[c->sub_count++] = i;
        }
    }
    return c;
}

static inline struct cell *cell_of(struct shard *s, const struct metric *m)
{
    struct cell *c = m->id < s->cell_count ? s->cells[m->id] : NULL;

    return c ? c : cell_make(s, m);
}

bool shard_tags_match(const struct tagset *tags, const struct tag *selectors, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const char *value = tagset_get(tags, selectors[i].key);
        if (!value || strcmp(value, selectors[i].value) != 0) {
            return false;
        }
    }
    return true;
}

static bool
sub_matches(const struct shard *s, const struct cell *c, unsigned i, const struct tagset *tags)
{
    const struct submetric *sub = &s->submetrics[c->subs[i]];

    return shard_tags_match(tags, sub->selectors, sub->selector_count);
}

static const struct match *match_of(struct shard *s, struct cell *c, const struct tagset *tags)
{
    if (tags->id >= c->match_cap) {
        unsigned cap = MAX(tags->id + 8, c->match_cap * 2);
        c->matches = xreallocarray(c->matches, cap, sizeof(*c->matches));
        memset(c->matches + c->match_cap, 0, (cap - c->match_cap) * sizeof(*c->matches));
        c->match_cap = cap;
    }
    struct match *m = &c->matches[tags->id];
    if (!m->known) {
        m->known = MATCH_KNOWN;
        for (unsigned i = 0; i < c->sub_count && i < MATCH_LIMIT; i++) {
            m->subs |= (uint64_t)sub_matches(s, c, i, tags) << i;
        }
        for (unsigned i = 0; i < c->watch_count; i++) {
            bool hit =
                shard_tags_match(tags, c->watches[i].selectors, c->watches[i].selector_count);
            m->watches |= (uint64_t)hit << i;
        }
    }
    return m;
}

static struct tagset_note *note_of(struct shard *s, const struct tagset *tags)
{
    if (tags->id >= s->note_cap) {
        unsigned cap = MAX(tags->id + 8, s->note_cap * 2);
        s->notes = xreallocarray(s->notes, cap, sizeof(*s->notes));
        memset(s->notes + s->note_cap, 0, (cap - s->note_cap) * sizeof(*s->notes));
        s->note_cap = cap;
    }
    return &s->notes[tags->id];
}

static void see_group(struct shard *s, const struct tagset *tags)
{
    const char *group = tagset_get(tags, "group");

    if (group && *group && !map_gets(&s->group_index, group)) {
        ARRAY_RESERVE(s->groups, s->group_count, s->group_cap);
        s->groups[s->group_count++] = group;
        map_sets(&s->group_index, group, s);
    }
}

static unsigned check_find(struct shard *s, const char *group, const char *name)
{
    CLEANUP(strbuf_fini) struct strbuf key = STRBUF_NULL;

    strbuf_add(&key, group, strlen(group) + 1);
    strbuf_adds(&key, name);
    struct slice k = {key.p, key.n};
    uintptr_t index = (uintptr_t)map_get(&s->check_index, k);
    if (!index) {
        ARRAY_RESERVE(s->checks, s->check_count, s->check_cap);
        s->checks[s->check_count++] = (struct check_count){group, name, 0, 0};
        index = s->check_count;
        map_set(&s->check_index, k, (void *)index);
    }
    return (unsigned)index;
}

static void
count_check(struct shard *s, struct tagset_note *note, const struct tagset *tags, bool passed)
{
    if (!note->check) {
        const char *name = tagset_get(tags, "check"), *group = tagset_get(tags, "group");
        if (!name) {
            return;
        }
        note->check = check_find(s, group ? group : "", name);
    }
    struct check_count *c = &s->checks[note->check - 1];
    c->passes += passed;
    c->fails += !passed;
}

static void add_to_matches(
    struct shard *s, struct cell *c, const struct tagset *tags, double value, nsec_t when)
{
    const struct match *m = match_of(s, c, tags);

    for (uint64_t bits = m->subs; bits; bits &= bits - 1) {
        sink_add(&s->sub_sinks[c->subs[__builtin_ctzll(bits)]], value, when);
    }
    for (unsigned i = MATCH_LIMIT; i < c->sub_count; i++) {
        if (sub_matches(s, c, i, tags)) {
            sink_add(&s->sub_sinks[c->subs[i]], value, when);
        }
    }
    for (uint64_t bits = m->watches; bits; bits &= bits - 1) {
        const struct watch *w = &c->watches[__builtin_ctzll(bits)];
        w->fn(w->arg, w->id, value);
    }
}

void shard_add(struct shard *s,
               const struct metric *m,
               const struct tagset *tags,
               double value,
               nsec_t when,
               const struct tagset *metadata)
{
    struct cell *c = cell_of(s, m);

    sink_add(&c->root, value, when);
    if (c->sub_count || c->watch_count) {
        add_to_matches(s, c, tags, value, when);
    }
    struct tagset_note *note = note_of(s, tags);
    if (!note->group_seen) {
        note->group_seen = 1;
        see_group(s, tags);
    }
    if (m->id == METRIC_CHECKS) {
        count_check(s, note, tags, value != 0);
    }
    if (s->sink_fn) {
        s->sink_fn(s->sink_arg, m, tags, value, when, metadata);
    }
}

void shard_set_sink(struct shard *s, shard_sink_fn fn, void *arg)
{
    s->sink_fn = fn;
    s->sink_arg = arg;
}

void shard_watch(struct shard *s,
                 unsigned watch,
                 const struct metric *m,
                 const struct tag *selectors,
                 unsigned selector_count,
                 shard_watch_fn fn,
                 void *arg)
{
    struct cell *c = cell_of(s, m);

    ASSERT(c->watch_count < MATCH_LIMIT);
    ARRAY_RESERVE(c->watches, c->watch_count, c->watch_cap);
    c->watches[c->watch_count++] = (struct watch){watch, selectors, selector_count, fn, arg};
    if (c->matches) {
        memset(c->matches, 0, c->match_cap * sizeof(*c->matches));
    }
}

void shard_snapshot(const struct shard *s, struct strbuf *b)
{
    unsigned sinks = 0;

    strbuf_add(b, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_N);
    wire_varint(b, SNAPSHOT_VERSION);
    for (unsigned i = 0; i < s->cell_count; i++) {
        sinks += s->cells[i] && s->cells[i]->root.count;
    }
    wire_varint(b, sinks);
    for (unsigned i = 0; i < s->cell_count; i++) {
        const struct cell *c = s->cells[i];
        if (c && c->root.count) {
            const struct metric *m = metric_by_id(s->registry, i);
            wire_string(b, m->name);
            strbuf_addc(b, (char)m->type);
            sink_write(&c->root, b);
        }
    }
    wire_varint(b, s->submetric_count);
    for (unsigned i = 0; i < s->submetric_count; i++) {
        wire_string(b, s->submetrics[i].name);
        sink_write(&s->sub_sinks[i], b);
    }
    wire_varint(b, s->check_count);
    for (unsigned i = 0; i < s->check_count; i++) {
        wire_string(b, s->checks[i].group);
        wire_string(b, s->checks[i].name);
        wire_varint(b, s->checks[i].passes);
        wire_varint(b, s->checks[i].fails);
    }
    wire_varint(b, s->group_count);
    for (unsigned i = 0; i < s->group_count; i++) {
        wire_string(b, s->groups[i]);
    }
}
