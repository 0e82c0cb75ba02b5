#include "verify/check_neurons.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "base/mem.h"
#include "verify/check_signs.h"

/* -- scopes ----------------------------------------------------------------------------------- */

static int64_t layer_of(const nm_sign_check *c, int64_t neuron)
{
    int64_t first = 0;

    for (int k = 0; neuron >= first + c->chain->layers[k].n_out; k++)
        first += c->chain->layers[k].n_out;
    return first;
}

static int64_t n_open_before(const nm_sign_check *c, int64_t neuron)
{
    int64_t n = 0;

    while (n < c->n_open && c->open[n] < neuron)
        n++;
    return n;
}

/* Takes the bounds that tasks found. */
static void take_bounds(nm_sign_check *c)
{
    for (int64_t i = 0; i < c->n_tasks; i++) {
        const nm_sign_task *t = &c->tasks[i];

        if (t->side == 0 && t->least > c->lo[t->neuron])
            c->lo[t->neuron] = t->least;
        if (t->side == 1 && -t->least < c->hi[t->neuron])
            c->hi[t->neuron] = -t->least;
    }
    c->n_tasks = c->n_literals = 0;
}

/* Bounds of neurons, layer by layer: those of one layer use those of the layers before. */
static nm_status check_bounds(nm_sign_check *c, int depth, nm_err *err)
{
    int64_t n = 0, layer = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_signs_open(c, err));
    NM_TRY(nm_signs_int(c, 0, 2 * nm_signs_n_hidden(c), &n, err));
    for (int64_t i = 0; i < n; i++) {
        nm_sign_task t = {.first_float = c->at_float, .first_byte = c->at_byte};
        int64_t neuron = 0, side = 0;

        NM_TRY(nm_signs_int(c, layer, nm_signs_n_hidden(c) - 1, &neuron, err));
        NM_TRY(nm_signs_int(c, 0, 1, &side, err));
        if (layer_of(c, neuron) > layer) {
            nm_signs_run(c, 0, layer);
            take_bounds(c);
            layer = layer_of(c, neuron);
        }
        t.neuron = neuron;
        t.side = (int)side;
        t.least = -(double)INFINITY;
        NM_TRY(nm_signs_pass(c, depth, n_open_before(c, layer), err));
        NM_TRY(nm_signs_add(c, t, depth, err));
    }
    nm_signs_run(c, 0, layer);
    take_bounds(c);
done:
    return rc;
}

/* A sign that is given is a bound. False if no input has all signs. */
static bool give_signs(nm_sign_check *c, int depth)
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
static nm_status read_tree(nm_sign_check *c, int64_t which, int depth, bool can_be, nm_err *err)
{
    const nm_out_case *cs = &c->property->cases[c->box->first_case + which];
    nm_sign_task t = {
        .neuron = -1, .c = which, .first_float = c->at_float, .first_byte = c->at_byte};
    int64_t neuron = 0;
    nm_status rc = nm_signs_int(c, -2, nm_signs_n_hidden(c) - 1, &neuron, err);

    if (rc != NM_OK)
        return rc;
    if (neuron == -2)
        return can_be ? nm_signs_refuse(c, err, "inputs with these signs may exist") : NM_OK;
    if (neuron == -1) {
        rc = nm_signs_pass(c, cs->n_rows + depth, c->n_open, err);
        return rc == NM_OK ? nm_signs_add(c, t, depth, err) : rc;
    }
    if (depth + 1 >= NM_MOST_SIGNS)
        return nm_signs_refuse(c, err, "too many signs are given");
    for (int side = 0; rc == NM_OK && side < 2; side++) {
        c->path[depth] = (nm_sign){(int32_t)neuron, side == 1};
        rc = read_tree(c, which, depth + 1, can_be, err);
    }
    return rc;
}

static nm_status check_leaves(nm_sign_check *c, nm_err *err)
{
    nm_status rc;

    nm_signs_run(c, 0, 0);
    rc = nm_ctx_check(c->ctx, err);
    for (int64_t i = 0; rc == NM_OK && i < c->n_tasks; i++)
        if (!c->tasks[i].closed)
            rc = nm_signs_refuse(c, err, "a part is not closed");
    c->n_tasks = c->n_literals = 0;
    return rc;
}

static nm_status check_scope(nm_sign_check *c, int depth, bool *open, nm_err *err);

/* Both signs of a neuron, with the bounds of this scope. */
static nm_status check_halves(nm_sign_check *c, int depth, const bool *open, nm_err *err)
{
    size_t n = (size_t)c->chain->n_neurons, n_cases = (size_t)c->box->n_cases;
    double *lo = NULL, *hi = NULL;
    bool *mine = NULL;
    int64_t neuron = 0;
    nm_status rc = NM_OK;

    NM_TRY(nm_signs_int(c, 0, nm_signs_n_hidden(c) - 1, &neuron, err));
    if (depth + 1 >= NM_MOST_SIGNS)
        NM_TRY(nm_signs_refuse(c, err, "too many signs are given"));
    NM_TRY(nm_memdup(&lo, c->lo, n, sizeof *lo, err));
    NM_TRY(nm_memdup(&hi, c->hi, n, sizeof *hi, err));
    for (int side = 0; side < 2; side++) {
        memcpy(c->lo, lo, n * sizeof *lo);
        memcpy(c->hi, hi, n * sizeof *hi);
        nm_free(mine);
        mine = NULL;
        NM_TRY(nm_memdup(&mine, open, n_cases, sizeof *open, err));
        c->path[depth] = (nm_sign){(int32_t)neuron, side == 1};
        NM_TRY(check_scope(c, depth + 1, mine, err));
    }
done:
    nm_free(mine);
    nm_free(lo);
    nm_free(hi);
    return rc;
}

static nm_status check_scope(nm_sign_check *c, int depth, bool *open, nm_err *err)
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
        NM_TRY(nm_signs_int(c, 0, 1, &closed, err));
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

static nm_status open_check(nm_sign_check *c, nm_arena *arena, nm_err *err)
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
        nm_sign_hand *h = &c->hands[c->n_hands];

        *h = (nm_sign_hand){0};
        h->slope = nm_arena_take(&h->arena, (size_t)c->chain->n_in, sizeof(double));
        h->coef = nm_arena_take(&h->arena, (size_t)c->property->n_out, sizeof(double));
        rc = nm_check_bounds_open(&h->bounds, c->chain, err);
        if (rc == NM_OK && h->arena.failed)
            rc = nm_fail(err, NM_E_NOMEM, "out of memory");
    }
    return rc;
}

static void close_check(nm_sign_check *c)
{
    for (int i = 0; i < c->n_hands; i++) {
        nm_check_bounds_close(&c->hands[i].bounds);
        nm_arena_clear(&c->hands[i].arena);
    }
    nm_free(c->tasks);
    nm_free(c->literals);
}

/* lo, hi: room for the new ones, [n_neurons] */
static void bound_layer(nm_sign_check *c, int k, int64_t first, double *lo, double *hi)
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
static nm_status bound_all(nm_sign_check *c, double *lo, double *hi, nm_err *err)
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
    nm_sign_check *c;
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
        rc = nm_signs_refuse(c, err, "something is left over");
done:
    close_check(c);
    nm_arena_clear(&arena);
    nm_free(open);
    nm_free(c);
    return rc;
}
