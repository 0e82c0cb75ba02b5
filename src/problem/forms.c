#include "problem/forms_inside.h"

#include <cblas.h>
#include <string.h>

#include "base/mem.h"
#include "tensor/dense.h"

/* -- opening ----------------------------------------------------------------------------- */

static nm_layer_forms describe(const nm_edit *e)
{
    int64_t matrix = e->form.n_out * e->width;
    nm_layer_forms f = {.places = e->form.places, .width = e->width, .n_out = e->form.n_out};

    if (f.places > 1 && f.places * (f.n_out + f.width) > matrix)
        f = (nm_layer_forms){.whole = true, .places = 1, .width = matrix};
    return f;
}

nm_status nm_forms_new(const nm_ctx *ctx, const nm_edits *edits, const nm_metric *metric,
                       nm_forms **out, nm_err *err)
{
    nm_forms *f = NULL;
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(&f, 1, sizeof *f, err));
    *f = (nm_forms){.ctx = ctx, .edits = edits, .metric = metric, .fixed = true};
    NM_TRY(nm_alloc(&f->layer, (size_t)edits->n, sizeof *f->layer, err));
    for (int b = 0; b < edits->n; b++) {
        f->layer[b] = describe(&edits->at[b]);
        f->fixed = f->fixed && edits->at[b].fixed_input;
    }
    *out = f;
    f = NULL;
done:
    nm_forms_free(f);
    return rc;
}

void nm_forms_free(nm_forms *f)
{
    if (!f)
        return;
    for (int b = 0; f->layer && b < f->edits->n; b++) {
        nm_layer_forms *l = &f->layer[b];

        if (f->metric) {
            nm_free(l->su);
            nm_free(l->sg);
        }
        nm_free(l->u);
        nm_free(l->g);
    }
    nm_free(f->layer);
    nm_free(f->slot);
    nm_free(f->slot_of);
    nm_free(f);
}

void nm_forms_reset(nm_forms *f)
{
    f->m = 0;
    if (f->fixed)
        return;
    f->n_slots = 0;
    for (int64_t p = 0; p < f->n_slot_of; p++)
        f->slot_of[p] = -1;
}

int64_t nm_forms_n_rows(const nm_forms *f)
{
    return f->m;
}

/* -- room -------------------------------------------------------------------------------- */

static nm_status grow_pair(const nm_forms *f, double **plain, double **solved, int64_t n,
                           int64_t each, nm_err *err)
{
    size_t elements;
    nm_status rc;

    if (!nm_mul_size((size_t)n, (size_t)each, &elements))
        return nm_fail(err, NM_E_NOMEM, "out of memory: %lld rows", (long long)n);
    rc = nm_realloc(plain, elements, sizeof **plain, err);
    if (rc == NM_OK && f->metric)
        rc = nm_realloc(solved, elements, sizeof **solved, err);
    if (!f->metric)
        *solved = *plain;
    return rc;
}

static nm_status room_for_rows(nm_forms *f, int64_t m, nm_err *err)
{
    int64_t room = m > f->room + f->room / 2 ? m : f->room + f->room / 2;
    nm_status rc = NM_OK;

    if (m <= f->room)
        return NM_OK;
    NM_TRY(nm_realloc(&f->slot, (size_t)room, sizeof *f->slot, err));
    for (int b = 0; b < f->edits->n; b++) {
        nm_layer_forms *l = &f->layer[b];

        NM_TRY(grow_pair(f, &l->g, &l->sg, room, l->whole ? l->width : l->places * l->n_out, err));
    }
    f->room = room;
done:
    return rc;
}

static nm_status room_for_slots(nm_forms *f, int64_t n, nm_err *err)
{
    int64_t room = n > f->slot_room + f->slot_room / 2 ? n : f->slot_room + f->slot_room / 2;
    nm_status rc = NM_OK;

    if (n <= f->slot_room)
        return NM_OK;
    for (int b = 0; b < f->edits->n; b++) {
        nm_layer_forms *l = &f->layer[b];

        if (!l->whole)
            NM_TRY(grow_pair(f, &l->u, &l->su, room, l->places * l->width, err));
    }
    f->slot_room = room;
done:
    return rc;
}

/* -- what the points see ----------------------------------------------------------------- */

/* Points among those of `rows` that have no slot yet get one. *points lists them. */
static nm_status assign_slots(nm_forms *f, const nm_tail *tail, const nm_row_id *rows, int64_t n,
                              int64_t **points, int64_t *count, nm_err *err)
{
    nm_status rc = NM_OK;

    *count = 0;
    NM_TRY(nm_alloc(points, (size_t)n, sizeof **points, err));
    if (tail->at->n > f->n_slot_of) {
        NM_TRY(nm_realloc(&f->slot_of, (size_t)tail->at->n, sizeof *f->slot_of, err));
        for (int64_t p = f->n_slot_of; p < tail->at->n; p++)
            f->slot_of[p] = -1;
        f->n_slot_of = tail->at->n;
    }
    for (int64_t r = 0; r < n; r++)
        if (f->slot_of[rows[r].point] < 0) {
            f->slot_of[rows[r].point] = f->n_slots + *count;
            (*points)[(*count)++] = rows[r].point;
        }
done:
    return rc;
}

static nm_status fill_slots(nm_forms *f, const nm_tail *tail, const int64_t *points, int64_t n,
                            nm_err *err)
{
    nm_status rc = room_for_slots(f, f->n_slots + n, err);

    for (int b = 0; rc == NM_OK && n > 0 && b < f->edits->n; b++) {
        nm_layer_forms *l = &f->layer[b];
        int64_t each = l->places * l->width, first = f->n_slots * each;

        if (l->whole)
            continue;
        for (int64_t i = 0; rc == NM_OK && i < n; i++)
            rc = nm_edit_see(f->ctx, f->edits, b, tail->at, points[i], 1, l->u + first + i * each,
                             err);
        if (rc == NM_OK && f->metric)
            rc = nm_moment_solve(f->ctx, f->metric->seen[b], l->u + first, n * l->places,
                                 l->su + first, err);
    }
    if (rc == NM_OK)
        f->n_slots += n;
    return rc;
}

/* -- adding rows -------------------------------------------------------------------------- */

/* A batch of rows on its way: values and adjoints at each row's point. */
typedef struct batch {
    int64_t n, *points;
    nm_tape *at, *adjoint;
} batch;

static void close_batch(batch *b)
{
    nm_free(b->points);
    nm_tape_free(b->at);
    nm_tape_free(b->adjoint);
}

static nm_status open_batch(const nm_tail *tail, int64_t n, batch *b, nm_err *err)
{
    bool *keep = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&keep, (size_t)tail->net->n_values, sizeof *keep, err));
    NM_TRY(nm_alloc(&b->points, (size_t)n, sizeof *b->points, err));
    for (int v = 0; v < tail->net->n_values; v++)
        keep[v] = tail->at->val[v] != NULL;
    NM_TRY(nm_tape_new(tail->net, n, keep, &b->at, err));
    NM_TRY(nm_tape_new(tail->net, n, tail->behind, &b->adjoint, err));
done:
    nm_free(keep);
    return rc;
}

/* Gradients of the batch's rows as matrices. */
static nm_status whole_gradients(nm_forms *f, int b, const batch *t, double *to, nm_err *err)
{
    const nm_edit *e = &f->edits->at[b];
    double *u = NULL, *g = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&u, (size_t)(t->n * nm_edit_seen(e)), sizeof *u, err));
    NM_TRY(nm_alloc(&g, (size_t)(t->n * nm_edit_emitted(e)), sizeof *g, err));
    NM_TRY(nm_edit_see(f->ctx, f->edits, b, t->at, 0, t->n, u, err));
    NM_TRY(nm_edit_emit(f->ctx, f->edits, b, t->adjoint, t->n, g, err));
    for (int64_t r = 0; r < t->n; r++)
        cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)e->form.n_out, (int)e->width,
                    (int)e->form.places, 1, g + r * nm_edit_emitted(e), (int)e->form.n_out,
                    u + r * nm_edit_seen(e), (int)e->width, 0, to + r * f->layer[b].width,
                    (int)e->width);
done:
    nm_free(u);
    nm_free(g);
    return rc;
}

/* Adjoints of the batch become rows f->m .. */
static nm_status store_batch(nm_forms *f, const batch *t, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int b = 0; b < f->edits->n; b++) {
        nm_layer_forms *l = &f->layer[b];
        int64_t each = l->whole ? l->width : l->places * l->n_out;
        double *to = l->g + f->m * each;

        if (l->whole) {
            NM_TRY(whole_gradients(f, b, t, to, err));
            if (f->metric)
                NM_TRY(nm_metric_solve(f->ctx, f->edits, f->metric, b, to, t->n,
                                       l->sg + f->m * each, err));
            continue;
        }
        NM_TRY(nm_edit_emit(f->ctx, f->edits, b, t->adjoint, t->n, to, err));
        if (f->metric)
            NM_TRY(nm_moment_solve(f->ctx, f->metric->emitted[b], to, t->n * l->places,
                                   l->sg + f->m * each, err));
    }
    f->m += t->n;
done:
    return rc;
}

static nm_status add_batch(nm_forms *f, const nm_tail *tail, const nm_demand *demand,
                           const nm_row_id *rows, batch *t, double *value, nm_err *err)
{
    nm_status rc = NM_OK;

    t->at->n = t->adjoint->n = t->n;
    for (int64_t r = 0; r < t->n; r++)
        t->points[r] = rows[r].point;
    nm_tape_gather(t->at, tail->at, t->points, t->n);
    nm_tape_zero(t->adjoint);
    for (int64_t r = 0; r < t->n; r++) {
        value[r] = nm_row_seed(tail->net, demand, &rows[r], t->at, t->adjoint, r);
        f->slot[f->m + r] = f->slot_of[rows[r].point];
    }
    NM_TRY(nm_tape_vjp(f->ctx, t->at, t->adjoint, tail->op_mask, false, err));
    NM_TRY(store_batch(f, t, err));
done:
    return rc;
}

nm_status nm_forms_add(nm_forms *f, const nm_tail *tail, const nm_demand *demand,
                       const nm_row_id *rows, int64_t n, double *value, nm_err *err)
{
    enum { BLOCKS_A_CHUNK = 4 }; /* whatever the number of threads: same sums, same bits */
    int64_t chunk = BLOCKS_A_CHUNK * nm_pass_block(tail->net), *points = NULL, n_points;
    batch t = {0};
    nm_status rc = NM_OK;

    chunk = chunk < n ? chunk : n;
    NM_TRY(assign_slots(f, tail, rows, n, &points, &n_points, err));
    rc = fill_slots(f, tail, points, n_points, err);
    for (int64_t i = 0; rc != NM_OK && i < n_points; i++)
        f->slot_of[points[i]] = -1; /* as if they had not been asked for */
    NM_TRY(rc);
    NM_TRY(room_for_rows(f, f->m + n, err));
    NM_TRY(open_batch(tail, chunk, &t, err));
    for (int64_t first = 0; first < n; first += chunk) {
        t.n = n - first < chunk ? n - first : chunk;
        NM_TRY(add_batch(f, tail, demand, rows + first, &t, value + first, err));
    }
done:
    close_batch(&t);
    nm_free(points);
    return rc;
}

/* -- unit rows ---------------------------------------------------------------------------- */

/* The layer and the entry (i, k) of its matrix that an unknown is. */
static void find_unknown(const nm_edits *edits, int64_t unknown, int *layer, int64_t *i, int64_t *k)
{
    for (int b = 0; b < edits->n; b++) {
        const nm_edit *e = &edits->at[b];
        const nm_param_block *weight = e->weight >= 0 ? &edits->params->blocks[e->weight] : NULL;
        const nm_param_block *bias = e->bias >= 0 ? &edits->params->blocks[e->bias] : NULL;

        *layer = b;
        if (weight && unknown >= weight->first && unknown < weight->first + weight->n) {
            int64_t at = unknown - weight->first;

            *i = e->form.transposed ? at % e->form.n_out : at / e->form.n_in;
            *k = e->form.transposed ? at / e->form.n_out : at % e->form.n_in;
            return;
        }
        if (bias && unknown >= bias->first && unknown < bias->first + bias->n) {
            *i = unknown - bias->first;
            *k = e->width - 1;
            return;
        }
    }
}

/* Row and slot of one unit: zero everywhere but in its layer. */
static nm_status add_unit(nm_forms *f, int64_t unknown, double sign, nm_err *err)
{
    int64_t i = 0, k = 0;
    int layer = 0;
    nm_status rc = NM_OK;

    find_unknown(f->edits, unknown, &layer, &i, &k);
    for (int b = 0; b < f->edits->n; b++) {
        nm_layer_forms *l = &f->layer[b];
        int64_t each = l->whole ? l->width : l->places * l->n_out, seen = l->places * l->width;
        double *g = l->g + f->m * each, *u = l->u + f->n_slots * seen;

        memset(g, 0, (size_t)each * sizeof *g);
        if (!l->whole)
            memset(u, 0, (size_t)seen * sizeof *u);
        if (b == layer && l->whole)
            g[i * f->edits->at[b].width + k] = sign;
        if (b == layer && !l->whole) {
            g[i] = sign;
            u[k] = 1;
        }
        if (!f->metric)
            continue;
        if (l->whole) {
            NM_TRY(nm_metric_solve(f->ctx, f->edits, f->metric, b, g, 1, l->sg + f->m * each, err));
            continue;
        }
        NM_TRY(
            nm_moment_solve(f->ctx, f->metric->emitted[b], g, l->places, l->sg + f->m * each, err));
        NM_TRY(nm_moment_solve(f->ctx, f->metric->seen[b], u, l->places, l->su + f->n_slots * seen,
                               err));
    }
    f->slot[f->m++] = f->n_slots++;
done:
    return rc;
}

nm_status nm_forms_add_units(nm_forms *f, const int64_t *unknown, const double *sign, int64_t n,
                             nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(room_for_rows(f, f->m + n, err));
    NM_TRY(room_for_slots(f, f->n_slots + n, err));
    for (int64_t r = 0; r < n; r++)
        NM_TRY(add_unit(f, unknown[r], sign[r], err));
done:
    return rc;
}
