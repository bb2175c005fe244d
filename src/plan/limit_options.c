// SPDX-License-Identifier: Apache-2.0
#include "plan/limit_options.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"

enum { VUS_DEFAULT = 2000, VUS_READY = 100 };

// What says how much load there is and when; the search decides both.
static const char *const SHAPE[] = {"stages",
                                    "vus",
                                    "duration",
                                    "iterations",
                                    "scenarios",
                                    "rps",
                                    "paused",
                                    "executionSegment",
                                    "executionSegmentSequence"};

// The scenario of the script whose function is to run: the one named, the only one, or none.
static int pick_scenario(const struct limit_run_config *config,
                         json_t *scenarios,
                         const char **ret_name,
                         json_t **ret_scenario,
                         struct err *err)
{
    *ret_name = "default";
    *ret_scenario = NULL;
    if (config->scenario) {
        *ret_scenario = json_object_get(scenarios, config->scenario);
        if (!*ret_scenario) {
            return err_set(err, -EINVAL, "the script has no scenario '%s'", config->scenario);
        }
        *ret_name = config->scenario;
    } else if (json_object_size(scenarios) == 1) {
        void *first = json_object_iter(scenarios);
        *ret_name = json_object_iter_key(first);
        *ret_scenario = json_object_iter_value(first);
    } else if (json_object_size(scenarios) > 1) {
        return err_set(err, -EINVAL,
                       "the script has %zu scenarios: name the one to search the limit of with "
                       "--scenario",
                       json_object_size(scenarios));
    }
    return 0;
}

static json_t *make_scenario(const struct limit_run_config *config, const json_t *from)
{
    static const char *const KEPT[] = {"exec", "env", "tags"};
    json_int_t max = config->max_vus ? (json_int_t)config->max_vus : VUS_DEFAULT;
    json_t *s = json_pack("{s:s s:i s:s s:s s:I s:I s:s}", "executor", "constant-arrival-rate",
                          "rate", 1, "timeUnit", "1s", "duration", "24h", "preAllocatedVUs",
                          MIN(max, (json_int_t)VUS_READY), "maxVUs", max, "gracefulStop", "5s");

    for (size_t i = 0; i < ARRAY_SIZE(KEPT); i++) {
        json_t *value = json_object_get(from, KEPT[i]);
        if (value) {
            json_object_set(s, KEPT[i], value);
        }
    }
    return s;
}

// The script's thresholds unless they are replaced, and those of the configuration.
static json_t *join_thresholds(const struct limit_run_config *config, json_t *script)
{
    json_t *own = json_object_get(script, "thresholds");
    json_t *all =
        json_is_object(own) && !config->only_these_thresholds ? json_deep_copy(own) : json_object();

    for (const char *const *t = config->thresholds; t && *t; t += 2) {
        json_t *list = json_object_get(all, t[0]);
        if (!json_is_array(list)) {
            list = json_array();
            json_object_set_new(all, t[0], list);
        }
        json_array_append_new(list, json_string(t[1]));
    }
    return all;
}

int limit_options_build(const struct limit_run_config *config,
                        const char *script_options,
                        struct run_options *ret_options,
                        struct err *err)
{
    json_error_t error;
    json_t *script = json_loads(script_options, 0, &error);
    const char *name;
    json_t *from;

    if (!json_is_object(script)) {
        json_decref(script);
        return err_set(err, -EINVAL, "the script's options are no object");
    }
    int r = pick_scenario(config, json_object_get(script, "scenarios"), &name, &from, err);
    if (!r) {
        json_t *load = json_pack("{s:{s:o} s:o}", "scenarios", name, make_scenario(config, from),
                                 "thresholds", join_thresholds(config, script));
        for (size_t i = 0; i < ARRAY_SIZE(SHAPE); i++) {
            json_object_del(script, SHAPE[i]);
        }
        json_object_del(script, "thresholds");
        struct option_layer layers[] = {
            {SOURCE_SCRIPT, "script options", script},
            {SOURCE_FLAG, "the limit search", load},
        };
        r = options_build(layers, ARRAY_SIZE(layers), ret_options, err);
        json_decref(load);
    }
    json_decref(script);
    return r;
}
