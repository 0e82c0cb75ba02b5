#include "verify/vexpr.h"

#include <math.h>
#include <string.h>

#define ROUNDOFF 0x1p-53

nm_sparse *nm_sparse_open(nm_arena *arena, int64_t n_rows, int64_t n_cols, int64_t n_entries)
{
    nm_sparse *m = nm_arena_take(arena, 1, sizeof *m);

    if (!m)
        return NULL;
    *m = (nm_sparse){.n_rows = n_rows, .n_cols = n_cols};
    m->start = nm_arena_take(arena, (size_t)n_rows + 1, sizeof *m->start);
    m->at = nm_arena_take(arena, (size_t)n_entries + 1, sizeof *m->at);
    m->w = nm_arena_take(arena, (size_t)n_entries + 1, sizeof *m->w);
    if (!m->start || !m->at || !m->w)
        return NULL;
    m->start[0] = 0;
    return m;
}

void nm_sparse_close(nm_sparse *m)
{
    /* A column that comes twice would need a mark for each column; ascending ones do not. */
    int32_t last = -1;

    m->picks = m->single = true;
    for (int64_t r = 0; r < m->n_rows; r++) {
        int64_t n = m->start[r + 1] - m->start[r];

        m->picks = m->picks && n <= 1;
        for (int64_t k = m->start[r]; k < m->start[r + 1]; k++) {
            m->single = m->single && m->at[k] > last;
            last = m->at[k];
        }
    }
    m->single = m->single && m->picks;
}

nm_sparse *nm_sparse_diagonal(nm_arena *arena, int64_t n, const double *d)
{
    nm_sparse *m = nm_sparse_open(arena, n, n, n);

    if (!m)
        return NULL;
    for (int64_t i = 0; i < n; i++) {
        m->at[i] = (int32_t)i;
        m->w[i] = d ? d[i] : 1;
        m->start[i + 1] = i + 1;
    }
    m->picks = m->single = true;
    return m;
}

bool nm_sparse_can_times(const nm_sparse *a, const nm_sparse *b)
{
    return a->picks || b->single;
}

const nm_sparse *nm_sparse_times(nm_arena *arena, const nm_sparse *a, const nm_sparse *b)
{
    int64_t n = 0, most = 0;
    nm_sparse *m;

    for (int64_t k = 0; k < a->start[a->n_rows]; k++)
        most += b->start[a->at[k] + 1] - b->start[a->at[k]];
    m = nm_sparse_open(arena, a->n_rows, b->n_cols, most);
    if (!m)
        return NULL;
    for (int64_t r = 0; r < a->n_rows; r++) {
        for (int64_t k = a->start[r]; k < a->start[r + 1]; k++)
            for (int64_t l = b->start[a->at[k]]; l < b->start[a->at[k] + 1]; l++) {
                m->at[n] = b->at[l];
                m->w[n++] = a->w[k] * b->w[l];
            }
        m->start[r + 1] = n;
    }
    nm_sparse_close(m);
    return m;
}

nm_vexpr *nm_vexpr_zero(nm_arena *arena, int64_t n)
{
    nm_vexpr *e = nm_arena_take(arena, 1, sizeof *e);
    double *room = nm_arena_take(arena, 3 * (size_t)n, sizeof *room);

    if (!e || !room)
        return NULL;
    memset(room, 0, 3 * (size_t)n * sizeof *room);
    *e = (nm_vexpr){.n = n, .c = room, .known = room + n, .deviation = room + 2 * n};
    return e;
}

bool nm_vexpr_can_add(const nm_sparse *j, const nm_vexpr *e)
{
    for (int t = 0; t < e->n_terms; t++)
        if (!nm_sparse_can_times(j, e->terms[t].m))
            return false;
    return true;
}

/* What is known of J e when e is known up to its bounds; `up` covers the sums' own rounding. */
static void add_bounds(nm_vexpr *to, const nm_sparse *j, const nm_vexpr *e)
{
    for (int64_t r = 0; r < j->n_rows; r++) {
        double known = 0, deviation = 0,
               up = 1 + (double)(j->start[r + 1] - j->start[r] + 16) * 2 * ROUNDOFF;

        for (int64_t k = j->start[r]; k < j->start[r + 1]; k++) {
            known += fabs(j->w[k]) * e->known[j->at[k]];
            deviation += fabs(j->w[k]) * e->deviation[j->at[k]];
        }
        to->known[r] = (to->known[r] + known * up) * (1 + 4 * ROUNDOFF);
        to->deviation[r] = (to->deviation[r] + deviation * up) * (1 + 4 * ROUNDOFF);
    }
}

/* c += J c_e, with the rounding of these sums and of the entries of J. */
static void add_constants(nm_vexpr *to, const nm_sparse *j, const nm_vexpr *e)
{
    for (int64_t r = 0; r < j->n_rows; r++) {
        int64_t n = j->start[r + 1] - j->start[r];
        double sum = to->c[r], size = fabs(to->c[r]);

        for (int64_t k = j->start[r]; k < j->start[r + 1]; k++) {
            sum += j->w[k] * e->c[j->at[k]];
            size += fabs(j->w[k] * e->c[j->at[k]]);
        }
        if (size > fabs(to->c[r]))
            to->known[r] += (double)(n + 16) * 2 * ROUNDOFF * size;
        to->c[r] = sum;
    }
}

void nm_vexpr_add(nm_arena *arena, nm_vexpr *to, const nm_sparse *j, const nm_vexpr *e,
                  bool constants)
{
    nm_vterm *terms = nm_arena_take(arena, (size_t)(to->n_terms + e->n_terms) + 1, sizeof *terms);

    if (!terms)
        return;
    if (to->n_terms > 0)
        memcpy(terms, to->terms, (size_t)to->n_terms * sizeof *terms);
    for (int t = 0; t < e->n_terms; t++) {
        terms[to->n_terms + t].node = e->terms[t].node;
        terms[to->n_terms + t].m = nm_sparse_times(arena, j, e->terms[t].m);
        if (!terms[to->n_terms + t].m)
            return;
    }
    to->terms = terms;
    to->n_terms += e->n_terms;
    to->ulps = (to->ulps > e->ulps + 9 ? to->ulps : e->ulps + 9);
    add_bounds(to, j, e);
    if (constants)
        add_constants(to, j, e);
}
