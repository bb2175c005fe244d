// SPDX-License-Identifier: Apache-2.0
// The stand-in for the outside world: payments and e-mail with a set latency, errors and outages.
#include "common/body.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/service.h"
#include "delay.h"
#include "ledger.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define KEY_MAX 255

enum kind { PAYMENT, EMAIL };

static const struct {
    const char *latency, *error_rate; // fields of /settings
} kind_fields[] = {{"payment_latency", "payment_error_rate"},
                   {"email_latency", "email_error_rate"}};

static int64_t latency_set[2], outage_every, outage_for, seed;
static double error_rate_set[2];
static const char *ledger_path;

static const struct env_setting settings[] = {
    {"PAYMENT_LATENCY", ENV_DURATION, &latency_set[PAYMENT], "20ms", 0, 60,
     "time to authorise a payment"},
    {"EMAIL_LATENCY", ENV_DURATION, &latency_set[EMAIL], "20ms", 0, 60, "time to accept an e-mail"},
    {"PAYMENT_ERROR_RATE", ENV_REAL, &error_rate_set[PAYMENT], "0", 0, 1,
     "share of payments answered 500"},
    {"EMAIL_ERROR_RATE", ENV_REAL, &error_rate_set[EMAIL], "0", 0, 1,
     "share of e-mails answered 500"},
    {"OUTAGE_EVERY", ENV_DURATION, &outage_every, "0", 0, 86400, "period of the outages; 0 = none"},
    {"OUTAGE_FOR", ENV_DURATION, &outage_for, "0", 0, 86400,
     "length of each, at the end of its period"},
    {"SEED", ENV_INTEGER, &seed, "1", 0, 1e15, "of the random errors"},
    {"LEDGER", ENV_STRING, &ledger_path, "", 0, 0,
     "file that remembers accepted e-mails; empty = memory"},
    {NULL}};

// What PUT /settings may change while requests are served.
static _Atomic int64_t latency[2], outage_until;
static _Atomic double error_rate[2];
static _Atomic uint64_t random_state;
static _Atomic uint64_t payments, errors;
static int64_t started;
static struct ledger *ledger;

struct call {
    struct request *request;
    enum kind kind;
    bool fails;
    char key[KEY_MAX + 1];
};

// splitmix64 over a shared counter: reproducible as a set, whatever the threads do.
static double random_share(void)
{
    uint64_t z = atomic_fetch_add(&random_state, UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static bool is_out(int64_t now)
{
    return now < outage_until ||
           (outage_every > 0 && (now - started) % outage_every >= outage_every - outage_for);
}

static void reply_json(struct request *request, struct buf *body)
{
    request_reply(request, 200, "application/json", body);
}

static void finish(void *closure)
{
    struct call *call = closure;
    struct request *request = call->request;
    struct buf body = BUF_NULL;
    int accepted = 0;

    if (!call->fails && call->kind == EMAIL) {
        accepted = ledger_accept(ledger, call->key);
    }
    if (call->fails || accepted < 0) {
        atomic_fetch_add(&errors, 1);
        request_fail(request, 500, "provider_error", NULL,
                     call->fails ? "random failure" : "ledger failed");
        return;
    }
    if (call->kind == PAYMENT) {
        atomic_fetch_add(&payments, 1);
        // The key names the authorisation, so a repeated call gets the same one.
        buf_text(&body, "{\"status\":\"authorised\",\"authorisation\":");
    } else {
        buf_text(&body, accepted ? "{\"status\":\"accepted\",\"id\":"
                                 : "{\"status\":\"repeated\",\"id\":");
    }
    buf_json(&body, call->key);
    buf_text(&body, "}\n");
    reply_json(request, &body);
}

static void call_provider(struct request *request, enum kind kind)
{
    const char *key = request_header(request, "Idempotency-Key");
    int64_t now = request_started(request);

    if (is_out(now)) {
        atomic_fetch_add(&errors, 1);
        request_fail(request, 503, "outage", NULL, "the provider is out of order");
        return;
    }
    if (!key || !*key || strlen(key) > KEY_MAX) {
        request_fail(request, 400, "invalid_field", "Idempotency-Key",
                     "the header Idempotency-Key must be 1 to 255 bytes");
        return;
    }
    json_t *body = body_object(request);
    if (!body) {
        return;
    }
    json_decref(body);
    struct call *call = mem_zalloc(sizeof(*call));
    call->request = request;
    call->kind = kind;
    call->fails = random_share() < error_rate[kind];
    memcpy(call->key, key, strlen(key) + 1);
    request_keep(request, call, free);
    request_defer(request);
    delay_call(now + latency[kind], finish, call);
}

static void post_payment(struct request *request)
{
    call_provider(request, PAYMENT);
}

static void post_email(struct request *request)
{
    call_provider(request, EMAIL);
}

static void get_email_count(struct request *request)
{
    struct buf body = BUF_NULL;
    uint64_t accepted, repeated;

    ledger_counts(ledger, &accepted, &repeated);
    buf_format(&body, "{\"accepted\":%llu,\"repeated\":%llu}\n", (unsigned long long)accepted,
               (unsigned long long)repeated);
    reply_json(request, &body);
}

static void get_email(struct request *request)
{
    struct buf body = BUF_NULL;
    const char *key = request_rest(request);

    if (strlen(key) > KEY_MAX || !ledger_has(ledger, key)) {
        request_fail(request, 404, "not_found", NULL, "no e-mail was accepted under this key");
        return;
    }
    buf_text(&body, "{\"status\":\"accepted\",\"id\":");
    buf_json(&body, key);
    buf_text(&body, "}\n");
    reply_json(request, &body);
}

static void get_settings(struct request *request)
{
    struct buf body = BUF_NULL;

    buf_text(&body, "{");
    for (int kind = PAYMENT; kind <= EMAIL; kind++) {
        buf_format(&body, "\"%s\":\"%.10gms\",\"%s\":%.10g,", kind_fields[kind].latency,
                   (double)latency[kind] / (double)MSEC, kind_fields[kind].error_rate,
                   error_rate[kind]);
    }
    int64_t left = outage_until - clock_monotonic();
    buf_format(&body, "\"outage\":\"%.10gms\"}\n", left > 0 ? (double)left / (double)MSEC : 0.0);
    reply_json(request, &body);
}

// One field of PUT /settings, into the one of the two that is not NULL. 0, or -1: answered 400.
static int check_setting(struct request *request,
                         const char *field,
                         const json_t *value,
                         int64_t *ret_ns,
                         double *ret_share)
{
    int64_t ns;

    if (ret_share && json_is_number(value) && json_number_value(value) >= 0 &&
        json_number_value(value) <= 1) {
        *ret_share = json_number_value(value);
        return 0;
    }
    if (ret_ns && json_is_string(value) && env_parse_duration(json_string_value(value), &ns) == 0 &&
        ns <= 3600 * SEC) {
        *ret_ns = ns;
        return 0;
    }
    request_fail(request, 400, "invalid_field", field,
                 ret_share ? "must be a number from 0 to 1"
                           : "must be a duration such as \"20ms\"");
    return -1;
}

static void put_settings(struct request *request)
{
    json_t *object = body_object(request), *value;
    int64_t new_latency[2] = {latency[PAYMENT], latency[EMAIL]}, outage = -1;
    double new_rate[2] = {error_rate[PAYMENT], error_rate[EMAIL]};
    const char *field;
    int r = 0;

    if (!object) {
        return;
    }
    json_object_foreach(object, field, value)
    {
        int64_t *ns = strcmp(field, "outage") == 0 ? &outage : NULL;
        double *share = NULL;
        for (int kind = PAYMENT; kind <= EMAIL; kind++) {
            ns = strcmp(field, kind_fields[kind].latency) == 0 ? &new_latency[kind] : ns;
            share = strcmp(field, kind_fields[kind].error_rate) == 0 ? &new_rate[kind] : share;
        }
        if (!ns && !share) {
            request_fail(request, 400, "unknown_field", field, "no such setting");
            r = -1;
        } else {
            r = check_setting(request, field, value, ns, share);
        }
        if (r < 0) {
            break;
        }
    }
    json_decref(object);
    if (r < 0) {
        return;
    }
    for (int kind = PAYMENT; kind <= EMAIL; kind++) {
        latency[kind] = new_latency[kind];
        error_rate[kind] = new_rate[kind];
    }
    if (outage >= 0) {
        outage_until = clock_monotonic() + outage;
    }
    get_settings(request);
}

static void write_metrics(struct buf *out)
{
    uint64_t accepted, repeated;

    ledger_counts(ledger, &accepted, &repeated);
    metric_single(out, "provider_payments_total", "counter", "Payments authorised.",
                  (double)payments);
    metric_single(out, "provider_emails_total", "counter", "E-mails accepted.", (double)accepted);
    metric_single(out, "provider_emails_repeated_total", "counter",
                  "E-mails that had been accepted before.", (double)repeated);
    metric_single(out, "provider_errors_total", "counter", "Calls that failed on purpose.",
                  (double)errors);
}

static int start(char *message, size_t size)
{
    for (int kind = PAYMENT; kind <= EMAIL; kind++) {
        latency[kind] = latency_set[kind];
        error_rate[kind] = error_rate_set[kind];
    }
    random_state = (uint64_t)seed;
    started = clock_monotonic();
    ledger = ledger_open(ledger_path, message, size);
    if (!ledger) {
        return -1;
    }
    delay_start();
    return 0;
}

static void stop(void)
{
    delay_stop();
    ledger = ledger_close(ledger);
}

int main(int argc, char **argv)
{
    static const struct server_route routes[] = {
        {"POST", "/payments/authorise", post_payment, false},
        {"POST", "/emails", post_email, false},
        {"GET", "/emails/count", get_email_count, false},
        {"GET", "/emails/*", get_email, false},
        {"GET", "/settings", get_settings, false},
        {"PUT", "/settings", put_settings, false},
        {NULL}};
    static const struct env_setting *const tables[] = {settings, NULL};
    static const struct service service = {
        .name = "provider",
        .about = "payments and e-mail with a set latency, errors and outages",
        .settings = tables,
        .server = {.routes = routes, .metrics = write_metrics},
        .start = start,
        .stop = stop,
    };

    return service_main(&service, argc, argv);
}
