// SPDX-License-Identifier: Apache-2.0
#include "observe/observer.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "net/exchange.h"
#include "net/settings.h"
#include "observe/pgwaits.h"
#include "observe/procfs.h"
#include "observe/prom.h"
#include "rt/co.h"
#include "rt/loop.h"

enum { BODY_MAX = 1 << 20, SAMPLES_MAX = 20000 };

static const nsec_t PERIOD = 250 * NSEC_PER_MSEC;

struct observer {
    struct observe_pod pods[OBSERVE_PODS_MAX];
    size_t count;
    char *database;
    pthread_t thread, database_thread;
    bool database_started;
    atomic_bool stop;
    struct loop *loop;
    struct net_settings settings;
    pthread_mutex_t lock; // of what follows
    struct observe_sample *samples;
    size_t sample_count, sample_cap;
    struct pgwaits_counts waits;
    nsec_t waits_at; // 0: never read
    char database_error[200];
};

static const char *const NAMES[] = {
#define OBSERVED(id, name, help) name,
#include "tbl/observed.h"
#undef OBSERVED
};

const char *observe_metric_name(enum observe_metric m)
{
    return NAMES[m];
}

int observe_metric_by_name(const char *name)
{
    CLEANUP_FREE char *flat = xstrdup(name);

    for (char *p = flat; *p; p++) {
        *p = *p == '.' ? '_' : *p;
    }
    CLEANUP_FREE char *total = xasprintf("%s_total", flat);
    for (int i = 0; i < OBSERVE_METRIC_COUNT; i++) {
        if (strcmp(NAMES[i], flat) == 0 || strcmp(NAMES[i], total) == 0) {
            return i;
        }
    }
    return -1;
}

static void add_value(double *sum, double value)
{
    *sum = isnan(*sum) ? value : *sum + value;
}

static void read_metrics(struct slice body, double *metrics)
{
    struct prom_sample s;

    // A service that counts its answers and has refused nothing has refused 0.
    while (prom_next(&body, &s)) {
        for (int i = 0; i < OBSERVE_METRIC_COUNT; i++) {
            if (slice_eqs(s.name, NAMES[i])) {
                add_value(&metrics[i], s.value);
            }
        }
        if (slice_eqs(s.name, NAMES[OBSERVE_REQUESTS])) {
            bool refused = prom_has_label(s.labels, "code", "429") ||
                           prom_has_label(s.labels, "status", "429");
            add_value(&metrics[OBSERVE_REFUSED], refused ? s.value : 0);
        }
    }
}

static void scrape(struct client *c, const struct observe_pod *p, double *metrics)
{
    struct strbuf headers = STRBUF_NULL;

    strbuf_addf(&headers, "Host: %s:%u\r\nAccept: text/plain\r\n", p->host, p->port);
    struct exchange x = {
        .endpoint = client_endpoint(c, false, slice_of(p->host), p->port),
        .method = SLICE("GET"),
        .target = SLICE("/metrics"),
        .headers = {strbuf_str(&headers), headers.n},
        .timeout = NSEC_PER_SEC,
        .max_body = BODY_MAX,
    };
    if (exchange_await(c, &x) == 0 && !x.error_code && x.status == 200) {
        read_metrics(x.response_body, metrics);
    }
    exchange_release(c, &x);
    strbuf_fini(&headers);
}

static void keep(struct observer *o, struct observe_sample *s)
{
    pthread_mutex_lock(&o->lock);
    bool fresh = o->waits_at && s->at - o->waits_at < 4 * PERIOD;
    s->db_active = fresh ? o->waits.active : NAN;
    s->db_waiting = fresh ? o->waits.waiting : NAN;
    s->db_idle_in_transaction = fresh ? o->waits.idle_in_transaction : NAN;
    if (o->sample_count < SAMPLES_MAX) {
        ARRAY_RESERVE(o->samples, o->sample_count, o->sample_cap);
        o->samples[o->sample_count++] = *s;
    }
    pthread_mutex_unlock(&o->lock);
}

static void sample(struct observer *o, struct client *c, struct observe_sample *s)
{
    pid_t roots[OBSERVE_PODS_MAX];
    double cpu[OBSERVE_PODS_MAX];

    for (size_t i = 0; i < o->count; i++) {
        roots[i] = o->pods[i].pid ? o->pods[i].pid : -1;
        for (int m = 0; m < OBSERVE_METRIC_COUNT; m++) {
            s->pods[i].metrics[m] = NAN;
        }
    }
    s->at = clock_now();
    if (procfs_cpu_of_host(&s->host_busy, &s->host_total)) {
        s->host_busy = s->host_total = NAN;
    }
    if (procfs_cpu_pressure(&s->pressure)) {
        s->pressure = NAN;
    }
    procfs_cpu_of_trees(roots, o->count, cpu);
    for (size_t i = 0; i < o->count; i++) {
        s->pods[i].cpu = o->pods[i].pid ? cpu[i] : NAN;
        if (o->pods[i].port) {
            scrape(c, &o->pods[i], s->pods[i].metrics);
        }
    }
    keep(o, s);
}

static void run_sampler(void *arg)
{
    struct observer *o = arg;
    struct client *c = client_new(o->loop, &o->settings);
    struct observe_sample *s = XNEW(struct observe_sample);
    nsec_t due = clock_now();

    while (!atomic_load(&o->stop)) {
        sample(o, c, s);
        due = MAX(due + PERIOD, clock_now());
        if (co_await_until(due)) {
            break;
        }
    }
    free(s);
    client_free(c);
    loop_stop(o->loop);
}

static void *run_thread(void *arg)
{
    struct observer *o = arg;

    co_spawn(o->loop, run_sampler, o, NULL);
    loop_run(o->loop);
    return NULL;
}

static void *run_database(void *arg)
{
    struct observer *o = arg;
    char why[sizeof(o->database_error)] = "";
    struct pgwaits *w = pgwaits_open(o->database, why, sizeof(why));

    if (!w) {
        pthread_mutex_lock(&o->lock);
        memcpy(o->database_error, why, sizeof(why));
        pthread_mutex_unlock(&o->lock);
        return NULL;
    }
    while (!atomic_load(&o->stop)) {
        struct pgwaits_counts counts;
        if (pgwaits_read(w, &counts)) {
            break;
        }
        pthread_mutex_lock(&o->lock);
        o->waits = counts;
        o->waits_at = clock_now();
        pthread_mutex_unlock(&o->lock);
        nanosleep(&(struct timespec){.tv_nsec = PERIOD}, NULL);
    }
    pgwaits_free(w);
    return NULL;
}

int observer_start(const struct observe_pod *pods,
                   size_t count,
                   const char *database,
                   struct observer **ret_observer,
                   struct err *err)
{
    struct observer *o = XNEW(struct observer);

    o->count = MIN(count, OBSERVE_PODS_MAX);
    memcpy(o->pods, pods, o->count * sizeof(*pods));
    o->database = database ? xstrdup(database) : NULL;
    pthread_mutex_init(&o->lock, NULL);
    net_settings_init(&o->settings);
    o->loop = loop_new();
    int r = net_settings_seal(&o->settings, err);
    if (!r && pthread_create(&o->thread, NULL, run_thread, o)) {
        r = err_set(err, -EAGAIN, "cannot start a thread to observe the system");
    }
    if (r) {
        loop_free(o->loop);
        net_settings_fini(&o->settings);
        free(o->database);
        free(o);
        return r;
    }
    o->database_started =
        o->database && pthread_create(&o->database_thread, NULL, run_database, o) == 0;
    *ret_observer = o;
    return 0;
}

void observer_free(struct observer *o)
{
    if (!o) {
        return;
    }
    atomic_store(&o->stop, true);
    pthread_join(o->thread, NULL);
    if (o->database_started) {
        pthread_join(o->database_thread, NULL);
    }
    loop_free(o->loop);
    net_settings_fini(&o->settings);
    pthread_mutex_destroy(&o->lock);
    free(o->samples);
    free(o->database);
    free(o);
}

bool observer_get(struct observer *o, size_t index, struct observe_sample *ret_sample)
{
    pthread_mutex_lock(&o->lock);
    bool there = index < o->sample_count;
    if (there) {
        *ret_sample = o->samples[index];
    }
    pthread_mutex_unlock(&o->lock);
    return there;
}

size_t observer_count(struct observer *o)
{
    pthread_mutex_lock(&o->lock);
    size_t n = o->sample_count;
    pthread_mutex_unlock(&o->lock);
    return n;
}

const char *observer_database_error(struct observer *o)
{
    return o->database_error;
}
