// SPDX-License-Identifier: Apache-2.0
// TLS by OpenSSL on memory buffers.
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "net/net_int.h"

struct client_cert {
    X509 *cert;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

struct tls_context {
    SSL_CTX *ctx;
    const char *ca_file; // borrowed from the settings
    bool verify;
    pthread_mutex_t lock;
    bool roots_loaded;
    struct client_cert *certs; // as settings.tls_auth
    size_t cert_count;
};

struct tls {
    SSL *ssl;
    BIO *in, *out; // owned by ssl
    struct endpoint *endpoint;
};

static int endpoint_index = -1;
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

static void make_index(void)
{
    endpoint_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

const char *tls_error_text(char *buf, size_t size)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;

    snprintf(buf, size, "tls: %s", reason ? reason : "connection closed");
    ERR_clear_error();
    return buf;
}

// Keeps the newest session of an endpoint; it goes on when it connects again.
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct endpoint *e = SSL_get_ex_data(ssl, endpoint_index);

    if (!e) {
        return 0;
    }
    tls_session_free(e->tls_session);
    e->tls_session = session;
    return 1;
}

static int load_cert(struct client_cert *c, const struct net_tls_auth *a, size_t i, struct err *err)
{
    BIO *cert = BIO_new_mem_buf(a->cert, -1), *key = BIO_new_mem_buf(a->key, -1);
    X509 *extra;

    c->cert = PEM_read_bio_X509(cert, NULL, NULL, NULL);
    c->chain = sk_X509_new_null();
    while (c->cert && (extra = PEM_read_bio_X509(cert, NULL, NULL, NULL))) {
        sk_X509_push(c->chain, extra);
    }
    c->key = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);
    BIO_free(cert);
    BIO_free(key);
    ERR_clear_error();
    if (!c->cert || !c->key) {
        return err_set(err, -EINVAL, "tlsAuth: the %s of entry %zu is no PEM text",
                       c->cert ? "key" : "cert", i + 1);
    }
    if (X509_check_private_key(c->cert, c->key) != 1) {
        return err_set(err, -EINVAL, "tlsAuth: the key of entry %zu does not fit its cert", i + 1);
    }
    return 0;
}

int tls_context_new(const struct net_settings *s, void **ret_context, struct err *err)
{
    struct tls_context *c = XNEW(struct tls_context);
    int r = 0;

    pthread_once(&index_once, make_index);
    pthread_mutex_init(&c->lock, NULL);
    c->verify = !s->tls_skip_verify;
    c->ca_file = s->ca_file;
    c->ctx = SSL_CTX_new(TLS_client_method());
    ASSERT(c->ctx);
    SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(c->ctx,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(c->ctx, on_new_session);
    SSL_CTX_set_min_proto_version(c->ctx, s->tls_min ? s->tls_min : TLS1_2_VERSION);
    if (s->tls_max) {
        SSL_CTX_set_max_proto_version(c->ctx, s->tls_max);
    }
    SSL_CTX_set_verify(c->ctx, c->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
    if (s->tls_ciphers && SSL_CTX_set_cipher_list(c->ctx, s->tls_ciphers) != 1) {
        r = err_set(err, -EINVAL, "tlsCipherSuites: no known cipher in '%s'", s->tls_ciphers);
    }
    c->certs = xcalloc(s->tls_auth_count + 1, sizeof(*c->certs));
    for (size_t i = 0; i < s->tls_auth_count && r == 0; i++) {
        c->cert_count = i + 1;
        r = load_cert(&c->certs[i], &s->tls_auth[i], i, err);
    }
    if (r) {
        tls_context_free(c);
        return r;
    }
    *ret_context = c;
    return 0;
}

void tls_context_free(void *context)
{
    struct tls_context *c = context;

    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->cert_count; i++) {
        X509_free(c->certs[i].cert);
        sk_X509_pop_free(c->certs[i].chain, X509_free);
        EVP_PKEY_free(c->certs[i].key);
    }
    free(c->certs);
    SSL_CTX_free(c->ctx);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void tls_session_free(void *session)
{
    SSL_SESSION_free(session);
}

// The system's certificates take some milliseconds: only runs that use TLS pay.
static void load_roots(struct tls_context *c)
{
    pthread_mutex_lock(&c->lock);
    if (!c->roots_loaded && c->verify) {
        if (c->ca_file) {
            SSL_CTX_load_verify_file(c->ctx, c->ca_file);
        } else {
            SSL_CTX_set_default_verify_paths(c->ctx); // honours SSL_CERT_FILE and SSL_CERT_DIR
        }
        ERR_clear_error();
    }
    c->roots_loaded = true;
    pthread_mutex_unlock(&c->lock);
}

static bool domain_matches(const struct net_tls_auth *a, const char *host)
{
    size_t n = strlen(host);

    for (size_t i = 0; i < a->domain_count; i++) {
        const char *d = a->domains[i];
        if (d[0] == '*' && n > strlen(d + 1) && strcasecmp(host + n - strlen(d + 1), d + 1) == 0) {
            return true;
        }
        if (strcasecmp(d, host) == 0) {
            return true;
        }
    }
    return a->domain_count == 0;
}

struct tls *tls_new(struct endpoint *e)
{
    const struct net_settings *s = e->client->settings;
    struct tls_context *c = s->tls_context;
    struct sockaddr_storage address;
    struct tls *t = XNEW(struct tls);

    ASSERT(c); // net_settings_seal() was called
    load_roots(c);
    t->endpoint = e;
    t->ssl = SSL_new(c->ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    ASSERT(t->ssl && t->in && t->out);
    BIO_set_mem_eof_return(t->in, -1);
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_ex_data(t->ssl, endpoint_index, e);
    SSL_set_connect_state(t->ssl);
    if (address_parse(e->host, 0, &address)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(t->ssl), e->host);
    } else {
        SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        SSL_set1_host(t->ssl, e->host);
        SSL_set_tlsext_host_name(t->ssl, e->host);
    }
    static const unsigned char alpn[] = "\x08http/1.1";
    SSL_set_alpn_protos(t->ssl, alpn, sizeof(alpn) - 1);
    for (size_t i = 0; i < c->cert_count; i++) {
        if (domain_matches(&s->tls_auth[i], e->host)) {
            SSL_use_cert_and_key(t->ssl, c->certs[i].cert, c->certs[i].key, c->certs[i].chain, 1);
            break;
        }
    }
    if (e->tls_session) {
        SSL_set_session(t->ssl, e->tls_session);
    }
    return t;
}

void tls_free(struct tls *t)
{
    if (t) {
        // Without this a session is taken for broken and not resumed.
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN);
        SSL_free(t->ssl);
        free(t);
    }
}

void tls_feed(struct tls *t, const void *p, size_t n)
{
    int r = BIO_write(t->in, p, (int)n);

    ASSERT(r == (int)n);
}

size_t tls_pending(struct tls *t, const char **ret_p)
{
    char *p = NULL;
    long n = BIO_get_mem_data(t->out, &p);

    *ret_p = p;
    return n > 0 ? (size_t)n : 0;
}

void tls_sent(struct tls *t, size_t n)
{
    char drop[2048];

    while (n) {
        int r = BIO_read(t->out, drop, (int)MIN(n, sizeof(drop)));
        ASSERT(r > 0);
        n -= (size_t)r;
    }
}

static int verify_error(struct exchange *x, const struct endpoint *e, long verify)
{
    switch (verify) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return exchange_fail(x, NETERR_HOSTNAME, "x509: certificate doesn't match hostname");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
        return exchange_fail(x, NETERR_UNKNOWN_AUTHORITY, "x509: unknown certificate authority");
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return exchange_fail(x, NETERR_TLS,
                             "x509: certificate of %s has expired or is not yet valid", e->host);
    default:
        return exchange_fail(x, NETERR_TLS, "x509: %s", X509_verify_cert_error_string(verify));
    }
}

int tls_handshake(struct tls *t, struct exchange *x)
{
    char text[120];

    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    if (r == 1) {
        return 0;
    }
    if (SSL_get_error(t->ssl, r) == SSL_ERROR_WANT_READ) {
        return -EAGAIN;
    }
    long verify = SSL_get_verify_result(t->ssl);
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK) {
        ERR_clear_error();
        return verify_error(x, t->endpoint, verify);
    }
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
        reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_RECORD_TOO_SMALL) {
        ERR_clear_error();
        return exchange_fail(x, NETERR_TLS_RECORD,
                             "tls: first record does not look like a TLS handshake");
    }
    return exchange_fail(x, NETERR_TLS, "%s", tls_error_text(text, sizeof(text)));
}

ssize_t tls_read(struct tls *t, void *p, size_t n)
{
    ERR_clear_error();
    int r = SSL_read(t->ssl, p, (int)MIN(n, (size_t)INT32_MAX));
    if (r > 0) {
        return r;
    }
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return -EPROTO;
    }
}

int tls_write(struct tls *t, const void *p, size_t n)
{
    ERR_clear_error();
    if (n == 0) {
        return 0;
    }
    // The output buffer grows: it takes everything.
    return SSL_write(t->ssl, p, (int)n) == (int)n ? 0 : -EPROTO;
}

const char *tls_version_name(const struct tls *t)
{
    switch (SSL_version(t->ssl)) {
    case TLS1_3_VERSION:
        return "tls1.3";
    case TLS1_2_VERSION:
        return "tls1.2";
    case TLS1_1_VERSION:
        return "tls1.1";
    default:
        return "tls1.0";
    }
}

const char *tls_cipher_name(const struct tls *t)
{
    return SSL_CIPHER_standard_name(SSL_get_current_cipher(t->ssl));
}
