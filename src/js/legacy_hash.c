// SPDX-License-Identifier: Apache-2.0
#include "js/legacy_hash.h"

#include <stdint.h>

static uint32_t rotate(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

// Feeds the message, padded as MD4 and its children do, to `block` in pieces of 16 words.
static void
feed(struct slice bytes, uint32_t *state, void (*block)(uint32_t *state, const uint32_t *x))
{
    size_t padded = (bytes.n + 8) / 64 * 64 + 64;
    uint32_t x[16] = {0};

    for (size_t i = 0; i < padded; i++) {
        uint64_t bits = (uint64_t)bytes.n * 8;
        unsigned char c = i < bytes.n       ? (unsigned char)bytes.p[i]
                          : i == bytes.n    ? 0x80
                          : i + 8 >= padded ? (unsigned char)(bits >> (8 * (i + 8 - padded)))
                                            : 0;
        x[i / 4 % 16] |= (uint32_t)c << (8 * (i % 4));
        if (i % 64 == 63) {
            block(state, x);
            memset(x, 0, sizeof x);
        }
    }
}

static void store(const uint32_t *state, unsigned words, unsigned char *out)
{
    for (unsigned i = 0; i < words * 4; i++) {
        out[i] = (unsigned char)(state[i / 4] >> (8 * (i % 4)));
    }
}

static void md4_block(uint32_t *s, const uint32_t *x)
{
    static const unsigned char order[3][16] = {
        {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
        {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15},
        {0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15}};
    static const unsigned char shift[3][4] = {{3, 7, 11, 19}, {3, 5, 9, 13}, {3, 9, 11, 15}};
    static const uint32_t constant[3] = {0, 0x5a827999, 0x6ed9eba1};
    uint32_t a = s[0], b = s[1], c = s[2], d = s[3];

    for (unsigned i = 0; i < 48; i++) {
        unsigned round = i / 16;
        uint32_t f = round == 0   ? (b & c) | (~b & d)
                     : round == 1 ? (b & c) | (b & d) | (c & d)
                                  : b ^ c ^ d;
        uint32_t t = rotate(a + f + x[order[round][i % 16]] + constant[round], shift[round][i % 4]);
        a = d;
        d = c;
        c = b;
        b = t;
    }
    s[0] += a;
    s[1] += b;
    s[2] += c;
    s[3] += d;
}

void legacy_md4(struct slice bytes, unsigned char ret_sum[16])
{
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};

    feed(bytes, state, md4_block);
    store(state, 4, ret_sum);
}

static uint32_t ripemd_f(unsigned round, uint32_t x, uint32_t y, uint32_t z)
{
    switch (round) {
    case 0:
        return x ^ y ^ z;
    case 1:
        return (x & y) | (~x & z);
    case 2:
        return (x | ~y) ^ z;
    case 3:
        return (x & z) | (y & ~z);
    default:
        return x ^ (y | ~z);
    }
}

static void ripemd_block(uint32_t *s, const uint32_t *x)
{
    static const unsigned char order[2][80] = {
        {0,  1, 2,  3, 4,  5,  6, 7,  8, 9,  10, 11, 12, 13, 14, 15, 7,  4,  13, 1,
         10, 6, 15, 3, 12, 0,  9, 5,  2, 14, 11, 8,  3,  10, 14, 4,  9,  15, 8,  1,
         2,  7, 0,  6, 13, 11, 5, 12, 1, 9,  11, 10, 0,  8,  12, 4,  13, 3,  7,  15,
         14, 5, 6,  2, 4,  0,  5, 9,  7, 12, 2,  10, 14, 1,  3,  8,  11, 6,  15, 13},
        {5,  14, 7,  0,  9,  2,  11, 4,  13, 6, 15, 8, 1,  10, 3,  12, 6, 11, 3, 7,
         0,  13, 5,  10, 14, 15, 8,  12, 4,  9, 1,  2, 15, 5,  1,  3,  7, 14, 6, 9,
         11, 8,  12, 2,  10, 0,  4,  13, 8,  6, 4,  1, 3,  11, 15, 0,  5, 12, 2, 13,
         9,  7,  10, 14, 12, 15, 10, 4,  1,  5, 8,  7, 6,  2,  13, 14, 0, 3,  9, 11}};
    static const unsigned char shift[2][80] = {
        {11, 14, 15, 12, 5, 8,  7,  9,  11, 13, 14, 15, 6,  7,  9,  8,  7,  6,  8,  13,
         11, 9,  7,  15, 7, 12, 15, 9,  11, 7,  13, 12, 11, 13, 6,  7,  14, 9,  13, 15,
         14, 8,  13, 6,  5, 12, 7,  5,  11, 12, 14, 15, 14, 15, 9,  8,  9,  14, 5,  6,
         8,  6,  5,  12, 9, 15, 5,  11, 6,  8,  13, 12, 5,  12, 13, 14, 11, 8,  5,  6},
        {8,  9,  9,  11, 13, 15, 15, 5, 7,  7,  8,  11, 14, 14, 12, 6,  9,  13, 15, 7,
         12, 8,  9,  11, 7,  7,  12, 7, 6,  15, 13, 11, 9,  7,  15, 11, 8,  6,  6,  14,
         12, 13, 5,  14, 13, 13, 7,  5, 15, 5,  8,  11, 14, 14, 6,  14, 6,  9,  12, 9,
         12, 5,  15, 8,  8,  5,  12, 9, 12, 5,  14, 6,  8,  13, 6,  5,  15, 13, 11, 11}};
    static const uint32_t constant[2][5] = {{0, 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xa953fd4e},
                                            {0x50a28be6, 0x5c4dd124, 0x6d703ef3, 0x7a6d76e9, 0}};
    uint32_t line[2][5];

    for (unsigned k = 0; k < 2; k++) {
        uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4];
        for (unsigned i = 0; i < 80; i++) {
            unsigned round = i / 16;
            uint32_t f = ripemd_f(k ? 4 - round : round, b, c, d);
            uint32_t t = rotate(a + f + x[order[k][i]] + constant[k][round], shift[k][i]) + e;
            a = e;
            e = d;
            d = rotate(c, 10);
            c = b;
            b = t;
        }
        memcpy(line[k], (uint32_t[]){a, b, c, d, e}, sizeof line[k]);
    }
    uint32_t t = s[1] + line[0][2] + line[1][3];
    s[1] = s[2] + line[0][3] + line[1][4];
    s[2] = s[3] + line[0][4] + line[1][0];
    s[3] = s[4] + line[0][0] + line[1][1];
    s[4] = s[0] + line[0][1] + line[1][2];
    s[0] = t;
}

void legacy_ripemd160(struct slice bytes, unsigned char ret_sum[20])
{
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

    feed(bytes, state, ripemd_block);
    store(state, 5, ret_sum);
}
