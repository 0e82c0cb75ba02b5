/* Steps along the sign of the gradient of the excess, for all points side by side. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/tape.h"
#include "verify/attack_points.h"

/* Length of the first step against half the width of the box, and of each against the one before.
 */
#define FIRST_STEP 1.0
#define SHRINK 0.8

typedef struct stepper {
    nm_attack_points *p;    /* where each point stands */
    nm_attack_points *best; /* the best on its way */
    nm_tape *at, *adjoint;
    int64_t *aim; /* [n] the case that a point is after; -1 = whichever is nearest */
} stepper;

/* Adjoints of the rows that decide. */
static void aim_rows(stepper *s)
{
    const nm_attack *attack = s->p->attack;
    int out = attack->net->output;
    double excess;

    for (int64_t i = 0; i < s->p->n; i++) {
        const double *y = s->at->val[out] + i * s->p->n_out;
        int64_t c = s->aim[i] >= 0 ? s->aim[i] : nm_attack_best_case(attack, y, &excess);
        int64_t r = nm_attack_worst_row(attack, y, c, &excess);
        const nm_out_row *row = r >= 0 ? &attack->property->rows[r] : NULL;

        for (int32_t k = 0; row && k < row->n_terms; k++)
            s->adjoint->val[out][i * s->p->n_out + row->output[k]] = row->coef[k];
    }
}

static void move(stepper *s, double length)
{
    const nm_attack_points *p = s->p;
    const double *gradient = s->adjoint->val[p->attack->net->input];

    for (int64_t i = 0; i < p->n; i++)
        for (int64_t j = 0; j < p->n_in; j++) {
            double g = gradient[i * p->n_in + j];
            double half = 0.5 * ((double)p->hi[j] - (double)p->lo[j]);
            float *x = &p->x[i * p->n_in + j];
            double to = (double)*x - (g > 0 ? length : g < 0 ? -length : 0) * half;

            *x = fminf(fmaxf((float)to, p->lo[j]), p->hi[j]);
        }
}

static nm_status step(stepper *s, double length, bool *found, nm_err *err)
{
    const nm_attack *attack = s->p->attack;
    nm_status rc = NM_OK;

    nm_tape_set_input(s->at, s->p->x);
    NM_TRY(nm_tape_forward(attack->ctx, s->at, NULL, false, err));
    nm_tape_zero(s->adjoint);
    aim_rows(s);
    NM_TRY(nm_tape_vjp(attack->ctx, s->at, s->adjoint, NULL, false, err));
    move(s, length);
    NM_TRY(nm_attack_points_judge(s->p, found, err));
    for (int64_t i = 0; i < s->p->n; i++)
        if (s->p->f[i] < s->best->f[i])
            nm_attack_points_copy(s->best, i, s->p, i);
done:
    return rc;
}

/* Every second point keeps to the nearest case; the others take one case after the other. */
static void spread_over_cases(stepper *s)
{
    const nm_in_box *box = s->p->attack->box;

    for (int64_t i = 0; i < s->p->n; i++)
        s->aim[i] = i % 2 == 1 ? box->first_case + i / 2 % box->n_cases : -1;
}

nm_status nm_attack_steps(nm_attack_points *p, int n_steps, bool spread_cases, bool *found,
                          nm_err *err)
{
    nm_attack_points best = {0};
    stepper s = {.p = p, .best = &best};
    double length = FIRST_STEP;
    nm_status rc = NM_OK;

    *found = false;
    if (p->n == 0)
        return NM_OK;
    NM_TRY(nm_attack_points_new(p->attack, p->lo, p->hi, p->n, &best, err));
    NM_TRY(nm_alloc(&s.aim, (size_t)p->n, sizeof *s.aim, err));
    NM_TRY(nm_tape_new(p->attack->net, p->n, NULL, &s.at, err));
    NM_TRY(nm_tape_new(p->attack->net, p->n, NULL, &s.adjoint, err));
    for (int64_t i = 0; i < p->n; i++) {
        nm_attack_points_copy(&best, i, p, i);
        s.aim[i] = -1;
    }
    if (spread_cases)
        spread_over_cases(&s);
    for (int k = 0; k < n_steps && !*found; k++, length *= SHRINK)
        NM_TRY(step(&s, length, found, err));
    for (int64_t i = 0; i < p->n; i++)
        nm_attack_points_copy(p, i, &best, i);
done:
    nm_tape_free(s.at);
    nm_tape_free(s.adjoint);
    nm_free(s.aim);
    nm_attack_points_free(&best);
    return rc;
}
