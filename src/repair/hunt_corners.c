#include "repair/hunt_corners.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "netmend/regions.h"

/* Shares of the box's widths, largest first: a quarter of them to each side, an eighth, ... */
enum { N_SIZES = 8 };

typedef struct corners {
    const nm_property *p;
    const nm_in_box *box;
    int64_t n;
    float *at;    /* [n x n_in] */
    double *y;    /* [n x n_out] */
    bool *unsafe; /* [n] or nearly */
} corners;

static int count_free(const nm_property *p, const nm_in_box *box)
{
    int n = 0;

    for (int64_t i = 0; i < p->n_in && n <= NM_MOST_FREE_INPUTS; i++)
        n += box->lo_in[i] < box->hi_in[i];
    return n;
}

static void place(corners *c, const float *x, double share)
{
    for (int64_t k = 0; k < c->n; k++) {
        int bit = 0;

        for (int64_t i = 0; i < c->p->n_in; i++) {
            float lo = c->box->lo_in[i], hi = c->box->hi_in[i];
            double side = share * ((double)hi - (double)lo);
            double to = (double)x[i] + (k >> bit & 1 ? side : -side);

            bit += lo < hi;
            c->at[k * c->p->n_in + i] = fminf(fmaxf((float)to, lo), hi);
        }
    }
}

static nm_status judge(nm_ctx *ctx, const nm_net *net, corners *c, double near, int64_t *n_unsafe,
                       nm_err *err)
{
    nm_status rc = nm_preys_evaluate(ctx, net, c->at, c->n, c->y, err);

    *n_unsafe = 0;
    for (int64_t k = 0; rc == NM_OK && k < c->n; k++) {
        double least = INFINITY;

        for (int64_t i = c->box->first_case; i < c->box->first_case + c->box->n_cases; i++) {
            int32_t piece;

            least = fmin(least, nm_case_slack(c->p, i, c->y + k * c->p->n_out, &piece));
        }
        c->unsafe[k] = least < near;
        *n_unsafe += c->unsafe[k];
    }
    return rc;
}

static nm_status add_box(nm_ctx *ctx, const nm_net *net, corners *c, const float *x, double near,
                         nm_preys *preys, int64_t *found, nm_err *err)
{
    size_t n_in = (size_t)c->p->n_in, n_out = (size_t)c->p->n_out;
    int64_t n_unsafe = 0;
    double share = 0.25;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&c->at, (size_t)c->n, n_in * sizeof *c->at, err));
    NM_TRY(nm_alloc(&c->y, (size_t)c->n, n_out * sizeof *c->y, err));
    NM_TRY(nm_alloc(&c->unsafe, (size_t)c->n, sizeof *c->unsafe, err));
    for (int size = 0; 2 * n_unsafe <= c->n && size < N_SIZES; size++, share *= 0.5) {
        place(c, x, share);
        NM_TRY(judge(ctx, net, c, near, &n_unsafe, err));
    }
    if (2 * n_unsafe <= c->n)
        goto done;
    ++*found;
    for (int64_t k = 0; k < c->n; k++)
        if (c->unsafe[k])
            NM_TRY(nm_preys_add_in_box(c->p, c->box, c->at + k * c->p->n_in, c->y + k * c->p->n_out,
                                       near, preys, err));
done:
    nm_free(c->at);
    nm_free(c->y);
    nm_free(c->unsafe);
    return rc;
}

nm_status nm_preys_add_corners(nm_ctx *ctx, const nm_net *net, const nm_property *p, const float *x,
                               double near, nm_preys *preys, int64_t *found, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int64_t b = 0; b < p->n_boxes; b++) {
        corners c = {.p = p, .box = &p->boxes[b]};
        int n_free = count_free(p, c.box);

        if (n_free < 1 || n_free > NM_MOST_FREE_INPUTS || !nm_in_box_holds(p, c.box, x))
            continue;
        c.n = (int64_t)1 << n_free;
        NM_TRY(add_box(ctx, net, &c, x, near, preys, found, err));
    }
done:
    return rc;
}
