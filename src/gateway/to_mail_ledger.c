/* What the ledger says about a letter from a host: whose the addresses are, which letter it answers, and how much its
 * writer may still send.
 *
 * A person who is not there is a reason for a report, a ledger that cannot be read is not: the letter waits. Threading
 * is never worth a letter.
 */
#include "gateway/to_mail_private.h"

#include "address/registry.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/hostuse.h"

#include <stdio.h>

static int resolve_one(struct db *db, const struct gateway *gateway, struct target *target, struct err *err)
{
    struct registry_owner owner;
    if (registry_resolve_in(db, target->host, &owner, err) == -1) {
        if (err_family(err->id) != ERR_FAMILY_PERMANENT)
            return -1;
        target->why = *err;
        *err = ERR_CLEAR;
        return 0;
    }
    target->is_postmaster = owner.postmaster;
    if (owner.postmaster) {
        (void)snprintf(target->address, sizeof target->address, "%s", gateway->conf->connector.postmaster);
        return 0;
    }
    struct buf address = { .at = NULL };
    struct mailkey key;
    target->person = owner.person.key;
    (void)snprintf(key.text, sizeof key.text, "%s", owner.person.address);
    mailkey_write(&key, &address);
    span_to_text(buf_span(&address), target->address, sizeof target->address);
    bool failed = address.failed;
    buf_free(&address);
    (void)snprintf(target->name, sizeof target->name, "%s", owner.person.name);
    return failed ? to_mail_no_memory(err) : 0;
}

/* Answers go where the sender wanted them, if that is an address. */
static int answer_to(struct target *target, struct span reply_to, struct err *err)
{
    struct mailkey key;
    struct buf address = { .at = NULL };
    if (reply_to.size == 0 || target->address[0] == '\0' || mailkey_of(reply_to, &key, NULL) == -1)
        return 0;
    mailkey_write(&key, &address);
    if (!address.failed)
        span_to_text(buf_span(&address), target->address, sizeof target->address);
    bool failed = address.failed;
    buf_free(&address);
    return failed ? to_mail_no_memory(err) : 0;
}

/* Only an answer is looked up: one that says so, or whose subject does. Not one to the postmaster's address: senders
 * without an address of their own share it, and a subject like another's would send the answer to a stranger. */
static int find_answered(struct db *db, struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    const struct letter_head *head = to_mail_head(state);
    struct buf stamp = { .at = NULL };
    struct buf subject = { .at = NULL };
    state->answers = false;
    correlation_subject(head->subject, &subject);
    if (head->is_reply)
        correlation_stamp(head->stamp_us, &stamp);
    bool says_so = head->is_reply || (head->subject.size > 0 && subject.size < span_trim(head->subject).size);
    int found = 0;
    if (says_so && state->target_count == 1 && state->targets[0].is_host && !state->targets[0].is_postmaster) {
        struct host_address_text host = host_address_text(
            (struct host_address){ .node = state->current.from_node, .user = state->current.from_user });
        struct host_address_text proxy = host_address_text(state->targets[0].host);
        found = correlation_find(db, host.text, proxy.text, buf_span(&stamp), buf_span(&subject), &state->correlation,
                                 &state->correlation_texts, err);
    }
    bool failed = stamp.failed || subject.failed;
    buf_free(&stamp);
    buf_free(&subject);
    if (found == -1 && err_family(err->id) != ERR_FAMILY_TEMPORARY) { /* CT-09: it costs threading, never a letter */
        log_error(LOG_GATEWAY, 40720, "letter %s is not threaded: %s", translation->fetch.item.id.text, err->text);
        *err = ERR_CLEAR;
        found = 0;
    }
    state->answers = found == 1;
    if (found == 1 && answer_to(&state->targets[0], state->correlation.reply_to, err) == -1)
        return -1;
    return found == -1 ? -1 : failed ? to_mail_no_memory(err) : 0;
}

/* Letters that this file makes and that are counted. */
static size_t count_letters(const struct translation *translation)
{
    size_t count = 0;
    for (size_t i = 0; i < translation->output_count; i++)
        count += translation->outputs[i].item.queue == QUEUE_MAIL_OUT;
    return count;
}

/* IB-08: who may not write to the Internet, or wrote enough today, is told so for each recipient. */
static int check_right(struct db *db, struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    const struct access_right *right = &state->right;
    struct hostuse use = { .letters = 0 };
    int64_t day = translation->fetch.item.arrived_us / CLOCK_DAY;
    if (right->allow && right->letters > 0 &&
        hostuse_load(db, day, host_address_text(to_mail_sender(state)).text, &use, err) == -1)
        return -1;
    size_t sent = (size_t)use.letters + count_letters(translation);
    for (size_t i = 0; i < state->target_count; i++) {
        struct target *target = &state->targets[i];
        if (target->address[0] == '\0' || target->is_postmaster)
            continue;
        if (!right->allow)
            (void)err_set(&target->why, ERR_NOT_ALLOWED,
                          "%s may not send mail to the Internet%s; ask the operator of %s",
                          host_address_text(to_mail_sender(state)).text,
                          right->line > 0 ? " (Access.tbl says so)" : " (Access.tbl does not list it)",
                          translation->gateway->border.node.text);
        else if (right->letters > 0 && sent >= right->letters)
            (void)err_set(&target->why, ERR_NOT_ALLOWED, "%s has sent %u letters today, which is all that it may",
                          host_address_text(to_mail_sender(state)).text, right->letters);
        else
            sent++;
        if (target->why.id != ERR_NONE)
            target->address[0] = '\0';
    }
    return 0;
}

int to_mail_look_up(struct db *db, void *arg, struct err *err)
{
    struct translation *translation = arg;
    struct to_mail *state = translation->state;
    for (size_t i = 0; i < state->target_count; i++)
        if (state->targets[i].is_host && resolve_one(db, translation->gateway, &state->targets[i], err) == -1)
            return -1;
    if (check_right(db, translation, err) == -1)
        return -1;
    return find_answered(db, translation, err);
}

bool to_mail_unknown_yet(const struct translation *translation, struct err *err)
{
    const struct to_mail *state = translation->state;
    struct people_directory_status directory = people_directory_status(translation->gateway->directory);
    bool unknown = false;
    for (size_t i = 0; i < state->target_count; i++)
        unknown |= state->targets[i].is_host && state->targets[i].why.id == ERR_UNKNOWN_USER &&
                   !name8_empty(state->targets[i].host.user);
    if (!unknown || !directory.configured || directory.loaded_us != 0)
        return false;
    (void)err_set(err, ERR_BUSY, "the recipient is not known, and the directory was never loaded");
    return true;
}

int to_mail_note_use(struct db *db, struct translation *translation, struct err *err)
{
    const struct to_mail *state = translation->state;
    struct hostuse more = { .letters = (int64_t)count_letters(translation) };
    int64_t now_us = translation->fetch.item.arrived_us;
    for (size_t i = 0; i < state->touched_count; i++)
        if (registry_touch(db, state->touched[i], now_us, err) == -1)
            return -1;
    return more.letters > 0 && state->right.letters > 0
               ? hostuse_add(db, now_us / CLOCK_DAY, host_address_text(to_mail_sender(state)).text, &more, err)
               : 0;
}
