// SPDX-License-Identifier: Apache-2.0
// The orders API: requests become jobs of the connection pool; a job is one transaction.
#pragma once

#include "common/buf.h"
#include "common/env.h"
#include "common/server.h"

extern const struct env_setting orders_settings[]; // JWT_SECRET, DB_POOL_…, PROVIDER_…

// conninfo is borrowed. 0, or negative with a message.
int orders_start(const char *conninfo, char *message, size_t size);
void orders_stop(void);
void orders_post(struct request *request);
void orders_get(struct request *request);
void orders_metrics(struct buf *out);
