#include "net/tape.h"

#include <string.h>

#include "base/mem.h"

nm_status nm_tape_new(const nm_net *net, int64_t n, const bool *keep, nm_tape **out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_tape *tape = NULL;

    *out = NULL;
    NM_TRY(nm_alloc(&tape, 1, sizeof *tape, err));
    tape->net = net;
    tape->n = n;
    NM_TRY(nm_alloc(&tape->val, (size_t)net->n_values, sizeof *tape->val, err));
    for (int i = 0; i < net->n_values; i++)
        if (!net->values[i].constant && (!keep || keep[i]))
            NM_TRY(nm_alloc(&tape->val[i], (size_t)n, (size_t)net->values[i].size * sizeof(double),
                            err));
    *out = tape;
    tape = NULL;
done:
    nm_tape_free(tape);
    return rc;
}

void nm_tape_free(nm_tape *tape)
{
    if (!tape)
        return;
    for (int i = 0; tape->val && i < tape->net->n_values; i++)
        nm_free(tape->val[i]);
    nm_free(tape->val);
    nm_free(tape);
}

void nm_tape_gather(nm_tape *to, const nm_tape *from, const int64_t *points, int64_t n)
{
    for (int v = 0; v < from->net->n_values; v++) {
        size_t size = (size_t)from->net->values[v].size;

        for (int64_t i = 0; to->val[v] && from->val[v] && i < n; i++)
            memcpy(to->val[v] + (size_t)i * size, from->val[v] + (size_t)points[i] * size,
                   size * sizeof(double));
    }
}

void nm_tape_zero(nm_tape *tape)
{
    for (int v = 0; v < tape->net->n_values; v++)
        if (tape->val[v])
            memset(tape->val[v], 0, (size_t)(tape->n * tape->net->values[v].size) * sizeof(double));
}

void nm_tape_set_input(nm_tape *tape, const float *x)
{
    double *to = tape->val[tape->net->input];
    int64_t n = tape->n * tape->net->values[tape->net->input].size;

    for (int64_t i = 0; i < n; i++)
        to[i] = (double)x[i];
}

static double *output_array(const nm_exec *ex, double *const *val, int64_t first)
{
    return val[ex->op->out] + first * ex->net->values[ex->op->out].size;
}

static void visit_forward(const nm_exec *ex, int64_t first, void *user)
{
    nm_tape *tape = user;
    const double *in[NM_OP_MAX_IN];

    nm_op_inputs(ex->net, ex->op, tape->val, first, in);
    ex->op->kind->forward_f64(ex, in, output_array(ex, tape->val, first));
}

nm_status nm_tape_forward(const nm_ctx *ctx, nm_tape *tape, const bool *op_mask, bool plain,
                          nm_err *err)
{
    nm_pass pass = {.net = tape->net,
                    .n = tape->n,
                    .op_mask = op_mask,
                    .plain = plain,
                    .visit = visit_forward,
                    .user = tape};

    return nm_pass_run(ctx, &pass, err);
}

struct derivative {
    const nm_tape *at;
    nm_tape *d;
};

static void visit_jvp(const nm_exec *ex, int64_t first, void *user)
{
    const struct derivative *job = user;
    const double *in[NM_OP_MAX_IN];
    double *din[NM_OP_MAX_IN];

    nm_op_inputs(ex->net, ex->op, job->at->val, first, in);
    nm_op_partners(ex->net, ex->op, job->d->val, first, din);
    ex->op->kind->jvp(ex, in, output_array(ex, job->at->val, first), (const double *const *)din,
                      output_array(ex, job->d->val, first));
}

static void visit_vjp(const nm_exec *ex, int64_t first, void *user)
{
    const struct derivative *job = user;
    const double *in[NM_OP_MAX_IN];
    double *din[NM_OP_MAX_IN];

    nm_op_inputs(ex->net, ex->op, job->at->val, first, in);
    nm_op_partners(ex->net, ex->op, job->d->val, first, din);
    ex->op->kind->vjp(ex, in, output_array(ex, job->at->val, first),
                      output_array(ex, job->d->val, first), din);
}

static nm_status run_derivative(const nm_ctx *ctx, const nm_tape *at, nm_tape *d,
                                const bool *op_mask, bool reverse, bool plain, nm_err *err)
{
    struct derivative job = {.at = at, .d = d};
    nm_pass pass = {.net = at->net,
                    .n = at->n,
                    .op_mask = op_mask,
                    .reverse = reverse,
                    .plain = plain,
                    .visit = reverse ? visit_vjp : visit_jvp,
                    .user = &job};

    return nm_pass_run(ctx, &pass, err);
}

nm_status nm_tape_jvp(const nm_ctx *ctx, const nm_tape *at, nm_tape *d, const bool *op_mask,
                      nm_err *err)
{
    return run_derivative(ctx, at, d, op_mask, false, false, err);
}

nm_status nm_tape_vjp(const nm_ctx *ctx, const nm_tape *at, nm_tape *d, const bool *op_mask,
                      bool plain, nm_err *err)
{
    return run_derivative(ctx, at, d, op_mask, true, plain, err);
}
