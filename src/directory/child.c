/* Asking an LDAP directory (RFC 4511), page by page (RFC 2696).
 *
 * Everything that can go wrong with libldap, the resolver and the server goes wrong in here: it may take its time (each
 * wait has a limit, the whole one too), memory (limited), or crash. An answer is written as it comes, so memory holds
 * one entry; its last line, that all is there, comes only after the server's own word that the search is done.
 *
 * The password is in the memory of this process and of nobody else but the daemon; it opens no file but the
 * certificates and what the resolver reads. */
#include "directory/child.h"

#include "directory/answer.h"
#include "directory/fetch.h"
#include "directory/request.h"

#include "base/clock.h"

#include <errno.h>
#include <ldap.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 2,
    MEMORY_MAX = 1 << 30, /* octets of address space */
    FILES_MAX = 64,
    CONNECT_SECONDS = 20, /* for one connection */
    OUTPUT_PIECE = 64 * 1024,
    VALUES_MAX = 64 /* host values of one person */
};

struct asking {
    struct directory_request request;
    LDAP *ldap;
    char *attributes[DIRECTORY_ATTRIBUTES_MAX + 1]; /* mail, name, host attributes, NULL */
    size_t attribute_count;
    struct berval cookie;
    int64_t until_us;
    struct buf output;
    size_t count;
    char failure[ERR_TEXT_SIZE];
};

/* --- the answer --- */

static void flush(struct asking *asking)
{
    size_t put = 0;
    while (put < asking->output.size) {
        ssize_t now = write(STDOUT_FILENO, asking->output.at + put, asking->output.size - put);
        if (now == -1 && errno != EINTR)
            _exit(EX_IOERR); /* the daemon is gone, or wants no more */
        put += now > 0 ? (size_t)now : 0;
    }
    if (asking->output.failed)
        _exit(EX_OSERR);
    buf_clear(&asking->output);
}

static int fail(struct asking *asking, const char *what, int code)
{
    char *told = NULL;
    if (asking->ldap != NULL)
        (void)ldap_get_option(asking->ldap, LDAP_OPT_DIAGNOSTIC_MESSAGE, &told);
    (void)snprintf(asking->failure, sizeof asking->failure, "%s: %s%s%.80s%s", what, ldap_err2string(code),
                   told != NULL && told[0] != '\0' ? ": " : "", told != NULL ? told : "",
                   code == LDAP_SIZELIMIT_EXCEEDED ? "; the server's limit for bind-dn must be raised" : "");
    ldap_memfree(told);
    return -1;
}

/* --- one entry --- */

static struct span value_span(const struct berval *value)
{
    return span_of(value->bv_val, value->bv_len);
}

static struct span first_value(struct berval *const *values)
{
    return values != NULL && values[0] != NULL ? value_span(values[0]) : SPAN_EMPTY;
}

static void put_entry(struct asking *asking, LDAPMessage *entry)
{
    struct berval **values[DIRECTORY_ATTRIBUTES_MAX];
    struct span hosts[VALUES_MAX];
    size_t host_count = 0;
    for (size_t i = 0; i < asking->attribute_count; i++) {
        values[i] = ldap_get_values_len(asking->ldap, entry, asking->attributes[i]);
        size_t first = host_count;
        for (size_t n = 0; i >= 2 && values[i] != NULL && values[i][n] != NULL && host_count < VALUES_MAX; n++)
            hosts[host_count++] = value_span(values[i][n]);
        directory_values_sort(hosts + first, host_count - first);
    }
    struct directory_entry person = {
        .mail = first_value(values[0]), .name = first_value(values[1]), .hosts = hosts, .host_count = host_count
    };
    asking->count += directory_entry_write(&person, &asking->output);
    for (size_t i = 0; i < asking->attribute_count; i++)
        ldap_value_free_len(values[i]);
    if (asking->output.size >= OUTPUT_PIECE)
        flush(asking);
}

/* --- pages --- */

static struct timeval time_left(const struct asking *asking)
{
    int64_t left = asking->until_us - clock_steady();
    left = left > 1000 ? left : 1000;
    return (struct timeval){ .tv_sec = left / CLOCK_SECOND, .tv_usec = left % CLOCK_SECOND };
}

/* The server's word that a page is done: takes its cookie. */
static int take_result(struct asking *asking, LDAPMessage *result)
{
    LDAPControl **controls = NULL;
    int code = LDAP_SUCCESS;
    int parsed = ldap_parse_result(asking->ldap, result, &code, NULL, NULL, NULL, &controls, 0);
    if (parsed != LDAP_SUCCESS || code != LDAP_SUCCESS) {
        ldap_controls_free(controls);
        return fail(asking, "the search", parsed != LDAP_SUCCESS ? parsed : code);
    }
    ber_memfree(asking->cookie.bv_val);
    asking->cookie = (struct berval){ .bv_len = 0 };
    LDAPControl *page = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
    ber_int_t estimate = 0;
    parsed = page != NULL ? ldap_parse_pageresponse_control(asking->ldap, page, &estimate, &asking->cookie)
                          : LDAP_SUCCESS; /* a server that knows no pages has sent all */
    ldap_controls_free(controls);
    return parsed == LDAP_SUCCESS ? 0 : fail(asking, "the page", parsed);
}

static int read_page(struct asking *asking)
{
    const struct conf_directory *directory = &asking->request.directory;
    LDAPControl *page = NULL;
    int id = 0;
    int code = ldap_create_page_control(asking->ldap, (ber_int_t)directory->page, &asking->cookie, 0, &page);
    if (code != LDAP_SUCCESS)
        return fail(asking, "the page", code);
    LDAPControl *controls[] = { page, NULL };
    code = ldap_search_ext(asking->ldap, directory->base != NULL ? directory->base : "",
                           directory->scope == CONF_SCOPE_ONE ? LDAP_SCOPE_ONELEVEL : LDAP_SCOPE_SUBTREE,
                           directory->filter, asking->attributes, 0, controls, NULL, NULL, LDAP_NO_LIMIT, &id);
    ldap_control_free(page);
    if (code != LDAP_SUCCESS)
        return fail(asking, code == LDAP_FILTER_ERROR ? "[directory] filter" : "the search", code);
    for (;;) {
        LDAPMessage *message = NULL;
        struct timeval limit = time_left(asking);
        int kind = ldap_result(asking->ldap, id, LDAP_MSG_ONE, &limit, &message);
        int result = 0;
        if (kind == -1) {
            (void)ldap_get_option(asking->ldap, LDAP_OPT_RESULT_CODE, &code);
            return fail(asking, "the search", code);
        }
        if (kind == 0 || clock_steady() > asking->until_us)
            result = fail(asking, "the search", LDAP_TIMEOUT);
        else if (kind == LDAP_RES_SEARCH_ENTRY)
            put_entry(asking, message);
        else if (kind == LDAP_RES_SEARCH_RESULT)
            result = take_result(asking, message) == 0 ? 1 : -1;
        if (message != NULL)
            (void)ldap_msgfree(message);
        if (result != 0)
            return result == 1 ? 0 : -1;
    }
}

/* --- the connection --- */

static int set_option(struct asking *asking, int option, const void *value, const char *what)
{
    int code = ldap_set_option(asking->ldap, option, value);
    return code == LDAP_OPT_SUCCESS ? 0 : fail(asking, what, LDAP_PARAM_ERROR);
}

static int set_certificates(struct asking *asking)
{
    /* where distributions keep what their own programs trust */
    static const char *const usual[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                         "/etc/ssl/ca-bundle.pem" };
    const char *file = asking->request.directory.ca_file;
    int demand = LDAP_OPT_X_TLS_HARD;
    int of_client = 0;
    for (size_t i = 0; file == NULL && i < sizeof usual / sizeof usual[0]; i++)
        if (access(usual[i], R_OK) == 0)
            file = usual[i];
    if (file != NULL && set_option(asking, LDAP_OPT_X_TLS_CACERTFILE, file, "[directory] ca-file") == -1)
        return -1;
    if (set_option(asking, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand, "TLS") == -1)
        return -1;
    return set_option(asking, LDAP_OPT_X_TLS_NEWCTX, &of_client, "[directory] ca-file");
}

static int connect_and_bind(struct asking *asking)
{
    const struct conf_directory *directory = &asking->request.directory;
    int version = LDAP_VERSION3;
    struct timeval whole = time_left(asking);
    struct timeval connecting = { .tv_sec = whole.tv_sec < CONNECT_SECONDS ? whole.tv_sec + 1 : CONNECT_SECONDS };
    bool secret = strncmp(directory->url, "ldaps://", 8) == 0 || directory->starttls == CONF_YES;
    int code = ldap_initialize(&asking->ldap, directory->url);
    if (code != LDAP_SUCCESS)
        return fail(asking, "[directory] url", code);
    if (set_option(asking, LDAP_OPT_PROTOCOL_VERSION, &version, "version 3") == -1 ||
        set_option(asking, LDAP_OPT_NETWORK_TIMEOUT, &connecting, "time limit") == -1 ||
        set_option(asking, LDAP_OPT_TIMEOUT, &whole, "time limit") == -1 ||
        set_option(asking, LDAP_OPT_REFERRALS, LDAP_OPT_OFF, "referrals") == -1 ||
        (secret && set_certificates(asking) == -1))
        return -1;
    code = directory->starttls == CONF_YES ? ldap_start_tls_s(asking->ldap, NULL, NULL) : LDAP_SUCCESS;
    if (code != LDAP_SUCCESS)
        return fail(asking, "STARTTLS", code);
    struct berval password = { .bv_val = directory->password != NULL ? directory->password : (char[]){ "" } };
    password.bv_len = strlen(password.bv_val);
    code = ldap_sasl_bind_s(asking->ldap, directory->bind_dn, LDAP_SASL_SIMPLE, &password, NULL, NULL, NULL);
    return code == LDAP_SUCCESS ? 0
                                : fail(asking, code == LDAP_SERVER_DOWN ? "the directory's server" : "the bind", code);
}

static void name_attributes(struct asking *asking)
{
    const struct conf_directory *directory = &asking->request.directory;
    asking->attributes[asking->attribute_count++] = directory->mail_attribute;
    asking->attributes[asking->attribute_count++] =
        directory->name_attribute != NULL ? directory->name_attribute : directory->mail_attribute;
    char *rest = NULL;
    for (char *word = directory->host_attributes != NULL ? strtok_r(directory->host_attributes, " \t", &rest) : NULL;
         word != NULL && asking->attribute_count < DIRECTORY_ATTRIBUTES_MAX; word = strtok_r(NULL, " \t", &rest))
        asking->attributes[asking->attribute_count++] = word;
}

static int ask(struct asking *asking)
{
    name_attributes(asking);
    if (connect_and_bind(asking) == -1)
        return -1;
    do
        if (read_page(asking) == -1)
            return -1;
    while (asking->cookie.bv_len > 0);
    return 0;
}

/* --- the process --- */

static void limit(int resource, rlim_t most)
{
    struct rlimit limits = { .rlim_cur = most, .rlim_max = most };
    (void)setrlimit((__rlimit_resource_t)resource, &limits);
}

static void shut_in(const struct directory_request *request)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != (pid_t)request->parent)
        _exit(EX_OSERR); /* the daemon ended meanwhile */
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_NAME, "ovvm-directory");
    (void)prctl(PR_SET_DUMPABLE, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NOFILE, FILES_MAX);
    limit(RLIMIT_CPU, (rlim_t)(request->directory.timeout_us / CLOCK_SECOND) + 2);
#ifndef OVVM_SANITIZED /* their shadow needs all the address space there is */
    limit(RLIMIT_AS, MEMORY_MAX);
#endif
}

static bool read_request(struct buf *bytes)
{
    ssize_t got = 1;
    while (got > 0 && bytes->size < DIRECTORY_REQUEST_MAX && buf_reserve(bytes, OUTPUT_PIECE)) {
        got = read(STDIN_FILENO, bytes->at + bytes->size, OUTPUT_PIECE);
        bytes->size += got > 0 ? (size_t)got : 0;
    }
    return got == 0 && !bytes->failed;
}

bool directory_is_meant(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], DIRECTORY_ARGUMENT) == 0;
}

int directory_main(void)
{
    static struct asking asking;
    struct buf bytes = { .at = NULL };
    if (isatty(STDIN_FILENO) || !read_request(&bytes) || !directory_request_read(&bytes, &asking.request)) {
        (void)fputs("ovvmd: " DIRECTORY_ARGUMENT " is for ovvmd's own use\n", stderr);
        buf_free(&bytes);
        return EXIT_USAGE;
    }
    shut_in(&asking.request);
    asking.until_us = clock_steady() + asking.request.directory.timeout_us;
    if (ask(&asking) == 0)
        directory_end_write(asking.count, &asking.output);
    else
        directory_failure_write(asking.failure, &asking.output);
    flush(&asking);
    if (asking.ldap != NULL)
        (void)ldap_unbind_ext_s(asking.ldap, NULL, NULL);
    ber_memfree(asking.cookie.bv_val);
    buf_free(&asking.output);
    explicit_bzero(bytes.at, bytes.room);
    buf_free(&bytes);
    return EX_OK;
}
