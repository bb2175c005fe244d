// SPDX-License-Identifier: Apache-2.0
// The run directory plimsoll-runs/TIME-NAME/: result.json, events.jsonl, series.jsonl. Lines are
// only appended, so that what was written survives a crash; a torn last line is left out by the
// reader. Everything passes the redactor. One thread.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"
#include "record/redact.h"

#define RUNDIR_PARENT "plimsoll-runs"
#define RUNDIR_SCHEMA 1

struct rundir;

// Makes PARENT/TIME-NAME (NAME reduced to letters, digits, '-', '_', '.'). 0 or negative errno with
// err.
int rundir_create(const char *parent, const char *name, struct rundir **ret_dir, struct err *err);
void rundir_close(struct rundir *d);
const char *rundir_path(const struct rundir *d);
// Secrets added here are masked from now on.
struct redactor *rundir_redactor(struct rundir *d);

// Appends {"t": monotonic ns, "wall": RFC 3339, "source", "kind", …fields} to events.jsonl. Takes
// the reference to `fields` (an object or NULL). Failures are told by rundir_close()'s caller
// through rundir_error(); the run goes on.
void rundir_event(
    struct rundir *d, nsec_t now, const char *source, const char *kind, json_t *fields);
// Appends {"t", …values} to series.jsonl. Takes the reference.
void rundir_series(struct rundir *d, nsec_t now, json_t *values);
// Writes result.json as a whole, with "schema" set. Takes the reference. 0 or negative errno with
// err.
int rundir_write_result(struct rundir *d, json_t *result, struct err *err);
// Adds a file of our own making (text), redacted. 0 or negative errno with err.
int rundir_write_file(struct rundir *d, const char *name, const char *text, struct err *err);
// First failure of appending, 0 = none.
int rundir_error(const struct rundir *d);

// What every result.json begins with: schema, command, seed, versions, kernel, limits, started.
json_t *
rundir_result_base(const char *command, int argc, char **argv, uint64_t seed, nsec_t started_wall);

// ---- Reading ----
// Calls fn for each line of DIR/NAME that is whole JSON. A torn last line is left out; anything
// else that is no JSON is -EBADMSG with err (file, line). -ENOENT if there is no such file.
int rundir_read_lines(const char *dir,
                      const char *name,
                      void (*fn)(void *arg, const json_t *line),
                      void *arg,
                      struct err *err);
// result.json; -ENOENT (no result: the run did not end), -EBADMSG (no JSON or another schema).
int rundir_read_result(const char *dir, json_t **ret_result, struct err *err);
