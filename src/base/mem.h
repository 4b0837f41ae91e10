/* mem: memory that may end.
 *
 * These return NULL when memory ends (or when the test build's fault injection says so), and the caller turns
 * that into a temporary error. mem_need is for the few small things without which the process cannot go on:
 * it ends the process with a clear line, and the ledger makes that harmless.
 */
#ifndef OVVM_BASE_MEM_H
#define OVVM_BASE_MEM_H

#include <stddef.h>

void *mem_zero(size_t size); /* calloc(1, size) */
void *mem_realloc(void *at, size_t size);
char *mem_strdup(const char *text);
void mem_free(void *at);
/* How often memory has ended in this process. A piece of work whose result must be whole compares before and after. */
size_t mem_failures(void);
/* Returns `at`, or ends the process (exit status 75) where it is NULL. `what` is for the log line. */
void *mem_need(void *at, const char *what);

#endif
