/* A handful of points of a box with their excess, for attacks (attack.h). */
#ifndef NM_VERIFY_ATTACK_POINTS_H
#define NM_VERIFY_ATTACK_POINTS_H

#include "verify/attack.h"

/** Where points may lie, and those that are looked at. */
typedef struct nm_attack_points {
    const nm_attack *attack;
    const float *lo, *hi; /* [n_in] */
    int64_t n_in, n_out;
    int64_t n, room;
    float *x;  /* [room x n_in] */
    float *y;  /* [room x n_out] */
    double *f; /* [room] excess; INFINITY where it is not a number */
} nm_attack_points;

nm_status nm_attack_points_new(const nm_attack *attack, const float *lo, const float *hi,
                               int64_t room, nm_attack_points *out, nm_err *err);
void nm_attack_points_free(nm_attack_points *p);

/** Evaluates points 0..n-1 in float32 and asks about those that look unsafe, in order.
 *  @param found  out: a hit */
nm_status nm_attack_points_judge(nm_attack_points *p, bool *found, nm_err *err);

/** Copies one point with its excess. */
void nm_attack_points_copy(nm_attack_points *to, int64_t i, const nm_attack_points *from,
                           int64_t j);

/** Takes a point into a list of the best, least excess first. */
void nm_attack_points_offer(nm_attack_points *best, const nm_attack_points *from, int64_t j);

/** Draws every coordinate uniformly between the bounds. */
void nm_attack_points_draw(nm_attack_points *p, int64_t i, uint64_t stream);

/** The row that decides over the excess of outputs y. @return its index, -1 if there is none */
int64_t nm_attack_worst_row(const nm_attack *attack, const double *y, int64_t case_index,
                            double *excess);

/** The case with the least excess. */
int64_t nm_attack_best_case(const nm_attack *attack, const double *y, double *excess);

/** Steps along the sign of the gradient for all points of p; the best on each way is left in p. */
nm_status nm_attack_steps(nm_attack_points *p, int n_steps, bool spread_cases, bool *found,
                          nm_err *err);

/** Random moves of single coordinates, kept where they help, shorter and shorter. */
nm_status nm_attack_moves(nm_attack_points *p, int n_rounds, double longest, bool *found,
                          nm_err *err);

#endif
