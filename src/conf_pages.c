/* Prints what the table of the configuration says: `conf_pages manual` for ovvm.conf(5), `conf_pages sample` for the
 * sample. Runs while building. */
#include "base/conf.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    bool manual = argc == 2 && strcmp(argv[1], "manual") == 0;
    if (!manual && (argc != 2 || strcmp(argv[1], "sample") != 0)) {
        (void)fprintf(stderr, "usage: conf_pages manual|sample\n");
        return 2;
    }
    struct buf text = { 0 };
    conf_describe(manual ? CONF_MANUAL : CONF_SAMPLE, &text);
    bool failed = text.failed || fwrite(text.at, 1, text.size, stdout) != text.size || fflush(stdout) != 0;
    buf_free(&text);
    return failed ? 1 : 0;
}
