/* A small printer: a line that may still be printed over, and paper that moves. The old product let `+` swallow the
 * line after it (Q254916); here a line leaves only when the paper moves, and always leaves. */
#include "codec/print.h"

#include "codec/ebcdic.h"

enum { EBCDIC_UNDERSCORE = 0x6D };
enum { MACHINE_WRITE = 0x01, MACHINE_IMMEDIATE = 0x03, MACHINE_CODE = 0x07 };

struct printer {
    struct records *to;
    struct print_facts *facts;
    struct buf line;    /* what is printed where the paper stands */
    bool written;       /* something was printed there, if only blanks */
    bool started;       /* the paper stands on a line (ASA begins above the first) */
    size_t blank_lines; /* before `line`, not yet put out */
    bool page_begins;   /* the next line put out is the first of a page */
    bool page_empty;    /* nothing was printed on this page */
};

static void put(struct printer *printer, struct span text)
{
    for (; printer->blank_lines > 0; printer->blank_lines--) {
        if (printer->page_begins)
            records_add_controlled(printer->to, PRINT_FORM_FEED, SPAN_EMPTY);
        else
            records_add(printer->to, SPAN_EMPTY);
        printer->page_begins = false;
    }
    if (printer->page_begins)
        records_add_controlled(printer->to, PRINT_FORM_FEED, text);
    else
        records_add(printer->to, text);
    printer->page_begins = false;
}

static void flush(struct printer *printer)
{
    struct span text = span_trim_end(buf_span(&printer->line), EBCDIC_BLANK);
    if (text.size > 0)
        put(printer, text);
    else
        printer->blank_lines++;
    buf_clear(&printer->line);
    printer->written = false;
}

static void space(struct printer *printer, size_t lines)
{
    if (lines == 0)
        return;
    if (printer->started)
        flush(printer);
    printer->started = true;
    printer->blank_lines += lines - 1;
}

static void next_page(struct printer *printer)
{
    if (printer->written)
        flush(printer);
    printer->started = true;
    printer->blank_lines = 0; /* the rest of the page */
    if (printer->page_empty)
        return;
    printer->page_begins = true;
    printer->page_empty = true;
}

/* True where no character of either line is lost by putting one over the other. */
static bool fits_over(struct span below, struct span above)
{
    for (size_t i = 0; i < below.size && i < above.size; i++)
        if (below.at[i] != above.at[i] && below.at[i] != EBCDIC_BLANK && above.at[i] != EBCDIC_BLANK &&
            below.at[i] != EBCDIC_UNDERSCORE && above.at[i] != EBCDIC_UNDERSCORE)
            return false;
    return true;
}

static void print_over(struct printer *printer, struct span text)
{
    struct buf *line = &printer->line;
    for (size_t i = 0; i < text.size && i < line->size; i++)
        if (line->at[i] == EBCDIC_BLANK || (line->at[i] == EBCDIC_UNDERSCORE && text.at[i] != EBCDIC_BLANK))
            line->at[i] = text.at[i];
    buf_add_span(line, span_slice(text, line->size, SIZE_MAX));
}

static void print_line(struct printer *printer, struct span text)
{
    text = span_trim_end(text, EBCDIC_BLANK);
    bool over = printer->line.size > 0 && text.size > 0;
    if (over && !fits_over(buf_span(&printer->line), text)) {
        printer->facts->kept++;
        put(printer, buf_span(&printer->line));
        buf_clear(&printer->line);
        over = false;
    }
    printer->facts->merged += over;
    if (printer->page_empty && text.size > 0) {
        printer->page_empty = false;
        printer->facts->pages++;
    }
    printer->written = true;
    printer->started = true;
    print_over(printer, text);
}

static void asa(struct printer *printer, uint8_t control, struct span text)
{
    switch (control) {
    case 0x40: /* blank */
        space(printer, 1);
        break;
    case 0xF0: /* 0 */
        space(printer, 2);
        break;
    case 0x60: /* - */
        space(printer, PRINT_SPACE_MAX);
        break;
    case 0x4E: /* + */
        break;
    case 0xF1: /* 1 */
        next_page(printer);
        break;
    default:
        /* channels 2-9, A-C stand at places on a form that we do not have */
        printer->facts->unknown += !((control >= 0xF2 && control <= 0xF9) || (control >= 0xC1 && control <= 0xC3));
        space(printer, 1);
        break;
    }
    print_line(printer, text);
}

static void machine(struct printer *printer, uint8_t control, struct span text)
{
    unsigned kind = control & MACHINE_CODE;
    unsigned amount = control >> 3;
    bool write = kind == MACHINE_WRITE;
    if ((!write && kind != MACHINE_IMMEDIATE) || (amount > PRINT_SPACE_MAX && (amount < 0x11 || amount > 0x1C))) {
        printer->facts->unknown++;
        write = true;
        amount = 1;
    }
    if (write)
        print_line(printer, text);
    if (amount == 0x11) /* skip to channel 1 */
        next_page(printer);
    else
        space(printer, amount > PRINT_SPACE_MAX ? 1 : amount);
}

void print_to_lines(const struct records *from, enum print_control control, struct records *to,
                    struct print_facts *facts_r)
{
    *facts_r = (struct print_facts){ .pages = 0 };
    struct printer printer = { .to = to, .facts = facts_r, .started = control == PRINT_MACHINE, .page_empty = true };
    struct reader walk = records_walk(from);
    struct span record;
    while (records_next(&walk, &record)) {
        uint8_t byte = record.size > 0 ? record.at[0] : 0;
        struct span text = span_slice(record, 1, SIZE_MAX);
        if (record.size == 0)
            byte = control == PRINT_ASA ? EBCDIC_BLANK : 0x09;
        if (control == PRINT_ASA)
            asa(&printer, byte, text);
        else
            machine(&printer, byte, text);
    }
    if (printer.line.size > 0)
        flush(&printer);
    to->bytes.failed |= from->bytes.failed || printer.line.failed;
    buf_free(&printer.line);
}
