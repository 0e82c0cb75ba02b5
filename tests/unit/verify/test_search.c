/* Searches against exhaustive enumeration of activation patterns, each a linear program (CLP). */
#include "region_support.h"

#include <Clp_C_Interface.h>
#include <float.h>

#include "base/mem.h"

enum { MOST_NEURONS = 12, MOST_IN = 3, MOST_ROWS = 3 };

/* The affine forms of all neurons and rows in one pattern, x first, then the constant. */
typedef struct piece {
    double z[MOST_NEURONS][MOST_IN + 1];
    double row[MOST_ROWS][MOST_IN + 1];
} piece;

static void find_piece(const nm_vnet *v, uint32_t pattern, int m, const nm_vrow *rows, piece *p)
{
    double act[64][MOST_IN + 1] = {{0}};
    int64_t n_in = v->nodes[0].n, unit = 0;

    for (int64_t j = 0; j < n_in; j++)
        act[j][j] = 1;
    for (int k = 1; k < v->n_nodes; k++) {
        const nm_vnode *node = &v->nodes[k];

        for (int64_t r = 0; r < node->n; r++) {
            double z[MOST_IN + 1] = {0};
            const nm_vmap *map = &node->maps[0];

            z[n_in] = node->bias[r];
            for (int64_t e = map->start[r]; e < map->start[r + 1]; e++)
                for (int64_t j = 0; j <= n_in; j++)
                    z[j] += map->w[e] * act[v->nodes[map->from].first + map->at[e]][j];
            if (node->kind == NM_VNODE_RELU) {
                memcpy(p->z[unit], z, sizeof z);
                if (pattern >> unit++ & 1)
                    memcpy(act[node->first + r], z, sizeof z);
            } else
                memcpy(act[node->first + r], z, sizeof z);
        }
    }
    for (int i = 0; i < m; i++) {
        const nm_vnode *out = nm_vnet_output(v);

        memset(p->row[i], 0, sizeof p->row[i]);
        p->row[i][n_in] = rows[i].at_0;
        for (int64_t o = 0; o < out->n; o++)
            for (int64_t j = 0; j <= n_in; j++)
                p->row[i][j] += rows[i].c[o] * act[out->first + o][j];
    }
}

/* min t over x in the box and the pattern's cell, t >= every row; INFINITY where it is empty. */
static double least_in(const piece *p, uint32_t pattern, int n_units, int m, int n_in,
                       const double *lo, const double *hi)
{
    Clp_Simplex *clp = Clp_newModel();
    int n = n_in + 1, at = 0;
    CoinBigIndex start[MOST_NEURONS + MOST_ROWS + 1] = {0};
    int column[(MOST_NEURONS + MOST_ROWS) * (MOST_IN + 1)];
    double value[(MOST_NEURONS + MOST_ROWS) * (MOST_IN + 1)];
    double lower[MOST_NEURONS + MOST_ROWS], upper[MOST_NEURONS + MOST_ROWS],
        least = (double)INFINITY;

    Clp_setLogLevel(clp, 0);
    Clp_resize(clp, 0, n);
    for (int j = 0; j < n_in; j++) {
        Clp_columnLower(clp)[j] = lo[j];
        Clp_columnUpper(clp)[j] = hi[j];
    }
    Clp_columnLower(clp)[n_in] = -1e9;
    Clp_columnUpper(clp)[n_in] = 1e9;
    Clp_objective(clp)[n_in] = 1;
    for (int r = 0; r < n_units + m; r++) {
        const double *form = r < n_units ? p->z[r] : p->row[r - n_units];
        bool on = r < n_units && (pattern >> r & 1) != 0;

        for (int j = 0; j < n_in; j++) {
            column[at] = j;
            value[at++] = form[j];
        }
        column[at] = n_in;
        value[at++] = r < n_units ? 0 : -1;
        start[r + 1] = at;
        lower[r] = on ? -form[n_in] : -DBL_MAX;
        upper[r] = on ? DBL_MAX : -form[n_in];
    }
    Clp_addRows(clp, n_units + m, lower, upper, start, column, value);
    Clp_setPrimalTolerance(clp, 1e-9);
    Clp_setDualTolerance(clp, 1e-9);
    (void)Clp_dual(clp, 0);
    if (Clp_status(clp) == 0)
        least = Clp_objectiveValue(clp);
    Clp_deleteModel(clp);
    return least;
}

typedef struct task {
    nm_net *net;
    nm_vnet *v;
    double lo[MOST_IN], hi[MOST_IN], c[MOST_ROWS * 3];
    float point_lo[MOST_IN], point_hi[MOST_IN];
    nm_vrow rows[MOST_ROWS];
    int first[2], n_found;
    double least; /* min over the box of the largest row */
    nm_region region;
    nm_ctx *ctx;
} task;

/* Unsafe indeed? In double, without any tolerance: points on the edge do not count. */
static bool try_point(void *user, const float *x)
{
    task *t = user;
    double in[MOST_IN], y[3], largest = -(double)INFINITY;
    nm_err err = {0};

    for (int64_t j = 0; j < t->v->nodes[0].n; j++) {
        in[j] = (double)x[j];
        assert_true(in[j] >= t->lo[j] && in[j] <= t->hi[j]);
    }
    nm_assert_ok(nm_net_forward_f64(t->ctx, t->net, in, 1, y, &err), &err);
    for (int r = 0; r < t->region.n_rows; r++) {
        double sum = t->rows[r].at_0;

        for (int o = 0; o < 3; o++)
            sum += t->rows[r].c[o] * y[o];
        largest = fmax(largest, sum);
    }
#pragma omp atomic
    t->n_found++;
    return largest <= 0;
}

static void open_task(task *t, uint64_t seed, const char *activation, int m)
{
    nm_rng rng = {.seed = seed, .stream = 20};
    int64_t n_in = 2 + (int64_t)(seed % 2), widths[] = {n_in, 5, 5, 3};
    nm_err err = {0};

    *t = (task){.net = make_chain(seed, activation, widths, 3), .least = (double)INFINITY};
    make_box(&rng, n_in, 2, t->lo, t->hi);
    nm_assert_ok(nm_ctx_new(&t->ctx, &err), &err);
    nm_ctx_set_threads(t->ctx, 1 + (int)(seed % 3));
    nm_assert_ok(nm_vnet_new(t->net, t->lo, t->hi, false, &t->v, &err), &err);
    for (int i = 0; i < MOST_ROWS * 3; i++)
        t->c[i] = nm_rng_normal(&rng);
    for (int r = 0; r < m; r++)
        t->rows[r] = (nm_vrow){.c = t->c + 3 * r, .at_0 = 0};
    for (int64_t j = 0; j < n_in; j++) {
        t->point_lo[j] = (float)t->lo[j];
        t->point_hi[j] = (float)t->hi[j];
    }
    t->first[1] = m;
    t->region = (nm_region){.v = t->v,
                            .lo = t->lo,
                            .hi = t->hi,
                            .point_lo = t->point_lo,
                            .point_hi = t->point_hi,
                            .n_rows = m,
                            .rows = t->rows,
                            .n_cases = 1,
                            .first = t->first,
                            .user = t};
}

static void enumerate(task *t)
{
    int n_units = 0;

    for (int k = 1; k < t->v->n_nodes; k++)
        n_units += t->v->nodes[k].kind == NM_VNODE_RELU ? (int)t->v->nodes[k].n : 0;
    assert_true(n_units <= MOST_NEURONS);
    for (uint32_t pattern = 0; pattern < (uint32_t)1 << n_units; pattern++) {
        piece p;

        find_piece(t->v, pattern, t->region.n_rows, t->rows, &p);
        t->least = fmin(t->least, least_in(&p, pattern, n_units, t->region.n_rows,
                                           (int)t->v->nodes[0].n, t->lo, t->hi));
    }
}

static void close_task(task *t)
{
    nm_vnet_free(t->v);
    nm_net_free(t->net);
    nm_ctx_free(t->ctx);
}

static nm_region_outcome run_as(task *t, double shift, bool attack, int64_t max_nodes, bool neurons)
{
    nm_search_opts opts = NM_SEARCH_OPTS_INIT;
    nm_region_report report;
    nm_region_outcome outcome;
    nm_err err = {0};

    for (int r = 0; r < t->region.n_rows; r++)
        t->rows[r].at_0 = shift;
    t->region.try_point = attack ? try_point : NULL;
    opts.max_nodes = max_nodes;
    nm_assert_ok(
        (neurons ? nm_search_neurons : nm_search_inputs)(t->ctx, &t->region, &opts, &report, &err),
        &err);
    outcome = report.outcome;
    if (outcome == NM_REGION_SAFE)
        assert_true(report.worst_bound > 0 && report.n_open == 0);
    nm_region_report_free(&report);
    return outcome;
}

static nm_region_outcome run(task *t, double shift, bool attack, int64_t max_nodes)
{
    return run_as(t, shift, attack, max_nodes, false);
}

/* Splitting neurons, with multipliers: what it proves is so, whatever is near. */
static void neuron_splits_agree_with_all_patterns(void **state)
{
    int n_proved = 0;

    (void)state;
    for (uint64_t seed = 50; seed < 90; seed++) {
        static const double gaps[] = {1, 1e-2, 1e-4, 1e-6};
        task t;

        open_task(&t, seed, "Relu", 1 + (int)(seed % 3));
        enumerate(&t);
        for (int g = 0; g < 4; g++) {
            nm_region_outcome safe = run_as(&t, gaps[g] - t.least, false, 2000, true);

            n_proved += safe == NM_REGION_SAFE;
            /* Weights and multipliers come by ascent, which may end early. */
            if (t.region.n_rows == 1 && gaps[g] == 1 && safe != NM_REGION_SAFE)
                fail_msg("seed %d: not proved by %g", (int)seed, gaps[g]);
            if (run_as(&t, -gaps[g] - t.least, false, 2000, true) == NM_REGION_SAFE)
                fail_msg("seed %d: proved though unsafe by %g", (int)seed, gaps[g]);
        }
        close_task(&t);
    }
    print_message("%d of 160 proved\n", n_proved);
    assert_true(n_proved >= 60);
}

static void verdicts_are_those_of_all_patterns(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 24; seed++) {
        static const double gaps[] = {1, 1e-2, 1e-4, 1e-6};
        task t;

        open_task(&t, seed, "Relu", 1 + (int)(seed % 3));
        enumerate(&t);
        assert_true(isfinite(t.least));
        for (int g = 0; g < 4; g++) {
            double shift = -t.least; /* the largest row is now 0 at its least */

            if (run(&t, shift + gaps[g], false, 200000) != NM_REGION_SAFE)
                fail_msg("seed %d: not proved by %g", (int)seed, gaps[g]);
            /* Planted: there are unsafe points, and nobody looks for them. */
            if (run(&t, shift - gaps[g], false, 3000) == NM_REGION_SAFE)
                fail_msg("seed %d: proved though unsafe by %g", (int)seed, gaps[g]);
            if (run(&t, shift - gaps[g], true, 200000) != NM_REGION_UNSAFE)
                fail_msg("seed %d: no point found, unsafe by %g", (int)seed, gaps[g]);
        }
        close_task(&t);
    }
}

/* A part of a safe box is safe; rows may be scaled; a row may be given twice. */
static void what_must_not_matter_does_not(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 40; seed++) {
        task t;
        nm_rng rng = {.seed = seed};

        open_task(&t, seed, "Relu", 2);
        enumerate(&t);
        assert_int_equal(run(&t, 1e-3 - t.least, false, 100000), NM_REGION_SAFE);
        for (int j = 0; j < (int)t.v->nodes[0].n; j++) {
            t.lo[j] += nm_rng_uniform(&rng) * 0.5 * (t.hi[j] - t.lo[j]);
            t.hi[j] -= nm_rng_uniform(&rng) * 0.5 * (t.hi[j] - t.lo[j]);
        }
        assert_int_equal(run(&t, 1e-3 - t.least, false, 100000), NM_REGION_SAFE);
        for (int i = 0; i < 3; i++)
            t.c[i] *= 1000;
        t.rows[0].at_0 *= 1000;
        t.c[6] = t.c[3], t.c[7] = t.c[4], t.c[8] = t.c[5];
        t.rows[2] = (nm_vrow){.c = t.c + 6, .at_0 = t.rows[1].at_0};
        t.region.n_rows = t.first[1] = 3;
        nm_search_opts opts = NM_SEARCH_OPTS_INIT;
        nm_region_report report;
        nm_err err = {0};
        nm_assert_ok(nm_search_inputs(t.ctx, &t.region, &opts, &report, &err), &err);
        assert_int_equal(report.outcome, NM_REGION_SAFE);
        nm_region_report_free(&report);
        close_task(&t);
    }
}

/* One relu, decided exactly: y = relu(x) - x on [-1, 1] is >= 0, and 0 on half of it. */
static void a_toy_is_decided(void **state)
{
    static const int64_t widths[] = {1, 1, 1};
    nm_net *net = make_chain(1, "Relu", widths, 2);
    double lo = -1, hi = 1, c = 1;
    nm_vrow row = {.c = &c, .at_0 = 1e-7};
    int first[2] = {0, 1};
    nm_region region = {.lo = &lo,
                        .hi = &hi,
                        .point_lo = (float[]){-1},
                        .point_hi = (float[]){1},
                        .n_rows = 1,
                        .rows = &row,
                        .n_cases = 1,
                        .first = first};
    nm_search_opts opts = NM_SEARCH_OPTS_INIT;
    nm_region_report report;
    nm_vnet *v;
    nm_ctx *ctx;
    nm_err err = {0};

    (void)state;
    for (int layer = 0; layer < 2; layer++) {
        nm_assert_ok(nm_net_set_layer(net, layer, false, (double[]){1}, &err), &err);
        nm_assert_ok(nm_net_set_layer(net, layer, true, (double[]){0}, &err), &err);
    }
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_vnet_new(net, &lo, &hi, false, &v, &err), &err);
    region.v = v;
    nm_assert_ok(nm_search_inputs(ctx, &region, &opts, &report, &err), &err);
    assert_int_equal(report.outcome, NM_REGION_SAFE); /* relu(x) + 1e-7 > 0 */
    assert_true(report.n_nodes <= 3);
    nm_region_report_free(&report);
    nm_vnet_free(v);
    nm_net_free(net);
    nm_ctx_free(ctx);
}

/* Limits leave the rest open, and say so. */
static void limits_leave_it_open(void **state)
{
    task t;
    nm_search_opts opts = NM_SEARCH_OPTS_INIT;
    nm_region_report report;
    nm_err err = {0};

    (void)state;
    open_task(&t, 5, "Relu", 1);
    t.rows[0].at_0 = -1e6; /* everything is unsafe, and nobody looks */
    opts.max_nodes = 50;
    nm_assert_ok(nm_search_inputs(t.ctx, &t.region, &opts, &report, &err), &err);
    assert_int_equal(report.outcome, NM_REGION_OPEN);
    assert_true(report.n_open > 0 && report.worst_bound < 0 && report.n_nodes <= 50);
    nm_region_report_free(&report);
    nm_ctx_cancel(t.ctx);
    opts.max_nodes = INT64_MAX;
    assert_int_equal(nm_search_inputs(t.ctx, &t.region, &opts, &report, &err), NM_E_CANCELLED);
    assert_int_equal(report.outcome, NM_REGION_OPEN);
    nm_region_report_free(&report);
    close_task(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_are_those_of_all_patterns),
        cmocka_unit_test(neuron_splits_agree_with_all_patterns),
        cmocka_unit_test(what_must_not_matter_does_not),
        cmocka_unit_test(a_toy_is_decided),
        cmocka_unit_test(limits_leave_it_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
