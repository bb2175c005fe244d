// SPDX-License-Identifier: Apache-2.0
// The message of a failure at an edge (command line, files, scripts), owned by the caller.
#pragma once

#include <stdarg.h>

// Where and why something failed. Fixed size, on the caller's stack; `struct err err = {0};`.
struct err {
    int code;       // negative errno or a positive code of the module that set it; 0 = no error
    char file[192]; // the user's file at fault, "" if none
    int line;       // 1-based line in it, 0 if unknown
    int column;     // 1-based column, 0 if unknown
    char message[512];
};

// Sets code and message and returns code, so that `return err_set(err, -EINVAL, …)` reads well.
// Message form: lower case, no full stop, problem first, subject in single quotes. err may be NULL.
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int err_vset(struct err *err, int code, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
// Adds the place in the user's file.
void err_at(struct err *err, const char *file, int line, int column);
// Puts "context: " before the message: err_wrap(err, "scenario '%s'", name). Returns err->code.
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The whole as "file:line:column: message" (what is known of it) in `buf`; returns buf.
const char *err_text(const struct err *err, char *buf, unsigned size);
// Text of a negative errno, thread safe, never NULL.
const char *err_errno(int code);
