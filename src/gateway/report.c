/* Reports. Texts from outside are folded into one line and cut; they are data here, never structure. */
#include "gateway/report.h"

#include "codec/date.h"

#include <stdio.h>

enum { ORIGINAL_HEADER_MAX = 32 * 1024 };

static void add_one_line(struct buf *to, const char *text)
{
    for (; *text != '\0'; text++)
        buf_add_u8(to, (uint8_t)((unsigned char)*text < 0x20 ? ' ' : *text));
}

/* The header block of a letter, without its last empty line. */
static struct span header_of(struct span mail)
{
    for (size_t at = 0; at + 4 <= mail.size && at < ORIGINAL_HEADER_MAX; at++)
        if (memcmp(mail.at + at, "\r\n\r\n", 4) == 0)
            return span_slice(mail, 0, at + 2);
    return span_slice(mail, 0, mail.size < ORIGINAL_HEADER_MAX ? mail.size : 0);
}

static void add_explanation(const struct report *report, struct buf *to)
{
    buf_add_text(to, "Your message could not be delivered to the following recipients.\r\n\r\n");
    for (size_t i = 0; i < report->failure_count; i++) {
        const struct report_failure *failure = &report->failures[i];
        buf_add_text(to, "  ");
        add_one_line(to, failure->recipient);
        buf_add_text(to, "\r\n    ");
        add_one_line(to, failure->diagnostic);
        buf_add_text(to, "\r\n");
    }
    buf_printf(to, "\r\nFor help, write to <%s>.\r\n", report->postmaster);
}

static void add_status(const struct report *report, struct buf *to)
{
    buf_printf(to, "Reporting-MTA: dns; %s\r\nArrival-Date: ", report->host_name);
    date_format_mail(report->arrived_us, 0, to);
    buf_add_text(to, "\r\n");
    for (size_t i = 0; i < report->failure_count; i++) {
        const struct report_failure *failure = &report->failures[i];
        buf_add_text(to, "\r\nFinal-Recipient: rfc822; ");
        add_one_line(to, failure->recipient);
        buf_printf(to, "\r\nAction: failed\r\nStatus: %s\r\nDiagnostic-Code: smtp; ", failure->status);
        add_one_line(to, failure->diagnostic);
        buf_add_text(to, "\r\n");
    }
}

static void add_header(const struct report *report, struct buf *to)
{
    buf_printf(to, "From: Mail Delivery System <%s>\r\nTo: <%s>\r\nDate: ", report->postmaster, report->to);
    date_format_mail(report->now_us, 0, to);
    buf_printf(
        to,
        "\r\nSubject: Undelivered mail returned to sender\r\nMessage-ID: <%s@%s>\r\nAuto-Submitted: auto-replied\r\n"
        "MIME-Version: 1.0\r\n",
        report->letter.text, report->host_name);
}

void report_to_mail(const struct report *report, struct buf *to)
{
    const char *id = report->letter.text;
    add_header(report, to);
    buf_printf(to, "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"%s\"\r\n\r\n", id);
    buf_printf(to, "--%s\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n", id);
    add_explanation(report, to);
    buf_printf(to, "\r\n--%s\r\nContent-Type: message/delivery-status\r\n\r\n", id);
    add_status(report, to);
    struct span header = header_of(report->original);
    if (header.size > 0) {
        buf_printf(to, "\r\n--%s\r\nContent-Type: text/rfc822-headers\r\n\r\n", id);
        buf_add_span(to, header);
    }
    buf_printf(to, "\r\n--%s--\r\n", id);
}

void report_to_host(const struct report *report, struct buf *to)
{
    struct buf when = { .at = NULL };
    date_format_profs(report->arrived_us, &when);
    buf_add_u8(&when, '\0');
    const char *time = when.failed ? "" : (const char *)when.at;
    to->failed = to->failed || when.failed;
    add_header(report, to);
    buf_add_text(to, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    for (size_t i = 0; i < report->failure_count; i++) {
        const struct report_failure *failure = &report->failures[i];
        /* ND-01, ND-02: the two classic sentences; the reason line is ours (ND-03) */
        if (failure->id == ERR_UNKNOWN_USER || strncmp(failure->status, "5.1.1", 5) == 0) {
            add_one_line(to, failure->recipient);
            buf_printf(to, " unknown at %s; %s not received.\r\n", report->node, time);
        } else {
            buf_printf(to, "%s cannot deliver %s to ", report->node, time);
            add_one_line(to, failure->recipient);
            buf_add_text(to, ".\r\n");
        }
        buf_printf(to, "Reason: %s ", failure->status);
        add_one_line(to, failure->diagnostic);
        buf_add_text(to, "\r\n");
    }
    buf_free(&when);
}
