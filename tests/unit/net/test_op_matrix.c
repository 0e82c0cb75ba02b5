/* Affine layers as matrices that act at places: what is seen there and what comes back make up the
   layer's values and gradients. */
#include "op_fixture.h"

/* Entry (i, k) of the matrix in an array laid out like the weights. */
static int64_t entry(const nm_matrix_form *form, int64_t i, int64_t k)
{
    return form->transposed ? k * form->n_out + i : i * form->n_in + k;
}

/* The layer's output, brought to places, is alpha W u + beta b at each of them. */
static void check_values(fixture *f, const nm_matrix_form *form, const double *u, const double *y)
{
    const double *bias = f->op->n_in > 2 ? f->x[2] : NULL;

    for (int64_t r = 0; r < N_POINTS * form->places; r++)
        for (int64_t i = 0; i < form->n_out; i++) {
            double want = bias ? form->beta * bias[i] : 0;

            for (int64_t k = 0; k < form->n_in; k++)
                want += form->alpha * f->x[1][entry(form, i, k)] * u[r * form->n_in + k];
            nm_assert_close(&y[r * form->n_out + i], &want, 1, 1e-12, 1e-12);
        }
}

/* The gradient of <g, output>: sums over places of alpha g u' and beta g. */
static void check_gradient(fixture *f, const nm_matrix_form *form, const double *u)
{
    int64_t n = N_POINTS * f->size_out, n_w = form->n_out * form->n_in;
    double *out = random_room(f, n, -1, 1), *g = room(f, n);
    double *gw = room(f, n_w), *gb = room(f, form->n_out);
    double *want_w = room(f, n_w), *want_b = room(f, form->n_out);
    nm_exec ex = exec_of(f, N_POINTS, false);

    f->kind->at_places(&ex, out, g);
    for (int64_t k = 0; k < n_w; k++)
        gw[k] = want_w[k] = 0;
    for (int64_t i = 0; i < form->n_out; i++)
        gb[i] = want_b[i] = 0;
    ex = exec_of(f, N_POINTS, false);
    f->kind->param_vjp(&ex, f->x[0], out, want_w, f->op->n_in > 2 ? want_b : NULL);
    for (int64_t r = 0; r < N_POINTS * form->places; r++)
        for (int64_t i = 0; i < form->n_out; i++) {
            double at = g[r * form->n_out + i];

            gb[i] += form->beta * at;
            for (int64_t k = 0; k < form->n_in; k++)
                gw[entry(form, i, k)] += form->alpha * at * u[r * form->n_in + k];
        }
    nm_assert_close(gw, want_w, (size_t)n_w, 1e-12, 1e-12);
    if (f->op->n_in > 2)
        nm_assert_close(gb, want_b, (size_t)form->n_out, 1e-12, 1e-12);
}

static void check_form(fixture *f, int64_t n_out, int64_t n_in)
{
    nm_matrix_form form;

    assert_true(f->kind->matrix_form(f->net, f->op, &form));
    assert_int_equal(form.n_out, n_out);
    assert_int_equal(form.n_in, n_in);
    assert_int_equal(form.n_out * form.places, f->size_out);
    double *u = room(f, N_POINTS * form.places * form.n_in), *y = room(f, N_POINTS * f->size_out);
    nm_exec ex = exec_of(f, N_POINTS, false);

    f->kind->see(&ex, f->x[0], u);
    ex = exec_of(f, N_POINTS, false);
    f->kind->at_places(&ex, f->y, y);
    check_values(f, &form, u, y);
    check_gradient(f, &form, u);
}

static void dense_layers_are_their_matrix_at_each_row(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        bool trans = seed % 2, biased = seed % 3 != 0;
        int64_t rows = 1 + (int64_t)seed % 4;
        const recipe r = {.onnx_name = "Gemm",
                          .n_in = biased ? 3 : 2,
                          .in = {X(rows, 5), trans ? C(4, 5) : C(5, 4), C(4)},
                          ATTRS(FLOAT("alpha", 0.5), FLOAT("beta", -2), INT("transB", trans))};
        fixture f = make(&r, seed);

        check_form(&f, 4, 5);
        teardown(&f);
    }
}

static void products_with_a_constant_are_matrices_too(void **state)
{
    const recipe recipes[] = {
        {.onnx_name = "MatMul", .n_in = 2, .in = {X(1, 2, 3, 4), C(4, 6)}},
        {.onnx_name = "MatMul", .n_in = 2, .in = {X(4), C(4, 6)}},
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fixture f = make(&recipes[i], i);

        check_form(&f, 6, 4);
        teardown(&f);
    }
}

static int64_t drawn(nm_rng *rng, int64_t least, int64_t most)
{
    return least + (int64_t)nm_rng_below(rng, (uint64_t)(most - least + 1));
}

static void convolutions_are_their_kernel_at_each_position(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 24; seed++) {
        nm_rng rng = {.seed = seed};
        int64_t images = drawn(&rng, 1, 2), from = drawn(&rng, 1, 3), to = drawn(&rng, 1, 4);
        int64_t kernel[2] = {drawn(&rng, 1, 3), drawn(&rng, 1, 3)};
        const recipe r = {.onnx_name = "Conv",
                          .n_in = seed % 3 ? 3 : 2,
                          .in = {X(images, from, drawn(&rng, 5, 8), drawn(&rng, 5, 8)),
                                 C(to, from, kernel[0], kernel[1]), C(to)},
                          ATTRS(INTS("strides", drawn(&rng, 1, 3), drawn(&rng, 1, 3)),
                                INTS("dilations", drawn(&rng, 1, 2), drawn(&rng, 1, 2)),
                                INTS("pads", drawn(&rng, 0, 2), drawn(&rng, 0, 2),
                                     drawn(&rng, 0, 2), drawn(&rng, 0, 2)))};
        fixture f = make(&r, seed);

        check_form(&f, to, from * kernel[0] * kernel[1]);
        teardown(&f);
    }
}

/* One and three axes, the kernel that covers the image, and the kernel of one pixel. */
static void convolutions_of_other_shapes_are_matrices_too(void **state)
{
    const struct {
        recipe r;
        int64_t n_out, n_in;
    } cases[] = {
        {{.onnx_name = "Conv",
          .n_in = 2,
          .in = {X(1, 2, 9), C(3, 2, 3)},
          ATTRS(INTS("strides", 2), INTS("pads", 1, 0))},
         3,
         6},
        {{.onnx_name = "Conv", .n_in = 3, .in = {X(1, 1, 3, 4, 3), C(2, 1, 2, 2, 2), C(2)}}, 2, 8},
        {{.onnx_name = "Conv", .n_in = 3, .in = {X(1, 2, 4, 3), C(5, 2, 4, 3), C(5)}}, 5, 24},
        {{.onnx_name = "Conv", .n_in = 3, .in = {X(1, 3, 4, 3), C(2, 3, 1, 1), C(2)}}, 2, 3},
        {{.onnx_name = "Conv",
          .n_in = 2,
          .in = {X(1, 1, 5, 6), C(1, 1, 3, 2)},
          ATTRS(TEXT("auto_pad", "SAME_UPPER"), INTS("strides", 2, 2))},
         1,
         6},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f = make(&cases[i].r, i);

        check_form(&f, cases[i].n_out, cases[i].n_in);
        teardown(&f);
    }
}

/* More positions than one tile of the unfolded image holds. */
static void large_convolutions_are_matrices_too(void **state)
{
    const recipe r = {.onnx_name = "Conv",
                      .n_in = 3,
                      .in = {X(1, 40, 50, 41), C(2, 40, 3, 3), C(2)},
                      ATTRS(INTS("pads", 1, 1, 1, 1))};
    fixture f = make(&r, 1);

    (void)state;
    check_form(&f, 2, 360);
    teardown(&f);
}

static void what_is_no_single_matrix_says_so(void **state)
{
    const recipe grouped = {.onnx_name = "Conv",
                            .n_in = 3,
                            .in = {X(1, 4, 5, 5), C(4, 2, 3, 3), C(4)},
                            ATTRS(INT("group", 2))};
    fixture f = make(&grouped, 1);
    nm_matrix_form form;

    (void)state;
    assert_false(f.kind->matrix_form(f.net, f.op, &form));
    teardown(&f);
    assert_null(nm_op_batch_norm.matrix_form);
    assert_null(nm_op_conv_transpose.matrix_form);
    assert_null(nm_op_relu.matrix_form);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dense_layers_are_their_matrix_at_each_row),
        cmocka_unit_test(products_with_a_constant_are_matrices_too),
        cmocka_unit_test(convolutions_are_their_kernel_at_each_position),
        cmocka_unit_test(convolutions_of_other_shapes_are_matrices_too),
        cmocka_unit_test(large_convolutions_are_matrices_too),
        cmocka_unit_test(what_is_no_single_matrix_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
