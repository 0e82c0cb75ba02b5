#include "repair/twins.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void nm_twins_clear(nm_twins *twins)
{
    nm_free(twins->previous);
    nm_free(twins->keep);
    *twins = (nm_twins){0};
}

/* -- among repair points ------------------------------------------------------------------- */

static nm_status link_points(const nm_search *s, nm_twins *t, nm_err *err)
{
    int64_t *last = NULL; /* [n] of each first point: the last one like it so far */
    nm_status rc = nm_alloc(&last, (size_t)t->n, sizeof *last, err);

    for (int64_t p = 0; rc == NM_OK && p < t->n; p++) {
        int64_t first = nm_tail_same_as(s->active, p);

        t->previous[p] = first < 0 ? -1 : last[first];
        last[first < 0 ? p : first] = p;
    }
    nm_free(last);
    return rc;
}

/* -- against keep points ------------------------------------------------------------------- */

typedef struct print {
    uint64_t hash;
    int64_t point;
} print;

static uint64_t hash_of(const float *x, size_t n_bytes)
{
    const unsigned char *byte = (const unsigned char *)x;
    uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

    for (size_t i = 0; i < n_bytes; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3;
    return hash;
}

static int by_hash(const void *a, const void *b)
{
    const print *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->point < y->point ? -1 : x->point > y->point;
}

/* First of the sorted prints that is not below. */
static int64_t find_print(const print *prints, int64_t n, uint64_t hash)
{
    int64_t low = 0, high = n;

    while (low < high) {
        int64_t middle = low + (high - low) / 2;

        if (prints[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static nm_status match_keep(const nm_search *s, const float *x, nm_twins *t, nm_err *err)
{
    int64_t n_in = s->net->values[s->net->input].size;
    size_t n_bytes = (size_t)n_in * sizeof *x;
    print *prints = NULL;
    nm_status rc = nm_alloc(&prints, (size_t)t->n, sizeof *prints, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t p = 0; p < t->n; p++)
        prints[p] = (print){.hash = hash_of(x + p * n_in, n_bytes), .point = p};
    qsort(prints, (size_t)t->n, sizeof *prints, by_hash);
    for (int64_t k = 0; k < s->n_keep; k++) {
        const float *kept = s->keep_x + k * n_in;
        uint64_t hash = hash_of(kept, n_bytes);

        if (!(s->keep_margin[k] > 0)) /* wrong before: nothing to keep */
            continue;
        for (int64_t i = find_print(prints, t->n, hash); i < t->n && prints[i].hash == hash; i++) {
            int64_t p = prints[i].point;

            if (t->keep[p] < 0 && s->demand.target[p] != s->keep_target[k] &&
                memcmp(kept, x + p * n_in, n_bytes) == 0)
                t->keep[p] = k;
        }
    }
    nm_free(prints);
    return NM_OK;
}

/* -- all together -------------------------------------------------------------------------- */

nm_status nm_twins_find(const nm_search *s, const float *x, nm_twins *out, nm_err *err)
{
    nm_status rc = NM_OK;

    *out = (nm_twins){.n = s->n_repair};
    NM_TRY(nm_alloc(&out->previous, (size_t)out->n, sizeof *out->previous, err));
    NM_TRY(nm_alloc(&out->keep, (size_t)out->n, sizeof *out->keep, err));
    for (int64_t p = 0; p < out->n; p++)
        out->keep[p] = -1;
    NM_TRY(link_points(s, out, err));
    if (s->n_keep > 0)
        NM_TRY(match_keep(s, x, out, err));
done:
    return rc;
}

int64_t nm_twins_against(const nm_twins *twins, const int64_t *target, const bool *out, int64_t p)
{
    int64_t q = twins->previous[p];

    while (q >= 0 && (target[q] == target[p] || (out && out[q])))
        q = twins->previous[q];
    return q;
}
