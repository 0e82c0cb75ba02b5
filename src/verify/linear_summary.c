/* What few values that dense layers read are off by, summed up once for all rows. */
#include "verify/linear_parts.h"

#include <limits.h>
#include <string.h>

#include "verify/rows.h"

/* Rows from every element of a value, carried back to where something comes in: the columns of G
   are the rows of `row`, each times a model's weight. */
typedef struct columns {
    int64_t n, width; /* columns, elements of the value */
    int64_t ld;       /* the width in whole vectors */
    int64_t *first; /* [n_values] column of a value's first element; -1 = nothing comes in there */
    float *row;     /* [n x width] */
    float *weight[NM_N_MODELS];
    double *norm;           /* of each row */
    float *scaled, *square; /* room for [n x ld] and [width x ld] */
} columns;

static bool has_sources(const nm_kept *kept)
{
    bool any = kept->source[NM_BEND] != NULL;

    for (int m = 0; m < NM_N_MODELS; m++)
        any = any || kept->source[m];
    return any;
}

static bool open_columns(const nm_linear *l, int value, columns *c, nm_arena *scratch)
{
    c->width = l->kept[value].n;
    c->ld = (c->width + 2 * NM_ROWS_VECTOR - 1) / (2 * NM_ROWS_VECTOR) * (2 * NM_ROWS_VECTOR);
    c->first = nm_arena_take(scratch, (size_t)l->net->n_values, sizeof *c->first);
    for (int v = 0; c->first && v < l->net->n_values; v++) {
        c->first[v] = has_sources(&l->kept[v]) ? c->n : -1;
        c->n += has_sources(&l->kept[v]) ? l->kept[v].n : 0;
    }
    c->row = nm_arena_zeroed(scratch, (size_t)(c->n * c->width), sizeof *c->row);
    for (int m = 0; m < NM_N_MODELS; m++)
        c->weight[m] = nm_arena_zeroed(scratch, (size_t)c->n, sizeof *c->weight[m]);
    c->norm = nm_arena_take(scratch, (size_t)c->n, sizeof *c->norm);
    c->scaled = nm_arena_take(scratch, (size_t)(c->n * c->ld), sizeof *c->scaled);
    c->square = nm_arena_take(scratch, (size_t)(c->width * c->ld), sizeof *c->square);
    return !scratch->failed;
}

/* Fills the columns, and what does not come in by one. */
static bool gather(nm_linear *l, int value, columns *c, nm_summary *s, nm_arena *rows)
{
    int32_t n = l->kept[value].n, element[NM_MAX_ROWS], row[NM_MAX_ROWS];
    float factor[NM_MAX_ROWS];
    double bound[NM_N_MODELS][NM_MAX_ROWS] = {{0}};
    bool ok = true;

    for (int32_t at = 0; ok && at < n; at += NM_MAX_ROWS) {
        nm_carry carry = {.value = value,
                          .element = element,
                          .row = row,
                          .factor = factor,
                          .n_fans = INT_MAX,
                          .n_models = NM_N_MODELS,
                          .falls_from = NM_MAX_ROWS,
                          .arena = rows,
                          .columns = c->row + at,
                          .column_width = c->width,
                          .column_weight = c->weight,
                          .first_column = c->first};

        for (; carry.n < NM_MAX_ROWS && at + carry.n < n; carry.n++) {
            element[carry.n] = (int32_t)nm_kept_element(&l->kept[value], at + carry.n);
            row[carry.n] = carry.n;
            factor[carry.n] = 1;
        }
        carry.n_seeds = carry.n;
        ok = nm_linear_carry(l, &carry, bound);
        for (int m = 0; ok && m < NM_N_MODELS; m++)
            for (int r = 0; r < carry.n; r++)
                s->model[m].rest[at + r] = nm_float_up(bound[m][r]);
        ok = ok && nm_arena_reset(rows, NULL) == NM_OK;
    }
    return ok;
}

/* Of the rows that a model counts. */
static void find_norms(columns *c)
{
    for (int64_t i = 0; i < c->n; i++) {
        const float *row = c->row + i * c->width;
        double square = 0;
        bool counts = false;

        for (int m = 0; m < NM_N_MODELS; m++)
            counts = counts || c->weight[m][i] != 0;
        for (int64_t r = 0; counts && r < c->width; r++)
            square += (double)row[r] * (double)row[r];
        c->norm[i] = sqrt(square);
    }
}

/* Columns that are not 0, so scaled that their products add up to P: with c = weight |row|,
   P = sum row' row weight^2 / c = sum row' row weight / |row|. Gives their number. */
static int64_t scale_columns(columns *c, const float *weight, double *kappa)
{
    int64_t n = 0;

    *kappa = 0;
    for (int64_t i = 0; i < c->n; i++) {
        const float *from = c->row + i * c->width;
        double by = (double)weight[i], norm = by == 0 ? 0 : c->norm[i];
        float factor;

        if (norm == 0) /* NaN passes, and shows in kappa */
            continue;
        factor = (float)sqrt(by / norm);
        for (int64_t r = 0; r < c->width; r++)
            c->scaled[n * c->ld + r] = from[r] * factor;
        for (int64_t r = c->width; r < c->ld; r++)
            c->scaled[n * c->ld + r] = 0;
        *kappa += by * by / ((double)factor * (double)factor); /* c, as the factor was rounded */
        n++;
    }
    *kappa = nm_up(*kappa);
    return n;
}

static bool sum_up(nm_linear *l, columns *c, int model, nm_summed *s)
{
    int64_t n = c->width, n_columns;

    s->p = nm_arena_take(l->arena, (size_t)(n * (n + 1) / 2), sizeof *s->p);
    s->root = nm_arena_take(l->arena, (size_t)n, sizeof *s->root);
    if (!s->p || !s->root)
        return false;
    n_columns = scale_columns(c, c->weight[model], &s->kappa);
    memset(c->square, 0, (size_t)(n * c->ld) * sizeof *c->square);
    nm_rows_best_kernels()->gram(n_columns, n, c->ld, c->scaled, c->square);
    for (int64_t i = 0; i < n; i++)
        memcpy(s->p + i * (i + 1) / 2, c->square + i * c->ld, (size_t)(i + 1) * sizeof *s->p);
    s->gamma = 2 * nm_gamma_f32(n_columns + n + 16);
    s->tiny = 0x1p-147 * (double)(n_columns + n + 1);
    for (int64_t i = 0; i < n; i++)
        s->root[i] = nm_float_up(sqrt((double)s->p[i * (i + 3) / 2] * (1 + s->gamma)));
    return true;
}

bool nm_linear_summarise(nm_linear *l, int value, nm_arena *scratch, nm_arena *rows)
{
    nm_summary *s = nm_arena_zeroed(l->arena, 1, sizeof *s);
    columns c = {0};
    bool finite = true;

    for (int m = 0; s && m < NM_N_MODELS; m++)
        s->model[m].rest =
            nm_arena_zeroed(l->arena, (size_t)l->kept[value].n, sizeof *s->model[m].rest);
    if (!s || l->arena->failed || !open_columns(l, value, &c, scratch) ||
        !gather(l, value, &c, s, rows))
        return false;
    find_norms(&c);
    for (int m = 0; m < NM_N_MODELS; m++) {
        if (!sum_up(l, &c, m, &s->model[m]))
            return false;
        finite = finite && s->model[m].kappa < (double)INFINITY; /* false for NaN, too */
    }
    if (finite) /* else single radii stay */
        l->kept[value].summary = s;
    return true;
}
