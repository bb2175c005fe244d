// SPDX-License-Identifier: Apache-2.0
// /api/v1/*: forwards to order-service over a bounded number of keep-alive connections.
#pragma once

#include "common/env.h"
#include "common/server.h"

extern const struct env_setting proxy_settings[]; // ORDER_SERVICE_URL, UPSTREAM_…

int proxy_start(char *message, size_t size);
void proxy_stop(void);
void proxy_forward(struct request *request);
void proxy_metrics(struct buf *out);
