/* OpenSSL under libevent. What can go wrong: a file that is not what it should be (said at the start, with its path), a
 * peer whose certificate is not good enough (said with OpenSSL's words), a peer that speaks something else. A key that
 * wants a pass phrase is an error, never a question at a terminal. */
#include "base/tls.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { REASON_MAX = 160, ERRORS_MAX = 16 /* of OpenSSL's queue that are looked at */ };

struct tls {
    SSL_CTX *context;
    char *ca, *cert, *key;
};

static const char *reason(unsigned long code)
{
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;
    return text != NULL ? text : "no reason given";
}

/* The first error is the cause; the queue is emptied. */
static const char *queued_reason(void)
{
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    return reason(code);
}

static int no_pass_phrase(char *to, int size, int writing, void *arg)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static int copy_path(const char *path, char **copy_r, struct err *err)
{
    *copy_r = path != NULL ? mem_strdup(path) : NULL;
    return path != NULL && *copy_r == NULL ? err_set(err, ERR_NO_MEMORY, "no memory for TLS") : 0;
}

static int load_authorities(struct tls *tls, struct err *err)
{
    if (tls->ca == NULL) {
        if (SSL_CTX_set_default_verify_paths(tls->context) == 1)
            return 0;
        return err_set(err, ERR_CONFIG, "the system's certificate authorities cannot be read: %s", queued_reason());
    }
    /* also the names that a client is told to choose its certificate by */
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(tls->ca);
    if (names == NULL || SSL_CTX_load_verify_locations(tls->context, tls->ca, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return err_set(err, ERR_CONFIG, "ca: %s holds no certificates that can be read: %s", tls->ca, queued_reason());
    }
    SSL_CTX_set_client_CA_list(tls->context, names);
    return 0;
}

static int load_own(struct tls *tls, struct err *err)
{
    struct stat about;
    if (tls->cert == NULL)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(tls->context, tls->cert) != 1)
        return err_set(err, ERR_CONFIG, "cert: %s holds no certificate that can be read: %s", tls->cert,
                       queued_reason());
    if (tls->key == NULL)
        return err_set(err, ERR_CONFIG, "cert: %s needs its key", tls->cert);
    if (stat(tls->key, &about) == -1)
        return err_set(err, ERR_CONFIG, "key: %s: %s", tls->key, strerror(errno));
    if ((about.st_mode & S_IRWXO) != 0)
        return err_set(err, ERR_CONFIG, "key: %s may be used by all users; chmod o= %s", tls->key, tls->key);
    if (SSL_CTX_use_PrivateKey_file(tls->context, tls->key, SSL_FILETYPE_PEM) != 1)
        return err_set(err, ERR_CONFIG, "key: %s holds no key (PEM, not encrypted) of cert: %s", tls->key,
                       queued_reason());
    if (SSL_CTX_check_private_key(tls->context) != 1)
        return err_set(err, ERR_CONFIG, "key: %s is not the key of %s", tls->key, tls->cert);
    return 0;
}

struct tls *tls_new(const struct tls_options *options, struct err *err)
{
    struct tls *tls = mem_zero(sizeof *tls);
    if (tls == NULL || (tls->context = SSL_CTX_new(TLS_method())) == NULL) {
        (void)err_set(err, ERR_NO_MEMORY, "no memory for TLS");
        tls_free(tls);
        return NULL;
    }
    ERR_clear_error();
    (void)SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    (void)SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_num_tickets(tls->context, 0);
    SSL_CTX_set_default_passwd_cb(tls->context, no_pass_phrase);
    if (copy_path(options->ca, &tls->ca, err) == -1 || copy_path(options->cert, &tls->cert, err) == -1 ||
        copy_path(options->key, &tls->key, err) == -1 || load_authorities(tls, err) == -1 || load_own(tls, err) == -1) {
        tls_free(tls);
        return NULL;
    }
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    mem_free(tls->ca);
    mem_free(tls->cert);
    mem_free(tls->key);
    mem_free(tls);
}

static bool same_path(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool tls_same(const struct tls *a, const struct tls *b)
{
    return same_path(a->ca, b->ca) && same_path(a->cert, b->cert) && same_path(a->key, b->key);
}

static bool is_address(const char *name)
{
    uint8_t bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, bytes) == 1 || inet_pton(AF_INET6, name, bytes) == 1;
}

static bool expect_name(SSL *ssl, enum tls_side side, const char *name)
{
    if (name == NULL)
        return true;
    if (is_address(name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1;
    if (side == TLS_CONNECT && SSL_set_tlsext_host_name(ssl, name) != 1)
        return false;
    return SSL_set1_host(ssl, name) == 1;
}

struct bufferevent *tls_start(struct tls *tls, enum tls_side side, struct event_base *base, int fd, const char *name,
                              struct err *err)
{
    SSL *ssl = SSL_new(tls->context);
    struct bufferevent *event = NULL;
    if (ssl != NULL && expect_name(ssl, side, name)) {
        bool verify = side == TLS_CONNECT || tls->ca != NULL;
        SSL_set_verify(ssl, verify ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE, NULL);
        (void)SSL_up_ref(ssl); /* on failure libevent frees it or not, by version */
        event = bufferevent_openssl_socket_new(
            base, fd, ssl, side == TLS_CONNECT ? BUFFEREVENT_SSL_CONNECTING : BUFFEREVENT_SSL_ACCEPTING,
            BEV_OPT_CLOSE_ON_FREE);
    }
    SSL_free(ssl);
    if (event == NULL) {
        (void)err_set(err, ERR_NO_MEMORY, "no memory for a TLS connection");
        return NULL;
    }
    /* a close without TLS's own end is one: what was sent is framed and acknowledged above TLS */
    bufferevent_openssl_set_allow_dirty_shutdown(event, 1);
    return event;
}

void tls_failure(struct bufferevent *event, struct err *err_r)
{
    SSL *ssl = bufferevent_openssl_get_ssl(event);
    long verdict = SSL_get_verify_result(ssl);
    char first[REASON_MAX] = "";
    for (int i = 0; i < ERRORS_MAX; i++) {
        unsigned long code = bufferevent_get_openssl_error(event);
        if (code == 0)
            break;
        if (first[0] == '\0')
            (void)snprintf(first, sizeof first, "%s", reason(code));
    }
    ERR_clear_error();
    if (verdict != X509_V_OK)
        (void)err_set(err_r, ERR_NOT_ALLOWED, "the peer's certificate is not accepted: %s",
                      X509_verify_cert_error_string(verdict));
    else
        (void)err_set(err_r, ERR_PROTOCOL, "the TLS handshake failed: %s",
                      first[0] != '\0' ? first : "the peer closed the connection");
}

void tls_text(struct bufferevent *event, char text_r[TLS_TEXT_MAX])
{
    SSL *ssl = bufferevent_openssl_get_ssl(event);
    X509 *certificate = SSL_get1_peer_certificate(ssl);
    char subject[REASON_MAX] = "";
    if (certificate != NULL)
        (void)X509_NAME_oneline(X509_get_subject_name(certificate), subject, (int)sizeof subject);
    X509_free(certificate);
    (void)snprintf(text_r, TLS_TEXT_MAX, "%s, %s%s%s", SSL_get_version(ssl), SSL_get_cipher_name(ssl),
                   subject[0] != '\0' ? ", certificate of " : "", subject);
}

void tls_last_words(struct bufferevent *event, struct span bytes)
{
    SSL *ssl = bufferevent_openssl_get_ssl(event);
    if (bytes.size > 0)
        (void)SSL_write(ssl, bytes.at, (int)bytes.size);
    (void)SSL_shutdown(ssl);
    ERR_clear_error();
}
