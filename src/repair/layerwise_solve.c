#include "repair/layerwise_solve.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/pass.h"
#include "solve/ldp.h"
#include "solve/master.h"
#include "tensor/dense.h"

/* Inputs and residuals of one layer at all places of all points. */
typedef struct sight {
    const nm_edit *edit;
    int64_t rows, width, n_out;
    double *u;      /* [rows x width] */
    double *r;      /* [rows x n_out] what the outputs should change by ... */
    bool *at_most;  /* [rows x n_out] ... or by at most */
    double *matrix; /* [n_out x width] the change */
} sight;

static void close_sight(sight *s)
{
    nm_free(s->u);
    nm_free(s->r);
    nm_free(s->at_most);
    nm_free(s->matrix);
}

/* -- between the layer and its matrix ------------------------------------------------------ */

static nm_status emit(nm_lw *lw, int b, double *from, double *to, nm_err *err)
{
    nm_tape tape = *lw->at;
    double **val = NULL;
    nm_status rc = nm_memdup(&val, lw->at->val, (size_t)lw->net->n_values, sizeof *val, err);

    if (rc != NM_OK)
        return rc;
    val[nm_lw_out(lw, b)] = from;
    tape.val = val;
    rc = nm_edit_emit(lw->ctx, lw->edits, b, &tape, lw->n, to, err);
    nm_free(val);
    return rc;
}

static nm_status open_sight(nm_lw *lw, int b, sight *s, nm_err *err)
{
    const nm_edit *e = &lw->edits->at[b];
    nm_status rc = NM_OK;

    *s = (sight){
        .edit = e, .rows = lw->n * e->form.places, .width = e->width, .n_out = e->form.n_out};
    NM_TRY(nm_alloc(&s->u, (size_t)s->rows, (size_t)s->width * sizeof *s->u, err));
    NM_TRY(nm_alloc(&s->r, (size_t)s->rows, (size_t)s->n_out * sizeof *s->r, err));
    NM_TRY(nm_alloc(&s->at_most, (size_t)s->rows, (size_t)s->n_out * sizeof *s->at_most, err));
    NM_TRY(nm_alloc(&s->matrix, (size_t)s->n_out, (size_t)s->width * sizeof *s->matrix, err));
    NM_TRY(nm_edit_see(lw->ctx, lw->edits, b, lw->at, 0, lw->n, s->u, err));
done:
    return rc;
}

/* Residuals of the layer as it was from the wish. Values that only have to be below 0 get what
   remains to 0. */
static nm_status find_residuals(nm_lw *lw, int b, const double *wish, sight *s, nm_err *err)
{
    double *z = NULL, *w = NULL;
    int out = nm_lw_out(lw, b);
    size_t size = (size_t)(s->rows * s->n_out);
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&z, size, sizeof *z, err));
    NM_TRY(nm_memdup(&w, wish, size, sizeof *w, err));
    NM_TRY(emit(lw, b, lw->at->val[out], z, err));
    NM_TRY(emit(lw, b, w, s->r, err));
    for (size_t k = 0; k < size; k++) {
        s->at_most[k] = lw->below[b] && s->r[k] <= 0;
        s->r[k] = (s->at_most[k] ? 0 : s->r[k]) - z[k];
    }
done:
    nm_free(z);
    nm_free(w);
    return rc;
}

/* The matrix becomes the change of the layer. */
static nm_status take_matrix(nm_lw *lw, int b, const double *matrix, nm_err *err)
{
    const nm_edit *e = &lw->edits->at[b];
    int64_t n_out = e->form.n_out, n_in = e->weight >= 0 ? e->form.n_in : 0;
    double *weights = NULL, *biases = NULL;
    nm_status rc = NM_OK;

    if (e->weight >= 0)
        NM_TRY(nm_alloc(&weights, (size_t)n_out, (size_t)n_in * sizeof *weights, err));
    if (e->bias >= 0)
        NM_TRY(nm_alloc(&biases, (size_t)n_out, sizeof *biases, err));
    for (int64_t i = 0; i < n_out; i++) {
        for (int64_t k = 0; k < n_in; k++)
            weights[e->form.transposed ? k * n_out + i : i * n_in + k] = matrix[i * e->width + k];
        if (biases)
            biases[i] = matrix[i * e->width + n_in];
    }
    nm_free(lw->now.weights[e->layer]);
    nm_free(lw->now.biases[e->layer]);
    lw->now.weights[e->layer] = weights;
    lw->now.biases[e->layer] = biases;
    weights = biases = NULL;
    NM_TRY(nm_changes_apply(lw->base, &lw->now, e->layer, lw->net, err));
done:
    nm_free(weights);
    nm_free(biases);
    return rc;
}

/* -- one row ------------------------------------------------------------------------------ */

static void closed_form(const double *u, int64_t width, double r, nm_norm norm, double *d)
{
    double sum = cblas_dasum((int)width, u, 1), squares = cblas_ddot((int)width, u, 1, u, 1);
    int64_t largest = (int64_t)cblas_idamax((int)width, u, 1);

    memset(d, 0, (size_t)width * sizeof *d);
    if (squares == 0) /* nothing can act */
        return;
    if (norm == NM_NORM_L1)
        d[largest] = r / u[largest];
    for (int64_t k = 0; norm == NM_NORM_L2 && k < width; k++)
        d[k] = r * u[k] / squares;
    for (int64_t k = 0; (norm == NM_NORM_LINF || norm == NM_NORM_LINF_L1N) && k < width; k++)
        d[k] = u[k] == 0 ? 0 : copysign(r / sum, r * u[k]);
}

/* -- several rows, one neuron -------------------------------------------------------------- */

/* The neuron's conditions: rows that say "equal" first.
   @return how many; *equal of them equalities */
static int64_t list_rows(const sight *s, int64_t neuron, int64_t *index, int64_t *equal)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->rows; i++)
        if (!s->at_most[i * s->n_out + neuron])
            index[n++] = i;
    *equal = n;
    for (int64_t i = 0; i < s->rows; i++)
        if (s->at_most[i * s->n_out + neuron])
            index[n++] = i;
    return n;
}

/* By the least-distance method: rows of unit length, "at most" turned round. */
static nm_status least_distance(const nm_ctx *ctx, const sight *s, int64_t neuron,
                                const int64_t *index, int64_t equal, double *d, bool *ok,
                                nm_err *err)
{
    nm_ldp ldp = {.n_equal = equal};
    nm_ldp_outcome outcome;
    double *scale = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&scale, (size_t)s->rows, sizeof *scale, err));
    NM_TRY(nm_ldp_grow(&ldp, s->rows, err));
    for (int64_t i = 0; i < s->rows; i++) {
        double length = cblas_dnrm2((int)s->width, s->u + index[i] * s->width, 1);

        scale[i] = (i < equal ? 1 : -1) / (length > 0 ? length : 1);
        ldp.h[i] = scale[i] * s->r[index[i] * s->n_out + neuron];
    }
    for (int64_t i = 0; i < s->rows; i++)
        for (int64_t k = 0; k < s->rows; k++)
            ldp.k[i * ldp.capacity + k] = scale[i] * scale[k] *
                                          cblas_ddot((int)s->width, s->u + index[i] * s->width, 1,
                                                     s->u + index[k] * s->width, 1);
    NM_TRY(nm_ldp_solve(&ldp, ctx, &outcome, err));
    *ok = outcome == NM_LDP_SOLVED;
    memset(d, 0, (size_t)s->width * sizeof *d);
    for (int64_t i = 0; *ok && i < s->rows; i++)
        cblas_daxpy((int)s->width, ldp.y[i] * scale[i], s->u + index[i] * s->width, 1, d, 1);
done:
    nm_ldp_free(&ldp);
    nm_free(scale);
    return rc;
}

/* By a linear program; equalities are two rows, which leaves the inside empty: simplex. */
static nm_status linear_program(nm_lw *lw, const sight *s, int64_t neuron, const int64_t *index,
                                int64_t equal, double *d, bool *ok, nm_err *err)
{
    nm_master_spec spec = {.norm = lw->opts.norm == NM_NORM_L1 ? NM_NORM_L1 : NM_NORM_LINF,
                           .n = s->width,
                           .gap = 1e-6};
    nm_master *master = NULL;
    nm_master_result result;
    double *a = NULL, *h = NULL;
    int64_t m = 0, w = s->width;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&a, (size_t)(s->rows + equal), (size_t)w * sizeof *a, err));
    NM_TRY(nm_alloc(&h, (size_t)(s->rows + equal), sizeof *h, err));
    for (int64_t i = 0; i < s->rows + equal; i++, m++) {
        int64_t row = index[i < s->rows ? i : i - s->rows];
        double sign = i < equal ? 1 : -1;

        for (int64_t k = 0; k < w; k++)
            a[m * w + k] = sign * s->u[row * w + k];
        h[m] = sign * s->r[row * s->n_out + neuron];
    }
    NM_TRY(nm_master_open(lw->ctx, &spec, NM_SOLVER_CLP, &master, err));
    NM_TRY(nm_master_add_rows(master, m, a, h, err));
    NM_TRY(nm_master_solve(master, &result, err));
    *ok = result.outcome == NM_MASTER_SOLVED;
    if (*ok)
        memcpy(d, result.d, (size_t)w * sizeof *d);
done:
    nm_master_close(master);
    nm_free(a);
    nm_free(h);
    return rc;
}

/* Whether the neuron has to change at all. */
static bool is_asked(const sight *s, int64_t neuron)
{
    for (int64_t i = 0; i < s->rows; i++) {
        double r = s->r[i * s->n_out + neuron];

        if (s->at_most[i * s->n_out + neuron] ? r < 0 : r != 0)
            return true;
    }
    return false;
}

/* @param ok  false: the rows contradict each other */
static nm_status solve_neuron(nm_lw *lw, const sight *s, int64_t neuron, double *d, bool *ok,
                              nm_err *err)
{
    int64_t *index = NULL, equal;
    nm_status rc = NM_OK;

    *ok = true;
    if (!is_asked(s, neuron))
        return NM_OK;
    if (s->rows == 1) {
        closed_form(s->u, s->width, s->r[neuron], lw->opts.norm, d);
        return NM_OK;
    }
    NM_TRY(nm_alloc(&index, (size_t)s->rows, sizeof *index, err));
    (void)list_rows(s, neuron, index, &equal);
    if (lw->opts.norm == NM_NORM_L2)
        NM_TRY(least_distance(lw->ctx, s, neuron, index, equal, d, ok, err));
    else
        NM_TRY(linear_program(lw, s, neuron, index, equal, d, ok, err));
done:
    nm_free(index);
    return rc;
}

/* -- least squares, all neurons ----------------------------------------------------------- */

/* D' = (U'U + mu I)^-1 U'R, or U'(UU' + mu I)^-1 R where that is the smaller matrix. */
static nm_status least_squares(nm_lw *lw, sight *s, nm_err *err)
{
    const double damping = 1e-10;
    int threads = nm_ctx_threads(lw->ctx);
    int64_t m = s->rows, w = s->width, n = m < w ? m : w;
    double *k = NULL, *b = NULL, *turned = NULL, trace = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&k, (size_t)n, (size_t)n * sizeof *k, err));
    NM_TRY(nm_alloc(&b, (size_t)n, sizeof *b, err));
    if (m < w) {
        nm_dense_products(threads, true, m, s->u, w, m, s->u, w, w, k, n);
    } else {
        NM_TRY(nm_alloc(&turned, (size_t)w, (size_t)m * sizeof *turned, err));
        for (int64_t i = 0; i < m; i++)
            for (int64_t j = 0; j < w; j++)
                turned[j * m + i] = s->u[i * w + j];
        nm_dense_products(threads, true, w, turned, m, w, turned, m, m, k, n);
    }
    for (int64_t i = 0; i < n; i++)
        trace += k[i * n + i];
    for (int64_t i = 0; i < n; i++)
        k[i * n + i] += damping * trace / (double)n + 1e-300;
    NM_TRY(nm_ctx_check(lw->ctx, err));
    (void)nm_dense_cholesky(threads, n, k, n, 1e-14);
    for (int64_t j = 0; j < s->n_out; j++) {
        double *d = s->matrix + j * w;

        if (m < w) {
            cblas_dcopy((int)m, s->r + j, (int)s->n_out, b, 1);
            nm_dense_cholesky_solve(n, k, n, b);
            cblas_dgemv(CblasRowMajor, CblasTrans, (int)m, (int)w, 1, s->u, (int)w, b, 1, 0, d, 1);
        } else {
            cblas_dgemv(CblasRowMajor, CblasTrans, (int)m, (int)w, 1, s->u, (int)w, s->r + j,
                        (int)s->n_out, 0, d, 1);
            nm_dense_cholesky_solve(n, k, n, d);
        }
    }
done:
    nm_free(k);
    nm_free(b);
    nm_free(turned);
    return rc;
}

/* What least squares should not ask for: values that may be anywhere below 0 stay where they are.
 */
static void ease(sight *s)
{
    for (int64_t k = 0; k < s->rows * s->n_out; k++)
        if (s->at_most[k] && s->r[k] > 0)
            s->r[k] = 0;
}

/* -- a layer ------------------------------------------------------------------------------ */

nm_status nm_lw_solve_wish(nm_lw *lw, int b, const double *wish, int to, nm_err *err)
{
    enum { MOST_ROWS = 256 };
    sight s = {0};
    bool ok = true;
    nm_status rc = NM_OK;

    NM_TRY(nm_ctx_check(lw->ctx, err));
    NM_TRY(nm_lw_set(lw, NULL, b, b, nm_lw_out(lw, b), err));
    NM_TRY(open_sight(lw, b, &s, err));
    NM_TRY(find_residuals(lw, b, wish, &s, err));
    if (s.rows <= MOST_ROWS && s.rows <= s.width)
        for (int64_t j = 0; ok && j < s.n_out; j++)
            NM_TRY(solve_neuron(lw, &s, j, s.matrix + j * s.width, &ok, err));
    else
        ok = false;
    if (!ok) {
        ease(&s);
        NM_TRY(least_squares(lw, &s, err));
    }
    NM_TRY(take_matrix(lw, b, s.matrix, err));
    NM_TRY(nm_lw_forward(lw, b, to, err));
done:
    close_sight(&s);
    return rc;
}

/* -- the scores --------------------------------------------------------------------------- */

/* Row c . (y + D u) <= d of point p as -(c u') . D >= c . y - d. */
static void score_row(const nm_lw *lw, const sight *s, int64_t p, const double *c, double d,
                      double *a, double *h)
{
    const double *u = s->u + p * s->width, *y = lw->at->val[lw->net->scores] + p * lw->n_scores;

    *h = -d;
    for (int64_t j = 0; j < s->n_out; j++) {
        *h += c[j] * y[j];
        for (int64_t k = 0; k < s->width; k++)
            a[j * s->width + k] = -c[j] * u[k];
    }
}

static nm_status score_rows(const nm_lw *lw, const sight *s, nm_master *master, nm_err *err)
{
    double *a = NULL, h;
    nm_status rc = nm_alloc(&a, (size_t)s->n_out, (size_t)s->width * sizeof *a, err);

    for (int64_t p = 0; rc == NM_OK && p < lw->n; p++) {
        const nm_polytope *piece = &lw->inner[p].pieces[lw->piece[p]];

        for (int64_t i = 0; rc == NM_OK && i < piece->n_rows; i++) {
            score_row(lw, s, p, piece->c + i * lw->n_scores, piece->d[i], a, &h);
            rc = nm_master_add_rows(master, 1, a, &h, err);
        }
    }
    nm_free(a);
    return rc;
}

static int64_t count_score_rows(const nm_lw *lw)
{
    int64_t n = 0;

    for (int64_t p = 0; p < lw->n; p++)
        n += lw->inner[p].pieces[lw->piece[p]].n_rows;
    return n;
}

nm_status nm_lw_solve_scores(nm_lw *lw, int b, bool *done, nm_err *err)
{
    const double largest = 3e7; /* coefficients of a program */
    nm_master_spec spec = {.norm = lw->opts.norm, .l1_weight = lw->opts.l1_weight, .gap = 1e-6};
    sight s = {0};
    nm_master *master = NULL;
    nm_master_result result;
    nm_status rc = NM_OK;

    *done = false;
    NM_TRY(nm_ctx_check(lw->ctx, err));
    NM_TRY(nm_lw_set(lw, NULL, b, b, nm_lw_out(lw, b), err));
    NM_TRY(open_sight(lw, b, &s, err));
    spec.n = s.n_out * s.width;
    if (s.edit->form.places != 1 || (double)count_score_rows(lw) * (double)spec.n > largest)
        goto done;
    NM_TRY(nm_master_open(lw->ctx, &spec, NM_SOLVER_AUTO, &master, err));
    NM_TRY(score_rows(lw, &s, master, err));
    NM_TRY(nm_master_solve(master, &result, err));
    if (result.outcome != NM_MASTER_SOLVED)
        goto done;
    *done = true;
    memcpy(s.matrix, result.d, (size_t)spec.n * sizeof *s.matrix);
    NM_TRY(take_matrix(lw, b, s.matrix, err));
    NM_TRY(nm_lw_forward(lw, b, lw->net->scores, err));
done:
    nm_master_close(master);
    close_sight(&s);
    return rc;
}
