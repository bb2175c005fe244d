// SPDX-License-Identifier: Apache-2.0
// The null server: answers at once with what the real target answered during warm-up, so that a
// script takes the same branches and only the generator limits the rate. In a process of its own,
// which never outlives the one that made it.
#pragma once

#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "net/exchange.h"

// Responses by method and path. Bounded: 256 kinds, 1 MiB of body each, 16 MiB in all.
struct nullserver_table;
struct nullserver_table *nullserver_table_new(void);
void nullserver_table_free(struct nullserver_table *t);
// Remembers a response unless one of its kind is known; a success replaces a failure. Any thread.
void nullserver_table_record(struct nullserver_table *t, const struct exchange *x);
// Kinds of responses known.
unsigned nullserver_table_count(struct nullserver_table *t);

struct nullserver;
// Forks the process, which waits. Before any thread was started. 0 or negative errno.
int nullserver_fork(struct nullserver **ret_server);
// Hands it the table; it listens on a port of 127.0.0.1. 0 or negative errno.
int nullserver_start(struct nullserver *s, struct nullserver_table *t, uint16_t *ret_port);
// Processor time that it has used.
nsec_t nullserver_cpu(const struct nullserver *s);
// Ends the process and waits for it.
void nullserver_free(struct nullserver *s);
