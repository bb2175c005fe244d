// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include "clock.h"
#include "mem.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Our servers drop idle connections after 75 s; stay below, so that the drop never races a request.
#define IDLE_MAX (30 * SEC)

struct client {
    struct http1_url origin;
    int fd; // -1 when closed
    int64_t last_used;
    struct buf out; // reused
    char in[CLIENT_HEAD_MAX];
};

struct client *client_new(const struct http1_url *origin)
{
    struct client *client = mem_zalloc(sizeof(*client));

    client->origin = *origin;
    client->fd = -1;
    return client;
}

static void close_connection(struct client *client)
{
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
    }
}

struct client *client_free(struct client *client)
{
    if (client) {
        close_connection(client);
        buf_fini(&client->out);
        free(client);
    }
    return NULL;
}

const char *client_error(int code)
{
    return code == CLIENT_REFUSED   ? "no connection"
           : code == CLIENT_TIMEOUT ? "timed out"
           : code == CLIENT_BROKEN  ? "connection broken"
                                    : "";
}

static int await_fd(int fd, short events, int64_t deadline)
{
    for (;;) {
        struct pollfd pfd = {.fd = fd, .events = events};
        int n = poll(&pfd, 1, clock_poll_ms(deadline));
        if (n > 0) {
            return 0;
        }
        if (n == 0) {
            return CLIENT_TIMEOUT;
        }
        if (errno != EINTR) {
            return CLIENT_BROKEN;
        }
    }
}

static int connect_address(const struct addrinfo *address, int64_t deadline)
{
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1, error = 0;
    socklen_t size = sizeof(error);

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    int r = connect(fd, address->ai_addr, address->ai_addrlen);
    if (r < 0 && errno == EINPROGRESS && await_fd(fd, POLLOUT, deadline) == 0) {
        r = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0 ? 0 : -1;
    }
    if (r < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_connection(struct client *client, int64_t deadline)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV};
    struct addrinfo *list;

    if (getaddrinfo(client->origin.host, client->origin.port, &hints, &list) != 0) {
        return CLIENT_REFUSED;
    }
    for (struct addrinfo *a = list; a && client->fd < 0; a = a->ai_next) {
        client->fd = connect_address(a, deadline);
    }
    freeaddrinfo(list);
    if (client->fd >= 0) {
        return 0;
    }
    return clock_monotonic() >= deadline ? CLIENT_TIMEOUT : CLIENT_REFUSED;
}

// A kept connection that became readable was closed by the peer (or is out of step): not usable.
static bool is_stale(struct client *client)
{
    struct pollfd pfd = {.fd = client->fd, .events = POLLIN};

    return clock_monotonic() - client->last_used > IDLE_MAX || poll(&pfd, 1, 0) != 0;
}

static int send_all(struct client *client, int64_t deadline)
{
    for (size_t done = 0; done < client->out.len;) {
        ssize_t n = send(client->fd, client->out.data + done, client->out.len - done, MSG_NOSIGNAL);
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno == EAGAIN) {
            int r = await_fd(client->fd, POLLOUT, deadline);
            if (r) {
                return r;
            }
        } else if (errno != EINTR) {
            return CLIENT_BROKEN;
        }
    }
    return 0;
}

// Waits for bytes. ret_len is never 0 on success.
static int
receive(struct client *client, char *data, size_t size, int64_t deadline, size_t *ret_len)
{
    for (;;) {
        int r = await_fd(client->fd, POLLIN, deadline);
        if (r) {
            return r;
        }
        ssize_t n = recv(client->fd, data, size, 0);
        if (n > 0) {
            *ret_len = (size_t)n;
            return 0;
        }
        if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            return CLIENT_BROKEN;
        }
    }
}

static int receive_response(struct client *client,
                            int64_t deadline,
                            struct client_response *response,
                            bool *ret_anything)
{
    size_t len = 0, more;
    int r;

    for (;;) {
        if (len == sizeof(client->in)) {
            return CLIENT_BROKEN;
        }
        r = receive(client, client->in + len, sizeof(client->in) - len, deadline, &more);
        if (r) {
            return r;
        }
        *ret_anything = true;
        len += more;
        r = http1_head_parse(client->in, len, &response->head);
        if (r < 0) {
            return CLIENT_BROKEN;
        }
        if (r > 0) {
            break;
        }
    }
    size_t body_len = (size_t)response->head.body_len, rest = len - response->head.head_len;
    if (body_len > CLIENT_BODY_MAX || rest > body_len) {
        return CLIENT_BROKEN;
    }
    buf_add(&response->body, client->in + response->head.head_len, rest);
    while (response->body.len < body_len) {
        size_t want = body_len - response->body.len;
        want = want < sizeof(client->in) ? want : sizeof(client->in);
        r = receive(client, client->in, want, deadline, &more);
        if (r) {
            return r;
        }
        buf_add(&response->body, client->in, more);
    }
    return 0;
}

static void write_request(struct client *client, const struct client_request *request)
{
    struct buf *out = &client->out;

    out->len = 0;
    buf_format(out, "%s %s HTTP/1.1\r\nHost: %s:%s\r\n%s", request->method, request->target,
               client->origin.host, client->origin.port, request->headers);
    if (request->body_len > 0 || strcmp(request->method, "GET") != 0) {
        buf_format(out, "Content-Length: %zu\r\n", request->body_len);
    }
    buf_text(out, "\r\n");
    buf_add(out, request->body, request->body_len);
}

static int exchange(struct client *client,
                    int64_t deadline,
                    struct client_response *response,
                    bool *ret_anything)
{
    int r = send_all(client, deadline);

    response->body.len = 0;
    if (r == 0) {
        r = receive_response(client, deadline, response, ret_anything);
    }
    if (r || !response->head.keep_alive) {
        close_connection(client);
    }
    return r;
}

int client_call(struct client *client,
                const struct client_request *request,
                int64_t deadline,
                struct client_response *ret_response)
{
    bool kept, anything = false;
    int r = 0;

    if (client->fd >= 0 && is_stale(client)) {
        close_connection(client);
    }
    kept = client->fd >= 0;
    if (!kept) {
        r = open_connection(client, deadline);
    }
    if (r == 0) {
        write_request(client, request);
        r = exchange(client, deadline, ret_response, &anything);
    }
    if (r == CLIENT_BROKEN && kept && !anything && request->repeatable) {
        r = open_connection(client, deadline);
        if (r == 0) {
            r = exchange(client, deadline, ret_response, &anything);
        }
    }
    client->last_used = clock_monotonic();
    return r;
}
