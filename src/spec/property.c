#include "spec/property.h"

#include <math.h>

#include "base/mem.h"

double nm_out_case_excess(const nm_property *p, const nm_out_case *c, const double *y)
{
    double worst = -INFINITY;

    for (int64_t r = c->first; r < c->first + c->n_rows; r++) {
        const nm_out_row *row = &p->rows[r];
        double sum = -row->limit_in;

        for (int32_t k = 0; k < row->n_terms; k++)
            sum += row->coef[k] * y[row->output[k]];
        if (!(sum <= worst))
            worst = sum;
        if (isnan(worst))
            break;
    }
    return worst;
}

bool nm_in_box_holds(const nm_property *p, const nm_in_box *box, const float *x)
{
    for (int64_t i = 0; i < p->n_in; i++)
        if (!(box->lo_in[i] <= x[i] && x[i] <= box->hi_in[i]))
            return false;
    return true;
}

bool nm_property_unsafe(const nm_property *property, const float *x, const double *y)
{
    for (int64_t b = 0; b < property->n_boxes; b++) {
        const nm_in_box *box = &property->boxes[b];

        if (!nm_in_box_holds(property, box, x))
            continue;
        for (int64_t c = 0; c < box->n_cases; c++)
            if (nm_out_case_excess(property, &property->cases[box->first_case + c], y) <= 0)
                return true;
    }
    return false;
}

bool nm_property_within(const nm_property *property, const double *lo, const double *hi)
{
    for (int64_t b = 0; b < property->n_boxes; b++)
        for (int64_t i = 0; i < property->n_in; i++) {
            double slack = 0.01 * (hi[i] - lo[i]);

            if (property->boxes[b].lo_out[i] < lo[i] - slack ||
                property->boxes[b].hi_out[i] > hi[i] + slack)
                return false;
        }
    return true;
}

int64_t nm_property_n_in(const nm_property *property)
{
    return property->n_in;
}

int64_t nm_property_n_out(const nm_property *property)
{
    return property->n_out;
}

int64_t nm_property_n_boxes(const nm_property *property)
{
    return property->n_boxes;
}

int64_t nm_property_n_cases(const nm_property *property)
{
    return property->n_cases;
}

int64_t nm_property_n_empty(const nm_property *property)
{
    return property->n_empty;
}

void nm_property_free(nm_property *property)
{
    if (!property)
        return;
    nm_arena_clear(&property->arena);
    nm_free(property);
}
