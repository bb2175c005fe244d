// SPDX-License-Identifier: Apache-2.0
// What the records of a limit search say: one probe judged, all of them pooled. Used by limit.c.
#pragma once

#include "model/limit.h"

enum limit_mark {
    LIMIT_HELD,     // within every objective, no backlog
    LIMIT_BREACHED, // above an allowed share, or a backlog beyond chance
    LIMIT_GROSS,    // so far above that one more look is enough
};
enum limit_mark limit_judge(const struct limit_config *config, const struct limit_record *r);
// The same over several records of about one rate, pooled.
void limit_pool(const struct limit_record *records, int count, struct limit_record *ret_pool);
// Share of bad requests of the objective that is nearest to its allowed share; sets which.
double limit_worst_share(const struct limit_config *config,
                         const struct limit_record *r,
                         int *ret_objective);
// Solves every objective around l->centre: sets estimate, se, slope and objective.
void limit_estimate_update(struct limit *l);
// Completions per second under overload, 0 where no probe saw a backlog grow.
double limit_estimate_saturation(const struct limit *l);
// Lower rates failed, repeatedly, where higher ones held.
bool limit_is_non_monotone(const struct limit *l);
