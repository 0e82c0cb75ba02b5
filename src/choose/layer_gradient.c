#include "choose/layer_gradient.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/cross_entropy.h"
#include "net/tape.h"

struct nm_layer_gradient {
    const nm_net *net;
    const int64_t *labels;
    nm_objective of;
    nm_tape *at, *adjoint;
    double *objective; /* [n] */
};

void nm_layer_gradient_close(nm_layer_gradient *g)
{
    if (!g)
        return;
    nm_tape_free(g->at);
    nm_tape_free(g->adjoint);
    nm_free(g->objective);
    nm_free(g);
}

/* The margin of a point, and its derivative if wanted. */
static double margin(const double *scores, int64_t n, int64_t label, double *gradient)
{
    int64_t rival = label == 0 ? 1 : 0;

    for (int64_t j = 0; j < n; j++)
        if (j != label && scores[j] > scores[rival])
            rival = j;
    if (gradient) {
        memset(gradient, 0, (size_t)n * sizeof *gradient);
        gradient[label] = 1;
        gradient[rival] = -1;
    }
    return scores[label] - scores[rival];
}

static void look_at_scores(const nm_layer_gradient *g, double *objective, bool differentiate)
{
    int v = g->net->scores;
    int64_t n_scores = g->net->values[v].size;

    for (int64_t i = 0; i < g->at->n; i++) {
        const double *scores = g->at->val[v] + i * n_scores;
        double *gradient = differentiate ? g->adjoint->val[v] + i * n_scores : NULL;

        objective[i] = g->of == NM_OF_LOSS
                           ? nm_cross_entropy(scores, n_scores, g->labels[i], gradient)
                           : margin(scores, n_scores, g->labels[i], gradient);
    }
}

nm_status nm_layer_gradient_open(const nm_ctx *ctx, const nm_net *net, const float *x,
                                 const int64_t *labels, int64_t n, nm_objective of,
                                 nm_layer_gradient **out, nm_err *err)
{
    nm_layer_gradient *g = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(&g, 1, sizeof *g, err));
    g->net = net;
    g->labels = labels;
    g->of = of;
    NM_TRY(nm_tape_new(net, n, NULL, &g->at, err));
    NM_TRY(nm_tape_new(net, n, NULL, &g->adjoint, err));
    NM_TRY(nm_alloc(&g->objective, (size_t)n, sizeof *g->objective, err));
    nm_tape_set_input(g->at, x);
    NM_TRY(nm_tape_forward(ctx, g->at, NULL, false, err));
    look_at_scores(g, g->objective, true);
    NM_TRY(nm_tape_vjp(ctx, g->at, g->adjoint, NULL, false, err));
    *out = g;
    g = NULL;
done:
    nm_layer_gradient_close(g);
    return rc;
}

const double *nm_layer_gradient_objective(const nm_layer_gradient *g)
{
    return g->objective;
}

const double *nm_layer_gradient_value(const nm_layer_gradient *g, int value)
{
    return g->at->val[value];
}

const double *nm_layer_gradient_adjoint(const nm_layer_gradient *g, int value)
{
    return g->adjoint->val[value];
}

nm_status nm_layer_gradient_params(const nm_layer_gradient *g, int layer, int64_t first, int64_t n,
                                   double *weights, double *biases, nm_err *err)
{
    const nm_layer *l = &g->net->layers[layer];
    const nm_op *op = &g->net->ops[l->op];
    nm_arena arena = {0};
    const nm_exec ex = {.net = g->net, .op = op, .n = n, .arena = &arena};
    nm_status rc;

    memset(weights, 0, (size_t)l->n_weights * sizeof *weights);
    memset(biases, 0, (size_t)l->n_biases * sizeof *biases);
    op->kind->param_vjp(&ex, g->at->val[op->in[0]] + first * g->net->values[op->in[0]].size,
                        g->adjoint->val[op->out] + first * g->net->values[op->out].size, weights,
                        l->bias < 0 ? NULL : biases);
    rc = nm_arena_reset(&arena, err);
    nm_arena_clear(&arena);
    return rc;
}

nm_status nm_layer_gradient_rerun(nm_layer_gradient *g, const nm_ctx *ctx, int value,
                                  const double *given, double *objective, nm_err *err)
{
    size_t bytes = (size_t)(g->at->n * g->net->values[value].size) * sizeof *given;
    int producer = g->net->values[value].producer;
    bool *later = NULL;
    double *kept = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&later, (size_t)g->net->n_ops, sizeof *later, err));
    NM_TRY(nm_alloc(&kept, bytes, 1, err));
    for (int k = producer + 1; k < g->net->n_ops; k++)
        later[k] = true;
    memcpy(kept, g->at->val[value], bytes);
    memcpy(g->at->val[value], given, bytes);
    rc = nm_tape_forward(ctx, g->at, later, false, err);
    if (rc == NM_OK)
        look_at_scores(g, objective, false);
    memcpy(g->at->val[value], kept, bytes);
    if (rc == NM_OK) /* the values behind are those of the network again */
        rc = nm_tape_forward(ctx, g->at, later, false, err);
done:
    nm_free(later);
    nm_free(kept);
    return rc;
}
