/* The end of a repair of regions: file, confirmation, what it cost. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "repair/compare.h"
#include "repair/confirm.h"
#include "repair/measure.h"
#include "repair/region_job.h"

/* -- the file --------------------------------------------------------------------------------- */

/* What was proven is a network in memory: the file has to hold the same one, to the last bit; where
   the format rounds, what it holds is proven again. */
static nm_status confirm(void *user, const nm_net *read_back, nm_err *err)
{
    struct nm_region_job *j = user;
    int64_t n_open = 0;
    nm_net *held = NULL;
    nm_status rc = NM_OK;

    if (nm_first_difference(nm_region_candidate(j), read_back) == j->net->n_ops)
        return NM_OK;
    NM_TRY(nm_region_prove_all(j, read_back, &n_open, err));
    if (n_open > 0)
        NM_THROW(err, NM_E_UNSUPPORTED,
                 "%s: the format rounds the weights, and %lld parts are not proven after it; "
                 "expected .onnx",
                 j->path, (long long)n_open);
    NM_TRY(nm_net_clone(read_back, &held, err));
    nm_net_free(j->nets[j->n_slices]);
    j->nets[j->n_slices] = held;
done:
    return rc;
}

static nm_status write_result(struct nm_region_job *j, nm_err *err)
{
    double start = nm_now();
    nm_net *read_back = NULL;
    nm_status rc = NM_OK;

    if (j->path)
        rc = nm_write_confirmed(j->ctx, nm_region_candidate(j), j->path, confirm, j, &read_back,
                                err);
    nm_net_free(read_back);
    j->report->repair.s_write = nm_now() - start;
    return rc;
}

/* -- the report ------------------------------------------------------------------------------- */

static void put_regions(struct nm_region_job *j)
{
    nm_regions_report *r = j->report;

    for (int64_t i = 0; i < r->n_regions; i++) {
        r->regions[i].proof = NM_REGION_LINEAR;
        r->regions[i].least = INFINITY;
        r->regions[i].n_parts = 0;
    }
    for (int64_t p = 0; p < j->parts.n; p++) {
        const nm_region_part *part = &j->parts.at[p];
        nm_region_result *region = &r->regions[part->region];

        region->n_parts++;
        region->least = fmin(region->least, part->least);
        r->repair.margin = fmax(r->repair.margin, part->margin);
        if (part->proof == NM_REGION_UNPROVEN || r->repair.outcome != NM_REPAIRED)
            region->proof = NM_REGION_UNPROVEN;
        else if (part->proof == NM_REGION_SEARCH && region->proof == NM_REGION_LINEAR)
            region->proof = NM_REGION_SEARCH;
    }
    for (int64_t i = 0; i < r->n_regions; i++)
        r->n_proven += r->regions[i].proof != NM_REGION_UNPROVEN;
    r->n_parts = j->parts.n;
    r->n_vertices = j->parts.n_vertices;
}

/* Vertices of the regions that are right: every case broken. */
static nm_status count_right(struct nm_region_job *j, const nm_net *net, int64_t *right,
                             double *least, nm_err *err)
{
    const nm_regions *regions = j->task->regions;
    const nm_region_conditions *c = &j->conditions;
    int64_t n = regions->first[regions->n];
    double *y = NULL;
    nm_status rc = NM_OK;

    *right = 0;
    *least = INFINITY;
    NM_TRY(nm_alloc(&y, (size_t)n, (size_t)c->n_scores * sizeof *y, err));
    NM_TRY(nm_region_scores(j->ctx, net, regions->vertex, n, y, err));
    for (int64_t r = 0; r < regions->n; r++)
        for (int64_t v = regions->first[r]; v < regions->first[r + 1]; v++) {
            double slack = INFINITY;

            for (int64_t k = c->first_case[r]; k < c->first_case[r + 1]; k++) {
                double best = -INFINITY;

                for (int64_t row = c->first_row[k]; row < c->first_row[k + 1]; row++)
                    best = fmax(best, nm_region_row_slack(c, row, y + v * c->n_scores));
                slack = fmin(slack, best);
            }
            *right += slack > 0;
            *least = fmin(*least, slack);
        }
done:
    nm_free(y);
    return rc;
}

static nm_status measure_change(struct nm_region_job *j, nm_err *err)
{
    const nm_net *fixed = nm_region_candidate(j);
    nm_params *params = NULL;
    double *change = NULL, *tensor = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_params_new(j->plan, &params, err));
    j->report->repair.n_free = params->n;
    NM_TRY(nm_alloc(&change, (size_t)params->n, sizeof *change, err));
    for (int b = 0; b < params->n_blocks; b++) {
        const nm_param_block *block = &params->blocks[b];
        const nm_layer *layer = &j->net->layers[block->layer];
        int v = block->bias ? layer->bias : layer->weight;
        int64_t size = nm_block_tensor_size(j->net, block);
        const nm_layer *now = &fixed->layers[block->layer];
        const double *before = j->net->values[v].constant->f64;
        const double *after = fixed->values[block->bias ? now->bias : now->weight].constant->f64;

        nm_free(tensor);
        tensor = NULL;
        NM_TRY(nm_alloc(&tensor, (size_t)size, sizeof *tensor, err));
        for (int64_t i = 0; i < size; i++)
            tensor[i] = after[i] - before[i];
        nm_block_gather(j->net, block, tensor, change);
    }
    nm_measure_change(change, params->n, &j->report->repair);
done:
    nm_params_free(params);
    nm_free(change);
    nm_free(tensor);
    return rc;
}

static nm_status fill_report(struct nm_region_job *j, nm_err *err)
{
    nm_repair_report *r = &j->report->repair;
    const nm_regions *regions = j->task->regions;
    const nm_net *fixed = r->outcome == NM_REPAIRED ? nm_region_candidate(j) : NULL;
    double ignored, start = nm_now();
    nm_status rc = NM_OK;

    r->n_marked = nm_plan_n_marked(j->plan);
    r->n_free = nm_plan_n_free(j->plan);
    r->judge_rounds = j->report->rounds;
    r->repair = nm_measure_nothing(regions->first[regions->n]);
    NM_TRY(nm_measure_layers(j->net, j->plan, r, err));
    put_regions(j);
    NM_TRY(count_right(j, j->net, &r->repair.right_before, &ignored, err));
    if (fixed) {
        NM_TRY(measure_change(j, err));
        NM_TRY(count_right(j, fixed, &r->repair.right_after, &r->repair.min_margin_after, err));
    }
    NM_TRY(nm_measure_accuracy(j->ctx, j->net, fixed, j->task->test, &r->test, err));
    NM_TRY(nm_measure_accuracy(j->ctx, j->net, fixed, j->task->similar, &r->similar, err));
    r->s_measure = nm_now() - start;
done:
    return rc;
}

nm_status nm_region_settle(struct nm_region_job *j, nm_err *err)
{
    nm_status rc = NM_OK;

    if (j->report->repair.outcome == NM_REPAIRED)
        NM_TRY(write_result(j, err));
    NM_TRY(fill_report(j, err));
done:
    return rc;
}
