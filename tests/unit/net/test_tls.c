// SPDX-License-Identifier: Apache-2.0
// TLS against a server of OpenSSL with certificates that the test makes.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "netserver.h"

#define HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

struct identity {
    X509 *cert;
    EVP_PKEY *key;
};

static struct identity authority, stranger;
static char ca_path[64];

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    ck_assert_ptr_nonnull(e);
    X509_add_ext(cert, e, -1);
    X509_EXTENSION_free(e);
}

// `issuer` NULL: an authority. `names` as in subjectAltName.
static struct identity
make_identity(const char *name, const char *names, const struct identity *issuer, long valid_from)
{
    struct identity id = {X509_new(), EVP_EC_gen("P-256")};

    X509_set_version(id.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(id.cert), issuer ? 2 + valid_from % 7 : 1);
    X509_gmtime_adj(X509_getm_notBefore(id.cert), valid_from);
    X509_gmtime_adj(X509_getm_notAfter(id.cert), valid_from + 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(id.cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(id.cert, X509_get_subject_name(issuer ? issuer->cert : id.cert));
    X509_set_pubkey(id.cert, id.key);
    if (issuer) {
        add_extension(id.cert, NID_subject_alt_name, names);
    } else {
        add_extension(id.cert, NID_basic_constraints, "critical,CA:TRUE");
    }
    ck_assert_int_gt(X509_sign(id.cert, issuer ? issuer->key : id.key, EVP_sha256()), 0);
    return id;
}

static void free_identity(struct identity *id)
{
    X509_free(id->cert);
    EVP_PKEY_free(id->key);
}

static char *pem_of(const struct identity *id, bool key)
{
    BIO *b = BIO_new(BIO_s_mem());
    char *p;

    if (key) {
        PEM_write_bio_PrivateKey(b, id->key, NULL, NULL, 0, NULL, NULL);
    } else {
        PEM_write_bio_X509(b, id->cert);
    }
    long n = BIO_get_mem_data(b, &p);
    char *text = xstrndup(p, (size_t)n);
    BIO_free(b);
    return text;
}

struct tls_server {
    SSL_CTX *ctx;
    unsigned resumed;
    char sni[64];
    char client[64]; // name in the client's certificate
};

static void serve_tls(struct netserver *s, int fd, unsigned number)
{
    struct tls_server *t = s->arg;
    SSL *ssl = SSL_new(t->ctx);
    char buf[2048];
    size_t n = 0;

    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        X509 *peer = SSL_get1_peer_certificate(ssl);
        snprintf(t->sni, sizeof(t->sni), "%s", sni ? sni : "");
        if (peer) {
            X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, t->client,
                                      sizeof(t->client));
            X509_free(peer);
        }
        t->resumed += (unsigned)SSL_session_reused(ssl);
        while (!s->stop) {
            struct pollfd p = {fd, POLLIN, 0};
            if (poll(&p, 1, 20) == 0) {
                continue;
            }
            int r = SSL_read(ssl, buf + n, (int)(sizeof(buf) - n - 1));
            if (r <= 0) {
                break;
            }
            n += (size_t)r;
            buf[n] = 0;
            if (strstr(buf, "\r\n\r\n")) {
                s->requests++;
                n = 0;
                SSL_write(ssl, HELLO, sizeof(HELLO) - 1);
            }
        }
        SSL_shutdown(ssl);
    }
    ERR_clear_error();
    SSL_free(ssl);
}

static const char *host;
static int expected_code;
static const char *expected_error;

static void ask(struct netrun *r)
{
    for (int i = 0; i < 3; i++) {
        struct exchange x = netrun_request(r, "GET", "/");
        x.endpoint = client_endpoint(r->client, true, slice_of(host), r->port);
        ck_assert_int_eq(exchange_await(r->client, &x), 0);
        ck_assert_msg(x.error_code == expected_code, "%d %s", x.error_code, x.error);
        ck_assert_str_eq(x.error, expected_error);
        if (!expected_code) {
            ck_assert(netrun_body_is(&x, "hello"));
            ck_assert_int_eq(x.reused, i == 1);
            ck_assert(i == 1 || x.times.tls_end > x.times.tls_start);
            ck_assert_str_eq(x.tls_version, "tls1.3");
            ck_assert_str_eq(x.tls_cipher, "TLS_AES_256_GCM_SHA384");
            ck_assert_int_gt(x.bytes_received, sizeof(HELLO));
        }
        exchange_release(r->client, &x);
        if (i == 1) {
            client_close_idle(r->client);
        }
    }
}

// One run against a server with this certificate, trusting our authority.
static void run_tls(struct identity *server, struct net_settings *with, struct tls_server *t)
{
    struct netserver s;
    struct netrun r = {0};
    struct err err = {0};

    *t = (struct tls_server){.ctx = SSL_CTX_new(TLS_server_method())};
    SSL_CTX_use_certificate(t->ctx, server->cert);
    SSL_CTX_use_PrivateKey(t->ctx, server->key);
    SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(t->ctx), authority.cert);
    SSL_CTX_set_session_id_context(t->ctx, (const unsigned char *)"t", 1);
    netserver_start(&s, serve_tls, t);
    r.settings = *with;
    r.settings.ca_file = xstrdup(ca_path);
    r.port = s.port;
    ck_assert_int_eq(net_settings_add_host(&r.settings, "good.test", "127.0.0.1", &err), 0);
    netrun(&r, ask);
    netserver_stop(&s);
    SSL_CTX_free(t->ctx);
}

static void make_authorities(void)
{
    char *text;
    FILE *f;

    authority = make_identity("Our CA", NULL, NULL, -60);
    stranger = make_identity("Another CA", NULL, NULL, -60);
    text = pem_of(&authority, false);
    snprintf(ca_path, sizeof(ca_path), "/tmp/plimsoll-test-ca-%d.pem", getpid());
    f = fopen(ca_path, "w");
    fputs(text, f);
    fclose(f);
    free(text);
}

static void free_authorities(void)
{
    unlink(ca_path);
    free_identity(&authority);
    free_identity(&stranger);
}

static void
check(struct identity server, bool skip_verify, const char *name, int code, const char *error)
{
    struct net_settings with;
    struct tls_server t;

    net_settings_init(&with);
    with.tls_skip_verify = skip_verify;
    host = name;
    expected_code = code;
    expected_error = error;
    run_tls(&server, &with, &t);
    if (!code) {
        ck_assert_str_eq(t.sni, strcmp(name, "127.0.0.1") ? name : "");
        ck_assert_int_eq(t.resumed, 1);
    }
    free_identity(&server);
}

START_TEST(certificates)
{
    make_authorities();
    check(make_identity("s", "DNS:good.test", &authority, -60), false, "good.test", 0, "");
    check(make_identity("s", "IP:127.0.0.1", &authority, -60), false, "127.0.0.1", 0, "");
    check(make_identity("s", "DNS:bad.test", &authority, -60), false, "good.test", 1311,
          "x509: certificate doesn't match hostname");
    check(make_identity("s", "DNS:bad.test", &authority, -60), false, "127.0.0.1", 1311,
          "x509: certificate doesn't match hostname");
    check(make_identity("s", "DNS:good.test", &stranger, -60), false, "good.test", 1310,
          "x509: unknown certificate authority");
    check(make_identity("s", "DNS:good.test", &authority, -7200), false, "good.test", 1300,
          "x509: certificate of good.test has expired or is not yet valid");
    check(make_identity("s", "DNS:bad.test", &stranger, -7200), true, "good.test", 0, "");
    free_authorities();
}
END_TEST

START_TEST(client_certificates)
{
    struct net_settings with;
    struct tls_server t;

    make_authorities();
    struct identity server = make_identity("s", "DNS:good.test", &authority, -60);
    struct identity client = make_identity("client one", "DNS:x", &authority, -60);
    net_settings_init(&with);
    with.tls_auth = xcalloc(1, sizeof(*with.tls_auth));
    with.tls_auth_count = 1;
    with.tls_auth[0].cert = pem_of(&client, false);
    with.tls_auth[0].key = pem_of(&client, true);
    host = "good.test";
    expected_code = 0;
    expected_error = "";
    run_tls(&server, &with, &t);
    ck_assert_str_eq(t.client, "client one");
    free_identity(&server);
    free_identity(&client);
    free_authorities();
}
END_TEST

START_TEST(bad_client_certificates)
{
    struct net_settings s;
    struct err err = {0};

    net_settings_init(&s);
    s.tls_auth = xcalloc(1, sizeof(*s.tls_auth));
    s.tls_auth_count = 1;
    s.tls_auth[0].cert = xstrdup("nonsense");
    s.tls_auth[0].key = xstrdup("nonsense");
    ck_assert_int_eq(net_settings_seal(&s, &err), -EINVAL);
    ck_assert_str_eq(err.message, "tlsAuth: the cert of entry 1 is no PEM text");
    net_settings_fini(&s);
}
END_TEST

enum { LARGE = 3 << 20 };

// Reads a request of LARGE bytes of body slowly and answers with as many.
static void serve_large(struct netserver *s, int fd, unsigned number)
{
    struct tls_server *t = s->arg;
    SSL *ssl = SSL_new(t->ctx);
    char *buf = xcalloc(1, 65536);
    size_t n = 0, head = 0, wrong = 0;

    SSL_set_fd(ssl, fd);
    ck_assert_int_eq(SSL_accept(ssl), 1);
    while (n < LARGE + head) {
        int r = SSL_read(ssl, buf, 65536);
        ck_assert_int_gt(r, 0);
        if (!n) {
            const char *end = memmem(buf, (size_t)r, "\r\n\r\n", 4);
            ck_assert_ptr_nonnull(end);
            head = (size_t)(end - buf) + 4;
            usleep(50000); // the client's socket buffer fills
        }
        for (int i = n ? 0 : (int)head; i < r; i++) {
            wrong += buf[i] != 'x';
        }
        n += (size_t)r;
    }
    ck_assert_int_eq(n, LARGE + head);
    ck_assert_int_eq(wrong, 0);
    s->requests++;
    int m = snprintf(buf, 100, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", LARGE);
    SSL_write(ssl, buf, m);
    memset(buf, 'y', 65536);
    for (int i = 0; i < LARGE / 65536; i++) {
        SSL_write(ssl, buf, 65536);
    }
    SSL_shutdown(ssl);
    SSL_free(ssl);
    free(buf);
}

static void send_large(struct netrun *r)
{
    struct exchange x = netrun_request(r, "POST", "/");
    char *body = xmalloc(LARGE);
    char headers[100];

    memset(body, 'x', LARGE);
    snprintf(headers, sizeof(headers), "Host: test\r\nContent-Length: %d\r\n", LARGE);
    x.endpoint = client_endpoint(r->client, true, SLICE("127.0.0.1"), r->port);
    x.headers = slice_of(headers);
    x.body = (struct slice){body, LARGE};
    ck_assert_int_eq(exchange_await(r->client, &x), 0);
    ck_assert_msg(x.error_code == 0, "%d %s", x.error_code, x.error);
    ck_assert_int_eq(x.response_body.n, LARGE);
    memset(body, 'y', LARGE);
    ck_assert_int_eq(memcmp(x.response_body.p, body, LARGE), 0);
    ck_assert_int_gt(x.bytes_sent, LARGE);
    exchange_release(r->client, &x);
    free(body);
}

START_TEST(large_bodies)
{
    struct netserver s;
    struct netrun r = {0};
    struct tls_server t = {.ctx = SSL_CTX_new(TLS_server_method())};

    make_authorities();
    struct identity server = make_identity("s", "DNS:x", &stranger, -60);
    SSL_CTX_use_certificate(t.ctx, server.cert);
    SSL_CTX_use_PrivateKey(t.ctx, server.key);
    netserver_start(&s, serve_large, &t);
    net_settings_init(&r.settings);
    r.settings.tls_skip_verify = true;
    r.port = s.port;
    netrun(&r, send_large);
    netserver_stop(&s);
    ck_assert_int_eq(s.requests, 1);
    SSL_CTX_free(t.ctx);
    free_identity(&server);
    free_authorities();
}
END_TEST

static void cancelled_handshake(void *arg)
{
    struct netrun *r = arg;
    struct exchange x = netrun_request(r, "GET", "/");

    x.endpoint = client_endpoint(r->client, true, SLICE("127.0.0.1"), r->port);
    ck_assert_int_eq(exchange_await(r->client, &x), -ECANCELED);
}

static void wait_for_end(struct netserver *s, int fd, unsigned number)
{
    char byte[512];

    while (recv(fd, byte, sizeof(byte), 0) > 0) {
    }
}

static void cancel_it(struct netrun *r)
{
    struct co *co = co_spawn(r->loop, cancelled_handshake, r, NULL);

    co_await_sleep(30 * NSEC_PER_MSEC);
    co_cancel(co);
    while (co_count(r->loop) > 1) {
        co_await_sleep(NSEC_PER_MSEC);
    }
}

START_TEST(handshake_cancelled)
{
    struct netserver s;
    struct netrun r = {0};

    netserver_start(&s, wait_for_end, NULL);
    net_settings_init(&r.settings);
    r.port = s.port;
    netrun(&r, cancel_it);
    netserver_stop(&s);
    ck_assert_int_eq(s.accepted, 1);
}
END_TEST

static void serve_plain(struct netserver *s, int fd, unsigned number)
{
    char buf[2048];

    ck_assert_int_gt(recv(fd, buf, sizeof(buf), 0), 0);
    netserver_write(fd, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
}

START_TEST(server_without_tls)
{
    struct netserver s;
    struct netrun r = {0};

    netserver_start(&s, serve_plain, NULL);
    net_settings_init(&r.settings);
    r.port = s.port;
    host = "127.0.0.1";
    expected_code = 1301;
    expected_error = "tls: first record does not look like a TLS handshake";
    netrun(&r, ask);
    netserver_stop(&s);
}
END_TEST

UNIT_MAIN("net/tls",
          certificates,
          client_certificates,
          bad_client_certificates,
          server_without_tls,
          large_bodies,
          handshake_cancelled)
