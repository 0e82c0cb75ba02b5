#include "net/partial.h"

#include <string.h>

#include "base/mem.h"
#include "net/copies.h"
#include "net/op/dense.h"
#include "net/recall.h"

/* A block of points goes through the operators in front of the first dense layer a few at a time,
   so that images stay in the cache, and all at once through those from there on, so that large
   matrices of weights are fetched once for many points. */
struct layout {
    const nm_partial *asked;
    int64_t block, few; /* points */
    int cut;            /* operators from here on take the whole block */
    int *root;          /* [n_values] the value whose memory this one shares (views), else itself */
    int *last;          /* [n_values] last operator that reads it */
    int *slot;          /* [n_values] buffer of a root; -1 = the caller's */
    int64_t *size;      /* [n_slots] numbers per point */
    bool *whole;        /* [n_slots] holds the block, else a few points */
    int n_slots;
    nm_copies *copies; /* [n_ops] */
    bool *idle;        /* [n_ops] whose outputs are copies that nobody needs */
};

static void clear_layout(struct layout *l)
{
    for (int k = 0; l->copies && k < l->asked->net->n_ops; k++)
        nm_free(l->copies[k].folded);
    nm_free(l->copies);
    nm_free(l->idle);
    nm_free(l->root);
    nm_free(l->last);
    nm_free(l->slot);
    nm_free(l->size);
    nm_free(l->whole);
}

static bool is_callers(const nm_partial *p, int value)
{
    return p->wanted[value] || p->given[value];
}

static void find_roots(struct layout *l)
{
    const nm_partial *p = l->asked;
    const nm_net *net = p->net;

    for (int v = 0; v < net->n_values; v++) {
        l->root[v] = v;
        l->last[v] = l->slot[v] = -1;
    }
    for (int k = 0; k < net->n_ops; k++) {
        const nm_op *op = &net->ops[k];

        if (!p->op_mask[k])
            continue;
        if (op->kind->is_view && !is_callers(p, op->out) && !net->values[op->in[0]].constant)
            l->root[op->out] = l->root[op->in[0]];
        for (int i = 0; i < op->n_in; i++)
            if (op->in[i] >= 0)
                l->last[l->root[op->in[i]]] = k;
        if (l->copies[k].folded)
            l->last[l->root[l->copies[k].source]] = k;
    }
}

static nm_status find_copies(struct layout *l, nm_err *err)
{
    const nm_net *net = l->asked->net;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&l->copies, (size_t)net->n_ops, sizeof *l->copies, err));
    NM_TRY(nm_alloc(&l->idle, (size_t)net->n_ops, sizeof *l->idle, err));
    for (int k = 0; k < net->n_ops; k++) {
        if (l->asked->op_mask[k])
            NM_TRY(nm_copies_find(l->asked, k, &l->copies[k], err));
        if (l->copies[k].folded)
            l->idle[l->copies[k].copying] = true;
    }
done:
    return rc;
}

/* A buffer that nobody reads any more, or a new one. */
static int take_slot(struct layout *l, const bool *busy, bool whole, int64_t size)
{
    int best = -1;

    for (int i = 0; i < l->n_slots; i++)
        if (!busy[i] && l->whole[i] == whole && (best < 0 || l->size[i] > l->size[best]))
            best = i;
    if (best < 0)
        best = l->n_slots++;
    l->whole[best] = whole;
    l->size[best] = l->size[best] > size ? l->size[best] : size;
    return best;
}

static void assign_slots(struct layout *l, bool *busy)
{
    const nm_partial *p = l->asked;
    const nm_net *net = p->net;

    for (int k = 0; k < net->n_ops; k++) {
        const nm_op *op = &net->ops[k];
        int out = op->out;

        if (!p->op_mask[k])
            continue;
        if (l->root[out] == out && !is_callers(p, out) && !l->idle[k]) {
            l->slot[out] =
                take_slot(l, busy, k >= l->cut || l->last[out] >= l->cut, net->values[out].size);
            busy[l->slot[out]] = true;
        }
        for (int i = 0; i < op->n_in; i++) {
            int value = i == 0 && l->copies[k].folded ? l->copies[k].source : op->in[i];
            int root = value >= 0 ? l->root[value] : -1;

            /* What is filled by few points at a time must not be taken before all are through. */
            if (root >= 0 && l->slot[root] >= 0 && l->last[root] == k &&
                (!l->whole[l->slot[root]] || k >= l->cut))
                busy[l->slot[root]] = false;
        }
    }
}

static int first_dense(const nm_partial *p)
{
    for (int k = 0; k < p->net->n_ops; k++)
        if (p->op_mask[k] && p->net->ops[k].kind == &nm_op_dense)
            return k;
    return p->net->n_ops;
}

static void choose_sizes(struct layout *l)
{
    enum { MANY = 960, LARGE_BLOCK = 240, LEAST = 8 };
    const int64_t wanted = 1 << 19; /* numbers of the widest value */
    const nm_net *net = l->asked->net;
    int64_t widest = 1;

    for (int v = 0; v < net->n_values; v++)
        if (!net->values[v].constant && net->values[v].size > widest)
            widest = net->values[v].size;
    l->cut = first_dense(l->asked);
    l->block = l->asked->n >= MANY && l->cut < net->n_ops ? LARGE_BLOCK : nm_pass_block(net);
    l->few = wanted / widest > LEAST ? wanted / widest : LEAST;
}

static nm_status open_layout(struct layout *l, nm_err *err)
{
    size_t n = (size_t)l->asked->net->n_values;
    bool *busy = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&l->root, n, sizeof *l->root, err));
    NM_TRY(nm_alloc(&l->last, n, sizeof *l->last, err));
    NM_TRY(nm_alloc(&l->slot, n, sizeof *l->slot, err));
    NM_TRY(nm_alloc(&l->size, n, sizeof *l->size, err));
    NM_TRY(nm_alloc(&l->whole, n, sizeof *l->whole, err));
    NM_TRY(nm_alloc(&busy, n, sizeof *busy, err));
    NM_TRY(find_copies(l, err));
    choose_sizes(l);
    find_roots(l);
    assign_slots(l, busy);
done:
    nm_free(busy);
    return rc;
}

/* Where a value lies, of points `first + few ...`: `first` begins the block. */
static float *place(const struct layout *l, float *const *slots, int value, int64_t first,
                    int64_t few)
{
    const nm_partial *p = l->asked;
    int root = l->root[value], slot = l->slot[root];
    int64_t size = p->net->values[root].size;

    if (p->wanted[root])
        return p->wanted[root] + (first + few) * size;
    if (p->given[root])
        return (float *)(uintptr_t)(p->given[root] + (first + few) * size);
    return slot < 0 ? NULL : slots[slot] + (l->whole[slot] ? few * size : 0);
}

static void run_op(const nm_exec *ex, const struct layout *l, float *const *slots, int64_t first,
                   int64_t few)
{
    const nm_op *op = ex->op;
    const nm_copies *copies = &l->copies[op - ex->net->ops];
    const float *in[NM_OP_MAX_IN];

    if (copies->folded) {
        nm_dense_forward_folded(ex, copies->folded, copies->n,
                                place(l, slots, copies->source, first, few),
                                place(l, slots, op->out, first, few));
        return;
    }
    for (int i = 0; i < op->n_in; i++) {
        const nm_tensor *constant = nm_op_constant(ex->net, op, i);

        in[i] = op->in[i] < 0 ? NULL
                : constant    ? constant->f32
                              : place(l, slots, op->in[i], first, few);
    }
    op->kind->forward_f32(ex, in, place(l, slots, op->out, first, few));
}

static nm_status run_ops(const struct layout *l, float *const *slots, int64_t first, int64_t few,
                         int64_t n, int from, int to, nm_arena *scratch)
{
    const nm_partial *p = l->asked;
    nm_status rc = NM_OK;

    for (int i = from; rc == NM_OK && i < to; i++) {
        nm_exec ex = {.net = p->net, .op = &p->net->ops[i], .n = n, .arena = scratch};

        if (p->op_mask[i] && !l->idle[i] && l->root[ex.op->out] == ex.op->out)
            run_op(&ex, l, slots, first, few);
        rc = nm_arena_reset(scratch, NULL);
    }
    return rc;
}

static nm_status run_block(void *user, int64_t first, int64_t n, nm_arena *arena)
{
    const struct layout *l = user;
    nm_arena scratch = {0};
    nm_status rc = NM_OK;
    float **slots = nm_arena_take(arena, (size_t)l->n_slots, sizeof *slots);

    for (int i = 0; slots && i < l->n_slots; i++)
        slots[i] = nm_arena_take(
            arena, (size_t)(l->whole[i] || n < l->few ? n : l->few) * (size_t)l->size[i],
            sizeof **slots);
    if (!slots || arena->failed)
        return NM_E_NOMEM;
    for (int64_t few = 0; rc == NM_OK && l->cut > 0 && few < n; few += l->few)
        rc =
            run_ops(l, slots, first, few, n - few < l->few ? n - few : l->few, 0, l->cut, &scratch);
    if (rc == NM_OK)
        rc = run_ops(l, slots, first, 0, n, l->cut, l->asked->net->n_ops, &scratch);
    nm_arena_clear(&scratch);
    return rc;
}

nm_status nm_partial_run_plain(const nm_ctx *ctx, const nm_partial *partial, nm_err *err)
{
    struct layout l = {.asked = partial};
    nm_status rc = open_layout(&l, err);

    if (rc == NM_OK)
        rc = nm_blocks_run(ctx, partial->n, l.block, run_block, &l, err);
    clear_layout(&l);
    return rc;
}

/* Only what begins at the input can be known from before. */
static bool begins_at_input(const nm_partial *p)
{
    for (int v = 0; v < p->net->n_values; v++)
        if (v != p->net->input && p->given[v])
            return false;
    return p->given[p->net->input] != NULL;
}

nm_status nm_partial_run(const nm_ctx *ctx, const nm_partial *partial, nm_err *err)
{
    int n_same = 0;
    nm_recall *recall = begins_at_input(partial) ? nm_recall_for(ctx, partial->net, &n_same) : NULL;

    return recall ? nm_recall_run(ctx, partial, recall, n_same, err)
                  : nm_partial_run_plain(ctx, partial, err);
}

nm_status nm_partial_scores(const nm_ctx *ctx, const nm_net *net, const float *x, int64_t n,
                            float *scores, nm_err *err)
{
    const float **given = NULL;
    float **wanted = NULL;
    bool *all = NULL;
    nm_status rc = NM_OK;

    if (net->scores == net->input) {
        memcpy(scores, x, (size_t)(n * net->values[net->input].size) * sizeof *x);
        return NM_OK;
    }
    NM_TRY(nm_alloc(&given, (size_t)net->n_values, sizeof *given, err));
    NM_TRY(nm_alloc(&wanted, (size_t)net->n_values, sizeof *wanted, err));
    NM_TRY(nm_alloc(&all, (size_t)net->n_ops, sizeof *all, err));
    for (int i = 0; i < net->n_ops; i++)
        all[i] = true;
    given[net->input] = x;
    wanted[net->scores] = scores;
    nm_partial partial = {.net = net, .op_mask = all, .n = n, .given = given, .wanted = wanted};
    NM_TRY(nm_partial_run(ctx, &partial, err));
done:
    nm_free(given);
    nm_free(wanted);
    nm_free(all);
    return rc;
}
