/* Rows carried back through the records of a point, and what they are off by. */
#include "verify/linear_parts.h"

#include <string.h>

#include "verify/rows.h"

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
        w->adj[value] = nm_arena_zeroed(w->c->arena, n, sizeof(float));
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
        return w + first + at[0];
    to = passed->weights[o] = nm_arena_take(l->rows, (size_t)n, sizeof *to);
    w += first;
    for (int32_t i = 0; to && i < n; i++)
        to[i] = w[at[i]];
    for (int32_t i = 0; to && scale != 1 && i < n; i++)
        to[i] = (float)(scale * (double)to[i]);
    return to;
}

/* Outputs whose rows pass together, so that these stay in the cache. */
enum { MOST_OUTPUTS = 128 };

static bool carry_by_fans(struct carrying *w, int k)
{
    nm_linear *l = w->l;
    const nm_op *op = &l->net->ops[k];
    const nm_kept *out = &l->kept[op->out];
    float *from = w->adj[op->out], *to = reached(w, l->plan->ops[k].input);

    for (int64_t f = 0; to && f < l->plan->ops[k].n_fans; f++) {
        const nm_fan *fan = &l->plan->ops[k].fans[f];
        const float *weights[MOST_OUTPUTS], *rows[MOST_OUTPUTS];
        int64_t n = 0;

        for (int64_t c = 0; c < fan->n_out; c++) {
            int64_t o = fan->first_out + c * fan->out_step;
            int32_t place = nm_kept_place(out, o);

            if (place >= 0 && !nm_rows_are_zero(from + place * w->width, w->width)) {
                rows[n] = from + place * w->width;
                weights[n] = weights_of(l, k, f, c, o);
                if (!weights[n++])
                    return false;
            }
            if (n < MOST_OUTPUTS && (n == 0 || c + 1 < fan->n_out))
                continue;
            w->kernels->add[w->width / NM_ROWS_VECTOR - 1](
                l->passed[k].fan_n[f], l->passed[k].fan_place[f], n, weights, rows, to);
            n = 0;
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
    double *dout = nm_arena_zeroed(&scratch, (size_t)(n * size), sizeof *dout);
    double *out = nm_arena_take(&scratch, (size_t)(n * size), sizeof *out);
    const double *in[NM_OP_MAX_IN] = {NULL};
    double *din[NM_OP_MAX_IN] = {NULL};
    const nm_kept *kept = &w->l->kept[op->out];

    for (int32_t o = 0; dout && o < kept->n; o++)
        for (int64_t r = 0; r < n; r++)
            dout[r * size + nm_kept_element(kept, o)] = (double)w->adj[op->out][o * w->width + r];
    for (int64_t r = 0; out && r < n; r++)
        memcpy(out + r * size, w->l->val[op->out], (size_t)size * sizeof *out);
    for (int i = 0; i < op->n_in; i++) {
        const nm_value *value = op->in[i] >= 0 ? &net->values[op->in[i]] : NULL;
        double *copy;

        if (!value || value->constant) {
            in[i] = value ? value->constant->f64 : NULL;
            continue;
        }
        din[i] = nm_arena_zeroed(&scratch, (size_t)(n * value->size), sizeof *copy);
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
                    (float)din[i][r * net->values[op->in[i]].size + nm_kept_element(to, o)];
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

            if (!(by <= 0))
                w->sum[NM_RIGOROUS][r] += by * bend;
        }
    }
}

/* Rows as they are, and what comes in at each element: signs are not known yet, so all of a bend
   counts. */
static void keep_columns(struct carrying *w, int value)
{
    const nm_carry *c = w->c;
    const nm_kept *kept = &w->l->kept[value];
    int64_t first = c->first_column[value];

    if (first < 0)
        return;
    for (int32_t i = 0; i < kept->n; i++)
        memcpy(c->columns + (first + i) * c->column_width, w->adj[value] + i * w->width,
               (size_t)c->n * sizeof(float));
    for (int m = 0; m < c->n_models; m++)
        for (int32_t i = 0; i < kept->n; i++) {
            double by = kept->source[m] ? (double)kept->source[m][i] : 0;

            if (m == NM_RIGOROUS && kept->source[NM_BEND])
                by += (double)kept->source[NM_BEND][i];
            c->column_weight[m][first + i] = nm_float_up(by);
        }
}

/* What comes in at the value itself, or all that its elements may be off by. */
static void weigh(struct carrying *w, int value, bool whole)
{
    const nm_kept *kept = &w->l->kept[value];
    const float *rows = w->adj[value];

    if (w->c->columns) {
        keep_columns(w, value);
        if (kept->source[NM_ROUNDING])
            w->kernels->weigh(kept->n, w->width, rows, kept->source[NM_ROUNDING], w->rounding);
        return;
    }
    for (int m = 0; m < (whole ? 1 : w->c->n_models); m++) {
        const float *by = whole ? kept->radius : kept->source[m];

        if (by)
            w->kernels->weigh(kept->n, w->width, rows, by, w->sum[m]);
    }
    if (!whole && kept->source[NM_ROUNDING])
        w->kernels->weigh(kept->n, w->width, rows, kept->source[NM_ROUNDING], w->rounding);
    if (!whole && kept->source[NM_BEND])
        weigh_bends(w, value);
}

/* sqrt(kappa w P w') of each row, and what is not in P. */
static bool weigh_summed(struct carrying *w, int value, const nm_summed *s, double *sharp)
{
    int32_t n = w->l->kept[value].n;
    const float *rows = w->adj[value];
    double rest[NM_MAX_ROWS] = {0}, length[NM_MAX_ROWS] = {0};
    float *half = nm_arena_take(w->c->arena, (size_t)(n * w->width), sizeof *half);

    if (!half)
        return false;
    w->kernels->halve[w->width / NM_ROWS_VECTOR - 1](n, s->p, rows, half);
    w->kernels->weigh(n, w->width, rows, s->root, length);
    w->kernels->weigh(n, w->width, rows, s->rest, rest);
    for (int r = 0; r < w->c->n; r++) {
        double square = 0, size = 0;

        for (int32_t i = 0; i < n; i++) {
            square += 2 * (double)half[i * w->width + r] * (double)rows[i * w->width + r];
            size += fabs((double)rows[i * w->width + r]);
        }
        /* length = sum |w_i| sqrt(P_ii) bounds what rounding makes of the square; what underflows
           of P, its columns and the image is 2^-149 of each product. Sums that overflowed say
           nothing. */
        square = isfinite(square) ? fmax(square, 0) : (double)INFINITY;
        square += s->gamma * length[r] * length[r] + s->tiny * size * (size + 1);
        sharp[r] = nm_up(sqrt(s->kappa * square)) + rest[r];
    }
    return true;
}

/* Rows end where a summary stands. Of the rigorous bound counts the smaller of what it says and
   what single radii say. */
static bool weigh_summary(struct carrying *w, int value)
{
    const nm_kept *kept = &w->l->kept[value];
    double box[NM_MAX_ROWS] = {0}, sharp[NM_MAX_ROWS];

    if (kept->radius)
        w->kernels->weigh(kept->n, w->width, w->adj[value], kept->radius, box);
    for (int m = 0; m < w->c->n_models; m++) {
        if (!weigh_summed(w, value, &kept->summary->model[m], sharp))
            return false;
        for (int r = 0; r < w->c->n; r++)
            w->sum[m][r] += m == NM_RIGOROUS ? fmin(sharp[r], box[r]) : sharp[r];
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
        int32_t place = nm_kept_place(&w->l->kept[c->value], c->element[i]);

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

    w.adj = nm_arena_zeroed(c->arena, (size_t)net->n_values, sizeof *w.adj);
    ok = w.adj && begin(&w);
    for (; ok && k >= 0 && left > 0; k--) {
        int out = net->ops[k].out;

        if (!w.adj[out])
            continue;
        if (l->kept[out].summary) {
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
