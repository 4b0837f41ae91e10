/* A sink for tests: what a ledger would keep, kept in memory, with the failures a ledger has on demand. */
#include "smtp/memory_sink.h"

#include "smtp/address.h"

#include <stdio.h>

#define LETTER_ID "01JZZZZZZZZZZZZZZZZZZZZZZZ"

static int fail(enum err_id id, struct err *err)
{
    return id == ERR_NONE ? 0 : err_set(err, id, "as the test wanted");
}

static int sink_mail(void *owner, const char *sender, struct err *err)
{
    (void)sender;
    const struct memory_sink *sink = owner;
    return fail(sink->mail_fails, err);
}

static int sink_recipient(void *owner, const char *sender, const char *recipient, struct err *err)
{
    (void)sender;
    const struct memory_sink *sink = owner;
    struct smtp_address address;
    if (sink->only_for != NULL &&
        (!smtp_address_split(span_text(recipient), &address) || strcmp(address.domain, sink->only_for) != 0))
        return err_set(err, ERR_RELAY_DENIED, "not ours: %s", recipient);
    return fail(sink->recipient_fails, err);
}

static struct smtp_letter *sink_begin(void *owner, struct smtp_session *session, const struct smtp_envelope *envelope,
                                      char id_r[SMTP_ID_SIZE], struct err *err)
{
    struct memory_sink *sink = owner;
    if (fail(sink->begin_fails, err) == -1)
        return NULL;
    struct memory_letter *letter = &sink->letters[sink->count++ % MEMORY_SINK_LETTERS];
    buf_clear(&letter->envelope);
    buf_clear(&letter->content);
    letter->session = session;
    letter->abandoned = false;
    letter->committed = false;
    buf_printf(&letter->envelope, "%s %s %s\n%s\n", envelope->client, envelope->helo, envelope->protocol,
               envelope->sender);
    for (size_t i = 0; i < envelope->recipient_count; i++)
        buf_printf(&letter->envelope, "%s\n", envelope->recipients[i]);
    buf_printf(&letter->envelope, "%d %llu", envelope->body_8bit, (unsigned long long)envelope->size);
    (void)snprintf(id_r, SMTP_ID_SIZE, "%s", LETTER_ID);
    return (struct smtp_letter *)letter;
}

static bool sink_put(void *owner, struct smtp_letter *handle, struct span piece)
{
    const struct memory_sink *sink = owner;
    struct memory_letter *letter = (struct memory_letter *)handle;
    size_t before = letter->content.size;
    if (!sink->keeps_nothing)
        buf_add_span(&letter->content, piece);
    if (sink->room == 0 || before / sink->room == letter->content.size / sink->room)
        return true;
    if (sink->room_at_once)
        smtp_session_room(letter->session);
    return false;
}

void memory_sink_commit(struct memory_letter *letter, const struct err *err)
{
    letter->committed = err == NULL;
    smtp_session_committed(letter->session, LETTER_ID, err);
}

static void sink_commit(void *owner, struct smtp_letter *handle)
{
    struct memory_sink *sink = owner;
    struct memory_letter *letter = (struct memory_letter *)handle;
    struct err err = ERR_CLEAR;
    sink->committed++;
    if (sink->commit_waits)
        return;
    bool failed = fail(letter->content.failed ? ERR_NO_MEMORY : sink->commit_fails, &err) == -1;
    memory_sink_commit(letter, failed ? &err : NULL);
}

static void sink_abandon(void *owner, struct smtp_letter *handle)
{
    struct memory_sink *sink = owner;
    struct memory_letter *letter = (struct memory_letter *)handle;
    letter->abandoned = true;
    sink->abandoned++;
}

void memory_sink_init(struct memory_sink *sink)
{
    *sink = (struct memory_sink){ .calls = {
                                      .owner = sink,
                                      .mail = sink_mail,
                                      .recipient = sink_recipient,
                                      .begin = sink_begin,
                                      .put = sink_put,
                                      .commit = sink_commit,
                                      .abandon = sink_abandon,
                                  } };
}

void memory_sink_clear(struct memory_sink *sink)
{
    for (size_t i = 0; i < MEMORY_SINK_LETTERS; i++) {
        buf_free(&sink->letters[i].envelope);
        buf_free(&sink->letters[i].content);
    }
}
