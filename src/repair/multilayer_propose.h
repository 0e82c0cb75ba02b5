/* A proposal of a multi-layer repair: where to cut, and the values wished for there. */
#ifndef NM_REPAIR_MULTILAYER_PROPOSE_H
#define NM_REPAIR_MULTILAYER_PROPOSE_H

#include "base/rng.h"
#include "repair/layerwise_search.h"
#include "repair/multilayer.h"

/** What brings less than this share of the norm counts as nothing. */
#define NM_ML_WORTH 1e-3

/** What becomes of the values at a cut. */
typedef enum nm_ml_how {
    NM_ML_AS_IT_IS, /* the best so far */
    NM_ML_GRADIENT, /* present values and `by` times the step that would reach the goal */
    NM_ML_SHIFT,    /* one value of one point moves by `by` times the scale of the cut */
    NM_ML_STRETCH,  /* the distance from the original values is multiplied by 1 + `by` */
    NM_ML_NOISE     /* all move by normal deviates of `by` times the scale */
} nm_ml_how;

/** What a proposal does behind one layer. */
typedef struct nm_ml_move {
    bool cut; /* the network is cut here */
    nm_ml_how how;
    double by;
    int64_t at; /* SHIFT: which value, of all points */
} nm_ml_move;

/** Values at cuts. */
typedef struct nm_ml_values {
    bool *cut;     /* [n_edits] */
    double **wish; /* [n_edits] [n x size], NULL where there was no cut so far */
} nm_ml_values;

nm_status nm_ml_values_new(const nm_lw *lw, nm_ml_values *values, nm_err *err);
void nm_ml_values_clear(const nm_lw *lw, nm_ml_values *values);

typedef struct nm_ml {
    nm_lw_search *search;
    const nm_lw_goal *whole;
    const nm_multilayer_opts *opts;
    nm_lw_best *best;
    int n, last;      /* edits; the last one is behind all cuts */
    double **origin;  /* [n] [points x size] values of the original network */
    nm_ml_values now; /* those of the best proposal so far */
    nm_ml_values next;
    nm_ml_move *move; /* [n] of the next proposal */
    double *reach;    /* [n] how far greedy and random moves go, as a share of the scale */
    nm_rng rng;
    int64_t n_proposals, idle;
    const char *kind; /* of the next proposal, for the trace */
} nm_ml;

/** Tries the proposal of m->move: parts from front to back, then the last layer; counts it.
 *  @param better  out, whether it is the best so far: then its values are in m->now */
nm_status nm_ml_try(nm_ml *m, bool *better, nm_err *err);

#endif
