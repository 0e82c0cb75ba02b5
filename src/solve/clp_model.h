/* The master problem as a linear program for CLP.
 *
 * Coordinates k = 0 .. n + n_terms - 1 are the entries of v. Each is split v_k = p_k - q_k with
 * p, q >= 0, so |v_k| = p_k + q_k at an optimum and bounds on d are bounds on columns:
 *
 *     columns  p_0 .. p_{N-1}, q_0 .. q_{N-1}, t (linf, linf+l1n)
 *     rows     C (p - q)_d - (p - q)_terms = -c0
 *              p_k + q_k - t <= 0            (linf, linf+l1n)
 *              A (p - q)_d >= h
 *     cost     t + weight sum (p + q), times N for linf and linf+l1n: CLP's dual tolerance is
 *              absolute, and with cost t alone it stopped up to 2e-3 above the optimum.
 *
 * linf without bounds has the smaller form x_k = v_k + t >= 0 with rows x_k - 2 t <= 0.
 * Rows are scaled by powers of two, right-hand sides and bounds by a common factor `unit`, so that
 * CLP's absolute tolerances mean the same for every problem. */
#ifndef NM_SOLVE_CLP_MODEL_H
#define NM_SOLVE_CLP_MODEL_H

#include <coin/Clp_C_Interface.h>

#include "solve/master.h"

typedef struct nm_clp_model {
    Clp_Simplex *clp;
    const nm_ctx *ctx;
    const nm_master_spec *spec;
    bool has_t, shifted;
    int64_t n_coords;   /* n + n_terms */
    int64_t n_fixed;    /* rows before those of A */
    int64_t n_rows;     /* rows of A in the model */
    double unit;        /* d = unit * (value in the model) */
    double cost_factor; /* model cost = cost_factor * norm / unit */
} nm_clp_model;

/** A model without rows of A. Free with nm_clp_model_close(), also after failure. */
nm_status nm_clp_model_open(nm_clp_model *model, const nm_ctx *ctx, const nm_master_spec *spec,
                            double unit, nm_err *err);
void nm_clp_model_close(nm_clp_model *model);

/** Appends the rows from model->n_rows on. */
nm_status nm_clp_model_add_rows(nm_clp_model *model, const nm_rows *rows, nm_err *err);

/** Dual simplex from the present basis. *status is CLP's: 0 optimal, 1 infeasible, else trouble.
 *  NM_E_CANCELLED, NM_E_LIMIT soon after the context says stop. */
nm_status nm_clp_model_run(nm_clp_model *model, int *status, nm_err *err);

/** Results of an optimal run: d [n], y [rows of A], x [n_terms]. */
void nm_clp_model_solution(const nm_clp_model *model, const nm_rows *rows, double *d, double *y,
                           double *x);

/** After status 1: y [rows of A] from CLP's ray with one of its signs; false if there is none. */
bool nm_clp_model_ray(const nm_clp_model *model, const nm_rows *rows, double sign, double *y);

#endif
