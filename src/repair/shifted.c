#include "repair/shifted.h"

#include <math.h>

#include "base/mem.h"
#include "problem/shift.h"
#include "repair/gap.h"

/* Reference points whose class may change. The change takes nothing from them on purpose: it is
 * what moments cannot see of them. */
static const double MOVED_MOST = 0.002;

/* Share of the wrong points that have to become right, where reference points weigh no more than
 * they, for what they differ by to be taken for a shift. Each half of the points is read by the
 * moments of the other: by their own, points are read far worse than others like them. Wrong points
 * from the same data as the reference lie near boundaries, and some of them become right by
 * chance. */
static const double GAINED_LEAST = 0.25;

/* How many times a reference point counts more than one of the repair set: tried by bisection. */
static const double weights[] = {1, 3, 10, 30, 100, 300, 1000};
enum { N_WEIGHTS = sizeof weights / sizeof *weights };

typedef struct finder {
    nm_search *s;
    nm_shift *shift, *half[2]; /* of all points; of those with even, with odd indices */
    double *scores;            /* [active points x n_scores] */
    float *crowd_scores;       /* [crowd->n x n_scores] */
    int64_t *class;            /* [crowd->n] before */
    int64_t wrong;             /* repair points before */
    double *delta;             /* [params->n] of the weight that was looked at last */
} finder;

static bool is_possible(const nm_search *s)
{
    return s->opts->shift != NM_SHIFT_OFF && s->own_reference && s->metric &&
           s->engine == &nm_engine_least && isinf(s->plan->lo) && isinf(s->plan->hi);
}

/* Wrong points of first, first + step, ... */
static nm_status count_wrong(finder *f, const double *delta, int64_t first, int64_t step,
                             int64_t *wrong, nm_err *err)
{
    const nm_search *s = f->s;
    int64_t n = s->net->values[s->net->scores].size;
    nm_status rc = nm_tail_scores(s->ctx, s->active, delta, f->scores, err);

    *wrong = 0;
    for (int64_t p = first; rc == NM_OK && p < s->n_repair; p += step)
        *wrong += !(nm_smallest_gap_f64(f->scores + p * n, n, s->demand.target[p]) > 0);
    return rc;
}

static nm_status count_held_out(finder *f, double weight, int64_t *wrong, nm_err *err)
{
    nm_status rc = NM_OK;

    *wrong = 0;
    for (int h = 0; h < 2; h++) {
        int64_t of_half;

        NM_TRY(nm_shift_at(f->s->ctx, f->half[h], weight, f->delta, err));
        NM_TRY(count_wrong(f, f->delta, 1 - h, 2, &of_half, err));
        *wrong += of_half;
    }
done:
    return rc;
}

static nm_status open_finder(finder *f, nm_search *s, nm_err *err)
{
    size_t n = (size_t)s->net->values[s->net->scores].size, points = (size_t)s->crowd->n;
    nm_status rc = NM_OK;

    *f = (finder){.s = s};
    NM_TRY(nm_alloc(&f->delta, (size_t)s->params->n, sizeof *f->delta, err));
    NM_TRY(nm_alloc(&f->scores, (size_t)s->active->at->n, n * sizeof *f->scores, err));
    NM_TRY(nm_shift_new(s->ctx, s->edits, s->metric, s->crowd, NULL, s->active, 0, 1, s->n_repair,
                        &f->shift, err));
    for (int h = 0; f->shift && h < 2; h++)
        NM_TRY(nm_shift_new(s->ctx, s->edits, s->metric, s->crowd, f->shift, s->active, h, 2,
                            s->n_repair, &f->half[h], err));
    NM_TRY(nm_alloc(&f->crowd_scores, points, n * sizeof *f->crowd_scores, err));
    NM_TRY(nm_alloc(&f->class, points, sizeof *f->class, err));
    NM_TRY(count_wrong(f, f->delta, 0, 1, &f->wrong, err)); /* delta = 0 */
done:
    return rc;
}

static void close_finder(finder *f)
{
    nm_shift_free(f->shift);
    nm_shift_free(f->half[0]);
    nm_shift_free(f->half[1]);
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
        f->class[p] = nm_best_class_f32(f->crowd_scores + p * n, n);
    nm_free(zero);
    return rc;
}

/* @param moved  out, share of the reference points whose class changes */
static nm_status look_at(finder *f, double weight, double *moved, nm_err *err)
{
    const nm_search *s = f->s;
    int64_t n = s->net->values[s->net->scores].size, count = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_shift_at(s->ctx, f->shift, weight, f->delta, err));
    NM_TRY(nm_crowd_scores(s->ctx, s->crowd, f->delta, f->crowd_scores, err));
    for (int64_t p = 0; p < s->crowd->n; p++)
        count += nm_best_class_f32(f->crowd_scores + p * n, n) != f->class[p];
    *moved = (double)count / (double)s->crowd->n;
    nm_log(s->ctx, NM_LOG_DEBUG, "reference weighing %g: %.2f %% of it moved", weight,
           100 * *moved);
done:
    return rc;
}

/* The smallest weight under which the reference data hardly move: more weight moves them less.
 * The weight is 0 if there is none. */
static nm_status bisect(finder *f, nm_shift_report *found, nm_err *err)
{
    int low = 0, high = N_WEIGHTS; /* high: none */
    nm_status rc = NM_OK;

    *found = (nm_shift_report){.wrong_before = f->wrong};
    while (low < high) {
        int middle = (low + high) / 2;
        double moved;

        NM_TRY(look_at(f, weights[middle], &moved, err));
        if (moved > MOVED_MOST) {
            low = middle + 1;
        } else {
            high = middle;
            found->weight = weights[middle];
            found->moved = moved;
        }
    }
done:
    return rc;
}

/* Before all of the reference data are looked at: are the points shifted at all? */
static nm_status is_shifted(finder *f, int64_t *wrong, bool *yes, nm_err *err)
{
    nm_status rc = NM_OK;

    *yes = f->shift && f->half[0] && f->half[1] && f->wrong > 0;
    if (!*yes)
        return NM_OK;
    NM_TRY(count_held_out(f, weights[0], wrong, err));
    *yes = f->s->opts->shift == NM_SHIFT_ON ||
           (double)(f->wrong - *wrong) >= GAINED_LEAST * (double)f->wrong;
    nm_log(f->s->ctx, NM_LOG_DEBUG, "read like reference data, %lld of %lld wrong points are right",
           (long long)(f->wrong - *wrong), (long long)f->wrong);
done:
    return rc;
}

static nm_status take(finder *f, const nm_shift_report *found, nm_err *err)
{
    nm_search *s = f->s;
    nm_status rc = NM_OK;

    NM_TRY(nm_shift_at(s->ctx, f->shift, found->weight, f->delta, err));
    NM_TRY(nm_memdup(&s->shift, f->delta, (size_t)s->params->n, sizeof *f->delta, err));
    s->shifted = *found;
done:
    return rc;
}

nm_status nm_search_find_shift(nm_search *s, nm_err *err)
{
    finder f;
    nm_shift_report found;
    int64_t wrong;
    bool yes;
    nm_status rc = NM_OK;

    if (s->shift_sought || !is_possible(s))
        return NM_OK;
    s->shift_sought = true;
    NM_TRY(open_finder(&f, s, err));
    NM_TRY(is_shifted(&f, &wrong, &yes, err));
    if (!yes)
        goto done;
    NM_TRY(note_classes(&f, err));
    NM_TRY(bisect(&f, &found, err));
    found.wrong_after = wrong;
    if (found.weight > 0)
        NM_TRY(take(&f, &found, err));
done:
    close_finder(&f);
    return rc;
}
