/* What is refused: tasks, options and files of which no repair can come. */
#include <math.h>

#include "base/file.h"
#include "io/net_file.h"
#include "net/op.h"
#include "repair/confirm.h"
#include "repair/judge.h"
#include "repair/minimal_job.h"
#include "repair/repair_job.h"

static nm_status check_inputs(const struct nm_job *j, const nm_points *points, const char *what,
                              nm_err *err)
{
    if (points->n < 1)
        return nm_fail(err, NM_E_SHAPE, "the %s is empty, expected at least one point", what);
    if (points->n_in != nm_net_n_in(j->net))
        return nm_fail(err, NM_E_SHAPE, "the %s has %lld numbers per point, the network takes %lld",
                       what, (long long)points->n_in, (long long)nm_net_n_in(j->net));
    return NM_OK;
}

static nm_status check_labels(const struct nm_job *j, const int64_t *labels, int64_t n,
                              const char *what, nm_err *err)
{
    int64_t n_classes = j->net->values[j->net->scores].size;

    for (int64_t p = 0; p < n; p++)
        if (labels[p] < 0 || labels[p] >= n_classes)
            return nm_fail(err, NM_E_SHAPE, "%s: point %lld has label %lld, expected 0 to %lld",
                           what, (long long)p, (long long)labels[p], (long long)n_classes - 1);
    return NM_OK;
}

static nm_status check_points(const struct nm_job *j, const nm_points *points,
                              const int64_t *labels, const char *what, nm_err *err)
{
    nm_status rc = points ? check_inputs(j, points, what, err) : NM_OK;

    if (!points || rc != NM_OK)
        return rc;
    if (!labels)
        return nm_fail(err, NM_E_SHAPE, "the %s has no labels, expected one per point", what);
    return check_labels(j, labels, points->n, what, err);
}

/* Labels are optional, and looked at by refining only. */
static nm_status check_reference(const struct nm_job *j, const nm_points *reference, nm_err *err)
{
    bool counts = j->opts.norm == NM_NORM_FUNCTION && j->opts.label_share > 0;
    nm_status rc = reference ? check_inputs(j, reference, "reference set", err) : NM_OK;

    if (!reference || rc != NM_OK || !reference->labels || !counts)
        return rc;
    return check_labels(j, reference->labels, reference->n, "reference set", err);
}

nm_status nm_job_check_task(const struct nm_job *j, nm_err *err)
{
    const nm_repair_task *t = j->task;
    nm_status rc = NM_OK;

    if (j->net->values[j->net->scores].size < 2)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "the network has one output, expected a score for each of several classes");
    NM_TRY(check_points(j, t->repair, j->target, "repair set", err));
    NM_TRY(check_points(j, t->keep, t->keep ? t->keep->labels : NULL, "keep set", err));
    NM_TRY(check_reference(j, t->reference, err));
    NM_TRY(check_points(j, t->test, t->test ? t->test->labels : NULL, "test set", err));
    NM_TRY(check_points(j, t->similar, t->similar ? t->similar->labels : NULL, "similar set", err));
done:
    return rc;
}

/* Methods that look for a change by other means than linearised programs. */
static nm_status check_own_search(const struct nm_job *j, const char *method, nm_err *err)
{
    const nm_repair_opts *o = &j->opts;

    if (o->norm == NM_NORM_FUNCTION || o->norm_includes_outputs)
        return nm_fail(
            err, NM_E_ARG,
            "method %s minimises the change of parameters alone; expected norm linf, l1, "
            "l2 or linf+l1n",
            method);
    if (o->elastic || o->pins == NM_PINS_ALL)
        return nm_fail(err, NM_E_ARG, "%s goes with method pointwise or aprnn, not with %s",
                       o->elastic ? "elastic repair" : "pins all", method);
    return NM_OK;
}

nm_status nm_job_check_opts(const struct nm_job *j, nm_err *err)
{
    const nm_repair_opts *o = &j->opts;

    if (o->margin < 0)
        return nm_fail(err, NM_E_ARG, "margin %g, expected a number >= 0", o->margin);
    if (!(o->gap > 0) || o->max_rounds < 1)
        return nm_fail(err, NM_E_ARG, "gap and rounds must be positive");
    if (!(o->label_share >= 0 && o->label_share <= 1))
        return nm_fail(err, NM_E_ARG, "label share %g, expected a number 0 .. 1", o->label_share);
    if (o->copies < -1 || o->copies > NM_MOST_COPIES)
        return nm_fail(err, NM_E_ARG, "%d copies of reference images, expected 0 .. %d", o->copies,
                       NM_MOST_COPIES);
    if (!((isnan(o->damping_in) || o->damping_in > 0) && o->damping_out > 0))
        return nm_fail(err, NM_E_ARG, "damping must be positive");
    if (o->norm_includes_outputs && (o->norm == NM_NORM_L2 || o->norm == NM_NORM_FUNCTION))
        return nm_fail(err, NM_E_ARG,
                       "norm %s cannot include outputs, expected linf, l1 or "
                       "linf+l1n",
                       o->norm == NM_NORM_L2 ? "l2" : "function");
    if (o->norm == NM_NORM_FUNCTION && o->solver == NM_SOLVER_CLP)
        return nm_fail(err, NM_E_ARG, "solver clp cannot minimise the function norm");
    if (j->plan->joint && o->pins == NM_PINS_ALL)
        return nm_fail(
            err, NM_E_ARG,
            "a program with all pins is linear in the weights of one layer only; a joint "
            "plan needs method pointwise with pins lazy or none");
    if (o->method == NM_METHOD_LAYERWISE)
        return check_own_search(j, "layerwise", err);
    if (o->method == NM_METHOD_MULTILAYER)
        return check_own_search(j, "multilayer", err);
    if (o->method == NM_METHOD_MINIMAL) {
        nm_status rc = check_own_search(j, "minimal", err);

        return rc == NM_OK ? nm_job_check_minimal(j, err) : rc;
    }
    return NM_OK;
}

/* All pins need a piece to pin to. */
nm_status nm_job_check_pinnable(const struct nm_job *j, nm_err *err)
{
    const nm_tail *tail = j->search->active;

    for (int i = 0; j->opts.pins == NM_PINS_ALL && i < j->net->n_ops; i++)
        if (tail->op_mask[i] && nm_op_is_smooth(j->net, &j->net->ops[i]) &&
            tail->behind[j->net->ops[i].in[0]])
            return nm_fail(err, NM_E_ARG,
                           "pins need linear pieces, and %s '%s' behind the edited layer has none; "
                           "expected pins lazy or none (method pointwise)",
                           j->net->ops[i].kind->name, j->net->ops[i].name);
    return NM_OK;
}

/* A first, empty write tells early that the output cannot be written. */
nm_status nm_job_check_writable(const char *path, nm_err *err)
{
    nm_format format;
    nm_writer w;
    nm_status rc = NM_OK;

    if (!path)
        return NM_OK;
    NM_TRY(nm_check_regular(path, err));
    NM_TRY(nm_save_format(path, &format, err));
    NM_TRY(nm_writer_open(&w, path, err));
    nm_writer_abort(&w);
done:
    return rc;
}

/* No program says anything about points without numbers. */
nm_status nm_job_check_finite(const struct nm_job *j, nm_err *err)
{
    const nm_search *s = j->search;
    int64_t n = j->net->values[j->net->scores].size;

    for (int64_t i = 0; i < s->n_repair * n; i++)
        if (!isfinite(s->original_scores[i]))
            return nm_fail(err, NM_E_FORMAT,
                           "repair set: the score of point %lld for class %lld is no finite "
                           "number, expected one",
                           (long long)(i / n), (long long)(i % n));
    for (int64_t p = 0; !j->elastic && p < s->n_repair; p++)
        if (!isfinite(nm_deploy_bound(&j->original, j->opts.safe, p)))
            return nm_fail(err, NM_E_FORMAT,
                           "repair set: point %lld has values that may overflow in float32, "
                           "expected smaller ones or less to be asked of it (safe none)",
                           (long long)p);
    return NM_OK;
}
