// SPDX-License-Identifier: Apache-2.0
#include "lab/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

static const nsec_t EAGER_PERIOD = 200 * NSEC_PER_MSEC;

void probe_reset(
    struct probe *p, const struct kube_probe *spec, const char *ip, bool eager, nsec_t now)
{
    probe_stop(p);
    *p = (struct probe){.spec = spec, .ip = ip, .fd = -1, .eager = eager};
    p->passed = p->ever = spec->kind == KUBE_PROBE_NONE;
    p->due = spec->kind == KUBE_PROBE_NONE ? NSEC_MAX : now + spec->delay;
}

void probe_stop(struct probe *p)
{
    if (p->spec && p->fd >= 0) {
        close(p->fd);
    }
    p->fd = -1;
    p->flying = false;
    p->due = NSEC_MAX;
}

nsec_t probe_next(const struct probe *p)
{
    return p->flying ? p->deadline : p->due;
}

void probe_result(struct probe *p, bool success, const char *why, nsec_t now)
{
    bool eager = p->eager && !p->ever;

    if (p->fd >= 0) {
        close(p->fd);
        p->fd = -1;
    }
    p->flying = false;
    p->pid = 0;
    if (success) {
        p->failures = 0;
        p->successes++;
        if (p->successes >= p->spec->successes) {
            p->passed = p->ever = true;
            p->failed = false;
        }
    } else {
        snprintf(p->why, sizeof(p->why), "%s", why ? why : "failed");
        p->successes = 0;
        if (!eager || now - p->counted >= p->spec->period) {
            p->failures++;
            p->counted = now;
        }
        if (p->failures >= p->spec->failures) {
            p->failed = true;
            p->passed = false;
        }
    }
    p->due = now + (p->eager && !p->ever ? MIN(EAGER_PERIOD, p->spec->period) : p->spec->period);
}

static void fail_errno(struct probe *p, const char *what, int code, nsec_t now)
{
    char why[96];

    snprintf(why, sizeof(why), "%s: %s", what, err_errno(code));
    probe_result(p, false, why, now);
}

static void begin_socket(struct probe *p, nsec_t now)
{
    const char *host = p->spec->host ? p->spec->host : p->ip;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->spec->port)};

    if (strcmp(host, "localhost") == 0 || inet_pton(AF_INET, host, &to.sin_addr) != 1) {
        // The address of "localhost" as the pod sees it; other names are not resolved here.
        inet_pton(AF_INET, p->ip, &to.sin_addr);
    }
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->fd < 0) {
        fail_errno(p, "socket", errno, now);
        return;
    }
    p->events = POLLOUT;
    p->head_n = p->blank = 0;
    if (connect(p->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS) {
        fail_errno(p, "connect", errno, now);
    }
}

bool probe_step(struct probe *p, nsec_t now)
{
    if (p->flying && now >= p->deadline) {
        probe_result(p, false, "no answer in time", now);
        return false;
    }
    if (p->flying || now < p->due) {
        return false;
    }
    p->flying = true;
    p->deadline = now + p->spec->timeout;
    if (p->spec->kind == KUBE_PROBE_EXEC) {
        return true;
    }
    begin_socket(p, now);
    return false;
}

static void send_request(struct probe *p, nsec_t now)
{
    CLEANUP(strbuf_fini) struct strbuf b = STRBUF_NULL;
    bool host = false;
    bool agent = false;

    strbuf_addf(&b, "GET %s HTTP/1.1\r\n", p->spec->path);
    for (size_t i = 0; i < p->spec->headers.count; i++) {
        const struct kube_pair *h = &p->spec->headers.items[i];
        host |= slice_eq_nocase(slice_of(h->key), SLICE("host"));
        agent |= slice_eq_nocase(slice_of(h->key), SLICE("user-agent"));
        strbuf_addf(&b, "%s: %s\r\n", h->key, h->value);
    }
    if (!host) {
        strbuf_addf(&b, "Host: %s:%d\r\n", p->ip, p->spec->port);
    }
    strbuf_addf(&b, "%sAccept: */*\r\nConnection: close\r\n\r\n",
                agent ? "" : "User-Agent: plimsoll-probe\r\n");
    // A probe's request fits into an empty socket buffer.
    if (send(p->fd, b.p, b.n, MSG_NOSIGNAL) != (ssize_t)b.n) {
        fail_errno(p, "send", errno, now);
        return;
    }
    p->events = POLLIN;
}

// Keeps the start of the answer; true once the head has ended.
static bool take_answer(struct probe *p, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p->head_n < sizeof(p->head) - 1) {
            p->head[p->head_n++] = text[i];
            p->head[p->head_n] = 0;
        }
        if (text[i] == '\n') {
            p->blank++;
        } else if (text[i] != '\r') {
            p->blank = 0;
        }
        if (p->blank == 2) {
            return true;
        }
    }
    return false;
}

static void judge_answer(struct probe *p, nsec_t now)
{
    char why[96];
    int status;

    if (sscanf(p->head, "HTTP/1.%*1d %3d", &status) != 1) {
        probe_result(p, false, p->head_n ? "no HTTP answer" : "closed without an answer", now);
        return;
    }
    snprintf(why, sizeof(why), "HTTP status %d", status);
    probe_result(p, status >= 200 && status < 400, why, now);
}

void probe_io(struct probe *p, nsec_t now)
{
    char buf[2048];
    int code = 0;
    socklen_t size = sizeof(code);

    if (p->events == POLLOUT) {
        getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &code, &size);
        if (code) {
            fail_errno(p, "connect", code, now);
        } else if (p->spec->kind == KUBE_PROBE_TCP || p->spec->tls) {
            probe_result(p, true, NULL, now);
        } else {
            send_request(p, now);
        }
        return;
    }
    for (;;) {
        ssize_t n = recv(p->fd, buf, sizeof(buf), 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0) {
            fail_errno(p, "receive", errno, now);
            return;
        }
        if (n == 0 || take_answer(p, buf, (size_t)n)) {
            judge_answer(p, now);
            return;
        }
    }
}
