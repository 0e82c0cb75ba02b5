/* The start of a repair of regions: whether it makes sense, and what margins are measured by. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/order.h"
#include "repair/region_job.h"

/* Of the typical distance of outputs from their conditions. */
static const double first_margin = 1e-4;

/* What outputs at the vertices keep from their conditions, in the middle: what margins are measured
   by. */
static nm_status first_margins(struct nm_region_job *j, nm_err *err)
{
    const nm_region_conditions *c = &j->conditions;
    int64_t n_vertices = j->task->regions->first[j->task->regions->n], n = 0;
    double *y = NULL, *all = NULL, margin = j->opts.repair.margin;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&y, (size_t)n_vertices, (size_t)c->n_scores * sizeof *y, err));
    NM_TRY(nm_alloc(&all, (size_t)n_vertices, sizeof *all, err));
    NM_TRY(nm_region_scores(j->ctx, j->net, j->task->regions->vertex, n_vertices, y, err));
    for (int64_t r = 0; r < c->n_regions; r++)
        for (int64_t v = j->task->regions->first[r]; v < j->task->regions->first[r + 1]; v++) {
            double slack =
                fabs(nm_region_row_slack(c, c->first_row[c->first_case[r]], y + v * c->n_scores));

            if (isfinite(slack))
                all[n++] = slack;
        }
    if (isnan(margin))
        margin = fmax(first_margin * nm_median(all, n), 1e-9);
    for (int64_t p = 0; p < j->parts.n; p++)
        j->parts.at[p].margin = margin;
done:
    nm_free(y);
    nm_free(all);
    return rc;
}

static nm_status find_widths(struct nm_region_job *j, nm_err *err)
{
    const nm_regions *regions = j->task->regions;
    int64_t n_in = regions->n_in;
    nm_status rc = nm_alloc(&j->width, (size_t)n_in, sizeof *j->width, err);

    for (int64_t i = 0; rc == NM_OK && i < n_in; i++) {
        double lo = INFINITY, hi = -INFINITY;

        for (int64_t v = 0; v < regions->first[regions->n]; v++) {
            lo = fmin(lo, regions->vertex[v * n_in + i]);
            hi = fmax(hi, regions->vertex[v * n_in + i]);
        }
        j->width[i] = hi - lo;
    }
    return rc;
}

bool nm_region_contradict(struct nm_region_job *j)
{
    const nm_region_parts *parts = &j->parts;
    nm_repair_report *r = &j->report->repair;

    for (int64_t a = 0; a < parts->n && j->task->targets; a++)
        for (int64_t b = a + 1; b < parts->n; b++)
            for (int64_t v = 0; v < parts->at[a].n; v++)
                for (int64_t w = 0; w < parts->at[b].n; w++) {
                    if (j->task->targets[a] == j->task->targets[b] ||
                        parts->at[a].shared[v] != parts->at[b].shared[w])
                        continue;
                    r->outcome = NM_INFEASIBLE;
                    (void)snprintf(r->reason, sizeof r->reason,
                                   "regions %lld and %lld share a vertex and want classes %lld and "
                                   "%lld there",
                                   (long long)a, (long long)b, (long long)j->task->targets[a],
                                   (long long)j->task->targets[b]);
                    return true;
                }
    return false;
}

nm_status nm_region_open(struct nm_region_job *j, nm_err *err)
{
    const nm_repair_opts *opts = &j->opts.repair;
    nm_status rc = NM_OK;

    if (opts->certify || opts->elastic)
        NM_THROW(err, NM_E_ARG, "%s of regions are not there", opts->certify ? "claims" : "parts");
    if (!(isnan(opts->margin) || opts->margin >= 0))
        NM_THROW(err, NM_E_ARG, "margin %g, expected one that is not negative", opts->margin);
    if (j->opts.max_parts < j->task->regions->n)
        NM_THROW(err, NM_E_ARG, "%lld parts for %lld regions, expected one each at least",
                 (long long)j->opts.max_parts, (long long)j->task->regions->n);
    NM_TRY(nm_region_conditions_new(j->net, j->task, &j->conditions, err));
    NM_TRY(nm_region_slices_new(j, err));
    NM_TRY(nm_region_parts_new(j->task->regions, &j->parts, err));
    NM_TRY(nm_alloc(&j->report->regions, (size_t)j->task->regions->n, sizeof *j->report->regions,
                    err));
    j->report->n_regions = j->task->regions->n;
    NM_TRY(find_widths(j, err));
    NM_TRY(first_margins(j, err));
done:
    return rc;
}
