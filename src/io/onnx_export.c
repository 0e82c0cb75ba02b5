/* A new ONNX file for a net that was trained here or came from a .nnet file. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "io/onnx_model.h"
#include "io/onnx_write.h"
#include "io/wire_out.h"
#include "net/op/dense.h"

enum { IR_VERSION = 7, OPSET = 13 };

typedef struct writer {
    const nm_net *net;
    nm_wire_out out;
    nm_err *err;
} writer;

/* Input and output have fixed names; a constant or result that is called like one of them moves out
   of the way. */
static const char *name_of(const writer *w, int value, char text[static 256])
{
    const char *name = w->net->values[value].name;
    bool taken = strcmp(name, "input") == 0 || strcmp(name, "logits") == 0;

    if (value == w->net->input)
        return "input";
    if (value == w->net->output)
        return "logits";
    if (!taken)
        return name;
    (void)snprintf(text, 256, "%s_value_%d", name, value);
    return text;
}

/* -- nodes ------------------------------------------------------------------------------- */

/* NodeProto: input = 1, output = 2, name = 3, op_type = 4, attribute = 5 */
static size_t begin_node(writer *w, const char *op_type, const nm_op *op)
{
    char text[256];
    size_t mark = nm_out_begin(&w->out, 1);

    for (int i = 0; i < op->n_in; i++)
        nm_out_text(&w->out, 1, op->in[i] < 0 ? "" : name_of(w, op->in[i], text));
    nm_out_text(&w->out, 2, name_of(w, op->out, text));
    nm_out_text(&w->out, 3, op->name);
    nm_out_text(&w->out, 4, op_type);
    return mark;
}

/* AttributeProto: name = 1, f = 2, i = 3, type = 20 (1 = FLOAT, 2 = INT) */
static void put_float_attr(writer *w, const char *name, double value)
{
    size_t mark = nm_out_begin(&w->out, 5);

    nm_out_text(&w->out, 1, name);
    nm_out_float(&w->out, 2, (float)value);
    nm_out_int(&w->out, 20, 1);
    nm_out_end(&w->out, mark);
}

static void put_int_attr(writer *w, const char *name, int64_t value)
{
    size_t mark = nm_out_begin(&w->out, 5);

    nm_out_text(&w->out, 1, name);
    nm_out_int(&w->out, 3, value);
    nm_out_int(&w->out, 20, 2);
    nm_out_end(&w->out, mark);
}

static nm_status put_dense(writer *w, const nm_op *op)
{
    const nm_dense_attr *attr = op->attr;
    size_t mark;

    if (nm_op_shape(w->net, op, 0)->rank != 2)
        return nm_fail(w->err, NM_E_UNSUPPORTED,
                       "layer '%.80s' reads a tensor of %d axes, expected 2", op->name,
                       nm_op_shape(w->net, op, 0)->rank);
    mark = begin_node(w, "Gemm", op);
    if (attr->alpha != 1)
        put_float_attr(w, "alpha", attr->alpha);
    if (attr->beta != 1)
        put_float_attr(w, "beta", attr->beta);
    put_int_attr(w, "transB", 1);
    nm_out_end(&w->out, mark);
    return NM_OK;
}

static bool is_elementwise(const char *kind)
{
    static const char *const kinds[] = {"Add", "Sub", "Mul", "Div", "Relu"};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

static nm_status put_node(writer *w, const nm_op *op)
{
    size_t mark;

    if (op->kind == &nm_op_dense)
        return put_dense(w, op);
    if (!is_elementwise(op->kind->name))
        return nm_fail(w->err, NM_E_UNSUPPORTED,
                       "cannot write %s '%.80s' to a new ONNX file, expected dense layers, Relu, "
                       "Add, Sub, Mul, Div",
                       op->kind->name, op->name);
    mark = begin_node(w, op->kind->name, op);
    nm_out_end(&w->out, mark);
    return NM_OK;
}

/* -- constants --------------------------------------------------------------------------- */

/* The layer that holds its weights [in x out], and so must be turned to [out x in]; NULL if none.
 */
static bool must_transpose(const nm_net *net, int value)
{
    for (int i = 0; i < net->n_ops; i++) {
        const nm_op *op = &net->ops[i];

        if (op->kind == &nm_op_dense && op->in[1] == value)
            return !((const nm_dense_attr *)op->attr)->trans_b;
    }
    return false;
}

static void put_transposed(writer *w, const nm_tensor *tensor, float *room)
{
    int64_t n_in = tensor->shape.dim[0], n_out = tensor->shape.dim[1];

    for (int64_t i = 0; i < n_out; i++)
        for (int64_t j = 0; j < n_in; j++)
            room[i * n_in + j] = tensor->f32[j * n_out + i];
    nm_out_packed_floats(&w->out, NM_ONNX_RAW_DATA, room, (size_t)tensor->size);
}

/* TensorProto: dims = 1, data_type = 2, name = 8, raw_data = 9 */
static nm_status put_constant(writer *w, int value)
{
    const nm_tensor *tensor = w->net->values[value].constant;
    bool transpose = must_transpose(w->net, value);
    float *room = NULL;
    char text[256];
    size_t mark;
    nm_status rc = transpose ? nm_alloc(&room, (size_t)tensor->size, sizeof *room, w->err) : NM_OK;

    if (rc != NM_OK)
        return rc;
    mark = nm_out_begin(&w->out, 5);
    for (int i = 0; i < tensor->shape.rank; i++)
        nm_out_int(&w->out, 1, tensor->shape.dim[transpose ? 1 - i : i]);
    nm_out_int(&w->out, 2, NM_ONNX_FLOAT);
    nm_out_text(&w->out, 8, name_of(w, value, text));
    if (transpose)
        put_transposed(w, tensor, room);
    else
        nm_out_packed_floats(&w->out, NM_ONNX_RAW_DATA, tensor->f32, (size_t)tensor->size);
    nm_out_end(&w->out, mark);
    nm_free(room);
    return NM_OK;
}

static bool is_read(const nm_net *net, int value)
{
    for (int i = 0; i < net->n_ops; i++)
        for (int k = 0; k < net->ops[i].n_in; k++)
            if (net->ops[i].in[k] == value)
                return true;
    return false;
}

/* -- the whole --------------------------------------------------------------------------- */

/* ValueInfoProto { name = 1, type = 2 { tensor_type = 1 { elem_type = 1, shape = 2 { dim = 1
   { dim_value = 1 or dim_param = 2 } } } } } */
static void put_value_info(writer *w, uint32_t field, int value)
{
    const nm_shape *shape = &w->net->values[value].shape;
    char text[256];
    size_t info = nm_out_begin(&w->out, field), type, tensor, dims, dim;

    nm_out_text(&w->out, 1, name_of(w, value, text));
    type = nm_out_begin(&w->out, 2);
    tensor = nm_out_begin(&w->out, 1);
    nm_out_int(&w->out, 1, NM_ONNX_FLOAT);
    dims = nm_out_begin(&w->out, 2);
    for (int i = 0; i < shape->rank; i++) {
        dim = nm_out_begin(&w->out, 1);
        if (i == 0 && w->net->batch_symbolic)
            nm_out_text(&w->out, 2, "N");
        else
            nm_out_int(&w->out, 1, shape->dim[i]);
        nm_out_end(&w->out, dim);
    }
    nm_out_end(&w->out, dims);
    nm_out_end(&w->out, tensor);
    nm_out_end(&w->out, type);
    nm_out_end(&w->out, info);
}

/* GraphProto: node = 1, name = 2, initializer = 5, input = 11, output = 12 */
static nm_status put_graph(writer *w)
{
    nm_status rc = NM_OK;
    const nm_net *net = w->net;
    size_t mark = nm_out_begin(&w->out, 7);

    for (int i = 0; i < net->n_ops; i++)
        NM_TRY(put_node(w, &net->ops[i]));
    nm_out_text(&w->out, 2, "netmend");
    for (int i = 0; i < net->n_values; i++)
        if (net->values[i].constant && is_read(net, i))
            NM_TRY(put_constant(w, i));
    put_value_info(w, 11, net->input);
    put_value_info(w, 12, net->output);
    nm_out_end(&w->out, mark);
done:
    return rc;
}

/* ModelProto: ir_version = 1, producer_name = 2, graph = 7, opset_import = 8 */
nm_status nm_onnx_export(const nm_net *net, nm_buffer *out, nm_err *err)
{
    nm_status rc = NM_OK;
    writer w = {.net = net, .out = {.err = err}, .err = err};
    size_t opset;

    *out = (nm_buffer){0};
    nm_out_int(&w.out, 1, IR_VERSION);
    nm_out_text(&w.out, 2, "netmend");
    NM_TRY(put_graph(&w));
    opset = nm_out_begin(&w.out, 8);
    nm_out_text(&w.out, 1, "");
    nm_out_int(&w.out, 2, OPSET);
    nm_out_end(&w.out, opset);
    NM_TRY(w.out.rc);
    *out = (nm_buffer){.data = w.out.data, .n_bytes = w.out.n_bytes};
    w.out.data = NULL;
done:
    nm_free(w.out.data);
    return rc;
}
