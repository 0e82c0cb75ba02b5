#include "repair/changes.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

nm_status nm_changes_new(const nm_net *net, nm_changes *out, nm_err *err)
{
    size_t n = (size_t)net->n_layers;
    nm_status rc = NM_OK;

    *out = (nm_changes){.n_layers = net->n_layers};
    NM_TRY(nm_alloc(&out->weights, n, sizeof *out->weights, err));
    NM_TRY(nm_alloc(&out->biases, n, sizeof *out->biases, err));
done:
    if (rc != NM_OK)
        nm_changes_clear(out);
    return rc;
}

void nm_changes_clear(nm_changes *c)
{
    for (int i = 0; i < c->n_layers; i++) {
        if (c->weights)
            nm_free(c->weights[i]);
        if (c->biases)
            nm_free(c->biases[i]);
    }
    nm_free(c->weights);
    nm_free(c->biases);
    *c = (nm_changes){0};
}

static nm_status copy_array(double **to, const double *from, int64_t n, nm_err *err)
{
    nm_free(*to);
    *to = NULL;
    return from ? nm_memdup(to, from, (size_t)n, sizeof *from, err) : NM_OK;
}

nm_status nm_changes_copy(const nm_net *net, const nm_changes *from, int lo, int hi, nm_changes *to,
                          nm_err *err)
{
    nm_status rc = NM_OK;

    for (int i = lo; i <= hi; i++) {
        NM_TRY(copy_array(&to->weights[i], from->weights[i], net->layers[i].n_weights, err));
        NM_TRY(copy_array(&to->biases[i], from->biases[i], net->layers[i].n_biases, err));
    }
done:
    return rc;
}

static void scale_array(double *v, int64_t n, double by)
{
    for (int64_t k = 0; v && k < n; k++)
        v[k] *= by;
}

void nm_changes_scale(const nm_net *net, nm_changes *c, double by)
{
    for (int i = 0; i < c->n_layers; i++) {
        scale_array(c->weights[i], net->layers[i].n_weights, by);
        scale_array(c->biases[i], net->layers[i].n_biases, by);
    }
}

static nm_status apply_array(const nm_net *base, const double *change, int layer, bool bias,
                             nm_net *net, nm_err *err)
{
    int value = bias ? base->layers[layer].bias : base->layers[layer].weight;
    const nm_tensor *tensor = base->values[value].constant;
    double *sum = NULL;
    nm_status rc = nm_memdup(&sum, tensor->f64, (size_t)tensor->size, sizeof *sum, err);

    for (int64_t k = 0; rc == NM_OK && change && k < tensor->size; k++)
        sum[k] += change[k];
    if (rc == NM_OK)
        rc = nm_net_set_layer(net, layer, bias, sum, err);
    nm_free(sum);
    return rc;
}

nm_status nm_changes_apply(const nm_net *base, const nm_changes *c, int layer, nm_net *net,
                           nm_err *err)
{
    nm_status rc = apply_array(base, c->weights[layer], layer, false, net, err);

    if (rc == NM_OK && base->layers[layer].bias >= 0)
        rc = apply_array(base, c->biases[layer], layer, true, net, err);
    return rc;
}

/* -- figures ------------------------------------------------------------------------------ */

struct sums {
    double largest, sum, squares, lo, hi;
};

static void add_array(struct sums *s, const double *v, int64_t n)
{
    for (int64_t k = 0; v && k < n; k++) {
        s->largest = fmax(s->largest, fabs(v[k]));
        s->sum += fabs(v[k]);
        s->squares += v[k] * v[k];
        s->lo = fmin(s->lo, v[k]);
        s->hi = fmax(s->hi, v[k]);
    }
}

static struct sums sums_of(const nm_net *net, const nm_changes *c)
{
    struct sums s = {0};

    for (int i = 0; i < c->n_layers; i++) {
        add_array(&s, c->weights[i], net->layers[i].n_weights);
        add_array(&s, c->biases[i], net->layers[i].n_biases);
    }
    return s;
}

double nm_changes_norm(const nm_net *net, const nm_changes *c, nm_norm norm, double l1_weight)
{
    struct sums s = sums_of(net, c);

    switch (norm) {
    case NM_NORM_LINF_L1N:
        return s.largest + l1_weight * s.sum;
    case NM_NORM_LINF:
        return s.largest;
    case NM_NORM_L1:
        return s.sum;
    case NM_NORM_L2:
        return sqrt(s.squares);
    case NM_NORM_FUNCTION:
        break;
    }
    return NAN;
}

void nm_changes_range(const nm_net *net, const nm_changes *c, double *lo, double *hi)
{
    struct sums s = sums_of(net, c);

    *lo = s.lo;
    *hi = s.hi;
}

void nm_changes_to_params(const nm_net *net, const nm_changes *c, const nm_params *params,
                          double *delta)
{
    for (int b = 0; b < params->n_blocks; b++) {
        const nm_param_block *block = &params->blocks[b];
        const double *from = block->bias ? c->biases[block->layer] : c->weights[block->layer];

        if (from)
            nm_block_gather(net, block, from, delta);
        else
            memset(delta + block->first, 0, (size_t)block->n * sizeof *delta);
    }
}
