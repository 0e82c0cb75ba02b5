/* How points that a network gets wrong are to be read like reference data from which they differ
 * by something that has nothing to do with what they show (fog on digits), found from second
 * moments alone, no labels.
 *
 * Let v be what an edited layer sees at such points, u at reference points. If v = u' + f with u'
 * distributed like u and f independent of it, then E[u' v'] = S + m (E v - m)', S = E[u u'], m = E
 * u. The change D that makes the layer give W u' at v and keeps W u at u minimises
 *
 *     c E|D u|^2 + E|(W + D) v - W u'|^2,
 *     D = -W X A^-1,  X = E[v v'] - S - m (E v - m)',  A = c S + E[v v'],
 *
 * whatever quadratic form weighs the outputs: the filter of Wiener ("Extrapolation, interpolation,
 * and smoothing of stationary time series", 1949) with a term that holds the reference data;
 * moments are carried over as in Sun, Feng & Saenko, "Return of frustratingly easy domain
 * adaptation", AAAI 2016. c says how many times a reference point counts more than one of the
 * others. S is damped as in the metric, so that A can be inverted where there are fewer points than
 * directions. */
#ifndef NM_PROBLEM_SHIFT_H
#define NM_PROBLEM_SHIFT_H

#include "problem/metric.h"

typedef struct nm_shift nm_shift;

/** Takes the moments of points first, first + step, ... < n of a tail (at most NM_MOMENT_SAMPLE of
 *  them, evenly spaced) in the layers
 *  where that is possible: dense ones whose weights are free, whose input does not depend on the
 *  edit, with at most NM_MOMENT_DENSE columns.
 *  Costs two products with the metric's factors, one pass over the frontier of the reference data.
 *  @param metric  of the same edits and reference data; lent, as are the edits
 *  @param like    another of the same edits and reference data, for other points: what these data
 *                 say is taken from there, and lent. NULL: none
 *  @param out     NULL if there is no such layer. Free with nm_shift_free(). */
nm_status nm_shift_new(const nm_ctx *ctx, const nm_edits *edits, const nm_metric *metric,
                       const nm_crowd *reference, const nm_shift *like, const nm_tail *points,
                       int64_t first, int64_t step, int64_t n, nm_shift **out, nm_err *err);
void nm_shift_free(nm_shift *shift);

/** The change for the weight c > 0. @param delta  out, [params->n], 0 in all other layers */
nm_status nm_shift_at(const nm_ctx *ctx, const nm_shift *shift, double c, double *delta,
                      nm_err *err);

#endif
