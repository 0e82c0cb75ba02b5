#include "net/op/fold.h"

#include <math.h>
#include <string.h>

#include "net/op/batch_norm.h"
#include "net/op/facet.h"
#include "net/op/move.h"

static bool is_sum(const nm_op_kind *kind)
{
    return kind == &nm_op_add || kind == &nm_op_sub;
}

static bool is_scaling(const nm_op_kind *kind)
{
    return kind == &nm_op_mul || kind == &nm_op_div || kind == &nm_op_batch_norm;
}

/* No arithmetic: folding looks through it. */
static bool is_passage(const nm_op_kind *kind)
{
    return kind->is_view || kind == &nm_op_cast || kind->spread == nm_move_spread;
}

/* -- forwards ------------------------------------------------------------------------------ */

/* What becomes of a layer's result at a value that it reaches without other arithmetic. */
struct reached {
    bool here;
    int64_t n_scalings;
    double lo, hi; /* products of the factors so far */
};

static void join(struct reached *to, const struct reached *from)
{
    if (!to->here) {
        *to = *from;
        return;
    }
    to->n_scalings = from->n_scalings > to->n_scalings ? from->n_scalings : to->n_scalings;
    to->lo = fmin(to->lo, from->lo);
    to->hi = fmax(to->hi, from->hi);
}

static void widen(double factor, double *lo, double *hi)
{
    if (!(factor > 0))
        return;
    *lo = fmin(*lo, factor);
    *hi = fmax(*hi, factor);
}

/* The range of |factors| of a scaling by constants, 0 left out; false if they are computed, or the
   operator divides by what it reads. */
static bool factors_of(const nm_net *net, const nm_op *op, double *lo, double *hi)
{
    const nm_tensor *by;

    *lo = (double)INFINITY;
    *hi = 0;
    if (op->kind == &nm_op_batch_norm) {
        int64_t n = net->values[op->in[1]].size;

        for (int64_t c = 0; c < n; c++) {
            double scale, steepness;

            nm_batch_norm_factors(net, op, c, &scale, &steepness);
            if (!(scale > 0))
                continue;
            widen(scale, lo, hi); /* either may come first */
            widen(steepness, lo, hi);
            widen(scale * steepness, lo, hi);
        }
    } else {
        by = nm_op_constant(net, op, 1);
        by = by || op->kind == &nm_op_div ? by : nm_op_constant(net, op, 0);
        if (!by)
            return false;
        for (int64_t i = 0; i < by->size; i++)
            widen(op->kind == &nm_op_div ? 1 / fabs(by->f64[i]) : fabs(by->f64[i]), lo, hi);
    }
    if (*hi == 0)
        *lo = *hi = 1;
    return true;
}

/* One operator that reads what the layer gave. */
static void fold_in(const nm_net *net, const nm_op *op, struct reached *value, struct reached at,
                    nm_folding *f)
{
    double lo, hi;

    if (is_sum(op->kind)) {
        f->any = true;
    } else if (is_scaling(op->kind)) {
        f->any = true;
        if (!factors_of(net, op, &lo, &hi))
            return;
        at.n_scalings++;
        at.lo *= lo;
        at.hi *= hi;
        f->least = fmin(f->least, at.lo);
        f->most = fmax(f->most, at.hi);
        f->roundings = at.n_scalings > f->roundings ? at.n_scalings : f->roundings;
    } else if (!is_passage(op->kind)) {
        return;
    }
    join(&value[op->out], &at);
}

nm_folding nm_folding_of(const nm_exec *ex)
{
    const nm_net *net = ex->net;
    struct reached *value = nm_scratch(ex, (size_t)net->n_values, sizeof *value);
    nm_folding f = {.least = 1, .most = 1};

    if (!value)
        return f;
    memset(value, 0, (size_t)net->n_values * sizeof *value);
    value[ex->op->out] = (struct reached){.here = true, .lo = 1, .hi = 1};
    for (const nm_op *op = ex->op + 1; op < net->ops + net->n_ops; op++)
        for (int k = 0; k < op->n_in; k++)
            if (op->in[k] >= 0 && value[op->in[k]].here)
                fold_in(net, op, value, value[op->in[k]], &f);
    if (f.any)
        f.roundings = 1 + (f.roundings > 2 ? f.roundings : 2);
    return f;
}

/* -- backwards ----------------------------------------------------------------------------- */

/* The one operand that is computed; -1 if there are two or none. */
static int varying_operand(const nm_net *net, const nm_op *op)
{
    int found = -1;

    for (int k = 0; k < op->n_in; k++) {
        if (op->in[k] < 0 || net->values[op->in[k]].constant)
            continue;
        if (found >= 0)
            return -1;
        found = op->in[k];
    }
    return found;
}

static int64_t products_of(const nm_net *net, const nm_op *layer)
{
    const nm_value *w = &net->values[layer->in[layer->kind->weight_in]];
    const nm_value *out = &net->values[layer->out];

    if (layer->kind == &nm_op_dense) /* [rows x K] times K x N */
        return w->size / out->shape.dim[out->shape.rank - 1];
    return layer->kind == &nm_op_conv ? w->size / w->shape.dim[0] : w->size / w->shape.dim[1];
}

int64_t nm_folded_products(const nm_exec *ex, int i)
{
    const nm_net *net = ex->net;
    int v = ex->op->in[i];

    while (v >= 0 && net->values[v].producer >= 0) {
        const nm_op *op = &net->ops[net->values[v].producer];

        if (op->kind == &nm_op_dense || op->kind == &nm_op_conv ||
            op->kind == &nm_op_conv_transpose)
            return products_of(net, op);
        if (is_passage(op->kind))
            v = op->in[0];
        else
            v = is_sum(op->kind) || is_scaling(op->kind) ? varying_operand(net, op) : -1;
    }
    return 0;
}
