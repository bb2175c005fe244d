// SPDX-License-Identifier: Apache-2.0
// Which idempotency keys were accepted. Remembers at least the last LEDGER_KEYS of them, in a file
// too if one is given, so that a restarted provider still knows what it has sent. Any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEDGER_KEYS 500000

struct ledger;

// path: append-only file of keys, created if missing; "" = memory only. NULL with a message if it
// cannot be read or written.
struct ledger *ledger_open(const char *path, char *message, size_t size);
struct ledger *ledger_close(struct ledger *ledger); // NULL is fine
// Accepts `key` (no line feed in it, at most 255 bytes). 1 if it is new, 0 if it was accepted
// before: then it stays accepted, also after a crash of this process. Negative errno: not accepted.
int ledger_accept(struct ledger *ledger, const char *key);
bool ledger_has(struct ledger *ledger, const char *key);
void ledger_counts(struct ledger *ledger, uint64_t *ret_accepted, uint64_t *ret_repeated);
