/* Packets with descriptors. What can go wrong: a packet or its descriptors do not fit; the kernel then cuts them, which
 * is no answer at all, and whatever descriptors did arrive must not stay open. */
#include "translator/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr header; /* for its alignment */
    char bytes[CMSG_SPACE(sizeof(int) * MESSAGE_FDS_MAX)];
};

int message_send(int fd, const void *bytes, size_t size, const int *fds, size_t count)
{
    struct span whole = span_of(bytes, size);
    return message_send_parts(fd, &whole, 1, fds, count);
}

int message_send_parts(int fd, const struct span *parts, size_t part_count, const int *fds, size_t count)
{
    union control control;
    struct iovec pieces[MESSAGE_PARTS_MAX];
    struct msghdr message = { .msg_iov = pieces, .msg_iovlen = part_count };
    size_t size = 0;
    if (count > MESSAGE_FDS_MAX || part_count > MESSAGE_PARTS_MAX) {
        errno = EINVAL;
        return -1;
    }
    for (size_t i = 0; i < part_count; i++) {
        pieces[i] = (struct iovec){ .iov_base = (void *)(uintptr_t)parts[i].at, .iov_len = parts[i].size };
        size += parts[i].size;
    }
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * count);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent == -1 && errno == EINTR);
    return sent == (ssize_t)size ? 0 : -1;
}

ssize_t message_receive(int fd, void *bytes_r, size_t room, int fds_r[MESSAGE_FDS_MAX], size_t *count_r)
{
    union control control;
    struct iovec part = { .iov_base = bytes_r, .iov_len = room };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t got;
    *count_r = 0;
    do
        got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (got == -1 && errno == EINTR);
    if (got == -1)
        return -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && *count_r < MESSAGE_FDS_MAX; i++)
            memcpy(&fds_r[(*count_r)++], CMSG_DATA(header) + i * sizeof(int), sizeof(int));
    }
    if (got > 0 && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
        return got;
    message_close(fds_r, *count_r);
    *count_r = 0;
    errno = EBADMSG;
    return got == 0 ? 0 : -1;
}

void message_close(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]);
}
