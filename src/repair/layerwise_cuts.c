#include "repair/layerwise_cuts.h"

#include <cblas.h>
#include <math.h>

#include "base/mem.h"

const double nm_lw_shares[NM_LW_N_SHARES] = {1, 0.5, 0.75, 0.25, 1.5, 0.125};

/* The change per unit of output that inputs like these allow, by the norm of the repair. */
static double leverage(const nm_lw *lw, int b, int64_t p)
{
    const nm_edit *e = &lw->edits->at[b];
    int v = lw->net->ops[e->op].in[0];
    int64_t size = lw->net->values[v].size;
    const double *a = lw->at->val[v] + p * size;
    double share = e->weight >= 0 ? (double)e->form.n_in / (double)size : 0;
    double bias = e->bias >= 0 ? 1 : 0;

    if (lw->opts.norm == NM_NORM_L2)
        return sqrt(share * cblas_ddot((int)size, a, 1, a, 1) + bias);
    if (lw->opts.norm == NM_NORM_L1)
        return fmax(e->weight >= 0 ? fabs(a[cblas_idamax((int)size, a, 1)]) : 0, bias);
    return share * cblas_dasum((int)size, a, 1) + bias;
}

static double needed(const nm_lw *lw, int b, int64_t p, const double *step, int64_t size)
{
    double by = leverage(lw, b, p), largest = fabs(step[cblas_idamax((int)size, step, 1)]);

    if (by == 0)
        return INFINITY;
    if (lw->opts.norm == NM_NORM_L2)
        return cblas_dnrm2((int)size, step, 1) / by;
    return (lw->opts.norm == NM_NORM_L1 ? cblas_dasum((int)size, step, 1) : largest) / by;
}

/* alpha of point p: along the gradient G of the loss L = |e|^2, e shrinks by |G|^2 alpha / (2 |e|)
   to first order, so that alpha = 2 L / |G|^2 would bring it to 0 if e pointed along the change. */
nm_status nm_lw_cut_make(const nm_lw *lw, const nm_lw_goal *goal, int b, nm_lw_cut *c, nm_err *err)
{
    int out = nm_lw_out(lw, b);
    int64_t size = lw->net->values[out].size;
    size_t all = (size_t)(lw->n * size);
    nm_status rc = NM_OK;

    *c = (nm_lw_cut){.b = b};
    NM_TRY(nm_memdup(&c->z, lw->at->val[out], all, sizeof *c->z, err));
    NM_TRY(nm_memdup(&c->step, lw->adjoint->val[out], all, sizeof *c->step, err));
    for (int64_t p = 0; p < lw->n; p++) {
        double *step = c->step + p * size, loss = nm_lw_loss(lw, goal, p);
        double squares = cblas_ddot((int)size, step, 1, step, 1);
        double alpha = squares > 0 ? 2 * loss / squares : 0;

        if (loss > 0 && !(squares > 0))
            c->need = INFINITY; /* nothing here moves this point */
        for (int64_t k = 0; k < size; k++)
            step[k] *= -alpha;
        if (alpha > 0)
            c->need = fmax(c->need, needed(lw, b, p, step, size));
    }
done:
    return rc;
}

void nm_lw_cut_clear(nm_lw_cut *c)
{
    nm_free(c->z);
    nm_free(c->step);
    *c = (nm_lw_cut){0};
}

void nm_lw_cuts_free(nm_lw_cut *cuts, int n)
{
    for (int i = 0; i < n; i++)
        nm_lw_cut_clear(&cuts[i]);
    nm_free(cuts);
}

/* Puts a cut into its place in the list; the last one makes room. */
static void insert(nm_lw_cut *cuts, int *n, int most, const nm_lw_cut *c)
{
    int at = *n;

    for (; at > 0 && cuts[at - 1].need > c->need; at--)
        cuts[at] = cuts[at - 1];
    cuts[at] = *c;
    if (*n < most)
        ++*n;
    else
        nm_lw_cut_clear(&cuts[most]);
}

nm_status nm_lw_cuts_list(nm_lw *lw, const nm_lw_goal *goal, int lo, int hi, nm_lw_cut **out,
                          int *n, nm_err *err)
{
    nm_lw_cut *cuts = NULL;
    int most = lw->opts.breadth;
    nm_status rc = NM_OK;

    *n = 0;
    NM_TRY(nm_lw_gradients(lw, goal, lo, err));
    NM_TRY(nm_alloc(&cuts, (size_t)most + 1, sizeof *cuts, err));
    for (int b = lo; b < hi || (b == hi && nm_lw_out(lw, hi) != goal->value); b++) {
        nm_lw_cut c;

        rc = nm_lw_cut_make(lw, goal, b, &c, err);
        if (rc != NM_OK) {
            nm_lw_cut_clear(&c);
            goto done;
        }
        insert(cuts, n, most, &c);
    }
    while (*n > 0 && !isfinite(cuts[*n - 1].need))
        nm_lw_cut_clear(&cuts[--*n]);
done:
    if (rc != NM_OK)
        nm_lw_cuts_free(cuts, *n);
    *out = rc == NM_OK ? cuts : NULL;
    return rc;
}

nm_status nm_lw_cut_wish(const nm_lw *lw, const nm_lw_cut *c, double share, double **out,
                         nm_err *err)
{
    int64_t n = lw->n * lw->net->values[nm_lw_out(lw, c->b)].size;
    nm_status rc = nm_memdup(out, c->z, (size_t)n, sizeof **out, err);

    if (rc == NM_OK)
        cblas_daxpy((int)n, share, c->step, 1, *out, 1);
    return rc;
}
