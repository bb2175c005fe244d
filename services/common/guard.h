// SPDX-License-Identifier: Apache-2.0
// Ends connections whose peer takes too long, however lively it drips bytes: the HTTP library's own
// time-out starts again with each byte. Any thread.
#pragma once

#include <stdint.h>

struct guard_entry;

void guard_start(void);
// Ends the thread. Every entry must be removed by then.
void guard_stop(void);
// Watches socket `fd` until guard_remove, which must come before the socket is closed.
struct guard_entry *guard_add(int fd);
void guard_remove(struct guard_entry *entry);
// Shuts the socket down soon (250 ms) after `deadline` (monotonic); 0 = never.
void guard_set(struct guard_entry *entry, int64_t deadline);
