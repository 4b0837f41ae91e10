/* Any lines as a note: every span lies inside its text, and our own note of it is never wider than the host's line. */
#include "codec/note.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void assert_inside(const struct note *note, struct span span)
{
    if (span.size > 0 && (span.at < note->text.at || span.at + span.size > note->text.at + note->text.size))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    /* the input is UTF-8 for the sake of readable seeds; it becomes host records first */
    struct records lines = { .count = 0 };
    struct buf line = { 0 };
    struct reader reader = reader_of(span_of(at, size));
    while (!reader_at_end(&reader)) {
        buf_clear(&line);
        utf8_to_ebcdic(&ebcdic_page_037, reader_until(&reader, '\n'), &line, NULL);
        records_add(&lines, buf_span(&line));
    }
    struct note note;
    if (note_parse(&lines, &ebcdic_page_037, &note, NULL) == 0) {
        assert_inside(&note, note.header);
        assert_inside(&note, note.body);
        assert_inside(&note, note.subject);
        if (!note.understood && note.body.size > 0 && note.header.size == 0)
            abort();
        struct note_letter letter = { .time_us = note.date.us,
                                      .from = note.from,
                                      .to = note.from,
                                      .subject = note.subject,
                                      .name = note.header,
                                      .address = note.subject,
                                      .text = note.body };
        struct records made = { .count = 0 };
        struct span record;
        note_build(&letter, &ebcdic_page_037, &made, NULL);
        struct reader walk = records_walk(&made);
        while (records_next(&walk, &record))
            if (record.size == 0 || record.size > NOTE_LINE_MAX)
                abort();
        records_free(&made);
    }
    note_release(&note);
    records_free(&lines);
    buf_free(&line);
    return 0;
}
