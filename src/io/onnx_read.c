/* From the messages of an ONNX file to a net.
 *
 * Nodes are taken in an order in which their inputs are known. What does not depend on the input
 * becomes a constant; MatMul with constant weights followed by Add of a bias becomes one dense
 * layer; everything else becomes one operator. */
#include "io/onnx_read.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "io/onnx_fold.h"
#include "io/onnx_graph.h"
#include "io/source.h"

typedef struct reader {
    nm_pool pool;
    nm_onnx_model model;
    nm_onnx_graph graph;
    const char *folder;
    nm_net *net;
    nm_file_source *source; /* owned by the net */
    int64_t fold_room;      /* elements that may still be folded */
    nm_err *err;
} reader;

static bool is_standard(const nm_onnx_node *node, const char *op_type)
{
    return strcmp(node->op_type, op_type) == 0 &&
           (!*node->domain || strcmp(node->domain, "ai.onnx") == 0);
}

/* -- constants --------------------------------------------------------------------------- */

/* Remembers where a float constant lies in the file, so that it can be edited there. */
static void remember(reader *r, int value, const nm_onnx_tensor *tensor)
{
    nm_dtype dtype = r->net->values[value].constant->dtype;

    if (tensor->external) {
        r->source->external = true;
        return;
    }
    if (dtype != NM_F32 && dtype != NM_F64)
        return;
    r->net->values[value].from_initializer = true;
    r->source->stored[r->source->n_stored++] = (nm_stored){.value = value,
                                                           .start = tensor->message.pos,
                                                           .end = tensor->message.end,
                                                           .field = tensor->data_field};
}

static nm_status add_stored_constant(reader *r, nm_def *def, const nm_onnx_tensor *tensor)
{
    nm_status rc = NM_OK;
    nm_tensor *constant;

    NM_TRY(nm_onnx_load_tensor(tensor, r->folder, &constant, r->err));
    NM_TRY(nm_net_add_constant(r->net, def->name, constant, &def->value, r->err));
    remember(r, def->value, tensor);
done:
    return rc;
}

static nm_status add_initializers(reader *r)
{
    for (size_t i = 0; i < r->model.n_initializers; i++) {
        const nm_onnx_tensor *tensor = &r->model.initializers[i];
        nm_status rc = add_stored_constant(r, nm_onnx_find_def(&r->graph, tensor->name), tensor);

        if (rc != NM_OK)
            return rc;
    }
    return NM_OK;
}

/* Constant nodes may also give their value as plain attributes: value_int(s), value_float(s). */
static nm_status tensor_of_attr(const nm_attr_value *attr, nm_tensor **out, nm_err *err)
{
    bool scalar = attr->type == NM_ATTR_INT || attr->type == NM_ATTR_FLOAT;
    bool integer = attr->type == NM_ATTR_INT || attr->type == NM_ATTR_INTS;
    nm_shape shape = {.rank = scalar ? 0 : 1, .dim = {(int64_t)attr->n}};
    nm_status rc = nm_tensor_new(out, &shape, integer ? NM_I64 : NM_F32, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < (*out)->size; i++) {
        (*out)->f64[i] = attr->type == NM_ATTR_INT     ? (double)attr->i
                         : attr->type == NM_ATTR_FLOAT ? attr->f
                         : integer                     ? (double)attr->ints[i]
                                                       : attr->floats[i];
        (*out)->f32[i] = (float)(*out)->f64[i];
    }
    return NM_OK;
}

static nm_status add_constant_node(reader *r, const nm_onnx_node *node, nm_def *def)
{
    nm_tensor *constant;
    nm_status rc;

    if (node->n_attrs != 1)
        return nm_fail(r->err, NM_E_FORMAT, "has %zu attributes, expected its value",
                       node->n_attrs);
    if (node->tensor)
        return add_stored_constant(r, def, node->tensor);
    if (node->attrs[0].type == NM_ATTR_STRING || node->attrs[0].type == NM_ATTR_OTHER)
        return nm_fail(r->err, NM_E_UNSUPPORTED,
                       "attribute " NM_NAME " is not supported, expected numbers",
                       node->attrs[0].name);
    rc = tensor_of_attr(&node->attrs[0], &constant, r->err);
    if (rc == NM_OK)
        rc = nm_net_add_constant(r->net, def->name, constant, &def->value, r->err);
    return rc;
}

/* -- operators --------------------------------------------------------------------------- */

/* A node on its way into the net. */
typedef struct operation {
    const nm_onnx_node *node;
    const nm_op_kind *kind;
    char name[160]; /* the node's, or made up where the file gives none */
    int in[NM_OP_MAX_IN];
    int n_in;
    void *attr; /* in the reader's pool */
} operation;

static nm_status find_kind(reader *r, const nm_onnx_node *node, const nm_op_kind **out)
{
    if (*node->domain && strcmp(node->domain, "ai.onnx") != 0)
        return nm_fail(r->err, NM_E_UNSUPPORTED,
                       "operator " NM_NAME " of the foreign domain " NM_NAME
                       ", expected standard operators",
                       node->op_type, node->domain);
    *out = nm_op_find(node->op_type);
    if (!*out)
        return nm_fail(r->err, NM_E_UNSUPPORTED,
                       "operator " NM_NAME " is not supported, expected one of %s", node->op_type,
                       nm_op_list());
    return NM_OK;
}

/* Inputs left out at the end of the list do not count. */
static nm_status find_inputs(reader *r, operation *op)
{
    size_t n = op->node->n_in;
    bool is_matmul = strcmp(op->node->op_type, "MatMul") == 0;
    size_t max_in = is_matmul ? 2 : (size_t)op->kind->max_in;

    while (n > 0 && !*op->node->in[n - 1])
        n--;
    if (n < (size_t)op->kind->min_in || n > max_in || n > NM_OP_MAX_IN)
        return nm_fail(r->err, NM_E_FORMAT,
                       "%.40s with %zu inputs, expected at least %d and at most %zu",
                       op->node->op_type, n, op->kind->min_in, max_in);
    op->n_in = (int)n;
    for (size_t i = 0; i < n; i++) {
        const nm_def *def = *op->node->in[i] ? nm_onnx_find_def(&r->graph, op->node->in[i]) : NULL;

        op->in[i] = def ? def->value : -1;
        if (!def && i < (size_t)op->kind->min_in)
            return nm_fail(r->err, NM_E_FORMAT, "input %zu of %.40s is left out, expected one", i,
                           op->node->op_type);
    }
    return NM_OK;
}

static nm_status parse_attrs(reader *r, operation *op)
{
    nm_node_view view = {.op_type = op->node->op_type,
                         .opset = r->model.opset,
                         .attrs = op->node->attrs,
                         .n_attrs = op->node->n_attrs};
    nm_status rc = nm_pool_alloc(&r->pool, &op->attr, 1, op->kind->attr_bytes, r->err);

    return rc == NM_OK && op->kind->parse ? op->kind->parse(&view, op->attr, r->err) : rc;
}

static nm_status prepare(reader *r, const nm_onnx_node *node, operation *op)
{
    nm_status rc = NM_OK;

    *op = (operation){.node = node};
    if (*node->name)
        (void)snprintf(op->name, sizeof op->name, "%s", node->name);
    else
        (void)snprintf(op->name, sizeof op->name, "%.80s_%zu", node->op_type,
                       (size_t)(node - r->model.nodes));
    NM_TRY(find_kind(r, node, &op->kind));
    NM_TRY(find_inputs(r, op));
    NM_TRY(parse_attrs(r, op));
done:
    return rc;
}

static nm_status add_to_net(reader *r, const operation *op, nm_def *def)
{
    nm_status rc = nm_net_add_op(r->net, op->kind, op->name, op->in, op->n_in, def->name, op->attr,
                                 op->kind->attr_bytes, NULL, r->err);

    if (rc == NM_OK)
        def->value = r->net->n_values - 1;
    return rc;
}

static nm_status fold(reader *r, const operation *op, nm_def *def)
{
    nm_tensor *result;
    nm_status rc =
        nm_fold(r->net, op->kind, op->in, op->n_in, op->attr, &r->fold_room, &result, r->err);

    if (rc == NM_OK)
        rc = nm_net_add_constant(r->net, def->name, result, &def->value, r->err);
    return rc;
}

/* -- MatMul + Add ------------------------------------------------------------------------ */

/* A constant that is added to whole rows: [n_out], or [1, .., n_out] of no more axes than the
   product has. */
static bool is_bias(const nm_net *net, int value, int64_t n_out, int max_rank)
{
    const nm_tensor *tensor = value >= 0 ? net->values[value].constant : NULL;

    return tensor && tensor->size == n_out && tensor->shape.rank >= 1 &&
           tensor->shape.rank <= max_rank && tensor->shape.dim[tensor->shape.rank - 1] == n_out;
}

/* If the product of a MatMul goes nowhere but into an Add of a bias, the bias becomes the third
   input of the dense layer and *def what the Add defines. Layers that stay apart would be right
   too, but their biases could not be edited. */
static void take_bias(const reader *r, operation *matmul, nm_def **def)
{
    const nm_onnx_node *add = &r->model.nodes[(*def)->reader];
    const nm_tensor *weights = r->net->values[matmul->in[1]].constant;
    const nm_def *other;

    if ((*def)->n_reads != 1 || *def == r->graph.output || !is_standard(add, "Add") ||
        add->n_in != 2 || add->n_out != 1 || !*add->out[0])
        return;
    other = nm_onnx_find_def(&r->graph, add->in[strcmp(add->in[0], (*def)->name) == 0 ? 1 : 0]);
    if (!other || !weights || weights->shape.rank != 2 ||
        !is_bias(r->net, other->value, weights->shape.dim[1],
                 r->net->values[matmul->in[0]].shape.rank))
        return;
    matmul->in[2] = other->value;
    matmul->n_in = 3;
    *def = nm_onnx_find_def(&r->graph, add->out[0]);
}

/* -- all nodes --------------------------------------------------------------------------- */

static nm_status add_operator(reader *r, const nm_onnx_node *node, nm_def *def)
{
    operation op;
    nm_status rc = prepare(r, node, &op);

    if (rc != NM_OK)
        return rc;
    if (nm_can_fold(r->net, op.kind, op.in, op.n_in))
        return fold(r, &op, def);
    if (is_standard(node, "MatMul"))
        take_bias(r, &op, &def);
    return add_to_net(r, &op, def);
}

static nm_status add_node(reader *r, const nm_onnx_node *node, bool constants)
{
    nm_def *def;
    nm_status rc = NM_OK;

    if (is_standard(node, "Constant") != constants)
        return NM_OK;
    def = node->n_out > 0 && *node->out[0] ? nm_onnx_find_def(&r->graph, node->out[0]) : NULL;
    if (!*node->op_type)
        rc = nm_fail(r->err, NM_E_FORMAT, "no operator name");
    else if (!def)
        rc = nm_fail(r->err, NM_E_FORMAT, "no output, expected one");
    else if (def->value < 0) /* else it became part of a dense layer */
        rc = constants ? add_constant_node(r, node, def) : add_operator(r, node, def);
    if (rc != NM_OK)
        nm_onnx_blame(node, r->err);
    return rc;
}

/* Constant nodes come first, so that a MatMul knows the bias that a later Add brings. */
static nm_status add_nodes(reader *r)
{
    nm_status rc = NM_OK;

    for (size_t i = 0; i < r->model.n_nodes; i++)
        NM_TRY(add_node(r, &r->model.nodes[i], true));
    for (size_t i = 0; i < r->model.n_nodes; i++)
        NM_TRY(add_node(r, &r->model.nodes[r->graph.order[i]], false));
done:
    return rc;
}

/* -- input and output -------------------------------------------------------------------- */

static nm_status check_float(const nm_onnx_value *value, nm_err *err)
{
    if (value->elem_type == NM_ONNX_FLOAT || value->elem_type == NM_ONNX_DOUBLE)
        return NM_OK;
    return nm_fail(err, NM_E_UNSUPPORTED, "has data type %lld, expected float32 or float64",
                   (long long)value->elem_type);
}

static nm_status input_extent(const nm_onnx_value *input, int axis, int64_t *out, nm_err *err)
{
    *out = input->dim[axis];
    if (*out == -1 && axis == 0)
        *out = 1;
    else if (*out == -1)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "extent " NM_NAME " of axis %d is symbolic, expected a number (only the "
                       "leading axis may be symbolic)",
                       input->param[axis] ? input->param[axis] : "?", axis);
    else if (*out < 1)
        return nm_fail(err, NM_E_FORMAT, "has extent %lld on axis %d, expected at least 1",
                       (long long)*out, axis);
    return NM_OK;
}

static nm_status add_input(reader *r)
{
    const nm_onnx_value *input = &r->model.inputs[r->graph.input->index];
    nm_shape shape = {.rank = input->rank};
    nm_status rc = NM_OK;

    NM_TRY(check_float(input, r->err));
    if (input->rank == 0)
        NM_THROW(r->err, NM_E_UNSUPPORTED, "has no declared axes, expected at least one");
    for (int i = 0; i < input->rank; i++)
        NM_TRY(input_extent(input, i, &shape.dim[i], r->err));
    r->net->batch_symbolic = input->dim[0] == -1;
    NM_TRY(nm_net_add_value(r->net, input->name, &shape, &r->graph.input->value, r->err));
    r->net->input = r->graph.input->value;
done:
    if (rc != NM_OK)
        nm_err_prefix(r->err, "input " NM_NAME " (byte %zu): ", input->name, input->at);
    return rc;
}

/* Symbolic extents agree with anything; so does the leading one where it is the batch. */
static bool agrees(const nm_onnx_value *declared, const nm_shape *found, bool batch)
{
    if (!declared->has_shape)
        return true;
    if (declared->rank != found->rank)
        return false;
    for (int i = batch; i < declared->rank; i++)
        if (declared->dim[i] != -1 && declared->dim[i] != found->dim[i])
            return false;
    return true;
}

static nm_status set_output(reader *r)
{
    const nm_onnx_value *output = &r->model.outputs[0];
    const nm_def *def = r->graph.output;
    nm_shape declared = {.rank = output->rank};
    char found_text[96], declared_text[96];
    nm_status rc = NM_OK;

    memcpy(declared.dim, output->dim, sizeof declared.dim);
    if (r->net->values[def->value].constant)
        NM_THROW(r->err, NM_E_FORMAT, "is a constant, expected that it depends on the input");
    if (!agrees(output, &r->net->values[def->value].shape, r->net->batch_symbolic))
        NM_THROW(r->err, NM_E_SHAPE, "is declared as %s, but computed as %s",
                 nm_shape_text(&declared, declared_text),
                 nm_shape_text(&r->net->values[def->value].shape, found_text));
    r->net->output = def->value;
done:
    if (rc != NM_OK)
        nm_err_prefix(r->err, "output " NM_NAME " (byte %zu): ", output->name, output->at);
    return rc;
}

/* -- the whole --------------------------------------------------------------------------- */

/* A constant of the file may have readers that the net does not show, because they were folded. */
static void lock_shared(reader *r)
{
    for (size_t i = 0; i < r->graph.n_defs; i++) {
        const nm_def *def = &r->graph.defs[i];

        for (int k = 0; k < r->net->n_layers && def->value >= 0 && def->n_reads > 1; k++) {
            nm_layer *layer = &r->net->layers[k];

            if ((layer->weight == def->value || layer->bias == def->value) && !layer->locked)
                layer->locked = "its weights are shared: another operator reads the same tensor";
        }
    }
}

static nm_status check_opset(const reader *r)
{
    if (r->model.opset >= NM_OPSET_MIN && r->model.opset <= NM_OPSET_MAX)
        return NM_OK;
    return nm_fail(r->err, NM_E_UNSUPPORTED, "operator set version %lld, expected %d to %d",
                   (long long)r->model.opset, NM_OPSET_MIN, NM_OPSET_MAX);
}

static nm_status start(reader *r, nm_buffer *file)
{
    nm_status rc = NM_OK;
    size_t n_stored = 0;

    NM_TRY(nm_onnx_decode(file->data, file->n_bytes, &r->pool, &r->model, r->err));
    NM_TRY(check_opset(r));
    NM_TRY(nm_onnx_link(&r->model, &r->pool, &r->graph, r->err));
    NM_TRY(nm_net_new(&r->net, r->err));
    NM_TRY(nm_file_source_new(NM_FORMAT_ONNX, &r->source, r->err));
    r->net->source = &r->source->base;
    n_stored = r->model.n_initializers;
    for (size_t i = 0; i < r->model.n_nodes; i++)
        n_stored += r->model.nodes[i].tensor != NULL;
    NM_TRY(nm_alloc(&r->source->stored, n_stored, sizeof *r->source->stored, r->err));
    /* Folding serves shapes and small tables; a small file must not become large. */
    r->fold_room = (1 << 18) + (int64_t)file->n_bytes / 2;
done:
    return rc;
}

nm_status nm_onnx_read(nm_buffer *file, const char *folder, nm_net **out, nm_err *err)
{
    nm_status rc = NM_OK;
    reader r = {.folder = folder, .err = err};

    *out = NULL;
    NM_TRY(start(&r, file));
    NM_TRY(add_input(&r));
    NM_TRY(add_initializers(&r));
    NM_TRY(add_nodes(&r));
    NM_TRY(set_output(&r));
    NM_TRY(nm_net_finish(r.net, err));
    lock_shared(&r);
    r.source->file = *file;
    *file = (nm_buffer){0};
    *out = r.net;
    r.net = NULL;
done:
    nm_buffer_free(file);
    nm_net_free(r.net);
    nm_pool_free(&r.pool);
    return rc;
}
