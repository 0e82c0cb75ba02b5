/* Rounding a repair, and judging the file that is written. */
#include "make_net.h"
#include "test_ctx.h"

#include <dirent.h>
#include <float.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "netmend/eval.h"
#include "repair/judge.h"

static const int64_t widths[] = {4, 9, 8, 3};

/* -- rounding ----- */

/* A net, a plan that frees every second weight of layer 1 and all biases from there on. */
typedef struct job {
    nm_net *net;
    nm_plan *plan;
    nm_params *params;
    double *delta, *rounded;
} job;

static job open_job(uint64_t seed, double lo, double hi)
{
    job j = {.net = make_chain(seed, "Relu", widths, 3)};
    uint8_t mask[72];
    nm_err err = {0};

    for (int i = 0; i < 72; i++)
        mask[i] = i % 2 == 0;
    nm_assert_ok(nm_plan_new(j.net, &j.plan, &err), &err);
    nm_assert_ok(nm_plan_mark_mask(j.plan, 1, false, mask, 72, &err), &err);
    nm_assert_ok(nm_plan_mark_text(j.plan, "1..", NM_FREE_BIASES, &err), &err);
    nm_assert_ok(nm_plan_set_bounds(j.plan, lo, hi, &err), &err);
    nm_assert_ok(nm_params_new(j.plan, &j.params, &err), &err);
    assert_int_equal(j.params->n, 36 + 8 + 3);
    j.delta = calloc((size_t)j.params->n, sizeof *j.delta);
    j.rounded = calloc((size_t)j.params->n, sizeof *j.rounded);
    return j;
}

static void close_job(job *j)
{
    nm_params_free(j->params);
    nm_plan_free(j->plan);
    nm_net_free(j->net);
    free(j->delta);
    free(j->rounded);
}

/* The layer's parameters: weights, then biases. */
static void read_layer(const nm_net *net, int layer, double *values)
{
    nm_err err = {0};

    nm_assert_ok(nm_net_get_layer(net, layer, false, values, &err), &err);
    nm_assert_ok(nm_net_get_layer(net, layer, true, values + net->layers[layer].n_weights, &err),
                 &err);
}

static void check_rounded(const job *j, const nm_net *fixed, double lo, double hi)
{
    for (int layer = 0; layer < 3; layer++) {
        double old[128], now[128];
        const nm_layer *l = &j->net->layers[layer];

        read_layer(j->net, layer, old);
        read_layer(fixed, layer, now);
        for (int64_t i = 0; i < l->n_weights + l->n_biases; i++) {
            bool bias = i >= l->n_weights;
            bool is_free = layer == 2 ? bias : layer == 1 && (bias || i % 2 == 0);
            double change = now[i] - old[i];

            assert_true((double)(float)now[i] == now[i]);
            assert_true(change >= lo && change <= hi);
            assert_true(is_free || memcmp(&old[i], &now[i], sizeof *old) == 0);
        }
    }
    for (int b = 0; b < j->params->n_blocks; b++) {
        const nm_param_block *block = &j->params->blocks[b];
        double old[128], now[128];
        int64_t shift = block->bias ? j->net->layers[block->layer].n_weights : 0;

        read_layer(j->net, block->layer, old);
        read_layer(fixed, block->layer, now);
        for (int64_t i = 0; i < block->n; i++) {
            int64_t k = shift + (block->entry ? block->entry[i] : i);
            double asked = fmin(fmax(j->delta[block->first + i], lo), hi);
            double step = fabs(old[k] + asked) * 0x1p-23 + 0x1p-149;

            assert_true(j->rounded[block->first + i] == now[k] - old[k]);
            assert_true(fabs(now[k] - old[k] - asked) <= step);
            if (j->delta[block->first + i] == 0)
                assert_memory_equal(&now[k], &old[k], sizeof *old);
        }
    }
}

/* Changes that end at a bound, pass it a little, or are smaller than a unit in the last place. */
static void rounding_never_leaves_the_bounds(void **state)
{
    static const double bound[] = {INFINITY, 1, 0.1, 1e-3, 1e-8, 1e-20, 1e-300};
    nm_rng rng = {.seed = 1};

    (void)state;
    for (int t = 0; t < 70; t++) {
        double hi = bound[t % 7], lo = t % 3 == 0 ? -hi : t % 3 == 1 ? -hi / 3 : 0;
        double size = hi < (double)INFINITY ? hi : pow(10, 6 - t / 7);
        job j = open_job((uint64_t)t, lo, hi);
        nm_net *fixed;
        nm_err err = {0};

        for (int64_t i = 0; i < j.params->n; i++)
            switch (nm_rng_below(&rng, 5)) {
            case 0:
                j.delta[i] = 0;
                break;
            case 1:
                j.delta[i] = hi < (double)INFINITY ? hi : size;
                break;
            case 2:
                j.delta[i] = lo > -(double)INFINITY ? lo : -size;
                break;
            case 3:
                j.delta[i] = size * (1 + 1e-9); /* as solvers may leave it */
                break;
            default:
                j.delta[i] = size * (2 * nm_rng_uniform(&rng) - 1);
            }
        nm_assert_ok(nm_round_repair(j.net, j.plan, j.params, j.delta, j.rounded, &fixed, &err),
                     &err);
        check_rounded(&j, fixed, lo, hi);
        nm_net_free(fixed);
        close_job(&j);
    }
}

static void changes_that_are_no_float32_are_refused(void **state)
{
    static const double bad[] = {1e39, -1e39, DBL_MAX, INFINITY, NAN, INFINITY, NAN};

    (void)state;
    for (int i = 0; i < 7; i++) {
        double bound = i < 5 ? (double)INFINITY : 1;
        job j = open_job(3, -bound, bound);
        nm_net *fixed;
        nm_err err = {0};

        j.delta[j.params->n - 1] = bad[i];
        assert_int_equal(nm_round_repair(j.net, j.plan, j.params, j.delta, j.rounded, &fixed, &err),
                         NM_E_INTERNAL);
        assert_null(fixed);
        assert_non_null(strstr(err.text, "layer 2: bias 2 "));
        close_job(&j);
    }
}

/* Parameters stored as float64 lie between two float32 numbers: within tight bounds they stay. */
static void a_parameter_without_float32_in_reach_stays(void **state)
{
    job j = open_job(4, -1e-12, 1e-12);
    const double between[3] = {0.1, -1.0 / 3, 1e-3};
    double now[3];
    nm_net *fixed;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_net_set_layer(j.net, 2, true, between, &err), &err);
    for (int64_t i = 0; i < j.params->n; i++)
        j.delta[i] = 1e-12;
    nm_assert_ok(nm_round_repair(j.net, j.plan, j.params, j.delta, j.rounded, &fixed, &err), &err);
    nm_assert_ok(nm_net_get_layer(fixed, 2, true, now, &err), &err);
    assert_memory_equal(now, between, sizeof now);
    nm_net_free(fixed);
    memset(j.delta, 0, (size_t)j.params->n * sizeof *j.delta); /* nor where nothing is to change */
    nm_assert_ok(nm_plan_set_bounds(j.plan, -1, 1, &err), &err);
    nm_assert_ok(nm_round_repair(j.net, j.plan, j.params, j.delta, j.rounded, &fixed, &err), &err);
    nm_assert_ok(nm_net_get_layer(fixed, 2, true, now, &err), &err);
    assert_memory_equal(now, between, sizeof now);
    nm_net_free(fixed);
    close_job(&j);
}

/* -- writing ----- */

enum { N = 6 };

typedef struct written {
    nm_net *net;
    float x[N * 4];
    int64_t target[N];
    char folder[256];
    char path[300];
} written;

/* A folder of its own, so that whatever is left in it shows. */
static written open_written(const char *name)
{
    written w = {.net = make_chain(5, "Relu", widths, 3)};
    nm_err err = {0};

    fill_normal(&(nm_rng){.seed = 5}, w.x, N * 4);
    (void)snprintf(w.folder, sizeof w.folder, "%s", nm_temp_path(""));
    assert_int_equal(mkdir(w.folder, 0700), 0);
    (void)snprintf(w.path, sizeof w.path, "%s/%s", w.folder, name);
    nm_assert_ok(nm_predict(ctx, w.net, w.x, N, w.target, &err), &err);
    return w;
}

static int count_files(const char *folder)
{
    DIR *dir = opendir(folder);
    int n = 0;

    assert_non_null(dir);
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(dir);
    return n;
}

static void close_written(written *w)
{
    (void)unlink(w->path);
    assert_int_equal(rmdir(w->folder), 0); /* fails if anything is left behind */
    nm_net_free(w->net);
}

/* Fails with the code, leaves nothing, gives nothing. @return the message, static */
static const char *refuse(written *w, const char *path, nm_safe safe, nm_status code)
{
    static nm_err err;
    nm_deploy d = {0};
    nm_net *back;

    err = (nm_err){0};
    assert_int_equal(
        nm_write_judged(ctx, w->net, path, w->x, w->target, N, NULL, safe, &d, &back, &err), code);
    assert_null(back);
    assert_null(d.margin);
    return err.text;
}

static void check_read_back(const char *name)
{
    written w = open_written(name);
    nm_deploy d = {0}, meant;
    nm_net *back;
    nm_err err = {0};

    nm_assert_ok(nm_write_judged(ctx, w.net, w.path, w.x, w.target, N, NULL, NM_SAFE_ANY_ORDER, &d,
                                 &back, &err),
                 &err);
    nm_assert_ok(nm_deploy_check(ctx, w.net, w.x, w.target, N, true, &meant, &err), &err);
    assert_int_equal(count_files(w.folder), 1);
    assert_int_equal(d.n, N);
    nm_assert_close(d.margin, meant.margin, N, 1e-12, 0);
    for (int layer = 0; layer < 3; layer++) {
        double ours[128], theirs[128];

        read_layer(w.net, layer, ours);
        read_layer(back, layer, theirs);
        nm_assert_close(theirs, ours, 36, 0, 0);
    }
    for (int p = 0; p < N; p++)
        assert_true(nm_deploy_passes(&d, NM_SAFE_ANY_ORDER, p));
    nm_deploy_clear(&d);
    nm_deploy_clear(&meant);
    nm_net_free(back);
    close_written(&w);
}

static void what_is_read_back_equals_what_was_written(void **state)
{
    (void)state;
    check_read_back("fixed.onnx");
    check_read_back("fixed.nnet");
    check_read_back("with.dots in.name.onnx");
}

static void a_file_that_does_not_pass_is_not_kept(void **state)
{
    written w = open_written("fixed.onnx");

    (void)state;
    w.target[N - 1] = (w.target[N - 1] + 1) % 3;
    for (int safe = NM_SAFE_ANY_ORDER; safe <= NM_SAFE_NONE; safe++) {
        assert_non_null(strstr(refuse(&w, w.path, (nm_safe)safe, NM_E_INTERNAL), "point 5"));
        assert_int_equal(count_files(w.folder), 0);
    }
    close_written(&w);
}

/* Right, but nearer to the other class than rounding allows. */
static void a_margin_below_the_bound_is_not_kept(void **state)
{
    written w = open_written("fixed.onnx");
    double values[27] = {0}, biases[3] = {1, 1 + 0x1p-23, 0};
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_net_set_layer(w.net, 2, false, values, &err), &err);
    nm_assert_ok(nm_net_set_layer(w.net, 2, true, biases, &err), &err);
    for (int p = 0; p < N; p++)
        w.target[p] = 1;
    assert_non_null(strstr(refuse(&w, w.path, NM_SAFE_ANY_ORDER, NM_E_INTERNAL), "point 0"));
    assert_int_equal(count_files(w.folder), 0);
    close_written(&w);
}

/* All points pass in the file, but it does not hold the network that was to be written. */
static void a_file_that_holds_another_network_is_not_kept(void **state)
{
    written w = open_written("fixed.onnx");
    const double biases[3] = {-1e3, -1e3, 1e3};
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_net_set_layer(w.net, 2, true, biases, &err), &err);
    for (int p = 0; p < N; p++)
        w.target[p] = 2;
    w.net->values[w.net->layers[2].bias].constant->f32[2] = 2e3F;
    assert_non_null(strstr(refuse(&w, w.path, NM_SAFE_NONE, NM_E_INTERNAL), "in memory but"));
    assert_int_equal(count_files(w.folder), 0);
    close_written(&w);
}

/* What was there before survives a refusal, to the byte. */
static void a_refusal_leaves_the_old_file_alone(void **state)
{
    written w = open_written("fixed.onnx");
    char text[8] = {0};
    FILE *file = fopen(w.path, "wb");

    (void)state;
    assert_non_null(file);
    assert_int_equal(fwrite("before", 1, 6, file), 6);
    assert_int_equal(fclose(file), 0);
    w.target[0] = (w.target[0] + 1) % 3;
    (void)refuse(&w, w.path, NM_SAFE_NONE, NM_E_INTERNAL);
    assert_int_equal(count_files(w.folder), 1);
    file = fopen(w.path, "rb");
    assert_int_equal(fread(text, 1, sizeof text, file), 6);
    assert_string_equal(text, "before");
    (void)fclose(file);
    close_written(&w);
}

static void paths_that_cannot_be_written_are_refused(void **state)
{
    written w = open_written("fixed.onnx");
    char path[320];

    (void)state;
    assert_non_null(strstr(refuse(&w, "/dev/null", NM_SAFE_NONE, NM_E_IO), "not a regular file"));
    assert_non_null(strstr(refuse(&w, w.folder, NM_SAFE_NONE, NM_E_IO), "not a regular file"));
    (void)snprintf(path, sizeof path, "%s/absent/fixed.onnx", w.folder);
    assert_non_null(strstr(refuse(&w, path, NM_SAFE_NONE, NM_E_IO), path));
    if (geteuid() != 0) { /* root may write anywhere */
        assert_int_equal(chmod(w.folder, 0500), 0);
        assert_non_null(strstr(refuse(&w, w.path, NM_SAFE_NONE, NM_E_IO), w.path));
        assert_int_equal(chmod(w.folder, 0700), 0);
    }
    (void)snprintf(path, sizeof path, "%s/fixed.pt", w.folder);
    (void)refuse(&w, path, NM_SAFE_NONE, NM_E_ARG);
    assert_int_equal(count_files(w.folder), 0);
    close_written(&w);
}

static void failed_allocations_leave_no_file(void **state)
{
    written w = open_written("fixed.onnx");

    (void)state;
    nm_ctx_set_threads(ctx, 1);
    for (int n = 1;; n++) {
        nm_deploy d = {0};
        nm_net *back;
        nm_err err = {0};
        nm_status rc;

        nm_mem_fail_at(n);
        rc = nm_write_judged(ctx, w.net, w.path, w.x, w.target, N, NULL, NM_SAFE_NONE, &d, &back,
                             &err);
        nm_mem_fail_at(0);
        if (rc == NM_OK) {
            nm_deploy_clear(&d);
            nm_net_free(back);
            break;
        }
        assert_int_equal(rc, NM_E_NOMEM);
        assert_int_equal(count_files(w.folder), 0);
    }
    close_written(&w);
}

static void cancelling_leaves_no_file(void **state)
{
    written w = open_written("fixed.onnx");

    (void)state;
    nm_ctx_cancel(ctx);
    (void)refuse(&w, w.path, NM_SAFE_NONE, NM_E_CANCELLED);
    assert_int_equal(count_files(w.folder), 0);
    close_written(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_never_leaves_the_bounds),
        cmocka_unit_test(changes_that_are_no_float32_are_refused),
        cmocka_unit_test(a_parameter_without_float32_in_reach_stays),
        cmocka_unit_test(what_is_read_back_equals_what_was_written),
        cmocka_unit_test(a_file_that_does_not_pass_is_not_kept),
        cmocka_unit_test(a_margin_below_the_bound_is_not_kept),
        cmocka_unit_test(a_file_that_holds_another_network_is_not_kept),
        cmocka_unit_test(a_refusal_leaves_the_old_file_alone),
        cmocka_unit_test(paths_that_cannot_be_written_are_refused),
        cmocka_unit_test(failed_allocations_leave_no_file),
        cmocka_unit_test(cancelling_leaves_no_file),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
