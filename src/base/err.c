// SPDX-License-Identifier: Apache-2.0
#include "base/err.h"

#include <stdio.h>
#include <string.h>

int err_vset(struct err *err, int code, const char *format, va_list args)
{
    if (err) {
        err->code = code;
        vsnprintf(err->message, sizeof(err->message), format, args);
    }
    return code;
}

int err_set(struct err *err, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    err_vset(err, code, format, args);
    va_end(args);
    return code;
}

void err_at(struct err *err, const char *file, int line, int column)
{
    if (!err) {
        return;
    }
    snprintf(err->file, sizeof(err->file), "%s", file ? file : "");
    err->line = line;
    err->column = column;
}

int err_wrap(struct err *err, const char *format, ...)
{
    char context[sizeof(err->message)];
    char inner[sizeof(err->message)];
    va_list args;

    if (!err) {
        return 0;
    }
    va_start(args, format);
    vsnprintf(context, sizeof(context), format, args);
    va_end(args);
    memcpy(inner, err->message, sizeof(inner));
    // A long chain of contexts loses its tail, never its head.
    snprintf(err->message, sizeof(err->message), "%.200s: %.300s", context, inner);
    return err->code;
}

const char *err_text(const struct err *err, char *buf, unsigned size)
{
    if (err->file[0] && err->line && err->column) {
        snprintf(buf, size, "%s:%d:%d: %s", err->file, err->line, err->column, err->message);
    } else if (err->file[0] && err->line) {
        snprintf(buf, size, "%s:%d: %s", err->file, err->line, err->message);
    } else if (err->file[0]) {
        snprintf(buf, size, "%s: %s", err->file, err->message);
    } else {
        snprintf(buf, size, "%s", err->message);
    }
    return buf;
}

const char *err_errno(int code)
{
    const char *text = strerrordesc_np(code < 0 ? -code : code);

    return text ? text : "unknown error";
}
