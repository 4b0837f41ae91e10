/* Names to addresses. getaddrinfo may take half a minute when the DNS is down, and the loop serves every other
 * neighbour meanwhile, so each lookup has a short-lived thread. What can go wrong: the asker goes away before the
 * answer; the lookup then belongs to its thread alone, which frees it. */
#include "base/resolve.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct resolve {
    struct loop *loop;
    struct resolve_name name;
    int family;
    resolve_done done;
    void *arg;
    struct resolve_answer answer;
    int failure; /* of getaddrinfo */
    struct loop_post post;
    pthread_mutex_t lock;
    bool cancelled;
};

int resolve_parse(const char *text, struct resolve_name *name_r, struct err *err)
{
    *name_r = (struct resolve_name){ .port = 0 };
    const char *host = text;
    const char *colon = strrchr(text, ':');
    const char *end = colon;
    if (text[0] == '[') {
        host = text + 1;
        end = strchr(text, ']');
        if (end == NULL || end + 1 != colon)
            colon = NULL;
    } else if (colon != NULL && memchr(text, ':', (size_t)(colon - text)) != NULL) {
        colon = NULL; /* an IPv6 address without brackets: where would its port begin? */
    }
    if (colon == NULL || end == host || (size_t)(end - host) > RESOLVE_HOST_MAX)
        return err_set(err, ERR_CONFIG, "\"%s\" is not host:port (an IPv6 address goes in brackets: [::1]:175)", text);
    char *rest;
    unsigned long port = strtoul(colon + 1, &rest, 10);
    if (colon[1] < '0' || colon[1] > '9' || *rest != '\0' || port > UINT16_MAX)
        return err_set(err, ERR_CONFIG, "\"%s\": the port must be a number up to 65535", text);
    memcpy(name_r->host, host, (size_t)(end - host));
    name_r->port = (uint16_t)port;
    return 0;
}

bool resolve_literal(const struct resolve_name *name, struct resolve_answer *answer_r)
{
    *answer_r = (struct resolve_answer){ .count = 0 };
    struct resolve_address *address = &answer_r->addresses[0];
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(name->port) };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(name->port) };
    if (inet_pton(AF_INET, name->host, &four.sin_addr) == 1) {
        memcpy(&address->address, &four, sizeof four);
        address->size = sizeof four;
    } else if (inet_pton(AF_INET6, name->host, &six.sin6_addr) == 1) {
        memcpy(&address->address, &six, sizeof six);
        address->size = sizeof six;
    } else {
        return false;
    }
    answer_r->count = 1;
    return true;
}

static void resolve_free(struct resolve *resolve)
{
    (void)pthread_mutex_destroy(&resolve->lock);
    mem_free(resolve);
}

static void answer(void *arg)
{
    struct resolve *resolve = arg;
    struct err err = ERR_CLEAR;
    if (!resolve->cancelled && resolve->answer.count == 0) {
        (void)err_set(&err, ERR_CONNECT, "the address of %s cannot be found: %s", resolve->name.host,
                      resolve->failure != 0 ? gai_strerror(resolve->failure) : "no address of the wanted kind");
        resolve->done(resolve->arg, NULL, &err);
    } else if (!resolve->cancelled) {
        resolve->done(resolve->arg, &resolve->answer, NULL);
    }
    resolve_free(resolve);
}

static void *look_up(void *arg)
{
    struct resolve *resolve = arg;
    struct addrinfo hints = { .ai_family = resolve->family, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *found = NULL;
    char port[8];
    (void)snprintf(port, sizeof port, "%u", (unsigned)resolve->name.port);
    resolve->failure = getaddrinfo(resolve->name.host, port, &hints, &found);
    struct resolve_answer *to = &resolve->answer;
    for (struct addrinfo *at = resolve->failure == 0 ? found : NULL; at != NULL; at = at->ai_next) {
        if (to->count == RESOLVE_ADDRESSES_MAX || at->ai_addrlen > sizeof to->addresses[0].address)
            break;
        memcpy(&to->addresses[to->count].address, at->ai_addr, at->ai_addrlen);
        to->addresses[to->count++].size = at->ai_addrlen;
    }
    if (found != NULL)
        freeaddrinfo(found);
    (void)pthread_mutex_lock(&resolve->lock);
    bool cancelled = resolve->cancelled;
    if (!cancelled)
        loop_post(resolve->loop, &resolve->post);
    (void)pthread_mutex_unlock(&resolve->lock);
    if (cancelled)
        resolve_free(resolve);
    return NULL;
}

struct resolve *resolve_start(struct loop *loop, const struct resolve_name *name, int family, resolve_done done,
                              void *arg, struct err *err)
{
    struct resolve *resolve = mem_zero(sizeof *resolve);
    if (resolve == NULL) {
        (void)err_set(err, ERR_NO_MEMORY, "no memory to look up %s", name->host);
        return NULL;
    }
    resolve->loop = loop;
    resolve->name = *name;
    resolve->family = family;
    resolve->done = done;
    resolve->arg = arg;
    resolve->post = (struct loop_post){ .run = answer, .arg = resolve };
    (void)pthread_mutex_init(&resolve->lock, NULL);
    pthread_t thread;
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int failure = pthread_create(&thread, &attributes, look_up, resolve);
    (void)pthread_attr_destroy(&attributes);
    if (failure != 0) {
        (void)err_set(err, ERR_NO_MEMORY, "no thread to look up %s: %s", name->host, strerror(failure));
        resolve_free(resolve);
        return NULL;
    }
    return resolve;
}

void resolve_cancel(struct resolve *resolve)
{
    (void)pthread_mutex_lock(&resolve->lock);
    resolve->cancelled = true; /* whoever comes last, the thread or the post, frees it */
    (void)pthread_mutex_unlock(&resolve->lock);
}

void resolve_text(const struct sockaddr *address, char text_r[RESOLVE_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET) {
        struct sockaddr_in four;
        memcpy(&four, address, sizeof four);
        (void)inet_ntop(AF_INET, &four.sin_addr, host, sizeof host);
        (void)snprintf(text_r, RESOLVE_TEXT_MAX, "%s:%u", host, (unsigned)ntohs(four.sin_port));
    } else if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 six;
        memcpy(&six, address, sizeof six);
        (void)inet_ntop(AF_INET6, &six.sin6_addr, host, sizeof host);
        (void)snprintf(text_r, RESOLVE_TEXT_MAX, "[%s]:%u", host, (unsigned)ntohs(six.sin6_port));
    } else {
        (void)snprintf(text_r, RESOLVE_TEXT_MAX, "an address of family %d", address->sa_family);
    }
}
