// SPDX-License-Identifier: Apache-2.0
#include "proxy.h"

#include "common/client.h"
#include "common/clock.h"
#include "common/mem.h"
#include "common/pool.h"
#include "token.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char *upstream_url;
static int64_t connections, queue_max, timeout;
static struct http1_url upstream;
static struct pool *pool;

const struct env_setting proxy_settings[] = {
    {"ORDER_SERVICE_URL", ENV_STRING, &upstream_url, "http://127.0.0.1:8081", 0, 0,
     "where /api/v1/* goes"},
    {"UPSTREAM_CONNECTIONS", ENV_INTEGER, &connections, "64", 1, 1000,
     "connections to order-service"},
    {"UPSTREAM_QUEUE", ENV_INTEGER, &queue_max, "256", 0, 100000,
     "requests that may wait for one; more is 503"},
    {"UPSTREAM_TIMEOUT", ENV_DURATION, &timeout, "10s", 0.01, 600,
     "longest wait for one, and for its answer"},
    {NULL}};

// What a client may say to order-service.
static const char *const forwarded[] = {"Authorization", "Content-Type", "Idempotency-Key"};

struct job {
    struct pool_job pool;
    struct request *request;
};

struct worker {
    struct client *client;
    struct client_response response;
};

static void *worker_open(void *closure)
{
    struct worker *worker = mem_zalloc(sizeof(*worker));

    worker->client = client_new(&upstream);
    return worker;
}

static void worker_close(void *state)
{
    struct worker *worker = state;

    client_free(worker->client);
    buf_fini(&worker->response.body);
    free(worker);
}

static void reply(struct request *request, struct client_response *response)
{
    const struct http1_head *head = &response->head;
    struct buf body = BUF_NULL;
    // A constant, because it must outlive this worker's next exchange.
    bool is_json = strncmp(head->type, "application/json", 16) == 0;

    buf_add(&body, response->body.data, response->body.len);
    if (head->retry_after[0]) {
        request_set_header(request, "Retry-After", head->retry_after);
    }
    if (head->replayed[0]) {
        request_set_header(request, "Idempotent-Replayed", head->replayed);
    }
    if (head->location[0]) {
        request_set_header(request, "Location", head->location);
    }
    request_reply(request, head->status, is_json ? "application/json" : "text/plain", &body);
}

static void run(struct pool_job *pool_job, void *state)
{
    struct request *request = ((struct job *)pool_job)->request;
    struct worker *worker = state;
    struct buf headers = BUF_NULL;
    size_t len;
    const char *body = request_body(request, &len), *method = request_method(request);

    for (unsigned i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++) {
        const char *value = request_header(request, forwarded[i]);
        if (value) {
            buf_format(&headers, "%s: %s\r\n", forwarded[i], value);
        }
    }
    struct client_request call = {
        .method = method,
        .target = request_target(request),
        .headers = headers.data ? headers.data : "",
        .body = body,
        .body_len = len,
        // Anything else might be carried out twice.
        .repeatable = strcmp(method, "GET") == 0 || request_header(request, "Idempotency-Key"),
    };
    int r = client_call(worker->client, &call, clock_monotonic() + timeout, &worker->response);
    buf_fini(&headers);
    if (r == 0) {
        reply(request, &worker->response);
    } else if (r == CLIENT_TIMEOUT) {
        request_fail(request, 504, "upstream_timeout", NULL, "order-service does not answer");
    } else if (r == CLIENT_REFUSED) {
        request_fail(request, 503, "upstream_unavailable", NULL, "order-service is not there");
    } else {
        request_fail(request, 502, "upstream_failed", NULL, "order-service broke the connection");
    }
}

static void expire(struct pool_job *pool_job)
{
    request_fail(((struct job *)pool_job)->request, 503, "upstream_busy", NULL,
                 "no connection to order-service became free in time");
}

void proxy_forward(struct request *request)
{
    if (!token_check(request)) {
        return;
    }
    for (const unsigned char *c = (const unsigned char *)request_target(request); *c; c++) {
        if (*c <= ' ' || *c >= 0x7f) {
            request_fail(request, 400, "invalid_target", NULL,
                         "the request target has invalid characters");
            return;
        }
    }
    struct job *job = mem_zalloc(sizeof(*job));
    job->pool.run = run;
    job->pool.expire = expire;
    job->request = request;
    request_keep(request, job, free);
    request_defer(request);
    if (pool_submit(pool, &job->pool) < 0) {
        request_fail(request, 503, "upstream_full", NULL,
                     "too many requests wait for order-service");
    }
}

int proxy_start(char *message, size_t size)
{
    if (http1_url_parse(upstream_url, &upstream) < 0) {
        snprintf(message, size, "ORDER_SERVICE_URL: '%.128s' is not http://host:port",
                 upstream_url);
        return -EINVAL;
    }
    pool = pool_new(&(struct pool_config){
        .name = "upstream_pool",
        .workers = (unsigned)connections,
        .queue_max = (unsigned)queue_max,
        .wait_max_ns = timeout,
        .open = worker_open,
        .close = worker_close,
    });
    return 0;
}

void proxy_stop(void)
{
    pool = pool_free(pool);
}

void proxy_metrics(struct buf *out)
{
    pool_metrics(pool, out);
}
