// SPDX-License-Identifier: Apache-2.0
// The database schema as steps; step n brings it to version n + 1. A released step never changes.
#pragma once

#define SCHEMA_LOCK "7305519276241" // any number that others in this database do not lock

extern const char *const *const schema_steps[]; // statements of each step, NULL-terminated
extern const unsigned schema_version;           // number of steps
