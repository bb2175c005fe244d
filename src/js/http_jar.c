// SPDX-License-Identifier: Apache-2.0
// Cookies: the CookieJar class, the Cookie header of a hop, res.cookies.
#include "js/http.h"
#include "net/cookie.h"

// Opaque: a jar of its own, or NULL for the virtual user's.
static void finalize(JSRuntime *rt, JSValueConst object)
{
    struct cookie_jar *jar = JS_GetOpaque(object, js_class[JS_CLS_JAR]);

    if (jar) {
        cookie_jar_free(jar);
    }
}
const JSClassDef js_jar_class = {"CookieJar", .finalizer = finalize};

struct cookie_jar *js_jar_of(struct script_vu *vu, JSValueConst object)
{
    struct cookie_jar *jar;

    if (!JS_IsObject(object) || JS_GetClassID(object) != js_class[JS_CLS_JAR]) {
        return NULL;
    }
    jar = JS_GetOpaque(object, js_class[JS_CLS_JAR]);
    return jar ? jar : vu->jar;
}

static struct cookie_url place_of(const struct js_url *u)
{
    return (struct cookie_url){u->tls, u->host, u->path};
}

// ---- requests and responses

static bool is_replaced(const struct js_request *r, struct slice name)
{
    for (unsigned i = 0; i < r->cookie_count; i++) {
        if (r->cookies[i].replace && slice_eq(r->cookies[i].name, name)) {
            return true;
        }
    }
    return false;
}

static void
add_pair(struct strbuf *out, struct slice name, struct slice value, bool quoted, bool first)
{
    strbuf_adds(out, first ? "" : "; ");
    strbuf_add(out, name.p, name.n);
    strbuf_adds(out, quoted ? "=\"" : "=");
    strbuf_add(out, value.p, value.n);
    strbuf_adds(out, quoted ? "\"" : "");
}

bool js_cookies_header(struct js_request *r, const struct js_url *url, struct strbuf *out)
{
    struct cookie_jar *jar = r->jar ? r->jar : r->vu->jar;
    struct cookie_url place = place_of(url);
    const struct cookie *kept = NULL;
    size_t count = jar ? cookie_jar_get(jar, &place, clock_wall(), &kept) : 0;
    bool any = false;

    for (unsigned i = 0; i < r->cookie_count; i++) {
        add_pair(out, r->cookies[i].name, r->cookies[i].value, false, !any);
        any = true;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_replaced(r, kept[i].name)) {
            add_pair(out, kept[i].name, kept[i].value, kept[i].quoted, !any);
            any = true;
        }
    }
    return any;
}

void js_cookies_keep(struct js_request *r, const struct js_url *url, struct slice raw_headers)
{
    struct cookie_jar *jar = r->jar ? r->jar : r->vu->jar;
    struct cookie_url place = place_of(url);

    if (exchange_header(&r->x, "set-cookie").p) {
        cookie_jar_set_headers(jar, &place, raw_headers, clock_wall());
    }
}

static JSValue cookie_object(JSContext *ctx, const struct cookie *c)
{
    JSValue object = JS_NewObject(ctx);
    // Go's zero time in ms, when there is no date.
    double expires = c->has_expires ? (double)(c->expires / NSEC_PER_MSEC) : -62135596800000.0;

    JS_SetPropertyStr(ctx, object, "name", js_string_of_bytes(ctx, c->name));
    JS_SetPropertyStr(ctx, object, "value", js_string_of_bytes(ctx, c->value));
    JS_SetPropertyStr(ctx, object, "domain", js_string_of_bytes(ctx, c->domain));
    JS_SetPropertyStr(ctx, object, "path", js_string_of_bytes(ctx, c->path));
    JS_SetPropertyStr(ctx, object, "http_only", JS_NewBool(ctx, c->http_only));
    JS_SetPropertyStr(ctx, object, "secure", JS_NewBool(ctx, c->secure));
    JS_SetPropertyStr(ctx, object, "max_age", JS_NewInt64(ctx, c->has_max_age ? c->max_age : 0));
    JS_SetPropertyStr(ctx, object, "expires", JS_NewFloat64(ctx, expires));
    return object;
}

// Appends to the list under `name`.
static void append(JSContext *ctx, JSValueConst object, struct slice name, JSValue value)
{
    JSAtom atom = JS_NewAtomLen(ctx, name.p, name.n);
    JSValue list = JS_GetProperty(ctx, object, atom);
    int64_t n = 0;

    if (JS_IsUndefined(list)) {
        list = JS_NewArray(ctx);
        JS_SetProperty(ctx, object, atom, JS_DupValue(ctx, list));
    }
    JS_GetLength(ctx, list, &n);
    JS_SetPropertyInt64(ctx, list, n, value);
    JS_FreeValue(ctx, list);
    JS_FreeAtom(ctx, atom);
}

JSValue js_cookies_object(JSContext *ctx, struct slice raw_headers)
{
    JSValue object = JS_NewObject(ctx);
    struct slice name, value;
    struct cookie c;

    while (exchange_next_header(&raw_headers, &name, &value)) {
        if (slice_eq_nocase(name, SLICE("set-cookie")) && cookie_parse(value, &c)) {
            append(ctx, object, c.name, cookie_object(ctx, &c));
        }
    }
    return object;
}

// ---- the class

struct call {
    struct cookie_jar *jar;
    struct js_url url;
    struct cookie_url place;
    struct arena arena;
};

static bool begin(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv, struct call *c)
{
    struct script_vu *vu = js_vu(ctx);
    struct slice text;

    memset(c, 0, sizeof *c);
    c->jar = js_jar_of(vu, self);
    if (!c->jar) {
        JS_ThrowTypeError(ctx, "not a CookieJar");
        return false;
    }
    if (argc < 1 || !js_slice(ctx, argv[0], &text)) {
        if (!JS_HasException(ctx)) {
            js_throw(ctx, "the first argument must be a URL");
        }
        return false;
    }
    struct slice kept = {arena_strndup(&c->arena, text.p, text.n), text.n};
    js_slice_free(ctx, text);
    js_url_parse(kept, &c->arena, &c->url); // what is no URL has no cookies
    c->place = place_of(&c->url);
    return true;
}

static JSValue for_url(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    const struct cookie *kept = NULL;
    struct call c;

    if (!begin(ctx, self, argc, argv, &c)) {
        return JS_EXCEPTION;
    }
    size_t count = c.url.host.n ? cookie_jar_get(c.jar, &c.place, clock_wall(), &kept) : 0;
    JSValue object = JS_NewObject(ctx);
    for (size_t i = 0; i < count; i++) {
        append(ctx, object, kept[i].name, js_string_of_bytes(ctx, kept[i].value));
    }
    arena_fini(&c.arena);
    return object;
}

struct options {
    struct call *call;
    struct cookie *cookie;
};

static int read_option(void *arg, JSContext *ctx, struct slice key, JSValueConst value)
{
    struct options *o = arg;
    struct cookie *c = o->cookie;
    struct slice text;
    int64_t number;
    bool good = true;

    if (slice_eq_nocase(key, SLICE("secure"))) {
        c->secure = JS_ToBool(ctx, value) == 1;
    } else if (slice_eq_nocase(key, SLICE("http_only"))) {
        c->http_only = JS_ToBool(ctx, value) == 1;
    } else if (slice_eq_nocase(key, SLICE("max_age"))) {
        good = JS_ToInt64(ctx, &number, value) == 0;
        c->has_max_age = good && number != 0; // as Go: 0 is "not given"
        c->max_age = good ? number : 0;
    } else if (js_slice(ctx, value, &text)) {
        struct slice kept = {arena_strndup(&o->call->arena, text.p, text.n), text.n};
        if (slice_eq_nocase(key, SLICE("domain"))) {
            c->domain = kept;
        } else if (slice_eq_nocase(key, SLICE("path"))) {
            c->path = kept;
        } else if (slice_eq_nocase(key, SLICE("expires")) && kept.n) {
            good = cookie_parse_date(kept, &c->expires) == 0;
            c->has_expires = good;
            if (!good) {
                js_throw(ctx, "unable to parse \"expires\" date string \"%.100s\"", kept.p);
            }
        }
        js_slice_free(ctx, text);
    } else {
        good = false;
    }
    return good ? 0 : -1;
}

static JSValue set(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct cookie cookie = {0};
    struct slice name = {0}, value = {0};
    struct call c;

    if (argc < 3) {
        return js_throw(ctx, "set() needs a URL, a name and a value");
    }
    if (!begin(ctx, self, argc, argv, &c)) {
        return JS_EXCEPTION;
    }
    struct options options = {&c, &cookie};
    bool good = js_slice(ctx, argv[1], &name) && js_slice(ctx, argv[2], &value) &&
                (argc < 4 || !JS_IsObject(argv[3]) ||
                 js_each_property(ctx, argv[3], read_option, &options) == 0);
    if (good && c.url.host.n) {
        cookie.name = name;
        cookie.value = value;
        cookie_jar_set(c.jar, &c.place, &cookie, clock_wall());
    }
    js_slice_free(ctx, name);
    js_slice_free(ctx, value);
    arena_fini(&c.arena);
    return good ? JS_TRUE : JS_EXCEPTION;
}

static JSValue clear(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct call c;

    if (!begin(ctx, self, argc, argv, &c)) {
        return JS_EXCEPTION;
    }
    cookie_jar_clear(c.jar, &c.place);
    arena_fini(&c.arena);
    return JS_UNDEFINED;
}

static JSValue delete_cookie(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv)
{
    struct slice name = {0};
    struct call c;

    if (!begin(ctx, self, argc, argv, &c)) {
        return JS_EXCEPTION;
    }
    bool good = argc > 1 && js_slice(ctx, argv[1], &name) && name.n;
    if (good) {
        cookie_jar_delete(c.jar, &c.place, name);
    } else if (!JS_HasException(ctx)) {
        js_throw(ctx, "cookie name cannot be empty");
    }
    js_slice_free(ctx, name);
    arena_fini(&c.arena);
    return good ? JS_UNDEFINED : JS_EXCEPTION;
}

static const JSCFunctionListEntry functions[] = {
    JS_CFUNC_DEF("cookiesForURL", 1, for_url),
    JS_CFUNC_DEF("set", 4, set),
    JS_CFUNC_DEF("clear", 1, clear),
    JS_CFUNC_DEF("delete", 2, delete_cookie),
};

static JSValue wrap(JSContext *ctx, struct cookie_jar *jar)
{
    JSValue proto = JS_NewObject(ctx);
    JSValue object = JS_NewObjectProtoClass(ctx, proto, js_class[JS_CLS_JAR]);

    JS_SetPropertyFunctionList(ctx, proto, functions, ARRAY_SIZE(functions));
    JS_FreeValue(ctx, proto);
    JS_SetOpaque(object, jar);
    return object;
}

JSValue js_jar_of_vu(JSContext *ctx)
{
    return wrap(ctx, NULL);
}

JSValue js_jar_construct(JSContext *ctx, JSValueConst target, int argc, JSValueConst *argv)
{
    return wrap(ctx, cookie_jar_new());
}
