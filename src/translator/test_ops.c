/* Each way in which a translator may fail its daemon, as an operation of its own. */
#include "translator/test_ops.h"

#include "translator/sealed.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SOCKET = 3, PIECE = 16 << 20, HUGE_OUTPUT = 8 << 20 };

static struct span kept_tables;
static void *volatile nowhere; /* what a compiler cannot see through */

static int init(struct err *err)
{
    iconv_t first = iconv_open("UTF-8", "UTF-16"); /* loads the list of charsets */
    if (first != (iconv_t)-1)
        (void)iconv_close(first);
    return getenv(TEST_OPS_UNFIT) == NULL ? 0 : err_set(err, ERR_CONFIG, "this system has no code pages");
}

static int tables(struct span bytes, struct err *err)
{
    (void)err;
    kept_tables = bytes;
    return 0;
}

static _Noreturn void hang(void)
{
    for (;;)
        nowhere = NULL;
}

/* The sanitizers' profile answers some calls with EACCES where the real one ends the process. */
static int forbidden(long result, const char *what, struct err *err)
{
    return result == -1 ? err_set(err, ERR_NOT_ALLOWED, "%s: %m", what) : 0;
}

static int eat(struct err *err)
{
    for (;;) {
        uint8_t *piece = malloc(PIECE);
        if (piece == NULL)
            return err_set(err, ERR_NO_MEMORY, "all eaten");
        memset(piece, 1, PIECE);
        nowhere = piece;
    }
}

static _Noreturn void lie(enum test_op op)
{
    static struct child_answer answer[2] = { { .kind = CHILD_DONE, .serial = 2, .output_size = 4 } };
    size_t size = sizeof answer[0], count = 1;
    int fds[MESSAGE_FDS_MAX] = { sealed_make(SPAN_LITERAL("lies"), NULL) };
    if (op == TEST_LIE_SERIAL)
        answer[0].serial = 3;
    if (op == TEST_LIE_SIZE)
        answer[0].output_size = 1 << 16;
    if (op == TEST_LIE_LIMIT)
        answer[0].output_size = UINT64_MAX;
    if (op == TEST_LIE_UNSEALED || op == TEST_LIE_HALF_SEALED) {
        fds[0] = memfd_create("lie", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        (void)!write(fds[0], "lies", 4);
    }
    if (op == TEST_LIE_HALF_SEALED)
        (void)fcntl(fds[0], F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW);
    if (op == TEST_LIE_SOCKET)
        fds[0] = SOCKET;
    if (op == TEST_LIE_NO_OUTPUT)
        count = 0;
    if (op == TEST_LIE_MANY) {
        fds[1] = fds[2] = fds[0];
        count = 3;
    }
    if (op == TEST_LIE_KIND)
        answer[0].kind = CHILD_READY;
    if (op == TEST_LIE_BLAME) {
        answer[0] = (struct child_answer){ .kind = CHILD_FAILED, .serial = 2, .err_id = ERR_TRANSLATOR_DIED };
        count = 0;
    }
    if (op == TEST_LIE_SHORT)
        size /= 2;
    if (op == TEST_LIE_LONG)
        size *= 2;
    (void)message_send(SOCKET, answer, size, fds, count);
    if (op == TEST_LIE_TWICE)
        (void)message_send(SOCKET, answer, size, fds, count);
    hang();
}

static int trespass(enum test_op op, struct err *err)
{
    char *nothing[] = { NULL };
    switch (op) {
    case TEST_CREATE:
        return forbidden(open("/tmp/ovvm-trespass", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), "creat", err);
    case TEST_SOCKET:
        return forbidden(socket(AF_INET, SOCK_STREAM, 0), "socket", err);
    case TEST_EXEC:
        return forbidden(execve("/bin/true", nothing, nothing), "execve", err);
    case TEST_FORK:
        return forbidden(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL), "fork", err);
    case TEST_SIGNAL:
        return forbidden(syscall(SYS_kill, 1, 0), "kill", err);
    case TEST_CODE:
        nowhere = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return forbidden(nowhere == MAP_FAILED ? -1 : 0, "mmap", err);
    default:
        return forbidden(syscall(SYS_ptrace, 0, 0, NULL, NULL), "ptrace", err);
    }
}

static int run(int number, struct span input, struct span options, struct buf *output, struct err *err)
{
    enum test_op op = (enum test_op)number;
    int pid = getpid();
    switch (op) {
    case TEST_ECHO:
        buf_add_span(output, input);
        return 0;
    case TEST_OPTIONS:
        buf_add_span(output, options);
        return 0;
    case TEST_TABLES:
        buf_add_span(output, kept_tables);
        return 0;
    case TEST_PID:
        buf_add(output, &pid, sizeof pid);
        return 0;
    case TEST_REFUSE:
        return err_set(err, ERR_BAD_CONTENT, "line 3:\n\x1b[2Jno date");
    case TEST_LATCH:
        output->failed = true;
        return 0;
    case TEST_CRASH:
        memset(nowhere, 1, 1);
        return 0;
    case TEST_ABORT:
        abort();
    case TEST_EXIT:
        _exit(7);
    case TEST_HANG:
        hang();
    case TEST_MUTE:
        (void)close(SOCKET);
        hang();
    case TEST_EAT:
        return eat(err);
    case TEST_HUGE:
        buf_add_fill(output, 'x', HUGE_OUTPUT);
        return 0;
    case TEST_OPEN:
        return forbidden(open("/etc/passwd", O_RDONLY | O_CLOEXEC), "open", err);
    case TEST_CHARSET:
        return forbidden(iconv_open("UTF-8", "EUC-TW") == (iconv_t)-1 ? -1 : 0, "iconv_open", err);
    case TEST_CREATE:
    case TEST_SOCKET:
    case TEST_EXEC:
    case TEST_FORK:
    case TEST_SIGNAL:
    case TEST_CODE:
    case TEST_TRACE:
        return trespass(op, err);
    default:
        lie(op);
    }
}

const struct translator_child test_ops = { .init = init, .tables = tables, .run = run };
