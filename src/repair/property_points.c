/* One round of a repair of properties: all counterexamples, by the pointwise method. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/order.h"
#include "base/rng.h"
#include "repair/judge.h"
#include "repair/measure.h"
#include "repair/property_job.h"

enum { MOST_SWITCHES = 40, MOST_HALVINGS = 12, N_SCALE = 1000, MOST_DRAWS = 50 };

/* -- points ----------------------------------------------------------------------------------- */

static bool is_in_boxes(const struct nm_property_job *j, const float *x)
{
    for (int i = 0; i < j->task->n_properties; i++) {
        const nm_property *p = j->task->properties[i];

        for (int64_t b = 0; b < p->n_boxes; b++)
            if (nm_in_box_holds(p, &p->boxes[b], x))
                return true;
    }
    return false;
}

void nm_property_draw(const struct nm_property_job *j, uint64_t stream, int64_t n, float *x)
{
    int64_t n_in = nm_net_n_in(j->net);
    nm_rng rng = {.seed = j->opts.repair.seed, .stream = (1ULL << 60) + stream};

    for (int64_t p = 0; p < n; p++) {
        float *at = x + p * n_in;

        for (int draw = 0; draw == 0 || (draw < MOST_DRAWS && is_in_boxes(j, at)); draw++)
            for (int64_t i = 0; i < n_in; i++)
                at[i] = (float)(j->lo[i] + nm_rng_uniform(&rng) * (j->hi[i] - j->lo[i]));
    }
}

static void draw_in_box(const nm_in_box *box, int64_t n_in, nm_rng *rng, float *x)
{
    for (int64_t i = 0; i < n_in; i++)
        x[i] = (float)(box->lo_out[i] + nm_rng_uniform(rng) * (box->hi_out[i] - box->lo_out[i]));
}

/* |slack| of the cases of one box at random points of it */
static nm_status distances(struct nm_property_job *j, const nm_property *p, const nm_in_box *box,
                           nm_rng *rng, double *x, double *y, double *all, int64_t *n, nm_err *err)
{
    int64_t n_in = p->n_in;
    float *at = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&at, (size_t)n_in, sizeof *at, err));
    for (int k = 0; k < N_SCALE; k++) {
        draw_in_box(box, n_in, rng, at);
        for (int64_t i = 0; i < n_in; i++)
            x[k * n_in + i] = (double)at[i];
    }
    NM_TRY(nm_net_forward_f64(j->ctx, j->net, x, N_SCALE, y, err));
    for (int k = 0; k < N_SCALE; k++) {
        int32_t piece;
        double slack = nm_case_slack(p, box->first_case, y + k * p->n_out, &piece);

        if (fabs(slack) < INFINITY)
            all[(*n)++] = fabs(slack);
    }
done:
    nm_free(at);
    return rc;
}

nm_status nm_property_scale(struct nm_property_job *j, double *scale, nm_err *err)
{
    size_t n_in = (size_t)nm_net_n_in(j->net), n_out = (size_t)nm_net_n_out(j->net);
    nm_rng rng = {.seed = j->opts.repair.seed, .stream = 1ULL << 61};
    double *x = NULL, *y = NULL, *all = NULL;
    int64_t n = 0, most = 16; /* boxes */
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&x, N_SCALE, n_in * sizeof *x, err));
    NM_TRY(nm_alloc(&y, N_SCALE, n_out * sizeof *y, err));
    NM_TRY(nm_alloc(&all, (size_t)most * N_SCALE, sizeof *all, err));
    for (int i = 0; i < j->task->n_repair; i++) {
        const nm_property *p = j->task->properties[i];

        for (int64_t b = 0; b < p->n_boxes && most > 0; b++, most--)
            NM_TRY(distances(j, p, &p->boxes[b], &rng, x, y, all, &n, err));
    }
    *scale = n > 0 ? nm_median(all, n) : 1;
    if (!(*scale > 0 && *scale < INFINITY))
        *scale = 1;
done:
    nm_free(x);
    nm_free(y);
    nm_free(all);
    return rc;
}

/* -- the program ------------------------------------------------------------------------------ */

nm_status nm_property_open_search(struct nm_property_job *j, const nm_out_row **rule, double margin,
                                  nm_search **out, nm_err *err)
{
    nm_search_data data = {.x = j->preys.x,
                           .rule = rule,
                           .n = j->preys.n,
                           .least = j->opts.decision == NM_DECISION_MIN,
                           .keep_x = j->held ? j->reference : NULL,
                           .keep_target = j->held ? j->decisions : NULL,
                           .n_keep = j->held ? j->n_reference : 0,
                           .reference_x = j->reference,
                           .n_reference = j->n_reference};
    nm_status rc = NM_OK;

    for (int64_t p = 0; p < j->preys.n; p++)
        rule[p] = nm_prey_rule(&j->preys.at[p]);
    NM_TRY(nm_search_open(j->ctx, j->net, j->plan, j->params, &j->opts.repair, &data, out, err));
    for (int64_t p = 0; p < j->preys.n; p++)
        (*out)->demand.margin[p] = margin * nm_rule_norm(rule[p]);
done:
    return rc;
}

static int32_t n_rows(const nm_prey *prey)
{
    return prey->property->cases[prey->c].n_rows;
}

/* Points of a conflict break another of their conditions. @return false if there is no other */
static bool switch_pieces(struct nm_property_job *j, const bool *conflict)
{
    bool any = false;

    for (int64_t p = 0; p < j->preys.n; p++) {
        nm_prey *prey = &j->preys.at[p];

        if (!conflict[p] || prey->tried + 1 >= n_rows(prey))
            continue;
        prey->tried++;
        prey->piece = (prey->piece + 1) % n_rows(prey);
        any = true;
    }
    return any;
}

static bool has_choice(const struct nm_property_job *j)
{
    for (int64_t p = 0; p < j->preys.n; p++)
        if (n_rows(&j->preys.at[p]) > 1)
            return true;
    return false;
}

static void report_program(struct nm_property_job *j, const nm_search *s)
{
    nm_repair_report *r = &j->report->repair;
    const nm_program_figures *f = &s->figures;

    r->rows = f->n_rows;
    r->rows_total = f->n_total;
    r->solver = f->solver ? f->solver : "none";
    r->solver_rounds += s->rounds;
    r->linearisations += s->linearisations;
    r->objective = f->objective;
    r->lower_bound = f->lower_bound;
    r->gap = isnan(f->objective)
                 ? (double)NAN
                 : fmax(f->objective - f->lower_bound, 0) / fmax(fabs(f->objective), 1e-300);
    if (s->metric) {
        r->damping_in = s->damping_in;
        r->damping_out = j->opts.repair.damping_out;
    }
}

nm_status nm_property_take_candidate(struct nm_property_job *j, const nm_search *s, nm_err *err)
{
    nm_net_free(j->fixed);
    j->fixed = NULL;
    report_program(j, s);
    return nm_round_repair(j->net, j->plan, j->params, s->delta, j->rounded, &j->fixed, err);
}

/* One case without conditions, on a box that is not empty: whatever the network, it is unsafe. */
static bool is_hopeless(const struct nm_property_job *j)
{
    for (int64_t p = 0; p < j->preys.n; p++)
        if (n_rows(&j->preys.at[p]) == 0)
            return true;
    return false;
}

void nm_property_give_up(struct nm_property_job *j, const nm_search *s, nm_search_outcome outcome,
                         double margin, bool proven)
{
    nm_repair_report *r = &j->report->repair;

    r->outcome = proven ? NM_INFEASIBLE : NM_LIMIT;
    j->report->verdict = NM_VERDICT_VIOLATED;
    if (outcome == NM_SEARCH_INFEASIBLE)
        (void)snprintf(r->reason, sizeof r->reason,
                       "no change within the plan takes all %lld counterexamples out of the unsafe "
                       "outputs by %.3g%s",
                       (long long)j->preys.n, margin,
                       proven ? "" : ", with the conditions that were tried for them");
    else
        (void)snprintf(r->reason, sizeof r->reason, "%lld counterexamples: %.200s",
                       (long long)j->preys.n, s->reason);
}

/* One program, with the conditions and the margin as they are. */
static nm_status try_once(struct nm_property_job *j, double margin, bool *retry,
                          nm_search_outcome *outcome, nm_err *err)
{
    const nm_out_row **rule = NULL;
    nm_search *s = NULL;
    nm_status rc = NM_OK;

    *retry = false;
    NM_TRY(nm_alloc(&rule, (size_t)j->preys.n, sizeof(const nm_out_row *), err));
    NM_TRY(nm_property_open_search(j, rule, margin, &s, err));
    NM_TRY(nm_search_run(s, outcome, err));
    if (*outcome == NM_SEARCH_FOUND)
        NM_TRY(nm_property_take_candidate(j, s, err));
    else if (*outcome == NM_SEARCH_INFEASIBLE && s->conflict && !j->held)
        *retry = switch_pieces(j, s->conflict);
    if (*outcome != NM_SEARCH_FOUND)
        nm_property_give_up(j, s, *outcome, margin,
                            *outcome == NM_SEARCH_INFEASIBLE && !has_choice(j));
done:
    nm_search_close(s);
    nm_free(rule);
    return rc;
}

/* -- other conditions for all of them ------------------------------------------------------------
 */

static void save_pieces(const struct nm_property_job *j, int32_t *pieces)
{
    for (int64_t p = 0; p < j->preys.n; p++)
        pieces[p] = j->preys.at[p].piece;
}

static void restore_pieces(struct nm_property_job *j, const int32_t *pieces)
{
    for (int64_t p = 0; p < j->preys.n; p++)
        j->preys.at[p].piece = pieces[p];
}

static int32_t most_rows(const struct nm_property_job *j)
{
    int32_t most = 0;

    for (int64_t p = 0; p < j->preys.n; p++)
        most = n_rows(&j->preys.at[p]) > most ? n_rows(&j->preys.at[p]) : most;
    return most;
}

/* Tries the k-th condition for all points that have one; the assignment of the smallest change is
   the one that is left, and its candidate. */
static nm_status try_other_pieces(struct nm_property_job *j, nm_err *err)
{
    double best = j->report->repair.objective;
    int32_t *pieces = NULL;
    nm_search_outcome outcome = NM_SEARCH_FOUND;
    bool retry, last_is_best = true;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&pieces, (size_t)j->preys.n, sizeof *pieces, err));
    save_pieces(j, pieces);
    for (int32_t k = 0; k < most_rows(j) && most_rows(j) > 1; k++) {
        restore_pieces(j, pieces);
        for (int64_t p = 0; p < j->preys.n; p++)
            if (k < n_rows(&j->preys.at[p]))
                j->preys.at[p].piece = k;
        NM_TRY(try_once(j, j->margin, &retry, &outcome, err));
        last_is_best = outcome == NM_SEARCH_FOUND && j->report->repair.objective < best;
        if (!last_is_best)
            continue;
        best = j->report->repair.objective;
        save_pieces(j, pieces);
    }
    restore_pieces(j, pieces);
    if (!last_is_best)
        NM_TRY(try_once(j, j->margin, &retry, &outcome, err));
done:
    nm_free(pieces);
    return rc;
}

/* -- all together --------------------------------------------------------------------------------
 */

/* With the conditions as they are, or the best ones. */
static nm_status try_margin(struct nm_property_job *j, double margin, bool *retry,
                            nm_search_outcome *outcome, nm_err *err)
{
    if (j->opts.pieces != NM_PIECES_EXACT || !has_choice(j))
        return try_once(j, margin, retry, outcome, err);
    *retry = false;
    return nm_property_try_exact(j, margin, outcome, err);
}

static void let_go(struct nm_property_job *j)
{
    nm_repair_report *r = &j->report->repair;

    r->outcome = NM_LIMIT;
    j->report->lost_hold = true;
    (void)snprintf(r->reason, sizeof r->reason,
                   "%lld counterexamples cannot be repaired while all decisions on %lld other "
                   "inputs stay as they are",
                   (long long)j->preys.n, (long long)j->n_reference);
}

nm_status nm_property_repair_preys(struct nm_property_job *j, bool *done, nm_err *err)
{
    nm_repair_report *r = &j->report->repair;
    nm_search_outcome outcome = NM_SEARCH_GAVE_UP;
    double start = nm_now();
    bool retry = true;
    nm_status rc = NM_OK;

    *done = false;
    if (is_hopeless(j)) {
        r->outcome = NM_INFEASIBLE;
        j->report->verdict = NM_VERDICT_VIOLATED;
        (void)snprintf(r->reason, sizeof r->reason,
                       "the property allows no outputs at all for some of its inputs");
        return NM_OK;
    }
    if (j->held)
        NM_TRY(try_margin(j, j->margin, &retry, &outcome, err));
    if (outcome != NM_SEARCH_FOUND && j->held) {
        j->held = false;
        if (j->opts.must_hold) {
            let_go(j);
            goto done;
        }
        nm_log(j->ctx, NM_LOG_DEBUG, "not all decisions elsewhere can be held");
        retry = true;
    }
    for (int i = 0; retry && outcome != NM_SEARCH_FOUND && i < MOST_SWITCHES; i++)
        NM_TRY(try_margin(j, j->margin, &retry, &outcome, err));
    /* Margins are not what the property asks for: less will do, down to what float32 tells apart.
     */
    for (int i = 0; outcome != NM_SEARCH_FOUND && i < MOST_HALVINGS; i++) {
        j->margin *= 0.5;
        NM_TRY(try_margin(j, j->margin, &retry, &outcome, err));
    }
    *done = outcome == NM_SEARCH_FOUND;
    if (*done && j->opts.pieces == NM_PIECES_BEST)
        NM_TRY(try_other_pieces(j, err));
    nm_log(j->ctx, NM_LOG_DEBUG, "repair of %lld points: %s, objective %g, margin %g",
           (long long)j->preys.n, *done ? "found" : r->reason, r->objective, j->margin);
done:
    j->report->s_repair += nm_now() - start;
    return rc;
}
