/* What few values that dense layers read are off by, summed up once for all rows. */
#include "verify/linear_parts.h"

#include "tensor/gemm.h"

/* Rows of G', scaled by 1 / sqrt(c_m), those that are 0 left out. */
static bool scale_columns(nm_summary *s, int64_t m, int64_t n, nm_arena *keep)
{
    s->scale = nm_arena_take(keep, (size_t)m, sizeof *s->scale);
    if (!s->scale)
        return false;
    s->kappa = 0;
    s->n_columns = 0;
    for (int64_t i = 0; i < m; i++) {
        const float *from = s->g + i * n;
        float *to = s->g + s->n_columns * n, factor;
        double square = 0;

        for (int64_t r = 0; r < n; r++)
            square += (double)from[r] * (double)from[r];
        if (square == 0)
            continue;
        factor = (float)(1 / sqrt(sqrt(square)));
        for (int64_t r = 0; r < n; r++)
            to[r] = from[r] * factor;
        s->scale[s->n_columns] = 1 / (double)factor;
        s->kappa += s->scale[s->n_columns] * s->scale[s->n_columns];
        s->n_columns++;
    }
    s->kappa = nm_up(s->kappa);
    return true;
}

/* @param spoiled  [n] what is not in the columns: boxes; NULL = not asked for */
static bool gather_columns(nm_linear *l, int value, const nm_summary *s, int64_t *first,
                           float *spoiled)
{
    int32_t n = l->kept[value].n, element[NM_MAX_ROWS], row[NM_MAX_ROWS];
    float factor[NM_MAX_ROWS];
    double bound[1][NM_MAX_ROWS] = {{0}};
    nm_arena rows = {0};
    bool ok = true;

    for (int32_t at = 0; ok && at < n; at += NM_MAX_ROWS) {
        nm_carry c = {.value = value,
                      .element = element,
                      .row = row,
                      .factor = factor,
                      .n_fans = s->n_fans,
                      .n_models = 1,
                      .falls_from = NM_MAX_ROWS,
                      .arena = &rows,
                      .g = s->g + at,
                      .g_width = n,
                      .g_first = first};

        for (; c.n < NM_MAX_ROWS && at + c.n < n; c.n++) {
            element[c.n] = (int32_t)nm_kept_element(&l->kept[value], at + c.n);
            row[c.n] = c.n;
            factor[c.n] = 1;
        }
        c.n_seeds = c.n;
        ok = nm_linear_carry(l, &c, bound);
        for (int r = 0; ok && spoiled && r < c.n; r++)
            spoiled[at + r] = nm_float_up(bound[0][r]);
        ok = ok && nm_arena_reset(&rows, NULL) == NM_OK;
    }
    nm_arena_clear(&rows);
    return ok;
}

bool nm_summary_gather(nm_linear *l, int value, nm_summary *s, nm_arena *keep)
{
    const nm_net *net = l->net;
    nm_summary *standing = l->kept[value].summary;
    int64_t n = l->kept[value].n, m = 0;
    int64_t *first = nm_arena_take(keep, (size_t)net->n_values, sizeof *first);
    bool ok;

    for (int v = 0; first && v < net->n_values; v++) {
        first[v] = m;
        m += l->kept[v].n;
    }
    s->g = nm_arena_zeroed(keep, (size_t)(m * n), sizeof *s->g);
    l->kept[value].summary = NULL; /* its own rows pass */
    ok = first && s->g && gather_columns(l, value, s, first, s->spoiled) &&
         scale_columns(s, m, n, keep);
    l->kept[value].summary = standing;
    return ok;
}

bool nm_linear_summarise(nm_linear *l, int value, int n_fans)
{
    int64_t n = l->kept[value].n;
    nm_summary *s = nm_arena_zeroed(l->arena, 1, sizeof *s);
    double *box = nm_arena_zeroed(l->rows, (size_t)n, sizeof *box);

    if (!s || !box)
        return false;
    s->n_fans = n_fans;
    s->p = nm_arena_take(l->arena, (size_t)(n * n), sizeof *s->p);
    s->root = nm_arena_take(l->arena, (size_t)n, sizeof *s->root);
    s->box = nm_arena_take(l->arena, (size_t)n, sizeof *s->box);
    s->spoiled = nm_arena_take(l->arena, (size_t)n, sizeof *s->spoiled);
    if (!s->p || !s->root || !s->box || !s->spoiled || !nm_summary_gather(l, value, s, l->rows))
        return false;
    nm_gemm_f32(&(nm_gemm){.plain = true,
                           .trans_a = true,
                           .m = n,
                           .n = n,
                           .k = s->n_columns,
                           .lda = n,
                           .ldb = n,
                           .ldc = n,
                           .alpha = 1},
                s->g, s->g, s->p);
    s->gamma = 2 * nm_gamma_f32(s->n_columns + n + 16);
    for (int64_t m = 0; m < s->n_columns; m++)
        for (int64_t i = 0; i < n; i++)
            box[i] += s->scale[m] * fabs((double)s->g[m * n + i]);
    for (int64_t i = 0; i < n; i++) {
        s->box[i] = nm_float_up(nm_up(box[i]));
        s->root[i] = nm_float_up(sqrt((double)s->p[i * n + i] * (1 + s->gamma)));
    }
    if (s->kappa < (double)INFINITY) /* NaN, too: single radii stay */
        l->kept[value].summary = s;
    return true;
}
