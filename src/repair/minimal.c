#include "repair/minimal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repair/minimal_model.h"

/* Goal rows of programs that look for a repair are a little tighter, so that their solutions hold
 * in spite of rounding: by the first of these shares that is enough. */
static const double reserves[] = {1e-12, 1e-10, 1e-8};
enum { N_RESERVES = sizeof reserves / sizeof *reserves };
/* A relaxation this near to the truth is the truth. */
static const double EXACT = 1e-7;

typedef struct search {
    nm_ctx *ctx;
    nm_min_tail tail;
    nm_min_model model;
    const nm_union *goal;
    const nm_minimal_opts *opts;
    double lo, hi, largest;
    int64_t n_d; /* entries of D */
    nm_branch_heap open;
    nm_branch root;           /* nothing is decided but pieces without a choice */
    double *d, *trial, *best; /* [n_d] */
    double norm;              /* of best, INFINITY: none */
    double closed;            /* smallest bound of the nodes that were given up: near enough to the
                                 best change, ... */
    bool unresolved;          /* ... or nothing to branch on, and still no repair */
    double *values;           /* of one point */
    uint64_t *tried;          /* hashes of patterns that were solved */
    int64_t n_tried, tried_room;
    nm_minimal_report *report;
} search;

/* -- true evaluation ------------------------------------------------------------------------- */

static double norm_of(const search *s, const double *d)
{
    double largest = 0, sum = 0;

    for (int64_t j = 0; j < s->n_d; j++) {
        largest = fmax(largest, fabs(d[j]));
        sum += fabs(d[j]);
    }
    return s->opts->norm == NM_NORM_L1     ? sum
           : s->opts->norm == NM_NORM_LINF ? largest
                                           : largest + s->opts->l1_weight * sum;
}

/* Whether d repairs every point; where node is given, it receives the true pattern of d: sides of
   all neurons, and for points with open pieces the one with the least excess. */
static bool evaluate(search *s, const double *d, nm_branch *node)
{
    int64_t neurons = s->model.n_neurons;
    bool all = true;

    for (int64_t p = 0; p < s->tail.n; p++) {
        const double *scores = s->values + neurons;
        double least = INFINITY;

        nm_min_tail_run(&s->tail, d, p, s->values);
        all = all && nm_union_holds(&s->goal[p], s->model.n_scores, scores);
        for (int64_t k = 0; node && k < neurons; k++)
            if (node->side[p * neurons + k] == NM_SIDE_OPEN)
                node->side[p * neurons + k] = s->values[k] >= 0 ? NM_SIDE_ON : NM_SIDE_OFF;
        for (int64_t i = 0; node && node->piece[p] < 0 && i < s->goal[p].n_pieces; i++)
            least =
                fmin(least, nm_polytope_excess(&s->goal[p].pieces[i], s->model.n_scores, scores));
        for (int64_t i = 0; node && node->piece[p] < 0 && i < s->goal[p].n_pieces; i++)
            if (nm_polytope_excess(&s->goal[p].pieces[i], s->model.n_scores, scores) <= least)
                node->piece[p] = (int)i;
    }
    return all;
}

/* @return whether d does, or is too large to matter */
static bool offer(search *s, const double *d)
{
    double norm = norm_of(s, d);

    for (int64_t j = 0; j < s->n_d; j++)
        if (d[j] < s->lo || d[j] > s->hi)
            return false;
    if (!(norm < s->norm))
        return true;
    if (!evaluate(s, d, NULL))
        return false;
    s->norm = norm;
    memcpy(s->best, d, (size_t)s->n_d * sizeof *d);
    nm_log(s->ctx, NM_LOG_INFO, "minimal: change %.9g found, none below %.9g", norm,
           s->open.n > 0 ? fmin(s->open.at[0].bound, norm) : 0.0);
    return true;
}

/* -- patterns -------------------------------------------------------------------------------- */

static nm_status is_new_pattern(search *s, const nm_branch *node, bool *is_new, nm_err *err)
{
    uint64_t h = nm_branch_hash(&s->open, node);

    *is_new = false;
    for (int64_t i = 0; i < s->n_tried; i++)
        if (s->tried[i] == h)
            return NM_OK;
    if (s->n_tried == s->tried_room) {
        nm_status rc =
            nm_realloc(&s->tried, (size_t)(2 * s->tried_room + 64), sizeof *s->tried, err);

        if (rc != NM_OK)
            return rc;
        s->tried_room = 2 * s->tried_room + 64;
    }
    s->tried[s->n_tried++] = h;
    *is_new = true;
    return NM_OK;
}

/* The program of one pattern, into s->trial. */
static nm_status solve_pattern(search *s, const nm_branch *node, nm_min_outcome *outcome,
                               nm_err *err)
{
    double bound;
    bool done = false;
    nm_status rc = NM_OK;

    *outcome = NM_MIN_SOLVED;
    for (int i = 0; i < N_RESERVES && !done && *outcome == NM_MIN_SOLVED; i++) {
        s->report->programs++;
        NM_TRY(nm_min_model_solve(&s->model, node, reserves[i], s->trial, &bound, outcome, err));
        done = *outcome == NM_MIN_SOLVED && offer(s, s->trial);
    }
done:
    return rc;
}

/* The program of the pattern that d has in truth: an upper bound. Repeated from its solution while
   that has another pattern and brings something. */
static nm_status improve(search *s, const nm_branch *from, const double *d, nm_err *err)
{
    enum { MOST = 4 };
    nm_branch node = {0};
    nm_min_outcome outcome;
    double before;
    bool is_new;
    nm_status rc = NM_OK;

    memcpy(s->trial, d, (size_t)s->n_d * sizeof *d);
    for (int i = 0; i < MOST; i++) {
        before = s->norm;
        nm_branch_clear(&node);
        NM_TRY(nm_branch_copy(&s->open, i == 0 ? from : &s->root, &node, err));
        (void)evaluate(s, s->trial, &node);
        NM_TRY(is_new_pattern(s, &node, &is_new, err));
        if (!is_new)
            break;
        NM_TRY(solve_pattern(s, &node, &outcome, err));
        if (outcome != NM_MIN_SOLVED || !(s->norm < before))
            break;
    }
done:
    nm_branch_clear(&node);
    return rc;
}

/* -- branch and bound ------------------------------------------------------------------------ */

static bool is_settled(const search *s, double bound)
{
    return bound >= s->norm * (1 - 0.5 * s->opts->gap);
}

static double lower_bound(const search *s)
{
    double bound = s->open.n > 0 ? s->open.at[0].bound : INFINITY;

    return fmin(fmin(bound, s->closed), s->norm);
}

static nm_status branch_on_piece(search *s, const nm_branch *node, int64_t p, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t i = 0; rc == NM_OK && i < s->goal[p].n_pieces; i++) {
        nm_branch child;

        rc = nm_branch_copy(&s->open, node, &child, err);
        if (rc != NM_OK)
            break;
        child.piece[p] = (int)i;
        rc = nm_branch_heap_push(&s->open, &child, err);
    }
    return rc;
}

static nm_status branch_on_neuron(search *s, const nm_branch *node, int64_t k, nm_err *err)
{
    static const signed char sides[] = {NM_SIDE_ON, NM_SIDE_OFF};
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < 2; i++) {
        nm_branch child;

        rc = nm_branch_copy(&s->open, node, &child, err);
        if (rc != NM_OK)
            break;
        child.side[k] = sides[i];
        rc = nm_branch_heap_push(&s->open, &child, err);
    }
    return rc;
}

static int64_t open_piece(const search *s, const nm_branch *node)
{
    for (int64_t p = 0; p < s->tail.n; p++)
        if (node->piece[p] < 0)
            return p;
    return -1;
}

static void close_node(search *s, const nm_branch *node)
{
    s->closed = fmin(s->closed, node->bound);
}

static bool can_narrow(const search *s)
{
    return s->norm < 0.9 * s->largest;
}

/* Nothing is left to branch on, but bounds lose by ranges that are wide: once more with those that
   the change found since allows. */
static nm_status look_again(search *s, const nm_branch *node, nm_err *err)
{
    nm_branch again;
    nm_status rc = nm_branch_copy(&s->open, node, &again, err);

    return rc == NM_OK ? nm_branch_heap_push(&s->open, &again, err) : rc;
}

static nm_status visit(search *s, nm_branch *node, nm_err *err)
{
    nm_min_outcome outcome;
    double bound = 0, off;
    int64_t neuron, p = open_piece(s, node);
    nm_status rc = NM_OK;

    s->report->nodes++;
    s->report->programs++;
    NM_TRY(nm_min_model_solve(&s->model, node, 0, s->d, &bound, &outcome, err));
    if (outcome == NM_MIN_INFEASIBLE)
        goto done;
    if (outcome == NM_MIN_SOLVED)
        node->bound = fmax(node->bound, bound);
    off = outcome == NM_MIN_SOLVED ? nm_min_model_worst(&s->model, node, &neuron) : INFINITY;
    if (outcome == NM_MIN_SOLVED && !is_settled(s, node->bound))
        NM_TRY(improve(s, node, s->d, err));
    if (is_settled(s, node->bound)) {
        close_node(s, node);
    } else if (p >= 0) {
        rc = branch_on_piece(s, node, p, err);
    } else if (outcome == NM_MIN_SOLVED && off > EXACT && neuron >= 0) {
        rc = branch_on_neuron(s, node, neuron, err);
    } else if (outcome == NM_MIN_SOLVED && can_narrow(s)) {
        rc = look_again(s, node, err);
    } else {
        s->unresolved = true;
        close_node(s, node);
    }
done:
    return rc;
}

/* A tighter range for all later nodes, when much was gained. */
static nm_status narrow(search *s, nm_err *err)
{
    nm_status rc = NM_OK;

    if (!can_narrow(s))
        return NM_OK;
    s->largest = s->norm * (1 + 1e-9);
    s->report->largest = fmax(s->report->largest, s->largest);
    s->n_tried = 0;
    nm_min_model_close(&s->model);
    NM_TRY(nm_min_model_open(s->ctx, &s->tail, s->goal, s->opts, s->lo, s->hi, s->largest,
                             &s->model, err));
done:
    return rc;
}

static nm_status search_nodes(search *s, nm_err *err)
{
    nm_branch root;
    nm_status rc = NM_OK;

    NM_TRY(nm_branch_copy(&s->open, &s->root, &root, err));
    NM_TRY(nm_branch_heap_push(&s->open, &root, err));
    while (s->open.n > 0 && s->report->nodes < s->opts->max_nodes) {
        nm_branch node;

        if (is_settled(s, s->open.at[0].bound))
            break;
        NM_TRY(narrow(s, err));
        node = nm_branch_heap_pop(&s->open);
        rc = visit(s, &node, err);
        if (rc == NM_E_LIMIT || rc == NM_E_CANCELLED) /* its bound still counts */
            close_node(s, &node);
        nm_branch_clear(&node);
        NM_TRY(rc);
        nm_progress(s->ctx, "nodes", s->report->nodes, 0, lower_bound(s));
    }
done:
    return rc;
}

/* -- all together ---------------------------------------------------------------------------- */

/* Where no change is known: changes a hundred times as large as the layer. */
static double first_range(const nm_net *net, const nm_params *params)
{
    double most = 1;

    for (int b = 0; b < params->n_blocks; b++) {
        const nm_layer *l = &net->layers[params->blocks[b].layer];
        const nm_tensor *t = net->values[params->blocks[b].bias ? l->bias : l->weight].constant;

        for (int64_t k = 0; k < t->size; k++)
            most = fmax(most, fabs(t->f64[k]));
    }
    return 100 * most;
}

static nm_status open_search(search *s, const nm_net *net, const nm_plan *plan,
                             const nm_params *params, const float *x, int64_t n, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_min_tail_open(s->ctx, net, params, x, n, &s->tail, err));
    s->lo = plan->lo;
    s->hi = plan->hi;
    s->n_d = s->tail.n_edited * s->tail.width;
    s->open.n_sides = n * nm_min_tail_neurons(&s->tail);
    s->open.n_points = n;
    NM_TRY(nm_branch_copy(&s->open, NULL, &s->root, err));
    for (int64_t p = 0; p < n; p++)
        s->root.piece[p] = s->goal[p].n_pieces == 1 ? 0 : -1;
    s->largest = first_range(net, params) * (s->opts->norm == NM_NORM_L1 ? (double)s->n_d : 1);
    NM_TRY(nm_alloc(&s->d, (size_t)s->n_d, sizeof *s->d, err));
    NM_TRY(nm_alloc(&s->trial, (size_t)s->n_d, sizeof *s->trial, err));
    NM_TRY(nm_alloc(&s->best, (size_t)s->n_d, sizeof *s->best, err));
    NM_TRY(nm_alloc(&s->values, (size_t)nm_min_tail_values(&s->tail), sizeof *s->values, err));
    s->model.n_neurons = nm_min_tail_neurons(&s->tail); /* for a first evaluation */
    s->model.n_scores = nm_min_tail_values(&s->tail) - s->model.n_neurons;
    if (s->opts->start) {
        nm_edit_from_params(s->tail.edits, 0, s->opts->start, s->d);
        (void)offer(s, s->d);
    }
    if (isfinite(s->norm))
        s->largest = s->norm * (1 + 1e-9);
    s->report->largest = s->largest;
    NM_TRY(nm_min_model_open(s->ctx, &s->tail, s->goal, s->opts, s->lo, s->hi, s->largest,
                             &s->model, err));
done:
    return rc;
}

static void close_search(search *s)
{
    nm_branch_heap_clear(&s->open);
    nm_branch_clear(&s->root);
    nm_min_model_close(&s->model);
    nm_min_tail_close(&s->tail);
    nm_free(s->d);
    nm_free(s->trial);
    nm_free(s->best);
    nm_free(s->values);
    nm_free(s->tried);
}

nm_status nm_minimal_check(const nm_net *net, const nm_plan *plan, nm_err *err)
{
    nm_params *params = NULL;
    nm_status rc = nm_params_new(plan, &params, err);

    if (rc == NM_OK)
        rc = nm_min_tail_check(net, params, err);
    nm_params_free(params);
    return rc;
}

nm_status nm_minimal(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x, int64_t n,
                     const nm_union *goal, const nm_minimal_opts *opts, double *delta,
                     nm_minimal_report *report, nm_err *err)
{
    search s = {.ctx = ctx,
                .goal = goal,
                .opts = opts,
                .norm = INFINITY,
                .closed = INFINITY,
                .report = report};
    nm_params *params = NULL;
    nm_status rc = NM_OK;

    *report = (nm_minimal_report){.norm = INFINITY};
    if (opts->norm == NM_NORM_L2 || opts->norm == NM_NORM_FUNCTION)
        return nm_fail(err, NM_E_ARG,
                       "method minimal proves by linear programs, expected norm linf, l1 or "
                       "linf+l1n");
    NM_TRY(nm_params_new(plan, &params, err));
    memset(delta, 0, (size_t)params->n * sizeof *delta);
    NM_TRY(open_search(&s, net, plan, params, x, n, err));
    rc = search_nodes(&s, err);
    report->stopped = rc == NM_E_LIMIT || rc == NM_E_CANCELLED;
    report->cancelled = rc == NM_E_CANCELLED;
    if (report->stopped) {
        *err = (nm_err){0};
        rc = NM_OK;
    }
    NM_TRY(rc);
    report->found = isfinite(s.norm);
    report->norm = s.norm;
    report->lower_bound = fmin(lower_bound(&s), report->found ? s.norm : s.largest);
    report->proven =
        !report->stopped && (report->found ? report->lower_bound >= s.norm * (1 - opts->gap)
                                           : s.open.n == 0 && !s.unresolved);
    if (report->found)
        nm_edit_to_params(s.tail.edits, 0, s.best, delta);
done:
    close_search(&s);
    nm_params_free(params);
    return rc;
}
