/* What the tests of repair problems share: a net, a plan, points, and a tail at some change. */
#ifndef NM_TESTS_PROBLEM_SUPPORT_H
#define NM_TESTS_PROBLEM_SUPPORT_H

#include "make_net.h"
#include "test_ctx.h"

#include "base/ctx.h"
#include "base/mem.h"
#include "problem/rows.h"

enum { MAX_ROWS = 400 };

/* A net, a plan, points, and a tail at some change of the parameters. */
typedef struct problem {
    nm_net *net;
    nm_plan *plan;
    nm_params *params;
    nm_tail *tail;
    float *x;
    int64_t n, n_in, n_scores;
    nm_demand demand;
    nm_rng rng;
    nm_row_id rows[MAX_ROWS];
    int64_t n_rows;
} problem;

static inline double *random_step(problem *p, double size)
{
    double *d;

    nm_assert_ok(nm_alloc(&d, (size_t)p->params->n, sizeof *d, NULL), &(nm_err){0});
    for (int64_t i = 0; i < p->params->n; i++)
        d[i] = size * nm_rng_normal(&p->rng);
    return d;
}

/* Takes over the net and x. @param marks  as nm_plan_mark_text() takes them, ending with NULL; "!2"
   means a mask of every third weight of layer 2 */
static inline problem open_problem(nm_net *net, float *x, int64_t n, const char *const *marks)
{
    problem p = {.net = net, .x = x, .n = n, .rng = {.seed = 99}};
    double *delta;
    nm_err err = {0};

    p.n_in = net->values[net->input].size;
    p.n_scores = net->values[net->scores].size;
    nm_assert_ok(nm_plan_new(net, &p.plan, &err), &err);
    for (; *marks; marks++) {
        const nm_layer *layer = &net->layers[**marks == '!' ? (*marks)[1] - '0' : 0];
        uint8_t *mask;

        if (**marks != '!') {
            nm_assert_ok(nm_plan_mark_text(p.plan, *marks, NM_FREE_ALL, &err), &err);
            continue;
        }
        mask = calloc((size_t)layer->n_weights, 1);
        for (int64_t i = 0; i < layer->n_weights; i += 3)
            mask[i] = 1;
        nm_assert_ok(nm_plan_mark_mask(p.plan, (int)(layer - net->layers), false, mask,
                                       layer->n_weights, &err),
                     &err);
        free(mask);
    }
    nm_assert_ok(nm_params_new(p.plan, &p.params, &err), &err);
    nm_assert_ok(nm_tail_new(ctx, net, p.params, x, n, false, &p.tail, &err), &err);
    delta = random_step(&p, 0.3 / sqrt((double)p.params->n));
    nm_assert_ok(nm_tail_move(ctx, p.tail, delta, &err), &err);
    nm_free(delta);
    p.demand = (nm_demand){.target = calloc((size_t)n, sizeof(int64_t)),
                           .margin = calloc((size_t)n, sizeof(double)),
                           .n_pinned = n - n / 3};
    for (int64_t i = 0; i < n; i++) {
        p.demand.target[i] = (int64_t)nm_rng_below(&p.rng, (uint64_t)p.n_scores);
        p.demand.margin[i] = nm_rng_uniform(&p.rng);
    }
    return p;
}

static inline void close_problem(problem *p)
{
    nm_tail_free(p->tail);
    nm_params_free(p->params);
    nm_plan_free(p->plan);
    nm_net_free(p->net);
    free(p->x);
    free(p->demand.target);
    free(p->demand.margin);
}

static inline bool pins_can_break(const problem *p, int op)
{
    const nm_op *at = &p->net->ops[op];

    return at->kind->n_pins && p->tail->op_mask[op] && p->tail->behind[at->in[0]];
}

static inline void choose_rows(problem *p)
{
    for (int64_t i = 0; i < p->n; i++) {
        nm_row_id row = {.kind = NM_ROW_LABEL, .point = i};

        row.k = (p->demand.target[i] + 1) % p->n_scores;
        p->rows[p->n_rows++] = row;
        row.kind = NM_ROW_OUTPUT;
        row.k = p->demand.target[i];
        p->rows[p->n_rows++] = row;
        row.kind = NM_ROW_PIN;
        for (int op = 0; op < p->net->n_ops; op++)
            for (int t = 0; pins_can_break(p, op) && t < 3; t++) {
                const nm_op *at = &p->net->ops[op];

                row.op = op;
                row.k = (int64_t)nm_rng_below(&p->rng, (uint64_t)at->kind->n_pins(p->net, at));
                assert_true(p->n_rows < MAX_ROWS);
                p->rows[p->n_rows++] = row;
            }
    }
}

/* The quantity of a row on the values of `at`; pieces as chosen by `pieces` (both of one net). */
static inline double row_value(const problem *p, const nm_row_id *row, const nm_tail *at)
{
    const double *s = at->at->val[p->net->scores] + row->point * p->n_scores;

    if (row->kind == NM_ROW_PIN) {
        const nm_op *op = &p->net->ops[row->op];
        int64_t shift = row->point * p->net->values[op->in[0]].size;
        const double *z = at->at->val[op->in[0]] + shift;
        nm_pin pin = op->kind->pin(p->net, op, p->tail->at->val[op->in[0]] + shift, row->k);

        return pin.sign * (z[pin.plus] - (pin.minus < 0 ? 0 : z[pin.minus])) - pin.rhs;
    }
    return row->kind == NM_ROW_OUTPUT ? s[row->k] : s[p->demand.target[row->point]] - s[row->k];
}

/* A tail of the same points at delta + t d, evaluated anew from the inputs. */
static inline nm_tail *tail_at(const problem *p, const double *d, double t)
{
    nm_tail *tail;
    double *delta;
    nm_err err = {0};

    nm_assert_ok(nm_alloc(&delta, (size_t)p->params->n, sizeof *delta, &err), &err);
    for (int64_t i = 0; i < p->params->n; i++)
        delta[i] = p->tail->delta[i] + t * d[i];
    nm_assert_ok(nm_tail_new(ctx, p->net, p->params, p->x, p->n, false, &tail, &err), &err);
    nm_assert_ok(nm_tail_move(ctx, tail, delta, &err), &err);
    nm_free(delta);
    return tail;
}

static inline float *random_points(uint64_t seed, int64_t n)
{
    float *x = calloc((size_t)n, sizeof *x);

    assert_non_null(x);
    fill_normal(&(nm_rng){.seed = seed}, x, n);
    return x;
}

static const char *const edits[][4] = {{"0"},       {"!0", "1"}, {"1"},          {"0.."},
                                       {"1", "-1"}, {"last"},    {"!2", "last"}, {"all"}};

static inline problem residual_problem(const char *const *marks, int64_t n)
{
    return open_problem(make_residual(7), random_points(3, n * 128), n, marks);
}

#endif
