// SPDX-License-Identifier: Apache-2.0
// The life of a service process: settings, log, start, serve, drain on SIGTERM, exit.
#pragma once

#include "server.h"

struct service {
    const char *name;
    const char *about;                         // one line for --help
    const struct env_setting *const *settings; // its own tables, NULL-terminated
    bool limited;                              // takes RATE_LIMIT too
    struct server_config server;
    // Before listening; may be NULL. 0, or negative errno with a message; -EINVAL for a bad
    // setting.
    int (*start)(char *message, size_t size);
    // After the last answer; may be NULL. Stops threads, frees.
    void (*stop)(void);
};

// The whole of main(). Exit codes: 0 after a graceful stop, 1 when requests were cut off or the
// service could not start, 2 for a bad setting or argument.
int service_main(const struct service *service, int argc, char **argv);
