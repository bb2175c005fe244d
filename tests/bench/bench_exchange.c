// SPDX-License-Identifier: Apache-2.0
// What an exchange costs without a script: virtual users in C on one loop, each posting an order
// again and again on its own connection.
// usage: bench-exchange PORT USERS SECONDS
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/exchange.h"
#include "net/settings.h"
#include "rt/co.h"

struct user {
    struct client *client;
    struct endpoint *endpoint;
};

static struct loop *loop;
static struct net_settings settings;
static uint16_t port;
static unsigned long sent, answered, failed;
static bool ending;

#define HEADERS                                                                                    \
    "Host: 127.0.0.1\r\nUser-Agent: bench\r\nContent-Type: application/json\r\nAuthorization: "    \
    "Bearer "                                                                                      \
    "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt" \
    "tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt\r\nContent-Length: "       \
    "32\r\n"

static void user_main(void *arg)
{
    struct user *u = arg;

    u->client = client_new(loop, &settings);
    u->endpoint = client_endpoint(u->client, false, SLICE("127.0.0.1"), port);
    while (!ending) {
        struct exchange x = {
            .endpoint = u->endpoint,
            .method = SLICE("POST"),
            .target = SLICE("/api/v1/orders"),
            .headers = SLICE(HEADERS),
            .body = SLICE("{\"amount\":4211,\"currency\":\"EUR\"}"),
            .timeout = 60 * NSEC_PER_SEC,
        };
        sent++;
        exchange_await(u->client, &x);
        answered += x.status == 201;
        failed += x.status != 201;
        exchange_release(u->client, &x);
    }
    client_free(u->client);
    if (co_count(loop) == 1) {
        loop_stop(loop);
    }
}

static void on_end(struct timer *t)
{
    ending = true;
}

int main(int argc, char **argv)
{
    struct timer timer = TIMER_NULL;
    struct err err = {0};

    if (argc != 4) {
        fprintf(stderr, "usage: bench-exchange PORT USERS SECONDS\n");
        return 2;
    }
    port = (uint16_t)strtoul(argv[1], NULL, 10);
    unsigned users = (unsigned)strtoul(argv[2], NULL, 10);
    nsec_t wanted = (nsec_t)(strtod(argv[3], NULL) * 1e9);
    net_settings_init(&settings);
    if (net_settings_seal(&settings, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    loop = loop_new();
    struct user *all = xcalloc(users, sizeof(*all));
    for (unsigned i = 0; i < users; i++) {
        co_spawn(loop, user_main, &all[i], NULL);
    }
    nsec_t begin = clock_now(), cpu = clock_process_cpu();
    timer_set(loop, &timer, begin + wanted, on_end);
    loop_run(loop);
    double seconds = (double)(clock_now() - begin) / 1e9;
    double used = (double)(clock_process_cpu() - cpu) / 1e9;
    printf("%lu requests in %.2fs, %.0f/s, %.3f us CPU each, %lu failed\n", answered, seconds,
           (double)answered / seconds, used * 1e6 / (double)MAX(answered, 1ul), failed);
    free(all);
    loop_free(loop);
    net_settings_fini(&settings);
    return sent == answered + failed && failed == 0 ? 0 : 1;
}
