// SPDX-License-Identifier: Apache-2.0
#include "http1.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// Port digits at text[0..len) into port; -EINVAL unless 0-65535.
static int parse_port(const char *text, size_t len, char port[static 6])
{
    unsigned value = 0;

    if (len == 0 || len > 5) {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)text[i])) {
            return -EINVAL;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
    }
    if (value > 65535) {
        return -EINVAL;
    }
    memcpy(port, text, len);
    port[len] = '\0';
    return 0;
}

// Host and optional port at text[0..len).
static int
parse_authority(const char *text, size_t len, const char *fallback_port, struct http1_url *url)
{
    const char *end = text + len, *host = text, *host_end, *colon;

    if (len > 0 && *text == '[') {
        host++;
        host_end = memchr(host, ']', len - 1);
        if (!host_end) {
            return -EINVAL;
        }
        colon = host_end + 1;
    } else {
        colon = memchr(text, ':', len);
        colon = colon ? colon : end;
        host_end = colon;
    }
    size_t host_len = (size_t)(host_end - host);
    if (host_len == 0 || host_len >= sizeof(url->host) || (colon < end && *colon != ':')) {
        return -EINVAL;
    }
    for (const char *p = host; p < host_end; p++) {
        if (!isalnum((unsigned char)*p) && !strchr(".-_:%", *p)) {
            return -EINVAL;
        }
    }
    memcpy(url->host, host, host_len);
    url->host[host_len] = '\0';
    if (colon < end) {
        return parse_port(colon + 1, (size_t)(end - colon - 1), url->port);
    }
    return fallback_port ? parse_port(fallback_port, strlen(fallback_port), url->port) : -EINVAL;
}

int http1_url_parse(const char *text, struct http1_url *ret_url)
{
    struct http1_url url;

    if (strncmp(text, "http://", 7) != 0) {
        return -EINVAL;
    }
    text += 7;
    size_t len = strcspn(text, "/");
    if (text[len] == '/' && text[len + 1]) {
        return -EINVAL;
    }
    int r = parse_authority(text, len, "80", &url);
    if (r == 0) {
        *ret_url = url;
    }
    return r;
}

int http1_authority_parse(const char *text, struct http1_url *ret_url)
{
    struct http1_url url;
    int r = parse_authority(text, strlen(text), NULL, &url);

    if (r == 0) {
        *ret_url = url;
    }
    return r;
}

static bool name_is(const char *line, size_t name_len, const char *name)
{
    return strlen(name) == name_len && strncasecmp(line, name, name_len) == 0;
}

static void copy_value(char *dst, size_t size, const char *value, size_t len)
{
    len = len < size ? len : size - 1;
    memcpy(dst, value, len);
    dst[len] = '\0';
}

static int parse_length(const char *value, size_t len, int64_t *ret_length)
{
    int64_t length = 0;

    if (len == 0 || len > 15) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)value[i])) {
            return -EBADMSG;
        }
        length = length * 10 + (value[i] - '0');
    }
    *ret_length = length;
    return 0;
}

// One "Name: value" line of `len` bytes without its end.
static int parse_field(const char *line, size_t len, struct http1_head *head)
{
    const char *colon = memchr(line, ':', len);

    if (!colon || colon == line) {
        return -EBADMSG;
    }
    size_t name_len = (size_t)(colon - line);
    const char *value = colon + 1, *end = line + len;
    while (value < end && (*value == ' ' || *value == '\t')) {
        value++;
    }
    while (end > value && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    size_t value_len = (size_t)(end - value);
    if (name_is(line, name_len, "Content-Length")) {
        return parse_length(value, value_len, &head->body_len);
    }
    if (name_is(line, name_len, "Transfer-Encoding")) {
        return -EBADMSG;
    }
    if (name_is(line, name_len, "Connection")) {
        head->keep_alive =
            head->keep_alive && !(value_len == 5 && strncasecmp(value, "close", 5) == 0);
    } else if (name_is(line, name_len, "Content-Type")) {
        copy_value(head->type, sizeof(head->type), value, value_len);
    } else if (name_is(line, name_len, "Retry-After")) {
        copy_value(head->retry_after, sizeof(head->retry_after), value, value_len);
    } else if (name_is(line, name_len, "Idempotent-Replayed")) {
        copy_value(head->replayed, sizeof(head->replayed), value, value_len);
    } else if (name_is(line, name_len, "Location")) {
        copy_value(head->location, sizeof(head->location), value, value_len);
    }
    return 0;
}

static int parse_status(const char *line, size_t len, struct http1_head *head)
{
    if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') ||
        line[8] != ' ' || (len > 12 && line[12] != ' ')) {
        return -EBADMSG;
    }
    for (int i = 9; i < 12; i++) {
        if (!isdigit((unsigned char)line[i])) {
            return -EBADMSG;
        }
        head->status = head->status * 10 + (line[i] - '0');
    }
    head->keep_alive = line[7] == '1';
    return head->status >= 100 ? 0 : -EBADMSG;
}

int http1_head_parse(const char *data, size_t len, struct http1_head *ret_head)
{
    struct http1_head head = {.body_len = -1};
    const char *line = data, *end = data + len;

    for (;;) {
        const char *feed = memchr(line, '\n', (size_t)(end - line));
        if (!feed) {
            return 0;
        }
        size_t line_len = (size_t)(feed - line);
        if (line_len > 0 && line[line_len - 1] == '\r') {
            line_len--;
        }
        if (line_len == 0) {
            head.head_len = (size_t)(feed + 1 - data);
            break;
        }
        int r =
            head.status ? parse_field(line, line_len, &head) : parse_status(line, line_len, &head);
        if (r < 0) {
            return r;
        }
        line = feed + 1;
    }
    if (head.status == 204 || head.status == 304) {
        head.body_len = 0;
    }
    if (head.status == 0 || head.body_len < 0) {
        return -EBADMSG;
    }
    *ret_head = head;
    return 1;
}
