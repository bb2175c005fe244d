// SPDX-License-Identifier: Apache-2.0
#include "relay.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/stream.h"
#include "db.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define DB_WAIT     (5 * SEC)
#define ACK_WAIT_MS 5000
#define LOOK_EVERY  (1 * SEC) // depth, and rows that another replica left
#define PURGE_EVERY (30 * SEC)

static const char *nats_url;
static int64_t batch_max, interval, retention;

const struct env_setting relay_settings[] = {
    {"NATS_URL", ENV_STRING, &nats_url, "nats://127.0.0.1:4222", 0, 0, "where JetStream is"},
    {"OUTBOX_BATCH", ENV_INTEGER, &batch_max, "500", 1, 5000, "events published at a time"},
    {"OUTBOX_INTERVAL", ENV_DURATION, &interval, "25ms", 0, 60,
     "shortest time between two batches"},
    {"OUTBOX_RETENTION", ENV_DURATION, &retention, "1h", 0, 1e7, "published events are kept for"},
    {NULL}};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static bool woken, stopping;
static pthread_t thread;
static struct db *db;
static natsConnection *nats;
static jsCtx *js;
static _Atomic bool stream_known, reconnected;
static _Atomic unsigned batch_errors; // publishes of the current batch that were refused
static _Atomic bool database_ready;
static _Atomic uint64_t published, failed, depth;
static _Atomic double oldest;

static void on_publish_error(jsCtx *context, jsPubAckErr *error, void *closure)
{
    atomic_fetch_add(&batch_errors, 1);
}

// Sleeps until there is work: an event was committed, or it is time to look anyway. Never returns
// earlier than `interval` after `last`, so that a busy outbox is drained in batches.
static bool await_work(int64_t last)
{
    int64_t look = last + LOOK_EVERY, soonest = last + interval;
    bool stop;

    pthread_mutex_lock(&lock);
    for (;;) {
        int64_t now = clock_monotonic(), until = woken && soonest < look ? soonest : look;
        if (stopping || now >= until) {
            break;
        }
        struct timespec at = clock_timespec(until);
        pthread_cond_timedwait(&wake, &lock, &at);
    }
    woken = false;
    stop = stopping;
    pthread_mutex_unlock(&lock);
    return !stop;
}

static bool migrate_until_done(void)
{
    for (;;) {
        int r = db_migrate(db, clock_monotonic() + 30 * SEC);
        if (r == 0) {
            database_ready = true;
            return true;
        }
        log_write(LOG_WARN, "database is not ready", "\"detail\":%s", log_quote(db_message(db)));
        if (!await_work(clock_monotonic() - LOOK_EVERY / 2)) {
            return false;
        }
    }
}

static bool run(struct db_call *calls, unsigned count)
{
    int r = db_run(db, calls, count, clock_monotonic() + DB_WAIT);

    database_ready = r == 0 || r == DB_REFUSED;
    if (r) {
        log_write(LOG_WARN, "database failed", "\"detail\":%s", log_quote(db_message(db)));
    }
    return r == 0;
}

static void on_reconnected(natsConnection *connection, void *closure)
{
    stream_known = false;
    reconnected = true;
}

// A server that crashed may have lost the last messages that it had acknowledged but not yet
// written: they are published once more. It drops those that it does have.
static bool repeat_last(void)
{
    struct db_call call = {DB_OUTBOX_AGAIN};
    bool ok = run(&call, 1);

    if (ok) {
        log_write(LOG_INFO, "publishing again after a reconnect", "\"events\":%s",
                  PQcmdTuples(call.result));
    }
    db_clear(&call, 1);
    return ok;
}

static bool stream_is_ready(void)
{
    if (natsConnection_Status(nats) != NATS_CONN_STATUS_CONNECTED) {
        return false;
    }
    if (atomic_exchange(&reconnected, false) && !repeat_last()) {
        reconnected = true;
    }
    if (!stream_known) {
        natsStatus s = stream_ensure(js);
        stream_known = s == NATS_OK;
        if (s != NATS_OK) {
            log_write(LOG_WARN, "stream is not ready", "\"detail\":%s",
                      log_quote(natsStatus_GetText(s)));
        }
    }
    return stream_known;
}

// What was sent without an answer must not be counted for the next batch.
static void forget_pending(void)
{
    natsMsgList pending = {0};

    if (js_PublishAsyncGetPendingList(&pending, js) == NATS_OK) {
        natsMsgList_Destroy(&pending);
    }
}

// Publishes the rows and waits for all acknowledgements. The event's id lets JetStream drop what it
// already has, so a batch may be repeated whole.
static bool publish(PGresult *rows)
{
    jsPubOptions options;
    natsStatus s = NATS_OK;

    batch_errors = 0;
    for (int i = 0; s == NATS_OK && i < PQntuples(rows); i++) {
        jsPubOptions_Init(&options);
        options.MsgId = PQgetvalue(rows, i, 1);
        s = js_PublishAsync(js, STREAM_CREATED, PQgetvalue(rows, i, 2), PQgetlength(rows, i, 2),
                            &options);
    }
    jsPubOptions_Init(&options);
    options.MaxWait = ACK_WAIT_MS;
    s = s == NATS_OK ? js_PublishAsyncComplete(js, &options) : s;
    if (s == NATS_OK && batch_errors == 0) {
        return true;
    }
    forget_pending();
    stream_known = false;
    log_write(LOG_WARN, "events were not acknowledged", "\"detail\":%s,\"refused\":%u",
              log_quote(natsStatus_GetText(s)), (unsigned)batch_errors);
    return false;
}

static bool mark(PGresult *rows)
{
    struct buf array = BUF_NULL;

    for (int i = 0; i < PQntuples(rows); i++) {
        buf_format(&array, "%c%s", i == 0 ? '{' : ',', PQgetvalue(rows, i, 0));
    }
    buf_text(&array, "}");
    struct db_call calls[] = {{DB_OUTBOX_DONE, {array.data}}, {DB_COMMIT}};
    bool ok = run(calls, 2);
    db_clear(calls, 2);
    buf_fini(&array);
    return ok;
}

// One batch. Returns the number of events published, -1 on failure (they stay in the outbox).
static int relay_batch(void)
{
    char limit[24];

    snprintf(limit, sizeof(limit), "%lld", (long long)batch_max);
    struct db_call calls[] = {{DB_BEGIN}, {DB_OUTBOX_TAKE, {limit}}};
    bool ok = run(calls, 2);
    int count = ok ? PQntuples(calls[1].result) : 0;
    ok = ok && (count == 0 || publish(calls[1].result));
    if (ok && count > 0) {
        ok = mark(calls[1].result);
    }
    db_clear(calls, 2);
    if ((!ok || count == 0) && db_is_open(db)) {
        struct db_call end = {DB_ROLLBACK};
        run(&end, 1);
        db_clear(&end, 1);
    }
    atomic_fetch_add(ok ? &published : &failed, (uint64_t)count);
    return ok ? count : -1;
}

static void look(int64_t now, int64_t *next_look, int64_t *next_purge)
{
    struct db_call call = {DB_OUTBOX_DEPTH};
    char seconds[32];

    if (now >= *next_look) {
        *next_look = now + LOOK_EVERY;
        if (run(&call, 1)) {
            depth = strtoull(PQgetvalue(call.result, 0, 0), NULL, 10);
            oldest = strtod(PQgetvalue(call.result, 0, 1), NULL);
        }
        db_clear(&call, 1);
    }
    if (now >= *next_purge) {
        snprintf(seconds, sizeof(seconds), "%.3f", (double)retention / (double)SEC);
        call = (struct db_call){DB_OUTBOX_PURGE, {seconds}};
        bool more = run(&call, 1) && strcmp(PQcmdTuples(call.result), "5000") == 0;
        *next_purge = more ? now : now + PURGE_EVERY;
        db_clear(&call, 1);
    }
}

static void *relay(void *closure)
{
    int64_t last = clock_monotonic(), next_look = 0, next_purge = last + PURGE_EVERY;

    if (!migrate_until_done()) {
        return NULL;
    }
    for (bool go_on = true; go_on;) {
        last = clock_monotonic();
        int count = stream_is_ready() ? relay_batch() : -1;
        look(clock_monotonic(), &next_look, &next_purge);
        // A full batch means that more is waiting; a failure waits for the next look.
        if (count == batch_max) {
            relay_wake();
            last -= interval;
        }
        go_on = await_work(last);
    }
    while (stream_is_ready() && relay_batch() > 0) {
    }
    return NULL;
}

int relay_start(const char *conninfo, char *message, size_t size)
{
    pthread_condattr_t attr;
    jsOptions options;

    nats = stream_connect(nats_url, "order-service", on_reconnected, message, size);
    if (!nats) {
        return -EINVAL;
    }
    jsOptions_Init(&options);
    options.PublishAsync.ErrHandler = on_publish_error;
    if (natsConnection_JetStream(&js, nats, &options) != NATS_OK) {
        snprintf(message, size, "no JetStream context");
        return -1;
    }
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&wake, &attr);
    pthread_condattr_destroy(&attr);
    db = db_new(conninfo, "relay");
    if (pthread_create(&thread, NULL, relay, NULL) != 0) {
        abort();
    }
    return 0;
}

void relay_stop(void)
{
    pthread_mutex_lock(&lock);
    stopping = true;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
    db = db_free(db);
    jsCtx_Destroy(js);
    natsConnection_Close(nats);
    natsConnection_Destroy(nats);
    nats_CloseAndWait(2000);
}

void relay_wake(void)
{
    pthread_mutex_lock(&lock);
    if (!woken) {
        woken = true;
        pthread_cond_signal(&wake);
    }
    pthread_mutex_unlock(&lock);
}

bool relay_database_is_ready(void)
{
    return database_ready;
}

void relay_metrics(struct buf *out)
{
    metric_single(out, "outbox_depth", "gauge", "Events that wait for publication.", (double)depth);
    metric_single(out, "outbox_oldest_seconds", "gauge", "Age of the oldest of them.", oldest);
    metric_single(out, "outbox_published_total", "counter", "Events published.", (double)published);
    metric_single(out, "outbox_failed_total", "counter",
                  "Events whose publication was not acknowledged.", (double)failed);
    metric_single(out, "nats_connected", "gauge", "1 while connected to NATS.",
                  natsConnection_Status(nats) == NATS_CONN_STATUS_CONNECTED);
}
