/* What every verb gets and gives. */
#ifndef NM_CLI_CLI_H
#define NM_CLI_CLI_H

#include "doc.h"
#include "fail.h"
#include "netmend/netmend.h"
#include "opt.h"
#include "term.h"

/** Exit codes of the contract (cli.md). */
enum {
    NM_EXIT_DONE = 0,
    NM_EXIT_NEGATIVE = 1,
    NM_EXIT_USAGE = 2,
    NM_EXIT_BAD_INPUT = 3,
    NM_EXIT_LIMIT = 4,
    NM_EXIT_INTERNAL = 5,
    NM_EXIT_INTERRUPTED = 130
};

/** Options of all verbs. A verb's struct begins with them. */
typedef struct nm_common_opts {
    bool json, quiet, verbose, help, version;
    int64_t threads, seed;
    double time_limit_s;
    int color;
} nm_common_opts;

/** Rows for nm_common_opts. */
extern const nm_opt nm_common_rows[];

/** The last entry of every array of groups. */
#define NM_COMMON_GROUP                                                                            \
    {                                                                                              \
        "Common options", nm_common_rows, 0                                                        \
    }

/** One run of one verb. */
typedef struct nm_cli {
    const nm_common_opts *common;
    nm_ctx *ctx;
    nm_term term;
    nm_doc doc;
    const char *report; /**< HTML page to write of the document in the end; NULL = none */
    const char *status; /**< of the JSON document; "done" unless the verb says otherwise */
    int exit_code;      /**< of a run without failure; 0 unless the verb says otherwise */
} nm_cli;

/** Where the verb's text report goes: standard output (then the progress line is gone), or NULL
 *  with --json. To be asked when the report is ready. */
FILE *nm_cli_text(nm_cli *cli);

/** A warning of the command itself, as those of the library. */
void nm_cli_warn(nm_cli *cli, const char *fmt, ...) NM_PRINTF(2, 3);

/** A verb: its help, its options and its function. */
typedef struct nm_verb {
    const char *name;
    const char *summary;        /**< one line for the list of verbs */
    const char *synopsis;       /**< behind "netmend NAME " */
    const char *description;    /**< one sentence */
    const char *exit_codes;     /**< lines of the help, NULL = those that all verbs share */
    const char *examples[2];    /**< whole command lines */
    const nm_opt_group *groups; /**< ends with NM_COMMON_GROUP and an empty entry */
    size_t args_bytes;          /**< of the struct the groups describe */

    /** Does the work: fills the document, prints the text report when nm_cli_text() asks for it.
     *  @param args  the verb's struct; choices left open may be filled in for the echo */
    nm_status (*run)(nm_cli *cli, void *args, nm_err *err);
} nm_verb;

/** Parses the arguments behind the verb and runs it. @return the exit code */
int nm_cli_run(const nm_verb *verb, int argc, char *const *argv);

/** Prints the help of one verb. */
void nm_cli_print_help(FILE *out, const nm_verb *verb, bool color);

/** Flushes and closes standard output; what could not be written is an error. */
nm_status nm_cli_close_stdout(nm_err *err);

/** Exit code of a failure. */
int nm_cli_exit_code(nm_status status);

/** Exit code of a repair that came to an end. */
int nm_cli_outcome_exit_code(const nm_cli *cli, nm_outcome outcome);

/** The same in the help of verbs that repair. */
#define NM_REPAIR_EXIT_CODES                                                                       \
    "  0 repaired (in part, if that was asked for), 1 no such repair exists (proven),\n"           \
    "  2 wrong usage, 3 bad input,\n"                                                              \
    "  4 limit reached, 5 internal error, 130 interrupted\n"

/* One per file cmd_<name>.c; main.c lists them. */
extern const nm_verb nm_verb_info, nm_verb_eval, nm_verb_convert, nm_verb_train, nm_verb_repair,
    nm_verb_check, nm_verb_verify, nm_verb_demo, nm_verb_advise, nm_verb_sweep, nm_verb_compare;

#endif
