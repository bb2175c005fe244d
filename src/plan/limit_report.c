// SPDX-License-Identifier: Apache-2.0
#include <math.h>

#include "plan/limit_run.h"

static json_t *number_or_null(double x)
{
    // Four digits are more than the interval ever supports.
    return x > 0 ? json_real(round(x * 100) / 100) : json_null();
}

json_t *limit_run_json(const struct limit_run_result *r, const char *service, const char *script)
{
    const struct limit_result *l = &r->limit;
    json_t *generator =
        json_pack("{s:o s:b s:o s:o s:s*}", "headroom", number_or_null(r->headroom), "colocated",
                  r->colocated, "share", json_real(round(r->generator_share * 1000) / 1000), "rate",
                  number_or_null(r->generator_rate), "calibration",
                  r->calibrated ? "established" : r->calibration);
    json_t *o =
        json_pack("{s:s? s:s s:o s:o s:o s:s s:o s:s s:s? s:o s:o}", "service", service, "script",
                  script, "rate", number_or_null(l->rate), "low", number_or_null(l->low), "high",
                  number_or_null(l->high), "unit", r->unit, "saturation",
                  number_or_null(l->saturation), "verdict", limit_verdict_name(l->verdict),
                  "objective", r->objective[0] ? r->objective : NULL, "generator", generator,
                  "seconds", json_real(round(r->seconds * 10) / 10));

    if (l->reason != LIMIT_REASON_NONE) {
        json_object_set_new(o, "reason", json_string(limit_reason_name(l->reason)));
    }
    json_object_set_new(o, "confirmed", number_or_null(l->confirmed));
    json_object_set_new(o, "breached", number_or_null(l->breached));
    json_object_set_new(o, "probes", json_integer(l->probes));
    json_object_set_new(o, "discarded", json_integer(l->discarded));
    json_object_set_new(o, "requests", json_integer((json_int_t)r->requests));
    json_object_set_new(o, "vus", json_integer((json_int_t)r->vus));
    return o;
}

int limit_run_exit(const struct limit_run_result *r)
{
    switch (r->limit.verdict) {
    case LIMIT_FOUND:
    case LIMIT_NOT_REACHED:
        return 0;
    case LIMIT_NOT_HELD:
        return 1;
    case LIMIT_LOWER_BOUND:
    case LIMIT_NO_STEADY_STATE:
    case LIMIT_UNSTABLE:
    case LIMIT_NON_MONOTONE:
        break;
    }
    return 3;
}
