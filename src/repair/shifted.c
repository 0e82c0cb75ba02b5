#include "repair/shifted.h"

#include <math.h>

#include "base/mem.h"
#include "problem/shift.h"
#include "repair/gap.h"

/* Reference points whose class may change. The change takes nothing from them on purpose: it is
 * what moments cannot see of them. */
static const double MOVED_MOST = 0.002;

/* Points that it has to make right, of those that are wrong: so many, and by so much more often
 * than it moves reference points. Wrong points that come from the same data as the reference lie
 * near boundaries, too, and some of them become right by chance. */
static const double GAINED_LEAST = 0.05, GAINED_TIMES = 20;

/* How many times a reference point counts more than one of the repair set: tried by bisection. */
static const double weights[] = {1, 3, 10, 30, 100, 300, 1000};
enum { N_WEIGHTS = sizeof weights / sizeof *weights };

typedef struct finder {
    nm_search *s;
    nm_shift *shift;
    double *scores;          /* [active points x n_scores] */
    float *crowd_scores;     /* [crowd->n x n_scores] */
    int64_t *class;          /* [crowd->n] before */
    int64_t wrong;           /* repair points before */
    double *delta;           /* [params->n] of the weight that was looked at last */
} finder;

static bool is_possible(const nm_search *s)
{
    return s->opts->shift != NM_SHIFT_OFF && s->own_reference && s->metric &&
           s->engine == &nm_engine_least && isinf(s->plan->lo) && isinf(s->plan->hi);
}

static nm_status count_wrong(finder *f, const double *delta, int64_t *wrong, nm_err *err)
{
    const nm_search *s = f->s;
    int64_t n = s->net->values[s->net->scores].size;
    nm_status rc = nm_tail_scores(s->ctx, s->active, delta, f->scores, err);

    *wrong = 0;
    for (int64_t p = 0; rc == NM_OK && p < s->n_repair; p++)
        *wrong += !(nm_smallest_gap_f64(f->scores + p * n, n, s->demand.target[p]) > 0);
    return rc;
}

static int64_t best_class(const float *score, int64_t n)
{
    int64_t best = 0;

    for (int64_t j = 1; j < n; j++)
        best = score[j] > score[best] ? j : best;
    return best;
}

static nm_status open_finder(finder *f, nm_search *s, nm_err *err)
{
    size_t n = (size_t)s->net->values[s->net->scores].size, points = (size_t)s->crowd->n;
    nm_status rc = NM_OK;

    *f = (finder){.s = s};
    NM_TRY(nm_alloc(&f->delta, (size_t)s->params->n, sizeof *f->delta, err));
    NM_TRY(nm_alloc(&f->scores, (size_t)s->active->at->n, n * sizeof *f->scores, err));
    NM_TRY(nm_shift_new(s->ctx, s->edits, s->metric, s->crowd, s->active, s->n_repair, &f->shift,
                        err));
    NM_TRY(nm_alloc(&f->crowd_scores, points, n * sizeof *f->crowd_scores, err));
    NM_TRY(nm_alloc(&f->class, points, sizeof *f->class, err));
    NM_TRY(count_wrong(f, f->delta, &f->wrong, err)); /* delta = 0 */
done:
    return rc;
}

static void close_finder(finder *f)
{
    nm_shift_free(f->shift);
    nm_free(f->delta);
    nm_free(f->scores);
    nm_free(f->crowd_scores);
    nm_free(f->class);
}

static nm_status note_classes(finder *f, nm_err *err)
{
    const nm_search *s = f->s;
    int64_t n = s->net->values[s->net->scores].size;
    double *zero = NULL;
    nm_status rc = nm_alloc(&zero, (size_t)s->params->n, sizeof *zero, err);

    if (rc == NM_OK)
        rc = nm_crowd_scores(s->ctx, s->crowd, zero, f->crowd_scores, err);
    for (int64_t p = 0; rc == NM_OK && p < s->crowd->n; p++)
        f->class[p] = best_class(f->crowd_scores + p * n, n);
    nm_free(zero);
    return rc;
}

/* @param moved  out, share of the reference points whose class changes */
static nm_status look_at(finder *f, double weight, nm_shift_report *found, nm_err *err)
{
    const nm_search *s = f->s;
    int64_t n = s->net->values[s->net->scores].size, wrong, moved = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_shift_at(s->ctx, f->shift, weight, f->delta, err));
    NM_TRY(count_wrong(f, f->delta, &wrong, err));
    NM_TRY(nm_crowd_scores(s->ctx, s->crowd, f->delta, f->crowd_scores, err));
    for (int64_t p = 0; p < s->crowd->n; p++)
        moved += best_class(f->crowd_scores + p * n, n) != f->class[p];
    *found = (nm_shift_report){.weight = weight,
                               .wrong_before = f->wrong,
                               .wrong_after = wrong,
                               .moved = (double)moved / (double)s->crowd->n};
    nm_log(s->ctx, NM_LOG_DEBUG,
           "carried over, reference weighing %g: %lld of %lld wrong points right, %.2f %% of the "
           "reference data moved",
           weight, (long long)(f->wrong - wrong), (long long)f->wrong, 100 * found->moved);
done:
    return rc;
}

static bool pays(const nm_search *s, const nm_shift_report *r)
{
    double gained = (double)(r->wrong_before - r->wrong_after) / (double)r->wrong_before;

    return r->moved <= MOVED_MOST &&
           (s->opts->shift == NM_SHIFT_ON ||
            (gained >= GAINED_LEAST && gained >= GAINED_TIMES * r->moved));
}

/* The smallest weight under which the reference data hardly move: more weight moves them less. */
static nm_status bisect(finder *f, nm_err *err)
{
    nm_search *s = f->s;
    int low = 0, high = N_WEIGHTS; /* of the answers, high: none */
    nm_shift_report found;
    nm_status rc = NM_OK;

    while (low < high) {
        int middle = (low + high) / 2;

        NM_TRY(look_at(f, weights[middle], &found, err));
        if (found.moved > MOVED_MOST) {
            low = middle + 1;
            continue;
        }
        high = middle;
        nm_free(s->shift);
        s->shift = NULL;
        s->shifted = (nm_shift_report){0};
        if (!pays(s, &found))
            continue;
        s->shifted = found;
        NM_TRY(nm_memdup(&s->shift, f->delta, (size_t)s->params->n, sizeof *f->delta, err));
    }
done:
    return rc;
}

/* Before all of the reference data are looked at: does it do anything for the points at all? */
static nm_status may_pay(finder *f, bool *yes, nm_err *err)
{
    int64_t wrong = f->wrong;
    nm_status rc = NM_OK;

    *yes = f->shift && f->wrong > 0;
    if (!*yes || f->s->opts->shift == NM_SHIFT_ON)
        return rc;
    rc = nm_shift_at(f->s->ctx, f->shift, weights[0], f->delta, err);
    if (rc == NM_OK)
        rc = count_wrong(f, f->delta, &wrong, err);
    *yes = (double)(f->wrong - wrong) >= GAINED_LEAST * (double)f->wrong;
    return rc;
}

nm_status nm_search_find_shift(nm_search *s, nm_err *err)
{
    finder f;
    bool yes;
    nm_status rc = NM_OK;

    if (s->shift_sought || !is_possible(s))
        return NM_OK;
    s->shift_sought = true;
    NM_TRY(open_finder(&f, s, err));
    NM_TRY(may_pay(&f, &yes, err));
    if (!yes)
        goto done;
    NM_TRY(note_classes(&f, err));
    NM_TRY(bisect(&f, err));
done:
    close_finder(&f);
    return rc;
}
