#include "net/copies.h"

#include "base/mem.h"
#include "net/op.h"
#include "net/op/dense.h"

/* Made in this evaluation, for one reader, and for nobody outside. */
static bool is_inner(const nm_partial *p, int value)
{
    const nm_value *v = &p->net->values[value];

    return v->producer >= 0 && p->op_mask[v->producer] && v->n_readers == 1 && !p->wanted[value] &&
           !p->given[value];
}

/* Whether a dense layer takes all numbers of its input for one row. */
static bool takes_one_row(const nm_net *net, const nm_op *op)
{
    const nm_dense_attr *attr = op->attr;

    return nm_op_shape(net, op, 1)->dim[attr->trans_b ? 1 : 0] == net->values[op->in[0]].size;
}

/* The operator behind whose views the layer stands, -1 if it does not copy. */
static int find_copying(const nm_partial *p, int k)
{
    const nm_net *net = p->net;
    int value = net->ops[k].in[0];

    while (is_inner(p, value)) {
        const nm_op *op = &net->ops[net->values[value].producer];

        if (op->kind->copies)
            return net->values[value].producer;
        if (!op->kind->is_view)
            return -1;
        value = op->in[0];
    }
    return -1;
}

nm_status nm_copies_find(const nm_partial *partial, int k, nm_copies *out, nm_err *err)
{
    const nm_net *net = partial->net;
    const nm_op *op = &net->ops[k], *copying;
    int at = op->kind == &nm_op_dense ? find_copying(partial, k) : -1;
    int32_t *from = NULL;
    int64_t size;
    nm_status rc = NM_OK;

    *out = (nm_copies){.copying = -1, .source = -1};
    if (at < 0)
        return NM_OK;
    copying = &net->ops[at];
    size = net->values[copying->out].size;
    out->n = net->values[copying->in[0]].size;
    if (2 * out->n > size || net->values[op->in[0]].size != size || !takes_one_row(net, op))
        return NM_OK;
    NM_TRY(nm_alloc(&from, (size_t)size, sizeof *from, err));
    NM_TRY(nm_alloc(&out->folded, (size_t)(net->values[op->out].size * out->n), sizeof *out->folded,
                    err));
    if (copying->kind->copies(net, copying, from) &&
        nm_dense_fold(net, op, from, out->n, out->folded)) {
        out->source = copying->in[0];
        out->copying = at;
    } else {
        nm_free(out->folded);
        out->folded = NULL;
    }
done:
    nm_free(from);
    return rc;
}
