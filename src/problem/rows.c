/* Coefficients of rows: the gradient of each row's quantity w.r.t. the free parameters, by one
   backward pass for a batch of rows. For a dense layer a row's weight part is the outer product of
   the adjoint at the layer's output and the layer's input (design, section 5). */
#include "problem/rows.h"

#include <string.h>

#include "base/mem.h"

struct batch {
    const nm_tail *tail;
    const nm_row_id *rows;
    int64_t n_rows;
    double *a;                 /* coefficients ... */
    const nm_row_space *space; /* ... or, if there is a space, */
    double *g;                 /* factors */
    int64_t *points;           /* [n_rows] scratch */
    nm_tape *at;               /* the values of each row's point */
    nm_tape *adj;              /* adjoints */
};

/* What a row's quantity gains by dz [size of the value it lives in].
   @param z  the values that choose the pin's side */
static double gain(const nm_net *net, const nm_demand *demand, const nm_row_id *row,
                   const double *z, const double *dz)
{
    if (row->kind == NM_ROW_PIN) {
        const nm_op *op = &net->ops[row->op];
        nm_pin pin = op->kind->pin(net, op, z, row->k);

        return pin.sign * (dz[pin.plus] - (pin.minus >= 0 ? dz[pin.minus] : 0));
    }
    if (row->kind == NM_ROW_LABEL && nm_demand_rule(demand, row->point))
        return nm_rule_sum(nm_demand_rule(demand, row->point), dz);
    return row->kind == NM_ROW_OUTPUT
               ? dz[row->k]
               : nm_demand_sign(demand) * (dz[demand->target[row->point]] - dz[row->k]);
}

/* The value that a row's quantity lives in. */
static int home(const nm_net *net, const nm_row_id *row)
{
    return row->kind == NM_ROW_PIN ? net->ops[row->op].in[0] : net->scores;
}

/* What points with pieces from elsewhere differ by. */
static double held_gain(const nm_net *net, const nm_demand *demand, const nm_row_id *row,
                        const double *z)
{
    int v = home(net, row);
    double sum = 0;

    if (!demand->hold)
        return 0;
    if (demand->hold->shift)
        sum += gain(net, demand, row, z,
                    demand->hold->shift->val[v] + row->point * net->values[v].size);
    if (row->kind == NM_ROW_PIN) {
        const nm_op *op = &net->ops[row->op];

        sum -= nm_demand_pin_margin(demand, row->op, row->point, op->kind->n_pins(net, op), row->k);
    }
    return sum;
}

/* @return the quantity's value where `at` is */
static double seed(const nm_net *net, const nm_demand *demand, const nm_row_id *row,
                   const double *z, double *adj)
{
    const nm_out_row *rule = nm_demand_rule(demand, row->point);

    if (row->kind == NM_ROW_PIN) {
        const nm_op *op = &net->ops[row->op];
        nm_pin pin = op->kind->pin(net, op, z, row->k);

        adj[pin.plus] += pin.sign;
        if (pin.minus >= 0)
            adj[pin.minus] -= pin.sign;
        return pin.sign * (z[pin.plus] - (pin.minus >= 0 ? z[pin.minus] : 0)) - pin.rhs;
    }
    if (row->kind == NM_ROW_OUTPUT) {
        adj[row->k] += 1;
        return z[row->k];
    }
    if (rule) {
        for (int32_t i = 0; i < rule->n_terms; i++)
            adj[rule->output[i]] += rule->coef[i];
        return nm_rule_sum(rule, z) - rule->limit_out;
    }
    adj[demand->target[row->point]] += nm_demand_sign(demand);
    adj[row->k] -= nm_demand_sign(demand);
    return nm_demand_sign(demand) * (z[demand->target[row->point]] - z[row->k]);
}

double nm_row_seed(const nm_net *net, const nm_demand *demand, const nm_row_id *row,
                   const nm_tape *at, nm_tape *adjoint, int64_t place)
{
    int v = home(net, row);
    int64_t shift = place * net->values[v].size;
    const double *z = at->val[v] + shift;

    return seed(net, demand, row, z, adjoint->val[v] + shift) + held_gain(net, demand, row, z);
}

double nm_row_tangent(const nm_tail *tail, const nm_demand *demand, const nm_row_id *row,
                      const nm_tape *t)
{
    int v = home(tail->net, row);
    int64_t shift = row->point * tail->net->values[v].size;

    return gain(tail->net, demand, row, tail->at->val[v] + shift, t->val[v] + shift);
}

static nm_status gradient_of_block(const struct batch *b, const nm_param_block *block, int64_t r,
                                   nm_exec *ex)
{
    const nm_net *net = b->tail->net;
    const nm_op *op = &net->ops[net->layers[block->layer].op];
    int64_t size = nm_block_tensor_size(net, block);
    const double *x = b->at->val[op->in[0]] + r * net->values[op->in[0]].size;
    const double *dout = b->adj->val[op->out] + r * net->values[op->out].size;
    double *row = b->a + r * b->tail->params->n;
    double *g =
        block->entry ? nm_arena_take(ex->arena, (size_t)size, sizeof *g) : row + block->first;

    if (!g)
        return NM_E_NOMEM;
    memset(g, 0, (size_t)size * sizeof *g);
    ex->op = op;
    op->kind->param_vjp(ex, x, dout, block->bias ? NULL : g, block->bias ? g : NULL);
    if (block->entry)
        nm_block_gather(net, block, g, row);
    return NM_OK;
}

/* The extras' factors: gradients of the biases, block after block. */
static nm_status factor_biases(const struct batch *b, int64_t r, nm_exec *ex)
{
    const nm_net *net = b->tail->net;
    const nm_params *params = b->tail->params;
    double *to = b->g + r * nm_factor_width(&b->space->space) + b->space->space.n_out;

    for (int i = 0; i < params->n_blocks; i++) {
        const nm_param_block *block = &params->blocks[i];
        const nm_op *op = &net->ops[net->layers[block->layer].op];
        int64_t size = nm_block_tensor_size(net, block);
        double *g;

        if (!block->bias)
            continue;
        g = nm_arena_take(ex->arena, (size_t)size, sizeof *g);
        if (!g)
            return NM_E_NOMEM;
        memset(g, 0, (size_t)size * sizeof *g);
        ex->op = op;
        op->kind->param_vjp(ex, b->at->val[op->in[0]] + r * net->values[op->in[0]].size,
                            b->adj->val[op->out] + r * net->values[op->out].size, NULL, g);
        for (int64_t k = 0; k < block->n; k++)
            *to++ = g[block->entry ? block->entry[k] : k];
    }
    return NM_OK;
}

static nm_status factors_of_row(const struct batch *b, int64_t r, nm_exec *ex)
{
    const nm_factor_space *space = &b->space->space;
    int out = b->tail->net->ops[b->space->op].out;
    const double *dout = b->adj->val[out] + r * space->n_out;
    double *g = b->g + r * nm_factor_width(space);

    for (int64_t i = 0; i < space->n_out; i++)
        g[i] = b->space->alpha * dout[i];
    return factor_biases(b, r, ex);
}

static nm_status gradients(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const struct batch *b = user;
    const nm_params *params = b->tail->params;
    nm_exec ex = {.net = b->tail->net, .n = 1, .arena = arena};
    nm_status rc = NM_OK;

    for (int64_t r = first; rc == NM_OK && r < first + n; r++) {
        if (b->space)
            rc = factors_of_row(b, r, &ex);
        for (int i = 0; rc == NM_OK && !b->space && i < params->n_blocks; i++) {
            rc = gradient_of_block(b, &params->blocks[i], r, &ex);
            if (rc == NM_OK)
                rc = nm_arena_reset(arena, NULL);
        }
        if (rc == NM_OK)
            rc = nm_arena_reset(arena, NULL);
    }
    return rc;
}

/* Enough rows for a thread to be worth waking. */
static int64_t rows_a_block(const struct batch *b)
{
    const int64_t coefficients = 1 << 18;

    return coefficients / (b->space ? nm_factor_width(&b->space->space) : b->tail->params->n) + 1;
}

static nm_status make_batch(const nm_ctx *ctx, struct batch *b, const nm_demand *demand,
                            double *value, nm_err *err)
{
    nm_status rc;

    b->at->n = b->adj->n = b->n_rows;
    for (int64_t r = 0; r < b->n_rows; r++)
        b->points[r] = b->rows[r].point;
    nm_tape_gather(b->at, b->tail->at, b->points, b->n_rows);
    nm_tape_zero(b->adj);
    for (int64_t r = 0; r < b->n_rows; r++)
        value[r] = nm_row_seed(b->tail->net, demand, &b->rows[r], b->at, b->adj, r);
    rc = nm_tape_vjp(ctx, b->at, b->adj, b->tail->op_mask, false, err);
    if (rc == NM_OK)
        rc = nm_blocks_run(ctx, b->n_rows, rows_a_block(b), gradients, b, err);
    return rc;
}

/* With a space, g; else a. */
static nm_status make(const nm_ctx *ctx, const nm_tail *tail, const nm_demand *demand,
                      const nm_row_id *rows, int64_t n_rows, const nm_row_space *space, double *a,
                      double *value, double *g, nm_err *err)
{
    nm_status rc = NM_OK;
    int64_t chunk = nm_pass_block(tail->net) * nm_ctx_threads(ctx);
    struct batch b = {.tail = tail, .space = space};
    bool *keep = NULL;

    chunk = chunk < n_rows ? chunk : n_rows;
    NM_TRY(nm_alloc(&keep, (size_t)tail->net->n_values, sizeof *keep, err));
    NM_TRY(nm_alloc(&b.points, (size_t)chunk, sizeof *b.points, err));
    for (int v = 0; v < tail->net->n_values; v++)
        keep[v] = tail->at->val[v] != NULL;
    NM_TRY(nm_tape_new(tail->net, chunk, keep, &b.at, err));
    NM_TRY(nm_tape_new(tail->net, chunk, tail->behind, &b.adj, err));
    for (int64_t first = 0; first < n_rows; first += chunk) {
        b.rows = rows + first;
        b.n_rows = n_rows - first < chunk ? n_rows - first : chunk;
        b.a = space ? NULL : a + first * tail->params->n;
        b.g = space ? g + first * nm_factor_width(&space->space) : NULL;
        NM_TRY(make_batch(ctx, &b, demand, value + first, err));
    }
done:
    nm_tape_free(b.at);
    nm_tape_free(b.adj);
    nm_free(b.points);
    nm_free(keep);
    return rc;
}

nm_status nm_rows_make(const nm_ctx *ctx, const nm_tail *tail, const nm_demand *demand,
                       const nm_row_id *rows, int64_t n_rows, double *a, double *value, nm_err *err)
{
    return make(ctx, tail, demand, rows, n_rows, NULL, a, value, NULL, err);
}

nm_status nm_rows_make_factored(const nm_ctx *ctx, const nm_tail *tail, const nm_demand *demand,
                                const nm_row_id *rows, int64_t n_rows, const nm_row_space *space,
                                double *value, double *g, nm_err *err)
{
    return make(ctx, tail, demand, rows, n_rows, space, NULL, value, g, err);
}
