/* Judging a network that was repaired for some of the points only. */
#ifndef NM_REPAIR_JUDGE_SOME_H
#define NM_REPAIR_JUDGE_SOME_H

#include "repair/judge.h"

/** Which points count as repaired: those that pass, and of points that were left out (margins were
 *  not asked of them) only those with the margin all the same.
 *  @param out     [n] points that were left out, NULL = none
 *  @param asked   margin that the user asks of every point
 *  @param passes  out, [n]   @param right  out, [n]
 *  @return how many pass */
int64_t nm_judge_points(const nm_deploy *deploy, nm_safe safe, const bool *out, double asked,
                        bool *passes, bool *right);

/** nm_write_judged() in which only the points that `must` pass are asked to; `deploy` is of all
 *  points, from the file. */
nm_status nm_write_judged_some(nm_ctx *ctx, const nm_net *net, const char *path, const float *x,
                               const int64_t *target, int64_t n, const bool *must, nm_safe safe,
                               nm_deploy *deploy, nm_net **read_back, nm_err *err);

#endif
