// SPDX-License-Identifier: Apache-2.0
// Inside of the null server: its table and its serving loop.
#pragma once

#include <pthread.h>

#include "net/nullserver.h"

struct null_response {
    char *key;   // "POST /path", without the query
    char *bytes; // the whole response as sent
    size_t size;
    size_t head; // its size without the body (for HEAD)
    int status;
};

struct nullserver_table {
    pthread_mutex_t lock;
    struct null_response *items;
    unsigned count;
    unsigned cap;
    size_t total;
};

// The response for a request line's method and target: of the same method and path, else of the
// same method and the longest common beginning. NULL when there is none of the method.
const struct null_response *
nullserver_table_find(const struct nullserver_table *t, struct slice method, struct slice target);
// Serves on the listening socket until `control` is at its end. Never fails for a client's sake.
void nullserver_serve(int listener, int control, const struct nullserver_table *t);
