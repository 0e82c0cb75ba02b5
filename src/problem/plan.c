/* Edit plans: which parameters may change. */
#include "problem/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

nm_status nm_plan_new(const nm_net *net, nm_plan **out, nm_err *err)
{
    nm_status rc = nm_alloc(out, 1, sizeof **out, err);

    if (rc != NM_OK)
        return rc;
    rc = nm_alloc(&(*out)->mask, 2 * (size_t)net->n_layers, sizeof *(*out)->mask, err);
    if (rc != NM_OK) {
        nm_free(*out);
        *out = NULL;
        return rc;
    }
    (*out)->net = net;
    (*out)->lo = -INFINITY;
    (*out)->hi = INFINITY;
    return NM_OK;
}

void nm_plan_free(nm_plan *plan)
{
    if (!plan)
        return;
    for (int i = 0; i < 2 * plan->net->n_layers; i++)
        nm_free(plan->mask[i]);
    for (int i = 0; plan->moved && i < 2 * plan->net->n_layers; i++)
        nm_free(plan->moved[i]);
    nm_free(plan->moved);
    nm_free(plan->mask);
    nm_free(plan);
}

static int64_t tensor_size(const nm_plan *plan, int slot)
{
    const nm_layer *layer = &plan->net->layers[slot / 2];

    return slot % 2 ? layer->n_biases : layer->n_weights;
}

static nm_status check_editable(const nm_plan *plan, int layer, nm_err *err)
{
    nm_layer_info info;
    nm_status rc = nm_net_layer_info(plan->net, layer, &info, err);

    if (rc == NM_OK && info.locked)
        rc = nm_fail(err, NM_E_ARG, "layer %d ('%s') cannot be edited: %s", layer, info.name,
                     info.locked);
    return rc;
}

static nm_status mark_slot(nm_plan *plan, int slot, const uint8_t *mask, nm_err *err)
{
    int64_t n = tensor_size(plan, slot);
    nm_status rc = NM_OK;

    if (n > 0 && !plan->mask[slot])
        rc = nm_alloc(&plan->mask[slot], (size_t)n, 1, err);
    for (int64_t i = 0; rc == NM_OK && i < n; i++)
        plan->mask[slot][i] |= mask ? mask[i] != 0 : 1;
    return rc;
}

nm_status nm_plan_mark(nm_plan *plan, int layer, nm_free_kind what, nm_err *err)
{
    nm_status rc = check_editable(plan, layer, err);

    if (rc == NM_OK && what == NM_FREE_BIASES && plan->net->layers[layer].bias < 0)
        rc = nm_fail(err, NM_E_ARG, "layer %d has no biases to free", layer);
    if (rc == NM_OK && what != NM_FREE_BIASES)
        rc = mark_slot(plan, 2 * layer, NULL, err);
    if (rc == NM_OK && what != NM_FREE_WEIGHTS)
        rc = mark_slot(plan, 2 * layer + 1, NULL, err);
    return rc;
}

nm_status nm_plan_mark_mask(nm_plan *plan, int layer, bool bias, const uint8_t *mask, int64_t n,
                            nm_err *err)
{
    int slot = 2 * layer + bias;
    nm_status rc = check_editable(plan, layer, err);

    if (rc == NM_OK && n != tensor_size(plan, slot))
        rc = nm_fail(err, NM_E_SHAPE, "mask of layer %d has %lld entries, the layer %lld %s", layer,
                     (long long)n, (long long)tensor_size(plan, slot), bias ? "biases" : "weights");
    return rc == NM_OK ? mark_slot(plan, slot, mask, err) : rc;
}

/* "K..": layer K and all after it; biases where a later layer has none are simply not there. */
static nm_status mark_from(nm_plan *plan, const char *text, size_t length, nm_free_kind what,
                           nm_err *err)
{
    char *name = NULL;
    int layer = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&name, text, length + 1, 1, err));
    name[length] = '\0';
    NM_TRY(nm_net_find_layer(plan->net, name, &layer, err));
    NM_TRY(nm_plan_mark(plan, layer, what, err));
    for (int i = layer + 1; i < plan->net->n_layers; i++)
        if (what != NM_FREE_BIASES || plan->net->layers[i].bias >= 0)
            NM_TRY(nm_plan_mark(plan, i, what, err));
done:
    nm_free(name);
    return rc;
}

static nm_status mark_one(nm_plan *plan, const char *text, nm_free_kind what, nm_err *err)
{
    size_t length = strlen(text);
    int layer = 0;
    nm_status rc;

    if (strcmp(text, "all") == 0)
        return mark_from(plan, "0", 1, what, err);
    if (length > 2 && strcmp(text + length - 2, "..") == 0)
        return mark_from(plan, text, length - 2, what, err);
    rc = nm_net_find_layer(plan->net, text, &layer, err);
    return rc == NM_OK ? nm_plan_mark(plan, layer, what, err) : rc;
}

/* "4,6,last": these layers together. */
static nm_status mark_list(nm_plan *plan, char *list, nm_free_kind what, nm_err *err)
{
    nm_status rc = NM_OK;

    while (rc == NM_OK && list) {
        char *comma = strchr(list, ',');

        if (comma)
            *comma = '\0';
        rc = mark_one(plan, list, what, err);
        list = comma ? comma + 1 : NULL;
    }
    plan->joint = true;
    return rc;
}

nm_status nm_plan_mark_text(nm_plan *plan, const char *text, nm_free_kind what, nm_err *err)
{
    nm_err ignored = {0};
    char *list = NULL;
    int layer;
    nm_status rc = NM_OK;

    /* A node's name may hold commas itself. */
    if (!strchr(text, ',') || nm_net_find_layer(plan->net, text, &layer, &ignored) == NM_OK)
        return mark_one(plan, text, what, err);
    rc = nm_strdup(&list, text, err);
    if (rc == NM_OK)
        rc = mark_list(plan, list, what, err);
    nm_free(list);
    return rc;
}

nm_status nm_plan_set_bounds(nm_plan *plan, double lo, double hi, nm_err *err)
{
    if (!(lo <= 0 && hi >= 0 && lo < hi))
        return nm_fail(err, NM_E_ARG, "bounds %g:%g on the change, expected LO <= 0 <= HI, LO < HI",
                       lo, hi);
    plan->lo = lo;
    plan->hi = hi;
    return NM_OK;
}

void nm_plan_set_joint(nm_plan *plan, bool joint)
{
    plan->joint = joint;
}

static int64_t count_marked(const nm_plan *plan, int slot)
{
    int64_t n = 0;

    for (int64_t i = 0; plan->mask[slot] && i < tensor_size(plan, slot); i++)
        n += plan->mask[slot][i];
    return n;
}

int64_t nm_plan_n_marked(const nm_plan *plan)
{
    int64_t n = 0;

    for (int i = 0; i < 2 * plan->net->n_layers; i++)
        n += count_marked(plan, i);
    return n;
}

static int first_marked_layer(const nm_plan *plan)
{
    for (int i = 0; i < 2 * plan->net->n_layers; i++)
        if (count_marked(plan, i) > 0)
            return i / 2;
    return plan->net->n_layers;
}

/* Weights act in the first marked layer only: later ones meet inputs that depend on unknowns. A
   joint plan frees them all the same: its repair goes by steps. */
static bool can_act(const nm_plan *plan, int slot)
{
    bool bias = slot % 2 == 1;

    return bias || plan->joint || slot / 2 == first_marked_layer(plan);
}

int64_t nm_plan_n_free(const nm_plan *plan)
{
    int64_t n = 0;

    for (int i = 0; i < 2 * plan->net->n_layers; i++)
        n += can_act(plan, i) ? count_marked(plan, i) : 0;
    return n;
}

bool nm_plan_edits(const nm_plan *plan, int layer)
{
    return count_marked(plan, 2 * layer + 1) > 0 ||
           (can_act(plan, 2 * layer) && count_marked(plan, 2 * layer) > 0);
}

static nm_status add_block(const nm_plan *plan, int slot, nm_params *params, nm_err *err)
{
    nm_param_block *block = &params->blocks[params->n_blocks];
    int64_t size = tensor_size(plan, slot), n = count_marked(plan, slot);
    nm_status rc = NM_OK;

    *block = (nm_param_block){.layer = slot / 2, .bias = slot % 2 == 1, .n = n, .first = params->n};
    if (n < size) {
        int64_t k = 0;

        rc = nm_alloc(&block->entry, (size_t)n, sizeof *block->entry, err);
        for (int64_t i = 0; rc == NM_OK && i < size; i++)
            if (plan->mask[slot][i])
                block->entry[k++] = i;
    }
    params->n_blocks++;
    params->n += n;
    return rc;
}

static nm_status gather_moved(const nm_plan *plan, nm_params *params, nm_err *err)
{
    nm_status rc = nm_alloc(&params->moved, (size_t)params->n, sizeof *params->moved, err);

    for (int b = 0; rc == NM_OK && b < params->n_blocks; b++) {
        const nm_param_block *block = &params->blocks[b];
        const double *moved = plan->moved[2 * block->layer + block->bias];

        if (moved)
            nm_block_gather(plan->net, block, moved, params->moved);
    }
    return rc;
}

nm_status nm_params_new(const nm_plan *plan, nm_params **out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_params *params = NULL;
    int n_slots = 2 * plan->net->n_layers;

    *out = NULL;
    NM_TRY(nm_alloc(&params, 1, sizeof *params, err));
    NM_TRY(nm_alloc(&params->blocks, (size_t)n_slots, sizeof *params->blocks, err));
    for (int i = 0; i < n_slots; i++)
        if (can_act(plan, i) && count_marked(plan, i) > 0)
            NM_TRY(add_block(plan, i, params, err));
    if (plan->moved)
        NM_TRY(gather_moved(plan, params, err));
    if (params->n == 0)
        NM_THROW(err, NM_E_ARG, "the edit plan frees no parameter, expected at least one");
    *out = params;
    params = NULL;
done:
    nm_params_free(params);
    return rc;
}

void nm_params_free(nm_params *params)
{
    if (!params)
        return;
    for (int i = 0; i < params->n_blocks; i++)
        nm_free(params->blocks[i].entry);
    nm_free(params->blocks);
    nm_free(params->moved);
    nm_free(params);
}

int64_t nm_block_tensor_size(const nm_net *net, const nm_param_block *block)
{
    const nm_layer *layer = &net->layers[block->layer];

    return block->bias ? layer->n_biases : layer->n_weights;
}

void nm_block_scatter(const nm_net *net, const nm_param_block *block, const double *d,
                      double *tensor)
{
    const double *from = d + block->first;

    if (!block->entry) {
        memcpy(tensor, from, (size_t)block->n * sizeof *tensor);
        return;
    }
    memset(tensor, 0, (size_t)nm_block_tensor_size(net, block) * sizeof *tensor);
    for (int64_t i = 0; i < block->n; i++)
        tensor[block->entry[i]] = from[i];
}

void nm_block_gather(const nm_net *net, const nm_param_block *block, const double *tensor,
                     double *d)
{
    double *to = d + block->first;

    (void)net;
    for (int64_t i = 0; i < block->n; i++)
        to[i] = tensor[block->entry ? block->entry[i] : i];
}

static nm_status apply_block(const nm_param_block *block, const nm_net *base, const double *d,
                             nm_net *net, nm_err *err)
{
    double *values;
    nm_status rc =
        nm_alloc(&values, (size_t)nm_block_tensor_size(base, block), sizeof *values, err);

    if (rc != NM_OK)
        return rc;
    rc = nm_net_get_layer(base, block->layer, block->bias, values, err);
    for (int64_t i = 0; rc == NM_OK && i < block->n; i++)
        values[block->entry ? block->entry[i] : i] += d[block->first + i];
    if (rc == NM_OK)
        rc = nm_net_set_layer(net, block->layer, block->bias, values, err);
    nm_free(values);
    return rc;
}

nm_status nm_params_apply(const nm_params *params, const nm_net *base, const double *d, nm_net *net,
                          nm_err *err)
{
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < params->n_blocks; i++)
        rc = apply_block(&params->blocks[i], base, d, net, err);
    return rc;
}

/* -- plans for nets that have moved -------------------------------------------------------- */

static nm_status find_moves(nm_plan *plan, int slot, const nm_net *from, nm_err *err)
{
    int64_t n = tensor_size(plan, slot);
    double *before = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&plan->moved[slot], (size_t)n, sizeof(double), err));
    NM_TRY(nm_alloc(&before, (size_t)n, sizeof *before, err));
    NM_TRY(nm_net_get_layer(plan->net, slot / 2, slot % 2 == 1, plan->moved[slot], err));
    NM_TRY(nm_net_get_layer(from, slot / 2, slot % 2 == 1, before, err));
    for (int64_t i = 0; i < n; i++)
        plan->moved[slot][i] -= before[i];
done:
    nm_free(before);
    return rc;
}

nm_status nm_plan_move(const nm_plan *plan, const nm_net *net, const nm_net *from, nm_plan **out,
                       nm_err *err)
{
    int n_slots = 2 * net->n_layers;
    nm_plan *copy = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_plan_new(net, &copy, err));
    copy->lo = plan->lo;
    copy->hi = plan->hi;
    copy->joint = plan->joint;
    for (int i = 0; i < n_slots; i++)
        if (plan->mask[i])
            NM_TRY(mark_slot(copy, i, plan->mask[i], err));
    if (from && !(isinf(plan->lo) && isinf(plan->hi))) {
        NM_TRY(nm_alloc(&copy->moved, (size_t)n_slots, sizeof *copy->moved, err));
        for (int i = 0; i < n_slots; i++)
            if (plan->mask[i])
                NM_TRY(find_moves(copy, i, from, err));
    }
    *out = copy;
    copy = NULL;
done:
    nm_plan_free(copy);
    return rc;
}
