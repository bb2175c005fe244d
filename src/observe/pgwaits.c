// SPDX-License-Identifier: Apache-2.0
#include "observe/pgwaits.h"

#include <errno.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char QUERY[] =
    "SELECT count(*) FILTER (WHERE state = 'active'), "
    "count(*) FILTER (WHERE state = 'active' AND wait_event IS NOT NULL), "
    "count(*) FILTER (WHERE state LIKE 'idle in transaction%') "
    "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";

struct pgwaits {
    PGconn *connection;
};

struct pgwaits *pgwaits_open(const char *conninfo, char *why, size_t size)
{
    CLEANUP_FREE char *full = xasprintf("%s connect_timeout=5 application_name=plimsoll "
                                        "options='-c statement_timeout=1000'",
                                        conninfo);
    PGconn *c = PQconnectdb(full);

    if (PQstatus(c) != CONNECTION_OK) {
        snprintf(why, size, "%s", PQerrorMessage(c));
        why[strcspn(why, "\n")] = '\0';
        PQfinish(c);
        return NULL;
    }
    struct pgwaits *w = XNEW(struct pgwaits);
    w->connection = c;
    return w;
}

void pgwaits_free(struct pgwaits *w)
{
    if (w) {
        PQfinish(w->connection);
        free(w);
    }
}

int pgwaits_read(struct pgwaits *w, struct pgwaits_counts *ret_counts)
{
    PGresult *r = PQexec(w->connection, QUERY);
    bool ok = PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) == 1;

    if (ok) {
        *ret_counts = (struct pgwaits_counts){
            .active = strtod(PQgetvalue(r, 0, 0), NULL),
            .waiting = strtod(PQgetvalue(r, 0, 1), NULL),
            .idle_in_transaction = strtod(PQgetvalue(r, 0, 2), NULL),
        };
    }
    PQclear(r);
    return ok ? 0 : -EIO;
}
