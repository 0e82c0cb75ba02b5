/* The end of a repair of properties: file, confirmation, what it cost. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "repair/compare.h"
#include "repair/confirm.h"
#include "repair/judge.h"
#include "repair/measure.h"
#include "repair/property_job.h"

/* -- the file --------------------------------------------------------------------------------- */

/* What was proven is a network in memory: the file has to hold the same one, to the last bit; where
   the format rounds, what it holds is verified again. */
static nm_status confirm(void *user, const nm_net *read_back, nm_err *err)
{
    struct nm_property_job *j = user;
    const nm_net *net = j->fixed ? j->fixed : j->net;
    nm_net *held = NULL;
    nm_verdict verdict;
    nm_status rc = NM_OK;

    if (nm_first_difference(net, read_back) == net->n_ops)
        return NM_OK;
    NM_TRY(nm_net_clone(read_back, &held, err));
    nm_net_free(j->fixed);
    j->fixed = held;
    NM_TRY(nm_property_verify(j, &verdict, err));
    if (verdict != NM_VERDICT_HOLDS)
        NM_THROW(err, NM_E_UNSUPPORTED,
                 "%s: the format rounds the weights, and the property is %s after it; expected "
                 ".onnx",
                 j->path, nm_verdict_name(verdict));
done:
    return rc;
}

static nm_status write_result(struct nm_property_job *j, nm_err *err)
{
    double start = nm_now();
    nm_net *read_back = NULL;
    nm_status rc = NM_OK;

    if (!j->path)
        return NM_OK;
    rc = nm_write_confirmed(j->ctx, j->fixed ? j->fixed : j->net, j->path, confirm, j, &read_back,
                            err);
    nm_net_free(read_back);
    j->report->repair.s_write = nm_now() - start;
    return rc;
}

/* -- the report ------------------------------------------------------------------------------- */

int64_t nm_property_decide(const struct nm_property_job *j, const float *y)
{
    float sign = j->opts.decision == NM_DECISION_MIN ? -1.0F : 1.0F;
    int64_t best = 0;

    for (int64_t i = 1; i < nm_net_n_out(j->net); i++)
        best = sign * y[i] > sign * y[best] ? i : best;
    return best;
}

static nm_status measure_drawdown(struct nm_property_job *j, nm_err *err)
{
    enum { CHUNK = 10000 };
    int64_t n_in = nm_net_n_in(j->net), n_out = nm_net_n_out(j->net), changed = 0;
    float *x = NULL, *before = NULL, *after = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&x, CHUNK, (size_t)n_in * sizeof *x, err));
    NM_TRY(nm_alloc(&before, CHUNK, (size_t)n_out * sizeof *before, err));
    NM_TRY(nm_alloc(&after, CHUNK, (size_t)n_out * sizeof *after, err));
    for (int64_t first = 0; first < j->opts.n_drawdown; first += CHUNK) {
        int64_t n = j->opts.n_drawdown - first < CHUNK ? j->opts.n_drawdown - first : CHUNK;

        nm_property_draw(j, 1 + (uint64_t)(first / CHUNK), n, x);
        NM_TRY(nm_compare_scores_f32(j->ctx, j->net, j->fixed, x, n, before, after, err));
        for (int64_t p = 0; p < n; p++)
            changed += nm_property_decide(j, before + p * n_out) !=
                       nm_property_decide(j, after + p * n_out);
    }
    j->report->n_random = j->opts.n_drawdown;
    j->report->changed = (double)changed / (double)j->opts.n_drawdown;
done:
    nm_free(x);
    nm_free(before);
    nm_free(after);
    return rc;
}

/* Counterexamples that are safe, with the original and with the repaired network. */
static nm_status count_safe(struct nm_property_job *j, const nm_net *net, int64_t *safe,
                            double *least, nm_err *err)
{
    int64_t n = j->preys.n, n_out = nm_net_n_out(j->net);
    double *y = NULL;
    nm_status rc = NM_OK;

    *safe = 0;
    *least = n > 0 ? INFINITY : (double)NAN;
    NM_TRY(nm_alloc(&y, (size_t)n, (size_t)n_out * sizeof *y, err));
    if (n > 0)
        NM_TRY(nm_compare_scores_f64(j->ctx, net, NULL, j->preys.x, n, y, NULL, err));
    for (int64_t p = 0; p < n; p++) {
        int32_t piece;
        double slack =
            nm_case_slack(j->preys.at[p].property, j->preys.at[p].c, y + p * n_out, &piece);

        *safe += slack > 0;
        *least = fmin(*least, slack);
    }
done:
    nm_free(y);
    return rc;
}

static nm_status fill_report(struct nm_property_job *j, nm_err *err)
{
    nm_repair_report *r = &j->report->repair;
    double ignored, start = nm_now();
    nm_status rc = NM_OK;

    r->n_free = j->params ? j->params->n : 0;
    r->n_marked = nm_plan_n_marked(j->plan);
    r->solver = r->solver ? r->solver : "none";
    r->margin = j->preys.n > 0 ? j->margin : 0;
    r->judge_rounds = j->report->rounds;
    r->s_solve = j->report->s_repair;
    j->report->n_counterexamples = j->preys.n;
    j->report->held = j->held;
    r->repair = nm_measure_nothing(j->preys.n);
    NM_TRY(nm_measure_layers(j->net, j->plan, r, err));
    NM_TRY(count_safe(j, j->net, &r->repair.right_before, &ignored, err));
    if (r->outcome == NM_REPAIRED) {
        if (j->params)
            nm_measure_change(j->rounded, j->params->n, r);
        NM_TRY(count_safe(j, j->fixed ? j->fixed : j->net, &r->repair.right_after,
                          &r->repair.min_margin_after, err));
        if (j->fixed)
            NM_TRY(measure_drawdown(j, err));
        else
            j->report->changed = 0;
    }
    r->s_measure = nm_now() - start;
done:
    return rc;
}

nm_status nm_property_settle(struct nm_property_job *j, nm_err *err)
{
    nm_status rc = NM_OK;

    if (j->report->repair.outcome == NM_REPAIRED)
        NM_TRY(write_result(j, err));
    NM_TRY(fill_report(j, err));
done:
    return rc;
}
