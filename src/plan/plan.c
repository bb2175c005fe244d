// SPDX-License-Identifier: Apache-2.0
#include "plan/plan.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/units.h"
#include "load/exits.h"
#include "observe/observer.h"
#include "plan/plan_measure.h"
#include "plan/verdict.h"

static const double BUDGET = 75;
// An intervention starts near what is expected.
static const double INTERVENTION_SHARE = 0.7;
static const nsec_t READY_MAX = 120 * NSEC_PER_SEC;
enum { INTERVENTIONS_MAX = 2 };

bool plan_is_stopped(const struct plan *p)
{
    return p->config->stop && *p->config->stop;
}

void plan_emit(struct plan *p, const struct limit_run_event *probe)
{
    double left = p->planned;

    if (!p->config->event) {
        return;
    }
    if (probe) {
        left += MAX(p->stage_budget - probe->spent, 0);
    } else {
        left += p->stage_budget;
    }
    p->config->event(p->config->event_arg, &(struct plan_event){
                                               .service = p->limit ? p->limit->service : NULL,
                                               .stage = p->stage,
                                               .left = left,
                                               .probe = probe,
                                           });
}

void plan_begin_stage(struct plan *p, double budget, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->stage, sizeof(p->stage), format, args);
    va_end(args);
    p->stage_budget = budget;
    p->planned = MAX(p->planned - budget, 0);
    if (p->config->dir) {
        rundir_event(p->config->dir, clock_now(), "plan", "stage",
                     json_pack("{s:s? s:s}", "service", p->limit ? p->limit->service : NULL,
                               "stage", p->stage));
    }
    plan_emit(p, NULL);
}

static int await_ready(struct plan *p, struct err *err)
{
    nsec_t deadline = clock_now() + READY_MAX;
    int r;

    do {
        r = lab_await_ready(p->lab, 300 * NSEC_PER_MSEC, err);
    } while (r == -ETIME && clock_now() < deadline && !plan_is_stopped(p));
    return r == -ETIME && plan_is_stopped(p) ? -EINTR : r;
}

// ---- What is changed for a limit, and put back after it ----

static int set_env(struct plan *p,
                   const char *workload,
                   const struct plan_env *env,
                   size_t count,
                   bool restore,
                   struct err *err)
{
    struct kube_pair pairs[PLAN_ITEMS_MAX];
    char *values[PLAN_ITEMS_MAX] = {0};
    int r = 0;

    for (size_t i = 0; i < count && !r; i++) {
        if (!restore && !env[i].value) {
            r = lab_secret(p->lab, env[i].secret, env[i].key, &values[i], err);
        }
        const char *value = restore ? NULL : env[i].value ? env[i].value : values[i];
        pairs[i] = (struct kube_pair){env[i].name, value, value ? strlen(value) : 0};
    }
    r = r || !count ? r : lab_set_env(p->lab, workload, pairs, count, err);
    for (size_t i = 0; i < count; i++) {
        free(values[i]);
    }
    return r;
}

static int set_holds(struct plan *p, bool restore, struct err *err)
{
    const struct plan_limit *l = p->limit;
    int r = 0;

    for (size_t i = 0; i < l->hold_count && !r; i++) {
        const struct plan_hold *h = &l->holds[i];
        const struct kube_workload *w = kube_find_workload(lab_manifests(p->lab), h->service);
        r = set_env(p, h->service, h->env, h->env_count, restore, err);
        if (!r && h->replicas >= 0) {
            r = lab_scale(p->lab, h->service, restore ? w->replicas : h->replicas, err);
        }
    }
    return r ? r : await_ready(p, err);
}

static int set_knob(struct plan *p, const char *name, const char *value, struct err *err)
{
    struct kube_pair pair = {name, value, value ? strlen(value) : 0};
    int r = lab_set_env(p->lab, p->limit->service, &pair, 1, err);

    return r ? r : await_ready(p, err);
}

// ---- Bottleneck ----

static double manifest_value(const struct plan *p, const char *name)
{
    const struct kube_workload *w = kube_find_workload(lab_manifests(p->lab), p->limit->service);
    double value = 0;

    for (size_t c = 0; c < w->pod.container_count; c++) {
        const struct kube_container *k = &w->pod.containers[c];
        for (size_t i = 0; i < k->env_count; i++) {
            if (strcmp(k->env[i].name, name) == 0 && k->env[i].kind == KUBE_ENV_VALUE) {
                (void)units_parse_double(slice_of(k->env[i].value), &value);
            }
        }
    }
    return value;
}

// The knob that changes a resource is told by its name.
static const struct plan_knob *knob_of(const struct plan *p, const struct verdict_resource *r)
{
    static const char *const words[] = {
        [VERDICT_POOL] = "POOL", [VERDICT_WORKERS] = "CONCURRENCY", [VERDICT_RATE_LIMIT] = "RATE"};

    if (r->kind == VERDICT_CPU || strcmp(r->owner, p->limit->service) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < p->limit->knob_count; i++) {
        const struct plan_knob *k = &p->limit->knobs[i];
        bool upstream = strstr(r->name, "upstream") != NULL;
        if (k->env && strstr(k->env, upstream ? "UPSTREAM" : words[r->kind])) {
            return k;
        }
    }
    return NULL;
}

static json_t *rounded(double x)
{
    return isnan(x) ? json_null() : json_real(round(x * 1000) / 1000);
}

static json_t *resources_json(const struct plan_measure *m)
{
    json_t *list = json_array();

    for (size_t i = 0; i < m->resource_count; i++) {
        const struct verdict_resource *r = &m->resources[i];
        json_array_append_new(
            list, json_pack("{s:s s:s s:s s:o s:o s:o s:o}", "name", r->name, "owner", r->owner,
                            "state", verdict_state(r), "capacity", rounded(r->capacity),
                            "utilisation", r->observable ? rounded(r->utilisation) : json_null(),
                            "ceiling", r->ceiling > 0 ? rounded(r->ceiling) : json_null(),
                            "waiting", r->has_waiting ? rounded(r->waiting) : json_null()));
    }
    return list;
}

static void set_next(json_t *o, const struct verdict_resource *next)
{
    if (next) {
        json_object_set_new(
            o, "next", json_pack("{s:s s:o}", "name", next->name, "rate", rounded(next->ceiling)));
    }
}

// Moves the knob of candidate i and measures again. True when the limit moved with it.
static bool intervene(
    struct plan *p, const struct plan_measure *m, size_t i, const struct plan_knob *knob, json_t *o)
{
    const struct verdict_resource *r = &m->resources[i];
    const struct verdict_resource *next;
    CLEANUP_FREE struct plan_measure *after = XNEW(struct plan_measure);
    struct err err = {0};
    double before = manifest_value(p, knob->env);
    before = before > 0 ? before : r->capacity;
    double value = MAX(round(before * knob->scale), 1);
    double rate = m->result.limit.rate;
    double predicted =
        verdict_predict(m->resources, m->resource_count, i, rate, value / before, &next);
    char text[32];

    snprintf(text, sizeof(text), "%.0f", value);
    plan_begin_stage(p, p->budget * INTERVENTION_SHARE, "intervention %s=%s", knob->env, text);
    int failed = set_knob(p, knob->env, text, &err);
    if (!failed) {
        failed = plan_measure(p, p->stage_budget, 0.7 * predicted, after, &err);
    }
    double verified = failed ? 0 : after->result.limit.rate;
    double e = verdict_elasticity(rate, verified, before, value);
    json_t *tried = json_pack(
        "{s:s s:s s:f s:f s:o s:o s:o s:o s:s*}", "resource", r->name, "knob", knob->env, "from",
        before, "to", value, "predicted", rounded(predicted), "verified",
        failed ? json_null() : rounded(verified), "verdict",
        failed ? json_null() : json_string(limit_verdict_name(after->result.limit.verdict)),
        "elasticity", rounded(e), "error", failed ? err.message : NULL);
    json_array_append_new(json_object_get(o, "interventions"), tried);
    bool confirmed = !isnan(e) && e >= VERDICT_CONFIRMS;
    if (confirmed) {
        json_object_set_new(o, "bottleneck",
                            json_pack("{s:s s:s s:f s:o s:b}", "name", r->name, "owner", r->owner,
                                      "capacity", before, "elasticity", rounded(e), "confirmed",
                                      1));
        json_object_set(o, "mitigation", tried);
        set_next(o, verdict_next(m->resources, m->resource_count, i));
    }
    failed = set_knob(p, knob->env, NULL, &err);
    return confirmed;
}

static void judge(struct plan *p, const struct plan_measure *m, json_t *o)
{
    const struct limit_result *l = &m->result.limit;
    const char *why = "no resource is saturated at the limit";
    int tries = 0;

    json_object_set_new(o, "interventions", json_array());
    json_object_set_new(o, "resources", resources_json(m));
    if (l->rate <= 0) {
        why = "no limit was found";
    } else if (l->verdict == LIMIT_LOWER_BOUND && l->reason == LIMIT_REASON_GENERATOR) {
        why = "the generator was the limit";
    } else if (l->verdict != LIMIT_FOUND) {
        // A bound that rises says nothing: the limit may have been there all the time.
        why = "the limit itself is not certain";
    } else {
        for (size_t i = 0; i < m->resource_count && m->resources[i].candidate; i++) {
            const struct plan_knob *knob = knob_of(p, &m->resources[i]);
            if (!knob) {
                why = "a saturated resource has no knob";
                continue;
            }
            if (tries++ == INTERVENTIONS_MAX || plan_is_stopped(p)) {
                why = "the interventions were ended";
                break;
            }
            if (intervene(p, m, i, knob, o)) {
                return;
            }
            const json_t *tried = json_object_get(o, "interventions");
            const char *v = json_string_value(
                json_object_get(json_array_get(tried, json_array_size(tried) - 1), "verdict"));
            why = v && strcmp(v, limit_verdict_name(LIMIT_FOUND)) == 0
                      ? "the limit did not move with the knob"
                      : "the intervention was inconclusive";
        }
    }
    json_t *b = json_pack("{s:s s:b s:s}", "name", "unknown", "confirmed", 0, "reason", why);
    if (m->resource_count && m->resources[0].candidate) {
        json_object_set_new(b, "likeliest", json_string(m->resources[0].name));
    }
    json_object_set_new(o, "bottleneck", b);
    set_next(o, verdict_next(m->resources, m->resource_count, SIZE_MAX));
}

// ---- The plan ----

static int worse(int a, int b)
{
    static const int order[] = {EXIT_CODE_OK, EXIT_CODE_INCONCLUSIVE, EXIT_CODE_VERDICT,
                                EXIT_CODE_USAGE};
    int x = 0;
    int y = 0;

    for (int i = 0; i < (int)ARRAY_SIZE(order); i++) {
        x = order[i] == a ? i : x;
        y = order[i] == b ? i : y;
    }
    return order[MAX(x, y)];
}

static int measure_service(struct plan *p, json_t *limits)
{
    CLEANUP_FREE struct plan_measure *m = XNEW(struct plan_measure);
    struct err err = {0};
    char text[800];

    plan_begin_stage(p, p->budget, "limit");
    int r = set_holds(p, false, &err);
    r = r ? r : plan_measure(p, p->budget, 0, m, &err);
    json_t *o;
    int code;
    if (r) {
        o = json_pack("{s:s s:s s:s}", "service", p->limit->service, "script", p->limit->script,
                      "error", plan_is_stopped(p) ? "stopped" : err_text(&err, text, sizeof(text)));
        code = plan_is_stopped(p) ? EXIT_CODE_INCONCLUSIVE : EXIT_CODE_USAGE;
    } else {
        o = limit_run_json(&m->result, p->limit->service, p->limit->script);
        judge(p, m, o);
        code = limit_run_exit(&m->result);
    }
    if (p->config->dir) {
        rundir_event(p->config->dir, clock_now(), "plan", "limit", json_deep_copy(o));
    }
    json_array_append_new(limits, o);
    if (!plan_is_stopped(p) && set_holds(p, true, &err) && !r) {
        code = worse(code, EXIT_CODE_INCONCLUSIVE);
    }
    return code;
}

static int check_names(const struct plan *p, struct err *err)
{
    const struct kube_set *set = lab_manifests(p->lab);
    const struct plan_file *f = p->config->file;

    for (size_t i = 0; i < f->limit_count; i++) {
        const struct plan_limit *l = &f->limits[i];
        if (!kube_find_workload(set, l->service)) {
            return yaml_error(yaml_get(l->node, "service"), err,
                              "the manifests have no Deployment or StatefulSet '%s'", l->service);
        }
        for (size_t k = 0; k < l->hold_count; k++) {
            if (!kube_find_workload(set, l->holds[k].service)) {
                return yaml_error(l->holds[k].node, err,
                                  "the manifests have no Deployment or StatefulSet '%s'",
                                  l->holds[k].service);
            }
        }
    }
    return 0;
}

static int measure_all(struct plan *p, json_t *limits)
{
    const struct plan_file *f = p->config->file;
    int code = EXIT_CODE_OK;

    for (size_t i = 0; i < f->limit_count && !plan_is_stopped(p); i++) {
        p->limit = &f->limits[i];
        if (!p->config->only || strcmp(p->config->only, p->limit->service) == 0) {
            code = worse(code, measure_service(p, limits));
        }
    }
    return plan_is_stopped(p) ? worse(code, EXIT_CODE_INCONCLUSIVE) : code;
}

int plan_run(const struct plan_config *config, json_t *limits, struct err *err)
{
    CLEANUP(kube_sources_fini) struct kube_sources sources = KUBE_SOURCES_NULL;
    struct plan p = {.config = config, .budget = config->budget > 0 ? config->budget : BUDGET};
    int r = 0;

    for (size_t i = 0; i < config->file->manifest_count && !r; i++) {
        r = kube_sources_add(&sources, config->file->manifests[i], err);
    }
    for (size_t i = 0; i < config->file->limit_count; i++) {
        const struct plan_limit *l = &config->file->limits[i];
        if (!config->only || strcmp(config->only, l->service) == 0) {
            p.planned += p.budget * (1 + (l->knob_count ? INTERVENTION_SHARE : 0));
        }
    }
    r = r ? r : lab_open(&sources, config->lab, &p.lab, err);
    if (r) {
        return r;
    }
    r = check_names(&p, err);
    if (!r) {
        plan_begin_stage(&p, 0, "starting");
        r = lab_up(p.lab, err);
    }
    r = r ? r : await_ready(&p, err);
    r = r ? r : measure_all(&p, limits);
    int stopped = lab_down(p.lab, r < 0 ? NULL : err);
    lab_free(p.lab);
    if (r >= 0 && stopped < 0 && stopped != -EPIPE) {
        return stopped;
    }
    return r == -EINTR ? EXIT_CODE_INCONCLUSIVE : r;
}
