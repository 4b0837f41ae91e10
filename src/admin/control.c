/* The control socket. A request that is too long, no JSON or of no known verb gets an answer that says so; a client
 * that sends nothing or reads nothing is cut off after a while. */
#include "admin/control.h"

#include "admin/verbs.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENT_WAIT_S = 30, CLIENTS_MAX = 64 };

struct control {
    struct control_options options;
    struct evconnlistener *listener;
    struct client *clients;
    unsigned client_count;
    char path[108];
};

struct client {
    struct verb_call call; /* first: verb_answer gets back to the client */
    struct control *control;
    struct bufferevent *stream;
    struct client *next, **link;
    const struct verb *verb;
    struct store_job job;
    bool working, gone;
};

static void client_free(struct client *client)
{
    if (client->working && client->call.content_left > 0) {
        client->working = false;
        client->call.gone(&client->call);
    }
    if (client->working) { /* the verb still has it */
        client->gone = true;
        return;
    }
    *client->link = client->next;
    if (client->next != NULL)
        client->next->link = client->link;
    client->control->client_count--;
    json_decref(client->call.request);
    json_decref(client->call.reply);
    bufferevent_free(client->stream);
    mem_free(client->call.scratch);
    mem_free(client);
}

static void send_line(struct client *client, const json_t *reply)
{
    char *text = reply != NULL ? json_dumps(reply, JSON_COMPACT) : NULL;
    if (text == NULL) { /* no memory: the connection ends without an answer */
        bufferevent_trigger_event(client->stream, BEV_EVENT_ERROR, BEV_OPT_DEFER_CALLBACKS);
        return;
    }
    (void)evbuffer_add_printf(bufferevent_get_output(client->stream), "%s\n", text);
    free(text);
    bufferevent_enable(client->stream, EV_WRITE);
}

static int exit_status(enum err_id id)
{
    return id == ERR_NOT_FOUND ? 1 : id == ERR_BAD_CONTENT || id == ERR_BAD_ADDRESS ? 2 : 3;
}

static void answer(struct client *client, const struct err *err)
{
    struct verb_call *call = &client->call;
    if (err != NULL) {
        json_t *failure = json_pack("{s:b, s:s, s:i}", "ok", 0, "error", err->text, "status", exit_status(err->id));
        json_decref(call->reply);
        call->reply = failure;
    } else if (call->reply != NULL) {
        (void)json_object_set_new(call->reply, "ok", json_true());
    }
    send_line(client, call->reply);
}

void verb_answer(struct verb_call *call, const struct err *err)
{
    struct client *client = (struct client *)call;
    client->working = false;
    call->content_left = 0;
    if (client->gone)
        client_free(client);
    else
        answer(client, err);
}

static int ledger_work(struct db *db, void *arg, struct err *err)
{
    struct client *client = arg;
    json_object_clear(client->call.reply);
    if (client->verb->active && instance_check_active(db, err) == -1)
        return -1;
    return client->verb->ledger(db, &client->call, err);
}

static void ledger_done(void *arg, const struct err *err)
{
    struct client *client = arg;
    if (err == NULL && client->verb->loop != NULL)
        client->verb->loop(&client->call);
    verb_answer(&client->call, err);
}

/* --- bytes behind the request --- */

static void take_content(struct client *client)
{
    struct verb_call *call = &client->call;
    struct evbuffer *input = bufferevent_get_input(client->stream);
    bool room = true;
    while (room && call->content_left > 0) {
        struct evbuffer_iovec piece;
        if (evbuffer_peek(input, -1, NULL, &piece, 1) < 1 || piece.iov_len == 0)
            break;
        size_t size = piece.iov_len < call->content_left ? piece.iov_len : (size_t)call->content_left;
        uint8_t copy[4096];
        size = size < sizeof copy ? size : sizeof copy;
        (void)evbuffer_remove(input, copy, size);
        call->content_left -= size;
        room = call->content(call, span_of(copy, size), call->content_left == 0);
    }
    if (client->gone)
        return;
    if (room && call->content_left > 0)
        (void)bufferevent_enable(client->stream, EV_READ);
    else
        (void)bufferevent_disable(client->stream, EV_READ);
}

void verb_want_content(struct verb_call *call, uint64_t size)
{
    struct client *client = (struct client *)call;
    json_t *line = json_pack("{s:I}", "send", (json_int_t)size);
    call->content_left = size;
    send_line(client, line);
    json_decref(line);
    (void)bufferevent_enable(client->stream, EV_READ);
}

void verb_content_room(struct verb_call *call)
{
    take_content((struct client *)call);
}

/* --- requests --- */

static void run_request(struct client *client, const char *line)
{
    json_error_t error;
    struct err err = ERR_CLEAR;
    client->call.request = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    client->call.reply = json_object();
    const char *name = json_string_value(json_object_get(client->call.request, "verb"));
    client->verb = name != NULL ? verb_find(name) : NULL;
    if (client->verb == NULL || client->call.reply == NULL) {
        (void)err_set(&err, ERR_BAD_CONTENT,
                      client->call.request == NULL
                          ? "the request is no JSON object"
                          : "this daemon does not know that request; ovvm and ovvmd differ in version");
        answer(client, &err);
        return;
    }
    if (client->verb->before != NULL && client->verb->before(&client->call, &err) == -1) {
        answer(client, &err);
        return;
    }
    client->working = true;
    if (client->verb->start != NULL) {
        client->verb->start(&client->call);
        return;
    }
    if (client->verb->ledger == NULL) {
        ledger_done(client, NULL);
        return;
    }
    client->job = (struct store_job){ .work = ledger_work, .done = ledger_done, .arg = client, .beyond_fence = true };
    if (client->verb->writes)
        store_write(client->control->options.store, &client->job);
    else
        store_read(client->control->options.store, &client->job);
}

static void on_read(struct bufferevent *stream, void *arg)
{
    struct client *client = arg;
    struct evbuffer *input = bufferevent_get_input(stream);
    if (client->call.content_left > 0)
        take_content(client);
    if (client->call.request != NULL)
        return;
    char *line = evbuffer_readln(input, NULL, EVBUFFER_EOL_LF);
    if (line != NULL) {
        bufferevent_disable(stream, EV_READ);
        run_request(client, line);
        free(line);
    } else if (evbuffer_get_length(input) > CONTROL_REQUEST_MAX) {
        client_free(client);
    }
}

static void on_written(struct bufferevent *stream, void *arg)
{
    (void)stream;
    struct client *client = arg;
    if (client->call.request != NULL && !client->working)
        client_free(client);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    (void)stream;
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) != 0)
        client_free(arg);
}

/* Who asks, as the kernel says. */
static void name_operator(evutil_socket_t fd, char *to_r, size_t room)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    struct passwd entry, *found = NULL;
    char texts[1024];
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == -1) {
        (void)snprintf(to_r, room, "unknown");
        return;
    }
    (void)getpwuid_r(peer.uid, &entry, texts, sizeof texts, &found);
    if (found != NULL)
        (void)snprintf(to_r, room, "%s", found->pw_name);
    else
        (void)snprintf(to_r, room, "uid %u", (unsigned)peer.uid);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int size,
                      void *arg)
{
    (void)address;
    (void)size;
    struct control *control = arg;
    struct client *client = control->client_count < CLIENTS_MAX ? mem_zero(sizeof *client) : NULL;
    struct bufferevent *stream =
        client != NULL ? bufferevent_socket_new(evconnlistener_get_base(listener), fd, BEV_OPT_CLOSE_ON_FREE) : NULL;
    if (stream == NULL) {
        mem_free(client);
        (void)close(fd);
        return;
    }
    client->control = control;
    client->call.options = &control->options;
    name_operator(fd, client->call.who, sizeof client->call.who);
    client->stream = stream;
    client->link = &control->clients;
    client->next = control->clients;
    if (client->next != NULL)
        client->next->link = &client->next;
    control->clients = client;
    control->client_count++;
    struct timeval wait = { .tv_sec = CLIENT_WAIT_S };
    bufferevent_set_timeouts(stream, &wait, &wait);
    bufferevent_setcb(stream, on_read, on_written, on_event, client);
    (void)bufferevent_enable(stream, EV_READ);
}

/* A socket left behind by a killed daemon is in the way; one that answers belongs to a running one. */
static int make_way(const struct sockaddr_un *address, struct err *err)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return err_set(err, ERR_CONFIG, "[admin] socket: %m");
    int connected = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int reason = errno;
    (void)close(fd);
    if (connected == 0)
        return err_set(err, ERR_CONFIG, "[admin] socket %.100s is in use by a running program", address->sun_path);
    if (reason == ECONNREFUSED && unlink(address->sun_path) == -1)
        return err_set(err, ERR_CONFIG, "[admin] socket %.100s is left over and cannot be removed: %m",
                       address->sun_path);
    return 0;
}

int control_new(const struct control_options *options, struct control **control_r, struct err *err)
{
    *control_r = NULL;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *path = options->conf->admin.socket;
    if (strlen(path) >= sizeof address.sun_path)
        return err_set(err, ERR_CONFIG, "[admin] socket: the path is longer than %zu bytes",
                       sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path));
    if (make_way(&address, err) == -1)
        return -1;
    struct control *control = mem_zero(sizeof *control);
    if (control == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    control->options = *options;
    (void)snprintf(control->path, sizeof control->path, "%s", path);
    mode_t before = umask(0117);
    control->listener = evconnlistener_new_bind(loop_base(options->loop), on_accept, control,
                                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16,
                                                (struct sockaddr *)&address, (int)sizeof address);
    (void)umask(before);
    if (control->listener == NULL) {
        mem_free(control);
        return err_set(err, ERR_CONFIG, "[admin] socket %.100s cannot be made: %m", path);
    }
    *control_r = control;
    return 0;
}

void control_unlink(const struct control *control)
{
    if (control != NULL)
        (void)unlink(control->path);
}

void control_stop(struct control *control)
{
    if (control == NULL)
        return;
    evconnlistener_free(control->listener);
    (void)unlink(control->path);
    for (struct client *client = control->clients, *next; client != NULL; client = next) {
        next = client->next;
        if (client->call.content_left > 0)
            client_free(client);
    }
}

void control_free(struct control *control)
{
    if (control == NULL)
        return;
    for (struct client *client = control->clients, *next; client != NULL; client = next) {
        next = client->next;
        client->working = false; /* nothing can answer it any more */
        client_free(client);
    }
    mem_free(control);
}
