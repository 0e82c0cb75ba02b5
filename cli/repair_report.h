/* What `netmend repair --report` and `netmend sweep --report` show beyond the JSON document. */
#ifndef NM_CLI_REPAIR_REPORT_H
#define NM_CLI_REPAIR_REPORT_H

#include "repair_args.h"

/** Looks closely at a repair for its page, and has the page written at the end; nothing without
 *  --report. What an interrupt cuts off is left out of the page.
 *  @param fixed  NULL if there is no repaired network */
nm_status nm_repair_report_put(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                               const nm_net *fixed, const nm_repair_task *task,
                               const nm_repair_opts *opts, nm_err *err);

/** The scores of all heuristics for all layers, for the page ("layer_votes", a list). */
nm_status nm_report_put_votes(nm_cli *cli, const nm_net *net, const nm_repair_task *task,
                              const nm_repair_opts *opts, nm_free_kind free, nm_err *err);

#endif
