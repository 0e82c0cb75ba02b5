/* The claim that a repair leaves behind (--claim). */
#ifndef NM_CLI_REPAIR_CLAIM_H
#define NM_CLI_REPAIR_CLAIM_H

#include "repair_data.h"

/** Tells early that the claim cannot be written. */
nm_status nm_repair_claim_check(const nm_repair_args *args, nm_err *err);

/** Writes the claim if one was asked for and this outcome has one. A claim that takes longer than
 * the time limit is left out, with a warning.
 *  @param written  receives whether it is there */
nm_status nm_repair_claim_write(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                                const nm_plan *plan, const nm_repair_data *data,
                                const nm_repair_opts *opts, const nm_repair_report *report,
                                bool *written, nm_err *err);

#endif
