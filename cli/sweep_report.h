/* The report of a sweep: details of each row, kept in files beside the page so that a sweep that
 * was interrupted goes on with them. */
#ifndef NM_CLI_SWEEP_REPORT_H
#define NM_CLI_SWEEP_REPORT_H

#include "sweep_run.h"

enum { NM_DETAILS_PATH = 4096 };

/** Makes the folder of the details, REPORT.rows. */
nm_status nm_sweep_details_folder(const char *report, nm_err *err);

/** Name of the file of one row, which follows from the combination and the task.
 *  @return NM_E_ARG if the path is too long */
nm_status nm_sweep_details_path(const char *report, const nm_row *row, char path[NM_DETAILS_PATH],
                                nm_err *err);

/** Writes the file of one row, whole or not at all.
 *  @param fixed  NULL if there is no repaired network */
nm_status nm_sweep_details_write(nm_cli *cli, const char *path, const nm_net *net,
                                 const nm_net *fixed, const nm_repair_task *task,
                                 const nm_strategy_report *passes, nm_err *err);

/** Hands all rows with their details to the page, and has it written at the end. */
nm_status nm_sweep_report_put(nm_cli *cli, const char *report, const nm_row *rows, int64_t n,
                              const nm_repair_args *args, nm_err *err);

#endif
