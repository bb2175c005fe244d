// SPDX-License-Identifier: Apache-2.0
#include "consumer.h"

#include "common/body.h"
#include "common/client.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/stream.h"
#include "common/uuid.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define FETCH_MS    500
#define RETRY_MS    200
#define LOOK_EVERY  (250 * MSEC)
#define THREADS_MAX 512

static const char *nats_url, *provider_url;
static int64_t concurrency, ack_wait, provider_timeout, backoff_min, backoff_max;

const struct env_setting consumer_settings[] = {
    {"NATS_URL", ENV_STRING, &nats_url, "nats://127.0.0.1:4222", 0, 0, "where JetStream is"},
    {"PROVIDER_URL", ENV_STRING, &provider_url, "http://127.0.0.1:8090", 0, 0, "where e-mails go"},
    {"PROVIDER_TIMEOUT", ENV_DURATION, &provider_timeout, "2s", 0.001, 600,
     "longest wait for the provider"},
    {"WORKER_CONCURRENCY", ENV_INTEGER, &concurrency, "4", 1, THREADS_MAX,
     "e-mails on their way at a time"},
    {"ACK_WAIT", ENV_DURATION, &ack_wait, "10s", 0.1, 3600,
     "an event without answer is delivered again after"},
    {"BACKOFF_MIN", ENV_DURATION, &backoff_min, "100ms", 0.001, 3600,
     "first wait after a failed e-mail"},
    {"BACKOFF_MAX", ENV_DURATION, &backoff_max, "5s", 0.001, 3600,
     "longest wait after a failed e-mail"},
    {NULL}};

static struct http1_url provider;
static natsConnection *nats;
static jsCtx *js;
static pthread_t threads[THREADS_MAX], watcher;
static _Atomic bool stopping, ready;
static _Atomic uint64_t sent, failed, dropped, redelivered, busy;
static struct metric_hist duration;
// Of the consumer as the server sees it; read by the watcher.
static _Atomic uint64_t offered, delivered, acked, pending, ack_pending;

// The e-mail for one event; false if the event is none of ours.
static bool write_email(const char *data, size_t len, char id[static UUID_SIZE], struct buf *body)
{
    json_t *event = body_parse(data, len);
    const char *order = json_string_value(json_object_get(event, "id"));
    const char *client = json_string_value(json_object_get(event, "client"));
    const char *currency = json_string_value(json_object_get(event, "currency"));
    const json_t *amount = json_object_get(event, "amount");
    bool ok = order && uuid_is_valid(order) && client && currency && json_is_integer(amount);

    if (ok) {
        memcpy(id, order, UUID_SIZE);
        buf_text(body, "{\"to\":");
        buf_json(body, client);
        buf_format(body,
                   ",\"template\":\"order-created\",\"order\":\"%s\",\"amount\":%lld,\"currency\":",
                   id, (long long)json_integer_value(amount));
        buf_json(body, currency);
        buf_text(body, "}");
    }
    json_decref(event);
    return ok;
}

// 0 when the provider has accepted the e-mail. The order's id is its idempotency key: an event that
// is delivered twice is one e-mail.
static int send_email(struct client *client,
                      struct client_response *response,
                      const char *id,
                      const struct buf *body)
{
    char headers[128];

    snprintf(headers, sizeof(headers), "Content-Type: application/json\r\nIdempotency-Key: %s\r\n",
             id);
    struct client_request call = {.method = "POST",
                                  .target = "/emails",
                                  .headers = headers,
                                  .body = body->data,
                                  .body_len = body->len,
                                  .repeatable = true};
    int r = client_call(client, &call, clock_monotonic() + provider_timeout, response);
    if (r || response->head.status != 200) {
        log_write(LOG_WARN, "e-mail failed", "\"order\":\"%s\",\"detail\":\"%s\",\"status\":%d", id,
                  client_error(r), r ? 0 : response->head.status);
        return -1;
    }
    return 0;
}

// Doubles from BACKOFF_MIN with each delivery, up to BACKOFF_MAX.
static int64_t backoff(uint64_t deliveries)
{
    int64_t wait = backoff_min;

    for (; deliveries > 1 && wait < backoff_max; deliveries--) {
        wait *= 2;
    }
    return wait < backoff_max ? wait : backoff_max;
}

static void handle(natsMsg *msg, struct client *client, struct client_response *response)
{
    int64_t started = clock_monotonic();
    struct buf body = BUF_NULL;
    jsMsgMetaData *meta = NULL;
    char id[UUID_SIZE];
    uint64_t deliveries = natsMsg_GetMetaData(&meta, msg) == NATS_OK ? meta->NumDelivered : 1;

    jsMsgMetaData_Destroy(meta);
    if (deliveries > 1) {
        atomic_fetch_add(&redelivered, 1);
    }
    if (!write_email(natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg), id, &body)) {
        // It will not become better: told once, never delivered again.
        log_write(LOG_ERROR, "event is not an order", "\"subject\":%s",
                  log_quote(natsMsg_GetSubject(msg)));
        atomic_fetch_add(&dropped, 1);
        natsMsg_Term(msg, NULL);
    } else if (send_email(client, response, id, &body) == 0) {
        natsMsg_Ack(msg, NULL);
        atomic_fetch_add(&sent, 1);
        metric_hist_add(&duration, clock_monotonic() - started);
    } else {
        atomic_fetch_add(&failed, 1);
        natsMsg_NakWithDelay(msg, backoff(deliveries) / MSEC, NULL);
    }
    buf_fini(&body);
}

// A subscription of this thread's own: several may pull from one durable consumer, but fetches of
// one subscription may not overlap.
static natsSubscription *subscribe(void)
{
    natsSubscription *subscription = NULL;
    jsSubOptions options;

    jsSubOptions_Init(&options);
    options.Stream = STREAM_NAME;
    options.Consumer = STREAM_CONSUMER;
    js_PullSubscribe(&subscription, js, STREAM_CREATED, STREAM_CONSUMER, NULL, &options, NULL);
    return subscription;
}

static void *work(void *closure)
{
    struct client *client = client_new(&provider);
    struct client_response response = {0};
    natsSubscription *subscription = NULL;

    while (!stopping) {
        natsMsgList list = {0};
        if (!ready || (!subscription && !(subscription = subscribe()))) {
            poll(NULL, 0, RETRY_MS);
            continue;
        }
        natsStatus s = natsSubscription_Fetch(&list, subscription, 1, FETCH_MS, NULL);
        for (int i = 0; i < list.Count; i++) {
            atomic_fetch_add(&busy, 1);
            handle(list.Msgs[i], client, &response);
            atomic_fetch_sub(&busy, 1);
        }
        natsMsgList_Destroy(&list);
        if (s != NATS_OK && s != NATS_TIMEOUT) {
            // The consumer or its server is gone: start over when the watcher has it back.
            log_write(LOG_WARN, "fetch failed", "\"detail\":%s", log_quote(natsStatus_GetText(s)));
            natsSubscription_Destroy(subscription);
            subscription = NULL;
            poll(NULL, 0, RETRY_MS);
        }
    }
    natsSubscription_Destroy(subscription);
    client_free(client);
    buf_fini(&response.body);
    return NULL;
}

static natsStatus ensure_consumer(void)
{
    jsConsumerConfig config;
    natsStatus s = stream_ensure(js);

    if (s != NATS_OK) {
        return s;
    }
    jsConsumerConfig_Init(&config);
    config.Durable = STREAM_CONSUMER;
    config.FilterSubject = STREAM_CREATED;
    config.AckPolicy = js_AckExplicit;
    config.AckWait = ack_wait;
    config.MaxAckPending = 10000;
    // Creates it, or updates ACK_WAIT of one that is there.
    return js_AddConsumer(NULL, js, STREAM_NAME, &config, NULL, NULL);
}

static void look(void)
{
    jsConsumerInfo *info = NULL;

    if (js_GetConsumerInfo(&info, js, STREAM_NAME, STREAM_CONSUMER, NULL, NULL) == NATS_OK) {
        // In positions of the stream, so that an event delivered twice counts once: all three only
        // ever rise.
        delivered = info->Delivered.Stream;
        offered = info->Delivered.Stream + info->NumPending;
        acked = info->Delivered.Stream - (uint64_t)info->NumAckPending;
        pending = info->NumPending;
        ack_pending = (uint64_t)info->NumAckPending;
    } else {
        ready = false;
    }
    jsConsumerInfo_Destroy(info);
}

// Makes the consumer, makes it again if it vanishes, and reads its counters.
static void *watch(void *closure)
{
    int64_t next = 0;

    while (!stopping) {
        poll(NULL, 0, 50);
        int64_t now = clock_monotonic();
        if (now < next) {
            continue;
        }
        next = now + (ready ? LOOK_EVERY : RETRY_MS * MSEC);
        if (natsConnection_Status(nats) != NATS_CONN_STATUS_CONNECTED) {
            ready = false;
            continue;
        }
        if (!ready) {
            natsStatus s = ensure_consumer();
            ready = s == NATS_OK;
            log_write(LOG_INFO, ready ? "consuming" : "consumer is not ready", "\"detail\":%s",
                      log_quote(natsStatus_GetText(s)));
        }
        look();
    }
    return NULL;
}

// The server may have come back without its store.
static void on_reconnected(natsConnection *connection, void *closure)
{
    ready = false;
}

bool consumer_is_ready(const char **ret_why)
{
    *ret_why = "NATS is not ready";
    return ready;
}

int consumer_start(char *message, size_t size)
{
    if (http1_url_parse(provider_url, &provider) < 0) {
        snprintf(message, size, "PROVIDER_URL: '%.128s' is not http://host:port", provider_url);
        return -EINVAL;
    }
    nats = stream_connect(nats_url, "notification-worker", on_reconnected, message, size);
    if (!nats) {
        return -EINVAL;
    }
    if (natsConnection_JetStream(&js, nats, NULL) != NATS_OK ||
        pthread_create(&watcher, NULL, watch, NULL) != 0) {
        snprintf(message, size, "cannot start the consumer");
        return -1;
    }
    for (unsigned i = 0; i < concurrency; i++) {
        if (pthread_create(&threads[i], NULL, work, NULL) != 0) {
            abort();
        }
    }
    return 0;
}

void consumer_stop(void)
{
    stopping = true;
    for (unsigned i = 0; i < concurrency; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_join(watcher, NULL);
    // Acknowledgements are sent without waiting; they must be out before the connection closes.
    natsConnection_FlushTimeout(nats, 2000);
    jsCtx_Destroy(js);
    natsConnection_Close(nats);
    natsConnection_Destroy(nats);
    nats_CloseAndWait(2000);
}

void consumer_metrics(struct buf *out)
{
    metric_single(out, "worker_concurrency", "gauge", "E-mails on their way at most.",
                  (double)concurrency);
    metric_single(out, "worker_busy", "gauge", "Events in hand.", (double)busy);
    metric_single(out, "notifications_sent_total", "counter", "E-mails that the provider accepted.",
                  (double)sent);
    metric_single(out, "notifications_failed_total", "counter",
                  "E-mails that failed and are tried again.", (double)failed);
    metric_single(out, "notifications_dropped_total", "counter", "Events that were no orders.",
                  (double)dropped);
    metric_single(out, "events_redelivered_total", "counter", "Events delivered more than once.",
                  (double)redelivered);
    metric_head(out, "notification_duration_seconds", "histogram",
                "From an event's arrival to its e-mail.");
    metric_hist_write(out, "notification_duration_seconds", "", &duration);
    metric_single(out, "nats_consumer_offered_total", "counter",
                  "Events that there were for the workers.", (double)offered);
    metric_single(out, "nats_consumer_delivered_total", "counter", "Events that a worker has got.",
                  (double)delivered);
    metric_single(out, "nats_consumer_acked_total", "counter", "Events that are done with.",
                  (double)acked);
    metric_single(out, "nats_consumer_pending", "gauge", "Events that no worker has got yet.",
                  (double)pending);
    metric_single(out, "nats_consumer_ack_pending", "gauge",
                  "Events delivered and not yet acknowledged.", (double)ack_pending);
    metric_single(out, "nats_connected", "gauge", "1 while connected to NATS.",
                  natsConnection_Status(nats) == NATS_CONN_STATUS_CONNECTED);
}
