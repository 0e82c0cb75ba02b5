/* What is asked of repair and keep points, round by round. */
#include <math.h>

#include "base/mem.h"
#include "repair/judge.h"
#include "repair/misses.h"
#include "repair/repair_job.h"

/* In deep nets, whose rigorous bounds hold second-order terms, bounds move with the weights, and
   each round of steps moves them again; more than the present bound saves rounds. Behind the last
   activation a round costs little and a margin much: there bounds are followed closely. */
static bool bounds_run_away(const struct nm_job *j, const nm_deploy *deploy, int64_t p)
{
    return !j->search->active->affine && deploy->rigorous[p] > 1.2 * deploy->first_order[p];
}

static double margin_reserve(const struct nm_job *j, int64_t p)
{
    return bounds_run_away(j, &j->original, p) ? 1.3 : 1.1;
}

void nm_job_set_first_margins(struct nm_job *j)
{
    double asked = isnan(j->opts.margin) ? j->wished : j->opts.margin;

    for (int64_t p = 0; p < j->task->repair->n; p++) {
        double bound = nm_deploy_bound(&j->original, j->opts.safe, p);

        /* Without a bound to exceed, the margin must still survive the rounding of the weights. */
        if (j->opts.safe == NM_SAFE_NONE && isnan(j->opts.margin))
            bound = j->original.probable[p];
        j->search->demand.margin[p] = fmax(asked, margin_reserve(j, p) * bound);
    }
}

/* What a point that passes must have beyond its bound so that the change made for others does not
   take it below: in shallow nets bounds hardly move; in deep ones more and more is asked, so that
   the rounds come to an end. */
static double round_reserve(const struct nm_job *j, int64_t p)
{
    return bounds_run_away(j, &j->judged, p) ? fmin(1 + 0.1 * j->report->judge_rounds, 1.6) : 1;
}

bool nm_job_raise_margins(struct nm_job *j)
{
    bool all = true;

    for (int64_t p = 0; p < j->task->repair->n; p++) {
        double *margin = &j->search->demand.margin[p], ahead;
        double bound = nm_deploy_bound(&j->judged, j->opts.safe, p);

        if (*margin == -INFINITY) /* left out */
            continue;
        if (nm_deploy_passes(&j->judged, j->opts.safe, p)) {
            *margin = fmax(*margin, round_reserve(j, p) * bound);
            continue;
        }
        all = false;
        ahead = (bounds_run_away(j, &j->judged, p) ? 0.4 : 0.1) * fmax(bound - *margin, 0);
        /* What rounding took away is given twice; bounds grow with the margins that exceed them. */
        *margin = fmax(*margin, fmax(1.02, round_reserve(j, p)) * bound) +
                  2 * fmax(*margin - j->judged.margin[p], 0) + ahead + 1e-3 * bound;
    }
    return all;
}

/* It stays little: they have little. */
nm_status nm_job_raise_keep_margins(struct nm_job *j, bool *all, nm_err *err)
{
    nm_search *s = j->search;
    int64_t n_scores = j->net->values[j->net->scores].size;
    float *scores = NULL;
    nm_status rc = NM_OK;

    if (s->n_keep == 0)
        return NM_OK;
    NM_TRY(nm_alloc(&scores, (size_t)s->n_keep, (size_t)n_scores * sizeof *scores, err));
    NM_TRY(nm_crowd_scores(j->ctx, s->keep, j->rounded, scores, err));
    for (int64_t p = 0; p < s->n_keep; p++) {
        const float *score = scores + p * n_scores;
        double gap = nm_smallest_gap_f32(score, n_scores, s->keep_target[p]);

        if (!(s->keep_margin[p] > 0) || gap > 0)
            continue;
        *all = false;
        s->keep_margin[p] +=
            2 * (s->keep_margin[p] - gap) + 1e-6 * fabs((double)score[s->keep_target[p]]);
        if (s->keep_slot[p] >= 0)
            s->demand.margin[s->keep_slot[p]] = s->keep_margin[p];
    }
done:
    nm_free(scores);
    return rc;
}

void nm_job_cap_keep_margins(struct nm_job *j)
{
    nm_search *s = j->search;
    double most = 0;

    for (int64_t p = 0; p < s->n_repair; p++)
        most = fmax(most, s->demand.margin[p]);
    for (int64_t p = 0; p < s->n_keep; p++)
        s->keep_margin[p] = fmin(s->keep_margin[p], most);
}
