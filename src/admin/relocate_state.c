/* The steps of a move that change only the ledger of a stopped daemon: activate, done, cancel, adopt. What each may do,
 * and when, is in relocate/transition.h. */
#include "admin/relocation.h"

#include "admin/show.h"
#include "base/clock.h"
#include "relocate/selftest.h"
#include "relocate/transition.h"
#include "store/audit.h"

struct step {
    const struct relocation *relocation;
    const char *text;
    enum transition_word word;
    char receipt[TRANSITION_RECEIPT_SIZE];
    struct transition_lossy lossy;
    enum instance_state state;
};

static json_t *sentence(const char *text)
{
    return json_pack("{s:s}", "said", text);
}

static int activate_work(struct db *db, void *arg, struct err *err)
{
    struct step *step = arg;
    return transition_activate(db, step->relocation->who, step->receipt, err);
}

static int done_work(struct db *db, void *arg, struct err *err)
{
    const struct step *step = arg;
    return transition_done(db, step->text, step->relocation->who, err);
}

static int cancel_work(struct db *db, void *arg, struct err *err)
{
    struct step *step = arg;
    return transition_cancel(db, step->text, step->word, step->relocation->who, &step->lossy, err);
}

/* The last sign of use that the ledger holds. */
static int last_use(struct db *db, int64_t *us_r, struct err *err)
{
    return db_one_int(db, us_r, err,
                      "SELECT max(at_us) FROM (SELECT max(at_us) AS at_us FROM track UNION ALL"
                      " SELECT max(made_us) FROM host_address UNION ALL SELECT made_us FROM instance) AS uses",
                      "") == -1
               ? -1
               : 0;
}

static int adopt_work(struct db *db, void *arg, struct err *err)
{
    struct step *step = arg;
    const struct relocation *relocation = step->relocation;
    struct instance instance;
    struct err why = ERR_CLEAR;
    int64_t since_us = 0;
    if (instance_claim(db, relocation->ledger.state, &instance, &why) == 0)
        return err_set(err, ERR_NOT_FOUND, "this ledger is this computer's own; there is nothing to adopt");
    if (why.id != ERR_REFUSED) {
        *err = why;
        return -1;
    }
    if (instance_read(db, &instance, err) == -1 || last_use(db, &since_us, err) == -1 ||
        instance_adopt(db, relocation->ledger.state, err) == -1)
        return -1;
    step->state = instance.state;
    if (instance.state == INSTANCE_ACTIVE || instance.state == INSTANCE_EXPORTING) {
        step->state = INSTANCE_ACTIVE;
        return transition_lossy(db, since_us, "relocate adopt", relocation->who, &step->lossy, err);
    }
    return audit_add(db, clock_now(), relocation->who, "relocate adopt", SPAN_EMPTY, err);
}

/* One change of a stopped daemon's ledger. EXIT_DONE with `relocation` still open, or the exit status. */
static int change(const struct command *command, enum ledger_mode mode,
                  int (*work)(struct db *db, void *arg, struct err *err), struct relocation *relocation_r,
                  struct step *step)
{
    int status = relocation_begin(command, relocation_r);
    if (status != EXIT_DONE)
        return status;
    step->relocation = relocation_r;
    if (relocation_open(relocation_r, mode) == 0 &&
        ledger_commit(&relocation_r->ledger, work, step, &relocation_r->err) == 0)
        return EXIT_DONE;
    return relocation_end(relocation_r, NULL, NULL);
}

static void show_receipt(const json_t *reply)
{
    size_t index;
    json_t *test;
    if (json_object_get(reply, "addresses") != NULL)
        (void)printf("the ledger is whole, and the next number is above every one that was given out\n"
                     "%lld addresses were looked up under this configuration; %lld differ\n",
                     (long long)json_integer_value(json_object_get(reply, "addresses")),
                     (long long)json_integer_value(json_object_get(reply, "differences")));
    json_array_foreach(json_object_get(reply, "tests"), index, test)(void)
        printf("%s: %s%s\n", relocation_fact(test, "what"), relocation_fact(test, "says"),
               json_is_true(json_object_get(test, "fine")) ? "" : " (look at the list for the host side)");
    (void)printf("this instance is active; start ovvmd\nreceipt %s\non the old computer: ovvm relocate done %s\n",
                 relocation_fact(reply, "receipt"), relocation_fact(reply, "receipt"));
}

/* Everything that can be tried, and then the change of state. Differences refuse it unless the operator said so. */
int relocate_activate_command(const struct command *command)
{
    struct relocation relocation;
    struct compare_result result = { .shown = NULL };
    struct instance instance;
    struct step step = { .relocation = &relocation };
    int status = relocation_begin(command, &relocation);
    if (status != EXIT_DONE)
        return status;
    if (relocation_open(&relocation, LEDGER_CHANGE) == -1 ||
        instance_read(relocation.ledger.db, &instance, &relocation.err) == -1)
        return relocation_end(&relocation, NULL, NULL);
    json_t *reply = json_object();
    if (instance.state == INSTANCE_IMPORTED) {
        if (relocation_compare(&relocation, relocation.ledger.db, &result) == -1) {
            json_decref(reply);
            return relocation_end(&relocation, NULL, NULL);
        }
        if (result.differences > 0 && !command_has(command, OPTION_ACCEPT)) {
            relocation_show_lines(command, result.shown);
            (void)err_set(&relocation.err, ERR_REFUSED,
                          "%lld of %lld addresses do not mean what they meant, the first: %.200s. Correct the "
                          "configuration or the tables, or \"ovvm relocate activate --accept\"",
                          (long long)result.differences, (long long)result.addresses,
                          json_string_value(json_array_get(result.shown, 0)));
            json_decref(result.shown);
            json_decref(reply);
            return relocation_end(&relocation, NULL, NULL);
        }
        relocation_add_comparison(reply, &result);
        (void)json_object_set_new(reply, "tests", selftest_peers(&relocation.conf));
    }
    if (ledger_commit(&relocation.ledger, activate_work, &step, &relocation.err) == -1) {
        json_decref(reply);
        return relocation_end(&relocation, NULL, NULL);
    }
    (void)json_object_set_new(reply, "receipt", json_string(step.receipt));
    return relocation_end(&relocation, reply, show_receipt);
}

int relocate_done_command(const struct command *command)
{
    struct relocation relocation;
    struct step step = { .text = command->words[2] };
    int status = change(command, LEDGER_CHANGE, done_work, &relocation, &step);
    return status == EXIT_DONE
               ? relocation_end(&relocation, sentence("the move is complete: this instance is done for good"),
                                show_done)
               : status;
}

int relocate_cancel_command(const struct command *command)
{
    struct relocation relocation;
    struct step step = { .text = command->words[2],
                         .word = command_has(command, OPTION_WAS_ACTIVE)        ? TRANSITION_WAS_ACTIVE
                                 : command_has(command, OPTION_NEVER_ACTIVATED) ? TRANSITION_NEVER_ACTIVATED
                                                                                : TRANSITION_NO_WORD };
    char text[400];
    if (command_has(command, OPTION_WAS_ACTIVE) && command_has(command, OPTION_NEVER_ACTIVATED)) {
        (void)fputs("ovvm: --was-active and --never-activated exclude each other\n", stderr);
        return EXIT_USAGE;
    }
    int status = change(command, LEDGER_CHANGE, cancel_work, &relocation, &step);
    if (status != EXIT_DONE)
        return status;
    (void)snprintf(text, sizeof text,
                   "the export is taken back and this instance is active: numbers for senders go on at %lld (%lld "
                   "skipped), %lld letters are held (ovvm queue list). Destroy the bundle%s, then start ovvmd",
                   (long long)step.lossy.next, (long long)step.lossy.jump, (long long)step.lossy.held,
                   step.word == TRANSITION_WAS_ACTIVE ? ", make sure that the other side never starts again" : "");
    return relocation_end(&relocation, sentence(text), show_done);
}

int relocate_adopt_command(const struct command *command)
{
    struct relocation relocation;
    struct step step = { .text = NULL };
    char text[300];
    int status = change(command, LEDGER_ADOPT, adopt_work, &relocation, &step);
    if (status != EXIT_DONE)
        return status;
    if (step.state == INSTANCE_ACTIVE)
        (void)snprintf(text, sizeof text,
                       "this copy is active: numbers for senders go on at %lld (%lld skipped), %lld letters are held "
                       "(ovvm queue list). Make sure that the original never starts again, then start ovvmd",
                       (long long)step.lossy.next, (long long)step.lossy.jump, (long long)step.lossy.held);
    else
        (void)snprintf(text, sizeof text, "the ledger is this computer's now; the instance is %s as before",
                       instance_state_name(step.state));
    return relocation_end(&relocation, sentence(text), show_done);
}
