/* What each kind of neighbour can bear. A wrong line here holds up a neighbour's transmitter or makes it drop our files
 * in silence, so each value is the cautious one; RSCS BUFF is 300-32765 (default 1024), NJE38 300-4020 (default 1012),
 * UnixNJE keeps the size in a signed short and at most 10240. No kind is sent two data set headers in one file: VM/370
 * and NJE38 reject the file without an answer. */
#include "base/clock.h"
#include "nje/link.h"

const struct nje_preset nje_presets[NJE_KINDS] = {
    [NJE_RSCS] = { .name = "rscs",
                   .buffer = 1024,
                   .buffer_max = 32765,
                   .streams_max = 7,
                   .multi_dsh = false,
                   .len_counts_cc = true,
                   .ack_timeout_us = 10 * CLOCK_MINUTE },
    /* SYSOUT stream 1 only */
    [NJE_VM370] = { .name = "vm370",
                    .buffer = 1012,
                    .buffer_max = 4020,
                    .streams_max = 1,
                    .multi_dsh = false,
                    .len_counts_cc = true,
                    .ack_timeout_us = 10 * CLOCK_MINUTE },
    [NJE_NJE38] = { .name = "nje38",
                    .buffer = 1012,
                    .buffer_max = 4020,
                    .streams_max = 1,
                    .multi_dsh = false,
                    .len_counts_cc = true,
                    .ack_timeout_us = 10 * CLOCK_MINUTE },
    [NJE_JES2] = { .name = "jes2",
                   .buffer = 1024,
                   .buffer_max = 4096,
                   .streams_max = 7,
                   .multi_dsh = false,
                   .len_counts_cc = true,
                   .ack_timeout_us = 10 * CLOCK_MINUTE },
    [NJE_UNIXNJE] = { .name = "unixnje",
                      .buffer = 1024,
                      .buffer_max = 8192,
                      .streams_max = 7,
                      .multi_dsh = false,
                      .len_counts_cc = false,
                      .ack_timeout_us = 10 * CLOCK_MINUTE },
};
