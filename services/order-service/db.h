// SPDX-License-Identifier: Apache-2.0
// One PostgreSQL connection with prepared statements, deadlines and pipelining (several statements
// in one round trip). Blocking; one thread at a time.
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#define DB_CALLS_MAX 4

enum db_e {
    DB_GONE = 1, // no connection, or it broke: the outcome of a COMMIT under way is unknown
    DB_TIMEOUT,  // the deadline passed; the connection is closed
    DB_REFUSED,  // the server answered with an error, see db_sqlstate; the connection stays
};

enum db_statement {
    DB_BEGIN,
    DB_COMMIT,
    DB_ROLLBACK,
    DB_ORDER_LOCK,   // id
    DB_ORDER_FIND,   // id, client → amount, currency, status, created_at
    DB_ORDER_INSERT, // id, client, amount, currency, authorisation, created_at, event
    DB_OUTBOX_TAKE,  // limit → seq, event_id, payload; locks them
    DB_OUTBOX_DONE,  // array of seq
    DB_OUTBOX_AGAIN, // marks what was published in the last 30 s as not published
    DB_OUTBOX_DEPTH, // → count, seconds of the oldest
    DB_OUTBOX_PURGE, // seconds
    DB_STATEMENTS_,
};

struct db_call {
    enum db_statement statement;
    const char *params[7]; // text form, as many as the statement has
    PGresult *result;      // set by db_run; db_clear frees it
};

struct db;

// conninfo is borrowed for good; `role` is added to application_name. Does not connect.
struct db *db_new(const char *conninfo, const char *role);
struct db *db_free(struct db *db); // NULL is fine
// True if the connection was used before, so that a failure may only mean that it had died.
bool db_is_open(const struct db *db);
// Connects if needed, sends all calls in one round trip and collects their results, by `deadline`.
// 0 or enum db_e; the results of a failed run are NULL from the failure on.
int db_run(struct db *db, struct db_call *calls, unsigned count, int64_t deadline);
void db_clear(struct db_call *calls, unsigned count);
const char *db_sqlstate(const struct db *db); // of the last DB_REFUSED, 5 characters
const char *db_message(const struct db *db);  // text of the last failure, one line

// Connects and brings the schema to the newest version; safe with several replicas at once.
// 0 or enum db_e.
int db_migrate(struct db *db, int64_t deadline);
