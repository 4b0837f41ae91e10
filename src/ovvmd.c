/* ovvmd: the daemon.
 *
 *     ovvmd [-c FILE] [-f] [--check] [--version]
 *
 * Without -f it goes into the background once it is ready (systemd runs it with -f and waits for its notice). SIGTERM
 * and SIGINT: takes no more, finishes what is in hand, signs off, ends. SIGHUP: reads the log levels, the tables and
 * the people anew. A second SIGTERM ends it at once; the ledger makes that harmless.
 *
 * Exit status: 0 done, 2 usage, 3 refused (configuration, or the ledger is another's), 75 try again (disk, memory).
 */
#include "admin/control.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/fault.h"
#include "base/log.h"
#include "directory/child.h"
#include "translator/ops.h"
#include "translator/zygote.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define DEFAULT_CONF "/etc/ovvm/ovvm.conf"

enum { EXIT_DONE = 0, EXIT_USAGE = 2, EXIT_REFUSED = 3, DRAIN_US = 10000000 };

FAILPOINT_DECLARE("daemon.ready");

struct daemon {
    const char *conf_path;
    struct conf conf;
    struct loop *loop;
    struct store *store;
    struct instance instance;
    struct zygote zygote;
    struct registry *registry;
    struct tables *tables;
    struct people_directory *directory;
    struct gateway *gateway;
    struct control *control;
    struct event *signals[3];
    bool started, stopping, drained;
};

static void usage(FILE *to)
{
    (void)fputs("usage: ovvmd [-c FILE] [-f] [--check | --version]\n"
                "  -c FILE    configuration (default " DEFAULT_CONF ")\n"
                "  -f         stay in the foreground\n"
                "  --check    check the configuration, start nothing\n"
                "  --version  print the version\n"
                "See ovvmd(8) and ovvm.conf(5).\n",
                to);
}

static int load_conf(const char *path, struct conf *conf_r)
{
    static struct conf_problems problems;
    if (conf_load(path, conf_r, &problems) == 0)
        return 0;
    struct buf text = { 0 };
    conf_problems_print(&problems, path, &text);
    (void)fwrite(text.at, 1, text.size, stderr);
    buf_free(&text);
    return -1;
}

static void apply_log(const struct conf *conf)
{
    for (int i = 0; i < LOG_CATEGORIES; i++)
        log_set_level((enum log_category)i, conf->log.levels[i]);
}

/* --- signals --- */

static void drained(void *arg)
{
    struct daemon *daemon = arg;
    daemon->drained = true;
    loop_stop(daemon->loop);
}

/* As a crash would: letters and ledger jobs under way are left as they are, and the ledger makes that harmless. */
static void end_at_once(struct daemon *daemon, int status, const char *why)
{
    log_warning(LOG_CORE, 500, "%s", why);
    control_unlink(daemon->control);
    _exit(status);
}

static void begin_stop(struct daemon *daemon)
{
    (void)sd_notify(0, "STOPPING=1");
    gateway_drain(daemon->gateway, DRAIN_US, drained, daemon);
}

static void on_stop(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    struct daemon *daemon = arg;
    if (daemon->stopping)
        end_at_once(daemon, EXIT_DONE, "stopped at once by a second signal");
    daemon->stopping = true;
    log_info(LOG_CORE, 505, "stopping (signal %d): no more letters are taken, those in hand are finished", (int)number);
    if (daemon->started) /* else when the doors are open and can be closed */
        begin_stop(daemon);
}

static void on_reload(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct daemon *daemon = arg;
    struct conf conf;
    static struct conf_problems problems;
    if (conf_load(daemon->conf_path, &conf, &problems) == -1) {
        log_error(LOG_CORE, 510, "%s is not taken over: line %u: %s", daemon->conf_path, problems.at[0].line,
                  problems.at[0].text);
        return;
    }
    apply_log(&conf);
    conf_free(&conf);
    log_info(LOG_CORE, 514, "log levels read anew; other keys take effect at the next start");
    if (daemon->tables != NULL)
        tables_reload(daemon->tables, &(struct tables_reload){ .done = NULL });
    if (daemon->directory != NULL)
        people_directory_load(daemon->directory, &(struct tables_reload){ .done = NULL });
}

static int listen_to_signals(struct daemon *daemon)
{
    static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        daemon->signals[i] =
            evsignal_new(loop_base(daemon->loop), numbers[i], numbers[i] == SIGHUP ? on_reload : on_stop, daemon);
        if (daemon->signals[i] == NULL || event_add(daemon->signals[i], NULL) == -1)
            return -1;
    }
    return 0;
}

/* --- the background --- */

/* Parent: waits for the child's word and ends with its status. Child: returns the descriptor to write it to. */
static int go_to_background(void)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    pid_t child = fork();
    if (child == -1)
        return -1;
    if (child > 0) {
        char status = EX_TEMPFAIL;
        (void)close(ends[1]);
        if (read(ends[0], &status, 1) != 1)
            (void)fputs("ovvmd did not start; its log says why\n", stderr);
        _exit(status);
    }
    (void)close(ends[0]);
    (void)setsid();
    return ends[1];
}

static void tell_parent(int fd, int exit_status)
{
    char status = (char)exit_status;
    if (fd == -1)
        return;
    ssize_t put = write(fd, &status, 1);
    (void)put; /* a parent that is gone needs no word */
    (void)close(fd);
    if (status != EXIT_DONE)
        return; /* the reason is still to be seen */
    int null = open("/dev/null", O_RDWR);
    if (null != -1) {
        for (int i = 0; i < 3; i++)
            (void)dup2(null, i);
        (void)close(null);
    }
}

/* --- life --- */

static int exit_status(const struct err *err)
{
    return err_family(err->id) == ERR_FAMILY_TEMPORARY ? EX_TEMPFAIL : EXIT_REFUSED;
}

static int make_state_folder(const char *path, struct err *err)
{
    struct stat status;
    if (stat(path, &status) == 0 || mkdir(path, 0700) == 0)
        return 0;
    return err_set(err, ERR_CONFIG, "[connector] state %.150s cannot be made: %m", path);
}

static int start(struct daemon *daemon, struct err *err)
{
    struct store_options options = { .url = daemon->conf.store.url,
                                     .state = daemon->conf.connector.state,
                                     .loop = daemon->loop,
                                     .readers = (int)daemon->conf.store.readers,
                                     .create = true };
    if (make_state_folder(daemon->conf.connector.state, err) == -1 || store_open(&options, &daemon->store, err) == -1)
        return -1;
    daemon->instance = store_instance(daemon->store);
    daemon->registry = registry_new(daemon->store, registry_policy_of(&daemon->conf));
    if (daemon->registry == NULL)
        return err_set(err, ERR_NO_MEMORY, "out of memory");
    struct tables_options tables = { .loop = daemon->loop,
                                     .store = daemon->store,
                                     .registry = daemon->registry,
                                     .conf = &daemon->conf,
                                     .active = daemon->instance.state == INSTANCE_ACTIVE };
    if (tables_new(&tables, &daemon->tables, err) == -1)
        return -1;
    struct people_directory_options directory = { .loop = daemon->loop,
                                                  .store = daemon->store,
                                                  .registry = daemon->registry,
                                                  .conf = &daemon->conf,
                                                  .tables = tables_current(daemon->tables),
                                                  .active = tables.active };
    if (people_directory_new(&directory, &daemon->directory, err) == -1)
        return -1;
    struct gateway_options gateway = { .loop = daemon->loop,
                                       .store = daemon->store,
                                       .conf = &daemon->conf,
                                       .tables = daemon->tables,
                                       .directory = daemon->directory,
                                       .registry = daemon->registry,
                                       .zygote = &daemon->zygote,
                                       .instance = &daemon->instance };
    if (gateway_new(&gateway, &daemon->gateway, err) == -1)
        return -1;
    struct control_options control = { .loop = daemon->loop,
                                       .store = daemon->store,
                                       .gateway = daemon->gateway,
                                       .tables = daemon->tables,
                                       .directory = daemon->directory,
                                       .registry = daemon->registry,
                                       .conf = &daemon->conf,
                                       .instance = &daemon->instance };
    return control_new(&control, &daemon->control, err);
}

static void stop(struct daemon *daemon)
{
    control_stop(daemon->control);
    gateway_halt(daemon->gateway);
    store_close(daemon->store);
    control_free(daemon->control);
    gateway_free(daemon->gateway);
    zygote_end(&daemon->zygote);
    people_directory_free(daemon->directory);
    tables_free(daemon->tables);
    registry_free(daemon->registry);
    for (size_t i = 0; i < sizeof daemon->signals / sizeof daemon->signals[0]; i++)
        if (daemon->signals[i] != NULL)
            event_free(daemon->signals[i]);
    loop_free(daemon->loop);
}

static int run(struct daemon *daemon, bool foreground)
{
    struct err err = ERR_CLEAR;
    int parent = -1;
    if (!foreground && (parent = go_to_background()) == -1) {
        perror("ovvmd");
        return EX_TEMPFAIL;
    }
    log_open("ovvmd", daemon->conf.log.target);
    apply_log(&daemon->conf);
    if (zygote_start(&daemon->zygote, &err) == -1) { /* before anything is opened that it should not inherit */
        log_error(LOG_CORE, 510, "not started: %s", err.text);
        tell_parent(parent, exit_status(&err));
        return exit_status(&err);
    }
    daemon->loop = loop_new();
    if (daemon->loop == NULL || listen_to_signals(daemon) == -1)
        (void)err_set(&err, ERR_NO_MEMORY, "the event loop cannot be made: %m");
    if (err.id != ERR_NONE || start(daemon, &err) == -1) {
        log_error(LOG_CORE, 510, "not started: %s", err.text);
        tell_parent(parent, exit_status(&err));
        return exit_status(&err);
    }
    log_info(LOG_CORE, 504, "ovvmd %s started: node %s, domain %s, %s", OVVM_VERSION, daemon->conf.connector.node.text,
             daemon->conf.connector.domain, instance_state_name(daemon->instance.state));
    (void)sd_notify(0, "READY=1");
    if (parent != -1 && daemon->conf.log.target == LOG_TO_AUTO)
        log_open("ovvmd", LOG_TO_JOURNAL); /* nobody reads stderr from now on */
    tell_parent(parent, EXIT_DONE);
    FAILPOINT("daemon.ready");
    daemon->started = true;
    if (daemon->stopping)
        begin_stop(daemon);
    if (!daemon->drained)
        loop_run(daemon->loop);
    int status = gateway_failed(daemon->gateway) ? EX_TEMPFAIL : EXIT_DONE;
    if (store_backlog(daemon->store) >
        0) /* the disk hangs, or somebody still asks: their answers must find their owners */
        end_at_once(daemon, status,
                    "the ledger has not answered all in time; what is under way is left to the next start");
    log_info(LOG_CORE, 505, "ovvmd ended");
    return status;
}

int main(int argc, char **argv)
{
    enum { OPTION_CHECK = 256, OPTION_VERSION, OPTION_HELP, OPTION_FAILPOINTS };
    static const struct option options[] = { { "check", no_argument, NULL, OPTION_CHECK },
                                             { "version", no_argument, NULL, OPTION_VERSION },
                                             { "help", no_argument, NULL, OPTION_HELP },
#ifdef OVVM_FAULTS
                                             { "failpoints", no_argument, NULL, OPTION_FAILPOINTS },
#endif
                                             { NULL, 0, NULL, 0 } };
    if (directory_is_meant(argc, argv))
        return directory_main();
    if (zygote_is_meant(argc, argv))
        return zygote_main(&ops_child);
    static struct daemon daemon = { .conf_path = DEFAULT_CONF };
    bool foreground = false;
    bool check = false;
    for (int option; (option = getopt_long(argc, argv, "c:f", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            daemon.conf_path = optarg;
            break;
        case 'f':
            foreground = true;
            break;
        case OPTION_CHECK:
            check = true;
            break;
        case OPTION_VERSION:
            (void)printf("ovvmd %s\n", OVVM_VERSION);
            return EXIT_DONE;
        case OPTION_HELP:
            usage(stdout);
            return EXIT_DONE;
#ifdef OVVM_FAULTS
        case OPTION_FAILPOINTS:
            fault_list();
            return EXIT_DONE;
#endif
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (optind != argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (load_conf(daemon.conf_path, &daemon.conf) == -1)
        return EXIT_REFUSED;
    if (check) {
        (void)printf("%s: no problems found\n", daemon.conf_path);
        conf_free(&daemon.conf);
        return EXIT_DONE;
    }
    fault_init();
    (void)umask(0077); /* the ledger holds letters; sockets get their modes where they are made */
    int status = run(&daemon, foreground);
    stop(&daemon);
    conf_free(&daemon.conf);
    return status;
}
