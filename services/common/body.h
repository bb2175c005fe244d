// SPDX-License-Identifier: Apache-2.0
// What handlers ask of a request before they work: a JSON object, its fields, a bearer token. Each
// answers the request itself when it is not satisfied, so the handler just returns.
#pragma once

#include "jwt.h"
#include "server.h"

#include <jansson.h>

// The body as a JSON object that the caller owns (json_decref), or NULL: answered 400.
json_t *body_object(struct request *request);
// The same from plain memory; NULL if it is no JSON object (at most 16 levels deep).
json_t *body_parse(const char *text, size_t len);
// A string field of 1 to max bytes, borrowed from the object, or NULL: answered 400 with the name.
const char *
body_string(struct request *request, const json_t *object, const char *field, size_t max);
// Checks "Authorization: Bearer TOKEN". False: answered 401.
bool body_bearer(struct request *request,
                 const char *secret,
                 char ret_subject[static JWT_SUBJECT_MAX]);
