/* Bounds of values over boxes: against the network itself, and exact arithmetic. */
#include "region_support.h"

#include "base/mem.h"
#include "verify/batch.h"
#include "verify/check_bound.h"

enum { POINTS = 40 };

typedef struct rig {
    nm_net *net;
    nm_vnet *v;
    nm_bounder b;
    int64_t n_in, n_out;
    double *lo, *hi, *x, *y, *values;
    nm_ctx *ctx;
} rig;

static rig open_rig(nm_net *net, nm_rng *rng, double radius, bool float32)
{
    rig s = {.net = net};
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&s.ctx, &err), &err);
    s.n_in = net->values[net->input].size;
    s.n_out = net->values[net->output].size;
    nm_assert_ok(nm_alloc(&s.lo, (size_t)s.n_in, sizeof(double), &err), &err);
    nm_assert_ok(nm_alloc(&s.hi, (size_t)s.n_in, sizeof(double), &err), &err);
    nm_assert_ok(nm_alloc(&s.x, (size_t)s.n_in, sizeof(double), &err), &err);
    nm_assert_ok(nm_alloc(&s.y, (size_t)s.n_out, sizeof(double), &err), &err);
    make_box(rng, s.n_in, radius, s.lo, s.hi);
    nm_assert_ok(nm_vnet_new(net, s.lo, s.hi, float32, &s.v, &err), &err);
    nm_assert_ok(nm_alloc(&s.values, (size_t)s.v->n_neurons, sizeof(double), &err), &err);
    nm_assert_ok(nm_bounder_open(&s.b, s.v, false, &err), &err);
    return s;
}

static void close_rig(rig *s)
{
    nm_bounder_close(&s->b);
    nm_vnet_free(s->v);
    nm_net_free(s->net);
    nm_ctx_free(s->ctx);
    nm_free(s->lo);
    nm_free(s->hi);
    nm_free(s->x);
    nm_free(s->y);
    nm_free(s->values);
}

/* One network of every family of operators that has bounds. */
static nm_net *make_kind(int kind, uint64_t seed)
{
    static const int64_t widths[] = {4, 9, 8, 7, 3};
    static const char *const activations[] = {"Relu", "LeakyRelu", "Sigmoid",    "Tanh",
                                              "Abs",  "Clip",      "HardSigmoid"};

    if (kind < 7)
        return make_chain(seed, activations[kind], widths, 4);
    if (kind == 7)
        return make_residual_with(seed, "Relu");
    net_maker m = make_net(seed, MAKE_SHAPE(1, 2, 8, 8));
    make_conv(&m, 3, 3, 1);
    make_unary(&m, "Relu");
    make_pool(&m, kind == 8 ? "MaxPool" : "AveragePool");
    int skip = m.at;
    make_conv(&m, 2, 3, 1);
    make_op(&m, "Concat", (int[]){m.at, skip}, 2,
            &(nm_attr_value){.name = "axis", .type = NM_ATTR_INT, .i = 1}, 1);
    make_unary(&m, "Relu");
    make_unary(&m, "Flatten");
    make_dense(&m, 5);
    make_unary(&m, "Neg");
    make_op(&m, "Sub", (int[]){make_constant(&m, MAKE_SHAPE(5), 0, 1), m.at}, 2, NULL, 0);
    make_op(&m, "Mul", (int[]){m.at, make_constant(&m, MAKE_SHAPE(5), 1, 1)}, 2, NULL, 0);
    make_unary(&m, "Relu");
    make_dense(&m, 2);
    return make_done(&m);
}

enum { N_KINDS = 10 };

static void the_form_has_the_values_of_the_network(void **state)
{
    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            nm_rng rng = {.seed = seed, .stream = 7};
            rig s = open_rig(make_kind(kind, seed), &rng, 1, false);
            nm_err err = {0};

            for (int p = 0; p < POINTS; p++) {
                make_point(&rng, s.n_in, s.lo, s.hi, s.x);
                memcpy(s.values, s.x, (size_t)s.n_in * sizeof *s.x);
                nm_vnet_evaluate(s.v, s.values);
                nm_assert_ok(nm_net_forward_f64(s.ctx, s.net, s.x, 1, s.y, &err), &err);
                nm_assert_close(s.values + nm_vnet_output(s.v)->first, s.y, (size_t)s.n_out, 1e-9,
                                1e-9);
            }
            close_rig(&s);
        }
}

/* Rows and lines at points, evaluated by the network in double. */
static void bounds_contain_what_the_network_does(void **state)
{
    (void)state;
    for (int kind = 0; kind < N_KINDS; kind++)
        for (uint64_t seed = 1; seed <= 8; seed++) {
            nm_rng rng = {.seed = seed, .stream = 8};
            double radius = seed % 2 ? 1 : 0.05, bound[3], constant[3];
            rig s = open_rig(make_kind(kind, seed), &rng, radius, false);
            double *c, *slope;
            nm_vrow rows[3];
            nm_err err = {0};

            nm_assert_ok(nm_alloc(&c, (size_t)(3 * s.n_out), sizeof *c, &err), &err);
            nm_assert_ok(nm_alloc(&slope, (size_t)(3 * s.n_in), sizeof *slope, &err), &err);
            for (int64_t i = 0; i < 3 * s.n_out; i++)
                c[i] = nm_rng_normal(&rng);
            for (int r = 0; r < 3; r++)
                rows[r] = (nm_vrow){.c = c + r * s.n_out, .at_0 = nm_rng_normal(&rng)};
            assert_true(nm_bound_neurons(&s.b, s.lo, s.hi, NULL, NULL));
            nm_bound_rows(&s.b, 3, rows, bound, slope, constant);
            for (int p = 0; p < POINTS; p++) {
                make_point(&rng, s.n_in, s.lo, s.hi, s.x);
                nm_assert_ok(nm_net_forward_f64(s.ctx, s.net, s.x, 1, s.y, &err), &err);
                for (int r = 0; r < 3; r++) {
                    double value = rows[r].at_0, line = constant[r];

                    for (int64_t j = 0; j < s.n_out; j++)
                        value += rows[r].c[j] * s.y[j];
                    for (int64_t j = 0; j < s.n_in; j++)
                        line += slope[r * s.n_in + j] * s.x[j];
                    if (!(bound[r] <= value + 1e-9 && line <= value + 1e-9 &&
                          bound[r] <= line + 1e-9))
                        fail_msg("kind %d seed %d: bound %.17g, line %.17g, value %.17g", kind,
                                 (int)seed, bound[r], line, value);
                }
            }
            nm_free(c);
            nm_free(slope);
            close_rig(&s);
        }
}

/* Every rounding counts: values and lines in quadruple precision, without any tolerance. */
static void bounds_hold_exactly(void **state)
{
    static const int64_t widths[] = {3, 10, 10, 10, 2};

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        nm_rng rng = {.seed = seed, .stream = 9};
        /* Tiny boxes: most neurons are stable, bounds are tight, only rounding is left. */
        double radius = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 1e-3 : 1e-9;
        rig s = open_rig(make_chain(seed, "Relu", widths, 4), &rng, radius, false);
        __float128 z[64], act[64];
        double c[2] = {1, -1}, bound, slope[3], constant;
        nm_vrow row = {.c = c, .at_0 = nm_rng_normal(&rng)};

        assert_true(nm_bound_neurons(&s.b, s.lo, s.hi, NULL, NULL));
        nm_bound_rows(&s.b, 1, &row, &bound, slope, &constant);
        for (int p = 0; p < POINTS; p++) {
            int64_t first = nm_vnet_output(s.v)->first;
            __float128 value, line = constant;

            make_point(&rng, s.n_in, s.lo, s.hi, s.x);
            exact_values(s.v, s.x, z, act);
            for (int64_t i = s.n_in; i < s.v->n_neurons; i++)
                assert_true((__float128)s.b.lines.lo[i] <= z[i] &&
                            z[i] <= (__float128)s.b.lines.hi[i]);
            value = z[first] - z[first + 1] + (__float128)row.at_0;
            for (int j = 0; j < 3; j++)
                line += (__float128)slope[j] * (__float128)s.x[j];
            assert_true((__float128)bound <= value);
            assert_true(line <= value);
            if (radius < 1e-6) /* and they are not merely low */
                assert_true(value - (__float128)bound < 1e-6);
        }
        close_rig(&s);
    }
}

/* The same, with all roundings of one float32 evaluation, in several orders of summation. */
static void float32_bounds_contain_float32_evaluations(void **state)
{
    static const int64_t widths[] = {3, 30, 30, 2};

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        nm_rng rng = {.seed = seed, .stream = 10};
        rig s = open_rig(make_chain(seed, "Relu", widths, 3), &rng, 1e-7, true);
        double c[2] = {1, -1}, bound;
        nm_vrow row = {.c = c};

        assert_true(nm_bound_neurons(&s.b, s.lo, s.hi, NULL, NULL));
        nm_bound_rows(&s.b, 1, &row, &bound, NULL, NULL);
        for (int p = 0; p < POINTS; p++) {
            float act[2][32];
            int now = 0;

            make_point(&rng, s.n_in, s.lo, s.hi, s.x);
            for (int j = 0; j < 3; j++)
                act[0][j] = (float)s.x[j];
            for (int k = 1; k < s.v->n_nodes; k++, now = !now) {
                const nm_vnode *node = &s.v->nodes[k];
                int64_t n = s.v->nodes[k - 1].n;

                for (int64_t r = 0; r < node->n; r++) {
                    float sum = p % 2 ? (float)node->bias[r] : 0;

                    for (int64_t i = 0; i < n; i++) {
                        int64_t at = p % 3 ? i : n - 1 - i;

                        sum += (float)node->maps[0].dense[r * n + at] * act[now][at];
                    }
                    sum += p % 2 ? 0 : (float)node->bias[r];
                    act[!now][r] = node->kind == NM_VNODE_RELU && sum < 0 ? 0 : sum;
                }
            }
            assert_true(bound <= (double)(act[now][0] - act[now][1]) + 1e-7 * fabs(bound));
            assert_true(bound <= (double)act[now][0] - (double)act[now][1]);
        }
        close_rig(&s);
    }
}

/* Lanes with random slopes, given signs and multipliers, after some steps of ascent: at points that
   have these signs, exactly. */
static void bounds_of_lanes_hold_exactly(void **state)
{
    static const int64_t widths[] = {3, 10, 10, 10, 2};
    int n_checked = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        nm_rng rng = {.seed = seed, .stream = 11};
        rig s = open_rig(make_chain(seed, "Relu", widths, 4), &rng, seed % 2 ? 0.5 : 1e-4, false);
        __float128 z[64], act[64];
        nm_batch b;
        nm_err err = {0};
        int sign[NM_MOST_LANES][64] = {{0}};

        assert_true(nm_bound_neurons(&s.b, s.lo, s.hi, NULL, NULL));
        nm_assert_ok(nm_batch_open(&b, s.v, &s.b.lines, &err), &err);
        for (int lane = 0; lane < NM_MOST_LANES; lane++) {
            nm_batch_clear_lane(&b, lane);
            b.start[lane] = 1;
            b.start[NM_MOST_LANES + lane] = -1;
            b.at_0[lane] = nm_rng_normal(&rng);
            b.rate[lane] = 0.3;
            for (int k = 1; k < s.v->n_nodes; k++)
                for (int u = 0; u < b.n_unstable[k]; u++) {
                    int64_t first = s.v->nodes[k].first, i = first + b.unstable[first + u];

                    b.below[i * NM_MOST_LANES + lane] = nm_rng_uniform(&rng);
                    if (nm_rng_below(&rng, 4) != 0)
                        continue;
                    sign[lane][i] = nm_rng_below(&rng, 2) == 0 ? 1 : -1;
                    nm_batch_split(&b, lane, (int32_t)i, sign[lane][i] > 0,
                                   nm_rng_uniform(&rng) * 3, 1);
                }
        }
        for (int step = 0; step < 4; step++) {
            nm_batch_back(&b);
            for (int p = 0; p < POINTS; p++) {
                int64_t first = nm_vnet_output(s.v)->first;

                make_point(&rng, s.n_in, s.lo, s.hi, s.x);
                exact_values(s.v, s.x, z, act);
                for (int lane = 0; lane < NM_MOST_LANES; lane++) {
                    bool fits = true;

                    for (int64_t i = s.n_in; i < s.v->n_neurons; i++)
                        fits = fits && sign[lane][i] * z[i] >= 0;
                    n_checked += fits;
                    if (fits)
                        assert_true((__float128)b.bound[lane] <=
                                    z[first] - z[first + 1] + (__float128)b.at_0[lane]);
                }
            }
            nm_batch_forward(&b);
            nm_batch_ascend(&b);
            if (step == 2)
                nm_batch_round(&b);
        }
        nm_batch_close(&b);
        close_rig(&s);
    }
    assert_true(n_checked > 10000);
}

/* The checker's lines, likewise, and no further from the values than the prover's. */
static void the_checkers_lines_hold_exactly(void **state)
{
    static const int64_t widths[] = {3, 10, 10, 10, 2};
    static const double c[2] = {1, -1};

    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        nm_rng rng = {.seed = seed, .stream = 12};
        double radius = seed % 3 == 0 ? 1 : seed % 3 == 1 ? 1e-3 : 1e-9, bound;
        rig s = open_rig(make_chain(seed, "Relu", widths, 4), &rng, radius, false);
        __float128 z[64], act[64];
        nm_check_chain *chain;
        nm_check_bounds b;
        double slope[3], constant, at_0 = nm_rng_normal(&rng), least;
        nm_vrow row = {.c = c, .at_0 = at_0};
        nm_err err = {0};

        nm_assert_ok(nm_check_chain_new(s.net, s.lo, s.hi, &chain, &err), &err);
        nm_assert_ok(nm_check_bounds_open(&b, chain, &err), &err);
        assert_true(nm_check_neurons(&b, s.lo, s.hi));
        nm_check_line(&b, c, at_0, slope, &constant);
        least = nm_check_least(3, slope, constant, s.lo, s.hi);
        assert_true(nm_bound_neurons(&s.b, s.lo, s.hi, NULL, NULL));
        nm_bound_rows(&s.b, 1, &row, &bound, NULL, NULL);
        assert_true(fabs(bound - least) <= 1e-9 * (1 + fabs(bound)));
        for (int p = 0; p < POINTS; p++) {
            int64_t first = nm_vnet_output(s.v)->first;
            __float128 value, line = constant;

            make_point(&rng, s.n_in, s.lo, s.hi, s.x);
            exact_values(s.v, s.x, z, act);
            for (int64_t i = s.n_in; i < first; i++)
                assert_true((__float128)b.lo[i - s.n_in] <= z[i] &&
                            z[i] <= (__float128)b.hi[i - s.n_in]);
            value = z[first] - z[first + 1] + (__float128)at_0;
            for (int j = 0; j < 3; j++)
                line += (__float128)slope[j] * (__float128)s.x[j];
            assert_true(line <= value && (__float128)least <= value);
        }
        nm_check_bounds_close(&b);
        nm_check_chain_free(chain);
        close_rig(&s);
    }
}

/* Operators without bounds are refused by name. */
static void unsupported_operators_are_named(void **state)
{
    static const int64_t widths[] = {2, 3, 2};
    nm_net *net = make_chain(1, "Exp", widths, 2);
    double lo[2] = {0}, hi[2] = {1, 1};
    nm_vnet *v;
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_vnet_new(net, lo, hi, false, &v, &err), NM_E_UNSUPPORTED);
    assert_non_null(strstr(err.text, "Exp"));
    assert_null(v);
    nm_net_free(net);
}

/* A bound that overflows proves nothing. */
static void overflow_is_no_proof(void **state)
{
    static const int64_t widths[] = {2, 4, 4, 1};
    net_maker m = make_net(3, MAKE_SHAPE(1, 2));
    nm_rng rng = {.seed = 3};
    double c = 1, bound;
    nm_vrow row = {.c = &c};

    (void)state;
    m.scale = 1e30;
    for (int i = 1; i <= 3; i++) {
        make_dense(&m, widths[i]);
        if (i < 3)
            make_unary(&m, "Relu");
    }
    rig s = open_rig(make_done(&m), &rng, 1e30, false);
    s.v->nodes[1].bias[0] = (double)NAN; /* as if something had overflowed before */
    (void)nm_bound_neurons(&s.b, s.lo, s.hi, NULL, NULL);
    nm_bound_rows(&s.b, 1, &row, &bound, NULL, NULL);
    assert_false(bound > 0 && isfinite(bound));
    close_rig(&s);
}

/* Runtimes may take a denormal input for 0. */
static void float32_bounds_contain_flushed_inputs(void **state)
{
    net_maker m = make_net(1, MAKE_SHAPE(1, 1));
    double x = (double)1e-40F;
    nm_net *net;
    nm_vnet *v;
    nm_err err = {0};

    (void)state;
    make_unary(&m, "Relu");
    net = make_done(&m);
    nm_assert_ok(nm_vnet_new(net, &x, &x, true, &v, &err), &err);
    assert_true(v->nodes[1].error[0] >= x);
    nm_vnet_free(v);
    nm_assert_ok(nm_vnet_new(net, &x, &x, false, &v, &err), &err);
    assert_true(v->nodes[1].error[0] < x);
    nm_vnet_free(v);
    nm_net_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_form_has_the_values_of_the_network),
        cmocka_unit_test(bounds_contain_what_the_network_does),
        cmocka_unit_test(bounds_hold_exactly),
        cmocka_unit_test(float32_bounds_contain_float32_evaluations),
        cmocka_unit_test(float32_bounds_contain_flushed_inputs),
        cmocka_unit_test(bounds_of_lanes_hold_exactly),
        cmocka_unit_test(the_checkers_lines_hold_exactly),
        cmocka_unit_test(unsupported_operators_are_named),
        cmocka_unit_test(overflow_is_no_proof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
