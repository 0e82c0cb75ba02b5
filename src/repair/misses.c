#include "repair/misses.h"

#include <math.h>

#include "base/mem.h"

static const double margin_tolerance = 1e-7;

nm_status nm_misses_new(const nm_search *s, nm_misses *m, nm_err *err)
{
    nm_status rc = nm_alloc(&m->repair, (size_t)s->n_repair, sizeof *m->repair, err);

    if (rc == NM_OK)
        rc = nm_alloc(&m->shortfall, (size_t)s->n_repair, sizeof *m->shortfall, err);
    if (rc == NM_OK)
        rc = nm_alloc(&m->keep, (size_t)s->n_keep, sizeof *m->keep, err);
    return rc;
}

void nm_misses_clear(nm_misses *m)
{
    nm_free(m->repair);
    nm_free(m->keep);
    nm_free(m->shortfall);
}

/* 0 where the margin is met. */
static double shortfall(double gap, double size, double margin)
{
    double allowed = margin_tolerance * (1 + fabs(size));

    if (margin == -INFINITY) /* nothing is asked */
        return 0;
    return gap > fmax(margin - allowed, 0) ? 0 : fmax(margin - gap, allowed);
}

static void check_repair_points(const nm_search *s, const double *scores, int64_t n, nm_misses *m)
{
    for (int64_t p = 0; p < s->n_repair; p++) {
        const double *score = scores + p * n;
        const nm_out_row *rule = nm_demand_rule(&s->demand, p);
        double size = rule ? nm_rule_sum(rule, score) : score[s->demand.target[p]];
        double gap = rule ? size - rule->limit_out
                          : nm_decision_gap_f64(score, n, s->demand.target[p], s->demand.least);
        double missing = shortfall(gap, size, s->demand.margin[p]);

        if (missing > 0)
            m->repair[m->n_repair++] = p;
        m->worst = fmax(m->worst, missing);
        m->shortfall[p] = missing;
        m->total += missing;
    }
}

/* Keep points are evaluated in float32, and must be right by more than its rounding: what is so
   close that another runtime could say otherwise counts as broken. */
static const double float_noise = 1e-5;

static void check_keep_points(const nm_search *s, const float *scores, int64_t n, nm_misses *m)
{
    for (int64_t p = 0; p < s->n_keep; p++) {
        const float *score = scores + p * n;
        double noise = float_noise * (1 + fabs((double)score[s->keep_target[p]]));
        double gap = nm_decision_gap_f32(score, n, s->keep_target[p], s->demand.least);

        if (!(s->keep_margin[p] > 0) || gap > fmin(noise, 0.5 * s->keep_margin[p]))
            continue;
        m->keep[m->n_keep++] = p;
        m->keep_total += isnan(gap) ? INFINITY : s->keep_margin[p] - gap;
    }
    m->total += m->keep_total;
}

static nm_status find_keep(const nm_search *s, const double *delta, int64_t n, nm_misses *m,
                           nm_err *err)
{
    float *scores;
    nm_status rc = nm_alloc(&scores, (size_t)s->n_keep, (size_t)n * sizeof *scores, err);

    if (rc == NM_OK)
        rc = nm_crowd_scores(s->ctx, s->keep, delta, scores, err);
    if (rc == NM_OK)
        check_keep_points(s, scores, n, m);
    nm_free(scores);
    return rc;
}

nm_status nm_misses_find(const nm_search *s, const double *delta, nm_misses *m, nm_err *err)
{
    nm_status rc = NM_OK;
    int64_t n = s->net->values[s->net->scores].size;
    double *scores = NULL;

    m->n_repair = m->n_keep = 0;
    m->worst = m->total = m->keep_total = 0;
    NM_TRY(nm_alloc(&scores, (size_t)s->active->at->n, (size_t)n * sizeof *scores, err));
    NM_TRY(nm_tail_scores(s->ctx, s->active, delta, scores, err));
    check_repair_points(s, scores, n, m);
    if (s->n_keep > 0)
        NM_TRY(find_keep(s, delta, n, m, err));
done:
    nm_free(scores);
    return rc;
}
