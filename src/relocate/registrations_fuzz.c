/* Any bytes as a list of any form: refused with a line, or registrations that lie in what was read. */
#include "relocate/registrations.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *arg, const struct registration *registration, struct err *err)
{
    (void)err;
    if (registration->line == 0 || registration->line < *(size_t *)arg)
        abort();
    *(size_t *)arg = registration->line;
    if (!registration->retired && registration->address.size == 0)
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = span_of(data, size);
    struct name8 node = { .text = "MICROSFT" };
    for (int form = 0; form < FORMS; form++) {
        struct err err = ERR_CLEAR;
        struct buf lines = { 0 };
        size_t last = 0;
        int result = registrations_form_is_table((enum registrations_form)form)
                         ? registrations_tables(text, (enum registrations_form)form, &lines, &err)
                         : registrations_read(text, (enum registrations_form)form, node, look, &last, &err);
        buf_free(&lines);
        if (result == -1 && err.id == ERR_NONE)
            abort();
    }
    return 0;
}
