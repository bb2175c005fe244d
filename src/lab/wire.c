// SPDX-License-Identifier: Apache-2.0
#include "lab/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

json_t *wire_text(const char *text)
{
    json_t *string = json_string(text);

    if (string) {
        return string;
    }
    CLEANUP_FREE char *copy = xstrdup(text);
    for (char *p = copy; *p; p++) {
        *p = *p & 0x80 ? '?' : *p;
    }
    return json_string(copy);
}

void wire_fini(struct wire *w)
{
    mem_close_p(&w->fd);
    w->fd = -1;
    strbuf_fini(&w->in);
    strbuf_fini(&w->out);
}

void wire_put(struct wire *w, json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);

    ASSERT(text);
    strbuf_adds(&w->out, text);
    strbuf_addc(&w->out, '\n');
    free(text);
    json_decref(message);
}

int wire_flush(struct wire *w)
{
    size_t at = 0;
    int r = 0;

    while (at < w->out.n && r == 0) {
        ssize_t n = send(w->fd, w->out.p + at, w->out.n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            break;
        }
        if (n >= 0) {
            at += (size_t)n;
        } else if (errno != EINTR) {
            r = -errno;
        }
    }
    if (at) {
        memmove(w->out.p, w->out.p + at, w->out.n - at);
        w->out.n -= at;
    }
    return r;
}

int wire_fill(struct wire *w)
{
    for (;;) {
        ssize_t n = recv(w->fd, strbuf_reserve(&w->in, 65536), 65536, MSG_DONTWAIT);
        if (n > 0) {
            w->in.n += (size_t)n;
            w->in.p[w->in.n] = 0;
            if (w->in.n > WIRE_BYTES_MAX) {
                return -EMSGSIZE;
            }
        } else if (n == 0) {
            return -EPIPE;
        } else if (errno == EAGAIN) {
            return 0;
        } else if (errno != EINTR) {
            return errno == ECONNRESET ? -EPIPE : -errno;
        }
    }
}

json_t *wire_get(struct wire *w, bool *ret_broken)
{
    const char *end = w->in.n ? memchr(w->in.p, '\n', w->in.n) : NULL;

    *ret_broken = false;
    if (!end) {
        return NULL;
    }
    size_t n = (size_t)(end - w->in.p);
    json_t *message = json_loadb(w->in.p, n, 0, NULL);
    memmove(w->in.p, w->in.p + n + 1, w->in.n - n - 1);
    w->in.n -= n + 1;
    if (!json_is_object(message)) {
        json_decref(message);
        *ret_broken = true;
        return NULL;
    }
    return message;
}

int wire_ask(struct wire *w, json_t *request, nsec_t deadline, json_t **ret_answer)
{
    bool broken;

    wire_put(w, request);
    for (;;) {
        nsec_t left = deadline - clock_now();
        struct pollfd p = {.fd = w->fd, .events = (short)(POLLIN | (w->out.n ? POLLOUT : 0))};
        if (left <= 0) {
            return -ETIME;
        }
        int ready = poll(&p, 1, (int)MIN(left / NSEC_PER_MSEC + 1, 60000));
        if (ready < 0 && errno != EINTR) {
            return -errno;
        }
        int r = w->out.n ? wire_flush(w) : 0;
        int filled = ready > 0 && (p.revents & ~POLLOUT) ? wire_fill(w) : 0;
        json_t *answer = wire_get(w, &broken);
        if (answer) {
            *ret_answer = answer;
            return 0;
        }
        if (broken) {
            return -EBADMSG;
        }
        if (r < 0 || filled < 0) {
            return filled < 0 ? filled : r;
        }
    }
}
