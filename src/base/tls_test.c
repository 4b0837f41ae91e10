/* What an operator loses when these fail: an encrypted link that does not come up and does not say why, or one that
 * comes up with a stranger. */
#include "base/tls.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_SIZE = 128, PATHS = 16, CERTIFICATE_SECONDS = 3600, TURNS_MAX = 1000 };

static char folder[] = "/tmp/ovvm-tls-XXXXXX";

static const char *path(const char *name)
{
    static char paths[PATHS][PATH_SIZE];
    static size_t next;
    char *found = paths[next++ % PATHS];
    (void)snprintf(found, PATH_SIZE, "%s/%s", folder, name);
    return found;
}

/* NAME.pem and NAME.key: an authority of its own where `issuer` is NULL. */
static void make(const char *name, X509 *issuer, EVP_PKEY *issuer_key, X509 **made_r, EVP_PKEY **key_r)
{
    char file[64], alt[64];
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    (void)X509_set_version(certificate, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1 + name[0]);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), CERTIFICATE_SECONDS);
    (void)X509_set_pubkey(certificate, key);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                                     (const unsigned char *)name, -1, -1, 0);
    (void)X509_set_issuer_name(certificate, X509_get_subject_name(issuer != NULL ? issuer : certificate));
    (void)snprintf(alt, sizeof alt, "DNS:%s.example.org", name);
    X509_EXTENSION *extension = issuer != NULL
                                    ? X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt)
                                    : X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    (void)X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    assert_true(X509_sign(certificate, issuer_key != NULL ? issuer_key : key, EVP_sha256()) > 0);
    (void)snprintf(file, sizeof file, "%s.pem", name);
    FILE *to = fopen(path(file), "w");
    assert_non_null(to);
    (void)PEM_write_X509(to, certificate);
    (void)fclose(to);
    (void)snprintf(file, sizeof file, "%s.key", name);
    to = fopen(path(file), "w");
    assert_non_null(to);
    (void)PEM_write_PrivateKey(to, key, NULL, NULL, 0, NULL, NULL);
    (void)fclose(to);
    (void)chmod(path(file), S_IRUSR | S_IWUSR);
    if (made_r != NULL) {
        *made_r = certificate;
        *key_r = key;
        return;
    }
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    (void)state;
    X509 *authority;
    EVP_PKEY *key;
    if (mkdtemp(folder) == NULL)
        return -1;
    make("ca", NULL, NULL, &authority, &key);
    make("ovvm", authority, key, NULL, NULL);
    make("host", authority, key, NULL, NULL);
    make("stranger", NULL, NULL, NULL, NULL);
    X509_free(authority);
    EVP_PKEY_free(key);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    static const char *const names[] = { "ca", "ovvm", "host", "stranger" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char file[64];
        (void)snprintf(file, sizeof file, "%s.pem", names[i]);
        (void)unlink(path(file));
        (void)snprintf(file, sizeof file, "%s.key", names[i]);
        (void)unlink(path(file));
    }
    return rmdir(folder);
}

static void wrong_files_are_named(void **state)
{
    (void)state;
    const struct {
        struct tls_options options;
        const char *says;
    } cases[] = {
        { { .ca = path("none.pem") }, "ca: " },
        { { .ca = path("ovvm.key") }, "holds no certificates" },
        { { .cert = path("none.pem") }, "cert: " },
        { { .cert = path("ovvm.pem") }, "needs its key" },
        { { .cert = path("ovvm.pem"), .key = path("none.key") }, "No such file" },
        { { .cert = path("ovvm.pem"), .key = path("host.key") }, "holds no key" },
        { { .cert = path("ovvm.pem"), .key = path("ca.pem") }, "may be used by all users" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err err = ERR_CLEAR;
        assert_null(tls_new(&cases[i].options, &err));
        if (err.id != ERR_CONFIG || strstr(err.text, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
    }
}

/* --- handshakes --- */

struct side {
    struct bufferevent *event;
    bool connected, failed;
    struct err why;
};

static void happened(struct bufferevent *event, short what, void *arg)
{
    struct side *side = arg;
    if ((what & BEV_EVENT_CONNECTED) != 0) {
        side->connected = true;
        return;
    }
    side->failed = true;
    tls_failure(event, &side->why);
}

/* Our side accepts with ca (where asked for); the other connects and expects `name`. */
static void shake(const char *our_ca, const char *their_ca, const char *their_cert, const char *name, struct side *us,
                  struct side *them)
{
    char key[64] = "", cert[64] = "";
    struct err err = ERR_CLEAR;
    if (their_cert != NULL) {
        (void)snprintf(cert, sizeof cert, "%s.pem", their_cert);
        (void)snprintf(key, sizeof key, "%s.key", their_cert);
    }
    struct tls *ours = tls_new(&(struct tls_options){ .ca = our_ca != NULL ? path(our_ca) : NULL,
                                                      .cert = path("ovvm.pem"),
                                                      .key = path("ovvm.key") },
                               &err);
    struct tls *theirs = tls_new(&(struct tls_options){ .ca = path(their_ca),
                                                        .cert = their_cert != NULL ? path(cert) : NULL,
                                                        .key = their_cert != NULL ? path(key) : NULL },
                                 &err);
    assert_string_equal(err.text, "");
    assert_true(tls_same(ours, ours));
    assert_false(tls_same(ours, theirs));
    struct event_base *base = event_base_new();
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *us = *them = (struct side){ .connected = false };
    us->event = tls_start(ours, TLS_ACCEPT, base, fds[0], NULL, &err);
    them->event = tls_start(theirs, TLS_CONNECT, base, fds[1], name, &err);
    bufferevent_setcb(us->event, NULL, NULL, happened, us);
    bufferevent_setcb(them->event, NULL, NULL, happened, them);
    (void)bufferevent_enable(us->event, EV_READ | EV_WRITE);
    (void)bufferevent_enable(them->event, EV_READ | EV_WRITE);
    for (int turn = 0; turn < TURNS_MAX && !us->failed && !them->failed && !(us->connected && them->connected); turn++)
        (void)event_base_loop(base, EVLOOP_ONCE);
    for (int turn = 0; turn < 4; turn++) /* a refusal may come behind the end of the other's handshake */
        (void)event_base_loop(base, EVLOOP_NONBLOCK);
    if (us->connected && !us->failed) {
        char text[TLS_TEXT_MAX];
        tls_text(us->event, text);
        assert_non_null(strstr(text, "TLSv1."));
        assert_true((strstr(text, "CN=host") != NULL) == (our_ca != NULL));
        bufferevent_setcb(them->event, NULL, NULL, NULL, NULL); /* the close that follows is no failure */
        tls_last_words(us->event, SPAN_LITERAL("bye"));
        for (int turn = 0; turn < TURNS_MAX && evbuffer_get_length(bufferevent_get_input(them->event)) < 3; turn++)
            (void)event_base_loop(base, EVLOOP_NONBLOCK);
        assert_int_equal(evbuffer_get_length(bufferevent_get_input(them->event)), 3);
    }
    bufferevent_free(us->event);
    bufferevent_free(them->event);
    event_base_free(base);
    tls_free(ours);
    tls_free(theirs);
}

static void only_good_certificates_pass(void **state)
{
    (void)state;
    struct side us, them;
    shake("ca.pem", "ca.pem", "host", "ovvm.example.org", &us, &them);
    assert_string_equal(us.why.text, "");
    assert_string_equal(them.why.text, "");
    assert_true(us.connected && them.connected);
    shake(NULL, "ca.pem", NULL, "ovvm.example.org", &us, &them);
    assert_true(us.connected && them.connected && !us.failed && !them.failed);
    shake(NULL, "ca.pem", NULL, "other.example.org", &us, &them);
    assert_true(them.failed);
    assert_non_null(strstr(them.why.text, "ostname mismatch"));
    shake(NULL, "stranger.pem", NULL, "ovvm.example.org", &us, &them);
    assert_true(them.failed);
    assert_int_equal(them.why.id, ERR_NOT_ALLOWED);
    shake("ca.pem", "ca.pem", "stranger", "ovvm.example.org", &us, &them);
    assert_true(us.failed);
    assert_non_null(strstr(us.why.text, "certificate is not accepted"));
    shake("ca.pem", "ca.pem", NULL, "ovvm.example.org", &us, &them);
    assert_true(us.failed);
    assert_non_null(strstr(us.why.text, "did not return a certificate"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(wrong_files_are_named),
                                        cmocka_unit_test(only_good_certificates_pass) };
    return cmocka_run_group_tests_name("tls", tests, set_up, tear_down);
}
