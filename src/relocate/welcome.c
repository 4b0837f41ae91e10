/* The manifest is looked at before anything is written: a bundle that cannot be right here is refused with the reason,
 * not found out by host users. */
#include "relocate/welcome.h"

#include "store/schema.h"

#include <stdio.h>
#include <string.h>

static int text_fact(const json_t *manifest, const char *name, const char **text_r, struct err *err)
{
    *text_r = json_string_value(json_object_get(manifest, name));
    return *text_r != NULL ? 0 : err_set(err, ERR_BAD_CONTENT, BUNDLE_MANIFEST " does not say \"%s\"", name);
}

static bool is_id(const char *text)
{
    return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

static int check_kind(const json_t *manifest, bool restore, enum bundle_kind *kind_r, struct err *err)
{
    const char *kind = NULL;
    if (text_fact(manifest, "kind", &kind, err) == -1)
        return -1;
    int number = 0;
    while (number < BUNDLE_KINDS && strcmp(kind, bundle_kind_name((enum bundle_kind)number)) != 0)
        number++;
    if (number == BUNDLE_KINDS)
        return err_set(err, ERR_BAD_CONTENT, BUNDLE_MANIFEST ": there is no such kind of bundle");
    *kind_r = (enum bundle_kind)number;
    if (restore && *kind_r != BUNDLE_BACKUP)
        return err_set(err, ERR_REFUSED, "this is no backup but a %s: \"ovvm relocate import\" takes it", kind);
    if (!restore && *kind_r == BUNDLE_BACKUP)
        return err_set(
            err, ERR_REFUSED,
            "this is a backup: the instance it was made from may have gone on. If that one is gone for good, "
            "\"ovvm restore FILE\"");
    return 0;
}

static int check_facts(const json_t *manifest, struct err *err)
{
    const char *lineage = NULL;
    const char *bundle = NULL;
    const json_t *generation = json_object_get(manifest, "generation");
    const json_t *made = json_object_get(manifest, "made_us");
    const json_t *schema = json_object_get(manifest, "schema");
    if (text_fact(manifest, "lineage", &lineage, err) == -1 || text_fact(manifest, "bundle", &bundle, err) == -1)
        return -1;
    if (!is_id(lineage) || !is_id(bundle) || !json_is_integer(generation) || json_integer_value(generation) < 1 ||
        json_integer_value(generation) > INT32_MAX || !json_is_integer(made) || json_integer_value(made) < 0 ||
        !json_is_integer(schema))
        return err_set(err, ERR_BAD_CONTENT,
                       BUNDLE_MANIFEST ": lineage, bundle, generation, made_us or schema is not what it should be");
    if (json_integer_value(schema) > SCHEMA_VERSION)
        return err_set(err, ERR_REFUSED,
                       "the bundle has schema %lld and this program knows up to %d: install a newer release here",
                       (long long)json_integer_value(schema), SCHEMA_VERSION);
    return 0;
}

/* Is a fact of the bundle what this configuration says? One that is not known (older bundles, the original
 * product's files) is the same as any. */
static bool same_fact(const json_t *manifest, const char *name, const char *ours)
{
    const char *theirs = json_string_value(json_object_get(manifest, name));
    bool unknown = theirs == NULL || (theirs[0] == '\0' && (strcmp(name, "node") == 0 || strcmp(name, "domain") == 0));
    return unknown || strcmp(theirs, ours != NULL ? ours : "") == 0;
}

/* Replies to old mail go to NODE(USER): under another node they would reach nobody, and another rule would give the
 * next person another kind of address (RL-03). A bundle that is merged keeps its own node. */
static int check_names(const json_t *manifest, const struct import_options *options, struct err *err)
{
    const struct conf_connector *ours = &options->conf->connector;
    const char *ignored = NULL;
    if (text_fact(manifest, "node", &ignored, err) == -1 || text_fact(manifest, "domain", &ignored, err) == -1)
        return -1;
    if (options->force)
        return 0;
    const struct {
        const char *fact, *key, *ours;
        bool merged; /* is compared when merging too */
    } facts[] = { { "node", "node", ours->node.text, false },
                  { "domain", "domain", ours->domain, true },
                  { "location", "location", ours->location.text, false },
                  { "proxy_rule", "proxy-rule", ours->proxy_rule, false },
                  /* hosts have it in their users' nicknames and habits (IB-07) */
                  { "in_body_id", "in-body-id", options->conf->addressing.in_body_id.text, false } };
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++) {
        char shown[80];
        if ((options->merge && !facts[i].merged) || same_fact(manifest, facts[i].fact, facts[i].ours))
            continue;
        span_to_text(span_text(json_string_value(json_object_get(manifest, facts[i].fact))), shown, sizeof shown);
        return err_set(err, ERR_REFUSED,
                       "the bundle is of %s \"%s\" and this configuration says \"%.60s\": replies to old mail would be "
                       "lost. Correct [connector]; --merge, where two sites become one; or --force",
                       facts[i].key, shown, facts[i].ours != NULL ? facts[i].ours : "");
    }
    return 0;
}

int welcome_check(const json_t *manifest, const struct import_options *options, enum bundle_kind *kind_r,
                  struct err *err)
{
    return check_kind(manifest, options->restore, kind_r, err) == 0 && check_facts(manifest, err) == 0 &&
                   check_names(manifest, options, err) == 0
               ? 0
               : -1;
}
