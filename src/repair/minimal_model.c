#include "repair/minimal_model.h"

#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

/* -- where things are ------------------------------------------------------------------------ */

static bool has_t(const nm_min_model *m)
{
    return m->opts->norm != NM_NORM_L1;
}

static int64_t column_t(const nm_min_model *m)
{
    return 2 * m->n_d;
}

/* Value before the ReLU of neuron k of point p (scores follow the last neuron), and behind it. */
static int64_t column_z(const nm_min_model *m, int64_t p, int64_t k)
{
    return m->first_value + p * m->per_point + k;
}

static int64_t column_a(const nm_min_model *m, int64_t p, int64_t k)
{
    return column_z(m, p, m->n_neurons + m->n_scores + k);
}

/* -- ranges ---------------------------------------------------------------------------------- */

/* How far a change of norm <= largest can move one output of the edited layer at point p. */
static double reach(const nm_min_model *m, int64_t p, double largest)
{
    const double *u = m->tail->u + p * m->tail->width;
    double sum = 0, most = 0;

    for (int64_t k = 0; k < m->tail->width; k++) {
        sum += fabs(u[k]);
        most = fmax(most, fabs(u[k]));
    }
    return largest * (m->opts->norm == NM_NORM_L1 ? most : sum) * (1 + 1e-12);
}

static void find_ranges(nm_min_model *m, double largest)
{
    const nm_min_tail *t = m->tail;

    for (int64_t p = 0; p < t->n; p++) {
        double *lo = m->z_lo + p * m->n_neurons, *hi = m->z_hi + p * m->n_neurons;
        double radius = reach(m, p, largest);

        for (int64_t r = 0; r < t->n_edited; r++) {
            lo[r] = t->z0[p * t->n_edited + r] - radius;
            hi[r] = t->z0[p * t->n_edited + r] + radius;
        }
        for (int i = 0; i + 1 < t->n_layers; i++) {
            const nm_min_layer *l = &t->layers[i];

            for (int64_t r = 0; r < l->n_out; r++) {
                double *below = &lo[l->n_in + r], *above = &hi[l->n_in + r], size = fabs(l->b[r]);

                *below = *above = l->b[r];
                for (int64_t k = 0; k < l->n_in; k++) {
                    double w = l->w[r * l->n_in + k], a = fmax(lo[k], 0), b = fmax(hi[k], 0);

                    *below += fmin(w * a, w * b);
                    *above += fmax(w * a, w * b);
                    size += fabs(w) * b;
                }
                *below -= 1e-12 * size;
                *above += 1e-12 * size;
            }
            lo += l->n_in;
            hi += l->n_in;
        }
    }
}

/* -- rows ------------------------------------------------------------------------------------ */

typedef struct rows {
    double *lo, *hi, *value;
    int *start, *column;
    int64_t n, n_values, room, value_room;
} rows;

static nm_status begin_row(rows *r, double lo, double hi, int64_t most, nm_err *err)
{
    nm_status rc = NM_OK;

    if (r->n + 2 > r->room) {
        r->room = 2 * r->room + 64;
        NM_TRY(nm_realloc(&r->lo, (size_t)r->room, sizeof *r->lo, err));
        NM_TRY(nm_realloc(&r->hi, (size_t)r->room, sizeof *r->hi, err));
        NM_TRY(nm_realloc(&r->start, (size_t)r->room, sizeof *r->start, err));
    }
    if (r->n_values + most > r->value_room) {
        r->value_room = 2 * r->value_room + most;
        if (r->value_room >= INT_MAX)
            NM_THROW(err, NM_E_LIMIT, "program too large for CLP: more than %d coefficients",
                     INT_MAX);
        NM_TRY(nm_realloc(&r->value, (size_t)r->value_room, sizeof *r->value, err));
        NM_TRY(nm_realloc(&r->column, (size_t)r->value_room, sizeof *r->column, err));
    }
    r->lo[r->n] = lo;
    r->hi[r->n] = hi;
    r->start[r->n++] = (int)r->n_values;
    r->start[r->n] = (int)r->n_values;
done:
    return rc;
}

static void put(rows *r, int64_t column, double value)
{
    if (value == 0)
        return;
    r->column[r->n_values] = (int)column;
    r->value[r->n_values++] = value;
    r->start[r->n] = (int)r->n_values;
}

static void free_rows(rows *r)
{
    nm_free(r->lo);
    nm_free(r->hi);
    nm_free(r->value);
    nm_free(r->start);
    nm_free(r->column);
}

/* p + q <= t. */
static nm_status add_caps(const nm_min_model *m, rows *r, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t j = 0; has_t(m) && j < m->n_d; j++) {
        NM_TRY(begin_row(r, -INFINITY, 0, 3, err));
        put(r, j, 1);
        put(r, m->n_d + j, 1);
        put(r, column_t(m), -1);
    }
done:
    return rc;
}

/* z = z0 + D u of the edited layer, z = W a + b behind it. */
static nm_status add_layers(const nm_min_model *m, int64_t p, rows *r, nm_err *err)
{
    const nm_min_tail *t = m->tail;
    int64_t first = 0;
    nm_status rc = NM_OK;

    for (int64_t o = 0; o < t->n_edited; o++) {
        double z0 = t->z0[p * t->n_edited + o];

        NM_TRY(begin_row(r, z0, z0, 2 * t->width + 1, err));
        put(r, column_z(m, p, o), 1);
        for (int64_t k = 0; k < t->width; k++) {
            put(r, o * t->width + k, -t->u[p * t->width + k]);
            put(r, m->n_d + o * t->width + k, t->u[p * t->width + k]);
        }
    }
    for (int i = 0; i < t->n_layers; i++) {
        const nm_min_layer *l = &t->layers[i];

        for (int64_t o = 0; o < l->n_out; o++) {
            NM_TRY(begin_row(r, l->b[o], l->b[o], l->n_in + 1, err));
            put(r, column_z(m, p, first + l->n_in + o), 1);
            for (int64_t k = 0; k < l->n_in; k++)
                put(r, column_a(m, p, first + k), -l->w[o * l->n_in + k]);
        }
        first += l->n_in;
    }
done:
    return rc;
}

/* a >= z, and the upper side of the triangle: a <= s (z - lo), s = hi / (hi - lo). */
static nm_status add_relus(const nm_min_model *m, rows *r, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t i = 0; i < m->tail->n * m->n_neurons; i++) {
        int64_t p = i / m->n_neurons, k = i % m->n_neurons;
        double lo = m->z_lo[i], hi = m->z_hi[i];
        double s = lo < 0 && hi > 0 ? hi / (hi - lo) : 0;

        NM_TRY(begin_row(r, 0, INFINITY, 2, err));
        put(r, column_a(m, p, k), 1);
        put(r, column_z(m, p, k), -1);
        NM_TRY(begin_row(r, -INFINITY, s > 0 ? -s * lo : INFINITY, 2, err));
        put(r, column_a(m, p, k), 1);
        put(r, column_z(m, p, k), -s);
    }
done:
    return rc;
}

static nm_status add_goals(nm_min_model *m, rows *r, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t p = 0; p < m->tail->n; p++) {
        m->first_goal_row[p] = r->n;
        for (int64_t i = 0; i < m->goal[p].n_pieces; i++) {
            const nm_polytope *piece = &m->goal[p].pieces[i];

            for (int64_t k = 0; k < piece->n_rows; k++) {
                NM_TRY(begin_row(r, -INFINITY, INFINITY, m->n_scores, err));
                for (int64_t o = 0; o < m->n_scores; o++)
                    put(r, column_z(m, p, m->n_neurons + o), piece->c[k * m->n_scores + o]);
            }
        }
    }
done:
    return rc;
}

/* -- columns --------------------------------------------------------------------------------- */

static void bound_columns(nm_min_model *m, double largest)
{
    for (int64_t j = 0; j < m->n_d; j++) {
        m->column_hi[j] = fmin(fmax(m->hi, 0), largest);
        m->column_hi[m->n_d + j] = fmin(fmax(-m->lo, 0), largest);
    }
    if (has_t(m))
        m->column_hi[column_t(m)] = INFINITY;
    for (int64_t i = 0; i < m->tail->n * m->n_neurons; i++) {
        int64_t p = i / m->n_neurons, k = i % m->n_neurons;

        m->column_lo[column_z(m, p, k)] = m->z_lo[i];
        m->column_hi[column_z(m, p, k)] = m->z_hi[i];
        m->column_hi[column_a(m, p, k)] = fmax(m->z_hi[i], 0);
    }
    for (int64_t p = 0; p < m->tail->n; p++)
        for (int64_t o = 0; o < m->n_scores; o++) {
            m->column_lo[column_z(m, p, m->n_neurons + o)] = -INFINITY;
            m->column_hi[column_z(m, p, m->n_neurons + o)] = INFINITY;
        }
}

static nm_status add_columns(nm_min_model *m, nm_err *err)
{
    double weight = m->opts->norm == NM_NORM_L1     ? 1
                    : m->opts->norm == NM_NORM_LINF ? 0
                                                    : m->opts->l1_weight * m->cost_factor;
    double *cost = NULL;
    int *starts = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&cost, (size_t)m->n_columns, sizeof *cost, err));
    NM_TRY(nm_alloc(&starts, (size_t)m->n_columns + 1, sizeof *starts, err));
    for (int64_t j = 0; j < 2 * m->n_d; j++)
        cost[j] = weight;
    if (has_t(m))
        cost[column_t(m)] = m->cost_factor;
    Clp_addColumns(m->clp.clp, (int)m->n_columns, m->column_lo, m->column_hi, cost, starts, NULL,
                   NULL);
done:
    nm_free(cost);
    nm_free(starts);
    return rc;
}

/* -- opening --------------------------------------------------------------------------------- */

static nm_status make_rows(nm_min_model *m, nm_err *err)
{
    rows r = {0};
    nm_status rc = NM_OK;

    NM_TRY(add_caps(m, &r, err));
    for (int64_t p = 0; p < m->tail->n; p++)
        NM_TRY(add_layers(m, p, &r, err));
    m->first_relu_row = r.n;
    NM_TRY(add_relus(m, &r, err));
    NM_TRY(add_goals(m, &r, err));
    m->n_rows = r.n;
    NM_TRY(nm_memdup(&m->row_hi, r.hi, (size_t)r.n, sizeof *r.hi, err));
    NM_TRY(nm_alloc(&m->node_row_hi, (size_t)r.n, sizeof *m->node_row_hi, err));
    Clp_addRows(m->clp.clp, (int)r.n, r.lo, r.hi, r.start, r.column, r.value);
done:
    free_rows(&r);
    return rc;
}

nm_status nm_min_model_open(const nm_ctx *ctx, const nm_min_tail *tail, const nm_union *goal,
                            const nm_minimal_opts *opts, double lo, double hi, double largest,
                            nm_min_model *m, nm_err *err)
{
    size_t points = (size_t)tail->n;
    nm_status rc = NM_OK;

    *m = (nm_min_model){.tail = tail, .goal = goal, .opts = opts, .lo = lo, .hi = hi};
    m->n_d = tail->n_edited * tail->width;
    m->n_neurons = nm_min_tail_neurons(tail);
    m->n_scores = nm_min_tail_values(tail) - m->n_neurons;
    m->first_value = 2 * m->n_d + has_t(m);
    m->per_point = 2 * m->n_neurons + m->n_scores;
    m->n_columns = m->first_value + tail->n * m->per_point;
    m->cost_factor = has_t(m) ? (double)m->n_d : 1;
    if (m->n_columns >= INT_MAX)
        NM_THROW(err, NM_E_LIMIT, "program too large for CLP: %lld columns",
                 (long long)m->n_columns);
    NM_TRY(nm_alloc(&m->z_lo, points, (size_t)m->n_neurons * sizeof *m->z_lo, err));
    NM_TRY(nm_alloc(&m->z_hi, points, (size_t)m->n_neurons * sizeof *m->z_hi, err));
    NM_TRY(nm_alloc(&m->first_goal_row, points, sizeof *m->first_goal_row, err));
    NM_TRY(nm_alloc(&m->column_lo, (size_t)m->n_columns, sizeof *m->column_lo, err));
    NM_TRY(nm_alloc(&m->column_hi, (size_t)m->n_columns, sizeof *m->column_hi, err));
    NM_TRY(nm_alloc(&m->node_lo, (size_t)m->n_columns, sizeof *m->node_lo, err));
    NM_TRY(nm_alloc(&m->node_hi, (size_t)m->n_columns, sizeof *m->node_hi, err));
    m->clp = (nm_clp_model){.ctx = ctx, .clp = Clp_newModel()};
    if (!m->clp.clp)
        NM_THROW(err, NM_E_NOMEM, "out of memory: CLP model");
    Clp_setLogLevel(m->clp.clp, 0);
    Clp_setPrimalTolerance(m->clp.clp, 1e-9);
    Clp_setDualTolerance(m->clp.clp, 1e-9);
    find_ranges(m, largest);
    bound_columns(m, largest);
    NM_TRY(add_columns(m, err));
    NM_TRY(make_rows(m, err));
done:
    return rc;
}

void nm_min_model_close(nm_min_model *m)
{
    nm_clp_model_close(&m->clp);
    nm_free(m->z_lo);
    nm_free(m->z_hi);
    nm_free(m->first_goal_row);
    nm_free(m->column_lo);
    nm_free(m->column_hi);
    nm_free(m->row_hi);
    nm_free(m->node_lo);
    nm_free(m->node_hi);
    nm_free(m->node_row_hi);
    *m = (nm_min_model){0};
}

/* -- solving --------------------------------------------------------------------------------- */

static int side_of(const nm_min_model *m, const nm_min_node *node, int64_t i)
{
    if (node->side[i] != NM_MIN_OPEN)
        return node->side[i];
    return m->z_lo[i] >= 0 ? NM_MIN_ON : m->z_hi[i] <= 0 ? NM_MIN_OFF : NM_MIN_OPEN;
}

static void apply_sides(nm_min_model *m, const nm_min_node *node)
{
    for (int64_t i = 0; i < m->tail->n * m->n_neurons; i++) {
        int64_t p = i / m->n_neurons, k = i % m->n_neurons, row = m->first_relu_row + 2 * i;
        int side = side_of(m, node, i);

        if (side == NM_MIN_OPEN)
            continue;
        m->node_row_hi[row + 1] = INFINITY;
        if (side == NM_MIN_ON) {
            m->node_row_hi[row] = 0; /* a = z >= 0 */
            m->node_lo[column_z(m, p, k)] = fmax(m->node_lo[column_z(m, p, k)], 0);
        } else {
            m->node_hi[column_z(m, p, k)] = fmin(m->node_hi[column_z(m, p, k)], 0);
            m->node_hi[column_a(m, p, k)] = 0;
        }
    }
}

static void apply_goals(nm_min_model *m, const nm_min_node *node, double reserve)
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

nm_status nm_min_model_solve(nm_min_model *m, const nm_min_node *node, double reserve, double *d,
                             double *bound, nm_min_outcome *outcome, nm_err *err)
{
    enum { OPTIMAL = 0, INFEASIBLE = 1 };
    const double *columns;
    int status = -1;
    nm_status rc = NM_OK;

    memcpy(m->node_lo, m->column_lo, (size_t)m->n_columns * sizeof *m->node_lo);
    memcpy(m->node_hi, m->column_hi, (size_t)m->n_columns * sizeof *m->node_hi);
    memcpy(m->node_row_hi, m->row_hi, (size_t)m->n_rows * sizeof *m->node_row_hi);
    apply_sides(m, node);
    apply_goals(m, node, reserve);
    *outcome = NM_MIN_INFEASIBLE;
    if (contradicts(m))
        return NM_OK;
    Clp_chgColumnLower(m->clp.clp, m->node_lo);
    Clp_chgColumnUpper(m->clp.clp, m->node_hi);
    Clp_chgRowUpper(m->clp.clp, m->node_row_hi);
    NM_TRY(nm_clp_model_run(&m->clp, &status, err));
    *outcome = status == OPTIMAL      ? NM_MIN_SOLVED
               : status == INFEASIBLE ? NM_MIN_INFEASIBLE
                                      : NM_MIN_TROUBLE;
    if (*outcome != NM_MIN_SOLVED)
        goto done;
    columns = Clp_getColSolution(m->clp.clp);
    for (int64_t j = 0; j < m->n_d; j++)
        d[j] = columns[j] - columns[m->n_d + j];
    *bound = fmax(Clp_getObjValue(m->clp.clp) / m->cost_factor, 0);
done:
    return rc;
}

double nm_min_model_worst(const nm_min_model *m, const nm_min_node *node, int64_t *neuron)
{
    const double *columns = Clp_getColSolution(m->clp.clp);
    double worst = 0;

    *neuron = -1;
    for (int64_t i = 0; i < m->tail->n * m->n_neurons; i++) {
        int64_t p = i / m->n_neurons, k = i % m->n_neurons;
        double off = columns[column_a(m, p, k)] - fmax(columns[column_z(m, p, k)], 0);

        if (side_of(m, node, i) == NM_MIN_OPEN && off > worst) {
            worst = off;
            *neuron = i;
        }
    }
    return worst;
}
