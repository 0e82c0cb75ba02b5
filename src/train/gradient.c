/* Large batches go through the tape in chunks. Of each chunk a fixed number of parts sum their
 * parameter gradients side by side; parts are added up in order. Neither depends on the number of
 * threads, so neither do the rounding errors. */
#include "train/gradient.h"

#include <string.h>

#include "base/mem.h"
#include "net/cross_entropy.h"
#include "net/tape.h"

enum {
    CHUNK = 4096, /* points on the tape at a time: bounds the memory */
    N_PARTS = 8,  /* of a chunk, each with a gradient of its own */
    MIN_PART = 64 /* points for which a part is worth its memory traffic */
};

struct nm_gradient {
    const nm_net *net;
    nm_tape *at, *adjoint; /* values and their adjoints, [chunk] points */
    int64_t chunk;
    float *x;        /* [chunk x n_in] */
    int64_t *labels; /* [chunk] */
    int64_t size;    /* parameters */
    double *parts;   /* [N_PARTS x size] */
};

void nm_gradient_free(nm_gradient *g)
{
    if (!g)
        return;
    nm_tape_free(g->at);
    nm_tape_free(g->adjoint);
    nm_free(g->x);
    nm_free(g->labels);
    nm_free(g->parts);
    nm_free(g);
}

nm_status nm_gradient_new(const nm_net *net, int64_t max_points, nm_gradient **out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_gradient *g = NULL;

    *out = NULL;
    NM_TRY(nm_alloc(&g, 1, sizeof *g, err));
    g->net = net;
    g->chunk = max_points < CHUNK ? max_points : CHUNK;
    for (int k = 0; k < net->n_layers; k++)
        g->size += net->layers[k].n_weights + net->layers[k].n_biases;
    NM_TRY(nm_tape_new(net, g->chunk, NULL, &g->at, err));
    NM_TRY(nm_tape_new(net, g->chunk, NULL, &g->adjoint, err));
    NM_TRY(nm_alloc(&g->x, (size_t)g->chunk, (size_t)nm_net_n_in(net) * sizeof *g->x, err));
    NM_TRY(nm_alloc(&g->labels, (size_t)g->chunk, sizeof *g->labels, err));
    NM_TRY(nm_alloc(&g->parts, N_PARTS * (size_t)g->size, sizeof *g->parts, err));
    *out = g;
    g = NULL;
done:
    nm_gradient_free(g);
    return rc;
}

int64_t nm_gradient_size(const nm_gradient *g)
{
    return g->size;
}

/* Copies the points of a chunk side by side and clears the adjoints. */
static void load_chunk(nm_gradient *g, const float *x, const int64_t *labels, const int64_t *order,
                       int64_t n)
{
    size_t n_in = (size_t)nm_net_n_in(g->net);

    for (int64_t i = 0; i < n; i++) {
        memcpy(g->x + (size_t)i * n_in, x + (size_t)order[i] * n_in, n_in * sizeof *x);
        g->labels[i] = labels[order[i]];
    }
    g->at->n = g->adjoint->n = n;
    nm_tape_set_input(g->at, g->x);
    for (int k = 0; k < g->net->n_values; k++)
        if (g->adjoint->val[k])
            memset(g->adjoint->val[k], 0, (size_t)(n * g->net->values[k].size) * sizeof(double));
}

/* Puts d(sum of losses) / d(scores) on the adjoint tape. @return the sum of losses */
static double differentiate_loss(nm_gradient *g)
{
    int scores = g->net->scores;
    int64_t n_classes = g->net->values[scores].size;
    double sum = 0.0;

    for (int64_t i = 0; i < g->at->n; i++)
        sum += nm_cross_entropy(g->at->val[scores] + i * n_classes, n_classes, g->labels[i],
                                g->adjoint->val[scores] + i * n_classes);
    return sum;
}

static int64_t part_points(const nm_gradient *g)
{
    int64_t even = (g->at->n + N_PARTS - 1) / N_PARTS;

    return even > MIN_PART ? even : MIN_PART;
}

/* Gradient of the points first .. first + n - 1 of the chunk, all layers. */
static nm_status add_part(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    nm_gradient *g = user;
    const nm_net *net = g->net;
    double *to = g->parts + first / part_points(g) * g->size;

    for (int k = 0; k < net->n_layers; k++) {
        const nm_layer *layer = &net->layers[k];
        const nm_op *op = &net->ops[layer->op];
        const nm_exec ex = {.net = net, .op = op, .n = n, .arena = arena};
        const double *in = g->at->val[op->in[0]] + first * net->values[op->in[0]].size;
        const double *dout = g->adjoint->val[op->out] + first * net->values[op->out].size;

        op->kind->param_vjp(&ex, in, dout, to, layer->bias < 0 ? NULL : to + layer->n_weights);
        if (nm_arena_reset(arena, NULL) != NM_OK)
            return NM_E_NOMEM;
        to += layer->n_weights + layer->n_biases;
    }
    return NM_OK;
}

static nm_status add_chunk(const nm_ctx *ctx, nm_gradient *g, double *values, double *loss,
                           nm_err *err)
{
    int64_t part = part_points(g), n_parts = (g->at->n + part - 1) / part;
    nm_status rc = nm_tape_forward(ctx, g->at, NULL, false, err);

    if (rc == NM_OK) {
        *loss += differentiate_loss(g);
        rc = nm_tape_vjp(ctx, g->at, g->adjoint, NULL, false, err);
    }
    if (rc == NM_OK) {
        memset(g->parts, 0, (size_t)(n_parts * g->size) * sizeof *g->parts);
        rc = nm_blocks_run(ctx, g->at->n, part, add_part, g, err);
    }
    for (int64_t p = 0; rc == NM_OK && p < n_parts; p++)
        for (int64_t i = 0; i < g->size; i++)
            values[i] += g->parts[p * g->size + i];
    return rc;
}

nm_status nm_gradient_at(const nm_ctx *ctx, nm_gradient *g, const float *x, const int64_t *labels,
                         const int64_t *order, int64_t n, double *values, double *loss, nm_err *err)
{
    nm_status rc = NM_OK;

    memset(values, 0, (size_t)g->size * sizeof *values);
    *loss = 0.0;
    for (int64_t first = 0; rc == NM_OK && first < n; first += g->chunk) {
        load_chunk(g, x, labels, order + first, n - first < g->chunk ? n - first : g->chunk);
        rc = add_chunk(ctx, g, values, loss, err);
    }
    for (int64_t i = 0; i < g->size; i++)
        values[i] /= (double)n;
    *loss /= (double)n;
    return rc;
}
