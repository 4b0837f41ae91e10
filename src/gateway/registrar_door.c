/* The registrar's two doors: letters, whose answers are letters, and messages, whose answers are messages. A message
 * that cannot be answered is lost, as messages are; a letter is answered in the commit that ends it.
 */
#include "gateway/inside.h"

#include "address/registrar.h"
#include "address/userid.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/date.h"

#include <stdio.h>

enum { QUESTIONS_MAX = 32 /* messages that are being answered at a time */ };

struct registrar *registrar_ask(struct gateway *gateway, struct host_address user, struct span text)
{
    struct registrar_question question = { .border = &gateway->border,
                                           .policy = registry_policy(gateway->registry),
                                           .user = user,
                                           .text = text,
                                           .answers_max = gateway->conf->addressing.registrar_limit,
                                           .now_us = clock_now() };
    return registrar_begin(&question);
}

bool registrar_answers(struct host_address user)
{
    return !name8_empty(user.user) && !name8_empty(user.node) && !userid_is_reserved(user.user);
}

/* --- letters --- */

int registrar_letter(struct gateway *gateway, struct host_address user, struct ulid letter, struct span answer,
                     struct output *output_r, struct err *err)
{
    struct buf to = { .at = NULL };
    struct buf from = { .at = NULL };
    char address[ITEM_ADDRESS_MAX];
    border_to_mail(&gateway->border, user, &to);
    border_to_mail(&gateway->border, gateway->border.registrar, &from);
    span_to_text(buf_span(&to), address, sizeof address);
    output_init(output_r, QUEUE_MAIL_IN, letter, "", address);
    output_r->item.flags = ITEM_REPORT | ITEM_REGISTRAR;
    struct buf *content = &output_r->content;
    buf_printf(content, "From: Registrar <%.*s>\r\nTo: <%s>\r\nDate: ", (int)from.size, (const char *)from.at, address);
    date_format_mail(clock_now(), 0, content);
    buf_printf(content,
               "\r\nSubject: Your commands\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-replied\r\n"
               "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
               output_r->item.id.text, gateway->border.domain);
    struct reader lines = reader_of(answer);
    while (!reader_at_end(&lines)) {
        buf_add_span(content, reader_until(&lines, '\n'));
        buf_add_text(content, "\r\n");
    }
    bool failed = to.failed || from.failed || content->failed;
    buf_free(&to);
    buf_free(&from);
    if (!failed)
        return 0;
    output_free(output_r);
    return err_set(err, ERR_NO_MEMORY, "out of memory for an answer");
}

/* --- messages --- */

struct heard {
    struct gateway *gateway;
    struct nje_link *link;
    struct host_address from;
    struct registrar *registrar;
    struct store_job job;
};

static int heard_work(struct db *db, void *arg, struct err *err)
{
    struct heard *heard = arg;
    return registrar_work(db, heard->registrar, err);
}

static void heard_done(void *arg, const struct err *err)
{
    struct heard *heard = arg;
    struct gateway *gateway = heard->gateway;
    struct nje_message message = { .to_node = heard->from.node,
                                   .to_user = heard->from.user,
                                   .from_node = gateway->border.registrar.node,
                                   .from_user = gateway->border.registrar.user };
    gateway->answering--;
    if (err != NULL) {
        log_err(LOG_GATEWAY, err, "a message of %s cannot be answered", host_address_text(heard->from).text);
        (void)snprintf(message.text, sizeof message.text, "%s", err_host_text(err->id));
        (void)nje_link_send_message(heard->link, &message);
    } else {
        struct reader lines = reader_of(registrar_answer(heard->registrar));
        if (registrar_log(heard->registrar))
            registry_forget(gateway->registry);
        if (reader_at_end(&lines))
            log_info(LOG_GATEWAY, 31056, "%s gets no further answers today (registrar-limit)",
                     host_address_text(heard->from).text);
        bool sent = true;
        while (sent && !reader_at_end(&lines)) {
            span_to_text(reader_until(&lines, '\n'), message.text, sizeof message.text);
            sent = nje_link_send_message(heard->link, &message);
        }
    }
    registrar_free(heard->registrar);
    mem_free(heard);
}

/* Is it a question to the registrar, from somebody who may be answered? Never a system's message, and nobody in the
 * name of a node behind another link. */
static bool is_question(const struct gateway *gateway, struct name8 node, const struct nje_message *message)
{
    struct host_address to = { .node = message->to_node, .user = message->to_user };
    struct host_address from = { .node = message->from_node, .user = message->from_user };
    return !message->command && !message->from_system && border_service(&gateway->border, to) == SERVICE_REGISTRAR &&
           registrar_answers(from) && border_may_send(&gateway->border, from, node, false, NULL) == 0;
}

void registrar_message(struct gateway *gateway, struct name8 node, struct nje_link *link,
                       const struct nje_message *message)
{
    if (gateway->draining || !is_question(gateway, node, message))
        return;
    struct heard *heard = gateway->answering < QUESTIONS_MAX ? mem_zero(sizeof *heard) : NULL;
    if (heard != NULL) {
        heard->from = (struct host_address){ .node = message->from_node, .user = message->from_user };
        heard->registrar = registrar_ask(gateway, heard->from, span_text(message->text));
    }
    if (heard == NULL || heard->registrar == NULL) {
        mem_free(heard);
        if (log_once_raise(&gateway->too_many_questions))
            log_warning(LOG_GATEWAY, 31057, "more than %d messages to the registrar at a time; some are not answered",
                        QUESTIONS_MAX);
        return;
    }
    (void)log_once_clear(&gateway->too_many_questions);
    heard->gateway = gateway;
    heard->link = link;
    heard->job = (struct store_job){ .work = heard_work, .done = heard_done, .arg = heard };
    gateway->answering++;
    store_write(gateway->store, &heard->job);
}
