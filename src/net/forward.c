/* Plain evaluation of many points: each block of points runs through the net in a few buffers that
   are reused as soon as their last reader is done. Compiled once per precision (tensor/typed.h). */
#ifdef NM_REAL

typedef struct NM_TYPED(job) {
    const struct plan *plan;
    const NM_REAL *x;
    NM_REAL *y;
} NM_TYPED(job);

/* Where value i of this block lives. */
static NM_REAL *NM_TYPED(place)(const NM_TYPED(job) * job, NM_REAL *const *slots, int64_t first,
                                int value)
{
    const nm_net *net = job->plan->net;
    int root = job->plan->root[value];

    if (root == net->output)
        return job->y + first * net->values[root].size;
    if (root == net->input)
        return (NM_REAL *)(uintptr_t)(job->x + first * net->values[root].size);
    return slots[job->plan->slot[root]];
}

static void NM_TYPED(run_op)(const nm_exec *ex, const NM_TYPED(job) * job, NM_REAL *const *slots,
                             int64_t first)
{
    const nm_op *op = ex->op;
    const NM_REAL *in[NM_OP_MAX_IN];

    for (int i = 0; i < op->n_in; i++) {
        const nm_tensor *constant = nm_op_constant(ex->net, op, i);

        in[i] = op->in[i] < 0 ? NULL
                : constant    ? constant->NM_SUFFIX
                              : NM_TYPED(place)(job, slots, first, op->in[i]);
    }
    op->kind->NM_TYPED(forward)(ex, in, NM_TYPED(place)(job, slots, first, op->out));
}

static nm_status NM_TYPED(run_block)(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const NM_TYPED(job) *job = user;
    const struct plan *plan = job->plan;
    nm_arena scratch = {0};
    NM_REAL **slots = nm_arena_take(arena, (size_t)plan->n_slots, sizeof *slots);
    nm_status rc = NM_OK;

    for (int i = 0; slots && i < plan->n_slots; i++)
        slots[i] = nm_arena_take(arena, (size_t)(n * plan->slot_size[i]), sizeof **slots);
    if (arena->failed)
        return NM_E_NOMEM;
    for (int i = 0; rc == NM_OK && i < plan->net->n_ops; i++) {
        nm_exec ex = {.net = plan->net, .op = &plan->net->ops[i], .n = n, .arena = &scratch};

        if (plan->root[ex.op->out] == ex.op->out)
            NM_TYPED(run_op)(&ex, job, slots, first);
        rc = nm_arena_reset(&scratch, NULL);
    }
    nm_arena_clear(&scratch);
    return rc;
}

nm_status NM_TYPED(nm_net_forward)(nm_ctx *ctx, const nm_net *net, const NM_REAL *x, int64_t n,
                                   NM_REAL *y, nm_err *err)
{
    struct plan plan = {0};
    NM_TYPED(job) job = {.plan = &plan, .x = x, .y = y};
    nm_status rc = plan_buffers(net, &plan, err);

    if (rc == NM_OK)
        rc = nm_blocks_run(ctx, n, nm_pass_block(net), NM_TYPED(run_block), &job, err);
    plan_clear(&plan);
    return rc;
}

#else

#include "base/mem.h"
#include "net/pass.h"

/* Which buffer each value uses. */
struct plan {
    const nm_net *net;
    int *root;          /* [n_values] the value whose memory this one shares (views), else itself */
    int *slot;          /* [n_values] buffer of a root */
    int64_t *slot_size; /* [n_slots] elements per point */
    int n_slots;
};

static void plan_clear(struct plan *plan)
{
    nm_free(plan->root);
    nm_free(plan->slot);
    nm_free(plan->slot_size);
}

/* A view shares its input's memory, but the graph output keeps its own: it is the caller's. */
static void find_roots(struct plan *plan)
{
    const nm_net *net = plan->net;

    for (int i = 0; i < net->n_values; i++)
        plan->root[i] = i;
    for (int i = 0; i < net->n_ops; i++) {
        const nm_op *op = &net->ops[i];

        if (op->kind->is_view && op->out != net->output)
            plan->root[op->out] = plan->root[op->in[0]];
    }
}

/* The free buffer that fits best, or a new one. */
static int take_slot(struct plan *plan, bool *busy, int64_t size)
{
    int best = -1;

    for (int i = 0; i < plan->n_slots; i++)
        if (!busy[i] && (best < 0 || plan->slot_size[i] > plan->slot_size[best]))
            best = i;
    if (best < 0)
        best = plan->n_slots++;
    busy[best] = true;
    if (plan->slot_size[best] < size)
        plan->slot_size[best] = size;
    return best;
}

static void assign_slots(struct plan *plan, int *last_use, bool *busy)
{
    const nm_net *net = plan->net;

    for (int i = 0; i < net->n_ops; i++)
        for (int k = 0; k < net->ops[i].n_in; k++)
            if (net->ops[i].in[k] >= 0)
                last_use[plan->root[net->ops[i].in[k]]] = i;
    for (int i = 0; i < net->n_ops; i++) {
        int out = net->ops[i].out;

        if (plan->root[out] == out && out != net->output)
            plan->slot[out] = take_slot(plan, busy, net->values[out].size);
        for (int k = 0; k < net->ops[i].n_in; k++) {
            int root = net->ops[i].in[k] >= 0 ? plan->root[net->ops[i].in[k]] : net->input;

            if (last_use[root] == i && net->values[root].producer >= 0 && root != net->output)
                busy[plan->slot[root]] = false;
        }
    }
}

static nm_status plan_buffers(const nm_net *net, struct plan *plan, nm_err *err)
{
    nm_status rc = NM_OK;
    size_t n = (size_t)net->n_values;
    int *last_use = NULL;
    bool *busy = NULL;

    plan->net = net;
    NM_TRY(nm_alloc(&plan->root, n, sizeof *plan->root, err));
    NM_TRY(nm_alloc(&plan->slot, n, sizeof *plan->slot, err));
    NM_TRY(nm_alloc(&plan->slot_size, n, sizeof *plan->slot_size, err));
    NM_TRY(nm_alloc(&last_use, n, sizeof *last_use, err));
    NM_TRY(nm_alloc(&busy, n, sizeof *busy, err));
    find_roots(plan);
    assign_slots(plan, last_use, busy);
done:
    nm_free(last_use);
    nm_free(busy);
    return rc;
}

#define NM_SELF "net/forward.c"
#include "tensor/typed.h"

#endif
