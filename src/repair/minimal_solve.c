/* Solving one node of the search for a smallest change. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "repair/minimal_model.h"

/* CLP's words. */
enum { OPTIMAL = 0, INFEASIBLE = 1 };

static int side_of(const nm_min_model *m, const nm_branch *node, int64_t p, int64_t k)
{
    int64_t at = nm_min_range_at(m, p, k);

    if (node->side[p * m->n_neurons + k] != NM_SIDE_OPEN)
        return node->side[p * m->n_neurons + k];
    return m->z_lo[at] >= 0 ? NM_SIDE_ON : m->z_hi[at] <= 0 ? NM_SIDE_OFF : NM_SIDE_OPEN;
}

static void apply_sides(nm_min_model *m, const nm_branch *node)
{
    for (int64_t i = 0; i < m->tail->n * m->n_neurons; i++) {
        int64_t p = i / m->n_neurons, k = i % m->n_neurons, row = m->first_relu_row + 2 * i;
        int64_t z = nm_min_column_z(m, p, k);
        int side = side_of(m, node, p, k);

        if (side == NM_SIDE_OPEN)
            continue;
        m->node_row_hi[row + 1] = INFINITY;
        if (side == NM_SIDE_ON) {
            m->node_row_hi[row] = 0; /* a = z >= 0 */
            m->node_lo[z] = fmax(m->node_lo[z], 0);
        } else {
            m->node_hi[z] = fmin(m->node_hi[z], 0);
            m->node_hi[nm_min_column_a(m, p, k)] = 0;
        }
    }
}

static void apply_goals(nm_min_model *m, const nm_branch *node, double reserve)
{
    for (int64_t p = 0; p < m->tail->n; p++) {
        int64_t row = m->first_goal_row[p];

        for (int64_t i = 0; i < m->goal[p].n_pieces; i++) {
            const nm_polytope *piece = &m->goal[p].pieces[i];

            for (int64_t k = 0; k < piece->n_rows; k++, row++)
                if (i == node->piece[p])
                    m->node_row_hi[row] = piece->d[k] - reserve * (1 + fabs(piece->d[k]));
        }
    }
}

/* An empty range that a side made. */
static bool contradicts(const nm_min_model *m)
{
    for (int64_t j = 0; j < m->n_columns; j++)
        if (m->node_lo[j] > m->node_hi[j])
            return true;
    return false;
}

/* A ray of CLP's shows that the program is infeasible, if it does so in safe arithmetic. */
static bool ray_proves(nm_min_model *m)
{
    double *ray = Clp_infeasibilityRay(m->clp.clp);
    bool proven = false;

    for (int sign = 0; ray && !proven && sign < 2; sign++) {
        for (int64_t r = 0; r < m->rows.n; r++)
            m->price[r] = sign ? ray[r] : -ray[r];
        proven = nm_min_model_prove(m, m->price, true) > 0;
    }
    if (ray)
        Clp_freeRay(m->clp.clp, ray);
    return proven;
}

/* The basis of rows alone. */
static void forget_basis(Clp_Simplex *clp)
{
    enum { BASIC = 1, AT_LOWER = 3 };

    for (int j = 0; j < Clp_numberColumns(clp); j++)
        Clp_setColumnStatus(clp, j, AT_LOWER);
    for (int r = 0; r < Clp_numberRows(clp); r++)
        Clp_setRowStatus(clp, r, BASIC);
}

/* Rays of warm starts are not always proofs; the way from scratch has another one. */
static nm_status prove_infeasible(nm_min_model *m, int *status, bool *proven, nm_err *err)
{
    nm_status rc = NM_OK;

    *proven = ray_proves(m);
    if (*proven)
        return NM_OK;
    forget_basis(m->clp.clp);
    NM_TRY(nm_clp_model_run(&m->clp, status, err));
    *proven = *status == INFEASIBLE && ray_proves(m);
done:
    return rc;
}

nm_status nm_min_model_solve(nm_min_model *m, const nm_branch *node, double reserve, double *d,
                             double *bound, nm_min_outcome *outcome, nm_err *err)
{
    const double *columns;
    int status = -1;
    bool proven = false;
    nm_status rc = NM_OK;

    memcpy(m->node_lo, m->column_lo, (size_t)m->n_columns * sizeof *m->node_lo);
    memcpy(m->node_hi, m->column_hi, (size_t)m->n_columns * sizeof *m->node_hi);
    memcpy(m->node_row_hi, m->rows.hi, (size_t)m->rows.n * sizeof *m->node_row_hi);
    apply_sides(m, node);
    apply_goals(m, node, reserve);
    *outcome = NM_MIN_INFEASIBLE;
    if (contradicts(m))
        return NM_OK;
    Clp_chgColumnLower(m->clp.clp, m->node_lo);
    Clp_chgColumnUpper(m->clp.clp, m->node_hi);
    Clp_chgRowUpper(m->clp.clp, m->node_row_hi);
    NM_TRY(nm_clp_model_run(&m->clp, &status, err));
    if (status == INFEASIBLE)
        NM_TRY(prove_infeasible(m, &status, &proven, err));
    *outcome = status == OPTIMAL ? NM_MIN_SOLVED : proven ? NM_MIN_INFEASIBLE : NM_MIN_TROUBLE;
    if (*outcome != NM_MIN_SOLVED)
        goto done;
    columns = Clp_getColSolution(m->clp.clp);
    for (int64_t j = 0; j < m->n_d; j++)
        d[j] = columns[j] - columns[m->n_d + j];
    *bound = fmax(nm_min_model_prove(m, Clp_getRowPrice(m->clp.clp), false), 0);
done:
    return rc;
}

double nm_min_model_worst(const nm_min_model *m, const nm_branch *node, int64_t *neuron)
{
    const double *columns = Clp_getColSolution(m->clp.clp);
    double worst = 0;

    *neuron = -1;
    for (int64_t i = 0; i < m->tail->n * m->n_neurons; i++) {
        int64_t p = i / m->n_neurons, k = i % m->n_neurons;
        double off = columns[nm_min_column_a(m, p, k)] - fmax(columns[nm_min_column_z(m, p, k)], 0);

        if (side_of(m, node, p, k) == NM_SIDE_OPEN && off > worst) {
            worst = off;
            *neuron = i;
        }
    }
    return worst;
}
