/* The loop of a translator. It believes the daemon and checks its packets only so that a mistake there ends here, with
 * a clear status, and not in the letter. Whatever goes wrong with the machine (no memory for an answer, a socket that
 * does not take it) ends the process: the zygote makes a new one, and the daemon knows what to do with the letter. */
#include "translator/child.h"

#include "translator/sandbox.h"
#include "translator/sealed.h"

#include <stdio.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

enum { OUTPUT_KEPT = 1 << 20 /* bytes of memory that stay for the next job */ };

struct service {
    const struct translator_child *child;
    int fd;
    bool begun; /* the first job, with which the tables come, was there */
    uint64_t generation;
    struct buf output;
    uint8_t packet[sizeof(struct child_request) + MESSAGE_INLINE_MAX];
};

/* One job as it came. */
struct work {
    struct child_request request;
    struct span contents; /* input and options where they came in the packet */
    int fds[MESSAGE_FDS_MAX];
    size_t fd_count;
};

/* `output` in the packet, or in the memory file `file` (-1: none). */
static void say(int fd, struct child_answer *answer, const struct err *err, struct span output, int file)
{
    struct span parts[] = { span_of(answer, sizeof *answer), output };
    if (err != NULL) {
        answer->err_id = (uint32_t)(err->id != ERR_NONE ? err->id : ERR_BUG);
        (void)snprintf(answer->text, sizeof answer->text, "%s", err->text);
    }
    if (message_send_parts(fd, parts, 2, &file, file != -1 ? 1 : 0) == -1)
        _exit(EX_IOERR);
}

static int take_tables(struct service *service, const struct child_request *request, int fd, struct err *err)
{
    struct span tables;
    if (sealed_map(fd, request->tables_size, &tables, err) == -1)
        return -1;
    return service->child->tables != NULL ? service->child->tables(tables, err) : 0;
}

static int do_job(struct service *service, const struct work *work, struct err *err)
{
    const struct child_request *request = &work->request;
    bool in_files = work->contents.size == 0;
    struct span input = span_slice(work->contents, 0, (size_t)request->input_size);
    struct span options = span_slice(work->contents, (size_t)request->input_size, SIZE_MAX);
    struct buf *output = &service->output;
    size_t at = 0;
    int result = 0;
    if (in_files && request->input_size > 0)
        result = sealed_map(work->fds[at++], request->input_size, &input, err);
    if (result == 0 && in_files && request->options_size > 0)
        result = sealed_map(work->fds[at++], request->options_size, &options, err);
    if (result == 0 && request->tables_size > 0)
        result = take_tables(service, request, work->fds[at], err);
    if (result == 0)
        result = service->child->run(request->op, input, options, output, err);
    if (in_files) {
        sealed_unmap(options);
        sealed_unmap(input);
    }
    if (result == 0 && output->failed)
        result = err_set(err, ERR_NO_MEMORY, "its output is not whole");
    if (result == 0 && output->size > request->output_limit)
        result = err_set(err, ERR_TOO_BIG, "the translation is larger than %llu bytes",
                         (unsigned long long)request->output_limit);
    return result;
}

static void serve_one(struct service *service, const struct work *work)
{
    const struct child_request *request = &work->request;
    struct err err = ERR_CLEAR;
    struct span output = SPAN_EMPTY;
    int file = -1;
    int result = do_job(service, work, &err);
    if (result == 0 && service->output.size > MESSAGE_INLINE_MAX)
        result = file = sealed_make(buf_span(&service->output), &err);
    else if (result == 0)
        output = buf_span(&service->output);
    struct child_answer answer = { .kind = result == -1 ? CHILD_FAILED : CHILD_DONE,
                                   .serial = request->serial,
                                   .generation = request->generation,
                                   .output_size = result == -1 ? 0 : service->output.size };
    say(service->fd, &answer, result == -1 ? &err : NULL, output, file);
    if (file != -1)
        (void)close(file);
    buf_clear(&service->output);
    if (service->output.room > OUTPUT_KEPT)
        buf_free(&service->output);
}

static bool is_sound(const struct service *service, struct span packet, struct work *work)
{
    struct child_request *request = &work->request;
    if (packet.size < sizeof *request)
        return false;
    memcpy(request, packet.at, sizeof *request);
    work->contents = span_slice(packet, sizeof *request, SIZE_MAX);
    bool in_packet = work->contents.size > 0;
    size_t files = (size_t)(!in_packet && request->input_size > 0) + (!in_packet && request->options_size > 0) +
                   (request->tables_size > 0);
    return request->reserved == 0 && work->fd_count == files &&
           (!in_packet || (request->input_size <= work->contents.size &&
                           request->options_size == work->contents.size - request->input_size)) &&
           (!service->begun || (request->tables_size == 0 && request->generation == service->generation));
}

_Noreturn void child_main(const struct translator_child *child, int fd, const struct sandbox_limits *limits)
{
    struct service service = { .child = child, .fd = fd };
    struct err err = ERR_CLEAR;
    struct child_answer hello = { .kind = CHILD_READY };
    (void)prctl(PR_SET_NAME, "ovvm-translate");
    if ((child->init != NULL && child->init(&err) == -1) || sandbox_enter(limits, &err) == -1) {
        hello.kind = CHILD_UNFIT;
        say(fd, &hello, &err, SPAN_EMPTY, -1);
        _exit(EX_UNAVAILABLE);
    }
    say(fd, &hello, NULL, SPAN_EMPTY, -1);
    for (;;) {
        struct work work;
        ssize_t size = message_receive(fd, service.packet, sizeof service.packet, work.fds, &work.fd_count);
        if (size == 0)
            _exit(EX_OK);
        if (size == -1 || !is_sound(&service, span_of(service.packet, (size_t)size), &work))
            _exit(EX_PROTOCOL);
        service.begun = true;
        service.generation = work.request.generation;
        serve_one(&service, &work);
        message_close(work.fds, work.fd_count);
    }
}
