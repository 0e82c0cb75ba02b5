/* What the operators before the first edited one give, kept for all rounds. */
#include "verify/deploy_session.h"

#include <string.h>

#include "base/mem.h"

/* Whether an edited layer is fused with the operator that makes the value. */
static bool is_read_fused(const nm_deploy_session *s, int v)
{
    for (int k = s->first; k < s->net->n_ops; k++)
        if (s->plan->ops[k].fused_with >= 0 && s->plan->ops[k].fused_with < s->first &&
            s->net->ops[s->plan->ops[k].fused_with].out == v)
            return true;
    return false;
}

nm_status nm_record_find_cut(nm_deploy_session *s, nm_err *err)
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
    for (int v = 0; rc == NM_OK && v < net->n_values; v++)
        s->cut[v] = s->cut[v] || is_read_fused(s, v);
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

static bool fill_record(nm_block *b, nm_record *record)
{
    const nm_net *net = b->net;
    size_t n_values = (size_t)net->n_values;

    record->val = nm_arena_zeroed(&record->arena, n_values, sizeof *record->val);
    record->radius = nm_arena_zeroed(&record->arena, n_values, sizeof *record->radius);
    for (int m = 0; m < NM_N_MODELS; m++)
        record->source[m] = nm_arena_zeroed(&record->arena, n_values, sizeof *record->source[m]);
    record->points = nm_arena_zeroed(&record->arena, (size_t)b->n, sizeof *record->points);
    record->infinite =
        nm_arena_zeroed(&record->arena, (size_t)b->n * NM_N_MODELS, sizeof *record->infinite);
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
    for (int64_t p = 0; p < b->n; p++)
        if (!nm_linear_pack(&record->points[p], &b->points[p], b->s->first, &record->arena))
            return false;
    for (int m = 0; m < NM_N_MODELS; m++)
        memcpy(record->infinite + m * b->n, b->infinite[m], (size_t)b->n);
    return true;
}

/* Once to see how much room it takes, then into such a room; without one it is not kept. */
bool nm_record_keep(nm_block *b, nm_record *record)
{
    nm_record trial = {0};
    bool ok = fill_record(b, &trial);
    size_t n_bytes = nm_arena_room(&trial.arena);
    void *room;

    nm_arena_clear(&trial.arena);
    room = ok ? nm_store_take(b->s->store, n_bytes) : NULL;
    if (!room)
        return ok;
    record->room = room;
    ok = nm_arena_lend(&record->arena, room, n_bytes) && fill_record(b, record);
    nm_store_rest(b->s->store, room);
    return ok;
}
