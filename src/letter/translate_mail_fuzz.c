/* Any bytes as mail, to each kind of host: translation ends, its facts can be read, cards have at most 80 columns, and
 * what goes as NETDATA can be decoded. */
#include "codec/netdata.h"
#include "letter/facts.h"
#include "letter/hostfile.h"
#include "letter/options.h"
#include "letter/resolution.h"
#include "letter/translate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static struct name8 name(const char *text)
{
    struct name8 made;
    if (name8_parse(span_text(text), "name", &made, NULL) != 0)
        abort();
    return made;
}

static void check_file(const struct hostfile *file)
{
    struct buf stream = { 0 };
    struct netdata_stream decoded;
    struct reader walk = records_walk(&file->records);
    struct span card;
    while (records_next(&walk, &card))
        if (card.size > CARD_COLUMNS)
            abort();
    records_join(&file->records, &stream);
    if (netdata_detect(buf_span(&stream)) && file->klass != 'M') {
        struct err err = ERR_CLEAR;
        if (netdata_decode(buf_span(&stream), &decoded, &err) != 0)
            abort();
        netdata_release(&decoded);
    }
    buf_free(&stream);
}

static void check_facts(struct span mail)
{
    struct buf packed = { 0 };
    struct facts facts;
    if (translate_mail_facts(mail, &packed, NULL) != 0 || facts_parse(buf_span(&packed), &facts, NULL) != 0 ||
        facts.letter_count != 1)
        abort();
    facts_release(&facts);
    buf_free(&packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct err err = ERR_CLEAR;
    if (size == 0 || translate_init(&err) != 0)
        return 0;
    struct span mail = span_of(at + 1, size - 1);
    struct options options = { .kind = (enum letter_host_kind)(HOST_CMS + at[0] % HOST_MAILER),
                               .page = "500",
                               .to_pc = SPAN_EMPTY,
                               .from_pc = SPAN_EMPTY,
                               .max_lrecl = (at[0] & 0x40) != 0 ? 80 : 0,
                               .margin = (at[0] & 0x20) != 0 ? 40 : 0,
                               .attachments = (at[0] & 0x80) == 0,
                               .map_count = options_cms_map_count,
                               .map = options_cms_map };
    struct host_resolution resolution = { .from_node = name("MICROSFT"),
                                          .from_user = name("X0000017"),
                                          .to_node = name("MAPLEC1"),
                                          .to_user = name("GEORGEB"),
                                          .from = SPAN_EMPTY,
                                          .from_name = SPAN_EMPTY,
                                          .entry_us = INT64_C(1795528991000000) };
    struct buf packed_options = { 0 };
    struct buf packed = { 0 };
    struct buf files = { 0 };
    struct hostfile file;
    options_pack(&packed_options, &options);
    host_resolution_pack(&packed, &resolution);
    check_facts(mail);
    if (translate_mail_to_host(mail, buf_span(&packed_options), buf_span(&packed), &files, &err) != 0)
        abort();
    struct reader list = reader_of(buf_span(&files));
    size_t count = 0;
    int step;
    while ((step = hostfile_next(&list, &file, NULL)) == 1) {
        count++;
        if (options.kind != HOST_MAILER)
            check_file(&file);
        hostfile_release(&file);
    }
    if (step != 0 || count == 0)
        abort();
    buf_free(&packed_options);
    buf_free(&packed);
    buf_free(&files);
    return 0;
}
