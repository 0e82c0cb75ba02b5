/* Rows as outer products: storage, and products with vectors. */
#include "solve/factors.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/dense.h"

/* -- storage ---------------------------------------------------------------------------------- */

nm_status nm_factors_append(nm_factors *list, int64_t m, const int64_t *point, const double *g,
                            nm_err *err)
{
    int64_t width = nm_factor_width(list->space), capacity = list->capacity;
    nm_status rc = NM_OK;

    if (list->m + m > capacity) {
        capacity = list->m + m > 2 * capacity ? list->m + m : 2 * capacity;
        NM_TRY(nm_realloc(&list->point, (size_t)capacity, sizeof *list->point, err));
        NM_TRY(nm_realloc(&list->g, (size_t)capacity, (size_t)width * sizeof *list->g, err));
        list->capacity = capacity;
    }
    memcpy(list->point + list->m, point, (size_t)m * sizeof *point);
    memcpy(list->g + list->m * width, g, (size_t)(m * width) * sizeof *g);
    list->m += m;
done:
    return rc;
}

nm_status nm_factors_room(const nm_factor_space *space, int64_t m, nm_factors *list, nm_err *err)
{
    size_t width = (size_t)nm_factor_width(space);
    nm_status rc = NM_OK;

    *list = (nm_factors){.space = space};
    NM_TRY(nm_alloc(&list->point, (size_t)m, sizeof *list->point, err));
    NM_TRY(nm_alloc(&list->g, (size_t)m, width * sizeof *list->g, err));
    list->m = list->capacity = m;
done:
    if (rc != NM_OK)
        nm_factors_free(list);
    return rc;
}

void nm_factors_free(nm_factors *list)
{
    nm_free(list->point);
    nm_free(list->g);
    *list = (nm_factors){.space = list->space};
}

nm_factors nm_factors_slice(const nm_factors *list, int64_t first, int64_t m)
{
    if (!list->space)
        return (nm_factors){0};
    return (nm_factors){.space = list->space,
                        .m = m,
                        .point = list->point + first,
                        .g = list->g + first * nm_factor_width(list->space)};
}

/* -- grouping --------------------------------------------------------------------------------- */

void nm_groups_free(nm_groups *groups)
{
    nm_free(groups->row);
    nm_free(groups->first);
    nm_free(groups->x);
    nm_free(groups->x_sizes);
    nm_free(groups->g);
    nm_free(groups->matrix);
    nm_free(groups->layer);
    *groups = (nm_groups){0};
}

static int64_t largest_point(const nm_factors *list)
{
    int64_t largest = -1;

    for (int64_t r = 0; list && r < list->m; r++)
        largest = list->point[r] > largest ? list->point[r] : largest;
    return largest;
}

/* The points that have rows, and the place of each one's first row: next[point]. */
static nm_status place_points(const nm_factors *rows, const nm_factors *terms, nm_groups *groups,
                              int64_t **next, nm_err *err)
{
    const nm_factor_space *space = groups->space;
    int64_t last = largest_point(rows), last_term = largest_point(terms), place = 0, k = 0;
    int64_t n_points = 1 + (last > last_term ? last : last_term);
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(next, (size_t)n_points, sizeof **next, err));
    for (int64_t r = 0; r < rows->m; r++)
        (*next)[rows->point[r]]++;
    for (int64_t r = 0; terms && r < terms->m; r++)
        (*next)[terms->point[r]]++;
    for (int64_t p = 0; p < n_points; p++)
        groups->n_points += (*next)[p] > 0;
    NM_TRY(nm_alloc(&groups->first, (size_t)groups->n_points + 1, sizeof *groups->first, err));
    NM_TRY(
        nm_alloc(&groups->x, (size_t)groups->n_points, (size_t)space->n_in * sizeof(double), err));
    NM_TRY(nm_alloc(&groups->x_sizes, (size_t)groups->n_points,
                    (size_t)space->n_in * sizeof(double), err));
    NM_TRY(nm_alloc(&groups->layer, (size_t)groups->n_points, (size_t)space->n_out * sizeof(double),
                    err));
    for (int64_t p = 0; p < n_points; p++) {
        int64_t count = (*next)[p];

        if (count == 0)
            continue;
        for (int64_t i = 0; i < space->n_in; i++) {
            groups->x[k * space->n_in + i] = space->x[p * space->n_in + i];
            groups->x_sizes[k * space->n_in + i] = fabs(space->x[p * space->n_in + i]);
        }
        groups->first[k++] = (*next)[p] = place;
        place += count;
    }
    groups->first[k] = place;
done:
    return rc;
}

static void place_rows(const nm_factors *list, const double *scale, int64_t number,
                       nm_groups *groups, int64_t *next)
{
    int64_t width = nm_factor_width(groups->space);

    for (int64_t r = 0; list && r < list->m; r++) {
        int64_t place = next[list->point[r]]++;
        double *g = groups->g + place * width, factor = scale ? scale[r] : 1;

        groups->row[place] = number + r;
        for (int64_t i = 0; i < width; i++)
            g[i] = factor * list->g[r * width + i];
    }
}

nm_status nm_groups_make(const nm_factors *rows, const double *scale, const nm_factors *terms,
                         nm_groups *groups, nm_err *err)
{
    const nm_factor_space *space = rows->space;
    int64_t weights = space->n_out * space->n_in, *next = NULL;
    nm_status rc = NM_OK;

    nm_groups_free(groups);
    *groups = (nm_groups){.space = space, .m = rows->m + (terms ? terms->m : 0), .full = true};
    for (int64_t w = 0; w < weights; w++)
        groups->full = groups->full && space->column[w] >= 0;
    NM_TRY(place_points(rows, terms, groups, &next, err));
    NM_TRY(nm_alloc(&groups->row, (size_t)groups->m, sizeof *groups->row, err));
    NM_TRY(nm_alloc(&groups->g, (size_t)groups->m, (size_t)nm_factor_width(space) * sizeof(double),
                    err));
    NM_TRY(nm_alloc(&groups->matrix, (size_t)weights, sizeof(double), err));
    place_rows(rows, scale, 0, groups, next);
    place_rows(terms, NULL, rows->m, groups, next);
done:
    nm_free(next);
    if (rc != NM_OK)
        nm_groups_free(groups);
    return rc;
}

/* -- products with vectors ----------------------------------------------------------------------
 */

/* layer = X D', D the weights' part of d; with the sizes of all entries if `sizes`. */
static void layer_changes(int threads, bool sizes, const nm_groups *groups, const double *d)
{
    const nm_factor_space *space = groups->space;
    int64_t weights = space->n_out * space->n_in;
    double *matrix = groups->matrix;

    for (int64_t w = 0; w < weights; w++) {
        double value = space->column[w] >= 0 ? d[space->column[w]] : 0;

        matrix[w] = sizes ? fabs(value) : value;
    }
    memset(groups->layer, 0, (size_t)(groups->n_points * space->n_out) * sizeof(double));
    nm_dense_products(threads, false, groups->n_points, sizes ? groups->x_sizes : groups->x,
                      space->n_in, space->n_out, matrix, space->n_in, space->n_in, groups->layer,
                      space->n_out);
}

/* sum_i |g_i z_i| + sum_e |g_e d_e|: z is a sum of sizes already. */
static double size_of_form(const nm_factor_space *space, const double *g, const double *z,
                           const double *d)
{
    double sum = 0;

    for (int64_t i = 0; i < space->n_out; i++)
        sum += fabs(g[i] * z[i]);
    for (int64_t e = 0; e < space->n_extra; e++)
        sum += fabs(g[space->n_out + e] * d[space->extra_column[e]]);
    return sum;
}

static double value_of_form(const nm_factor_space *space, const double *g, const double *z,
                            const double *d)
{
    double sum = cblas_ddot((int)space->n_out, g, 1, z, 1);

    for (int64_t e = 0; e < space->n_extra; e++)
        sum += g[space->n_out + e] * d[space->extra_column[e]];
    return sum;
}

void nm_groups_times(int threads, bool sizes, const nm_groups *groups, const double *d, double *out)
{
    const nm_factor_space *space = groups->space;
    int64_t width = nm_factor_width(space);

    layer_changes(threads, sizes, groups, d);
    for (int64_t k = 0; k < groups->n_points; k++) {
        const double *z = groups->layer + k * space->n_out;

        for (int64_t place = groups->first[k]; place < groups->first[k + 1]; place++) {
            const double *g = groups->g + place * width;

            out[groups->row[place]] =
                sizes ? size_of_form(space, g, z, d) : value_of_form(space, g, z, d);
        }
    }
}

/* layer: for each point the sum of its rows' y g; out gets the extras' part. */
static void pull_layer(const nm_groups *groups, const double *y, double *out)
{
    const nm_factor_space *space = groups->space;
    int64_t width = nm_factor_width(space);

    memset(groups->layer, 0, (size_t)(groups->n_points * space->n_out) * sizeof(double));
    for (int64_t k = 0; k < groups->n_points; k++) {
        double *u = groups->layer + k * space->n_out;

        for (int64_t place = groups->first[k]; place < groups->first[k + 1]; place++) {
            const double *g = groups->g + place * width;
            double weight = y[groups->row[place]];

            if (weight == 0)
                continue;
            cblas_daxpy((int)space->n_out, weight, g, 1, u, 1);
            for (int64_t e = 0; e < space->n_extra; e++)
                out[space->extra_column[e]] += weight * g[space->n_out + e];
        }
    }
}

void nm_groups_transposed_times(int threads, const nm_groups *groups, const double *y, double *out)
{
    enum { STRIP = 32 };
    const nm_factor_space *space = groups->space;
    int64_t strips = (space->n_out + STRIP - 1) / STRIP;

    if (groups->n_points == 0)
        return;
    pull_layer(groups, y, out);
#pragma omp parallel for schedule(static) num_threads(threads) if (strips > 1)
    for (int64_t s = 0; s < strips; s++) {
        int64_t i = s * STRIP, count = space->n_out - i < STRIP ? space->n_out - i : STRIP;

        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)count, (int)space->n_in,
                    (int)groups->n_points, 1, groups->layer + i, (int)space->n_out, groups->x,
                    (int)space->n_in, 0, groups->matrix + i * space->n_in, (int)space->n_in);
    }
    for (int64_t w = 0; w < space->n_out * space->n_in; w++)
        if (space->column[w] >= 0)
            out[space->column[w]] += groups->matrix[w];
}
