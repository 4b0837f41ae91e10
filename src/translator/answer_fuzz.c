/* Anything as an answer, with any descriptor beside it: what is believed holds, and the output can be read to its end.
 *
 * Input: a byte for the state the daemon is in and the descriptor, a byte for the number of descriptors, a byte for the
 * descriptor's real size, then the packet. */
#include "translator/answer.h"
#include "translator/sealed.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OUTPUT_LIMIT = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

/* A descriptor as a translator may pass it: `how` holds seals (bits 1 to 4), or makes it no memory file at all. */
static int passed_descriptor(uint8_t how, size_t size)
{
    static const int seals[] = { F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_SEAL };
    int chosen = 0;
    if (how >= 0xE0)
        return open("/dev/zero", O_RDONLY | O_CLOEXEC);
    for (unsigned i = 0; i < 4; i++)
        if ((how & (2u << i)) != 0)
            chosen |= seals[i];
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd == -1 || ftruncate(fd, (off_t)size) == -1 || fcntl(fd, F_ADD_SEALS, chosen) == -1)
        abort();
    return fd;
}

static void check_error(const struct err *err)
{
    if (err->id == ERR_NONE || err->id >= ERR_IDS || err->id == ERR_TRANSLATOR_DIED ||
        err->id == ERR_TRANSLATOR_TIMEOUT || err->id == ERR_TRANSLATOR_MEMORY ||
        memchr(err->text, '\0', sizeof err->text) == NULL)
        abort();
    for (const char *c = err->text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            abort();
}

static void check_output(uint64_t said, int fd, uint8_t how, size_t real)
{
    struct span output;
    struct err err = ERR_CLEAR;
    if (sealed_map(fd, said, &output, &err) == -1) {
        if (err.id == ERR_NONE)
            abort();
        return;
    }
    if (how >= 0xE0 || (how & 0x1E) != 0x1E || output.size != real || real != said)
        abort();
    for (size_t i = 0; i < output.size; i++)
        if (output.at[i] != 0)
            abort();
    sealed_unmap(output);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct reader reader = reader_of(span_of(at, size));
    uint8_t how = reader_u8(&reader);
    size_t fd_count = reader_u8(&reader) % (MESSAGE_FDS_MAX + 1);
    size_t real = reader_u8(&reader);
    struct answer_wanted wanted = {
        .ready = (how & 1) != 0, .serial = 7, .generation = 3, .output_limit = OUTPUT_LIMIT
    };
    struct answer answer;
    struct err err = ERR_CLEAR;
    if (reader.failed)
        return 0;
    if (answer_read(reader.rest, fd_count, &wanted, &answer, &err) == -1) {
        if (err.id != ERR_BUG || err.text[0] == '\0')
            abort();
        return 0;
    }
    if (answer.kind == CHILD_UNFIT || answer.kind == CHILD_FAILED)
        check_error(&answer.err);
    if (answer.output_size > OUTPUT_LIMIT || (answer.output_size > answer.output.size) != (fd_count == 1) ||
        (answer.output.size > 0 && answer.output.size != answer.output_size))
        abort();
    if (answer.output_size > answer.output.size) {
        int fd = passed_descriptor(how, real);
        check_output(answer.output_size, fd, how, real);
        (void)close(fd);
    }
    return 0;
}
