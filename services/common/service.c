// SPDX-License-Identifier: Apache-2.0
#include "service.h"

#include "log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *log_level;

static const struct env_setting log_settings[] = {
    {"LOG_LEVEL", ENV_STRING, &log_level, "info", 0, 0, "error, warn, info or debug"}, {NULL}};

static int help(const struct service *service)
{
    printf("%s: %s\n\nSettings (environment):\n", service->name, service->about);
    for (const struct env_setting *const *table = service->settings; *table; table++) {
        env_help(*table, stdout);
    }
    if (service->limited) {
        env_help(server_limit_settings, stdout);
    }
    env_help(server_settings, stdout);
    env_help(log_settings, stdout);
    return 0;
}

static int read_settings(const struct service *service, char *message, size_t size)
{
    int r = env_read(log_settings, message, size);

    if (r == 0 && log_init(service->name, log_level) < 0) {
        snprintf(message, size, "LOG_LEVEL: '%.32s' is not error, warn, info or debug", log_level);
        r = -1;
    }
    for (const struct env_setting *const *table = service->settings; r == 0 && *table; table++) {
        r = env_read(*table, message, size);
    }
    if (r == 0 && service->limited) {
        r = env_read(server_limit_settings, message, size);
    }
    return r == 0 ? env_read(server_settings, message, size) : r;
}

// Blocks in every thread made from here on what main() waits for.
static sigset_t block_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return set;
}

int service_main(const struct service *service, int argc, char **argv)
{
    char message[512] = "";
    int signal_number;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        return help(service);
    }
    log_init(service->name, "info");
    if (argc > 1) {
        log_write(LOG_ERROR, "takes no arguments but --help; settings come from the environment",
                  NULL);
        return 2;
    }
    if (read_settings(service, message, sizeof(message)) < 0) {
        log_write(LOG_ERROR, message, NULL);
        return 2;
    }
    sigset_t set = block_signals();
    int r = service->start ? service->start(message, sizeof(message)) : 0;
    if (r == 0) {
        r = server_start(&service->server, message, sizeof(message));
        if (r < 0 && service->stop) {
            service->stop();
        }
    }
    if (r < 0) {
        log_write(LOG_ERROR, message, NULL);
        return r == -EINVAL ? 2 : 1;
    }
    log_write(LOG_INFO, "listening", "\"port\":%u,\"pid\":%d", server_port(), (int)getpid());
    sigwait(&set, &signal_number);
    log_write(LOG_INFO, "stopping", "\"signal\":%d", signal_number);
    unsigned cut = server_drain();
    if (cut > 0) {
        log_write(LOG_ERROR, "requests were cut off", "\"count\":%u", cut);
        _exit(1);
    }
    if (service->stop) {
        service->stop();
    }
    log_write(LOG_INFO, "stopped", NULL);
    return 0;
}
