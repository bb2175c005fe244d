// SPDX-License-Identifier: Apache-2.0
// k6/encoding: Base64 in four variants.
#include "js/vu.h"

static const char STD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static bool is_url(const char *variant)
{
    return !strcmp(variant, "url") || !strcmp(variant, "rawurl");
}

static bool is_raw(const char *variant)
{
    return !strcmp(variant, "rawstd") || !strcmp(variant, "rawurl");
}

void js_base64_encode(struct strbuf *out, struct slice bytes, const char *variant)
{
    const char *digits = is_url(variant) ? URL : STD;
    const unsigned char *p = (const unsigned char *)bytes.p;

    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                     (left > 2 ? (unsigned)p[i + 2] : 0);
        strbuf_addc(out, digits[v >> 18]);
        strbuf_addc(out, digits[v >> 12 & 63]);
        if (left > 1) {
            strbuf_addc(out, digits[v >> 6 & 63]);
        }
        if (left > 2) {
            strbuf_addc(out, digits[v & 63]);
        }
        for (size_t pad = left; pad < 3 && !is_raw(variant); pad++) {
            strbuf_addc(out, '=');
        }
    }
}

bool js_base64_decode(struct strbuf *out, struct slice text, const char *variant)
{
    const char *digits = is_url(variant) ? URL : STD;
    unsigned bits = 0, count = 0;
    size_t n = 0, pads = 0;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\n' || c == '\r') {
            continue;
        }
        if (c == '=' && !is_raw(variant)) {
            pads++;
            continue;
        }
        const char *digit = c ? strchr(digits, c) : NULL;
        if (!digit || pads) {
            return false;
        }
        n++;
        bits = bits << 6 | (unsigned)(digit - digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            strbuf_addc(out, (char)(bits >> count & 0xff));
        }
    }
    return n % 4 != 1 && (is_raw(variant) || (n + pads) % 4 == 0) && pads < 3;
}

static JSValue b64encode(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    CLEANUP(strbuf_fini) struct strbuf out = STRBUF_NULL;
    struct slice bytes;
    bool borrowed = argc && js_bytes(ctx, argv[0], &bytes);

    if (!borrowed && (argc < 1 || !js_slice(ctx, argv[0], &bytes))) {
        return argc < 1 ? js_throw(ctx, "b64encode() needs a string or an ArrayBuffer")
                        : JS_EXCEPTION;
    }
    const char *variant = argc > 1 && !js_is_nullish(argv[1]) ? JS_ToCString(ctx, argv[1]) : NULL;
    js_base64_encode(&out, bytes, variant ? variant : "std");
    JS_FreeCString(ctx, variant);
    if (!borrowed) {
        js_slice_free(ctx, bytes);
    }
    return JS_NewStringLen(ctx, strbuf_str(&out), out.n);
}

static JSValue b64decode(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    CLEANUP(strbuf_fini) struct strbuf out = STRBUF_NULL;
    struct slice text;

    if (argc < 1 || !js_slice(ctx, argv[0], &text)) {
        return argc < 1 ? js_throw(ctx, "b64decode() needs a string") : JS_EXCEPTION;
    }
    const char *variant = argc > 1 && !js_is_nullish(argv[1]) ? JS_ToCString(ctx, argv[1]) : NULL;
    bool good = js_base64_decode(&out, text, variant ? variant : "std");
    JS_FreeCString(ctx, variant);
    js_slice_free(ctx, text);
    if (!good) {
        return js_throw(ctx, "illegal base64 data");
    }
    const char *format = argc > 2 && !js_is_nullish(argv[2]) ? JS_ToCString(ctx, argv[2]) : NULL;
    bool as_text = format && !strcmp(format, "s");
    JS_FreeCString(ctx, format);
    struct slice bytes = {strbuf_str(&out), out.n};
    return as_text ? js_string_of_bytes(ctx, bytes)
                   : JS_NewArrayBufferCopy(ctx, (const uint8_t *)bytes.p, bytes.n);
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF2("b64encode", 2, b64encode, JS_PROP_C_W_E),
    JS_CFUNC_DEF2("b64decode", 3, b64decode, JS_PROP_C_W_E),
};

JSValue js_mod_encoding(JSContext *ctx)
{
    JSValue object = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, object, functions, ARRAY_SIZE(functions));
    return object;
}
