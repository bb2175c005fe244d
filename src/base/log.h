// SPDX-License-Identifier: Apache-2.0
// Log lines for people and programs, on stderr. Library layers use LOG_DEBUG only.
#pragma once

#include <stdbool.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
// logfmt: time="…" level=info msg="…" source=console; raw: the message alone.
enum log_format { LOG_LOGFMT, LOG_JSON, LOG_RAW };

struct log_field {
    const char *key, *value;
};

// Before threads start. Default: LOG_INFO, logfmt, fd 2.
void log_setup(enum log_level max, enum log_format format, int fd);
bool log_enabled(enum log_level level);
// Writes one line, atomically (a single write up to 64 KiB). Any thread. `fields` may be NULL.
// With msg NULL the line has no msg field.
void log_write(enum log_level level,
               const char *msg,
               const struct log_field *fields,
               unsigned count);
void log_printf(enum log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define log_error(...) log_printf(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_printf(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_printf(LOG_INFO, __VA_ARGS__)
#define log_debug(...) (log_enabled(LOG_DEBUG) ? log_printf(LOG_DEBUG, __VA_ARGS__) : (void)0)

// Lines of scripts (field source=console) go to another fd; -1 = where all go. Before threads
// start.
void log_set_console(int fd);

// Called around each line with true, then false, so that a progress display can be taken off the
// terminal and drawn again. At most one; may be NULL.
void log_set_hook(void (*hook)(bool before, void *arg), void *arg);
