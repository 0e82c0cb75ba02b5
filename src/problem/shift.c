#include "problem/shift.h"

#include <cblas.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/dense.h"

/* What the reference data and the network say of one layer. M is the damped moment S + e I of the
 * metric. */
typedef struct basis {
    int b;              /* index among the edits */
    int64_t width, out; /* columns and rows of D */
    double damping;     /* e */
    double *weights;    /* [out x width] W */
    double *solved_w;   /* [out x width] W M^-1 */
    double *mean;       /* [width] m */
    double *at_mean;    /* [out] W m */
} basis;

/* What the points say of it; V has their v as rows. */
typedef struct layer {
    const basis *basis;
    int64_t n;           /* points */
    double *points;      /* [n x width] V */
    double *solved;      /* [n x width] V M^-1 */
    double *gram;        /* [n x n] V M^-1 V' */
    double *at_points;   /* [out x n] W V' */
    double *at_solved;   /* [out x n] W M^-1 V' */
    double *offset;      /* [width] f = E v - m */
    double *solved_f;    /* [width] f M^-1 */
    double *f_at_points; /* [n] f M^-1 V' */
} layer;

struct nm_shift {
    const nm_edits *edits;
    basis *own;         /* [n]; NULL: another's */
    const basis *bases; /* [n] */
    layer *at;          /* [n] */
    int n;
};

/* out [m x n] = factor a [m x k] b [n x k]' + keep out */
static void times_transposed(int64_t m, int64_t n, int64_t k, double factor, const double *a,
                             const double *b, double keep, double *out)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, factor, a, (int)k,
                b, (int)k, keep, out, (int)n);
}

/* out [m x n] = factor a [m x k] b [k x n] + keep out */
static void times(int64_t m, int64_t n, int64_t k, double factor, const double *a, const double *b,
                  double keep, double *out)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)m, (int)n, (int)k, factor, a,
                (int)k, b, (int)n, keep, out, (int)n);
}

/* -- moments ------------------------------------------------------------------------------- */

static bool is_possible(const nm_edit *e)
{
    return e->form.places == 1 && e->weight >= 0 && e->fixed_input && e->width <= NM_MOMENT_DENSE;
}

static nm_status open_layer(layer *l, const basis *of, int64_t n, nm_err *err)
{
    size_t points = (size_t)n, width = (size_t)of->width, out = (size_t)of->out;
    nm_status rc = NM_OK;

    l->basis = of;
    l->n = n;
    NM_TRY(nm_alloc(&l->points, points, width * sizeof(double), err));
    NM_TRY(nm_alloc(&l->solved, points, width * sizeof(double), err));
    NM_TRY(nm_alloc(&l->gram, points, points * sizeof(double), err));
    NM_TRY(nm_alloc(&l->at_points, out, points * sizeof(double), err));
    NM_TRY(nm_alloc(&l->at_solved, out, points * sizeof(double), err));
    NM_TRY(nm_alloc(&l->offset, width, sizeof(double), err));
    NM_TRY(nm_alloc(&l->solved_f, width, sizeof(double), err));
    NM_TRY(nm_alloc(&l->f_at_points, points, sizeof(double), err));
done:
    return rc;
}

/* V: what the layer sees at l->n of the n points first, first + step, ..., evenly spaced. */
static nm_status see_points(const nm_ctx *ctx, const nm_edits *edits, const nm_tail *tail,
                            int64_t first, int64_t step, int64_t n, layer *l, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t i = 0; rc == NM_OK && i < l->n; i++)
        rc = nm_edit_see(ctx, edits, l->basis->b, tail->at, first + step * (i * n / l->n), 1,
                         l->points + i * l->basis->width, err);
    return rc;
}

/* m: the mean over the reference data. */
static nm_status see_reference(const nm_ctx *ctx, const nm_edits *edits, const nm_crowd *reference,
                               basis *of, nm_err *err)
{
    int64_t chunk = 4 * nm_pass_block(edits->net);
    nm_tape *tape = NULL;
    double *u = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_tape_new(edits->net, chunk, reference->marks.frontier, &tape, err));
    NM_TRY(nm_alloc(&u, (size_t)chunk, (size_t)of->width * sizeof *u, err));
    for (int64_t first = 0; first < reference->n; first += chunk) {
        int64_t n = reference->n - first < chunk ? reference->n - first : chunk;

        nm_crowd_load(reference, first, n, tape);
        NM_TRY(nm_edit_see(ctx, edits, of->b, tape, 0, n, u, err));
        for (int64_t i = 0; i < n; i++)
            cblas_daxpy((int)of->width, 1 / (double)reference->n, u + i * of->width, 1, of->mean,
                        1);
    }
done:
    nm_tape_free(tape);
    nm_free(u);
    return rc;
}

static nm_status get_weights(const nm_edits *edits, basis *of, nm_err *err)
{
    const nm_params *params = edits->params;
    double *tensor = NULL, *now = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&now, (size_t)params->n, sizeof *now, err));
    for (int i = 0; i < params->n_blocks; i++) {
        const nm_param_block *block = &params->blocks[i];

        if (block->layer != edits->at[of->b].layer)
            continue;
        nm_free(tensor);
        tensor = NULL;
        NM_TRY(nm_alloc(&tensor, (size_t)nm_block_tensor_size(edits->net, block), sizeof *tensor,
                        err));
        NM_TRY(nm_net_get_layer(edits->net, block->layer, block->bias, tensor, err));
        nm_block_gather(edits->net, block, tensor, now);
    }
    nm_edit_from_params(edits, of->b, now, of->weights);
done:
    nm_free(tensor);
    nm_free(now);
    return rc;
}

static nm_status open_basis(const nm_ctx *ctx, const nm_edits *edits, int b,
                            const nm_metric *metric, const nm_crowd *reference, basis *of,
                            nm_err *err)
{
    const nm_edit *e = &edits->at[b];
    size_t width = (size_t)e->width, out = (size_t)e->form.n_out;
    nm_status rc = NM_OK;

    of->b = b;
    of->width = e->width;
    of->out = e->form.n_out;
    of->damping = metric->damping_in[b];
    NM_TRY(nm_alloc(&of->weights, out, width * sizeof(double), err));
    NM_TRY(nm_alloc(&of->solved_w, out, width * sizeof(double), err));
    NM_TRY(nm_alloc(&of->mean, width, sizeof(double), err));
    NM_TRY(nm_alloc(&of->at_mean, out, sizeof(double), err));
    NM_TRY(see_reference(ctx, edits, reference, of, err));
    NM_TRY(get_weights(edits, of, err));
    NM_TRY(nm_moment_solve(ctx, metric->seen[b], of->weights, of->out, of->solved_w, err));
    times_transposed(of->out, 1, of->width, 1, of->weights, of->mean, 0, of->at_mean);
done:
    return rc;
}

/* One for each layer where that is possible. */
static nm_status open_bases(const nm_ctx *ctx, const nm_metric *metric, const nm_crowd *reference,
                            nm_shift *s, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&s->own, (size_t)s->edits->n, sizeof *s->own, err));
    s->bases = s->own;
    for (int b = 0; b < s->edits->n; b++)
        if (is_possible(&s->edits->at[b]))
            NM_TRY(open_basis(ctx, s->edits, b, metric, reference, &s->own[s->n++], err));
done:
    return rc;
}

/* Everything else that does not depend on c. */
static nm_status multiply(const nm_ctx *ctx, const nm_metric *metric, layer *l, nm_err *err)
{
    const basis *of = l->basis;
    const nm_moment *moment = metric->seen[of->b];
    int64_t width = of->width;
    nm_status rc = NM_OK;

    for (int64_t i = 0; i < l->n; i++)
        cblas_daxpy((int)width, 1 / (double)l->n, l->points + i * width, 1, l->offset, 1);
    cblas_daxpy((int)width, -1, of->mean, 1, l->offset, 1);
    NM_TRY(nm_moment_solve(ctx, moment, l->points, l->n, l->solved, err));
    NM_TRY(nm_moment_solve(ctx, moment, l->offset, 1, l->solved_f, err));
    times_transposed(l->n, l->n, width, 1, l->solved, l->points, 0, l->gram);
    times_transposed(of->out, l->n, width, 1, of->weights, l->points, 0, l->at_points);
    times_transposed(of->out, l->n, width, 1, of->solved_w, l->points, 0, l->at_solved);
    times_transposed(1, l->n, width, 1, l->solved_f, l->points, 0, l->f_at_points);
done:
    return rc;
}

nm_status nm_shift_new(const nm_ctx *ctx, const nm_edits *edits, const nm_metric *metric,
                       const nm_crowd *reference, const nm_shift *like, const nm_tail *points,
                       int64_t first, int64_t step, int64_t n, nm_shift **out, nm_err *err)
{
    int64_t count = first < n ? (n - first + step - 1) / step : 0;
    int64_t taken = count < NM_MOMENT_SAMPLE ? count : NM_MOMENT_SAMPLE;
    nm_shift *s = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    if (count == 0)
        return NM_OK;
    NM_TRY(nm_alloc(&s, 1, sizeof *s, err));
    s->edits = edits;
    NM_TRY(nm_alloc(&s->at, (size_t)edits->n, sizeof *s->at, err));
    if (like) {
        s->bases = like->bases;
        s->n = like->n;
    } else {
        NM_TRY(open_bases(ctx, metric, reference, s, err));
    }
    for (int i = 0; i < s->n; i++) {
        layer *l = &s->at[i];

        NM_TRY(open_layer(l, &s->bases[i], taken, err));
        NM_TRY(see_points(ctx, edits, points, first, step, count, l, err));
        NM_TRY(multiply(ctx, metric, l, err));
    }
    if (s->n > 0) {
        *out = s;
        s = NULL;
    }
done:
    nm_shift_free(s);
    return rc;
}

static void close_basis(basis *of)
{
    nm_free(of->weights);
    nm_free(of->solved_w);
    nm_free(of->mean);
    nm_free(of->at_mean);
}

static void close_layer(layer *l)
{
    nm_free(l->points);
    nm_free(l->solved);
    nm_free(l->gram);
    nm_free(l->at_points);
    nm_free(l->at_solved);
    nm_free(l->offset);
    nm_free(l->solved_f);
    nm_free(l->f_at_points);
}

void nm_shift_free(nm_shift *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n; i++) {
        if (s->at)
            close_layer(&s->at[i]);
        if (s->own)
            close_basis(&s->own[i]);
    }
    nm_free(s->at);
    nm_free(s->own);
    nm_free(s);
}

/* -- the change ---------------------------------------------------------------------------- */

/* With A = c M + V'V / n (the damping of S is c e then) and B = c n I + V M^-1 V', Woodbury gives
 *
 *     V A^-1 = n B^-1 V M^-1,   Y A^-1 = (Y M^-1 - (Y M^-1 V') B^-1 V M^-1) / c,
 *
 * and with S = M - e I and M A^-1 = (I - V'V A^-1 / n) / c
 *
 *     W X A^-1 = R B^-1 V M^-1 - W / c + e W M^-1 / c - W m f M^-1 / c,
 *     R = (1 + 1/c) W V' - (e/c) W M^-1 V' + W m (f M^-1 V') / c. */
static nm_status change_of(const nm_ctx *ctx, const layer *l, double c, double *d, nm_err *err)
{
    const basis *of = l->basis;
    size_t n = (size_t)l->n, out = (size_t)of->out;
    double *b = NULL, *r = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&b, l->gram, n * n, sizeof *b, err));
    NM_TRY(nm_memdup(&r, l->at_points, out * n, sizeof *r, err));
    for (size_t i = 0; i < n; i++)
        b[i * (n + 1)] += c * (double)n;
    if (nm_dense_cholesky(nm_ctx_threads(ctx), l->n, b, l->n, 0) != 0)
        NM_THROW(err, NM_E_FORMAT,
                 "the repair set gives second moments that are not finite; expected moderate "
                 "values");
    cblas_dscal((int)(out * n), 1 + 1 / c, r, 1);
    cblas_daxpy((int)(out * n), -of->damping / c, l->at_solved, 1, r, 1);
    cblas_dger(CblasRowMajor, (int)out, (int)n, 1 / c, of->at_mean, 1, l->f_at_points, 1, r,
               (int)n);
    for (size_t i = 0; i < out; i++)
        nm_dense_cholesky_solve(l->n, b, l->n, r + i * n);
    memcpy(d, of->weights, out * (size_t)of->width * sizeof *d);
    cblas_daxpy((int)(of->out * of->width), -of->damping, of->solved_w, 1, d, 1);
    cblas_dger(CblasRowMajor, (int)out, (int)of->width, 1, of->at_mean, 1, l->solved_f, 1, d,
               (int)of->width);
    times(of->out, of->width, l->n, -1, r, l->solved, 1 / c, d);
done:
    nm_free(b);
    nm_free(r);
    return rc;
}

nm_status nm_shift_at(const nm_ctx *ctx, const nm_shift *s, double c, double *delta, nm_err *err)
{
    nm_status rc = NM_OK;
    double *d = NULL;

    memset(delta, 0, (size_t)s->edits->params->n * sizeof *delta);
    for (int i = 0; i < s->n; i++) {
        const layer *l = &s->at[i];

        nm_free(d);
        d = NULL;
        NM_TRY(nm_alloc(&d, (size_t)l->basis->out, (size_t)l->basis->width * sizeof *d, err));
        NM_TRY(change_of(ctx, l, c, d, err));
        nm_edit_to_params(s->edits, l->basis->b, d, delta);
    }
done:
    nm_free(d);
    return rc;
}
