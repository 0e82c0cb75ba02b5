#include "repair/label_goals.h"

#include <math.h>

#include "base/mem.h"

static const double MOST_NUMBERS = 3e8;

static void label_rows(int64_t target, double margin, int64_t n_classes, double *c, double *d)
{
    int64_t row = 0;

    for (int64_t j = 0; j < n_classes; j++) {
        if (j == target)
            continue;
        c[row * n_classes + j] = 1;
        c[row * n_classes + target] = -1;
        d[row++] = -margin;
    }
}

nm_status nm_label_goals_new(const int64_t *target, const double *margin, int64_t n,
                             int64_t n_classes, nm_label_goals *out, nm_err *err)
{
    int64_t rows = n_classes - 1, block = rows * n_classes;
    nm_status rc = NM_OK;

    *out = (nm_label_goals){0};
    if ((double)n * (double)block > MOST_NUMBERS)
        return nm_fail(err, NM_E_UNSUPPORTED,
                       "%lld points of %lld classes are too many for this method, expected at "
                       "most %.0f",
                       (long long)n, (long long)n_classes, floor(MOST_NUMBERS / (double)block));
    NM_TRY(nm_alloc(&out->goal, (size_t)n, sizeof *out->goal, err));
    NM_TRY(nm_alloc(&out->pieces, (size_t)n, sizeof *out->pieces, err));
    NM_TRY(nm_alloc(&out->c, (size_t)(n * block), sizeof *out->c, err));
    NM_TRY(nm_alloc(&out->d, (size_t)(n * rows), sizeof *out->d, err));
    for (int64_t p = 0; p < n; p++) {
        double *c = out->c + p * block, *d = out->d + p * rows;
        bool asked = margin[p] > -INFINITY;

        if (asked)
            label_rows(target[p], margin[p], n_classes, c, d);
        out->pieces[p] = (nm_polytope){.n_rows = asked ? rows : 0, .c = c, .d = d};
        out->goal[p] = (nm_union){.n_pieces = 1, .pieces = &out->pieces[p]};
    }
done:
    return rc;
}

void nm_label_goals_clear(nm_label_goals *o)
{
    nm_free(o->goal);
    nm_free(o->pieces);
    nm_free(o->c);
    nm_free(o->d);
    *o = (nm_label_goals){0};
}
