/* One linearised program: opened, solved, its solution checked by true evaluation. */
#include "repair/search_program.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "repair/certificate.h"

enum { FLIPS_A_POINT = 32 };
enum { MOST_PINS = 2048 };   /* of one try */
enum { PATIENCE = 5 };       /* tries with pins that bring the misses no nearer to none */
enum { PATIENT_TRIES = 10 }; /* before neurons are pinned whose flips cost little, too */

/* Steps only have to lead somewhere good: they are not solved to the end. */
static const double step_gap = 1e-3;

nm_status nm_search_open_program(const nm_search *s, const double *base, bool all_pins, void **out,
                                 nm_err *err)
{
    nm_program_opts opts = {.plan = s->plan,
                            .repair = s->opts,
                            .base = base,
                            .original_scores = s->original_scores,
                            .all_pins = all_pins,
                            .gap = base ? step_gap : 0.01 * s->opts->gap,
                            .rough = base != NULL};
    nm_engine_room room = {.edits = s->edits, .forms = s->forms};

    return s->engine->open(s->ctx, s->active, &s->demand, &opts, &room, out, err);
}

void nm_search_claim_no_optimum(nm_search *s)
{
    s->figures.objective = s->figures.lower_bound = NAN;
}

void nm_search_take_solution(nm_search *s, const void *program)
{
    memcpy(s->delta, s->engine->delta(program), (size_t)s->params->n * sizeof *s->delta);
    s->figures = s->engine->report(program);
}

/* Active points among the missed ones: all repair points, and keep points that have rows already.
 */
static int64_t list_active(const nm_search *s, const nm_misses *m, int64_t *points)
{
    int64_t n = m->n_repair;

    memcpy(points, m->repair, (size_t)n * sizeof *points);
    for (int64_t i = 0; i < m->n_keep; i++)
        if (s->keep_slot[m->keep[i]] >= 0)
            points[n++] = s->keep_slot[m->keep[i]];
    return n;
}

/* Pins the neurons of missed points that flipped between the linearisation and the present
   solution. In the function norm, where the optimum of a piece is nothing that a claim could state,
   thousands of them are not worth the time that they take. */
static nm_status pin_flips(nm_search *s, void *program, const nm_misses *m, int64_t *added,
                           nm_err *err)
{
    nm_status rc = NM_OK;
    nm_tail *moved = NULL;
    nm_violations flips = {0};
    nm_row_id *rows = NULL;
    int64_t *points = NULL, n = 0, n_points;

    *added = 0;
    NM_TRY(nm_alloc(&points, (size_t)(m->n_repair + m->n_keep), sizeof *points, err));
    n_points = list_active(s, m, points);
    NM_TRY(nm_tail_subset(s->ctx, s->active, points, n_points, s->engine->delta(program), &moved,
                          err));
    NM_TRY(nm_alloc(&rows, (size_t)n_points, FLIPS_A_POINT * sizeof *rows, err));
    for (int64_t i = 0; i < n_points; i++) {
        flips.n = 0;
        NM_TRY(nm_flips(s->active, points[i], moved, i, &flips, err));
        for (int64_t k = 0; k < flips.n && k < FLIPS_A_POINT; k++)
            rows[n++] = flips.at[k].row;
    }
    if (s->metric == NULL || n <= MOST_PINS)
        NM_TRY(s->engine->add(program, rows, n, added, err));
done:
    nm_violations_free(&flips);
    nm_free(points);
    nm_free(rows);
    nm_tail_free(moved);
    return rc;
}

void nm_search_judge_by(nm_misses *m, const nm_search *s, const double *margins)
{
    int64_t n = 0;

    m->worst = 0;
    m->total = m->keep_total;
    for (int64_t i = 0; i < m->n_repair; i++) {
        int64_t p = m->repair[i];
        double missing = m->shortfall[p] - (s->demand.margin[p] - margins[p]);

        m->shortfall[p] = fmax(missing, 0);
        m->worst = fmax(m->worst, missing);
        m->total += m->shortfall[p];
        if (missing > 0)
            m->repair[n++] = p;
    }
    m->n_repair = n;
}

void nm_search_restore_margins(nm_search *s, const double *margins, int64_t n)
{
    if (margins)
        memcpy(s->demand.margin, margins, (size_t)n * sizeof *margins);
    for (int64_t p = 0; p < s->n_keep; p++)
        if (s->keep_slot[p] >= n)
            s->demand.margin[s->keep_slot[p]] = s->keep_margin[p];
}

/* Points that miss by little are asked for a little more: cheaper than pins. The others stay in the
   list of misses: their neurons have to be held. */
static bool ask_more(nm_search *s, void *program, nm_misses *m)
{
    const double little = 0.1;
    int64_t n = 0;

    for (int64_t i = 0; i < m->n_repair; i++) {
        int64_t p = m->repair[i];

        if (m->shortfall[p] < little * s->demand.margin[p])
            s->demand.margin[p] += 1.5 * m->shortfall[p] + 1e-6 * s->demand.margin[p];
        else
            m->repair[n++] = p;
    }
    bool raised = n < m->n_repair;

    m->n_repair = n;
    s->engine->retarget(program);
    return raised;
}

nm_status nm_search_solve_and_check(nm_search *s, void *program, bool pin, int max_tries,
                                    nm_answer *verdict, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_misses m = {0};
    double *margins = NULL, least_total = INFINITY;
    int64_t n_margins = s->active->at->n;
    int patience = PATIENCE;

    *verdict = NM_ANSWER_STUCK;
    nm_certificate_clear(&s->certificate);
    NM_TRY(nm_misses_new(s, &m, err));
    NM_TRY(nm_memdup(&margins, s->demand.margin, (size_t)n_margins, sizeof *margins, err));
    for (int i = 0; i < max_tries; i++) {
        nm_master_outcome outcome;
        int64_t promoted, pinned = 0;
        bool raised = false;

        NM_TRY(s->engine->solve(program, &outcome, err));
        if (outcome != NM_MASTER_SOLVED) {
            *verdict = outcome == NM_MASTER_INFEASIBLE ? NM_ANSWER_INFEASIBLE : NM_ANSWER_STUCK;
            break;
        }
        nm_search_take_solution(s, program);
        NM_TRY(nm_misses_find(s, s->delta, &m, err));
        nm_search_judge_by(&m, s, margins);
        nm_log(s->ctx, NM_LOG_DEBUG, "check %d: %lld repair and %lld keep points missed, by %g",
               i + 1, (long long)m.n_repair, (long long)m.n_keep, m.total);
        if (m.n_repair + m.n_keep == 0) {
            *verdict = NM_ANSWER_ACCEPTED;
            break;
        }
        patience = m.total < 0.5 * least_total ? PATIENCE : patience - 1;
        /* Where the first tries bring little, pins would have to hold thousands of neurons. */
        if (pin && (patience < 0 || (i == 2 && patience < PATIENCE - 1)))
            break;
        least_total = fmin(least_total, m.total);
        if (pin && s->engine->retarget && i < PATIENT_TRIES)
            raised = ask_more(s, program, &m);
        if (pin)
            NM_TRY(pin_flips(s, program, &m, &pinned, err));
        NM_TRY(nm_search_promote(s, &m, &promoted, err));
        if (promoted + pinned == 0 && !raised)
            break;
    }
    if (*verdict != NM_ANSWER_STUCK)
        NM_TRY(
            nm_certify_program(s, program, *verdict == NM_ANSWER_INFEASIBLE, &s->certificate, err));
done:
    nm_search_restore_margins(s, margins, n_margins);
    nm_misses_clear(&m);
    nm_free(margins);
    return rc;
}

void nm_search_finish_program(nm_search *s, void *program)
{
    s->rounds += s->engine->report(program).rounds;
    s->engine->close(program);
}

nm_status nm_search_add_known(const nm_search *s, void *program, const nm_row_id *rows, int64_t n,
                              nm_err *err)
{
    nm_row_id *asked = NULL;
    int64_t count = 0, added;
    nm_status rc = nm_alloc(&asked, (size_t)n, sizeof *asked, err);

    for (int64_t i = 0; rc == NM_OK && i < n; i++)
        if ((rows[i].kind == NM_ROW_LABEL || rows[i].kind == NM_ROW_PIN) &&
            s->demand.margin[rows[i].point] > -INFINITY)
            asked[count++] = rows[i];
    if (rc == NM_OK)
        rc = s->engine->add(program, asked, count, &added, err);
    nm_free(asked);
    return rc;
}
