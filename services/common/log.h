// SPDX-License-Identifier: Apache-2.0
// JSON lines on stderr: {"time","level","service","message", …}. Any thread. At most 200 lines a
// second are written; the number of those left out is written with the next one, so that a surge of
// failures cannot make logging the bottleneck.
#pragma once

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

// `service` is borrowed for good. `level` is one of error, warn, info, debug; -EINVAL otherwise.
int log_init(const char *service, const char *level);
// Writes `message`, then the pairs of key and printf-formatted value: the format yields the inside
// of a JSON object ("\"port\":%d"), or NULL for none.
void log_write(enum log_level level, const char *message, const char *fields, ...)
    __attribute__((format(printf, 3, 4)));
int log_enabled(enum log_level level);

#define LOG_TEXT_MAX 512

// `text` as a quoted JSON string for use in `fields`, in a buffer of the calling thread that is
// good until the fourth next call.
const char *log_quote(const char *text);
