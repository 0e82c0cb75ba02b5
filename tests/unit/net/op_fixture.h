/* A net of one operator with random inputs, and the properties that every operator must have.
 * Included by each test_op_*.c, so that one program stays one file. */
#ifndef NM_TESTS_OP_FIXTURE_H
#define NM_TESTS_OP_FIXTURE_H

#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "net/arena.h"
#include "net/graph.h"
#include "net/op.h"

enum { N_POINTS = 3, N_TRIES = 20, MAX_ROOMS = 256 };

#define SHAPE(...)                                                                                 \
    ((nm_shape){.rank = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .dim = {__VA_ARGS__}})
#define SCALAR ((nm_shape){0})
#define INT(key, value) ((nm_attr_value){.name = (key), .type = NM_ATTR_INT, .i = (value)})
#define FLOAT(key, value) ((nm_attr_value){.name = (key), .type = NM_ATTR_FLOAT, .f = (value)})
#define TEXT(key, value) ((nm_attr_value){.name = (key), .type = NM_ATTR_STRING, .s = (value)})
#define INTS(key, ...)                                                                             \
    ((nm_attr_value){.name = (key),                                                                \
                     .type = NM_ATTR_INTS,                                                         \
                     .ints = (const int64_t[]){__VA_ARGS__},                                       \
                     .n = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)})
#define ATTRS(...)                                                                                 \
    .attrs = (const nm_attr_value[]){__VA_ARGS__},                                                 \
    .n_attrs = sizeof((const nm_attr_value[]){__VA_ARGS__}) / sizeof(nm_attr_value)

/** One input of the operator. */
typedef struct operand {
    nm_shape shape;
    enum { VARIES, CONSTANT, ABSENT } role;
    double lo, hi;        /* range of random values; both 0 = [-2, 2] */
    const double *values; /* given values instead (constants) */
} operand;

#define X(...) ((operand){.shape = SHAPE(__VA_ARGS__)})
#define C(...) ((operand){.shape = SHAPE(__VA_ARGS__), .role = CONSTANT})
#define NUMBERS(...)                                                                               \
    ((operand){.shape = SHAPE(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),                   \
               .role = CONSTANT,                                                                   \
               .values = (const double[]){__VA_ARGS__}})
#define NUMBER(value)                                                                              \
    ((operand){.shape = SCALAR, .role = CONSTANT, .values = (const double[]){value}})
#define NONE ((operand){.role = ABSENT})

/** An operator to build; a missing opset means 17. */
typedef struct recipe {
    const char *onnx_name;
    const nm_attr_value *attrs;
    size_t n_attrs;
    int64_t opset;
    bool batch_symbolic;
    operand in[5];
    int n_in;
} recipe;

typedef struct fixture {
    nm_net *net;
    const nm_op *op;
    const nm_op_kind *kind;
    nm_arena arena;
    nm_rng rng;
    int64_t size_in[5], size_out; /* per point */
    double *x[5];                 /* [N_POINTS x size], constants [size]; float32 values */
    double *y;                    /* [N_POINTS x size_out] forward_f64 at x */
    void *rooms[MAX_ROOMS];
    int n_rooms;
} fixture;

static inline double *room(fixture *f, int64_t n)
{
    double *p = malloc((size_t)(n > 0 ? n : 1) * sizeof *p);

    assert_non_null(p);
    assert_true(f->n_rooms < MAX_ROOMS);
    f->rooms[f->n_rooms++] = p;
    for (int64_t i = 0; i < n; i++)
        p[i] = (double)NAN; /* so that entries that are not written show */
    return p;
}

static inline double *random_room(fixture *f, int64_t n, double lo, double hi)
{
    double *p = room(f, n);

    for (int64_t i = 0; i < n; i++)
        p[i] = (double)(float)(lo + (hi - lo) * nm_rng_uniform(&f->rng));
    return p;
}

static inline bool varies(const fixture *f, int i)
{
    return f->op->in[i] >= 0 && !f->net->values[f->op->in[i]].constant;
}

static inline nm_status add_operand(fixture *f, const operand *o, int i, int *index, nm_err *err)
{
    char name[8] = {(char)('a' + i), 0};
    int64_t size = nm_shape_size(&o->shape);
    nm_tensor *tensor;
    nm_status rc;

    *index = -1;
    if (o->role == ABSENT)
        return NM_OK;
    if (o->role == VARIES)
        return nm_net_add_value(f->net, name, &o->shape, index, err);
    rc = nm_tensor_new(&tensor, &o->shape, NM_F32, err);
    if (rc != NM_OK)
        return rc;
    for (int64_t k = 0; k < size; k++) {
        double span = o->lo < o->hi ? o->hi - o->lo : 4, lo = o->lo < o->hi ? o->lo : -2;

        tensor->f64[k] =
            o->values ? o->values[k] : (double)(float)(lo + span * nm_rng_uniform(&f->rng));
        tensor->f32[k] = (float)tensor->f64[k];
    }
    return nm_net_add_constant(f->net, name, tensor, index, err);
}

/** Builds the net; on failure the fixture is empty and err says why. */
static inline nm_status build(fixture *f, const recipe *r, uint64_t seed, nm_err *err)
{
    nm_node_view node = {.op_type = r->onnx_name,
                         .opset = r->opset ? r->opset : 17,
                         .attrs = r->attrs,
                         .n_attrs = r->n_attrs};
    _Alignas(16) unsigned char attr[512] = {0};
    int in[5], at = 0;
    nm_status rc = NM_OK;

    *f = (fixture){.kind = nm_op_find(r->onnx_name), .rng = {.seed = seed}};
    assert_non_null(f->kind);
    assert_true(f->kind->attr_bytes <= sizeof attr);
    NM_TRY(nm_net_new(&f->net, err));
    f->net->batch_symbolic = r->batch_symbolic;
    for (int i = 0; i < r->n_in; i++)
        NM_TRY(add_operand(f, &r->in[i], i, &in[i], err));
    if (f->kind->parse)
        NM_TRY(f->kind->parse(&node, attr, err));
    NM_TRY(nm_net_add_op(f->net, f->kind, "op", in, r->n_in, "y", attr, f->kind->attr_bytes, &at,
                         err));
    f->op = &f->net->ops[at];
    f->size_out = f->net->values[f->op->out].size;
    return NM_OK;
done:
    nm_net_free(f->net);
    f->net = NULL;
    return rc;
}

static inline void teardown(fixture *f)
{
    for (int i = 0; i < f->n_rooms; i++)
        free(f->rooms[i]);
    nm_arena_clear(&f->arena);
    nm_net_free(f->net);
}

static inline nm_exec exec_of(fixture *f, int64_t n, bool plain)
{
    (void)nm_arena_reset(&f->arena, NULL);
    return (nm_exec){.net = f->net, .op = f->op, .n = n, .plain = plain, .arena = &f->arena};
}

/** forward_f64 of n points from other inputs. */
static inline double *forward(fixture *f, double *const *x, int64_t n, bool plain)
{
    nm_exec ex = exec_of(f, n, plain);
    double *y = room(f, n * f->size_out);

    f->kind->forward_f64(&ex, (const double *const *)x, y);
    return y;
}

/** Draws the inputs and evaluates them. */
static inline void fill(fixture *f, const recipe *r)
{
    bool any_varies = false;

    for (int i = 0; i < r->n_in; i++) {
        const operand *o = &r->in[i];
        bool ranged = o->lo < o->hi;

        if (f->op->in[i] < 0)
            continue;
        f->size_in[i] = f->net->values[f->op->in[i]].size;
        any_varies = any_varies || varies(f, i);
        if (varies(f, i))
            f->x[i] =
                random_room(f, N_POINTS * f->size_in[i], ranged ? o->lo : -2, ranged ? o->hi : 2);
        else
            f->x[i] = f->net->values[f->op->in[i]].constant->f64;
    }
    f->y = forward(f, f->x, any_varies ? N_POINTS : 1, false);
}

static inline fixture make(const recipe *r, uint64_t seed)
{
    nm_err err = {0};
    fixture f;

    print_message("%s, seed %llu\n", r->onnx_name, (unsigned long long)seed);
    nm_assert_ok(build(&f, r, seed, &err), &err);
    fill(&f, r);
    return f;
}

/* -- the properties -------------------------------------------------------------------------- */

/* Inputs x + t d for the varying inputs (d may have NULL entries). */
static inline void shifted(fixture *f, double *const *d, double t, double **to)
{
    for (int i = 0; i < f->op->n_in; i++) {
        to[i] = f->x[i];
        if (!d[i])
            continue;
        to[i] = room(f, N_POINTS * f->size_in[i]);
        for (int64_t k = 0; k < N_POINTS * f->size_in[i]; k++)
            to[i][k] = f->x[i][k] + t * d[i][k];
    }
}

static inline void random_direction(fixture *f, double scale, double **d)
{
    for (int i = 0; i < f->op->n_in; i++)
        d[i] = varies(f, i) ? random_room(f, N_POINTS * f->size_in[i], -scale, scale) : NULL;
}

static inline double *tangent(fixture *f, double *const *d, bool plain)
{
    nm_exec ex = exec_of(f, N_POINTS, plain);
    double *dy = room(f, N_POINTS * f->size_out);

    f->kind->jvp(&ex, (const double *const *)f->x, f->y, (const double *const *)d, dy);
    return dy;
}

/* What local errors of sums are computed from; weights that a test has changed count. */
static inline void prepare_sums(fixture *f, double **r, nm_exec *ex)
{
    double *x = room(f, N_POINTS * f->size_in[0]), *m = room(f, N_POINTS * f->size_out), *s;

    for (int i = 0; i < f->op->n_in; i++) {
        const nm_tensor *tensor = nm_op_constant(f->net, f->op, i);

        for (int64_t k = 0; tensor && k < tensor->size; k++)
            tensor->f32[k] = (float)tensor->f64[k];
    }
    for (int64_t k = 0; k < N_POINTS * f->size_in[0]; k++)
        x[k] = fabs(f->x[0][k]);
    f->kind->magnitude(ex, x, true, m);
    ex->magnitude = m;
    if (r[0]) {
        s = room(f, N_POINTS * f->size_out);
        f->kind->spread(ex, (const double *const *)f->x, f->y, (const double *const *)r, s);
        ex->spread = s;
    }
}

/* Evaluates one of the bound facets with radius r for all elements of varying inputs. */
static inline double *bound(fixture *f,
                            void (*facet)(const nm_exec *, const double *const *, const double *,
                                          const double *const *, double *),
                            double **r)
{
    nm_exec ex = exec_of(f, N_POINTS, false);
    double *b = room(f, N_POINTS * f->size_out);

    if (f->kind->magnitude && facet == f->kind->local_error)
        prepare_sums(f, r, &ex);
    if (facet)
        facet(&ex, (const double *const *)f->x, f->y, (const double *const *)r, b);
    else
        memset(b, 0, (size_t)(N_POINTS * f->size_out) * sizeof *b);
    return b;
}

/* All points at once give what each gives alone. */
static inline void check_points_are_independent(fixture *f)
{
    for (int64_t p = 0; p < N_POINTS; p++) {
        double *x[5];

        for (int i = 0; i < f->op->n_in; i++)
            x[i] = f->x[i] && varies(f, i) ? f->x[i] + p * f->size_in[i] : f->x[i];
        nm_assert_close(forward(f, x, 1, false), f->y + p * f->size_out, (size_t)f->size_out, 1e-12,
                        1e-12);
    }
}

static inline void check_plain_equals_blas(fixture *f)
{
    nm_assert_close(forward(f, f->x, N_POINTS, true), f->y, (size_t)(N_POINTS * f->size_out), 1e-12,
                    1e-12);
}

/* The finite difference of step h is off by the residual at h, and by its own rounding. */
static inline void check_tangent(fixture *f)
{
    const double h = 1e-6;
    double *d[5], *r[5], *above[5], *below[5], *dy, *up, *down, *q;
    int64_t n_sharp = 0, n = N_POINTS * f->size_out;

    random_direction(f, 1, d);
    for (int i = 0; i < f->op->n_in; i++) {
        r[i] = d[i] ? room(f, N_POINTS * f->size_in[i]) : NULL;
        for (int64_t k = 0; d[i] && k < N_POINTS * f->size_in[i]; k++)
            r[i][k] = h;
    }
    shifted(f, d, h, above);
    shifted(f, d, -h, below);
    dy = tangent(f, d, false);
    nm_assert_close(tangent(f, d, true), dy, (size_t)n, 1e-12, 1e-12);
    up = forward(f, above, N_POINTS, false);
    down = forward(f, below, N_POINTS, false);
    q = bound(f, f->kind->residual, r);
    for (int64_t k = 0; k < n; k++) {
        double difference = (up[k] - down[k]) / (2 * h), scale = 1 + fabs(f->y[k]) + fabs(dy[k]);

        nm_assert_close(&difference, &dy[k], 1, 0, 1e-8 * scale + q[k] / h);
        n_sharp += q[k] / h < 1e-4 * scale;
    }
    assert_true(n_sharp * 10 >= n * 8); /* the residual must not excuse everything */
}

/* <g, J d> = <J' g, d>; vjp adds to what is there. */
static inline void check_adjoint(fixture *f)
{
    double *d[5], *back[5], *before[5], *dy, *g, left = 0, right = 0, scale = 0;
    nm_exec ex;

    random_direction(f, 1, d);
    dy = tangent(f, d, false);
    g = random_room(f, N_POINTS * f->size_out, -1, 1);
    random_direction(f, 1, before);
    for (int i = 0; i < f->op->n_in; i++) {
        back[i] = d[i] ? room(f, N_POINTS * f->size_in[i]) : NULL;
        if (d[i])
            memcpy(back[i], before[i], (size_t)(N_POINTS * f->size_in[i]) * sizeof(double));
    }
    ex = exec_of(f, N_POINTS, false);
    f->kind->vjp(&ex, (const double *const *)f->x, f->y, g, back);
    for (int64_t k = 0; k < N_POINTS * f->size_out; k++) {
        left += g[k] * dy[k];
        scale += fabs(g[k] * dy[k]);
    }
    for (int i = 0; i < f->op->n_in; i++)
        for (int64_t k = 0; d[i] && k < N_POINTS * f->size_in[i]; k++) {
            right += (back[i][k] - before[i][k]) * d[i][k];
            scale += fabs((back[i][k] - before[i][k]) * d[i][k]);
        }
    nm_assert_close(&right, &left, 1, 0, 1e-11 * (1 + scale));
}

/* An input without a tangent counts as constant. */
static inline void check_partial_tangents_add_up(fixture *f)
{
    double *d[5], *one[5], *all, *sum;

    random_direction(f, 1, d);
    all = tangent(f, d, false);
    sum = room(f, N_POINTS * f->size_out);
    memset(sum, 0, (size_t)(N_POINTS * f->size_out) * sizeof *sum);
    for (int i = 0; i < f->op->n_in; i++) {
        for (int k = 0; k < f->op->n_in; k++)
            one[k] = k == i ? d[k] : NULL;
        double *part = tangent(f, one, false);

        for (int64_t k = 0; k < N_POINTS * f->size_out; k++)
            sum[k] += part[k];
    }
    nm_assert_close(sum, all, (size_t)(N_POINTS * f->size_out), 1e-12, 1e-12);
}

/* |f(x + d) - f(x)| <= spread and |f(x + d) - f(x) - J d| <= residual for |d| <= r. */
static inline void check_bounds_contain_samples(fixture *f, double radius)
{
    double *r[5], *d[5], *x[5], *s, *q;
    int64_t n = N_POINTS * f->size_out;

    for (int i = 0; i < f->op->n_in; i++)
        r[i] = varies(f, i) ? random_room(f, N_POINTS * f->size_in[i], 0, radius) : NULL;
    s = bound(f, f->kind->spread, r);
    q = bound(f, f->kind->residual, r);
    for (int t = 0; t < N_TRIES; t++) {
        int n_rooms = f->n_rooms;

        for (int i = 0; i < f->op->n_in; i++) {
            d[i] = r[i] ? random_room(f, N_POINTS * f->size_in[i], -1, 1) : NULL;
            for (int64_t k = 0; d[i] && k < N_POINTS * f->size_in[i]; k++)
                d[i][k] = r[i][k] * (t % 2 ? d[i][k] : d[i][k] < 0 ? -1 : 1); /* or a corner */
        }
        shifted(f, d, 1, x);
        double *y = forward(f, x, N_POINTS, false), *dy = tangent(f, d, false);

        for (int64_t k = 0; k < n; k++) {
            double change = y[k] - f->y[k], slack = 1e-13 * (1 + fabs(y[k]) + fabs(f->y[k]));

            if (isnan(s[k]) || fabs(change) > s[k] + slack)
                fail_msg("[%lld] changed by %g, spread %g", (long long)k, change, s[k]);
            if (isnan(q[k]) || fabs(change - dy[k]) > q[k] + slack + 1e-13 * fabs(dy[k]))
                fail_msg("[%lld] off the tangent by %g, residual %g", (long long)k, change - dy[k],
                         q[k]);
        }
        while (f->n_rooms > n_rooms)
            free(f->rooms[--f->n_rooms]);
    }
}

static inline float *to_f32(fixture *f, const double *x, int64_t n)
{
    float *p = (float *)room(f, n);

    for (int64_t i = 0; i < n; i++)
        p[i] = (float)x[i];
    return p;
}

/* The float32 evaluation at float32 points within r of x stays within local_error of the exact
   values there. */
static inline void check_local_error(fixture *f, double radius)
{
    double *r[5], *d[5], *x[5], *e, *y;
    const float *x32[5];
    float *y32 = (float *)room(f, N_POINTS * f->size_out);
    nm_exec ex;

    for (int i = 0; i < f->op->n_in; i++) {
        r[i] =
            radius > 0 && varies(f, i) ? random_room(f, N_POINTS * f->size_in[i], 0, radius) : NULL;
        d[i] = r[i] ? random_room(f, N_POINTS * f->size_in[i], -0.999, 0.999) : NULL;
        for (int64_t k = 0; d[i] && k < N_POINTS * f->size_in[i]; k++)
            d[i][k] *= r[i][k];
    }
    shifted(f, d, 1, x);
    for (int i = 0; i < f->op->n_in; i++) {
        int64_t n = f->size_in[i] * (varies(f, i) ? N_POINTS : 1);

        x32[i] = x[i] ? to_f32(f, x[i], n) : NULL;
        for (int64_t k = 0; d[i] && k < n; k++)
            x[i][k] = (double)x32[i][k];
    }
    e = bound(f, f->kind->local_error, r);
    y = forward(f, x, N_POINTS, false);
    ex = exec_of(f, N_POINTS, false);
    f->kind->forward_f32(&ex, x32, y32);
    for (int64_t k = 0; k < N_POINTS * f->size_out; k++)
        if (!(fabs((double)y32[k] - y[k]) <= e[k]))
            fail_msg("[%lld] float32 %.9g, exact %.17g, bound %g", (long long)k, (double)y32[k],
                     y[k], e[k]);
}

static inline bool pin_holds(const nm_pin *pin, const double *z, double slack)
{
    double difference = z[pin->plus] - (pin->minus < 0 ? 0 : z[pin->minus]);

    return pin->sign * difference >= pin->rhs - slack;
}

/* All pins hold where they were taken; wherever they all hold, f is its tangent there. */
static inline void check_pins(fixture *f)
{
    int64_t n = f->kind->n_pins ? f->kind->n_pins(f->net, f->op) : 0, n_kept = 0, n_left = 0;
    double *d[5], *x[5];

    for (int t = 0; t < 10 * N_TRIES; t++) {
        int n_rooms = f->n_rooms;

        random_direction(f, 2 * pow(0.7, t % 20), d);
        shifted(f, d, 1, x);
        double *y = forward(f, x, N_POINTS, false), *dy = tangent(f, d, false);

        for (int64_t p = 0; p < N_POINTS; p++) {
            bool kept = true, linear = true;

            for (int64_t k = 0; k < n; k++) {
                nm_pin pin = f->kind->pin(f->net, f->op, f->x[0] + p * f->size_in[0], k);

                assert_true(pin_holds(&pin, f->x[0] + p * f->size_in[0], 1e-15));
                kept = kept && pin_holds(&pin, x[0] + p * f->size_in[0], 0);
            }
            for (int64_t k = p * f->size_out; k < (p + 1) * f->size_out; k++)
                linear = linear && fabs(f->y[k] + dy[k] - y[k]) <= 1e-12 * (1 + fabs(y[k]));
            assert_true(linear || !kept);
            n_kept += kept;
            n_left += !linear;
        }
        while (f->n_rooms > n_rooms)
            free(f->rooms[--f->n_rooms]);
    }
    assert_true(n_kept > 0);
    assert_true(n == 0 ? n_left == 0 : n_left > 0);
}

/* Layers are linear in their parameters: f(w + dw) - f(w) = J_w dw, and J' is its adjoint. */
static inline void check_parameters(fixture *f)
{
    int w = f->kind->weight_in, b = f->kind->bias_in;
    bool biased = f->op->n_in > b && f->op->in[b] >= 0;
    int64_t n = N_POINTS * f->size_out, n_w = f->size_in[w], n_b = biased ? f->size_in[b] : 0;
    double *dw = random_room(f, n_w, -1, 1), *db = biased ? random_room(f, n_b, -1, 1) : NULL;
    double *x[5], *dy = random_room(f, n, -1, 1), *want = room(f, n);
    double *gw = random_room(f, n_w, -1, 1), *gb = biased ? random_room(f, n_b, -1, 1) : NULL;
    double *g = random_room(f, n, -1, 1), *dy0 = room(f, n), left = 0, right = 0;
    nm_exec ex = exec_of(f, N_POINTS, false);

    memcpy(x, f->x, sizeof x);
    x[w] = room(f, n_w);
    for (int64_t k = 0; k < n_w; k++)
        x[w][k] = f->x[w][k] + dw[k];
    if (biased)
        x[b] = room(f, n_b);
    for (int64_t k = 0; k < n_b; k++)
        x[b][k] = f->x[b][k] + db[k];
    double *moved = forward(f, x, N_POINTS, false);

    for (int64_t k = 0; k < n; k++) {
        dy0[k] = dy[k];
        want[k] = dy[k] + moved[k] - f->y[k];
    }
    f->kind->param_jvp(&ex, f->x[0], dw, db, dy);
    nm_assert_close(dy, want, (size_t)n, 1e-11, 1e-11);
    for (int64_t k = 0; k < n_w; k++)
        right -= gw[k] * dw[k];
    for (int64_t k = 0; k < n_b; k++)
        right -= gb[k] * db[k];
    ex = exec_of(f, N_POINTS, false);
    f->kind->param_vjp(&ex, f->x[0], g, gw, gb);
    for (int64_t k = 0; k < n_w; k++)
        right += gw[k] * dw[k];
    for (int64_t k = 0; k < n_b; k++)
        right += gb[k] * db[k];
    for (int64_t k = 0; k < n; k++)
        left += g[k] * (dy[k] - dy0[k]);
    nm_assert_close(&right, &left, 1, 1e-10, 1e-10);
    ex = exec_of(f, N_POINTS, false);
    f->kind->param_vjp(&ex, f->x[0], g, NULL, NULL); /* nothing asked for */
    f->kind->param_jvp(&ex, f->x[0], NULL, NULL, dy);
}

/** Every property that applies to the operator. */
static inline void check_all(fixture *f)
{
    check_points_are_independent(f);
    check_plain_equals_blas(f);
    check_tangent(f);
    check_adjoint(f);
    check_partial_tangents_add_up(f);
    check_bounds_contain_samples(f, 1e-3);
    check_bounds_contain_samples(f, 0.1);
    check_bounds_contain_samples(f, 1);
    check_local_error(f, 0);
    check_local_error(f, 0.1);
    check_local_error(f, 3);
    if (!nm_op_is_smooth(f->net, f->op))
        check_pins(f);
    if (f->kind->weight_in > 0)
        check_parameters(f);
}

/** Builds one operator, checks everything, returns nothing to clean up. */
static inline void check_recipe(const recipe *r, uint64_t seed)
{
    fixture f = make(r, seed);

    check_all(&f);
    teardown(&f);
}

/** The operator must be refused with a message that contains `part`. */
static inline void assert_refused(const recipe *r, const char *part)
{
    nm_err err = {0};
    fixture f;

    if (build(&f, r, 1, &err) == NM_OK)
        fail_msg("%s was accepted, expected '%s'", r->onnx_name, part);
    if (!strstr(err.text, part))
        fail_msg("%s: message '%s' lacks '%s'", r->onnx_name, err.text, part);
}

#endif
