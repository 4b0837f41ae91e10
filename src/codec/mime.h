/* mime: Internet mail taken apart (RFC 5322, 2045-2047, 2231, 2183).
 *
 * An entity is a header and a body; both are spans of what came in, and stay so: received parts are never changed or
 * written anew, which is what makes GMime 3.2 loop on a crafted parameter name. GMime decodes field values, addresses,
 * parameters and transfer encodings; the structure is walked here. What is given out is UTF-8.
 *
 * mime_init comes first, once in a process. GLib ends the process where memory ends: use this where that is harmless,
 * in a child.
 */
#ifndef OVVM_CODEC_MIME_H
#define OVVM_CODEC_MIME_H

#include "base/buf.h"
#include "base/err.h"

enum {
    MIME_DEPTH_MAX = 10,        /* multiparts in multiparts; deeper ones are one part of bytes */
    MIME_FIELD_MAX = 64 * 1024, /* bytes of a field that are looked at */
    MIME_WORD_SIZE = 80,        /* of a media type, charset, parameter word */
    MIME_BOUNDARY_SIZE = 256,   /* RFC 2046 §5.1.1 says 70 */
    MIME_NAME_SIZE = 512,       /* a file name, UTF-8 */
    MIME_CHARSETS = 64          /* handles kept open */
};

/* Initialises GMime and opens the iconv handles that mime_text needs. ERR_CONFIG where the system has none. */
int mime_init(struct err *err);

/* Header and body of an entity; the header without the empty line that ends it. An entity that begins with an empty
 * line has no header; one without an empty line has no body. */
void mime_split(struct span entity, struct span *header_r, struct span *body_r);
/* The next field; false at the end. The value is raw: folded, encoded. Lines that are no field are skipped. */
bool mime_field_next(struct reader *header, struct span *name_r, struct span *value_r);
/* The first field of this name (any case). */
bool mime_find(struct span header, const char *name, struct span *value_r);

/* Appends a field value as one line of UTF-8: unfolded, encoded words decoded, control characters to blanks. */
void mime_value(struct span value, struct buf *to);
/* The same without decoding, for ids and words of the protocol. */
void mime_unfold(struct span value, struct buf *to);
/* Each mailbox of an address list; groups are opened. `name` is decoded, may be empty; `address` as it was written,
 * without < >. Both live during the call only. */
typedef void mime_mailbox(void *arg, struct span name, struct span address);
void mime_addresses(struct span value, mime_mailbox *each, void *arg);
/* Is this display name fit to be shown on a host? Not blank, no control character, no `%`, no double quote (AD-12).
 * *name loses blanks, and single quotes around all of it. */
bool mime_name_fit(struct span *name);
/* Each `<…>` of a References or In-Reply-To value; false at the end. */
bool mime_id_next(struct reader *value, struct span *id_r);

/* What an entity is, from its header; RFC 2045 §5.2 where it does not say. */
struct mime_entity {
    struct span header, body;
    char type[MIME_WORD_SIZE];    /* "text", lower case */
    char subtype[MIME_WORD_SIZE]; /* "plain" */
    char charset[MIME_WORD_SIZE]; /* may be empty */
    char boundary[MIME_BOUNDARY_SIZE];
    char report_type[MIME_WORD_SIZE];
    char encoding[MIME_WORD_SIZE];
    char name[MIME_NAME_SIZE]; /* filename, else name: decoded; may be empty */
    bool flowed;               /* text/plain; format=flowed (RFC 3676) */
    bool delete_space;         /* delsp=yes */
    bool attachment;           /* Content-Disposition: attachment */
    bool has_content_id;
    char changed[MIME_WORD_SIZE]; /* modification-date of the disposition, as it came */
};
/* `digest`: its parts are message/rfc822 where they do not say. */
void mime_open(struct span entity, bool digest, struct mime_entity *entity_r);
bool mime_is(const struct mime_entity *entity, const char *type, const char *subtype); /* NULL: any */

/* The parts of a multipart. */
struct mime_parts {
    struct reader lines;
    const char *boundary;
    bool inside; /* behind the first boundary */
};
struct mime_parts mime_parts_of(const struct mime_entity *entity);
/* The next part, without the line end that belongs to the boundary; false at the end. A multipart that is cut off
 * ends with its last line. */
bool mime_part_next(struct mime_parts *parts, struct span *entity_r);

/* Appends the body with its transfer encoding taken off. Damaged encodings give what can be read. */
void mime_content(const struct mime_entity *entity, struct buf *to);
/* Appends `bytes` as UTF-8, lines ended by LF, without NULs. An unknown or wrong charset never fails: what it has not
 * becomes U+FFFD; *bad_r counts them. */
void mime_text(const char *charset, struct span bytes, struct buf *to, size_t *bad_r);
/* Appends flowed text (RFC 3676) as paragraphs on one line each. */
void mime_unflow(struct span text, bool delete_space, struct buf *to);

#endif
