// SPDX-License-Identifier: Apache-2.0
#include "plan/plan_measure.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/units.h"

enum { HOSTS_MAX = 256 };

struct measure {
    struct plan *plan;
    struct observe_pod pods[OBSERVE_PODS_MAX];
    size_t pod_count;
    struct observer *observer;
    size_t written; // samples that are in series.jsonl
    struct plan_window windows[PLAN_WINDOWS_MAX];
    size_t window_count;
    struct observe_sample sample; // scratch
};

struct counter_pair { // one deficit
    struct measure *measure;
    const struct plan_deficit *deficit;
    double ahead, behind;
};

// ---- Recording ----

static void set_number(json_t *o, const char *key, double value)
{
    if (isfinite(value)) {
        json_object_set_new(o, key, json_real(round(value * 1e4) / 1e4));
    }
}

static json_t *sample_json(const struct measure *m, const struct observe_sample *s)
{
    json_t *pods = json_object();
    json_t *o = json_pack("{s:s s:s}", "service", m->plan->limit->service, "stage", m->plan->stage);

    set_number(o, "hostCpu", s->host_busy);
    set_number(o, "cpuPressure", s->pressure);
    set_number(o, "dbActive", s->db_active);
    set_number(o, "dbWaiting", s->db_waiting);
    set_number(o, "dbIdleInTransaction", s->db_idle_in_transaction);
    for (size_t i = 0; i < m->pod_count; i++) {
        json_t *pod = json_object();
        set_number(pod, "cpu", s->pods[i].cpu);
        for (int k = 0; k < OBSERVE_METRIC_COUNT; k++) {
            set_number(pod, observe_metric_name((enum observe_metric)k), s->pods[i].metrics[k]);
        }
        json_object_set_new(pods, m->pods[i].workload, pod);
    }
    json_object_set_new(o, "pods", pods);
    return o;
}

static void write_samples(struct measure *m)
{
    while (m->plan->config->dir && observer_get(m->observer, m->written, &m->sample)) {
        rundir_series(m->plan->config->dir, m->sample.at, sample_json(m, &m->sample));
        m->written++;
    }
}

static void on_event(void *arg, const struct limit_run_event *e)
{
    struct measure *m = arg;

    plan_emit(m->plan, e);
    write_samples(m);
    if (!e->finished) {
        return;
    }
    if (m->plan->config->dir) {
        rundir_event(m->plan->config->dir, e->to, "plan", "probe",
                     json_pack("{s:s s:s s:f s:f s:f s:f s:b s:I s:I}", "service",
                               m->plan->limit->service, "phase", e->phase, "rate", e->rate,
                               "arrivals", e->arrivals, "completions", e->completions, "share",
                               e->worst_share, "generator_bound", e->generator_bound, "from",
                               (json_int_t)e->from, "to", (json_int_t)e->to));
    }
    double seconds = (double)(e->to - e->from) / NSEC_PER_SEC;
    if (m->window_count < PLAN_WINDOWS_MAX && seconds > 0 && !e->generator_bound) {
        m->windows[m->window_count++] = (struct plan_window){
            .from = e->from,
            .to = e->to,
            .offered = e->rate,
            .completed = e->completions / seconds,
        };
    }
}

static void read_counters(void *arg, double *ret_ahead, double *ret_behind)
{
    struct counter_pair *c = arg;
    struct measure *m = c->measure;
    size_t count = observer_count(m->observer);

    if (count && observer_get(m->observer, count - 1, &m->sample)) {
        // The pods of one consumer tell of the same counters of the server: the newest wins.
        for (size_t i = 0; i < m->pod_count; i++) {
            c->ahead = fmax(c->ahead, m->sample.pods[i].metrics[c->deficit->ahead]);
            c->behind = fmax(c->behind, m->sample.pods[i].metrics[c->deficit->behind]);
        }
    }
    *ret_ahead = c->ahead;
    *ret_behind = c->behind;
}

// ---- Preparation ----

static unsigned short metrics_port(const struct kube_workload *w)
{
    for (size_t c = 0; w && c < w->pod.container_count; c++) {
        const struct kube_container *k = &w->pod.containers[c];
        for (size_t i = 0; i < k->port_count; i++) {
            if (k->ports[i].name && strcmp(k->ports[i].name, "http") == 0) {
                return (unsigned short)k->ports[i].number;
            }
        }
    }
    return 0;
}

static int find_pods(struct measure *m, struct err *err)
{
    CLEANUP(lab_pods_fini) struct lab_pods pods = LAB_PODS_NULL;
    int r = lab_list(m->plan->lab, &pods, err);

    for (size_t i = 0; i < pods.count && m->pod_count < OBSERVE_PODS_MAX && !r; i++) {
        const struct lab_pod *p = &pods.items[i];
        struct observe_pod *o = &m->pods[m->pod_count++];
        o->pid = p->pid;
        o->port = metrics_port(kube_find_workload(lab_manifests(m->plan->lab), p->workload));
        snprintf(o->workload, sizeof(o->workload), "%s", p->workload);
        snprintf(o->host, sizeof(o->host), "%s", p->ip);
    }
    return r;
}

// The variable of a process as it was started with, from xmalloc; NULL if it is not to be seen.
static char *process_variable(pid_t pid, const char *name)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    struct err ignored = {0};
    char path[64];
    size_t n = strlen(name);

    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    if (fs_read(path, 1 << 20, &text, &ignored)) {
        return NULL;
    }
    for (const char *p = strbuf_str(&text); p < strbuf_str(&text) + text.n; p += strlen(p) + 1) {
        if (strncmp(p, name, n) == 0 && p[n] == '=') {
            return xstrdup(p + n + 1);
        }
    }
    return NULL;
}

static char *quoted(const char *s)
{
    struct strbuf b = STRBUF_NULL;

    strbuf_addc(&b, '\'');
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\') {
            strbuf_addc(&b, '\\');
        }
        strbuf_addc(&b, *s);
    }
    strbuf_addc(&b, '\'');
    return strbuf_take(&b);
}

// A pod that has PostgreSQL's variables of the container image is one. NULL if there is none.
static char *database_of(const struct measure *m)
{
    for (size_t i = 0; i < m->pod_count; i++) {
        const struct observe_pod *p = &m->pods[i];
        CLEANUP_FREE char *password = process_variable(p->pid, "POSTGRES_PASSWORD");
        CLEANUP_FREE char *user = process_variable(p->pid, "POSTGRES_USER");
        CLEANUP_FREE char *name = process_variable(p->pid, "POSTGRES_DB");
        if (password && user && name) {
            CLEANUP_FREE char *q = quoted(password);
            CLEANUP_FREE char *u = quoted(user);
            CLEANUP_FREE char *d = quoted(name);
            if (m->plan->config->dir) {
                redactor_add(rundir_redactor(m->plan->config->dir), password);
            }
            return xasprintf("host=%s port=5432 user=%s dbname=%s password=%s", p->host, u, d, q);
        }
    }
    return NULL;
}

static int build_env(struct measure *m, char **env, struct err *err)
{
    const struct plan_limit *l = m->plan->limit;
    int r = 0;

    for (size_t i = 0; i < l->env_count && !r; i++) {
        const struct plan_env *e = &l->env[i];
        CLEANUP_FREE char *secret = NULL;
        if (!e->value) {
            r = lab_secret(m->plan->lab, e->secret, e->key, &secret, err);
            if (r) {
                return yaml_error(e->node, err, "there is no key '%s' in a secret '%s'", e->key,
                                  e->secret);
            }
            if (m->plan->config->dir) {
                redactor_add(rundir_redactor(m->plan->config->dir), secret);
            }
        }
        env[i] = xasprintf("%s=%s", e->name, e->value ? e->value : secret);
    }
    return r;
}

static int build_hosts(struct measure *m, char **hosts, struct err *err)
{
    CLEANUP(lab_hosts_fini) struct lab_hosts list = LAB_HOSTS_NULL;
    int r = lab_hosts(m->plan->lab, &list, err);

    for (size_t i = 0; i < list.count && i < HOSTS_MAX && !r; i++) {
        hosts[i] = xasprintf("%s=%s", list.items[i].name, list.items[i].address);
    }
    return r;
}

static double rate_limit_of(const struct measure *m)
{
    double value = 0;

    for (size_t i = 0; i < m->pod_count; i++) {
        if (strcmp(m->pods[i].workload, m->plan->limit->service) == 0) {
            CLEANUP_FREE char *text = process_variable(m->pods[i].pid, "RATE_LIMIT");
            double one = 0;
            if (text && units_parse_double(slice_of(text), &one) == 0) {
                value += one;
            }
        }
    }
    return value;
}

static void find_resources(struct measure *m, struct plan_measure *ret)
{
    size_t count = observer_count(m->observer);
    CLEANUP_FREE struct observe_sample *samples = xcalloc(count + 1, sizeof(*samples));

    for (size_t i = 0; i < count; i++) {
        (void)observer_get(m->observer, i, &samples[i]);
    }
    struct plan_observed o = {
        .pods = m->pods,
        .pod_count = m->pod_count,
        .samples = samples,
        .sample_count = count,
        .windows = m->windows,
        .window_count = m->window_count,
        .service = m->plan->limit->service,
        .rate = ret->result.limit.rate,
        .rate_limit = rate_limit_of(m),
        .cores = (double)sysconf(_SC_NPROCESSORS_ONLN),
    };
    ret->resource_count = o.rate > 0 ? plan_resources(&o, ret->resources) : 0;
    verdict_rank(ret->resources, ret->resource_count);
}

static void free_all(char **items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i]);
    }
}

int plan_measure(
    struct plan *p, double budget, double start_rate, struct plan_measure *ret, struct err *err)
{
    CLEANUP_FREE struct measure *m = XNEW(struct measure);
    char *env[PLAN_ITEMS_MAX + 1] = {0};
    char *hosts[HOSTS_MAX + 1] = {0};
    struct counter_pair pairs[4] = {0};
    struct limit_deficit deficits[4] = {0};

    m->plan = p;
    int r = find_pods(m, err);
    r = r ? r : build_env(m, env, err);
    r = r ? r : build_hosts(m, hosts, err);
    CLEANUP_FREE char *database = r ? NULL : database_of(m);
    r = r ? r : observer_start(m->pods, m->pod_count, database, &m->observer, err);
    for (size_t i = 0; i < p->limit->sustained_count; i++) {
        pairs[i] = (struct counter_pair){m, &p->limit->sustained[i], 0, 0};
        deficits[i] = (struct limit_deficit){
            .name = p->limit->sustained[i].text,
            .allowed = p->limit->sustained[i].allowed,
            .read = read_counters,
            .arg = &pairs[i],
        };
    }
    struct limit_run_config config = {
        .ops = p->config->ops,
        .path = p->limit->script,
        .env = (const char *const *)env,
        .hosts = (const char *const *)hosts,
        .deficits = deficits,
        .deficit_count = (unsigned)p->limit->sustained_count,
        .budget = budget,
        .start_rate = start_rate,
        .no_calibration = start_rate > 0,
        .seed = p->config->seed,
        .stop = p->config->stop,
        .event = on_event,
        .event_arg = m,
    };
    r = r ? r : limit_run(&config, &ret->result, err);
    if (!r) {
        write_samples(m);
        find_resources(m, ret);
    }
    observer_free(m->observer);
    free_all(env, PLAN_ITEMS_MAX);
    free_all(hosts, HOSTS_MAX);
    return r;
}
