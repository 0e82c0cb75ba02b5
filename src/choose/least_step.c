#include "choose/least_step.h"

#include <math.h>
#include <string.h>

#include "solve/gram.h"

static bool all_finite(const double *v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]))
            return false;
    return true;
}

nm_status nm_least_step(const nm_ctx *ctx, const double *k, const double *h, int64_t m, double *y,
                        double *length, nm_err *err)
{
    nm_gram gram = {0};
    nm_ldp_outcome outcome;
    nm_status rc = NM_OK;

    *length = NAN;
    if (!all_finite(k, m * m) || !all_finite(h, m))
        return NM_OK;
    NM_TRY(nm_gram_grow(&gram, m, err));
    for (int64_t i = 0; i < m; i++) /* both halves from one set of numbers */
        for (int64_t j = 0; j <= i; j++)
            gram.k[i * gram.capacity + j] = gram.k[j * gram.capacity + i] = k[i * m + j];
    memcpy(gram.h, h, (size_t)m * sizeof *h);
    nm_gram_take(&gram, 0);
    NM_TRY(nm_gram_solve(&gram, ctx, &outcome, err));
    if (outcome == NM_LDP_SOLVED) {
        *length = nm_gram_length(&gram);
        if (y)
            nm_gram_multipliers(&gram, y);
    } else if (outcome == NM_LDP_INFEASIBLE) {
        *length = INFINITY;
    }
done:
    nm_gram_free(&gram);
    return rc;
}
