/* Building, finishing, copying and editing the graph. */
#include "net/graph.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "net/op.h"

nm_status nm_net_new(nm_net **out, nm_err *err)
{
    nm_status rc = nm_alloc(out, 1, sizeof **out, err);

    if (rc == NM_OK)
        (*out)->input = (*out)->output = (*out)->scores = -1;
    return rc;
}

static void source_unref(nm_source *source)
{
    if (source && __atomic_sub_fetch(&source->n_refs, 1, __ATOMIC_ACQ_REL) == 0)
        source->destroy(source);
}

static void op_clear(nm_op *op)
{
    nm_free(op->name);
    nm_free(op->attr);
}

void nm_net_free(nm_net *net)
{
    if (!net)
        return;
    for (int i = 0; i < net->n_values; i++) {
        nm_free(net->values[i].name);
        nm_tensor_unref(net->values[i].constant);
    }
    for (int i = 0; i < net->n_ops; i++)
        op_clear(&net->ops[i]);
    nm_free(net->values);
    nm_free(net->ops);
    nm_free(net->layers);
    source_unref(net->source);
    nm_free(net);
}

/* Elements that grow() has made room for when there are n. */
static size_t capacity(int n)
{
    size_t room = 1;

    while (room < (size_t)n)
        room *= 2;
    return room;
}

/* Room for one more element, doubling at powers of two. */
static nm_status grow(void *inout, int n, size_t size, nm_err *err)
{
    if (n > 0 && (n & (n - 1)) != 0)
        return NM_OK;
    if (n >= 1 << 28)
        return nm_fail(err, NM_E_SHAPE, "more than %d nodes or tensors", n);
    return nm_realloc(inout, n ? 2 * (size_t)n : 1, size, err);
}

nm_status nm_net_add_value(nm_net *net, const char *name, const nm_shape *shape, int *index,
                           nm_err *err)
{
    nm_status rc = nm_shape_check(shape, name, err);
    nm_value value = {.shape = *shape, .producer = -1};

    if (rc == NM_OK)
        rc = grow(&net->values, net->n_values, sizeof value, err);
    if (rc == NM_OK)
        rc = nm_strdup(&value.name, name, err);
    if (rc != NM_OK)
        return rc;
    value.size = nm_shape_size(shape);
    *index = net->n_values;
    net->values[net->n_values++] = value;
    return NM_OK;
}

nm_status nm_net_add_constant(nm_net *net, const char *name, nm_tensor *tensor, int *index,
                              nm_err *err)
{
    nm_status rc = nm_net_add_value(net, name, &tensor->shape, index, err);

    if (rc == NM_OK)
        net->values[*index].constant = tensor;
    else
        nm_tensor_unref(tensor);
    return rc;
}

/* The operator under construction owns nothing that is not freed here on failure. */
nm_status nm_net_add_op(nm_net *net, const nm_op_kind *kind, const char *name, const int *in,
                        int n_in, const char *out_name, const void *attr, size_t attr_bytes,
                        int *index, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_op op = {.kind = kind, .n_in = n_in, .attr_bytes = attr_bytes};
    nm_shape shape = {0};

    if (n_in < kind->min_in || n_in > kind->max_in || n_in > NM_OP_MAX_IN)
        return nm_fail(err, NM_E_FORMAT, "%s has %d inputs, expected %d to %d", kind->name, n_in,
                       kind->min_in, kind->max_in);
    for (int i = 0; i < n_in; i++) {
        op.in[i] = in[i];
        if (in[i] < 0 && i < kind->min_in)
            return nm_fail(err, NM_E_FORMAT, "input %d of %s is left out, expected one", i,
                           kind->name);
    }
    NM_TRY(nm_strdup(&op.name, name, err));
    if (attr_bytes > 0)
        NM_TRY(nm_memdup(&op.attr, attr, attr_bytes, 1, err));
    NM_TRY(kind->infer(net, &op, &shape, err));
    NM_TRY(grow(&net->ops, net->n_ops, sizeof op, err));
    NM_TRY(nm_net_add_value(net, out_name, &shape, &op.out, err));
    net->values[op.out].producer = net->n_ops;
    if (index)
        *index = net->n_ops;
    net->ops[net->n_ops++] = op;
    return NM_OK;
done:
    op_clear(&op);
    return rc;
}

/* Drops the operators that the output does not depend on; the order of the rest stays. */
static nm_status drop_unneeded(nm_net *net, nm_err *err)
{
    bool *needed;
    int kept = 0;
    nm_status rc = nm_alloc(&needed, (size_t)net->n_values, sizeof *needed, err);

    if (rc != NM_OK)
        return rc;
    needed[net->output] = true;
    for (int i = net->n_ops - 1; i >= 0; i--)
        for (int k = 0; needed[net->ops[i].out] && k < net->ops[i].n_in; k++)
            if (net->ops[i].in[k] >= 0)
                needed[net->ops[i].in[k]] = true;
    for (int i = 0; i < net->n_ops; i++) {
        if (needed[net->ops[i].out]) {
            net->values[net->ops[i].out].producer = kept;
            net->ops[kept++] = net->ops[i];
        } else {
            net->values[net->ops[i].out].producer = -1;
            op_clear(&net->ops[i]);
        }
    }
    net->n_ops = kept;
    nm_free(needed);
    return NM_OK;
}

static void count_readers(nm_net *net)
{
    for (int i = 0; i < net->n_values; i++)
        net->values[i].n_readers = i == net->output;
    for (int i = 0; i < net->n_ops; i++)
        for (int k = 0; k < net->ops[i].n_in; k++)
            if (net->ops[i].in[k] >= 0)
                net->values[net->ops[i].in[k]].n_readers++;
}

/* Why a constant must not be edited; NULL if it may be. */
static const char *why_locked(const nm_net *net, const nm_value *value)
{
    if (value->n_readers > 1)
        return "its weights are shared: another operator reads the same tensor";
    if (net->source && !value->from_initializer)
        return "its weights are not stored as a float tensor of this file";
    return NULL;
}

static bool is_layer(const nm_net *net, const nm_op *op)
{
    return op->kind->weight_in > 0 && nm_op_constant(net, op, op->kind->weight_in);
}

static void fill_layer(const nm_net *net, int op_index, nm_layer *layer)
{
    const nm_op *op = &net->ops[op_index];
    const nm_value *weight = &net->values[op->in[op->kind->weight_in]];
    const nm_tensor *bias = nm_op_constant(net, op, op->kind->bias_in);

    layer->op = op_index;
    layer->weight = op->in[op->kind->weight_in];
    layer->n_weights = weight->size;
    layer->bias = bias ? op->in[op->kind->bias_in] : -1;
    layer->n_biases = bias ? bias->size : 0;
    layer->locked = why_locked(net, weight);
    if (!layer->locked && bias)
        layer->locked = why_locked(net, &net->values[layer->bias]);
}

static nm_status list_layers(nm_net *net, nm_err *err)
{
    nm_status rc;
    int n = 0;

    for (int i = 0; i < net->n_ops; i++)
        n += is_layer(net, &net->ops[i]);
    nm_free(net->layers); /* of the net that this one was cloned from */
    net->n_layers = 0;
    rc = nm_alloc(&net->layers, (size_t)n, sizeof *net->layers, err);
    for (int i = 0; rc == NM_OK && i < net->n_ops; i++)
        if (is_layer(net, &net->ops[i]))
            fill_layer(net, i, &net->layers[net->n_layers++]);
    return rc;
}

/* Softmax keeps the order of its inputs, so the decision is taken on the better-behaved scores. */
static int find_scores(const nm_net *net)
{
    int value = net->output;

    while (net->values[value].producer >= 0) {
        const nm_op *op = &net->ops[net->values[value].producer];
        bool softmax =
            strcmp(op->kind->name, "Softmax") == 0 || strcmp(op->kind->name, "LogSoftmax") == 0;

        if (softmax)
            return op->in[0];
        if (!op->kind->is_view)
            break;
        value = op->in[0];
    }
    return net->output;
}

nm_status nm_net_finish(nm_net *net, nm_err *err)
{
    nm_status rc;

    if (net->input < 0)
        return nm_fail(err, NM_E_FORMAT, "the graph has no input, expected one");
    if (net->output < 0)
        return nm_fail(err, NM_E_FORMAT, "the graph has no output, expected one");
    if (net->values[net->output].producer < 0)
        return nm_fail(err, NM_E_FORMAT, "output '%s' is computed by no node",
                       net->values[net->output].name);
    rc = drop_unneeded(net, err);
    if (rc != NM_OK)
        return rc;
    count_readers(net);
    if (net->values[net->input].n_readers == 0)
        return nm_fail(err, NM_E_FORMAT, "output '%s' does not depend on input '%s'",
                       net->values[net->output].name, net->values[net->input].name);
    net->scores = find_scores(net);
    return list_layers(net, err);
}

static nm_status clone_values(const nm_net *net, nm_net *copy, nm_err *err)
{
    nm_status rc = nm_alloc(&copy->values, capacity(net->n_values), sizeof *copy->values, err);

    for (int i = 0; rc == NM_OK && i < net->n_values; i++) {
        nm_value *value = &copy->values[copy->n_values++];

        *value = net->values[i];
        value->name = NULL;
        if (value->constant)
            (void)nm_tensor_ref(value->constant);
        rc = nm_strdup(&value->name, net->values[i].name, err);
    }
    return rc;
}

static nm_status clone_ops(const nm_net *net, nm_net *copy, nm_err *err)
{
    nm_status rc = nm_alloc(&copy->ops, capacity(net->n_ops), sizeof *copy->ops, err);

    for (int i = 0; rc == NM_OK && i < net->n_ops; i++) {
        nm_op *op = &copy->ops[copy->n_ops++];

        *op = net->ops[i];
        op->name = NULL;
        op->attr = NULL;
        rc = nm_strdup(&op->name, net->ops[i].name, err);
        if (rc == NM_OK && op->attr_bytes > 0)
            rc = nm_memdup(&op->attr, net->ops[i].attr, op->attr_bytes, 1, err);
    }
    return rc;
}

nm_status nm_net_clone(const nm_net *net, nm_net **out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_net *copy = NULL;

    *out = NULL;
    NM_TRY(nm_net_new(&copy, err));
    NM_TRY(clone_values(net, copy, err));
    NM_TRY(clone_ops(net, copy, err));
    NM_TRY(nm_memdup(&copy->layers, net->layers, (size_t)net->n_layers, sizeof *net->layers, err));
    copy->n_layers = net->n_layers;
    copy->input = net->input;
    copy->output = net->output;
    copy->scores = net->scores;
    copy->batch_symbolic = net->batch_symbolic;
    copy->source = net->source;
    if (copy->source)
        __atomic_add_fetch(&copy->source->n_refs, 1, __ATOMIC_RELAXED);
    *out = copy;
    copy = NULL;
done:
    nm_net_free(copy);
    return rc;
}

nm_status nm_net_set_layer(nm_net *net, int layer, bool bias, const double *values, nm_err *err)
{
    const nm_layer *at = &net->layers[layer];
    nm_value *value = &net->values[bias ? at->bias : at->weight];
    nm_tensor *tensor;
    nm_status rc = nm_tensor_new(&tensor, &value->constant->shape, value->constant->dtype, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < tensor->size; i++) {
        tensor->f64[i] = values[i];
        tensor->f32[i] = (float)values[i];
    }
    nm_tensor_unref(value->constant);
    value->constant = tensor;
    return NM_OK;
}
