// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "net/decode.h"
#include "unit.h"

// "brotli says hello" by the brotli tool.
static const unsigned char BROTLI[] = {0x0f, 0x08, 0x80, 0x62, 0x72, 0x6f, 0x74,
                                       0x6c, 0x69, 0x20, 0x73, 0x61, 0x79, 0x73,
                                       0x20, 0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x03};

static struct slice zip(const char *text, size_t n, int window, struct strbuf *out)
{
    z_stream z = {0};

    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)(uintptr_t)text;
    z.avail_in = (uInt)n;
    z.next_out = (Bytef *)strbuf_reserve(out, n + 1000);
    z.avail_out = (uInt)n + 1000;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n += z.total_out;
    deflateEnd(&z);
    return (struct slice){out->p, out->n};
}

static int decode(const char *encodings, struct slice in, size_t max, const char *expected)
{
    CLEANUP(strbuf_fini) struct strbuf out = STRBUF_NULL;
    char error[100] = "";
    int r = decode_body(slice_of(encodings), in, max, &out, error, sizeof(error));

    if (r) {
        ck_assert_int_eq(r, 1701);
        ck_assert_int_ne(error[0], 0);
        ck_assert_int_eq(out.n, 0);
    } else {
        ck_assert_str_eq(strbuf_str(&out), expected);
    }
    return r;
}

START_TEST(each_coding)
{
    static const char text[] = "hello hello hello hello";
    CLEANUP(strbuf_fini) struct strbuf gz = STRBUF_NULL, df = STRBUF_NULL, both = STRBUF_NULL;
    struct slice g = zip(text, strlen(text), 16 + MAX_WBITS, &gz);
    struct slice d = zip(text, strlen(text), MAX_WBITS, &df);
    struct slice twice = zip(d.p, d.n, 16 + MAX_WBITS, &both);
    char zs[200];
    struct slice z = {zs, ZSTD_compress(zs, sizeof(zs), text, strlen(text), 3)};

    ck_assert_int_eq(decode("gzip", g, 1000, text), 0);
    ck_assert_int_eq(decode(" GZIP ", g, 1000, text), 0);
    ck_assert_int_eq(decode("deflate", d, 1000, text), 0);
    ck_assert_int_eq(decode("deflate, gzip", twice, 1000, text), 0);
    ck_assert_int_eq(decode("zstd", z, 1000, text), 0);
    ck_assert_int_eq(decode("br", (struct slice){(const char *)BROTLI, sizeof(BROTLI)}, 1000,
                            "brotli says hello"),
                     0);
    ck_assert_int_eq(decode("identity", slice_of(text), 1000, text), 0);
    ck_assert_int_eq(decode("gzip", SLICE(""), 1000, ""), 0);
    // Cut off, and nonsense.
    ck_assert_int_eq(decode("gzip", (struct slice){g.p, g.n - 3}, 1000, ""), 1701);
    ck_assert_int_eq(decode("deflate", (struct slice){d.p, d.n - 6}, 1000, ""), 1701);
    ck_assert_int_eq(decode("zstd", (struct slice){z.p, z.n - 3}, 1000, ""), 1701);
    ck_assert_int_eq(decode("br", (struct slice){(const char *)BROTLI, 9}, 1000, ""), 1701);
    ck_assert_int_eq(decode("gzip", slice_of(text), 1000, ""), 1701);
    ck_assert_int_eq(decode("deflate", slice_of(text), 1000, ""), 1701);
    ck_assert_int_eq(decode("zstd", slice_of(text), 1000, ""), 1701);
    ck_assert_int_eq(decode("br", slice_of(text), 1000, ""), 1701);
    ck_assert(decode_needed(SLICE("identity, br")));
    ck_assert(!decode_needed(SLICE("identity")));
    ck_assert(!decode_needed((struct slice){0}));
}
END_TEST

START_TEST(is_bounded)
{
    size_t n = 10 << 20;
    char *zeros = xcalloc(1, n);
    char *small = xmalloc(n / 10);
    CLEANUP(strbuf_fini) struct strbuf gz = STRBUF_NULL, out = STRBUF_NULL;
    struct slice g = zip(zeros, n, 16 + MAX_WBITS, &gz);
    struct slice z = {small, ZSTD_compress(small, n / 10, zeros, n, 3)};
    char error[100];

    ck_assert_int_lt(g.n, 50000);
    ck_assert_int_eq(decode("gzip", g, n - 1, ""), 1701);
    ck_assert_int_eq(decode("zstd", z, n - 1, ""), 1701);
    ck_assert_int_eq(decode_body(SLICE("gzip"), g, n, &out, error, sizeof(error)), 0);
    ck_assert_int_eq(out.n, n);
    free(zeros);
    free(small);
}
END_TEST

UNIT_MAIN("net/decode", each_coding, is_bounded)
