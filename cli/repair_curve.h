/* netmend repair --curve: what margin and damping cost. */
#ifndef NM_CLI_REPAIR_CURVE_H
#define NM_CLI_REPAIR_CURVE_H

#include "repair_args.h"

/** NM_E_ARG unless --curve is "table" or a file to be written. */
nm_status nm_curve_check(const nm_repair_args *args, nm_err *err);

/** After a repair: runs the curve if one is wanted, draws it if it names a file, and puts it into
 * the document. *curve stays {0} without one. Free with nm_curve_free(). */
nm_status nm_curve_trace(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                         const nm_plan *plan, const nm_repair_task *task,
                         const nm_repair_opts *opts, const nm_repair_report *report,
                         nm_curve *curve, nm_err *err);

/** The table, if there is one. */
void nm_curve_print(FILE *out, const nm_repair_args *args, const nm_curve *curve);

#endif
