// SPDX-License-Identifier: Apache-2.0
// Every sample to files while the run lasts: `--out json=FILE[.gz]` (k6's lines) and
// `--out csv=FILE[.gz]`.
#pragma once

#include "base/err.h"
#include "load/options.h"
#include "metric/shard.h"

struct outputs;

// Opens the outputs of the options; NULL in *ret when there are none. 0, or -EINVAL for an unknown
// kind or negative errno with err.
int outputs_open(const struct run_options *o, struct outputs **ret, struct err *err);
// An engine's on_shard: all samples of the shard come here from now on. Any thread.
void outputs_attach(void *outputs, struct shard *shard);
// After the shards have gone. Writes what is left. 0 or negative errno with err (disk full …); a
// failure while the run lasted is told here too.
int outputs_close(struct outputs *out, struct err *err);
