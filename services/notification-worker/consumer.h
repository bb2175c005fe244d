// SPDX-License-Identifier: Apache-2.0
// The JetStream consumer: WORKER_CONCURRENCY threads, each with one event at a time from the shared
// durable pull consumer. Nothing is fetched ahead, so replicas share the work evenly and a crash
// leaves at most that many events to be delivered again.
#pragma once

#include "common/buf.h"
#include "common/env.h"

#include <stdbool.h>

extern const struct env_setting consumer_settings[];

int consumer_start(char *message, size_t size); // 0, or negative with a message
void consumer_stop(void);                       // finishes the events in hand
bool consumer_is_ready(const char **ret_why);
void consumer_metrics(struct buf *out);
