/* Where a range of layers can be cut, and what the gradient wishes for there. */
#ifndef NM_REPAIR_LAYERWISE_CUTS_H
#define NM_REPAIR_LAYERWISE_CUTS_H

#include "repair/layerwise_state.h"

/** A place where the range can be cut: behind edit b. */
typedef struct nm_lw_cut {
    int b;
    double need; /* size of the change that the whole step would need there; INFINITY: nothing there
                    moves some point */
    double *z;   /* [n x size] values ... */
    double *step; /* ... and what takes them to the goal, to first order */
} nm_lw_cut;

/** Shares of the whole step that are worth a try, in this order. */
extern const double nm_lw_shares[];
enum { NM_LW_N_SHARES = 6 };

/** The cut behind edit b, after nm_lw_gradients() from b or before. Free with
 *  nm_lw_cut_clear(), also after a failure. */
nm_status nm_lw_cut_make(const nm_lw *lw, const nm_lw_goal *goal, int b, nm_lw_cut *cut,
                         nm_err *err);
void nm_lw_cut_clear(nm_lw_cut *cut);

/** The cuts of edits lo .. hi that move every point, least needed change first, at most
 *  lw->opts.breadth of them. After nm_lw_aim(). Free with nm_lw_cuts_free(). */
nm_status nm_lw_cuts_list(nm_lw *lw, const nm_lw_goal *goal, int lo, int hi, nm_lw_cut **cuts,
                          int *n, nm_err *err);
void nm_lw_cuts_free(nm_lw_cut *cuts, int n);

/** z + share * step, a new array. */
nm_status nm_lw_cut_wish(const nm_lw *lw, const nm_lw_cut *cut, double share, double **wish,
                         nm_err *err);

#endif
