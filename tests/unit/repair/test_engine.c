/* The two engines solve the same l2 programs: from inner products of rows alone, and with the rows
   written out. */
#include "support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "netmend/netmend.h"
#include "problem/plan.h"
#include "repair/engine.h"

/* -- material ---------------------------------------------------------------------------- */

enum { ROOM = 64 };

typedef struct world {
    nm_ctx *ctx;
    nm_net *net;
    nm_points all;
    nm_plan *plan;
    nm_params *params;
    nm_tail *tail;
    nm_edits *edits;
    nm_forms *forms;
    int64_t target[ROOM];
    double margin[ROOM];
    nm_demand demand;
    nm_repair_opts repair;
    nm_program_opts opts;
} world;

static void open_net(world *w, const char *net, const char *x, const char *y, int64_t n)
{
    nm_data_opts data = NM_DATA_OPTS_INIT;
    nm_err err = {0};

    *w = (world){.repair = NM_REPAIR_OPTS_INIT};
    data.last = n;
    nm_assert_ok(nm_ctx_new(&w->ctx, &err), &err);
    nm_assert_ok(nm_net_load(w->ctx, net, &w->net, &err), &err);
    nm_assert_ok(nm_points_load(w->ctx, x, y, &data, &w->all, &err), &err);
}

static void open_moons(world *w)
{
    open_net(w, nm_shared("moons/moons_mlp.onnx"), nm_shared("moons/x_all.npy"),
             nm_shared("moons/y_all.npy"), 300);
}

static void open_fog(world *w)
{
    open_net(w, nm_shared("aprnn/mnist_relu_3_100.onnx"),
             nm_shared("mnist/t10k-fog-images-idx3-ubyte.gz"),
             nm_shared("mnist/t10k-labels-idx1-ubyte.gz"), 100);
}

/* The first n points that the net gets right (or wrong), in w->all's order. */
static nm_points choose(world *w, bool right, int64_t n)
{
    int64_t *classes = calloc((size_t)w->all.n, sizeof *classes), rows[ROOM], found = 0;
    nm_points out;
    nm_err err = {0};

    assert_non_null(classes);
    assert_true(n <= ROOM);
    nm_assert_ok(nm_predict(w->ctx, w->net, w->all.x, w->all.n, classes, &err), &err);
    for (int64_t p = 0; p < w->all.n && found < n; p++)
        if ((classes[p] == w->all.labels[p]) == right)
            rows[found++] = p;
    assert_int_equal(found, n);
    nm_assert_ok(nm_points_subset(&w->all, rows, n, &out, &err), &err);
    free(classes);
    return out;
}

/* n wrong points that want a margin, in the pieces of the net as it is. */
static void pose(world *w, const char *layer, int64_t n, double margin)
{
    nm_points wrong = choose(w, false, n);
    nm_err err = {0};

    nm_assert_ok(nm_plan_new(w->net, &w->plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(w->plan, layer, NM_FREE_ALL, &err), &err);
    nm_assert_ok(nm_params_new(w->plan, &w->params, &err), &err);
    nm_assert_ok(nm_tail_new(w->ctx, w->net, w->params, wrong.x, wrong.n, false, &w->tail, &err),
                 &err);
    nm_assert_ok(nm_edits_new(w->net, w->params, &w->tail->marks, &w->edits, &err), &err);
    nm_assert_ok(nm_forms_new(w->ctx, w->edits, NULL, &w->forms, &err), &err);
    for (int64_t p = 0; p < n; p++) {
        w->target[p] = wrong.labels[p];
        w->margin[p] = margin;
    }
    w->demand = (nm_demand){.target = w->target, .margin = w->margin, .n_pinned = n};
    w->repair.norm = NM_NORM_L2;
    w->opts = (nm_program_opts){.plan = w->plan, .repair = &w->repair, .gap = 1e-9};
    nm_points_free(&wrong);
}

/* Ends a problem; the net and its points stay. */
static void drop(world *w)
{
    nm_forms_free(w->forms);
    nm_edits_free(w->edits);
    nm_tail_free(w->tail);
    nm_params_free(w->params);
    nm_plan_free(w->plan);
    w->forms = NULL;
    w->edits = NULL;
    w->tail = NULL;
    w->params = NULL;
    w->plan = NULL;
}

static void close_world(world *w)
{
    drop(w);
    nm_points_free(&w->all);
    nm_net_free(w->net);
    nm_ctx_free(w->ctx);
}

/* -- both engines -------------------------------------------------------------------------------
 */

static const nm_engine *const engines[] = {&nm_engine_least, &nm_engine_explicit};

typedef struct pair {
    void *at[2];
} pair;

static pair open_pair(world *w)
{
    nm_engine_room room = {.edits = w->edits, .forms = w->forms};
    pair p;
    nm_err err = {0};

    for (int i = 0; i < 2; i++)
        nm_assert_ok(engines[i]->open(w->ctx, w->tail, &w->demand, &w->opts, &room, &p.at[i], &err),
                     &err);
    return p;
}

static void close_pair(pair *p)
{
    for (int i = 0; i < 2; i++)
        engines[i]->close(p->at[i]);
}

static double largest(const double *d, int64_t n)
{
    double most = 0;

    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(d[i]));
    return most;
}

/* Solves with both and compares; INFEASIBLE must come from both or none. */
static nm_master_outcome solve_pair(const world *w, pair *p)
{
    nm_master_outcome outcome[2];
    nm_program_figures f[2];
    nm_err err = {0};

    for (int i = 0; i < 2; i++) {
        nm_assert_ok(engines[i]->solve(p->at[i], &outcome[i], &err), &err);
        f[i] = engines[i]->report(p->at[i]);
    }
    assert_int_equal(outcome[0], outcome[1]);
    if (outcome[0] != NM_MASTER_SOLVED)
        return outcome[0];
    const double *d[2] = {engines[0]->delta(p->at[0]), engines[1]->delta(p->at[1])};
    double most = largest(d[1], w->params->n), square = 0, length;

    print_message("objective %.12g, explicit %.12g; %lld and %lld of %lld rows\n", f[0].objective,
                  f[1].objective, (long long)f[0].n_rows, (long long)f[1].n_rows,
                  (long long)f[1].n_total);
    nm_assert_close(&f[0].objective, &f[1].objective, 1, 1e-8, 0);
    nm_assert_close(&f[0].lower_bound, &f[1].objective, 1, 1e-8, 0);
    nm_assert_close(d[0], d[1], (size_t)w->params->n, 0, 1e-6 * most);
    for (int64_t i = 0; i < w->params->n; i++) {
        double step = d[0][i] - (w->opts.base ? w->opts.base[i] : 0);

        square += step * step;
        assert_true(d[0][i] <= w->plan->hi + 1e-9 * most);
        assert_true(d[0][i] >= w->plan->lo - 1e-9 * most);
    }
    length = sqrt(square);
    nm_assert_close(&f[0].objective, &length, 1, 1e-8, 0);
    return NM_MASTER_SOLVED;
}

/* Opened, solved, closed. @param most  receives the largest change of a parameter */
static nm_master_outcome compare(world *w, double *most)
{
    pair p = open_pair(w);
    nm_master_outcome outcome = solve_pair(w, &p);

    *most = largest(engines[1]->delta(p.at[1]), w->params->n);
    close_pair(&p);
    return outcome;
}

/* Without pins, with all, and within bounds that the solutions so far break.
   @param n_shares  how tight the bounds get, at most 3: contradictions take long to prove */
static void compare_all_ways(world *w, const char *layer, int64_t n, int n_shares)
{
    static const double shares[] = {0.95, 0.7, 0.4};
    int n_bounded = 0;
    nm_err err = {0};

    pose(w, layer, n, 0.05);
    for (int pins = 0; pins < 2; pins++) {
        double most, ignored;

        print_message("layer %s, %lld points%s\n", layer, (long long)n, pins ? ", all pins" : "");
        w->opts.all_pins = pins;
        nm_assert_ok(nm_plan_set_bounds(w->plan, -INFINITY, INFINITY, &err), &err);
        if (compare(w, &most) != NM_MASTER_SOLVED)
            continue;
        for (int i = 0; i < n_shares; i++) {
            nm_assert_ok(nm_plan_set_bounds(w->plan, -shares[i] * most, shares[i] * most, &err),
                         &err);
            n_bounded += compare(w, &ignored) == NM_MASTER_SOLVED;
        }
        if (n_shares < 3)
            continue;
        nm_assert_ok(nm_plan_set_bounds(w->plan, 0, most, &err), &err); /* one side */
        (void)compare(w, &ignored);
    }
    assert_true(n_bounded > 0);
    drop(w);
}

static void moons_programs_have_one_solution(void **state)
{
    static const char *const layers[] = {"1", "2", "last", "0..", "2.."};
    world w;

    (void)state;
    open_moons(&w);
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        compare_all_ways(&w, layers[i], 8, 3);
    close_world(&w);
}

static void mnist_programs_have_one_solution(void **state)
{
    world w;

    (void)state;
    open_fog(&w);
    compare_all_ways(&w, "1", 4, 1);
    compare_all_ways(&w, "2", 8, 2);
    close_world(&w);
}

/* -- what happens in the course of a search -------------------------------------------------- */

/* Steps are measured from a base that is, or is not, where the tail stands. */
static void steps_from_elsewhere_are_the_same(void **state)
{
    world w;
    nm_err err = {0};

    (void)state;
    open_moons(&w);
    for (int i = 0; i < 4; i++) {
        nm_rng rng = {.seed = (uint64_t)i};
        double *base, *stand, most;

        pose(&w, i % 2 ? "1" : "2", 6, 0.05);
        nm_assert_ok(nm_alloc(&base, (size_t)w.params->n, sizeof *base, &err), &err);
        nm_assert_ok(nm_alloc(&stand, (size_t)w.params->n, sizeof *stand, &err), &err);
        for (int64_t k = 0; k < w.params->n; k++) {
            base[k] = 0.02 * nm_rng_normal(&rng);
            stand[k] = i < 2 ? base[k] : 0.02 * nm_rng_normal(&rng);
        }
        nm_assert_ok(nm_tail_move(w.ctx, w.tail, stand, &err), &err);
        w.opts.base = base;
        assert_int_equal(compare(&w, &most), NM_MASTER_SOLVED);
        nm_assert_ok(nm_plan_set_bounds(w.plan, -0.7 * most, 0.7 * most, &err), &err);
        (void)compare(&w, &most);
        nm_free(base);
        nm_free(stand);
        drop(&w);
    }
    close_world(&w);
}

/* Points that must stay right come to the tail while the program stands. */
static void keep_points_join_between_solves(void **state)
{
    static const char *const layers[] = {"1", "2", "last"};
    world w;
    nm_err err = {0};

    (void)state;
    open_moons(&w);
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        nm_points keep = choose(&w, true, 40);
        double *before;
        nm_tail *more;
        int64_t rows[ROOM];

        pose(&w, layers[i], 8, 0.2);
        pair p = open_pair(&w);

        assert_int_equal(solve_pair(&w, &p), NM_MASTER_SOLVED);
        nm_assert_ok(nm_memdup(&before, engines[0]->delta(p.at[0]), (size_t)w.params->n,
                               sizeof *before, &err),
                     &err);
        nm_assert_ok(nm_tail_new(w.ctx, w.net, w.params, keep.x, keep.n, true, &more, &err), &err);
        for (int64_t k = 0; k < keep.n; k++) {
            rows[k] = k;
            w.target[8 + k] = keep.labels[k];
            w.margin[8 + k] = 0.001;
        }
        nm_assert_ok(nm_tail_append(w.tail, more, rows, keep.n, &err), &err);
        nm_assert_ok(nm_tail_move(w.ctx, w.tail, w.tail->delta, &err), &err);
        assert_int_equal(solve_pair(&w, &p), NM_MASTER_SOLVED);
        assert_memory_not_equal(before, engines[0]->delta(p.at[0]),
                                (size_t)w.params->n * sizeof *before);
        close_pair(&p);
        nm_free(before);
        nm_tail_free(more);
        nm_points_free(&keep);
        drop(&w);
    }
    close_world(&w);
}

/* The explicit engine starts again with other margins; `least` goes on. */
static void raised_margins_are_those_of_a_new_program(void **state)
{
    world w;
    nm_err err = {0};

    (void)state;
    open_moons(&w);
    pose(&w, "2", 8, 0.05);
    pair p = open_pair(&w);

    assert_null(nm_engine_explicit.retarget);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(solve_pair(&w, &p), NM_MASTER_SOLVED);
        for (int64_t k = i % 2; k < 8; k += 2)
            w.margin[k] += i == 3 ? -0.1 : 0.05; /* lowered, too */
        engines[0]->retarget(p.at[0]);
        engines[1]->close(p.at[1]);
        nm_assert_ok(engines[1]->open(w.ctx, w.tail, &w.demand, &w.opts, NULL, &p.at[1], &err),
                     &err);
    }
    close_pair(&p);
    drop(&w);
    close_world(&w);
}

/* Copies of an engine's rows but for bounds, which are the engine's own business. */
static nm_row_id *rows_of(const pair *p, int i, int64_t *n, int64_t *n_bounds)
{
    int64_t all, kept = 0;
    const nm_row_id *rows = engines[i]->rows(p->at[i], &all);
    nm_row_id *copy;
    nm_err err = {0};

    nm_assert_ok(nm_alloc(&copy, (size_t)all, sizeof *copy, &err), &err);
    for (int64_t r = 0; r < all; r++)
        if (rows[r].kind != NM_ROW_LOWER && rows[r].kind != NM_ROW_UPPER)
            copy[kept++] = rows[r];
    *n = kept;
    *n_bounds = all - kept;
    return copy;
}

/* Rows of one program start the next; those that are there already are left out. */
static void known_rows_are_added_once(void **state)
{
    world w;
    nm_err err = {0};

    (void)state;
    open_moons(&w);
    pose(&w, "1", 8, 0.05);
    w.opts.all_pins = true;
    nm_assert_ok(nm_plan_set_bounds(w.plan, -0.05, 0.05, &err), &err);
    for (int i = 0; i < 2; i++) {
        pair p = open_pair(&w), q;
        int64_t n, n_bounds, added;
        nm_row_id *rows;

        assert_int_equal(solve_pair(&w, &p), NM_MASTER_SOLVED);
        rows = rows_of(&p, i, &n, &n_bounds);
        assert_true(n > 8 && (n_bounds > 0) == (i == 0));
        nm_assert_ok(engines[i]->add(p.at[i], rows, n, &added, &err), &err);
        assert_int_equal(added, 0);
        if (i == 0) { /* its own bounds are known to it, or nothing to it */
            const nm_row_id *all = engines[0]->rows(p.at[0], &n);

            nm_assert_ok(engines[0]->add(p.at[0], all, n, &added, &err), &err);
            assert_int_equal(added, 0);
            n -= n_bounds;
        }
        close_pair(&p);
        q = open_pair(&w);
        for (int k = 0; k < 2; k++) {
            nm_assert_ok(engines[k]->add(q.at[k], rows, n, &added, &err), &err);
            assert_int_equal(added, n);
        }
        assert_int_equal(solve_pair(&w, &q), NM_MASTER_SOLVED);
        close_pair(&q);
        nm_free(rows);
    }
    drop(&w);
    close_world(&w);
}

/* -- no solution ----------------------------------------------------------------------------- */

static void contradictions_are_named_by_both(void **state)
{
    world w;
    nm_err err = {0};

    (void)state;
    open_moons(&w);
    for (int bounded = 0; bounded < 2; bounded++) {
        bool member[ROOM];
        nm_master_outcome outcome;

        pose(&w, "last", 8, 0.05);
        if (bounded)
            nm_assert_ok(nm_plan_set_bounds(w.plan, -1e-3, 1e-3, &err), &err);
        else { /* one point asks for both classes */
            nm_tail *same;

            nm_assert_ok(
                nm_tail_subset(w.ctx, w.tail, (int64_t[]){3}, 1, w.tail->delta, &same, &err), &err);
            nm_assert_ok(nm_tail_append(w.tail, same, (int64_t[]){0}, 1, &err), &err);
            nm_assert_ok(nm_tail_move(w.ctx, w.tail, w.tail->delta, &err), &err);
            nm_tail_free(same);
            w.target[8] = 1 - w.target[3];
            w.margin[8] = 0.05;
        }
        pair p = open_pair(&w);

        for (int i = 0; i < 2; i++) {
            int64_t n = 0;

            nm_assert_ok(engines[i]->solve(p.at[i], &outcome, &err), &err);
            assert_int_equal(outcome, NM_MASTER_INFEASIBLE);
            nm_assert_ok(engines[i]->conflict(p.at[i], member, &err), &err);
            for (int64_t k = 0; k < w.tail->at->n; k++)
                n += member[k];
            assert_true(n > 0);
            if (!bounded)
                assert_true(n == 2 && member[3] && member[8]);
        }
        close_pair(&p);
        drop(&w);
    }
    close_world(&w);
}

static void failed_allocations_are_reported(void **state)
{
    world w;
    nm_status rc = NM_E_NOMEM;
    int n = 0;

    (void)state;
    open_moons(&w);
    nm_ctx_set_threads(w.ctx, 1);
    pose(&w, "2", 4, 0.05);
    while (rc != NM_OK) {
        nm_engine_room room = {.edits = w.edits, .forms = w.forms};
        nm_master_outcome outcome;
        void *program = NULL;
        nm_err err = {0};

        nm_mem_fail_at(++n);
        rc = nm_engine_least.open(w.ctx, w.tail, &w.demand, &w.opts, &room, &program, &err);
        if (rc == NM_OK)
            rc = nm_engine_least.solve(program, &outcome, &err);
        nm_mem_fail_at(0);
        assert_true(rc == NM_OK || rc == NM_E_NOMEM);
        nm_engine_least.close(program);
    }
    assert_true(n > 20);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moons_programs_have_one_solution),
        cmocka_unit_test(mnist_programs_have_one_solution),
        cmocka_unit_test(steps_from_elsewhere_are_the_same),
        cmocka_unit_test(keep_points_join_between_solves),
        cmocka_unit_test(raised_margins_are_those_of_a_new_program),
        cmocka_unit_test(known_rows_are_added_once),
        cmocka_unit_test(contradictions_are_named_by_both),
        cmocka_unit_test(failed_allocations_are_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
