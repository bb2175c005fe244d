// SPDX-License-Identifier: Apache-2.0
// k6/crypto. Digests are OpenSSL's; MD4 and
// RIPEMD-160, which OpenSSL 3 keeps in its legacy provider, come from js/legacy_hash.h.
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "js/legacy_hash.h"
#include "js/vu.h"

#define BLOCK_MAX 128 // of all hashes here

static const struct hash {
    const char *name, *openssl; // NULL: ours
    unsigned block, size;
} hashes[] = {
    {"md4", NULL, 64, 16},
    {"md5", "MD5", 64, 16},
    {"sha1", "SHA1", 64, 20},
    {"sha256", "SHA256", 64, 32},
    {"sha384", "SHA384", 128, 48},
    {"sha512", "SHA512", 128, 64},
    {"sha512_224", "SHA512-224", 128, 28},
    {"sha512_256", "SHA512-256", 128, 32},
    {"ripemd160", NULL, 64, 20},
};

static const struct hash *find_hash(const char *name)
{
    for (unsigned i = 0; name && i < ARRAY_SIZE(hashes); i++) {
        if (!strcmp(hashes[i].name, name)) {
            return &hashes[i];
        }
    }
    return NULL;
}

static void digest(const struct hash *h, struct slice bytes, unsigned char *out)
{
    if (h->openssl) {
        unsigned n = 0;
        EVP_MD *md = EVP_MD_fetch(NULL, h->openssl, NULL);
        ASSERT(md && EVP_Digest(bytes.p ? bytes.p : "", bytes.n, out, &n, md, NULL) == 1);
        EVP_MD_free(md);
    } else if (h->block == 64 && h->size == 16) {
        legacy_md4(bytes, out);
    } else {
        legacy_ripemd160(bytes, out);
    }
}

// RFC 2104.
static void hmac(const struct hash *h, struct slice key, struct slice bytes, unsigned char *out)
{
    CLEANUP(strbuf_fini) struct strbuf inner = STRBUF_NULL, outer = STRBUF_NULL;
    unsigned char pad[BLOCK_MAX] = {0}, sum[EVP_MAX_MD_SIZE];

    if (key.n > h->block) {
        digest(h, key, pad);
    } else if (key.n) {
        memcpy(pad, key.p, key.n);
    }
    for (unsigned i = 0; i < h->block; i++) {
        strbuf_addc(&inner, (char)(pad[i] ^ 0x36));
        strbuf_addc(&outer, (char)(pad[i] ^ 0x5c));
    }
    strbuf_add(&inner, bytes.p, bytes.n);
    digest(h, (struct slice){inner.p, inner.n}, sum);
    strbuf_add(&outer, sum, h->size);
    digest(h, (struct slice){outer.p, outer.n}, out);
    OPENSSL_cleanse(pad, sizeof pad);
    OPENSSL_cleanse(inner.p, h->block);
    OPENSSL_cleanse(outer.p, h->block);
}

static JSValue encode(JSContext *ctx, const unsigned char *p, unsigned n, JSValueConst encoding)
{
    const char *name = JS_ToCString(ctx, encoding);
    CLEANUP(strbuf_fini) struct strbuf out = STRBUF_NULL;
    struct slice bytes = {(const char *)p, n};
    JSValue result = JS_UNDEFINED;

    if (!name) {
        return JS_EXCEPTION;
    }
    if (!strcmp(name, "hex")) {
        for (unsigned i = 0; i < n; i++) {
            strbuf_addf(&out, "%02x", p[i]);
        }
    } else if (!strcmp(name, "base64")) {
        js_base64_encode(&out, bytes, "std");
    } else if (!strcmp(name, "base64url")) {
        js_base64_encode(&out, bytes, "url");
    } else if (!strcmp(name, "base64rawurl")) {
        js_base64_encode(&out, bytes, "rawurl");
    } else if (!strcmp(name, "binary")) {
        result = JS_NewArrayBufferCopy(ctx, p, n);
    } else {
        result = js_throw(ctx, "invalid output encoding: %s", name);
    }
    JS_FreeCString(ctx, name);
    return JS_IsUndefined(result) ? JS_NewStringLen(ctx, strbuf_str(&out), out.n) : result;
}

// Text or bytes. The slice must be given to drop_input().
static bool
input(JSContext *ctx, int argc, JSValueConst *argv, int i, struct slice *ret, bool *ret_owned)
{
    *ret_owned = false;
    if (i < argc && js_bytes(ctx, argv[i], ret)) {
        return true;
    }
    if (i >= argc || !JS_IsString(argv[i])) {
        js_throw(ctx, "invalid type, expected a string or an ArrayBuffer");
        return false;
    }
    *ret_owned = true;
    return js_slice(ctx, argv[i], ret);
}

static void drop_input(JSContext *ctx, struct slice s, bool owned)
{
    if (owned) {
        js_slice_free(ctx, s);
    }
}

static JSValue one_hash(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int which)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    struct slice bytes;
    bool owned;

    if (!input(ctx, argc, argv, 0, &bytes, &owned)) {
        return JS_EXCEPTION;
    }
    digest(&hashes[which], bytes, sum);
    drop_input(ctx, bytes, owned);
    return encode(ctx, sum, hashes[which].size, argc > 1 ? argv[1] : JS_UNDEFINED);
}

static const struct hash *hash_argument(JSContext *ctx, JSValueConst v)
{
    const char *name = JS_ToCString(ctx, v);
    const struct hash *h = find_hash(name);

    if (name && !h) {
        js_throw(ctx, "invalid hash algorithm: %s", name);
    }
    JS_FreeCString(ctx, name);
    return h;
}

static JSValue one_hmac(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    const struct hash *h = hash_argument(ctx, argc ? argv[0] : JS_UNDEFINED);
    unsigned char sum[EVP_MAX_MD_SIZE];
    struct slice key, bytes;
    bool own_key, own_bytes;

    if (!h || !input(ctx, argc, argv, 1, &key, &own_key)) {
        return JS_EXCEPTION;
    }
    if (!input(ctx, argc, argv, 2, &bytes, &own_bytes)) {
        drop_input(ctx, key, own_key);
        return JS_EXCEPTION;
    }
    hmac(h, key, bytes, sum);
    drop_input(ctx, bytes, own_bytes);
    drop_input(ctx, key, own_key);
    return encode(ctx, sum, h->size, argc > 3 ? argv[3] : JS_UNDEFINED);
}

// ---- Hasher: collects what it is given; digest() does not end it

struct hasher {
    const struct hash *hash;
    bool keyed;
    struct strbuf key, bytes;
};

static void hasher_finalize(JSRuntime *rt, JSValueConst object)
{
    struct hasher *h = JS_GetOpaque(object, js_class[JS_CLS_HASHER]);

    if (h) {
        strbuf_fini(&h->key);
        strbuf_fini(&h->bytes);
        free(h);
    }
}
const JSClassDef js_hasher_class = {"Hasher", .finalizer = hasher_finalize};

static JSValue hasher_update(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct hasher *h = JS_GetOpaque2(ctx, self, js_class[JS_CLS_HASHER]);
    struct slice bytes;
    bool owned;

    if (!h || !input(ctx, argc, argv, 0, &bytes, &owned)) {
        return JS_EXCEPTION;
    }
    strbuf_add(&h->bytes, bytes.p, bytes.n);
    drop_input(ctx, bytes, owned);
    return JS_UNDEFINED;
}

static JSValue hasher_digest(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    const struct hasher *h = JS_GetOpaque2(ctx, self, js_class[JS_CLS_HASHER]);
    unsigned char sum[EVP_MAX_MD_SIZE];

    if (!h) {
        return JS_EXCEPTION;
    }
    struct slice bytes = {strbuf_str(&h->bytes), h->bytes.n};
    if (h->keyed) {
        hmac(h->hash, (struct slice){strbuf_str(&h->key), h->key.n}, bytes, sum);
    } else {
        digest(h->hash, bytes, sum);
    }
    return encode(ctx, sum, h->hash->size, argc ? argv[0] : JS_UNDEFINED);
}

static JSValue
create_hasher(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, int keyed)
{
    const struct hash *hash = hash_argument(ctx, argc ? argv[0] : JS_UNDEFINED);
    struct slice key = {0};
    bool owned = false;

    if (!hash || (keyed && !input(ctx, argc, argv, 1, &key, &owned))) {
        return JS_EXCEPTION;
    }
    JSValue object = JS_NewObjectClass(ctx, (int)js_class[JS_CLS_HASHER]);
    struct hasher *h = XNEW(struct hasher);
    h->hash = hash;
    h->keyed = keyed;
    strbuf_add(&h->key, key.p, key.n);
    drop_input(ctx, key, owned);
    JS_SetOpaque(object, h);
    JS_SetPropertyStr(ctx, object, "update", JS_NewCFunction(ctx, hasher_update, "update", 1));
    JS_SetPropertyStr(ctx, object, "digest", JS_NewCFunction(ctx, hasher_digest, "digest", 1));
    return object;
}

// ---- random

static JSValue random_bytes(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    int64_t n = 0;

    if (argc < 1 || JS_ToInt64(ctx, &n, argv[0]) || n < 1 || n > 64 << 20) {
        return JS_HasException(ctx) ? JS_EXCEPTION : js_throw(ctx, "invalid size");
    }
    CLEANUP_FREE unsigned char *p = xmalloc((size_t)n);
    rng_system_bytes(p, (unsigned)n);
    return JS_NewArrayBufferCopy(ctx, p, (size_t)n);
}

static JSValue hex_encode(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    CLEANUP(strbuf_fini) struct strbuf out = STRBUF_NULL;
    struct slice bytes;
    bool owned;

    if (!input(ctx, argc, argv, 0, &bytes, &owned)) {
        return JS_EXCEPTION;
    }
    for (size_t i = 0; i < bytes.n; i++) {
        strbuf_addf(&out, "%02x", (unsigned char)bytes.p[i]);
    }
    drop_input(ctx, bytes, owned);
    return JS_NewString(ctx, strbuf_str(&out));
}

JSValue js_mod_crypto(JSContext *ctx)
{
    static const JSCFunctionListEntry functions[] = {
        JS_CFUNC_DEF2("hmac", 4, one_hmac, JS_PROP_C_W_E),
        JS_CFUNC_MAGIC_DEF("createHash", 1, create_hasher, 0),
        JS_CFUNC_MAGIC_DEF("createHMAC", 2, create_hasher, 1),
        JS_CFUNC_DEF2("randomBytes", 1, random_bytes, JS_PROP_C_W_E),
        JS_CFUNC_DEF2("hexEncode", 1, hex_encode, JS_PROP_C_W_E),
    };
    JSValue object = JS_NewObject(ctx);

    for (unsigned i = 0; i < ARRAY_SIZE(hashes); i++) {
        JS_SetPropertyStr(
            ctx, object, hashes[i].name,
            JS_NewCFunctionMagic(ctx, one_hash, hashes[i].name, 2, JS_CFUNC_generic_magic, (int)i));
    }
    JS_SetPropertyFunctionList(ctx, object, functions, ARRAY_SIZE(functions));
    return object;
}
