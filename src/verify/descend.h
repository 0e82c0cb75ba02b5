/* Going down to an unsafe point by a sequence of linear programs. */
#ifndef NM_VERIFY_DESCEND_H
#define NM_VERIFY_DESCEND_H

#include "verify/region.h"

/** Room for one descent at a time. */
typedef struct nm_descent {
    double *values;              /* [n_neurons] */
    double *slope;               /* [NM_MOST_LANES x n_in] */
    double *x, *lo, *hi, *joint; /* [n_in] */
} nm_descent;

bool nm_descent_open(nm_descent *d, const nm_vnet *v, nm_arena *arena);

/** From a point, lowers the largest row of a case: the network is replaced by its linear piece at
 *  the point (the tangent, of smooth nodes), the largest row made least over the region's box
 * within some reach of the point; reach grows while that helps the network itself, and shrinks
 * while it does not. Few inputs; cases of at most NM_MOST_LANES rows.
 *  @param b     its lines are overwritten
 *  @param x     [n_in] where to begin; out: the best point, in double
 *  @param most  steps
 *  @return the largest row there */
double nm_descend(nm_descent *d, nm_bounder *b, const nm_region *region, int c, double *x,
                  int most);

#endif
