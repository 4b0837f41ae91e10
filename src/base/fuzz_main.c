/* Drives a fuzz target without libFuzzer: every file given, or in a folder given, is one input. So that each build,
 * with any compiler and on any machine, replays the kept corpora. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

enum { INPUT_MAX = 1 << 24 };

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    uint8_t *bytes = malloc(INPUT_MAX);
    size_t size = bytes != NULL ? fread(bytes, 1, INPUT_MAX, file) : 0;
    (void)fclose(file);
    /* an exact copy, so that a sanitizer sees a step beyond the end */
    uint8_t *exact = malloc(size + (size == 0));
    if (bytes == NULL || exact == NULL)
        abort();
    for (size_t i = 0; i < size; i++)
        exact[i] = bytes[i];
    free(bytes);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            if (run_file(argv[i]) == -1)
                return 1;
            count++;
            continue;
        }
        struct dirent *entry;
        while ((entry = readdir(folder)) != NULL) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            (void)snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (run_file(path) == -1)
                return 1;
            count++;
        }
        (void)closedir(folder);
    }
    /* TAP, for the test runner */
    (void)printf("1..1\n%s 1 - %d inputs replayed\n", count > 0 ? "ok" : "not ok", count);
    return count > 0 ? 0 : 1;
}
