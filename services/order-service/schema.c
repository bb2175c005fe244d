// SPDX-License-Identifier: Apache-2.0
#include "schema.h"

#include <stddef.h>

static const char *const create[] = {
    "CREATE TABLE orders ("
    " id uuid PRIMARY KEY,"
    " client_id text NOT NULL,"
    " amount bigint NOT NULL CHECK (amount > 0),"
    " currency char(3) NOT NULL,"
    " status text NOT NULL,"
    " authorisation text NOT NULL,"
    " created_at timestamptz NOT NULL)",
    "CREATE TABLE outbox ("
    " seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " event_id uuid NOT NULL,"
    " payload text NOT NULL,"
    " created_at timestamptz NOT NULL DEFAULT now(),"
    " published_at timestamptz)",
    "CREATE INDEX outbox_waiting ON outbox (seq) WHERE published_at IS NULL",
    NULL,
};

const char *const *const schema_steps[] = {create};
const unsigned schema_version = sizeof(schema_steps) / sizeof(schema_steps[0]);
