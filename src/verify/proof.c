#include "verify/proof_job.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "net/op.h"

/* float64 rounding against a bound on float32 rounding: half of it, to be safe. */
static const double f64_share = 0x1p-28;

/* -- forward, with radii ------------------------------------------------------------------ */

/* Where pieces are kept, values follow the piece they are on, not the function. */
static void follow_piece(const nm_exec *ex, const double *const *in, const double *out,
                         const double *const *r, int64_t n, double *radius)
{
    double *moved = nm_scratch(ex, (size_t)n, sizeof *moved);

    if (!moved)
        return;
    ex->op->kind->jvp(ex, in, out, r, moved);
    for (int64_t i = 0; i < n; i++)
        radius[i] = fmax(radius[i], fabs(moved[i]) * (1 + 1e-12));
}

static void visit_values(const nm_exec *ex, int64_t first, void *user)
{
    const nm_proof_job *j = user;
    const nm_op *op = ex->op;
    int64_t size = ex->net->values[op->out].size, n = ex->n * size;
    double *out = j->val->val[op->out] + first * size;
    double *radius = j->radius->val[op->out] + first * size;
    const double *in[NM_OP_MAX_IN];
    double *r[NM_OP_MAX_IN];
    double *spread = nm_scratch(ex, (size_t)n, sizeof *spread);
    double *local = nm_scratch(ex, (size_t)n, sizeof *local);

    nm_op_inputs(ex->net, op, j->val->val, first, in);
    nm_op_partners(ex->net, op, j->radius->val, first, r);
    op->kind->forward_f64(ex, in, out);
    if (!spread || !local)
        return;
    op->kind->spread(ex, in, out, (const double *const *)r, spread);
    memcpy(radius, spread, (size_t)n * sizeof *radius);
    if (op->kind->n_pins && j->reach.tail[op - ex->net->ops])
        follow_piece(ex, in, out, (const double *const *)r, n, radius);
    if (!nm_op_local_error(ex, in, out, (const double *const *)r, spread, local))
        return;
    for (int64_t i = 0; i < n; i++)
        radius[i] += f64_share * local[i];
}

/* -- backward, also through magnitudes ----------------------------------------------------- */

static void visit_adjoints(const nm_exec *ex, int64_t first, void *user)
{
    const nm_proof_job *j = user;
    int64_t shift = first * ex->net->values[ex->op->out].size;
    const double *in[NM_OP_MAX_IN];
    double *din[NM_OP_MAX_IN];

    nm_op_inputs(ex->net, ex->op, j->val->val, first, in);
    nm_op_partners(ex->net, ex->op, j->adj->val, first, din);
    ex->op->kind->vjp(ex, in, j->val->val[ex->op->out] + shift, j->adj->val[ex->op->out] + shift,
                      din);
}

/* Constants that multiply the data, as magnitudes. Pieces hang on others: these stay. */
static void take_magnitudes(const nm_exec *ex, const double **in)
{
    const nm_op *op = ex->op;

    for (int i = 0; i < op->n_in; i++) {
        const nm_tensor *constant = nm_op_constant(ex->net, op, i);
        bool factor = (op->kind->weight_in > 0 && i == op->kind->weight_in) ||
                      op->kind == &nm_op_mul || op->kind == &nm_op_div;
        double *copy =
            constant && factor ? nm_scratch(ex, (size_t)constant->size, sizeof *copy) : NULL;

        for (int64_t k = 0; copy && k < constant->size; k++)
            copy[k] = fabs(constant->f64[k]);
        in[i] = copy ? copy : in[i];
    }
}

static void visit_magnitudes(const nm_exec *ex, int64_t first, void *user)
{
    const nm_proof_job *j = user;
    const nm_op *op = ex->op;
    int64_t shift = first * ex->net->values[op->out].size;
    const double *in[NM_OP_MAX_IN];
    double *to[NM_OP_MAX_IN], *part[NM_OP_MAX_IN] = {NULL};

    nm_op_inputs(ex->net, op, j->val->val, first, in);
    nm_op_partners(ex->net, op, j->abs_adj->val, first, to);
    take_magnitudes(ex, in);
    for (int i = 0; i < op->n_in; i++) {
        size_t n = to[i] ? (size_t)(ex->n * ex->net->values[op->in[i]].size) : 0;

        part[i] = to[i] ? nm_scratch(ex, n, sizeof **part) : NULL;
        if (part[i])
            memset(part[i], 0, n * sizeof **part);
    }
    op->kind->vjp(ex, in, j->val->val[op->out] + shift, j->abs_adj->val[op->out] + shift, part);
    for (int i = 0; i < op->n_in; i++) {
        int64_t n = to[i] && part[i] ? ex->n * ex->net->values[op->in[i]].size : 0;

        for (int64_t k = 0; k < n; k++)
            to[i][k] += fabs(part[i][k]);
    }
}

/* -- one point's rows ---------------------------------------------------------------------- */

/* y times one entry of a value takes part in the rows' sum. */
static void seed_entry(nm_proof_job *j, int v, int64_t p, int64_t k, double y)
{
    int64_t at = p * j->at->values[v].size + k;

    j->adj->val[v][at] += y;
    j->abs_adj->val[v][at] += fabs(y);
    nm_dot_add(&j->h, -y, j->val->val[v][at]);
    j->missing += fabs(y) * j->radius->val[v][at];
}

static void seed_point(nm_proof_job *j, const nm_claim_point *point, int64_t p)
{
    int64_t wanted = j->s->sets[point->set].labels[point->point];

    for (int64_t r = point->first; r < point->first + point->n; r++) {
        const nm_claim_row *row = &j->proof->rows[r];
        const nm_op *op = row->op < 0 ? NULL : &j->at->ops[row->op];
        double asked = point->margin;

        if (op) {
            int v = op->in[0];
            nm_pin pin =
                op->kind->pin(j->at, op, j->val->val[v] + p * j->at->values[v].size, row->k);

            asked = pin.rhs;
            seed_entry(j, v, p, pin.plus, pin.sign * row->y);
            if (pin.minus >= 0)
                seed_entry(j, v, p, pin.minus, -pin.sign * row->y);
        } else {
            seed_entry(j, j->at->scores, p, wanted, row->y);
            seed_entry(j, j->at->scores, p, row->k, -row->y);
        }
        nm_dot_add(&j->h, row->y, asked);
        j->scale += row->y * fabs(asked);
    }
}

/* -- sums over points ---------------------------------------------------------------------- */

static double gamma_of(double n)
{
    return n * 0x1p-53 / (1 - n * 0x1p-53);
}

/* |g^ x^ - g x| <= |g^| |x^ - x| + |g^ - g| |x|, and the roundings of the sum: all of it is the
   layer's own parameter adjoint at magnitudes. */
static void add_error(const nm_exec *ex, const nm_proof_job *j, bool bias, double *error)
{
    const nm_op *op = ex->op;
    int in = op->in[0], out = op->out;
    int64_t n_x = ex->n * j->at->values[in].size, n_g = ex->n * j->at->values[out].size;
    double *x = nm_scratch(ex, (size_t)n_x, sizeof *x), *g = nm_scratch(ex, (size_t)n_g, sizeof *g);
    double gamma = 2 * gamma_of(j->roundings);

    if (!x || !g)
        return;
    for (int64_t i = 0; i < n_x; i++)
        x[i] = j->radius->val[in][i] + gamma * (fabs(j->val->val[in][i]) + j->radius->val[in][i]);
    for (int64_t i = 0; i < n_g; i++)
        g[i] = (bias ? gamma : 1) * j->abs_adj->val[out][i];
    op->kind->param_vjp(ex, x, g, bias ? NULL : error, bias ? error : NULL);
}

static nm_status add_tensors(nm_proof_job *j, int64_t n, nm_err *err)
{
    nm_arena arena = {0};
    nm_status rc = NM_OK;
    int64_t first = 0;

    for (int i = 0; rc == NM_OK && i < j->s->claim->n_tensors; i++) {
        const nm_claim_tensor *t = &j->s->claim->tensors[i];
        int index = j->at->layers[t->layer].op;
        nm_exec ex = {
            .net = j->at, .op = &j->at->ops[index], .n = n, .plain = true, .arena = &arena};
        double *q = j->out->q + first;

        if (j->reach.tail[index]) {
            ex.op->kind->param_vjp(&ex, j->val->val[ex.op->in[0]], j->adj->val[ex.op->out],
                                   t->bias ? NULL : q, t->bias ? q : NULL);
            add_error(&ex, j, t->bias, j->out->error + first);
            rc = nm_arena_reset(&arena, err);
        }
        first += nm_claimed_tensor(j->at, t)->size;
    }
    nm_arena_clear(&arena);
    return rc;
}

static nm_status add_points(nm_proof_job *j, const nm_claim_point *points, int64_t n, nm_err *err)
{
    nm_ctx *ctx = j->s->ctx;
    int64_t n_in = nm_net_n_in(j->at);
    nm_pass forward = {.net = j->at,
                       .n = n,
                       .op_mask = j->reach.used,
                       .plain = true,
                       .visit = visit_values,
                       .user = j};
    nm_pass back = {.net = j->at,
                    .n = n,
                    .op_mask = j->reach.tail,
                    .reverse = true,
                    .plain = true,
                    .visit = visit_adjoints,
                    .user = j};
    nm_status rc = NM_OK;

    j->val->n = j->radius->n = j->adj->n = j->abs_adj->n = n;
    for (int64_t p = 0; p < n; p++)
        memcpy(j->x + p * n_in, j->s->sets[points[p].set].x + points[p].point * n_in,
               (size_t)n_in * sizeof *j->x);
    nm_tape_set_input(j->val, j->x);
    NM_TRY(nm_pass_run(ctx, &forward, err));
    nm_tape_zero(j->adj);
    nm_tape_zero(j->abs_adj);
    for (int64_t p = 0; p < n; p++)
        seed_point(j, &points[p], p);
    NM_TRY(nm_pass_run(ctx, &back, err));
    back.visit = visit_magnitudes;
    NM_TRY(nm_pass_run(ctx, &back, err));
    NM_TRY(add_tensors(j, n, err));
done:
    return rc;
}

/* -- opening and closing ------------------------------------------------------------------- */

/* Roundings that one entry of q or of an adjoint can have met: every operator sums at most as many
   products as its output has entries, and makes its coefficients in a few operations. */
static double count_roundings(const nm_proof_job *j)
{
    double n = (double)j->proof->n_rows + 64;

    for (int i = 0; i < j->at->n_ops; i++)
        if (j->reach.tail[i])
            n += (double)j->at->values[j->at->ops[i].out].size + 16;
    for (int i = 0; i < j->s->claim->n_tensors; i++) {
        const nm_layer *layer = &j->at->layers[j->s->claim->tensors[i].layer];

        n += (double)j->at->values[j->at->ops[layer->op].out].size * (double)j->proof->n_points;
    }
    return n;
}

static int64_t points_at_once(const nm_proof_job *j)
{
    int64_t entries = 1, block = nm_pass_block(j->at), n;

    for (int v = 0; v < j->at->n_values; v++)
        entries += j->at->values[v].constant ? 0 : j->at->values[v].size;
    n = ((int64_t)1 << 23) / entries;
    n = n < 1 ? 1 : n < block ? n : block;
    return n < j->proof->n_points ? n : j->proof->n_points;
}

static nm_status open_job(nm_proof_job *j, nm_err *err)
{
    const nm_net *net = j->at;
    bool *keep = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&j->pinned, (size_t)net->n_ops, sizeof *j->pinned, err));
    NM_TRY(nm_proof_check_rows(j, err));
    NM_TRY(nm_reach_make(j->s, j->pinned, &j->reach, err));
    NM_TRY(nm_proof_check_exact(j, err));
    NM_TRY(nm_proof_check_tensors(j, err));
    j->roundings = count_roundings(j);
    if (!(gamma_of(j->roundings) < 1e-6))
        NM_THROW(err, NM_E_UNSUPPORTED, "the proof is too long for its rounding to be bounded");
    j->room = points_at_once(j);
    NM_TRY(nm_alloc(&j->x, (size_t)j->room, (size_t)nm_net_n_in(net) * sizeof *j->x, err));
    NM_TRY(nm_tape_new(net, j->room, NULL, &j->val, err));
    NM_TRY(nm_tape_new(net, j->room, NULL, &j->radius, err));
    NM_TRY(nm_tape_new(net, j->room, j->reach.behind, &j->adj, err));
    NM_TRY(nm_tape_new(net, j->room, j->reach.behind, &j->abs_adj, err));
    j->out->n = j->s->n_params;
    NM_TRY(nm_alloc(&j->out->q, (size_t)j->out->n, sizeof *j->out->q, err));
    NM_TRY(nm_alloc(&j->out->error, (size_t)j->out->n, sizeof *j->out->error, err));
done:
    nm_free(keep);
    return rc;
}

static void close_job(nm_proof_job *j)
{
    nm_reach_clear(&j->reach);
    nm_free(j->pinned);
    nm_free(j->x);
    nm_tape_free(j->val);
    nm_tape_free(j->radius);
    nm_tape_free(j->adj);
    nm_tape_free(j->abs_adj);
}

/* -- the sum ------------------------------------------------------------------------------- */

/* Entries that are not free count for nothing. */
static void clear_fixed_entries(const nm_proof_job *j)
{
    int64_t first = 0;

    for (int i = 0; i < j->s->claim->n_tensors; i++) {
        const nm_claim_tensor *t = &j->s->claim->tensors[i];
        int64_t size = nm_claimed_tensor(j->at, t)->size, at = 0;

        for (int64_t r = 0; t->runs && r <= t->n_runs; r++) {
            int64_t end = r < t->n_runs ? t->runs[2 * r] : size;

            for (; at < end; at++)
                j->out->q[first + at] = j->out->error[first + at] = 0;
            at = r < t->n_runs ? end + t->runs[2 * r + 1] : size;
        }
        first += size;
    }
}

/* h is measured from MODEL: q . d_at comes back. */
static nm_status move_to_model(nm_proof_job *j, nm_err *err)
{
    double *change = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&change, (size_t)j->out->n, sizeof *change, err));
    NM_TRY(nm_check_change(j->s, change, err));
    for (int64_t i = 0; i < j->out->n; i++) {
        nm_dot_add(&j->h, j->out->q[i], change[i]);
        j->missing += (j->out->error[i] + 0x1p-52 * fabs(j->out->q[i])) * fabs(change[i]);
    }
done:
    nm_free(change);
    return rc;
}

static nm_status sum_rows(nm_proof_job *j, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_TRY(open_job(j, err));
    for (int64_t first = 0; first < j->proof->n_points; first += j->room) {
        int64_t n = j->proof->n_points - first;

        NM_TRY(add_points(j, j->proof->points + first, n < j->room ? n : j->room, err));
    }
    for (int64_t i = 0; i < j->out->n; i++)
        j->out->error[i] = fabs(j->out->error[i]) * (1 + 1e-6) + 0x1p-900;
    clear_fixed_entries(j);
    if (j->proof->pieces == NM_PIECES_FIXED)
        NM_TRY(move_to_model(j, err));
    j->out->h = nm_dot_at_least(&j->h) - j->missing * (1 + 1e-6);
    j->out->scale = j->scale;
    if (!isfinite(j->out->h))
        rc = nm_fail(err, NM_E_UNSUPPORTED, "values overflow: nothing can be proven");
done:
    return rc;
}

nm_status nm_proof_sum_make(const nm_check_state *s, const nm_claim_proof *proof, nm_proof_sum *out,
                            nm_err *err)
{
    nm_proof_job j = {.s = s, .proof = proof, .out = out, .at = s->model};
    nm_status rc = NM_OK;

    *out = (nm_proof_sum){0};
    if (proof->n_points < 1 || proof->n_rows < 1 || s->claim->n_tensors < 1)
        return nm_fail(err, NM_E_ARG, "the proof has no rows");
    if (proof->pieces == NM_PIECES_FIXED) {
        NM_TRY(nm_check_same(s, false, err));
        j.at = s->fixed;
    }
    rc = sum_rows(&j, err);
done:
    close_job(&j);
    return rc;
}

void nm_proof_sum_clear(nm_proof_sum *sum)
{
    nm_free(sum->q);
    nm_free(sum->error);
    *sum = (nm_proof_sum){0};
}
