/* The registrar. What can go wrong is a talk without end with another program, so answers are counted in the ledger,
 * hold no line that is itself a command, and nobody is answered who could be a system; and a host user who takes the
 * name of one correspondent for another, which the registry refuses. */
#include "address/registrar.h"

#include "address/userid.h"
#include "address/who.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/audit.h"
#include "store/hostuse.h"

#include <stdarg.h>
#include <stdio.h>

enum { ANSWER_LINE_MAX = 120, ANSWER_MAX = 16 * 1024, WORD_SHOWN = 100 };

enum asked { ASKED_REGISTER, ASKED_WHO, ASKED_LIST, ASKED_HELP };

struct asking {
    enum asked asked;
    char shown[WORD_SHOWN];
    struct err why; /* it cannot be done; id ERR_NONE: it can */
    struct mailkey key;
    bool upper; /* the address had no small letter: a terminal that has none may have sent it */
    struct name8 wanted;
    struct who who;
    /* after the work */
    struct registry_answer answer;
    struct mailkey given;
};

struct registrar {
    struct host_address_text user;
    struct access_right right;
    struct registry_policy policy;
    unsigned answers_max;
    int64_t now_us;
    struct buf answer;
    size_t count;
    struct asking asking[REGISTRAR_COMMANDS_MAX];
};

/* --- understanding --- */

static struct span next_word(struct span *rest)
{
    *rest = span_trim(*rest);
    size_t size = span_find(*rest, ' ');
    struct span word = span_slice(*rest, 0, size);
    *rest = span_trim(span_slice(*rest, size, SIZE_MAX));
    return word;
}

static bool has_small_letter(struct span text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] >= 'a' && text.at[i] <= 'z')
            return true;
    return false;
}

static void lower(struct mailkey *key)
{
    for (char *at = key->text; *at != '\0'; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
}

static void take_register(const struct registrar_question *question, struct span rest, struct asking *asking)
{
    struct span address = next_word(&rest);
    struct host_address host;
    struct err *why = &asking->why;
    if (address.size > 2 && address.at[0] == '<' && address.at[address.size - 1] == '>')
        address = span_slice(address, 1, address.size - 2);
    span_to_text(address, asking->shown, sizeof asking->shown);
    asking->upper = !has_small_letter(address);
    if (address.size == 0) {
        (void)err_set(why, ERR_BAD_ADDRESS, "an Internet address is missing");
        return;
    }
    if (mailkey_of(address, &asking->key, why) == -1)
        return;
    if (rest.size > 0 && name8_parse(rest, "name", &asking->wanted, why) == -1)
        return;
    if (border_from_mail(question->border, address, &host, NULL) == 0)
        (void)err_set(why, ERR_REFUSED, "that is the host user %s, who needs no other address",
                      host_address_text(host).text);
    else if (span_equal_nocase(mailkey_domain(&asking->key), span_text(question->border->domain)))
        (void)err_set(why, ERR_UNKNOWN_USER, "there is no such user");
}

static bool take_command(const struct registrar_question *question, struct span line, struct asking *asking)
{
    static const struct {
        struct span word;
        enum asked asked;
        bool alone; /* with further words it is a sentence */
    } words[] = { { SPAN_LITERAL("REGISTER"), ASKED_REGISTER, false },
                  { SPAN_LITERAL("WHO"), ASKED_WHO, false },
                  { SPAN_LITERAL("LIST"), ASKED_LIST, true },
                  { SPAN_LITERAL("HELP"), ASKED_HELP, true },
                  { SPAN_LITERAL("?"), ASKED_HELP, true } };
    struct span rest = line;
    struct span word = next_word(&rest);
    *asking = (struct asking){ .why = ERR_CLEAR };
    size_t i = 0;
    while (i < sizeof words / sizeof words[0] && !span_equal_nocase(word, words[i].word))
        i++;
    if (i == sizeof words / sizeof words[0] || (words[i].alone && rest.size > 0))
        return false;
    asking->asked = words[i].asked;
    if (asking->asked == ASKED_REGISTER)
        take_register(question, rest, asking);
    if (asking->asked == ASKED_WHO) {
        span_to_text(rest, asking->shown, sizeof asking->shown);
        (void)who_begin(question->border, question->policy, rest, &asking->who, &asking->why);
    }
    return true;
}

struct registrar *registrar_begin(const struct registrar_question *question)
{
    struct registrar *registrar = mem_zero(sizeof *registrar);
    if (registrar == NULL)
        return NULL;
    registrar->user = host_address_text(question->user);
    registrar->right = access_of(&(*question->border->tables)->access, question->user);
    registrar->policy = *question->policy;
    registrar->answers_max = question->answers_max;
    registrar->now_us = question->now_us;
    registrar->answer.limit = ANSWER_MAX;
    struct reader lines = reader_of(question->text);
    for (int i = 0; i < REGISTRAR_LINES_LOOKED && !reader_at_end(&lines); i++) {
        struct span line = span_trim(span_trim_end(reader_until(&lines, '\n'), '\r'));
        if (registrar->count == REGISTRAR_COMMANDS_MAX || span_equal(line, SPAN_LITERAL("--")))
            break; /* what is beyond is done by another letter; a signature is no command */
        registrar->count += take_command(question, line, &registrar->asking[registrar->count]);
    }
    if (registrar->count == 0)
        registrar->asking[registrar->count++] = (struct asking){ .asked = ASKED_HELP };
    return registrar;
}

void registrar_free(struct registrar *registrar)
{
    if (registrar == NULL)
        return;
    buf_free(&registrar->answer);
    mem_free(registrar);
}

/* --- answering --- */

static void say(struct registrar *registrar, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line; what outsiders wrote in it cannot begin another. */
static void say(struct registrar *registrar, const char *format, ...)
{
    char line[ANSWER_LINE_MAX + 1];
    char safe[ANSWER_LINE_MAX + 1];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    span_to_text(span_text(line), safe, sizeof safe);
    buf_printf(&registrar->answer, "%s\n", safe);
}

static void help(struct registrar *registrar)
{
    say(registrar, "Commands to this address, one a line, in letters or messages:");
    say(registrar, "* REGISTER user@domain        an address for somebody on the Internet, to write to");
    say(registrar, "* REGISTER user@domain NAME   the same, with a name of your choice");
    say(registrar, "* WHO address                 whose an address is, of either side");
    say(registrar, "* LIST                        the latest of those whom you wrote to or heard from");
    say(registrar, "* HELP                        this");
}

static bool list_one(void *arg, const char *node, const char *user, const char *address)
{
    say(arg, "%s at %s is %s", user, node, address);
    return true;
}

static int list(struct db *db, struct registrar *registrar, struct err *err)
{
    size_t before = registrar->answer.size;
    if (hostuse_known(db, registrar->user.text, REGISTRAR_LIST_MAX, list_one, registrar, err) == -1)
        return -1;
    if (registrar->answer.size == before)
        say(registrar, "Nobody on the Internet has an address through you yet.");
    return 0;
}

/* Who types on a terminal without small letters means the person who is known, else the usual spelling. */
static int choose_key(struct db *db, struct asking *asking, struct mailkey *key_r, struct err *err)
{
    struct person person;
    *key_r = asking->key;
    int found = asking->upper ? person_find(db, asking->key.text, &person, err) : 1;
    if (found == 0)
        lower(key_r);
    return found == -1 ? -1 : 0;
}

static int refuse(struct registrar *registrar, const struct asking *asking, const struct err *why)
{
    say(registrar, "%s: %s", asking->shown, why->text);
    return 0;
}

static int give(struct db *db, struct registrar *registrar, struct asking *asking, struct hostuse *use, struct err *err)
{
    struct mailkey key;
    struct err why = ERR_CLEAR;
    const struct access_right *right = &registrar->right;
    struct buf detail = { 0 };
    if (!right->allow || right->registrations == 0)
        (void)err_set(&why, ERR_NOT_ALLOWED, "you may not register correspondents here; ask the operator");
    else if (!registrar->policy.on)
        (void)err_set(&why, ERR_NOT_ALLOWED, "registration is switched off here; ask the operator");
    else if (use->registrations >= right->registrations)
        (void)err_set(&why, ERR_NOT_ALLOWED, "you registered %lld today, which is all that you may; try tomorrow",
                      (long long)use->registrations);
    if (why.id != ERR_NONE)
        return refuse(registrar, asking, &why);
    if (choose_key(db, asking, &key, err) == -1)
        return -1;
    if (registry_introduce(db, &registrar->policy, &key, asking->wanted, registrar->now_us, &asking->answer, &why) ==
        -1) {
        if (err_family(why.id) == ERR_FAMILY_PERMANENT || why.id == ERR_BUSY)
            return refuse(registrar, asking, &why);
        *err = why;
        return -1;
    }
    asking->given = key;
    use->registrations++;
    buf_printf(&detail, "%s %s", host_address_text(asking->answer.host).text, key.text);
    int result = audit_add(db, registrar->now_us, registrar->user.text, "register", buf_span(&detail), err);
    buf_free(&detail);
    say(registrar, "%s is %s at %s%s", key.text, asking->answer.host.user.text, asking->answer.host.node.text,
        asking->answer.how == REGISTRY_KNOWN ? ", as before" : "");
    return result == 0 ? hostuse_introduce(db, registrar->user.text, asking->answer.person, registrar->now_us, err)
                       : -1;
}

static int answer_one(struct db *db, struct registrar *registrar, struct asking *asking, struct hostuse *use,
                      struct err *err)
{
    if (asking->why.id != ERR_NONE)
        return refuse(registrar, asking, &asking->why);
    switch (asking->asked) {
    case ASKED_REGISTER:
        return give(db, registrar, asking, use, err);
    case ASKED_WHO: {
        struct who who = asking->who;
        if (who_finish(db, &who, err) == -1)
            return -1;
        for (size_t i = 0; i < who.line_count; i++)
            say(registrar, "%s", who.lines[i]);
        if (who.line_count == 0)
            say(registrar, "%s: nobody", asking->shown);
        return 0;
    }
    case ASKED_LIST:
        return list(db, registrar, err);
    case ASKED_HELP:
        help(registrar);
        return 0;
    }
    return 0;
}

int registrar_work(struct db *db, struct registrar *registrar, struct err *err)
{
    int64_t day = registrar->now_us / CLOCK_DAY;
    struct hostuse use;
    buf_clear(&registrar->answer);
    if (hostuse_load(db, day, registrar->user.text, &use, err) == -1)
        return -1;
    if (use.answers >= registrar->answers_max)
        return 0;
    struct hostuse more = { .registrations = -use.registrations, .answers = 1 };
    for (size_t i = 0; i < registrar->count; i++)
        if (answer_one(db, registrar, &registrar->asking[i], &use, err) == -1)
            return -1;
    if (use.answers + 1 == registrar->answers_max)
        say(registrar, "This is the last answer to you today (UTC).");
    more.registrations += use.registrations;
    if (registrar->answer.failed)
        return err_set(err, ERR_NO_MEMORY, "out of memory for an answer");
    return hostuse_add(db, day, registrar->user.text, &more, err);
}

bool registrar_log(const struct registrar *registrar)
{
    bool any = false;
    for (size_t i = 0; i < registrar->count; i++) {
        const struct asking *asking = &registrar->asking[i];
        if (asking->answer.person == 0)
            continue;
        any = true;
        registry_log(&asking->answer, &asking->given, registrar->user.text);
    }
    return any;
}

struct span registrar_answer(const struct registrar *registrar)
{
    return buf_span(&registrar->answer);
}
