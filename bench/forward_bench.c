/* Forward evaluation in float32 against what the machine can do.
 *
 *     forward_bench [--repeats N] [--images N]
 *
 * Dense: MNIST 3x100 on 10,000 images against the three bare matrix products of its layers, at the
 * library's block size and number of threads; nothing but cblas_sgemm.
 * Convolutions: CIFAR-10 networks against ONNX Runtime's CPU provider, one thread each (skipped
 * where node or onnxruntime-node is absent).
 * Both sides take turns; a ratio is the median over the turns of ours / theirs. */
#include <cblas.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/pass.h"
#include "runtime.h"
#include "support.h"

enum { MAX_REPEATS = 1000, N_DENSE = 3 };

/* -- the turns -------------------------------------------------------------------------------- */

/* Evaluates once; returns the seconds. */
typedef double (*turn)(void *user);

struct duel {
    double ours, theirs, ratio; /* medians */
};

static struct duel compare(turn ours, turn theirs, void *user, int repeats)
{
    static double a[MAX_REPEATS], b[MAX_REPEATS], ratio[MAX_REPEATS];

    (void)ours(user); /* warm up */
    (void)theirs(user);
    for (int i = 0; i < repeats; i++) {
        a[i] = ours(user);
        b[i] = theirs(user);
        ratio[i] = a[i] / b[i];
    }
    return (struct duel){bench_median(a, repeats), bench_median(b, repeats),
                         bench_median(ratio, repeats)};
}

struct task {
    nm_ctx *ctx;
    const nm_net *net;
    nm_points points;
    float *y;
    float *weights[N_DENSE]; /* dense only: [out x in] */
    float *hidden[2];        /* per thread, one block each */
    int64_t block;
    bench_runtime *runtime;
};

static double forward(void *user)
{
    struct task *t = user;
    nm_err err = {0};
    double start = bench_now();

    bench_check(nm_net_forward_f32(t->ctx, t->net, t->points.x, t->points.n, t->y, &err), &err);
    return bench_now() - start;
}

/* -- dense ------------------------------------------------------------------------------------ */

static const int sizes[N_DENSE + 1] = {784, 100, 100, 10};

static double bare_chain(void *user)
{
    struct task *t = user;
    int64_t n = t->points.n;
    double start = bench_now();

#pragma omp parallel for schedule(dynamic, 1) num_threads(nm_ctx_threads(t->ctx))
    for (int64_t first = 0; first < n; first += t->block) {
        int rows = (int)(n - first < t->block ? n - first : t->block);
        const float *x = t->points.x + first * sizes[0];

        for (int l = 0; l < N_DENSE; l++) {
            float *y = l == N_DENSE - 1 ? t->y + first * sizes[N_DENSE]
                                        : t->hidden[l] + omp_get_thread_num() * t->block * 100;

            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, sizes[l + 1], sizes[l], 1, x,
                        sizes[l], t->weights[l], sizes[l], 0, y, sizes[l + 1]);
            x = y;
        }
    }
    return bench_now() - start;
}

static float *weights_of(const nm_net *net, int layer)
{
    int64_t n = (int64_t)sizes[layer] * sizes[layer + 1];
    double *w = bench_alloc(n, sizeof *w);
    float *f = bench_alloc(n, sizeof *f);
    nm_err err = {0};

    bench_check(nm_net_get_layer(net, layer, false, w, &err), &err);
    for (int64_t i = 0; i < n; i++)
        f[i] = (float)w[i];
    free(w);
    return f;
}

static void bench_dense(int n_threads, int repeats)
{
    nm_ctx *ctx = bench_ctx(n_threads);
    nm_net *net = bench_net(ctx, "aprnn/mnist_relu_3_100.onnx");
    struct task t = {.ctx = ctx, .net = net, .block = nm_pass_block(net)};
    struct duel d;

    t.points = bench_points(ctx, "mnist/t10k-images-idx3-ubyte.gz", NULL, 0, -1);
    t.y = bench_alloc(t.points.n * sizes[N_DENSE], sizeof *t.y);
    for (int l = 0; l < N_DENSE; l++)
        t.weights[l] = weights_of(net, l);
    for (int l = 0; l < 2; l++)
        t.hidden[l] = bench_alloc(n_threads * t.block * 100, sizeof(float));
    d = compare(forward, bare_chain, &t, repeats);
    (void)printf("mnist_relu_3_100 %5lld images, %d thread%s  netmend %8.2f ms   bare sgemm %8.2f "
                 "ms   ratio %.2f\n",
                 (long long)t.points.n, n_threads, n_threads > 1 ? "s" : " ", 1e3 * d.ours,
                 1e3 * d.theirs, d.ratio);
    for (int l = 0; l < N_DENSE; l++)
        free(t.weights[l]);
    free(t.hidden[0]);
    free(t.hidden[1]);
    free(t.y);
    nm_points_free(&t.points);
    nm_net_free(net);
    nm_ctx_free(ctx);
}

/* -- convolutions ----------------------------------------------------------------------------- */

static double runtime_turn(void *user)
{
    return bench_runtime_run(((struct task *)user)->runtime);
}

static void bench_conv(const char *name, int64_t n_images, int repeats)
{
    nm_ctx *ctx = bench_ctx(1);
    char file[256];
    struct task t = {.ctx = ctx};

    (void)snprintf(file, sizeof file, "cifar10/%s.onnx", name);
    t.net = bench_net(ctx, file);
    t.points = bench_points(ctx, "cifar10/test_batch.bin", NULL, 0, n_images);
    t.y = bench_alloc(t.points.n * nm_net_n_out(t.net), sizeof *t.y);
    t.runtime = bench_runtime_open(bench_path(file), n_images);
    if (t.runtime) {
        struct duel d = compare(forward, runtime_turn, &t, repeats);

        (void)printf("%-16s %5lld images, 1 thread   netmend %8.2f ms   onnxruntime %7.2f ms   "
                     "ratio %.2f\n",
                     name, (long long)t.points.n, 1e3 * d.ours, 1e3 * d.theirs, d.ratio);
        bench_runtime_close(t.runtime);
    }
    free(t.y);
    nm_points_free(&t.points);
    nm_net_free((nm_net *)(uintptr_t)t.net);
    nm_ctx_free(ctx);
}

int main(int argc, char **argv)
{
    int repeats = (int)bench_option(argc, argv, "--repeats", 21);
    int64_t n_images = (int64_t)bench_option(argc, argv, "--images", 100);

    if (repeats < 1 || repeats > MAX_REPEATS || n_images < 1) {
        (void)fprintf(stderr, "usage: forward_bench [--repeats 1..%d] [--images N]\n", MAX_REPEATS);
        return 2;
    }
    openblas_set_num_threads(1);
    bench_dense(1, repeats);
    bench_dense(2, repeats);
    bench_conv("small_cnn_cifar10", n_images, repeats);
    bench_conv("resnet_tiny_cifar10", n_images, repeats);
    bench_conv("alexnet_cifar10", n_images, repeats);
    return 0;
}
