// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/nullserver.h"
#include "unit.h"

static void record(struct nullserver_table *t,
                   const char *method,
                   const char *target,
                   int status,
                   const char *headers,
                   const char *body)
{
    struct exchange x = {
        .method = slice_of(method),
        .target = slice_of(target),
        .status = status,
        .reason = SLICE("Reason"),
        .raw_headers = slice_of(headers),
        .response_body = slice_of(body),
    };

    nullserver_table_record(t, &x);
}

static int dial(uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

// Sends and reads until `size` bytes came.
static void ask(int fd, const char *request, char *answer, size_t size)
{
    size_t n = 0;

    ck_assert_int_eq(send(fd, request, strlen(request), 0), (ssize_t)strlen(request));
    while (n < size) {
        ssize_t k = read(fd, answer + n, size - n);
        ck_assert_int_gt(k, 0);
        n += (size_t)k;
    }
    answer[n] = '\0';
}

START_TEST(replays_by_method_and_path)
{
    static const char TOKEN[] = "HTTP/1.1 200 Reason\r\nContent-Type: application/json\r\n"
                                "Content-Length: 9\r\n\r\n{\"t\":\"x\"}";
    static const char ORDER[] = "HTTP/1.1 201 Reason\r\nContent-Length: 2\r\n\r\n{}";
    struct nullserver_table *t = nullserver_table_new();
    struct nullserver *s;
    uint16_t port;
    char answer[1024];

    record(t, "POST", "/auth/token", 503, "", "busy");
    // A success replaces a failure; what belongs to the transfer is not replayed.
    record(t, "POST", "/auth/token?x=1", 200,
           "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", "{\"t\":\"x\"}");
    record(t, "POST", "/auth/token", 201, "", "later");
    record(t, "POST", "/api/v1/orders/7", 201, "", "{}");
    ck_assert_uint_eq(nullserver_table_count(t), 2);
    ck_assert_int_eq(nullserver_fork(&s), 0);
    ck_assert_int_eq(nullserver_start(s, t, &port), 0);
    int fd = dial(port);
    ask(fd, "POST /auth/token HTTP/1.1\r\nContent-Length: 4\r\n\r\nbody", answer,
        sizeof(TOKEN) - 1);
    ck_assert_str_eq(answer, TOKEN);
    // Another identifier: the nearest path; two requests in one packet.
    ask(fd, "POST /api/v1/orders/8 HTTP/1.1\r\n\r\nPOST /api/v1/orders/9 HTTP/1.1\r\n\r\n", answer,
        2 * (sizeof(ORDER) - 1));
    ck_assert_int_eq(strncmp(answer, ORDER, sizeof(ORDER) - 1), 0);
    // A method never seen: something harmless.
    static const char PLAIN[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    ask(fd, "GET / HTTP/1.1\r\n\r\n", answer, sizeof(PLAIN) - 1);
    ck_assert_str_eq(answer, PLAIN);
    ck_assert_int_gt(nullserver_cpu(s), 0);
    close(fd);
    nullserver_free(s);
    nullserver_table_free(t);
}
END_TEST

START_TEST(a_server_that_was_never_started_leaves)
{
    struct nullserver *s;

    ck_assert_int_eq(nullserver_fork(&s), 0);
    nullserver_free(s);
}
END_TEST

UNIT_MAIN("net/nullserver", replays_by_method_and_path, a_server_that_was_never_started_leaves)
