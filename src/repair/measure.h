/* What a repair did: to the points, to held-out data, to the parameters. */
#ifndef NM_REPAIR_MEASURE_H
#define NM_REPAIR_MEASURE_H

#include "netmend/repair.h"
#include "verify/deploy.h"

/** Counts over the points of a set. `after` is all zero when there is no repaired net. */
nm_set_report nm_measure_judged(const nm_deploy *before, const nm_deploy *after);

/** A set of n points of which nothing is known but their number. */
nm_set_report nm_measure_nothing(int64_t n);

/** Judges a set before and after. fixed may be NULL (nothing was repaired). */
nm_status nm_measure_points(const nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                            const nm_points *points, nm_set_report *out, nm_err *err);

/** Accuracy in float32 before and after; NAN without points, or without a fixed net. */
nm_status nm_measure_accuracy(nm_ctx *ctx, const nm_net *net, const nm_net *fixed,
                              const nm_points *points, nm_accuracy_report *out, nm_err *err);

/** The layers that a plan edits, ascending, into the report. */
nm_status nm_measure_layers(const nm_net *net, const nm_plan *plan, nm_repair_report *report,
                            nm_err *err);

/** Norms of a change [n] and how many entries are not 0, into the report. */
void nm_measure_change(const double *change, int64_t n, nm_repair_report *report);

#endif
