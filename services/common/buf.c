// SPDX-License-Identifier: Apache-2.0
#include "buf.h"

#include "mem.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void buf_fini(struct buf *buf)
{
    free(buf->data);
    *buf = BUF_NULL;
}

static void reserve(struct buf *buf, size_t more)
{
    if (buf->size - buf->len > more) {
        return;
    }
    size_t size = buf->size ? buf->size : 128;
    while (size - buf->len <= more) {
        size *= 2;
    }
    buf->data = mem_realloc(buf->data, size);
    buf->size = size;
}

void buf_add(struct buf *buf, const void *data, size_t len)
{
    reserve(buf, len);
    if (len > 0) {
        memcpy(buf->data + buf->len, data, len);
    }
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_format(struct buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0) {
        return;
    }
    reserve(buf, (size_t)len);
    va_start(args, format);
    vsnprintf(buf->data + buf->len, (size_t)len + 1, format, args);
    va_end(args);
    buf->len += (size_t)len;
}

// Length of the UTF-8 sequence at `s`, 0 if it is none (overlong, surrogate, cut short).
static int utf8_length(const unsigned char *s)
{
    int len = s[0] < 0x80   ? 1
              : s[0] < 0xc2 ? 0
              : s[0] < 0xe0 ? 2
              : s[0] < 0xf0 ? 3
              : s[0] < 0xf5 ? 4
                            : 0;

    for (int i = 1; i < len; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool bad = len > 1 && ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
                           (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f));
    return bad ? 0 : len;
}

void buf_json(struct buf *buf, const char *text)
{
    buf_text(buf, "\"");
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int len = utf8_length(s);
        if (len == 0) {
            buf_text(buf, "\\ufffd");
            len = 1;
        } else if (*s == '"' || *s == '\\') {
            buf_format(buf, "\\%c", *s);
        } else if (*s < 0x20) {
            buf_format(buf, "\\u%04x", *s);
        } else {
            buf_add(buf, s, (size_t)len);
        }
        s += len;
    }
    buf_text(buf, "\"");
}

char *buf_take(struct buf *buf)
{
    reserve(buf, 0);
    buf->data[buf->len] = '\0';
    char *data = buf->data;
    *buf = BUF_NULL;
    return data;
}
