/* Messages of an ONNX file, outside in: model, graph, node, attribute, declared values.
   Each array is counted first and filled then, so memory stays in proportion to the file. */
#include "io/onnx_model.h"

#include <math.h>
#include <string.h>

typedef struct decoder {
    nm_pool *pool;
    nm_err *err;
} decoder;

nm_status nm_onnx_text(const nm_wire *wire, const nm_field *field, nm_pool *pool, const char **out,
                       nm_err *err)
{
    nm_wire content;
    char *text;
    nm_status rc = nm_field_message(wire, field, &content, err);

    if (rc != NM_OK)
        return rc;
    if (memchr(wire->file + field->start, 0, field->n_bytes))
        return nm_fail(err, NM_E_FORMAT, "byte %zu: a name holds a NUL character", field->at);
    rc = nm_pool_alloc(pool, &text, field->n_bytes + 1, 1, err);
    if (rc != NM_OK)
        return rc;
    memcpy(text, wire->file + field->start, field->n_bytes);
    *out = text;
    return NM_OK;
}

nm_status nm_onnx_find_text(nm_wire message, uint32_t number, nm_pool *pool, const char **out,
                            nm_err *err)
{
    nm_status rc = NM_OK;

    while (nm_wire_more(&message)) {
        nm_field field;

        NM_TRY(nm_wire_next(&message, &field, err));
        if (field.number == number)
            NM_TRY(nm_onnx_text(&message, &field, pool, out, err));
    }
done:
    return rc;
}

/* -- attributes -------------------------------------------------------------------------- */

/* AttributeProto field numbers */
enum { A_NAME = 1, A_F, A_I, A_S, A_T, A_G, A_FLOATS, A_INTS, A_GRAPHS = 11, A_TYPE = 20 };

static nm_status float_of_bits(uint64_t bits, size_t at, double *out, nm_err *err)
{
    uint32_t low = (uint32_t)bits;
    float value;

    memcpy(&value, &low, sizeof value);
    *out = (double)value;
    if (isfinite(value))
        return NM_OK;
    return nm_fail(err, NM_E_FORMAT, "byte %zu: value is %f, expected a finite number", at, *out);
}

/* Number of elements of a repeated number field, packed or not. */
static nm_status count_numbers(nm_wire message, uint32_t number, size_t *n, nm_err *err)
{
    *n = 0;
    while (nm_wire_more(&message)) {
        nm_field field;
        nm_status rc = nm_wire_next(&message, &field, err);

        if (rc != NM_OK)
            return rc;
        if (field.number != number)
            continue;
        if (field.type != NM_WIRE_BYTES)
            ++*n;
        else if (number == A_FLOATS)
            *n += field.n_bytes / 4;
        else
            for (size_t i = 0; i < field.n_bytes; i++)
                *n += message.file[field.start + i] < 0x80;
    }
    return NM_OK;
}

static nm_status decode_ints(decoder *d, nm_wire message, nm_attr_value *attr)
{
    nm_status rc = NM_OK;
    int64_t *ints;
    size_t n = 0;
    nm_field run;

    NM_TRY(count_numbers(message, A_INTS, &attr->n, d->err));
    NM_TRY(nm_pool_alloc(d->pool, &ints, attr->n, sizeof *ints, d->err));
    attr->ints = ints;
    while (nm_onnx_next_run(&message, A_INTS, &run)) {
        nm_wire elements = {message.file, run.start, run.start + run.n_bytes};

        while (n < attr->n && nm_wire_more(&elements)) {
            uint64_t value;

            NM_TRY(nm_wire_varint(&elements, &value, d->err));
            ints[n++] = (int64_t)value;
        }
    }
done:
    return rc;
}

static uint64_t bits_at(const unsigned char *bytes)
{
    return (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 |
           (uint64_t)bytes[3] << 24;
}

static nm_status decode_floats(decoder *d, nm_wire message, nm_attr_value *attr)
{
    nm_status rc = NM_OK;
    double *floats;
    size_t n = 0;
    nm_field run;

    NM_TRY(count_numbers(message, A_FLOATS, &attr->n, d->err));
    NM_TRY(nm_pool_alloc(d->pool, &floats, attr->n, sizeof *floats, d->err));
    attr->floats = floats;
    while (nm_onnx_next_run(&message, A_FLOATS, &run))
        for (size_t i = 0; i + 4 <= run.n_bytes && n < attr->n; i += 4)
            NM_TRY(float_of_bits(bits_at(message.file + run.start + i), run.start + i, &floats[n++],
                                 d->err));
done:
    return rc;
}

/* AttributeProto.AttributeType; very old files leave it out, and then the field that is there
   tells. */
static void set_type(nm_attr_value *attr, int64_t declared, uint32_t seen)
{
    static const unsigned of_declared[] = {NM_ATTR_OTHER,  NM_ATTR_FLOAT, NM_ATTR_INT,
                                           NM_ATTR_STRING, NM_ATTR_OTHER, NM_ATTR_OTHER,
                                           NM_ATTR_FLOATS, NM_ATTR_INTS};
    static const unsigned of_seen[] = {NM_ATTR_OTHER, NM_ATTR_OTHER,  NM_ATTR_FLOAT,
                                       NM_ATTR_INT,   NM_ATTR_STRING, NM_ATTR_OTHER,
                                       NM_ATTR_OTHER, NM_ATTR_FLOATS, NM_ATTR_INTS};

    attr->type = NM_ATTR_OTHER;
    if (declared > 0 && declared <= 7)
        attr->type = of_declared[declared];
    else if (declared == 0 && seen <= A_INTS)
        attr->type = of_seen[seen];
}

static nm_status decode_tensor_attr(decoder *d, const nm_wire *wire, const nm_field *field,
                                    nm_onnx_node *node)
{
    nm_status rc = NM_OK;
    nm_onnx_tensor *tensor;
    nm_wire message;

    NM_TRY(nm_field_message(wire, field, &message, d->err));
    NM_TRY(nm_pool_alloc(d->pool, &tensor, 1, sizeof *tensor, d->err));
    NM_TRY(nm_onnx_decode_tensor(message, d->pool, tensor, d->err));
    node->tensor = tensor;
done:
    return rc;
}

static nm_status decode_attr_field(decoder *d, const nm_wire *wire, const nm_field *field,
                                   nm_onnx_node *node, nm_attr_value *attr, int64_t *type)
{
    switch (field->number) {
    case A_F:
        if (field->type != NM_WIRE_I32)
            return nm_fail(d->err, NM_E_FORMAT, "byte %zu: expected a float", field->at);
        return float_of_bits(field->value, field->at, &attr->f, d->err);
    case A_I:
        return nm_field_int(field, &attr->i, d->err);
    case A_S:
        return nm_onnx_text(wire, field, d->pool, &attr->s, d->err);
    case A_T:
        return decode_tensor_attr(d, wire, field, node);
    case A_G:
    case A_GRAPHS:
        return nm_fail(d->err, NM_E_UNSUPPORTED,
                       "byte %zu: subgraphs (If, Loop, Scan) are not supported", field->at);
    case A_TYPE:
        return nm_field_int(field, type, d->err);
    default:
        return NM_OK;
    }
}

static nm_status decode_attr(decoder *d, nm_wire message, nm_onnx_node *node, nm_attr_value *attr)
{
    nm_status rc = NM_OK;
    nm_wire wire = message;
    int64_t type = 0;
    uint32_t seen = 0;

    attr->name = attr->s = "";
    NM_TRY(nm_onnx_find_text(message, A_NAME, d->pool, &attr->name, d->err));
    while (nm_wire_more(&wire)) {
        nm_field field;

        NM_TRY(nm_wire_next(&wire, &field, d->err));
        NM_TRY(decode_attr_field(d, &wire, &field, node, attr, &type));
        if (field.number > A_NAME && field.number <= A_INTS)
            seen = field.number;
    }
    set_type(attr, type, seen);
    if (attr->type == NM_ATTR_INTS)
        NM_TRY(decode_ints(d, message, attr));
    if (attr->type == NM_ATTR_FLOATS)
        NM_TRY(decode_floats(d, message, attr));
done:
    if (rc != NM_OK)
        nm_err_prefix(d->err, "attribute " NM_NAME ": ", attr->name);
    return rc;
}

/* -- nodes ------------------------------------------------------------------------------- */

/* NodeProto field numbers */
enum { N_INPUT = 1, N_OUTPUT, N_NAME, N_OP_TYPE, N_ATTRIBUTE, N_DOMAIN = 7 };

void nm_onnx_blame(const nm_onnx_node *node, nm_err *err)
{
    if (*node->name)
        nm_err_prefix(err, "node " NM_NAME " (byte %zu): ", node->name, node->at);
    else if (*node->op_type)
        nm_err_prefix(err, "%.80s node (byte %zu): ", node->op_type, node->at);
    else
        nm_err_prefix(err, "node (byte %zu): ", node->at);
}

static nm_status decode_node_field(decoder *d, const nm_wire *wire, const nm_field *field,
                                   nm_onnx_node *node)
{
    nm_wire attr;
    nm_status rc;

    switch (field->number) {
    case N_INPUT:
        return nm_onnx_text(wire, field, d->pool, &node->in[node->n_in++], d->err);
    case N_OUTPUT:
        return nm_onnx_text(wire, field, d->pool, &node->out[node->n_out++], d->err);
    case N_DOMAIN:
        return nm_onnx_text(wire, field, d->pool, &node->domain, d->err);
    case N_ATTRIBUTE:
        rc = nm_field_message(wire, field, &attr, d->err);
        return rc == NM_OK ? decode_attr(d, attr, node, &node->attrs[node->n_attrs++]) : rc;
    default:
        return NM_OK;
    }
}

static nm_status decode_node(decoder *d, nm_wire wire, nm_onnx_node *node)
{
    nm_status rc = NM_OK;
    size_t counts[NM_WIRE_COUNTED];

    node->at = wire.pos;
    node->name = node->op_type = node->domain = "";
    NM_TRY(nm_onnx_find_text(wire, N_NAME, d->pool, &node->name, d->err));
    NM_TRY(nm_onnx_find_text(wire, N_OP_TYPE, d->pool, &node->op_type, d->err));
    NM_TRY(nm_wire_count(wire, counts, d->err));
    NM_TRY(nm_pool_alloc(d->pool, &node->in, counts[N_INPUT], sizeof *node->in, d->err));
    NM_TRY(nm_pool_alloc(d->pool, &node->out, counts[N_OUTPUT], sizeof *node->out, d->err));
    NM_TRY(nm_pool_alloc(d->pool, &node->attrs, counts[N_ATTRIBUTE], sizeof *node->attrs, d->err));
    while (nm_wire_more(&wire)) {
        nm_field field;

        NM_TRY(nm_wire_next(&wire, &field, d->err));
        NM_TRY(decode_node_field(d, &wire, &field, node));
    }
done:
    if (rc != NM_OK)
        nm_onnx_blame(node, d->err);
    return rc;
}

/* -- declared inputs and outputs --------------------------------------------------------- */

/* TensorShapeProto.Dimension: dim_value = 1, dim_param = 2 */
static nm_status decode_dim(decoder *d, nm_wire wire, nm_onnx_value *value)
{
    nm_status rc = NM_OK;
    int axis = value->rank;

    if (axis == NM_MAX_DIMS)
        NM_THROW(d->err, NM_E_UNSUPPORTED, "byte %zu: more than %d axes", wire.pos, NM_MAX_DIMS);
    value->rank++;
    value->dim[axis] = -1;
    while (nm_wire_more(&wire)) {
        nm_field field;

        NM_TRY(nm_wire_next(&wire, &field, d->err));
        if (field.number == 1)
            NM_TRY(nm_field_int(&field, &value->dim[axis], d->err));
        else if (field.number == 2)
            NM_TRY(nm_onnx_text(&wire, &field, d->pool, &value->param[axis], d->err));
    }
done:
    return rc;
}

typedef nm_status (*field_fn)(decoder *d, const nm_wire *wire, const nm_field *field,
                              nm_onnx_value *value);

static nm_status each_field(decoder *d, const nm_wire *parent, const nm_field *of, field_fn fn,
                            nm_onnx_value *value)
{
    nm_status rc = NM_OK;
    nm_wire wire;

    NM_TRY(nm_field_message(parent, of, &wire, d->err));
    while (nm_wire_more(&wire)) {
        nm_field field;

        NM_TRY(nm_wire_next(&wire, &field, d->err));
        NM_TRY(fn(d, &wire, &field, value));
    }
done:
    return rc;
}

/* TensorShapeProto: dim = 1 */
static nm_status shape_field(decoder *d, const nm_wire *wire, const nm_field *field,
                             nm_onnx_value *value)
{
    nm_wire dim;
    nm_status rc;

    if (field->number != 1)
        return NM_OK;
    rc = nm_field_message(wire, field, &dim, d->err);
    return rc == NM_OK ? decode_dim(d, dim, value) : rc;
}

/* TypeProto.Tensor: elem_type = 1, shape = 2 */
static nm_status tensor_type_field(decoder *d, const nm_wire *wire, const nm_field *field,
                                   nm_onnx_value *value)
{
    if (field->number == 1)
        return nm_field_int(field, &value->elem_type, d->err);
    if (field->number != 2)
        return NM_OK;
    value->has_shape = true;
    return each_field(d, wire, field, shape_field, value);
}

/* TypeProto: tensor_type = 1; sequences, maps and the like are refused later by elem_type = 0 */
static nm_status type_field(decoder *d, const nm_wire *wire, const nm_field *field,
                            nm_onnx_value *value)
{
    return field->number == 1 ? each_field(d, wire, field, tensor_type_field, value) : NM_OK;
}

/* ValueInfoProto: name = 1, type = 2 */
static nm_status value_field(decoder *d, const nm_wire *wire, const nm_field *field,
                             nm_onnx_value *value)
{
    if (field->number == 1)
        return nm_onnx_text(wire, field, d->pool, &value->name, d->err);
    return field->number == 2 ? each_field(d, wire, field, type_field, value) : NM_OK;
}

static nm_status decode_value(decoder *d, const nm_wire *wire, const nm_field *field,
                              nm_onnx_value *value)
{
    nm_status rc;

    value->name = "";
    value->at = field->start;
    rc = each_field(d, wire, field, value_field, value);
    if (rc != NM_OK)
        nm_err_prefix(d->err, "declared tensor " NM_NAME ": ", value->name);
    return rc;
}

/* -- graph and model --------------------------------------------------------------------- */

/* GraphProto field numbers */
enum { G_NODE = 1, G_INITIALIZER = 5, G_INPUT = 11, G_OUTPUT = 12, G_SPARSE = 15 };

static nm_status decode_graph_field(decoder *d, const nm_wire *wire, const nm_field *field,
                                    nm_onnx_model *m)
{
    nm_wire message;
    nm_status rc;

    if (field->number == G_INPUT)
        return decode_value(d, wire, field, &m->inputs[m->n_inputs++]);
    if (field->number == G_OUTPUT)
        return decode_value(d, wire, field, &m->outputs[m->n_outputs++]);
    if (field->number == G_SPARSE)
        return nm_fail(d->err, NM_E_UNSUPPORTED, "byte %zu: sparse initializers are not supported",
                       field->at);
    if (field->number != G_NODE && field->number != G_INITIALIZER)
        return NM_OK;
    rc = nm_field_message(wire, field, &message, d->err);
    if (rc != NM_OK)
        return rc;
    if (field->number == G_NODE)
        return decode_node(d, message, &m->nodes[m->n_nodes++]);
    return nm_onnx_decode_tensor(message, d->pool, &m->initializers[m->n_initializers++], d->err);
}

static nm_status decode_graph(decoder *d, nm_wire wire, nm_onnx_model *m)
{
    nm_status rc = NM_OK;
    size_t counts[NM_WIRE_COUNTED];

    NM_TRY(nm_wire_count(wire, counts, d->err));
    NM_TRY(nm_pool_alloc(d->pool, &m->nodes, counts[G_NODE], sizeof *m->nodes, d->err));
    NM_TRY(nm_pool_alloc(d->pool, &m->initializers, counts[G_INITIALIZER], sizeof *m->initializers,
                         d->err));
    NM_TRY(nm_pool_alloc(d->pool, &m->inputs, counts[G_INPUT], sizeof *m->inputs, d->err));
    NM_TRY(nm_pool_alloc(d->pool, &m->outputs, counts[G_OUTPUT], sizeof *m->outputs, d->err));
    while (nm_wire_more(&wire)) {
        nm_field field;

        NM_TRY(nm_wire_next(&wire, &field, d->err));
        NM_TRY(decode_graph_field(d, &wire, &field, m));
    }
done:
    return rc;
}

/* OperatorSetIdProto: domain = 1, version = 2. Other domains may be listed without being used. */
static nm_status decode_opset(decoder *d, nm_wire wire, nm_onnx_model *m)
{
    nm_status rc = NM_OK;
    const char *domain = "";
    int64_t version = 0;

    while (nm_wire_more(&wire)) {
        nm_field field;

        NM_TRY(nm_wire_next(&wire, &field, d->err));
        if (field.number == 1)
            NM_TRY(nm_onnx_text(&wire, &field, d->pool, &domain, d->err));
        else if (field.number == 2)
            NM_TRY(nm_field_int(&field, &version, d->err));
    }
    if (strcmp(domain, "") == 0 || strcmp(domain, "ai.onnx") == 0)
        m->opset = version;
done:
    return rc;
}

/* ModelProto: graph = 7, opset_import = 8 */
nm_status nm_onnx_decode(const unsigned char *file, size_t n_bytes, nm_pool *pool,
                         nm_onnx_model *out, nm_err *err)
{
    nm_status rc = NM_OK;
    decoder d = {pool, err};
    nm_wire wire = {file, 0, n_bytes}, message;
    bool has_graph = false;

    memset(out, 0, sizeof *out);
    while (nm_wire_more(&wire)) {
        nm_field field;

        NM_TRY(nm_wire_next(&wire, &field, err));
        if (field.number != 7 && field.number != 8)
            continue;
        NM_TRY(nm_field_message(&wire, &field, &message, err));
        if (field.number == 8) {
            NM_TRY(decode_opset(&d, message, out));
            continue;
        }
        if (has_graph)
            NM_THROW(err, NM_E_FORMAT, "byte %zu: a second graph, expected one", field.at);
        has_graph = true;
        NM_TRY(decode_graph(&d, message, out));
    }
    if (!has_graph)
        NM_THROW(err, NM_E_FORMAT, "no graph in it, expected an ONNX model");
done:
    return rc;
}
