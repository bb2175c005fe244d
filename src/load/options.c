// SPDX-License-Identifier: Apache-2.0
// The table of options as flags and variables, and the merge of their sources.
#include "load/options.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "load/options_build.h"
#include "load/options_value.h"

const struct option_row option_table[] = {
#define OPTION(id, key, flag, letter, env, kind, arg, help) {key, flag, env, KIND_##kind},
#include "tbl/options.h"
#undef OPTION
};

static const struct opt_spec specs[] = {
#define OPTION(id, key, flag, letter, env, kind, arg, help)                                        \
    {flag, letter, KIND_##kind == KIND_BOOL ? NULL : arg, KIND_##kind == KIND_OPTIONAL, help},
#include "tbl/options.h"
#undef OPTION
};

// The specs that have a flag at all, made at the first call (on the main thread).
static struct opt_spec flags[ARRAY_SIZE(specs)];
static unsigned flag_ids[ARRAY_SIZE(specs)];
static unsigned flag_count;

const struct opt_spec *options_specs(unsigned *ret_count)
{
    if (flag_count == 0) {
        for (unsigned i = 0; i < ARRAY_SIZE(specs); i++) {
            if (specs[i].name[0]) {
                flag_ids[flag_count] = i;
                flags[flag_count++] = specs[i];
            }
        }
    }
    *ret_count = flag_count;
    return flags;
}

int options_add_flag(json_t *values,
                     const struct opt_spec *spec,
                     const char *value,
                     struct err *err)
{
    unsigned count, i = 0;
    const struct opt_spec *list = options_specs(&count);

    while (i < count && strcmp(list[i].name, spec->name) != 0) {
        i++;
    }
    if (i == count) {
        return -ENOENT;
    }
    const struct option_row *row = &option_table[flag_ids[i]];
    char what[80];
    json_t *v;
    snprintf(what, sizeof(what), "--%s", row->flag);
    if (!value) {
        value = row->kind == KIND_OPTIONAL ? "headers" : "true";
    }
    int r = value_parse(row->kind, value, what, json_object_get(values, row->key), &v, err);
    if (r == 0 && v) {
        json_object_set_new(values, row->key, v);
    }
    return r;
}

int options_add_env(json_t *values, const char *const *env, struct err *err)
{
    for (; *env; env++) {
        const char *equals = strchr(*env, '=');
        for (unsigned i = 0; equals && i < OPTION_N_; i++) {
            const struct option_row *row = &option_table[i];
            size_t n = strlen(row->env);
            json_t *v;
            if (n == 0 || n != (size_t)(equals - *env) || strncmp(*env, row->env, n) != 0 ||
                !equals[1]) {
                continue;
            }
            int r = value_parse(row->kind, equals + 1, row->env, NULL, &v, err);
            if (r < 0) {
                return r;
            }
            if (v) {
                json_object_set_new(values, row->key, v);
            }
        }
    }
    return 0;
}

static int find_row(const char *key)
{
    for (unsigned i = 0; i < OPTION_N_; i++) {
        if (strcmp(option_table[i].key, key) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void warn_unknown(const struct option_layer *layer, const char *key)
{
    const char *names[OPTION_N_];

    for (unsigned i = 0; i < OPTION_N_; i++) {
        names[i] = option_table[i].key;
    }
    const char *close = str_suggest(key, names, OPTION_N_);
    log_warn("there were unknown fields in the %s: '%s'%s%s%s", layer->name, key,
             close ? ", did you mean '" : "", close ? close : "", close ? "'?" : "");
}

// The ways of shaping the load; any of them in a layer takes the place of all below.
static const char *const shapes[] = {"duration", "iterations", "stages", "scenarios"};

static int check_shapes(json_t *values, const char *name, struct err *err)
{
    bool duration = json_object_get(values, "duration"), stages = json_object_get(values, "stages");
    bool iterations = json_object_get(values, "iterations");
    bool scenarios = json_object_get(values, "scenarios");
    const char *one = iterations ? "iterations" : "duration";
    const char *other = scenarios ? "scenarios" : "stages";

    if ((stages && (duration || iterations)) || (scenarios && (duration || iterations))) {
        return err_set(err, -EINVAL,
                       "%s: using '%s' and '%s' at once is not allowed, they are two ways of "
                       "shaping the load",
                       name, one, other);
    }
    if (scenarios && stages) {
        return err_set(err, -EINVAL, "%s: using 'stages' and 'scenarios' at once is not allowed",
                       name);
    }
    return 0;
}

static int merge_layer(json_t *merged,
                       const struct option_layer *layer,
                       enum option_source *sources,
                       struct err *err)
{
    const char *key;
    json_t *value;
    json_t *checked = json_object();
    int r = json_is_object(layer->values)
                ? 0
                : err_set(err, -EINVAL, "%s: must be an object", layer->name);

    json_object_foreach(layer->values, key, value)
    {
        int i = find_row(key);
        json_t *v = NULL;
        if (i < 0) {
            warn_unknown(layer, key);
            continue;
        }
        r = r == 0 ? value_check(option_table[i].kind, value, key, &v, err) : r;
        if (v) {
            json_object_set_new(checked, key, v);
            sources[i] = layer->source;
        }
    }
    if (r < 0) {
        err_wrap(err, "%s", layer->name);
    } else {
        r = check_shapes(checked, layer->name, err);
    }
    bool shaped = false;
    for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
        shaped |= json_object_get(checked, shapes[i]) != NULL;
    }
    bool scenarios = json_object_get(merged, "scenarios") != NULL;
    if (r == 0 && (shaped || (scenarios && json_object_get(checked, "vus")))) {
        if (scenarios) {
            log_warn("the scenarios that were set before are replaced by the %s", layer->name);
        }
        for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
            json_object_del(merged, shapes[i]);
        }
        if (scenarios) {
            json_object_del(merged, "vus");
        }
    }
    if (r == 0) {
        json_object_update(merged, checked);
    }
    json_decref(checked);
    return r;
}

int options_build(const struct option_layer *layers,
                  unsigned count,
                  struct run_options *ret_options,
                  struct err *err)
{
    struct run_options o = {.merged = json_object()};
    int r = 0;

    for (unsigned i = 0; i < count && r == 0; i++) {
        r = merge_layer(o.merged, &layers[i], o.sources, err);
    }
    r = r == 0 ? options_fill(&o, err) : r;
    if (r < 0) {
        options_fini(&o);
        return r;
    }
    *ret_options = o;
    return 0;
}

static void free_strings(char **list)
{
    for (unsigned i = 0; list && list[i]; i++) {
        free(list[i]);
    }
    free(list);
}

static void free_tags(struct tag *tags, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        free((char *)tags[i].key);
        free((char *)tags[i].value);
    }
    free(tags);
}

void options_fini(struct run_options *o)
{
    for (unsigned i = 0; i < o->scenario_count; i++) {
        scenario_fini(&o->scenarios[i]);
    }
    for (unsigned i = 0; i < o->threshold_count; i++) {
        for (unsigned j = 0; j < o->thresholds[i].count; j++) {
            threshold_fini(&o->thresholds[i].items[j]);
        }
        free(o->thresholds[i].items);
        free(o->thresholds[i].key);
    }
    for (unsigned i = 0; i < o->submetric_count; i++) {
        free(o->submetrics[i].name);
        free_tags(o->submetrics[i].selectors, o->submetrics[i].selector_count);
    }
    free(o->submetrics);
    free(o->scenarios);
    free(o->thresholds);
    free_tags(o->tags, o->tag_count);
    free(o->user_agent);
    free(o->summary_time_unit);
    free(o->summary_mode);
    free(o->summary_export);
    free(o->console_output);
    free_strings(o->summary_trend_stats);
    free_strings(o->outputs);
    free(o->segment_weights);
    json_decref(o->merged);
    *o = (struct run_options){0};
}
