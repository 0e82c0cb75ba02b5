/* ACAS Xu N_{2,9}, last layer, 8 inputs that violate property 8, y_0, y_1 <= y_2, y_3, y_4 - 0.001
 * (Goldberger et al., LPAR 2020): the smallest change in linf equals the optimum of a linear
 * program that is written down row by row and given to CLP directly. */
#include "support.h"

#include <coin/Clp_C_Interface.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "io/array.h"
#include "netmend/netmend.h"
#include "repair/minimal.h"

enum { N_IN = 5, N_OUT = 5, N_POINTS = 8, WIDTH = 50, N_DRAWS = 4000, N_RULES = 6 };

typedef struct rig {
    nm_ctx *ctx;
    nm_net *net;
    float x[N_POINTS * N_IN];
    double u[N_POINTS][WIDTH + 1]; /* inputs of the last layer and 1 */
    double y[N_POINTS][N_OUT];
} rig;

/* By plain loops. @param u  out, NULL: not wanted */
static void forward(const nm_net *net, const float *x, double *u, double *y)
{
    double a[WIDTH] = {0}, z[WIDTH] = {0};

    for (int k = 0; k < N_IN; k++)
        a[k] = (double)x[k];
    for (int l = 0; l < net->n_layers; l++) {
        const nm_layer *layer = &net->layers[l];
        const double *w = net->values[layer->weight].constant->f64;
        const double *b = net->values[layer->bias].constant->f64;
        int64_t n_in = layer->n_weights / layer->n_biases;

        for (int64_t k = 0; u && l + 1 == net->n_layers && k < n_in; k++)
            u[k] = a[k];
        for (int64_t r = 0; r < layer->n_biases; r++) {
            z[r] = b[r];
            for (int64_t k = 0; k < n_in; k++)
                z[r] += w[r * n_in + k] * a[k];
        }
        for (int64_t r = 0; r < layer->n_biases; r++)
            a[r] = l + 1 < net->n_layers ? fmax(z[r], 0) : z[r];
    }
    memcpy(y, a, N_OUT * sizeof *y);
    if (u)
        u[WIDTH] = 1;
}

/* How far property 8 (the smallest score is y_0 or y_1) is violated. */
static double violation(const double *y)
{
    return fmin(y[0], y[1]) - fmin(y[2], fmin(y[3], y[4]));
}

/* The most violating input of a box that a random search finds, which narrows down. */
static double search_box(const rig *r, const double *box, nm_rng *rng, float *best)
{
    double y[N_OUT], most = -INFINITY;

    for (int i = 0; i < N_DRAWS; i++) {
        float x[N_IN];

        for (int k = 0; k < N_IN; k++) {
            double lo = box[2 * k], hi = box[2 * k + 1], from = (double)best[k];
            double step = nm_rng_normal(rng) * (hi - lo) * pow(0.5, 12.0 * i / N_DRAWS);

            x[k] = (float)(i < N_DRAWS / 4 ? lo + nm_rng_uniform(rng) * (hi - lo)
                                           : fmin(fmax(from + step, lo), hi));
        }
        forward(r->net, x, NULL, y);
        if (violation(y) > most) {
            most = violation(y);
            memcpy(best, x, sizeof x);
        }
    }
    return most;
}

/* One input of each of the first boxes in which the search finds a violation. */
static void find_points(rig *r)
{
    nm_array boxes = {0};
    nm_buffer file = {0};
    nm_rng rng = {.seed = 8};
    int p = 0;
    nm_err err = {0};

    nm_assert_ok(nm_file_read(nm_shared("aprnn/acas_eval4_prop8_boxes.npy"), 1 << 20, &file, &err),
                 &err);
    nm_assert_ok(nm_npy_parse(file.data, file.n_bytes, &boxes, &err), &err);
    for (int64_t b = 0; b < boxes.shape.dims[0] && p < N_POINTS; b++) {
        if (!(search_box(r, boxes.values + b * 2 * N_IN, &rng, r->x + p * N_IN) > 0))
            continue;
        forward(r->net, r->x + p * N_IN, r->u[p], r->y[p]);
        p++;
    }
    assert_int_equal(p, N_POINTS);
    nm_array_free(&boxes);
    nm_buffer_free(&file);
}

/* -- the program, row by row ---------------------------------------------------------------------
 */

/* y_win <= y_lose - 0.001, six of them. */
static void rule(int i, int *win, int *lose)
{
    *win = i / 3;
    *lose = 2 + i % 3;
}

static const double margin = 1e-3;

/* Columns D [N_OUT x (WIDTH + 1)], then t, all D free: D_j - t <= 0, -D_j - t <= 0, and for each
   point and rule (D_win - D_lose) u <= y_lose - y_win - margin. */
static double solve_directly(const rig *r, int n_points)
{
    enum { N_D = N_OUT * (WIDTH + 1) };
    Clp_Simplex *clp = Clp_newModel();
    static double lo[N_D + 1], hi[N_D + 1], cost[N_D + 1];
    static int none[N_D + 2];
    double best;

    assert_non_null(clp);
    for (int j = 0; j < N_D; j++) {
        lo[j] = -1e30;
        hi[j] = 1e30;
    }
    lo[N_D] = 0;
    hi[N_D] = 1e30;
    cost[N_D] = 1000; /* tolerances of CLP are absolute */
    Clp_setLogLevel(clp, 0);
    Clp_setPrimalTolerance(clp, 1e-10);
    Clp_setDualTolerance(clp, 1e-10);
    Clp_addColumns(clp, N_D + 1, lo, hi, cost, none, NULL, NULL);
    for (int j = 0; j < N_D; j++)
        for (int side = 0; side < 2; side++) {
            int starts[] = {0, 2}, columns[] = {j, N_D};
            double below = -1e30, above = 0, values[] = {side ? -1 : 1, -1};

            Clp_addRows(clp, 1, &below, &above, starts, columns, values);
        }
    for (int p = 0; p < n_points; p++)
        for (int i = 0; i < N_RULES; i++) {
            int starts[] = {0, 2 * (WIDTH + 1)}, columns[2 * (WIDTH + 1)], win, lose;
            double below = -1e30, above, values[2 * (WIDTH + 1)];

            rule(i, &win, &lose);
            above = r->y[p][lose] - r->y[p][win] - margin;
            for (int k = 0; k <= WIDTH; k++) {
                columns[k] = win * (WIDTH + 1) + k;
                values[k] = r->u[p][k];
                columns[WIDTH + 1 + k] = lose * (WIDTH + 1) + k;
                values[WIDTH + 1 + k] = -r->u[p][k];
            }
            Clp_addRows(clp, 1, &below, &above, starts, columns, values);
        }
    (void)Clp_primal(clp, 0);
    assert_int_equal(Clp_status(clp), 0);
    best = Clp_getObjValue(clp) / 1000;
    Clp_deleteModel(clp);
    return best;
}

/* -- the method ----------------------------------------------------------------------------------
 */

static double repair(const rig *r, int n_points, double *bound)
{
    double c[N_RULES * N_OUT] = {0}, d[N_RULES], *delta;
    nm_polytope piece = {.n_rows = N_RULES, .c = c, .d = d};
    nm_union goal[N_POINTS];
    nm_minimal_opts opts = {.norm = NM_NORM_LINF, .gap = 1e-8, .max_nodes = 100};
    nm_minimal_report report;
    nm_plan *plan;
    nm_err err = {0};

    for (int i = 0; i < N_RULES; i++) {
        int win, lose;

        rule(i, &win, &lose);
        c[i * N_OUT + win] = 1;
        c[i * N_OUT + lose] = -1;
        d[i] = -margin;
    }
    for (int p = 0; p < N_POINTS; p++)
        goal[p] = (nm_union){.n_pieces = 1, .pieces = &piece};
    nm_assert_ok(nm_plan_new(r->net, &plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(plan, "last", NM_FREE_ALL, &err), &err);
    delta = malloc((size_t)nm_plan_n_free(plan) * sizeof *delta);
    assert_non_null(delta);
    nm_assert_ok(
        nm_minimal(r->ctx, r->net, plan, r->x, n_points, goal, &opts, delta, &report, &err), &err);
    assert_true(report.found && report.proven);
    *bound = report.lower_bound;
    free(delta);
    nm_plan_free(plan);
    return report.norm;
}

static void equals_the_program_written_down(void **state)
{
    rig r;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_ctx_new(&r.ctx, &err), &err);
    nm_assert_ok(nm_net_load(r.ctx, nm_shared("aprnn/acasxu_2_9.onnx"), &r.net, &err), &err);
    find_points(&r);
    for (int n = 1; n <= N_POINTS; n++) {
        double bound, got = repair(&r, n, &bound), want = solve_directly(&r, n);

        print_message("%d points: linf %.9g, program written down %.9g, bound %.9g\n", n, got, want,
                      bound);
        assert_true(fabs(got - want) <= 1e-6 * want);
        assert_true(bound <= want * (1 + 1e-9) && bound >= want * (1 - 1e-6));
    }
    nm_net_free(r.net);
    nm_ctx_free(r.ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equals_the_program_written_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
