// SPDX-License-Identifier: Apache-2.0
// Little-endian bytes of snapshots. The reader never runs past its end: after the first failure
// everything reads as 0 and `bad` stays set.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

static inline void wire_u64(struct strbuf *b, uint64_t v)
{
    unsigned char p[8];

    for (int i = 0; i < 8; i++) {
        p[i] = (unsigned char)(v >> (8 * i));
    }
    strbuf_add(b, p, sizeof(p));
}

static inline void wire_varint(struct strbuf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) {
        strbuf_addc(b, (char)(v | 0x80));
    }
    strbuf_addc(b, (char)v);
}

static inline void wire_double(struct strbuf *b, double d)
{
    union {
        double d;
        uint64_t u;
    } bits = {d};

    wire_u64(b, bits.u);
}

static inline void wire_string(struct strbuf *b, const char *s)
{
    size_t n = strlen(s);

    wire_varint(b, n);
    strbuf_add(b, s, n);
}

struct wire_reader {
    const unsigned char *p, *end;
    bool bad;
};

static inline const unsigned char *wire_take(struct wire_reader *r, size_t n)
{
    if (r->bad || (size_t)(r->end - r->p) < n) {
        r->bad = true;
        return NULL;
    }
    r->p += n;
    return r->p - n;
}

static inline uint64_t wire_get_u64(struct wire_reader *r)
{
    const unsigned char *p = wire_take(r, 8);
    uint64_t v = 0;

    for (int i = 0; p && i < 8; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

static inline uint64_t wire_get_varint(struct wire_reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        const unsigned char *p = wire_take(r, 1);
        if (!p) {
            return 0;
        }
        v |= (uint64_t)(*p & 0x7f) << shift;
        if (!(*p & 0x80)) {
            return v;
        }
    }
    r->bad = true;
    return 0;
}

static inline double wire_get_double(struct wire_reader *r)
{
    union {
        uint64_t u;
        double d;
    } bits = {wire_get_u64(r)};

    return bits.d;
}

static inline struct slice wire_get_string(struct wire_reader *r)
{
    uint64_t n = wire_get_varint(r);
    const unsigned char *p = n <= (uint64_t)(r->end - r->p) ? wire_take(r, n) : NULL;

    r->bad |= !p;
    return p ? (struct slice){(const char *)p, n} : (struct slice){"", 0};
}
