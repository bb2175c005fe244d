// SPDX-License-Identifier: Apache-2.0
// The part of WebCrypto that most scripts use: random values, digests, HMAC keys.
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "js/vu.h"

static const struct {
    const char *web, *openssl;
    unsigned block;
} hashes[] = {{"SHA-1", "SHA1", 64},
              {"SHA-256", "SHA256", 64},
              {"SHA-384", "SHA384", 128},
              {"SHA-512", "SHA512", 128}};

static JSValue get_random_values(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct slice bytes;

    if (argc < 1 || JS_GetTypedArrayType(argv[0]) < 0 || !js_bytes(ctx, argv[0], &bytes)) {
        return JS_ThrowTypeError(ctx, "getRandomValues() needs an integer typed array");
    }
    if (bytes.n > 65536) {
        return js_throw(ctx, "QuotaExceededError: at most 65536 bytes at once");
    }
    rng_system_bytes((void *)(uintptr_t)bytes.p, (unsigned)bytes.n);
    return JS_DupValue(ctx, argv[0]);
}

static JSValue random_uuid(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    unsigned char b[16];
    char text[40];
    unsigned at = 0;

    rng_system_bytes(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (unsigned i = 0; i < sizeof b; i++) {
        bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        at += (unsigned)snprintf(text + at, sizeof text - at, dash ? "-%02x" : "%02x", b[i]);
    }
    return JS_NewString(ctx, text);
}

// A promise of the value, or of the pending exception.
static JSValue settled(JSContext *ctx, JSValue value)
{
    bool failed = JS_IsException(value);
    JSValue v = failed ? JS_GetException(ctx) : value;
    JSValue promise = JS_NewSettledPromise(ctx, failed, v);

    JS_FreeValue(ctx, v);
    return promise;
}

// The hash that a text or {name: …} (or {name: 'HMAC', hash: …}) stands for; -1 with an exception.
static int hash_of(JSContext *ctx, JSValueConst v)
{
    struct slice text;
    int found = -1;

    if (JS_IsObject(v)) {
        JSValue hash = JS_GetPropertyStr(ctx, v, "hash");
        JSValue inner =
            JS_IsUndefined(hash) ? JS_GetPropertyStr(ctx, v, "name") : JS_DupValue(ctx, hash);
        found = JS_IsException(inner) ? -1 : hash_of(ctx, inner);
        JS_FreeValue(ctx, inner);
        JS_FreeValue(ctx, hash);
        return found;
    }
    if (!js_slice(ctx, v, &text)) {
        return -1;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(hashes); i++) {
        if (slice_eq_nocase(text, slice_of(hashes[i].web))) {
            found = (int)i;
        }
    }
    js_slice_free(ctx, text);
    if (found < 0) {
        js_throw(ctx, "NotSupportedError: unsupported hash algorithm");
    }
    return found;
}

static JSValue digest(JSContext *ctx, int argc, JSValueConst *argv)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    struct slice bytes;
    unsigned n = 0;

    if (argc < 2 || !js_bytes(ctx, argv[1], &bytes)) {
        return JS_ThrowTypeError(ctx, "digest() needs an algorithm and bytes");
    }
    int which = hash_of(ctx, argv[0]);
    if (which < 0) {
        return JS_EXCEPTION;
    }
    EVP_MD *md = EVP_MD_fetch(NULL, hashes[which].openssl, NULL);
    ASSERT(md && EVP_Digest(bytes.p ? bytes.p : "", bytes.n, sum, &n, md, NULL) == 1);
    EVP_MD_free(md);
    return JS_NewArrayBufferCopy(ctx, sum, n);
}

static JSValue subtle_digest(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    return settled(ctx, digest(ctx, argc, argv));
}

// ---- HMAC keys: a CryptoKey object; the bytes are kept out of the script's sight

struct key {
    unsigned which;
    bool extractable;
    size_t n;
    unsigned char bytes[];
};

static void finalize(JSRuntime *rt, JSValueConst object)
{
    struct key *k = JS_GetOpaque(object, js_class[JS_CLS_KEY]);

    if (k) {
        OPENSSL_cleanse(k->bytes, k->n);
        free(k);
    }
}
const JSClassDef js_key_class = {"CryptoKey", .finalizer = finalize};

static JSValue key_object(JSContext *ctx, struct key *k, JSValueConst usages)
{
    JSValue proto = JS_NewObject(ctx);
    JSValue object = JS_NewObjectProtoClass(ctx, proto, js_class[JS_CLS_KEY]);
    JSValue algorithm = JS_NewObject(ctx), hash = JS_NewObject(ctx);

    JS_FreeValue(ctx, proto);
    JS_SetOpaque(object, k);
    JS_SetPropertyStr(ctx, hash, "name", JS_NewString(ctx, hashes[k->which].web));
    JS_SetPropertyStr(ctx, algorithm, "name", JS_NewString(ctx, "HMAC"));
    JS_SetPropertyStr(ctx, algorithm, "hash", hash);
    JS_SetPropertyStr(ctx, algorithm, "length", JS_NewInt64(ctx, (int64_t)k->n * 8));
    JS_SetPropertyStr(ctx, object, "type", JS_NewString(ctx, "secret"));
    JS_SetPropertyStr(ctx, object, "extractable", JS_NewBool(ctx, k->extractable));
    JS_SetPropertyStr(ctx, object, "algorithm", algorithm);
    JS_SetPropertyStr(ctx, object, "usages", JS_DupValue(ctx, usages));
    return object;
}

static bool is_hmac(JSContext *ctx, JSValueConst v)
{
    JSValue name = JS_IsObject(v) ? JS_GetPropertyStr(ctx, v, "name") : JS_DupValue(ctx, v);
    struct slice text;
    bool yes = JS_IsString(name) && js_slice(ctx, name, &text);

    if (yes) {
        yes = slice_eq_nocase(text, SLICE("HMAC"));
        js_slice_free(ctx, text);
    }
    JS_FreeValue(ctx, name);
    if (!yes && !JS_HasException(ctx)) {
        js_throw(ctx, "NotSupportedError: of the key algorithms only HMAC is supported");
    }
    return yes;
}

static struct key *new_key(unsigned which, size_t n, bool extractable)
{
    struct key *k = xcalloc(1, sizeof *k + n);

    k->which = which;
    k->n = n;
    k->extractable = extractable;
    return k;
}

static bool is_raw(JSContext *ctx, JSValueConst format)
{
    struct slice text;

    if (!js_slice(ctx, format, &text)) {
        return false;
    }
    bool raw = slice_eqs(text, "raw");
    js_slice_free(ctx, text);
    if (!raw) {
        js_throw(ctx, "NotSupportedError: of the key formats only 'raw' is supported");
    }
    return raw;
}

// (format, bytes, algorithm, extractable, usages)
static JSValue import_key(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct slice bytes;

    if (argc < 5 || !is_raw(ctx, argv[0]) || !is_hmac(ctx, argv[2]) ||
        !js_bytes(ctx, argv[1], &bytes)) {
        return settled(ctx, JS_HasException(ctx)
                                ? JS_EXCEPTION
                                : JS_ThrowTypeError(ctx, "importKey() needs a format, bytes, "
                                                         "an algorithm, extractable and usages"));
    }
    int which = hash_of(ctx, argv[2]);
    if (which < 0) {
        return settled(ctx, JS_EXCEPTION);
    }
    struct key *k = new_key((unsigned)which, bytes.n, JS_ToBool(ctx, argv[3]) == 1);
    memcpy(k->bytes, bytes.p ? bytes.p : "", bytes.n);
    return settled(ctx, key_object(ctx, k, argv[4]));
}

// (algorithm, extractable, usages)
static JSValue generate_key(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    int which = argc >= 3 && is_hmac(ctx, argv[0]) ? hash_of(ctx, argv[0]) : -1;

    if (which < 0) {
        return settled(ctx, JS_HasException(ctx)
                                ? JS_EXCEPTION
                                : JS_ThrowTypeError(ctx, "generateKey() needs an algorithm, "
                                                         "extractable and usages"));
    }
    struct key *k = new_key((unsigned)which, hashes[which].block, JS_ToBool(ctx, argv[1]) == 1);
    rng_system_bytes(k->bytes, (unsigned)k->n);
    return settled(ctx, key_object(ctx, k, argv[2]));
}

static JSValue export_key(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    const struct key *k = argc >= 2 && is_raw(ctx, argv[0])
                              ? JS_GetOpaque2(ctx, argv[1], js_class[JS_CLS_KEY])
                              : NULL;

    if (k && !k->extractable) {
        return settled(ctx, js_throw(ctx, "InvalidAccessError: the key is not extractable"));
    }
    if (!k && !JS_HasException(ctx)) {
        JS_ThrowTypeError(ctx, "exportKey() needs a format and a key");
    }
    return settled(ctx, k ? JS_NewArrayBufferCopy(ctx, k->bytes, k->n) : JS_EXCEPTION);
}

// HMAC of argv[data] with argv[1]; false with an exception.
static bool
hmac(JSContext *ctx, int argc, JSValueConst *argv, int data, unsigned char *out, unsigned *ret_n)
{
    struct slice bytes;

    if (argc <= data || !is_hmac(ctx, argv[0]) || !js_bytes(ctx, argv[data], &bytes)) {
        if (!JS_HasException(ctx)) {
            JS_ThrowTypeError(ctx, "an algorithm, a key and bytes are needed");
        }
        return false;
    }
    const struct key *k = JS_GetOpaque2(ctx, argv[1], js_class[JS_CLS_KEY]);
    if (!k) {
        return false;
    }
    const EVP_MD *md = EVP_get_digestbyname(hashes[k->which].openssl);
    ASSERT(md && HMAC(md, k->bytes, (int)k->n, (const unsigned char *)(bytes.p ? bytes.p : ""),
                      bytes.n, out, ret_n));
    return true;
}

static JSValue sign(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    bool good = hmac(ctx, argc, argv, 2, sum, &n);

    return settled(ctx, good ? JS_NewArrayBufferCopy(ctx, sum, n) : JS_EXCEPTION);
}

static JSValue verify(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    struct slice given;
    unsigned n = 0;

    if (!hmac(ctx, argc, argv, 3, sum, &n)) {
        return settled(ctx, JS_EXCEPTION);
    }
    bool same =
        js_bytes(ctx, argv[2], &given) && given.n == n && CRYPTO_memcmp(given.p, sum, n) == 0;
    return settled(ctx, JS_NewBool(ctx, same));
}

JSValue js_webcrypto(JSContext *ctx)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF2("getRandomValues", 1, get_random_values, JS_PROP_C_W_E),
        JS_CFUNC_DEF2("randomUUID", 0, random_uuid, JS_PROP_C_W_E),
    };
    static const JSCFunctionListEntry subtle_functions[] = {
        JS_CFUNC_DEF2("digest", 2, subtle_digest, JS_PROP_C_W_E),
        JS_CFUNC_DEF2("importKey", 5, import_key, JS_PROP_C_W_E),
        JS_CFUNC_DEF2("exportKey", 2, export_key, JS_PROP_C_W_E),
        JS_CFUNC_DEF2("generateKey", 3, generate_key, JS_PROP_C_W_E),
        JS_CFUNC_DEF2("sign", 3, sign, JS_PROP_C_W_E),
        JS_CFUNC_DEF2("verify", 4, verify, JS_PROP_C_W_E),
    };
    JSValue crypto = JS_NewObject(ctx);
    JSValue subtle = JS_NewObject(ctx);

    JS_SetPropertyFunctionList(ctx, subtle, subtle_functions, ARRAY_SIZE(subtle_functions));
    JS_SetPropertyFunctionList(ctx, crypto, functions, ARRAY_SIZE(functions));
    JS_SetPropertyStr(ctx, crypto, "subtle", subtle);
    return crypto;
}
