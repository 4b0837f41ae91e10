/* The one door to the heap, so that a test can make every allocation fail in turn. */
#include "base/mem.h"

#include "base/fault.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static atomic_size_t failures;

size_t mem_failures(void)
{
    return atomic_load(&failures);
}

static void *counted(void *at)
{
    if (at == NULL)
        atomic_fetch_add(&failures, 1);
    return at;
}

void *mem_zero(size_t size)
{
    return counted(fault_alloc() ? NULL : calloc(1, size));
}

void *mem_realloc(void *at, size_t size)
{
    return counted(fault_alloc() ? NULL : realloc(at, size));
}

char *mem_strdup(const char *text)
{
    return counted(fault_alloc() ? NULL : strdup(text));
}

void mem_free(void *at)
{
    free(at);
}

void *mem_need(void *at, const char *what)
{
    if (at == NULL) {
        (void)fprintf(stderr, "ovvm: out of memory for %s; stopping, nothing accepted is lost\n", what);
        exit(EX_TEMPFAIL);
    }
    return at;
}
