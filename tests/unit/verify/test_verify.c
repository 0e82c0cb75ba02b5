#include "gold.h"

#include <math.h>

#include "base/ctx.h"
#include "spec/property.h"
#include "verify/attack.h"

/* -- counterexamples that were found and checked elsewhere ------------------------------------- */

/* Reads "(X_3 0.25)" from the competition's form. */
static void read_values(const char *path, char letter, double *values, int64_t n)
{
    char text[256];
    FILE *in = fopen(path, "r");
    int64_t n_read = 0;

    assert_non_null(in);
    while (fscanf(in, "%255s", text) == 1) {
        const char *name = text + strspn(text, "(");
        char number[256];

        if (*name != letter || fscanf(in, "%255s", number) != 1)
            continue;
        assert_int_equal(strtoll(name + 2, NULL, 10), n_read);
        values[n_read++] = strtod(number, NULL);
    }
    (void)fclose(in);
    assert_int_equal(n_read, n);
}

typedef struct shipped {
    int n, n_files;
} shipped;

/* They are unsafe to us, too: reader, network and property agree with whoever checked them. */
static void check_shipped(const instance *one, void *user)
{
    shipped *s = user;
    nm_err err = {0};
    nm_ctx *ctx;
    nm_net *net;
    nm_property *p;
    double *x64, *y;
    float *x, *y32;
    int64_t n_in, n_out;
    FILE *file = fopen(one->cex, "r");

    s->n++;
    if (!file)
        return;
    (void)fclose(file);
    s->n_files++;
    assert_true(one->sat);
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_net_load(ctx, one->net, &net, &err), &err);
    nm_assert_ok(nm_property_load(ctx, one->property, &p, &err), &err);
    n_in = nm_property_n_in(p);
    n_out = nm_property_n_out(p);
    x64 = calloc((size_t)n_in, sizeof *x64);
    x = calloc((size_t)n_in, sizeof *x);
    y = calloc((size_t)n_out, sizeof *y);
    y32 = calloc((size_t)n_out, sizeof *y32);
    assert_true(x64 && x && y && y32);
    read_values(one->cex, 'X', x64, n_in);
    for (int64_t i = 0; i < n_in; i++) { /* some lie on bounds that are printed float32 numbers */
        x[i] = fminf(fmaxf((float)x64[i], p->boxes[0].lo_in[i]), p->boxes[0].hi_in[i]);
        if (fabs((double)x[i] - x64[i]) > 2e-7 * fabs(x64[i]))
            fail_msg("%s: X_%d is %.17g, in the box %.17g", one->cex, (int)i, x64[i], (double)x[i]);
        x64[i] = (double)x[i];
    }
    nm_assert_ok(nm_net_forward_f64(ctx, net, x64, 1, y, &err), &err);
    if (!nm_property_unsafe(p, x, y))
        fail_msg("%s is no counterexample in float64", one->cex);
    nm_assert_ok(nm_net_forward_f32(ctx, net, x, 1, y32, &err), &err);
    for (int64_t o = 0; o < n_out; o++)
        y[o] = (double)y32[o];
    if (!nm_property_unsafe(p, x, y))
        fail_msg("%s is no counterexample in float32", one->cex);
    free(x64);
    free(x);
    free(y);
    free(y32);
    nm_property_free(p);
    nm_net_free(net);
    nm_ctx_free(ctx);
}

static void shipped_counterexamples_are_unsafe(void **state)
{
    shipped s = {0};

    (void)state;
    (void)for_each_instance("acasxu", check_shipped, &s);
    (void)for_each_instance("mnistfc", check_shipped, &s);
    (void)for_each_instance("cifar_verif", check_shipped, &s);
    assert_int_equal(s.n, 63);
    assert_int_equal(s.n_files, 17);
}

/* -- the result file --------------------------------------------------------------------------- */

/* Numbers read back as doubles are the point. */
static void result_file_is_exact(void **state)
{
    float x[2] = {0.1F, -0.67985773F}, y[1] = {1.5F};
    nm_verify_report report = {
        .verdict = NM_VERDICT_VIOLATED, .x = x, .y = y, .n_in = 2, .n_out = 1};
    const char *path = nm_temp_path(".txt");
    char text[512] = "";
    nm_err err = {0};
    FILE *in;

    (void)state;
    nm_assert_ok(nm_vnncomp_write(&report, path, &err), &err);
    in = fopen(path, "r");
    assert_non_null(in);
    (void)fread(text, 1, sizeof text - 1, in);
    (void)fclose(in);
    assert_string_equal(text, "sat\n((X_0 0.10000000149011612)\n"
                              " (X_1 -0.67985773086547852)\n (Y_0 1.5))\n");
}

/* -- attacks ----------------------------------------------------------------------------------- */

typedef struct finds {
    const nm_property *property;
    int n;
    float x[5];
} finds;

static bool note(void *user, const float *x)
{
    finds *f = user;

    memcpy(f->x, x, sizeof f->x);
    f->n++;
    return true;
}

typedef struct fixture {
    nm_ctx *ctx;
    nm_net *net;
    nm_property *property;
} fixture;

static fixture open_acas(const char *net, const char *property)
{
    fixture f;
    nm_err err = {0};
    char path[128];

    nm_assert_ok(nm_ctx_new(&f.ctx, &err), &err);
    (void)snprintf(path, sizeof path, "acasxu/onnx/ACASXU_run2a_%s_batch_2000.onnx", net);
    nm_assert_ok(nm_net_load(f.ctx, nm_shared(path), &f.net, &err), &err);
    (void)snprintf(path, sizeof path, "acasxu/vnnlib/%s.vnnlib", property);
    nm_assert_ok(nm_property_load(f.ctx, nm_shared(path), &f.property, &err), &err);
    return f;
}

static void close_acas(fixture *f)
{
    nm_property_free(f->property);
    nm_net_free(f->net);
    nm_ctx_free(f->ctx);
}

/* Boxes of the property are narrowed to a tenth around nothing: the attack stays within. */
static void attack_stays_in_its_part(void **state)
{
    fixture f = open_acas("4_5", "prop_2");
    finds found = {.property = f.property};
    const nm_in_box *box = &f.property->boxes[0];
    nm_attack attack = {.ctx = f.ctx,
                        .net = f.net,
                        .property = f.property,
                        .box = box,
                        .hit = note,
                        .user = &found};
    nm_err err = {0};
    int n_found = 0;

    (void)state;
    for (int k = 0; k < 40; k++) {
        double lo[5], hi[5];
        float x[5];
        bool hit;

        for (int j = 0; j < 5; j++) {
            double width = box->hi_out[j] - box->lo_out[j];

            lo[j] = box->lo_out[j] + 0.02 * k * width;
            hi[j] = lo[j] + 0.1 * width;
            x[j] = box->lo_in[j];
        }
        attack.stream = (uint64_t)k << 32;
        nm_assert_ok(nm_attack_near(&attack, x, lo, hi, 1e7, &hit, &err), &err);
        for (int j = 0; hit && j < 5; j++)
            assert_true(lo[j] <= (double)found.x[j] && (double)found.x[j] <= hi[j]);
        n_found += hit;
    }
    assert_true(n_found > 0);
    assert_int_equal(n_found, found.n);
    close_acas(&f);
}

/* 1_9/prop_7 has a margin of 2e-5 and withstands random points and gradients. */
static void thin_counterexamples_are_found(void **state)
{
    fixture f = open_acas("1_9", "prop_7");
    nm_err err = {0};
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
    nm_verify_report report;

    (void)state;
    opts.max_nodes = 0;
    for (uint64_t seed = 0; seed < 5; seed++) {
        opts.seed = seed;
        nm_assert_ok(nm_verify(f.ctx, f.net, f.property, &opts, &report, &err), &err);
        assert_int_equal(report.verdict, NM_VERDICT_VIOLATED);
        assert_true(report.margin >= 0);
        nm_verify_report_free(&report);
    }
    close_acas(&f);
}

static void attack_does_not_depend_on_threads(void **state)
{
    fixture f = open_acas("2_1", "prop_2");
    nm_err err = {0};
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
    nm_verify_report a, b;

    (void)state;
    nm_ctx_set_threads(f.ctx, 1);
    nm_assert_ok(nm_verify(f.ctx, f.net, f.property, &opts, &a, &err), &err);
    nm_ctx_set_threads(f.ctx, 4);
    nm_assert_ok(nm_verify(f.ctx, f.net, f.property, &opts, &b, &err), &err);
    assert_int_equal(a.verdict, NM_VERDICT_VIOLATED);
    assert_int_equal(b.verdict, NM_VERDICT_VIOLATED);
    assert_memory_equal(a.x, b.x, 5 * sizeof *a.x);
    nm_verify_report_free(&a);
    nm_verify_report_free(&b);
    close_acas(&f);
}

static void a_limit_of_time_is_reported(void **state)
{
    fixture f = open_acas("1_1", "prop_6");
    nm_err err = {0};
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
    nm_verify_report report;
    double start = nm_now();

    (void)state;
    nm_ctx_set_time_limit(f.ctx, 0.05);
    nm_assert_ok(nm_verify(f.ctx, f.net, f.property, &opts, &report, &err), &err);
    assert_int_equal(report.verdict, NM_VERDICT_UNKNOWN);
    assert_true(report.timed_out);
    assert_true(nm_now() - start < 5);
    nm_verify_report_free(&report);
    close_acas(&f);
}

static void an_interrupt_is_reported(void **state)
{
    fixture f = open_acas("1_1", "prop_6");
    nm_err err = {0};
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
    nm_verify_report report;

    (void)state;
    nm_ctx_cancel(f.ctx);
    assert_int_equal(nm_verify(f.ctx, f.net, f.property, &opts, &report, &err), NM_E_CANCELLED);
    assert_int_equal(report.verdict, NM_VERDICT_UNKNOWN);
    assert_null(report.x);
    nm_verify_report_free(&report);
    close_acas(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shipped_counterexamples_are_unsafe),
        cmocka_unit_test(result_file_is_exact),
        cmocka_unit_test(attack_stays_in_its_part),
        cmocka_unit_test(thin_counterexamples_are_found),
        cmocka_unit_test(attack_does_not_depend_on_threads),
        cmocka_unit_test(a_limit_of_time_is_reported),
        cmocka_unit_test(an_interrupt_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
