#include "problem/tail.h"

#include <string.h>

#include "base/mem.h"

/* -- which operators depend on a free parameter ------------------------------------------ */

static bool op_is_edited(const nm_net *net, const nm_params *params, int op)
{
    for (int i = 0; i < params->n_blocks; i++)
        if (net->layers[params->blocks[i].layer].op == op)
            return true;
    return false;
}

static bool reads_tail(const nm_tail_marks *marks, const nm_op *op)
{
    for (int k = 0; k < op->n_in; k++)
        if (op->in[k] >= 0 && marks->behind[op->in[k]])
            return true;
    return false;
}

static bool has_edited_weights(const nm_net *net, const nm_params *params, int op)
{
    for (int i = 0; i < params->n_blocks; i++)
        if (net->layers[params->blocks[i].layer].op == op && !params->blocks[i].bias)
            return true;
    return false;
}

static void mark_tail(const nm_net *net, const nm_params *params, nm_tail_marks *marks)
{
    marks->affine = true;
    for (int i = 0; i < net->n_ops; i++) {
        const nm_op *op = &net->ops[i];
        bool downstream = reads_tail(marks, op);

        marks->op_mask[i] = downstream || op_is_edited(net, params, i);
        marks->behind[op->out] = marks->op_mask[i];
        if (downstream &&
            (op->kind->n_pins || nm_op_is_smooth(net, op) || has_edited_weights(net, params, i)))
            marks->affine = false;
    }
    for (int i = 0; i < net->n_ops; i++)
        for (int k = 0; marks->op_mask[i] && k < net->ops[i].n_in; k++) {
            int v = net->ops[i].in[k];

            if (v >= 0 && !marks->behind[v] && !net->values[v].constant)
                marks->frontier[v] = true;
        }
}

nm_status nm_tail_marks_new(const nm_net *net, const nm_params *params, nm_tail_marks *out,
                            nm_err *err)
{
    size_t n_values = (size_t)net->n_values;
    nm_status rc = NM_OK;

    *out = (nm_tail_marks){0};
    NM_TRY(nm_alloc(&out->op_mask, (size_t)net->n_ops, sizeof *out->op_mask, err));
    NM_TRY(nm_alloc(&out->frontier, n_values, sizeof *out->frontier, err));
    NM_TRY(nm_alloc(&out->behind, n_values, sizeof *out->behind, err));
    mark_tail(net, params, out);
done:
    return rc;
}

void nm_tail_marks_clear(nm_tail_marks *marks)
{
    nm_free(marks->op_mask);
    nm_free(marks->frontier);
    nm_free(marks->behind);
    *marks = (nm_tail_marks){0};
}

/* -- evaluation -------------------------------------------------------------------------- */

/* Runs the operators before the tail for a few points at a time; keeps the frontier only. */
static nm_status fill_frontier(const nm_ctx *ctx, nm_tail *tail, const float *x, int64_t n,
                               nm_err *err)
{
    const nm_net *net = tail->base;
    int64_t n_in = net->values[net->input].size;
    int64_t chunk = nm_pass_block(net) * nm_ctx_threads(ctx);
    bool *prefix = NULL;
    nm_tape *tape = NULL;
    nm_status rc = nm_alloc(&prefix, (size_t)net->n_ops, sizeof *prefix, err);

    for (int i = 0; rc == NM_OK && i < net->n_ops; i++)
        prefix[i] = !tail->op_mask[i];
    for (int64_t first = 0; rc == NM_OK && first < n; first += chunk) {
        int64_t count = n - first < chunk ? n - first : chunk;

        if (!tape)
            rc = nm_tape_new(net, count, NULL, &tape, err);
        if (rc != NM_OK)
            break;
        tape->n = count;
        nm_tape_set_input(tape, x + first * n_in);
        rc = nm_tape_forward(ctx, tape, prefix, false, err);
        for (int v = 0; rc == NM_OK && v < net->n_values; v++)
            if (tail->frontier[v])
                memcpy(tail->at->val[v] + first * net->values[v].size, tape->val[v],
                       (size_t)(count * net->values[v].size) * sizeof(double));
    }
    nm_tape_free(tape);
    nm_free(prefix);
    return rc;
}

/* A tail for n points with room for its values, none of them computed. */
static nm_status tail_frame(const nm_net *base, const nm_params *params, int64_t n, bool lean,
                            nm_tail **out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_tail *tail = NULL;
    bool *keep = NULL;
    size_t n_values = (size_t)base->n_values;

    *out = NULL;
    NM_TRY(nm_alloc(&tail, 1, sizeof *tail, err));
    tail->base = base;
    tail->params = params;
    NM_TRY(nm_net_clone(base, &tail->net, err));
    NM_TRY(nm_alloc(&tail->delta, (size_t)params->n, sizeof *tail->delta, err));
    NM_TRY(nm_tail_marks_new(base, params, &tail->marks, err));
    tail->op_mask = tail->marks.op_mask;
    tail->frontier = tail->marks.frontier;
    tail->behind = tail->marks.behind;
    tail->affine = tail->marks.affine;
    NM_TRY(nm_alloc(&keep, n_values, sizeof *keep, err));
    for (int v = 0; v < base->n_values; v++)
        keep[v] = tail->frontier[v] || (tail->behind[v] && !lean);
    NM_TRY(nm_tape_new(tail->net, n, keep, &tail->at, err));
    *out = tail;
    tail = NULL;
done:
    nm_free(keep);
    nm_tail_free(tail);
    return rc;
}

nm_status nm_tail_new(const nm_ctx *ctx, const nm_net *base, const nm_params *params,
                      const float *x, int64_t n, bool lean, nm_tail **out, nm_err *err)
{
    nm_status rc = tail_frame(base, params, n, lean, out, err);

    if (rc == NM_OK)
        rc = fill_frontier(ctx, *out, x, n, err);
    if (rc == NM_OK && !lean)
        rc = nm_tape_forward(ctx, (*out)->at, (*out)->op_mask, false, err);
    if (rc != NM_OK) {
        nm_tail_free(*out);
        *out = NULL;
    }
    return rc;
}

nm_status nm_tail_subset(const nm_ctx *ctx, const nm_tail *from, const int64_t *points, int64_t n,
                         const double *delta, nm_tail **out, nm_err *err)
{
    nm_status rc = tail_frame(from->base, from->params, 0, false, out, err);

    if (rc == NM_OK)
        rc = nm_tail_append(*out, from, points, n, err);
    if (rc == NM_OK)
        rc = nm_tail_move(ctx, *out, delta, err);
    if (rc != NM_OK) {
        nm_tail_free(*out);
        *out = NULL;
    }
    return rc;
}

void nm_tail_free(nm_tail *tail)
{
    if (!tail)
        return;
    nm_tape_free(tail->at);
    nm_net_free(tail->net);
    nm_free(tail->delta);
    nm_tail_marks_clear(&tail->marks);
    nm_free(tail);
}

nm_status nm_tail_move(const nm_ctx *ctx, nm_tail *tail, const double *delta, nm_err *err)
{
    nm_status rc = nm_params_apply(tail->params, tail->base, delta, tail->net, err);

    if (rc != NM_OK)
        return rc;
    memmove(tail->delta, delta, (size_t)tail->params->n * sizeof *delta);
    return nm_tape_forward(ctx, tail->at, tail->op_mask, false, err);
}

nm_status nm_tail_append(nm_tail *tail, const nm_tail *from, const int64_t *points, int64_t n,
                         nm_err *err)
{
    const nm_net *net = tail->base;
    int64_t old = tail->at->n;

    for (int v = 0; v < net->n_values; v++) {
        size_t size = (size_t)net->values[v].size;
        nm_status rc;

        if (!tail->at->val[v])
            continue;
        rc = nm_realloc(&tail->at->val[v], (size_t)(old + n), size * sizeof(double), err);
        if (rc != NM_OK)
            return rc;
        for (int64_t i = 0; tail->frontier[v] && i < n; i++)
            memcpy(tail->at->val[v] + (size_t)(old + i) * size,
                   from->at->val[v] + (size_t)points[i] * size, size * sizeof(double));
    }
    tail->at->n = old + n;
    return NM_OK;
}

/* -- scores without keeping anything ----------------------------------------------------- */

struct scores_job {
    const nm_tail *tail;
    const nm_net *net; /* with the parameters to evaluate */
    double *scores;
};

static double *block_array(const struct scores_job *job, int v, int64_t first, int64_t n,
                           nm_arena *arena)
{
    int64_t size = job->net->values[v].size;

    if (job->tail->frontier[v])
        return job->tail->at->val[v] + first * size;
    if (v == job->net->scores)
        return job->scores + first * size;
    return job->tail->behind[v] ? nm_arena_take(arena, (size_t)(n * size), sizeof(double)) : NULL;
}

static nm_status scores_of_block(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const struct scores_job *job = user;
    const nm_net *net = job->net;
    nm_arena scratch = {0};
    nm_status rc = NM_OK;
    double **val = nm_arena_take(arena, (size_t)net->n_values, sizeof *val);

    for (int v = 0; val && v < net->n_values; v++)
        val[v] = block_array(job, v, first, n, arena);
    if (!val || arena->failed)
        return NM_E_NOMEM;
    for (int i = 0; rc == NM_OK && i < net->n_ops; i++) {
        nm_exec ex = {.net = net, .op = &net->ops[i], .n = n, .arena = &scratch};
        const double *in[NM_OP_MAX_IN];

        if (!job->tail->op_mask[i])
            continue;
        nm_op_inputs(net, ex.op, val, 0, in);
        ex.op->kind->forward_f64(&ex, in, val[ex.op->out]);
        rc = nm_arena_reset(&scratch, NULL);
    }
    nm_arena_clear(&scratch);
    return rc;
}

nm_status nm_tail_scores(const nm_ctx *ctx, const nm_tail *tail, const double *delta,
                         double *scores, nm_err *err)
{
    nm_net *net = NULL;
    nm_status rc = nm_net_clone(tail->base, &net, err);
    struct scores_job job = {.tail = tail, .net = net, .scores = scores};

    if (rc == NM_OK)
        rc = nm_params_apply(tail->params, tail->base, delta, net, err);
    if (rc == NM_OK)
        rc = nm_blocks_run(ctx, tail->at->n, nm_pass_block(net), scores_of_block, &job, err);
    nm_net_free(net);
    return rc;
}

/* -- tangents ---------------------------------------------------------------------------- */

nm_status nm_tail_tangent_new(const nm_tail *tail, nm_tape **out, nm_err *err)
{
    return nm_tape_new(tail->net, tail->at->n, tail->behind, out, err);
}

struct tangent_job {
    const nm_tail *tail;
    nm_tape *t;
    double **step; /* [n_blocks] the step, spread over each edited tensor */
};

static void add_parameter_tangent(const nm_exec *ex, const struct tangent_job *job, const double *x,
                                  double *dout)
{
    const nm_params *params = job->tail->params;

    for (int i = 0; i < params->n_blocks; i++) {
        const nm_param_block *block = &params->blocks[i];

        if (&ex->net->ops[ex->net->layers[block->layer].op] == ex->op)
            ex->op->kind->param_jvp(ex, x, block->bias ? NULL : job->step[i],
                                    block->bias ? job->step[i] : NULL, dout);
    }
}

static void visit_tangent(const nm_exec *ex, int64_t first, void *user)
{
    const struct tangent_job *job = user;
    const double *in[NM_OP_MAX_IN];
    double *din[NM_OP_MAX_IN];
    int64_t shift = first * ex->net->values[ex->op->out].size;
    double *dout = job->t->val[ex->op->out] + shift;

    nm_op_inputs(ex->net, ex->op, job->tail->at->val, first, in);
    nm_op_partners(ex->net, ex->op, job->t->val, first, din);
    ex->op->kind->jvp(ex, in, job->tail->at->val[ex->op->out] + shift, (const double *const *)din,
                      dout);
    add_parameter_tangent(ex, job, in[0], dout);
}

static nm_status scatter_step(const nm_tail *tail, const double *d, double ***out, nm_err *err)
{
    const nm_params *params = tail->params;
    nm_status rc = nm_alloc(out, (size_t)params->n_blocks, sizeof **out, err);

    for (int i = 0; rc == NM_OK && i < params->n_blocks; i++) {
        rc = nm_alloc(&(*out)[i], (size_t)nm_block_tensor_size(tail->base, &params->blocks[i]),
                      sizeof(double), err);
        if (rc == NM_OK)
            nm_block_scatter(tail->base, &params->blocks[i], d, (*out)[i]);
    }
    return rc;
}

nm_status nm_tail_tangent(const nm_ctx *ctx, const nm_tail *tail, const double *d, nm_tape *t,
                          nm_err *err)
{
    struct tangent_job job = {.tail = tail, .t = t};
    nm_pass pass = {.net = tail->net,
                    .n = tail->at->n,
                    .op_mask = tail->op_mask,
                    .visit = visit_tangent,
                    .user = &job};
    nm_status rc = scatter_step(tail, d, &job.step, err);

    if (rc == NM_OK)
        rc = nm_pass_run(ctx, &pass, err);
    for (int i = 0; job.step && i < tail->params->n_blocks; i++)
        nm_free(job.step[i]);
    nm_free(job.step);
    return rc;
}

static bool same_frontier(const nm_tail *tail, int64_t p, int64_t q)
{
    for (int v = 0; v < tail->base->n_values; v++) {
        int64_t size = tail->base->values[v].size;

        if (tail->frontier[v] && memcmp(tail->at->val[v] + p * size, tail->at->val[v] + q * size,
                                        (size_t)size * sizeof(double)) != 0)
            return false;
    }
    return true;
}

int64_t nm_tail_same_as(const nm_tail *tail, int64_t p)
{
    for (int64_t i = 0; i < p; i++)
        if (same_frontier(tail, i, p))
            return i;
    return -1;
}
