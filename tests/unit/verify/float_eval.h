/* Float32 evaluation in the ways that runtimes may choose, apart from the library's kernels: order
 * of sums, fused multiply-add, where the bias goes, what is folded together, denormals flushed.
 * Dense layers and convolutions are evaluated here; other operators by the library's float32
 * forward. */
#ifndef NM_TESTS_FLOAT_EVAL_H
#define NM_TESTS_FLOAT_EVAL_H

#include "make_net.h"

#include "net/arena.h"
#include "net/op/conv_core.h"
#include "net/op/dense.h"

typedef enum sum_order { FORWARD, REVERSED, SHUFFLED, PAIRWISE, BLOCKED, N_ORDERS } sum_order;

typedef struct style {
    sum_order order;
    bool fma;
    bool start_first; /* the bias (and what is folded in) is where the sum starts, not added last */
    bool fold;        /* normalisations go into weights, residuals into sums */
    bool flush;       /* denormal operands and results become 0 */
} style;

static const char *const order_name[N_ORDERS] = {"forward", "reversed", "shuffled", "pairwise",
                                                 "blocked"};

/* The i-th of all styles; false when there are no more. */
static inline bool style_at(int i, style *s)
{
    *s = (style){.order = (sum_order)(i / 16),
                 .fma = i & 1,
                 .start_first = i & 2,
                 .fold = i & 4,
                 .flush = i & 8};
    return i / 16 < N_ORDERS;
}

static inline const char *style_text(style s)
{
    static char text[96];

    (void)snprintf(text, sizeof text, "%s%s%s%s%s", order_name[s.order], s.fma ? ", fma" : "",
                   s.start_first ? ", bias first" : "", s.fold ? ", folded" : "",
                   s.flush ? ", flushed" : "");
    return text;
}

static inline float flushed(style s, float v)
{
    return s.flush && fabsf(v) < 0x1p-126F ? 0 : v;
}

static inline float plus(style s, float a, float b)
{
    return flushed(s, a + b);
}

static inline float times(style s, float a, float b)
{
    return flushed(s, flushed(s, a) * flushed(s, b));
}

static inline float add_product(style s, float sum, float a, float b)
{
    if (s.fma)
        return flushed(s, fmaf(flushed(s, a), flushed(s, b), sum));
    return plus(s, sum, times(s, a, b));
}

/* w . x in pairs, recursively. */
static inline float pair_sum(style s, const float *w, const float *x, int64_t n)
{
    if (n == 1)
        return times(s, w[0], x[0]);
    return plus(s, pair_sum(s, w, x, n / 2), pair_sum(s, w + n / 2, x + n / 2, n - n / 2));
}

/* start + w . x; w and x are reordered in place. */
static inline float dot(style s, nm_rng *rng, float *w, float *x, int64_t n, float start)
{
    enum { LANES = 8 };
    float lane[LANES] = {0}, sum = s.start_first ? start : 0;

    if (s.order == PAIRWISE && n > 0) {
        sum = plus(s, sum, pair_sum(s, w, x, n));
        return s.start_first ? sum : plus(s, sum, start);
    }
    for (int64_t i = n - 1; s.order == SHUFFLED && i > 0; i--) {
        int64_t k = (int64_t)nm_rng_below(rng, (uint64_t)i + 1);
        float wi = w[i], xi = x[i];

        w[i] = w[k], x[i] = x[k];
        w[k] = wi, x[k] = xi;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t at = s.order == REVERSED ? n - 1 - i : i;

        if (s.order == BLOCKED)
            lane[i % LANES] = add_product(s, lane[i % LANES], w[at], x[at]);
        else
            sum = add_product(s, sum, w[at], x[at]);
    }
    for (int l = 0; s.order == BLOCKED && l < LANES; l++)
        sum = plus(s, sum, lane[l]);
    return s.start_first ? sum : plus(s, sum, start);
}

typedef struct float_eval {
    const nm_net *net;
    style style;
    nm_rng rng;
    nm_arena arena;
    float **val;  /* [n_values] of one point */
    bool *done;   /* [n_ops] evaluated as part of an earlier one */
    float *w, *x; /* terms of one sum */
} float_eval;

static inline void float_eval_open(float_eval *f, const nm_net *net, style s, uint64_t seed)
{
    int64_t widest = 1;

    *f = (float_eval){.net = net, .style = s, .rng = {.seed = seed}};
    f->val = calloc((size_t)net->n_values, sizeof *f->val);
    f->done = calloc((size_t)net->n_ops, sizeof *f->done);
    for (int v = 0; v < net->n_values; v++) {
        f->val[v] = calloc((size_t)net->values[v].size, sizeof **f->val);
        widest = net->values[v].size > widest ? net->values[v].size : widest;
    }
    f->w = calloc((size_t)widest, sizeof *f->w);
    f->x = calloc((size_t)widest, sizeof *f->x);
}

static inline void float_eval_close(float_eval *f)
{
    for (int v = 0; v < f->net->n_values; v++)
        free(f->val[v]);
    nm_arena_clear(&f->arena);
    free(f->val);
    free(f->done);
    free(f->w);
    free(f->x);
}

/* What a layer's output passes in the same sum: a normalisation, the other operand of an Add or
 * Sub. */
struct folding {
    const nm_op *norm;
    const float *other; /* [size of out] */
    float sign;         /* of other */
    int out;            /* value that the layer writes in the end */
};

static inline int only_reader(const nm_net *net, int v)
{
    int found = -1;

    for (int i = 0; i < net->n_ops; i++)
        for (int k = 0; k < net->ops[i].n_in; k++)
            if (net->ops[i].in[k] == v) {
                if (found >= 0)
                    return -1;
                found = i;
            }
    return found;
}

static inline bool is_sum(const nm_op_kind *kind)
{
    return kind == &nm_op_add || kind == &nm_op_sub;
}

static inline struct folding find_folding(float_eval *f, int op)
{
    struct folding g = {.out = f->net->ops[op].out};
    int reader = f->style.fold ? only_reader(f->net, g.out) : -1;

    if (reader >= 0 && f->net->ops[reader].kind == &nm_op_batch_norm) {
        g.norm = &f->net->ops[reader];
        g.out = g.norm->out;
        f->done[reader] = true;
        reader = only_reader(f->net, g.out);
    }
    if (reader >= 0 && is_sum(f->net->ops[reader].kind)) {
        const nm_op *sum = &f->net->ops[reader];
        int other = sum->in[0] == g.out ? sum->in[1] : sum->in[0];
        const nm_tensor *constant = f->net->values[other].constant;

        if ((constant || f->net->values[other].producer < op) &&
            f->net->values[other].size == f->net->values[g.out].size &&
            (sum->kind == &nm_op_add || sum->in[0] == g.out)) {
            g.other = constant ? constant->f32 : f->val[other];
            g.sign = sum->kind == &nm_op_add ? 1 : -1;
            g.out = sum->out;
            f->done[reader] = true;
        }
    }
    return g;
}

/* Where the sum of one output starts, and the factor that its weights take on. */
static inline float fold_start(const float_eval *f, const struct folding *g, int64_t channel,
                               int64_t at, float bias, float *factor)
{
    style s = f->style;
    float start = bias;

    *factor = 1;
    if (g->norm) {
        const float *in[5];

        for (int i = 1; i < 5; i++)
            in[i] = f->net->values[g->norm->in[i]].constant->f32 + channel;
        *factor = *in[1] / sqrtf(*in[4] + (float)*(const double *)g->norm->attr);
        start = plus(s, times(s, plus(s, bias, -*in[3]), *factor), *in[2]);
    }
    return g->other ? plus(s, start, g->sign * g->other[at]) : start;
}

static inline const float *layer_tensor(const nm_net *net, const nm_op *op, int i)
{
    const nm_tensor *t = nm_op_constant(net, op, i);

    return t ? t->f32 : NULL;
}

static inline void eval_dense(float_eval *f, const nm_op *op, const struct folding *g)
{
    const nm_dense_attr *attr = op->attr;
    const nm_shape *shape = nm_op_shape(f->net, op, 1);
    int64_t k = shape->dim[attr->trans_b ? 1 : 0], n = shape->dim[attr->trans_b ? 0 : 1];
    const float *w = layer_tensor(f->net, op, 1), *b = layer_tensor(f->net, op, 2);
    int64_t rows = f->net->values[op->in[0]].size / k;

    for (int64_t at = 0; at < rows * n; at++) {
        int64_t j = at % n;
        float factor, bias = b ? times(f->style, (float)attr->beta, b[j]) : 0;
        float start = fold_start(f, g, j, at, bias, &factor);

        factor = times(f->style, factor, (float)attr->alpha);
        for (int64_t i = 0; i < k; i++) {
            f->w[i] = times(f->style, w[attr->trans_b ? j * k + i : i * n + j], factor);
            f->x[i] = f->val[op->in[0]][at / n * k + i];
        }
        f->val[g->out][at] = dot(f->style, &f->rng, f->w, f->x, k, start);
    }
}

/* The terms of one output of a convolution over two axes. @return how many */
static inline int64_t conv_terms(float_eval *f, const nm_op *op, const nm_window *win,
                                 int64_t channel, int64_t position, float factor)
{
    const nm_conv_attr *attr = op->attr;
    const nm_shape *ws = nm_op_shape(f->net, op, 1);
    int64_t per_group = ws->dim[1], group = channel / (ws->dim[0] / attr->groups), n = 0;
    int64_t oy = position / win->out[2], ox = position % win->out[2];
    const float *w = layer_tensor(f->net, op, 1) + channel * per_group * ws->dim[2] * ws->dim[3];

    for (int64_t c = 0; c < per_group; c++)
        for (int64_t ky = 0; ky < ws->dim[2]; ky++)
            for (int64_t kx = 0; kx < ws->dim[3]; kx++) {
                int64_t y = oy * win->stride[1] + ky * win->dilation[1] - win->pad[1];
                int64_t x = ox * win->stride[2] + kx * win->dilation[2] - win->pad[2];

                if (y < 0 || x < 0 || y >= win->in[1] || x >= win->in[2])
                    continue;
                f->w[n] = times(f->style, w[(c * ws->dim[2] + ky) * ws->dim[3] + kx], factor);
                f->x[n++] =
                    f->val[op->in[0]][((group * per_group + c) * win->in[1] + y) * win->in[2] + x];
            }
    return n;
}

static inline void eval_conv(float_eval *f, const nm_op *op, const struct folding *g)
{
    const nm_conv_attr *attr = op->attr;
    const float *b = layer_tensor(f->net, op, 2);
    nm_shape spatial;
    nm_window win;
    int64_t positions;
    nm_err err = {0};

    nm_assert_ok(nm_window_spatial(nm_op_shape(f->net, op, 0), &spatial, &err), &err);
    nm_assert_ok(
        nm_window_resolve(&attr->window, &spatial, nm_op_shape(f->net, op, 1)->dim + 2, &win, &err),
        &err);
    positions = win.out[1] * win.out[2];
    for (int64_t at = 0; at < f->net->values[op->out].size; at++) {
        int64_t c = at / positions;
        float factor, start = fold_start(f, g, c, at, b ? b[c] : 0, &factor);
        int64_t n = conv_terms(f, op, &win, c, at % positions, factor);

        f->val[g->out][at] = dot(f->style, &f->rng, f->w, f->x, n, start);
    }
}

static inline void eval_other(float_eval *f, const nm_op *op)
{
    nm_exec ex = {.net = f->net, .op = op, .n = 1, .plain = true, .arena = &f->arena};
    const float *in[NM_OP_MAX_IN];
    int64_t size = f->net->values[op->out].size;

    for (int i = 0; i < op->n_in; i++)
        in[i] = op->in[i] < 0                   ? NULL
                : nm_op_constant(f->net, op, i) ? nm_op_constant(f->net, op, i)->f32
                                                : f->val[op->in[i]];
    op->kind->forward_f32(&ex, in, f->val[op->out]);
    for (int64_t i = 0; i < size; i++)
        f->val[op->out][i] = flushed(f->style, f->val[op->out][i]);
    assert_int_equal(nm_arena_reset(&f->arena, NULL), NM_OK);
}

/** Scores of one point, lent until the next call. */
static inline const float *float_eval_run(float_eval *f, const float *x)
{
    const nm_net *net = f->net;

    memcpy(f->val[net->input], x, (size_t)net->values[net->input].size * sizeof *x);
    memset(f->done, 0, (size_t)net->n_ops * sizeof *f->done);
    for (int i = 0; i < net->n_ops; i++) {
        const nm_op *op = &net->ops[i];
        bool dense = op->kind == &nm_op_dense, conv = op->kind == &nm_op_conv;
        struct folding g;

        if (f->done[i])
            continue;
        if (!dense && !conv) {
            eval_other(f, op);
            continue;
        }
        g = find_folding(f, i);
        if (dense)
            eval_dense(f, op, &g);
        else
            eval_conv(f, op, &g);
    }
    return f->val[net->scores];
}

#endif
