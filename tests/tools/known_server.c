// SPDX-License-Identifier: Apache-2.0
// A web server of known capacity, for the tests of the limit search: WORKERS requests are served at
// once, each for SERVICE seconds, first come, first served; a token bucket may stand in front. It
// sleeps instead of computing, and a worker goes on from when it became free, not from when that
// was noticed, so that its capacity is WORKERS / SERVICE even on a busy machine.
//
//     known_server [--workers N] [--service SECONDS] [--cv X] [--stall-every S] [--stall S]
//                  [--limit RATE --burst N] [--status N]
//
// Prints the URL; ends when its standard input does, or on SIGTERM.
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { FDS_MAX = 8192, REQUEST_MAX = 8192, WORKERS_MAX = 256 };

struct conn {
    char in[REQUEST_MAX];
    size_t n;
    bool waiting; // its request is queued or being served
};

struct job {
    int fd;
    double due; // of a served one; arrival of a queued one
};

static struct {
    int workers;
    double service, cv, stall_every, stall, limit, burst;
    int status;
} options = {.workers = 8, .service = 0.01, .burst = 10, .status = 200};

static struct conn *conns[FDS_MAX];
static struct job queue[FDS_MAX];
static unsigned queue_head, queue_tail;
static struct job busy[WORKERS_MAX];
static int busy_count;
static double tokens, tokens_at, next_stall;
static unsigned long long seed = 88172645463325252ull;

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double uniform(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return ((double)(seed >> 11) + 0.5) * 0x1p-53;
}

static double service_time(void)
{
    if (options.cv <= 0) {
        return options.service;
    }
    double sigma = sqrt(log1p(options.cv * options.cv));
    double normal = sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform());
    return options.service * exp(sigma * normal - sigma * sigma / 2);
}

static void hang_up(int fd)
{
    free(conns[fd]);
    conns[fd] = NULL;
    close(fd);
}

static void answer(int fd, int status)
{
    char text[160];

    if (!conns[fd]) {
        return;
    }
    conns[fd]->waiting = false;
    int n =
        snprintf(text, sizeof(text),
                 "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n"
                 "{\"id\":\"42\"}",
                 status, status < 400 ? "OK" : "Refused");
    if (write(fd, text, (size_t)n) != n) {
        hang_up(fd);
    }
}

static bool limiter_refuses(void)
{
    double t = now();

    if (options.limit <= 0) {
        return false;
    }
    tokens = fmin(options.burst, tokens + (t - tokens_at) * options.limit);
    tokens_at = t;
    if (tokens < 1) {
        return true;
    }
    tokens -= 1;
    return false;
}

static void begin(int fd, double at)
{
    busy[busy_count++] = (struct job){fd, at + service_time()};
}

static void take_request(int fd)
{
    struct conn *c = conns[fd];
    char *end = memmem(c->in, c->n, "\r\n\r\n", 4);

    if (!end) {
        return;
    }
    *end = '\0';
    char *length = strcasestr(c->in, "content-length:");
    size_t whole = (size_t)(end - c->in) + 4 + (length ? strtoul(length + 15, NULL, 10) : 0);
    if (c->n < whole) {
        *end = '\r';
        return;
    }
    memmove(c->in, c->in + whole, c->n - whole);
    c->n -= whole;
    c->waiting = true;
    if (limiter_refuses()) {
        answer(fd, 429);
    } else if (busy_count < options.workers) {
        begin(fd, now());
    } else {
        queue[queue_tail++ % FDS_MAX] = (struct job){fd, now()};
    }
}

static void receive(int fd)
{
    struct conn *c = conns[fd];
    ssize_t n;

    if (!c) {
        return;
    }
    while ((n = read(fd, c->in + c->n, sizeof(c->in) - c->n)) > 0) {
        c->n += (size_t)n;
        if (!c->waiting) {
            take_request(fd);
            if (conns[fd] != c) {
                return;
            }
        }
    }
    if (n == 0 || errno != EAGAIN) {
        hang_up(fd);
    }
}

static void accept_all(int listener, int epoll)
{
    int fd;
    int one = 1;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        if (fd >= FDS_MAX) {
            close(fd);
            continue;
        }
        conns[fd] = calloc(1, sizeof(struct conn));
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd,
                  &(struct epoll_event){.events = EPOLLIN | EPOLLET, .data.fd = fd});
    }
}

// Ends what is due; returns when the next one is.
static double finish_due(void)
{
    for (;;) {
        int first = -1;
        for (int i = 0; i < busy_count; i++) {
            if (first < 0 || busy[i].due < busy[first].due) {
                first = i;
            }
        }
        if (options.stall_every > 0 && now() >= next_stall) {
            double length = -log(uniform()) * options.stall;
            for (int i = 0; i < busy_count; i++) {
                busy[i].due += length;
            }
            next_stall += length - log(uniform()) * options.stall_every;
            continue;
        }
        if (first < 0 || busy[first].due > now()) {
            return first < 0 ? 0.2 : fmin(busy[first].due - now(), 0.2);
        }
        struct job done = busy[first];
        busy[first] = busy[--busy_count];
        answer(done.fd, options.status);
        if (queue_head != queue_tail) {
            struct job next = queue[queue_head++ % FDS_MAX];
            begin(next.fd, fmax(done.due, next.due));
        }
        // A pipelined or already received request of this connection.
        if (conns[done.fd] && !conns[done.fd]->waiting && conns[done.fd]->n > 0) {
            take_request(done.fd);
        }
    }
}

static void read_options(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        double value = strtod(argv[i + 1], NULL);
        const char *name = argv[i];
        if (strcmp(name, "--workers") == 0 && value <= WORKERS_MAX) {
            options.workers = (int)value;
        } else if (strcmp(name, "--service") == 0) {
            options.service = value;
        } else if (strcmp(name, "--cv") == 0) {
            options.cv = value;
        } else if (strcmp(name, "--stall-every") == 0) {
            options.stall_every = value;
        } else if (strcmp(name, "--stall") == 0) {
            options.stall = value;
        } else if (strcmp(name, "--limit") == 0) {
            options.limit = value;
        } else if (strcmp(name, "--burst") == 0) {
            options.burst = value;
        } else if (strcmp(name, "--status") == 0) {
            options.status = (int)value;
        } else {
            fprintf(stderr, "known_server: unknown option '%s'\n", name);
            exit(2);
        }
    }
}

static int open_listener(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4096) ||
        getsockname(fd, (struct sockaddr *)&address, &size)) {
        perror("known_server");
        exit(1);
    }
    printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event events[256];
    double wait = 0;

    read_options(argc, argv);
    int listener = open_listener();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    tokens = options.burst;
    tokens_at = next_stall = now();
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener,
              &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &(struct epoll_event){.events = EPOLLIN, .data.fd = 0});
    for (;;) {
        struct timespec limit = {0, (long)(fmax(wait, 0) * 1e9)};
        int n = epoll_pwait2(epoll, events, 256, &limit, NULL);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) {
                accept_all(listener, epoll);
            } else if (events[i].data.fd == 0) {
                return 0;
            } else {
                receive(events[i].data.fd);
            }
        }
        wait = finish_due();
    }
}
