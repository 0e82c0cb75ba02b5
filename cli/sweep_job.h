/* All rows of a sweep: which are there already, running the others, the table, the report. */
#ifndef NM_CLI_SWEEP_JOB_H
#define NM_CLI_SWEEP_JOB_H

#include "sweep_run.h"

/** Where rows go, and how many run at the same time. */
typedef struct nm_sweep_output {
    const char *csv;    /**< table that is written and resumed; NULL = none */
    const char *report; /**< page of all rows; NULL = none */
    int64_t jobs;       /**< rows at the same time, 0 = one a thread */
} nm_sweep_output;

extern const nm_opt nm_sweep_output_rows[];

/** Filled by the verb: the first group. */
typedef struct nm_sweep {
    nm_cli *cli;
    nm_sweep_config config;
    nm_repair_args shared; /**< options of all rows */
    nm_sweep_output to;

    nm_sweep_task task; /* what workers share, loaded before they are forked */
    bool entered;       /* in a worker */
    uint64_t digest;    /* of the shared options */
    nm_row *rows;       /* [n] */
    int64_t n, n_resumed, n_done;
    double start;
} nm_sweep;

/** Options that all rows share: the configuration's, then the common options, the network and the
 *  data that are given on the command line.
 *  @param source  the configuration, for messages */
nm_status nm_sweep_merge(nm_sweep *sweep, const char *source, const nm_repair_args *given,
                         nm_err *err);

/** Runs all rows of the configuration that are not in the table yet, fills the document and prints
 *  the report. Under mpirun the ranks share the rows, and only rank 0 returns. */
nm_status nm_sweep_all(nm_sweep *sweep, nm_err *err);

/** Frees everything, the configuration too. */
void nm_sweep_close(nm_sweep *sweep);

#endif
