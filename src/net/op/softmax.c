/* Softmax and LogSoftmax along one axis; before opset 13 along all axes from `axis` on, as one. */
#ifdef NM_REAL

/* The largest entry of a line, and the sum of exp(x - largest). */
static NM_REAL NM_TYPED(normaliser)(const struct lines *s, const NM_REAL *x, NM_REAL *largest)
{
    NM_REAL sum = 0;

    *largest = x[0];
    for (int64_t i = 1; i < s->length; i++)
        if (x[i * s->inner] > *largest)
            *largest = x[i * s->inner];
    for (int64_t i = 0; i < s->length; i++)
        sum += NM_EXP(x[i * s->inner] - *largest);
    return sum;
}

static void NM_TYPED(forward)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    struct lines s = lines_of(ex);

    for (int64_t k = 0; k < s.n; k++) {
        int64_t at = line_at(&s, k);
        NM_REAL largest, sum = NM_TYPED(normaliser)(&s, in[0] + at, &largest);

        for (int64_t i = at; i < at + s.length * s.inner; i += s.inner)
            out[i] = NM_EXP(in[0][i] - largest) / sum;
    }
}

static void NM_TYPED(forward_log)(const nm_exec *ex, const NM_REAL *const *in, NM_REAL *out)
{
    struct lines s = lines_of(ex);

    for (int64_t k = 0; k < s.n; k++) {
        int64_t at = line_at(&s, k);
        NM_REAL largest, sum = NM_TYPED(normaliser)(&s, in[0] + at, &largest);

        for (int64_t i = at; i < at + s.length * s.inner; i += s.inner)
            out[i] = in[0][i] - largest - NM_LOG(sum);
    }
}

#else

#include "net/op/facet.h"
#include "net/op/smooth.h"
#include "net/op/typed_math.h"

struct attr {
    int64_t axis;
    bool to_end; /* all axes from `axis` on */
};

/* The lines that are normalised, each of `length` elements that lie `inner` apart. */
struct lines {
    int64_t n, length, inner;
};

static struct lines lines_of(const nm_exec *ex)
{
    const struct attr *attr = ex->op->attr;
    const nm_shape *shape = &nm_out_value(ex)->shape;
    struct lines s = {.length = 1, .inner = 1};
    int axis = 0;

    (void)nm_axis_resolve(attr->axis, shape->rank, &axis, NULL);
    for (int a = axis; a < shape->rank; a++)
        *(attr->to_end || a == axis ? &s.length : &s.inner) *= shape->dim[a];
    s.n = nm_out_total(ex) / s.length;
    return s;
}

static int64_t line_at(const struct lines *s, int64_t k)
{
    return k / s->inner * s->inner * s->length + k % s->inner;
}

#define NM_SELF "net/op/softmax.c"
#include "tensor/typed.h"

static nm_status parse(const nm_node_view *node, void *attr, nm_err *err)
{
    struct attr *a = attr;

    a->to_end = node->opset < 13;
    return nm_node_int(node, "axis", a->to_end ? 1 : -1, &a->axis, err);
}

static nm_status infer(const nm_net *net, const nm_op *op, nm_shape *out, nm_err *err)
{
    const struct attr *attr = op->attr;
    int axis = 0;
    nm_status rc = nm_axis_resolve(attr->axis, nm_op_shape(net, op, 0)->rank, &axis, err);

    if (rc == NM_OK)
        rc = nm_refuse_batch(net, op, 0, axis, err);
    return rc == NM_OK ? nm_infer_same(net, op, out, err) : rc;
}

/* y = softmax, d a direction: y_i (d_i - sum y_j d_j). The Jacobian is symmetric, so this is both
   the tangent and the adjoint. */
static void add_product(const struct lines *s, const double *y, const double *d, double *to)
{
    double mean = 0;

    for (int64_t i = 0; i < s->length * s->inner; i += s->inner)
        mean += y[i] * d[i];
    for (int64_t i = 0; i < s->length * s->inner; i += s->inner)
        to[i] += y[i] * (d[i] - mean);
}

static void vjp(const nm_exec *ex, const double *const *in, const double *out, const double *dout,
                double *const *din)
{
    struct lines s = lines_of(ex);

    (void)in;
    for (int64_t k = 0; din[0] && k < s.n; k++) {
        int64_t at = line_at(&s, k);

        add_product(&s, out + at, dout + at, din[0] + at);
    }
}

static void jvp(const nm_exec *ex, const double *const *in, const double *out,
                const double *const *din, double *dout)
{
    int64_t n = nm_out_total(ex);

    for (int64_t i = 0; i < n; i++)
        dout[i] = 0;
    if (din[0])
        vjp(ex, in, out, din[0], &dout);
}

/* d_i - sum p_j d_j, p = exp(out). */
static void jvp_log(const nm_exec *ex, const double *const *in, const double *out,
                    const double *const *din, double *dout)
{
    struct lines s = lines_of(ex);

    (void)in;
    for (int64_t k = 0; k < s.n; k++) {
        int64_t first = line_at(&s, k), end = first + s.length * s.inner;
        double mean = 0;

        for (int64_t i = first; i < end; i += s.inner)
            mean += exp(out[i]) * nm_or_zero(din[0], i);
        for (int64_t i = first; i < end; i += s.inner)
            dout[i] = nm_or_zero(din[0], i) - mean;
    }
}

/* g_i - p_i sum g_j. */
static void vjp_log(const nm_exec *ex, const double *const *in, const double *out,
                    const double *dout, double *const *din)
{
    struct lines s = lines_of(ex);

    (void)in;
    for (int64_t k = 0; din[0] && k < s.n; k++) {
        int64_t first = line_at(&s, k), end = first + s.length * s.inner;
        double sum = 0;

        for (int64_t i = first; i < end; i += s.inner)
            sum += dout[i];
        for (int64_t i = first; i < end; i += s.inner)
            din[0][i] += dout[i] - exp(out[i]) * sum;
    }
}

/* What a bound needs of a line. */
struct line {
    int64_t length;
    double radius; /* largest r */
    double reach;  /* largest |x| + r */
};

/* to[i] = bound(out[i], r[i], line) for all elements. */
static void fill_bound(const nm_exec *ex, double (*bound)(double y, double r, struct line line),
                       const double *x, const double *out, const double *r, double *to)
{
    struct lines s = lines_of(ex);

    for (int64_t k = 0; k < s.n; k++) {
        int64_t first = line_at(&s, k), end = first + s.length * s.inner;
        struct line line = {.length = s.length};

        for (int64_t i = first; i < end; i += s.inner) {
            line.radius = fmax(line.radius, nm_or_zero(r, i));
            line.reach = fmax(line.reach, fabs(x[i]) + nm_or_zero(r, i));
        }
        for (int64_t i = first; i < end; i += s.inner)
            to[i] = nm_up(bound(out[i], nm_or_zero(r, i), line));
    }
}

/* All ratios of exp(x_j) change by factors within exp(+-2 radius). */
static double spread_of(double y, double r, struct line line)
{
    (void)r;
    return fmin(1, y * expm1(2 * line.radius));
}

/* Along x + td, y_i'' = y_i ((d_i - m)^2 - var d), m and var under the weights y: at most
   y_i exp(2 radius) (2 radius)^2. */
static double residual_of(double y, double r, struct line line)
{
    double direct = spread_of(y, r, line) + 2 * line.radius * y;

    return fmin(direct, 2 * line.radius * line.radius * y * exp(2 * line.radius));
}

/* A rounded difference x - largest moves exp by a relative 2 reach u; numerator, sum and quotient
   are off by 4 ulp each way and gamma_length, from values of at most y exp(2 radius). */
static double error_of(double y, double r, struct line line)
{
    double relative =
        2 * NM_F32_LIBM + nm_gamma_f32(line.length + 4) + 2 * expm1(4 * line.reach * NM_F32_UNIT);

    (void)r;
    return relative < 0.5 ? 2 * relative * fmin(1, y * exp(2 * line.radius)) +
                                (double)(line.length + 4) * NM_F32_UNDERFLOW
                          : 1;
}

static double spread_of_log(double y, double r, struct line line)
{
    (void)y;
    return r + line.radius;
}

/* Half the variance of d, which lies within +- radius. */
static double residual_of_log(double y, double r, struct line line)
{
    (void)y, (void)r;
    return line.radius * line.radius / 2;
}

/* Roundings of x, the largest entry, the logarithm (at most log length) and two differences;
   the sum's relative error is an absolute one of its logarithm. */
static double error_of_log(double y, double r, struct line line)
{
    double sum = NM_F32_LIBM + nm_gamma_f32(line.length + 4) + 4 * line.reach * NM_F32_UNIT;

    (void)y, (void)r;
    return 2 * sum +
           (NM_F32_LIBM + nm_gamma_f32(4)) * (4 * line.reach + 1 + log((double)line.length));
}

static void spread(const nm_exec *ex, const double *const *in, const double *out,
                   const double *const *r, double *s)
{
    fill_bound(ex, spread_of, in[0], out, r[0], s);
}

static void residual(const nm_exec *ex, const double *const *in, const double *out,
                     const double *const *r, double *q)
{
    fill_bound(ex, residual_of, in[0], out, r[0], q);
}

static void local_error(const nm_exec *ex, const double *const *in, const double *out,
                        const double *const *r, double *e)
{
    fill_bound(ex, error_of, in[0], out, r[0], e);
}

static void spread_log(const nm_exec *ex, const double *const *in, const double *out,
                       const double *const *r, double *s)
{
    fill_bound(ex, spread_of_log, in[0], out, r[0], s);
}

static void residual_log(const nm_exec *ex, const double *const *in, const double *out,
                         const double *const *r, double *q)
{
    fill_bound(ex, residual_of_log, in[0], out, r[0], q);
}

static void local_error_log(const nm_exec *ex, const double *const *in, const double *out,
                            const double *const *r, double *e)
{
    fill_bound(ex, error_of_log, in[0], out, r[0], e);
}

const nm_op_kind nm_op_softmax = {.name = "Softmax",
                                  .onnx_names = NM_ONNX("Softmax"),
                                  .min_in = 1,
                                  .max_in = 1,
                                  .attr_bytes = sizeof(struct attr),
                                  .parse = parse,
                                  .infer = infer,
                                  .forward_f32 = forward_f32,
                                  .forward_f64 = forward_f64,
                                  .jvp = jvp,
                                  .vjp = vjp,
                                  .smooth = true,
                                  .local_error = local_error,
                                  .spread = spread,
                                  .residual = residual};

const nm_op_kind nm_op_log_softmax = {.name = "LogSoftmax",
                                      .onnx_names = NM_ONNX("LogSoftmax"),
                                      .min_in = 1,
                                      .max_in = 1,
                                      .attr_bytes = sizeof(struct attr),
                                      .parse = parse,
                                      .infer = infer,
                                      .forward_f32 = forward_log_f32,
                                      .forward_f64 = forward_log_f64,
                                      .jvp = jvp_log,
                                      .vjp = vjp_log,
                                      .smooth = true,
                                      .local_error = local_error_log,
                                      .spread = spread_log,
                                      .residual = residual_log};
#endif
