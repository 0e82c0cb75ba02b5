/* Steps, each the optimum of a program linearised where the steps before have led. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "repair/search_program.h"

enum { MAX_STEPS = 60 };

void nm_search_forget_closest(nm_search *s)
{
    nm_free(s->closest);
    s->closest = NULL;
}

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
    NM_TRY(nm_search_open_program(s, from, false, &program, err));
    s->linearisations++;
    NM_TRY(s->engine->solve(program, &outcome, err));
    if (outcome != NM_MASTER_SOLVED)
        goto done;
    *moved = true;
    nm_search_take_solution(s, program);
    NM_TRY(nm_misses_find(s, s->delta, m, err));
    nm_search_judge_by(m, s, margins);
    for (int halving = 0; halving < 4 && !(m->total < before); halving++) {
        for (size_t i = 0; i < n; i++)
            s->delta[i] = 0.5 * (s->delta[i] + from[i]);
        NM_TRY(nm_misses_find(s, s->delta, m, err));
        nm_search_judge_by(m, s, margins);
    }
done:
    if (program)
        nm_search_finish_program(s, program);
    nm_free(from);
    return rc;
}

nm_status nm_search_accumulate(nm_search *s, nm_answer *verdict, nm_err *err)
{
    enum { PATIENT_STEPS = 8 };
    nm_status rc = NM_OK;
    nm_misses m = {0};
    double *margins = NULL; /* what was asked; the steps work with a little more */
    int64_t n_margins = s->active->at->n, promoted;
    double least = INFINITY;
    bool moved;

    *verdict = NM_ANSWER_STUCK;
    nm_search_forget_closest(s);
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
        *verdict = NM_ANSWER_ACCEPTED;
done:
    nm_search_restore_margins(s, margins, n_margins);
    nm_misses_clear(&m);
    nm_free(margins);
    return rc;
}
