// SPDX-License-Identifier: Apache-2.0
#include "codec/http1.h"

#include <errno.h>

#include "base/mem.h"

enum { TOKEN = 1, TEXT = 2 };

// RFC 9110 5.6.2 token characters; field values are anything but control characters (tab is fine).
static const unsigned char classes[256] = {
    ['!'] = TOKEN | TEXT,
    ['#' ... '\''] = TOKEN | TEXT,
    ['*'] = TOKEN | TEXT,
    ['+'] = TOKEN | TEXT,
    ['-'] = TOKEN | TEXT,
    ['.'] = TOKEN | TEXT,
    ['0' ... '9'] = TOKEN | TEXT,
    ['A' ... 'Z'] = TOKEN | TEXT,
    ['^' ... '`'] = TOKEN | TEXT,
    ['a' ... 'z'] = TOKEN | TEXT,
    ['|'] = TOKEN | TEXT,
    ['~'] = TOKEN | TEXT,
    ['\t'] = TEXT,
    [' '] = TEXT,
    ['"'] = TEXT,
    ['('] = TEXT,
    [')'] = TEXT,
    [','] = TEXT,
    ['/'] = TEXT,
    [':' ... '@'] = TEXT,
    ['[' ... ']'] = TEXT,
    ['{'] = TEXT,
    ['}'] = TEXT,
    [0x80 ... 0xff] = TEXT,
};

static bool all_of(struct slice s, unsigned char class)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!(classes[(unsigned char)s.p[i]] & class)) {
            return false;
        }
    }
    return true;
}

#define BYTES(b) (0x0101010101010101ull * (b))

// all_of(s, TEXT), eight bytes at a time where none of them is a control character.
static bool is_text(struct slice s)
{
    uint64_t v;

    while (s.n >= sizeof(v)) {
        memcpy(&v, s.p, sizeof(v));
        uint64_t del = v ^ BYTES(0x7f);
        uint64_t odd = ((v - BYTES(0x20)) & ~v) | ((del - BYTES(1)) & ~del);
        if ((odd & BYTES(0x80)) && !all_of((struct slice){s.p, sizeof(v)}, TEXT)) {
            return false;
        }
        s.p += sizeof(v);
        s.n -= sizeof(v);
    }
    return all_of(s, TEXT);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

// Where the head ends: behind the first empty line; 0 = not there yet.
static size_t find_end(const char *p, size_t n, size_t *scanned)
{
    size_t at = *scanned;

    while (at < n) {
        const char *lf = memchr(p + at, '\n', n - at);
        if (!lf) {
            break;
        }
        at = (size_t)(lf - p) + 1;
        if (at < n && p[at] == '\n') {
            return at + 1;
        }
        if (at + 1 < n && p[at] == '\r' && p[at + 1] == '\n') {
            return at + 2;
        }
        if (at + 2 > n || (at + 1 == n && p[at] == '\r')) {
            *scanned = at - 1; // the empty line may be coming: look at this line's end again
            return 0;
        }
    }
    *scanned = n;
    return 0;
}

// Takes one line off; its end is CRLF or LF (RFC 9112 2.2).
static struct slice cut_line(struct slice *rest)
{
    struct slice line = slice_cut(rest, '\n');

    if (line.n && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

static int parse_status_line(struct slice line, struct http1_head *h)
{
    const char *p = line.p;

    if (line.n < 12 || memcmp(p, "HTTP/", 5) != 0 || p[5] != '1' || p[6] != '.' ||
        !is_digit(p[7]) || p[8] != ' ' || p[9] < '1' || p[9] > '9' || !is_digit(p[10]) ||
        !is_digit(p[11]) || (line.n > 12 && p[12] != ' ')) {
        return -EBADMSG;
    }
    h->major = 1;
    h->minor = (unsigned)(p[7] - '0');
    h->status = (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
    h->reason = line.n > 13 ? (struct slice){p + 13, line.n - 13} : (struct slice){p + 12, 0};
    return is_text(h->reason) ? 0 : -EBADMSG;
}

static int parse_length(struct slice value, uint64_t *ret)
{
    uint64_t n = 0;

    if (value.n == 0 || value.n > 18) {
        return -EBADMSG;
    }
    for (size_t i = 0; i < value.n; i++) {
        if (!is_digit(value.p[i])) {
            return -EBADMSG;
        }
        n = n * 10 + (uint64_t)(value.p[i] - '0');
    }
    *ret = n;
    return 0;
}

struct framing {
    bool has_length, chunked, other_coding;
    uint64_t length;
    bool close, keep_alive;
};

static void read_connection(struct slice value, struct framing *f)
{
    while (value.n) {
        struct slice option = slice_trim(slice_cut(&value, ','));
        f->close |= slice_eq_nocase(option, SLICE("close"));
        f->keep_alive |= slice_eq_nocase(option, SLICE("keep-alive"));
    }
}

static int read_header(struct slice name, struct slice value, struct framing *f)
{
    uint64_t length;

    // Only four lengths matter; the rest is not compared.
    if (name.n == 14 && slice_eq_nocase(name, SLICE("content-length"))) {
        if (parse_length(value, &length) || (f->has_length && f->length != length)) {
            return -EBADMSG;
        }
        f->has_length = true;
        f->length = length;
    } else if (name.n == 17 && slice_eq_nocase(name, SLICE("transfer-encoding"))) {
        if (f->chunked) {
            return -EBADMSG;
        }
        f->chunked = slice_eq_nocase(value, SLICE("chunked"));
        f->other_coding |= !f->chunked;
    } else if (name.n == 10 && slice_eq_nocase(name, SLICE("connection"))) {
        read_connection(value, f);
    }
    return 0;
}

static int decide_framing(const struct framing *f, bool to_head, struct http1_head *h)
{
    h->keep_alive = !f->close && (h->minor >= 1 || f->keep_alive);
    if (h->status == 101) {
        h->keep_alive = false;
    }
    if (to_head || h->status < 200 || h->status == 204 || h->status == 304) {
        h->body = HTTP1_BODY_NONE;
        return 0;
    }
    if (f->other_coding) {
        return -EBADMSG;
    }
    if (f->chunked) {
        h->body = HTTP1_BODY_CHUNKED;
        // RFC 9112 6.3: a message with both may be an attempt at smuggling; nothing after it is
        // trusted. HTTP/1.0 does not know chunks.
        h->keep_alive = h->keep_alive && !f->has_length && h->minor >= 1;
    } else if (f->has_length) {
        h->body = HTTP1_BODY_LENGTH;
        h->length = f->length;
    } else {
        h->body = HTTP1_BODY_CLOSE;
        h->keep_alive = false;
    }
    return 0;
}

ssize_t http1_parse_response(
    const char *p, size_t n, bool to_head, size_t *scanned, struct http1_head *ret_head)
{
    static const char beginning[] = "HTTP/1.";
    struct http1_head h = {0};
    struct framing f = {0};
    size_t size = find_end(p, n, scanned);

    // Something else than HTTP is said at once, not after 64 KiB of it.
    if (n && memcmp(p, beginning, MIN(n, sizeof(beginning) - 1)) != 0) {
        return -EBADMSG;
    }
    if ((size ? size : n) > HTTP1_HEAD_MAX) {
        return -EMSGSIZE;
    }
    if (!size) {
        return 0;
    }
    struct slice rest = {p, size};
    if (parse_status_line(cut_line(&rest), &h)) {
        return -EBADMSG;
    }
    h.headers.p = rest.p;
    for (;;) {
        const char *begin = rest.p;
        struct slice line = cut_line(&rest);
        if (line.n == 0) {
            h.headers.n = (size_t)(begin - h.headers.p);
            break;
        }
        const char *colon = memchr(line.p, ':', line.n);
        struct slice name = {line.p, colon ? (size_t)(colon - line.p) : 0};
        if (!name.n || !all_of(name, TOKEN)) {
            return -EBADMSG;
        }
        struct slice value = {colon + 1, line.n - name.n - 1};
        if (!is_text(value) || read_header(name, slice_trim(value), &f)) {
            return -EBADMSG;
        }
    }
    int r = decide_framing(&f, to_head, &h);
    if (r) {
        return r;
    }
    *ret_head = h;
    return (ssize_t)size;
}

bool http1_next_header(struct slice *at, struct slice *ret_name, struct slice *ret_value)
{
    while (at->n) {
        struct slice line = cut_line(at);
        const char *colon = memchr(line.p, ':', line.n);
        if (colon) {
            *ret_name = (struct slice){line.p, (size_t)(colon - line.p)};
            *ret_value = slice_trim((struct slice){colon + 1, line.n - ret_name->n - 1});
            return true;
        }
    }
    return false;
}

enum {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    TRAILER_LINE,
    TRAILER_LF,
    LAST_LF
};

static int hex_digit(char c)
{
    if (is_digit(c)) {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// One byte that is not body. Returns 1 at the end, 0, or -EBADMSG.
static int step(struct http1_chunks *c, char b)
{
    int digit;

    switch (c->state) {
    case SIZE:
        digit = hex_digit(b);
        if (digit >= 0) {
            c->left = c->left * 16 + (unsigned)digit;
            return ++c->digits > 15 ? -EBADMSG : 0;
        }
        if (c->digits == 0 || (b != '\r' && b != ';' && b != ' ' && b != '\t')) {
            return -EBADMSG;
        }
        c->state = b == '\r' ? SIZE_LF : EXTENSION;
        return 0;
    case EXTENSION:
        c->state = b == '\r' ? SIZE_LF : EXTENSION;
        return b == '\n' || ++c->overhead > HTTP1_HEAD_MAX ? -EBADMSG : 0;
    case SIZE_LF:
        c->state = c->left ? DATA : TRAILER;
        c->digits = 0;
        return b == '\n' ? 0 : -EBADMSG;
    case DATA_CR:
        c->state = DATA_LF;
        return b == '\r' ? 0 : -EBADMSG;
    case DATA_LF:
        c->state = SIZE;
        return b == '\n' ? 0 : -EBADMSG;
    case TRAILER:
        c->state = b == '\r' ? LAST_LF : TRAILER_LINE;
        return b == '\n' ? -EBADMSG : 0;
    case TRAILER_LINE:
        c->state = b == '\r' ? TRAILER_LF : TRAILER_LINE;
        return b == '\n' || ++c->overhead > HTTP1_HEAD_MAX ? -EBADMSG : 0;
    case TRAILER_LF:
        c->state = TRAILER;
        return b == '\n' ? 0 : -EBADMSG;
    default: // LAST_LF
        return b == '\n' ? 1 : -EBADMSG;
    }
}

int http1_chunks_feed(struct http1_chunks *c, char *p, size_t n, size_t *ret_used, size_t *ret_body)
{
    size_t at = 0, out = 0;
    int r = 0;

    while (at < n && r == 0) {
        if (c->state == DATA) {
            size_t m = (size_t)MIN((uint64_t)(n - at), c->left);
            memmove(p + out, p + at, m);
            out += m;
            at += m;
            c->left -= m;
            c->state = c->left ? DATA : DATA_CR;
        } else {
            r = step(c, p[at++]);
        }
    }
    *ret_used = at;
    *ret_body = out;
    return r;
}
