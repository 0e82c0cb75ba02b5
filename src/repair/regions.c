/* Repair of regions: shift and assert (APRNN, Tao et al., PLDI 2023), until each region is proven.
 *
 * Around and around: the steps of the plan one after the other; then each part is held to the
 * network as it will be written. What is left then decides what the next round does:
 *   - rows of several parts contradict each other: parts whose pieces do get one reference, those
 *     whose outputs do break other conditions, and when that is used up parts are cut;
 *   - roundings take more than a part keeps: its margin grows;
 *   - vertices left their pieces when weights were rounded: pins hold by more;
 *   - pieces end in front of the first layer that may change: parts are cut. */
#include "netmend/regions.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "repair/region_job.h"

enum { MOST_ROUNDS = 60, MOST_CUTS = 5 };

/* Of the typical size of what is pinned: more than float32 takes from it, as a rule. */
static const double first_pin_margin = 1e-4, most_pin_margin = 0.3;

const char *nm_region_proof_name(nm_region_proof_kind kind)
{
    return kind == NM_REGION_LINEAR ? "linear" : kind == NM_REGION_SEARCH ? "search" : "unproven";
}

nm_status nm_region_prove_all(struct nm_region_job *j, const nm_net *net, int64_t *n_open,
                              nm_err *err)
{
    nm_region_prove prove = {.ctx = j->ctx,
                             .net = net,
                             .conditions = &j->conditions,
                             .float32 = j->opts.repair.safe != NM_SAFE_NONE,
                             .max_nodes = j->opts.max_nodes,
                             .seed = j->opts.repair.seed};
    double start = nm_now();
    nm_status rc = nm_region_prove_parts(&prove, &j->parts, n_open, err);

    j->report->s_prove += nm_now() - start;
    return rc;
}

static nm_status give_up(struct nm_region_job *j, const char *why)
{
    j->report->repair.outcome = NM_LIMIT;
    (void)snprintf(j->report->repair.reason, sizeof j->report->repair.reason, "%s", why);
    return NM_OK;
}

/* -- conflicts -------------------------------------------------------------------------------- */

/* Rows of the last layer alone decide, and no part has another condition to break. */
static bool is_proven_infeasible(const struct nm_region_job *j, const nm_region_step_report *step)
{
    return step->exact && j->n_slices == 1 && j->task->targets;
}

static bool join_groups(struct nm_region_job *j, const bool *conflict)
{
    int64_t first = -1;
    bool any = false;

    for (int64_t p = 0; p < j->parts.n; p++) {
        if (!conflict[p])
            continue;
        if (first >= 0)
            any = nm_region_parts_join(&j->parts, first, p) || any;
        else
            first = p;
    }
    return any;
}

static bool switch_conditions(struct nm_region_job *j, const bool *conflict)
{
    bool any = false;

    for (int64_t p = 0; p < j->parts.n && j->task->property; p++)
        if (conflict[p])
            any = nm_region_choose_next(&j->conditions, &j->parts.at[p]) || any;
    return any;
}

/* Cuts the parts that are marked, as many as there is room for. */
static nm_status cut_parts(struct nm_region_job *j, const bool *marked, bool *any, nm_err *err)
{
    int64_t n = j->parts.n;
    nm_status rc = NM_OK;

    *any = false;
    for (int64_t p = 0; p < n && j->parts.n < j->opts.max_parts; p++) {
        nm_region_part *part;
        bool cut;

        if (!marked[p])
            continue;
        NM_TRY(nm_region_parts_cut(&j->parts, p, j->width, &cut, err));
        part = &j->parts.at[p];
        if (cut) {
            j->parts.at[j->parts.n - 1].margin = part->margin;
            j->parts.at[j->parts.n - 1].group = j->parts.n - 1;
        }
        nm_free(part->choice); /* both choose anew */
        nm_free(part->tried);
        part->choice = part->tried = NULL;
        *any = *any || cut;
    }
    NM_TRY(nm_region_parts_share(&j->parts, err));
done:
    return rc;
}

/* @param again  whether another round makes sense */
static nm_status resolve(struct nm_region_job *j, const nm_region_step_report *step, bool asserts,
                         bool *again, nm_err *err)
{
    nm_repair_report *r = &j->report->repair;
    nm_status rc = NM_OK;

    *again = false;
    if (step->outcome == NM_SEARCH_INFEASIBLE && step->conflict) {
        if (asserts && is_proven_infeasible(j, step)) {
            r->outcome = NM_INFEASIBLE;
            (void)snprintf(r->reason, sizeof r->reason,
                           "no change within the plan makes all vertices right");
            return NM_OK;
        }
        *again = (!asserts || !step->exact) && join_groups(j, step->conflict);
        if (!*again && asserts)
            *again = switch_conditions(j, step->conflict);
        if (!*again && j->n_cuts++ < MOST_CUTS)
            NM_TRY(cut_parts(j, step->conflict, again, err));
    }
    if (!*again) {
        r->outcome = NM_LIMIT;
        (void)snprintf(r->reason, sizeof r->reason, "%s of %lld parts: %.160s",
                       asserts ? "outputs" : "pieces", (long long)j->parts.n, step->reason);
    }
done:
    return rc;
}

/* -- the steps -------------------------------------------------------------------------------- */

static void note_figures(struct nm_region_job *j, const nm_region_step_report *step)
{
    nm_repair_report *r = &j->report->repair;
    bool one = j->n_slices == 1;

    j->report->n_programs += step->linearisations;
    r->solver = step->figures.solver ? step->figures.solver : r->solver;
    r->rows = step->figures.n_rows;
    r->rows_total = step->figures.n_total;
    r->solver_rounds += step->figures.rounds;
    r->linearisations += step->linearisations;
    r->damping_in = step->damping_in;
    r->damping_out = isnan(step->damping_in) ? NAN : j->opts.repair.damping_out;
    r->objective = one ? step->figures.objective : NAN;
    r->lower_bound = NAN; /* of the program on these pieces, not of the repair */
    r->gap = NAN;
}

/* Outputs at the vertices of a part, with the network as it is before the last step. */
static nm_status choose(struct nm_region_job *j, const nm_net *net, nm_region_part *part,
                        nm_err *err)
{
    size_t n_scores = (size_t)j->conditions.n_scores;
    double *y = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&y, (size_t)part->n, n_scores * sizeof *y, err));
    NM_TRY(nm_region_scores(j->ctx, net, part->vertex, part->n, y, err));
    NM_TRY(nm_region_choose(&j->conditions, y, part, err));
done:
    nm_free(y);
    return rc;
}

static nm_status run_step(struct nm_region_job *j, int slice, nm_region_step_report *out,
                          nm_err *err)
{
    const nm_net *net = slice ? j->nets[slice] : j->net;
    nm_region_step step = {.ctx = j->ctx,
                           .net = net,
                           .parts = &j->parts,
                           .conditions = &j->conditions,
                           .task = j->task,
                           .opts = &j->opts.repair,
                           .pinned = j->slices[slice].pinned,
                           .pin_margin = j->pin_margin,
                           .asserts = slice == j->n_slices - 1,
                           .reference = j->task->reference ? j->task->reference->x : NULL,
                           .n_reference = j->task->reference ? j->task->reference->n : 0};
    nm_plan *plan = NULL;
    nm_status rc = NM_OK;

    *out = (nm_region_step_report){0};
    nm_net_free(j->nets[slice + 1]);
    j->nets[slice + 1] = NULL;
    for (int64_t p = 0; p < j->parts.n && step.asserts && j->task->property; p++)
        if (!j->parts.at[p].choice)
            NM_TRY(choose(j, net, &j->parts.at[p], err));
    NM_TRY(nm_region_slice_plan(j, slice, net, &plan, err));
    step.plan = plan;
    nm_progress(j->ctx, "step", slice + 1, j->n_slices, (double)j->parts.n);
    NM_TRY(nm_region_step_run(&step, &j->nets[slice + 1], out, err));
    note_figures(j, out);
    nm_log(j->ctx, NM_LOG_DEBUG, "step %d of %d, %lld parts: %s, %lld rows, objective %.6g",
           slice + 1, j->n_slices, (long long)j->parts.n,
           out->outcome == NM_SEARCH_FOUND ? "found" : out->reason, (long long)out->figures.n_rows,
           out->figures.objective);
done:
    nm_plan_free(plan);
    return rc;
}

/* All steps from *first on. @param again  after a conflict that was resolved, from the first step
 */
static nm_status run_steps(struct nm_region_job *j, int first, bool *found, bool *again,
                           nm_err *err)
{
    double start = nm_now();
    nm_status rc = NM_OK;

    *found = true;
    *again = false;
    for (int i = first; *found && i < j->n_slices; i++) {
        nm_region_step_report step;

        NM_TRY(nm_ctx_check(j->ctx, err));
        NM_TRY(run_step(j, i, &step, err));
        *found = step.outcome == NM_SEARCH_FOUND;
        if (!*found)
            rc = resolve(j, &step, i == j->n_slices - 1, again, err);
        nm_free(step.conflict);
        NM_TRY(rc);
    }
done:
    j->report->repair.s_solve += nm_now() - start;
    return rc;
}

/* -- what the next round asks ----------------------------------------------------------------- */

/* Margins of parts that are not proven, and what else may be the matter with them.
   @param from  out, the first step that has to run again */
static nm_status adapt(struct nm_region_job *j, int *from, bool *again, nm_err *err)
{
    bool *bent = NULL, cut = false, pins = false;
    nm_status rc = NM_OK;

    *from = j->n_slices - 1;
    NM_TRY(nm_alloc(&bent, (size_t)j->parts.n, sizeof *bent, err));
    for (int64_t p = 0; p < j->parts.n; p++) {
        nm_region_part *part = &j->parts.at[p];
        bool left_pieces = part->bends > 0.5 * part->lost || !isfinite(part->lost);

        if (part->proof != NM_REGION_UNPROVEN)
            continue;
        bent[p] = left_pieces && j->bent;
        pins = pins || (left_pieces && !j->bent);
        if (isfinite(part->lost) && !bent[p])
            part->margin = fmax(1.5 * part->margin, 1.2 * part->lost);
    }
    if (j->bent)
        NM_TRY(cut_parts(j, bent, &cut, err));
    if (pins && j->pin_margin < most_pin_margin)
        j->pin_margin *= 4;
    if (cut || pins)
        *from = 0;
    *again = true;
    for (int64_t p = 0; !cut && p < j->parts.n && j->bent && *again; p++)
        *again = !(p < j->parts.n && bent[p]); /* no room for more parts */
done:
    nm_free(bent);
    return rc;
}

static nm_status loop(struct nm_region_job *j, nm_err *err)
{
    bool found, again = true;
    int64_t n_open = 0;
    int from = 0;
    nm_status rc = NM_OK;

    for (int round = 0; again; round++) {
        if (round == MOST_ROUNDS)
            return give_up(j, "too many rounds");
        j->report->rounds++;
        NM_TRY(run_steps(j, from, &found, &again, err));
        from = 0;
        if (!found)
            continue;
        NM_TRY(nm_region_prove_all(j, nm_region_candidate(j), &n_open, err));
        nm_log(j->ctx, NM_LOG_DEBUG, "round %d: %lld of %lld parts are open, pin margin %g",
               j->report->rounds, (long long)n_open, (long long)j->parts.n, j->pin_margin);
        if (n_open == 0) {
            j->report->repair.outcome = NM_REPAIRED;
            j->report->repair.reason[0] = '\0';
            return NM_OK;
        }
        NM_TRY(adapt(j, &from, &again, err));
        if (!again)
            return give_up(j, "more parts would be needed than are allowed");
    }
done:
    return rc;
}

/* -- the whole ------------------------------------------------------------------------------- */

static void close_job(struct nm_region_job *j)
{
    nm_region_slices_free(j);
    nm_region_parts_free(&j->parts);
    nm_region_conditions_free(&j->conditions);
    nm_free(j->width);
}

static nm_status run(struct nm_region_job *j, nm_err *err)
{
    nm_repair_report *r = &j->report->repair;
    int64_t n_open = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_region_open(j, err));
    if (nm_region_conditions_hopeless(&j->conditions)) {
        r->outcome = NM_INFEASIBLE;
        (void)snprintf(r->reason, sizeof r->reason,
                       "the property allows no outputs at all for some of its inputs");
        goto settle;
    }
    NM_TRY(nm_region_prove_all(j, j->net, &n_open, err));
    for (int64_t p = 0; p < j->parts.n; p++)
        j->report->regions[p].proven_before = j->parts.at[p].proof != NM_REGION_UNPROVEN;
    if (n_open == 0)
        r->outcome = NM_REPAIRED;
    else if (!nm_region_contradict(j))
        NM_TRY(loop(j, err));
settle:
    NM_TRY(nm_region_settle(j, err));
done:
    return rc;
}

/* A limit or an interrupt is an outcome; nothing was written. */
static nm_status stop_early(struct nm_region_job *j, nm_status stop, nm_err *err)
{
    nm_status rc;

    *err = (nm_err){0};
    j->report->repair.stopped = true;
    j->report->repair.outcome = NM_LIMIT;
    (void)snprintf(j->report->repair.reason, sizeof j->report->repair.reason,
                   "%s after %d rounds: no network was proven",
                   stop == NM_E_LIMIT ? "time limit" : "interrupted", j->report->rounds);
    nm_ctx_grant(j->ctx, true);
    rc = nm_region_settle(j, err);
    nm_ctx_grant(j->ctx, false);
    return rc;
}

nm_status nm_repair_regions(nm_ctx *ctx, const nm_net *net, const nm_plan *plan,
                            const nm_regions_task *task, const nm_regions_opts *opts,
                            const char *path, nm_net **fixed, nm_regions_report *report,
                            nm_err *err)
{
    nm_err local = {0};
    struct nm_region_job j = {.ctx = ctx,
                              .net = net,
                              .plan = plan,
                              .task = task,
                              .opts = *opts,
                              .path = path,
                              .pin_margin = first_pin_margin,
                              .report = report};
    nm_status rc;

    *report = (nm_regions_report){0};
    report->repair.outcome = NM_LIMIT;
    report->repair.damping_in = report->repair.damping_out = NAN;
    report->repair.objective = report->repair.lower_bound = report->repair.gap = NAN;
    report->repair.solver = "none";
    if (fixed)
        *fixed = NULL;
    err = err ? err : &local;
    j.opts.repair.method = NM_METHOD_APRNN;
    j.opts.repair.pins = NM_PINS_ALL;
    j.opts.repair.refine = NM_REFINE_OFF;
    rc = run(&j, err);
    if ((rc == NM_E_LIMIT || rc == NM_E_CANCELLED) && j.nets)
        rc = stop_early(&j, rc, err);
    if (rc == NM_OK && fixed && report->repair.outcome == NM_REPAIRED)
        rc = nm_net_clone(nm_region_candidate(&j), fixed, err);
    close_job(&j);
    if (rc != NM_OK)
        nm_regions_report_free(report);
    return rc;
}

void nm_regions_report_free(nm_regions_report *report)
{
    nm_repair_report_free(&report->repair);
    nm_free(report->regions);
    *report = (nm_regions_report){0};
}
