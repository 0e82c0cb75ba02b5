/* The independent checker's word on a repair that a test or benchmark has made: what `netmend
 * check` does, from files. Knows nothing of cmocka. */
#ifndef NM_TESTS_CONFIRM_REPAIR_H
#define NM_TESTS_CONFIRM_REPAIR_H

#include "netmend/netmend.h"

/** A repair as nm_repair() was asked for it and what came of it. Everything is lent. */
typedef struct nm_repaired {
    const nm_net *net, *fixed;
    const nm_plan *plan;
    const nm_repair_task *task;
    const nm_repair_opts *opts;
    const nm_repair_report *report;
} nm_repaired;

/** Writes both networks, the points and a claim into a folder of its own, has the claim checked
 * from there (with a context of its own) and removes the folder. The claim speaks of the
 * architecture, the repair and the keep set; of optimality where opts->certify was set. Repairs
 * that came to nothing, and thus left no network, pass.
 *  @return NM_E_INTERNAL with the finding where a statement is refuted; errors of claims and files
 */
nm_status nm_confirm_repair(const nm_repaired *r, nm_err *err);

/** nm_repair() with the confirmation behind it. */
nm_status nm_repair_confirmed(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                              const nm_repair_task *task, const nm_repair_opts *opts,
                              const char *path, nm_net **fixed, nm_repair_report *report,
                              nm_err *err);

#endif
