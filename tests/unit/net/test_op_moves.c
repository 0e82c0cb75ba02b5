#include "op_fixture.h"

/* Builds the operator, checks all properties and the output's shape, and returns it filled. */
static fixture checked(const recipe *r, const char *shape)
{
    fixture f = make(r, 1);
    char text[96];

    assert_string_equal(nm_shape_text(&f.net->values[f.op->out].shape, text), shape);
    check_all(&f);
    return f;
}

/* Output of one point whose input counts 0, 1, 2, ... */
static void assert_picks(const recipe *r, const char *shape, const double *want)
{
    fixture f = checked(r, shape);
    double *x[5];

    memcpy(x, f.x, sizeof x);
    x[0] = room(&f, f.size_in[0]);
    for (int64_t i = 0; i < f.size_in[0]; i++)
        x[0][i] = (double)i;
    nm_assert_close(forward(&f, x, 1, false), want, (size_t)f.size_out, 0, 0);
    teardown(&f);
}

#define ASSERT_PICKS(shape, values, ...)                                                           \
    assert_picks(&(recipe){__VA_ARGS__}, shape, (const double[])values)
#define LIST(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

static void transpose_permutes_axes(void **state)
{
    (void)state;
    ASSERT_PICKS("1x3x2", LIST(0, 3, 1, 4, 2, 5), .onnx_name = "Transpose", .n_in = 1,
                 .in = {X(1, 2, 3)}, ATTRS(INTS("perm", 0, 2, 1)));
    ASSERT_PICKS("3x2x1", LIST(0, 3, 1, 4, 2, 5), .onnx_name = "Transpose", .n_in = 1,
                 .in = {X(1, 2, 3)});
    ASSERT_PICKS("1x2x2x2", LIST(0, 4, 1, 5, 2, 6, 3, 7), .onnx_name = "Transpose", .n_in = 1,
                 .in = {X(1, 2, 2, 2)}, ATTRS(INTS("perm", 0, 2, 3, 1)), .batch_symbolic = true);
}

static void slice_follows_pythons_ranges(void **state)
{
    (void)state;
    ASSERT_PICKS("1x2", LIST(1, 2), .onnx_name = "Slice", .n_in = 4,
                 .in = {X(1, 5), NUMBERS(1), NUMBERS(3), NUMBERS(1)});
    ASSERT_PICKS("1x3", LIST(4, 2, 0), .onnx_name = "Slice", .n_in = 5,
                 .in = {X(1, 5), NUMBERS(-1), NUMBERS(-100), NUMBERS(-1), NUMBERS(-2)});
    ASSERT_PICKS("1x2x2", LIST(2, 3, 4, 5), .onnx_name = "Slice", .n_in = 1, .in = {X(1, 3, 2)},
                 .opset = 9, ATTRS(INTS("starts", 1), INTS("ends", INT64_MAX), INTS("axes", 1)));
    ASSERT_PICKS("1x2", LIST(0, 3), .onnx_name = "Slice", .n_in = 5,
                 .in = {X(1, 5), NUMBERS(0, 0), NUMBERS(0x1p40, 0x1p40), NONE, NUMBERS(1, 3)},
                 .batch_symbolic = true);
}

static void gather_takes_constant_indices(void **state)
{
    const operand matrix = {
        .shape = SHAPE(2, 2), .role = CONSTANT, .values = (const double[]){0, 2, -1, 1}};

    (void)state;
    ASSERT_PICKS("1x2", LIST(2, 0), .onnx_name = "Gather", .n_in = 2,
                 .in = {X(1, 3), NUMBERS(2, 0)}, ATTRS(INT("axis", 1)));
    ASSERT_PICKS("1x2", LIST(2, 3), .onnx_name = "Gather", .n_in = 2, .in = {X(1, 3, 2), NUMBER(1)},
                 ATTRS(INT("axis", -2)));
    ASSERT_PICKS("1x2x2x2", LIST(0, 1, 4, 5, 4, 5, 2, 3), .onnx_name = "Gather", .n_in = 2,
                 .in = {X(1, 3, 2), matrix}, ATTRS(INT("axis", 1)), .batch_symbolic = true);
}

static void pad_surrounds_with_a_constant(void **state)
{
    (void)state;
    ASSERT_PICKS("1x4x3", LIST(9, 9, 9, 9, 0, 1, 9, 2, 3, 9, 9, 9), .onnx_name = "Pad", .n_in = 3,
                 .in = {X(1, 2, 2), NUMBERS(0, 1, 1, 0, 1, 0), NUMBER(9)}, .batch_symbolic = true);
    ASSERT_PICKS("1x3", LIST(0, 1, 0), .onnx_name = "Pad", .n_in = 1, .in = {X(1, 2)}, .opset = 10,
                 ATTRS(INTS("pads", 0, 0, 0, 1)));
    ASSERT_PICKS("1x2x3", LIST(0, 0, 1, 0, 2, 3), .onnx_name = "Pad", .n_in = 4,
                 .in = {X(1, 2, 2), NUMBERS(1, 0), NONE, NUMBERS(-1)}, .opset = 18);
}

static void expand_repeats(void **state)
{
    (void)state;
    ASSERT_PICKS("1x2x3", LIST(0, 0, 0, 1, 1, 1), .onnx_name = "Expand", .n_in = 2,
                 .in = {X(1, 2, 1), NUMBERS(2, 3)}, .batch_symbolic = true);
}

static void views_change_the_shape_only(void **state)
{
    const double count[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    const struct {
        const char *shape;
        recipe r;
    } views[] = {
        {"1x12", {.onnx_name = "Flatten", .n_in = 1, .in = {X(1, 3, 4)}}},
        {"3x4", {.onnx_name = "Flatten", .n_in = 1, .in = {X(1, 3, 4)}, ATTRS(INT("axis", 2))}},
        {"12x1", {.onnx_name = "Flatten", .n_in = 1, .in = {X(1, 3, 4)}, ATTRS(INT("axis", 3))}},
        {"1x12", {.onnx_name = "Reshape", .n_in = 2, .in = {X(1, 3, 4), NUMBERS(-1, 12)}}},
        {"1x12", {.onnx_name = "Reshape", .n_in = 2, .in = {X(1, 3, 4), NUMBERS(1, -1)}}},
        {"1x12", {.onnx_name = "Reshape", .n_in = 2, .in = {X(1, 3, 4), NUMBERS(0, -1)}}},
        {"1x3x2x2", {.onnx_name = "Reshape", .n_in = 2, .in = {X(1, 3, 4), NUMBERS(0, 0, 2, 2)}}},
        {"6x2", {.onnx_name = "Reshape", .n_in = 2, .in = {X(1, 3, 4), NUMBERS(-1, 2)}}},
        {"1x12", {.onnx_name = "Squeeze", .n_in = 1, .in = {X(1, 1, 12, 1)}}},
        {"1x1x12", {.onnx_name = "Squeeze", .n_in = 2, .in = {X(1, 1, 12, 1), NUMBERS(-1)}}},
        {"1x1x12x1", {.onnx_name = "Unsqueeze", .n_in = 2, .in = {X(1, 12), NUMBERS(1, -1)}}},
        {"1x12x1", {.onnx_name = "Unsqueeze", .n_in = 1, .in = {X(1, 12)}, ATTRS(INTS("axes", 2))}},
        {"1x12", {.onnx_name = "Identity", .n_in = 1, .in = {X(1, 12)}}},
        {"1x12", {.onnx_name = "Dropout", .n_in = 2, .in = {X(1, 12), NUMBER(0.5)}}},
        {"1x12", {.onnx_name = "Cast", .n_in = 1, .in = {X(1, 12)}, ATTRS(INT("to", 11))}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        recipe r = views[i].r;

        r.batch_symbolic = true;
        assert_picks(&r, views[i].shape, count);
    }
}

static void a_view_may_share_its_inputs_memory(void **state)
{
    const recipe r = {.onnx_name = "Flatten", .n_in = 1, .in = {X(1, 2, 2)}};
    fixture f = make(&r, 1);
    nm_exec ex = exec_of(&f, N_POINTS, false);
    double before[N_POINTS * 4];

    (void)state;
    assert_true(f.kind->is_view);
    memcpy(before, f.x[0], sizeof before);
    f.kind->forward_f64(&ex, (const double *const *)f.x, f.x[0]);
    nm_assert_close(f.x[0], before, N_POINTS * 4, 0, 0);
    teardown(&f);
}

static void concat_joins_variables_and_constants(void **state)
{
    const recipe r = {.onnx_name = "Concat",
                      .n_in = 3,
                      .in = {X(1, 2, 2), C(1, 1, 2), X(1, 3, 2)},
                      ATTRS(INT("axis", 1)),
                      .batch_symbolic = true};
    const recipe inner = {.onnx_name = "Concat",
                          .n_in = 3,
                          .in = {X(2, 2, 2), C(2, 2, 1), X(2, 2, 3)},
                          ATTRS(INT("axis", -1))};
    fixture f = checked(&r, "1x6x2"), g = checked(&inner, "2x2x6");

    (void)state;
    for (int64_t p = 0; p < N_POINTS; p++) {
        nm_assert_close(f.y + p * 12, f.x[0] + p * 4, 4, 0, 0);
        nm_assert_close(f.y + p * 12 + 4, f.x[1], 2, 0, 0);
        nm_assert_close(f.y + p * 12 + 6, f.x[2] + p * 6, 6, 0, 0);
        for (int64_t row = 0; row < 4; row++) {
            nm_assert_close(g.y + p * 24 + row * 6, g.x[0] + p * 8 + row * 2, 2, 0, 0);
            nm_assert_close(g.y + p * 24 + row * 6 + 2, g.x[1] + row, 1, 0, 0);
            nm_assert_close(g.y + p * 24 + row * 6 + 3, g.x[2] + p * 12 + row * 3, 3, 0, 0);
        }
    }
    teardown(&f);
    teardown(&g);
}

static void constants_can_be_folded_through(void **state)
{
    const recipe cast = {
        .onnx_name = "Cast", .n_in = 1, .in = {NUMBERS(-1.5, 2.5, 0)}, ATTRS(INT("to", 7))};
    const recipe to_bool = {
        .onnx_name = "Cast", .n_in = 1, .in = {NUMBERS(-1.5, 2.5, 0)}, ATTRS(INT("to", 9))};
    const recipe shape = {.onnx_name = "Shape", .n_in = 1, .in = {X(1, 3, 4)}};
    fixture f = make(&cast, 1), g = make(&shape, 1), h = make(&to_bool, 1);

    (void)state;
    nm_assert_close(forward(&f, f.x, 1, false), (const double[]){-1, 2, 0}, 3, 0, 0);
    nm_assert_close(forward(&g, g.x, 1, false), (const double[]){1, 3, 4}, 3, 0, 0);
    nm_assert_close(forward(&h, h.x, 1, false), (const double[]){1, 1, 0}, 3, 0, 0);
    teardown(&f);
    teardown(&g);
    teardown(&h);
}

static void senseless_moves_are_refused(void **state)
{
    (void)state;
#define REFUSE(part, ...) assert_refused(&(recipe){__VA_ARGS__}, part)
#define RESHAPE(part, ...)                                                                         \
    REFUSE(part, .onnx_name = "Reshape", .n_in = 2, .in = {X(1, 3, 4), NUMBERS(__VA_ARGS__)},      \
           .batch_symbolic = true)
    RESHAPE("one -1", -1, -1);
    RESHAPE("is -2", 1, -2);
    RESHAPE("does not fit", -1, 5);
    RESHAPE("does not fit", 1, 11);
    RESHAPE("entry 3", 1, 3, 4, 0);
    RESHAPE("mix the points", 3, -1);
    RESHAPE("does not fit", 0x1p31, 0x1p31, 0x1p31, 0x1p31, 0x1p31);
    RESHAPE("at most 8", 1, 1, 1, 1, 1, 1, 1, 1, 12);
    RESHAPE("expected integers", 1.5, 8);
    REFUSE("allowzero", .onnx_name = "Reshape", .n_in = 2, .in = {X(1, 3), NUMBERS(1, 3)},
           ATTRS(INT("allowzero", 1)));
    REFUSE("expected a constant", .onnx_name = "Reshape", .n_in = 2, .in = {X(1, 3), X(2)});
    REFUSE("mix the points", .onnx_name = "Flatten", .n_in = 1, .in = {X(1, 3)},
           ATTRS(INT("axis", 0)), .batch_symbolic = true);
    REFUSE("axis 4", .onnx_name = "Flatten", .n_in = 1, .in = {X(1, 3)}, ATTRS(INT("axis", 4)));
    REFUSE("length 3", .onnx_name = "Squeeze", .n_in = 1, .in = {X(1, 3)}, ATTRS(INTS("axes", 1)));
    REFUSE("no axes", .onnx_name = "Unsqueeze", .n_in = 1, .in = {X(1, 3)});
    REFUSE("mix the points", .onnx_name = "Unsqueeze", .n_in = 2, .in = {X(1, 3), NUMBERS(0)},
           .batch_symbolic = true);
    REFUSE("at most 8", .onnx_name = "Unsqueeze", .n_in = 2,
           .in = {X(1, 1, 1, 1, 1, 1, 1), NUMBERS(7, 8)});
    REFUSE("training_mode", .onnx_name = "Dropout", .n_in = 3, .in = {X(1, 3), NONE, NUMBER(1)});
    REFUSE("no permutation", .onnx_name = "Transpose", .n_in = 1, .in = {X(1, 3)},
           ATTRS(INTS("perm", 1, 1)));
    REFUSE("no permutation", .onnx_name = "Transpose", .n_in = 1, .in = {X(1, 3)},
           ATTRS(INTS("perm", 0, 2)));
    REFUSE("perm has 1", .onnx_name = "Transpose", .n_in = 1, .in = {X(1, 3)},
           ATTRS(INTS("perm", 0)));
    REFUSE("mix the points", .onnx_name = "Transpose", .n_in = 1, .in = {X(1, 3)},
           .batch_symbolic = true);
    REFUSE("no elements", .onnx_name = "Slice", .n_in = 4,
           .in = {X(1, 3), NUMBERS(2), NUMBERS(2), NUMBERS(1)});
    REFUSE("is 0", .onnx_name = "Slice", .n_in = 5,
           .in = {X(1, 3), NUMBERS(0), NUMBERS(2), NUMBERS(1), NUMBERS(0)});
    REFUSE("as many as starts", .onnx_name = "Slice", .n_in = 3,
           .in = {X(1, 3), NUMBERS(0), NUMBERS(2, 2)});
    REFUSE("mix the points", .onnx_name = "Slice", .n_in = 3,
           .in = {X(1, 3), NUMBERS(0), NUMBERS(1)}, .batch_symbolic = true);
    REFUSE("missing or empty", .onnx_name = "Slice", .n_in = 1, .in = {X(1, 3)});
    REFUSE("index 3", .onnx_name = "Gather", .n_in = 2, .in = {X(1, 3), NUMBER(3)},
           ATTRS(INT("axis", 1)));
    REFUSE("index 0.5", .onnx_name = "Gather", .n_in = 2, .in = {X(1, 3), NUMBER(0.5)});
    REFUSE("mix the points", .onnx_name = "Gather", .n_in = 2, .in = {X(1, 3), NUMBER(0)},
           .batch_symbolic = true);
    REFUSE("'reflect'", .onnx_name = "Pad", .n_in = 1, .in = {X(1, 3)},
           ATTRS(TEXT("mode", "reflect")));
    REFUSE("holds -1", .onnx_name = "Pad", .n_in = 2, .in = {X(1, 3), NUMBERS(0, -1, 0, 0)});
    REFUSE("pads has 3", .onnx_name = "Pad", .n_in = 2, .in = {X(1, 3), NUMBERS(0, 1, 0)});
    REFUSE("mix the points", .onnx_name = "Pad", .n_in = 2, .in = {X(1, 3), NUMBERS(1, 0, 0, 0)},
           .batch_symbolic = true);
    REFUSE("elements", .onnx_name = "Pad", .n_in = 2,
           .in = {X(1, 3), NUMBERS(0x1p31, 0x1p31, 0x1p31, 0x1p31)});
    REFUSE("'axis' is missing", .onnx_name = "Concat", .n_in = 2, .in = {X(1, 3), X(1, 3)});
    REFUSE("shapes 1x3 and 2x3", .onnx_name = "Concat", .n_in = 2, .in = {X(1, 3), X(2, 3)},
           ATTRS(INT("axis", 1)));
    REFUSE("mix the points", .onnx_name = "Concat", .n_in = 2, .in = {X(1, 3), X(1, 3)},
           ATTRS(INT("axis", 0)), .batch_symbolic = true);
    REFUSE("does not expand", .onnx_name = "Expand", .n_in = 2, .in = {X(1, 3), NUMBERS(1, 2)});
    REFUSE("mix the points", .onnx_name = "Expand", .n_in = 2, .in = {X(1, 3), NUMBERS(5, 3)},
           .batch_symbolic = true);
    REFUSE("cast to integers", .onnx_name = "Cast", .n_in = 1, .in = {X(1, 3)},
           ATTRS(INT("to", 7)));
    REFUSE("type is 10", .onnx_name = "Cast", .n_in = 1, .in = {X(1, 3)}, ATTRS(INT("to", 10)));
}

static void every_kind_is_found_by_its_names(void **state)
{
    static const char *const names[] = {"Gemm", "MatMul", "GlobalMaxPool", "Dropout", "Shape"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_non_null(nm_op_find(names[i]));
        assert_non_null(strstr(nm_op_list(), names[i]));
    }
    assert_null(nm_op_find("LSTM"));
    assert_null(nm_op_find(""));
    assert_true(strlen(nm_op_list()) < 1000); /* fits into a message */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transpose_permutes_axes),
        cmocka_unit_test(slice_follows_pythons_ranges),
        cmocka_unit_test(gather_takes_constant_indices),
        cmocka_unit_test(pad_surrounds_with_a_constant),
        cmocka_unit_test(expand_repeats),
        cmocka_unit_test(views_change_the_shape_only),
        cmocka_unit_test(a_view_may_share_its_inputs_memory),
        cmocka_unit_test(concat_joins_variables_and_constants),
        cmocka_unit_test(constants_can_be_folded_through),
        cmocka_unit_test(senseless_moves_are_refused),
        cmocka_unit_test(every_kind_is_found_by_its_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
