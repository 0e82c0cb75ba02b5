#include "verify/region.h"

#include <string.h>

#include "base/mem.h"
#include "verify/region_proof.h"

bool nm_region_has_points(const nm_region *r)
{
    for (int64_t j = 0; j < r->v->nodes[0].n; j++)
        if (r->point_lo[j] > r->point_hi[j])
            return false;
    return true;
}

float nm_region_inside(const nm_region *r, int64_t j, double x)
{
    float f = (float)x;

    return f < r->point_lo[j] ? r->point_lo[j] : f > r->point_hi[j] ? r->point_hi[j] : f;
}

static double row_value(const nm_region *r, int row, const double *y)
{
    double sum = r->rows[row].at_0;

    for (int64_t j = 0; j < nm_vnet_output(r->v)->n; j++)
        sum += r->rows[row].c[j] * y[j];
    return sum;
}

bool nm_region_is_unsafe(const nm_region *r, const float *x, double *values)
{
    const nm_vnet *v = r->v;

    for (int64_t j = 0; j < v->nodes[0].n; j++)
        values[j] = (double)x[j];
    nm_vnet_evaluate(v, values);
    for (int c = 0; c < r->n_cases; c++) {
        bool all = true;

        for (int row = r->first[c]; all && row < r->first[c + 1]; row++)
            all = row_value(r, row, values + nm_vnet_output(v)->first) <= 0;
        if (all)
            return r->try_point && r->try_point(r->user, x);
    }
    return false;
}

/* Children behind their parents, in order: one walk counts, the next one copies. */
static int64_t copy_steps(const nm_region_report *report, int64_t *stack, nm_region_proof *to)
{
    int64_t n_stack = 1, n = 0, n_numbers = 0;

    stack[0] = 0;
    while (n_stack > 0) {
        const nm_box_split *s = &report->splits[stack[--n_stack]];

        if (to->steps) {
            to->steps[n] = (nm_proof_step){.kind = s->kind == NM_SPLIT_NONE    ? NM_PROOF_CLOSED
                                                   : s->kind == NM_SPLIT_AGAIN ? NM_PROOF_AGAIN
                                                                               : NM_PROOF_SPLIT,
                                           .dim = s->dim,
                                           .at = s->at,
                                           .first = n_numbers,
                                           .n = s->n_numbers};
            if (s->n_numbers > 0)
                memcpy(to->numbers + n_numbers, s->numbers, (size_t)s->n_numbers * sizeof(double));
        }
        n++;
        n_numbers += s->n_numbers;
        if (s->kind == NM_SPLIT_INPUT)
            stack[n_stack++] = s->child + 1;
        if (s->kind != NM_SPLIT_NONE)
            stack[n_stack++] = s->child;
    }
    to->n_steps = n;
    return n_numbers;
}

nm_region_proof *nm_region_proof_from(const nm_region_report *report)
{
    nm_region_proof *proof = NULL;
    int64_t *stack = NULL;
    nm_err ignored = {0};
    nm_status rc = nm_alloc(&proof, 1, sizeof *proof, &ignored);

    if (rc == NM_OK)
        rc = nm_alloc(&stack, (size_t)report->n_splits + 1, sizeof *stack, &ignored);
    if (rc == NM_OK) {
        proof->n_numbers = copy_steps(report, stack, proof);
        rc = nm_alloc(&proof->numbers, (size_t)proof->n_numbers, sizeof(double), &ignored);
    }
    if (rc == NM_OK)
        rc = nm_alloc(&proof->steps, (size_t)proof->n_steps, sizeof *proof->steps, &ignored);
    if (rc == NM_OK)
        (void)copy_steps(report, stack, proof);
    nm_free(stack);
    if (rc == NM_OK)
        return proof;
    nm_region_proof_free(proof);
    return NULL;
}

void nm_region_report_free(nm_region_report *report)
{
    for (int64_t i = 0; report->splits && i < report->n_splits; i++)
        nm_free(report->splits[i].numbers);
    nm_free(report->splits);
    nm_region_proof_free(report->proof);
    *report = (nm_region_report){0};
}
