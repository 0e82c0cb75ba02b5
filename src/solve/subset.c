#include "solve/subset.h"

#include "base/mem.h"

void nm_subset_free(nm_subset *subset)
{
    nm_free(subset->column);
    nm_free(subset->map);
    nm_free(subset->extra);
    nm_groups_free(&subset->rows.groups);
    nm_groups_free(&subset->term_groups);
    nm_free(subset->rows.a);
    nm_free(subset->terms);
    nm_free(subset->weight);
    nm_free(subset->lo);
    nm_free(subset->hi);
    *subset = (nm_subset){0};
}

/* Weights in their order, then extras. */
static nm_status number_columns(const nm_factor_space *full, int64_t n, const unsigned char *chosen,
                                nm_subset *subset, nm_err *err)
{
    int64_t weights = full->n_out * full->n_in, next = 0, count = 0;
    nm_status rc = NM_OK;

    for (int64_t j = 0; j < n; j++)
        count += chosen[j] != 0;
    NM_TRY(nm_alloc(&subset->column, (size_t)count, sizeof *subset->column, err));
    NM_TRY(nm_alloc(&subset->weight, (size_t)count, sizeof *subset->weight, err));
    NM_TRY(nm_alloc(&subset->map, (size_t)weights, sizeof *subset->map, err));
    NM_TRY(nm_alloc(&subset->extra, (size_t)full->n_extra, sizeof *subset->extra, err));
    for (int64_t w = 0; w < weights; w++) {
        bool in = full->column[w] >= 0 && chosen[full->column[w]];

        subset->map[w] = in ? next : -1;
        if (!in)
            continue;
        subset->weight[next] = w;
        subset->column[next++] = full->column[w];
    }
    for (int64_t e = 0; e < full->n_extra; e++) {
        subset->extra[e] = next;
        subset->column[next++] = full->extra_column[e];
    }
    subset->spec.n = next;
    subset->space = *full;
    subset->space.column = subset->map;
    subset->space.extra_column = subset->extra;
done:
    return rc;
}

static nm_status take_bounds(const double *full, const nm_subset *subset, double **bounds,
                             nm_err *err)
{
    nm_status rc = NM_OK;

    if (!full)
        return NM_OK;
    rc = nm_alloc(bounds, (size_t)subset->spec.n, sizeof **bounds, err);
    for (int64_t j = 0; rc == NM_OK && j < subset->spec.n; j++)
        (*bounds)[j] = full[subset->column[j]];
    return rc;
}

static nm_factors moved_to(const nm_factors *list, const nm_factor_space *space)
{
    nm_factors moved = *list;

    moved.space = space;
    return moved;
}

/* Multiplications of A diag A' from factors and from rows written out, against each other: pairs of
 * points cost about 100 for each output, besides (measured). */
static bool is_dense_cheaper(const nm_subset *subset, const nm_rows *rows, int64_t n_terms)
{
    double m = (double)(rows->m + n_terms), n = (double)subset->spec.n;
    double points = (double)rows->groups.n_points, width = (double)subset->space.n_out;
    const double most_bytes = 256e6;

    return m * n * sizeof(double) < most_bytes && m * m * n < points * points * (100 * width + n);
}

/* Rows of a list over the columns of the subset. */
static nm_status write_out(const nm_subset *subset, const nm_factors *list, double **out,
                           nm_err *err)
{
    const nm_factor_space *space = &subset->space;
    int64_t n = subset->spec.n, n_weights = n - space->n_extra, width = nm_factor_width(space);
    double *a;
    nm_status rc = nm_alloc(out, (size_t)list->m, (size_t)n * sizeof **out, err);

    if (rc != NM_OK)
        return rc;
    a = *out;
    for (int64_t r = 0; r < list->m; r++, a += n) {
        const double *g = list->g + r * width, *x = space->x + list->point[r] * space->n_in;

        for (int64_t j = 0; j < n_weights; j++) {
            int64_t w = subset->weight[j];

            a[j] = g[w / space->n_in] * x[w % space->n_in];
        }
        for (int64_t e = 0; e < space->n_extra; e++)
            a[n_weights + e] = g[space->n_out + e];
    }
    return NM_OK;
}

static nm_status make_dense(const nm_master_spec *spec, const nm_rows *rows, nm_subset *subset,
                            nm_err *err)
{
    nm_status rc = NM_OK;

    subset->spec.space = NULL;
    subset->spec.term_factors = NULL;
    subset->spec.term_groups = NULL;
    NM_TRY(write_out(subset, &rows->factors, &subset->rows.a, err));
    if (spec->n_terms > 0)
        NM_TRY(write_out(subset, spec->term_factors, &subset->terms, err));
    subset->spec.terms = subset->terms;
done:
    return rc;
}

nm_status nm_subset_make(const nm_master_spec *spec, const nm_rows *rows,
                         const unsigned char *chosen, nm_subset *subset, nm_err *err)
{
    nm_status rc = NM_OK;

    nm_subset_free(subset);
    subset->spec = *spec;
    NM_TRY(number_columns(spec->space, spec->n, chosen, subset, err));
    NM_TRY(take_bounds(spec->lo, subset, &subset->lo, err));
    NM_TRY(take_bounds(spec->hi, subset, &subset->hi, err));
    subset->spec.lo = subset->lo;
    subset->spec.hi = subset->hi;
    subset->spec.space = &subset->space;
    subset->rows = (nm_rows){
        .n = subset->spec.n,
        .m = rows->m,
        .h = rows->h,
        .size = rows->size, /* of the full rows: near enough for scales */
    };
    if (is_dense_cheaper(subset, rows, spec->n_terms)) {
        NM_TRY(make_dense(spec, rows, subset, err));
        goto done;
    }
    subset->rows.factors = moved_to(&rows->factors, &subset->space);
    NM_TRY(nm_groups_make(&subset->rows.factors, NULL, NULL, &subset->rows.groups, err));
    if (spec->n_terms > 0) {
        subset->term_factors = moved_to(spec->term_factors, &subset->space);
        NM_TRY(nm_groups_make(&subset->term_factors, NULL, NULL, &subset->term_groups, err));
        subset->spec.term_factors = &subset->term_factors;
        subset->spec.term_groups = &subset->term_groups;
    }
done:
    if (rc != NM_OK)
        nm_subset_free(subset);
    return rc;
}
