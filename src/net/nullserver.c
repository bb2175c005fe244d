// SPDX-License-Identifier: Apache-2.0
#include "net/nullserver.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/nullserver_int.h"

struct nullserver {
    pid_t pid;
    int control; // closed: the child ends
};

// The table as bytes on the control socket: count, then for each the four lengths and two texts.

static int write_all(int fd, const void *p, size_t n)
{
    const char *at = p;

    while (n > 0) {
        ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
        if (k < 0 && errno != EINTR) {
            return -errno;
        }
        if (k > 0) {
            at += k;
            n -= (size_t)k;
        }
    }
    return 0;
}

static int read_all(int fd, void *p, size_t n)
{
    char *at = p;

    while (n > 0) {
        ssize_t k = read(fd, at, n);
        if (k < 0 && errno != EINTR) {
            return -errno;
        }
        if (k == 0) {
            return -EPIPE;
        }
        if (k > 0) {
            at += k;
            n -= (size_t)k;
        }
    }
    return 0;
}

static int send_table(int fd, struct nullserver_table *t)
{
    int r = write_all(fd, &t->count, sizeof(t->count));

    for (unsigned i = 0; i < t->count && !r; i++) {
        const struct null_response *x = &t->items[i];
        size_t sizes[] = {strlen(x->key), x->size, x->head};
        r = write_all(fd, sizes, sizeof(sizes));
        r = r ? r : write_all(fd, x->key, sizes[0]);
        r = r ? r : write_all(fd, x->bytes, sizes[1]);
    }
    return r;
}

static int receive_table(int fd, struct nullserver_table *t)
{
    int r = read_all(fd, &t->count, sizeof(t->count));

    t->items = r ? NULL : xcalloc(t->count + 1, sizeof(*t->items));
    for (unsigned i = 0; i < t->count && !r; i++) {
        struct null_response *x = &t->items[i];
        size_t sizes[3];
        r = read_all(fd, sizes, sizeof(sizes));
        if (!r) {
            x->key = xcalloc(sizes[0] + 1, 1);
            x->bytes = xmalloc(sizes[1] + 1);
            x->size = sizes[1];
            x->head = sizes[2];
            r = read_all(fd, x->key, sizes[0]);
            r = r ? r : read_all(fd, x->bytes, sizes[1]);
        }
    }
    return r;
}

static int listen_on_loopback(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    CLEANUP_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &size)) {
        return -errno;
    }
    *ret_port = ntohs(address.sin_port);
    int taken = fd;
    fd = -1;
    return taken;
}

static void run_child(int control)
{
    static struct nullserver_table table;
    uint16_t port = 0;

    // Ctrl-C is the parent's to handle; its end is ours.
    signal(SIGINT, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (receive_table(control, &table) == 0) {
        int listener = listen_on_loopback(&port);
        if (listener >= 0 && write_all(control, &port, sizeof(port)) == 0 &&
            fcntl(control, F_SETFL, O_NONBLOCK) == 0) {
            nullserver_serve(listener, control, &table);
        }
    }
    _exit(0);
}

int nullserver_fork(struct nullserver **ret_server)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) {
        return -errno;
    }
    pid_t pid = fork();
    if (pid < 0) {
        int r = -errno;
        close(pair[0]);
        close(pair[1]);
        return r;
    }
    if (pid == 0) {
        close(pair[0]);
        run_child(pair[1]);
    }
    close(pair[1]);
    struct nullserver *s = XNEW(struct nullserver);
    s->pid = pid;
    s->control = pair[0];
    *ret_server = s;
    return 0;
}

int nullserver_start(struct nullserver *s, struct nullserver_table *t, uint16_t *ret_port)
{
    struct pollfd p = {.fd = s->control, .events = POLLIN};

    pthread_mutex_lock(&t->lock);
    int r = send_table(s->control, t);
    pthread_mutex_unlock(&t->lock);
    if (r) {
        return r;
    }
    if (poll(&p, 1, 5000) <= 0) {
        return -ETIMEDOUT;
    }
    return read_all(s->control, ret_port, sizeof(*ret_port));
}

nsec_t nullserver_cpu(const struct nullserver *s)
{
    return clock_other_cpu(s->pid);
}

void nullserver_free(struct nullserver *s)
{
    if (!s) {
        return;
    }
    close(s->control);
    // It leaves at the end of its input; a wedged one does not hold us up.
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    free(s);
}
