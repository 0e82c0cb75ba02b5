#include "op_fixture.h"

#define UNARY(...)                                                                                 \
    {                                                                                              \
        .n_in = 1, .in = {X(1, 2, 7)}, .onnx_name = __VA_ARGS__                                    \
    }

static void piecewise_linear_functions_have_all_properties(void **state)
{
    const recipe recipes[] = {
        UNARY("Relu"),
        UNARY("LeakyRelu", ATTRS(FLOAT("alpha", 0.3))),
        UNARY("LeakyRelu", ATTRS(FLOAT("alpha", -0.5))),
        UNARY("LeakyRelu", ATTRS(FLOAT("alpha", 1.75))),
        UNARY("Abs"),
        UNARY("Neg"),
        UNARY("HardSigmoid"),
        UNARY("HardSigmoid", ATTRS(FLOAT("alpha", 0.5), FLOAT("beta", 0.25))),
        UNARY("Clip", .opset = 6, ATTRS(FLOAT("min", 0), FLOAT("max", 0.75))),
        UNARY("Clip", .opset = 6, ATTRS(FLOAT("min", -0.5))),
        {.onnx_name = "Clip", .n_in = 3, .in = {X(1, 8), NONE, NUMBER(0.5)}},
        {.onnx_name = "Clip", .n_in = 3, .in = {X(1, 8), NUMBER(-1), NUMBER(0.5)}},
        {.onnx_name = "PRelu", .n_in = 2, .in = {X(1, 3, 2, 2), C(3, 1, 1)}},
        {.onnx_name = "PRelu", .n_in = 2, .in = {X(1, 5), C(5)}},
        {.onnx_name = "PRelu", .n_in = 2, .in = {X(1, 5), C(1)}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        check_recipe(&recipes[i], 100 + i);
}

static void smooth_functions_have_all_properties(void **state)
{
    const recipe recipes[] = {
        UNARY("Sigmoid"),
        UNARY("Tanh"),
        UNARY("Erf"),
        UNARY("Exp"),
        UNARY("Elu"),
        UNARY("Elu", ATTRS(FLOAT("alpha", 0.4))),
        UNARY("Gelu"),
        UNARY("Gelu", ATTRS(TEXT("approximate", "tanh"))),
        {.onnx_name = "HardSwish", .n_in = 1, .in = {{.shape = SHAPE(1, 30), .lo = -5, .hi = 5}}},
        {.onnx_name = "Gelu", .n_in = 1, .in = {{.shape = SHAPE(1, 30), .lo = -6, .hi = 6}}},
        {.onnx_name = "Tanh", .n_in = 1, .in = {{.shape = SHAPE(1, 30), .lo = -20, .hi = 20}}},
        {.onnx_name = "Sigmoid", .n_in = 1, .in = {{.shape = SHAPE(1, 30), .lo = -40, .hi = 40}}},
        {.onnx_name = "Log", .n_in = 1, .in = {{.shape = SHAPE(1, 9), .lo = 3.5, .hi = 8}}},
        {.onnx_name = "Sqrt", .n_in = 1, .in = {{.shape = SHAPE(1, 9), .lo = 3.5, .hi = 8}}},
        {.onnx_name = "Pow", .n_in = 2, .in = {X(1, 9), NUMBER(2)}},
        {.onnx_name = "Pow", .n_in = 2, .in = {X(1, 9), NUMBER(3)}},
        {.onnx_name = "Pow",
         .n_in = 2,
         .in = {{.shape = SHAPE(1, 9), .lo = 3.5, .hi = 8}, NUMBER(-1.5)}},
        {.onnx_name = "Pow", .n_in = 2, .in = {X(1, 9), NUMBER(1)}},
        {.onnx_name = "Softmax", .n_in = 1, .in = {X(1, 6)}},
        {.onnx_name = "Softmax", .n_in = 1, .in = {X(1, 3, 4)}, ATTRS(INT("axis", 1))},
        {.onnx_name = "Softmax", .n_in = 1, .in = {X(1, 3, 4)}, .opset = 11},
        {.onnx_name = "LogSoftmax", .n_in = 1, .in = {X(1, 6)}},
        {.onnx_name = "LogSoftmax", .n_in = 1, .in = {X(1, 3, 4)}, ATTRS(INT("axis", -2))},
    };

    (void)state;
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        check_recipe(&recipes[i], 200 + i);
}

static void arithmetic_has_all_properties(void **state)
{
    const recipe recipes[] = {
        {.onnx_name = "Add", .n_in = 2, .in = {X(1, 5), X(1, 5)}},
        {.onnx_name = "Add", .n_in = 2, .in = {X(1, 3, 2, 2), C(3, 1, 1)}},
        {.onnx_name = "Add", .n_in = 2, .in = {X(1, 3, 1, 2), X(1, 1, 4, 1)}},
        {.onnx_name = "Sub", .n_in = 2, .in = {C(4), X(1, 4)}},
        {.onnx_name = "Sub", .n_in = 2, .in = {X(1, 4), X(1, 1)}},
        {.onnx_name = "Mul", .n_in = 2, .in = {X(1, 2, 3), X(1, 2, 3)}},
        {.onnx_name = "Mul", .n_in = 2, .in = {X(1, 2, 3), X(1, 1, 3)}},
        {.onnx_name = "Mul", .n_in = 2, .in = {NUMBER(3), X(1, 4)}},
        {.onnx_name = "Mul", .n_in = 2, .in = {X(1, 4), C(1)}},
        {.onnx_name = "Div", .n_in = 2, .in = {X(1, 5), {.shape = SHAPE(1, 5), .lo = 4, .hi = 6}}},
        {.onnx_name = "Div",
         .n_in = 2,
         .in = {X(1, 5), {.shape = SHAPE(1, 1), .lo = -6, .hi = -4}}},
        {.onnx_name = "Div", .n_in = 2, .in = {C(5), {.shape = SHAPE(1, 5), .lo = 4, .hi = 6}}},
        {.onnx_name = "Div",
         .n_in = 2,
         .in = {X(1, 5), {.shape = SHAPE(5), .role = CONSTANT, .lo = 1, .hi = 2}}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
        check_recipe(&recipes[i], 300 + i);
}

/* A unary operator at given points (one value each), in double. */
static void assert_values(const recipe *r, const double *x, const double *want, size_t n)
{
    fixture f = make(r, 1);

    for (size_t i = 0; i < n; i++) {
        f.x[0][0] = x[i];
        nm_assert_close(forward(&f, f.x, 1, false), &want[i], 1, 1e-12, 1e-15);
    }
    teardown(&f);
}

static void functions_have_their_known_values(void **state)
{
    const double x[] = {-4, -1, 0, 0.5, 4};
    const struct {
        const char *name;
        double want[5];
    } known[] = {
        {"Relu", {0, 0, 0, 0.5, 4}},
        {"LeakyRelu", {-0.04, -0.01, 0, 0.5, 4}},
        {"Abs", {4, 1, 0, 0.5, 4}},
        {"Neg", {4, 1, 0, -0.5, -4}},
        {"HardSigmoid", {0, 0.3, 0.5, 0.6, 1}},
        {"HardSwish", {0, -1.0 / 3, 0, 0.5 * (0.5 / 6 + 0.5), 4}},
        {"Sigmoid",
         {0.01798620996209156, 0.2689414213699951, 0.5, 0.6224593312018546, 0.9820137900379085}},
        {"Elu", {-0.9816843611112658, -0.6321205588285577, 0, 0.5, 4}},
        {"Erf",
         {-0.9999999845827421, -0.8427007929497149, 0, 0.5204998778130465, 0.9999999845827421}},
        {"Gelu",
         {-0.00012668496733247785, -0.15865525393145707, 0, 0.34573123063700656,
          3.9998733150326675}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        recipe r = {.onnx_name = known[i].name, .n_in = 1, .in = {X(1)}};

        assert_values(&r, x, known[i].want, 5);
    }
}

static void gelu_by_tanh_has_its_known_value(void **state)
{
    const recipe r = {
        .onnx_name = "Gelu", .n_in = 1, .in = {X(1)}, ATTRS(TEXT("approximate", "tanh"))};

    (void)state;
    /* 0.5 (1 + tanh(sqrt(2/pi) 1.044715)), in 30 digits by an independent program. */
    assert_values(&r, (const double[]){1}, (const double[]){0.841191990608276}, 1);
}

static void slopes_at_a_break_are_those_of_the_right_piece(void **state)
{
    const struct {
        const char *name;
        double slope;
    } known[] = {{"Relu", 1}, {"LeakyRelu", 1}, {"Abs", 1}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        recipe r = {.onnx_name = known[i].name, .n_in = 1, .in = {X(1)}};
        fixture f = make(&r, 1);
        nm_exec ex = exec_of(&f, 1, false);
        double zero = 0, d = 1, dy = 0;
        const double *x = &zero, *dx = &d;

        f.kind->jvp(&ex, &x, &zero, &dx, &dy);
        assert_true(dy == known[i].slope);
        assert_true(f.kind->pin(f.net, f.op, x, 0).sign == 1);
        teardown(&f);
    }
}

static void relu_bounds_are_tight(void **state)
{
    const recipe r = {.onnx_name = "Relu", .n_in = 1, .in = {X(1, 4)}};
    fixture f = make(&r, 1);
    nm_exec ex = exec_of(&f, 1, false);
    const double z[] = {-1, -0.25, 0.25, 0}, radius[] = {0.5, 0.5, 0.5, 0.5};
    const double spread[] = {0, 0.25, 0.5, 0.5}, residual[] = {0, 0.25, 0.25, 0.5};
    const double *in = z, *radii = radius;
    double s[4], q[4];

    (void)state;
    f.kind->spread(&ex, &in, z, &radii, s);
    f.kind->residual(&ex, &in, z, &radii, q);
    nm_assert_close(s, spread, 4, 1e-11, 0);
    nm_assert_close(q, residual, 4, 1e-11, 0);
    assert_null(f.kind->local_error);
    teardown(&f);
}

/* The breaks left and right of a point do not add up, and jumps up and down cancel. */
static void clip_bounds_are_tight(void **state)
{
    const recipe r = {.onnx_name = "Clip", .n_in = 3, .in = {X(1, 3), NUMBER(0), NUMBER(1)}};
    fixture f = make(&r, 1);
    nm_exec ex = exec_of(&f, 1, false);
    const double z[] = {0.5, 0.25, -1}, radius[] = {2, 0.5, 3};
    const double spread[] = {0.5, 0.5, 1}, residual[] = {1.5, 0.25, 1};
    const double *in[] = {z, NULL, NULL}, *radii[] = {radius, NULL, NULL};
    double s[3], q[3];

    (void)state;
    f.kind->spread(&ex, in, z, radii, s);
    f.kind->residual(&ex, in, z, radii, q);
    nm_assert_close(s, spread, 3, 1e-11, 0);
    nm_assert_close(q, residual, 3, 1e-11, 0);
    teardown(&f);
}

static void second_derivative_bounds_are_reached(void **state)
{
    /* sup |f''| of each function, so that residual(r) / (r^2/2) at the worst x comes close. */
    const struct {
        const char *name;
        double x, curve;
    } known[] = {{"Sigmoid", 1.3169578969248166, 0.09622504486493764},
                 {"Tanh", 0.6584789484624084, 0.7698003589195010},
                 {"Erf", 0.7071067811865476, 0.9678828980765735},
                 {"Gelu", 0, 0.7978845608028654},
                 {"HardSwish", 1, 1.0 / 3}};

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        recipe r = {.onnx_name = known[i].name, .n_in = 1, .in = {X(1)}};
        fixture f = make(&r, 1);
        nm_exec ex = exec_of(&f, 1, false);
        double radius = 1e-3, q;
        const double *in = &known[i].x, *radii = &radius;

        f.kind->residual(&ex, &in, in, &radii, &q);
        nm_assert_close(&q, &(double){known[i].curve * radius * radius / 2}, 1, 1e-6, 0);
        teardown(&f);
    }
}

static void products_are_linear_if_one_side_is_constant(void **state)
{
    const recipe both = {.onnx_name = "Mul", .n_in = 2, .in = {X(1, 2), X(1, 2)}};
    const recipe one = {.onnx_name = "Mul", .n_in = 2, .in = {X(1, 2), C(2)}};
    const recipe below = {.onnx_name = "Div", .n_in = 2, .in = {C(2), X(1, 2)}};
    fixture f = make(&both, 1), g = make(&one, 1), h = make(&below, 1);

    (void)state;
    assert_true(nm_op_is_smooth(f.net, f.op));
    assert_false(nm_op_is_smooth(g.net, g.op));
    assert_true(nm_op_is_smooth(h.net, h.op));
    teardown(&f);
    teardown(&g);
    teardown(&h);
}

static void senseless_operands_are_refused(void **state)
{
    (void)state;
    assert_refused(&(recipe){.onnx_name = "Add", .n_in = 2, .in = {X(1, 3), C(4)}},
                   "shapes 1x3 and 4");
    assert_refused(
        &(recipe){.onnx_name = "Add", .n_in = 2, .in = {X(1, 3), C(5, 1)}, .batch_symbolic = true},
        "batch axis");
    assert_refused(
        &(recipe){
            .onnx_name = "Mul", .n_in = 2, .in = {X(1, 3), C(1, 1, 3)}, .batch_symbolic = true},
        "batch axis");
    assert_refused(&(recipe){.onnx_name = "Clip", .n_in = 3, .in = {X(1), NUMBER(2), NUMBER(1)}},
                   "bounds are 2 and 1");
    assert_refused(&(recipe){.onnx_name = "Clip", .n_in = 2, .in = {X(1), X(1)}}, "computed");
    assert_refused(&(recipe){.onnx_name = "PRelu", .n_in = 2, .in = {X(1, 3), C(2)}},
                   "slope has shape 2");
    assert_refused(&(recipe){.onnx_name = "PRelu", .n_in = 2, .in = {X(1, 3), X(1, 3)}},
                   "computed");
    assert_refused(&(recipe){.onnx_name = "Pow", .n_in = 2, .in = {X(1, 3), X(1, 3)}}, "computed");
    assert_refused(&(recipe){.onnx_name = "Pow", .n_in = 2, .in = {X(1, 3), C(3)}}, "3 values");
    assert_refused(&(recipe)UNARY("Gelu", ATTRS(TEXT("approximate", "fast"))), "'fast'");
    assert_refused(&(recipe)UNARY("LeakyRelu", ATTRS(INT("alpha", 1))), "expected a float");
    assert_refused(&(recipe)UNARY("LeakyRelu", ATTRS(FLOAT("alpha", (double)NAN))), "finite");
    assert_refused(&(recipe)UNARY("HardSigmoid", ATTRS(FLOAT("alpha", -1))), "alpha is -1");
    assert_refused(&(recipe)UNARY("Softmax", ATTRS(INT("axis", 3))), "axis 3");
    assert_refused(&(recipe)UNARY("Softmax", ATTRS(INT("axis", 0)), .batch_symbolic = true),
                   "mix the points");
    assert_refused(&(recipe){.onnx_name = "Add", .n_in = 2, .in = {X(1, 3), NONE}}, "left out");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(piecewise_linear_functions_have_all_properties),
        cmocka_unit_test(smooth_functions_have_all_properties),
        cmocka_unit_test(arithmetic_has_all_properties),
        cmocka_unit_test(functions_have_their_known_values),
        cmocka_unit_test(gelu_by_tanh_has_its_known_value),
        cmocka_unit_test(slopes_at_a_break_are_those_of_the_right_piece),
        cmocka_unit_test(relu_bounds_are_tight),
        cmocka_unit_test(clip_bounds_are_tight),
        cmocka_unit_test(second_derivative_bounds_are_reached),
        cmocka_unit_test(products_are_linear_if_one_side_is_constant),
        cmocka_unit_test(senseless_operands_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
