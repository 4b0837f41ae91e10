/* Whom a letter from a host is for: the destination of its file, the recipients of a mailer's envelope, or the
 * addresses in the text of a note to in-body-id.
 *
 * Each becomes a target, with an address or with the reason for which its writer gets a report, so that one wrong
 * recipient costs the others nothing.
 */
#include "gateway/to_mail_private.h"

#include "base/mem.h"

#include <stdio.h>

static void target_host(const struct translation *translation, struct target *target, struct host_address host)
{
    const struct border *border = &translation->gateway->border;
    struct name8 link = { .text = "" };
    *target = (struct target){ .host = host, .service = border_service(border, host) };
    (void)name8_parse(span_text(translation->fetch.item.peer), "link", &link, NULL);
    (void)snprintf(target->shown, sizeof target->shown, "%s", host.user.text[0] != '\0' ? host.user.text : "(no user)");
    target->is_host = target->service == SERVICE_NONE && border_is_ours(border, host.node);
    if (name8_empty(host.user)) {
        target->is_host = false;
        (void)err_set(&target->why, ERR_UNKNOWN_USER, "the file is addressed to no user");
    } else if (target->service == SERVICE_DUMMY) {
        (void)err_set(&target->why, ERR_UNKNOWN_USER, "%s stands for people without an address; nobody gets mail there",
                      host_address_text(host).text);
    } else if (target->service == SERVICE_IN_BODY) {
        (void)err_set(&target->why, ERR_BAD_ADDRESS, "an envelope names its recipients itself, not in the text");
    } else if (target->service == SERVICE_NONE && !target->is_host &&
               border_hand_on(border, host, link, &target->why) == 0) {
        struct buf address = { .limit = sizeof target->address - 1 };
        border_to_mail(border, host, &address);
        span_to_text(buf_span(&address), target->address, sizeof target->address);
        buf_free(&address);
    }
}

static void target_mail(const struct gateway *gateway, struct target *target, struct span address)
{
    struct mailkey key;
    *target = (struct target){ .is_host = false };
    span_to_text(address, target->shown, sizeof target->shown);
    if (mailkey_of(address, &key, &target->why) == -1)
        return;
    struct host_address host;
    struct err why = ERR_CLEAR;
    bool ours = border_from_mail(&gateway->border, address, &host, &why) == 0;
    if (why.id == ERR_NO_MEMORY)
        target->why = why;
    else if (!ours && span_equal_nocase(mailkey_domain(&key), span_text(gateway->border.domain)))
        (void)err_set(&target->why, ERR_UNKNOWN_USER, "there is no such user");
    else
        span_to_text(address, target->address, sizeof target->address);
}

/* Why a note with addresses in its text is returned whole; id ERR_NONE: it is not. */
static void check_listed(const struct translation *translation, const struct inbody *inbody, struct err *why)
{
    const struct to_mail *state = translation->state;
    const struct conf_addressing *limits = &translation->gateway->conf->addressing;
    if (!state->right.allow || !state->right.in_body)
        (void)err_set(why, ERR_NOT_ALLOWED, "%s may not address in the text; ask the operator of %s",
                      host_address_text(to_mail_sender(state)).text, translation->gateway->border.node.text);
    else if (translation->fetch.item.size > limits->in_body_max_size)
        (void)err_set(why, ERR_TOO_BIG, "a note with addresses in the text may have %llu bytes, and this one has %llu",
                      (unsigned long long)limits->in_body_max_size, (unsigned long long)translation->fetch.item.size);
    else if (inbody->too_many || inbody->count > limits->in_body_recipients)
        (void)err_set(why, ERR_TOO_MANY, "the text names more than %u recipients", limits->in_body_recipients);
    else if (inbody->count == 0)
        (void)err_set(why, ERR_BAD_ADDRESS,
                      "there is no Internet address at the beginning of the text; write for example "
                      "To: user@example.com, and an empty line before the text");
}

/* IB-05: each address in the text is a recipient, good or bad. */
static int make_listed_targets(struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    struct gateway *gateway = translation->gateway;
    struct err why = ERR_CLEAR;
    if (state->inbody == NULL)
        state->inbody = mem_zero(sizeof *state->inbody);
    if (state->inbody == NULL)
        return to_mail_no_memory(err);
    inbody_parse(to_mail_head(state)->opening, gateway->conf->addressing.in_body_keyword, state->inbody);
    check_listed(translation, state->inbody, &why);
    if (why.id != ERR_NONE) {
        state->targets[0].why = why;
        return 0;
    }
    struct target *targets = mem_realloc(state->targets, state->inbody->count * sizeof targets[0]);
    if (targets == NULL)
        return to_mail_no_memory(err);
    state->targets = targets;
    state->target_count = state->inbody->count;
    buf_clear(&state->also_to);
    buf_clear(&state->also_cc);
    for (size_t i = 0; i < state->target_count; i++) {
        const struct inbody_address *listed = &state->inbody->at[i];
        struct buf *also = listed->role == INBODY_CC ? &state->also_cc : &state->also_to;
        target_mail(gateway, &targets[i], listed->text);
        targets[i].service = SERVICE_IN_BODY;
        if (!listed->good && targets[i].why.id == ERR_NONE) {
            targets[i].address[0] = '\0';
            (void)err_set(&targets[i].why, ERR_BAD_ADDRESS, "\"%.100s\" in the text is no Internet address",
                          targets[i].shown);
        }
        if (targets[i].address[0] == '\0' || listed->role == INBODY_BCC)
            continue;
        buf_add_text(also, targets[i].address);
        buf_add_u8(also, '\n');
    }
    return state->also_to.failed || state->also_cc.failed ? to_mail_no_memory(err) : 0;
}

int to_mail_targets(struct translation *translation, struct err *err)
{
    struct to_mail *state = translation->state;
    const struct letter_head *head = to_mail_head(state);
    struct host_address to = { .node = state->current.to_node, .user = state->current.to_user };
    mem_free(state->targets);
    state->target_count = 0;
    state->targets = mem_zero((head->address_count + 1) * sizeof state->targets[0]);
    if (state->targets == NULL)
        return to_mail_no_memory(err);
    for (size_t i = 0; head->has_envelope && i < head->address_count; i++) {
        const struct letter_address *address = &head->addresses[i];
        if (address->role != LETTER_ENVELOPE_TO)
            continue;
        struct target *target = &state->targets[state->target_count++];
        if (address->address.size > 0)
            target_mail(translation->gateway, target, address->address);
        else
            target_host(translation, target, (struct host_address){ .node = address->node, .user = address->user });
        if (target->why.id == ERR_NO_MEMORY) /* nothing to report: later it may well be delivered */
            return to_mail_no_memory(err);
    }
    if (state->target_count == 0)
        target_host(translation, &state->targets[state->target_count++], to);
    if (!head->has_envelope && border_service(&translation->gateway->border, to) == SERVICE_IN_BODY &&
        make_listed_targets(translation, err) == -1)
        return -1;
    for (size_t i = 0; i < state->target_count && state->loop.id != ERR_NONE; i++) {
        struct target *target = &state->targets[i]; /* nobody gets it, its writer is told */
        target->is_host = false;
        target->address[0] = '\0';
        target->why = state->loop;
    }
    return 0;
}
