#include "verify/deploy.h"

#include <limits.h>
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "net/op/facet.h"
#include "net/pass.h"
#include "verify/linear.h"

/* Points that share matrix products. */
enum { BLOCK = 16 };

/* Layers that a row passes when radii are made sharp: the one that the values come from and those
   before it. Radii further back are taken as they are. */
static const int64_t uncertain_share = 200;
static const int sharp_layers = 3, least_behind = 4;

/* What the operators before the first edited one give for a block of points. */
struct record {
    nm_arena arena;
    nm_linear *points; /* [n]; NULL = not kept, to be computed each time */
    double **val;      /* [n_values] [n x size] those that later operators need */
    double **radius;
    double **source[NM_N_MODELS]; /* only of what a fused layer reads */
    bool *infinite;               /* [NM_N_MODELS][n] */
};

struct nm_deploy_session {
    const nm_ctx *ctx;
    const nm_net *net;
    const float *x;
    const int64_t *target;
    int64_t n;
    int first; /* first edited operator */
    bool plain;
    nm_linear_plan *plan;
    bool *cut;              /* [n_values] kept in records */
    struct record *records; /* [n_blocks] */
    size_t n_bytes;         /* of records */
    struct room *rooms;     /* [n_rooms] one for each thread */
    int n_rooms;
};

/* Memory that a thread uses for one block after the other. */
struct room {
    nm_arena rows, scratch;
};

/* Records may take this much together. */
static const size_t most_bytes = (size_t)1 << 30;

/* A block of points in work. */
struct block {
    nm_deploy_session *s;
    const nm_net *net;
    const nm_linear_net *weights;
    int64_t first, n;
    double **val, **radius; /* [n_values] [n x size] */
    double **source[NM_N_SOURCES];
    const double **point_val;    /* [n][n_values] */
    bool *sharp;                 /* [n_values] radii are as sharp as they get */
    bool *infinite[NM_N_MODELS]; /* [n] something may overflow */
    nm_linear *points;           /* [n] */
    nm_arena *arena;             /* the values above */
    nm_arena *keep, *rows;       /* of points */
    nm_arena *scratch;           /* of one step */
};

/* -- one operator for a block ------------------------------------------------------------ */

static nm_exec exec_of(struct block *b, int k)
{
    return (nm_exec){
        .net = b->net, .op = &b->net->ops[k], .n = b->n, .plain = b->s->plain, .arena = b->scratch};
}

static bool settle(struct block *b)
{
    return nm_arena_reset(b->scratch, NULL) == NM_OK && !b->keep->failed && !b->rows->failed;
}

static bool forward(struct block *b, int k)
{
    nm_exec ex = exec_of(b, k);
    const double *in[NM_OP_MAX_IN];

    nm_op_inputs(b->net, ex.op, b->val, 0, in);
    ex.op->kind->forward_f64(&ex, in, b->val[ex.op->out]);
    return settle(b);
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
static void rigorous_errors(struct block *b, nm_exec ex, const double *const *in)
{
    const nm_op *op = ex.op;
    int64_t n = nm_out_total(&ex);
    const double *out = b->val[op->out];
    double *source = b->source[NM_RIGOROUS][op->out], *rounding = b->source[NM_ROUNDING][op->out];
    double *bend = b->source[NM_BEND][op->out];
    double *radius = b->radius[op->out], gamma = b->s->plan->ops[op - b->net->ops].gamma;
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
static void first_order_errors(struct block *b, nm_exec ex, const double *const *in, double *source)
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

static void note_infinite(struct block *b, int v)
{
    int64_t size = b->net->values[v].size;

    for (int m = 0; m < NM_N_MODELS; m++)
        for (int64_t p = 0; p < b->n; p++)
            for (int64_t i = p * size; i < (p + 1) * size; i++)
                b->infinite[m][p] = b->infinite[m][p] || !(b->source[m][v][i] < (double)INFINITY);
}

/* Rows pass a fused layer without seeing what its input is off by: that counts as off by the layer
   itself. With sources <= share |x| + rest they add up to share sum |w| |x| + rest sum |w|. */
static void add_fused_sources(struct block *b, int k, const double *magnitude)
{
    const nm_op *op = &b->net->ops[k];
    const nm_tensor *w = nm_op_constant(b->net, op, op->kind->weight_in);
    int64_t size_in = b->net->values[op->in[0]].size, size = b->net->values[op->out].size;
    double most_w = nm_largest_f32(w->f32, w->size) * fabs(b->s->plan->ops[k].fans[0].scale);

    for (int m = 0; m < NM_N_MODELS; m++)
        for (int64_t p = 0; p < b->n; p++) {
            const double *x = b->val[op->in[0]] + p * size_in;
            const double *source = b->source[m][op->in[0]] + p * size_in;
            double share = 0, rest = 0;

            for (int64_t i = 0; i < size_in; i++) {
                if (fabs(x[i]) >= 1e-30)
                    share = fmax(share, source[i] / fabs(x[i]));
                else
                    rest = fmax(rest, source[i]);
            }
            for (int64_t i = p * size; i < (p + 1) * size; i++)
                b->source[m][op->out][i] +=
                    nm_up(share * magnitude[i] + (double)size_in * most_w * rest);
        }
}

/* Derivatives of an elementwise operator, each input for itself. */
static bool find_slopes(struct block *b, nm_exec *ex, const double *const *in, double **slope)
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
static bool find_chords(struct block *b, nm_exec *ex, double **chord, double **rise)
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
static bool add_to_points(struct block *b, int k)
{
    nm_exec ex = exec_of(b, k);
    const nm_linear_op *plan = &b->s->plan->ops[k];
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

/* -- sharp radii ------------------------------------------------------------------------- */

/* Which elements of input 0 of operator k can matter to the operator, or to the one that alone
   reads its output. */
static bool find_matters(struct block *b, int k, bool *matters)
{
    nm_exec ex = exec_of(b, k);
    const nm_op *op = ex.op, *next = NULL;
    int v = op->in[0];
    int64_t n = nm_out_total(&ex);
    bool *matters_out = nm_scratch(&ex, (size_t)n, sizeof *matters_out);
    double *radius = nm_scratch(&ex, (size_t)n, sizeof *radius);
    const double *in[NM_OP_MAX_IN];
    double *r[NM_OP_MAX_IN];

    if (!matters_out || !radius)
        return false;
    memset(matters_out, true, (size_t)n * sizeof *matters_out);
    for (int i = k + 1; b->net->values[op->out].n_readers == 1 && i < b->net->n_ops && !next; i++)
        if (b->net->ops[i].in[0] == op->out && b->net->ops[i].kind->reach)
            next = &b->net->ops[i];
    if (next) {
        nm_exec ex_next = ex;
        bool *all = nm_scratch(&ex, (size_t)(b->n * b->net->values[next->out].size), sizeof *all);

        if (!all)
            return false;
        memset(all, true, (size_t)(b->n * b->net->values[next->out].size) * sizeof *all);
        nm_op_inputs(b->net, op, b->val, 0, in);
        nm_op_partners(b->net, op, b->radius, 0, r);
        op->kind->spread(&ex, in, b->val[op->out], (const double *const *)r, radius);
        ex_next.op = next;
        next->kind->reach(&ex_next, b->val[op->out], radius, all, matters_out);
    }
    op->kind->reach(&ex, b->val[v], b->radius[v], matters_out, matters);
    return !b->scratch->failed;
}

/* Rows from the elements that matter, as many at a time as can be carried.
   @param exact  past the summary of an earlier value, where there is one: only the elements that
                 may still bend */
static bool sharpen_point(struct block *b, int v, int64_t p, const bool *matters, bool exact)
{
    int64_t size = b->net->values[v].size;
    const double *z = b->val[v] + p * size;
    double *radius = b->radius[v] + p * size, bound[1][NM_MAX_ROWS];
    int32_t element[NM_MAX_ROWS], row[NM_MAX_ROWS];
    float factor[NM_MAX_ROWS];
    nm_carry c = {.value = v,
                  .element = element,
                  .row = row,
                  .factor = factor,
                  .n_fans = sharp_layers,
                  .n_models = 1,
                  .falls_from = NM_MAX_ROWS,
                  .exact = exact,
                  .arena = b->scratch};

    for (int64_t i = 0; i < size; i++) {
        if (matters[i] && (!exact || fabs(z[i]) < radius[i])) {
            element[c.n] = (int32_t)i;
            row[c.n] = c.n;
            factor[c.n++] = 1;
        }
        if (c.n == 0 || (c.n < NM_MAX_ROWS && i + 1 < size))
            continue;
        c.n_seeds = c.n;
        if (!nm_linear_carry(&b->points[p], &c, bound) || !settle(b))
            return false;
        for (int r = 0; r < c.n; r++)
            if (bound[0][r] < radius[element[r]])
                radius[element[r]] = bound[0][r];
        c.n = 0;
    }
    nm_linear_set_radius(&b->points[p], v, radius);
    return true;
}

/* How many layers lie behind a value, one after the other, at most. */
static int layers_behind(const nm_net *net, int v)
{
    int k = net->values[v].producer, most = 0;

    for (int i = 0; k >= 0 && i < net->ops[k].n_in; i++)
        if (net->ops[k].in[i] >= 0 && !net->values[net->ops[k].in[i]].constant) {
            int n = layers_behind(net, net->ops[k].in[i]);

            most = n > most ? n : most;
        }
    return most + (k >= 0 && net->ops[k].kind->n_fans);
}

/* Rows cost the more the more elements matter, and gain nothing while hardly any of them may bend.
 */
static bool is_worth_it(const struct block *b, int v, int64_t p, const bool *matters)
{
    int64_t size = b->net->values[v].size, n_uncertain = 0, n_matter = 0;

    for (int64_t i = 0; i < size; i++) {
        n_matter += matters[i];
        n_uncertain += matters[i] && fabs(b->val[v][p * size + i]) < b->radius[v][p * size + i];
    }
    return uncertain_share * n_uncertain >= n_matter;
}

static bool any_summary(const nm_linear *point)
{
    for (int v = 0; v < point->net->n_values; v++)
        if (point->kept[v].summary)
            return true;
    return false;
}

/* Where an operator bends, what its inputs may be off by decides how much. Pushed through one layer
   radii are as sharp as through a row; after more, products of several layers cancel. */
static bool sharpen_inputs(struct block *b, int k)
{
    const nm_op *op = &b->net->ops[k];

    for (int i = 0; op->kind->residual && i < op->n_in; i++) {
        int v = op->in[i], from = v >= 0 ? b->net->values[v].producer : -1;
        int64_t size = v >= 0 ? b->net->values[v].size : 0;
        bool *matters;
        nm_arena marks = {0};
        bool ok = true;

        if (from < 0 || b->sharp[v] || b->net->ops[from].kind->residual ||
            layers_behind(b->net, v) < least_behind)
            continue;
        b->sharp[v] = true;
        matters = nm_arena_take(&marks, (size_t)(b->n * size), sizeof *matters);
        if (matters && i == 0 && op->kind->reach)
            ok = find_matters(b, k, matters) && settle(b);
        else if (matters)
            memset(matters, true, (size_t)(b->n * size) * sizeof *matters);
        for (int64_t p = 0; ok && matters && p < b->n; p++)
            ok = !is_worth_it(b, v, p, matters + p * size) ||
                 sharpen_point(b, v, p, matters + p * size, false);
        for (int64_t p = 0; ok && matters && p < b->n; p++)
            ok = ok &&
                 (!any_summary(&b->points[p]) || sharpen_point(b, v, p, matters + p * size, true));
        nm_arena_clear(&marks);
        if (!ok || !matters)
            return false;
    }
    return true;
}

/* Where many layers come together in few values that dense layers read: what these are off by is
   summed up once for all rows from behind. */
static bool summarise(struct block *b, int v)
{
    const int most = 512;
    int64_t n_rows = 0;
    bool wanted = false;

    for (int k = 0; k < b->net->n_ops; k++) {
        const nm_linear_op *plan = &b->s->plan->ops[k];

        if (plan->passage != NM_BY_FANS || plan->n_fans != 1)
            continue;
        wanted = wanted || plan->input == v;
        n_rows += wanted ? b->net->values[b->net->ops[k].out].size : 0;
    }
    if (!wanted || layers_behind(b->net, v) < 3)
        return true;
    for (int64_t p = 0; p < b->n; p++)
        if (b->points[p].kept[v].n <= most && n_rows > 4 * b->points[p].kept[v].n &&
            (!nm_linear_summarise(&b->points[p], v, 100) || !settle(b)))
            return false;
    return true;
}

static bool bound_op(struct block *b, int k)
{
    nm_exec ex = exec_of(b, k);
    int v = ex.op->out;
    const double *in[NM_OP_MAX_IN];

    if (!sharpen_inputs(b, k))
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
    if (b->s->plan->ops[k].fused_with >= 0)
        add_fused_sources(b, k, ex.magnitude);
    note_infinite(b, v);
    if (!settle(b) || b->s->plan->ops[k].skipped)
        return !b->scratch->failed;
    return add_to_points(b, k) && settle(b) && summarise(b, v);
}

/* An input may be flushed to 0 if it is denormal, and must be a number. */
static bool bound_input(struct block *b)
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

/* -- a block ----------------------------------------------------------------------------- */

static void *zeroed(nm_arena *arena, size_t n, size_t size)
{
    void *room = nm_arena_take(arena, n, size);

    if (room)
        memset(room, 0, n * size);
    return room;
}

/* Arrays for the values made by operators from..; those of a record are lent. */
static bool open_values(struct block *b, const struct record *record, int from)
{
    const nm_net *net = b->net;
    size_t n_values = (size_t)net->n_values;

    b->val = zeroed(b->arena, n_values, sizeof *b->val);
    b->radius = zeroed(b->arena, n_values, sizeof *b->radius);
    b->sharp = zeroed(b->arena, n_values, sizeof *b->sharp);
    for (int m = 0; m < NM_N_SOURCES; m++)
        b->source[m] = zeroed(b->arena, n_values, sizeof *b->source[m]);
    for (int m = 0; m < NM_N_MODELS; m++) {
        b->infinite[m] = zeroed(b->arena, (size_t)b->n, sizeof *b->infinite[m]);
    }
    b->points = zeroed(b->arena, (size_t)b->n, sizeof *b->points);
    b->point_val = zeroed(b->arena, (size_t)b->n * n_values, sizeof *b->point_val);
    for (int v = 0; !b->arena->failed && v < net->n_values; v++) {
        size_t size = (size_t)(b->n * net->values[v].size);

        if (net->values[v].constant)
            continue;
        if (net->values[v].producer < from && record) {
            b->val[v] = record->val[v];
            b->radius[v] = record->radius[v];
            for (int m = 0; m < NM_N_MODELS; m++)
                b->source[m][v] = record->source[m][v];
            continue;
        }
        b->val[v] = nm_arena_take(b->arena, size, sizeof **b->val);
        b->radius[v] = nm_arena_take(b->arena, size, sizeof **b->radius);
        for (int m = 0; m < NM_N_SOURCES; m++)
            b->source[m][v] = nm_arena_take(b->arena, size, sizeof ***b->source);
    }
    return !b->arena->failed;
}

static void find_point_values(struct block *b)
{
    const nm_net *net = b->net;

    for (int64_t p = 0; p < b->n; p++)
        for (int v = 0; v < net->n_values; v++)
            b->point_val[p * net->n_values + v] =
                b->val[v] ? b->val[v] + p * net->values[v].size : NULL;
}

static bool open_points(struct block *b, const struct record *record)
{
    const nm_net *net = b->net;
    bool ok = true;

    for (int64_t p = 0; ok && p < b->n; p++) {
        const double *const *val = b->point_val + p * net->n_values;

        ok = record ? nm_linear_fork(&b->points[p], &record->points[p], b->weights, val,
                                     b->s->first, b->keep, b->rows)
                    : nm_linear_open(&b->points[p], b->s->plan, b->weights, val, b->keep, b->rows);
    }
    return ok;
}

/* Values and bounds of operators from .. end - 1. */
static bool run_ops(struct block *b, int from, int end)
{
    bool ok = true;

    for (int k = from; ok && k < end; k++)
        ok = forward(b, k);
    for (int k = from; ok && k < end; k++)
        ok = bound_op(b, k);
    return ok;
}

static bool take_points(struct block *b)
{
    int64_t n_in = b->net->values[b->net->input].size;
    const float *x = b->s->x + b->first * n_in;

    for (int64_t i = 0; i < b->n * n_in; i++)
        b->val[b->net->input][i] = (double)x[i];
    return bound_input(b);
}

/* -- judging ------------------------------------------------------------------------------- */

/* Other classes whose rows are carried at once: each takes a row for the first-order bounds and one
   for the rigorous bound. */
enum { MAX_PAIRS = NM_MAX_ROWS / 2 };

/* The bound of each model on what score[target] - score[j] can lose, for n other classes. */
static bool bound_pairs(struct block *b, int64_t p, const int32_t *other, int n,
                        double bound[NM_N_MODELS][NM_MAX_ROWS])
{
    int32_t element[2 * NM_MAX_ROWS], row[2 * NM_MAX_ROWS];
    float factor[2 * NM_MAX_ROWS];
    nm_carry c = {.n = 2 * n,
                  .value = b->net->scores,
                  .n_seeds = 4 * n,
                  .element = element,
                  .row = row,
                  .factor = factor,
                  .n_fans = INT_MAX,
                  .n_models = NM_N_MODELS,
                  .falls_from = n,
                  .arena = b->scratch};

    for (int i = 0; i < 2 * n; i++) {
        element[2 * i] = (int32_t)b->s->target[b->first + p];
        element[2 * i + 1] = other[i % n];
        row[2 * i] = row[2 * i + 1] = i;
        factor[2 * i] = 1;
        factor[2 * i + 1] = -1;
    }
    if (!nm_linear_carry(&b->points[p], &c, bound) || !settle(b))
        return false;
    for (int i = 0; i < n; i++) {
        double tangents = bound[NM_RIGOROUS][i], chords = bound[NM_RIGOROUS][n + i];

        bound[NM_RIGOROUS][i] = chords < tangents ? chords : tangents;
    }
    /* A runtime's infinity times 0 is not a number: whatever the rows say. */
    for (int m = 0; m < NM_N_MODELS; m++)
        for (int i = 0; b->infinite[m][p] && i < n; i++)
            bound[m][i] = (double)INFINITY;
    return true;
}

struct verdict {
    double slack[NM_N_MODELS]; /* smallest gap minus bound so far */
};

static void judge_pair(double gap, const double *bound, struct verdict *least, nm_deploy *out,
                       int64_t p)
{
    double *figure[NM_N_MODELS] = {&out->rigorous[p], &out->first_order[p], &out->probable[p]};
    bool *safe[NM_N_MODELS] = {&out->safe[p], &out->safe_first_order[p], &out->safe_probable[p]};

    if (gap < out->margin[p] || isnan(gap))
        out->margin[p] = gap;
    for (int m = 0; m < NM_N_MODELS; m++) {
        if (!(gap - bound[m] >= least->slack[m])) {
            least->slack[m] = gap - bound[m];
            *figure[m] = bound[m];
        }
        *safe[m] = *safe[m] && gap > bound[m];
    }
    out->slack[p] = least->slack[NM_RIGOROUS];
}

static bool judge_point(struct block *b, int64_t p, nm_deploy *out)
{
    int64_t n_classes = b->net->values[b->net->scores].size, at = b->first + p;
    const double *score = b->val[b->net->scores] + p * n_classes;
    int64_t target = b->s->target[at];
    struct verdict least = {{(double)INFINITY, (double)INFINITY, (double)INFINITY}};
    double bound[NM_N_MODELS][NM_MAX_ROWS];
    int32_t other[MAX_PAIRS];
    int n = 0;

    for (int64_t j = 0; j < n_classes; j++) {
        if (j != target)
            other[n++] = (int32_t)j;
        if (n == 0 || (n < MAX_PAIRS && j + 1 < n_classes))
            continue;
        if (!bound_pairs(b, p, other, n, bound))
            return false;
        for (int i = 0; i < n; i++) {
            double mine[NM_N_MODELS];

            for (int m = 0; m < NM_N_MODELS; m++)
                mine[m] = bound[m][i];
            judge_pair(score[target] - score[other[i]], mine, &least, out, at);
        }
        n = 0;
    }
    return true;
}

/* -- records ------------------------------------------------------------------------------- */

/* What operators from `first` on need of the values before, and what rows need on their way. */
static nm_status find_cut(nm_deploy_session *s, nm_err *err)
{
    const nm_net *net = s->net;
    nm_status rc = nm_alloc(&s->cut, (size_t)net->n_values, sizeof *s->cut, err);

    for (int k = 0; rc == NM_OK && k < net->n_ops; k++) {
        const nm_op *op = &net->ops[k];
        bool by_vjp = s->plan->ops[k].passage == NM_BY_VJP;

        for (int i = 0; i < op->n_in; i++)
            if (op->in[i] >= 0 && !net->values[op->in[i]].constant &&
                net->values[op->in[i]].producer < s->first && (k >= s->first || by_vjp))
                s->cut[op->in[i]] = true;
        if (k < s->first && by_vjp)
            s->cut[op->out] = true;
    }
    if (rc == NM_OK && net->values[net->scores].producer < s->first)
        s->cut[net->scores] = true;
    return rc;
}

static double *kept_copy(nm_arena *arena, const double *from, size_t n)
{
    double *to = nm_arena_take(arena, n, sizeof *to);

    if (to)
        memcpy(to, from, n * sizeof *to);
    return to;
}

static bool is_read_fused(const nm_deploy_session *s, int v)
{
    for (int k = 0; k < s->net->n_ops; k++)
        if (s->plan->ops[k].fused_with >= 0 && s->net->ops[k].in[0] == v)
            return true;
    return false;
}

static bool keep_record(struct block *b, struct record *record)
{
    const nm_net *net = b->net;
    size_t n_values = (size_t)net->n_values;

    record->val = zeroed(&record->arena, n_values, sizeof *record->val);
    record->radius = zeroed(&record->arena, n_values, sizeof *record->radius);
    for (int m = 0; m < NM_N_MODELS; m++)
        record->source[m] = zeroed(&record->arena, n_values, sizeof *record->source[m]);
    record->points = zeroed(&record->arena, (size_t)b->n, sizeof *record->points);
    record->infinite = zeroed(&record->arena, (size_t)b->n * NM_N_MODELS, sizeof *record->infinite);
    for (int v = 0; !record->arena.failed && v < net->n_values; v++) {
        size_t size = (size_t)(b->n * net->values[v].size);

        if (!b->s->cut[v])
            continue;
        record->val[v] = kept_copy(&record->arena, b->val[v], size);
        record->radius[v] = kept_copy(&record->arena, b->radius[v], size);
        for (int m = 0; m < NM_N_MODELS && is_read_fused(b->s, v); m++)
            record->source[m][v] = kept_copy(&record->arena, b->source[m][v], size);
    }
    if (record->arena.failed)
        return false;
    memcpy(record->points, b->points, (size_t)b->n * sizeof *b->points);
    for (int m = 0; m < NM_N_MODELS; m++)
        memcpy(record->infinite + m * b->n, b->infinite[m], (size_t)b->n);
    return true;
}

static void drop_record(struct record *record)
{
    nm_arena_clear(&record->arena);
    *record = (struct record){0};
}

/* -- a session ----------------------------------------------------------------------------- */

/* One pass over the blocks: either to keep records, or to judge a net. */
struct pass {
    nm_deploy_session *s;
    const nm_net *net;
    nm_linear_net weights;
    nm_deploy *out; /* NULL: keep records */
    int64_t first;  /* point */
};

static bool run_record(struct block *b, struct record *record)
{
    size_t have;

    if (!record) /* a pass without judgement is there to make records */
        return true;
    b->keep = &record->arena;
    if (!open_values(b, NULL, 0))
        return false;
    find_point_values(b);
    if (!open_points(b, NULL) || !take_points(b) || !run_ops(b, 0, b->s->first) ||
        !keep_record(b, record))
        return false;
#pragma omp atomic read
    have = b->s->n_bytes;
    if (have > most_bytes) /* the others take their turn again */
        drop_record(record);
    else {
        size_t bytes = nm_arena_bytes(&record->arena);

#pragma omp atomic
        b->s->n_bytes += bytes;
    }
    return true;
}

static bool run_judge(struct block *b, const struct record *record, nm_deploy *out)
{
    int from = record ? b->s->first : 0;
    bool ok;

    b->keep = b->arena;
    ok = open_values(b, record, from);
    if (ok)
        find_point_values(b);
    ok = ok && open_points(b, record) && (record || take_points(b)) &&
         run_ops(b, from, b->net->n_ops);
    for (int m = 0; ok && record && m < NM_N_MODELS; m++)
        for (int64_t p = 0; p < b->n; p++)
            b->infinite[m][p] = b->infinite[m][p] || record->infinite[m * b->n + p];
    for (int64_t p = 0; ok && p < b->n; p++)
        ok = judge_point(b, p, out);
    return ok;
}

static nm_status run_block(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const struct pass *pass = user;
    nm_deploy_session *s = pass->s;
    struct room *room = &s->rooms[omp_get_thread_num() % s->n_rooms];
    struct block b = {.s = s,
                      .net = pass->net,
                      .weights = &pass->weights,
                      .first = pass->first + first,
                      .n = n,
                      .arena = arena,
                      .rows = &room->rows,
                      .scratch = &room->scratch};
    struct record *record = s->records ? &s->records[b.first / BLOCK] : NULL;
    bool ok = pass->out ? run_judge(&b, record && record->points ? record : NULL, pass->out)
                        : run_record(&b, record);

    (void)nm_arena_reset(b.scratch, NULL);
    return nm_arena_reset(b.rows, NULL) == NM_OK && ok ? NM_OK : NM_E_NOMEM;
}

static nm_status run_blocks(struct pass *pass, nm_err *err)
{
    const int64_t stretch = 64 * BLOCK; /* between two signs of life */
    nm_deploy_session *s = pass->s;
    nm_status rc = nm_linear_net_open(&pass->weights, s->plan, pass->net, err);

    for (pass->first = 0; rc == NM_OK && pass->first < s->n; pass->first += stretch) {
        int64_t n = s->n - pass->first < stretch ? s->n - pass->first : stretch;

        rc = nm_blocks_run(s->ctx, n, BLOCK, run_block, pass, err);
        nm_progress(s->ctx, "checking", pass->first + n, s->n, (double)NAN);
    }
    nm_linear_net_close(&pass->weights);
    return rc;
}

nm_status nm_deploy_open(const nm_ctx *ctx, const nm_net *net, const float *x,
                         const int64_t *target, int64_t n, int first_op, bool plain,
                         nm_deploy_session **out, nm_err *err)
{
    nm_deploy_session *s;
    nm_status rc = nm_alloc(&s, 1, sizeof *s, err);

    *out = NULL;
    if (rc != NM_OK)
        return rc;
    s->ctx = ctx;
    s->net = net;
    s->x = x;
    s->target = target;
    s->n = n;
    s->first = first_op;
    s->plain = plain;
    NM_TRY(nm_linear_plan_new(net, &s->plan, err));
    NM_TRY(find_cut(s, err));
    s->n_rooms = nm_ctx_threads(ctx) > 1 ? nm_ctx_threads(ctx) : 1;
    NM_TRY(nm_alloc(&s->rooms, (size_t)s->n_rooms, sizeof *s->rooms, err));
    if (first_op > 0) {
        struct pass pass = {.s = s, .net = net};

        NM_TRY(nm_alloc(&s->records, (size_t)((n + BLOCK - 1) / BLOCK), sizeof *s->records, err));
        NM_TRY(run_blocks(&pass, err));
    }
    *out = s;
    s = NULL;
done:
    nm_deploy_close(s);
    return rc;
}

void nm_deploy_close(nm_deploy_session *s)
{
    if (!s)
        return;
    for (int64_t i = 0; s->records && i < (s->n + BLOCK - 1) / BLOCK; i++)
        drop_record(&s->records[i]);
    for (int i = 0; s->rooms && i < s->n_rooms; i++) {
        nm_arena_clear(&s->rooms[i].rows);
        nm_arena_clear(&s->rooms[i].scratch);
    }
    nm_free(s->rooms);
    nm_free(s->records);
    nm_free(s->cut);
    nm_linear_plan_free(s->plan);
    nm_free(s);
}

static nm_status deploy_new(nm_deploy *out, int64_t n, nm_err *err)
{
    nm_status rc = NM_OK;
    size_t count = (size_t)n;

    memset(out, 0, sizeof *out);
    out->n = n;
    NM_TRY(nm_alloc(&out->margin, count, sizeof *out->margin, err));
    NM_TRY(nm_alloc(&out->rigorous, count, sizeof *out->rigorous, err));
    NM_TRY(nm_alloc(&out->first_order, count, sizeof *out->first_order, err));
    NM_TRY(nm_alloc(&out->probable, count, sizeof *out->probable, err));
    NM_TRY(nm_alloc(&out->slack, count, sizeof *out->slack, err));
    NM_TRY(nm_alloc(&out->safe, count, sizeof *out->safe, err));
    NM_TRY(nm_alloc(&out->safe_first_order, count, sizeof *out->safe_first_order, err));
    NM_TRY(nm_alloc(&out->safe_probable, count, sizeof *out->safe_probable, err));
    for (int64_t p = 0; p < n; p++) {
        out->margin[p] = out->slack[p] = (double)INFINITY;
        out->safe[p] = out->safe_first_order[p] = out->safe_probable[p] = true;
    }
done:
    return rc;
}

nm_status nm_deploy_run(nm_deploy_session *s, const nm_net *net, nm_deploy *out, nm_err *err)
{
    struct pass pass = {.s = s, .net = net, .out = out};
    nm_status rc = deploy_new(out, s->n, err);

    if (rc == NM_OK)
        rc = run_blocks(&pass, err);
    if (rc != NM_OK)
        nm_deploy_clear(out);
    return rc;
}

nm_status nm_deploy_check(const nm_ctx *ctx, const nm_net *net, const float *x,
                          const int64_t *target, int64_t n, bool plain, nm_deploy *out, nm_err *err)
{
    nm_deploy_session *s = NULL;
    nm_status rc;

    memset(out, 0, sizeof *out);
    rc = nm_deploy_open(ctx, net, x, target, n, 0, plain, &s, err);
    if (rc == NM_OK)
        rc = nm_deploy_run(s, net, out, err);
    nm_deploy_close(s);
    return rc;
}

void nm_deploy_clear(nm_deploy *deploy)
{
    nm_free(deploy->margin);
    nm_free(deploy->rigorous);
    nm_free(deploy->first_order);
    nm_free(deploy->probable);
    nm_free(deploy->slack);
    nm_free(deploy->safe);
    nm_free(deploy->safe_first_order);
    nm_free(deploy->safe_probable);
    memset(deploy, 0, sizeof *deploy);
}
