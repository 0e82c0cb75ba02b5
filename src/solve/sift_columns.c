/* Sifting: what multipliers pull at all columns, and how near to their kinks these are. */
#include "solve/sift.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "solve/bound.h"

int nm_sift_class(const nm_sift *s, double c)
{
    return (c > s->slope) - (c < -s->slope);
}

/* How far column j is from changing class, in units of a typical change of multipliers. */
static double distance(const nm_sift *s, const double *c, int64_t j)
{
    return s->size[j] > 0 ? fabs(fabs(c[j]) - s->slope) / s->size[j] : INFINITY;
}

double nm_sift_value(const nm_sift *s, const nm_pulled *p)
{
    double sum = 0;

    for (int64_t r = 0; r < s->rows->m; r++)
        sum += s->rows->h[r] * p->y[r];
    for (int64_t k = 0; k < s->spec->n_terms; k++)
        sum += s->spec->offset[k] * p->x[k];
    return sum;
}

/* c of y and x, and all three scaled to the border of the dual ball. */
void nm_sift_pull(nm_sift *s, nm_pulled *p)
{
    int threads = nm_ctx_threads(s->ctx);
    nm_rows terms = nm_master_terms(s->spec);

    memset(p->c, 0, (size_t)s->spec->n * sizeof *p->c);
    for (int64_t k = 0; k < s->spec->n_terms; k++)
        p->x[k] = -p->x[k];
    nm_rows_transposed_times(threads, s->rows, p->y, p->c);
    nm_rows_transposed_times(threads, &terms, p->x, p->c);
    for (int64_t k = 0; k < s->spec->n_terms; k++)
        p->x[k] = -p->x[k];
    double factor = nm_dual_scale(s->spec, p->c, p->x);
    if (!(factor < INFINITY))
        factor = 1;
    for (int64_t r = 0; r < s->rows->m; r++)
        p->y[r] *= factor;
    for (int64_t k = 0; k < s->spec->n_terms; k++)
        p->x[k] *= factor;
    for (int64_t j = 0; j < s->spec->n; j++)
        p->c[j] *= factor;
    p->value = nm_sift_value(s, p);
}

/* Factors and inputs squared. */
nm_status nm_sift_square_rows(nm_sift *s, nm_err *err)
{
    nm_groups *g = &s->squares;
    nm_status rc = nm_groups_make(&s->rows->factors, NULL, NULL, g, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t k = 0; k < g->m * nm_factor_width(g->space); k++)
        g->g[k] *= g->g[k];
    for (int64_t k = 0; k < g->n_points * g->space->n_in; k++)
        g->x[k] *= g->x[k];
    for (int64_t k = 0; k < g->n_free * g->n_points && g->sparse; k++)
        g->packed[k] *= g->packed[k];
    return NM_OK;
}

/* size_j = root of sum_r (y_r a_rj)^2: how far c_j moves when multipliers change by their own
 * size. A column that only rows without a multiplier use has none, and is far from any kink
 * although its c_j is 0: small multipliers already tell on which side it helps those rows. */
void nm_sift_measure_columns(nm_sift *s)
{
    for (int64_t r = 0; r < s->rows->m; r++)
        s->next.y[r] = s->now.y[r] * s->now.y[r];
    memset(s->work, 0, (size_t)s->spec->n * sizeof *s->work);
    nm_groups_transposed_times(nm_ctx_threads(s->ctx), &s->squares, s->next.y, s->work);
    for (int64_t j = 0; j < s->spec->n; j++)
        s->size[j] = (float)sqrt(s->work[j]);
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

enum { PROBES = 32768 };

/* The number below which a share of what `measure` says of the columns lies, from evenly spread
 * columns. */
nm_status nm_sift_quantile(nm_sift *s, double share, double (*measure)(const nm_sift *, int64_t),
                           double *out, nm_err *err)
{
    int64_t n = s->spec->n, step = n > PROBES ? n / PROBES : 1, count = 0;
    float *probe;
    nm_status rc = nm_alloc(&probe, (size_t)(n / step + 1), sizeof *probe, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t j = step / 2; j < n; j += step)
        if (s->size[j] > 0)
            probe[count++] = (float)measure(s, j);
    qsort(probe, (size_t)count, sizeof *probe, ascending);
    int64_t at = (int64_t)(share * (double)count);
    *out = count == 0 ? 0 : (double)probe[at < count ? at : count - 1];
    nm_free(probe);
    return NM_OK;
}

double nm_sift_size_of_pull(const nm_sift *s, int64_t j)
{
    return fabs(s->now.c[j]) / s->size[j];
}

double nm_sift_size_of_move(const nm_sift *s, int64_t j)
{
    return fabs(s->next.c[j] - s->now.c[j]) / s->size[j];
}

double nm_sift_distance(const nm_sift *s, int64_t j)
{
    return distance(s, s->now.c, j);
}

/* -- the line search -------------------------------------------------------------------------- */

static void mix(const double *from, const double *to, double step, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = from[i] + step * (to[i] - from[i]);
}

double nm_sift_search_line(nm_sift *s)
{
    static const double steps[] = {1, 0.7, 0.5, 0.35, 0.25, 0.12, 0.06};
    double best = 0, best_value = s->now.value;

    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        double x_value = s->now.value + steps[i] * (s->next.value - s->now.value), factor;

        mix(s->now.c, s->next.c, steps[i], s->spec->n, s->work);
        mix(s->now.x, s->next.x, steps[i], s->spec->n_terms, s->on_t);
        factor = nm_dual_scale(s->spec, s->work, s->on_t);
        if (factor < INFINITY && factor * x_value > best_value) {
            best_value = factor * x_value;
            best = steps[i];
        } else if (best > 0) {
            break;
        }
    }
    if (best > 0) {
        double factor;

        mix(s->now.c, s->next.c, best, s->spec->n, s->now.c);
        mix(s->now.x, s->next.x, best, s->spec->n_terms, s->now.x);
        mix(s->now.y, s->next.y, best, s->rows->m, s->now.y);
        factor = nm_dual_scale(s->spec, s->now.c, s->now.x);
        for (int64_t j = 0; j < s->spec->n; j++)
            s->now.c[j] *= factor;
        for (int64_t k = 0; k < s->spec->n_terms; k++)
            s->now.x[k] *= factor;
        for (int64_t r = 0; r < s->rows->m; r++)
            s->now.y[r] *= factor;
        s->now.value = nm_sift_value(s, &s->now);
    }
    return best;
}
