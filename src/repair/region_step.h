/* One step of a repair of regions: the smallest change of one slice of the network (the weights of
 * a layer, its biases and later ones) with which all vertices of a part are on the pieces of the
 * part's reference, and, in the last step, right. (APRNN, Tao et al., PLDI 2023: shift and assert.)
 */
#ifndef NM_REPAIR_REGION_STEP_H
#define NM_REPAIR_REGION_STEP_H

#include "repair/pointwise.h"
#include "repair/region_conditions.h"

typedef struct nm_region_step {
    nm_ctx *ctx;
    const nm_net *net;   /* before the step */
    const nm_plan *plan; /* of the slice, made for `net` */
    const nm_region_parts *parts;
    const nm_region_conditions *conditions;
    const nm_regions_task *task;
    const nm_repair_opts *opts;
    const bool *pinned; /* [n_ops] operators whose pieces are to be those of the references */
    double pin_margin;  /* what vertices keep from the ends of pieces, as a share of the size that
                           the values there have in the middle */
    bool asserts;       /* the last step: outputs are asked for */
    const float *reference; /* [n_reference x n_in] data of the function norm; NULL: the vertices */
    int64_t n_reference;
} nm_region_step;

/** How it went. */
typedef struct nm_region_step_report {
    nm_search_outcome outcome;
    char reason[256];
    bool *conflict; /* [parts] those whose rows contradict each other, after INFEASIBLE; else NULL.
                       Free with nm_free() */
    bool exact;     /* the infeasible program is all there is: nothing depends on pieces */
    nm_program_figures figures;
    double damping_in; /* of the function norm; NAN */
    int linearisations;
} nm_region_step_report;

/** @param next  the network after the step, rounded to float32; NULL unless FOUND */
nm_status nm_region_step_run(const nm_region_step *step, nm_net **next,
                             nm_region_step_report *report, nm_err *err);

#endif
