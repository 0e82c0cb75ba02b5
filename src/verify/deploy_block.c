/* Errors, radii and rows of one operator after the other. */
#include "verify/deploy_block.h"

#include <math.h>
#include <string.h>

#include "net/op/facet.h"
#include "net/pass.h"

nm_exec nm_block_exec(nm_block *b, int k)
{
    return (nm_exec){.net = b->net,
                     .op = &b->net->ops[k],
                     .n = b->n,
                     .plain = b->plain,
                     .most_weight = b->weights->most_weight[k],
                     .arena = b->scratch};
}

bool nm_block_settle(nm_block *b)
{
    return nm_arena_reset(b->scratch, NULL) == NM_OK && !b->keep->failed && !b->rows->failed;
}

bool nm_block_forward(nm_block *b, int k)
{
    nm_exec ex = nm_block_exec(b, k);
    const double *in[NM_OP_MAX_IN];

    nm_op_inputs(b->net, ex.op, b->val, 0, in);
    ex.op->kind->forward_f64(&ex, in, b->val[ex.op->out]);
    return nm_block_settle(b);
}

/* The magnitudes that all models share. */
static bool prepare_sums(nm_exec *ex, const double *const *in)
{
    int64_t n_in = nm_in_total(ex, 0);
    double *x, *m;

    if (!ex->op->kind->magnitude)
        return true;
    x = nm_scratch_abs(ex, in[0], n_in);
    m = nm_scratch(ex, (size_t)nm_out_total(ex), sizeof *m);
    if (!x || !m)
        return false;
    ex->op->kind->magnitude(ex, x, true, m);
    ex->magnitude = m;
    return true;
}

/* |e| + |q| at radius r, and the radius of the output. */
static void rigorous_errors(nm_block *b, nm_exec ex, const double *const *in)
{
    const nm_op *op = ex.op;
    int64_t n = nm_out_total(&ex);
    const double *out = b->val[op->out];
    double *source = b->source[NM_RIGOROUS][op->out], *rounding = b->source[NM_ROUNDING][op->out];
    double *bend = b->source[NM_BEND][op->out];
    double *radius = b->radius[op->out], gamma = b->plan->ops[op - b->net->ops].gamma;
    double *more = nm_scratch(&ex, (size_t)n, sizeof *more);
    double *r[NM_OP_MAX_IN];
    const double *const *lent = (const double *const *)r;

    if (!more)
        return;
    nm_op_partners(b->net, op, b->radius, 0, r);
    op->kind->spread(&ex, in, out, lent, radius);
    for (int64_t i = 0; i < n; i++) {
        rounding[i] = gamma * radius[i];
        source[i] = bend[i] = 0;
    }
    if (op->kind->local_error) {
        ex.spread = radius;
        op->kind->local_error(&ex, in, out, lent, more);
        for (int64_t i = 0; i < n; i++) {
            source[i] += more[i];
            radius[i] += more[i];
        }
    }
    if (op->kind->residual) {
        op->kind->residual(&ex, in, out, lent, more);
        for (int64_t i = 0; i < n; i++)
            (op->kind->convex ? bend : source)[i] += more[i];
    }
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(out[i]) + radius[i] <= NM_F32_RANGE)) /* nothing is known of it; NaN, too */
            source[i] = rounding[i] = radius[i] = (double)INFINITY;
}

/* |e| at the computed values alone. */
static void first_order_errors(nm_block *b, nm_exec ex, const double *const *in, double *source)
{
    const double *none[NM_OP_MAX_IN] = {NULL}, *out = b->val[ex.op->out];
    int64_t n = nm_out_total(&ex);

    if (ex.op->kind->local_error)
        ex.op->kind->local_error(&ex, in, out, none, source);
    else
        memset(source, 0, (size_t)n * sizeof *source);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(out[i]) <= NM_F32_RANGE))
            source[i] = (double)INFINITY;
}

static void note_infinite(nm_block *b, int v)
{
    int64_t size = b->net->values[v].size;

    for (int m = 0; m < NM_N_MODELS; m++)
        for (int64_t p = 0; p < b->n; p++)
            for (int64_t i = p * size; i < (p + 1) * size; i++)
                b->infinite[m][p] = b->infinite[m][p] || !(b->source[m][v][i] < (double)INFINITY);
}

static bool any_but_zero(const double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (x[i] != 0)
            return true;
    return false;
}

/* Rows pass a fused layer without seeing what its input is off by, which comes from the operator
   that it is fused with (views in between add nothing): sum |w| source counts as off by the layer
   itself. */
static bool add_fused_sources(nm_block *b, nm_exec *ex, int k)
{
    const nm_op *op = ex->op;
    int from = b->net->ops[b->plan->ops[k].fused_with].out, models[NM_N_MODELS], n_models = 0;
    int64_t n_in = nm_in_total(ex, 0), n = nm_out_total(ex);
    double *source = nm_scratch(ex, (size_t)(NM_N_MODELS * n_in), sizeof *source);
    double *more = nm_scratch(ex, (size_t)(NM_N_MODELS * n), sizeof *more);
    nm_exec all = *ex; /* models count as further points: the weights are read once */

    for (int m = 0; source && more && m < NM_N_MODELS; m++)
        if (any_but_zero(b->source[m][from], n_in)) {
            memcpy(source + n_models * n_in, b->source[m][from], (size_t)n_in * sizeof *source);
            models[n_models++] = m;
        }
    all.n = n_models * ex->n;
    if (n_models > 0)
        op->kind->magnitude(&all, source, false, more);
    for (int m = 0; m < n_models; m++)
        for (int64_t i = 0; i < n; i++)
            b->source[models[m]][op->out][i] += more[m * n + i];
    return !b->scratch->failed;
}

/* Derivatives of an elementwise operator, each input for itself. */
static bool find_slopes(nm_block *b, nm_exec *ex, const double *const *in, double **slope)
{
    const nm_op *op = ex->op;
    int64_t n = nm_out_total(ex);
    double *ones = nm_scratch(ex, (size_t)n, sizeof *ones);

    for (int64_t i = 0; ones && i < n; i++)
        ones[i] = 1;
    for (int i = 0; ones && i < 2 && i < op->n_in; i++) {
        const double *din[NM_OP_MAX_IN] = {NULL};

        if (op->in[i] < 0 || b->net->values[op->in[i]].constant)
            continue;
        slope[i] = nm_scratch(ex, (size_t)n, sizeof *slope[i]);
        din[i] = ones;
        if (!slope[i])
            return false;
        op->kind->jvp(ex, in, b->val[op->out], din, slope[i]);
    }
    return ones;
}

/* Chords of the ReLUs that may change their sign, their slopes in float32. The function minus the
   chord is convex, so it lies highest above the value at one of the ends. */
static bool find_chords(nm_block *b, nm_exec *ex, double **chord, double **rise)
{
    const nm_op *op = ex->op;
    int64_t n = nm_out_total(ex);
    const double *z = b->val[op->in[0]], *r = b->radius[op->in[0]];
    const double *bend = b->source[NM_BEND][op->out];

    if (op->kind != &nm_op_relu)
        return true;
    *chord = nm_scratch(ex, (size_t)n, sizeof **chord);
    *rise = nm_scratch(ex, (size_t)n, sizeof **rise);
    for (int64_t i = 0; *chord && *rise && i < n; i++) {
        double slope = (double)(float)((z[i] + r[i]) / (2 * r[i])), at = fmax(z[i], 0);

        (*chord)[i] = (*rise)[i] = 0;
        if (!(bend[i] > 0) || !(fabs(z[i]) < r[i]) || !(r[i] < NM_F32_RANGE))
            continue;
        (*chord)[i] = slope;
        (*rise)[i] = nm_up(fmax(slope * r[i] - at, z[i] + r[i] - at - slope * r[i])) +
                     (fabs(z[i]) + r[i]) * 1e-12;
    }
    return *chord && *rise;
}

/* Into the records of the points. */
static bool add_to_points(nm_block *b, int k)
{
    nm_exec ex = nm_block_exec(b, k);
    const nm_linear_op *plan = &b->plan->ops[k];
    int v = ex.op->out;
    int64_t size = b->net->values[v].size, *at = NULL;
    double *slope[2] = {NULL}, *share = NULL, *chord = NULL, *rise = NULL;
    const double *in[NM_OP_MAX_IN];

    nm_op_inputs(b->net, ex.op, b->val, 0, in);
    if (plan->passage == NM_BY_ELEMENT &&
        (!find_slopes(b, &ex, in, slope) || !find_chords(b, &ex, &chord, &rise)))
        return false;
    if (plan->passage == NM_BY_LINKS) {
        at = nm_scratch(&ex, (size_t)(size * plan->n_links), sizeof *at);
        share = nm_scratch(&ex, (size_t)size, sizeof *share);
        if (!at || !share)
            return false;
    }
    ex.n = 1;
    for (int64_t p = 0; p < b->n; p++) {
        nm_linear_part part = {.slope = {slope[0] ? slope[0] + p * size : share,
                                         slope[1] ? slope[1] + p * size : NULL},
                               .at = at,
                               .chord = chord ? chord + p * size : NULL,
                               .rise = rise ? rise + p * size : NULL,
                               .radius = b->radius[v] + p * size};

        if (b->skipped[p])
            continue;
        for (int m = 0; m < NM_N_SOURCES; m++)
            part.source[m] = b->source[m][v] + p * size;
        if (at) {
            nm_op_inputs(b->net, ex.op, b->val, p, in);
            ex.op->kind->links(&ex, in, at, share);
        }
        if (!nm_linear_add(&b->points[p], k, &part))
            return false;
    }
    return true;
}

bool nm_block_bound_op(nm_block *b, int k)
{
    nm_exec ex = nm_block_exec(b, k);
    int v = ex.op->out;
    const double *in[NM_OP_MAX_IN];

    if (!nm_block_sharpen_inputs(b, k))
        return false;
    nm_op_inputs(b->net, ex.op, b->val, 0, in);
    if (!prepare_sums(&ex, in))
        return false;
    rigorous_errors(b, ex, in);
    first_order_errors(b, ex, in, b->source[NM_FIRST_ORDER][v]);
    ex.probable = true;
    first_order_errors(b, ex, in, b->source[NM_PROBABLE][v]);
    if (b->scratch->failed)
        return false;
    if (b->plan->ops[k].fused_with >= 0 && !add_fused_sources(b, &ex, k))
        return false;
    note_infinite(b, v);
    if (!nm_block_settle(b) || b->plan->ops[k].skipped)
        return !b->scratch->failed;
    return add_to_points(b, k) && nm_block_settle(b) && nm_block_summarise(b, v);
}

/* An input may be flushed to 0 if it is denormal, and must be a number. */
bool nm_block_bound_input(nm_block *b)
{
    int v = b->net->input;
    int64_t size = b->net->values[v].size;

    for (int64_t i = 0; i < b->n * size; i++) {
        double x = b->val[v][i], off = 0;

        if (!(fabs(x) <= NM_F32_RANGE))
            off = (double)INFINITY;
        else if (fabs(x) < NM_F32_UNDERFLOW)
            off = fabs(x);
        b->radius[v][i] = off;
        for (int m = 0; m < NM_N_MODELS; m++)
            b->source[m][v][i] = off;
        b->source[NM_ROUNDING][v][i] = b->source[NM_BEND][v][i] = 0;
    }
    note_infinite(b, v);
    for (int64_t p = 0; p < b->n; p++) {
        nm_linear_part part = {.radius = b->radius[v] + p * size};

        for (int m = 0; m < NM_N_SOURCES; m++)
            part.source[m] = b->source[m][v] + p * size;
        if (!nm_linear_add(&b->points[p], -1, &part))
            return false;
    }
    return true;
}
