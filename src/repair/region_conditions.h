/* What is asked of the outputs on regions: cases, of each of which one row has to be broken
 * everywhere, coef . y - limit > 0. A wanted class is a case for each other class, of one row. */
#ifndef NM_REPAIR_REGION_CONDITIONS_H
#define NM_REPAIR_REGION_CONDITIONS_H

#include "base/ctx.h"
#include "net/graph.h"
#include "netmend/regions.h"
#include "repair/region_parts.h"
#include "spec/property.h"
#include "verify/hull.h"

typedef struct nm_region_conditions {
    int64_t n_scores, n_regions, n_rows;
    int64_t *first_case;     /* [n_regions + 1] */
    int64_t *first_row;      /* [cases + 1] */
    nm_hull_row *rows;       /* [n_rows] */
    double *norm;            /* [n_rows] length of coef; of classes 1 */
    const nm_out_row **rule; /* [n_rows] the row in the property; NULL with classes */
    double *coef;            /* [n_rows x n_scores] what rows lend */
} nm_region_conditions;

/** NM_E_ARG / NM_E_SHAPE / NM_E_UNSUPPORTED if task and network do not go together. The property is
 *  lent. Free with nm_region_conditions_free(), also after a failure. */
nm_status nm_region_conditions_new(const nm_net *net, const nm_regions_task *task,
                                   nm_region_conditions *out, nm_err *err);
void nm_region_conditions_free(nm_region_conditions *conditions);

/** Some case of a region has no rows: whatever the network gives is excluded. */
bool nm_region_conditions_hopeless(const nm_region_conditions *conditions);

static inline int64_t nm_region_n_cases(const nm_region_conditions *c, int64_t region)
{
    return c->first_case[region + 1] - c->first_case[region];
}

/** Scores [n x n_scores] at points [n x n_in], in double. */
nm_status nm_region_scores(const nm_ctx *ctx, const nm_net *net, const double *x, int64_t n,
                           double *scores, nm_err *err);

/** (coef . y - limit) / norm of a row. */
double nm_region_row_slack(const nm_region_conditions *conditions, int64_t row, const double *y);

/** Lets a part choose, for each case, the row that its vertices are nearest to breaking.
 *  @param y  [part->n x n_scores] outputs at its vertices */
nm_status nm_region_choose(const nm_region_conditions *conditions, const double *y,
                           nm_region_part *part, nm_err *err);

/** The next row for each case that has another. @return false if none has */
bool nm_region_choose_next(const nm_region_conditions *conditions, nm_region_part *part);

/** The row that a part has chosen for its k-th case. */
int64_t nm_region_chosen(const nm_region_conditions *conditions, const nm_region_part *part,
                         int64_t k);

#endif
