// SPDX-License-Identifier: Apache-2.0
// Overload is dangerous: which hosts a limit search may load. Loopback (local pods are there too)
// is always allowed; anything else must be named. Asked before each connection, from any thread.
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdbool.h>

#include "base/strbuf.h"

enum { TARGETS_MAX = 16 };

struct target {
    char host[256]; // as in the URL
    unsigned short port;
};

struct target_guard {
    const char *const *allowed; // host names or addresses, NULL-terminated; borrowed; may be NULL
    pthread_mutex_t lock;
    char refused[256];               // the first host that was refused, "" if none
    struct target seen[TARGETS_MAX]; // the allowed ones that were asked for, each once
    unsigned seen_count;
    bool loopback_seen;
    bool foreign_seen;
};

void target_guard_init(struct target_guard *g, const char *const *allowed);
void target_guard_fini(struct target_guard *g);
// May `host`, which resolved to `address`, be loaded? `arg` is a struct target_guard; has the form
// of net_settings.allow.
bool target_guard_allow(void *arg, struct slice host, const struct sockaddr_storage *address);
