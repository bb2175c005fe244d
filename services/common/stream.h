// SPDX-License-Identifier: Apache-2.0
// What order-service and notification-worker agree on in NATS: the stream, its subject, its
// consumer.
#pragma once

#include <nats/nats.h>
#include <stddef.h>

#define STREAM_NAME     "ORDERS"
#define STREAM_SUBJECTS "orders.>"
#define STREAM_CREATED                                                                             \
    "orders.created" // payload: {"id", "client", "amount", "currency", "created_at"}
#define STREAM_CONSUMER "notification-worker"

// Connects now or as soon as the server is there, for good. `on_reconnected` is called on a thread
// of the library's each time the connection was lost and is back. NULL with a message if url is
// nonsense. The caller destroys the connection (natsConnection_Destroy).
natsConnection *stream_connect(const char *url,
                               const char *name,
                               natsConnectionHandler on_reconnected,
                               char *message,
                               size_t size);
// Creates the stream if it is missing. May be called by several processes at once. Blocks up to 2
// s.
natsStatus stream_ensure(jsCtx *js);
