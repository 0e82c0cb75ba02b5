/* Walking a proof (region_proof.h): every leaf is bounded anew, every box is the checker's own. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "verify/check_bound.h"
#include "verify/check_neurons.h"
#include "verify/region_proof.h"

#define ROUNDOFF 0x1p-53

enum { MOST_LINES = 256 };

struct walk {
    nm_ctx *ctx;
    const nm_check_chain *chain;
    const nm_property *property;
    const nm_in_box *box;
    const nm_region_proof *proof;
    int64_t *end; /* [n_steps] the step behind the part that a step begins */
    nm_status rc;
    nm_err *err;
};

/* One node: its box, what is known of its neurons, the cases that are open. */
struct place {
    double *lo, *hi, *z_lo, *z_hi;
    bool *open;
};

/* One thread's room. */
struct hand {
    const struct walk *w;
    nm_check_bounds bounds;
    double *slope; /* [MOST_LINES x n_in] lines of one case */
    double constant[MOST_LINES];
    double *rows; /* [rows of the box x n_in] lines of the rows, slopes by the larger side */
    double *row_constant, *coef, *joint, *cut_lo, *cut_hi, *hull_lo, *hull_hi;
    nm_arena arena;
};

/* -- the shape of the proof ------------------------------------------------------------------ */

/* Where each part ends, from behind; false if the steps are no tree. */
static bool find_ends(struct walk *w)
{
    const nm_region_proof *p = w->proof;

    for (int64_t i = p->n_steps - 1; i >= 0; i--) {
        int n_children = p->steps[i].kind == NM_PROOF_CLOSED  ? 0
                         : p->steps[i].kind == NM_PROOF_AGAIN ? 1
                                                              : 2;

        w->end[i] = i + 1;
        for (int c = 0; c < n_children; c++) {
            if (w->end[i] >= p->n_steps)
                return false;
            w->end[i] = w->end[w->end[i]];
        }
    }
    return p->n_steps > 0 && w->end[0] == p->n_steps;
}

/* -- one case --------------------------------------------------------------------------------- */

static const nm_out_row *row_of(const struct walk *w, int64_t c, int64_t k)
{
    return &w->property->rows[w->property->cases[w->box->first_case + c].first + k];
}

static int64_t n_rows_of(const struct walk *w, int64_t c)
{
    return w->property->cases[w->box->first_case + c].n_rows;
}

/* A line below row k of case c: "unsafe when <= 0", the limit being the larger one. */
static void row_line(struct hand *h, int64_t c, int64_t k, double *slope, double *constant)
{
    const nm_out_row *row = row_of(h->w, c, k);

    memset(h->coef, 0, (size_t)h->w->property->n_out * sizeof *h->coef);
    for (int t = 0; t < row->n_terms; t++)
        h->coef[row->output[t]] = row->coef[t];
    nm_check_line(&h->bounds, h->coef, -row->limit_out, slope, constant);
}

/* The weighted sum of lines, its constant lowered by what the sum rounds. */
static void join(struct hand *h, int64_t n, const double *weight, const struct place *p,
                 double *constant)
{
    int64_t n_in = h->w->chain->n_in;
    double size = 0;

    *constant = 0;
    for (int64_t l = 0; l < n; l++) {
        *constant += weight[l] * h->constant[l];
        size += fabs(weight[l] * h->constant[l]);
    }
    for (int64_t j = 0; j < n_in; j++) {
        double all = 0;

        h->joint[j] = 0;
        for (int64_t l = 0; l < n; l++) {
            h->joint[j] += weight[l] * h->slope[l * n_in + j];
            all += fabs(weight[l] * h->slope[l * n_in + j]);
        }
        size += all * fmax(fabs(p->lo[j]), fabs(p->hi[j]));
    }
    *constant -= size * (double)(n + n_in + 16) * 2 * ROUNDOFF;
}

static nm_status refuse(nm_err *err, int64_t step, const char *why)
{
    return nm_fail(err, NM_E_ARG, "step %lld of the proof: %s", (long long)step, why);
}

/* Lines of the case: of its rows, then of its rows for each point. */
static nm_status take_lines(struct hand *h, int64_t step, int64_t c, const double **at,
                            const double *end, int64_t first_row, int64_t *n_lines, nm_err *err)
{
    int64_t n_in = h->w->chain->n_in, m = n_rows_of(h->w, c), n_points;

    if (*at == end || !(**at >= 0 && **at <= MOST_LINES && **at == floor(**at)))
        return refuse(err, step, "the number of points is missing");
    n_points = (int64_t) * (*at)++;
    if (m * (n_points + 1) > MOST_LINES || end - *at < n_points * n_in + m * (n_points + 1))
        return refuse(err, step, "points or weights are missing");
    memcpy(h->slope, h->rows + first_row * n_in, (size_t)(m * n_in) * sizeof(double));
    memcpy(h->constant, h->row_constant + first_row, (size_t)m * sizeof(double));
    *n_lines = m;
    for (int64_t q = 0; q < n_points; q++, *at += n_in) {
        nm_check_touch(&h->bounds, *at);
        for (int64_t k = 0; k < m; k++, (*n_lines)++)
            row_line(h, c, k, h->slope + *n_lines * n_in, &h->constant[*n_lines]);
    }
    return NM_OK;
}

static bool is_positive(double v)
{
    return v > 0 && isfinite(v);
}

/* Closes the case, or leaves in cut_lo, cut_hi where its unsafe points may be. */
static nm_status check_case(struct hand *h, int64_t step, int64_t c, struct place *p,
                            const double **at, const double *end, int64_t first_row, nm_err *err)
{
    int64_t n_in = h->w->chain->n_in, n_lines = 0;
    size_t bytes = (size_t)n_in * sizeof(double);
    const double *weight;
    double constant;
    nm_status rc = take_lines(h, step, c, at, end, first_row, &n_lines, err);

    if (rc != NM_OK)
        return rc;
    weight = *at;
    *at += n_lines;
    for (int64_t l = 0; l < n_lines; l++)
        if (!(weight[l] >= 0 && isfinite(weight[l])))
            return refuse(err, step, "a weight is negative");
    join(h, n_lines, weight, p, &constant);
    p->open[c] = !is_positive(nm_check_least(n_in, h->joint, constant, p->lo, p->hi));
    for (int64_t l = 0; l < n_lines && p->open[c]; l++)
        p->open[c] =
            !is_positive(nm_check_least(n_in, h->slope + l * n_in, h->constant[l], p->lo, p->hi));
    memcpy(h->cut_lo, p->lo, bytes);
    memcpy(h->cut_hi, p->hi, bytes);
    for (int round = 0; round < 2; round++)
        for (int64_t l = -1; l < n_lines && p->open[c]; l++)
            p->open[c] = nm_check_cut(n_in, l < 0 ? h->joint : h->slope + l * n_in,
                                      l < 0 ? constant : h->constant[l], h->cut_lo, h->cut_hi);
    return NM_OK;
}

/* -- one node --------------------------------------------------------------------------------- */

/* Bounds the box, closes cases, shrinks the box to what is left. */
static nm_status check_node(struct hand *h, int64_t step, struct place *p, bool *any, nm_err *err)
{
    const struct walk *w = h->w;
    const nm_proof_step *s = &w->proof->steps[step];
    const double *at = w->proof->numbers + s->first, *end = at + s->n;
    int64_t n_in = w->chain->n_in, row = 0;
    size_t bytes = (size_t)n_in * sizeof(double), z_bytes = (size_t)w->chain->n_neurons * 8;
    nm_status rc = NM_OK;

    *any = false;
    memcpy(h->bounds.lo, p->z_lo, z_bytes);
    memcpy(h->bounds.hi, p->z_hi, z_bytes);
    if (!nm_check_neurons(&h->bounds, p->lo, p->hi))
        return NM_OK;
    memcpy(p->z_lo, h->bounds.lo, z_bytes);
    memcpy(p->z_hi, h->bounds.hi, z_bytes);
    for (int64_t c = 0; c < w->box->n_cases; c++)
        for (int64_t k = 0; k < n_rows_of(w, c); k++, row++)
            if (p->open[c])
                row_line(h, c, k, h->rows + row * n_in, &h->row_constant[row]);
    row = 0;
    for (int64_t c = 0; rc == NM_OK && c < w->box->n_cases; row += n_rows_of(w, c++)) {
        if (!p->open[c])
            continue;
        rc = check_case(h, step, c, p, &at, end, row, err);
        for (int64_t j = 0; rc == NM_OK && p->open[c] && j < n_in; j++) {
            h->hull_lo[j] = *any ? fmin(h->hull_lo[j], h->cut_lo[j]) : h->cut_lo[j];
            h->hull_hi[j] = *any ? fmax(h->hull_hi[j], h->cut_hi[j]) : h->cut_hi[j];
        }
        *any = *any || p->open[c];
    }
    if (rc == NM_OK && *any) {
        memcpy(p->lo, h->hull_lo, bytes);
        memcpy(p->hi, h->hull_hi, bytes);
        for (int64_t j = 0; j < n_in; j++)
            *any = *any && p->lo[j] <= p->hi[j];
    }
    return rc;
}

static struct place *place_new(const struct walk *w, const struct place *from)
{
    size_t n_in = (size_t)w->chain->n_in, n = (size_t)w->chain->n_neurons;
    size_t n_cases = (size_t)w->box->n_cases;
    nm_err ignored = {0};
    struct place *p;
    char *room;

    if (nm_alloc(&room, 1, sizeof *p + (2 * n_in + 2 * n) * sizeof(double) + n_cases, &ignored) !=
        NM_OK)
        return NULL;
    p = (struct place *)(void *)room;
    p->lo = (double *)(void *)(room + sizeof *p);
    p->hi = p->lo + n_in;
    p->z_lo = p->hi + n_in;
    p->z_hi = p->z_lo + n;
    p->open = (bool *)(p->z_hi + n);
    if (from) {
        memcpy(p->lo, from->lo, (2 * n_in + 2 * n) * sizeof(double));
        memcpy(p->open, from->open, n_cases);
    }
    return p;
}

/* -- the walk --------------------------------------------------------------------------------- */

/* Nodes that are yet to be checked, last first. */
struct list {
    struct item {
        int64_t step;
        struct place *place;
    } * items;
    int64_t n, room;
};

static nm_status push(struct list *l, int64_t step, struct place *p, nm_err *err)
{
    nm_status rc = p ? NM_OK : nm_fail(err, NM_E_NOMEM, "out of memory");

    if (rc == NM_OK && l->n == l->room) {
        l->room = 2 * l->room + 64;
        rc = nm_realloc(&l->items, (size_t)l->room, sizeof *l->items, err);
    }
    if (rc == NM_OK)
        l->items[l->n++] = (struct item){step, p};
    else
        nm_free(p);
    return rc;
}

static void empty_list(struct list *l)
{
    while (l->n > 0)
        nm_free(l->items[--l->n].place);
    nm_free(l->items);
}

static bool is_empty(const struct walk *w, const struct place *p)
{
    for (int64_t j = 0; j < w->chain->n_in; j++)
        if (p->lo[j] > p->hi[j])
            return true;
    return false;
}

/* x[dim] <= at, then x[dim] >= at: together they are the box, whatever `at` is. */
static nm_status push_halves(const struct walk *w, int64_t step, const struct place *p,
                             struct list *l, nm_err *err)
{
    const nm_proof_step *s = &w->proof->steps[step];
    int64_t child = step + 1;
    nm_status rc = NM_OK;

    if (s->dim < 0 || s->dim >= w->chain->n_in || !isfinite(s->at))
        return refuse(err, step, "the split is none");
    for (int side = 0; rc == NM_OK && side < 2; side++, child = w->end[child]) {
        struct place *half = place_new(w, p);

        if (half && side == 0)
            half->hi[s->dim] = fmin(half->hi[s->dim], s->at);
        else if (half)
            half->lo[s->dim] = fmax(half->lo[s->dim], s->at);
        rc = push(l, child, half, err);
    }
    return rc;
}

/* Checks the last node of a list; its children take its place. */
static nm_status check_last(struct hand *h, struct list *l, nm_err *err)
{
    struct item it = l->items[--l->n];
    nm_proof_step_kind kind = h->w->proof->steps[it.step].kind;
    bool any = false;
    nm_status rc = is_empty(h->w, it.place) ? NM_OK : check_node(h, it.step, it.place, &any, err);

    if (rc == NM_OK && any && kind == NM_PROOF_CLOSED)
        rc = refuse(err, it.step, "the part is not closed");
    else if (rc == NM_OK && any && kind == NM_PROOF_AGAIN)
        rc = push(l, it.step + 1, place_new(h->w, it.place), err);
    else if (rc == NM_OK && any)
        rc = push_halves(h->w, it.step, it.place, l, err);
    nm_free(it.place);
    return rc;
}

static bool open_hand(struct hand *h, const struct walk *w)
{
    size_t n_in = (size_t)w->chain->n_in, n_rows = 0;
    nm_err ignored = {0};

    *h = (struct hand){.w = w};
    for (int64_t c = 0; c < w->box->n_cases; c++)
        n_rows += (size_t)n_rows_of(w, c);
    if (nm_check_bounds_open(&h->bounds, w->chain, &ignored) != NM_OK)
        return false;
    h->slope = nm_arena_take(&h->arena, MOST_LINES * n_in, sizeof(double));
    h->rows = nm_arena_take(&h->arena, n_rows * n_in + 1, sizeof(double));
    h->row_constant = nm_arena_take(&h->arena, n_rows + 1, sizeof(double));
    h->coef = nm_arena_take(&h->arena, (size_t)w->property->n_out, sizeof(double));
    h->joint = nm_arena_take(&h->arena, n_in, sizeof(double));
    h->cut_lo = nm_arena_take(&h->arena, n_in, sizeof(double));
    h->cut_hi = nm_arena_take(&h->arena, n_in, sizeof(double));
    h->hull_lo = nm_arena_take(&h->arena, n_in, sizeof(double));
    h->hull_hi = nm_arena_take(&h->arena, n_in, sizeof(double));
    return !h->arena.failed;
}

static void close_hand(struct hand *h)
{
    nm_check_bounds_close(&h->bounds);
    nm_arena_clear(&h->arena);
}

/* What is said first stays. */
static void report(struct walk *w, nm_status rc, const nm_err *why)
{
#pragma omp critical(nm_check_region)
    if (rc != NM_OK && w->rc == NM_OK) {
        w->rc = rc;
        (void)nm_fail(w->err, rc, "%s", why->text);
    }
}

static bool has_failed(const struct walk *w)
{
    nm_status rc;

#pragma omp critical(nm_check_region)
    rc = w->rc;
    return rc != NM_OK;
}

/* One part after the other, each by one thread. */
static void check_part(struct walk *w, struct item it)
{
    struct list own = {0};
    struct hand h;
    nm_err why = {0};
    nm_status rc = NM_OK;

    if (!open_hand(&h, w)) {
        nm_free(it.place);
        rc = nm_fail(&why, NM_E_NOMEM, "out of memory");
    } else
        rc = push(&own, it.step, it.place, &why);
    while (rc == NM_OK && own.n > 0 && !has_failed(w)) {
        rc = nm_ctx_check(w->ctx, &why);
        if (rc == NM_OK)
            rc = check_last(&h, &own, &why);
    }
    report(w, rc, &why);
    empty_list(&own);
    close_hand(&h);
}

/* The first nodes one by one, until there are parts enough for all threads. */
static nm_status open_list(struct walk *w, struct list *l, nm_err *err)
{
    enum { ENOUGH = 64 };
    struct place *root = place_new(w, NULL);
    struct hand h;
    int64_t at = 0, n = 0;
    nm_status rc;

    if (!root)
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    memcpy(root->lo, w->box->lo_out, (size_t)w->chain->n_in * sizeof(double));
    memcpy(root->hi, w->box->hi_out, (size_t)w->chain->n_in * sizeof(double));
    for (int k = 0; k < w->chain->n_layers; at += w->chain->layers[k++].n_out) {
        memcpy(root->z_lo + at, w->chain->layers[k].lo, (size_t)w->chain->layers[k].n_out * 8);
        memcpy(root->z_hi + at, w->chain->layers[k].hi, (size_t)w->chain->layers[k].n_out * 8);
    }
    memset(root->open, 1, (size_t)w->box->n_cases);
    rc = push(l, 0, root, err);
    if (!open_hand(&h, w))
        rc = nm_fail(err, NM_E_NOMEM, "out of memory");
    /* The oldest node is taken, for parts of like size. */
    while (rc == NM_OK && l->n > 0 && l->n < ENOUGH && n++ < 4 * ENOUGH) {
        struct item oldest = l->items[0];

        memmove(l->items, l->items + 1, (size_t)(l->n - 1) * sizeof *l->items);
        l->items[l->n - 1] = oldest;
        rc = check_last(&h, l, err);
    }
    close_hand(&h);
    return rc;
}

nm_status nm_check_region_proof(nm_ctx *ctx, const nm_net *net, const nm_property *property,
                                int64_t box, const nm_region_proof *proof, nm_err *err)
{
    struct walk w = {
        .ctx = ctx, .property = property, .box = &property->boxes[box], .proof = proof, .err = err};
    nm_check_chain *chain = NULL;
    struct list l = {0};
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&w.end, (size_t)proof->n_steps + 1, sizeof *w.end, err));
    if (proof->n_ints == 0 && !find_ends(&w))
        NM_THROW(err, NM_E_ARG, "the steps of the proof are no tree: parts are missing");
    NM_TRY(nm_check_chain_new(net, w.box->lo_out, w.box->hi_out, &chain, err));
    w.chain = chain;
    if (proof->n_ints > 0) {
        rc = nm_check_neuron_proof(ctx, chain, property, w.box, proof, err);
        goto done;
    }
    NM_TRY(open_list(&w, &l, err));
#pragma omp parallel for schedule(dynamic) num_threads(nm_ctx_threads(ctx))
    for (int64_t i = 0; i < l.n; i++)
        check_part(&w, l.items[i]);
    l.n = 0; /* the parts have gone */
    rc = w.rc;
done:
    empty_list(&l);
    nm_check_chain_free(chain);
    nm_free(w.end);
    return rc;
}
