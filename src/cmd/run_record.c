// SPDX-License-Identifier: Apache-2.0
#include "cmd/run_record.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "load/summary.h"

enum { SCRIPT_LIMIT = 64 << 20 };

void run_record_init(struct run_record *r, int argc, char **argv)
{
    *r = (struct run_record){.started_wall = clock_wall(), .argc = argc};
    r->argv = xcalloc((size_t)argc + 1, sizeof(char *));
    memcpy(r->argv, argv, (size_t)argc * sizeof(char *));
}

void run_record_open(struct run_record *r, const struct run_args *args)
{
    struct err err = {0};

    if (args->no_record) {
        return;
    }
    if (rundir_create(RUNDIR_PARENT, strcmp(args->script, "-") == 0 ? "stdin" : args->script,
                      &r->dir, &err) < 0) {
        r->dir = NULL;
        log_warn("no run directory is written: %s", err.message);
        return;
    }
    redactor_add_env(rundir_redactor(r->dir), (const char *const *)args->env);
    rundir_event(r->dir, clock_now(), "run", "started", json_pack("{s:s}", "script", args->script));
}

void run_record_tick(struct run_record *r, const struct engine_status *s)
{
    if (r->dir) {
        rundir_series(r->dir, s->now,
                      json_pack("{s:I,s:I,s:I,s:I,s:I,s:b}", "vus", (json_int_t)s->vus_active,
                                "vusInitialized", (json_int_t)s->vus_initialized, "iterations",
                                (json_int_t)s->iterations, "interrupted",
                                (json_int_t)s->interrupted, "dropped", (json_int_t)s->dropped,
                                "generatorLate", s->generator_late));
    }
}

static json_t *script_hash(const char *path)
{
    CLEANUP(strbuf_fini) struct strbuf text = STRBUF_NULL;
    unsigned char md[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    unsigned n = 0;

    if (strcmp(path, "-") == 0 || fs_read(path, SCRIPT_LIMIT, &text, NULL) < 0) {
        return json_null();
    }
    EVP_Digest(strbuf_str(&text), text.n, md, &n, EVP_sha256(), NULL);
    for (unsigned i = 0; i < n; i++) {
        snprintf(hex + 2 * (size_t)i, 3, "%02x", md[i]);
    }
    return json_string(hex);
}

void run_record_end(struct run_record *r,
                    const struct run_args *args,
                    const struct run_options *o,
                    struct engine *engine,
                    int code,
                    const char *message)
{
    struct err err = {0};

    if (!r->dir) {
        return;
    }
    json_t *result = rundir_result_base("run", r->argc, r->argv, o ? o->seed : 0, r->started_wall);
    json_object_set_new(result, "version", json_string(PLIMSOLL_VERSION));
    json_object_set_new(result, "script", json_string(args->script));
    json_object_set_new(result, "scriptSha256", script_hash(args->script));
    json_object_set_new(result, "exit", json_integer(code));
    if (*message) {
        json_object_set_new(result, "message", json_string(message));
    }
    if (engine) {
        const struct summary s = {.options = o,
                                  .results = engine_results(engine, NULL),
                                  .duration = engine_duration(engine)};
        json_t *summary = summary_export(&s);
        json_object_set_new(result, "seconds", json_real((double)s.duration / NSEC_PER_SEC));
        json_object_update(result, summary);
        json_decref(summary);
    }
    rundir_event(r->dir, clock_now(), "run", "ended", json_pack("{s:i}", "exit", code));
    int failed = rundir_write_result(r->dir, result, &err);
    if (failed == 0 && rundir_error(r->dir) != 0) {
        failed = err_set(&err, rundir_error(r->dir), "%s", err_errno(rundir_error(r->dir)));
    }
    if (failed < 0) {
        log_warn("the run directory '%s' is not complete: %s", rundir_path(r->dir), err.message);
    }
}

void run_record_fini(struct run_record *r)
{
    rundir_close(r->dir);
    free(r->argv);
}
