/* Finds the end of a letter, and only there where every program finds it: at CRLF . CRLF. A letter with a lone LF or
 * CR is refused, because the next program may take it for a line end and see a second letter behind it (SMTP
 * smuggling); so is one with a NUL, which some programs take for the end of everything. A refused letter is read on to
 * its real end, so that no part of it is ever read as a command. */
#include "smtp/content.h"

static void refuse(struct smtp_content *content, enum err_id id, const char *text)
{
    if (content->err.id == ERR_NONE)
        (void)err_set(&content->err, id, "%s", text);
}

/* RFC 5322 §2.2: a field begins with a name of printable characters and a colon; a line that begins with a blank goes
 * on with the field before. mbox's From_ line comes before the header of some letters. */
static bool is_header_line(struct span line)
{
    if (line.at[0] == ' ' || line.at[0] == '\t')
        return true;
    if (span_starts_with(line, SPAN_LITERAL("From ")) || span_starts_with(line, SPAN_LITERAL(">From ")))
        return true;
    size_t colon = span_find(line, ':');
    struct span name = span_trim(span_slice(line, 0, colon));
    for (size_t i = 0; i < name.size; i++)
        if (name.at[i] <= 32 || name.at[i] >= 127)
            return false;
    return name.size > 0 && colon < line.size;
}

static bool is_received(struct span line)
{
    static const struct span received = { (const uint8_t *)"Received", 8 };
    if (!span_equal_nocase(span_slice(line, 0, received.size), received))
        return false;
    struct span rest = span_trim(span_slice(line, received.size, SIZE_MAX));
    return rest.size > 0 && rest.at[0] == ':';
}

/* `line` without its CRLF, at the beginning of a line. */
static void look_at_header(struct smtp_content *content, struct span line)
{
    if (line.size == 0 || !is_header_line(line))
        content->past_header = true;
    else if (is_received(line) && ++content->hops > (content->max_hops != 0 ? content->max_hops : SMTP_HOPS_MAX))
        refuse(content, ERR_LOOP, "the letter has passed too many hosts; it is in a loop");
}

/* `line` with its CRLF, its stuffed dot taken off. */
static void look_at_line(struct smtp_content *content, struct span line)
{
    struct span text = span_slice(line, 0, line.size - 2);
    content->size += line.size;
    if (content->size > content->max_size)
        refuse(content, ERR_TOO_BIG, "the letter is larger than this host takes");
    if (text.size > SMTP_CONTENT_LINE_MAX)
        refuse(content, ERR_BAD_CONTENT, "a line of the letter is longer than this host takes");
    if (span_find(text, '\r') != text.size)
        refuse(content, ERR_BAD_CONTENT, "the letter holds a CR without LF");
    if (span_find(text, '\0') != text.size)
        refuse(content, ERR_BAD_CONTENT, "the letter holds a NUL");
    if (!content->past_header && !content->mid_line)
        look_at_header(content, text);
}

/* The first line of `rest` with its LF; false where it is not all there. */
static bool whole_line(struct span rest, struct span *line_r)
{
    size_t lf = span_find(rest, '\n');
    *line_r = span_slice(rest, 0, lf + 1);
    return lf < rest.size;
}

/* Only part of a line, and already more than a line may have. A CR that may belong to its end is left. */
static void drop_long_line(struct smtp_content *content, struct reader *in)
{
    refuse(content, ERR_BAD_CONTENT, "a line of the letter is longer than this host takes");
    bool cr = in->rest.at[in->rest.size - 1] == '\r';
    reader_skip(in, in->rest.size - (cr ? 1 : 0));
    content->mid_line = true;
}

enum smtp_content_step smtp_content_next(struct smtp_content *content, struct reader *in, struct span *piece_r)
{
    struct span piece = SPAN_EMPTY; /* grows by whole lines that lie behind one another */
    struct span line;
    while (whole_line(in->rest, &line)) {
        if (line.size < 2 || line.at[line.size - 2] != '\r') {
            refuse(content, ERR_BAD_CONTENT, "the letter holds a LF without CR");
            reader_skip(in, line.size);
            content->mid_line = true;
            piece = SPAN_EMPTY;
            continue;
        }
        bool dot = !content->mid_line && line.at[0] == '.';
        if (dot && piece.size > 0)
            break; /* the dot is not part of the letter: hand over what is before it first */
        reader_skip(in, line.size);
        if (dot && line.size == 3)
            return SMTP_CONTENT_END;
        struct span text = span_slice(line, dot ? 1 : 0, SIZE_MAX);
        look_at_line(content, text);
        content->mid_line = false;
        if (content->err.id != ERR_NONE)
            piece = SPAN_EMPTY;
        else
            piece = piece.size == 0 ? text : span_of(piece.at, piece.size + text.size);
    }
    *piece_r = piece;
    if (piece.size > 0)
        return SMTP_CONTENT_PIECE;
    if (in->rest.size > SMTP_CONTENT_LINE_MAX + 1)
        drop_long_line(content, in);
    return SMTP_CONTENT_MORE;
}
