/* Tiny ReLU chains with violated points, evaluated and differentiated by plain loops of their own.
 */
#ifndef NM_TESTS_TINY_NETS_H
#define NM_TESTS_TINY_NETS_H

#include "make_net.h"

#include "netmend/netmend.h"
#include "repair/label_goals.h"
#include "repair/layerwise.h"
#include "repair/minimal.h"

enum { TN_LAYERS = 5, TN_WIDTH = 4, TN_POINTS = 3, TN_IN = 3, TN_CLASSES = 3 };
enum { TN_MAX_PARAMS = TN_LAYERS * TN_WIDTH * (TN_WIDTH + 1) };

static const double tn_margin = 1e-3;

typedef struct tiny {
    nm_net *net;
    int n_layers; /* affine ones */
    int64_t widths[TN_LAYERS + 1];
    int64_t first[TN_LAYERS + 1]; /* of each layer in a vector of all parameters: weights row by
                                     row, then biases */
    double theta[TN_MAX_PARAMS];
    int64_t n_params;
    int64_t n;
    float x[TN_POINTS * TN_IN];
    int64_t target[TN_POINTS];
    double margin[TN_POINTS];
    nm_label_goals goals;
} tiny;

/* Values before the ReLUs, layer by layer, and the scores: z[l][r]. */
static inline void tn_forward(const tiny *t, const double *theta, int64_t p,
                              double z[TN_LAYERS][TN_WIDTH])
{
    double a[TN_WIDTH];

    for (int64_t k = 0; k < t->widths[0]; k++)
        a[k] = (double)t->x[p * TN_IN + k];
    for (int l = 0; l < t->n_layers; l++) {
        int64_t in = t->widths[l], out = t->widths[l + 1];
        const double *w = theta + t->first[l], *b = w + in * out;

        for (int64_t r = 0; r < out; r++) {
            z[l][r] = b[r];
            for (int64_t k = 0; k < in; k++)
                z[l][r] += w[r * in + k] * a[k];
        }
        for (int64_t r = 0; r < out; r++)
            a[r] = fmax(z[l][r], 0);
    }
}

/* Smallest margin over the points. */
static inline double tn_worst(const tiny *t, const double *theta)
{
    double z[TN_LAYERS][TN_WIDTH], worst = INFINITY;

    for (int64_t p = 0; p < t->n; p++) {
        tn_forward(t, theta, p, z);
        for (int64_t j = 0; j < TN_CLASSES; j++)
            if (j != t->target[p])
                worst = fmin(worst, z[t->n_layers - 1][t->target[p]] - z[t->n_layers - 1][j]);
    }
    return worst;
}

/* 2 to 4 hidden layers of 2 to 4 neurons; n points whose class must become another one. */
static inline void tn_open(tiny *t, nm_ctx *ctx, uint64_t seed, int64_t n)
{
    nm_rng rng = {.seed = seed, .stream = 3};
    int64_t predicted[TN_POINTS];
    nm_err err = {0};

    memset(t, 0, sizeof *t);
    t->n = n;
    t->n_layers = 3 + (int)(seed % 3);
    t->widths[0] = TN_IN;
    for (int l = 1; l < t->n_layers; l++)
        t->widths[l] = 2 + (int64_t)(nm_rng_uniform(&rng) * 3) % 3;
    t->widths[t->n_layers] = TN_CLASSES;
    t->net = make_chain(seed, "Relu", t->widths, t->n_layers);
    for (int l = 0; l < t->n_layers; l++) {
        const nm_layer *layer = &t->net->layers[l];

        memcpy(t->theta + t->n_params, t->net->values[layer->weight].constant->f64,
               (size_t)layer->n_weights * sizeof(double));
        memcpy(t->theta + t->n_params + layer->n_weights, t->net->values[layer->bias].constant->f64,
               (size_t)layer->n_biases * sizeof(double));
        t->first[l] = t->n_params;
        t->n_params += layer->n_weights + layer->n_biases;
    }
    t->first[t->n_layers] = t->n_params;
    fill_normal(&rng, t->x, n * TN_IN);
    nm_assert_ok(nm_predict(ctx, t->net, t->x, n, predicted, &err), &err);
    for (int64_t p = 0; p < n; p++) {
        t->target[p] = (predicted[p] + 1 + (int64_t)(nm_rng_uniform(&rng) * 2) % 2) % TN_CLASSES;
        t->margin[p] = tn_margin;
    }
    nm_assert_ok(nm_label_goals_new(t->target, t->margin, n, TN_CLASSES, &t->goals, &err), &err);
}

static inline void tn_close(tiny *t)
{
    nm_label_goals_clear(&t->goals);
    nm_net_free(t->net);
}

/* A plan of one layer, or of all together (layer < 0). */
static inline nm_plan *tn_plan(const tiny *t, int layer)
{
    nm_plan *plan;
    nm_err err = {0};

    nm_assert_ok(nm_plan_new(t->net, &plan, &err), &err);
    for (int l = 0; l < t->n_layers; l++)
        if (layer < 0 || l == layer)
            nm_assert_ok(nm_plan_mark(plan, l, NM_FREE_ALL, &err), &err);
    nm_plan_set_joint(plan, layer < 0);
    return plan;
}

static inline double tn_norm(nm_norm norm, const double *v, int64_t n)
{
    double most = 0, sum = 0, squares = 0;

    for (int64_t k = 0; k < n; k++) {
        most = fmax(most, fabs(v[k]));
        sum += fabs(v[k]);
        squares += v[k] * v[k];
    }
    return norm == NM_NORM_LINF ? most : norm == NM_NORM_L1 ? sum : sqrt(squares);
}

#endif
