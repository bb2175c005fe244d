// SPDX-License-Identifier: Apache-2.0
#include "net/decode.h"

#include <brotli/decode.h>
#include <stdio.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "net/neterr.h"

enum { ROOM = 16 * 1024 };

// One coding: appends what `in` decodes to. NULL, or what is wrong.
typedef const char *decoder(struct slice in, size_t max, struct strbuf *out);

static const char TOO_LARGE[] = "decompressed body is too large";

// The first byte past the limit is enough to know.
static size_t room_for(const struct strbuf *out, size_t start, size_t max)
{
    size_t have = out->n - start;

    return have > max ? 0 : MIN(max - have + 1, (size_t)ROOM);
}

static const char *inflate_all(struct slice in, int window, size_t max, struct strbuf *out)
{
    z_stream z = {0};
    size_t start = out->n;
    const char *wrong = NULL;
    int r = Z_OK;

    if (inflateInit2(&z, window) != Z_OK) {
        return "out of memory";
    }
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    while (!wrong) {
        size_t room = room_for(out, start, max);
        if (!room) {
            wrong = TOO_LARGE;
            break;
        }
        z.next_out = (Bytef *)strbuf_reserve(out, room);
        z.avail_out = (uInt)room;
        r = inflate(&z, Z_NO_FLUSH);
        out->n += room - z.avail_out;
        if (r == Z_STREAM_END) {
            // A gzip body may be several members (RFC 1952 2.2).
            if (z.avail_in == 0 || window != 16 + MAX_WBITS) {
                break;
            }
            r = inflateReset(&z);
        } else if (r == Z_BUF_ERROR && z.avail_in == 0) {
            wrong = "unexpected EOF";
        } else if (r != Z_OK) {
            wrong = "invalid data";
        }
    }
    inflateEnd(&z);
    return wrong;
}

static const char *decode_gzip(struct slice in, size_t max, struct strbuf *out)
{
    return inflate_all(in, 16 + MAX_WBITS, max, out);
}

static const char *decode_deflate(struct slice in, size_t max, struct strbuf *out)
{
    return inflate_all(in, MAX_WBITS, max, out);
}

static const char *decode_brotli(struct slice in, size_t max, struct strbuf *out)
{
    BrotliDecoderState *s = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    const uint8_t *next = (const uint8_t *)in.p;
    size_t left = in.n, start = out->n;
    const char *wrong = NULL;

    for (;;) {
        size_t room = room_for(out, start, max);
        if (!room) {
            wrong = TOO_LARGE;
            break;
        }
        uint8_t *to = (uint8_t *)strbuf_reserve(out, room);
        size_t free_room = room;
        BrotliDecoderResult r =
            BrotliDecoderDecompressStream(s, &left, &next, &free_room, &to, NULL);
        out->n += room - free_room;
        if (r == BROTLI_DECODER_RESULT_SUCCESS) {
            wrong = left ? "invalid data" : NULL;
            break;
        }
        if (r != BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT) {
            wrong = r == BROTLI_DECODER_RESULT_ERROR ? "invalid data" : "unexpected EOF";
            break;
        }
    }
    BrotliDecoderDestroyInstance(s);
    return wrong;
}

static const char *decode_zstd(struct slice in, size_t max, struct strbuf *out)
{
    ZSTD_DStream *s = ZSTD_createDStream();
    ZSTD_inBuffer from = {in.p, in.n, 0};
    size_t start = out->n, r = 1;
    const char *wrong = NULL;

    // The window is memory that the sender chooses.
    ZSTD_DCtx_setParameter(s, ZSTD_d_windowLogMax, 27);
    while (!wrong) {
        size_t room = room_for(out, start, max);
        if (!room) {
            wrong = TOO_LARGE;
            break;
        }
        ZSTD_outBuffer to = {strbuf_reserve(out, room), room, 0};
        size_t before = from.pos;
        r = ZSTD_decompressStream(s, &to, &from);
        out->n += to.pos;
        if (ZSTD_isError(r)) {
            wrong = "invalid data";
        } else if (from.pos == from.size && to.pos < room) {
            wrong = r ? "unexpected EOF" : NULL;
            break;
        } else if (from.pos == before && to.pos == 0) {
            wrong = "invalid data";
        }
    }
    ZSTD_freeDStream(s);
    return wrong;
}

static decoder *find(struct slice name)
{
    return slice_eq_nocase(name, SLICE("gzip"))      ? decode_gzip
           : slice_eq_nocase(name, SLICE("deflate")) ? decode_deflate
           : slice_eq_nocase(name, SLICE("br"))      ? decode_brotli
           : slice_eq_nocase(name, SLICE("zstd"))    ? decode_zstd
                                                     : NULL;
}

bool decode_needed(struct slice encodings)
{
    while (encodings.n) {
        if (find(slice_trim(slice_cut(&encodings, ',')))) {
            return true;
        }
    }
    return false;
}

int decode_body(struct slice encodings,
                struct slice body,
                size_t max,
                struct strbuf *out,
                char *ret_error,
                size_t error_size)
{
    CLEANUP(strbuf_fini) struct strbuf result = STRBUF_NULL;
    struct slice in = body;

    if (body.n > UINT32_MAX) {
        snprintf(ret_error, error_size, "%s", TOO_LARGE);
        return NETERR_DECOMPRESSION;
    }
    while (encodings.n) {
        const char *comma = memrchr(encodings.p, ',', encodings.n);
        struct slice name = encodings;
        if (comma) {
            name = (struct slice){comma + 1, (size_t)(encodings.p + encodings.n - comma) - 1};
        }
        encodings.n = comma ? (size_t)(comma - encodings.p) : 0;
        decoder *decode = find(slice_trim(name));
        if (!decode) {
            continue;
        }
        struct strbuf next = STRBUF_NULL;
        // An empty body decodes to nothing: HEAD, and servers that announce it all the same.
        const char *wrong = in.n ? decode(in, max, &next) : NULL;
        wrong = wrong ? wrong : next.n > max ? TOO_LARGE : NULL;
        strbuf_fini(&result);
        result = next;
        if (wrong) {
            snprintf(ret_error, error_size, "decompression (%.*s): %s", (int)slice_trim(name).n,
                     slice_trim(name).p, wrong);
            return NETERR_DECOMPRESSION;
        }
        in = (struct slice){strbuf_str(&result), result.n};
    }
    strbuf_add(out, in.p, in.n);
    return 0;
}
