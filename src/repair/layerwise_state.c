#include "repair/layerwise_state.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"

/* -- which layers ------------------------------------------------------------------------- */

static bool is_matrix(const nm_net *net, int layer)
{
    const nm_op *op = &net->ops[net->layers[layer].op];
    nm_matrix_form form;

    return op->kind->matrix_form && op->kind->matrix_form(net, op, &form) && form.alpha != 0;
}

/* The plan without what has no matrix form. */
static nm_status make_plan(nm_lw *lw, const nm_plan *asked, nm_err *err)
{
    nm_params *params = NULL;
    int n = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_params_new(asked, &params, err));
    NM_TRY(nm_plan_new(lw->base, &lw->plan, err));
    for (int i = 0; i < params->n_blocks; i++) {
        const nm_param_block *b = &params->blocks[i];

        if (b->entry || params->moved)
            NM_THROW(err, NM_E_ARG,
                     "this method changes whole layers, their weights or their biases; layer %d is "
                     "masked",
                     b->layer);
        if (!is_matrix(lw->base, b->layer))
            continue;
        NM_TRY(nm_plan_mark(lw->plan, b->layer, b->bias ? NM_FREE_BIASES : NM_FREE_WEIGHTS, err));
        n++;
    }
    if (n == 0)
        NM_THROW(err, NM_E_ARG,
                 "the edit plan frees no layer that is a matrix, expected a dense or a convolution "
                 "layer without groups");
    lw->plan->lo = asked->lo;
    lw->plan->hi = asked->hi;
    lw->plan->joint = true;
done:
    nm_params_free(params);
    return rc;
}

static bool only_relu_reads(const nm_net *net, int value)
{
    for (int i = 0; i < net->n_ops; i++)
        for (int k = 0; k < net->ops[i].n_in; k++)
            if (net->ops[i].in[k] == value)
                return net->ops[i].kind == &nm_op_relu && net->values[value].n_readers == 1;
    return false;
}

static nm_status make_edits(nm_lw *lw, nm_err *err)
{
    nm_tail_marks marks = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_params_new(lw->plan, &lw->params, err));
    NM_TRY(nm_tail_marks_new(lw->base, lw->params, &marks, err));
    NM_TRY(nm_edits_new(lw->base, lw->params, &marks, &lw->edits, err));
    if (!lw->edits)
        NM_THROW(err, NM_E_INTERNAL, "layers of matrix form are expected here");
    NM_TRY(nm_alloc(&lw->below, (size_t)lw->edits->n, sizeof *lw->below, err));
    for (int b = 0; b < lw->edits->n; b++)
        lw->below[b] = only_relu_reads(lw->base, nm_lw_out(lw, b));
done:
    nm_tail_marks_clear(&marks);
    return rc;
}

/* -- goals -------------------------------------------------------------------------------- */

/* Solvers meet rows but for rounding: they aim a little inside. */
static nm_status tighten(nm_lw *lw, nm_err *err)
{
    const double reserve = 1e-7;
    const double *y = lw->at->val[lw->net->scores];
    int64_t n_pieces = 0, n_rows = 0, w = lw->n_scores;
    double size = 1;
    nm_status rc = NM_OK;

    for (int64_t k = 0; k < lw->n * w; k++)
        size = fmax(size, fabs(y[k]));
    for (int64_t p = 0; p < lw->n; p++)
        for (int64_t i = 0; i < lw->goal[p].n_pieces; i++, n_pieces++)
            n_rows += lw->goal[p].pieces[i].n_rows;
    NM_TRY(nm_alloc(&lw->inner, (size_t)lw->n, sizeof *lw->inner, err));
    NM_TRY(nm_alloc(&lw->pieces, (size_t)n_pieces, sizeof *lw->pieces, err));
    NM_TRY(nm_alloc(&lw->limits, (size_t)n_rows, sizeof *lw->limits, err));
    n_pieces = n_rows = 0;
    for (int64_t p = 0; p < lw->n; p++) {
        lw->inner[p] = (nm_union){lw->goal[p].n_pieces, lw->pieces + n_pieces};
        for (int64_t i = 0; i < lw->goal[p].n_pieces; i++) {
            const nm_polytope *from = &lw->goal[p].pieces[i];

            lw->pieces[n_pieces++] = (nm_polytope){from->n_rows, from->c, lw->limits + n_rows};
            for (int64_t r = 0; r < from->n_rows; r++)
                lw->limits[n_rows++] =
                    from->d[r] -
                    reserve * (fabs(from->d[r]) + size * cblas_dasum((int)w, from->c + r * w, 1));
        }
    }
done:
    return rc;
}

nm_lw_goal nm_lw_whole(const nm_lw *lw)
{
    return (nm_lw_goal){.value = lw->net->scores};
}

int64_t nm_lw_missed(const nm_lw *lw)
{
    const double *y = lw->at->val[lw->net->scores];
    int64_t n = 0;

    for (int64_t p = 0; p < lw->n; p++)
        n += !nm_union_holds(&lw->goal[p], lw->n_scores, y + p * lw->n_scores);
    return n;
}

/* -- opening ------------------------------------------------------------------------------ */

nm_status nm_lw_open(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x, int64_t n,
                     const nm_union *goal, const nm_layerwise_opts *opts,
                     nm_layerwise_report *report, nm_lw **out, nm_err *err)
{
    nm_lw *lw = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(&lw, 1, sizeof *lw, err));
    *lw = (nm_lw){.ctx = ctx,
                  .base = net,
                  .opts = *opts,
                  .n = n,
                  .n_scores = net->values[net->scores].size,
                  .goal = goal,
                  .report = report};
    NM_TRY(nm_net_clone(net, &lw->net, err));
    NM_TRY(make_plan(lw, plan, err));
    NM_TRY(make_edits(lw, err));
    NM_TRY(nm_changes_new(net, &lw->now, err));
    NM_TRY(nm_tape_new(lw->net, n, NULL, &lw->at, err));
    NM_TRY(nm_tape_new(lw->net, n, NULL, &lw->adjoint, err));
    NM_TRY(nm_alloc(&lw->op_mask, (size_t)net->n_ops, sizeof *lw->op_mask, err));
    NM_TRY(nm_alloc(&lw->near, (size_t)n, (size_t)lw->n_scores * sizeof *lw->near, err));
    NM_TRY(nm_alloc(&lw->piece, (size_t)n, sizeof *lw->piece, err));
    nm_tape_set_input(lw->at, x);
    NM_TRY(nm_tape_forward(ctx, lw->at, NULL, false, err));
    NM_TRY(tighten(lw, err));
    *out = lw;
    lw = NULL;
done:
    nm_lw_close(lw);
    return rc;
}

void nm_lw_close(nm_lw *lw)
{
    if (!lw)
        return;
    nm_changes_clear(&lw->now);
    nm_tape_free(lw->at);
    nm_tape_free(lw->adjoint);
    nm_edits_free(lw->edits);
    nm_params_free(lw->params);
    nm_plan_free(lw->plan);
    nm_net_free(lw->net);
    nm_free(lw->op_mask);
    nm_free(lw->below);
    nm_free(lw->inner);
    nm_free(lw->pieces);
    nm_free(lw->limits);
    nm_free(lw->near);
    nm_free(lw->piece);
    nm_free(lw);
}

/* -- moving ------------------------------------------------------------------------------- */

nm_status nm_lw_forward(nm_lw *lw, int b, int to, nm_err *err)
{
    int first = lw->edits->at[b].op, last = lw->net->values[to].producer;

    for (int i = 0; i < lw->net->n_ops; i++)
        lw->op_mask[i] = i >= first && i <= last;
    return nm_tape_forward(lw->ctx, lw->at, lw->op_mask, false, err);
}

nm_status nm_lw_set(nm_lw *lw, const nm_changes *from, int lo, int hi, int to, nm_err *err)
{
    int first = -1;
    nm_status rc = NM_OK;

    for (int b = lo; b <= hi; b++) {
        int layer = lw->edits->at[b].layer;
        bool had = lw->now.weights[layer] || lw->now.biases[layer];
        bool has = from && (from->weights[layer] || from->biases[layer]);

        if (!had && !has)
            continue;
        first = first < 0 ? b : first;
        if (from) {
            NM_TRY(nm_changes_copy(lw->base, from, layer, layer, &lw->now, err));
        } else {
            nm_free(lw->now.weights[layer]);
            nm_free(lw->now.biases[layer]);
            lw->now.weights[layer] = lw->now.biases[layer] = NULL;
        }
        NM_TRY(nm_changes_apply(lw->base, &lw->now, layer, lw->net, err));
    }
    if (first >= 0)
        NM_TRY(nm_lw_forward(lw, first, to, err));
done:
    return rc;
}

double nm_lw_norm(const nm_lw *lw)
{
    double lo, hi;

    nm_changes_range(lw->base, &lw->now, &lo, &hi);
    if (lo < lw->plan->lo || hi > lw->plan->hi)
        return INFINITY;
    return nm_changes_norm(lw->base, &lw->now, lw->opts.norm, lw->opts.l1_weight);
}

/* -- aims and gradients ------------------------------------------------------------------- */

/* How far value k of a point is from what is wished. */
static double miss(const nm_lw_goal *goal, double value, double wish)
{
    if (goal->below_is_below && wish <= 0)
        return fmax(value, 0);
    return value - wish;
}

static const double *wishes(const nm_lw *lw, const nm_lw_goal *goal)
{
    return goal->wish ? goal->wish : lw->near;
}

double nm_lw_loss(const nm_lw *lw, const nm_lw_goal *goal, int64_t p)
{
    int64_t size = lw->net->values[goal->value].size;
    const double *value = lw->at->val[goal->value] + p * size;
    const double *wish = wishes(lw, goal) + p * size;
    double sum = 0;

    for (int64_t k = 0; k < size; k++)
        sum += miss(goal, value[k], wish[k]) * miss(goal, value[k], wish[k]);
    return sum;
}

nm_status nm_lw_aim(nm_lw *lw, const nm_lw_goal *goal, bool *reachable, nm_err *err)
{
    const double *y = lw->at->val[goal->value];
    nm_status rc = NM_OK;

    *reachable = true;
    for (int64_t p = 0; !goal->wish && p < lw->n; p++) {
        nm_nearest got;

        NM_TRY(nm_project_union(lw->ctx, &lw->inner[p], lw->n_scores, y + p * lw->n_scores,
                                lw->near + p * lw->n_scores, &got, err));
        lw->piece[p] = got.piece;
        *reachable = *reachable && got.outcome == NM_NEAREST_FOUND;
    }
done:
    return rc;
}

nm_status nm_lw_gradients(nm_lw *lw, const nm_lw_goal *goal, int lo, nm_err *err)
{
    int first = lw->edits->at[lo].op, last = lw->net->values[goal->value].producer;
    int64_t n = lw->n * lw->net->values[goal->value].size;
    const double *value = lw->at->val[goal->value], *wish = wishes(lw, goal);

    nm_tape_zero(lw->adjoint);
    for (int64_t k = 0; k < n; k++)
        lw->adjoint->val[goal->value][k] = 2 * miss(goal, value[k], wish[k]);
    for (int i = 0; i < lw->net->n_ops; i++)
        lw->op_mask[i] = i > first && i <= last;
    return nm_tape_vjp(lw->ctx, lw->at, lw->adjoint, lw->op_mask, false, err);
}
