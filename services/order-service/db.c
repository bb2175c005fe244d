// SPDX-License-Identifier: Apache-2.0
#include "db.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "schema.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

// How the API shows a time: RFC 3339 in UTC with milliseconds, as clock_rfc3339 does.
#define CREATED_AT "to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

static const struct {
    const char *name, *sql;
    int params;
} statements[DB_STATEMENTS_] = {
    [DB_BEGIN] = {"begin", "BEGIN", 0},
    [DB_COMMIT] = {"commit", "COMMIT", 0},
    [DB_ROLLBACK] = {"rollback", "ROLLBACK", 0},
    [DB_ORDER_LOCK] = {"order_lock", "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", 1},
    [DB_ORDER_FIND] = {"order_find",
                       "SELECT amount, currency, status, " CREATED_AT
                       " FROM orders WHERE id = $1::uuid AND client_id = $2",
                       2},
    [DB_ORDER_INSERT] = {"order_insert",
                         "WITH o AS (INSERT INTO orders"
                         " (id, client_id, amount, currency, status, authorisation, created_at)"
                         " VALUES ($1::uuid, $2, $3::bigint, $4, 'authorised', $5, $6::timestamptz)"
                         " RETURNING id)"
                         " INSERT INTO outbox (event_id, payload) SELECT id, $7 FROM o",
                         7},
    // SKIP LOCKED: replicas share the outbox without waiting for each other.
    [DB_OUTBOX_TAKE] = {"outbox_take",
                        "SELECT seq, event_id, payload FROM outbox WHERE published_at IS NULL"
                        " ORDER BY seq LIMIT $1::int FOR UPDATE SKIP LOCKED",
                        1},
    [DB_OUTBOX_DONE] = {"outbox_done",
                        "UPDATE outbox SET published_at = now() WHERE seq = ANY ($1::bigint[])", 1},
    // Far within the stream's window of duplicates. The bound on seq keeps it off old rows.
    [DB_OUTBOX_AGAIN] = {"outbox_again",
                         "UPDATE outbox SET published_at = NULL"
                         " WHERE published_at > now() - interval '30 s'"
                         " AND seq > (SELECT max(seq) - 50000 FROM outbox)",
                         0},
    [DB_OUTBOX_DEPTH] = {"outbox_depth",
                         "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)"
                         " FROM (SELECT created_at FROM outbox WHERE published_at IS NULL"
                         " ORDER BY seq LIMIT 100000) AS waiting",
                         0},
    // Oldest first along the key: what is kept is not even looked at.
    [DB_OUTBOX_PURGE] =
        {"outbox_purge",
         "DELETE FROM outbox WHERE seq IN (SELECT seq FROM outbox ORDER BY seq LIMIT 5000)"
         " AND published_at < now() - make_interval(secs => $1::float8)",
         1},
};

struct db {
    const char *conninfo;
    char name[64]; // application_name
    PGconn *conn;  // NULL when closed
    char sqlstate[6];
    char message[256];
};

struct db *db_new(const char *conninfo, const char *role)
{
    struct db *db = mem_zalloc(sizeof(*db));

    db->conninfo = conninfo;
    snprintf(db->name, sizeof(db->name), "order-service %s", role);
    return db;
}

static void close_connection(struct db *db)
{
    PQfinish(db->conn);
    db->conn = NULL;
}

struct db *db_free(struct db *db)
{
    if (db) {
        close_connection(db);
        free(db);
    }
    return NULL;
}

bool db_is_open(const struct db *db)
{
    return db->conn != NULL;
}

const char *db_sqlstate(const struct db *db)
{
    return db->sqlstate;
}

const char *db_message(const struct db *db)
{
    return db->message;
}

static void keep_message(struct db *db, const char *text)
{
    snprintf(db->message, sizeof(db->message), "%s", text);
    db->message[strcspn(db->message, "\n")] = '\0';
}

static int fail(struct db *db, int code)
{
    keep_message(db, code == DB_TIMEOUT ? "timed out" : PQerrorMessage(db->conn));
    close_connection(db);
    return code;
}

// 0, or DB_TIMEOUT.
static int await_socket(struct db *db, short events, int64_t deadline)
{
    struct pollfd pfd = {.fd = PQsocket(db->conn), .events = events};

    return poll(&pfd, 1, clock_poll_ms(deadline)) == 0 ? DB_TIMEOUT : 0;
}

static int await_result(struct db *db, int64_t deadline, PGresult **ret_result)
{
    for (;;) {
        int unsent = PQflush(db->conn);
        if (unsent < 0) {
            return DB_GONE;
        }
        if (!PQisBusy(db->conn)) {
            *ret_result = PQgetResult(db->conn);
            return 0;
        }
        if (await_socket(db, (short)(POLLIN | (unsent ? POLLOUT : 0)), deadline)) {
            return DB_TIMEOUT;
        }
        if (!PQconsumeInput(db->conn)) {
            return DB_GONE;
        }
    }
}

// One statement's result and the NULL that ends it.
static int collect(struct db *db, int64_t deadline, PGresult **ret_result)
{
    PGresult *result = NULL, *end = NULL;
    int r = await_result(db, deadline, &result);

    if (r) {
        return r;
    }
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
        *ret_result = result;
    } else {
        const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        if (status != PGRES_PIPELINE_ABORTED) {
            snprintf(db->sqlstate, sizeof(db->sqlstate), "%s", state ? state : "");
            keep_message(db, PQresultErrorMessage(result));
        }
        // Without a state the connection itself is lost.
        r = state || status == PGRES_PIPELINE_ABORTED ? DB_REFUSED : DB_GONE;
        PQclear(result);
    }
    int r2 = r == DB_GONE ? 0 : await_result(db, deadline, &end);
    PQclear(end);
    return r2 ? r2 : r;
}

static int collect_sync(struct db *db, int64_t deadline)
{
    PGresult *result = NULL;
    int r = await_result(db, deadline, &result);

    if (r == 0 && PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
        r = DB_GONE;
    }
    PQclear(result);
    return r;
}

// Collects `count` results into the calls (NULL: throws them away). The connection is closed when
// it can no longer be used.
static int collect_all(struct db *db, struct db_call *calls, unsigned count, int64_t deadline)
{
    int r = 0;

    for (unsigned i = 0; i < count; i++) {
        PGresult *result = NULL;
        int one = collect(db, deadline, &result);
        if (one == DB_GONE || one == DB_TIMEOUT) {
            PQclear(result);
            return fail(db, one);
        }
        r = r ? r : one;
        if (calls) {
            calls[i].result = result;
        } else {
            PQclear(result);
        }
    }
    int sync = collect_sync(db, deadline);
    return sync ? fail(db, sync) : r;
}

// libpq would print notices on stderr, between the lines of JSON.
static void on_notice(void *closure, const char *message)
{
    log_write(LOG_DEBUG, "database notice", "\"detail\":%s", log_quote(message));
}

static int connect_until(struct db *db, int64_t deadline)
{
    const char *keywords[] = {"dbname", "fallback_application_name", "application_name", NULL};
    const char *values[] = {db->conninfo, db->name, db->name, NULL};
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;

    db->conn = PQconnectStartParams(keywords, values, 1);
    if (!db->conn) {
        abort();
    }
    if (PQstatus(db->conn) == CONNECTION_BAD) {
        return fail(db, DB_GONE);
    }
    PQsetNoticeProcessor(db->conn, on_notice, NULL);
    while (status != PGRES_POLLING_OK) {
        if (status == PGRES_POLLING_FAILED) {
            return fail(db, DB_GONE);
        }
        if (await_socket(db, status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline)) {
            return fail(db, DB_TIMEOUT);
        }
        status = PQconnectPoll(db->conn);
    }
    if (PQsetnonblocking(db->conn, 1) < 0 || !PQenterPipelineMode(db->conn)) {
        return fail(db, DB_GONE);
    }
    return 0;
}

// Nothing that this service forgets may hold a lock or a snapshot for long.
static const char *const session_settings[] = {"SET statement_timeout = '10s'",
                                               "SET lock_timeout = '2s'",
                                               "SET idle_in_transaction_session_timeout = '30s'"};

static int prepare(struct db *db, int64_t deadline)
{
    unsigned count = 0;
    int ok = 1;

    for (unsigned i = 0; i < sizeof(session_settings) / sizeof(session_settings[0]); i++, count++) {
        ok &= PQsendQueryParams(db->conn, session_settings[i], 0, NULL, NULL, NULL, NULL, 0);
    }
    for (unsigned i = 0; i < DB_STATEMENTS_; i++, count++) {
        ok &= PQsendPrepare(db->conn, statements[i].name, statements[i].sql, 0, NULL);
    }
    ok &= PQpipelineSync(db->conn);
    if (!ok) {
        return fail(db, DB_GONE);
    }
    int r = collect_all(db, NULL, count, deadline);
    if (r == DB_REFUSED) {
        close_connection(db);
        r = DB_GONE;
    }
    return r;
}

int db_run(struct db *db, struct db_call *calls, unsigned count, int64_t deadline)
{
    int r = 0, ok = 1;

    for (unsigned i = 0; i < count; i++) {
        calls[i].result = NULL;
    }
    if (!db->conn) {
        r = connect_until(db, deadline);
        r = r ? r : prepare(db, deadline);
        if (r) {
            return r;
        }
    }
    for (unsigned i = 0; i < count; i++) {
        enum db_statement s = calls[i].statement;
        ok &= PQsendQueryPrepared(db->conn, statements[s].name, statements[s].params,
                                  calls[i].params, NULL, NULL, 0);
    }
    ok &= PQpipelineSync(db->conn);
    return ok ? collect_all(db, calls, count, deadline) : fail(db, DB_GONE);
}

void db_clear(struct db_call *calls, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        PQclear(calls[i].result);
        calls[i].result = NULL;
    }
}

// ---- schema

static int run_sql(struct db *db, const char *sql, int64_t deadline, PGresult **ret_result)
{
    PGresult *result = NULL;

    if (!PQsendQueryParams(db->conn, sql, 0, NULL, NULL, NULL, NULL, 0) ||
        !PQpipelineSync(db->conn)) {
        return fail(db, DB_GONE);
    }
    int r = collect(db, deadline, &result);
    if (r == DB_GONE || r == DB_TIMEOUT) {
        return fail(db, r);
    }
    int sync = collect_sync(db, deadline);
    if (ret_result && r == 0) {
        *ret_result = result;
    } else {
        PQclear(result);
    }
    return sync ? fail(db, sync) : r;
}

static int apply(struct db *db, unsigned version, int64_t deadline)
{
    char note[96];
    int r = run_sql(db, "BEGIN", deadline, NULL);

    for (const char *const *sql = schema_steps[version]; r == 0 && *sql; sql++) {
        r = run_sql(db, *sql, deadline, NULL);
    }
    snprintf(note, sizeof(note), "INSERT INTO schema_migrations (version) VALUES (%u)",
             version + 1);
    r = r ? r : run_sql(db, note, deadline, NULL);
    r = r ? r : run_sql(db, "COMMIT", deadline, NULL);
    if (r == 0) {
        log_write(LOG_INFO, "schema migrated", "\"version\":%u", version + 1);
    }
    return r;
}

int db_migrate(struct db *db, int64_t deadline)
{
    PGresult *result = NULL;
    unsigned version = 0;

    close_connection(db);
    int r = connect_until(db, deadline);
    // The lock is the session's: it goes when the connection is closed, on every way out of here.
    r = r ? r : run_sql(db, "SELECT pg_advisory_lock(" SCHEMA_LOCK ")", deadline, NULL);
    r = r ? r
          : run_sql(db,
                    "CREATE TABLE IF NOT EXISTS schema_migrations (version int PRIMARY KEY,"
                    " applied_at timestamptz NOT NULL DEFAULT now())",
                    deadline, NULL);
    r = r ? r
          : run_sql(db, "SELECT coalesce(max(version), 0) FROM schema_migrations", deadline,
                    &result);
    if (r == 0) {
        version = (unsigned)strtoul(PQgetvalue(result, 0, 0), NULL, 10);
        PQclear(result);
    }
    for (; r == 0 && version < schema_version; version++) {
        r = apply(db, version, deadline);
    }
    close_connection(db);
    return r;
}
