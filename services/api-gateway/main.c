// SPDX-License-Identifier: Apache-2.0
// api-gateway: issues tokens and lets those who have one through to order-service.
#include "common/service.h"
#include "proxy.h"
#include "token.h"

static void write_metrics(struct buf *out)
{
    token_metrics(out);
    proxy_metrics(out);
}

static int start(char *message, size_t size)
{
    int r = token_start(message, size);

    return r < 0 ? r : proxy_start(message, size);
}

int main(int argc, char **argv)
{
    static const struct server_route routes[] = {{"POST", "/auth/token", token_post, true},
                                                 {"POST", "/api/v1/*", proxy_forward, true},
                                                 {"GET", "/api/v1/*", proxy_forward, true},
                                                 {NULL}};
    static const struct env_setting *const settings[] = {token_settings, proxy_settings, NULL};
    static const struct service service = {
        .name = "api-gateway",
        .about = "issues tokens and routes /api/v1/* to order-service",
        .settings = settings,
        .limited = true,
        .server = {.routes = routes, .metrics = write_metrics},
        .start = start,
        .stop = proxy_stop,
    };

    return service_main(&service, argc, argv);
}
