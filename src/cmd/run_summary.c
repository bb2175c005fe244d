// SPDX-License-Identifier: Apache-2.0
#include "cmd/run_summary.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "load/summary.h"

static void write_target(const char *target, const void *p, size_t n)
{
    struct err err = {0};

    if (strcmp(target, "stdout") == 0 || strcmp(target, "stderr") == 0) {
        FILE *f = strcmp(target, "stdout") == 0 ? stdout : stderr;
        fwrite(p, 1, n, f);
        fflush(f);
    } else if (fs_write(target, p, n, &err) < 0) {
        log_error("could not write the summary: %s", err.message);
    }
}

static void write_base64(const char *target, const char *text)
{
    size_t n = strlen(text);
    CLEANUP_FREE unsigned char *bytes = xmalloc(n + 4);
    int length = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n);

    if (length < 0) {
        return;
    }
    for (size_t i = n; i > 0 && text[i - 1] == '='; i--) { // the padding counts as bytes
        length--;
    }
    write_target(target, bytes, (size_t)length);
}

static void write_targets(const char *json)
{
    json_t *targets = json_loads(json, JSON_DECODE_ANY, NULL), *value;
    const char *target;

    json_object_foreach(targets, target, value)
    {
        if (json_is_string(value)) {
            write_target(target, json_string_value(value), json_string_length(value));
        } else if (json_is_string(json_object_get(value, "base64"))) {
            write_base64(target, json_string_value(json_object_get(value, "base64")));
        } else {
            log_error("handleSummary(): '%s' is neither a text nor an ArrayBuffer", target);
        }
    }
    json_decref(targets);
}

static void write_export(const struct summary *s, const char *path)
{
    json_t *json = summary_export(s);
    CLEANUP_FREE char *text = json_dumps(json, JSON_INDENT(4));
    struct err err = {0};

    json_decref(json);
    if (!text || fs_write(path, text, strlen(text), &err) < 0) {
        log_error("could not write the summary: %s", err.message);
    }
}

void run_summary_write(struct engine *e, const struct run_options *o, bool colors)
{
    CLEANUP(strbuf_fini) struct strbuf result = STRBUF_NULL, text = STRBUF_NULL;
    struct err err = {0};

    if (strcmp(o->summary_mode, "disabled") == 0) {
        return;
    }
    const struct summary s = {
        .options = o,
        .results = engine_results(e, NULL),
        .duration = engine_duration(e),
        .setup_data = engine_setup_data(e),
        .stdout_tty = isatty(STDOUT_FILENO),
        .stderr_tty = isatty(STDERR_FILENO),
        .colors = colors,
    };
    json_t *data = summary_data(&s);
    CLEANUP_FREE char *json = json_dumps(data, JSON_COMPACT);
    json_decref(data);
    int r = engine_handle_summary(e, json, &result, &err);
    if (r == 0) {
        write_targets(strbuf_str(&result));
    } else {
        if (r == -ETIMEDOUT) {
            log_error("handleSummary() timed out");
        } else if (r != -ENOENT) {
            log_error("%s", err.message);
        }
        summary_text(&s, &text);
        fwrite(text.p, 1, text.n, stdout);
        fflush(stdout);
    }
    if (o->summary_export) {
        write_export(&s, o->summary_export);
    }
}
