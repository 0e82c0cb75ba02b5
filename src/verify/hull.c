#include "verify/hull.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/arena.h"
#include "net/op.h"
#include "net/pass.h"

/* float64 roundings of one operator's value and derivatives, as a share of what float32 may miss:
   gamma_n of double is 2^-29 of that of float, and there are less than four such sums. */
static const double share_of_float32 = 0x1p-27;

/* Of single float64 operations (exact operators, smooth functions), relative. */
static const double few_ulps = 0x1p-48;

/* Sums of bounds are rounded up by this. */
static const double up = 1 + 1e-9;

typedef struct walk {
    const nm_net *net;
    const nm_hull *hull;
    double **ref;    /* [n_values] [size] a(c) */
    double **vertex; /* [n_values] [n x size] D_i */
    double **middle; /* [n_values] [size] of the range of a(x) */
    double **reach;  /* [n_values] [size] most that anything is off that, radius included */
    double **radius; /* [n_values] [size] bound on rho */
    double **value;  /* [n_values] [size] the operator's output at the middle of its inputs */
    double **bend;   /* [n_values] [size] q */
    double **round;  /* [n_values] [size] e */
    double **adjoint;
    bool overflows; /* some float32 evaluation may: nothing is known of the scores then, not even
                       where a derivative is 0, as infinity times 0 is not a number */
    nm_arena arena, scratch;
} walk;

static double **arrays(walk *w, int64_t n)
{
    const nm_net *net = w->net;
    double **val = nm_arena_take(&w->arena, (size_t)net->n_values, sizeof *val);

    for (int v = 0; val && v < net->n_values; v++) {
        size_t size = (size_t)(n * net->values[v].size);

        val[v] = net->values[v].constant ? NULL : nm_arena_take(&w->arena, size, sizeof(double));
        if (val[v])
            memset(val[v], 0, size * sizeof(double));
    }
    return val;
}

static nm_status open_walk(walk *w, nm_err *err)
{
    double ***all[] = {&w->ref,  &w->middle, &w->reach, &w->radius,
                       &w->bend, &w->round,  &w->value, &w->adjoint};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        *all[i] = arrays(w, 1);
    w->vertex = arrays(w, w->hull->n);
    return w->arena.failed ? nm_fail(err, NM_E_NOMEM, "out of memory") : NM_OK;
}

static void close_walk(walk *w)
{
    nm_arena_clear(&w->arena);
    nm_arena_clear(&w->scratch);
}

/* Middle and reach of a value from its vertices and its radius. */
static void set_reach(walk *w, int v)
{
    int64_t size = w->net->values[v].size;

    for (int64_t i = 0; i < size; i++) {
        double lo = INFINITY, hi = -INFINITY, ref = w->ref[v][i];

        for (int64_t p = 0; p < w->hull->n; p++) {
            lo = fmin(lo, w->vertex[v][p * size + i]);
            hi = fmax(hi, w->vertex[v][p * size + i]);
        }
        w->middle[v][i] = ref + 0.5 * (lo + hi);
        w->reach[v][i] = 0.5 * (hi - lo) + w->radius[v][i] +
                         few_ulps * (fabs(ref) + fabs(lo) + fabs(hi) + w->radius[v][i]);
        if (w->hull->float32 && !(fabs(w->middle[v][i]) + w->reach[v][i] <= NM_F32_RANGE))
            w->overflows = true; /* NaN, too */
    }
}

static bool may_be_denormal(const nm_hull *hull, int64_t size, int64_t i)
{
    double lo = INFINITY, hi = -INFINITY;

    for (int64_t p = 0; p < hull->n; p++) {
        lo = fmin(lo, hull->vertex[p * size + i]);
        hi = fmax(hi, hull->vertex[p * size + i]);
    }
    return lo < NM_F32_UNDERFLOW && hi > -NM_F32_UNDERFLOW;
}

static void enter(walk *w)
{
    int in = w->net->input;
    int64_t size = w->net->values[in].size, n = w->hull->n;
    const double *x = w->hull->vertex;

    for (int64_t i = 0; i < size; i++) {
        double sum = 0, most = 0;

        for (int64_t p = 0; p < n; p++)
            sum += x[p * size + i] / (double)n;
        w->ref[in][i] = sum;
        for (int64_t p = 0; p < n; p++) {
            w->vertex[in][p * size + i] = x[p * size + i] - sum;
            most = fmax(most, fabs(x[p * size + i]));
        }
        w->radius[in][i] = (0x1p-51 + w->hull->blur) * most; /* the difference is rounded, too */
        if (w->hull->float32 && most > 0 && may_be_denormal(w->hull, size, i))
            w->radius[in][i] += NM_F32_UNDERFLOW; /* some runtimes read 0 there */
    }
    set_reach(w, in);
}

/* a(c) and a(v_i) - a(c) of one operator's output: the tangent in the middle. */
static bool carry_vertices(walk *w, nm_exec *ex, const double *const *in)
{
    const nm_op *op = ex->op;
    int64_t size = w->net->values[op->out].size;
    double *value = w->value[op->out], *din[NM_OP_MAX_IN];

    op->kind->forward_f64(ex, in, value);
    for (int k = 0; k < op->n_in; k++) {
        const nm_value *at = op->in[k] >= 0 ? &w->net->values[op->in[k]] : NULL;

        din[k] = NULL;
        if (!at || at->constant)
            continue;
        din[k] = nm_scratch(ex, (size_t)at->size, sizeof *din[k]);
        for (int64_t i = 0; din[k] && i < at->size; i++)
            din[k][i] = w->ref[op->in[k]][i] - w->middle[op->in[k]][i];
        if (!din[k])
            return false;
    }
    op->kind->jvp(ex, in, value, (const double *const *)din, w->ref[op->out]);
    for (int64_t i = 0; i < size; i++)
        w->ref[op->out][i] += value[i];
    for (int64_t p = 0; p < w->hull->n; p++) {
        nm_op_partners(w->net, op, w->vertex, p, din);
        op->kind->jvp(ex, in, value, (const double *const *)din, w->vertex[op->out] + p * size);
    }
    return true;
}

/* What one evaluation of the operator may miss, within reach of the middle. */
static bool find_rounding(walk *w, nm_exec *ex, const double *const *in, const double *const *reach,
                          double *e)
{
    const nm_op *op = ex->op;
    int64_t size = w->net->values[op->out].size;
    double *spread = nm_scratch(ex, (size_t)size, sizeof *spread);
    double share = share_of_float32 + (w->hull->float32 ? 1 : 0);

    if (!spread)
        return false;
    memset(spread, 0, (size_t)size * sizeof *spread);
    if (op->kind->spread)
        op->kind->spread(ex, in, w->value[op->out], reach, spread);
    if (!nm_op_local_error(ex, in, w->value[op->out], reach, spread, e))
        return false;
    for (int64_t i = 0; i < size; i++) {
        e[i] = (e[i] * share + few_ulps * (fabs(w->value[op->out][i]) + spread[i])) * up;
        if (w->hull->float32 && !(e[i] < (double)INFINITY)) /* sums on the way to the value */
            w->overflows = true;
    }
    return true;
}

static bool find_radius(walk *w, nm_exec *ex, const double *const *in, double *const *reach,
                        double *const *radius)
{
    const nm_op *op = ex->op;
    int64_t size = w->net->values[op->out].size;
    double *near = nm_scratch(ex, (size_t)size, sizeof *near);
    double *r = w->radius[op->out], *q = w->bend[op->out];

    if (!near)
        return false;
    memset(near, 0, (size_t)size * sizeof *near);
    /* |J rho| is at most what f changes by, and what that leaves the tangent by. */
    if (op->kind->spread)
        op->kind->spread(ex, in, w->value[op->out], (const double *const *)radius, r);
    if (op->kind->residual) {
        op->kind->residual(ex, in, w->value[op->out], (const double *const *)radius, near);
        op->kind->residual(ex, in, w->value[op->out], (const double *const *)reach, q);
    }
    for (int64_t i = 0; i < size; i++)
        r[i] = (r[i] + near[i] + q[i] + w->round[op->out][i]) * up;
    return true;
}

static nm_status pass_op(walk *w, int k, nm_err *err)
{
    const nm_op *op = &w->net->ops[k];
    nm_exec ex = {.net = w->net, .op = op, .n = 1, .plain = true, .arena = &w->scratch};
    const double *in[NM_OP_MAX_IN];
    double *reach[NM_OP_MAX_IN], *radius[NM_OP_MAX_IN];

    nm_op_inputs(w->net, op, w->middle, 0, in);
    nm_op_partners(w->net, op, w->reach, 0, reach);
    nm_op_partners(w->net, op, w->radius, 0, radius);
    if (!carry_vertices(w, &ex, in) ||
        !find_rounding(w, &ex, in, (const double *const *)reach, w->round[op->out]) ||
        !find_radius(w, &ex, in, reach, radius))
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    set_reach(w, op->out);
    return nm_arena_reset(&w->scratch, err);
}

/* -- one row ---------------------------------------------------------------------------------- */

static nm_status carry_back(walk *w, const nm_hull_row *row, nm_err *err)
{
    const nm_net *net = w->net;

    for (int v = 0; v < net->n_values; v++)
        if (w->adjoint[v])
            memset(w->adjoint[v], 0, (size_t)net->values[v].size * sizeof(double));
    memcpy(w->adjoint[net->scores], row->coef,
           (size_t)net->values[net->scores].size * sizeof(double));
    for (int k = net->n_ops - 1; k >= 0; k--) {
        const nm_op *op = &net->ops[k];
        nm_exec ex = {.net = net, .op = op, .n = 1, .plain = true, .arena = &w->scratch};
        const double *in[NM_OP_MAX_IN];
        double *din[NM_OP_MAX_IN];

        nm_op_inputs(net, op, w->middle, 0, in);
        nm_op_partners(net, op, w->adjoint, 0, din);
        op->kind->vjp(&ex, in, w->value[op->out], w->adjoint[op->out], din);
        if (w->scratch.failed)
            return nm_fail(err, NM_E_NOMEM, "out of memory");
        if (nm_arena_reset(&w->scratch, err) != NM_OK)
            return NM_E_NOMEM;
    }
    return NM_OK;
}

/* Adjoints are sums over paths through the net, each rounded at most once for each number of it,
   and paths through magnitudes add up to the radius. */
static double adjoint_rounding(const walk *w, double magnitude)
{
    int64_t n = 0;

    for (int v = 0; v < w->net->n_values; v++)
        n += w->net->values[v].size;
    return 0x1p-52 * (double)n * magnitude;
}

static void bound_row(const walk *w, const nm_hull_row *row, nm_hull_bound *out)
{
    int y = w->net->scores;
    int64_t n_out = w->net->values[y].size;
    double at_ref = -row->limit, size = fabs(row->limit), deviation = 0, least = INFINITY;

    for (int64_t i = 0; i < n_out; i++) {
        at_ref += row->coef[i] * w->ref[y][i];
        size += fabs(row->coef[i]) * (fabs(w->middle[y][i]) + 2 * w->reach[y][i]);
        deviation += fabs(row->coef[i]) * w->radius[y][i];
    }
    for (int64_t p = 0; p < w->hull->n; p++) {
        double sum = at_ref;

        for (int64_t i = 0; i < n_out; i++)
            sum += row->coef[i] * w->vertex[y][p * n_out + i];
        least = fmin(least, sum);
    }
    *out = (nm_hull_bound){.at_vertex = least};
    for (int v = 0; v < w->net->n_values; v++)
        for (int64_t i = 0; w->adjoint[v] && i < w->net->values[v].size; i++) {
            double adjoint = fabs(w->adjoint[v][i]);
            double entered = v == w->net->input ? w->radius[v][i] : 0;

            /* what does not matter may be without bound */
            out->bends += adjoint > 0 ? adjoint * w->bend[v][i] : 0;
            out->rounding += adjoint > 0 ? adjoint * (w->round[v][i] + entered) : 0;
        }
    out->bends *= up;
    out->rounding =
        (out->rounding + adjoint_rounding(w, deviation) + few_ulps * (double)(n_out + 2) * size) *
        up;
    out->least = least - (out->bends + out->rounding) * up;
    if (w->overflows || !isfinite(out->least)) /* not a number, or without bound */
        out->least = -INFINITY;
}

nm_status nm_hull_check(const nm_net *net, const nm_hull *hull, nm_hull_bound *out, nm_err *err)
{
    walk w = {.net = net, .hull = hull};
    nm_status rc = NM_OK;

    NM_TRY(open_walk(&w, err));
    enter(&w);
    for (int k = 0; k < net->n_ops; k++)
        NM_TRY(pass_op(&w, k, err));
    for (int64_t r = 0; r < hull->n_rows; r++) {
        NM_TRY(carry_back(&w, &hull->rows[r], err));
        bound_row(&w, &hull->rows[r], &out[r]);
    }
done:
    close_walk(&w);
    return rc;
}
