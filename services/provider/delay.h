// SPDX-License-Identifier: Apache-2.0
// Calls back at set times from one thread, however many wait: the only sleep of the system.
#pragma once

#include <stdint.h>

typedef void (*delay_fn)(void *closure);

void delay_start(void);
// Calls what still waits at once, then ends the thread.
void delay_stop(void);
// Calls `fn` on the timer's thread at `due` (monotonic). Any thread.
void delay_call(int64_t due, delay_fn fn, void *closure);
