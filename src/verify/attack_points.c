#include "verify/attack_points.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

nm_status nm_attack_points_new(const nm_attack *attack, const float *lo, const float *hi,
                               int64_t room, nm_attack_points *out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_attack_points){.attack = attack,
                              .lo = lo,
                              .hi = hi,
                              .n_in = attack->property->n_in,
                              .n_out = attack->property->n_out,
                              .room = room};
    NM_TRY(nm_alloc(&out->x, (size_t)room, (size_t)out->n_in * sizeof *out->x, err));
    NM_TRY(nm_alloc(&out->y, (size_t)room, (size_t)out->n_out * sizeof *out->y, err));
    NM_TRY(nm_alloc(&out->f, (size_t)room, sizeof *out->f, err));
done:
    return rc;
}

void nm_attack_points_free(nm_attack_points *p)
{
    nm_free(p->x);
    nm_free(p->y);
    nm_free(p->f);
    *p = (nm_attack_points){0};
}

int64_t nm_attack_worst_row(const nm_attack *attack, const double *y, int64_t case_index,
                            double *excess)
{
    const nm_property *p = attack->property;
    const nm_out_case *c = &p->cases[case_index];
    int64_t worst = -1;

    *excess = -INFINITY;
    for (int64_t r = c->first; r < c->first + c->n_rows; r++) {
        const nm_out_row *row = &p->rows[r];
        double sum = -row->limit_in;

        for (int32_t k = 0; k < row->n_terms; k++)
            sum += row->coef[k] * y[row->output[k]];
        if (!(sum <= *excess)) {
            *excess = isnan(sum) ? (double)INFINITY : sum;
            worst = r;
        }
    }
    return worst;
}

int64_t nm_attack_best_case(const nm_attack *attack, const double *y, double *excess)
{
    int64_t first = attack->box->first_case, best = first;
    double f;

    *excess = INFINITY;
    for (int64_t c = first; c < first + attack->box->n_cases; c++) {
        (void)nm_attack_worst_row(attack, y, c, &f);
        if (f < *excess) {
            *excess = f;
            best = c;
        }
    }
    return best;
}

nm_status nm_attack_points_judge(nm_attack_points *p, bool *found, nm_err *err)
{
    nm_status rc = NM_OK;
    double *y = NULL;

    *found = false;
    NM_TRY(nm_alloc(&y, (size_t)p->n_out, sizeof *y, err));
    NM_TRY(nm_net_forward_f32(p->attack->ctx, p->attack->net, p->x, p->n, p->y, err));
    for (int64_t i = 0; i < p->n; i++) {
        for (int64_t o = 0; o < p->n_out; o++)
            y[o] = (double)p->y[i * p->n_out + o];
        (void)nm_attack_best_case(p->attack, y, &p->f[i]);
    }
    for (int64_t i = 0; i < p->n && !*found; i++)
        *found = p->f[i] <= 0 && p->attack->hit(p->attack->user, p->x + i * p->n_in);
done:
    nm_free(y);
    return rc;
}

void nm_attack_points_copy(nm_attack_points *to, int64_t i, const nm_attack_points *from, int64_t j)
{
    memcpy(to->x + i * to->n_in, from->x + j * to->n_in, (size_t)to->n_in * sizeof *to->x);
    to->f[i] = from->f[j];
}

void nm_attack_points_offer(nm_attack_points *best, const nm_attack_points *from, int64_t j)
{
    int64_t at = best->n;

    if (best->n == best->room && !(from->f[j] < best->f[best->n - 1]))
        return;
    at = best->n < best->room ? best->n++ : best->n - 1;
    for (; at > 0 && from->f[j] < best->f[at - 1]; at--)
        nm_attack_points_copy(best, at, best, at - 1);
    nm_attack_points_copy(best, at, from, j);
}

void nm_attack_points_draw(nm_attack_points *p, int64_t i, uint64_t stream)
{
    nm_rng rng = {.seed = p->attack->seed, .stream = stream};
    float *x = p->x + i * p->n_in;

    for (int64_t j = 0; j < p->n_in; j++) {
        double share = nm_rng_uniform(&rng);
        float v = (float)((1 - share) * (double)p->lo[j] + share * (double)p->hi[j]);

        x[j] = fminf(fmaxf(v, p->lo[j]), p->hi[j]);
    }
}
