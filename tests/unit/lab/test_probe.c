// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab/probe.h"
#include "unit.h"

static const nsec_t S = NSEC_PER_SEC;

static struct kube_probe spec_of(enum kube_probe_kind kind)
{
    return (struct kube_probe){.kind = kind,
                               .path = "/x",
                               .period = 10 * S,
                               .timeout = S,
                               .successes = 1,
                               .failures = 3,
                               .delay = 2 * S};
}

START_TEST(thresholds)
{
    struct kube_probe spec = spec_of(KUBE_PROBE_EXEC);
    struct probe p = {.fd = -1};

    spec.successes = 2;
    probe_reset(&p, &spec, "127.0.0.1", false, 100 * S);
    ck_assert(!p.passed);
    ck_assert_int_eq(probe_next(&p), 102 * S);
    ck_assert(!probe_step(&p, 101 * S));
    ck_assert(probe_step(&p, 102 * S)); // an exec probe is the owner's to start
    ck_assert(!probe_step(&p, 102 * S));
    ck_assert_int_eq(probe_next(&p), 103 * S);
    probe_result(&p, true, NULL, 102 * S);
    ck_assert(!p.passed); // one of two
    ck_assert_int_eq(probe_next(&p), 112 * S);
    ck_assert(probe_step(&p, 112 * S));
    probe_result(&p, true, NULL, 112 * S);
    ck_assert(p.passed);
    for (int i = 0; i < 3; i++) {
        ck_assert(p.passed && !p.failed);
        ck_assert(probe_step(&p, (122 + 10 * i) * S));
        probe_step(&p, (123 + 10 * i) * S); // too late
        p.due = (132 + 10 * i) * S;
    }
    ck_assert(!p.passed && p.failed);
    ck_assert_str_eq(p.why, "no answer in time");
    ck_assert(probe_step(&p, 160 * S));
    probe_result(&p, true, NULL, 160 * S);
    ck_assert(!p.passed); // again one of two
}
END_TEST

START_TEST(eager)
{
    struct kube_probe spec = spec_of(KUBE_PROBE_EXEC);
    struct probe p = {.fd = -1};
    nsec_t now = 102 * S;

    probe_reset(&p, &spec, "127.0.0.1", true, 100 * S);
    // Ten attempts within a period count as one failure.
    for (int i = 0; i < 10; i++) {
        ck_assert(probe_step(&p, now));
        probe_result(&p, false, "no", now);
        ck_assert_int_eq(probe_next(&p), now + S / 5);
        now = probe_next(&p);
    }
    ck_assert_int_eq(p.failures, 1);
    ck_assert(probe_step(&p, now));
    probe_result(&p, true, NULL, now);
    ck_assert(p.passed);
    ck_assert_int_eq(probe_next(&p), now + 10 * S);
}
END_TEST

START_TEST(none)
{
    struct kube_probe spec = {.kind = KUBE_PROBE_NONE};
    struct probe p = {.fd = -1};

    probe_reset(&p, &spec, "127.0.0.1", true, 5);
    ck_assert(p.passed && p.ever);
    ck_assert(probe_next(&p) == NSEC_MAX);
}
END_TEST

// Runs one attempt against a listener that answers `reply` (NULL: closes without a word).
static struct probe attempt(struct kube_probe *spec, const char *reply)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    struct probe p = {.fd = -1};
    char request[512] = "";
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int client = -1;

    ck_assert_int_eq(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    getsockname(listener, (struct sockaddr *)&at, &size);
    spec->port = ntohs(at.sin_port);
    spec->delay = 0;
    probe_reset(&p, spec, "127.0.0.1", false, clock_now());
    probe_step(&p, clock_now());
    while (p.flying) {
        struct pollfd fds[] = {{.fd = p.fd, .events = p.events},
                               {.fd = client < 0 ? listener : client, .events = POLLIN}};
        ck_assert_int_gt(poll(fds, 2, 5000), 0);
        if (fds[0].revents) {
            probe_io(&p, clock_now());
        } else if (client < 0) {
            client = accept(listener, NULL, NULL);
        } else if (recv(client, request, sizeof(request) - 1, 0) > 0) {
            ck_assert_ptr_nonnull(strstr(request, "GET /x HTTP/1.1\r\n"));
            ck_assert_ptr_nonnull(strstr(request, "\r\nConnection: close\r\n"));
            if (reply) {
                ck_assert_int_gt(send(client, reply, strlen(reply), 0), 0);
            }
            shutdown(client, SHUT_RDWR);
        }
    }
    close(listener);
    if (client >= 0) {
        close(client);
    }
    return p;
}

START_TEST(http)
{
    struct kube_probe spec = spec_of(KUBE_PROBE_HTTP);
    struct probe p = attempt(&spec, "HTTP/1.1 204 No Content\r\n\r\n");

    ck_assert(p.passed);
    p = attempt(&spec, "HTTP/1.0 399 x\r\nA: b\r\n\r\nbody");
    ck_assert(p.passed);
    p = attempt(&spec, "HTTP/1.1 503 no\r\n\r\n");
    ck_assert(!p.passed);
    ck_assert_str_eq(p.why, "HTTP status 503");
    p = attempt(&spec, "hello\r\n\r\n");
    ck_assert_str_eq(p.why, "no HTTP answer");
    p = attempt(&spec, NULL);
    ck_assert_str_eq(p.why, "closed without an answer");
}
END_TEST

START_TEST(tcp)
{
    struct kube_probe spec = spec_of(KUBE_PROBE_TCP);
    struct probe p = attempt(&spec, NULL);

    ck_assert(p.passed);
    spec.delay = 0; // nobody listens there any more
    probe_reset(&p, &spec, "127.0.0.1", false, clock_now());
    probe_step(&p, clock_now());
    while (p.flying) {
        struct pollfd fd = {.fd = p.fd, .events = p.events};
        ck_assert_int_gt(poll(&fd, 1, 5000), 0);
        probe_io(&p, clock_now());
    }
    ck_assert_str_eq(p.why, "connect: Connection refused");
}
END_TEST

UNIT_MAIN("lab/probe", thresholds, eager, none, http, tcp)
