// SPDX-License-Identifier: Apache-2.0
// Secrets that must not be written: the one place where they are taken out.
#pragma once

#include <stdbool.h>

#include "base/strbuf.h"

struct redactor {
    char **secrets; // longest first
    unsigned count, cap;
};

#define REDACT_MASK "***"

void redactor_fini(struct redactor *r);
// Texts of fewer than 4 characters are not kept: they would blot out everything.
void redactor_add(struct redactor *r, const char *secret);
// Does the name of a variable or header say that its value is secret (token, password, …)?
bool redact_is_secret_name(const char *name);
// Adds every value of `env` ("NAME=value", NULL-terminated) whose name says so.
void redactor_add_env(struct redactor *r, const char *const *env);
// Replaces every secret in the text, as it is and as JSON writes it.
void redact(const struct redactor *r, struct strbuf *text);
