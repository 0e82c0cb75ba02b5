/* Masks of an edit plan from a file. */
#include <string.h>

#include "base/mem.h"
#include "io/array.h"
#include "problem/plan.h"

/* "2.weight" -> layer 2, weights. */
static nm_status parse_name(const nm_plan *plan, const char *name, int *layer, bool *bias,
                            nm_err *err)
{
    const char *dot = strrchr(name, '.');
    char *text = NULL;
    nm_status rc = NM_OK;

    *bias = dot && strcmp(dot, ".bias") == 0;
    if (!dot || (!*bias && strcmp(dot, ".weight") != 0))
        return nm_fail(err, NM_E_FORMAT,
                       "array '%s', expected a name like '2.weight' or 'fc1.bias'", name);
    NM_TRY(nm_strdup(&text, name, err));
    text[dot - name] = '\0';
    NM_TRY(nm_net_find_layer(plan->net, text, layer, err));
done:
    nm_free(text);
    return rc;
}

static nm_status mark_array(nm_plan *plan, const nm_array *array, nm_err *err)
{
    nm_status rc = NM_OK;
    uint8_t *mask = NULL;
    int layer;
    bool bias;

    NM_TRY(parse_name(plan, array->name, &layer, &bias, err));
    NM_TRY(nm_alloc(&mask, (size_t)array->n_values, 1, err));
    for (int64_t i = 0; i < array->n_values; i++)
        mask[i] = array->values[i] != 0;
    NM_TRY(nm_plan_mark_mask(plan, layer, bias, mask, array->n_values, err));
done:
    nm_free(mask);
    return rc;
}

nm_status nm_plan_mark_file(nm_ctx *ctx, nm_plan *plan, const char *path, nm_err *err)
{
    /* A mask entry takes at most 8 bytes; names and headers are small. */
    size_t most = 16 * (size_t)nm_net_n_params(plan->net) + (1u << 20);
    nm_npz npz = {0};
    nm_status rc = nm_npz_load_all(path, most, &npz, err);

    (void)ctx;
    if (rc != NM_OK)
        return rc;
    for (int i = 0; rc == NM_OK && i < npz.n_arrays; i++)
        rc = mark_array(plan, &npz.arrays[i], err);
    if (rc != NM_OK)
        nm_err_prefix(err, "%s: ", path);
    nm_npz_free(&npz);
    return rc;
}
