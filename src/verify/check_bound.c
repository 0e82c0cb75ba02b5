#include "verify/check_bound.h"

#include <math.h>
#include <string.h>

#define ROUNDOFF 0x1p-53

nm_status nm_check_bounds_open(nm_check_bounds *b, const nm_check_chain *chain, nm_err *err)
{
    size_t n = (size_t)chain->n_neurons;
    size_t widest = (size_t)(chain->widest > chain->n_in ? chain->widest : chain->n_in);
    int64_t at = 0;

    *b = (nm_check_bounds){.chain = chain};
    b->lo = nm_arena_take(&b->arena, n, sizeof(double));
    b->hi = nm_arena_take(&b->arena, n, sizeof(double));
    b->below = nm_arena_take(&b->arena, n, sizeof(double));
    b->above = nm_arena_take(&b->arena, n, sizeof(double));
    b->above_at = nm_arena_take(&b->arena, n, sizeof(double));
    b->push = nm_arena_take(&b->arena, n, sizeof(double));
    b->row = nm_arena_take(&b->arena, widest, sizeof(double));
    b->next = nm_arena_take(&b->arena, widest, sizeof(double));
    b->x = nm_arena_take(&b->arena, widest, sizeof(double));
    if (b->arena.failed) {
        nm_check_bounds_close(b);
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    }
    memset(b->push, 0, n * sizeof *b->push);
    for (int k = 0; k < chain->n_layers; at += chain->layers[k++].n_out) {
        memcpy(b->lo + at, chain->layers[k].lo, (size_t)chain->layers[k].n_out * sizeof(double));
        memcpy(b->hi + at, chain->layers[k].hi, (size_t)chain->layers[k].n_out * sizeof(double));
    }
    return NM_OK;
}

void nm_check_bounds_close(nm_check_bounds *b)
{
    nm_arena_clear(&b->arena);
    *b = (nm_check_bounds){0};
}

/* -- lines ------------------------------------------------------------------------------------ */

static void set_line(nm_check_bounds *b, int64_t i)
{
    double lo = b->lo[i], hi = b->hi[i], s;

    b->above_at[i] = 0;
    b->below[i] = b->above[i] = lo >= 0 ? 1 : 0;
    if (!(lo < 0 && hi > 0))
        return;
    s = hi / (hi - lo);
    b->below[i] = hi > -lo ? 1 : 0;
    b->above[i] = s;
    /* Above relu at both ends, whatever s was rounded to: s lo + t >= 0, s hi + t >= hi. */
    b->above_at[i] = fmax(-s * lo * (1 + 4 * ROUNDOFF), hi - s * hi + 4 * ROUNDOFF * hi) + 1e-300;
}

void nm_check_untouch(nm_check_bounds *b)
{
    for (int64_t i = 0; i < b->chain->n_neurons; i++)
        if (b->lo[i] < 0 && b->hi[i] > 0)
            b->below[i] = b->hi[i] > -b->lo[i] ? 1 : 0;
}

void nm_check_touch(nm_check_bounds *b, const double *x)
{
    int64_t first = 0;

    memcpy(b->x, x, (size_t)b->chain->n_in * sizeof *x);
    for (int k = 0; k + 1 < b->chain->n_layers; k++) {
        const nm_chain_layer *l = &b->chain->layers[k];

        for (int64_t r = 0; r < l->n_out; r++) {
            double z = l->b[r];

            for (int64_t j = 0; j < l->n_in; j++)
                z += l->w[r * l->n_in + j] * b->x[j];
            b->next[r] = fmax(z, 0);
            if (b->lo[first + r] < 0 && b->hi[first + r] > 0)
                b->below[first + r] = z > 0 ? 1 : 0;
        }
        memcpy(b->x, b->next, (size_t)l->n_out * sizeof *b->x);
        first += l->n_out;
    }
}

/* b->row on the z of layer k (whose neurons begin at `first`) to slopes on the input. */
static void carry(nm_check_bounds *b, int k, int64_t first, double at_0, double *slope,
                  double *constant)
{
    double sum = at_0, lost = fabs(at_0) * (4 * (double)b->chain->n_neurons + 64) * ROUNDOFF;

    for (; k >= 0; k--) {
        const nm_chain_layer *l = &b->chain->layers[k];

        memset(b->next, 0, (size_t)l->n_in * sizeof *b->next);
        for (int64_t r = 0; r < l->n_out; r++) {
            double a = b->row[r];

            if (a == 0)
                continue;
            sum += a * l->b[r];
            lost += fabs(a) * l->e[r];
            if (l->start)
                for (int64_t e = l->start[r]; e < l->start[r + 1]; e++)
                    b->next[l->at[e]] += a * l->w[r * l->n_in + l->at[e]];
            else
                for (int64_t j = 0; j < l->n_in; j++)
                    b->next[j] += a * l->w[r * l->n_in + j];
        }
        if (k == 0)
            break;
        first -= l->n_in;
        for (int64_t j = 0; j < l->n_in; j++) {
            double a = b->next[j];

            /* With a push the sum may cancel, and rounds by as much as the push. */
            b->row[j] =
                a * (a < 0 ? b->above[first + j] : b->below[first + j]) + b->push[first + j];
            lost += fabs(b->push[first + j]) * b->chain->layers[k - 1].e[j];
            if (a < 0)
                sum += a * b->above_at[first + j];
        }
    }
    memcpy(slope, b->next, (size_t)b->chain->n_in * sizeof *slope);
    *constant = sum - lost * (1 + 1e-9) - 1e-250;
    *constant -= 8 * ROUNDOFF * (fabs(sum) + fabs(*constant));
}

void nm_check_set_lines(nm_check_bounds *b)
{
    for (int64_t i = 0; i < b->chain->n_neurons; i++)
        set_line(b, i);
}

void nm_check_unit_line(nm_check_bounds *b, int64_t neuron, double sign, double *slope,
                        double *constant)
{
    int64_t first = 0;
    int k = 0;

    while (neuron >= first + b->chain->layers[k].n_out)
        first += b->chain->layers[k++].n_out;
    memset(b->row, 0, (size_t)b->chain->layers[k].n_out * sizeof *b->row);
    b->row[neuron - first] = sign;
    carry(b, k, first, 0, slope, constant);
}

void nm_check_line(nm_check_bounds *b, const double *c, double at_0, double *slope,
                   double *constant)
{
    const nm_chain_layer *l = &b->chain->layers[b->chain->n_layers - 1];

    memcpy(b->row, c, (size_t)l->n_out * sizeof *c);
    carry(b, b->chain->n_layers - 1, b->chain->n_neurons - l->n_out, at_0, slope, constant);
}

double nm_check_least(int64_t n, const double *slope, double constant, const double *lo,
                      const double *hi)
{
    double least = constant, size = fabs(constant);

    for (int64_t j = 0; j < n; j++) {
        least += slope[j] >= 0 ? slope[j] * lo[j] : slope[j] * hi[j];
        size += fabs(slope[j]) * fmax(fabs(lo[j]), fabs(hi[j]));
    }
    /* Besides its own sums this pays for the slopes', which are sums over the first layer. */
    return least - (double)(n + 16) * 2 * ROUNDOFF * size - 1e-250;
}

bool nm_check_cut(int64_t n, const double *slope, double constant, double *lo, double *hi)
{
    double least = nm_check_least(n, slope, constant, lo, hi);

    if (!isfinite(least))
        return true;
    if (least > 0)
        return false;
    for (int64_t j = 0; j < n; j++) {
        /* slope_j x_j <= (what the others leave): the rest of the sum is at least `least` minus
           what this coordinate has in it. */
        double room =
            -least / fabs(slope[j]) * (1 + 1e-12) + 8 * ROUNDOFF * fmax(fabs(lo[j]), fabs(hi[j]));

        if (slope[j] > 0 && lo[j] + room < hi[j])
            hi[j] = lo[j] + room;
        if (slope[j] < 0 && hi[j] - room > lo[j])
            lo[j] = hi[j] - room;
    }
    return true;
}

/* -- neurons ---------------------------------------------------------------------------------- */

static void improve(nm_check_bounds *b, int64_t i, double lo, double hi)
{
    if (lo > b->lo[i])
        b->lo[i] = lo;
    if (hi < b->hi[i])
        b->hi[i] = hi;
}

/* From the bounds of what the layer reads. */
static void by_intervals(nm_check_bounds *b, int k, int64_t first, int64_t r, const double *lo,
                         const double *hi)
{
    const nm_chain_layer *l = &b->chain->layers[k];
    double low = l->b[r], high = l->b[r];

    for (int64_t j = 0; j < l->n_in; j++) {
        double w = l->w[r * l->n_in + j];
        double x_lo = k == 0 ? lo[j] : fmax(b->lo[first - l->n_in + j], 0);
        double x_hi = k == 0 ? hi[j] : fmax(b->hi[first - l->n_in + j], 0);

        low += w > 0 ? w * x_lo : w * x_hi;
        high += w > 0 ? w * x_hi : w * x_lo;
    }
    improve(b, first + r, low - l->e[r], high + l->e[r]);
}

static void by_lines(nm_check_bounds *b, int k, int64_t first, int64_t r, const double *lo,
                     const double *hi, double *slope)
{
    const nm_chain_layer *l = &b->chain->layers[k];
    double least[2], constant;

    for (int side = 0; side < 2; side++) {
        memset(b->row, 0, (size_t)l->n_out * sizeof *b->row);
        b->row[r] = side == 0 ? 1 : -1;
        carry(b, k, first, 0, slope, &constant);
        least[side] = nm_check_least(b->chain->n_in, slope, constant, lo, hi);
    }
    improve(b, first + r, least[0], -least[1]);
}

void nm_check_neuron(nm_check_bounds *b, int k, int64_t first, int64_t r, const double *lo,
                     const double *hi)
{
    int64_t i = first + r;

    if (b->lo[i] < 0 && b->hi[i] > 0)
        by_intervals(b, k, first, r, lo, hi);
    if (b->lo[i] < 0 && b->hi[i] > 0 && k > 0)
        by_lines(b, k, first, r, lo, hi, b->x);
}

bool nm_check_neurons(nm_check_bounds *b, const double *lo, const double *hi)
{
    int64_t first = 0;

    for (int k = 0; k < b->chain->n_layers; k++) {
        const nm_chain_layer *l = &b->chain->layers[k];

        for (int64_t r = 0; r < l->n_out && k + 1 < b->chain->n_layers; r++) {
            int64_t i = first + r;

            nm_check_neuron(b, k, first, r, lo, hi);
            if (b->lo[i] > b->hi[i])
                return false;
            set_line(b, i);
        }
        first += l->n_out;
    }
    return true;
}
