/* How many small letters, and how many bytes of large ones, pass through the pool in a second: what the walls cost,
 * since the translators only give back what they get. */
#include "translator/pool.h"
#include "translator/test_ops.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { AT_ONCE = 16, LARGEST = 4 << 20 };

static struct {
    struct loop *loop;
    struct translator *pool;
    struct translator_job jobs[AT_ONCE];
    struct span input;
    unsigned wanted, begun, ended;
} run;

static void fail(const struct err *err)
{
    (void)fprintf(stderr, "%s\n", err->text);
    exit(1);
}

static void begin(struct translator_job *job);

static void done(void *arg, struct span output, const struct err *err)
{
    if (err != NULL || output.size != run.input.size)
        fail(err != NULL ? err : &(struct err){ .text = "an output of another size" });
    if (++run.ended == run.wanted)
        loop_stop(run.loop);
    else if (run.begun < run.wanted)
        begin(arg);
}

static void begin(struct translator_job *job)
{
    struct err err = ERR_CLEAR;
    *job = (struct translator_job){ .op = TEST_ECHO, .input = run.input, .done = done, .arg = job };
    run.begun++;
    if (translator_submit(run.pool, job, &err) == -1)
        fail(&err);
}

static void measure(size_t size, unsigned jobs)
{
    static const uint8_t bytes[LARGEST];
    run.input = span_of(bytes, size);
    run.wanted = jobs;
    run.begun = run.ended = 0;
    int64_t start = clock_steady();
    for (size_t i = 0; i < AT_ONCE; i++)
        begin(&run.jobs[i]);
    loop_run(run.loop);
    double seconds = (double)(clock_steady() - start) / (double)CLOCK_SECOND;
    (void)printf("%8zu bytes: %8.0f jobs/s %8.1f MB/s\n", size, jobs / seconds, (double)size * jobs / seconds / 1e6);
}

int main(int argc, char **argv)
{
    struct err err = ERR_CLEAR;
    struct zygote zygote;
    struct translator_options options = { .jobs_max = 1000 };
    if (zygote_is_meant(argc, argv))
        return zygote_main(&test_ops);
    run.loop = loop_new();
    if (run.loop == NULL || zygote_start(&zygote, &err) == -1 ||
        translator_new(run.loop, &zygote, &options, &run.pool, &err) == -1)
        fail(&err);
    measure(2000, 20000);
    measure(64 << 10, 10000);
    measure(LARGEST, 200);
    translator_free(run.pool);
    zygote_end(&zygote);
    loop_free(run.loop);
    return 0;
}
