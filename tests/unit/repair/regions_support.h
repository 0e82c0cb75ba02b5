/* What the tests of repairs of regions share: a network, a plan, regions, and ways to look at the
 * result that share nothing with the repair. */
#ifndef NM_TESTS_REGIONS_SUPPORT_H
#define NM_TESTS_REGIONS_SUPPORT_H

#include "make_net.h"

#include <sys/stat.h>
#include <unistd.h>

#include "netmend/regions.h"
#include "spec/property.h"

enum { N_IN = 3, N_OUT = 3, WIDTH = 10, N_LAYERS = 3, N_SAMPLES = 5000, MOST_REGIONS = 8 };

static nm_ctx *ctx;

static const char *out_path; /* of every rig, one after the other */

static inline int open_context(void **state)
{
    (void)state;
    out_path = nm_temp_path(".onnx");
    return nm_ctx_new(&ctx, NULL) == NM_OK ? 0 : -1;
}

static inline int close_context(void **state)
{
    (void)state;
    nm_ctx_free(ctx);
    return 0;
}

typedef struct rig {
    nm_net *net, *fixed;
    nm_plan *plan;
    nm_regions regions;
    int64_t targets[MOST_REGIONS];
    nm_property *property;
    char path[256];
    nm_rng rng;
    nm_regions_opts opts;
    nm_regions_report report;
} rig;

static inline rig rig_of(nm_net *net, uint64_t seed, const char *layers, bool joint)
{
    rig r = {.net = net, .rng = {.seed = seed}, .opts = NM_REGIONS_OPTS_INIT};
    nm_err err = {0};

    nm_assert_ok(nm_plan_new(net, &r.plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(r.plan, layers, NM_FREE_ALL, &err), &err);
    nm_plan_set_joint(r.plan, joint);
    (void)snprintf(r.path, sizeof r.path, "%s", out_path);
    r.opts.repair.norm = NM_NORM_L2;
    return r;
}

static inline rig open_rig(uint64_t seed, const char *layers, bool joint)
{
    const int64_t widths[] = {N_IN, WIDTH, WIDTH, N_OUT};

    return rig_of(make_chain(seed, "Relu", widths, N_LAYERS), seed, layers, joint);
}

static inline void close_rig(rig *r)
{
    (void)unlink(r->path);
    nm_regions_report_free(&r->report);
    nm_regions_free(&r->regions);
    nm_property_free(r->property);
    nm_net_free(r->fixed);
    nm_plan_free(r->plan);
    nm_net_free(r->net);
}

/* Hulls of n_vertices points, `size` around random centres. */
static inline void random_hulls(rig *r, int64_t n, int64_t n_vertices, double size)
{
    int64_t n_in = nm_net_n_in(r->net);
    double *x = calloc((size_t)(n * n_vertices * n_in), sizeof *x);
    nm_err err = {0};

    assert_non_null(x);
    for (int64_t p = 0; p < n; p++)
        for (int64_t i = 0; i < n_in; i++) {
            double centre = 1.5 * nm_rng_normal(&r->rng);

            for (int64_t v = 0; v < n_vertices; v++)
                x[(p * n_vertices + v) * n_in + i] = centre + size * nm_rng_normal(&r->rng);
        }
    nm_assert_ok(nm_regions_from_vertices(x, n, n_vertices, n_in, &r->regions, &err), &err);
    free(x);
}

/* Boxes with these sides around random centres. */
static inline void random_boxes(rig *r, int64_t n, double side)
{
    double lo[MOST_REGIONS * N_IN], hi[MOST_REGIONS * N_IN];
    nm_err err = {0};

    for (int64_t i = 0; i < n * N_IN; i++) {
        lo[i] = 1.5 * nm_rng_normal(&r->rng);
        hi[i] = lo[i] + side * (0.2 + 0.8 * nm_rng_uniform(&r->rng));
    }
    nm_assert_ok(nm_regions_from_boxes(lo, hi, n, N_IN, &r->regions, &err), &err);
}

/* Wanted: what comes second at the first vertex. */
static inline void want_second(rig *r)
{
    for (int64_t p = 0; p < r->regions.n; p++) {
        double y[N_OUT];
        int64_t n_out = nm_net_n_out(r->net), best = 0, second = -1;
        nm_err err = {0};

        nm_assert_ok(nm_net_forward_f64(ctx, r->net,
                                        r->regions.vertex + r->regions.first[p] * r->regions.n_in,
                                        1, y, &err),
                     &err);
        for (int64_t i = 1; i < n_out; i++)
            best = y[i] > y[best] ? i : best;
        for (int64_t i = 0; i < n_out; i++)
            if (i != best && (second < 0 || y[i] > y[second]))
                second = i;
        r->targets[p] = second;
    }
}

static inline nm_status run_status(rig *r, nm_err *err)
{
    nm_regions_task task = {.regions = &r->regions,
                            .targets = r->property ? NULL : r->targets,
                            .property = r->property};

    return nm_repair_regions(ctx, r->net, r->plan, &task, &r->opts, *r->path ? r->path : NULL,
                             &r->fixed, &r->report, err);
}

static inline void run(rig *r)
{
    nm_err err = {0};

    nm_assert_ok(run_status(r, &err), &err);
}

static inline bool file_exists(const char *path)
{
    struct stat info;

    return stat(path, &info) == 0;
}

/* -- looking at what came out ------------------------------------------------------------------ */

static inline void draw(rig *r, int64_t region, float *x)
{
    int64_t first = r->regions.first[region], n = r->regions.first[region + 1] - first;
    int64_t n_in = r->regions.n_in;
    double share[64], sum = 0;

    assert_true(n <= 64);
    for (int64_t v = 0; v < n; v++)
        sum += share[v] = pow(-log(nm_rng_uniform(&r->rng) + 1e-15), 3); /* often near vertices */
    for (int64_t i = 0; i < n_in; i++) {
        double at = 0;

        for (int64_t v = 0; v < n; v++)
            at += share[v] / sum * r->regions.vertex[(first + v) * n_in + i];
        x[i] = (float)at;
    }
}

static inline bool is_right(const rig *r, int64_t region, const float *x, const float *y)
{
    double y64[N_OUT];
    int64_t n_out = nm_net_n_out(r->net);

    for (int64_t i = 0; i < n_out; i++)
        y64[i] = (double)y[i];
    if (r->property)
        return !nm_property_unsafe(r->property, x, y64);
    for (int64_t i = 0; i < n_out; i++)
        if (i != r->targets[region] && y[i] >= y[r->targets[region]])
            return false;
    return true;
}

static int64_t count_wrong(rig *r, const nm_net *net)
{
    int64_t n_in = r->regions.n_in, n_out = nm_net_n_out(net), wrong = 0;
    float *x = malloc((size_t)(N_SAMPLES * n_in) * sizeof *x);
    float *y = malloc((size_t)(N_SAMPLES * n_out) * sizeof *y);
    nm_err err = {0};

    assert_non_null(x);
    assert_non_null(y);
    for (int64_t p = 0; p < r->regions.n; p++) {
        for (int64_t s = 0; s < N_SAMPLES; s++)
            draw(r, p, x + s * n_in);
        nm_assert_ok(nm_net_forward_f32(ctx, net, x, N_SAMPLES, y, &err), &err);
        for (int64_t s = 0; s < N_SAMPLES; s++)
            wrong += !is_right(r, p, x + s * n_in, y + s * n_out);
    }
    free(x);
    free(y);
    return wrong;
}

/* Each box proven again, from scratch. */
static inline void verify_boxes(rig *r, const nm_net *net)
{
    for (int64_t p = 0; p < r->regions.n; p++) {
        nm_out_case cases[N_OUT];
        nm_out_row rows[N_OUT];
        int32_t output[N_OUT][2];
        const double coef[2][2] = {{1, -1}, {-1, 1}};
        nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
        nm_verify_report report;
        nm_property *property;
        int n = 0;
        nm_err err = {0};

        for (int32_t i = 0; i < N_OUT; i++) {
            int32_t wanted = (int32_t)r->targets[p];

            if (i == wanted)
                continue;
            output[n][0] = wanted < i ? wanted : i;
            output[n][1] = wanted < i ? i : wanted;
            cases[n] = (nm_out_case){.first = n, .n_rows = 1};
            rows[n] =
                (nm_out_row){.n_terms = 2, .output = output[n], .coef = coef[wanted < i ? 0 : 1]};
            n++;
        }
        nm_assert_ok(nm_property_from_box(r->regions.lo + p * N_IN, r->regions.hi + p * N_IN, N_IN,
                                          N_OUT, cases, n, rows, n, &property, &err),
                     &err);
        nm_assert_ok(nm_verify(ctx, net, property, &opts, &report, &err), &err);
        assert_int_equal(report.verdict, NM_VERDICT_HOLDS);
        nm_verify_report_free(&report);
        nm_property_free(property);
    }
}

/* Neurons of a chain whose sign differs among the vertices of a region, by more than a little. */
static inline int count_split_neurons(const rig *r, const nm_net *net, int64_t region)
{
    int split = 0;
    double least[N_LAYERS][WIDTH], most[N_LAYERS][WIDTH];

    for (int l = 0; l < N_LAYERS; l++)
        for (int i = 0; i < WIDTH; i++) {
            least[l][i] = INFINITY;
            most[l][i] = -INFINITY;
        }
    for (int64_t v = r->regions.first[region]; v < r->regions.first[region + 1]; v++) {
        double a[WIDTH], z[WIDTH];

        memcpy(a, r->regions.vertex + v * N_IN, N_IN * sizeof *a);
        for (int l = 0; l + 1 < N_LAYERS; l++) {
            const double *w = net->values[net->layers[l].weight].constant->f64;
            const double *b = net->values[net->layers[l].bias].constant->f64;
            int width = l ? WIDTH : N_IN;

            for (int i = 0; i < WIDTH; i++) {
                z[i] = b[i];
                for (int k = 0; k < width; k++)
                    z[i] += w[i * width + k] * a[k];
                least[l][i] = fmin(least[l][i], z[i]);
                most[l][i] = fmax(most[l][i], z[i]);
            }
            for (int i = 0; i < WIDTH; i++)
                a[i] = fmax(z[i], 0);
        }
    }
    for (int l = 0; l + 1 < N_LAYERS; l++)
        for (int i = 0; i < WIDTH; i++)
            split += least[l][i] < -1e-5 && most[l][i] > 1e-5;
    return split;
}

static inline void check_repaired(rig *r)
{
    nm_net *net;
    nm_err err = {0};

    if (r->report.repair.outcome != NM_REPAIRED)
        fail_msg("%s", r->report.repair.reason);
    nm_assert_ok(nm_net_load(ctx, r->path, &net, &err), &err);
    assert_int_equal(count_wrong(r, net), 0);
    assert_int_equal(r->report.n_proven, r->regions.n);
    assert_int_equal(r->report.repair.repair.right_after, r->report.repair.repair.n);
    if (r->regions.boxes && !r->property)
        verify_boxes(r, net);
    nm_net_free(net);
}

static inline void check_not_repaired(rig *r, nm_outcome outcome, const char *words)
{
    assert_int_equal(r->report.repair.outcome, outcome);
    if (!strstr(r->report.repair.reason, words))
        fail_msg("'%s' lacks '%s'", r->report.repair.reason, words);
    assert_null(r->fixed);
    assert_false(file_exists(r->path));
}

static inline nm_property *property_of(const char *text)
{
    const char *path = nm_temp_path(".vnnlib");
    FILE *f = fopen(path, "w");
    nm_property *property;
    nm_err err = {0};

    assert_non_null(f);
    for (int j = 0; j < N_IN; j++)
        (void)fprintf(f, "(declare-const X_%d Real)(declare-const Y_%d Real)\n", j, j);
    (void)fputs(text, f);
    (void)fclose(f);
    nm_assert_ok(nm_property_load(ctx, path, &property, &err), &err);
    return property;
}

static const char *const a_box = "(assert (and (>= X_0 -0.2) (<= X_0 0.3) (>= X_1 0.1) (<= X_1 0.4)"
                                 " (>= X_2 -0.1) (<= X_2 0.2)))";

#endif
