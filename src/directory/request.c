/* The request. What can go wrong is a pipe that ends early, which leaves a text or a number out. */
#include "directory/request.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT(member) offsetof(struct conf_directory, member)

static const size_t texts[] = { TEXT(url),      TEXT(base),           TEXT(filter),         TEXT(bind_dn),
                                TEXT(password), TEXT(mail_attribute), TEXT(name_attribute), TEXT(host_attributes),
                                TEXT(ca_file) };
enum { TEXTS = sizeof texts / sizeof texts[0] };

static char **text_at(struct conf_directory *directory, size_t index)
{
    return (char **)(void *)((char *)directory + texts[index]);
}

void directory_request_write(const struct conf_directory *directory, int64_t parent, struct buf *to)
{
    struct conf_directory copy = *directory;
    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *text_at(&copy, i);
        buf_add_text(to, text != NULL ? text : "");
        buf_add_u8(to, 0);
    }
    buf_printf(to, "%d %d %u %lld %lld", (int)directory->scope, (int)directory->starttls, directory->page,
               (long long)directory->timeout_us, (long long)parent);
    buf_add_u8(to, 0);
}

bool directory_request_read(struct buf *bytes, struct directory_request *request_r)
{
    struct reader reader = reader_of(buf_span(bytes));
    int scope = 0;
    int starttls = 0;
    long long timeout = 0;
    long long parent = 0;
    *request_r = (struct directory_request){ .parent = 0 };
    if (bytes->size == 0 || bytes->at[bytes->size - 1] != 0)
        return false;
    for (size_t i = 0; i < TEXTS; i++) {
        char *text = (char *)(uintptr_t)reader.rest.at;
        size_t size = reader_until(&reader, 0).size;
        *text_at(&request_r->directory, i) = size > 0 ? text : NULL;
    }
    if (reader_at_end(&reader) || sscanf((const char *)reader.rest.at, "%d %d %u %lld %lld", &scope, &starttls,
                                         &request_r->directory.page, &timeout, &parent) != 5)
        return false;
    request_r->directory.scope = (enum conf_scope)scope;
    request_r->directory.starttls = (enum conf_answer)starttls;
    request_r->directory.timeout_us = timeout;
    request_r->parent = parent;
    return request_r->directory.url != NULL && request_r->directory.mail_attribute != NULL;
}
