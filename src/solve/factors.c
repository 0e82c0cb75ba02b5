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

nm_status nm_factor_places(const nm_factor_space *space, int64_t n, int64_t **place, nm_err *err)
{
    int64_t weights = space->n_out * space->n_in;
    nm_status rc = nm_alloc(place, (size_t)n, sizeof **place, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t j = 0; j < n; j++)
        (*place)[j] = -1;
    for (int64_t w = 0; w < weights; w++)
        if (space->column[w] >= 0)
            (*place)[space->column[w]] = w;
    for (int64_t e = 0; e < space->n_extra; e++)
        (*place)[space->extra_column[e]] = weights + e;
    return NM_OK;
}

double nm_factors_entry(const nm_factors *list, int64_t r, int64_t place)
{
    const nm_factor_space *space = list->space;
    const double *g = list->g + r * nm_factor_width(space);
    int64_t weights = space->n_out * space->n_in;

    if (place < 0 || place >= weights)
        return place < 0 ? 0 : g[space->n_out + place - weights];
    return g[place / space->n_in] * space->x[list->point[r] * space->n_in + place % space->n_in];
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
    nm_free(groups->free_first);
    nm_free(groups->free_column);
    nm_free(groups->packed);
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

/* Where the first weight stands if all follow it in their order, else -1. */
static int64_t find_direct(const nm_factor_space *space)
{
    int64_t weights = space->n_out * space->n_in, first = weights > 0 ? space->column[0] : -1;

    for (int64_t w = 0; w < weights && first >= 0; w++)
        if (space->column[w] != first + w)
            first = -1;
    return first;
}

static int64_t count_free(const nm_factor_space *space)
{
    int64_t count = 0;

    for (int64_t w = 0; w < space->n_out * space->n_in; w++)
        count += space->column[w] >= 0;
    return count;
}

/* The free weights and their inputs. */
static nm_status pack_free(nm_groups *groups, nm_err *err)
{
    const nm_factor_space *space = groups->space;
    int64_t place = 0, n_points = groups->n_points;
    nm_status rc = NM_OK;

    NM_TRY(
        nm_alloc(&groups->free_first, (size_t)space->n_out + 1, sizeof *groups->free_first, err));
    NM_TRY(
        nm_alloc(&groups->free_column, (size_t)groups->n_free, sizeof *groups->free_column, err));
    NM_TRY(
        nm_alloc(&groups->packed, (size_t)groups->n_free, (size_t)n_points * sizeof(double), err));
    for (int64_t i = 0; i < space->n_out; i++) {
        groups->free_first[i] = place;
        for (int64_t k = 0; k < space->n_in; k++) {
            if (space->column[i * space->n_in + k] < 0)
                continue;
            for (int64_t p = 0; p < n_points; p++)
                groups->packed[place * n_points + p] = groups->x[p * space->n_in + k];
            groups->free_column[place++] = space->column[i * space->n_in + k];
        }
    }
    groups->free_first[space->n_out] = place;
done:
    return rc;
}

/* Elements of the scratch matrix. */
static int64_t matrix_size(const nm_groups *groups)
{
    const nm_factor_space *space = groups->space;

    if (groups->sparse)
        return groups->n_free > groups->n_points ? groups->n_free : groups->n_points;
    return (groups->direct >= 0 ? (int64_t)NM_STRIP : space->n_out) * space->n_in;
}

nm_status nm_groups_make(const nm_factors *rows, const double *scale, const nm_factors *terms,
                         nm_groups *groups, nm_err *err)
{
    const nm_factor_space *space = rows->space;
    int64_t *next = NULL;
    nm_status rc = NM_OK;

    nm_groups_free(groups);
    *groups = (nm_groups){.space = space,
                          .m = rows->m + (terms ? terms->m : 0),
                          .n_free = count_free(space),
                          .direct = find_direct(space)};
    groups->full = groups->n_free == space->n_out * space->n_in;
    groups->sparse = groups->n_free < space->n_out * space->n_in / 4;
    NM_TRY(place_points(rows, terms, groups, &next, err));
    NM_TRY(nm_alloc(&groups->row, (size_t)groups->m, sizeof *groups->row, err));
    NM_TRY(nm_alloc(&groups->g, (size_t)groups->m, (size_t)nm_factor_width(space) * sizeof(double),
                    err));
    NM_TRY(nm_alloc(&groups->matrix, (size_t)matrix_size(groups), sizeof(double), err));
    if (groups->sparse)
        NM_TRY(pack_free(groups, err));
    place_rows(rows, scale, 0, groups, next);
    place_rows(terms, NULL, rows->m, groups, next);
done:
    nm_free(next);
    if (rc != NM_OK)
        nm_groups_free(groups);
    return rc;
}

/* -- products with vectors --------------------------------------------------------------------- */

/* Columns first .. first + count - 1 of layer = X D', D [count x n_in]. */
static void multiply_strip(int threads, const nm_groups *groups, const double *x, int64_t first,
                           int64_t count, const double *d)
{
    const nm_factor_space *space = groups->space;

    nm_dense_products(threads, false, groups->n_points, x, space->n_in, count, d, space->n_in,
                      space->n_in, groups->layer + first, space->n_out);
}

/* The same with |D| in place of D, strip by strip. */
static void multiply_sizes(int threads, const nm_groups *groups, const double *d)
{
    const nm_factor_space *space = groups->space;

    for (int64_t first = 0; first < space->n_out; first += NM_STRIP) {
        int64_t count = space->n_out - first < NM_STRIP ? space->n_out - first : NM_STRIP;

        for (int64_t w = 0; w < count * space->n_in; w++) {
            int64_t column = space->column[first * space->n_in + w];

            groups->matrix[w] = column >= 0 ? fabs(d[column]) : 0;
        }
        multiply_strip(threads, groups, groups->x_sizes, first, count, groups->matrix);
    }
}

/* layer from the free weights only. */
static void multiply_free(bool sizes, const nm_groups *groups, const double *d)
{
    int64_t n_points = groups->n_points;
    double *sum = groups->matrix;

    for (int64_t i = 0; i < groups->space->n_out; i++) {
        if (groups->free_first[i] == groups->free_first[i + 1])
            continue;
        memset(sum, 0, (size_t)n_points * sizeof *sum);
        for (int64_t j = groups->free_first[i]; j < groups->free_first[i + 1]; j++) {
            const double *x = groups->packed + j * n_points;
            double value = d[groups->free_column[j]];

            for (int64_t p = 0; p < n_points && value != 0; p++)
                sum[p] += sizes ? fabs(x[p] * value) : x[p] * value;
        }
        for (int64_t p = 0; p < n_points; p++)
            groups->layer[p * groups->space->n_out + i] = sum[p];
    }
}

/* layer = X D', D the weights' part of d; with the sizes of all entries if `sizes`. */
static void layer_changes(int threads, bool sizes, const nm_groups *groups, const double *d)
{
    const nm_factor_space *space = groups->space;

    memset(groups->layer, 0, (size_t)(groups->n_points * space->n_out) * sizeof(double));
    if (groups->sparse) {
        multiply_free(sizes, groups, d);
        return;
    }
    if (sizes) {
        multiply_sizes(threads, groups, d);
        return;
    }
    if (groups->direct >= 0) {
        multiply_strip(threads, groups, groups->x, 0, space->n_out, d + groups->direct);
        return;
    }
    for (int64_t w = 0; w < space->n_out * space->n_in; w++)
        groups->matrix[w] = space->column[w] >= 0 ? d[space->column[w]] : 0;
    multiply_strip(threads, groups, groups->x, 0, space->n_out, groups->matrix);
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

/* Outputs first .. first + count - 1 of the transposed product. */
static void pull_strip(const nm_groups *groups, int64_t first, int64_t count, double *out)
{
    const nm_factor_space *space = groups->space;
    bool direct = groups->direct >= 0;
    int64_t shift = first * space->n_in;
    double *to = direct ? out + groups->direct + shift : groups->matrix + shift;

    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)count, (int)space->n_in,
                (int)groups->n_points, 1, groups->layer + first, (int)space->n_out, groups->x,
                (int)space->n_in, direct ? 1 : 0, to, (int)space->n_in);
    for (int64_t w = 0; w < count * space->n_in && !direct; w++)
        if (space->column[shift + w] >= 0)
            out[space->column[shift + w]] += to[w];
}

static void pull_free(const nm_groups *groups, double *out)
{
    int n_points = (int)groups->n_points, stride = (int)groups->space->n_out;

    for (int64_t i = 0; i < groups->space->n_out; i++)
        for (int64_t j = groups->free_first[i]; j < groups->free_first[i + 1]; j++)
            out[groups->free_column[j]] +=
                cblas_ddot(n_points, groups->packed + j * n_points, 1, groups->layer + i, stride);
}

void nm_groups_transposed_times(int threads, const nm_groups *groups, const double *y, double *out)
{
    enum { STRIP = 32 };
    const nm_factor_space *space = groups->space;
    int64_t strips = (space->n_out + STRIP - 1) / STRIP;

    if (groups->n_points == 0)
        return;
    pull_layer(groups, y, out);
    if (groups->sparse) {
        pull_free(groups, out);
        return;
    }
#pragma omp parallel for schedule(static) num_threads(                                             \
    threads) if (strips > 1 && nm_worth_threads(groups->n_points * space->n_out * space->n_in))
    for (int64_t s = 0; s < strips; s++) {
        int64_t i = s * STRIP;

        pull_strip(groups, i, space->n_out - i < STRIP ? space->n_out - i : STRIP, out);
    }
}
