// SPDX-License-Identifier: Apache-2.0
// notification-worker: sends an e-mail for each order event, acknowledges after it was accepted.
#include "common/service.h"
#include "consumer.h"

int main(int argc, char **argv)
{
    static const struct server_route routes[] = {{NULL}};
    static const struct env_setting *const settings[] = {consumer_settings, NULL};
    static const struct service service = {
        .name = "notification-worker",
        .about = "sends an e-mail through the provider for each order event",
        .settings = settings,
        .server = {.routes = routes, .ready = consumer_is_ready, .metrics = consumer_metrics},
        .start = consumer_start,
        .stop = consumer_stop,
    };

    return service_main(&service, argc, argv);
}
