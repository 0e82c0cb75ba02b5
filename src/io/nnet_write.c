/* Writing .nnet text. */
#include <float.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "io/nnet.h"
#include "io/source.h"
#include "net/op.h"
#include "net/op/dense.h"

/* -- what the graph is, seen as a chain -------------------------------------------------- */

typedef enum step {
    STEP_START,
    STEP_SUB,
    STEP_DIV,
    STEP_DENSE,
    STEP_RELU,
    STEP_MUL,
    STEP_ADD
} step;

typedef struct chain {
    const nm_net *net;
    int *dense; /* [n_dense] operators that are layers */
    int n_dense;
    const nm_tensor *mean, *range;         /* of the inputs; NULL = neutral */
    const nm_tensor *out_range, *out_mean; /* of the outputs */
    step last;
    nm_err *err;
} chain;

static nm_status no_place(const chain *c, const nm_op *op, const char *expected)
{
    return nm_fail(c->err, NM_E_UNSUPPORTED, "%s '%.80s' has no place in a .nnet file: expected %s",
                   op->kind->name, op->name, expected);
}

/* The constant an elementwise operator applies, if it fits n numbers one by one; NULL if not. */
static const nm_tensor *elementwise_constant(const chain *c, const nm_op *op, bool commutes,
                                             int64_t n)
{
    const nm_tensor *constant = nm_op_constant(c->net, op, 1);

    if (!constant && commutes)
        constant = nm_op_constant(c->net, op, 0);
    if (!constant || (constant->size != 1 && constant->size != n) ||
        c->net->values[op->out].size != n)
        return NULL;
    return constant;
}

static bool is_uniform(const nm_tensor *tensor)
{
    for (int64_t i = 1; i < tensor->size; i++)
        if (tensor->f32[i] != tensor->f32[0])
            return false;
    return true;
}

static nm_status take_input_step(chain *c, const nm_op *op, step now, const nm_tensor **out)
{
    *out = elementwise_constant(c, op, false, nm_net_n_in(c->net));
    if (!*out || c->last >= now)
        return no_place(c, op, "(input - mean) / range before the first layer");
    c->last = now;
    return NM_OK;
}

static nm_status take_output_step(chain *c, const nm_op *op, step now, const nm_tensor **out)
{
    *out = elementwise_constant(c, op, true, nm_net_n_out(c->net));
    if (!*out || !is_uniform(*out) || (c->last != STEP_DENSE && c->last != STEP_MUL) ||
        c->last >= now)
        return no_place(c, op, "output * range + mean after the last layer, the same for all");
    c->last = now;
    return NM_OK;
}

static nm_status take_dense(chain *c, const nm_op *op)
{
    const nm_dense_attr *attr = op->attr;
    const nm_tensor *weights = nm_op_constant(c->net, op, 1);
    int64_t n_in = weights->shape.dim[attr->trans_b ? 1 : 0];

    if (c->last == STEP_DENSE || c->last > STEP_RELU)
        return no_place(c, op, "Relu between layers");
    if (attr->alpha != 1 || (attr->beta != 1 && op->n_in > 2))
        return no_place(c, op, "alpha and beta 1");
    if (c->net->values[op->in[0]].size != n_in)
        return no_place(c, op, "one row of inputs");
    c->dense[c->n_dense++] = (int)(op - c->net->ops);
    c->last = STEP_DENSE;
    return NM_OK;
}

static nm_status take_op(chain *c, const nm_op *op)
{
    const char *kind = op->kind->name;

    if (op->kind->is_view)
        return NM_OK;
    if (op->kind == &nm_op_dense)
        return take_dense(c, op);
    if (op->kind == &nm_op_relu && c->last == STEP_DENSE) {
        c->last = STEP_RELU;
        return NM_OK;
    }
    if (strcmp(kind, "Sub") == 0)
        return take_input_step(c, op, STEP_SUB, &c->mean);
    if (strcmp(kind, "Div") == 0)
        return take_input_step(c, op, STEP_DIV, &c->range);
    if (strcmp(kind, "Mul") == 0)
        return take_output_step(c, op, STEP_MUL, &c->out_range);
    if (strcmp(kind, "Add") == 0)
        return take_output_step(c, op, STEP_ADD, &c->out_mean);
    return no_place(c, op, "dense layers with Relu between them");
}

/* True if the operator reads `value` once and constants besides. */
static bool continues(const nm_net *net, const nm_op *op, int value)
{
    int n_data = 0;

    for (int i = 0; i < op->n_in; i++)
        if (op->in[i] >= 0 && !net->values[op->in[i]].constant) {
            n_data++;
            if (op->in[i] != value)
                return false;
        }
    return n_data == 1;
}

static nm_status read_chain(const nm_net *net, chain *c, nm_err *err)
{
    nm_status rc = NM_OK;
    int value = net->input;

    *c = (chain){.net = net, .err = err};
    NM_TRY(nm_alloc(&c->dense, (size_t)net->n_ops, sizeof *c->dense, err));
    for (int i = 0; i < net->n_ops; i++) {
        if (!continues(net, &net->ops[i], value))
            NM_TRY(no_place(c, &net->ops[i], "a chain of operators"));
        NM_TRY(take_op(c, &net->ops[i]));
        value = net->ops[i].out;
    }
    if (c->n_dense == 0 || c->last == STEP_RELU)
        NM_THROW(err, NM_E_UNSUPPORTED,
                 "a .nnet file ends in a dense layer, this network does not");
    for (int i = 0; c->range && i < c->range->size; i++)
        if (!(c->range->f32[i] > 0))
            NM_THROW(err, NM_E_UNSUPPORTED, "a range of %g, expected positive ones",
                     (double)c->range->f32[i]);
    if (c->out_range && !(c->out_range->f32[0] > 0))
        NM_THROW(err, NM_E_UNSUPPORTED, "a range of %g for the outputs, expected a positive one",
                 (double)c->out_range->f32[0]);
done:
    return rc;
}

/* -- text -------------------------------------------------------------------------------- */

typedef struct text {
    nm_buffer buffer;
    size_t room;
    nm_status rc; /* the first failure sticks */
    nm_err *err;
} text;

static void put_bytes(text *t, const char *bytes, size_t n)
{
    if (t->rc == NM_OK && n > t->room - t->buffer.n_bytes) {
        size_t room = 2 * t->room + n + 4096;

        t->rc = nm_realloc(&t->buffer.data, room, 1, t->err);
        t->room = t->rc == NM_OK ? room : t->room;
    }
    if (t->rc != NM_OK || n == 0)
        return;
    memcpy(t->buffer.data + t->buffer.n_bytes, bytes, n);
    t->buffer.n_bytes += n;
}

static void put_text(text *t, const char *piece)
{
    put_bytes(t, piece, strlen(piece));
}

static void put_count(text *t, int64_t count)
{
    char piece[32];

    (void)snprintf(piece, sizeof piece, "%lld,", (long long)count);
    put_text(t, piece);
}

/* The fewest digits that read back as the same number (9 always do for float32, 17 for double). */
static void put_number(text *t, double value, bool is_f32)
{
    char digits[40];
    double back = 0;

    for (int n = 6; n <= 17; n++) {
        int length = snprintf(digits, sizeof digits, "%.*g", n, value);

        if (nm_parse_double(digits, digits + length, &back) &&
            (is_f32 ? (float)back == (float)value : back == value))
            break;
    }
    put_text(t, digits);
    put_text(t, ",");
}

static void put_f32(text *t, float value)
{
    put_number(t, (double)value, true);
}

/* One value per input; a constant with one element counts for all. */
static void put_inputs(text *t, const nm_tensor *tensor, int64_t n, float neutral)
{
    for (int64_t i = 0; i < n; i++)
        put_f32(t, !tensor ? neutral : tensor->f32[tensor->size == 1 ? 0 : i]);
}

static void put_limits(text *t, const double *limits, int64_t n, double none)
{
    for (int64_t i = 0; i < n; i++)
        put_number(t, limits ? limits[i] : none, false);
    put_text(t, "\n");
}

static int64_t layer_size(const chain *c, int layer)
{
    return c->net->values[c->net->ops[c->dense[layer]].out].size;
}

static void put_sizes(text *t, const chain *c)
{
    int64_t n_in = nm_net_n_in(c->net), largest = n_in;

    for (int i = 0; i < c->n_dense; i++)
        largest = layer_size(c, i) > largest ? layer_size(c, i) : largest;
    put_count(t, c->n_dense);
    put_count(t, n_in);
    put_count(t, nm_net_n_out(c->net));
    put_count(t, largest);
    put_text(t, "\n");
    put_count(t, n_in);
    for (int i = 0; i < c->n_dense; i++)
        put_count(t, layer_size(c, i));
    put_text(t, "\n0,\n");
}

static void put_header(text *t, const chain *c)
{
    const nm_file_source *source = nm_net_source(c->net, NM_FORMAT_NNET);
    int64_t n_in = nm_net_n_in(c->net);

    if (source)
        put_text(t, source->comments);
    else
        put_text(
            t,
            "// Neural network in the .nnet format (github.com/sisl/NNet), written by netmend\n");
    put_sizes(t, c);
    put_limits(t, source ? source->minima : NULL, n_in, -(double)FLT_MAX);
    put_limits(t, source ? source->maxima : NULL, n_in, (double)FLT_MAX);
    put_inputs(t, c->mean, n_in, 0);
    put_f32(t, c->out_mean ? c->out_mean->f32[0] : 0);
    put_text(t, "\n");
    put_inputs(t, c->range, n_in, 1);
    put_f32(t, c->out_range ? c->out_range->f32[0] : 1);
    put_text(t, "\n");
}

static void put_layer(text *t, const chain *c, const nm_op *op)
{
    const nm_dense_attr *attr = op->attr;
    const nm_tensor *weights = nm_op_constant(c->net, op, 1);
    const nm_tensor *bias = nm_op_constant(c->net, op, 2);
    int64_t n_out = weights->shape.dim[attr->trans_b ? 0 : 1];
    int64_t n_in = weights->shape.dim[attr->trans_b ? 1 : 0];

    for (int64_t i = 0; i < n_out; i++) {
        for (int64_t j = 0; j < n_in; j++)
            put_f32(t, weights->f32[attr->trans_b ? i * n_in + j : j * n_out + i]);
        put_text(t, "\n");
    }
    for (int64_t i = 0; i < n_out; i++) {
        put_f32(t, bias ? bias->f32[i] : 0);
        put_text(t, "\n");
    }
}

/* printf writes the decimal point of the thread's locale. */
static nm_status write_in_c_locale(const chain *c, text *t)
{
    locale_t c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0), old;

    if (!c_locale)
        return nm_fail(t->err, NM_E_NOMEM, "no room for the C locale");
    old = uselocale(c_locale);
    put_header(t, c);
    for (int i = 0; i < c->n_dense; i++)
        put_layer(t, c, &c->net->ops[c->dense[i]]);
    (void)uselocale(old);
    freelocale(c_locale);
    return t->rc;
}

nm_status nm_nnet_write(const nm_net *net, nm_buffer *out, nm_err *err)
{
    nm_status rc = NM_OK;
    text t = {.err = err};
    chain c;

    *out = (nm_buffer){0};
    NM_TRY(read_chain(net, &c, err));
    NM_TRY(write_in_c_locale(&c, &t));
    *out = t.buffer;
    t.buffer = (nm_buffer){0};
done:
    nm_buffer_free(&t.buffer);
    nm_free(c.dense);
    return rc;
}
