// SPDX-License-Identifier: Apache-2.0
#include "server.h"

#include "bucket.h"
#include "clock.h"
#include "guard.h"
#include "http1.h"
#include "log.h"
#include "mem.h"
#include "metric.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUTES_MAX  16
#define STATUS_MAX  600
#define HEADERS_MAX 4
#define TARGET_MAX  2048

struct request {
    struct MHD_Connection *connection;
    char *target; // raw request target, owned
    size_t path_len;
    const char *method; // borrowed from libmicrohttpd
    unsigned route;
    int64_t started;
    struct buf body;
    bool begun, too_large, deferred;
    void *kept;
    void (*kept_free)(void *);
    // The answer.
    int status;
    const char *type;
    struct buf answer;
    unsigned header_count;
    char *headers[HEADERS_MAX][2];
};

struct route_stats {
    _Atomic uint64_t by_status[STATUS_MAX];
    struct metric_hist duration;
};

static const char *listen_at;
static int64_t threads, body_max, header_max, idle_timeout, connections_max, shutdown_timeout,
    receive_timeout;
static double rate_limit, rate_burst;

const struct env_setting server_settings[] = {
    {"LISTEN", ENV_STRING, &listen_at, "127.0.0.1:0", 0, 0,
     "address and port; port 0 = any free one"},
    {"THREADS", ENV_INTEGER, &threads, "2", 1, 64, "threads that serve HTTP"},
    {"BODY_MAX", ENV_INTEGER, &body_max, "16384", 64, 1 << 20,
     "bytes of a request body; more is 413"},
    {"HEADER_MAX", ENV_INTEGER, &header_max, "16384", 4096, 1 << 18,
     "bytes of a request's headers"},
    {"CONNECTIONS_MAX", ENV_INTEGER, &connections_max, "4096", 8, 60000, "open connections"},
    {"IDLE_TIMEOUT", ENV_DURATION, &idle_timeout, "75s", 1, 3600,
     "a connection may take for its next request's headers"},
    {"RECEIVE_TIMEOUT", ENV_DURATION, &receive_timeout, "10s", 0.1, 600,
     "longest time a body may take to arrive"},
    {"SHUTDOWN_TIMEOUT", ENV_DURATION, &shutdown_timeout, "20s", 0, 600,
     "longest wait for open requests at SIGTERM"},
    {NULL}};

const struct env_setting server_limit_settings[] = {
    {"RATE_LIMIT", ENV_REAL, &rate_limit, "0", 0, 1e6, "requests/s before 429; 0 = no limit"},
    {"RATE_BURST", ENV_REAL, &rate_burst, "0", 0, 1e6,
     "requests at once; 0 = a tenth of RATE_LIMIT"},
    {NULL}};

static struct server_config config;
static struct server_route routes[ROUTES_MAX + 1]; // the last one answers what matches none
static unsigned route_count, ready_route;
static struct route_stats stats[ROUTES_MAX + 1];
static struct bucket bucket;
static struct MHD_Daemon *daemon_handle;
static _Atomic unsigned in_flight;
static _Atomic bool draining;

// ---- request

const char *request_method(const struct request *request)
{
    return request->method;
}

const char *request_target(const struct request *request)
{
    return request->target;
}

const char *request_rest(const struct request *request)
{
    return request->target + strlen(routes[request->route].path) - 1;
}

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *request_body(const struct request *request, size_t *ret_len)
{
    *ret_len = request->body.len;
    return request->body.data;
}

int64_t request_started(const struct request *request)
{
    return request->started;
}

void request_keep(struct request *request, void *data, void (*free_fn)(void *))
{
    request->kept = data;
    request->kept_free = free_fn;
}

void request_defer(struct request *request)
{
    request->deferred = true;
    MHD_suspend_connection(request->connection);
}

void request_set_header(struct request *request, const char *name, const char *value)
{
    if (request->header_count < HEADERS_MAX) {
        request->headers[request->header_count][0] = mem_strdup(name);
        request->headers[request->header_count][1] = mem_strdup(value);
        request->header_count++;
    }
}

void request_reply(struct request *request, int status, const char *type, struct buf *body)
{
    struct route_stats *s = &stats[request->route];
    int64_t took = clock_monotonic() - request->started;

    atomic_fetch_add_explicit(&s->by_status[status], 1, memory_order_relaxed);
    metric_hist_add(&s->duration, took);
    // A probe that says "not ready" is no fault of the request's.
    enum log_level level = status >= 500 && s != &stats[ready_route] ? LOG_WARN : LOG_DEBUG;
    if (log_enabled(level)) {
        log_write(level, "request", "\"method\":%s,\"target\":%s,\"status\":%d,\"ms\":%.3f",
                  log_quote(request->method), log_quote(request->target), status,
                  (double)took / (double)MSEC);
    }
    request->type = type;
    request->answer = *body;
    *body = BUF_NULL;
    request->status = status;
    if (request->deferred) {
        MHD_resume_connection(request->connection);
    }
}

void request_fail(
    struct request *request, int status, const char *code, const char *field, const char *message)
{
    struct buf body = BUF_NULL;

    buf_text(&body, "{\"error\":");
    buf_json(&body, code);
    if (field) {
        buf_text(&body, ",\"field\":");
        buf_json(&body, field);
    }
    buf_text(&body, ",\"message\":");
    buf_json(&body, message);
    buf_text(&body, "}\n");
    if ((status == 503 || status == 429) && request->header_count == 0) {
        request_set_header(request, "Retry-After", "1");
    }
    request_reply(request, status, "application/json", &body);
}

static void request_free(struct request *request)
{
    if (request->kept_free) {
        request->kept_free(request->kept);
    }
    for (unsigned i = 0; i < request->header_count; i++) {
        free(request->headers[i][0]);
        free(request->headers[i][1]);
    }
    buf_fini(&request->body);
    buf_fini(&request->answer);
    free(request->target);
    free(request);
}

// ---- routes of every service

static void reply_text(struct request *request, int status, const char *text)
{
    struct buf body = BUF_NULL;

    buf_text(&body, text);
    request_reply(request, status, "text/plain; charset=utf-8", &body);
}

static void get_health(struct request *request)
{
    reply_text(request, 200, "ok\n");
}

static void get_ready(struct request *request)
{
    const char *why = "draining";

    if (!draining && (!config.ready || config.ready(&why))) {
        reply_text(request, 200, "ready\n");
    } else {
        request_fail(request, 503, "not_ready", NULL, why);
    }
}

static void write_route_metrics(struct buf *out)
{
    char labels[128];

    metric_head(out, "http_requests_total", "counter", "Requests answered.");
    for (unsigned r = 0; r <= route_count; r++) {
        for (int status = 100; status < STATUS_MAX; status++) {
            uint64_t count = stats[r].by_status[status];
            if (count > 0) {
                snprintf(labels, sizeof(labels), "method=\"%s\",route=\"%s\",status=\"%d\"",
                         routes[r].method, routes[r].path, status);
                metric_sample(out, "http_requests_total", labels, (double)count);
            }
        }
    }
    metric_head(out, "http_request_duration_seconds", "histogram",
                "From the request line's arrival to the answer.");
    for (unsigned r = 0; r <= route_count; r++) {
        if (metric_hist_count(&stats[r].duration) > 0) {
            snprintf(labels, sizeof(labels), "method=\"%s\",route=\"%s\"", routes[r].method,
                     routes[r].path);
            metric_hist_write(out, "http_request_duration_seconds", labels, &stats[r].duration);
        }
    }
}

static void get_metrics(struct request *request)
{
    struct buf body = BUF_NULL;

    write_route_metrics(&body);
    metric_single(&body, "http_requests_in_flight", "gauge", "Requests being served.", in_flight);
    if (config.metrics) {
        config.metrics(&body);
    }
    metric_process(&body);
    request_reply(request, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static void no_route(struct request *request)
{
    request_fail(request, 404, "not_found", NULL, "no such path");
}

static bool path_matches(const struct server_route *route, const char *path, size_t len)
{
    size_t route_len = strlen(route->path);

    if (route->path[route_len - 1] == '*') {
        return len >= route_len - 1 && memcmp(path, route->path, route_len - 1) == 0;
    }
    return len == route_len && memcmp(path, route->path, len) == 0;
}

static bool method_matches(const char *wanted, const char *method)
{
    return strcmp(wanted, method) == 0 ||
           (strcmp(wanted, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

// Finds the route and calls its handler.
static void dispatch(struct request *request)
{
    const char *other = NULL;

    request->route = route_count;
    for (unsigned i = 0; i < route_count; i++) {
        if (path_matches(&routes[i], request->target, request->path_len)) {
            if (method_matches(routes[i].method, request->method)) {
                request->route = i;
                break;
            }
            other = routes[i].method;
        }
    }
    if (request->route == route_count && other) {
        request_set_header(request, "Allow", other);
        request_fail(request, 405, "method_not_allowed", NULL, "this path takes another method");
        return;
    }
    if (request->too_large) {
        request_fail(request, 413, "body_too_large", NULL, "the request body is too large");
        return;
    }
    int64_t wait = routes[request->route].limited ? bucket_take(&bucket, clock_monotonic()) : 0;
    if (wait > 0) {
        char seconds[24];
        snprintf(seconds, sizeof(seconds), "%lld", (long long)((wait + SEC - 1) / SEC));
        request_set_header(request, "Retry-After", seconds);
        request_fail(request, 429, "rate_limited", NULL, "too many requests");
        return;
    }
    routes[request->route].handler(request);
}

// ---- libmicrohttpd

// Called with the raw request line's target, before anything is decoded; makes the request.
static void *on_target(void *closure, const char *target, struct MHD_Connection *connection)
{
    struct request *request = mem_zalloc(sizeof(*request));

    request->connection = connection;
    request->started = clock_monotonic();
    request->target = mem_strdup(target);
    request->path_len = strcspn(target, "?#");
    return request;
}

static enum MHD_Result send_answer(struct request *request)
{
    size_t len = request->answer.len;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, buf_take(&request->answer), MHD_RESPMEM_MUST_FREE);

    if (!response) {
        return MHD_NO;
    }
    MHD_add_response_header(response, "Content-Type", request->type);
    for (unsigned i = 0; i < request->header_count; i++) {
        MHD_add_response_header(response, request->headers[i][0], request->headers[i][1]);
    }
    if (request->status == 401) {
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    }
    if (draining) {
        MHD_add_response_header(response, "Connection", "close");
    }
    enum MHD_Result result =
        MHD_queue_response(request->connection, (unsigned)request->status, response);
    MHD_destroy_response(response);
    return result;
}

static void set_deadline(struct MHD_Connection *connection, int64_t timeout)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    if (info && info->socket_context) {
        guard_set(info->socket_context, timeout ? clock_monotonic() + timeout : 0);
    }
}

static void on_connection(void *closure,
                          struct MHD_Connection *connection,
                          void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = guard_add(
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
        guard_set(*context, clock_monotonic() + idle_timeout);
    } else if (*context) {
        guard_remove(*context);
        *context = NULL;
    }
}

// First call for a request: only the headers are there.
static enum MHD_Result begin(struct request *request, const char *method)
{
    const char *length = request_header(request, "Content-Length");
    int64_t announced;

    request->begun = true;
    request->method = method;
    atomic_fetch_add(&in_flight, 1);
    set_deadline(request->connection, receive_timeout);
    if (request->path_len > TARGET_MAX) {
        request->route = route_count;
        request_fail(request, 414, "target_too_long", NULL, "the request target is too long");
        return send_answer(request);
    }
    if (length && (env_parse_integer(length, &announced) < 0 || announced > body_max)) {
        request->too_large = true;
        dispatch(request);
        return send_answer(request);
    }
    return MHD_YES;
}

// NOLINTNEXTLINE(readability-function-size): libmicrohttpd's signature
static enum MHD_Result on_request(void *closure,
                                  struct MHD_Connection *connection,
                                  const char *url,
                                  const char *method,
                                  const char *version,
                                  const char *data,
                                  size_t *data_size,
                                  void **state)
{
    struct request *request = *state;

    if (!request->begun) {
        return begin(request, method);
    }
    if (*data_size > 0) {
        size_t fits = (size_t)body_max - request->body.len;
        request->too_large = request->too_large || *data_size > fits;
        buf_add(&request->body, data, *data_size < fits ? *data_size : fits);
        *data_size = 0;
        return MHD_YES;
    }
    if (request->status == 0) {
        set_deadline(connection, 0);
        dispatch(request);
        // A deferred request is suspended and may be answered by now, on another thread: this
        // function is called again for it, so only an immediate answer may be looked at here.
        return request->deferred ? MHD_YES : send_answer(request);
    }
    return send_answer(request);
}

static void on_completed(void *closure,
                         struct MHD_Connection *connection,
                         void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct request *request = *state;

    if (request) {
        if (request->begun) {
            atomic_fetch_sub(&in_flight, 1);
            set_deadline(connection, idle_timeout);
        }
        request_free(request);
        *state = NULL;
    }
}

// Request targets stay raw: what is matched is what is forwarded.
static size_t keep_escapes(void *closure, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

static void on_message(void *closure, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void on_message(void *closure, const char *format, va_list args)
{
    char text[256];

    vsnprintf(text, sizeof(text), format, args);
    text[strcspn(text, "\n")] = '\0';
    log_write(LOG_DEBUG, "http server", "\"detail\":%s", log_quote(text));
}

static void make_routes(void)
{
    static const struct server_route shared[] = {{"GET", "/healthz", get_health, false},
                                                 {"GET", "/readyz", get_ready, false},
                                                 {"GET", "/metrics", get_metrics, false}};
    unsigned n = 0;

    for (const struct server_route *r = config.routes; r->method && n < ROUTES_MAX - 3; r++) {
        routes[n++] = *r;
    }
    ready_route = n + 1;
    for (unsigned i = 0; i < 3; i++) {
        routes[n++] = shared[i];
    }
    route_count = n;
    routes[n] = (struct server_route){"", "other", no_route, false};
}

static int resolve(const char *text, struct addrinfo **ret_list, char *message, size_t size)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct http1_url at;

    if (http1_authority_parse(text, &at) < 0) {
        snprintf(message, size, "LISTEN: '%.64s' is not host:port", text);
        return -EINVAL;
    }
    int r = getaddrinfo(at.host, at.port, &hints, ret_list);
    if (r != 0) {
        snprintf(message, size, "LISTEN: '%.64s': %s", text, gai_strerror(r));
        return -EINVAL;
    }
    return 0;
}

int server_start(const struct server_config *server, char *message, size_t size)
{
    struct addrinfo *list;

    config = *server;
    make_routes();
    bucket_init(&bucket, rate_limit, rate_burst);
    int r = resolve(listen_at, &list, message, size);
    if (r < 0) {
        return r;
    }
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC |
                     MHD_USE_ERROR_LOG | (list->ai_family == AF_INET6 ? MHD_USE_IPv6 : 0U);
    guard_start();
    errno = 0;
    // A pool of one is refused by libmicrohttpd: without the option there is one thread.
    daemon_handle = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, NULL, MHD_OPTION_EXTERNAL_LOGGER, on_message, NULL,
        MHD_OPTION_SOCK_ADDR, list->ai_addr, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL, MHD_OPTION_URI_LOG_CALLBACK, on_target,
        NULL, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)connections_max, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)header_max + 4096,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)((idle_timeout + SEC - 1) / SEC),
        MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024U, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1U,
        threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (unsigned)threads,
        MHD_OPTION_END);
    int error = errno;
    freeaddrinfo(list);
    if (!daemon_handle) {
        guard_stop();
        snprintf(message, size, "cannot listen on '%.64s': %s", listen_at,
                 error ? strerror(error) : "refused by the HTTP server");
        return error ? -error : -EIO;
    }
    return 0;
}

unsigned server_port(void)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(daemon_handle, MHD_DAEMON_INFO_BIND_PORT);

    return info ? info->port : 0;
}

unsigned server_drain(void)
{
    int64_t deadline = clock_monotonic() + shutdown_timeout;

    draining = true;
    MHD_socket listener = MHD_quiesce_daemon(daemon_handle);
    while (in_flight > 0 && clock_monotonic() < deadline) {
        poll(NULL, 0, 5);
    }
    unsigned cut = in_flight;
    if (cut > 0) {
        // Deferred requests are owned by other threads, which libmicrohttpd cannot take back.
        return cut;
    }
    MHD_stop_daemon(daemon_handle);
    guard_stop();
    if (listener != MHD_INVALID_SOCKET) {
        close(listener);
    }
    return 0;
}
