/* child: the process that asks the directory, with libldap. */
#ifndef OVVM_DIRECTORY_CHILD_H
#define OVVM_DIRECTORY_CHILD_H

#include <stdbool.h>

/* Whether this program was started as that process. */
bool directory_is_meant(int argc, char **argv);
/* Reads the request from standard input, writes the answer to standard output (answer.h); the exit status. */
int directory_main(void);

#endif
