/* Rows of the least-distance problem behind l2: their inner products and right-hand sides. */
#include <math.h>

#include "base/mem.h"
#include "solve/active_set.h"
#include "tensor/dense.h"

/* Coefficient j of the row of A or C behind o. */
static double stored_entry(const nm_active_set *s, const nm_origin *o, int64_t j)
{
    const nm_factors *f = o->from == NM_FROM_TERM ? s->spec->term_factors : &s->rows->factors;

    return nm_active_set_has_factors(s) ? nm_factors_entry(f, o->index, s->place[j])
                                        : nm_active_set_stored(s, o)[j];
}

/* Product of two rows of which one is a bound. */
static double bound_product(const nm_active_set *s, const nm_origin *bound, const nm_origin *other)
{
    if (nm_origin_is_bound(other))
        return bound->index == other->index
                   ? nm_origin_bound_sign(bound) * nm_origin_bound_sign(other)
                   : 0;
    return nm_origin_bound_sign(bound) * nm_origin_sign(other) * other->scale *
           stored_entry(s, other, bound->index);
}

/* Products of a batch of new stored rows, unscaled, with all terms and all rows. */
typedef struct products {
    int64_t first; /* the batch: rows first .. of the least-distance problem */
    int64_t count;
    double *with_terms; /* [count x n_terms] */
    double *with_rows;  /* [count x rows.m] */
} products;

/* The same from the factors. */
static nm_status multiply_factored_batch(const nm_active_set *s, products *p, nm_err *err)
{
    int threads = nm_ctx_threads(s->ctx);
    const nm_origin *o = &s->origins[p->first];
    nm_factors list = nm_factors_slice(
        o->from == NM_FROM_TERM ? s->spec->term_factors : &s->rows->factors, o->index, p->count);
    nm_groups batch = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_groups_make(&list, NULL, NULL, &batch, err));
    if (s->spec->n_terms > 0)
        NM_TRY(nm_groups_products(threads, false, &batch, s->spec->term_groups, NULL, p->with_terms,
                                  s->spec->n_terms, err));
    if (s->rows->m > 0)
        NM_TRY(nm_groups_products(threads, false, &batch, &s->rows->groups, NULL, p->with_rows,
                                  s->rows->m, err));
done:
    nm_groups_free(&batch);
    return rc;
}

static nm_status multiply_batch(const nm_active_set *s, products *p, nm_err *err)
{
    int threads = nm_ctx_threads(s->ctx);
    int64_t n = s->spec->n, n_terms = s->spec->n_terms, m = s->rows->m;
    nm_status rc = NM_OK;

    if (p->count == 0)
        return NM_OK;
    NM_TRY(nm_alloc(&p->with_terms, (size_t)(p->count * n_terms), sizeof(double), err));
    NM_TRY(nm_alloc(&p->with_rows, (size_t)(p->count * m), sizeof(double), err));
    if (nm_active_set_has_factors(s)) {
        NM_TRY(multiply_factored_batch(s, p, err));
        goto done;
    }
    const double *batch = nm_active_set_stored(s, &s->origins[p->first]);
    if (n_terms > 0)
        nm_dense_products(threads, false, p->count, batch, n, n_terms, s->spec->terms, n, n,
                          p->with_terms, n_terms);
    if (m > 0)
        nm_dense_products(threads, false, p->count, batch, n, m, s->rows->a, n, n, p->with_rows, m);
done:
    return rc;
}

/* Product of rows i (of the batch) and j, neither a bound. */
static double stored_product(const nm_active_set *s, const products *p, int64_t i, int64_t j)
{
    const nm_origin *a = &s->origins[i], *b = &s->origins[j];
    double scale = a->scale * b->scale;

    if (b->from == NM_FROM_ROW) {
        double sign = a->from == NM_FROM_TERM ? -1 : 1;
        return sign * scale * p->with_rows[(i - p->first) * s->rows->m + b->index];
    }
    double sign = a->from == NM_FROM_TERM ? 1 : -1;
    return scale * (sign * p->with_terms[(i - p->first) * s->spec->n_terms + b->index] + (i == j));
}

/* Row i of the Gram matrix, left half, mirrored into column i. */
static void fill_gram_row(nm_active_set *s, const products *batch, int64_t i)
{
    nm_ldp *ldp = &s->ldp;
    const nm_origin *o = &s->origins[i];

    for (int64_t j = 0; j <= i; j++) {
        const nm_origin *p = &s->origins[j];
        double value = nm_origin_is_bound(o)   ? bound_product(s, o, p)
                       : nm_origin_is_bound(p) ? bound_product(s, p, o)
                                               : stored_product(s, batch, i, j);

        ldp->k[i * ldp->capacity + j] = value;
        ldp->k[j * ldp->capacity + i] = value;
    }
}

static double target(const nm_active_set *s, const nm_origin *o)
{
    switch (o->from) {
    case NM_FROM_TERM:
        return o->scale * s->spec->offset[o->index];
    case NM_FROM_ROW:
        return o->scale * s->rows->h[o->index];
    case NM_FROM_LOWER:
        return s->spec->lo[o->index];
    default:
        return -s->spec->hi[o->index];
    }
}

/* @param square  of the length of the stored part, from the factors; 0 = not known */
static double inverse_length(const nm_active_set *s, const nm_origin *o, double square)
{
    nm_rows terms = nm_master_terms(s->spec);

    if (nm_origin_is_bound(o))
        return 1;
    double length =
        square > 0 ? sqrt(square)
                   : nm_row_measure(o->from == NM_FROM_TERM ? &terms : s->rows, o->index).length;
    if (o->from == NM_FROM_TERM)
        length = hypot(length, 1);
    return length > 0 ? 1 / length : 1;
}

/* Square of row i of the batch, if its products come from factors: saves a pass over the rows. */
static double known_square(const nm_active_set *s, const products *batch, int64_t i)
{
    const nm_origin *o = &s->origins[i];
    int64_t place = i - batch->first;

    if (batch->count == 0 || !nm_active_set_has_factors(s))
        return 0;
    return o->from == NM_FROM_TERM ? batch->with_terms[place * s->spec->n_terms + o->index]
                                   : batch->with_rows[place * s->rows->m + o->index];
}

nm_status nm_active_set_take_over(nm_active_set *s, int64_t count, nm_err *err)
{
    products batch = {.first = s->ldp.m};
    nm_status rc = NM_OK;

    if (count > 0 && !nm_origin_is_bound(&s->origins[batch.first]))
        batch.count = count;
    NM_TRY(multiply_batch(s, &batch, err));
    NM_TRY(nm_ldp_grow(&s->ldp, batch.first + count, err));
    for (int64_t i = batch.first; i < batch.first + count; i++) {
        s->origins[i].scale = inverse_length(s, &s->origins[i], known_square(s, &batch, i));
        s->ldp.h[i] = target(s, &s->origins[i]);
        fill_gram_row(s, &batch, i);
    }
done:
    nm_free(batch.with_terms);
    nm_free(batch.with_rows);
    return rc;
}
