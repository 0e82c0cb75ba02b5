/* From an exact change to a judged float32 network. */
#ifndef NM_REPAIR_JUDGE_H
#define NM_REPAIR_JUDGE_H

#include "netmend/repair.h"
#include "problem/plan.h"
#include "verify/deploy.h"

/** A clone of net with net + delta, rounded to float32 as it will be written. A rounded change
 *  never leaves the plan's bounds: it is rounded towards the original value where it would.
 *  Parameters with delta 0 keep their bits. NM_E_INTERNAL if a result is not a finite float32.
 *  @param rounded  out, [params->n] the change after rounding */
nm_status nm_round_repair(const nm_net *net, const nm_plan *plan, const nm_params *params,
                          const double *delta, double *rounded, nm_net **out, nm_err *err);

/** Whether the rigorous any-order bound of point p is of any use: not far above the first-order
 *  one. Where it is not (deep nets), NM_SAFE_ANY_ORDER asks for twice the first-order bound, and
 *  the point is not counted as safe. */
bool nm_deploy_in_reach(const nm_deploy *deploy, int64_t p);

/** True if point p passes: right, and as safe as asked. */
bool nm_deploy_passes(const nm_deploy *deploy, nm_safe safe, int64_t p);

/** What `safe` asks the margin of point p to exceed; 0 for NM_SAFE_NONE. */
double nm_deploy_bound(const nm_deploy *deploy, nm_safe safe, int64_t p);

/** The net as its file will hold it, where that differs: weights set as doubles in a float32
 * tensor.
 *  @param out  NULL if the net is that already; else free with nm_net_free() */
nm_status nm_as_written(const nm_net *net, nm_net **out, nm_err *err);

/** Writes the net beside `path`, reads it back, and judges what was read: the repair points must
 *  pass, every margin must equal the one in memory but for the rounding of parameters. Only then it
 *  is renamed to path.
 *  @param x, target  [n x n_in], [n] the repair set
 *  @param must       [n] points that have to pass; NULL = all
 *  @param deploy     the judgement of `net`, or cleared; receives that of the file, which is the
 *                    same where the file holds the same network to the last bit
 *  @param read_back  receives the net as read from the file */
nm_status nm_write_judged(nm_ctx *ctx, const nm_net *net, const char *path, const float *x,
                          const int64_t *target, int64_t n, const bool *must, nm_safe safe,
                          nm_deploy *deploy, nm_net **read_back, nm_err *err);

#endif
