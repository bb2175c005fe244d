// SPDX-License-Identifier: Apache-2.0
// Inside of k6/http: from the arguments of a call (http_args.c) by way of exchanges (http_run.c) to
// the Response (http_response.c). A request lives in C memory only, so that several can run beside
// the script.
#pragma once

#include "js/vu.h"

// A URL as requests need it, kept per text.
struct js_url {
    struct slice text;           // as the script wrote it
    struct slice user, password; // percent-decoded; user.p NULL = none
    struct slice host;           // without brackets
    struct slice authority;      // host[:port] as the Host header has it
    struct slice target;         // "/path?query", "/" at least
    struct slice origin;         // "http://user@host:port", for relative references
    struct slice path;           // of target, without the query
    struct slice tag;            // with credentials masked
    uint16_t port;
    bool tls;
};
// What is wrong with a URL that cannot be requested, NULL = nothing. `url` points into `text` and
// memory of `arena`.
const char *js_url_parse(struct slice text, struct arena *arena, struct js_url *ret_url);
// `reference` resolved against `base` (RFC 3986 section 5); in `arena`.
struct slice js_url_resolve(const struct js_url *base, struct slice reference, struct arena *arena);

struct js_param_cookie {
    struct slice name, value;
    bool replace;
};

enum js_auth { JS_AUTH_NONE, JS_AUTH_BASIC, JS_AUTH_DIGEST };
enum js_response_type { JS_RESPONSE_TEXT, JS_RESPONSE_BINARY, JS_RESPONSE_NONE };

// expectedStatuses(): sorted ranges.
struct js_expected {
    unsigned count;
    struct {
        int min, max;
    } ranges[];
};

struct js_request {
    struct arena arena; // of everything below
    struct script_vu *vu;
    struct slice method, url, name; // name: NULL = the URL
    struct slice body;
    bool has_body;         // else there is none at all
    struct strbuf headers; // the script's, as "Name: value\r\n" lines
    bool has_user_agent, has_content_type;
    struct slice host; // Host header of the script
    struct js_param_cookie *cookies;
    unsigned cookie_count;
    struct cookie_jar *jar; // borrowed from the VU or the JS object below
    JSValue jar_object;     // JS_UNDEFINED = the VU's jar
    const struct tagset *tags;
    nsec_t timeout;
    unsigned redirects;
    bool redirects_set;
    enum js_response_type response_type;
    const struct js_expected *expected; // NULL = 200 to 399
    bool mark_expected;                 // false: no expected_response tag and no http_req_failed
    JSValue callback_object;            // keeps `expected`
    enum js_auth auth;
    bool throw_errors;

    // ---- the outcome, filled by js_http_run()
    struct js_url target;       // of the last hop
    struct strbuf sent_headers; // of the last hop
    int status;
    int error_code;
    char error[200];
    struct strbuf decoded; // body after content decoding, if there was any
    struct slice response_body;
    bool has_response_body;
    struct exchange x; // of the last hop; last here; its buffer is held until release
};

struct js_http_thread {
    struct js_request **spare; // finished requests, for their memory
    unsigned spare_count, spare_cap;
    struct js_tag_slot *tag_cache;
};

struct js_http {            // per VU
    JSValue response_model; // JS_UNDEFINED until the first response
    JSValue timings_model;
    JSValue callback; // setResponseCallback(): object, JS_NULL or JS_UNDEFINED
    unsigned waiting; // batch: slots in use
};

struct js_http_thread *js_http_thread_of(struct script_vu *vu);
struct js_http *js_http_of(struct script_vu *vu);

// ---- http_args.c
// Reads a call's arguments. NULL with an exception; the exception may have been turned into a
// warning by the caller. Entered.
struct js_request *js_request_new(struct script_vu *vu,
                                  struct slice method,
                                  JSValueConst url,
                                  JSValueConst body,
                                  JSValueConst params);
void js_request_release(struct js_request *r);
// Text or http.url`…` value. False with an exception.
bool js_url_argument(JSContext *ctx,
                     JSValueConst v,
                     struct slice *ret_url,
                     struct slice *ret_name,
                     struct arena *arena);
const struct js_expected *js_expected_of(JSValueConst object);

// ---- http_run.c
// Follows redirects, authenticates, keeps cookies, adds the samples. Not entered; may suspend. 0 or
// -ECANCELED.
int js_http_run(struct js_request *r);
// k6's timings of an exchange: blocked, connecting, tls, sending, waiting, receiving, duration.
void js_timings(const struct exchange_times *t, nsec_t ret[7]);
// ---- http_digest.c
// Value of Authorization for a challenge, in r's arena; empty if it is no Digest.
struct slice js_digest_answer(struct js_request *r,
                              const struct js_url *u,
                              struct slice method,
                              struct slice challenge);

// ---- http_response.c
// A Response of the outcome, or of an argument error (status 0). Entered.
JSValue js_response_new(struct script_vu *vu, struct js_request *r);
JSValue js_response_failed(
    struct script_vu *vu, struct slice method, struct slice url, const char *error, int code);

// ---- http_form.c
// Body of an object: form or multipart. False with an exception.
bool js_form_body(struct script_vu *vu,
                  struct js_request *r,
                  JSValueConst body,
                  struct strbuf *out,
                  struct strbuf *ret_content_type);
JSValue js_http_file(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv);
// Compresses the body as params.compression says. False with an exception.
bool js_compress_body(struct script_vu *vu, struct js_request *r, struct slice algorithms);

// ---- http_jar.c
JSValue js_jar_of_vu(JSContext *ctx);
struct cookie_jar *js_jar_of(struct script_vu *vu,
                             JSValueConst object); // NULL if it is no CookieJar
JSValue js_jar_construct(JSContext *ctx, JSValueConst target, int argc, JSValueConst *argv);
// The Cookie header's value for a hop, appended; false if there is none.
bool js_cookies_header(struct js_request *r, const struct js_url *url, struct strbuf *out);
void js_cookies_keep(struct js_request *r, const struct js_url *url, struct slice raw_headers);
// {name: [value]} objects of Set-Cookie lines, as res.cookies has them.
JSValue js_cookies_object(JSContext *ctx, struct slice raw_headers);

// Canonical form of a header name ("content-type" → "Content-Type"), in place.
void js_header_canonical(char *name, size_t n);
