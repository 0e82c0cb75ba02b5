#include "verify/region.h"

#include "base/mem.h"

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

void nm_region_report_free(nm_region_report *report)
{
    nm_free(report->splits);
    *report = (nm_region_report){0};
}
