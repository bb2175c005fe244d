// SPDX-License-Identifier: Apache-2.0
#include "orders.h"

#include "common/body.h"
#include "common/client.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/pool.h"
#include "common/uuid.h"
#include "db.h"
#include "order.h"
#include "relay.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define TIME_SIZE 32

static const char *jwt_secret, *provider_url;
static int64_t pool_size, pool_queue, pool_timeout, request_timeout, provider_timeout;

const struct env_setting orders_settings[] = {
    {"JWT_SECRET", ENV_STRING, &jwt_secret, NULL, 0, 0,
     "the key that api-gateway signs tokens with"},
    {"PROVIDER_URL", ENV_STRING, &provider_url, "http://127.0.0.1:8090", 0, 0,
     "where payments are authorised"},
    {"PROVIDER_TIMEOUT", ENV_DURATION, &provider_timeout, "2s", 0.001, 600,
     "longest wait for the provider"},
    {"DB_POOL_SIZE", ENV_INTEGER, &pool_size, "10", 1, 500, "database connections for requests"},
    {"DB_POOL_QUEUE", ENV_INTEGER, &pool_queue, "100", 0, 100000,
     "requests that may wait for one; more is 503"},
    {"DB_POOL_TIMEOUT", ENV_DURATION, &pool_timeout, "2s", 0.001, 600,
     "longest wait for one; then 503"},
    {"REQUEST_TIMEOUT", ENV_DURATION, &request_timeout, "5s", 0.01, 600,
     "longest time for the whole request"},
    {NULL}};

static struct http1_url provider;
static struct pool *pool;
static _Atomic uint64_t created, replayed;

// One order request on its way. Kept by the request, so gone once that is answered.
struct job {
    struct pool_job pool;
    struct request *request;
    int64_t deadline;
    bool has_key;
    struct order_input input;
    char id[UUID_SIZE], client[JWT_SUBJECT_MAX], amount[24];
};

// What a pool thread owns.
struct worker {
    struct db *db;
    struct client *provider;
    struct client_response response;
};

static void *worker_open(void *conninfo)
{
    struct worker *worker = mem_zalloc(sizeof(*worker));

    worker->db = db_new(conninfo, "pool");
    worker->provider = client_new(&provider);
    return worker;
}

static void worker_close(void *state)
{
    struct worker *worker = state;

    db_free(worker->db);
    client_free(worker->provider);
    buf_fini(&worker->response.body);
    free(worker);
}

static void fail_database(struct job *job, const struct db *db, int code)
{
    bool refused = code == DB_REFUSED;

    log_write(LOG_WARN, "database failed", "\"sqlstate\":\"%s\",\"detail\":%s",
              refused ? db_sqlstate(db) : "", log_quote(db_message(db)));
    // Class 55: lock not available. Here that is another request with the same key.
    if (refused && strncmp(db_sqlstate(db), "55", 2) == 0) {
        request_set_header(job->request, "Retry-After", "1");
        request_fail(job->request, 409, "in_progress", NULL,
                     "a request with this key is in progress");
    } else if (refused && strncmp(db_sqlstate(db), "53", 2) != 0 &&
               strncmp(db_sqlstate(db), "57", 2) != 0) {
        request_fail(job->request, 500, "internal", NULL, "the database refused the order");
    } else {
        request_fail(job->request, 503, "database_unavailable", NULL,
                     "the database does not answer");
    }
}

// A kept connection may have died unnoticed; what is the first of a transaction is safe to repeat.
static int run_first(struct db *db, struct db_call *calls, unsigned count, int64_t deadline)
{
    bool kept = db_is_open(db);
    int r = db_run(db, calls, count, deadline);

    if (r == DB_GONE && kept) {
        db_clear(calls, count);
        r = db_run(db, calls, count, deadline);
    }
    return r;
}

static void rollback(struct db *db, int64_t deadline)
{
    struct db_call call = {DB_ROLLBACK};

    if (db_is_open(db)) {
        db_run(db, &call, 1, deadline + SEC);
        db_clear(&call, 1);
    }
}

static void reply_order(struct job *job,
                        int status,
                        const char *amount,
                        const char *currency,
                        const char *state,
                        const char *created_at)
{
    struct buf body = BUF_NULL;
    char location[64];

    order_write(&body, job->id, amount, currency, state, created_at);
    if (status == 201) {
        snprintf(location, sizeof(location), "/api/v1/orders/%s", job->id);
        request_set_header(job->request, "Location", location);
    }
    request_reply(job->request, status, "application/json", &body);
}

static void run_get(struct pool_job *pool_job, void *state)
{
    struct job *job = (struct job *)pool_job;
    struct worker *worker = state;
    struct db_call find = {DB_ORDER_FIND, {job->id, job->client}};
    int r = run_first(worker->db, &find, 1, job->deadline);
    PGresult *row = find.result;

    if (r) {
        fail_database(job, worker->db, r);
    } else if (PQntuples(row) == 0) {
        request_fail(job->request, 404, "not_found", NULL, "no such order");
    } else {
        reply_order(job, 200, PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 1), PQgetvalue(row, 0, 2),
                    PQgetvalue(row, 0, 3));
    }
    db_clear(&find, 1);
}

// Begins the transaction. With a key, only one request of that key gets past here at a time, and an
// order that it made before is answered again. True: go on; false: answered.
static bool begin(struct job *job, struct worker *worker)
{
    struct db_call calls[] = {
        {DB_BEGIN}, {DB_ORDER_LOCK, {job->id}}, {DB_ORDER_FIND, {job->id, job->client}}};
    unsigned count = job->has_key ? 3 : 1;
    int r = run_first(worker->db, calls, count, job->deadline);
    PGresult *row = job->has_key ? calls[2].result : NULL;

    if (r == 0 && (!row || PQntuples(row) == 0)) {
        db_clear(calls, count);
        return true;
    }
    rollback(worker->db, job->deadline);
    if (r) {
        fail_database(job, worker->db, r);
    } else if (strcmp(PQgetvalue(row, 0, 0), job->amount) != 0 ||
               strcmp(PQgetvalue(row, 0, 1), job->input.currency) != 0) {
        request_fail(job->request, 422, "key_reused", "Idempotency-Key",
                     "this key was used for another order");
    } else {
        atomic_fetch_add(&replayed, 1);
        request_set_header(job->request, "Idempotent-Replayed", "true");
        reply_order(job, 201, PQgetvalue(row, 0, 0), PQgetvalue(row, 0, 1), PQgetvalue(row, 0, 2),
                    PQgetvalue(row, 0, 3));
    }
    db_clear(calls, count);
    return false;
}

// Has the payment authorised. The order's id is the provider's idempotency key: a client that
// repeats its request with a key of its own pays once. True: go on; false: answered.
static bool authorise(struct job *job, struct worker *worker)
{
    char headers[160], body[128];
    int64_t deadline = clock_monotonic() + provider_timeout;
    int len = snprintf(body, sizeof(body), "{\"amount\":%s,\"currency\":\"%s\"}", job->amount,
                       job->input.currency);

    snprintf(headers, sizeof(headers), "Content-Type: application/json\r\nIdempotency-Key: %s\r\n",
             job->id);
    struct client_request call = {.method = "POST",
                                  .target = "/payments/authorise",
                                  .headers = headers,
                                  .body = body,
                                  .body_len = (size_t)len,
                                  .repeatable = true};
    int r = client_call(worker->provider, &call,
                        deadline < job->deadline ? deadline : job->deadline, &worker->response);
    if (r == 0 && worker->response.head.status == 200) {
        return true;
    }
    rollback(worker->db, job->deadline);
    log_write(LOG_WARN, "payment failed", "\"detail\":\"%s\",\"status\":%d", client_error(r),
              r ? 0 : worker->response.head.status);
    if (r == CLIENT_TIMEOUT) {
        request_fail(job->request, 504, "payment_timeout", NULL,
                     "the payment provider does not answer");
    } else {
        request_fail(job->request, 502, "payment_failed", NULL, "the payment provider failed");
    }
    return false;
}

static void run_create(struct pool_job *pool_job, void *state)
{
    struct job *job = (struct job *)pool_job;
    struct worker *worker = state;
    struct buf event = BUF_NULL;
    char created_at[TIME_SIZE];

    snprintf(job->amount, sizeof(job->amount), "%lld", (long long)job->input.amount);
    if (!begin(job, worker) || !authorise(job, worker)) {
        return;
    }
    clock_rfc3339(clock_wall(), created_at, sizeof(created_at));
    buf_format(&event, "{\"id\":\"%s\",\"client\":", job->id);
    buf_json(&event, job->client);
    buf_format(&event, ",\"amount\":%s,\"currency\":\"%s\",\"created_at\":\"%s\"}", job->amount,
               job->input.currency, created_at);
    struct db_call calls[] = {
        {DB_ORDER_INSERT,
         {job->id, job->client, job->amount, job->input.currency, job->id, created_at, event.data}},
        {DB_COMMIT}};
    int r = db_run(worker->db, calls, 2, job->deadline);
    db_clear(calls, 2);
    buf_fini(&event);
    if (r) {
        rollback(worker->db, job->deadline);
        fail_database(job, worker->db, r);
        return;
    }
    atomic_fetch_add(&created, 1);
    relay_wake();
    reply_order(job, 201, job->amount, job->input.currency, "authorised", created_at);
}

static void expire(struct pool_job *pool_job)
{
    struct job *job = (struct job *)pool_job;

    request_fail(job->request, 503, "pool_timeout", NULL,
                 "no database connection became free in time");
}

static void submit(struct request *request, struct job *job)
{
    job->request = request;
    job->deadline = request_started(request) + request_timeout;
    job->pool.expire = expire;
    request_keep(request, job, free);
    request_defer(request);
    if (pool_submit(pool, &job->pool) < 0) {
        request_fail(request, 503, "pool_full", NULL, "too many requests wait for the database");
    }
}

void orders_post(struct request *request)
{
    const char *field, *message, *key = request_header(request, "Idempotency-Key");
    struct order_input input;
    char client[JWT_SUBJECT_MAX];

    if (!body_bearer(request, jwt_secret, client)) {
        return;
    }
    if (key && !order_key_is_valid(key)) {
        request_fail(request, 400, "invalid_field", "Idempotency-Key",
                     "Idempotency-Key must be 1 to 200 visible ASCII characters");
        return;
    }
    json_t *body = body_object(request);
    if (!body) {
        return;
    }
    int r = order_input_check(body, &input, &field, &message);
    json_decref(body);
    if (r < 0) {
        request_fail(request, 400, "invalid_field", field, message);
        return;
    }
    struct job *job = mem_zalloc(sizeof(*job));
    job->pool.run = run_create;
    job->input = input;
    job->has_key = key != NULL;
    memcpy(job->client, client, sizeof(client));
    if (key) {
        uuid_named(job->id, client, key);
    } else {
        uuid_random(job->id);
    }
    submit(request, job);
}

void orders_get(struct request *request)
{
    const char *id = request_rest(request);
    char client[JWT_SUBJECT_MAX];

    if (!body_bearer(request, jwt_secret, client)) {
        return;
    }
    if (!uuid_is_valid(id)) {
        request_fail(request, 404, "not_found", NULL, "no such order");
        return;
    }
    struct job *job = mem_zalloc(sizeof(*job));
    job->pool.run = run_get;
    memcpy(job->client, client, sizeof(client));
    for (unsigned i = 0; i < UUID_SIZE; i++) {
        // PostgreSQL takes both cases; the answer shows the one it stores.
        job->id[i] = (char)(id[i] >= 'A' && id[i] <= 'F' ? id[i] + 32 : id[i]);
    }
    submit(request, job);
}

int orders_start(const char *conninfo, char *message, size_t size)
{
    if (http1_url_parse(provider_url, &provider) < 0) {
        snprintf(message, size, "PROVIDER_URL: '%.128s' is not http://host:port", provider_url);
        return -EINVAL;
    }
    pool = pool_new(&(struct pool_config){
        .name = "db_pool",
        .workers = (unsigned)pool_size,
        .queue_max = (unsigned)pool_queue,
        .wait_max_ns = pool_timeout,
        .open = worker_open,
        .close = worker_close,
        .closure = (void *)conninfo,
    });
    return 0;
}

void orders_stop(void)
{
    pool = pool_free(pool);
}

void orders_metrics(struct buf *out)
{
    pool_metrics(pool, out);
    metric_single(out, "orders_created_total", "counter", "Orders committed.", (double)created);
    metric_single(out, "orders_replayed_total", "counter", "Orders answered again by their key.",
                  (double)replayed);
}
