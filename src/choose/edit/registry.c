/* All edit heuristics, and running one. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "choose/edit/edit.h"

static const nm_edit_kind *const kinds[] = {
    &nm_edit_auto,       &nm_edit_single_layer, &nm_edit_from_layer,         &nm_edit_last_n,
    &nm_edit_position,   &nm_edit_activation,   &nm_edit_weights_activation, &nm_edit_gradient,
    &nm_edit_importance, &nm_edit_pruning,      &nm_edit_adversarial,        &nm_edit_similarity,
    &nm_edit_change,     &nm_edit_contribution, &nm_edit_predicted_cost,     &nm_edit_random};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

const nm_edit_kind *nm_edit_kind_at(int i)
{
    if (i < 0 || i >= N_KINDS + NM_N_EDIT_PUBLISHED)
        return NULL;
    return i < N_KINDS ? kinds[i] : &nm_edit_published[i - N_KINDS];
}

const nm_heuristic *nm_edit_heuristic(int i)
{
    const nm_edit_kind *kind = nm_edit_kind_at(i);

    return kind ? &kind->info : NULL;
}

nm_status nm_heuristic_check(bool edit, const char *text, nm_err *err)
{
    nm_heuristic_at at = edit ? nm_edit_heuristic : nm_set_heuristic;
    nm_values values;
    int which;
    nm_status rc = nm_heuristic_find(at, edit ? "edit" : "set", text, &which, err);

    return rc == NM_OK
               ? nm_values_parse(at(which), text + nm_heuristic_name_length(text), &values, err)
               : rc;
}

/* -- from scores to a choice ------------------------------------------------------------------ */

/* Layers by score, best first; of equal scores the later layer. */
static nm_status order_layers(nm_edit_choice *out, nm_err *err)
{
    nm_status rc = nm_alloc(&out->order, (size_t)out->n_layers, sizeof *out->order, err);

    for (int i = 0; rc == NM_OK && i < out->n_layers; i++) {
        int at = out->n_order;

        if (isnan(out->scores[i]))
            continue;
        for (; at > 0 && out->scores[i] >= out->scores[out->order[at - 1]]; at--)
            out->order[at] = out->order[at - 1];
        out->order[at] = i;
        out->n_order++;
    }
    return rc;
}

static nm_status settle(const nm_edit_job *job, nm_edit_choice *out, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int i = 0; i < out->n_layers; i++)
        if (nm_edit_refusal(job->net, i, job->free))
            out->scores[i] = NAN;
    if (!out->order)
        NM_TRY(order_layers(out, err));
    if (out->n_order == 0)
        NM_THROW(err, NM_E_ARG, "%s: no layer can be chosen (%s)", job->name,
                 job->net->n_layers > 0 && nm_edit_refusal(job->net, 0, job->free)
                     ? nm_edit_refusal(job->net, 0, job->free)
                     : "none has a score");
    out->best = out->best >= 0 ? out->best : out->order[0];
    if (nm_plan_n_marked(out->plan) == 0)
        NM_TRY(nm_plan_mark(out->plan, out->best, job->free, err));
    if (!out->why[0])
        (void)snprintf(out->why, sizeof out->why, "best score (%.3g) of %d layers",
                       out->scores[out->best], out->n_order);
done:
    return rc;
}

/* -- running --------------------------------------------------------------------------------- */

static nm_status check_labels(const nm_edit_job *job, nm_err *err)
{
    int64_t n_scores = job->net->values[job->net->scores].size;

    if (job->task->repair->n < 1 || job->task->repair->n_in != nm_net_n_in(job->net))
        return nm_fail(err, NM_E_SHAPE, "the repair set does not fit the network");
    if (!job->target)
        return nm_fail(err, NM_E_SHAPE, "the repair set has no labels, expected one per point");
    if (n_scores < 2)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "the network has one output, expected a score for each of several classes");
    for (int64_t p = 0; p < job->task->repair->n; p++)
        if (job->target[p] < 0 || job->target[p] >= n_scores)
            return nm_fail(err, NM_E_SHAPE,
                           "repair set: point %lld has label %lld, expected 0 to "
                           "%lld",
                           (long long)p, (long long)job->target[p], (long long)n_scores - 1);
    return NM_OK;
}

static nm_status run_kind(const nm_edit_kind *kind, const nm_edit_job *job, nm_edit_choice *out,
                          nm_err *err)
{
    nm_status rc = NM_OK;

    if (kind->needs_reference && !job->reference)
        NM_THROW(err, NM_E_ARG, "%s compares with reference points, expected --reference or --keep",
                 job->name);
    NM_TRY(nm_alloc(&out->scores, (size_t)out->n_layers, sizeof *out->scores, err));
    for (int i = 0; i < out->n_layers; i++)
        out->scores[i] = NAN;
    NM_TRY(nm_plan_new(job->net, &out->plan, err));
    NM_TRY(kind->run(job, out, err));
    NM_TRY(settle(job, out, err));
done:
    return rc;
}

nm_status nm_edit_choose(nm_ctx *ctx, const nm_net *net, const nm_repair_task *task,
                         const nm_repair_opts *opts, const nm_points *pool, nm_free_kind free,
                         const char *text, nm_edit_choice *out, nm_err *err)
{
    nm_edit_job job = {.ctx = ctx,
                       .net = net,
                       .task = task,
                       .opts = opts,
                       .target = task->targets ? task->targets : task->repair->labels,
                       .reference = task->reference ? task->reference : task->keep,
                       .pool = pool ? pool : task->repair,
                       .free = free};
    double start = nm_now();
    nm_values values;
    int which;
    nm_status rc = NM_OK;

    *out = (nm_edit_choice){.n_layers = net->n_layers, .best = -1};
    NM_TRY(nm_heuristic_find(nm_edit_heuristic, "edit", text, &which, err));
    NM_TRY(nm_values_parse(nm_edit_heuristic(which), text + nm_heuristic_name_length(text), &values,
                           err));
    job.values = &values;
    job.name = nm_edit_heuristic(which)->name;
    NM_TRY(check_labels(&job, err));
    NM_TRY(run_kind(nm_edit_kind_at(which), &job, out, err));
    out->seconds = nm_now() - start;
done:
    if (rc != NM_OK)
        nm_edit_choice_free(out);
    return rc;
}

void nm_edit_choice_free(nm_edit_choice *choice)
{
    nm_free(choice->scores);
    nm_free(choice->order);
    nm_plan_free(choice->plan);
    *choice = (nm_edit_choice){0};
}
