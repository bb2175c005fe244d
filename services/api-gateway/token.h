// SPDX-License-Identifier: Apache-2.0
// POST /auth/token: client credentials for a JWT.
#pragma once

#include "common/env.h"
#include "common/server.h"

extern const struct env_setting token_settings[]; // CLIENT_ID, CLIENT_SECRET, JWT_SECRET, …

// Forgets the plain secret. 0, or negative with a message.
int token_start(char *message, size_t size);
void token_post(struct request *request);
// True if the request carries a token of ours; else it is answered 401.
bool token_check(struct request *request);
void token_metrics(struct buf *out);
