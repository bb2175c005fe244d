// SPDX-License-Identifier: Apache-2.0
// A growing text buffer. Always NUL-terminated once something was added. One thread at a time.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf {
    char *data; // owned; NULL while empty
    size_t len;
    size_t size;
};

#define BUF_NULL ((struct buf){0})

void buf_fini(struct buf *buf); // legal on BUF_NULL; leaves BUF_NULL
void buf_add(struct buf *buf, const void *data, size_t len);
void buf_text(struct buf *buf, const char *text);
void buf_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
// `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD.
void buf_json(struct buf *buf, const char *text);
// Hands the memory over to the caller, who frees it; the buffer is empty again. Never NULL.
char *buf_take(struct buf *buf);
