#include "repair/pointwise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "repair/certificate.h"
#include "repair/refine.h"
#include "repair/search_program.h"
#include "repair/shifted.h"

enum { MAX_FIRST_TRIES = 40, MAX_FINAL_TRIES = 40 };

/* -- at the original network ------------------------------------------------------------- */

bool nm_search_is_exact(const nm_search *s)
{
    return s->active->affine || s->opts->pins == NM_PINS_ALL;
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

/* @param pin  pin neurons whose flips spoil a point (where the program is not exact anyway) */
static nm_status at_original(nm_search *s, bool pin, nm_answer *verdict, nm_err *err)
{
    nm_status rc = NM_OK;
    void *program = NULL;

    memset(s->delta, 0, (size_t)s->params->n * sizeof *s->delta);
    NM_TRY(nm_tail_move(s->ctx, s->active, s->delta, err));
    NM_TRY(nm_search_open_program(s, NULL, s->opts->pins == NM_PINS_ALL, &program, err));
    NM_TRY(nm_search_add_known(s, program, s->seed_rows, s->n_seed_rows, err));
    s->linearisations++;
    NM_TRY(nm_search_solve_and_check(s, program, pin, MAX_FIRST_TRIES, verdict, err));
    if (!pin)
        NM_TRY(keep_seed_rows(s, program, err));
    if (*verdict == NM_ANSWER_INFEASIBLE && nm_search_is_exact(s))
        NM_TRY(describe_conflict(s, program, err));
done:
    if (program)
        nm_search_finish_program(s, program);
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
static nm_status at_reference(nm_search *s, const double *reference, nm_answer *verdict,
                              nm_err *err)
{
    nm_status rc = NM_OK;
    void *program = NULL;

    NM_TRY(nm_tail_move(s->ctx, s->active, reference, err));
    NM_TRY(nm_search_open_program(s, NULL, false, &program, err));
    NM_TRY(nm_search_add_known(s, program, s->reference_rows, s->n_reference_rows, err));
    s->linearisations++;
    NM_TRY(nm_search_solve_and_check(s, program, s->opts->pins == NM_PINS_LAZY, MAX_FINAL_TRIES,
                                     verdict, err));
    if (*verdict == NM_ANSWER_ACCEPTED)
        NM_TRY(keep_reference(s, program, err));
done:
    if (program)
        nm_search_finish_program(s, program);
    return rc;
}

/* The accumulated change stays the answer when its own pieces do not give an accepted one. */
static nm_status final_stage(nm_search *s, nm_err *err)
{
    nm_status rc = NM_OK;
    double *accumulated = NULL;
    nm_program_figures figures = s->figures;
    nm_answer verdict;
    size_t n = (size_t)s->params->n;

    s->n_reference_rows = 0; /* those were pins of other pieces */
    NM_TRY(nm_memdup(&accumulated, s->delta, n, sizeof *accumulated, err));
    NM_TRY(at_reference(s, accumulated, &verdict, err));
    if (verdict != NM_ANSWER_ACCEPTED) {
        memcpy(s->delta, accumulated, n * sizeof *accumulated);
        s->figures = figures;
        nm_search_claim_no_optimum(s);
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

/* Steps from the change that reads the points like reference data. There is no program whose
   optimum they could end with: its smallest change would undo that one. */
static nm_status from_shift(nm_search *s, nm_answer *verdict, nm_err *err)
{
    double *before = NULL;
    size_t n = (size_t)s->params->n;
    nm_status rc = NM_OK;

    NM_TRY(nm_search_find_shift(s, err));
    if (!s->shift)
        goto done;
    NM_TRY(nm_memdup(&before, s->delta, n, sizeof *before, err));
    memcpy(s->delta, s->shift, n * sizeof *s->delta);
    NM_TRY(nm_search_accumulate(s, verdict, err));
    nm_search_claim_no_optimum(s);
    if (*verdict != NM_ANSWER_ACCEPTED) {
        memcpy(s->delta, before, n * sizeof *s->delta);
        nm_free(s->shift);
        s->shift = NULL;
        s->shifted = (nm_shift_report){0};
    }
done:
    nm_free(before);
    return rc;
}

/* Steps to a network that is right, then the smallest change in its pieces. Where that fails: the
   original network's pieces, held where they matter. */
static nm_status beyond_original(nm_search *s, nm_answer *verdict, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(from_shift(s, verdict, err));
    if (*verdict == NM_ANSWER_ACCEPTED)
        goto done;
    NM_TRY(nm_search_accumulate(s, verdict, err));
    if (*verdict == NM_ANSWER_ACCEPTED && pins_are_cheap(s))
        NM_TRY(final_stage(s, err));
    else if (*verdict == NM_ANSWER_ACCEPTED)
        nm_search_claim_no_optimum(s);
    else if (s->opts->pins == NM_PINS_LAZY)
        NM_TRY(at_original(s, true, verdict, err));
done:
    return rc;
}

/* The pieces of the last answer, for margins that grew a little since. */
static nm_status from_reference(nm_search *s, nm_answer *verdict, nm_err *err)
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
    nm_answer verdict;
    size_t n = (size_t)s->params->n;
    nm_status rc = NM_OK;

    NM_TRY(nm_memdup(&answer, s->delta, n, sizeof *answer, err));
    NM_TRY(nm_refine(s, &report, &better, err));
    if (report.evaluations == 0)
        goto done;
    NM_TRY(nm_search_accumulate(s, &verdict, err));
    if (verdict == NM_ANSWER_ACCEPTED && better) {
        s->refined = report;
        nm_search_claim_no_optimum(s);
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
static nm_status from_answer(nm_search *s, nm_answer *verdict, nm_err *err)
{
    nm_status rc = nm_search_accumulate(s, verdict, err);

    nm_search_claim_no_optimum(s);
    return rc;
}

static nm_status find_answer(nm_search *s, nm_answer *verdict, nm_err *err)
{
    nm_status rc = NM_OK;

    if (s->reference && !s->answered)
        NM_TRY(from_reference(s, verdict, err));
    if (*verdict != NM_ANSWER_ACCEPTED)
        NM_TRY(at_original(s, false, verdict, err));
    if (*verdict != NM_ANSWER_ACCEPTED && !nm_search_is_exact(s))
        NM_TRY(beyond_original(s, verdict, err));
    if (*verdict == NM_ANSWER_ACCEPTED && s->metric && s->opts->refine != NM_REFINE_OFF &&
        (!s->shift || s->opts->refine == NM_REFINE_ON))
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
    nm_answer verdict = NM_ANSWER_STUCK;

    s->rounds = s->linearisations = 0;
    s->reason[0] = '\0';
    nm_search_forget_closest(s);
    if (s->answered)
        NM_TRY(from_answer(s, &verdict, err));
    if (verdict != NM_ANSWER_ACCEPTED)
        NM_TRY(find_answer(s, &verdict, err));
    /* Answers that are the optimum of a program are found again as such. */
    s->answered = verdict == NM_ANSWER_ACCEPTED && s->engine == &nm_engine_least &&
                  isnan(s->figures.objective);
    if (verdict == NM_ANSWER_ACCEPTED && !fits_float32(s))
        *outcome = gave_up(s, "the change that was found is too large for float32");
    else if (verdict == NM_ANSWER_ACCEPTED)
        *outcome = NM_SEARCH_FOUND;
    else if (verdict == NM_ANSWER_INFEASIBLE && nm_search_is_exact(s))
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
    nm_answer verdict = NM_ANSWER_STUCK;
    nm_status rc;

    s->rounds = s->linearisations = 0;
    rc = nm_search_accumulate(s, &verdict, err);
    nm_search_claim_no_optimum(s);
    *outcome =
        verdict == NM_ANSWER_ACCEPTED && fits_float32(s) ? NM_SEARCH_FOUND : NM_SEARCH_GAVE_UP;
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
    NM_TRY(nm_search_open_program(s, NULL, true, &program, err));
    NM_TRY(nm_search_add_known(s, program, s->reference_rows, s->n_reference_rows, err));
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
