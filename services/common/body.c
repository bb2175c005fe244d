// SPDX-License-Identifier: Apache-2.0
#include "body.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DEPTH_MAX 16

// jansson recurses; this keeps what strangers send shallow before it does.
static bool is_shallow(const char *text, size_t len)
{
    int depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (quoted) {
            i += c == '\\';
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX) {
                return false;
            }
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return true;
}

json_t *body_parse(const char *text, size_t len)
{
    if (len == 0 || !is_shallow(text, len)) {
        return NULL;
    }
    json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (value && !json_is_object(value)) {
        json_decref(value);
        return NULL;
    }
    return value;
}

json_t *body_object(struct request *request)
{
    size_t len;
    const char *text = request_body(request, &len);
    json_t *object = body_parse(text, len);

    if (!object) {
        request_fail(request, 400, "invalid_body", NULL, "the body is not a JSON object");
    }
    return object;
}

const char *
body_string(struct request *request, const json_t *object, const char *field, size_t max)
{
    const json_t *value = json_object_get(object, field);
    const char *text = json_string_value(value);
    char message[128];

    if (text && *text && json_string_length(value) <= max) {
        return text;
    }
    snprintf(message, sizeof(message),
             value ? "%s must be a text of 1 to %zu bytes" : "%s is missing", field, max);
    request_fail(request, 400, "invalid_field", field, message);
    return NULL;
}

bool body_bearer(struct request *request,
                 const char *secret,
                 char ret_subject[static JWT_SUBJECT_MAX])
{
    const char *header = request_header(request, "Authorization");

    if (!header || strncasecmp(header, "Bearer ", 7) != 0) {
        request_fail(request, 401, "unauthorized", NULL, "a bearer token is needed");
        return false;
    }
    const char *token = header + 7 + strspn(header + 7, " ");
    int r = jwt_verify(secret, token, clock_wall() / SEC, ret_subject);
    if (r) {
        request_fail(request, 401, r == JWT_EXPIRED ? "token_expired" : "invalid_token", NULL,
                     r == JWT_EXPIRED ? "the token has expired" : "the token is not valid");
    }
    return r == 0;
}
