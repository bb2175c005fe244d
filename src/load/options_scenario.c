// SPDX-License-Identifier: Apache-2.0
#include "load/options_scenario.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "load/options_value.h"
#include "model/arrival.h"
#include "model/ramp.h"

static const char *const executor_names[] = {
#define EXECUTOR(id, name, summary) name,
#include "tbl/executors.h"
#undef EXECUTOR
};

const char *executor_name(enum executor e)
{
    return executor_names[e];
}

enum {
    SHARED = 1 << EXECUTOR_SHARED_ITERATIONS,
    PER_VU = 1 << EXECUTOR_PER_VU_ITERATIONS,
    CONSTANT = 1 << EXECUTOR_CONSTANT_VUS,
    RAMPING = 1 << EXECUTOR_RAMPING_VUS,
    RATE = 1 << EXECUTOR_CONSTANT_ARRIVAL_RATE,
    RAMPING_RATE = 1 << EXECUTOR_RAMPING_ARRIVAL_RATE,
    ALL = (1 << EXECUTOR_N_) - 1,
};

// Fields that executors have; required ones must be set.
static const struct field {
    const char *key;
    unsigned executors, required;
    enum option_kind kind;
    size_t offset; // of a uint64_t or nsec_t in struct scenario_options, 0 = handled apart
} fields[] = {
#define AT(member) offsetof(struct scenario_options, member)
    {"executor", ALL, 0, KIND_STRING, 0},
    {"startTime", ALL, 0, KIND_DURATION, AT(start_time)},
    {"gracefulStop", ALL, 0, KIND_DURATION, AT(graceful_stop)},
    {"exec", ALL, 0, KIND_STRING, 0},
    {"env", ALL, 0, KIND_TAGS, 0},
    {"tags", ALL, 0, KIND_TAGS, 0},
    {"options", ALL, 0, KIND_JSON, 0},
    {"vus", SHARED | PER_VU | CONSTANT, 0, KIND_COUNT, AT(vus)},
    {"iterations", SHARED | PER_VU, 0, KIND_COUNT, AT(iterations)},
    {"maxDuration", SHARED | PER_VU, 0, KIND_DURATION, AT(max_duration)},
    {"duration", CONSTANT | RATE, CONSTANT | RATE, KIND_DURATION, AT(duration)},
    {"startVUs", RAMPING, 0, KIND_COUNT, AT(start_vus)},
    {"gracefulRampDown", RAMPING, 0, KIND_DURATION, AT(graceful_ramp_down)},
    {"stages", RAMPING | RAMPING_RATE, RAMPING | RAMPING_RATE, KIND_STAGES, 0},
    {"rate", RATE, RATE, KIND_COUNT, 0},
    {"startRate", RAMPING_RATE, 0, KIND_COUNT, 0},
    {"timeUnit", RATE | RAMPING_RATE, 0, KIND_DURATION, AT(time_unit)},
    {"preAllocatedVUs", RATE | RAMPING_RATE, RATE | RAMPING_RATE, KIND_COUNT,
     AT(pre_allocated_vus)},
    {"maxVUs", RATE | RAMPING_RATE, 0, KIND_COUNT, AT(max_vus)},
#undef AT
};

nsec_t scenario_duration(const struct scenario_options *s)
{
    nsec_t sum = 0;

    switch (s->executor) {
    case EXECUTOR_SHARED_ITERATIONS:
    case EXECUTOR_PER_VU_ITERATIONS:
        return s->max_duration;
    case EXECUTOR_CONSTANT_VUS:
    case EXECUTOR_CONSTANT_ARRIVAL_RATE:
        return s->duration;
    case EXECUTOR_RAMPING_VUS:
    case EXECUTOR_RAMPING_ARRIVAL_RATE:
    case EXECUTOR_N_:
        break;
    }
    for (unsigned i = 0; i < s->stage_count; i++) {
        sum += s->stages[i].duration;
    }
    return sum;
}

uint64_t scenario_max_vus(const struct scenario_options *s)
{
    uint64_t max = s->start_vus;

    switch (s->executor) {
    case EXECUTOR_CONSTANT_ARRIVAL_RATE:
    case EXECUTOR_RAMPING_ARRIVAL_RATE:
        return s->max_vus;
    case EXECUTOR_RAMPING_VUS:
        for (unsigned i = 0; i < s->stage_count; i++) {
            max = MAX(max, (uint64_t)s->stages[i].target);
        }
        return max;
    case EXECUTOR_SHARED_ITERATIONS:
    case EXECUTOR_PER_VU_ITERATIONS:
    case EXECUTOR_CONSTANT_VUS:
    case EXECUTOR_N_:
        break;
    }
    return s->vus;
}

void scenario_fini(struct scenario_options *s)
{
    free(s->name);
    free(s->exec);
    for (unsigned i = 0; s->env && s->env[i]; i++) {
        free(s->env[i]);
    }
    free(s->env);
    for (unsigned i = 0; i < s->tag_count; i++) {
        free((char *)s->tags[i].key);
        free((char *)s->tags[i].value);
    }
    free(s->tags);
    free(s->stages);
    *s = (struct scenario_options){0};
}

static int find_executor(json_t *value, enum executor *ret, struct err *err)
{
    json_t *v = json_object_get(value, "executor");

    if (!json_is_string(v)) {
        return err_set(err, -EINVAL, "'executor' is missing: name one, as in \"constant-vus\"");
    }
    for (unsigned i = 0; i < EXECUTOR_N_; i++) {
        if (strcmp(json_string_value(v), executor_names[i]) == 0) {
            *ret = (enum executor)i;
            return 0;
        }
    }
    const char *close = str_suggest(json_string_value(v), executor_names, EXECUTOR_N_);
    return err_set(err, -EINVAL, "unknown executor '%s'%s%s%s", json_string_value(v),
                   close ? ", did you mean '" : "", close ? close : "", close ? "'?" : "");
}

static const struct field *find_field(const char *key, enum executor e)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        if (strcmp(fields[i].key, key) == 0 && (fields[i].executors & 1u << e)) {
            return &fields[i];
        }
    }
    return NULL;
}

static int unknown_field(const char *key, enum executor e, struct err *err)
{
    const char *names[ARRAY_SIZE(fields)];
    size_t n = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        if (fields[i].executors & 1u << e) {
            names[n++] = fields[i].key;
        }
    }
    const char *close = str_suggest(key, names, n);
    return err_set(err, -EINVAL, "unknown field '%s' of executor %s%s%s%s", key, executor_names[e],
                   close ? ", did you mean '" : "", close ? close : "", close ? "'?" : "");
}

static void take_stages(struct scenario_options *s, const json_t *v)
{
    s->stage_count = (unsigned)json_array_size(v);
    s->stages = xcalloc(s->stage_count + 1, sizeof(*s->stages));
    for (unsigned i = 0; i < s->stage_count; i++) {
        const json_t *stage = json_array_get(v, i);
        s->stages[i].duration = value_duration(json_object_get(stage, "duration"), 0);
        s->stages[i].target = value_int(json_object_get(stage, "target"), 0);
    }
}

static void take_value(struct scenario_options *s, const struct field *f, json_t *v)
{
    const char *key;
    json_t *item;
    unsigned n = 0;

    if (f->offset && f->kind == KIND_COUNT) {
        *(uint64_t *)((char *)s + f->offset) = (uint64_t)value_int(v, 0);
    } else if (f->offset) {
        *(nsec_t *)((char *)s + f->offset) = value_duration(v, 0);
    } else if (strcmp(f->key, "exec") == 0) {
        free(s->exec);
        s->exec = value_string(v, "default");
    } else if (strcmp(f->key, "rate") == 0) {
        s->rate = (double)value_int(v, 0);
    } else if (strcmp(f->key, "startRate") == 0) {
        s->start_rate = (double)value_int(v, 0);
    } else if (strcmp(f->key, "stages") == 0) {
        take_stages(s, v);
    } else if (strcmp(f->key, "tags") == 0) {
        s->tags = xcalloc(json_object_size(v) + 1, sizeof(*s->tags));
        json_object_foreach(v, key, item)
        {
            s->tags[s->tag_count++] = (struct tag){xstrdup(key), value_string(item, "")};
        }
    } else if (strcmp(f->key, "env") == 0) {
        s->env = xcalloc(json_object_size(v) + 1, sizeof(*s->env));
        json_object_foreach(v, key, item)
        {
            s->env[n++] = xasprintf("%s=%s", key, json_string_value(item));
        }
    }
}

static int check_vus(const struct scenario_options *s, struct err *err)
{
    if (s->vus == 0) {
        return err_set(err, -EINVAL, "the number of VUs must be more than 0");
    }
    if (s->executor == EXECUTOR_CONSTANT_VUS) {
        return s->duration >= NSEC_PER_SEC
                   ? 0
                   : err_set(err, -EINVAL, "the duration must be at least 1s");
    }
    if (s->iterations == 0) {
        return err_set(err, -EINVAL, "the number of iterations must be more than 0");
    }
    if (s->executor == EXECUTOR_SHARED_ITERATIONS && s->iterations < s->vus) {
        return err_set(err, -EINVAL,
                       "the number of iterations (%llu) cannot be less than the number of VUs "
                       "(%llu)",
                       (unsigned long long)s->iterations, (unsigned long long)s->vus);
    }
    return s->max_duration >= NSEC_PER_SEC
               ? 0
               : err_set(err, -EINVAL, "the maxDuration must be at least 1s");
}

static int check_arrival(const struct scenario_options *s, struct err *err)
{
    bool any = s->rate > 0 || s->start_rate > 0;

    if (s->time_unit <= 0) {
        return err_set(err, -EINVAL, "the timeUnit must be more than 0");
    }
    if (s->max_vus < s->pre_allocated_vus) {
        return err_set(err, -EINVAL, "maxVUs cannot be less than preAllocatedVUs");
    }
    if (s->executor == EXECUTOR_CONSTANT_ARRIVAL_RATE && s->duration < NSEC_PER_SEC) {
        return err_set(err, -EINVAL, "the duration must be at least 1s");
    }
    for (unsigned i = 0; i < s->stage_count; i++) {
        any |= s->stages[i].target > 0;
    }
    if (!any) {
        return err_set(err, -EINVAL,
                       s->executor == EXECUTOR_CONSTANT_ARRIVAL_RATE
                           ? "the rate must be more than 0"
                           : "the start rate or a target must be more than 0");
    }
    return 0;
}

static int check_scenario(const struct scenario_options *s, struct err *err)
{
    static const uint64_t vus_limit = 100000000;

    if (scenario_max_vus(s) > vus_limit) {
        return err_set(err, -EINVAL, "more than %llu VUs", (unsigned long long)vus_limit);
    }
    switch (s->executor) {
    case EXECUTOR_SHARED_ITERATIONS:
    case EXECUTOR_PER_VU_ITERATIONS:
    case EXECUTOR_CONSTANT_VUS:
        return check_vus(s, err);
    case EXECUTOR_RAMPING_VUS:
        if (s->stage_count == 0) {
            return err_set(err, -EINVAL, "at least one stage has to be given");
        }
        return scenario_max_vus(s) > 0 ? 0
                                       : err_set(err, -EINVAL,
                                                 "startVUs or the target of a stage must be more "
                                                 "than 0");
    case EXECUTOR_CONSTANT_ARRIVAL_RATE:
    case EXECUTOR_RAMPING_ARRIVAL_RATE:
        if (s->executor == EXECUTOR_RAMPING_ARRIVAL_RATE && s->stage_count == 0) {
            return err_set(err, -EINVAL, "at least one stage has to be given");
        }
        return check_arrival(s, err);
    case EXECUTOR_N_:
        break;
    }
    return -EINVAL;
}

static bool name_is_valid(const char *name)
{
    if (!*name) {
        return false;
    }
    for (; *name; name++) {
        if (!isalnum((unsigned char)*name) && *name != '_' && *name != '-') {
            return false;
        }
    }
    return true;
}

static int
parse_fields(struct scenario_options *s, json_t *value, json_t *canonical, struct err *err)
{
    const char *key;
    json_t *v;
    unsigned seen = 0;

    json_object_foreach(value, key, v)
    {
        const struct field *f = find_field(key, s->executor);
        json_t *checked = NULL;
        int r =
            f ? value_check(f->kind, v, key, &checked, err) : unknown_field(key, s->executor, err);
        if (r < 0) {
            return r;
        }
        if (checked) {
            take_value(s, f, checked);
            seen |= 1u << (f - fields);
            json_object_set_new(canonical, key, checked);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        if ((fields[i].required & 1u << s->executor) && !(seen & 1u << i)) {
            return err_set(err, -EINVAL, "'%s' is missing, executor %s needs it", fields[i].key,
                           executor_names[s->executor]);
        }
    }
    if (!json_is_integer(json_object_get(canonical, "maxVUs"))) {
        s->max_vus = s->pre_allocated_vus;
    } else {
        s->max_vus_set = true;
    }
    return 0;
}

int scenario_parse(const char *name,
                   json_t *value,
                   struct scenario_options *ret_scenario,
                   json_t **ret_json,
                   struct err *err)
{
    struct scenario_options s = {
        .name = xstrdup(name),
        .exec = xstrdup("default"),
        .graceful_stop = 30 * NSEC_PER_SEC,
        .graceful_ramp_down = 30 * NSEC_PER_SEC,
        .max_duration = 600 * NSEC_PER_SEC,
        .time_unit = NSEC_PER_SEC,
        .vus = 1,
        .iterations = 1,
        .start_vus = 1,
    };
    int r = 0;

    if (!name_is_valid(name)) {
        r = err_set(err, -EINVAL, "the name may only have letters, digits, '_' and '-'");
    } else if (!json_is_object(value)) {
        r = err_set(err, -EINVAL, "must be an object");
    } else {
        r = find_executor(value, &s.executor, err);
    }
    json_t *canonical = json_object();
    for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(fields); i++) {
        if (fields[i].executors & 1u << s.executor && strcmp(fields[i].key, "options") != 0) {
            json_object_set_new(canonical, fields[i].key, json_null());
        }
    }
    if (s.executor != EXECUTOR_RAMPING_VUS) {
        s.start_vus = 0;
    }
    r = r == 0 ? parse_fields(&s, value, canonical, err) : r;
    r = r == 0 ? check_scenario(&s, err) : r;
    if (r < 0) {
        err_wrap(err, "scenario '%s'", name);
        scenario_fini(&s);
        json_decref(canonical);
        return r;
    }
    *ret_scenario = s;
    *ret_json = canonical;
    return 0;
}
