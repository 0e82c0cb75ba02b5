/* Edit plans: what is marked, what can act, and what is refused. */
#include "make_net.h"
#include "test_ctx.h"

#include "base/ctx.h"
#include "base/mem.h"
#include "io/array.h"
#include "problem/plan.h"

/* Layers: 0 Gemm 4 -> 5, 1 MatMul 5 -> 6 (no biases), 2 Gemm 6 -> 6 and 3 Gemm 6 -> 6 (shared
   weights: locked), 4 Gemm 6 -> 3. */
typedef struct fixture {
    nm_net *net;
    nm_plan *plan;
} fixture;

enum { W0 = 20, B0 = 5, W1 = 30, B2 = 6, W4 = 18, B4 = 3 };

static fixture open_fixture(void)
{
    net_maker m = make_net(1, MAKE_SHAPE(1, 4));
    fixture f;
    int shared;
    nm_err err = {0};

    make_dense(&m, 5);
    make_unary(&m, "Relu");
    make_op(&m, "MatMul", (int[]){m.at, make_constant(&m, MAKE_SHAPE(5, 6), 0, 1)}, 2, NULL, 0);
    shared = make_constant(&m, MAKE_SHAPE(6, 6), 0, 1);
    for (int i = 0; i < 2; i++)
        make_op(&m, "Gemm", (int[]){m.at, shared, make_constant(&m, MAKE_SHAPE(6), 0, 1)}, 3, NULL,
                0);
    make_dense(&m, 3);
    f.net = make_done(&m);
    assert_int_equal(f.net->n_layers, 5);
    nm_assert_ok(nm_plan_new(f.net, &f.plan, &err), &err);
    return f;
}

static void close_fixture(fixture *f)
{
    nm_plan_free(f->plan);
    nm_net_free(f->net);
}

static void mark(fixture *f, const char *text, nm_free_kind what)
{
    nm_err err = {0};

    nm_assert_ok(nm_plan_mark_text(f->plan, text, what, &err), &err);
}

/* @return the message, static */
static const char *refuse(fixture *f, const char *text, nm_free_kind what)
{
    static nm_err err;

    err = (nm_err){0};
    assert_int_equal(nm_plan_mark_text(f->plan, text, what, &err), NM_E_ARG);
    return err.text;
}

static void an_empty_plan_frees_nothing(void **state)
{
    fixture f = open_fixture();
    nm_params *params;
    nm_err err = {0};

    (void)state;
    assert_int_equal(nm_plan_n_marked(f.plan), 0);
    assert_int_equal(nm_plan_n_free(f.plan), 0);
    for (int i = 0; i < 5; i++)
        assert_false(nm_plan_edits(f.plan, i));
    assert_int_equal(nm_params_new(f.plan, &params, &err), NM_E_ARG);
    assert_null(params);
    assert_non_null(strstr(err.text, "frees no parameter"));
    close_fixture(&f);
    nm_plan_free(NULL);
    nm_params_free(NULL);
}

/* Of the first marked layer weights and biases act, of later ones the biases only. */
static void later_weights_are_inert(void **state)
{
    fixture f = open_fixture();

    (void)state;
    mark(&f, "last", NM_FREE_ALL);
    assert_int_equal(nm_plan_n_free(f.plan), W4 + B4);
    mark(&f, "0", NM_FREE_WEIGHTS);
    assert_int_equal(nm_plan_n_marked(f.plan), W0 + W4 + B4);
    assert_int_equal(nm_plan_n_free(f.plan), W0 + B4);
    assert_true(nm_plan_edits(f.plan, 0) && nm_plan_edits(f.plan, 4));
    mark(&f, "1", NM_FREE_ALL);
    assert_int_equal(nm_plan_n_marked(f.plan), W0 + W1 + W4 + B4);
    assert_int_equal(nm_plan_n_free(f.plan), W0 + B4);
    assert_false(nm_plan_edits(f.plan, 1));
    close_fixture(&f);
}

static void marking_twice_is_marking_once(void **state)
{
    fixture f = open_fixture();
    uint8_t mask[W0] = {[3] = 1, [7] = 200};
    nm_err err = {0};

    (void)state;
    for (int i = 0; i < 2; i++) {
        nm_assert_ok(nm_plan_mark_mask(f.plan, 0, false, mask, W0, &err), &err);
        assert_int_equal(nm_plan_n_marked(f.plan), 2);
    }
    mask[3] = 0; /* masks add up */
    mask[4] = 1;
    nm_assert_ok(nm_plan_mark_mask(f.plan, 0, false, mask, W0, &err), &err);
    assert_int_equal(nm_plan_n_marked(f.plan), 3);
    mark(&f, "0", NM_FREE_ALL);
    mark(&f, "0", NM_FREE_BIASES);
    assert_int_equal(nm_plan_n_marked(f.plan), W0 + B0);
    close_fixture(&f);
}

static void texts_name_layers(void **state)
{
    static const struct {
        const char *text;
        int layer;
    } cases[] = {{"0", 0}, {"1", 1}, {"-1", 4}, {"last", 4}, {"4", 4}, {"-5", 0}, {"4..", 4}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f = open_fixture();

        mark(&f, cases[i].text, NM_FREE_WEIGHTS);
        for (int layer = 0; layer < 5; layer++)
            assert_true(nm_plan_edits(f.plan, layer) == (layer == cases[i].layer));
        close_fixture(&f);
    }
}

static void a_node_name_names_its_layer(void **state)
{
    fixture f = open_fixture();
    nm_layer_info info;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_net_layer_info(f.net, 1, &info, &err), &err);
    mark(&f, info.name, NM_FREE_ALL);
    assert_true(nm_plan_edits(f.plan, 1));
    assert_int_equal(nm_plan_n_marked(f.plan), W1);
    close_fixture(&f);
}

static void from_a_layer_on_means_all_that_follow(void **state)
{
    static const int64_t widths[] = {3, 4, 5, 2};
    nm_net *net = make_chain(1, "Relu", widths, 3);
    const int64_t all = 3 * 4 + 4 * 5 + 5 * 2 + 4 + 5 + 2;
    nm_err err = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        static const char *const text[] = {"all", "0..", "-3.."};
        nm_plan *plan;

        nm_assert_ok(nm_plan_new(net, &plan, &err), &err);
        nm_assert_ok(nm_plan_mark_text(plan, text[i], NM_FREE_ALL, &err), &err);
        assert_int_equal(nm_plan_n_marked(plan), all);
        assert_int_equal(nm_plan_n_free(plan), 3 * 4 + 4 + 5 + 2);
        nm_plan_free(plan);
        nm_assert_ok(nm_plan_new(net, &plan, &err), &err);
        nm_assert_ok(nm_plan_mark_text(plan, "1..", NM_FREE_BIASES, &err), &err);
        assert_int_equal(nm_plan_n_marked(plan), 5 + 2);
        nm_plan_free(plan);
    }
    nm_net_free(net);
}

static void what_does_not_exist_is_refused(void **state)
{
    static const char *const bad[] = {"5",  "-6",  "5..", "none", "",    "..",
                                      "0.", "..0", "0 ",  "1e0",  "0x1", "99999999999999999999"};
    fixture f = open_fixture();
    nm_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(strlen(refuse(&f, bad[i], NM_FREE_ALL)) > 10);
    assert_int_equal(nm_plan_mark(f.plan, -1, NM_FREE_ALL, &err), NM_E_ARG);
    err = (nm_err){0};
    assert_int_equal(nm_plan_mark(f.plan, 5, NM_FREE_ALL, &err), NM_E_ARG);
    err = (nm_err){0};
    assert_int_equal(nm_plan_mark_mask(f.plan, -1, true, NULL, 0, &err), NM_E_ARG);
    assert_non_null(strstr(refuse(&f, "1", NM_FREE_BIASES), "no biases"));
    assert_int_equal(nm_plan_n_marked(f.plan), 0);
    close_fixture(&f);
}

static void locked_layers_are_refused_with_the_reason(void **state)
{
    fixture f = open_fixture();
    uint8_t mask[36] = {1};
    nm_err err = {0};

    (void)state;
    for (int layer = 2; layer < 4; layer++) {
        nm_layer_info info;

        nm_assert_ok(nm_net_layer_info(f.net, layer, &info, &err), &err);
        assert_non_null(info.locked);
        assert_int_equal(nm_plan_mark(f.plan, layer, NM_FREE_ALL, &err), NM_E_ARG);
        assert_non_null(strstr(err.text, info.locked));
        assert_non_null(strstr(err.text, info.name));
        err = (nm_err){0};
        assert_int_equal(nm_plan_mark_mask(f.plan, layer, false, mask, 36, &err), NM_E_ARG);
        err = (nm_err){0};
    }
    assert_non_null(strstr(refuse(&f, "all", NM_FREE_ALL), "layer 2"));
    close_fixture(&f);
}

static void masks_of_another_size_are_refused(void **state)
{
    fixture f = open_fixture();
    uint8_t mask[64] = {0};

    (void)state;
    for (int64_t n = 0; n < 64; n++)
        for (int bias = 0; bias < 2; bias++) {
            nm_err err = {0};
            nm_status want = n == (bias ? B0 : W0) ? NM_OK : NM_E_SHAPE;

            assert_int_equal(nm_plan_mark_mask(f.plan, 0, bias, mask, n, &err), want);
        }
    assert_int_equal(nm_plan_n_marked(f.plan), 0);
    close_fixture(&f);
}

static void bounds_must_hold_zero_between_them(void **state)
{
    static const struct {
        double lo, hi;
        bool good;
    } cases[] = {{-1, 1, true},         {0, 1, true},         {-1, 0, true},
                 {-INFINITY, 1, true},  {-1, INFINITY, true}, {-1e-300, 1e-300, true},
                 {0, 0, false},         {0.1, 1, false},      {-1, -0.1, false},
                 {1, -1, false},        {NAN, 1, false},      {-1, NAN, false},
                 {INFINITY, -1, false}, {NAN, NAN, false}};
    fixture f = open_fixture();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_err err = {0};
        double lo = f.plan->lo, hi = f.plan->hi;
        nm_status rc = nm_plan_set_bounds(f.plan, cases[i].lo, cases[i].hi, &err);

        assert_int_equal(rc, cases[i].good ? NM_OK : NM_E_ARG);
        assert_true(f.plan->lo == (cases[i].good ? cases[i].lo : lo));
        assert_true(f.plan->hi == (cases[i].good ? cases[i].hi : hi));
    }
    close_fixture(&f);
}

/* Blocks name the marked entries in order; gather is the inverse of scatter. */
static void parameters_are_the_marked_entries(void **state)
{
    fixture f = open_fixture();
    uint8_t mask[W0] = {[2] = 1, [11] = 1, [19] = 1};
    double d[3 + B4] = {1, 2, 3, 4, 5, 6}, back[3 + B4] = {0}, tensor[W0], old[W0], now[W0];
    nm_net *edited;
    nm_params *params;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_plan_mark_mask(f.plan, 0, false, mask, W0, &err), &err);
    mark(&f, "last", NM_FREE_ALL);
    nm_assert_ok(nm_params_new(f.plan, &params, &err), &err);
    assert_int_equal(params->n, 3 + B4);
    assert_int_equal(params->n_blocks, 2);
    for (int i = 0; i < 2; i++) {
        const nm_param_block *block = &params->blocks[i];

        for (int k = 0; k < W0; k++)
            tensor[k] = -1;
        nm_block_scatter(f.net, block, d, tensor);
        for (int64_t k = 0; k < nm_block_tensor_size(f.net, block); k++)
            assert_true(i == 0 ? tensor[k] == (k == 2    ? 1
                                               : k == 11 ? 2
                                               : k == 19 ? 3
                                                         : 0)
                               : tensor[k] == (double)(4 + k));
        nm_block_gather(f.net, block, tensor, back);
    }
    assert_memory_equal(d, back, sizeof d);
    nm_assert_ok(nm_net_clone(f.net, &edited, &err), &err);
    nm_assert_ok(nm_params_apply(params, f.net, d, edited, &err), &err);
    nm_assert_ok(nm_net_get_layer(f.net, 0, false, old, &err), &err);
    nm_assert_ok(nm_net_get_layer(edited, 0, false, now, &err), &err);
    for (int k = 0; k < W0; k++)
        assert_true(now[k] == old[k] + (k == 2 ? 1 : k == 11 ? 2 : k == 19 ? 3 : 0));
    for (int v = 0; v < f.net->n_values; v++) /* only edited tensors are replaced */
        assert_true((f.net->values[v].constant == edited->values[v].constant) ==
                    (v != f.net->layers[0].weight && v != f.net->layers[4].bias));
    nm_net_free(edited);
    nm_params_free(params);
    close_fixture(&f);
}

/* -- several layers together ----- */

static int64_t n_params(const fixture *f)
{
    nm_params *params;
    nm_err err = {0};
    int64_t n;

    nm_assert_ok(nm_params_new(f->plan, &params, &err), &err);
    n = params->n;
    nm_params_free(params);
    return n;
}

/* Layers with commas between are changed jointly: the weights of all act. */
static void lists_of_layers_are_joint(void **state)
{
    static const struct {
        const char *text;
        int64_t n;
    } cases[] = {{"0,1", W0 + B0 + W1},         {"1,0", W0 + B0 + W1},
                 {"0,last", W0 + B0 + W4 + B4}, {"-5,1,4", W0 + B0 + W1 + W4 + B4},
                 {"0,4..", W0 + B0 + W4 + B4},  {"4,4", W4 + B4}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture f = open_fixture();

        mark(&f, cases[i].text, NM_FREE_ALL);
        assert_int_equal(nm_plan_n_marked(f.plan), cases[i].n);
        assert_int_equal(nm_plan_n_free(f.plan), cases[i].n);
        assert_int_equal(n_params(&f), cases[i].n);
        close_fixture(&f);
    }
}

static void a_plan_can_be_made_joint_and_simple_again(void **state)
{
    fixture f = open_fixture();

    (void)state;
    mark(&f, "0", NM_FREE_ALL);
    mark(&f, "1", NM_FREE_ALL);
    assert_int_equal(nm_plan_n_free(f.plan), W0 + B0);
    assert_false(nm_plan_edits(f.plan, 1));
    nm_plan_set_joint(f.plan, true);
    assert_int_equal(nm_plan_n_free(f.plan), W0 + B0 + W1);
    assert_int_equal(n_params(&f), W0 + B0 + W1);
    assert_true(nm_plan_edits(f.plan, 1));
    nm_plan_set_joint(f.plan, false);
    assert_int_equal(nm_plan_n_free(f.plan), W0 + B0);
    close_fixture(&f);
}

static void lists_with_a_fault_are_refused(void **state)
{
    static const char *const bad[] = {"0,9", "9,0", "0,", ",0", ",", "0,,1", "0,2"};
    fixture f = open_fixture();

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_true(strlen(refuse(&f, bad[i], NM_FREE_ALL)) > 10);
    assert_non_null(strstr(refuse(&f, "0,1", NM_FREE_BIASES), "no biases"));
    close_fixture(&f);
}

/* A layer whose node is called "a,b" is that layer, not a list. */
static void a_name_may_hold_commas(void **state)
{
    fixture f = open_fixture();
    nm_op *op = &f.net->ops[f.net->layers[1].op];
    nm_err err = {0};

    (void)state;
    nm_free(op->name);
    nm_assert_ok(nm_strdup(&op->name, "0,last", &err), &err);
    mark(&f, "0,last", NM_FREE_ALL);
    assert_int_equal(nm_plan_n_marked(f.plan), W1);
    assert_true(nm_plan_edits(f.plan, 1) && !nm_plan_edits(f.plan, 0));
    close_fixture(&f);
}

/* -- files ----- */

static nm_status mark_file(fixture *f, const char *name, nm_err *err)
{
    char file[64];

    (void)snprintf(file, sizeof file, "data/masks/%s", name);
    return nm_plan_mark_file(ctx, f->plan, nm_test_file(file), err);
}

static void files_hold_masks_by_layer(void **state)
{
    fixture f = open_fixture();
    nm_params *params;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(mark_file(&f, "columns_first.npz", &err), &err);
    assert_int_equal(nm_plan_n_marked(f.plan), 2);
    nm_assert_ok(mark_file(&f, "good.npz", &err), &err);
    assert_int_equal(nm_plan_n_marked(f.plan), 2 + 1 + 2);
    nm_assert_ok(nm_params_new(f.plan, &params, &err), &err);
    assert_int_equal(params->n_blocks, 3);
    assert_true(params->blocks[0].entry[0] == 6 && params->blocks[0].entry[1] == 16);
    assert_true(params->blocks[1].entry[0] == 4 && params->blocks[1].bias);
    assert_true(params->blocks[2].entry[0] == 0 && params->blocks[2].entry[1] == 2);
    nm_params_free(params);
    close_fixture(&f);
}

static void faulty_files_are_refused_by_name(void **state)
{
    static const struct {
        const char *name;
        nm_status status;
        const char *text;
    } cases[] = {{"wrong_size.npz", NM_E_SHAPE, "16 entries"},
                 {"no_layer.npz", NM_E_ARG, "9"},
                 {"no_suffix.npz", NM_E_FORMAT, "array 'weights', expected a name"},
                 {"locked.npz", NM_E_ARG, "cannot be edited"},
                 {"no_biases.npz", NM_E_SHAPE, "0 biases"},
                 {"absent.npz", NM_E_IO, "absent.npz"},
                 {"../make_masks.py", NM_E_FORMAT, "make_masks.py"}};
    fixture f = open_fixture();

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nm_err err = {0};

        assert_int_equal(mark_file(&f, cases[i].name, &err), cases[i].status);
        assert_non_null(strstr(err.text, cases[i].text));
        assert_non_null(strstr(err.text, cases[i].name));
        assert_int_equal(nm_plan_n_marked(f.plan), 0);
    }
    close_fixture(&f);
}

static void failed_allocations_are_reported(void **state)
{
    nm_status rc = NM_E_NOMEM;
    int n = 0;

    (void)state;
    while (rc != NM_OK) {
        fixture f = open_fixture();
        nm_params *params = NULL;
        nm_err err = {0};

        nm_mem_fail_at(++n);
        rc = mark_file(&f, "good.npz", &err);
        if (rc == NM_OK)
            rc = nm_plan_mark_text(f.plan, "4..", NM_FREE_ALL, &err);
        if (rc == NM_OK)
            rc = nm_params_new(f.plan, &params, &err);
        nm_mem_fail_at(0);
        assert_true(rc == NM_OK || rc == NM_E_NOMEM);
        assert_true((rc == NM_OK) == (params != NULL));
        nm_params_free(params);
        close_fixture(&f);
    }
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_plan_frees_nothing),
        cmocka_unit_test(later_weights_are_inert),
        cmocka_unit_test(marking_twice_is_marking_once),
        cmocka_unit_test(texts_name_layers),
        cmocka_unit_test(a_node_name_names_its_layer),
        cmocka_unit_test(from_a_layer_on_means_all_that_follow),
        cmocka_unit_test(what_does_not_exist_is_refused),
        cmocka_unit_test(locked_layers_are_refused_with_the_reason),
        cmocka_unit_test(masks_of_another_size_are_refused),
        cmocka_unit_test(bounds_must_hold_zero_between_them),
        cmocka_unit_test(parameters_are_the_marked_entries),
        cmocka_unit_test(lists_of_layers_are_joint),
        cmocka_unit_test(a_plan_can_be_made_joint_and_simple_again),
        cmocka_unit_test(lists_with_a_fault_are_refused),
        cmocka_unit_test(a_name_may_hold_commas),
        cmocka_unit_test(files_hold_masks_by_layer),
        cmocka_unit_test(faulty_files_are_refused_by_name),
        cmocka_unit_test(failed_allocations_are_reported),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
