#include "verify/check_neurons.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"

enum { MOST_DEPTH = 2000 };

struct literal {
    int32_t neuron;
    bool active;
};

/* A line to be bounded: of a neuron, or a leaf of a case. */
struct task {
    int64_t neuron; /* -1: a leaf */
    int side;
    int64_t c; /* case of a leaf */
    int64_t first_float, first_byte;
    int n_literals;
    int64_t first_literal; /* in the list of all tasks' literals */
    bool closed;           /* a leaf's bound is > 0 */
    double least;
};

/* What threads work with. */
struct hand {
    nm_check_bounds bounds;
    double *slope, *coef;
    nm_arena arena;
};

struct check {
    nm_ctx *ctx;
    const nm_check_chain *chain;
    const nm_property *property;
    const nm_in_box *box;
    const nm_region_proof *proof;
    int64_t at_int, at_float, at_byte; /* read so far */
    double *lo, *hi;                   /* [n_neurons] of the present scope */
    int32_t *open;                     /* [n_open] of it */
    int64_t n_open;
    struct literal path[MOST_DEPTH];
    struct task *tasks;
    int64_t n_tasks, room_tasks;
    struct literal *literals; /* of the tasks, one after the other */
    int64_t n_literals, room_literals;
    struct hand *hands; /* of each thread */
    int n_hands;
};

static nm_status refuse(const struct check *c, nm_err *err, const char *why)
{
    return nm_fail(err, NM_E_ARG, "number %lld of the proof: %s", (long long)c->at_int, why);
}

/* -- reading ---------------------------------------------------------------------------------- */

static nm_status read_int(struct check *c, int64_t lo, int64_t hi, int64_t *out, nm_err *err)
{
    if (c->at_int >= c->proof->n_ints)
        return refuse(c, err, "parts are missing");
    *out = c->proof->ints[c->at_int++];
    return *out < lo || *out > hi ? refuse(c, err, "a number is out of range") : NM_OK;
}

/* Passes n floats, which are to be finite and >= 0, and so many bytes. */
static nm_status pass(struct check *c, int64_t n_floats, int64_t n_bytes, nm_err *err)
{
    if (n_floats > c->proof->n_floats - c->at_float || n_bytes > c->proof->n_bytes - c->at_byte)
        return refuse(c, err, "multipliers or slopes are missing");
    for (int64_t i = c->at_float; i < c->at_float + n_floats; i++)
        if (!(c->proof->floats[i] >= 0 && isfinite(c->proof->floats[i])))
            return refuse(c, err, "a multiplier is negative");
    c->at_float += n_floats;
    c->at_byte += n_bytes;
    return NM_OK;
}

static int64_t n_hidden(const struct check *c)
{
    return c->chain->n_neurons - c->chain->layers[c->chain->n_layers - 1].n_out;
}

static nm_status read_open(struct check *c, nm_err *err)
{
    int64_t last = -1, neuron = 0;
    nm_status rc = read_int(c, 0, n_hidden(c), &c->n_open, err);

    for (int64_t i = 0; rc == NM_OK && i < c->n_open; i++) {
        rc = read_int(c, last + 1, n_hidden(c) - 1, &neuron, err);
        c->open[i] = (int32_t)neuron;
        last = neuron;
    }
    return rc;
}

static nm_status add_task(struct check *c, struct task t, int n_path, nm_err *err)
{
    nm_status rc = NM_OK;

    if (c->n_tasks == c->room_tasks) {
        c->room_tasks = 2 * c->room_tasks + 256;
        rc = nm_realloc(&c->tasks, (size_t)c->room_tasks, sizeof *c->tasks, err);
    }
    if (rc == NM_OK && c->n_literals + n_path > c->room_literals) {
        c->room_literals = 2 * (c->room_literals + n_path) + 256;
        rc = nm_realloc(&c->literals, (size_t)c->room_literals, sizeof *c->literals, err);
    }
    if (rc != NM_OK)
        return rc;
    t.n_literals = n_path;
    t.first_literal = c->n_literals;
    if (n_path > 0)
        memcpy(c->literals + c->n_literals, c->path, (size_t)n_path * sizeof *c->path);
    c->n_literals += n_path;
    c->tasks[c->n_tasks++] = t;
    return NM_OK;
}

/* -- bounding --------------------------------------------------------------------------------- */

/* Slopes of open neurons before `until`, and given signs with their multipliers. */
static void load_lines(const struct check *c, nm_check_bounds *b, const struct task *t,
                       int64_t until, const float *multiplier)
{
    for (int64_t i = 0; i < c->n_open && c->open[i] < until; i++)
        if (b->lo[c->open[i]] < 0 && b->hi[c->open[i]] > 0)
            b->below[c->open[i]] = c->proof->bytes[t->first_byte + i] / 255.0;
    for (int i = 0; i < t->n_literals; i++) {
        const struct literal *l = &c->literals[t->first_literal + i];

        b->below[l->neuron] = b->above[l->neuron] = l->active ? 1 : 0;
        b->above_at[l->neuron] = 0;
        b->push[l->neuron] = l->active ? -(double)multiplier[i] : (double)multiplier[i];
    }
}

static void run_neuron(const struct check *c, struct hand *h, struct task *t, int64_t first)
{
    double constant;

    load_lines(c, &h->bounds, t, first, c->proof->floats + t->first_float);
    nm_check_unit_line(&h->bounds, t->neuron, t->side == 0 ? 1 : -1, h->slope, &constant);
    t->least = nm_check_least(c->chain->n_in, h->slope, constant, c->box->lo_out, c->box->hi_out);
}

/* The weighted sum of the case's rows, "unsafe when <= 0". */
static void run_leaf(const struct check *c, struct hand *h, struct task *t)
{
    const nm_out_case *cs = &c->property->cases[c->box->first_case + t->c];
    const float *weight = c->proof->floats + t->first_float;
    const nm_chain_layer *out = &c->chain->layers[c->chain->n_layers - 1];
    double at_0 = 0, size = 0, constant;

    memset(h->coef, 0, (size_t)c->property->n_out * sizeof *h->coef);
    for (int k = 0; k < cs->n_rows; k++) {
        const nm_out_row *row = &c->property->rows[cs->first + k];

        at_0 -= (double)weight[k] * row->limit_out;
        size += (double)weight[k] * fabs(row->limit_out);
        for (int i = 0; i < row->n_terms; i++) {
            int32_t o = row->output[i];

            h->coef[o] += (double)weight[k] * row->coef[i];
            size +=
                (double)weight[k] * fabs(row->coef[i]) * fmax(fabs(out->lo[o]), fabs(out->hi[o]));
        }
    }
    /* What the sums round, on outputs as large as they may be. */
    at_0 -= (cs->n_rows + 2) * 0x1p-52 * size;
    load_lines(c, &h->bounds, t, c->chain->n_neurons, weight + cs->n_rows);
    nm_check_line(&h->bounds, h->coef, at_0, h->slope, &constant);
    t->least = nm_check_least(c->chain->n_in, h->slope, constant, c->box->lo_out, c->box->hi_out);
    t->closed = t->least > 0 && isfinite(t->least);
}

/* Where the literals of one task were, the lines are those of the scope again. */
static void reset_lines(const struct check *c, nm_check_bounds *b, const struct task *t)
{
    for (int i = 0; i < t->n_literals; i++)
        b->push[c->literals[t->first_literal + i].neuron] = 0;
    nm_check_set_lines(b);
}

/* Runs tasks first .. n_tasks - 1, of neurons of a layer that begins at `layer`, or leaves. */
static void run_tasks(struct check *c, int64_t first, int64_t layer)
{
    size_t bytes = (size_t)c->chain->n_neurons * sizeof(double);

#pragma omp parallel num_threads(c->n_hands)
    {
        struct hand *h = &c->hands[omp_get_thread_num()];

        memcpy(h->bounds.lo, c->lo, bytes);
        memcpy(h->bounds.hi, c->hi, bytes);
        nm_check_set_lines(&h->bounds);
#pragma omp for schedule(dynamic, 8)
        for (int64_t i = first; i < c->n_tasks; i++) {
            struct task *t = &c->tasks[i];

            if (nm_ctx_must_stop(c->ctx))
                continue;
            if (t->neuron >= 0)
                run_neuron(c, h, t, layer);
            else
                run_leaf(c, h, t);
            reset_lines(c, &h->bounds, t);
        }
    }
}

/* -- scopes ----------------------------------------------------------------------------------- */

static int64_t layer_of(const struct check *c, int64_t neuron)
{
    int64_t first = 0;

    for (int k = 0; neuron >= first + c->chain->layers[k].n_out; k++)
        first += c->chain->layers[k].n_out;
    return first;
}

static int64_t n_open_before(const struct check *c, int64_t neuron)
{
    int64_t n = 0;

    while (n < c->n_open && c->open[n] < neuron)
        n++;
    return n;
}

/* Takes the bounds that tasks found. */
static void take_bounds(struct check *c)
{
    for (int64_t i = 0; i < c->n_tasks; i++) {
        const struct task *t = &c->tasks[i];

        if (t->side == 0 && t->least > c->lo[t->neuron])
            c->lo[t->neuron] = t->least;
        if (t->side == 1 && -t->least < c->hi[t->neuron])
            c->hi[t->neuron] = -t->least;
    }
    c->n_tasks = c->n_literals = 0;
}

/* Bounds of neurons, layer by layer: those of one layer use those of the layers before. */
static nm_status check_bounds(struct check *c, int depth, nm_err *err)
{
    int64_t n = 0, layer = 0;
    nm_status rc = NM_OK;

    NM_TRY(read_open(c, err));
    NM_TRY(read_int(c, 0, 2 * n_hidden(c), &n, err));
    for (int64_t i = 0; i < n; i++) {
        struct task t = {.first_float = c->at_float, .first_byte = c->at_byte};
        int64_t neuron = 0, side = 0;

        NM_TRY(read_int(c, layer, n_hidden(c) - 1, &neuron, err));
        NM_TRY(read_int(c, 0, 1, &side, err));
        if (layer_of(c, neuron) > layer) {
            run_tasks(c, 0, layer);
            take_bounds(c);
            layer = layer_of(c, neuron);
        }
        t.neuron = neuron;
        t.side = (int)side;
        t.least = -(double)INFINITY;
        NM_TRY(pass(c, depth, n_open_before(c, layer), err));
        NM_TRY(add_task(c, t, depth, err));
    }
    run_tasks(c, 0, layer);
    take_bounds(c);
done:
    return rc;
}

/* A sign that is given is a bound. False if no input has all signs. */
static bool give_signs(struct check *c, int depth)
{
    bool can_be = true;

    for (int i = 0; i < depth; i++) {
        int32_t at = c->path[i].neuron;

        can_be = can_be && (c->path[i].active ? c->hi[at] >= 0 : c->lo[at] <= 0);
    }
    for (int64_t i = 0; i < c->chain->n_neurons; i++)
        can_be = can_be && c->lo[i] <= c->hi[i];
    return can_be;
}

/* Lists the leaves of a tree as tasks. */
static nm_status read_tree(struct check *c, int64_t which, int depth, bool can_be, nm_err *err)
{
    const nm_out_case *cs = &c->property->cases[c->box->first_case + which];
    struct task t = {
        .neuron = -1, .c = which, .first_float = c->at_float, .first_byte = c->at_byte};
    int64_t neuron = 0;
    nm_status rc = read_int(c, -2, n_hidden(c) - 1, &neuron, err);

    if (rc != NM_OK)
        return rc;
    if (neuron == -2)
        return can_be ? refuse(c, err, "inputs with these signs may exist") : NM_OK;
    if (neuron == -1) {
        rc = pass(c, cs->n_rows + depth, c->n_open, err);
        return rc == NM_OK ? add_task(c, t, depth, err) : rc;
    }
    if (depth + 1 >= MOST_DEPTH)
        return refuse(c, err, "too many signs are given");
    for (int side = 0; rc == NM_OK && side < 2; side++) {
        c->path[depth] = (struct literal){(int32_t)neuron, side == 1};
        rc = read_tree(c, which, depth + 1, can_be, err);
    }
    return rc;
}

static nm_status check_leaves(struct check *c, nm_err *err)
{
    nm_status rc;

    run_tasks(c, 0, 0);
    rc = nm_ctx_check(c->ctx, err);
    for (int64_t i = 0; rc == NM_OK && i < c->n_tasks; i++)
        if (!c->tasks[i].closed)
            rc = refuse(c, err, "a part is not closed");
    c->n_tasks = c->n_literals = 0;
    return rc;
}

static nm_status check_scope(struct check *c, int depth, bool *open, nm_err *err);

/* Both signs of a neuron, with the bounds of this scope. */
static nm_status check_halves(struct check *c, int depth, const bool *open, nm_err *err)
{
    size_t n = (size_t)c->chain->n_neurons, n_cases = (size_t)c->box->n_cases;
    double *lo = NULL, *hi = NULL;
    bool *mine = NULL;
    int64_t neuron = 0;
    nm_status rc = NM_OK;

    NM_TRY(read_int(c, 0, n_hidden(c) - 1, &neuron, err));
    if (depth + 1 >= MOST_DEPTH)
        NM_TRY(refuse(c, err, "too many signs are given"));
    NM_TRY(nm_memdup(&lo, c->lo, n, sizeof *lo, err));
    NM_TRY(nm_memdup(&hi, c->hi, n, sizeof *hi, err));
    for (int side = 0; side < 2; side++) {
        memcpy(c->lo, lo, n * sizeof *lo);
        memcpy(c->hi, hi, n * sizeof *hi);
        nm_free(mine);
        mine = NULL;
        NM_TRY(nm_memdup(&mine, open, n_cases, sizeof *open, err));
        c->path[depth] = (struct literal){(int32_t)neuron, side == 1};
        NM_TRY(check_scope(c, depth + 1, mine, err));
    }
done:
    nm_free(mine);
    nm_free(lo);
    nm_free(hi);
    return rc;
}

static nm_status check_scope(struct check *c, int depth, bool *open, nm_err *err)
{
    bool can_be, any = false;
    nm_status rc = NM_OK;

    NM_TRY(nm_ctx_check(c->ctx, err));
    NM_TRY(check_bounds(c, depth, err));
    can_be = give_signs(c, depth);
    for (int64_t i = 0; i < c->box->n_cases; i++) {
        int64_t closed = 0;

        if (!open[i])
            continue;
        NM_TRY(read_int(c, 0, 1, &closed, err));
        any = any || closed == 0;
        open[i] = closed == 0;
        if (closed)
            NM_TRY(read_tree(c, i, depth, can_be, err));
    }
    NM_TRY(check_leaves(c, err));
    if (any)
        rc = check_halves(c, depth, open, err);
done:
    return rc;
}

/* -- all -------------------------------------------------------------------------------------- */

static nm_status open_check(struct check *c, nm_arena *arena, nm_err *err)
{
    size_t n = (size_t)c->chain->n_neurons;
    nm_status rc = NM_OK;

    c->lo = nm_arena_take(arena, n, sizeof(double));
    c->hi = nm_arena_take(arena, n, sizeof(double));
    c->open = nm_arena_take(arena, n, sizeof *c->open);
    c->hands = nm_arena_take(arena, (size_t)nm_ctx_threads(c->ctx), sizeof *c->hands);
    if (arena->failed)
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    for (; rc == NM_OK && c->n_hands < nm_ctx_threads(c->ctx); c->n_hands++) {
        struct hand *h = &c->hands[c->n_hands];

        *h = (struct hand){0};
        h->slope = nm_arena_take(&h->arena, (size_t)c->chain->n_in, sizeof(double));
        h->coef = nm_arena_take(&h->arena, (size_t)c->property->n_out, sizeof(double));
        rc = nm_check_bounds_open(&h->bounds, c->chain, err);
        if (rc == NM_OK && h->arena.failed)
            rc = nm_fail(err, NM_E_NOMEM, "out of memory");
    }
    return rc;
}

static void close_check(struct check *c)
{
    for (int i = 0; i < c->n_hands; i++) {
        nm_check_bounds_close(&c->hands[i].bounds);
        nm_arena_clear(&c->hands[i].arena);
    }
    nm_free(c->tasks);
    nm_free(c->literals);
}

/* lo, hi: room for the new ones, [n_neurons] */
static void bound_layer(struct check *c, int k, int64_t first, double *lo, double *hi)
{
    size_t bytes = (size_t)c->chain->n_neurons * sizeof(double);
    int64_t n = c->chain->layers[k].n_out;

#pragma omp parallel num_threads(c->n_hands)
    {
        nm_check_bounds *b = &c->hands[omp_get_thread_num()].bounds;

        memcpy(b->lo, c->lo, bytes);
        memcpy(b->hi, c->hi, bytes);
        nm_check_set_lines(b);
#pragma omp for schedule(dynamic, 8)
        for (int64_t r = 0; r < n; r++) {
            if (!nm_ctx_must_stop(c->ctx))
                nm_check_neuron(b, k, first, r, c->box->lo_out, c->box->hi_out);
            lo[first + r] = b->lo[first + r];
            hi[first + r] = b->hi[first + r];
        }
    }
    memcpy(c->lo + first, lo + first, (size_t)n * sizeof *lo);
    memcpy(c->hi + first, hi + first, (size_t)n * sizeof *hi);
}

/* Bounds of all neurons before any sign is given, layer by layer, by lines of slopes 0 and 1. */
static nm_status bound_all(struct check *c, double *lo, double *hi, nm_err *err)
{
    size_t bytes = (size_t)c->chain->n_neurons * sizeof(double);
    int64_t first = 0;

    memcpy(c->lo, c->hands[0].bounds.lo, bytes);
    memcpy(c->hi, c->hands[0].bounds.hi, bytes);
    for (int k = 0; k + 1 < c->chain->n_layers; first += c->chain->layers[k++].n_out)
        bound_layer(c, k, first, lo, hi);
    return nm_ctx_check(c->ctx, err);
}

nm_status nm_check_neuron_proof(nm_ctx *ctx, const nm_check_chain *chain,
                                const nm_property *property, const nm_in_box *box,
                                const nm_region_proof *proof, nm_err *err)
{
    struct check *c;
    nm_arena arena = {0};
    double *lo, *hi;
    bool *open = NULL;
    nm_status rc = nm_alloc(&c, 1, sizeof *c, err);

    if (rc != NM_OK)
        return rc;
    c->ctx = ctx;
    c->chain = chain;
    c->property = property;
    c->box = box;
    c->proof = proof;
    NM_TRY(open_check(c, &arena, err));
    NM_TRY(nm_alloc(&open, (size_t)box->n_cases, sizeof *open, err));
    memset(open, 1, (size_t)box->n_cases);
    lo = nm_arena_take(&arena, (size_t)chain->n_neurons, sizeof *lo);
    hi = nm_arena_take(&arena, (size_t)chain->n_neurons, sizeof *hi);
    if (arena.failed)
        NM_THROW(err, NM_E_NOMEM, "out of memory");
    NM_TRY(bound_all(c, lo, hi, err));
    NM_TRY(check_scope(c, 0, open, err));
    if (c->at_int != proof->n_ints || c->at_float != proof->n_floats ||
        c->at_byte != proof->n_bytes)
        rc = refuse(c, err, "something is left over");
done:
    close_check(c);
    nm_arena_clear(&arena);
    nm_free(open);
    nm_free(c);
    return rc;
}
