/* Equations of one neuron go first: the normal matrix of programs in which most rows and terms see
 * a single output of the edited layer.
 *
 * Outputs of a last layer (terms of the norm) and pins of the edited layer's own neurons are
 * such: g has one nonzero. Two of them have a common entry in the normal matrix K only if they
 * belong to the same neuron, so eliminating them costs their neurons' blocks alone. What that does
 * to the other entries stays within their form (factor_products.c),
 *
 *     K_rs = sum_i g_ri g_si T_i(p, q),    T_i = X Theta_i X':
 *
 * with S_i the points of neuron i's own equations, of sizes g, and K_i their block,
 *
 *     T_i  becomes  T_i - T_i[:, S_i] g K_i^-1 g T_i[S_i, :],
 *
 * P^2 numbers a neuron (a neuron's own bias counts as one more input, 1), after which the other
 * equations are put together and factored as always. This is Cholesky's method in another order, as
 * stable as any.
 *
 * The coupling with t is the exception: K alone is nearly singular where t is what a row leans on
 * (ipm_step.c). So K is factored as [K c; c' -stiffness], own equations first, then t, which leaves
 * the others their rank-one part; and an equation that without t has next to no pivot waits until
 * after t (delayed pivots, I. Duff and J. Reid, "The multifrontal solution of indefinite sparse
 * symmetric linear equations", ACM TOMS 9, 1983). */
#ifndef NM_SOLVE_IPM_NEURONS_H
#define NM_SOLVE_IPM_NEURONS_H

#include "solve/ipm_state.h"

/** g x_p.w_i: an equation of neuron i alone. */
typedef struct nm_ipm_own {
    int64_t equation, point; /* its number; its point's place in the groups */
    double g;
} nm_ipm_own;

struct nm_ipm_neurons {
    int64_t n_out, n_points;
    int64_t *bias;    /* [n_out] the extra that is the neuron's own bias, -1 = none */
    bool *absorbed;   /* [n_extra] the extra is a neuron's own bias */
    double *extra;    /* [n_extra] theta of the others, 0 for these */
    nm_ipm_own *list; /* neuron after neuron; in each one those that are eliminated come first */
    int64_t *first;   /* [n_out + 1] of each neuron */
    int64_t *count;   /* [n_out] how many are eliminated */
    int64_t *square;  /* [n_out + 1] place of the neuron's factor */
    int64_t most;     /* own equations of a neuron */
    double *factor;
    double *panel;       /* [own x n_points] g T_i of the equation's point with all others */
    double *inner;       /* [n_points x n_points x n_out] T after the elimination */
    double *diagonal;    /* [n_points x n_out] T(p, p) before */
    double *coupling;    /* [own] L^-1 c */
    double stiffness;    /* of t, own equations eliminated */
    nm_groups rest;      /* rows and terms of several neurons: a view of ipm->groups */
    nm_ipm_own *waiting; /* own equations that wait: behind these */
    int64_t *waiting_at;
    int64_t n_waiting;
    int64_t *equation; /* [rest.m + own] equation of each row of the factor ipm->normal */
    double *rest_coupling, *whole, *right; /* likewise */
    double *layer;                         /* [n_out x n_points] scratch */
    double *solution;                      /* [own] scratch */
};

#endif
