/* The trial node as a program of its own, for host_test.py: `ovvm host` without the rest of ovvm. */
#include "host/host.h"

int main(int argc, char **argv)
{
    return host_main(argc, argv);
}
