/* Random moves of a coordinate or two, kept where they help. Finds what gradients miss: thin unsafe
 * sets behind kinks, where the excess is flat or the gradient points elsewhere. */
#include <math.h>

#include "base/rng.h"
#include "verify/attack_points.h"

enum { STREAM_MOVES = 1 << 30 };

/* Length of the last moves against the first. */
#define SHORTEST 1e-3

static void move(nm_attack_points *to, int64_t i, double length, uint64_t stream)
{
    nm_rng rng = {.seed = to->attack->seed, .stream = stream};
    int n = 1 + (int)nm_rng_below(&rng, 2);

    for (int k = 0; k < n; k++) {
        int64_t j = (int64_t)nm_rng_below(&rng, (uint64_t)to->n_in);
        double width = (double)to->hi[j] - (double)to->lo[j];
        float *x = &to->x[i * to->n_in + j];
        double moved = (double)*x + length * width * (2 * nm_rng_uniform(&rng) - 1);

        *x = fminf(fmaxf((float)moved, to->lo[j]), to->hi[j]);
    }
}

nm_status nm_attack_moves(nm_attack_points *p, int n_rounds, double longest, bool *found,
                          nm_err *err)
{
    nm_attack_points tried = {0};
    double length = longest, shrink = pow(SHORTEST, 1.0 / (n_rounds > 1 ? n_rounds - 1 : 1));
    nm_status rc = NM_OK;

    *found = false;
    if (p->n == 0)
        return NM_OK;
    NM_TRY(nm_attack_points_new(p->attack, p->lo, p->hi, p->n, &tried, err));
    tried.n = p->n;
    for (int k = 0; k < n_rounds && !*found; k++, length *= shrink) {
        for (int64_t i = 0; i < p->n; i++) {
            nm_attack_points_copy(&tried, i, p, i);
            move(&tried, i, length, p->attack->stream + (uint64_t)(STREAM_MOVES + k * p->n + i));
        }
        NM_TRY(nm_attack_points_judge(&tried, found, err));
        for (int64_t i = 0; i < p->n; i++)
            if (tried.f[i] < p->f[i])
                nm_attack_points_copy(p, i, &tried, i);
    }
done:
    nm_attack_points_free(&tried);
    return rc;
}
