/* The list of members, and which names may be members. */
#include "relocate/bundle_private.h"

#include "base/mem.h"
#include "base/ulid.h"
#include "relocate/tables.h"

#include <stdio.h>
#include <stdlib.h>

struct bundle_entry *bundle_list_add(struct bundle_list *list, const char *name, struct err *err)
{
    if (list->count == BUNDLE_MEMBERS_MAX) {
        (void)err_set(err, ERR_TOO_MANY, "a bundle has at most %d members", BUNDLE_MEMBERS_MAX);
        return NULL;
    }
    if (list->count == list->room) {
        size_t room = list->room * 2 + 64;
        struct bundle_entry *at = mem_realloc(list->at, room * sizeof at[0]);
        if (at != NULL) {
            list->at = at;
            list->room = room;
        }
    }
    char *copy = list->count < list->room ? mem_strdup(name) : NULL;
    if (copy == NULL) {
        (void)err_set(err, ERR_NO_MEMORY, "out of memory for the list of a bundle's members");
        return NULL;
    }
    struct bundle_entry *entry = &list->at[list->count++];
    *entry = (struct bundle_entry){ .name = copy };
    return entry;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct bundle_entry *)a)->name, ((const struct bundle_entry *)b)->name);
}

void bundle_list_sort(struct bundle_list *list)
{
    if (list->count > 0)
        qsort(list->at, list->count, sizeof list->at[0], compare);
}

struct bundle_entry *bundle_list_find(const struct bundle_list *list, const char *name)
{
    struct bundle_entry wanted = { .name = (char *)(uintptr_t)name };
    return list->count > 0 ? bsearch(&wanted, list->at, list->count, sizeof list->at[0], compare) : NULL;
}

void bundle_list_free(struct bundle_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->at[i].name);
    mem_free(list->at);
    *list = (struct bundle_list){ .at = NULL };
}

/* Queue/ULID.item and Quarantine/ULID.item */
static bool is_item(const char *name)
{
    static const char *const folders[] = { "Queue/", "Quarantine/" };
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        size_t size = strlen(folders[i]);
        char id[ULID_LENGTH + 1];
        struct ulid ulid;
        if (strncmp(name, folders[i], size) != 0 || strlen(name + size) != ULID_LENGTH + 5 ||
            strcmp(name + size + ULID_LENGTH, ".item") != 0)
            continue;
        span_to_text(span_of(name + size, ULID_LENGTH), id, sizeof id);
        return ulid_parse(id, &ulid) && strcmp(ulid.text, id) == 0;
    }
    return false;
}

/* Tables/NAME of an operator's file: Hostusers.csv, or of the classic kinds: letters, digits, . _ - and no leading dot.
 */
static bool is_classic(const char *name)
{
    static const char folder[] = "Tables/";
    static const char *const ends[] = { ".dat", ".tbl", ".csm", ".msg", ".idx", ".pab", ".original" };
    if (strncmp(name, folder, sizeof folder - 1) != 0)
        return false;
    name += sizeof folder - 1;
    size_t size = strlen(name);
    if (size < 5 || size > 64 || name[0] == '.')
        return false;
    for (size_t i = 0; i < size; i++)
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", name[i]) == NULL)
            return false;
    if (strcmp(name, "Hostusers.csv") == 0)
        return true;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t length = strlen(ends[i]);
        if (size > length && strcasecmp(name + size - length, ends[i]) == 0)
            return true;
    }
    return false;
}

bool bundle_name_ok(const char *name)
{
    static const char *const fixed[] = { BUNDLE_MANIFEST, BUNDLE_SUMS, BUNDLE_SIGN, BUNDLE_FILES, BUNDLE_CONF };
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (strcmp(name, fixed[i]) == 0)
            return true;
    return table_of_member(span_text(name)) != NULL || is_item(name) || is_classic(name);
}
