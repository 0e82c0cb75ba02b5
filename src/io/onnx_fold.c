#include "io/onnx_fold.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "net/arena.h"

static bool reads_only_shape(const nm_op_kind *kind)
{
    return strcmp(kind->name, "Shape") == 0;
}

bool nm_can_fold(const nm_net *net, const nm_op_kind *kind, const int *in, int n_in)
{
    for (int i = 0; i < n_in && !reads_only_shape(kind); i++)
        if (in[i] >= 0 && !net->values[in[i]].constant)
            return false;
    return true;
}

/* A net of this one operator: its inputs are copies of the values that it reads. */
static nm_status make_single(const nm_net *net, const nm_op_kind *kind, const int *in, int n_in,
                             const void *attr, nm_net **out, nm_err *err)
{
    nm_status rc = NM_OK;
    int inputs[NM_OP_MAX_IN];

    NM_TRY(nm_net_new(out, err));
    for (int i = 0; i < n_in; i++) {
        const nm_value *value = in[i] >= 0 ? &net->values[in[i]] : NULL;

        inputs[i] = -1;
        if (value && value->constant)
            NM_TRY(nm_net_add_constant(*out, value->name, nm_tensor_ref(value->constant),
                                       &inputs[i], err));
        else if (value)
            NM_TRY(nm_net_add_value(*out, value->name, &value->shape, &inputs[i], err));
    }
    NM_TRY(nm_net_add_op(*out, kind, kind->name, inputs, n_in, "result", attr, kind->attr_bytes,
                         NULL, err));
done:
    return rc;
}

static nm_dtype result_type(const nm_net *net, const nm_op_kind *kind, const int *in, int n_in)
{
    if (reads_only_shape(kind))
        return NM_I64;
    for (int i = 0; i < n_in; i++)
        if (in[i] >= 0 && net->values[in[i]].constant->dtype != NM_I64)
            return NM_F32;
    return NM_I64;
}

/* Sets the float32 copies; folded floats are float32 values, as a runtime would hold them. */
static nm_status round_values(nm_tensor *tensor, nm_err *err)
{
    for (int64_t i = 0; i < tensor->size; i++) {
        tensor->f32[i] = (float)tensor->f64[i];
        if (!isfinite(tensor->f32[i]))
            return nm_fail(err, NM_E_FORMAT,
                           "its constant result is %g at element %lld, expected a finite float32",
                           tensor->f64[i], (long long)i);
        if (tensor->dtype == NM_F32)
            tensor->f64[i] = (double)tensor->f32[i];
        else
            tensor->f64[i] = trunc(tensor->f64[i]);
    }
    return NM_OK;
}

static nm_status evaluate(const nm_net *single, nm_tensor *out, nm_err *err)
{
    nm_arena arena = {0};
    const nm_op *op = &single->ops[0];
    nm_exec ex = {.net = single, .op = op, .n = 1, .plain = true, .arena = &arena};
    const double *in[NM_OP_MAX_IN];
    nm_status rc;

    for (int i = 0; i < op->n_in; i++) {
        const nm_tensor *constant = nm_op_constant(single, op, i);

        in[i] = constant ? constant->f64 : NULL;
    }
    op->kind->forward_f64(&ex, in, out->f64);
    rc = nm_arena_reset(&arena, err);
    nm_arena_clear(&arena);
    return rc;
}

nm_status nm_fold(const nm_net *net, const nm_op_kind *kind, const int *in, int n_in,
                  const void *attr, int64_t *room, nm_tensor **out, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_net *single = NULL;
    nm_tensor *tensor = NULL;
    const nm_value *result;

    *out = NULL;
    if (kind->weight_in > 0)
        NM_THROW(err, NM_E_UNSUPPORTED, "its input is a constant, expected a computed one");
    NM_TRY(make_single(net, kind, in, n_in, attr, &single, err));
    result = &single->values[single->ops[0].out];
    if (result->size > *room)
        NM_THROW(err, NM_E_UNSUPPORTED,
                 "its constant result has %lld elements, expected at most %lld",
                 (long long)result->size, (long long)*room);
    *room -= result->size;
    NM_TRY(nm_tensor_new(&tensor, &result->shape, result_type(net, kind, in, n_in), err));
    NM_TRY(evaluate(single, tensor, err));
    NM_TRY(round_values(tensor, err));
    *out = tensor;
    tensor = NULL;
done:
    nm_tensor_unref(tensor);
    nm_net_free(single);
    return rc;
}
