/* Counterexamples repaired by the methods that take goals at points: layerwise, minimal,
 * multilayer.
 *
 * Cases of one point are joined: each asks for one of its rows to be broken, so that the point's
 * goal is the union, over all ways to choose a row of each case, of the outputs that break the
 * chosen rows by the margin. Where there are too many ways, the rows are taken that are nearest to
 * it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repair/judge.h"
#include "repair/minimal.h"
#include "repair/multilayer.h"
#include "repair/property_job.h"

enum { MOST_PIECES = 256, MOST_NODES = 1000000 };

typedef struct goals {
    int64_t n; /* points */
    float *x;  /* [n x n_in] */
    nm_union *goal;
    nm_polytope **pieces; /* [n] */
    double **numbers;     /* [n] coefficients and limits of its pieces */
} goals;

static int32_t n_rows(const nm_prey *prey)
{
    return prey->property->cases[prey->c].n_rows;
}

/* -- goals ---------------------------------------------------------------------------------------
 */

static bool same_point(const nm_preys *preys, int64_t p, int64_t q)
{
    return memcmp(preys->x + p * preys->n_in, preys->x + q * preys->n_in,
                  (size_t)preys->n_in * sizeof *preys->x) == 0;
}

static bool same_case(const nm_prey *a, const nm_prey *b)
{
    return a->property == b->property && a->c == b->c;
}

/* The different cases of point p. @return how many */
static int64_t list_cases(const nm_preys *preys, int64_t p, int64_t *list)
{
    int64_t n = 0;

    for (int64_t q = p; q < preys->n; q++) {
        bool is_new = same_point(preys, p, q);

        for (int64_t i = 0; is_new && i < n; i++)
            is_new = !same_case(&preys->at[list[i]], &preys->at[q]);
        if (is_new)
            list[n++] = q;
    }
    return n;
}

/* Ways to choose a row of each case; 1 where they are too many, or the nearest rows are meant. */
static int64_t count_ways(const struct nm_property_job *j, const int64_t *list, int64_t n)
{
    double ways = 1;

    for (int64_t i = 0; i < n; i++)
        ways *= n_rows(&j->preys.at[list[i]]);
    return ways > MOST_PIECES ? 1 : (int64_t)ways;
}

/* coef . y - limit_out >= margin |coef| as c . y <= d */
static void break_row(const nm_out_row *row, double margin, double *c, double *d)
{
    for (int32_t k = 0; k < row->n_terms; k++)
        c[row->output[k]] = -row->coef[k];
    *d = -(row->limit_out + margin * nm_rule_norm(row));
}

static nm_status make_goal(const struct nm_property_job *j, const int64_t *list, int64_t n,
                           goals *g, nm_err *err)
{
    int64_t n_out = nm_net_n_out(j->net), ways = count_ways(j, list, n);
    bool nearest = ways == 1;
    nm_polytope *pieces;
    double *c, *d;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&g->pieces[g->n], (size_t)ways, sizeof **g->pieces, err));
    NM_TRY(
        nm_alloc(&g->numbers[g->n], (size_t)(ways * n), (size_t)(n_out + 1) * sizeof(double), err));
    pieces = g->pieces[g->n];
    c = g->numbers[g->n];
    d = c + ways * n * n_out;
    for (int64_t way = 0; way < ways; way++, c += n * n_out, d += n) {
        int64_t rest = way;

        pieces[way] = (nm_polytope){.n_rows = n, .c = c, .d = d};
        for (int64_t i = 0; i < n; i++) {
            const nm_prey *prey = &j->preys.at[list[i]];
            int64_t row = nearest ? prey->piece : rest % n_rows(prey);

            rest /= n_rows(prey);
            break_row(&prey->property->rows[prey->property->cases[prey->c].first + row], j->margin,
                      c + i * n_out, &d[i]);
        }
    }
    g->goal[g->n] = (nm_union){.n_pieces = ways, .pieces = pieces};
done:
    return rc;
}

static void close_goals(goals *g, int64_t room)
{
    for (int64_t i = 0; i < room; i++) {
        if (g->pieces)
            nm_free(g->pieces[i]);
        if (g->numbers)
            nm_free(g->numbers[i]);
    }
    nm_free(g->x);
    nm_free(g->goal);
    nm_free(g->pieces);
    nm_free(g->numbers);
}

static nm_status open_goals(const struct nm_property_job *j, goals *g, nm_err *err)
{
    const nm_preys *preys = &j->preys;
    size_t n = (size_t)preys->n, n_in = (size_t)preys->n_in;
    int64_t *list = NULL;
    nm_status rc = NM_OK;

    *g = (goals){0};
    NM_TRY(nm_alloc(&g->x, n, n_in * sizeof *g->x, err));
    NM_TRY(nm_alloc(&g->goal, n, sizeof *g->goal, err));
    NM_TRY(nm_alloc(&g->pieces, n, sizeof *g->pieces, err));
    NM_TRY(nm_alloc(&g->numbers, n, sizeof *g->numbers, err));
    NM_TRY(nm_alloc(&list, n, sizeof *list, err));
    for (int64_t p = 0; p < preys->n; p++) {
        bool is_first = true;

        for (int64_t q = 0; is_first && q < p; q++)
            is_first = !same_point(preys, p, q);
        if (!is_first)
            continue;
        NM_TRY(make_goal(j, list, list_cases(preys, p, list), g, err));
        memcpy(g->x + g->n * preys->n_in, preys->x + p * preys->n_in, n_in * sizeof *g->x);
        g->n++;
    }
done:
    nm_free(list);
    return rc;
}

/* -- methods -------------------------------------------------------------------------------------
 */

typedef struct answer {
    bool found, stopped, cancelled, proven; /* proven: that there is none, unless found */
    double norm, lower_bound;               /* NAN: none */
    int64_t programs;
    char reason[200];
} answer;

static double l1_weight(const struct nm_property_job *j)
{
    int64_t counted = j->opts.repair.norm_counts_marked ? nm_plan_n_marked(j->plan) : j->params->n;

    return 1 / (double)counted;
}

static nm_status by_layers(struct nm_property_job *j, const goals *g, double *delta, answer *a,
                           nm_err *err)
{
    nm_multilayer_opts opts = {.common = {.norm = j->opts.repair.norm, .l1_weight = l1_weight(j)},
                               .seed = j->opts.repair.seed};
    nm_layerwise_report report;
    nm_changes changes = {0};
    nm_status rc = NM_OK;

    nm_multilayer_effort(j->net, g->n, &opts);
    if (j->opts.repair.method == NM_METHOD_MULTILAYER)
        NM_TRY(nm_multilayer(j->ctx, j->net, j->plan, g->x, g->n, g->goal, &opts, &changes, &report,
                             err));
    else
        NM_TRY(nm_layerwise(j->ctx, j->net, j->plan, g->x, g->n, g->goal, &opts.common, &changes,
                            &report, err));
    *a = (answer){.found = report.found,
                  .stopped = report.stopped,
                  .cancelled = report.cancelled,
                  .norm = report.norm,
                  .lower_bound = (double)NAN};
    (void)snprintf(a->reason, sizeof a->reason, "%.190s", report.reason);
    if (report.found)
        nm_changes_to_params(j->net, &changes, j->params, delta);
done:
    nm_changes_clear(&changes);
    return rc;
}

/* The pointwise method's change, where it finds one, is where the search starts. */
static nm_status by_minimal(struct nm_property_job *j, const goals *g, double *delta, answer *a,
                            nm_err *err)
{
    nm_search_outcome outcome;
    nm_minimal_report report;
    nm_minimal_opts opts = {.norm = j->opts.repair.norm,
                            .l1_weight = l1_weight(j),
                            .gap = j->opts.repair.gap,
                            .max_nodes = MOST_NODES};
    double *start = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_property_try_points(j, j->margin, &outcome, err));
    if (outcome == NM_SEARCH_FOUND)
        NM_TRY(nm_memdup(&start, j->rounded, (size_t)j->params->n, sizeof *start, err));
    opts.start = start;
    NM_TRY(nm_minimal(j->ctx, j->net, j->plan, g->x, g->n, g->goal, &opts, delta, &report, err));
    *a = (answer){.found = report.found,
                  .stopped = report.stopped,
                  .cancelled = report.cancelled,
                  .proven = report.proven,
                  .norm = report.norm,
                  .lower_bound = report.lower_bound,
                  .programs = report.programs};
    if (!report.found)
        (void)snprintf(a->reason, sizeof a->reason,
                       "no change of the layer with a norm up to %.4g satisfies them together%s",
                       report.lower_bound, report.proven ? " (proven)" : "");
done:
    nm_free(start);
    return rc;
}

static void fill_report(struct nm_property_job *j, const answer *a)
{
    nm_repair_report *r = &j->report->repair;
    bool minimal = j->opts.repair.method == NM_METHOD_MINIMAL;

    r->solver = minimal                                        ? "branch and bound"
                : j->opts.repair.method == NM_METHOD_LAYERWISE ? "layerwise"
                                                               : "multilayer";
    r->solver_rounds += (int)fmin((double)a->programs, 1e9);
    r->objective = minimal && a->found ? a->norm : (double)NAN;
    r->lower_bound = a->lower_bound;
    r->gap = minimal && a->found ? fmax(a->norm - a->lower_bound, 0) / fmax(a->norm, 1e-300)
                                 : (double)NAN;
    j->report->pieces_proven = minimal && a->found && a->proven;
    if (a->found)
        return;
    r->outcome = NM_LIMIT;
    j->report->verdict = NM_VERDICT_VIOLATED;
    (void)snprintf(r->reason, sizeof r->reason, "%lld counterexamples: %.190s",
                   (long long)j->preys.n, a->reason);
}

nm_status nm_property_try_method(struct nm_property_job *j, nm_search_outcome *outcome, nm_err *err)
{
    goals g;
    answer a = {0};
    double *delta = NULL;
    nm_status rc = open_goals(j, &g, err);

    *outcome = NM_SEARCH_GAVE_UP;
    NM_TRY(rc);
    NM_TRY(nm_alloc(&delta, (size_t)j->params->n, sizeof *delta, err));
    if (j->opts.repair.method == NM_METHOD_MINIMAL)
        NM_TRY(by_minimal(j, &g, delta, &a, err));
    else
        NM_TRY(by_layers(j, &g, delta, &a, err));
    fill_report(j, &a);
    if (a.stopped && !a.found)
        NM_THROW(err, a.cancelled ? NM_E_CANCELLED : NM_E_LIMIT, "%s",
                 a.cancelled ? "interrupted" : "time limit reached");
    if (!a.found)
        goto done;
    *outcome = NM_SEARCH_FOUND;
    nm_net_free(j->fixed);
    j->fixed = NULL;
    NM_TRY(nm_round_repair(j->net, j->plan, j->params, delta, j->rounded, &j->fixed, err));
done:
    close_goals(&g, j->preys.n);
    nm_free(delta);
    return rc;
}
