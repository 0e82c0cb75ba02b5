#include "repair/minimal_model.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

/* -- rows ------------------------------------------------------------------------------------ */

static nm_status begin_row(nm_min_rows *r, double lo, double hi, int64_t most, nm_err *err)
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

static void put(nm_min_rows *r, int64_t column, double value)
{
    if (value == 0)
        return;
    r->column[r->n_values] = (int)column;
    r->value[r->n_values++] = value;
    r->start[r->n] = (int)r->n_values;
}

static void free_rows(nm_min_rows *r)
{
    nm_free(r->lo);
    nm_free(r->hi);
    nm_free(r->value);
    nm_free(r->start);
    nm_free(r->column);
}

/* p + q <= t. */
static nm_status add_caps(const nm_min_model *m, nm_min_rows *r, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t j = 0; nm_min_has_t(m) && j < m->n_d; j++) {
        NM_TRY(begin_row(r, -INFINITY, 0, 3, err));
        put(r, j, 1);
        put(r, m->n_d + j, 1);
        put(r, nm_min_column_t(m), -1);
    }
done:
    return rc;
}

/* z = z0 + D u of the edited layer, z = W a + b behind it. */
static nm_status add_layers(const nm_min_model *m, int64_t p, nm_min_rows *r, nm_err *err)
{
    const nm_min_tail *t = m->tail;
    int64_t first = 0;
    nm_status rc = NM_OK;

    for (int64_t o = 0; o < t->n_edited; o++) {
        double z0 = t->z0[p * t->n_edited + o];

        NM_TRY(begin_row(r, z0, z0, 2 * t->width + 1, err));
        put(r, nm_min_column_z(m, p, o), 1);
        for (int64_t k = 0; k < t->width; k++) {
            put(r, o * t->width + k, -t->u[p * t->width + k]);
            put(r, m->n_d + o * t->width + k, t->u[p * t->width + k]);
        }
    }
    for (int i = 0; i < t->n_layers; i++) {
        const nm_min_layer *l = &t->layers[i];

        for (int64_t o = 0; o < l->n_out; o++) {
            NM_TRY(begin_row(r, l->b[o], l->b[o], l->n_in + 1, err));
            put(r, nm_min_column_z(m, p, first + l->n_in + o), 1);
            for (int64_t k = 0; k < l->n_in; k++)
                put(r, nm_min_column_a(m, p, first + k), -l->w[o * l->n_in + k]);
        }
        first += l->n_in;
    }
done:
    return rc;
}

/* a >= z, and the upper side of the triangle: a <= s (z - lo), s = hi / (hi - lo). */
static nm_status add_relus(const nm_min_model *m, nm_min_rows *r, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t i = 0; i < m->tail->n * m->n_neurons; i++) {
        int64_t p = i / m->n_neurons, k = i % m->n_neurons, at = nm_min_range_at(m, p, k);
        double lo = m->z_lo[at], hi = m->z_hi[at];
        double s = lo < 0 && hi > 0 ? hi / (hi - lo) : 0;
        double rounding = 4 * DBL_EPSILON * (hi - s * lo); /* so that both ends stay below */

        NM_TRY(begin_row(r, 0, INFINITY, 2, err));
        put(r, nm_min_column_a(m, p, k), 1);
        put(r, nm_min_column_z(m, p, k), -1);
        NM_TRY(begin_row(r, -INFINITY, s > 0 ? -s * lo + rounding : INFINITY, 2, err));
        put(r, nm_min_column_a(m, p, k), 1);
        put(r, nm_min_column_z(m, p, k), -s);
    }
done:
    return rc;
}

static nm_status add_goals(nm_min_model *m, nm_min_rows *r, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t p = 0; p < m->tail->n; p++) {
        m->first_goal_row[p] = r->n;
        for (int64_t i = 0; i < m->goal[p].n_pieces; i++) {
            const nm_polytope *piece = &m->goal[p].pieces[i];

            for (int64_t k = 0; k < piece->n_rows; k++) {
                NM_TRY(begin_row(r, -INFINITY, INFINITY, m->n_scores, err));
                for (int64_t o = 0; o < m->n_scores; o++)
                    put(r, nm_min_column_z(m, p, m->n_neurons + o), piece->c[k * m->n_scores + o]);
            }
        }
    }
done:
    return rc;
}

/* -- columns --------------------------------------------------------------------------------- */

static void bound_columns(nm_min_model *m)
{
    for (int64_t j = 0; j < m->n_d; j++) {
        m->column_hi[j] = fmin(fmax(m->hi, 0), m->largest);
        m->column_hi[m->n_d + j] = fmin(fmax(-m->lo, 0), m->largest);
    }
    if (nm_min_has_t(m))
        m->column_hi[nm_min_column_t(m)] = INFINITY;
    for (int64_t i = 0; i < m->tail->n * m->n_neurons; i++) {
        int64_t p = i / m->n_neurons, k = i % m->n_neurons, at = nm_min_range_at(m, p, k);

        m->column_lo[nm_min_column_z(m, p, k)] = m->z_lo[at];
        m->column_hi[nm_min_column_z(m, p, k)] = m->z_hi[at];
        m->column_hi[nm_min_column_a(m, p, k)] = fmax(m->z_hi[at], 0);
    }
    for (int64_t p = 0; p < m->tail->n; p++)
        for (int64_t o = 0; o < m->n_scores; o++) {
            m->column_lo[nm_min_column_z(m, p, m->n_neurons + o)] = -INFINITY;
            m->column_hi[nm_min_column_z(m, p, m->n_neurons + o)] = INFINITY;
        }
}

static nm_status add_columns(nm_min_model *m, nm_err *err)
{
    double weight = m->opts->norm == NM_NORM_L1     ? 1
                    : m->opts->norm == NM_NORM_LINF ? 0
                                                    : m->opts->l1_weight * m->cost_factor;
    int *starts = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&m->cost, (size_t)m->n_columns, sizeof *m->cost, err));
    NM_TRY(nm_alloc(&starts, (size_t)m->n_columns + 1, sizeof *starts, err));
    for (int64_t j = 0; j < 2 * m->n_d; j++)
        m->cost[j] = weight;
    if (nm_min_has_t(m))
        m->cost[nm_min_column_t(m)] = m->cost_factor;
    Clp_addColumns(m->clp.clp, (int)m->n_columns, m->column_lo, m->column_hi, m->cost, starts, NULL,
                   NULL);
done:
    nm_free(starts);
    return rc;
}

/* -- opening --------------------------------------------------------------------------------- */

static nm_status make_rows(nm_min_model *m, nm_err *err)
{
    nm_min_rows *r = &m->rows;
    nm_status rc = NM_OK;

    NM_TRY(add_caps(m, r, err));
    for (int64_t p = 0; p < m->tail->n; p++)
        NM_TRY(add_layers(m, p, r, err));
    m->first_relu_row = r->n;
    NM_TRY(add_relus(m, r, err));
    NM_TRY(add_goals(m, r, err));
    NM_TRY(nm_alloc(&m->node_row_hi, (size_t)r->n, sizeof *m->node_row_hi, err));
    NM_TRY(nm_alloc(&m->price, (size_t)r->n, sizeof *m->price, err));
    Clp_addRows(m->clp.clp, (int)r->n, r->lo, r->hi, r->start, r->column, r->value);
done:
    return rc;
}

nm_status nm_min_model_open(const nm_ctx *ctx, const nm_min_tail *tail, const nm_union *goal,
                            const nm_minimal_opts *opts, double lo, double hi, double largest,
                            nm_min_model *m, nm_err *err)
{
    size_t points = (size_t)tail->n, values = (size_t)nm_min_tail_values(tail);
    nm_status rc = NM_OK;

    *m = (nm_min_model){
        .tail = tail, .goal = goal, .opts = opts, .lo = lo, .hi = hi, .largest = largest};
    m->n_d = tail->n_edited * tail->width;
    m->n_neurons = nm_min_tail_neurons(tail);
    m->n_scores = nm_min_tail_values(tail) - m->n_neurons;
    m->first_value = 2 * m->n_d + nm_min_has_t(m);
    m->per_point = 2 * m->n_neurons + m->n_scores;
    m->n_columns = m->first_value + tail->n * m->per_point;
    m->cost_factor = nm_min_has_t(m) ? (double)m->n_d : 1;
    if (m->n_columns >= INT_MAX)
        NM_THROW(err, NM_E_LIMIT, "program too large for CLP: %lld columns",
                 (long long)m->n_columns);
    NM_TRY(nm_alloc(&m->z_lo, points, values * sizeof *m->z_lo, err));
    NM_TRY(nm_alloc(&m->z_hi, points, values * sizeof *m->z_hi, err));
    NM_TRY(nm_alloc(&m->first_goal_row, points, sizeof *m->first_goal_row, err));
    NM_TRY(nm_alloc(&m->column_lo, (size_t)m->n_columns, sizeof *m->column_lo, err));
    NM_TRY(nm_alloc(&m->column_hi, (size_t)m->n_columns, sizeof *m->column_hi, err));
    NM_TRY(nm_alloc(&m->node_lo, (size_t)m->n_columns, sizeof *m->node_lo, err));
    NM_TRY(nm_alloc(&m->node_hi, (size_t)m->n_columns, sizeof *m->node_hi, err));
    NM_TRY(nm_alloc(&m->residual, (size_t)m->n_columns, sizeof *m->residual, err));
    NM_TRY(nm_alloc(&m->spread, (size_t)m->n_columns, sizeof *m->spread, err));
    m->clp = (nm_clp_model){.ctx = ctx, .clp = Clp_newModel()};
    if (!m->clp.clp)
        NM_THROW(err, NM_E_NOMEM, "out of memory: CLP model");
    Clp_setLogLevel(m->clp.clp, 0);
    Clp_setPrimalTolerance(m->clp.clp, 1e-9);
    Clp_setDualTolerance(m->clp.clp, 1e-9);
    nm_min_model_find_ranges(m);
    bound_columns(m);
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
    free_rows(&m->rows);
    nm_free(m->cost);
    nm_free(m->price);
    nm_free(m->residual);
    nm_free(m->spread);
    nm_free(m->node_lo);
    nm_free(m->node_hi);
    nm_free(m->node_row_hi);
    *m = (nm_min_model){0};
}
