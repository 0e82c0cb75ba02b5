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

#endif
