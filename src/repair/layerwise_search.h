/* Candidates of a search that edits several layers: how good they are, and which are kept. Shared
 * by the methods that end in solves of single layers (layerwise, multilayer). */
#ifndef NM_REPAIR_LAYERWISE_SEARCH_H
#define NM_REPAIR_LAYERWISE_SEARCH_H

#include "repair/layerwise_state.h"

/** The best that a search, or a range of its layers, has come to. */
typedef struct nm_lw_best {
    bool any, holds;
    double loss, norm;
    nm_changes changes;
} nm_lw_best;

/** What the whole search has found. */
typedef struct nm_lw_search {
    nm_lw *lw;
    nm_lw_best found; /* holds, if any */
    int64_t least_missed;
} nm_lw_search;

/** Rates the present changes as an answer to the goal. Values up to the goal's are up to date. */
nm_status nm_lw_rate(nm_lw_search *search, const nm_lw_goal *goal, nm_lw_best *now, nm_err *err);

/** Rates them, and keeps them in `best` if they are better; if they are a repair, in search->found,
 *  too. @param now  out, the rating; without changes */
nm_status nm_lw_consider(nm_lw_search *search, const nm_lw_goal *goal, nm_lw_best *best,
                         nm_lw_best *now, nm_err *err);

/** All that is left to change is edit b: towards the goal as far as one layer can. After
 *  nm_lw_aim(). */
nm_status nm_lw_last_layer(nm_lw_search *search, int b, const nm_lw_goal *goal, nm_err *err);

/** Scales what was found down as far as it still does. */
nm_status nm_lw_shorten(nm_lw_search *search, nm_err *err);

/** What a method does between the first rating and the shortening: searches from `best`, the
 * original at first, and leaves what it finds in search->found. */
typedef nm_status (*nm_lw_look)(nm_lw_search *search, const nm_lw_goal *whole, nm_lw_best *best,
                                void *user, nm_err *err);

/** One whole repair by a method; arguments as those of nm_layerwise(). A limit or an interrupt is
 * an outcome in the report. */
nm_status nm_lw_run(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x, int64_t n,
                    const nm_union *goal, const nm_layerwise_opts *opts, nm_lw_look look,
                    void *user, nm_changes *out, nm_layerwise_report *report, nm_err *err);

#endif
