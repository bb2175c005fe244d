// SPDX-License-Identifier: Apache-2.0
// order-service: takes orders, authorises their payment, stores them and publishes their events.
#include "common/service.h"
#include "orders.h"
#include "relay.h"

static const char *database_url;

static const struct env_setting main_settings[] = {
    {"DATABASE_URL", ENV_STRING, &database_url, "postgresql://orders@127.0.0.1:5432/orders", 0, 0,
     "PostgreSQL; libpq's PG... variables fill what it leaves out"},
    {NULL}};

static bool is_ready(const char **ret_why)
{
    *ret_why = "the database is not ready";
    return relay_database_is_ready();
}

static void write_metrics(struct buf *out)
{
    orders_metrics(out);
    relay_metrics(out);
}

static int start(char *message, size_t size)
{
    int r = relay_start(database_url, message, size);

    return r < 0 ? r : orders_start(database_url, message, size);
}

static void stop(void)
{
    orders_stop();
    relay_stop();
}

int main(int argc, char **argv)
{
    static const struct server_route routes[] = {{"POST", "/api/v1/orders", orders_post, true},
                                                 {"GET", "/api/v1/orders/*", orders_get, true},
                                                 {NULL}};
    static const struct env_setting *const settings[] = {main_settings, orders_settings,
                                                         relay_settings, NULL};
    static const struct service service = {
        .name = "order-service",
        .about = "takes orders, authorises their payment, stores them, publishes their events",
        .settings = settings,
        .limited = true,
        .server = {.routes = routes, .ready = is_ready, .metrics = write_metrics},
        .start = start,
        .stop = stop,
    };

    return service_main(&service, argc, argv);
}
