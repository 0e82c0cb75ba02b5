/* Inner products of the rows of edited layers, and combinations of them. */
#include <cblas.h>
#include <string.h>

#include "base/mem.h"
#include "problem/forms_inside.h"
#include "tensor/dense.h"

/* -- inner products ------------------------------------------------------------------------ */

/* k[i, j] += sum over places of gg o uu. */
static void fold_places(const nm_forms *f, const nm_layer_forms *l, int64_t rows, const double *gg,
                        const double *uu, double *k, int64_t ld)
{
    int64_t t = l->places, columns = f->m * t, slots = f->n_slots * t;

#pragma omp parallel for schedule(static)                                                          \
    num_threads(nm_ctx_threads(f->ctx)) if (rows * f->m > 4096)
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < f->m; j++) {
            double sum = 0;

            for (int64_t p = 0; p < t; p++) {
                const double *a = gg + (i * t + p) * columns + j * t;
                const double *b = uu + (i * t + p) * slots + f->slot[j] * t;

                for (int64_t q = 0; q < t; q++)
                    sum += a[q] * b[q];
            }
            k[i * ld + j] += sum;
        }
}

/* Inner products of rows first .. first + rows - 1 in one layer with all rows, added to k. */
static nm_status add_layer_products(const nm_forms *f, const nm_layer_forms *l, int64_t first,
                                    int64_t rows, double *k, int64_t ld, nm_err *err)
{
    int threads = nm_ctx_threads(f->ctx);
    int64_t t = l->places, seen = t * l->width;
    double *gg = NULL, *uu = NULL, *u = NULL;
    nm_status rc = NM_OK;

    if (l->whole) {
        nm_dense_products(threads, false, rows, l->g + first * l->width, l->width, f->m, l->sg,
                          l->width, l->width, k, ld);
        return NM_OK;
    }
    NM_TRY(nm_alloc(&gg, (size_t)(rows * t), (size_t)(f->m * t) * sizeof *gg, err));
    NM_TRY(nm_alloc(&uu, (size_t)(rows * t), (size_t)(f->n_slots * t) * sizeof *uu, err));
    NM_TRY(nm_alloc(&u, (size_t)rows, (size_t)seen * sizeof *u, err));
    for (int64_t i = 0; i < rows; i++)
        memcpy(u + i * seen, l->u + f->slot[first + i] * seen, (size_t)seen * sizeof *u);
    nm_dense_products(threads, false, rows * t, l->g + first * t * l->n_out, l->n_out, f->m * t,
                      l->sg, l->n_out, l->n_out, gg, f->m * t);
    nm_dense_products(threads, false, rows * t, u, l->width, f->n_slots * t, l->su, l->width,
                      l->width, uu, f->n_slots * t);
    fold_places(f, l, rows, gg, uu, k, ld);
done:
    nm_free(gg);
    nm_free(uu);
    nm_free(u);
    return rc;
}

/* Rows at a time, so that what is in between stays small. */
static int64_t rows_at_once(const nm_forms *f, const nm_layer_forms *l)
{
    const int64_t elements = 1 << 23;
    int64_t columns = f->m > f->n_slots ? f->m : f->n_slots;

    return elements / (l->places * l->places * columns + 1) + 1;
}

/* Inner products in one layer of rows first .. m-1, added to those rows of k. */
static nm_status add_in_steps(const nm_forms *f, const nm_layer_forms *l, int64_t first, double *k,
                              int64_t ld, nm_err *err)
{
    int64_t step = rows_at_once(f, l);
    nm_status rc = NM_OK;

    for (int64_t i = first; rc == NM_OK && i < f->m; i += step) {
        rc = nm_ctx_check(f->ctx, err);
        if (rc == NM_OK)
            rc =
                add_layer_products(f, l, i, f->m - i < step ? f->m - i : step, k + i * ld, ld, err);
    }
    return rc;
}

nm_status nm_forms_layer_products(const nm_forms *f, int layer, double *k, nm_err *err)
{
    memset(k, 0, (size_t)(f->m * f->m) * sizeof *k);
    return add_in_steps(f, &f->layer[layer], 0, k, f->m, err);
}

nm_status nm_forms_products(const nm_forms *f, int64_t first, double *k, int64_t ld, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t r = first; r < f->m; r++)
        memset(k + r * ld, 0, (size_t)f->m * sizeof *k);
    for (int b = 0; b < f->edits->n; b++)
        NM_TRY(add_in_steps(f, &f->layer[b], first, k, ld, err));
    /* Both halves from one set of numbers. */
    for (int64_t i = first; i < f->m; i++)
        for (int64_t j = 0; j < i; j++)
            k[j * ld + i] = k[i * ld + j];
done:
    return rc;
}

/* -- back to the unknowns ------------------------------------------------------------------ */

/* matrix [n_out x width] = sum over rows and places of y sg su'. */
static nm_status combine_layer(const nm_forms *f, const nm_layer_forms *l, const double *y,
                               double *matrix, nm_err *err)
{
    enum { STRIP = 64 };
    int64_t t = l->places, n_out = l->n_out, seen = t * l->width, used = 0;
    int64_t *place = NULL, strips = (n_out + STRIP - 1) / STRIP;
    double *pulled = NULL, *inputs = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&place, (size_t)f->n_slots, sizeof *place, err));
    for (int64_t r = 0; r < f->m; r++)
        if (y[r] != 0 && place[f->slot[r]] == 0)
            place[f->slot[r]] = ++used;
    NM_TRY(nm_alloc(&pulled, (size_t)(used * t), (size_t)n_out * sizeof *pulled, err));
    NM_TRY(nm_alloc(&inputs, (size_t)used, (size_t)seen * sizeof *inputs, err));
    for (int64_t s = 0; s < f->n_slots; s++)
        if (place[s] > 0)
            memcpy(inputs + (place[s] - 1) * seen, l->su + s * seen, (size_t)seen * sizeof *inputs);
    for (int64_t r = 0; r < f->m; r++)
        if (y[r] != 0)
            cblas_daxpy((int)(t * n_out), y[r], l->sg + r * t * n_out, 1,
                        pulled + (place[f->slot[r]] - 1) * t * n_out, 1);
#pragma omp parallel for schedule(static) num_threads(nm_ctx_threads(f->ctx)) if (strips > 1)
    for (int64_t s = 0; s < strips; s++) {
        int64_t i = s * STRIP, rows = n_out - i < STRIP ? n_out - i : STRIP;

        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)l->width,
                    (int)(used * t), 1, pulled + i, (int)n_out, inputs, (int)l->width, 0,
                    matrix + i * l->width, (int)l->width);
    }
done:
    nm_free(place);
    nm_free(pulled);
    nm_free(inputs);
    return rc;
}

nm_status nm_forms_layer_combine(const nm_forms *f, int b, const double *y, double *matrix,
                                 nm_err *err)
{
    const nm_edit *e = &f->edits->at[b];
    const nm_layer_forms *l = &f->layer[b];

    memset(matrix, 0, (size_t)(e->form.n_out * e->width) * sizeof *matrix);
    if (!l->whole)
        return combine_layer(f, l, y, matrix, err);
    nm_dense_transposed_times(nm_ctx_threads(f->ctx), f->m, l->width, l->sg, y, matrix);
    return NM_OK;
}

nm_status nm_forms_combine(const nm_forms *f, const double *y, double *d, nm_err *err)
{
    double *matrix = NULL;
    nm_status rc = NM_OK;

    for (int b = 0; b < f->edits->n; b++) {
        const nm_edit *e = &f->edits->at[b];

        NM_TRY(nm_realloc(&matrix, (size_t)(e->form.n_out * e->width), sizeof *matrix, err));
        NM_TRY(nm_forms_layer_combine(f, b, y, matrix, err));
        nm_edit_to_params(f->edits, b, matrix, d);
    }
done:
    nm_free(matrix);
    return rc;
}
