#include "repair/pointwise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repair/certificate.h"
#include "repair/refine.h"
#include "repair/search.h"

enum { MAX_FIRST_TRIES = 40, MAX_STEPS = 60, MAX_FINAL_TRIES = 40, FLIPS_A_POINT = 32 };
enum { MOST_PINS = 2048 };   /* of one try */
enum { PATIENCE = 5 };       /* tries with pins that bring the misses no nearer to none */
enum { PATIENT_TRIES = 10 }; /* before neurons are pinned whose flips cost little, too */

static void forget_closest(nm_search *s)
{
    nm_free(s->closest);
    s->closest = NULL;
}

/* -- programs ---------------------------------------------------------------------------- */

/* Steps only have to lead somewhere good: they are not solved to the end. */
static const double step_gap = 1e-3;

/* base: from where the step is measured; NULL: the whole change, from the original network */
static nm_status open_program(const nm_search *s, const double *base, bool all_pins, void **out,
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

/* Sums of steps and refined changes are no program's optimum. */
static void claim_no_optimum(nm_search *s)
{
    s->figures.objective = s->figures.lower_bound = NAN;
}

static void take_solution(nm_search *s, const void *program)
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

static nm_status keep_seed_rows(nm_search *s, const void *program, nm_err *err)
{
    int64_t n;
    const nm_row_id *rows = s->engine->rows(program, &n);

    nm_free(s->seed_rows);
    s->seed_rows = NULL;
    s->n_seed_rows = n;
    return nm_memdup(&s->seed_rows, rows, (size_t)n, sizeof *rows, err);
}

/* What a solve-and-check loop came to. */
enum verdict { ACCEPTED, INFEASIBLE, STUCK };

/* Programs may ask for more than is needed: points that have `margins` are no misses. */
static void judge_by(nm_misses *m, const nm_search *s, const double *margins)
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

/* The margins of the first n active points; keep points that came since have theirs. */
static void restore_margins(nm_search *s, const double *margins, int64_t n)
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

/* Solves, checks by true forward evaluation, adds what was broken (keep points; higher margins or
   pins where wanted), until accepted or nothing more can be added. The misses are counted against
   the margins at the start, which the caller restores. */
static nm_status solve_and_check(nm_search *s, void *program, bool pin, int max_tries,
                                 enum verdict *verdict, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_misses m = {0};
    double *margins = NULL, least_total = INFINITY;
    int64_t n_margins = s->active->at->n;
    int patience = PATIENCE;

    *verdict = STUCK;
    nm_certificate_clear(&s->certificate);
    NM_TRY(nm_misses_new(s, &m, err));
    NM_TRY(nm_memdup(&margins, s->demand.margin, (size_t)n_margins, sizeof *margins, err));
    for (int i = 0; i < max_tries; i++) {
        nm_master_outcome outcome;
        int64_t promoted, pinned = 0;
        bool raised = false;

        NM_TRY(s->engine->solve(program, &outcome, err));
        if (outcome != NM_MASTER_SOLVED) {
            *verdict = outcome == NM_MASTER_INFEASIBLE ? INFEASIBLE : STUCK;
            break;
        }
        take_solution(s, program);
        NM_TRY(nm_misses_find(s, s->delta, &m, err));
        judge_by(&m, s, margins);
        nm_log(s->ctx, NM_LOG_DEBUG, "check %d: %lld repair and %lld keep points missed, by %g",
               i + 1, (long long)m.n_repair, (long long)m.n_keep, m.total);
        if (m.n_repair + m.n_keep == 0) {
            *verdict = ACCEPTED;
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
    if (*verdict != STUCK)
        NM_TRY(nm_certify_program(s, program, *verdict == INFEASIBLE, &s->certificate, err));
done:
    restore_margins(s, margins, n_margins);
    nm_misses_clear(&m);
    nm_free(margins);
    return rc;
}

static void finish_program(nm_search *s, void *program)
{
    s->rounds += s->engine->report(program).rounds;
    s->engine->close(program);
}

/* -- at the original network ------------------------------------------------------------- */

bool nm_search_is_exact(const nm_search *s)
{
    return s->active->affine || s->opts->pins == NM_PINS_ALL;
}

static nm_status describe_conflict(nm_search *s, void *program, nm_err *err)
{
    nm_status rc;

    nm_free(s->conflict);
    rc = nm_alloc(&s->conflict, (size_t)s->active->at->n, sizeof *s->conflict, err);
    if (rc == NM_OK)
        rc = s->engine->conflict(program, s->conflict, err);
    (void)snprintf(s->reason, sizeof s->reason, "%s",
                   s->active->affine
                       ? "no change within the plan satisfies these points together"
                       : "no change within the plan satisfies these points together while every "
                         "later activation of the repair points stays on its present side");
    return rc;
}

/* Rows of an earlier program, but those of points of which nothing is asked any more, and those of
   bounds, which come back by themselves. */
static nm_status add_known(const nm_search *s, void *program, const nm_row_id *rows, int64_t n,
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

/* @param pin  pin neurons whose flips spoil a point (where the program is not exact anyway) */
static nm_status at_original(nm_search *s, bool pin, enum verdict *verdict, nm_err *err)
{
    nm_status rc = NM_OK;
    void *program = NULL;

    memset(s->delta, 0, (size_t)s->params->n * sizeof *s->delta);
    NM_TRY(nm_tail_move(s->ctx, s->active, s->delta, err));
    NM_TRY(open_program(s, NULL, s->opts->pins == NM_PINS_ALL, &program, err));
    NM_TRY(add_known(s, program, s->seed_rows, s->n_seed_rows, err));
    s->linearisations++;
    NM_TRY(solve_and_check(s, program, pin, MAX_FIRST_TRIES, verdict, err));
    if (!pin)
        NM_TRY(keep_seed_rows(s, program, err));
    if (*verdict == INFEASIBLE && nm_search_is_exact(s))
        NM_TRY(describe_conflict(s, program, err));
done:
    if (program)
        finish_program(s, program);
    return rc;
}

/* -- accumulated steps ------------------------------------------------------------------- */

/* Steps ask a little more than is needed, so that they do not end just short of it; of points that
   keep missing, more than they missed by. */
static const double working_reserve = 1.03;

static void raise_working_margins(nm_search *s, const nm_misses *m)
{
    for (int64_t i = 0; i < m->n_repair; i++) {
        int64_t p = m->repair[i];

        s->demand.margin[p] += 0.5 * m->shortfall[p];
    }
}

/* Where the steps do not arrive, their nearest approach says which points are in the way. */
static nm_status note_closest(nm_search *s, double total, double *least, nm_err *err)
{
    nm_status rc = NM_OK;

    if (!(total < *least))
        return NM_OK;
    *least = total;
    if (!s->closest)
        rc = nm_alloc(&s->closest, (size_t)s->params->n, sizeof *s->closest, err);
    if (rc == NM_OK)
        memcpy(s->closest, s->delta, (size_t)s->params->n * sizeof *s->closest);
    return rc;
}

/* One accumulated step from s->delta; false through *moved when the linearised program has no
   solution. A step that brought no progress is halved until it does (or is tiny). */
static nm_status take_step(nm_search *s, const double *margins, nm_misses *m, bool *moved,
                           nm_err *err)
{
    nm_status rc = NM_OK;
    void *program = NULL;
    nm_master_outcome outcome;
    double *from = NULL, before = m->total;
    size_t n = (size_t)s->params->n;

    *moved = false;
    NM_TRY(nm_memdup(&from, s->delta, n, sizeof *from, err));
    NM_TRY(nm_tail_move(s->ctx, s->active, from, err));
    NM_TRY(open_program(s, from, false, &program, err));
    s->linearisations++;
    NM_TRY(s->engine->solve(program, &outcome, err));
    if (outcome != NM_MASTER_SOLVED)
        goto done;
    *moved = true;
    take_solution(s, program);
    NM_TRY(nm_misses_find(s, s->delta, m, err));
    judge_by(m, s, margins);
    for (int halving = 0; halving < 4 && !(m->total < before); halving++) {
        for (size_t i = 0; i < n; i++)
            s->delta[i] = 0.5 * (s->delta[i] + from[i]);
        NM_TRY(nm_misses_find(s, s->delta, m, err));
        judge_by(m, s, margins);
    }
done:
    if (program)
        finish_program(s, program);
    nm_free(from);
    return rc;
}

static nm_status accumulate(nm_search *s, enum verdict *verdict, nm_err *err)
{
    enum { PATIENT_STEPS = 8 };
    nm_status rc = NM_OK;
    nm_misses m = {0};
    double *margins = NULL; /* what was asked; the steps work with a little more */
    int64_t n_margins = s->active->at->n, promoted;
    double least = INFINITY;
    bool moved;

    *verdict = STUCK;
    forget_closest(s);
    NM_TRY(nm_misses_new(s, &m, err));
    NM_TRY(nm_memdup(&margins, s->demand.margin, (size_t)n_margins, sizeof *margins, err));
    NM_TRY(nm_misses_find(s, s->delta, &m, err));
    for (int i = 0; i < MAX_STEPS && m.n_repair + m.n_keep > 0; i++) {
        NM_TRY(nm_search_promote(s, &m, &promoted, err));
        for (int64_t p = 0; i == 0 && p < s->n_repair; p++)
            s->demand.margin[p] *= working_reserve;
        NM_TRY(take_step(s, margins, &m, &moved, err));
        nm_log(s->ctx, NM_LOG_DEBUG, "step %d: %lld repair and %lld keep points missed, by %g",
               i + 1, (long long)m.n_repair, (long long)m.n_keep, m.total);
        if (!moved)
            break;
        NM_TRY(note_closest(s, m.total, &least, err));
        if (i >= PATIENT_STEPS)
            raise_working_margins(s, &m);
    }
    if (m.n_repair + m.n_keep == 0)
        *verdict = ACCEPTED;
done:
    restore_margins(s, margins, n_margins);
    nm_misses_clear(&m);
    nm_free(margins);
    return rc;
}

/* -- at the repaired network ------------------------------------------------------------- */

static nm_status keep_reference(nm_search *s, const void *program, nm_err *err)
{
    int64_t n;
    const nm_row_id *rows = s->engine->rows(program, &n);
    nm_status rc = NM_OK;

    nm_free(s->reference);
    nm_free(s->reference_rows);
    s->reference = NULL;
    s->reference_rows = NULL;
    s->n_reference_rows = n;
    NM_TRY(nm_memdup(&s->reference, s->active->delta, (size_t)s->params->n, sizeof(double), err));
    NM_TRY(nm_memdup(&s->reference_rows, rows, (size_t)n, sizeof *rows, err));
done:
    return rc;
}

/* In the pieces of the network at `reference`, the smallest change measured from the original
   one. When accepted, the next search (with raised margins) starts here. */
static nm_status at_reference(nm_search *s, const double *reference, enum verdict *verdict,
                              nm_err *err)
{
    nm_status rc = NM_OK;
    void *program = NULL;

    NM_TRY(nm_tail_move(s->ctx, s->active, reference, err));
    NM_TRY(open_program(s, NULL, false, &program, err));
    NM_TRY(add_known(s, program, s->reference_rows, s->n_reference_rows, err));
    s->linearisations++;
    NM_TRY(
        solve_and_check(s, program, s->opts->pins == NM_PINS_LAZY, MAX_FINAL_TRIES, verdict, err));
    if (*verdict == ACCEPTED)
        NM_TRY(keep_reference(s, program, err));
done:
    if (program)
        finish_program(s, program);
    return rc;
}

/* The accumulated change stays the answer when its own pieces do not give an accepted one. */
static nm_status final_stage(nm_search *s, nm_err *err)
{
    nm_status rc = NM_OK;
    double *accumulated = NULL;
    nm_program_figures figures = s->figures;
    enum verdict verdict;
    size_t n = (size_t)s->params->n;

    s->n_reference_rows = 0; /* those were pins of other pieces */
    NM_TRY(nm_memdup(&accumulated, s->delta, n, sizeof *accumulated, err));
    NM_TRY(at_reference(s, accumulated, &verdict, err));
    if (verdict != ACCEPTED) {
        memcpy(s->delta, accumulated, n * sizeof *accumulated);
        s->figures = figures;
        claim_no_optimum(s);
    }
done:
    nm_free(accumulated);
    return rc;
}

/* -- all together ------------------------------------------------------------------------ */

static nm_search_outcome gave_up(nm_search *s, const char *why)
{
    (void)snprintf(s->reason, sizeof s->reason, "%s", why);
    return NM_SEARCH_GAVE_UP;
}

/* Pins of convolutions are sums over places: thousands of them would take longer than all the
 * steps. */
static bool pins_are_cheap(const nm_search *s)
{
    bool cheap = true;

    for (int b = 0; s->engine == &nm_engine_least && b < s->edits->n; b++)
        cheap = cheap && s->edits->at[b].form.places == 1;
    return cheap;
}

/* Steps to a network that is right, then the smallest change in its pieces. Where that fails: the
   original network's pieces, held where they matter. */
static nm_status beyond_original(nm_search *s, enum verdict *verdict, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(accumulate(s, verdict, err));
    if (*verdict == ACCEPTED && pins_are_cheap(s))
        NM_TRY(final_stage(s, err));
    else if (*verdict == ACCEPTED)
        claim_no_optimum(s);
    else if (s->opts->pins == NM_PINS_LAZY)
        NM_TRY(at_original(s, true, verdict, err));
done:
    return rc;
}

/* The pieces of the last answer, for margins that grew a little since. */
static nm_status from_reference(nm_search *s, enum verdict *verdict, nm_err *err)
{
    double *reference;
    nm_status rc =
        nm_memdup(&reference, s->reference, (size_t)s->params->n, sizeof *reference, err);

    if (rc == NM_OK)
        rc = at_reference(s, reference, verdict, err);
    nm_free(reference);
    return rc;
}

/* Less drift for the same margins; an answer that does not keep them, or drifts more after all, is
   taken back. */
static nm_status refine(nm_search *s, nm_err *err)
{
    nm_refine_report report;
    bool better;
    double *answer = NULL;
    nm_program_figures figures = s->figures;
    enum verdict verdict;
    size_t n = (size_t)s->params->n;
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&answer, s->delta, n, sizeof *answer, err));
    NM_TRY(nm_refine(s, &report, &better, err));
    if (report.evaluations == 0)
        goto done;
    NM_TRY(accumulate(s, &verdict, err));
    if (verdict == ACCEPTED && better) {
        s->refined = report;
        claim_no_optimum(s);
    } else {
        memcpy(s->delta, answer, n * sizeof *answer);
        s->figures = figures;
    }
done:
    nm_free(answer);
    return rc;
}

/* Margins have grown a little since the last answer: a small step from there, where there is no
   program whose optimum could be kept. */
static nm_status from_answer(nm_search *s, enum verdict *verdict, nm_err *err)
{
    nm_status rc = accumulate(s, verdict, err);

    claim_no_optimum(s);
    return rc;
}

static nm_status find_answer(nm_search *s, enum verdict *verdict, nm_err *err)
{
    nm_status rc = NM_OK;

    if (s->reference && !s->answered)
        NM_TRY(from_reference(s, verdict, err));
    if (*verdict != ACCEPTED)
        NM_TRY(at_original(s, false, verdict, err));
    if (*verdict != ACCEPTED && !nm_search_is_exact(s))
        NM_TRY(beyond_original(s, verdict, err));
    if (*verdict == ACCEPTED && s->metric && s->opts->refine != NM_REFINE_OFF)
        NM_TRY(refine(s, err));
done:
    return rc;
}

/* Steps may run away where points can hardly be told apart. */
static bool fits_float32(const nm_search *s)
{
    const double most = 0x1p96; /* beyond, sums of products may overflow */

    for (int64_t i = 0; i < s->params->n; i++)
        if (!(fabs(s->delta[i]) <= most))
            return false;
    return true;
}

nm_status nm_search_run(nm_search *s, nm_search_outcome *outcome, nm_err *err)
{
    nm_status rc = NM_OK;
    enum verdict verdict = STUCK;

    s->rounds = s->linearisations = 0;
    s->reason[0] = '\0';
    forget_closest(s);
    if (s->answered)
        NM_TRY(from_answer(s, &verdict, err));
    if (verdict != ACCEPTED)
        NM_TRY(find_answer(s, &verdict, err));
    /* Answers that are the optimum of a program are found again as such. */
    s->answered =
        verdict == ACCEPTED && s->engine == &nm_engine_least && isnan(s->figures.objective);
    if (verdict == ACCEPTED && !fits_float32(s))
        *outcome = gave_up(s, "the change that was found is too large for float32");
    else if (verdict == ACCEPTED)
        *outcome = NM_SEARCH_FOUND;
    else if (verdict == INFEASIBLE && nm_search_is_exact(s))
        *outcome = NM_SEARCH_INFEASIBLE;
    else if (nm_search_is_exact(s))
        *outcome = gave_up(s, "the solver failed numerically, or keep points cannot be held with "
                              "the present activations");
    else
        *outcome = gave_up(s, "accumulated steps did not reach all points");
done:
    return rc;
}

nm_status nm_search_continue(nm_search *s, nm_search_outcome *outcome, nm_err *err)
{
    enum verdict verdict = STUCK;
    nm_status rc;

    s->rounds = s->linearisations = 0;
    rc = accumulate(s, &verdict, err);
    claim_no_optimum(s);
    *outcome = verdict == ACCEPTED && fits_float32(s) ? NM_SEARCH_FOUND : NM_SEARCH_GAVE_UP;
    return rc;
}

nm_status nm_search_certify_at(nm_search *s, const double *delta, nm_err *err)
{
    nm_status rc = NM_OK;
    void *program = NULL;
    nm_master_outcome outcome;
    nm_certificate found = {0};

    if (!s->opts->certify || s->active->affine || s->plan->joint ||
        s->opts->norm == NM_NORM_FUNCTION || s->opts->norm_includes_outputs)
        return NM_OK;
    NM_TRY(nm_tail_move(s->ctx, s->active, delta, err));
    NM_TRY(open_program(s, NULL, true, &program, err));
    NM_TRY(add_known(s, program, s->reference_rows, s->n_reference_rows, err));
    NM_TRY(s->engine->solve(program, &outcome, err));
    if (outcome != NM_MASTER_SOLVED)
        goto done;
    NM_TRY(nm_certify_program(s, program, false, &found, err));
    nm_certificate_clear(&s->certificate);
    s->certificate = found;
done:
    s->engine->close(program);
    return rc;
}
