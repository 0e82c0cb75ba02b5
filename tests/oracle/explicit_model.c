#include "oracle/explicit_model.h"

#include <Clp_C_Interface.h>
#include <math.h>
#include <string.h>

#include "base/ctx.h"
#include "base/mem.h"

enum { MAX_LAYERS = 32 };

/* One dense layer, weights row-major [out x in]. */
struct dense {
    int64_t in, out;
    double *w, *b;
};

/* The model under construction: rows one by one, compressed, for CLP to transpose. */
struct model {
    struct dense layer[MAX_LAYERS];
    int n_layers, first;
    const nm_points *points;
    const nm_explicit_opts *opts;
    int64_t n_params, n_v, t, z0, n_columns; /* columns: u[n_v] w[n_v] t z... */
    int64_t z_point;                         /* pre-activations (incl. outputs) of one point */
    double **act;                            /* [point] inputs of the first edited layer */
    double **pre; /* [point] pre-activations of layers >= first, unedited, end to end */
    int *column;
    double *value, *lower, *upper;
    CoinBigIndex *start;
    int64_t n_rows, n_entries, row_room, entry_room;
};

static nm_status load_layers(struct model *m, const nm_net *net, nm_err *err)
{
    nm_status rc = NM_OK;

    m->n_layers = nm_net_n_layers(net);
    if (m->n_layers > MAX_LAYERS)
        return nm_fail(err, NM_E_ARG, "more than %d layers", MAX_LAYERS);
    for (int i = m->opts->inputs ? m->first : 0; i < m->n_layers; i++) {
        struct dense *l = &m->layer[i];
        nm_layer_info info;

        NM_TRY(nm_net_layer_info(net, i, &info, err));
        l->in = info.n_in;
        l->out = info.n_out;
        if (info.n_weights != l->in * l->out || info.n_biases != l->out)
            NM_THROW(err, NM_E_ARG, "layer %d is not dense", i);
        NM_TRY(nm_alloc(&l->w, (size_t)info.n_weights, sizeof *l->w, err));
        NM_TRY(nm_alloc(&l->b, (size_t)l->out, sizeof *l->b, err));
        NM_TRY(nm_net_get_layer(net, i, false, l->w, err));
        NM_TRY(nm_net_get_layer(net, i, true, l->b, err));
    }
done:
    return rc;
}

static void affine(const struct dense *l, const double *x, double *z)
{
    for (int64_t i = 0; i < l->out; i++) {
        z[i] = l->b[i];
        for (int64_t k = 0; k < l->in; k++)
            z[i] += l->w[i * l->in + k] * x[k];
    }
}

/* Evaluates one point; keeps what the model needs. */
static nm_status forward(struct model *m, int64_t p, nm_err *err)
{
    double *x = NULL, *z = NULL, *pre;
    const double *inputs = m->opts->inputs;
    int64_t widest = 0;
    nm_status rc = NM_OK;

    for (int i = 0; i < m->n_layers; i++) {
        widest = m->layer[i].in > widest ? m->layer[i].in : widest;
        widest = m->layer[i].out > widest ? m->layer[i].out : widest;
    }
    NM_TRY(nm_alloc(&x, (size_t)widest, sizeof *x, err));
    NM_TRY(nm_alloc(&z, (size_t)widest, sizeof *z, err));
    NM_TRY(nm_alloc(&m->act[p], (size_t)m->layer[m->first].in, sizeof(double), err));
    NM_TRY(nm_alloc(&m->pre[p], (size_t)m->z_point, sizeof(double), err));
    pre = m->pre[p];
    for (int64_t k = 0; k < m->points->n_in && !inputs; k++)
        x[k] = (double)m->points->x[p * m->points->n_in + k];
    for (int64_t k = 0; k < m->layer[m->first].in && inputs; k++)
        x[k] = inputs[p * m->layer[m->first].in + k];
    for (int i = inputs ? m->first : 0; i < m->n_layers; i++) {
        const struct dense *l = &m->layer[i];

        if (i == m->first)
            memcpy(m->act[p], x, (size_t)l->in * sizeof *x);
        affine(l, x, z);
        if (i >= m->first) {
            memcpy(pre, z, (size_t)l->out * sizeof *z);
            pre += l->out;
        }
        for (int64_t k = 0; k < l->out; k++)
            x[k] = fmax(z[k], 0);
    }
done:
    nm_free(x);
    nm_free(z);
    return rc;
}

static nm_status add_entry(struct model *m, int64_t column, double value, nm_err *err)
{
    nm_status rc = NM_OK;

    if (value == 0)
        return NM_OK;
    if (m->n_entries == m->entry_room) {
        m->entry_room = m->entry_room ? 2 * m->entry_room : 1 << 16;
        NM_TRY(nm_realloc(&m->column, (size_t)m->entry_room, sizeof *m->column, err));
        NM_TRY(nm_realloc(&m->value, (size_t)m->entry_room, sizeof *m->value, err));
    }
    m->column[m->n_entries] = (int)column;
    m->value[m->n_entries++] = value;
done:
    return rc;
}

/* Ends the row whose entries were just added. */
static nm_status end_row(struct model *m, double lower, double upper, nm_err *err)
{
    nm_status rc = NM_OK;

    if (m->n_rows + 2 > m->row_room) {
        m->row_room = m->row_room ? 2 * m->row_room : 1 << 12;
        NM_TRY(nm_realloc(&m->lower, (size_t)m->row_room, sizeof *m->lower, err));
        NM_TRY(nm_realloc(&m->upper, (size_t)m->row_room, sizeof *m->upper, err));
        NM_TRY(nm_realloc(&m->start, (size_t)m->row_room, sizeof *m->start, err));
    }
    m->lower[m->n_rows] = lower;
    m->upper[m->n_rows] = upper;
    m->start[++m->n_rows] = (CoinBigIndex)m->n_entries;
done:
    return rc;
}

/* value * v_k, v = u - w. */
static nm_status add_change(struct model *m, int64_t k, double value, nm_err *err)
{
    nm_status rc = add_entry(m, k, value, err);

    return rc == NM_OK ? add_entry(m, m->n_v + k, -value, err) : rc;
}

/* z_(l,i) - W (input) - db = b, with the edited layer's input constant and its weights unknown. */
static nm_status define_neuron(struct model *m, int64_t p, int l, int64_t i, int64_t bias_at,
                               int64_t z_at, nm_err *err)
{
    const struct dense *d = &m->layer[l];
    int64_t first_z = m->z0 + p * m->z_point;
    double constant = d->b[i];
    nm_status rc = NM_OK;

    NM_TRY(add_entry(m, first_z + z_at + i, 1, err));
    if (l == m->first || !m->opts->no_later_biases)
        NM_TRY(add_change(m, bias_at + i, -1, err));
    for (int64_t k = 0; k < d->in; k++) {
        if (l == m->first) {
            constant += d->w[i * d->in + k] * m->act[p][k];
            NM_TRY(add_change(m, i * d->in + k, -m->act[p][k], err));
        } else if (m->pre[p][z_at - d->in + k] >= 0) {
            NM_TRY(add_entry(m, first_z + z_at - d->in + k, -d->w[i * d->in + k], err));
        }
    }
    NM_TRY(end_row(m, constant, constant, err));
done:
    return rc;
}

static nm_status add_point(struct model *m, int64_t p, nm_err *err)
{
    int64_t classes = m->layer[m->n_layers - 1].out, z_at = 0;
    int64_t bias_at = m->layer[m->first].in * m->layer[m->first].out;
    int64_t y = m->z0 + p * m->z_point + m->z_point - classes, label = m->points->labels[p];
    nm_status rc = NM_OK;

    for (int l = m->first; l < m->n_layers; l++) {
        for (int64_t i = 0; i < m->layer[l].out; i++)
            NM_TRY(define_neuron(m, p, l, i, bias_at, z_at, err));
        bias_at += m->layer[l].out;
        z_at += m->layer[l].out;
    }
    for (int64_t j = 0; j < classes; j++) {
        if (m->opts->with_outputs) {
            NM_TRY(add_change(m, m->n_params + p * classes + j, 1, err));
            NM_TRY(add_entry(m, y + j, -1, err));
            double y0 = m->pre[p][m->z_point - classes + j];
            NM_TRY(end_row(m, -y0, -y0, err));
        }
        if (j == label)
            continue;
        NM_TRY(add_entry(m, y + label, 1, err));
        NM_TRY(add_entry(m, y + j, -1, err));
        NM_TRY(end_row(m, m->opts->margin, INFINITY, err));
    }
done:
    return rc;
}

static bool has_t(const struct model *m)
{
    return m->opts->norm == NM_NORM_LINF_L1N || m->opts->norm == NM_NORM_LINF;
}

static nm_status build(struct model *m, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(end_row(m, 0, 0, err)); /* makes room; start[0] must exist */
    m->n_rows = 0;
    m->start[0] = 0;
    for (int64_t p = 0; p < m->points->n; p++)
        NM_TRY(add_point(m, p, err));
    for (int64_t k = 0; k < m->n_v && has_t(m); k++) {
        NM_TRY(add_entry(m, k, 1, err));
        NM_TRY(add_entry(m, m->n_v + k, 1, err));
        NM_TRY(add_entry(m, m->t, -1, err));
        NM_TRY(end_row(m, -INFINITY, 0, err));
    }
done:
    return rc;
}

static void size_up(struct model *m)
{
    int64_t classes = m->layer[m->n_layers - 1].out;

    m->n_params = m->layer[m->first].in * m->layer[m->first].out;
    for (int l = m->first; l < m->n_layers; l++) {
        m->n_params += l == m->first || !m->opts->no_later_biases ? m->layer[l].out : 0;
        m->z_point += m->layer[l].out;
    }
    m->n_v = m->n_params + (m->opts->with_outputs ? m->points->n * classes : 0);
    m->t = 2 * m->n_v;
    m->z0 = m->t + 1;
    m->n_columns = m->z0 + m->points->n * m->z_point;
}

/* u, w, t. The objective of linf and linf+l1n times len v: CLP's tolerances are absolute. */
static void set_change(const struct model *m, int64_t c, double *lower, double *upper, double *cost)
{
    nm_norm norm = m->opts->norm;
    bool is_l2 = norm == NM_NORM_L2, is_t = c == m->t, is_w = c >= m->n_v && !is_t;
    bool is_bounded = !is_t && c % m->n_v < m->n_params;

    *upper = is_bounded ? m->opts->bound : INFINITY;
    *cost = norm == NM_NORM_L1 || norm == NM_NORM_LINF_L1N ? 1 : 0;
    if (is_t)
        *cost = has_t(m) ? (double)m->n_v : 0;
    if (is_l2) { /* u alone, of any sign; its square is the objective */
        *lower = is_w || is_t ? 0 : -*upper;
        *upper = is_w || is_t ? 0 : *upper;
    }
}

/* Column bounds: v by the bound on the change, pre-activations by the pattern, outputs free. */
static void set_column(const struct model *m, int64_t c, double *lower, double *upper, double *cost)
{
    int64_t classes = m->layer[m->n_layers - 1].out;

    *lower = *cost = 0;
    *upper = INFINITY;
    if (c < m->z0) {
        set_change(m, c, lower, upper, cost);
        return;
    }
    int64_t p = (c - m->z0) / m->z_point, i = (c - m->z0) % m->z_point;

    if (i >= m->z_point - classes || m->opts->no_pins) {
        *lower = -INFINITY;
    } else if (!(m->pre[p][i] >= 0)) {
        *lower = -INFINITY;
        *upper = 0;
    }
}

static nm_status add_squares(const struct model *m, Clp_Simplex *clp, nm_err *err)
{
    size_t n = (size_t)m->n_columns, count = (size_t)m->n_v;
    CoinBigIndex *start = NULL;
    int *column = NULL;
    double *value = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&start, n + 1, sizeof *start, err));
    NM_TRY(nm_alloc(&column, count, sizeof *column, err));
    NM_TRY(nm_alloc(&value, count, sizeof *value, err));
    for (size_t c = 0; c <= n; c++)
        start[c] = (CoinBigIndex)(c < count ? c : count);
    for (size_t k = 0; k < count; k++) {
        column[k] = (int)k;
        value[k] = 2; /* CLP halves */
    }
    Clp_loadQuadraticObjective(clp, (int)m->n_columns, start, column, value);
done:
    nm_free(start);
    nm_free(column);
    nm_free(value);
    return rc;
}

static double norm_of(const struct model *m, double objective)
{
    if (m->opts->norm == NM_NORM_L2)
        return sqrt(objective);
    return has_t(m) ? objective / (double)m->n_v : objective;
}

static void run(const struct model *m, Clp_Simplex *clp)
{
    Clp_setPrimalTolerance(clp, 1e-9);
    Clp_setDualTolerance(clp, 1e-9);
    Clp_setMaximumSeconds(clp, m->opts->time_limit_s);
    if (m->opts->barrier || m->opts->norm == NM_NORM_L2)
        (void)Clp_initialBarrierNoCrossSolve(clp);
    else
        (void)Clp_initialDualSolve(clp);
}

static nm_status solve(const struct model *m, nm_explicit_result *out, nm_err *err)
{
    Clp_Simplex *clp = Clp_newModel();
    double *lower = NULL, *upper = NULL, *cost = NULL, start;
    nm_status rc = NM_OK;
    size_t n = (size_t)m->n_columns;

    NM_TRY(nm_alloc(&lower, n, sizeof *lower, err));
    NM_TRY(nm_alloc(&upper, n, sizeof *upper, err));
    NM_TRY(nm_alloc(&cost, n, sizeof *cost, err));
    for (int64_t c = 0; c < m->n_columns; c++)
        set_column(m, c, &lower[c], &upper[c], &cost[c]);
    Clp_setLogLevel(clp, 0);
    Clp_resize(clp, 0, (int)m->n_columns);
    for (int64_t c = 0; c < m->n_columns; c++) {
        Clp_columnLower(clp)[c] = lower[c];
        Clp_columnUpper(clp)[c] = upper[c];
        Clp_objective(clp)[c] = cost[c];
    }
    Clp_addRows(clp, (int)m->n_rows, m->lower, m->upper, m->start, m->column, m->value);
    if (m->opts->norm == NM_NORM_L2)
        NM_TRY(add_squares(m, clp, err));
    start = nm_now();
    run(m, clp);
    *out = (nm_explicit_result){.status = Clp_status(clp),
                                .objective = norm_of(m, Clp_objectiveValue(clp)),
                                .n_rows = m->n_rows,
                                .n_columns = m->n_columns,
                                .n_entries = m->n_entries,
                                .seconds = nm_now() - start};
done:
    Clp_deleteModel(clp);
    nm_free(lower);
    nm_free(upper);
    nm_free(cost);
    return rc;
}

static void clear(struct model *m)
{
    for (int i = 0; i < m->n_layers; i++) {
        nm_free(m->layer[i].w);
        nm_free(m->layer[i].b);
    }
    for (int64_t p = 0; p < m->points->n; p++) {
        if (m->act)
            nm_free(m->act[p]);
        if (m->pre)
            nm_free(m->pre[p]);
    }
    nm_free(m->act);
    nm_free(m->pre);
    nm_free(m->column);
    nm_free(m->value);
    nm_free(m->lower);
    nm_free(m->upper);
    nm_free(m->start);
}

nm_status nm_explicit_solve(nm_ctx *ctx, const nm_net *net, const nm_points *points,
                            const nm_explicit_opts *opts, nm_explicit_result *out, nm_err *err)
{
    struct model m = {.points = points, .opts = opts, .first = opts->layer};
    nm_status rc = NM_OK;

    (void)ctx;
    if (points->n == 0 || opts->layer >= nm_net_n_layers(net))
        return nm_fail(err, NM_E_ARG, "no points, or no layer %d", opts->layer);
    NM_TRY(load_layers(&m, net, err));
    size_up(&m);
    NM_TRY(nm_alloc(&m.act, (size_t)points->n, sizeof *m.act, err));
    NM_TRY(nm_alloc(&m.pre, (size_t)points->n, sizeof *m.pre, err));
    for (int64_t p = 0; p < points->n; p++)
        NM_TRY(forward(&m, p, err));
    NM_TRY(build(&m, err));
    NM_TRY(solve(&m, out, err));
done:
    clear(&m);
    return rc;
}
