// SPDX-License-Identifier: Apache-2.0
#include "codec/base64.h"

#include <errno.h>

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct slice text, struct strbuf *out)
{
    unsigned value = 0;
    unsigned digits = 0;
    unsigned pads = 0;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\n' || c == '\r' || c == ' ' || c == '\t') {
            continue;
        }
        pads += c == '=';
        if (c != '=' && (digit(c) < 0 || pads)) {
            return -EINVAL;
        }
        value = value << 6 | (c == '=' ? 0 : (unsigned)digit(c));
        if (++digits < 4) {
            continue;
        }
        if (pads > 2) {
            return -EINVAL;
        }
        char bytes[] = {(char)(value >> 16), (char)(value >> 8), (char)value};
        strbuf_add(out, bytes, 3 - pads);
        value = digits = 0;
    }
    return digits || pads > 2 ? -EINVAL : 0;
}
