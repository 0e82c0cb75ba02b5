/* Reading .nnet text: line by line, lines of any length, any line ends. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "io/nnet.h"
#include "io/source.h"
#include "net/op.h"
#include "net/op/dense.h"

/* -- lines of numbers -------------------------------------------------------------------- */

typedef struct reader {
    const char *pos, *end; /* what is left of the file */
    size_t line;           /* number of the line read last, from 1 */
    nm_err *err;
    int64_t n_layers;
    int64_t *sizes;                           /* [n_layers + 1] inputs first */
    double *minima, *maxima, *means, *ranges; /* [n_in], [n_in], [n_in + 1], [n_in + 1] */
    nm_net *net;
    int value; /* end of the graph so far */
} reader;

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **begin, const char **end)
{
    while (*begin < *end && is_blank(**begin))
        (*begin)++;
    while (*begin < *end && is_blank((*end)[-1]))
        (*end)--;
}

/* The next line that is not blank, without blanks at its ends. */
static bool next_line(reader *r, const char **begin, const char **end)
{
    while (r->pos < r->end) {
        const char *newline = memchr(r->pos, '\n', (size_t)(r->end - r->pos));

        *begin = r->pos;
        *end = newline ? newline : r->end;
        r->pos = newline ? newline + 1 : r->end;
        r->line++;
        trim(begin, end);
        if (*begin < *end)
            return true;
    }
    return false;
}

static nm_status parse_number(reader *r, const char *begin, const char *end, double *out)
{
    trim(&begin, &end);
    if (nm_parse_double(begin, end, out) && isfinite((float)*out))
        return NM_OK;
    return nm_fail(r->err, NM_E_FORMAT, "line %zu: '%.*s', expected a finite float32 number",
                   r->line, end - begin < 40 ? (int)(end - begin) : 40, begin);
}

/* Reads one line of exactly n numbers; `what` they are is for the message. */
static nm_status read_row(reader *r, double *out, size_t n, const char *what)
{
    const char *begin, *end;
    size_t n_found = 0;
    nm_status rc = NM_OK;

    if (!next_line(r, &begin, &end))
        return nm_fail(r->err, NM_E_FORMAT, "the file ends after line %zu, expected %s", r->line,
                       what);
    while (begin < end && rc == NM_OK) {
        const char *comma = memchr(begin, ',', (size_t)(end - begin));
        double ignored;

        rc = parse_number(r, begin, comma ? comma : end, n_found < n ? &out[n_found] : &ignored);
        n_found++;
        begin = comma ? comma + 1 : end;
    }
    if (rc == NM_OK && n_found != n)
        rc = nm_fail(r->err, NM_E_FORMAT, "line %zu: found %zu of %zu numbers (%s)", r->line,
                     n_found, n, what);
    return rc;
}

static nm_status read_counts(reader *r, int64_t *out, size_t n, const char *what)
{
    double *values;
    nm_status rc = nm_alloc(&values, n, sizeof *values, r->err);

    if (rc == NM_OK)
        rc = read_row(r, values, n, what);
    for (size_t i = 0; i < n && rc == NM_OK; i++) {
        if (!(values[i] >= 1 && values[i] <= 0x1p52 && values[i] == floor(values[i])))
            rc = nm_fail(r->err, NM_E_FORMAT, "line %zu: %s: %g, expected a positive integer",
                         r->line, what, values[i]);
        else
            out[i] = (int64_t)values[i];
    }
    nm_free(values);
    return rc;
}

/* -- header ------------------------------------------------------------------------------ */

static bool starts_comment(const char *pos, const char *end)
{
    return end - pos >= 2 && pos[0] == '/' && pos[1] == '/';
}

static void skip_comments(reader *r)
{
    while (starts_comment(r->pos, r->end)) {
        const char *newline = memchr(r->pos, '\n', (size_t)(r->end - r->pos));

        r->pos = newline ? newline + 1 : r->end;
        r->line++;
    }
}

/* Whether what is left of the file can hold n numbers, at two characters each. */
static bool can_hold(const reader *r, size_t n)
{
    return n <= (size_t)(r->end - r->pos) / 2 + 1;
}

static nm_status check_layer_sizes(const reader *r)
{
    for (int64_t i = 0; i < r->n_layers; i++) {
        size_t n;

        if (!nm_mul_size((size_t)r->sizes[i], (size_t)r->sizes[i + 1], &n) || !can_hold(r, n))
            return nm_fail(r->err, NM_E_FORMAT,
                           "line %zu: layer %lld has %lld x %lld weights, more than the file holds",
                           r->line, (long long)i, (long long)r->sizes[i + 1],
                           (long long)r->sizes[i]);
    }
    return NM_OK;
}

static nm_status read_sizes(reader *r)
{
    nm_status rc = NM_OK;
    int64_t counts[4]; /* layers, inputs, outputs, largest layer */

    NM_TRY(read_counts(r, counts, 4, "numbers of layers, inputs, outputs, largest layer"));
    r->n_layers = counts[0];
    if (!can_hold(r, (size_t)r->n_layers))
        NM_THROW(r->err, NM_E_FORMAT, "line %zu: %lld layers, more than the file holds", r->line,
                 (long long)r->n_layers);
    NM_TRY(nm_alloc(&r->sizes, (size_t)r->n_layers + 1, sizeof *r->sizes, r->err));
    NM_TRY(read_counts(r, r->sizes, (size_t)r->n_layers + 1, "layer sizes, inputs first"));
    if (r->sizes[0] != counts[1] || r->sizes[r->n_layers] != counts[2])
        NM_THROW(r->err, NM_E_FORMAT,
                 "line %zu: layer sizes from %lld to %lld, expected %lld inputs and %lld outputs",
                 r->line, (long long)r->sizes[0], (long long)r->sizes[r->n_layers],
                 (long long)counts[1], (long long)counts[2]);
    NM_TRY(check_layer_sizes(r));
done:
    return rc;
}

static nm_status read_range_rows(reader *r)
{
    nm_status rc = NM_OK;
    size_t n_in = (size_t)r->sizes[0];

    NM_TRY(nm_alloc(&r->minima, n_in, sizeof(double), r->err));
    NM_TRY(nm_alloc(&r->maxima, n_in, sizeof(double), r->err));
    NM_TRY(nm_alloc(&r->means, n_in + 1, sizeof(double), r->err));
    NM_TRY(nm_alloc(&r->ranges, n_in + 1, sizeof(double), r->err));
    NM_TRY(read_row(r, r->minima, n_in, "minima of the inputs"));
    NM_TRY(read_row(r, r->maxima, n_in, "maxima of the inputs"));
    for (size_t i = 0; i < n_in; i++)
        if (r->minima[i] > r->maxima[i])
            NM_THROW(r->err, NM_E_FORMAT,
                     "line %zu: maximum %g of input %zu is below its minimum %g", r->line,
                     r->maxima[i], i, r->minima[i]);
    NM_TRY(read_row(r, r->means, n_in + 1, "means of the inputs and of the outputs"));
    NM_TRY(read_row(r, r->ranges, n_in + 1, "ranges of the inputs and of the outputs"));
    for (size_t i = 0; i <= n_in; i++)
        if (!((float)r->ranges[i] > 0))
            NM_THROW(r->err, NM_E_FORMAT, "line %zu: range %g, expected a positive number", r->line,
                     r->ranges[i]);
done:
    return rc;
}

static nm_status read_header(reader *r)
{
    nm_status rc = NM_OK;
    double unused_flag;

    skip_comments(r);
    NM_TRY(read_sizes(r));
    NM_TRY(read_row(r, &unused_flag, 1, "the unused flag"));
    NM_TRY(read_range_rows(r));
done:
    return rc;
}

/* -- graph ------------------------------------------------------------------------------- */

static void round_to_f32(nm_tensor *tensor)
{
    for (int64_t i = 0; i < tensor->size; i++) {
        tensor->f32[i] = (float)tensor->f64[i];
        tensor->f64[i] = (double)tensor->f32[i];
    }
}

/* Takes the tensor over. */
static nm_status add_constant(reader *r, const char *name, nm_tensor *tensor, int *value)
{
    nm_status rc;

    round_to_f32(tensor);
    rc = nm_net_add_constant(r->net, name, tensor, value, r->err);
    if (rc == NM_OK)
        r->net->values[*value].from_initializer = true;
    return rc;
}

/* Appends an operator that combines the end of the graph with a vector of n numbers, unless these
   are all `neutral`. */
static nm_status add_normalisation(reader *r, const char *op_type, const char *name,
                                   const double *numbers, int64_t n, double neutral)
{
    nm_status rc = NM_OK;
    const nm_op_kind *kind = nm_op_find(op_type);
    nm_shape shape = {.rank = 1, .dim = {n}};
    nm_tensor *tensor;
    char constant_name[64];
    int in[2] = {r->value}, op;
    bool is_neutral = true;

    for (int64_t i = 0; i < n; i++)
        is_neutral = is_neutral && numbers[i] == neutral;
    if (is_neutral)
        return NM_OK;
    (void)snprintf(constant_name, sizeof constant_name, "%s.value", name);
    NM_TRY(nm_tensor_new(&tensor, &shape, NM_F32, r->err));
    memcpy(tensor->f64, numbers, (size_t)n * sizeof *numbers);
    NM_TRY(add_constant(r, constant_name, tensor, &in[1]));
    NM_TRY(nm_net_add_op(r->net, kind, name, in, 2, name, NULL, 0, &op, r->err));
    r->value = r->net->ops[op].out;
done:
    return rc;
}

static nm_status read_weights(reader *r, int64_t layer, nm_tensor **out)
{
    nm_status rc = NM_OK;
    nm_shape shape = {.rank = 2, .dim = {r->sizes[layer + 1], r->sizes[layer]}};
    char what[80];

    NM_TRY(nm_tensor_new(out, &shape, NM_F32, r->err));
    for (int64_t i = 0; i < shape.dim[0]; i++) {
        (void)snprintf(what, sizeof what, "weights of layer %lld, neuron %lld", (long long)layer,
                       (long long)i);
        NM_TRY(read_row(r, (*out)->f64 + i * shape.dim[1], (size_t)shape.dim[1], what));
    }
done:
    return rc;
}

static nm_status read_biases(reader *r, int64_t layer, nm_tensor **out)
{
    nm_status rc = NM_OK;
    nm_shape shape = {.rank = 1, .dim = {r->sizes[layer + 1]}};
    char what[80];

    NM_TRY(nm_tensor_new(out, &shape, NM_F32, r->err));
    for (int64_t i = 0; i < shape.dim[0]; i++) {
        (void)snprintf(what, sizeof what, "bias of layer %lld, neuron %lld", (long long)layer,
                       (long long)i);
        NM_TRY(read_row(r, (*out)->f64 + i, 1, what));
    }
done:
    return rc;
}

static nm_status read_layer(reader *r, int64_t layer)
{
    nm_status rc = NM_OK;
    nm_tensor *weights = NULL, *biases = NULL;
    nm_dense_attr attr;
    char name[64], weight_name[80], bias_name[80];
    int in[3] = {r->value}, op;

    memset(&attr, 0, sizeof attr); /* padding, too: attributes are compared as bytes */
    attr.alpha = attr.beta = 1;
    attr.trans_b = true;
    (void)snprintf(name, sizeof name, "dense_%lld", (long long)layer);
    (void)snprintf(weight_name, sizeof weight_name, "%s.weight", name);
    (void)snprintf(bias_name, sizeof bias_name, "%s.bias", name);
    NM_TRY(read_weights(r, layer, &weights));
    NM_TRY(read_biases(r, layer, &biases));
    rc = add_constant(r, weight_name, weights, &in[1]);
    weights = NULL;
    if (rc == NM_OK) {
        rc = add_constant(r, bias_name, biases, &in[2]);
        biases = NULL;
    }
    NM_TRY(rc);
    NM_TRY(nm_net_add_op(r->net, &nm_op_dense, name, in, 3, name, &attr, sizeof attr, &op, r->err));
    r->value = r->net->ops[op].out;
    if (layer + 1 < r->n_layers) {
        (void)snprintf(name, sizeof name, "relu_%lld", (long long)layer);
        NM_TRY(nm_net_add_op(r->net, &nm_op_relu, name, &r->value, 1, name, NULL, 0, &op, r->err));
        r->value = r->net->ops[op].out;
    }
done:
    nm_tensor_unref(weights);
    nm_tensor_unref(biases);
    return rc;
}

static nm_status read_layers(reader *r)
{
    nm_status rc = NM_OK;
    const char *begin, *end;

    for (int64_t i = 0; i < r->n_layers; i++)
        NM_TRY(read_layer(r, i));
    if (next_line(r, &begin, &end))
        NM_THROW(r->err, NM_E_FORMAT, "line %zu: more after the last layer, expected the end",
                 r->line);
done:
    return rc;
}

/* Leaves neutral means and ranges behind, for which no operators are made. */
static void drop_normalisation(reader *r)
{
    for (int64_t i = 0; i <= r->sizes[0]; i++) {
        if (i < r->sizes[0]) {
            r->minima[i] = (r->minima[i] - r->means[i]) / r->ranges[i];
            r->maxima[i] = (r->maxima[i] - r->means[i]) / r->ranges[i];
        }
        r->means[i] = 0;
        r->ranges[i] = 1;
    }
}

static nm_status build(reader *r)
{
    nm_status rc = NM_OK;
    int64_t n_in = r->sizes[0];
    nm_shape shape = {.rank = 2, .dim = {1, n_in}};

    NM_TRY(nm_net_new(&r->net, r->err));
    NM_TRY(nm_net_add_value(r->net, "input", &shape, &r->value, r->err));
    r->net->input = r->value;
    r->net->batch_symbolic = true;
    NM_TRY(add_normalisation(r, "Sub", "input_mean", r->means, n_in, 0));
    NM_TRY(add_normalisation(r, "Div", "input_range", r->ranges, n_in, 1));
    NM_TRY(read_layers(r));
    NM_TRY(add_normalisation(r, "Mul", "output_range", r->ranges + n_in, 1, 1));
    NM_TRY(add_normalisation(r, "Add", "output_mean", r->means + n_in, 1, 0));
    r->net->output = r->value;
done:
    return rc;
}

/* Keeps comments, minima and maxima, which the graph does not hold. */
static nm_status remember(reader *r, const nm_buffer *file)
{
    nm_status rc = NM_OK;
    nm_file_source *source;
    reader comments = {.pos = (const char *)file->data, .end = r->end};
    size_t n;

    NM_TRY(nm_file_source_new(NM_FORMAT_NNET, &source, r->err));
    r->net->source = &source->base;
    skip_comments(&comments);
    n = (size_t)(comments.pos - (const char *)file->data);
    NM_TRY(nm_alloc(&source->comments, n + 1, 1, r->err));
    for (size_t i = 0; i < n; i++)
        source->comments[i] = file->data[i] ? (char)file->data[i] : ' ';
    source->minima = r->minima;
    source->maxima = r->maxima;
    r->minima = r->maxima = NULL;
done:
    return rc;
}

static nm_status read_all(const nm_buffer *file, bool normalised, nm_net **out, nm_err *err)
{
    nm_status rc = NM_OK;
    reader r = {.pos = (const char *)file->data, .err = err};

    *out = NULL;
    r.end = r.pos + file->n_bytes;
    NM_TRY(read_header(&r));
    if (normalised)
        drop_normalisation(&r);
    NM_TRY(build(&r));
    NM_TRY(remember(&r, file));
    NM_TRY(nm_net_finish(r.net, err));
    *out = r.net;
    r.net = NULL;
done:
    nm_net_free(r.net);
    nm_free(r.sizes);
    nm_free(r.minima);
    nm_free(r.maxima);
    nm_free(r.means);
    nm_free(r.ranges);
    return rc;
}

nm_status nm_nnet_read(const nm_buffer *file, nm_net **out, nm_err *err)
{
    return read_all(file, false, out, err);
}

nm_status nm_nnet_read_normalised(const nm_buffer *file, nm_net **out, nm_err *err)
{
    return read_all(file, true, out, err);
}
