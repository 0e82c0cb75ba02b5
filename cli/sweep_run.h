/* One row of a sweep: choose points, choose parameters, repair in memory, measure. */
#ifndef NM_CLI_SWEEP_RUN_H
#define NM_CLI_SWEEP_RUN_H

#include "repair_data.h"
#include "sweep_config.h"

/** What all rows share. */
typedef struct nm_sweep_task {
    const nm_repair_args *args;
    nm_net *net;
    nm_points pool, keep, reference, validation, test,
        similar;           /**< test: the pool where none is given */
    bool test_is_pool;     /**< their rows are those of one file */
    float *pool_scores;    /**< [pool.n x outputs] */
    nm_eval_report before; /**< of the test points */
} nm_sweep_task;

/** Loads network and points. Free with nm_sweep_task_close(), also after a failure. */
nm_status nm_sweep_task_open(nm_cli *cli, const nm_repair_args *args, nm_sweep_task *out,
                             nm_err *err);
void nm_sweep_task_close(nm_sweep_task *task);

/** Runs one combination. What goes wrong stands in the row (status `error`); only running out of
 *  memory and an interrupt are failures.
 *  @param details  file for what a report shows of the row, NULL = none */
nm_status nm_sweep_run(nm_cli *cli, const nm_sweep_task *task, const nm_sweep_cell *cell,
                       double time_limit_s, const char *details, nm_row *row, nm_err *err);

/** The parts of the row that say what it is about. */
void nm_sweep_label(const nm_sweep_cell *cell, const char *task, nm_row *row);

#endif
