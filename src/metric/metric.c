// SPDX-License-Identifier: Apache-2.0
#include "metric/metric.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

struct metric_registry {
    pthread_mutex_t lock;
    struct map by_name;
    struct metric **metrics; // by id; each is allocated on its own, so that pointers stay
    unsigned count, cap;
    const struct metric *builtin[METRIC_BUILTIN_N_]; // read without the lock, for the sample path
};

static const struct {
    const char *name;
    enum metric_type type;
    enum metric_contains contains;
} builtin[] = {
#define METRIC(id, name, type, contains, help) {name, METRIC_##type, METRIC_##contains},
#include "tbl/metrics.h"
#undef METRIC
};

const char *metric_type_name(enum metric_type type)
{
    static const char *const names[] = {"counter", "gauge", "rate", "trend"};

    return names[type];
}

const char *metric_contains_name(enum metric_contains contains)
{
    static const char *const names[] = {"default", "time", "data"};

    return names[contains];
}

struct metric_registry *metric_registry_new(void)
{
    struct metric_registry *r = XNEW(struct metric_registry);

    pthread_mutex_init(&r->lock, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(builtin); i++) {
        ASSERT(metric_register(r, slice_of(builtin[i].name), builtin[i].type, builtin[i].contains,
                               &r->builtin[i]) == 0);
    }
    return r;
}

void metric_registry_free(struct metric_registry *r)
{
    if (!r) {
        return;
    }
    for (unsigned i = 0; i < r->count; i++) {
        free(r->metrics[i]->name);
        free(r->metrics[i]);
    }
    free(r->metrics);
    map_fini(&r->by_name);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static bool name_is_valid(struct slice name)
{
    if (name.n < 2 || name.n > 129 || !(isalpha((unsigned char)name.p[0]) || name.p[0] == '_')) {
        return false;
    }
    for (size_t i = 1; i < name.n; i++) {
        if (!isalnum((unsigned char)name.p[i]) && name.p[i] != '_') {
            return false;
        }
    }
    return true;
}

int metric_register(struct metric_registry *r,
                    struct slice name,
                    enum metric_type type,
                    enum metric_contains contains,
                    const struct metric **ret_metric)
{
    int rc = 0;

    if (!name_is_valid(name)) {
        return METRIC_E_NAME;
    }
    pthread_mutex_lock(&r->lock);
    struct metric *m = map_get(&r->by_name, name);
    if (!m) {
        m = XNEW(struct metric);
        *m = (struct metric){r->count, xstrndup(name.p, name.n), type, contains};
        ARRAY_RESERVE(r->metrics, r->count, r->cap);
        r->metrics[r->count++] = m;
        map_set(&r->by_name, name, m);
    } else if (m->type != type || m->contains != contains) {
        rc = METRIC_E_TYPE;
    }
    pthread_mutex_unlock(&r->lock);
    if (rc == 0) {
        *ret_metric = m;
    }
    return rc;
}

// The lock is the registry's only mutable part: taking it does not change what callers see.
static pthread_mutex_t *lock_of(const struct metric_registry *r)
{
    return (pthread_mutex_t *)&r->lock;
}

const struct metric *metric_by_id(const struct metric_registry *r, unsigned id)
{
    if (id < METRIC_BUILTIN_N_) {
        return r->builtin[id];
    }
    pthread_mutex_lock(lock_of(r));
    const struct metric *m = id < r->count ? r->metrics[id] : NULL;
    pthread_mutex_unlock(lock_of(r));
    return m;
}

const struct metric *metric_by_name(const struct metric_registry *r, struct slice name)
{
    pthread_mutex_lock(lock_of(r));
    const struct metric *m = map_get(&r->by_name, name);
    pthread_mutex_unlock(lock_of(r));
    return m;
}

unsigned metric_count(const struct metric_registry *r)
{
    pthread_mutex_lock(lock_of(r));
    unsigned n = r->count;
    pthread_mutex_unlock(lock_of(r));
    return n;
}
