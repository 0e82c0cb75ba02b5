/* A plan, cut into what single steps change. */
#include <string.h>

#include "base/mem.h"
#include "repair/region_job.h"

static bool has_weights(const nm_plan *plan, int layer)
{
    const uint8_t *mask = plan->mask[2 * layer];

    for (int64_t i = 0; mask && i < plan->net->layers[layer].n_weights; i++)
        if (mask[i])
            return true;
    return false;
}

/* A slice begins where weights can act. */
static bool begins_slice(const nm_plan *plan, int layer, bool first)
{
    return nm_plan_edits(plan, layer) && (first || (plan->joint && has_weights(plan, layer)));
}

/* Which values depend on the input, and on pieces (or smooth operators) before some operator. */
static nm_status find_bends(struct nm_region_job *j, int before, nm_err *err)
{
    const nm_net *net = j->net;
    bool *varies = NULL;
    nm_status rc = nm_alloc(&varies, (size_t)net->n_values, sizeof *varies, err);

    if (rc != NM_OK)
        return rc;
    varies[net->input] = true;
    for (int i = 0; i < before; i++) {
        const nm_op *op = &net->ops[i];

        for (int k = 0; k < op->n_in; k++)
            varies[op->out] = varies[op->out] || (op->in[k] >= 0 && varies[op->in[k]]);
        if (varies[op->out] && (op->kind->n_pins || nm_op_is_smooth(net, op)))
            j->bent = true;
    }
    nm_free(varies);
    return NM_OK;
}

static nm_status pin_slice(struct nm_region_job *j, int slice, nm_err *err)
{
    const nm_net *net = j->net;
    nm_region_slice *s = &j->slices[slice];
    int first = net->layers[s->first_layer].op, last = net->n_ops;
    nm_status rc = nm_alloc(&s->pinned, (size_t)net->n_ops, sizeof *s->pinned, err);

    if (slice + 1 < j->n_slices)
        last = net->layers[j->slices[slice + 1].first_layer].op;
    for (int i = first; rc == NM_OK && i < last; i++)
        s->pinned[i] = net->ops[i].kind->n_pins != NULL;
    return rc;
}

nm_status nm_region_slices_new(struct nm_region_job *j, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&j->slices, (size_t)j->net->n_layers + 1, sizeof *j->slices, err));
    for (int layer = 0; layer < j->net->n_layers; layer++) {
        if (begins_slice(j->plan, layer, j->n_slices == 0))
            j->slices[j->n_slices++].first_layer = layer;
        if (j->n_slices > 0)
            j->slices[j->n_slices - 1].last_layer = layer;
    }
    if (j->n_slices == 0)
        NM_THROW(err, NM_E_ARG, "the plan frees no parameters");
    for (int i = 0; i < j->n_slices; i++)
        NM_TRY(pin_slice(j, i, err));
    NM_TRY(find_bends(j, j->net->layers[j->slices[0].first_layer].op, err));
    NM_TRY(nm_alloc(&j->nets, (size_t)j->n_slices + 1, sizeof(nm_net *), err));
done:
    return rc;
}

void nm_region_slices_free(struct nm_region_job *j)
{
    for (int i = 0; j->slices && i < j->n_slices; i++)
        nm_free(j->slices[i].pinned);
    for (int i = 0; j->nets && i <= j->n_slices; i++)
        nm_net_free(j->nets[i]);
    nm_free(j->slices);
    nm_free(j->nets);
}

nm_status nm_region_slice_plan(const struct nm_region_job *j, int slice, const nm_net *net,
                               nm_plan **out, nm_err *err)
{
    const nm_region_slice *s = &j->slices[slice];
    nm_status rc = NM_OK;

    NM_TRY(nm_plan_new(net, out, err));
    for (int slot = 2 * s->first_layer; slot < 2 * (s->last_layer + 1); slot++) {
        const nm_layer *layer = &net->layers[slot / 2];

        if (j->plan->mask[slot])
            NM_TRY(nm_plan_mark_mask(*out, slot / 2, slot % 2 == 1, j->plan->mask[slot],
                                     slot % 2 ? layer->n_biases : layer->n_weights, err));
    }
    NM_TRY(nm_plan_set_bounds(*out, j->plan->lo, j->plan->hi, err));
done:
    if (rc != NM_OK) {
        nm_plan_free(*out);
        *out = NULL;
    }
    return rc;
}
