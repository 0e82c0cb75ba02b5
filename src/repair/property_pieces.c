/* Which condition each counterexample breaks, resolved exactly: branch and bound over the choices.
 *
 * A node has chosen conditions for some of the points that have a choice; the others are asked for
 * nothing, so that its program is a lower bound on every way to go on. Where the outputs after its
 * change break some condition at all of them, it is a repair and its choices need no more. Else the
 * point that is furthest from it is asked for each of its conditions in turn. Programs are those of
 * the norm that is minimised, with the decisions held that are held; behind the last activation
 * they are exact, and so is the result (a disjunctive program, Balas 1979, without the relaxation:
 * the hull of such disjunctions is weak where points share few parameters). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repair/branches.h"
#include "repair/property_job.h"

enum { MOST_PROGRAMS = 3000, DIVE_EVERY = 8 };

typedef struct choice {
    struct nm_property_job *job;
    nm_search *search; /* one for all nodes: margins and rules change */
    const nm_out_row **rule;
    double margin;
    nm_branch_heap open;
    int32_t *best; /* [preys] conditions of the best repair */
    double norm;   /* of it; INFINITY: none */
    double closed; /* smallest bound of nodes that were near enough to it */
    bool proven;   /* so far no node was given up without a proof */
    int *nearest;  /* [preys] condition that the last change is nearest to breaking */
    int64_t n_programs;
} choice;

static int64_t n_preys(const choice *c)
{
    return c->job->preys.n;
}

static int32_t n_rows(const nm_prey *prey)
{
    return prey->property->cases[prey->c].n_rows;
}

static const nm_out_row *row_of(const nm_prey *prey, int32_t piece)
{
    return &prey->property->rows[prey->property->cases[prey->c].first + piece];
}

/* -- one program ------------------------------------------------------------------------------ */

static void ask(choice *c, const int *piece)
{
    nm_demand *demand = &c->search->demand;

    for (int64_t p = 0; p < n_preys(c); p++) {
        const nm_prey *prey = &c->job->preys.at[p];

        demand->rule[p] = row_of(prey, piece[p] < 0 ? prey->piece : piece[p]);
        demand->margin[p] =
            piece[p] < 0 ? -INFINITY : c->margin * nm_rule_norm(row_of(prey, piece[p]));
    }
    /* Each node by itself: the way must not depend on the nodes before. */
    c->search->answered = false;
    nm_free(c->search->reference);
    c->search->reference = NULL;
}

static nm_status solve(choice *c, const int *piece, nm_search_outcome *outcome, double *bound,
                       nm_err *err)
{
    nm_status rc = NM_OK;

    ask(c, piece);
    c->n_programs++;
    NM_TRY(nm_search_run(c->search, outcome, err));
    *bound = isnan(c->search->figures.lower_bound) ? 0 : c->search->figures.lower_bound;
    c->proven = c->proven && *outcome != NM_SEARCH_GAVE_UP;
done:
    return rc;
}

/* After a program: for every point the condition that is broken by the most, and the point without
   a chosen one that breaks its conditions the least.
   @return that point; -1 if all break one by the margin */
static nm_status look_at_points(choice *c, const int *piece, int64_t *worst, nm_err *err)
{
    const double rounding = 1e-7;
    nm_search *s = c->search;
    int64_t n_out = nm_net_n_out(c->job->net);
    double most = rounding * c->margin;
    nm_status rc = nm_tail_move(s->ctx, s->active, s->delta, err);

    *worst = -1;
    for (int64_t p = 0; rc == NM_OK && p < n_preys(c); p++) {
        const nm_prey *prey = &c->job->preys.at[p];
        const double *y = s->active->at->val[c->job->net->scores] + p * n_out;
        int32_t nearest;
        double missing = c->margin - nm_case_slack(prey->property, prey->c, y, &nearest);

        c->nearest[p] = piece[p] < 0 ? nearest : piece[p];
        if (piece[p] < 0 && !(missing <= most)) {
            most = missing;
            *worst = p;
        }
    }
    return rc;
}

static void take(choice *c, const int *piece)
{
    c->norm = c->search->figures.objective;
    for (int64_t p = 0; p < n_preys(c); p++)
        c->best[p] = piece[p];
    nm_log(c->job->ctx, NM_LOG_INFO, "pieces: change %.9g after %lld programs, none below %.9g",
           c->norm, (long long)c->n_programs,
           c->open.n > 0 ? fmin(c->open.at[0].bound, c->norm) : 0.0);
}

/* All points with the conditions that the last change is nearest to: a repair, perhaps. */
static nm_status dive(choice *c, nm_err *err)
{
    bool proven = c->proven;
    nm_search_outcome outcome;
    double bound;
    nm_status rc = solve(c, c->nearest, &outcome, &bound, err);

    c->proven = proven; /* it was a guess, no node */
    if (rc == NM_OK && outcome == NM_SEARCH_FOUND && c->search->figures.objective < c->norm)
        take(c, c->nearest);
    return rc;
}

/* -- branch and bound ---------------------------------------------------------------------------
 */

static bool is_settled(const choice *c, double bound)
{
    return bound >= c->norm * (1 - 0.5 * c->job->opts.repair.gap);
}

static nm_status branch(choice *c, const nm_branch *node, int64_t p, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int32_t r = 0; rc == NM_OK && r < n_rows(&c->job->preys.at[p]); r++) {
        nm_branch child;

        rc = nm_branch_copy(&c->open, node, &child, err);
        if (rc != NM_OK)
            break;
        child.piece[p] = r;
        rc = nm_branch_heap_push(&c->open, &child, err);
    }
    return rc;
}

static nm_status visit(choice *c, nm_branch *node, int64_t index, nm_err *err)
{
    nm_search_outcome outcome;
    double bound;
    int64_t worst;
    nm_status rc = NM_OK;

    NM_TRY(solve(c, node->piece, &outcome, &bound, err));
    if (outcome != NM_SEARCH_FOUND)
        goto done;
    node->bound = fmax(node->bound, bound);
    NM_TRY(look_at_points(c, node->piece, &worst, err));
    if (worst < 0 && c->search->figures.objective < c->norm)
        take(c, c->nearest);
    if (worst < 0 || is_settled(c, node->bound)) {
        c->closed = fmin(c->closed, node->bound);
        goto done;
    }
    if (index % DIVE_EVERY == 0)
        NM_TRY(dive(c, err));
    NM_TRY(branch(c, node, worst, err));
done:
    return rc;
}

static nm_status run(choice *c, nm_err *err)
{
    nm_branch root;
    nm_status rc = NM_OK;

    NM_TRY(nm_branch_copy(&c->open, NULL, &root, err));
    for (int64_t p = 0; p < n_preys(c); p++)
        if (n_rows(&c->job->preys.at[p]) == 1)
            root.piece[p] = 0;
    NM_TRY(nm_branch_heap_push(&c->open, &root, err));
    for (int64_t i = 0; c->open.n > 0 && c->n_programs < MOST_PROGRAMS; i++) {
        nm_branch node;

        if (is_settled(c, c->open.at[0].bound))
            break;
        node = nm_branch_heap_pop(&c->open);
        rc = visit(c, &node, i, err);
        nm_branch_clear(&node);
        NM_TRY(rc);
        nm_progress(c->job->ctx, "choices", c->n_programs, 0, c->norm);
    }
done:
    return rc;
}

/* -- the answer ---------------------------------------------------------------------------------
 */

static nm_status answer(choice *c, nm_search_outcome *outcome, nm_err *err)
{
    struct nm_property_job *j = c->job;
    double lower = fmin(c->closed, c->open.n > 0 ? c->open.at[0].bound : INFINITY), bound;
    bool exact = nm_search_is_exact(c->search) && c->proven;
    nm_repair_report *r = &j->report->repair;
    nm_status rc = NM_OK;

    *outcome = c->open.n == 0 && exact ? NM_SEARCH_INFEASIBLE : NM_SEARCH_GAVE_UP;
    if (!isfinite(c->norm))
        goto done;
    for (int64_t p = 0; p < n_preys(c); p++)
        j->preys.at[p].piece = c->nearest[p] = c->best[p];
    NM_TRY(solve(c, c->nearest, outcome, &bound, err));
    if (*outcome != NM_SEARCH_FOUND)
        goto done;
    NM_TRY(nm_property_take_candidate(j, c->search, err));
    r->lower_bound = exact ? fmin(lower, r->objective) : (double)NAN;
    r->gap = exact ? fmax(r->objective - r->lower_bound, 0) / fmax(fabs(r->objective), 1e-300)
                   : (double)NAN;
    j->report->pieces_proven = exact && r->gap <= 2 * j->opts.repair.gap;
done:
    j->report->n_piece_programs += c->n_programs;
    return rc;
}

nm_status nm_property_try_exact(struct nm_property_job *j, double margin,
                                nm_search_outcome *outcome, nm_err *err)
{
    size_t n = (size_t)j->preys.n;
    choice c = {.job = j,
                .margin = margin,
                .open = {.n_points = j->preys.n},
                .norm = INFINITY,
                .closed = INFINITY,
                .proven = true};
    nm_status rc = NM_OK;

    j->report->pieces_proven = false;
    NM_TRY(nm_alloc(&c.rule, n, sizeof(const nm_out_row *), err));
    NM_TRY(nm_alloc(&c.best, n, sizeof *c.best, err));
    NM_TRY(nm_alloc(&c.nearest, n, sizeof *c.nearest, err));
    NM_TRY(nm_property_open_search(j, c.rule, margin, &c.search, err));
    NM_TRY(run(&c, err));
    NM_TRY(answer(&c, outcome, err));
    if (*outcome != NM_SEARCH_FOUND)
        nm_property_give_up(j, c.search, *outcome, margin, *outcome == NM_SEARCH_INFEASIBLE);
done:
    nm_branch_heap_clear(&c.open);
    nm_search_close(c.search);
    nm_free(c.rule);
    nm_free(c.best);
    nm_free(c.nearest);
    return rc;
}
