// SPDX-License-Identifier: Apache-2.0
#include "log.h"

#include "buf.h"
#include "clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINES_PER_SECOND 200

static const char *const level_names[] = {"error", "warn", "info", "debug"};
static const char *service_name = "";
static enum log_level max_level = LOG_INFO;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t window_start;
static unsigned written, left_out;

int log_init(const char *service, const char *level)
{
    service_name = service;
    for (unsigned i = 0; i < 4; i++) {
        if (strcmp(level, level_names[i]) == 0) {
            max_level = (enum log_level)i;
            return 0;
        }
    }
    return -EINVAL;
}

int log_enabled(enum log_level level)
{
    return level <= max_level;
}

const char *log_quote(const char *text)
{
    static __thread char ring[4][LOG_TEXT_MAX];
    static __thread unsigned next;
    char *slot = ring[next++ % 4];
    // A control character becomes six bytes, so a sixth of the slot always fits whole.
    char cut[LOG_TEXT_MAX / 6 - 1];
    struct buf buf = BUF_NULL;

    snprintf(cut, sizeof(cut), "%s", text);
    buf_json(&buf, text);
    if (buf.len >= LOG_TEXT_MAX) {
        buf_fini(&buf);
        buf_json(&buf, cut);
    }
    snprintf(slot, LOG_TEXT_MAX, "%s", buf.data);
    buf_fini(&buf);
    return slot;
}

// Returns how many lines were left out before this one, or -1 if this one is to be left out too.
static int admit(void)
{
    int64_t now = clock_monotonic();
    int result = -1;

    pthread_mutex_lock(&lock);
    if (now - window_start >= SEC) {
        window_start = now;
        written = 0;
    }
    if (written < LINES_PER_SECOND) {
        written++;
        result = (int)left_out;
        left_out = 0;
    } else {
        left_out++;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

void log_write(enum log_level level, const char *message, const char *fields, ...)
{
    if (!log_enabled(level)) {
        return;
    }
    int skipped = admit();
    if (skipped < 0) {
        return;
    }
    char time[32], inside[2048] = "";
    struct buf line = BUF_NULL;

    if (fields) {
        va_list args;
        va_start(args, fields);
        vsnprintf(inside, sizeof(inside), fields, args);
        va_end(args);
    }
    clock_rfc3339(clock_wall(), time, sizeof(time));
    buf_format(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"service\":\"%s\",\"message\":", time,
               level_names[level], service_name);
    buf_json(&line, message);
    if (inside[0]) {
        buf_format(&line, ",%s", inside);
    }
    if (skipped > 0) {
        buf_format(&line, ",\"lines_left_out\":%d", skipped);
    }
    buf_text(&line, "}\n");
    // One write(2) a line keeps the lines of several threads apart; a lost log line is no failure.
    if (write(STDERR_FILENO, line.data, line.len) < 0) {
        (void)errno;
    }
    buf_fini(&line);
}
