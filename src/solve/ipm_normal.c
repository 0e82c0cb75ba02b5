/* Products with the rows and terms, and the normal matrix of the interior point method. */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "solve/ipm_state.h"
#include "tensor/dense.h"

/* Columns are taken in blocks; a row without a nonzero in a block stays out of its product. Rows of
 * a last layer touch only the weights of two outputs, which makes this worth while. */
enum { WIDTH = 256 };

int64_t nm_ipm_column_blocks(int64_t n)
{
    return (n + WIDTH - 1) / WIDTH;
}

/* Only without factors. */
static const double *row_or_term(const nm_ipm *ipm, int64_t i)
{
    return i < ipm->m ? ipm->rows->a + i * ipm->n : ipm->spec->terms + (i - ipm->m) * ipm->n;
}

nm_status nm_ipm_take_factors(nm_ipm *ipm, nm_err *err)
{
    const nm_factors *terms = ipm->n_terms > 0 ? ipm->spec->term_factors : NULL;

    return nm_groups_make(&ipm->rows->factors, ipm->scale, terms, &ipm->groups, err);
}

static bool has_factors(const nm_ipm *ipm)
{
    return ipm->rows->factors.space != NULL;
}

/* `values` times the columns' scale to some power, in ipm->scaled; as they are without one. */
static const double *scale_columns(const nm_ipm *ipm, const double *values, bool twice)
{
    if (!ipm->reduced)
        return values;
    for (int64_t j = 0; j < ipm->n; j++) {
        double scale = ipm->reduced->scale[j];

        ipm->scaled[j] = values[j] * scale * (twice ? scale : 1);
    }
    return ipm->scaled;
}

void nm_ipm_times(const nm_ipm *ipm, const double *coords, double *out)
{
    const double *d = scale_columns(ipm, coords, false);

    if (has_factors(ipm)) {
        nm_groups_times(ipm->threads, false, &ipm->groups, d, out);
    } else {
        nm_dense_times(ipm->threads, ipm->m, ipm->n, ipm->rows->a, d, out);
        for (int64_t r = 0; r < ipm->m; r++)
            out[r] *= ipm->scale[r];
        nm_dense_times(ipm->threads, ipm->n_terms, ipm->n, ipm->spec->terms, d, out + ipm->m);
    }
    for (int64_t k = 0; k < ipm->n_terms; k++)
        out[ipm->m + k] -= coords[ipm->n + k];
}

/* out += the transpose of [A scaled; C] times `all`. */
static void dense_transposed_times(const nm_ipm *ipm, const double *all, double *out)
{
    double *scaled = ipm->products;

    for (int64_t r = 0; r < ipm->m; r++)
        scaled[r] = ipm->scale[r] * all[r];
    nm_dense_transposed_times(ipm->threads, ipm->m, ipm->n, ipm->rows->a, scaled, out);
    nm_dense_transposed_times(ipm->threads, ipm->n_terms, ipm->n, ipm->spec->terms, all + ipm->m,
                              out);
}

void nm_ipm_transposed_times(const nm_ipm *ipm, const double *all, double *out)
{
    memset(out, 0, (size_t)ipm->n * sizeof *out);
    if (has_factors(ipm))
        nm_groups_transposed_times(ipm->threads, &ipm->groups, all, out);
    else
        dense_transposed_times(ipm, all, out);
    for (int64_t j = 0; j < ipm->n && ipm->reduced; j++)
        out[j] *= ipm->reduced->scale[j];
    for (int64_t k = 0; k < ipm->n_terms; k++)
        out[ipm->n + k] = -all[ipm->m + k];
}

void nm_ipm_mark_columns(nm_ipm *ipm, int64_t first)
{
    int64_t blocks = nm_ipm_column_blocks(ipm->n);

    for (int64_t i = first; i < ipm->n_all; i++) {
        const double *a = row_or_term(ipm, i);
        unsigned char *mark = ipm->occupied + i * blocks;

        memset(mark, 0, (size_t)blocks);
        for (int64_t j = 0; j < ipm->n; j++)
            mark[j / WIDTH] |= a[j] != 0;
    }
}

/* One block of columns: the rows that use it, scaled by the roots of theta. */
typedef struct panel {
    int64_t first, width, count;
    int64_t *row;    /* [count] */
    double *values;  /* [count x WIDTH] */
    double *product; /* [count x count] unless all rows use the block */
} panel;

static void pack_panel(const nm_ipm *ipm, int64_t block, panel *p)
{
    int64_t blocks = nm_ipm_column_blocks(ipm->n);
    double root[WIDTH];

    p->first = block * WIDTH;
    p->width = ipm->n - p->first < WIDTH ? ipm->n - p->first : WIDTH;
    p->count = 0;
    for (int64_t i = 0; i < ipm->n_all; i++) {
        if (ipm->occupied[i * blocks + block])
            p->row[p->count++] = i;
    }
    for (int64_t j = 0; j < p->width; j++)
        root[j] =
            sqrt(ipm->theta[p->first + j]) * (ipm->reduced ? ipm->reduced->scale[p->first + j] : 1);
#pragma omp parallel for schedule(static) num_threads(ipm->threads) if (p->count > 1000)
    for (int64_t i = 0; i < p->count; i++) {
        const double *a = row_or_term(ipm, p->row[i]) + p->first;
        double scale = p->row[i] < ipm->m ? ipm->scale[p->row[i]] : 1;

        for (int64_t j = 0; j < p->width; j++)
            p->values[i * WIDTH + j] = scale * a[j] * root[j];
    }
}

/* normal += values values' (lower half). */
static void add_panel(nm_ipm *ipm, panel *p)
{
    if (p->count == ipm->n_all) {
        nm_dense_products(ipm->threads, true, p->count, p->values, WIDTH, p->count, p->values,
                          WIDTH, p->width, ipm->normal, ipm->ld);
        return;
    }
    memset(p->product, 0, (size_t)(p->count * p->count) * sizeof *p->product);
    nm_dense_products(ipm->threads, true, p->count, p->values, WIDTH, p->count, p->values, WIDTH,
                      p->width, p->product, p->count);
    for (int64_t i = 0; i < p->count; i++) {
        double *out = ipm->normal + p->row[i] * ipm->ld;

        for (int64_t j = 0; j <= i; j++)
            out[p->row[j]] += p->product[i * p->count + j];
    }
}

/* normal = [A scaled; C] Theta [A scaled; C]', from dense rows. */
static nm_status multiply_panels(nm_ipm *ipm, nm_err *err)
{
    size_t count = (size_t)ipm->n_all;
    panel p = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&p.row, count, sizeof *p.row, err));
    NM_TRY(nm_alloc(&p.values, count * WIDTH, sizeof *p.values, err));
    NM_TRY(nm_alloc(&p.product, count * count, sizeof *p.product, err));
    for (int64_t i = 0; i < ipm->n_all; i++)
        memset(ipm->normal + i * ipm->ld, 0, count * sizeof *ipm->normal);
    for (int64_t block = 0; block < nm_ipm_column_blocks(ipm->n); block++) {
        NM_TRY(nm_ctx_check(ipm->ctx, err));
        pack_panel(ipm, block, &p);
        add_panel(ipm, &p);
    }
done:
    nm_free(p.row);
    nm_free(p.values);
    nm_free(p.product);
    return rc;
}

nm_status nm_ipm_room_for_normal(nm_ipm *ipm, int64_t n, nm_err *err)
{
    size_t elements;
    nm_status rc = NM_OK;

    if (!nm_mul_size((size_t)n, (size_t)n, &elements) || elements > INT64_MAX)
        NM_THROW(err, NM_E_NOMEM, "out of memory: normal matrix of %lld rows", (long long)n);
    if ((int64_t)elements > ipm->normal_room) {
        elements += elements / 4;
        nm_free(ipm->normal);
        ipm->normal = NULL;
        ipm->normal_room = 0;
        NM_TRY(nm_alloc(&ipm->normal, elements, sizeof *ipm->normal, err));
        ipm->normal_room = (int64_t)elements;
    }
    ipm->ld = n;
done:
    return rc;
}

static nm_status form_normal(nm_ipm *ipm, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(nm_ipm_room_for_normal(ipm, ipm->n_all, err));
    if (has_factors(ipm))
        NM_TRY(nm_groups_products(ipm->threads, true, &ipm->groups, &ipm->groups,
                                  scale_columns(ipm, ipm->theta, true), ipm->normal, ipm->ld, err));
    else
        NM_TRY(multiply_panels(ipm, err));
    if (ipm->has_t)
        cblas_dsyr(CblasRowMajor, CblasLower, (int)ipm->n_all, 1 / ipm->stiffness, ipm->coupling, 1,
                   ipm->normal, (int)ipm->ld);
    for (int64_t r = 0; r < ipm->m; r++)
        ipm->normal[r * (ipm->ld + 1)] += ipm->row.slack[r] / ipm->row.z[r];
    for (int64_t k = 0; k < ipm->n_terms; k++)
        ipm->normal[(ipm->m + k) * (ipm->ld + 1)] += ipm->theta[ipm->n + k];
done:
    return rc;
}

nm_status nm_ipm_factor(nm_ipm *ipm, bool *ok, nm_err *err)
{
    if (ipm->neurons)
        return nm_ipm_neurons_factor(ipm, scale_columns(ipm, ipm->theta, true), ok, err);
    nm_status rc = form_normal(ipm, err);

    *ok = rc == NM_OK &&
          nm_dense_cholesky(ipm->threads, ipm->n_all, ipm->normal, ipm->ld, 1e-15) >= 0;
    return rc;
}

void nm_ipm_solve(const nm_ipm *ipm, double *b)
{
    if (ipm->neurons)
        nm_ipm_neurons_solve(ipm, b);
    else
        nm_dense_cholesky_solve(ipm->n_all, ipm->normal, ipm->ld, b);
}
