/* How rows of derivatives pass each operator of a net, found once. */
#include "verify/linear.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/op/facet.h"

bool nm_is_varying(const nm_net *net, const nm_op *op, int i)
{
    return i < op->n_in && op->in[i] >= 0 && !net->values[op->in[i]].constant;
}

/* Only input 0 and, of elementwise operators, input 1 are followed one by one. */
static nm_passage passage_of(const nm_net *net, const nm_op *op)
{
    bool alone = nm_is_varying(net, op, 0), same_size = true;

    for (int i = 0; i < op->n_in; i++) {
        if (!nm_is_varying(net, op, i))
            continue;
        alone = alone && i == 0;
        same_size = same_size && i < 2 && net->values[op->in[i]].size == net->values[op->out].size;
    }
    if (alone && op->kind->is_view)
        return NM_BY_VIEW;
    if (alone && op->kind->n_fans)
        return NM_BY_FANS;
    if (alone && op->kind->n_links)
        return NM_BY_LINKS;
    return op->kind->elementwise && same_size ? NM_BY_ELEMENT : NM_BY_VJP;
}

static bool list_fans(nm_linear_plan *plan, const nm_op *op, nm_linear_op *to)
{
    const nm_net *net = plan->net;
    nm_exec ex = {.net = net, .op = op, .n = 1, .arena = &plan->arena};
    int64_t size = net->values[op->in[0]].size, most = 0;
    nm_arena scratch = {0};
    int64_t *fed = nm_arena_take(&scratch, (size_t)size, sizeof *fed);

    to->n_fans = op->kind->n_fans(net, op);
    to->fans = nm_arena_take(&plan->arena, (size_t)to->n_fans, sizeof *to->fans);
    if (fed)
        memset(fed, 0, (size_t)size * sizeof *fed);
    for (int64_t k = 0; fed && to->fans && k < to->n_fans; k++) {
        op->kind->fan(&ex, k, &to->fans[k]);
        for (int64_t i = 0; !plan->arena.failed && i < to->fans[k].n_in; i++) {
            int64_t *count = &fed[to->fans[k].at[i]];

            *count += to->fans[k].n_out;
            most = *count > most ? *count : most;
        }
    }
    to->most_fed = (double)most;
    nm_arena_clear(&scratch);
    return fed && !plan->arena.failed;
}

/* The operator before a value, if the value is read only once. */
static int only_maker(const nm_net *net, int value)
{
    return net->values[value].n_readers == 1 && value != net->scores ? net->values[value].producer
                                                                     : -1;
}

static void find_fusion(nm_linear_plan *plan, int k)
{
    const nm_net *net = plan->net;
    int j = only_maker(net, net->ops[k].in[0]);

    while (j >= 0 && plan->ops[j].passage == NM_BY_VIEW)
        j = only_maker(net, net->ops[j].in[0]);
    if (plan->ops[k].n_fans != 1 || j < 0 || plan->ops[j].passage != NM_BY_LINKS ||
        net->ops[j].kind->residual ||
        2 * net->values[net->ops[j].in[0]].size > net->values[net->ops[j].out].size)
        return;
    plan->ops[k].fused_with = j;
    plan->ops[k].input = net->ops[j].in[0];
    for (int i = only_maker(net, net->ops[k].in[0]); i != j; i = only_maker(net, net->ops[i].in[0]))
        plan->ops[i].skipped = true;
    plan->ops[j].skipped = true;
}

static bool plan_op(nm_linear_plan *plan, int k)
{
    const nm_net *net = plan->net;
    const nm_op *op = &net->ops[k];
    nm_linear_op *to = &plan->ops[k];
    int64_t readers = 1;

    to->passage = passage_of(net, op);
    to->most_fed = 1;
    to->fused_with = -1;
    to->input = op->in[0];
    for (int i = 0; i < op->n_in; i++)
        if (nm_is_varying(net, op, i) && net->values[op->in[i]].n_readers > readers)
            readers = net->values[op->in[i]].n_readers;
    if (to->passage == NM_BY_LINKS) {
        to->n_links = op->kind->n_links(net, op);
        to->most_fed = (double)net->values[op->out].size;
    }
    if (to->passage == NM_BY_FANS) {
        if (!list_fans(plan, op, to))
            return false;
        find_fusion(plan, k);
    }
    to->gamma = to->passage == NM_BY_VIEW && readers == 1
                    ? 0
                    : nm_gamma_f32((int64_t)to->most_fed + readers + 5);
    return true;
}

nm_status nm_linear_plan_new(const nm_net *net, nm_linear_plan **out, nm_err *err)
{
    nm_linear_plan *plan;
    nm_status rc = nm_alloc(&plan, 1, sizeof *plan, err);

    *out = NULL;
    if (rc != NM_OK)
        return rc;
    plan->net = net;
    rc = nm_alloc(&plan->ops, (size_t)net->n_ops, sizeof *plan->ops, err);
    for (int k = 0; rc == NM_OK && k < net->n_ops; k++)
        if (!plan_op(plan, k))
            rc = nm_fail(err, NM_E_NOMEM, "out of memory");
    if (rc == NM_OK)
        *out = plan;
    else
        nm_linear_plan_free(plan);
    return rc;
}

void nm_linear_plan_free(nm_linear_plan *plan)
{
    if (!plan)
        return;
    nm_free(plan->ops);
    nm_arena_clear(&plan->arena);
    nm_free(plan);
}

/* An element of the input and a copy of it, or what it has a share in. */
struct link {
    int32_t from, to;
    double share;
};

static struct link *list_links(const nm_net *net, const nm_op *op, int64_t n_links, int64_t *count,
                               nm_arena *arena)
{
    int64_t size = net->values[op->out].size;
    nm_exec ex = {.net = net, .op = op, .n = 1, .arena = arena};
    int64_t *at = nm_arena_take(arena, (size_t)(size * n_links), sizeof *at);
    double *share = nm_arena_take(arena, (size_t)size, sizeof *share);
    struct link *links = nm_arena_take(arena, (size_t)(size * n_links), sizeof *links);

    *count = 0;
    if (!at || !share || !links)
        return NULL;
    op->kind->links(&ex, (const double *[NM_OP_MAX_IN]){NULL}, at, share);
    for (int64_t i = 0; i < size * n_links; i++)
        if (at[i] >= 0)
            links[(*count)++] =
                (struct link){(int32_t)at[i], (int32_t)(i / n_links), share[i / n_links]};
    return arena->failed ? NULL : links;
}

/* Column i of the product: all weights that meet copies of element i. */
static bool fuse(nm_linear_net *n, const nm_linear_plan *plan, int k)
{
    const nm_net *net = n->net;
    const nm_op *op = &net->ops[k], *link = &net->ops[plan->ops[k].fused_with];
    const nm_fan *fan = &plan->ops[k].fans[0];
    const nm_tensor *w = nm_op_constant(net, op, op->kind->weight_in);
    int64_t n_in = net->values[link->in[0]].size, count;
    nm_arena scratch = {0};
    struct link *links =
        list_links(net, link, plan->ops[plan->ops[k].fused_with].n_links, &count, &scratch);
    double *row = nm_arena_take(&scratch, (size_t)n_in, sizeof *row);
    bool ready;

    n->fused[k] = nm_arena_take(&n->arena, (size_t)(fan->n_out * n_in), sizeof **n->fused);
    ready = links && row && n->fused[k];
    for (int64_t o = 0; ready && o < fan->n_out; o++) {
        const float *from = w->f32 + o * fan->step;

        memset(row, 0, (size_t)n_in * sizeof *row);
        for (int64_t i = 0; i < count; i++)
            row[links[i].from] += links[i].share * (double)from[fan->weight[links[i].to]];
        for (int64_t i = 0; i < n_in; i++)
            n->fused[k][o * n_in + i] = (float)(fan->scale * row[i]);
    }
    nm_arena_clear(&scratch);
    return ready;
}

static double largest_weight(const nm_net *net, const nm_op *op)
{
    const nm_tensor *w = op->kind->n_fans ? nm_op_constant(net, op, op->kind->weight_in) : NULL;
    double most = 0;

    for (int64_t i = 0; w && i < w->size; i++)
        most = fabs(w->f64[i]) > most ? fabs(w->f64[i]) : most;
    return most;
}

nm_status nm_linear_net_open(nm_linear_net *n, const nm_linear_plan *plan, const nm_net *net,
                             const nm_linear_net *like, int first, nm_err *err)
{
    bool ok = true;

    *n = (nm_linear_net){.net = net};
    n->fused = nm_arena_zeroed(&n->arena, (size_t)net->n_ops, sizeof *n->fused);
    n->most_weight = nm_arena_take(&n->arena, (size_t)net->n_ops, sizeof *n->most_weight);
    for (int k = 0; ok && n->fused && n->most_weight && k < net->n_ops; k++) {
        n->most_weight[k] = k < first ? like->most_weight[k] : largest_weight(net, &net->ops[k]);
        if (plan->ops[k].fused_with >= 0 && k < first)
            n->fused[k] = like->fused[k];
        else if (plan->ops[k].fused_with >= 0)
            ok = fuse(n, plan, k);
    }
    if (ok && n->fused && n->most_weight)
        return NM_OK;
    nm_linear_net_close(n);
    return nm_fail(err, NM_E_NOMEM, "out of memory");
}

void nm_linear_net_close(nm_linear_net *n)
{
    nm_arena_clear(&n->arena);
}
