/* From arguments to exit code: what is the same for all verbs. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

static const char *const color_names[] = {"auto", "always", "never", NULL};

#define AT(field) .offset = offsetof(nm_common_opts, field)

const nm_opt nm_common_rows[] = {
    {.name = "json",
     .kind = NM_OPT_FLAG,
     AT(json),
     .help = "print one JSON document instead of text"},
    {.name = "threads",
     .kind = NM_OPT_INT,
     AT(threads),
     .arg = "N",
     .min = 1,
     .max = 1024,
     .initial = "all",
     .word = "all",
     .word_value = 0,
     .help = "worker threads; results do not depend on it"},
    {.name = "seed",
     .kind = NM_OPT_INT,
     AT(seed),
     .arg = "N",
     .initial = "0",
     .max = INFINITY,
     .help = "seed of everything random"},
    {.name = "time-limit",
     .kind = NM_OPT_DOUBLE,
     AT(time_limit_s),
     .arg = "T",
     .max = INFINITY,
     .above_min = true,
     .initial = "none",
     .word = "none",
     .word_value = INFINITY,
     .unit = "seconds",
     .help = "stop after this wall time"},
    {.name = "quiet",
     .short_name = 'q',
     .kind = NM_OPT_FLAG,
     AT(quiet),
     .help = "no warnings and no progress on standard error"},
    {.name = "verbose",
     .short_name = 'v',
     .kind = NM_OPT_FLAG,
     AT(verbose),
     .help = "say on standard error what is being done"},
    {.name = "color",
     .kind = NM_OPT_CHOICE,
     AT(color),
     .choices = color_names,
     .initial = "auto",
     .arg = "WHEN",
     .help = "auto, always or never; auto respects NO_COLOR and TERM=dumb"},
    {.name = "help",
     .short_name = 'h',
     .kind = NM_OPT_FLAG,
     AT(help),
     .not_echoed = true,
     .help = "print this help"},
    {.name = "version",
     .kind = NM_OPT_FLAG,
     AT(version),
     .not_echoed = true,
     .help = "print the version"},
    {0}};

#undef AT

int nm_cli_exit_code(nm_status status)
{
    switch (status) {
    case NM_OK:
        return NM_EXIT_DONE;
    case NM_E_ARG:
        return NM_EXIT_USAGE;
    case NM_E_FORMAT:
    case NM_E_SHAPE:
    case NM_E_UNSUPPORTED:
    case NM_E_IO:
        return NM_EXIT_BAD_INPUT;
    case NM_E_LIMIT:
        return NM_EXIT_LIMIT;
    case NM_E_CANCELLED:
        return NM_EXIT_INTERRUPTED;
    case NM_E_NOMEM:
    case NM_E_INTERNAL:
        break;
    }
    return NM_EXIT_INTERNAL;
}

int nm_cli_outcome_exit_code(const nm_cli *cli, nm_outcome outcome)
{
    if (nm_ctx_cancelled(cli->ctx))
        return NM_EXIT_INTERRUPTED;
    switch (outcome) {
    case NM_REPAIRED:
    case NM_PARTLY:
        return NM_EXIT_DONE;
    case NM_INFEASIBLE:
        return NM_EXIT_NEGATIVE;
    case NM_LIMIT:
        return NM_EXIT_LIMIT;
    }
    return NM_EXIT_INTERNAL;
}

FILE *nm_cli_text(nm_cli *cli)
{
    nm_term_clear(&cli->term);
    return cli->common->json ? NULL : stdout;
}

void nm_cli_warn(nm_cli *cli, const char *fmt, ...)
{
    char line[512];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    nm_term_log(&cli->term, NM_LOG_WARNING, line);
}

nm_status nm_cli_close_stdout(nm_err *err)
{
    bool failed = ferror(stdout) != 0;

    errno = 0;
    if (fclose(stdout) != 0 || failed)
        return nm_cli_fail(err, NM_E_INTERNAL, "cannot write to standard output: %s",
                           errno ? strerror(errno) : "write error");
    return NM_OK;
}

/* -- interruption ------------------------------------------------------------------------------ */

/* A signal handler has no other way to reach the context. */
static nm_ctx *signalled_ctx;

static void on_signal(int number)
{
    (void)number;
    nm_ctx_cancel(signalled_ctx);
}

/* The first signal asks the library to stop; SA_RESETHAND lets a second one end the program. */
static void catch_signals(nm_ctx *ctx)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    signalled_ctx = ctx;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

static void release_signals(void)
{
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGTERM, SIG_DFL);
    signalled_ctx = NULL;
}

/* -- one run ----------------------------------------------------------------------------------- */

static nm_status open_run(nm_cli *cli, nm_err *err)
{
    const nm_common_opts *common = cli->common;
    nm_status rc = nm_ctx_new(&cli->ctx, err);

    if (rc != NM_OK)
        return rc;
    if (common->threads > 0)
        nm_ctx_set_threads(cli->ctx, (int)common->threads);
    if (common->time_limit_s < INFINITY)
        nm_ctx_set_time_limit(cli->ctx, common->time_limit_s);
    nm_term_start(&cli->term);
    nm_ctx_set_log(cli->ctx, nm_term_log, &cli->term);
    nm_ctx_set_progress(cli->ctx, nm_term_progress, &cli->term);
    catch_signals(cli->ctx);
    return nm_doc_open(&cli->doc, err);
}

static void close_run(nm_cli *cli)
{
    nm_term_clear(&cli->term);
    release_signals();
    nm_doc_close(&cli->doc);
    nm_ctx_free(cli->ctx);
}

/* A failure has its place in the document, too, so that --json never prints nothing. */
static void put_failure(nm_cli *cli, nm_status status, const nm_err *err)
{
    cli->status = "error";
    nm_doc_put(
        &cli->doc, "error",
        json_pack("{s:s, s:o}", "code", nm_status_name(status), "message", nm_doc_text(err->text)));
}

static nm_status write_report(nm_cli *cli, const nm_doc_head *head, nm_err *err)
{
    nm_status rc = nm_doc_write_page(&cli->doc, head, cli->report, err);

    if (rc == NM_OK && !cli->common->json)
        (void)printf("wrote %s\n", cli->report);
    return rc;
}

/* Runs the verb, prints its document. The first failure counts, also that of closing the output. */
static nm_status run_opened(nm_cli *cli, const nm_verb *verb, void *args, nm_err *err)
{
    double start = nm_term_now();
    nm_status rc = verb->run(cli, args, err);
    nm_status later = NM_OK;

    nm_doc_head head = {.verb = verb->name,
                        .groups = verb->groups,
                        .values = args,
                        .seed = cli->common->seed,
                        .threads = nm_ctx_threads(cli->ctx),
                        .total_s = nm_term_now() - start};

    nm_term_clear(&cli->term);
    head.status = cli->status;
    if (rc == NM_OK && cli->report)
        rc = write_report(cli, &head, err);
    if (rc != NM_OK)
        put_failure(cli, rc, err);
    head.status = cli->status;
    if (cli->common->json)
        later = nm_doc_print(&cli->doc, &head, err);
    if (later == NM_OK)
        later = nm_cli_close_stdout(err);
    return rc != NM_OK ? rc : later;
}

static nm_status print_page(const nm_cli *cli, const nm_verb *verb, nm_err *err)
{
    if (cli->common->help)
        nm_cli_print_help(stdout, verb, nm_term_colored(&cli->term, stdout));
    else
        (void)printf("netmend %s\n", nm_version());
    return nm_cli_close_stdout(err);
}

static nm_status parse_and_run(nm_cli *cli, const nm_verb *verb, int argc, char *const *argv,
                               void *args, nm_err *err)
{
    const nm_common_opts *common = args;
    nm_status rc;

    nm_opt_defaults(verb->groups, args);
    rc = nm_opt_parse(verb->groups, argc, argv, args, err);
    if (rc != NM_OK)
        return rc;
    cli->common = common;
    cli->term.quiet = common->quiet;
    cli->term.verbose = common->verbose;
    cli->term.color = (nm_color)common->color;
    if (common->help || common->version)
        return print_page(cli, verb, err);
    rc = nm_opt_check_required(verb->groups, args, err);
    if (rc != NM_OK)
        return rc;
    rc = open_run(cli, err);
    if (rc == NM_OK)
        rc = run_opened(cli, verb, args, err);
    close_run(cli);
    return rc;
}

int nm_cli_run(const nm_verb *verb, int argc, char *const *argv)
{
    nm_cli cli = {.term.verb = verb->name, .status = "done"};
    nm_err err = {0};
    void *args = calloc(1, verb->args_bytes);
    nm_status rc;

    rc = args ? parse_and_run(&cli, verb, argc, argv, args, &err)
              : nm_cli_fail(&err, NM_E_NOMEM, "out of memory");
    if (rc != NM_OK)
        nm_term_error(&cli.term, err.text);
    free(args);
    return rc == NM_OK ? cli.exit_code : nm_cli_exit_code(rc);
}
