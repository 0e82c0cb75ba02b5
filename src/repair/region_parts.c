#include "repair/region_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void clear_part(nm_region_part *part)
{
    nm_free(part->vertex);
    nm_free(part->lo);
    nm_free(part->hi);
    nm_free(part->shared);
    nm_free(part->choice);
    nm_free(part->tried);
    *part = (nm_region_part){0};
}

void nm_region_parts_free(nm_region_parts *parts)
{
    for (int64_t p = 0; p < parts->n; p++)
        clear_part(&parts->at[p]);
    nm_free(parts->at);
    *parts = (nm_region_parts){0};
}

/* A new last part with room for its vertices. */
static nm_status push(nm_region_parts *parts, int64_t region, int64_t n, bool box,
                      nm_region_part **out, nm_err *err)
{
    size_t n_in = (size_t)parts->n_in;
    nm_region_part part = {.region = region, .n = n, .group = parts->n};
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&part.vertex, (size_t)n, n_in * sizeof(double), err));
    NM_TRY(nm_alloc(&part.shared, (size_t)n, sizeof *part.shared, err));
    if (box) {
        NM_TRY(nm_alloc(&part.lo, n_in, sizeof *part.lo, err));
        NM_TRY(nm_alloc(&part.hi, n_in, sizeof *part.hi, err));
    }
    if (parts->n == parts->room) {
        int64_t room = parts->room ? 2 * parts->room : 64;

        NM_TRY(nm_realloc(&parts->at, (size_t)room, sizeof *parts->at, err));
        parts->room = room;
    }
    parts->at[parts->n] = part;
    *out = &parts->at[parts->n++];
    part = (nm_region_part){0};
done:
    clear_part(&part);
    return rc;
}

nm_status nm_region_parts_new(const nm_regions *regions, nm_region_parts *out, nm_err *err)
{
    size_t bytes = (size_t)regions->n_in * sizeof(double);
    nm_status rc = NM_OK;

    *out = (nm_region_parts){.n_in = regions->n_in};
    for (int64_t r = 0; r < regions->n; r++) {
        int64_t n = regions->first[r + 1] - regions->first[r];
        nm_region_part *part;

        NM_TRY(push(out, r, n, regions->boxes, &part, err));
        memcpy(part->vertex, regions->vertex + regions->first[r] * regions->n_in,
               (size_t)n * bytes);
        if (regions->boxes) {
            memcpy(part->lo, regions->lo + r * regions->n_in, bytes);
            memcpy(part->hi, regions->hi + r * regions->n_in, bytes);
        }
    }
    NM_TRY(nm_region_parts_share(out, err));
done:
    return rc;
}

/* -- cutting ---------------------------------------------------------------------------------- */

static double middle(double a, double b)
{
    return a + 0.5 * (b - a);
}

static nm_status cut_box(nm_region_parts *parts, int64_t p, const double *width, bool *cut,
                         nm_err *err)
{
    size_t bytes = (size_t)parts->n_in * sizeof(double);
    nm_region_part *part = &parts->at[p], *half;
    int64_t widest = 0;
    double most = -1, at;
    nm_status rc = NM_OK;

    for (int64_t i = 0; i < parts->n_in; i++) {
        double unit = width && width[i] > 0 ? width[i] : 1;

        if ((part->hi[i] - part->lo[i]) / unit > most) {
            most = (part->hi[i] - part->lo[i]) / unit;
            widest = i;
        }
    }
    at = middle(part->lo[widest], part->hi[widest]);
    if (!(part->lo[widest] < at && at < part->hi[widest]))
        return NM_OK;
    NM_TRY(push(parts, part->region, part->n, true, &half, err));
    part = &parts->at[p]; /* parts may have moved */
    memcpy(half->lo, part->lo, bytes);
    memcpy(half->hi, part->hi, bytes);
    memcpy(half->vertex, part->vertex, (size_t)part->n * bytes);
    for (int64_t v = 0; v < part->n; v++) {
        double *low = part->vertex + v * parts->n_in + widest;
        double *high = half->vertex + v * parts->n_in + widest;

        if (*low == part->lo[widest])
            *high = at;
        else
            *low = at;
    }
    part->hi[widest] = half->lo[widest] = at;
    *cut = true;
done:
    return rc;
}

static double distance(const double *a, const double *b, int64_t n, const double *width)
{
    double sum = 0;

    for (int64_t i = 0; i < n; i++) {
        double d = (a[i] - b[i]) / (width && width[i] > 0 ? width[i] : 1);

        sum += d * d;
    }
    return sum;
}

/* With m in the middle of v_i and v_j, a point with l_i >= l_j is l_i - l_j of v_i and 2 l_j of m,
   and the others the other way round: the hulls with m in the place of v_j, and of v_i, cover it.
 */
static nm_status cut_hull(nm_region_parts *parts, int64_t p, const double *width, bool *cut,
                          nm_err *err)
{
    int64_t n_in = parts->n_in, first = 0, second = 0;
    nm_region_part *part = &parts->at[p], *half;
    bool inside = false;
    double most = 0;
    nm_status rc = NM_OK;

    for (int64_t a = 0; a < part->n; a++)
        for (int64_t b = a + 1; b < part->n; b++) {
            double d = distance(part->vertex + a * n_in, part->vertex + b * n_in, n_in, width);

            if (d > most) {
                most = d;
                first = a;
                second = b;
            }
        }
    for (int64_t i = 0; i < n_in; i++) {
        double from = part->vertex[first * n_in + i], to = part->vertex[second * n_in + i];

        inside = inside || (middle(from, to) != from && middle(from, to) != to);
    }
    if (!inside)
        return NM_OK;
    NM_TRY(push(parts, part->region, part->n, false, &half, err));
    part = &parts->at[p];
    memcpy(half->vertex, part->vertex, (size_t)(part->n * n_in) * sizeof(double));
    for (int64_t i = 0; i < n_in; i++) {
        double *to = part->vertex + second * n_in + i;

        *to = middle(part->vertex[first * n_in + i], *to);
        half->vertex[first * n_in + i] = *to;
    }
    *cut = true;
done:
    return rc;
}

nm_status nm_region_parts_cut(nm_region_parts *parts, int64_t p, const double *width, bool *cut,
                              nm_err *err)
{
    *cut = false;
    return parts->at[p].lo ? cut_box(parts, p, width, cut, err)
                           : cut_hull(parts, p, width, cut, err);
}

/* -- shared vertices -------------------------------------------------------------------------- */

typedef struct entry {
    const double *vertex;
    int64_t n_in, part, index;
} entry;

static int by_vertex(const void *a, const void *b)
{
    const entry *ea = a, *eb = b;

    for (int64_t i = 0; i < ea->n_in; i++)
        if (ea->vertex[i] != eb->vertex[i])
            return ea->vertex[i] < eb->vertex[i] ? -1 : 1;
    return 0;
}

nm_status nm_region_parts_share(nm_region_parts *parts, nm_err *err)
{
    entry *all = NULL;
    int64_t n = 0, k = 0;
    nm_status rc = NM_OK;

    for (int64_t p = 0; p < parts->n; p++)
        n += parts->at[p].n;
    NM_TRY(nm_alloc(&all, (size_t)n, sizeof *all, err));
    for (int64_t p = 0; p < parts->n; p++)
        for (int64_t v = 0; v < parts->at[p].n; v++)
            all[k++] = (entry){.vertex = parts->at[p].vertex + v * parts->n_in,
                               .n_in = parts->n_in,
                               .part = p,
                               .index = v};
    qsort(all, (size_t)n, sizeof *all, by_vertex);
    parts->n_vertices = 0;
    for (int64_t i = 0; i < n; i++) {
        parts->n_vertices += i == 0 || by_vertex(&all[i - 1], &all[i]) != 0;
        parts->at[all[i].part].shared[all[i].index] = parts->n_vertices - 1;
    }
done:
    nm_free(all);
    return rc;
}

/* -- groups ----------------------------------------------------------------------------------- */

bool nm_region_parts_join(nm_region_parts *parts, int64_t a, int64_t b)
{
    int64_t from = parts->at[a].group, to = parts->at[b].group;

    if (from == to)
        return false;
    if (from < to) {
        int64_t swap = from;

        from = to;
        to = swap;
    }
    for (int64_t p = 0; p < parts->n; p++)
        if (parts->at[p].group == from)
            parts->at[p].group = to;
    return true;
}

void nm_region_parts_centre(const nm_region_parts *parts, int64_t group, double *centre)
{
    int64_t n = 0;

    memset(centre, 0, (size_t)parts->n_in * sizeof *centre);
    for (int64_t p = 0; p < parts->n; p++)
        if (parts->at[p].group == group)
            n += parts->at[p].n;
    for (int64_t p = 0; p < parts->n; p++)
        for (int64_t v = 0; parts->at[p].group == group && v < parts->at[p].n; v++)
            for (int64_t i = 0; i < parts->n_in; i++)
                centre[i] += parts->at[p].vertex[v * parts->n_in + i] / (double)n;
}
