#include "verify/check_chain.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/op.h"

#define ROUNDOFF 0x1p-53

enum { BATCH = 16, MOST_OPS = 64 };

/* Operators whose derivative has entries 0, 1 and -1 only, at most one a row. */
static bool is_exact(const nm_op *op)
{
    static const nm_op_kind *const exact[] = {&nm_op_add,       &nm_op_sub,       &nm_op_neg,
                                              &nm_op_identity,  &nm_op_flatten,   &nm_op_reshape,
                                              &nm_op_squeeze,   &nm_op_unsqueeze, &nm_op_slice,
                                              &nm_op_transpose, &nm_op_gather};

    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
        if (op->kind == exact[i])
            return true;
    return false;
}

/* Operators whose derivative is their weights: with a factor they would be computed. */
static bool is_matrix(const nm_net *net, const nm_op *op)
{
    nm_matrix_form form;

    return (op->kind == &nm_op_dense || op->kind == &nm_op_conv) && op->kind->matrix_form &&
           op->kind->matrix_form(net, op, &form) && form.alpha == 1 && form.beta == 1;
}

/* The one input that is computed; -1 if there are several. */
static int varying_input(const nm_net *net, const nm_op *op)
{
    int found = -1;

    for (int i = 0; i < op->n_in; i++)
        if (op->in[i] >= 0 && !net->values[op->in[i]].constant) {
            if (found >= 0)
                return -1;
            found = i;
        }
    return found;
}

/* Operators from one ReLU (or the input) to the next (or the output). */
struct segment {
    int ops[MOST_OPS], n_ops;
    int from, to; /* values */
};

struct extraction {
    const nm_net *net;
    nm_check_chain *chain;
    double **zeros; /* [n_values] [BATCH x size] */
    double **at_0;  /* [n_values] [size] values of a segment where what it reads is 0 */
    double **row;   /* [n_values] [BATCH x size] */
    nm_arena arena, scratch;
};

static nm_status unsupported(nm_err *err, const nm_op *op, const char *why)
{
    return nm_fail(err, NM_E_UNSUPPORTED, "node '%.80s': %s, and claims need a chain of layers",
                   op->name, why);
}

static double *room_of(nm_arena *arena, int64_t n)
{
    double *room = nm_arena_take(arena, (size_t)n, sizeof *room);

    if (room)
        memset(room, 0, (size_t)n * sizeof *room);
    return room;
}

static void inputs_of(const struct extraction *x, const nm_op *op, double *const *arrays,
                      const double **in)
{
    for (int i = 0; i < op->n_in; i++) {
        const nm_value *value = op->in[i] >= 0 ? &x->net->values[op->in[i]] : NULL;

        in[i] = !value ? NULL : value->constant ? value->constant->f64 : arrays[op->in[i]];
    }
}

static bool open_arrays(struct extraction *x)
{
    size_t n = (size_t)x->net->n_values;

    x->zeros = nm_arena_take(&x->arena, n, sizeof *x->zeros);
    x->at_0 = nm_arena_take(&x->arena, n, sizeof *x->at_0);
    x->row = nm_arena_take(&x->arena, n, sizeof *x->row);
    if (x->arena.failed)
        return false;
    for (int v = 0; v < x->net->n_values; v++) {
        int64_t size = x->net->values[v].size;

        x->zeros[v] = x->net->values[v].constant ? NULL : room_of(&x->arena, BATCH * size);
        x->at_0[v] = x->net->values[v].constant ? NULL : room_of(&x->arena, size);
        x->row[v] = x->net->values[v].constant ? NULL : room_of(&x->arena, BATCH * size);
    }
    return !x->arena.failed;
}

/* -- one segment ------------------------------------------------------------------------------ */

/* Values where the segment reads zeros; *largest of their magnitudes. */
static void run_at_0(struct extraction *x, const struct segment *s, double *largest)
{
    *largest = 0;
    memset(x->at_0[s->from], 0, (size_t)x->net->values[s->from].size * sizeof(double));
    for (int k = 0; k < s->n_ops; k++) {
        const nm_op *op = &x->net->ops[s->ops[k]];
        nm_exec ex = {.net = x->net, .op = op, .n = 1, .plain = true, .arena = &x->scratch};
        const double *in[NM_OP_MAX_IN];

        inputs_of(x, op, x->at_0, in);
        op->kind->forward_f64(&ex, in, x->at_0[op->out]);
        for (int64_t i = 0; i < x->net->values[op->out].size; i++)
            *largest = fmax(*largest, fabs(x->at_0[op->out][i]));
        (void)nm_arena_reset(&x->scratch, NULL);
    }
}

/* Rows first .. first + n - 1 of the segment's matrix, by adjoints of unit rows. */
static void extract_rows(struct extraction *x, const struct segment *s, int64_t first, int64_t n,
                         nm_chain_layer *l)
{
    int64_t n_out = l->n_out;

    memset(x->row[s->to], 0, (size_t)(BATCH * n_out) * sizeof(double));
    for (int64_t r = 0; r < n; r++)
        x->row[s->to][r * n_out + first + r] = 1;
    for (int k = s->n_ops - 1; k >= 0; k--) {
        const nm_op *op = &x->net->ops[s->ops[k]];
        nm_exec ex = {.net = x->net, .op = op, .n = BATCH, .plain = true, .arena = &x->scratch};
        int i = varying_input(x->net, op);
        double *to[NM_OP_MAX_IN] = {0};
        const double *in[NM_OP_MAX_IN];

        to[i] = x->row[op->in[i]];
        memset(to[i], 0, (size_t)(BATCH * x->net->values[op->in[i]].size) * sizeof(double));
        inputs_of(x, op, x->zeros, in);
        op->kind->vjp(&ex, in, x->zeros[op->out], x->row[op->out], to);
        (void)nm_arena_reset(&x->scratch, NULL);
    }
    memcpy(l->w + first * l->n_in, x->row[s->from], (size_t)(n * l->n_in) * sizeof(double));
}

static double size_of_row(const nm_chain_layer *l, int64_t r)
{
    double sum = 0;

    for (int64_t j = 0; j < l->n_in; j++)
        sum += fabs(l->w[r * l->n_in + j]);
    return sum;
}

/* [lo, hi] of what the layer reads, and z of its own by intervals. */
static void find_ranges(nm_chain_layer *l, const double *lo, const double *hi, double largest,
                        double n_neurons, int n_ops)
{
    for (int64_t r = 0; r < l->n_out; r++) {
        double size = 0, low = l->b[r], high = l->b[r];

        for (int64_t j = 0; j < l->n_in; j++) {
            double w = l->w[r * l->n_in + j];

            low += w > 0 ? w * lo[j] : w * hi[j];
            high += w > 0 ? w * hi[j] : w * lo[j];
            size += fabs(w) * fmax(fabs(lo[j]), fabs(hi[j]));
        }
        /* Sums of up to n_neurons products, their constants, and those of b from values that are
           no larger than `largest`; see check_bound.h. */
        l->e[r] = ((4 * n_neurons + 64) * (size + fabs(l->b[r])) +
                   (double)(l->n_in + 16) * (n_ops + 1) * largest * (1 + size_of_row(l, r))) *
                      ROUNDOFF * 1.01 +
                  1e-250;
        l->lo[r] = low - l->e[r];
        l->hi[r] = high + l->e[r];
    }
}

static bool list_entries(nm_arena *arena, nm_chain_layer *l)
{
    int64_t n = 0;

    for (int64_t i = 0; i < l->n_out * l->n_in; i++)
        n += l->w[i] != 0;
    if (4 * n > l->n_out * l->n_in)
        return true;
    l->start = nm_arena_take(arena, (size_t)l->n_out + 1, sizeof *l->start);
    l->at = nm_arena_take(arena, (size_t)n + 1, sizeof *l->at);
    if (!l->start || !l->at)
        return false;
    n = 0;
    for (int64_t r = 0; r < l->n_out; r++) {
        l->start[r] = n;
        for (int64_t j = 0; j < l->n_in; j++)
            if (l->w[r * l->n_in + j] != 0)
                l->at[n++] = (int32_t)j;
    }
    l->start[l->n_out] = n;
    return true;
}

static nm_status extract(struct extraction *x, const struct segment *s, nm_err *err)
{
    nm_check_chain *c = x->chain;
    nm_chain_layer *l = &c->layers[c->n_layers];
    nm_arena *arena = &c->arena;

    *l =
        (nm_chain_layer){.n_out = x->net->values[s->to].size, .n_in = x->net->values[s->from].size};
    l->w = nm_arena_take(arena, (size_t)(l->n_out * l->n_in), sizeof(double));
    l->b = nm_arena_take(arena, 4 * (size_t)l->n_out, sizeof(double));
    if (arena->failed)
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    l->e = l->b + l->n_out;
    l->lo = l->b + 2 * l->n_out;
    l->hi = l->b + 3 * l->n_out;
    for (int64_t first = 0; first < l->n_out; first += BATCH)
        extract_rows(x, s, first, l->n_out - first < BATCH ? l->n_out - first : BATCH, l);
    if (!list_entries(arena, l))
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    c->n_layers++;
    c->n_neurons += l->n_out;
    c->widest = l->n_out > c->widest ? l->n_out : c->widest;
    return x->scratch.failed ? nm_fail(err, NM_E_NOMEM, "out of memory") : NM_OK;
}

/* -- the chain -------------------------------------------------------------------------------- */

static nm_status close_segment(struct extraction *x, struct segment *s, int to, nm_err *err)
{
    double largest;
    nm_chain_layer *l = &x->chain->layers[x->chain->n_layers];
    nm_status rc;

    s->to = to;
    if (s->n_ops == 0)
        return nm_fail(err, NM_E_UNSUPPORTED, "two ReLU follow each other");
    rc = extract(x, s, err);
    if (rc != NM_OK)
        return rc;
    run_at_0(x, s, &largest);
    memcpy(l->b, x->at_0[to], (size_t)l->n_out * sizeof(double));
    l->e[0] = largest; /* until all layers are known */
    l->lo[0] = s->n_ops;
    s->n_ops = 0;
    return NM_OK;
}

static nm_status walk(struct extraction *x, nm_err *err)
{
    const nm_net *net = x->net;
    struct segment s = {.from = net->input};
    int at = net->input, n_matrices = 0;
    nm_status rc = NM_OK;

    for (int k = 0; rc == NM_OK && k < net->n_ops; k++) {
        const nm_op *op = &net->ops[k];
        int i = varying_input(net, op);

        if (net->values[op->out].constant)
            continue;
        if (i < 0 || op->in[i] != at)
            return unsupported(err, op, "reads several values");
        if (op->kind == &nm_op_relu) {
            rc = close_segment(x, &s, at, err);
            s.from = op->out;
            n_matrices = 0;
        } else if (!is_exact(op) && !(is_matrix(net, op) && n_matrices++ == 0))
            return unsupported(err, op, op->kind->name);
        else if (s.n_ops == MOST_OPS)
            return unsupported(err, op, "too many operators in a row");
        else
            s.ops[s.n_ops++] = k;
        at = op->out;
    }
    if (rc == NM_OK && at != net->output)
        rc = nm_fail(err, NM_E_UNSUPPORTED, "the output is not at the end of a chain");
    return rc == NM_OK ? close_segment(x, &s, at, err) : rc;
}

static bool find_all_ranges(nm_check_chain *c, const double *lo, const double *hi)
{
    double *x_lo = room_of(&c->arena, c->widest), *x_hi = room_of(&c->arena, c->widest);

    for (int k = 0; x_lo && x_hi && k < c->n_layers; k++) {
        nm_chain_layer *l = &c->layers[k];

        find_ranges(l, k == 0 ? lo : x_lo, k == 0 ? hi : x_hi, l->e[0],
                    (double)(c->n_neurons + c->n_in), (int)l->lo[0]);
        for (int64_t i = 0; i < l->n_out; i++) {
            x_lo[i] = fmax(l->lo[i], 0);
            x_hi[i] = fmax(l->hi[i], 0);
        }
    }
    return x_lo && x_hi;
}

nm_status nm_check_chain_new(const nm_net *net, const double *lo, const double *hi,
                             nm_check_chain **out, nm_err *err)
{
    struct extraction x = {.net = net};
    nm_status rc = nm_alloc(&x.chain, 1, sizeof *x.chain, err);

    *out = NULL;
    if (rc != NM_OK)
        return rc;
    x.chain->n_in = net->values[net->input].size;
    NM_TRY(nm_alloc(&x.chain->layers, (size_t)net->n_ops + 1, sizeof *x.chain->layers, err));
    if (!open_arrays(&x))
        NM_THROW(err, NM_E_NOMEM, "out of memory");
    NM_TRY(walk(&x, err));
    if (!find_all_ranges(x.chain, lo, hi))
        NM_THROW(err, NM_E_NOMEM, "out of memory");
    *out = x.chain;
    x.chain = NULL;
done:
    nm_check_chain_free(x.chain);
    nm_arena_clear(&x.arena);
    nm_arena_clear(&x.scratch);
    return rc;
}

void nm_check_chain_free(nm_check_chain *c)
{
    if (!c)
        return;
    nm_arena_clear(&c->arena);
    nm_free(c->layers);
    nm_free(c);
}
