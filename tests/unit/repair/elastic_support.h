/* A small random net with random points, and repairs of it. */
#ifndef NM_TESTS_ELASTIC_SUPPORT_H
#define NM_TESTS_ELASTIC_SUPPORT_H

#include "make_net.h"

#include <unistd.h>

#include "confirm_repair.h"
#include "netmend/netmend.h"

enum { ES_MAX = 64 };

typedef struct es_world {
    nm_ctx *ctx;
    nm_net *net;
    nm_rng rng;
    float x[ES_MAX * 8], keep_x[ES_MAX * 8];
    int64_t labels[ES_MAX], rows[ES_MAX], keep_labels[ES_MAX];
    nm_points repair, keep;
    const char *layer, *path;
    double bound;
    nm_repair_opts opts;
    nm_net *fixed;
    nm_repair_report report;
} es_world;

/* n points of 4 numbers with random labels; three classes; layers 0 (4 -> 6) and 1 (6 -> 3). */
static inline void es_open(es_world *w, uint64_t seed, int64_t n)
{
    static const int64_t widths[] = {4, 6, 3};
    nm_err err = {0};

    memset(w, 0, sizeof *w);
    w->rng.seed = seed;
    w->rng.stream = 7;
    w->layer = "last";
    w->bound = INFINITY;
    w->opts = (nm_repair_opts)NM_REPAIR_OPTS_INIT;
    w->opts.norm = NM_NORM_L2;
    w->opts.elastic = true;
    nm_assert_ok(nm_ctx_new(&w->ctx, &err), &err);
    w->net = make_chain(seed, "Relu", widths, 2);
    fill_normal(&w->rng, w->x, n * 4);
    fill_normal(&w->rng, w->keep_x, n * 4);
    for (int64_t p = 0; p < n; p++) {
        w->labels[p] = (int64_t)(nm_rng_uniform(&w->rng) * 3) % 3;
        w->rows[p] = p;
    }
    w->repair = (nm_points){.n = n, .n_in = 4, .x = w->x, .labels = w->labels, .rows = w->rows};
    w->keep =
        (nm_points){.n = n, .n_in = 4, .x = w->keep_x, .labels = w->keep_labels, .rows = w->rows};
    nm_assert_ok(nm_predict(w->ctx, w->net, w->keep_x, n, w->keep_labels, &err), &err);
}

static inline void es_forget(es_world *w)
{
    nm_repair_report_free(&w->report);
    nm_net_free(w->fixed);
    w->fixed = NULL;
}

static inline void es_close(es_world *w)
{
    es_forget(w);
    nm_net_free(w->net);
    nm_ctx_free(w->ctx);
}

static inline nm_plan *es_plan(const es_world *w)
{
    nm_plan *plan = NULL;
    nm_err err = {0};

    nm_assert_ok(nm_plan_new(w->net, &plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(plan, w->layer, NM_FREE_ALL, &err), &err);
    nm_assert_ok(nm_plan_set_bounds(plan, -w->bound, w->bound, &err), &err);
    return plan;
}

static inline nm_status es_try(es_world *w, const nm_repair_task *task, nm_err *err)
{
    nm_plan *plan = es_plan(w);
    nm_status rc;

    es_forget(w);
    rc = nm_repair(w->ctx, w->net, plan, task, &w->opts, w->path, &w->fixed, &w->report, err);
    nm_plan_free(plan);
    return rc;
}

static inline void es_confirm(const es_world *w, const nm_repair_task *task)
{
    nm_plan *plan = es_plan(w);
    nm_err err = {0};

    nm_assert_ok(nm_confirm_repair(&(nm_repaired){.net = w->net,
                                                  .fixed = w->fixed,
                                                  .plan = plan,
                                                  .task = task,
                                                  .opts = &w->opts,
                                                  .report = &w->report},
                                   &err),
                 &err);
    nm_plan_free(plan);
}

/* What a report says must be consistent and true of the repaired net. */
static inline void es_check(es_world *w, const nm_repair_task *task)
{
    const nm_repair_report *r = &w->report;
    const nm_points *set = task->repair;
    int64_t classes[ES_MAX], n_left = 0;
    bool left[ES_MAX] = {false};
    nm_err err = {0};
    nm_ctx *ctx;

    for (int64_t i = 0; i < r->n_unrepaired; i++) {
        const nm_unrepaired *u = &r->unrepaired[i];

        assert_in_range(u->point, 0, set->n - 1);
        assert_true(i == 0 || u->point > r->unrepaired[i - 1].point);
        left[u->point] = true;
        n_left++;
        if (u->why == NM_LEFT_CONFLICT) {
            bool holds = false;

            assert_in_range(u->conflict, 0, r->n_conflicts - 1);
            for (int64_t k = 0; k < r->conflicts[u->conflict].n_points; k++)
                holds = holds || r->conflicts[u->conflict].points[k] == u->point;
            assert_true(holds);
        }
        assert_non_null(nm_unrepaired_text(r, i));
    }
    if (r->outcome == NM_REPAIRED)
        assert_int_equal(n_left, 0);
    if (r->outcome == NM_PARTLY)
        assert_in_range(n_left, 1, set->n - 1);
    if (r->outcome != NM_REPAIRED && r->outcome != NM_PARTLY) {
        assert_null(w->fixed);
        return;
    }
    assert_non_null(w->fixed);
    if (r->outcome == NM_PARTLY)
        assert_true(set->n - n_left <= r->repairable_at_most);
    nm_assert_ok(nm_ctx_new(&ctx, &err), &err); /* the world's may be at its end */
    nm_assert_ok(nm_predict(ctx, w->fixed, set->x, set->n, classes, &err), &err);
    for (int64_t p = 0; p < set->n; p++)
        if (!left[p])
            assert_int_equal(classes[p], set->labels[p]);
    for (int64_t c = 0; c < r->n_conflicts; c++) { /* at least one point of each is out */
        bool met = false;

        for (int64_t k = 0; k < r->conflicts[c].n_points; k++)
            met = met || left[r->conflicts[c].points[k]];
        assert_true(met);
    }
    if (task->keep && !r->stopped) {
        nm_assert_ok(nm_predict(ctx, w->fixed, task->keep->x, task->keep->n, classes, &err), &err);
        for (int64_t p = 0; p < task->keep->n; p++)
            assert_true(classes[p] == task->keep->labels[p] ||
                        r->keep.right_before < task->keep->n);
    }
    nm_ctx_free(ctx);
    es_confirm(w, task);
}

static inline void es_repair(es_world *w, const nm_repair_task *task)
{
    nm_err err = {0};

    nm_assert_ok(es_try(w, task, &err), &err);
    es_check(w, task);
}

#endif
