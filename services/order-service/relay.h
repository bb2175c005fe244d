// SPDX-License-Identifier: Apache-2.0
// The outbox relay: one thread with a database connection of its own that publishes committed
// events to JetStream in batches and marks them published after the acknowledgement. It also
// migrates the schema first, and knows whether the database answers.
#pragma once

#include "common/buf.h"
#include "common/env.h"

#include <stdbool.h>

extern const struct env_setting relay_settings[]; // NATS_URL, OUTBOX_…

// conninfo is borrowed. 0, or negative with a message. The database and NATS need not be there yet.
int relay_start(const char *conninfo, char *message, size_t size);
// Publishes what is there if NATS is, then ends the thread.
void relay_stop(void);
// An event was committed. Any thread; cheap.
void relay_wake(void);
// The schema is in place and the database answered the last time it was asked.
bool relay_database_is_ready(void);
void relay_metrics(struct buf *out);
