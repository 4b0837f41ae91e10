/* Any bytes as a NETDATA stream: it ends, and what was found can be walked and acknowledged. */
#include "codec/iebcopy.h"
#include "codec/netdata_send.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void unload(const struct records *records)
{
    struct iebcopy iebcopy;
    struct iebcopy_member member;
    if (iebcopy_open(&iebcopy, records, NULL) == 0) {
        while (iebcopy_next(&iebcopy, &member, NULL) == 1) {
        }
    }
    iebcopy_close(&iebcopy);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct netdata_stream stream;
    struct err err = ERR_CLEAR;
    struct span input = span_of(at, size);
    bool detected = netdata_detect(input);
    int result = netdata_decode(input, &stream, &err);
    if (result == 0 && !detected)
        abort();
    for (size_t i = 0; i < stream.file_count; i++) {
        struct reader walk = records_walk(&stream.files[i].records);
        struct span record;
        size_t count = 0;
        while (records_next(&walk, &record))
            count++;
        if (count != stream.files[i].records.count)
            abort();
        unload(&stream.files[i].records);
    }
    struct buf ack = { 0 };
    if (netdata_encode_ack(&stream, stream.time_us, "DELETED", &ack, &err) == 0) {
        struct netdata_stream again;
        if (netdata_decode(buf_span(&ack), &again, &err) != 0 || !again.is_ack)
            abort();
        netdata_release(&again);
    }
    buf_free(&ack);
    netdata_release(&stream);
    return 0;
}
