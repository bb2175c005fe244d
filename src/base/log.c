// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"

static enum log_level max_level = LOG_INFO;
static enum log_format line_format = LOG_LOGFMT;
static int log_fd = STDERR_FILENO;
static int console_fd = -1; // of lines with source=console, -1 = log_fd
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*line_hook)(bool before, void *arg);
static void *line_hook_arg;

static const char *const LEVEL_NAMES[] = {"error", "warning", "info", "debug"};

void log_setup(enum log_level max, enum log_format format, int fd)
{
    max_level = max;
    line_format = format;
    log_fd = fd;
}

bool log_enabled(enum log_level level)
{
    return level <= max_level;
}

void log_set_console(int fd)
{
    console_fd = fd;
}

void log_set_hook(void (*hook)(bool before, void *arg), void *arg)
{
    line_hook = hook;
    line_hook_arg = arg;
}

static bool needs_quotes(const char *s)
{
    if (!*s) {
        return true;
    }
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f) {
            return true;
        }
    }
    return false;
}

// Quoted as JSON and logfmt both read it.
static void add_quoted(struct strbuf *b, const char *s)
{
    strbuf_addc(b, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            strbuf_addc(b, '\\');
            strbuf_addc(b, (char)c);
        } else if (c == '\n') {
            strbuf_adds(b, "\\n");
        } else if (c == '\r') {
            strbuf_adds(b, "\\r");
        } else if (c == '\t') {
            strbuf_adds(b, "\\t");
        } else if (c < 0x20 || c == 0x7f) {
            strbuf_addf(b, "\\u%04x", c);
        } else {
            strbuf_addc(b, (char)c);
        }
    }
    strbuf_addc(b, '"');
}

static void add_field(struct strbuf *b, const char *key, const char *value)
{
    if (line_format == LOG_JSON) {
        strbuf_adds(b, b->n > 1 ? "," : "");
        add_quoted(b, key);
        strbuf_addc(b, ':');
        add_quoted(b, value);
        return;
    }
    strbuf_adds(b, b->n ? " " : "");
    strbuf_adds(b, key);
    strbuf_addc(b, '=');
    if (needs_quotes(value)) {
        add_quoted(b, value);
    } else {
        strbuf_adds(b, value);
    }
}

static void put(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done <= 0) {
            return; // nowhere to complain
        }
        p += done;
        n -= (size_t)done;
    }
}

void log_write(enum log_level level,
               const char *msg,
               const struct log_field *fields,
               unsigned count)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
    char when[40];
    int fd = log_fd;

    if (!log_enabled(level)) {
        return;
    }
    if (line_format == LOG_RAW) {
        strbuf_adds(&b, msg ? msg : "");
    } else {
        strbuf_adds(&b, line_format == LOG_JSON ? "{" : "");
        add_field(&b, "time", clock_format_rfc3339(clock_wall(), 0, when, sizeof(when)));
        add_field(&b, "level", LEVEL_NAMES[level]);
        if (msg) {
            add_field(&b, "msg", msg);
        }
        for (unsigned i = 0; i < count; i++) {
            add_field(&b, fields[i].key, fields[i].value);
        }
        strbuf_adds(&b, line_format == LOG_JSON ? "}" : "");
    }
    strbuf_addc(&b, '\n');
    for (unsigned i = 0; i < count && console_fd >= 0; i++) {
        bool console =
            strcmp(fields[i].key, "source") == 0 && strcmp(fields[i].value, "console") == 0;
        fd = console ? console_fd : fd;
    }
    pthread_mutex_lock(&lock);
    if (line_hook) {
        line_hook(true, line_hook_arg);
    }
    put(fd, b.p, b.n);
    if (line_hook) {
        line_hook(false, line_hook_arg);
    }
    pthread_mutex_unlock(&lock);
}

void log_printf(enum log_level level, const char *format, ...)
{
    va_list args;

    if (!log_enabled(level)) {
        return;
    }
    va_start(args, format);
    CLEANUP_FREE char *text = xvasprintf(format, args);
    va_end(args);
    log_write(level, text, NULL, 0);
}
