/* Radii as sharp as rows carried back make them, where something bends. */
#include "verify/deploy_block.h"

#include <math.h>
#include <string.h>

#include "net/op/facet.h"
#include "net/pass.h"

/* Layers that a row passes when radii are made sharp: the one that the values come from and those
   before it. Radii further back are taken as they are: there is little to sharpen where values have
   come through no more than two layers. */
static const int64_t uncertain_share = 200;
static const int sharp_layers = 3, sure_layers = 2, least_behind = 4;

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

/* Which elements of input 0 of operator k can matter to the operator, or to the one that alone
   reads its output. */
static bool find_matters(nm_block *b, int k, bool *matters)
{
    nm_exec ex = nm_block_exec(b, k);
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

/* Elements of a value in the order in which rows are best carried: what a layer makes of the same
   inputs comes together, so that rows that are carried at once reach the same few elements. */
static int32_t *find_order(const nm_block *b, int v, nm_arena *arena)
{
    const nm_linear_op *plan = &b->plan->ops[b->net->values[v].producer];
    int64_t size = b->net->values[v].size, n = 0;
    int32_t *order = nm_arena_take(arena, (size_t)size, sizeof *order);

    if (!order)
        return NULL;
    for (int64_t f = 0; plan->passage == NM_BY_FANS && f < plan->n_fans; f++)
        for (int64_t c = 0; c < plan->fans[f].n_out; c++)
            order[n++] = (int32_t)(plan->fans[f].first_out + c * plan->fans[f].out_step);
    for (; n < size; n++)
        order[n] = (int32_t)n;
    return order;
}

/* Rows from the elements that matter, as many at a time as can be carried. */
static bool sharpen_point(nm_block *b, int v, int64_t p, const bool *matters, const int32_t *order)
{
    int64_t size = b->net->values[v].size;
    double *radius = b->radius[v] + p * size, bound[1][NM_MAX_ROWS];
    int32_t element[NM_MAX_ROWS], row[NM_MAX_ROWS];
    float factor[NM_MAX_ROWS];
    int behind = layers_behind(b->net, v) - sure_layers;
    nm_carry c = {.value = v,
                  .element = element,
                  .row = row,
                  .factor = factor,
                  .n_fans = behind < sharp_layers ? behind : sharp_layers,
                  .n_models = 1,
                  .falls_from = NM_MAX_ROWS,
                  .arena = b->scratch};

    for (int64_t i = 0; i < size; i++) {
        if (matters[order[i]]) {
            element[c.n] = order[i];
            row[c.n] = c.n;
            factor[c.n++] = 1;
        }
        if (c.n == 0 || (c.n < NM_MAX_ROWS && i + 1 < size))
            continue;
        c.n_seeds = c.n;
        if (!nm_linear_carry(&b->points[p], &c, bound) || !nm_block_settle(b))
            return false;
        for (int r = 0; r < c.n; r++)
            if (bound[0][r] < radius[element[r]])
                radius[element[r]] = bound[0][r];
        c.n = 0;
    }
    nm_linear_set_radius(&b->points[p], v, radius);
    return true;
}

/* Rows cost the more the more elements matter, and gain nothing while hardly any of them may bend.
 */
static bool is_worth_it(const nm_block *b, int v, int64_t p, const bool *matters)
{
    int64_t size = b->net->values[v].size, n_uncertain = 0, n_matter = 0;

    for (int64_t i = 0; i < size; i++) {
        n_matter += matters[i];
        n_uncertain += matters[i] && fabs(b->val[v][p * size + i]) < b->radius[v][p * size + i];
    }
    return uncertain_share * n_uncertain >= n_matter;
}

/* Where an operator bends, what its inputs may be off by decides how much. Pushed through one layer
   radii are as sharp as through a row; after more, products of several layers cancel. */
bool nm_block_sharpen_inputs(nm_block *b, int k)
{
    const nm_op *op = &b->net->ops[k];

    for (int i = 0; op->kind->residual && i < op->n_in; i++) {
        int v = op->in[i], from = v >= 0 ? b->net->values[v].producer : -1;
        int64_t size = v >= 0 ? b->net->values[v].size : 0;
        int32_t *order;
        bool *matters;
        bool ok = true;

        if (from < 0 || b->sharp[v] || b->net->ops[from].kind->residual ||
            layers_behind(b->net, v) < least_behind)
            continue;
        b->sharp[v] = true;
        matters = nm_arena_take(b->carried, (size_t)(b->n * size), sizeof *matters);
        order = find_order(b, v, b->carried);
        if (matters && i == 0 && op->kind->reach)
            ok = find_matters(b, k, matters) && nm_block_settle(b);
        else if (matters)
            memset(matters, true, (size_t)(b->n * size) * sizeof *matters);
        ok = ok && matters && order;
        for (int64_t p = 0; ok && p < b->n; p++)
            ok = b->skipped[p] || !is_worth_it(b, v, p, matters + p * size) ||
                 sharpen_point(b, v, p, matters + p * size, order);
        (void)nm_arena_reset(b->carried, NULL);
        if (!ok)
            return false;
    }
    return true;
}

/* Where many layers come together in few values that dense layers read: what these are off by is
   summed up once for all rows from behind. */
bool nm_block_summarise(nm_block *b, int v)
{
    const int most = 512;
    int64_t n_rows = 0;
    bool wanted = false;

    for (int k = 0; k < b->net->n_ops; k++) {
        const nm_linear_op *plan = &b->plan->ops[k];

        if (plan->passage != NM_BY_FANS || plan->n_fans != 1)
            continue;
        wanted = wanted || plan->input == v;
        n_rows += wanted ? b->net->values[b->net->ops[k].out].size : 0;
    }
    if (!wanted || layers_behind(b->net, v) < 3)
        return true;
    for (int64_t p = 0; p < b->n; p++)
        if (!b->skipped[p] && b->points[p].kept[v].n <= most &&
            n_rows > 4 * b->points[p].kept[v].n &&
            (!nm_linear_summarise(&b->points[p], v, b->scratch, b->carried) || !nm_block_settle(b)))
            return false;
    return true;
}
