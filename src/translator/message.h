/* message: what the daemon, the zygote and the translators say to each other, and how descriptors go along.
 *
 * Fixed structures over Unix sockets of type SEQPACKET, one structure a packet, in the machine's own byte order: all
 * ends are the same program. The descriptors of a packet travel with it (unix(7) SCM_RIGHTS).
 */
#ifndef OVVM_TRANSLATOR_MESSAGE_H
#define OVVM_TRANSLATOR_MESSAGE_H

#include "base/err.h"
#include "base/span.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    MESSAGE_FDS_MAX = 3,
    MESSAGE_PARTS_MAX = 3,
    /* Contents of a job or an answer up to so many bytes go in the packet itself: most letters are small, and a memory
     * file costs six calls and two changes of the map. */
    MESSAGE_INLINE_MAX = 32 * 1024
};

/* What one translator may use of the machine. */
struct sandbox_limits {
    uint64_t memory;      /* bytes of address space beyond what it has when it starts */
    uint64_t file_size;   /* bytes of one memory file */
    uint64_t cpu_seconds; /* of its whole life */
};

/* Daemon to zygote: make a translator. */
struct zygote_request {
    uint64_t serial; /* names the translator in the reports about it */
    struct sandbox_limits limits;
};

enum zygote_report_kind {
    ZYGOTE_READY = 1, /* once, first */
    ZYGOTE_FORKED,    /* with two descriptors: the translator's socket and its pidfd */
    ZYGOTE_NOT_FORKED,
    ZYGOTE_EXITED
};

/* Zygote to daemon. */
struct zygote_report {
    uint32_t kind;
    int32_t value; /* FORKED: process id; NOT_FORKED: errno; EXITED: status of wait(2) */
    uint64_t serial;
};

/* Daemon to translator: one job. Where input and options have together at most MESSAGE_INLINE_MAX bytes they follow the
 * structure in this order; else each whose size is not 0 is a sealed memfd. The tables always are, and come last. */
struct child_request {
    uint64_t serial;     /* of the job; the answer bears it */
    uint64_t generation; /* of the tables that the job is to be done with */
    uint64_t input_size;
    uint64_t options_size;
    uint64_t tables_size; /* not 0 in the first job after the tables came to be: keep them */
    uint64_t output_limit;
    int32_t op;
    uint32_t reserved; /* 0 */
};

enum child_answer_kind {
    CHILD_READY = 1, /* once, first: in the sandbox, waiting for jobs */
    CHILD_UNFIT,     /* once, instead: err says why; it has ended */
    CHILD_DONE,      /* the output follows the structure, or is a sealed memfd */
    CHILD_FAILED     /* err is what the translation reports */
};

/* Translator to daemon. */
struct child_answer {
    uint64_t serial;
    uint64_t generation;
    uint64_t output_size;
    uint32_t kind;
    uint32_t err_id;          /* enum err_id; ERR_NONE in READY and DONE */
    char text[ERR_TEXT_SIZE]; /* with a NUL */
};

/* Sends one packet with `count` descriptors, which stay the caller's. -1 with errno. */
int message_send(int fd, const void *bytes, size_t size, const int *fds, size_t count);
/* The same for a packet in at most MESSAGE_PARTS_MAX parts. */
int message_send_parts(int fd, const struct span *parts, size_t part_count, const int *fds, size_t count);
/* Receives one packet of at most `room` bytes; its descriptors (close on exec) are the caller's. 0: the other side is
 * gone. -1 with errno, EBADMSG for a packet that is larger or has more descriptors; then none are left open. */
ssize_t message_receive(int fd, void *bytes_r, size_t room, int fds_r[MESSAGE_FDS_MAX], size_t *count_r);
void message_close(const int *fds, size_t count);

#endif
