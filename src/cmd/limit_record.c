// SPDX-License-Identifier: Apache-2.0
#include "cmd/limit_record.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

void limit_record_init(struct limit_record_dir *r, int argc, char **argv)
{
    *r = (struct limit_record_dir){
        .argc = argc,
        .argv = xcalloc((size_t)argc + 1, sizeof(char *)),
        .started_wall = clock_wall(),
    };
    memcpy(r->argv, argv, (size_t)argc * sizeof(char *));
}

void limit_record_open(struct limit_record_dir *r,
                       const char *name,
                       const struct limit_run_config *config)
{
    struct err err = {0};

    r->seed = config->seed;
    r->name = name;
    // Of a URL the host says more than its last part.
    const char *scheme = strstr(name, "://");
    const char *host = scheme ? scheme + 3 : name;
    CLEANUP_FREE char *folder = scheme ? xstrndup(host, strcspn(host, "/?#")) : xstrdup(name);
    if (rundir_create(RUNDIR_PARENT, folder, &r->dir, &err)) {
        log_warn("no run directory is written: %s", err.message);
        r->dir = NULL;
        return;
    }
    if (config->env) {
        redactor_add_env(rundir_redactor(r->dir), config->env);
    }
    rundir_event(r->dir, clock_now(), "limit", "started", json_pack("{s:s}", "script", name));
    if (config->text) {
        rundir_write_file(r->dir, "script.js", config->text, &err);
    }
}

void limit_record_event(struct limit_record_dir *r, const struct limit_run_event *e)
{
    if (!r->dir || !e->finished) {
        return;
    }
    rundir_event(r->dir, e->to, "limit", "probe",
                 json_pack("{s:s s:f s:f s:f s:f s:f s:b s:f s:I s:I}", "phase", e->phase, "rate",
                           e->rate, "arrivals", e->arrivals, "completions", e->completions, "bad",
                           e->bad, "share", e->worst_share, "generator_bound", e->generator_bound,
                           "estimate", e->estimate, "from", (json_int_t)e->from, "to",
                           (json_int_t)e->to));
}

void limit_record_close(struct limit_record_dir *r, json_t *limit, int exit_code)
{
    struct err err = {0};

    if (!r->dir) {
        json_decref(limit);
        return;
    }
    json_t *result = rundir_result_base("limit", r->argc, r->argv, r->seed, r->started_wall);
    json_object_set_new(result, "version", json_string(PLIMSOLL_VERSION));
    json_object_set_new(result, "script", json_string(r->name));
    if (limit) {
        json_object_set_new(result, "limits", json_pack("[o]", limit));
    }
    json_object_set_new(result, "exit", json_integer(exit_code));
    rundir_event(r->dir, clock_now(), "limit", "ended", json_pack("{s:i}", "exit", exit_code));
    int failed = rundir_write_result(r->dir, result, &err);
    if (failed || rundir_error(r->dir)) {
        log_warn("the run directory '%s' is not complete: %s", rundir_path(r->dir),
                 failed ? err.message : err_errno(rundir_error(r->dir)));
    }
    rundir_close(r->dir);
    r->dir = NULL;
}
