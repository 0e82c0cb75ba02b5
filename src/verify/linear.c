#include "verify/linear.h"

#include <float.h>
#include <limits.h>
#include <string.h>

#include "base/mem.h"
#include "net/op/facet.h"
#include "tensor/gemm.h"
#include "verify/rows.h"

/* What nm_linear_summarise() finds. */
typedef struct nm_summary {
    float *p;       /* [n x n] */
    float *root;    /* [n] sqrt(P_ii), rounded up */
    float *box;     /* [n] sum_m |G_im|, rounded up */
    float *spoiled; /* [n] what rounding of the rows may add to each element, boxed */
    double kappa, gamma;
    int n_fans;    /* layers passed for it */
    float *g;      /* [n_columns x n] G', columns scaled; gathered again when needed */
    double *scale; /* [n_columns] what they are to be multiplied by */
    int64_t n_columns;
} nm_summary;

/* -- records of a point -------------------------------------------------------------------- */

static void *take_zeroed(nm_arena *arena, size_t n, size_t size)
{
    void *room = nm_arena_take(arena, n, size);

    if (room)
        memset(room, 0, n * size);
    return room;
}

static bool open_records(nm_linear *l)
{
    const nm_net *net = l->net;

    l->kept = take_zeroed(l->arena, (size_t)net->n_values, sizeof *l->kept);
    l->passed = take_zeroed(l->arena, (size_t)net->n_ops, sizeof *l->passed);
    return l->kept && l->passed;
}

/* Room for the rows of a layer that are yet to be gathered. */
static bool open_rows(nm_linear *l, int k)
{
    int64_t size = l->net->values[l->net->ops[k].out].size;

    if (l->plan->ops[k].passage != NM_BY_FANS)
        return true;
    l->passed[k].weights = take_zeroed(l->rows, (size_t)size, sizeof *l->passed[k].weights);
    return l->passed[k].weights;
}

bool nm_linear_open(nm_linear *l, const nm_linear_plan *plan, const nm_linear_net *weights,
                    const double *const *val, nm_arena *arena, nm_arena *rows)
{
    *l = (nm_linear){.plan = plan,
                     .net = weights->net,
                     .weights = weights,
                     .val = val,
                     .arena = arena,
                     .rows = rows};
    return open_records(l);
}

bool nm_linear_fork(nm_linear *l, const nm_linear *from, const nm_linear_net *weights,
                    const double *const *val, int first, nm_arena *arena, nm_arena *rows)
{
    const nm_net *net = weights->net;

    *l = (nm_linear){.plan = from->plan,
                     .net = net,
                     .weights = weights,
                     .val = val,
                     .first = first,
                     .arena = arena,
                     .rows = rows};
    if (!open_records(l))
        return false;
    memcpy(l->kept, from->kept, (size_t)net->n_values * sizeof *l->kept);
    memcpy(l->passed, from->passed, (size_t)first * sizeof *l->passed);
    for (int v = 0; v < net->n_values; v++)
        if (l->kept[v].summary) {
            nm_summary *own = nm_arena_take(arena, 1, sizeof *own);

            if (!own)
                return false;
            *own = *l->kept[v].summary;
            own->g = NULL;
            own->scale = NULL;
            l->kept[v].summary = own;
        }
    for (int k = 0; k < first; k++)
        if (!open_rows(l, k))
            return false;
    return true;
}

static int32_t place_of(const nm_kept *kept, int64_t element)
{
    return kept->place ? kept->place[element] : (int32_t)element;
}

static int64_t element_at(const nm_kept *kept, int32_t i)
{
    return kept->element ? kept->element[i] : i;
}

static float float_up(double x)
{
    float v = (float)x;

    return (double)v < x ? nextafterf(v, (float)INFINITY) : v;
}

/* Values of the kept elements; NULL in *to if they are all 0. */
static bool store(nm_linear *l, const nm_kept *kept, const double *from, float **to)
{
    bool any = false;

    *to = NULL;
    for (int32_t i = 0; !any && i < kept->n; i++)
        any = from[element_at(kept, i)] != 0;
    if (!any)
        return true;
    *to = nm_arena_take(l->arena, (size_t)kept->n, sizeof **to);
    for (int32_t i = 0; *to && i < kept->n; i++)
        (*to)[i] = float_up(from[element_at(kept, i)]);
    return *to;
}

static double sum_of(const float *x, int32_t n)
{
    double sum = 0;

    for (int32_t i = 0; x && i < n; i++)
        sum += (double)x[i];
    return sum;
}

void nm_linear_set_radius(nm_linear *l, int value, const double *radius)
{
    nm_kept *kept = &l->kept[value];

    for (int32_t i = 0; kept->radius && i < kept->n; i++)
        kept->radius[i] = float_up(radius[element_at(kept, i)]);
    kept->radius_sum = sum_of(kept->radius, kept->n);
}

/* Keeps the elements that are marked. */
static bool keep_marked(nm_linear *l, nm_kept *kept, int64_t size, const bool *marked)
{
    int32_t n = 0;

    for (int64_t k = 0; k < size; k++)
        n += marked[k];
    *kept = (nm_kept){.n = n};
    if (n == size)
        return true;
    kept->element = nm_arena_take(l->arena, (size_t)n, sizeof *kept->element);
    kept->place = nm_arena_take(l->arena, (size_t)size, sizeof *kept->place);
    n = 0;
    for (int64_t k = 0; kept->element && kept->place && k < size; k++) {
        kept->place[k] = marked[k] ? n : -1;
        if (marked[k])
            kept->element[n++] = (int32_t)k;
    }
    return kept->element && kept->place;
}

/* Compacts an array [n x width] of kept elements to those whose old place is wanted. */
static void compact(void *array, size_t width, const bool *wanted, int32_t n)
{
    unsigned char *bytes = array;
    size_t to = 0;

    for (size_t i = 0; bytes && i < (size_t)n; i++)
        if (wanted[i]) {
            memmove(bytes + to * width, bytes + i * width, width);
            to++;
        }
}

static bool prune_inputs(nm_linear *l, int k);

/* Leaves out the elements of a value that nothing can reach any more: its only reader is `wanted`'s
   author. @param wanted  [kept.n] */
static bool prune(nm_linear *l, int value, const bool *wanted)
{
    nm_kept *kept = &l->kept[value], old = *kept;
    int k = l->net->values[value].producer;
    int64_t size = l->net->values[value].size;
    nm_passed *passed = &l->passed[k];
    size_t links = l->plan->ops[k].passage == NM_BY_LINKS ? (size_t)l->plan->ops[k].n_links : 1;
    int32_t n = 0;

    for (int32_t i = 0; i < old.n; i++)
        n += wanted[i];
    if (n == old.n)
        return true;
    if (!old.element) {
        kept->element = nm_arena_take(l->arena, (size_t)old.n, sizeof *kept->element);
        kept->place = nm_arena_take(l->arena, (size_t)size, sizeof *kept->place);
        if (!kept->element || !kept->place)
            return false;
        for (int32_t i = 0; i < old.n; i++)
            kept->element[i] = i;
    }
    compact(kept->element, sizeof *kept->element, wanted, old.n);
    for (int m = 0; m < NM_N_SOURCES; m++)
        compact(kept->source[m], sizeof *kept->source[m], wanted, old.n);
    compact(kept->radius, sizeof *kept->radius, wanted, old.n);
    for (int i = 0; i < 2; i++) {
        compact(passed->from[i], links * sizeof *passed->from[i], wanted, old.n);
        compact(passed->slope[i], sizeof *passed->slope[i], wanted, old.n);
    }
    compact(passed->chord, sizeof *passed->chord, wanted, old.n);
    compact(passed->rise, sizeof *passed->rise, wanted, old.n);
    kept->n = n;
    memset(kept->place, -1, (size_t)size * sizeof *kept->place);
    for (int32_t i = 0; i < n; i++)
        kept->place[kept->element[i]] = i;
    kept->radius_sum = sum_of(kept->radius, n);
    return prune_inputs(l, k);
}

/* After outputs of operator k have been left out. */
static bool prune_inputs(nm_linear *l, int k)
{
    const nm_op *op = &l->net->ops[k];
    nm_passed *passed = &l->passed[k];
    int64_t links = l->plan->ops[k].passage == NM_BY_LINKS ? l->plan->ops[k].n_links : 1;
    const nm_kept *out = &l->kept[op->out];

    for (int i = 0; i < 2; i++) {
        int v = passed->from[i] ? op->in[i] : -1;
        nm_kept *in = v >= 0 ? &l->kept[v] : NULL;
        bool *wanted;
        int32_t *renamed, n = 0;

        if (!in || l->net->values[v].n_readers != 1 || v == l->net->scores ||
            l->net->values[v].producer < l->first)
            continue;
        wanted = take_zeroed(l->rows, (size_t)in->n, sizeof *wanted);
        renamed = nm_arena_take(l->rows, (size_t)in->n, sizeof *renamed);
        if (!wanted || !renamed)
            return false;
        for (int64_t o = 0; o < out->n * links; o++)
            if (passed->from[i][o] >= 0)
                wanted[passed->from[i][o]] = true;
        for (int32_t p = 0; p < in->n; p++)
            renamed[p] = wanted[p] ? n++ : -1;
        for (int64_t o = 0; o < out->n * links; o++)
            if (passed->from[i][o] >= 0)
                passed->from[i][o] = renamed[passed->from[i][o]];
        if (!prune(l, v, wanted))
            return false;
    }
    return true;
}

/* -- how rows pass ------------------------------------------------------------------------- */

/* Inputs of each fan that are kept. */
static bool pass_by_fans(nm_linear *l, int k)
{
    const nm_linear_op *plan = &l->plan->ops[k];
    const nm_kept *in = &l->kept[plan->input];
    nm_passed *to = &l->passed[k];
    size_t n = (size_t)plan->n_fans;

    to->fan_place = nm_arena_take(l->arena, n, sizeof *to->fan_place);
    to->fan_weight = nm_arena_take(l->arena, n, sizeof *to->fan_weight);
    to->fan_n = nm_arena_take(l->arena, n, sizeof *to->fan_n);
    if (!to->fan_place || !to->fan_weight || !to->fan_n)
        return false;
    if (plan->fused_with >= 0) {
        to->fan_place[0] = nm_arena_take(l->arena, (size_t)in->n, sizeof **to->fan_place);
        to->fan_weight[0] = nm_arena_take(l->arena, (size_t)in->n, sizeof **to->fan_weight);
        to->fan_n[0] = in->n;
        for (int32_t i = 0; to->fan_place[0] && to->fan_weight[0] && i < in->n; i++) {
            to->fan_place[0][i] = i;
            to->fan_weight[0][i] = (int32_t)element_at(in, i);
        }
        return to->fan_place[0] && to->fan_weight[0] && open_rows(l, k);
    }
    for (int64_t f = 0; f < plan->n_fans; f++) {
        const nm_fan *fan = &plan->fans[f];
        int32_t count = 0;

        to->fan_place[f] = fan->at;
        to->fan_weight[f] = fan->weight;
        to->fan_n[f] = (int32_t)fan->n_in;
        if (!in->place)
            continue;
        for (int64_t i = 0; i < fan->n_in; i++)
            count += in->place[fan->at[i]] >= 0;
        to->fan_place[f] = nm_arena_take(l->arena, (size_t)count, sizeof **to->fan_place);
        to->fan_weight[f] = nm_arena_take(l->arena, (size_t)count, sizeof **to->fan_weight);
        to->fan_n[f] = count;
        if (!to->fan_place[f] || !to->fan_weight[f])
            return false;
        count = 0;
        for (int64_t i = 0; i < fan->n_in; i++)
            if (in->place[fan->at[i]] >= 0) {
                to->fan_place[f][count] = in->place[fan->at[i]];
                to->fan_weight[f][count++] = fan->weight[i];
            }
    }
    return open_rows(l, k);
}

/* Where output element o comes from: place of its j-th input among the kept ones of input i, -1 if
   its derivative is 0. */
static int32_t origin(const nm_linear *l, int k, int i, int64_t o, int64_t j,
                      const nm_linear_part *part)
{
    const nm_linear_op *plan = &l->plan->ops[k];
    const nm_kept *in = &l->kept[l->net->ops[k].in[i]];
    int64_t from = plan->passage == NM_BY_LINKS ? part->at[o * plan->n_links + j] : o;

    if (from < 0 || (plan->passage != NM_BY_VIEW && part->slope[i][o] == 0 &&
                     !(part->rise && part->rise[o] > 0)))
        return -1;
    return place_of(in, from);
}

static bool pass_one_by_one(nm_linear *l, int k, const nm_linear_part *part)
{
    const nm_net *net = l->net;
    const nm_op *op = &net->ops[k];
    const nm_kept *out = &l->kept[op->out];
    int64_t links = l->plan->ops[k].passage == NM_BY_LINKS ? l->plan->ops[k].n_links : 1;
    nm_passed *to = &l->passed[k];
    bool view = l->plan->ops[k].passage == NM_BY_VIEW;

    for (int i = 0; i < 2; i++) {
        if (!nm_is_varying(net, op, i))
            continue;
        to->from[i] = nm_arena_take(l->arena, (size_t)(out->n * links), sizeof *to->from[i]);
        to->slope[i] = nm_arena_take(l->arena, (size_t)out->n, sizeof *to->slope[i]);
        if (!to->from[i] || !to->slope[i])
            return false;
        for (int32_t o = 0; o < out->n; o++) {
            int64_t element = element_at(out, o);

            to->slope[i][o] = view ? 1 : (float)part->slope[i][element];
            for (int64_t j = 0; j < links; j++)
                to->from[i][o * links + j] = origin(l, k, i, element, j, part);
        }
    }
    if (part->rise && (!store(l, out, part->rise, &to->rise) ||
                       (to->rise && !store(l, out, part->chord, &to->chord))))
        return false;
    return prune_inputs(l, k);
}

/* An output is kept if it has a source of its own or something comes through. */
static void mark_kept(nm_linear *l, int k, const nm_linear_part *part, bool *marked)
{
    const nm_net *net = l->net;
    int64_t size = net->values[k < 0 ? net->input : net->ops[k].out].size;
    nm_passage passage = k < 0 ? NM_BY_ELEMENT : l->plan->ops[k].passage;
    int64_t links = passage == NM_BY_LINKS ? l->plan->ops[k].n_links : 1;

    for (int64_t o = 0; o < size; o++) {
        bool some = passage == NM_BY_FANS || passage == NM_BY_VJP;

        for (int m = 0; m < NM_N_SOURCES; m++)
            some = some || (m != NM_ROUNDING && part->source[m][o] != 0);
        for (int i = 0; !some && i < 2; i++)
            for (int64_t j = 0; k >= 0 && nm_is_varying(net, &net->ops[k], i) && j < links; j++)
                some = some || origin(l, k, i, o, j, part) >= 0;
        marked[o] = some;
    }
}

bool nm_linear_add(nm_linear *l, int k, const nm_linear_part *part)
{
    const nm_net *net = l->net;
    int v = k < 0 ? net->input : net->ops[k].out;
    nm_kept *kept = &l->kept[v];
    bool *marked = nm_arena_take(l->rows, (size_t)net->values[v].size, sizeof *marked);

    if (!marked)
        return false;
    mark_kept(l, k, part, marked);
    if (!keep_marked(l, kept, net->values[v].size, marked))
        return false;
    for (int m = 0; m < NM_N_SOURCES; m++)
        if (!store(l, kept, part->source[m], &kept->source[m]))
            return false;
    if (!store(l, kept, part->radius, &kept->radius))
        return false;
    kept->radius_sum = sum_of(kept->radius, kept->n);
    if (k < 0 || l->plan->ops[k].passage == NM_BY_VJP)
        return true;
    return l->plan->ops[k].passage == NM_BY_FANS ? pass_by_fans(l, k) : pass_one_by_one(l, k, part);
}

/* -- carrying rows ------------------------------------------------------------------------- */

struct carrying {
    nm_linear *l;
    const nm_carry *c;
    const nm_rows_kernels *kernels;
    int64_t width; /* rows in work: a multiple of a vector */
    float **adj;   /* [n_values] [kept x width]; NULL = not reached */
    double sum[NM_N_MODELS][NM_MAX_ROWS], rounding[NM_MAX_ROWS];
    double tiny; /* what products that underflow may be */
};

static float *reached(struct carrying *w, int value)
{
    size_t n = (size_t)w->l->kept[value].n * (size_t)w->width;

    if (!w->adj[value])
        w->adj[value] = take_zeroed(w->c->arena, n, sizeof(float));
    return w->adj[value];
}

/* Weights of output o of a fan with respect to its kept inputs. */
static const float *weights_of(nm_linear *l, int k, int64_t f, int64_t c, int64_t o)
{
    const nm_op *op = &l->net->ops[k];
    const nm_linear_op *plan = &l->plan->ops[k];
    const nm_fan *fan = &plan->fans[f];
    const nm_passed *passed = &l->passed[k];
    const float *w = l->weights->fused[k] ? l->weights->fused[k]
                                          : nm_op_constant(l->net, op, op->kind->weight_in)->f32;
    double scale = l->weights->fused[k] ? 1 : fan->scale; /* fused weights have it in them */
    int64_t first = c * (l->weights->fused[k] ? l->net->values[plan->input].size : fan->step);
    const int32_t *at = passed->fan_weight[f];
    int32_t n = passed->fan_n[f];
    float *to = passed->weights[o];

    if (to)
        return to;
    if (scale == 1 && n > 0 && at[n - 1] - at[0] == n - 1) /* offsets ascend */
        return w + at[0] + first;
    to = passed->weights[o] = nm_arena_take(l->rows, (size_t)n, sizeof *to);
    for (int32_t i = 0; to && i < n; i++)
        to[i] = scale == 1 ? w[at[i] + first] : (float)(scale * (double)w[at[i] + first]);
    return to;
}

static bool carry_by_fans(struct carrying *w, int k)
{
    nm_linear *l = w->l;
    const nm_op *op = &l->net->ops[k];
    const nm_kept *out = &l->kept[op->out];
    float *from = w->adj[op->out], *to = reached(w, l->plan->ops[k].input);

    for (int64_t f = 0; to && f < l->plan->ops[k].n_fans; f++) {
        const nm_fan *fan = &l->plan->ops[k].fans[f];
        const float *weights[4], *rows[4];
        int n = 0;

        for (int64_t c = 0; c <= fan->n_out; c++) {
            if (c < fan->n_out) {
                int64_t o = fan->first_out + c * fan->out_step;
                int32_t place = place_of(out, o);

                if (place < 0 || nm_rows_are_zero(from + place * w->width, w->width))
                    continue;
                rows[n] = from + place * w->width;
                weights[n] = weights_of(l, k, f, c, o);
                if (!weights[n++])
                    return false;
            }
            if (n == 4)
                w->kernels->four[w->width / NM_ROWS_VECTOR - 1](
                    l->passed[k].fan_n[f], l->passed[k].fan_place[f], weights, rows, to);
            for (int i = 0; c == fan->n_out && n < 4 && i < n; i++)
                w->kernels->one[w->width / NM_ROWS_VECTOR - 1](
                    l->passed[k].fan_n[f], l->passed[k].fan_place[f], weights + i, rows + i, to);
            n = n == 4 ? 0 : n;
        }
    }
    return to;
}

/* Negative rows on their fall pass a ReLU that may change its sign by its chord; others by the
   tangent, which lies below. The chord's slope was rounded when its rise was computed. */
static void carry_by_chord(struct carrying *w, const nm_passed *passed, int32_t o, const float *row,
                           float *to)
{
    const float *slope = &passed->slope[0][o];

    for (int64_t r = 0; r < w->c->n; r++) {
        bool chord = r >= w->c->falls_from && row[r] < 0;

        to[r] += (chord ? passed->chord[o] : *slope) * row[r];
        if (chord)
            w->sum[NM_RIGOROUS][r] += (double)-row[r] * (double)passed->rise[o];
    }
}

static bool carry_one_by_one(struct carrying *w, int k)
{
    const nm_op *op = &w->l->net->ops[k];
    const nm_passed *passed = &w->l->passed[k];
    int64_t links = w->l->plan->ops[k].passage == NM_BY_LINKS ? w->l->plan->ops[k].n_links : 1;
    const float *from = w->adj[op->out];

    for (int i = 0; i < 2; i++) {
        float *to = passed->from[i] ? reached(w, op->in[i]) : NULL;

        if (!passed->from[i])
            continue;
        if (!to)
            return false;
        for (int32_t o = 0; o < w->l->kept[op->out].n; o++) {
            const float *row = from + o * w->width;

            if (nm_rows_are_zero(row, w->width))
                continue;
            if (passed->rise && passed->rise[o] > 0 && passed->from[i][o] >= 0) {
                carry_by_chord(w, passed, o, row, to + passed->from[i][o] * w->width);
                continue;
            }
            if (passed->slope[i][o] == 0)
                continue;
            for (int64_t j = 0; j < links; j++) {
                int32_t place = passed->from[i][o * links + j];

                if (place >= 0)
                    nm_rows_add_scaled(w->width, passed->slope[i][o], row, to + place * w->width);
            }
        }
    }
    return true;
}

/* Any operator: its vjp in double, one row after the other as points. */
static bool carry_by_vjp(struct carrying *w, int k)
{
    const nm_net *net = w->l->net;
    const nm_op *op = &net->ops[k];
    int64_t n = w->c->n, size = net->values[op->out].size;
    nm_arena scratch = {0};
    nm_exec ex = {.net = net, .op = op, .n = n, .plain = true, .arena = w->c->arena};
    double *dout = take_zeroed(&scratch, (size_t)(n * size), sizeof *dout);
    double *out = nm_arena_take(&scratch, (size_t)(n * size), sizeof *out);
    const double *in[NM_OP_MAX_IN] = {NULL};
    double *din[NM_OP_MAX_IN] = {NULL};
    const nm_kept *kept = &w->l->kept[op->out];

    for (int32_t o = 0; dout && o < kept->n; o++)
        for (int64_t r = 0; r < n; r++)
            dout[r * size + element_at(kept, o)] = (double)w->adj[op->out][o * w->width + r];
    for (int64_t r = 0; out && r < n; r++)
        memcpy(out + r * size, w->l->val[op->out], (size_t)size * sizeof *out);
    for (int i = 0; i < op->n_in; i++) {
        const nm_value *value = op->in[i] >= 0 ? &net->values[op->in[i]] : NULL;
        double *copy;

        if (!value || value->constant) {
            in[i] = value ? value->constant->f64 : NULL;
            continue;
        }
        din[i] = take_zeroed(&scratch, (size_t)(n * value->size), sizeof *copy);
        in[i] = copy = nm_arena_take(&scratch, (size_t)(n * value->size), sizeof *copy);
        for (int64_t r = 0; copy && r < n; r++)
            memcpy(copy + r * value->size, w->l->val[op->in[i]],
                   (size_t)value->size * sizeof *copy);
    }
    if (!scratch.failed)
        op->kind->vjp(&ex, in, out, dout, din);
    for (int i = 0; !scratch.failed && i < op->n_in; i++) {
        const nm_kept *to = din[i] ? &w->l->kept[op->in[i]] : NULL;
        float *adj = to ? reached(w, op->in[i]) : NULL;

        for (int32_t o = 0; adj && o < to->n; o++)
            for (int64_t r = 0; r < n; r++)
                adj[o * w->width + r] +=
                    (float)din[i][r * net->values[op->in[i]].size + element_at(to, o)];
    }
    nm_arena_clear(&scratch);
    return !scratch.failed && !w->c->arena->failed;
}

/* The curvature of convex operators. Where a chord takes its place, that is counted there. */
static void weigh_bends(struct carrying *w, int value)
{
    const nm_kept *kept = &w->l->kept[value];
    const nm_passed *passed = &w->l->passed[w->l->net->values[value].producer];

    for (int32_t i = 0; i < kept->n; i++) {
        const float *row = w->adj[value] + i * w->width;
        double bend = (double)kept->source[NM_BEND][i];
        bool chord = passed->rise && passed->rise[i] > 0;

        for (int64_t r = 0; bend > 0 && r < w->c->n; r++) {
            double by = r < w->c->falls_from ? fabs((double)row[r]) : chord ? 0 : -(double)row[r];

            if (w->c->g)
                w->c->g[(w->c->g_first[value] + i) * w->c->g_width + r] += row[r] * (float)bend;
            else if (!(by <= 0))
                w->sum[NM_RIGOROUS][r] += by * bend;
        }
    }
}

/* What comes in at the value itself, or all that its elements may be off by. */
static void weigh(struct carrying *w, int value, bool whole)
{
    const nm_kept *kept = &w->l->kept[value];
    const float *rows = w->adj[value];

    for (int m = 0; m < (whole ? 1 : w->c->n_models); m++) {
        const float *by = whole ? kept->radius : kept->source[m];

        if (by && w->c->g)
            for (int32_t i = 0; i < kept->n; i++)
                for (int64_t r = 0; r < w->c->n; r++)
                    w->c->g[(w->c->g_first[value] + i) * w->c->g_width + r] +=
                        rows[i * w->width + r] * by[i];
        else if (by)
            w->kernels->weigh(kept->n, w->width, rows, by, w->sum[m]);
    }
    if (!whole && kept->source[NM_ROUNDING])
        w->kernels->weigh(kept->n, w->width, rows, kept->source[NM_ROUNDING], w->rounding);
    if (!whole && kept->source[NM_BEND])
        weigh_bends(w, value);
}

static bool gather_summary(nm_linear *l, int value, nm_summary *s, nm_arena *keep);

/* sum_m |(w G)_m| as it stands. */
static bool weigh_columns(struct carrying *w, int value, double *sharp)
{
    const nm_kept *kept = &w->l->kept[value];
    nm_summary *s = kept->summary;
    double box[NM_MAX_ROWS] = {0}, gamma = 2 * nm_gamma_f32(kept->n + 16);
    float *image;
    nm_gemm g = {.plain = true,
                 .n = w->width,
                 .k = kept->n,
                 .lda = kept->n,
                 .ldb = w->width,
                 .ldc = w->width,
                 .alpha = 1};

    if (!s->g && !gather_summary(w->l, value, s, w->l->rows))
        return false;
    g.m = s->n_columns;
    image = nm_arena_take(w->c->arena, (size_t)(g.m * w->width), sizeof *image);
    if (!image)
        return false;
    nm_gemm_f32(&g, s->g, w->adj[value], image);
    w->kernels->weigh(kept->n, w->width, w->adj[value], s->box, box);
    for (int r = 0; r < w->c->n; r++)
        sharp[r] = gamma * box[r];
    for (int64_t m = 0; m < g.m; m++)
        for (int r = 0; r < w->c->n; r++)
            sharp[r] += s->scale[m] * fabs((double)image[m * w->width + r]);
    return true;
}

/* Rows end where a summary stands: the smaller of what it says and what single radii say. */
static bool weigh_summary(struct carrying *w, int value)
{
    const nm_kept *kept = &w->l->kept[value];
    const nm_summary *s = kept->summary;
    double box[NM_MAX_ROWS] = {0}, spoiled[NM_MAX_ROWS] = {0}, length[NM_MAX_ROWS] = {0};
    double all[NM_MAX_ROWS];
    float *image = nm_arena_take(w->c->arena, (size_t)(kept->n * w->width), sizeof *image);
    const nm_gemm g = {.plain = true,
                       .m = kept->n,
                       .n = w->width,
                       .k = kept->n,
                       .lda = kept->n,
                       .ldb = w->width,
                       .ldc = w->width,
                       .alpha = 1};

    if (!image || (w->c->exact && !weigh_columns(w, value, all)))
        return false;
    nm_gemm_f32(&g, s->p, w->adj[value], image);
    if (kept->radius)
        w->kernels->weigh(kept->n, w->width, w->adj[value], kept->radius, box);
    w->kernels->weigh(kept->n, w->width, w->adj[value], s->root, length);
    w->kernels->weigh(kept->n, w->width, w->adj[value], s->spoiled, spoiled);
    for (int r = 0; r < w->c->n; r++) {
        double square = 0, sharp;

        for (int32_t i = 0; i < kept->n; i++)
            square += (double)image[i * w->width + r] * (double)w->adj[value][i * w->width + r];
        /* length = sum |w_i| sqrt(P_ii) bounds what rounding makes of the square. */
        square = fmax(square, 0) + s->gamma * length[r] * length[r];
        sharp = nm_up(sqrt(s->kappa * square));
        sharp = (w->c->exact && all[r] < sharp ? nm_up(all[r]) : sharp) + spoiled[r];
        w->sum[NM_RIGOROUS][r] += sharp < box[r] ? sharp : box[r];
    }
    return true;
}

static bool carry_through(struct carrying *w, int k)
{
    const nm_op *op = &w->l->net->ops[k];

    weigh(w, op->out, false);
    for (int i = 0; i < op->n_in; i++) {
        int v = i == 0 ? w->l->plan->ops[k].input : op->in[i];

        if (nm_is_varying(w->l->net, op, i))
            w->tiny += w->l->plan->ops[k].most_fed * 0x1p-148 * w->l->kept[v].radius_sum;
    }
    switch (w->l->plan->ops[k].passage) {
    case NM_BY_FANS:
        return carry_by_fans(w, k);
    case NM_BY_VJP:
        return carry_by_vjp(w, k);
    default:
        return carry_one_by_one(w, k);
    }
}

static bool begin(struct carrying *w)
{
    const nm_carry *c = w->c;
    float *adj = reached(w, c->value);

    for (int i = 0; adj && i < c->n_seeds; i++) {
        int32_t place = place_of(&w->l->kept[c->value], c->element[i]);

        if (place >= 0) /* else nothing comes from there */
            adj[place * w->width + c->row[i]] += c->factor[i];
    }
    return adj;
}

bool nm_linear_carry(nm_linear *l, const nm_carry *c, double bound[][NM_MAX_ROWS])
{
    const nm_net *net = l->net;
    struct carrying w = {.l = l,
                         .c = c,
                         .kernels = nm_rows_best_kernels(),
                         .width = c->n > NM_ROWS_VECTOR ? NM_MAX_ROWS : NM_ROWS_VECTOR};
    int left = c->n_fans, k = net->values[c->value].producer;
    bool ok;

    w.adj = take_zeroed(c->arena, (size_t)net->n_values, sizeof *w.adj);
    ok = w.adj && begin(&w);
    for (; ok && k >= 0 && left > 0; k--) {
        int out = net->ops[k].out;

        if (!w.adj[out])
            continue;
        if (l->kept[out].summary && c->n_fans != INT_MAX) {
            ok = weigh_summary(&w, out);
            w.adj[out] = NULL;
            continue;
        }
        ok = carry_through(&w, k);
        left -= l->plan->ops[k].passage == NM_BY_FANS;
    }
    for (int v = 0; ok && v < net->n_values; v++)
        if (w.adj[v] && net->values[v].producer <= k)
            weigh(&w, v, net->values[v].producer >= 0 || c->n_models == 1);
    for (int m = 0; m < c->n_models; m++)
        for (int r = 0; r < c->n; r++) {
            double sum = w.sum[m][r] + (m == NM_RIGOROUS ? w.tiny + w.rounding[r] : 0);

            bound[m][r] = isnan(sum) ? (double)INFINITY : nm_up(sum);
        }
    return ok;
}

/* -- summaries ------------------------------------------------------------------------------- */

/* Rows of G', scaled by 1 / sqrt(c_m), those that are 0 left out. */
static bool scale_columns(nm_summary *s, int64_t m, int64_t n, nm_arena *keep)
{
    s->scale = nm_arena_take(keep, (size_t)m, sizeof *s->scale);
    if (!s->scale)
        return false;
    s->kappa = 0;
    s->n_columns = 0;
    for (int64_t i = 0; i < m; i++) {
        const float *from = s->g + i * n;
        float *to = s->g + s->n_columns * n, factor;
        double square = 0;

        for (int64_t r = 0; r < n; r++)
            square += (double)from[r] * (double)from[r];
        if (square == 0)
            continue;
        factor = (float)(1 / sqrt(sqrt(square)));
        for (int64_t r = 0; r < n; r++)
            to[r] = from[r] * factor;
        s->scale[s->n_columns] = 1 / (double)factor;
        s->kappa += s->scale[s->n_columns] * s->scale[s->n_columns];
        s->n_columns++;
    }
    s->kappa = nm_up(s->kappa);
    return true;
}

/* @param spoiled  [n] what is not in the columns: boxes; NULL = not asked for */
static bool gather_columns(nm_linear *l, int value, const nm_summary *s, int64_t *first,
                           float *spoiled)
{
    int32_t n = l->kept[value].n, element[NM_MAX_ROWS], row[NM_MAX_ROWS];
    float factor[NM_MAX_ROWS];
    double bound[1][NM_MAX_ROWS] = {{0}};
    nm_arena rows = {0};
    bool ok = true;

    for (int32_t at = 0; ok && at < n; at += NM_MAX_ROWS) {
        nm_carry c = {.value = value,
                      .element = element,
                      .row = row,
                      .factor = factor,
                      .n_fans = s->n_fans,
                      .n_models = 1,
                      .falls_from = NM_MAX_ROWS,
                      .arena = &rows,
                      .g = s->g + at,
                      .g_width = n,
                      .g_first = first};

        for (; c.n < NM_MAX_ROWS && at + c.n < n; c.n++) {
            element[c.n] = (int32_t)element_at(&l->kept[value], at + c.n);
            row[c.n] = c.n;
            factor[c.n] = 1;
        }
        c.n_seeds = c.n;
        ok = nm_linear_carry(l, &c, bound);
        for (int r = 0; ok && spoiled && r < c.n; r++)
            spoiled[at + r] = float_up(bound[0][r]);
        ok = ok && nm_arena_reset(&rows, NULL) == NM_OK;
    }
    nm_arena_clear(&rows);
    return ok;
}

/* G', in an arena that lives as long as the rows. */
static bool gather_summary(nm_linear *l, int value, nm_summary *s, nm_arena *keep)
{
    const nm_net *net = l->net;
    nm_summary *standing = l->kept[value].summary;
    int64_t n = l->kept[value].n, m = 0;
    int64_t *first = nm_arena_take(keep, (size_t)net->n_values, sizeof *first);
    bool ok;

    for (int v = 0; first && v < net->n_values; v++) {
        first[v] = m;
        m += l->kept[v].n;
    }
    s->g = take_zeroed(keep, (size_t)(m * n), sizeof *s->g);
    l->kept[value].summary = NULL; /* its own rows pass */
    ok = first && s->g && gather_columns(l, value, s, first, s->spoiled) &&
         scale_columns(s, m, n, keep);
    l->kept[value].summary = standing;
    return ok;
}

bool nm_linear_summarise(nm_linear *l, int value, int n_fans)
{
    int64_t n = l->kept[value].n;
    nm_summary *s = take_zeroed(l->arena, 1, sizeof *s);
    double *box = take_zeroed(l->rows, (size_t)n, sizeof *box);

    if (!s || !box)
        return false;
    s->n_fans = n_fans;
    s->p = nm_arena_take(l->arena, (size_t)(n * n), sizeof *s->p);
    s->root = nm_arena_take(l->arena, (size_t)n, sizeof *s->root);
    s->box = nm_arena_take(l->arena, (size_t)n, sizeof *s->box);
    s->spoiled = nm_arena_take(l->arena, (size_t)n, sizeof *s->spoiled);
    if (!s->p || !s->root || !s->box || !s->spoiled || !gather_summary(l, value, s, l->rows))
        return false;
    nm_gemm_f32(&(nm_gemm){.plain = true,
                           .trans_a = true,
                           .m = n,
                           .n = n,
                           .k = s->n_columns,
                           .lda = n,
                           .ldb = n,
                           .ldc = n,
                           .alpha = 1},
                s->g, s->g, s->p);
    s->gamma = 2 * nm_gamma_f32(s->n_columns + n + 16);
    for (int64_t m = 0; m < s->n_columns; m++)
        for (int64_t i = 0; i < n; i++)
            box[i] += s->scale[m] * fabs((double)s->g[m * n + i]);
    for (int64_t i = 0; i < n; i++) {
        s->box[i] = float_up(nm_up(box[i]));
        s->root[i] = float_up(sqrt((double)s->p[i * n + i] * (1 + s->gamma)));
    }
    if (s->kappa < (double)INFINITY) /* NaN, too: single radii stay */
        l->kept[value].summary = s;
    return true;
}
