#include "net/difference.h"

#include <string.h>

/* What matters of a constant: all of it in double. */
static bool same_constant(const nm_tensor *a, const nm_tensor *b)
{
    return a == b || (a && b && a->size == b->size &&
                      memcmp(a->f64, b->f64, (size_t)a->size * sizeof *a->f64) == 0);
}

static bool same_op(const nm_op *a, const nm_op *b)
{
    return a->kind == b->kind && a->n_in == b->n_in && a->out == b->out &&
           memcmp(a->in, b->in, (size_t)a->n_in * sizeof *a->in) == 0 &&
           a->attr_bytes == b->attr_bytes &&
           (a->attr_bytes == 0 || memcmp(a->attr, b->attr, a->attr_bytes) == 0);
}

int nm_first_difference(const nm_net *a, const nm_net *b)
{
    if (a->n_ops != b->n_ops || a->n_values != b->n_values || a->input != b->input ||
        a->scores != b->scores)
        return 0;
    for (int v = 0; v < a->n_values; v++)
        if (!nm_shape_equal(&a->values[v].shape, &b->values[v].shape) ||
            !a->values[v].constant != !b->values[v].constant)
            return 0;
    for (int k = 0; k < a->n_ops; k++)
        if (!same_op(&a->ops[k], &b->ops[k]))
            return 0;
    for (int k = 0; k < a->n_ops; k++)
        for (int i = 0; i < a->ops[k].n_in; i++)
            if (!same_constant(nm_op_constant(a, &a->ops[k], i), nm_op_constant(b, &b->ops[k], i)))
                return k;
    return a->n_ops;
}
