/* The hull of points: its dimension, its vertices, the volume they span. */
#ifndef NM_CHOOSE_HULL_H
#define NM_CHOOSE_HULL_H

#include "base/ctx.h"

typedef struct nm_hull {
    int64_t dimension, vertices; /* vertices: -1 where a test had no answer */
    double log_volume; /* of the box that the centred points span; NAN if dimension is 0 */
} nm_hull;

/** Relative length below which a direction counts as none, and points as one. */
#define NM_HULL_TOLERANCE 1e-6

/** @param x  [n x width], float32 numbers */
nm_status nm_hull_of(const nm_ctx *ctx, const float *x, int64_t n, int64_t width, nm_hull *out,
                     nm_err *err);

/** Inner products of the points less their mean, [n x n], for nm_free(). */
nm_status nm_centred_products(const float *x, int64_t n, int64_t width, double **out, nm_err *err);

#endif
