// SPDX-License-Identifier: Apache-2.0
#include "metric/aggregate.h"

#include <errno.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"
#include "metric/sink.h"
#include "metric/snapshot.h"
#include "metric/wire.h"

struct check_total {
    char *group, *name;
    uint64_t passes, fails;
};

struct aggregate {
    const struct metric_registry *registry;
    const struct submetric *submetrics;
    unsigned submetric_count;
    struct sink *subs;   // as submetrics
    struct sink **roots; // by metric id
    unsigned root_count;
    struct row {
        const struct metric *metric;
        int submetric; // -1 = the metric itself
    } * rows;
    unsigned row_count, row_cap, rows_of; // rows_of: number of metrics that rows were made for
    struct check_total *checks;
    unsigned check_count, check_cap;
    struct map check_index; // group NUL name → index + 1
    char **groups;
    unsigned group_count, group_cap;
    struct map group_index;
};

struct aggregate *aggregate_new(const struct metric_registry *registry,
                                const struct submetric *submetrics,
                                unsigned submetric_count)
{
    struct aggregate *a = XNEW(struct aggregate);

    a->registry = registry;
    a->submetrics = submetrics;
    a->submetric_count = submetric_count;
    a->subs = xcalloc(submetric_count + 1, sizeof(*a->subs));
    for (unsigned i = 0; i < submetric_count; i++) {
        sink_init(&a->subs[i], submetrics[i].parent->type);
    }
    return a;
}

void aggregate_free(struct aggregate *a)
{
    if (!a) {
        return;
    }
    for (unsigned i = 0; i < a->root_count; i++) {
        sink_fini(a->roots[i]);
        free(a->roots[i]);
    }
    for (unsigned i = 0; i < a->submetric_count; i++) {
        sink_fini(&a->subs[i]);
    }
    for (unsigned i = 0; i < a->check_count; i++) {
        free(a->checks[i].group);
        free(a->checks[i].name);
    }
    for (unsigned i = 0; i < a->group_count; i++) {
        free(a->groups[i]);
    }
    free(a->roots);
    free(a->subs);
    free(a->rows);
    free(a->checks);
    free(a->groups);
    map_fini(&a->check_index);
    map_fini(&a->group_index);
    free(a);
}

void aggregate_reset(struct aggregate *a)
{
    for (unsigned i = 0; i < a->root_count; i++) {
        sink_reset(a->roots[i]);
    }
    for (unsigned i = 0; i < a->submetric_count; i++) {
        sink_reset(&a->subs[i]);
    }
    for (unsigned i = 0; i < a->check_count; i++) {
        a->checks[i].passes = a->checks[i].fails = 0;
    }
}

static struct sink *root_of(struct aggregate *a, const struct metric *m)
{
    if (m->id >= a->root_count) {
        a->roots = xreallocarray(a->roots, m->id + 1, sizeof(*a->roots));
        for (; a->root_count <= m->id; a->root_count++) {
            a->roots[a->root_count] = XNEW(struct sink);
            sink_init(a->roots[a->root_count], metric_by_id(a->registry, a->root_count)->type);
        }
    }
    return a->roots[m->id];
}

static bool merge_sink(struct sink *into, struct wire_reader *r)
{
    struct sink one;

    sink_init(&one, into->type);
    bool good = sink_read(&one, r) && !r->bad;
    if (good) {
        sink_merge(into, &one);
    }
    sink_fini(&one);
    return good;
}

static void add_check(
    struct aggregate *a, struct slice group, struct slice name, uint64_t passes, uint64_t fails)
{
    CLEANUP(strbuf_fini) struct strbuf key = STRBUF_NULL;

    strbuf_add(&key, group.p, group.n);
    strbuf_addc(&key, 0);
    strbuf_add(&key, name.p, name.n);
    struct slice k = {key.p, key.n};
    uintptr_t index = (uintptr_t)map_get(&a->check_index, k);
    if (!index) {
        ARRAY_RESERVE(a->checks, a->check_count, a->check_cap);
        a->checks[a->check_count++] =
            (struct check_total){xstrndup(group.p, group.n), xstrndup(name.p, name.n), 0, 0};
        index = a->check_count;
        map_set(&a->check_index, k, (void *)index);
    }
    a->checks[index - 1].passes += passes;
    a->checks[index - 1].fails += fails;
}

static void add_group(struct aggregate *a, struct slice name)
{
    if (!map_get(&a->group_index, name)) {
        ARRAY_RESERVE(a->groups, a->group_count, a->group_cap);
        a->groups[a->group_count++] = xstrndup(name.p, name.n);
        map_set(&a->group_index, name, a);
    }
}

static bool merge_sinks(struct aggregate *a, struct wire_reader *r)
{
    for (uint64_t n = wire_get_varint(r); n > 0; n--) {
        struct slice name = wire_get_string(r);
        const unsigned char *type = wire_take(r, 1);
        const struct metric *m = type ? metric_by_name(a->registry, name) : NULL;
        if (!m || m->type != *type || !merge_sink(root_of(a, m), r)) {
            return false;
        }
    }
    if (wire_get_varint(r) != a->submetric_count || r->bad) {
        return false;
    }
    for (unsigned i = 0; i < a->submetric_count; i++) {
        if (!slice_eqs(wire_get_string(r), a->submetrics[i].name) || !merge_sink(&a->subs[i], r)) {
            return false;
        }
    }
    return true;
}

int aggregate_merge(struct aggregate *a, const void *bytes, size_t n, struct err *err)
{
    struct wire_reader r = {bytes, (const unsigned char *)bytes + n, false};
    const unsigned char *magic = wire_take(&r, SNAPSHOT_MAGIC_N);

    if (!magic || memcmp(magic, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_N) != 0) {
        return err_set(err, -EBADMSG, "not a snapshot of metrics");
    }
    uint64_t version = wire_get_varint(&r);
    if (version != SNAPSHOT_VERSION) {
        return err_set(err, -EBADMSG, "snapshot of version %llu, this program reads version %d",
                       (unsigned long long)version, SNAPSHOT_VERSION);
    }
    bool good = merge_sinks(a, &r);
    for (uint64_t i = good ? wire_get_varint(&r) : 0; i > 0 && !r.bad; i--) {
        struct slice group = wire_get_string(&r), name = wire_get_string(&r);
        uint64_t passes = wire_get_varint(&r), fails = wire_get_varint(&r);
        if (!r.bad) {
            add_check(a, group, name, passes, fails);
        }
    }
    for (uint64_t i = good ? wire_get_varint(&r) : 0; i > 0 && !r.bad; i--) {
        struct slice group = wire_get_string(&r);
        if (!r.bad) {
            add_group(a, group);
        }
    }
    if (!good || r.bad || r.p != r.end) {
        return err_set(err, -EBADMSG, "damaged snapshot of metrics");
    }
    return 0;
}

// Rows follow the registry, which may have grown since the last call.
static void make_rows(const struct aggregate *ca)
{
    struct aggregate *a = (struct aggregate *)ca; // a cache

    for (unsigned count = metric_count(a->registry); a->rows_of < count; a->rows_of++) {
        const struct metric *m = metric_by_id(a->registry, a->rows_of);
        root_of(a, m);
        ARRAY_RESERVE(a->rows, a->row_count, a->row_cap);
        a->rows[a->row_count++] = (struct row){m, -1};
        for (unsigned i = 0; i < a->submetric_count; i++) {
            if (a->submetrics[i].parent == m) {
                ARRAY_RESERVE(a->rows, a->row_count, a->row_cap);
                a->rows[a->row_count++] = (struct row){m, (int)i};
            }
        }
    }
}

unsigned aggregate_count(const struct aggregate *a)
{
    make_rows(a);
    return a->row_count;
}

void aggregate_get(const struct aggregate *a, unsigned index, struct metric_result *ret_result)
{
    make_rows(a);
    ASSERT(index < a->row_count);
    const struct row *row = &a->rows[index];
    const struct submetric *sub = row->submetric < 0 ? NULL : &a->submetrics[row->submetric];
    const struct sink *s = sub ? &a->subs[row->submetric] : a->roots[row->metric->id];
    bool trend = s->type == METRIC_TREND;
    *ret_result = (struct metric_result){
        .metric = row->metric,
        .submetric = sub,
        .name = sub ? sub->name : row->metric->name,
        .count = s->count,
        .sum = trend ? s->trend.sum : s->sum,
        .min = trend ? s->trend.min : s->min,
        .max = trend ? s->trend.max : s->max,
        .last = s->last,
        .trues = s->trues,
        .trend = trend && s->count ? &s->trend : NULL,
    };
}

bool aggregate_find(const struct aggregate *a, const char *name, struct metric_result *ret_result)
{
    for (unsigned i = 0, n = aggregate_count(a); i < n; i++) {
        struct metric_result r;
        aggregate_get(a, i, &r);
        if (strcmp(r.name, name) == 0) {
            *ret_result = r;
            return true;
        }
    }
    return false;
}

double metric_result_percentile(const struct metric_result *r, double percent)
{
    // Reading a percentile sorts the values that are kept, which nobody else can see.
    return r->trend ? trend_percentile((struct trend *)r->trend, percent) : 0;
}

unsigned aggregate_check_count(const struct aggregate *a)
{
    return a->check_count;
}

void aggregate_check(const struct aggregate *a, unsigned index, struct check_result *ret_check)
{
    ASSERT(index < a->check_count);
    const struct check_total *c = &a->checks[index];
    *ret_check = (struct check_result){c->group, c->name, c->passes, c->fails};
}

unsigned aggregate_group_count(const struct aggregate *a)
{
    return a->group_count;
}

const char *aggregate_group(const struct aggregate *a, unsigned index)
{
    ASSERT(index < a->group_count);
    return a->groups[index];
}
