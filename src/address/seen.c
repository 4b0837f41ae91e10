/* A hash table of fixed size whose entries also form a ring in the order of use. Places are numbers from 1; 0 is none,
 * and place 0 of the array is the ring's anchor. The hash starts from chance, so that nobody can aim at one chain. */
#include "address/seen.h"

#include "base/clock.h"
#include "base/mem.h"

struct entry {
    char *key; /* NULL: free */
    struct seen_one one;
    size_t bucket;
    uint16_t chained;      /* next of the bucket */
    uint16_t newer, older; /* the ring: anchor.older is the newest */
};

struct seen {
    struct entry *entries; /* most + 1 */
    uint16_t *buckets;
    size_t bucket_count, most, count;
    uint64_t seed;
};

struct seen *seen_new(size_t most)
{
    struct seen *seen = mem_zero(sizeof *seen);
    if (seen == NULL)
        return NULL;
    seen->most = most < UINT16_MAX ? most : UINT16_MAX - 1;
    seen->bucket_count = 2 * seen->most + 1;
    seen->entries = mem_zero((seen->most + 1) * sizeof seen->entries[0]);
    seen->buckets = mem_zero(seen->bucket_count * sizeof seen->buckets[0]);
    clock_random(&seen->seed, sizeof seen->seed);
    if (seen->entries == NULL || seen->buckets == NULL) {
        seen_free(seen);
        return NULL;
    }
    return seen;
}

static size_t bucket_of(const struct seen *seen, const char *key)
{
    uint64_t hash = seen->seed ^ UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
    return (size_t)((hash ^ hash >> 32) % seen->bucket_count);
}

static void leave_ring(struct seen *seen, uint16_t place)
{
    struct entry *entry = &seen->entries[place];
    seen->entries[entry->newer].older = entry->older;
    seen->entries[entry->older].newer = entry->newer;
}

static void enter_ring(struct seen *seen, uint16_t place)
{
    struct entry *anchor = &seen->entries[0];
    struct entry *entry = &seen->entries[place];
    entry->newer = 0;
    entry->older = anchor->older;
    seen->entries[anchor->older].newer = place;
    anchor->older = place;
}

static void drop(struct seen *seen, uint16_t place)
{
    struct entry *entry = &seen->entries[place];
    uint16_t *link = &seen->buckets[entry->bucket];
    while (*link != place)
        link = &seen->entries[*link].chained;
    *link = entry->chained;
    leave_ring(seen, place);
    mem_free(entry->key);
    entry->key = NULL;
}

static uint16_t find(const struct seen *seen, const char *key, size_t bucket)
{
    uint16_t place = seen->buckets[bucket];
    while (place != 0 && strcmp(seen->entries[place].key, key) != 0)
        place = seen->entries[place].chained;
    return place;
}

bool seen_find(struct seen *seen, const char *key, struct seen_one *one_r)
{
    uint16_t place = find(seen, key, bucket_of(seen, key));
    if (place == 0)
        return false;
    leave_ring(seen, place);
    enter_ring(seen, place);
    *one_r = seen->entries[place].one;
    return true;
}

void seen_keep(struct seen *seen, const char *key, const struct seen_one *one)
{
    size_t bucket = bucket_of(seen, key);
    uint16_t place = find(seen, key, bucket);
    if (place != 0) {
        seen->entries[place].one = *one;
        return;
    }
    char *copy = mem_strdup(key);
    if (copy == NULL)
        return;
    if (seen->count < seen->most) {
        place = (uint16_t)++seen->count;
    } else {
        place = seen->entries[0].newer; /* the anchor's other neighbour: the oldest */
        drop(seen, place);
    }
    struct entry *entry = &seen->entries[place];
    *entry = (struct entry){ .key = copy, .one = *one, .bucket = bucket, .chained = seen->buckets[bucket] };
    seen->buckets[bucket] = place;
    enter_ring(seen, place);
}

void seen_clear(struct seen *seen)
{
    for (size_t place = 1; place <= seen->count; place++)
        mem_free(seen->entries[place].key);
    memset(seen->entries, 0, (seen->most + 1) * sizeof seen->entries[0]);
    memset(seen->buckets, 0, seen->bucket_count * sizeof seen->buckets[0]);
    seen->count = 0;
}

size_t seen_count(const struct seen *seen)
{
    return seen->count;
}

void seen_free(struct seen *seen)
{
    if (seen == NULL)
        return;
    if (seen->entries != NULL && seen->buckets != NULL)
        seen_clear(seen);
    mem_free(seen->entries);
    mem_free(seen->buckets);
    mem_free(seen);
}
