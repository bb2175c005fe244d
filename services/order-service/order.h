// SPDX-License-Identifier: Apache-2.0
// What an order is: checks of what clients send, and its JSON. Pure.
#pragma once

#include "common/buf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define ORDER_AMOUNT_MAX INT64_C(9007199254740991) // what every JSON reader holds exactly
#define ORDER_KEY_MAX    200                       // bytes of an Idempotency-Key

struct order_input {
    int64_t amount;   // minor units, 1 to ORDER_AMOUNT_MAX
    char currency[4]; // ISO 4217
};

// Checks the fields of `body`. 0, or -EINVAL with the name of the field at fault (static) and a
// sentence about it (static).
int order_input_check(const json_t *body,
                      struct order_input *ret_input,
                      const char **ret_field,
                      const char **ret_message);
// 1 to ORDER_KEY_MAX visible ASCII characters.
bool order_key_is_valid(const char *key);
// An active alphabetic code of ISO 4217, upper case.
bool order_currency_is_known(const char *code);
// The order as the API shows it.
void order_write(struct buf *out,
                 const char *id,
                 const char *amount,
                 const char *currency,
                 const char *status,
                 const char *created_at);
