/* Pointwise repair: a change of the free parameters under which every repair point has its margin
 * and every keep point stays right, by true forward evaluation in double.
 *
 * Where it is looked for (design, section 5):
 *  1. the program linearised at the original network. Exact, and so the only place, where the tail
 *     is affine or all pins are asked for (APRNN, PLDI 2023);
 *  2. accumulated steps: smallest step at the current weights, linearise there, repeat, until the
 *     forward evaluation accepts;
 *     They start where the points are read like reference data, if that helps
 *     (repair/shifted.h), and end there then; else at no change;
 *  3. the program linearised at the repaired network, measured from the original one: feasible by
 *     construction, and smaller than the accumulated change;
 *  4. where the steps fail and pins may be used: the original network again, with the neurons
 *     pinned whose flips spoil a point. */
#ifndef NM_REPAIR_POINTWISE_H
#define NM_REPAIR_POINTWISE_H

#include "problem/crowd.h"
#include "repair/engine.h"

typedef enum nm_search_outcome {
    NM_SEARCH_FOUND,
    NM_SEARCH_INFEASIBLE, /* proven for the problem as posed (see `reason`) */
    NM_SEARCH_GAVE_UP     /* no answer */
} nm_search_outcome;

/** State that survives from one search to the next (margins change in between). */
typedef struct nm_search {
    const nm_ctx *ctx;
    const nm_net *net;
    const nm_plan *plan;
    const nm_params *params;
    const nm_repair_opts *opts;
    int64_t n_repair;
    nm_tail *active;  /* repair points, then the keep points that were ever broken */
    nm_demand demand; /* of the active points */
    int64_t demand_room;
    nm_crowd *keep;      /* NULL without keep set */
    const float *keep_x; /* [n_keep x n_in] */
    int64_t n_keep;
    const int64_t *keep_target; /* [n_keep] */
    double *keep_margin;        /* [n_keep] what each must keep; -INFINITY: wrong before, free */
    int64_t *keep_slot;         /* [n_keep] index among the active points, -1 if not there */
    nm_edits *edits;            /* NULL: the edit is not of matrix form */
    nm_metric *metric;          /* function norm only */
    nm_crowd *crowd;            /* reference data of the metric; may be `keep` */
    const int64_t *reference_labels; /* [crowd->n]; NULL: unknown */
    double damping_in;               /* share of the mean, as asked for or found */
    double typical_gap;              /* median distance between the two best scores there; else 0 */
    nm_refine_report refined;        /* what became of the last answer */
    bool own_reference;              /* reference data that are not the repair points */
    bool shift_sought;
    double *shift; /* [params->n] where steps start (repair/shifted.h); NULL: at no change */
    nm_shift_report shifted;
    bool answered;   /* delta is an answer, for margins that were lower perhaps */
    nm_forms *forms; /* engine `least` only */
    const nm_engine *engine;
    double *original_scores; /* [n_repair x n_scores] */
    nm_row_id *seed_rows;    /* rows of the last program at the original network */
    int64_t n_seed_rows;
    double *reference; /* [params->n] in whose pieces the last answer was found; NULL: original */
    nm_row_id *reference_rows; /* rows of the program there */
    int64_t n_reference_rows;
    /* result */
    double *delta;   /* [params->n] */
    double *closest; /* [params->n] the accumulated change that came closest, where none of the
                        last search arrived; NULL otherwise */
    nm_program_figures figures;
    int linearisations, rounds;
    char reason[256];
    bool *conflict;             /* [active points] after INFEASIBLE; NULL otherwise */
    nm_certificate certificate; /* of the last program that was accepted or infeasible, if asked */
} nm_search;

/** The data of a search; all lent. */
typedef struct nm_search_data {
    const float *x;                /* [n x n_in] repair points */
    const int64_t *target;         /* [n] */
    const nm_out_row *const *rule; /* [n] in place of the classes (see nm_demand); NULL: classes */
    int64_t n;
    bool least;          /* the smallest score decides, not the largest */
    const float *keep_x; /* NULL without keep set */
    const int64_t *keep_target;
    int64_t n_keep;
    double blur;              /* what float32 evaluation takes from a typical margin; 0: unknown */
    const float *reference_x; /* function norm only; may be keep_x or x */
    const int64_t *reference_labels; /* [n_reference] classes; NULL: unknown */
    int64_t n_reference;
    bool own_reference; /* they are not the repair points, whose classes are wanted as they are */
} nm_search_data;

/** Prepares a search. Margins are set by the caller through search->demand (0 at first).
 *  @return NM_E_ARG also if the function norm cannot measure these parameters */
nm_status nm_search_open(const nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                         const nm_params *params, const nm_repair_opts *opts,
                         const nm_search_data *data, nm_search **out, nm_err *err);
void nm_search_close(nm_search *search);

/** Searches with the present margins. */
nm_status nm_search_run(nm_search *search, nm_search_outcome *outcome, nm_err *err);

/** Goes on from search->delta by accumulated steps only, without coming back to smaller changes.
 *  Whatever the outcome, delta is where the steps ended. */
nm_status nm_search_continue(nm_search *search, nm_search_outcome *outcome, nm_err *err);

/** Whether one program says all: a search that finds nothing is a proof. */
bool nm_search_is_exact(const nm_search *search);

/** Where rows depend on pieces: makes the search's certificate anew, for the changes that keep all
 *  repair points on the pieces of the network at `delta`, the one that others can look at. Leaves
 * it as it is where the tail is affine, no certificate is asked for, or the solver fails. */
nm_status nm_search_certify_at(nm_search *search, const double *delta, nm_err *err);

#endif
