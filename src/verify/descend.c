#include "verify/descend.h"

#include <math.h>
#include <string.h>

#include "verify/combine.h"

bool nm_descent_open(nm_descent *d, const nm_vnet *v, nm_arena *arena)
{
    size_t n_in = (size_t)v->nodes[0].n;

    d->values = nm_arena_take(arena, (size_t)v->n_neurons, sizeof(double));
    d->slope = nm_arena_take(arena, NM_MOST_LANES * n_in, sizeof(double));
    d->x = nm_arena_take(arena, n_in, sizeof(double));
    d->lo = nm_arena_take(arena, n_in, sizeof(double));
    d->hi = nm_arena_take(arena, n_in, sizeof(double));
    d->joint = nm_arena_take(arena, n_in, sizeof(double));
    return !arena->failed;
}

/* @param value  out, of all rows */
static double largest_row(nm_descent *d, const nm_region *r, int c, const double *x, double *value)
{
    const double *y = d->values + nm_vnet_output(r->v)->first;
    double largest = -(double)INFINITY;

    memcpy(d->values, x, (size_t)r->v->nodes[0].n * sizeof *x);
    nm_vnet_evaluate(r->v, d->values);
    for (int row = r->first[c]; row < r->first[c + 1]; row++) {
        double sum = r->rows[row].at_0;

        for (int64_t j = 0; j < nm_vnet_output(r->v)->n; j++)
            sum += r->rows[row].c[j] * y[j];
        value[row - r->first[c]] = sum;
        largest = sum > largest ? sum : largest;
    }
    return largest;
}

double nm_descend(nm_descent *d, nm_bounder *b, const nm_region *region, int c, double *x, int most)
{
    int first = region->first[c], m = region->first[c + 1] - first;
    int64_t n = region->v->nodes[0].n;
    size_t bytes = (size_t)n * sizeof *x;
    double largest, reach = 0.1;
    bool moved = true;
    const double *slope[NM_MOST_LANES];
    double y[NM_MOST_LANES], bound[NM_MOST_LANES], at_0[NM_MOST_LANES], value[NM_MOST_LANES] = {0};
    double constant;

    if (m > NM_MOST_LANES || n > NM_COMBINE_MOST)
        return (double)INFINITY;
    largest = largest_row(d, region, c, x, value);
    for (int k = 0; k < m; k++)
        slope[k] = d->slope + k * n;
    for (int step = 0; step < most && largest > 0; step++) {
        double there;

        if (moved) {
            nm_bound_linearise(b, d->values);
            nm_bound_rows(b, m, region->rows + first, bound, d->slope, at_0);
            for (int k = 0; k < m; k++) {
                at_0[k] = value[k];
                for (int64_t j = 0; j < n; j++)
                    at_0[k] -= slope[k][j] * x[j];
            }
        }
        for (int64_t j = 0; j < n; j++) {
            double room = reach * (region->hi[j] - region->lo[j]);

            d->lo[j] = fmax(region->lo[j], x[j] - room);
            d->hi[j] = fmin(region->hi[j], x[j] + room);
        }
        (void)nm_combine_best(
            &(nm_combine){
                .m = m, .n = n, .slope = slope, .constant = at_0, .lo = d->lo, .hi = d->hi},
            y, d->joint, &constant, d->x);
        there = largest_row(d, region, c, d->x, value);
        moved = there < largest;
        if (moved) {
            largest = there;
            memcpy(x, d->x, bytes);
            reach = fmin(2 * reach, 1);
        } else
            reach *= 0.25;
    }
    return largest;
}
