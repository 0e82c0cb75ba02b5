/* The table of all operator kinds. A new operator is one new file and one line here. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "net/op.h"

static const nm_op_kind *const kinds[] = {
    &nm_op_dense,      &nm_op_conv,         &nm_op_conv_transpose,
    &nm_op_batch_norm, &nm_op_relu,         &nm_op_leaky_relu,
    &nm_op_prelu,      &nm_op_clip,         &nm_op_abs,
    &nm_op_neg,        &nm_op_hard_sigmoid, &nm_op_sigmoid,
    &nm_op_tanh,       &nm_op_hard_swish,   &nm_op_elu,
    &nm_op_gelu,       &nm_op_erf,          &nm_op_exp,
    &nm_op_log,        &nm_op_sqrt,         &nm_op_pow,
    &nm_op_softmax,    &nm_op_log_softmax,  &nm_op_add,
    &nm_op_sub,        &nm_op_mul,          &nm_op_div,
    &nm_op_max_pool,   &nm_op_average_pool, &nm_op_reduce,
    &nm_op_identity,   &nm_op_flatten,      &nm_op_reshape,
    &nm_op_squeeze,    &nm_op_unsqueeze,    &nm_op_transpose,
    &nm_op_concat,     &nm_op_slice,        &nm_op_gather,
    &nm_op_pad,        &nm_op_expand,       &nm_op_cast,
    &nm_op_shape_of,
};

enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

const nm_op_kind *nm_op_find(const char *onnx_name)
{
    for (int i = 0; i < N_KINDS; i++)
        for (const char *const *name = kinds[i]->onnx_names; *name; name++)
            if (strcmp(*name, onnx_name) == 0)
                return kinds[i];
    return NULL;
}

static char list_text[2048];

static void write_list(void)
{
    size_t used = 0;

    for (int i = 0; i < N_KINDS; i++)
        for (const char *const *name = kinds[i]->onnx_names; *name && used < sizeof list_text;
             name++)
            used += (size_t)snprintf(list_text + used, sizeof list_text - used, "%s%s",
                                     used ? ", " : "", *name);
}

const char *nm_op_list(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, write_list);
    return list_text;
}

bool nm_op_is_smooth(const nm_net *net, const nm_op *op)
{
    return op->kind->smooth && !(op->kind->is_linear && op->kind->is_linear(net, op));
}

double nm_gamma_f32(int64_t n)
{
    double nu = (double)n * 0x1p-24;

    return nu < 1 ? nu / (1 - nu) : (double)INFINITY;
}

double nm_gamma(const nm_exec *ex, int64_t n)
{
    const double u = 0x1p-24, lambda = 6;
    double any_order = nm_gamma_f32(n);

    if (!ex->probable)
        return any_order;
    return fmin(any_order, expm1((lambda * sqrt((double)n) * u + (double)n * u * u) / (1 - u)));
}
