/* Properties that are made here rather than read from a file. */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "spec/property.h"

static float at_least(double x)
{
    float f = (float)x;

    return (double)f < x ? nextafterf(f, INFINITY) : f;
}

static float at_most(double x)
{
    float f = (float)x;

    return (double)f > x ? nextafterf(f, -INFINITY) : f;
}

/* The box, and whether a float32 point lies in it. */
static bool put_box(const double *lo, const double *hi, nm_property *p, nm_in_box *box)
{
    size_t n = (size_t)p->n_in;
    double *lo_out = nm_arena_take(&p->arena, n, sizeof *lo_out);
    double *hi_out = nm_arena_take(&p->arena, n, sizeof *hi_out);
    float *lo_in = nm_arena_take(&p->arena, n, sizeof *lo_in);
    float *hi_in = nm_arena_take(&p->arena, n, sizeof *hi_in);

    if (p->arena.failed)
        return false;
    box->has_points = true;
    for (size_t i = 0; i < n; i++) {
        lo_out[i] = lo[i];
        hi_out[i] = hi[i];
        lo_in[i] = at_least(lo[i]);
        hi_in[i] = at_most(hi[i]);
        box->has_points = box->has_points && lo_in[i] <= hi_in[i];
    }
    box->lo_out = lo_out;
    box->hi_out = hi_out;
    box->lo_in = lo_in;
    box->hi_in = hi_in;
    return true;
}

static void copy_rows(const nm_out_row *rows, int64_t n_rows, nm_property *p)
{
    nm_out_row *to = nm_arena_take(&p->arena, (size_t)n_rows, sizeof *to);

    for (int64_t r = 0; to && r < n_rows; r++) {
        size_t n = (size_t)rows[r].n_terms;
        int32_t *output = nm_arena_take(&p->arena, n, sizeof *output);
        double *coef = nm_arena_take(&p->arena, n, sizeof *coef);

        to[r] = rows[r];
        if (!output || !coef)
            return;
        memcpy(output, rows[r].output, n * sizeof *output);
        memcpy(coef, rows[r].coef, n * sizeof *coef);
        to[r].output = output;
        to[r].coef = coef;
    }
    p->rows = to;
    p->n_rows = n_rows;
}

nm_status nm_property_from_box(const double *lo, const double *hi, int64_t n_in, int64_t n_out,
                               const nm_out_case *cases, int64_t n_cases, const nm_out_row *rows,
                               int64_t n_rows, nm_property **out, nm_err *err)
{
    nm_property *p = NULL;
    nm_out_case *own;
    nm_in_box *box;
    nm_status rc = nm_alloc(&p, 1, sizeof *p, err);

    *out = NULL;
    if (rc != NM_OK)
        return rc;
    *p = (nm_property){.n_in = n_in, .n_out = n_out, .n_boxes = 1, .n_cases = n_cases};
    box = nm_arena_zeroed(&p->arena, 1, sizeof *box);
    own = nm_arena_take(&p->arena, (size_t)n_cases, sizeof *own);
    copy_rows(rows, n_rows, p);
    if (!box || !own || !put_box(lo, hi, p, box) || p->arena.failed) {
        nm_property_free(p);
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    }
    memcpy(own, cases, (size_t)n_cases * sizeof *own);
    box->n_cases = n_cases;
    p->boxes = box;
    p->cases = own;
    *out = p;
    return NM_OK;
}
