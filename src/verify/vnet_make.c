/* Operators as expressions of nodes (vnet.h). */
#include "verify/vnet_op.h"

#include <math.h>
#include <string.h>

#include "net/op/pieces.h"

/* Double rounding is at most this times the bound on float32 rounding. */
#define DOUBLE_PER_FLOAT 0x1p-28

static bool open_op(nm_vmaker *m, int k, nm_vop *o)
{
    const nm_net *net = m->net;
    const nm_op *op = &net->ops[k];

    *o = (nm_vop){.m = m,
                  .op = op,
                  .ex = {.net = net, .op = op, .n = 1, .plain = true, .arena = &m->scratch},
                  .n_out = net->values[op->out].size};
    for (int i = 0; i < op->n_in; i++) {
        const nm_value *value = op->in[i] >= 0 ? &net->values[op->in[i]] : NULL;
        double *zeros;

        if (!value)
            continue;
        if (value->constant) {
            o->zeros[i] = value->constant->f64;
            continue;
        }
        o->in[i] = m->value[op->in[i]];
        zeros = nm_arena_take(&m->scratch, (size_t)value->size, sizeof *zeros);
        if (!zeros)
            return false;
        memset(zeros, 0, (size_t)value->size * sizeof *zeros);
        o->zeros[i] = zeros;
    }
    return true;
}

static double *room_of(nm_vop *o, int64_t n)
{
    double *room = nm_arena_take(&o->m->scratch, (size_t)n, sizeof *room);

    if (room)
        memset(room, 0, (size_t)n * sizeof *room);
    return room;
}

/* -- errors ---------------------------------------------------------------------------------- */

/* The bound on float32 errors of the operator for inputs within r of `in`. */
static bool local_error(nm_vop *o, const double *const *in, const double *const *r, double *e)
{
    double *out = room_of(o, o->n_out), *spread = room_of(o, o->n_out);

    memset(e, 0, (size_t)o->n_out * sizeof *e);
    if (!out || !spread)
        return false;
    if (!o->op->kind->local_error)
        return true;
    o->op->kind->forward_f64(&o->ex, in, out);
    if (o->op->kind->spread)
        o->op->kind->spread(&o->ex, in, out, r, spread);
    return nm_op_local_error(&o->ex, in, out, r, spread, e) && !o->m->scratch.failed;
}

/* Float32 semantics: what one evaluation adds to the deviation, for all inputs in the box. */
static bool add_deviation(nm_vop *o, nm_vexpr *to)
{
    const double *in[NM_OP_MAX_IN], *r[NM_OP_MAX_IN] = {0};
    double *e = room_of(o, o->n_out);

    if (!o->m->float32)
        return true;
    memcpy(in, o->zeros, sizeof in);
    for (int i = 0; i < o->op->n_in; i++) {
        double *lo, *hi;

        if (!o->in[i])
            continue;
        lo = room_of(o, o->in[i]->n);
        hi = room_of(o, o->in[i]->n);
        if (!lo || !hi)
            return false;
        nm_vmaker_range(o->m, o->in[i], lo, hi);
        for (int64_t k = 0; k < o->in[i]->n; k++) {
            double centre = 0.5 * lo[k] + 0.5 * hi[k];

            hi[k] = nm_up(fmax(hi[k] - centre, centre - lo[k]));
            lo[k] = centre;
        }
        in[i] = lo;
        r[i] = hi;
    }
    if (!e || !local_error(o, in, r, e))
        return false;
    for (int64_t k = 0; k < o->n_out; k++)
        to->deviation[k] = nm_up(to->deviation[k] + e[k]);
    return true;
}

/* -- linear operators ------------------------------------------------------------------------ */

static const nm_sparse *by_fans(nm_vop *o)
{
    nm_fan *fans;
    int64_t n_fans = o->op->kind->n_fans(o->ex.net, o->op), n = 0, n_in = o->in[0]->n;
    int64_t *count;
    nm_sparse *j;
    const double *w = o->zeros[o->op->kind->weight_in];

    fans = nm_arena_take(&o->m->scratch, (size_t)n_fans, sizeof *fans);
    count = nm_arena_take(&o->m->scratch, (size_t)o->n_out, sizeof *count);
    if (!fans || !count)
        return NULL;
    memset(count, 0, (size_t)o->n_out * sizeof *count);
    for (int64_t k = 0; k < n_fans; k++) {
        o->op->kind->fan(&o->ex, k, &fans[k]);
        if (o->m->scratch.failed)
            return NULL;
        n += fans[k].n_in * fans[k].n_out;
        for (int64_t c = 0; c < fans[k].n_out; c++)
            count[fans[k].first_out + c * fans[k].out_step] += fans[k].n_in;
    }
    j = nm_sparse_open(o->m->arena, o->n_out, n_in, n);
    if (!j)
        return NULL;
    for (int64_t r = 0; r < o->n_out; r++) {
        j->start[r + 1] = j->start[r] + count[r];
        count[r] = j->start[r];
    }
    for (int64_t k = 0; k < n_fans; k++)
        for (int64_t c = 0; c < fans[k].n_out; c++)
            for (int64_t i = 0; i < fans[k].n_in; i++) {
                int64_t to = count[fans[k].first_out + c * fans[k].out_step]++;

                j->at[to] = fans[k].at[i];
                j->w[to] = fans[k].scale * w[fans[k].weight[i] + c * fans[k].step];
            }
    nm_sparse_close(j);
    return j;
}

static const nm_sparse *by_links(nm_vop *o)
{
    int64_t most = o->op->kind->n_links(o->ex.net, o->op), n = 0;
    int64_t *at = nm_arena_take(&o->m->scratch, (size_t)(o->n_out * most) + 1, sizeof *at);
    double *share = room_of(o, o->n_out);
    nm_sparse *j = nm_sparse_open(o->m->arena, o->n_out, o->in[0]->n, o->n_out * most);

    if (!at || !share || !j)
        return NULL;
    o->op->kind->links(&o->ex, o->zeros, at, share);
    if (o->m->scratch.failed)
        return NULL;
    for (int64_t r = 0; r < o->n_out; r++) {
        for (int64_t l = 0; l < most; l++)
            if (at[r * most + l] >= 0) {
                j->at[n] = (int32_t)at[r * most + l];
                j->w[n++] = share[r];
            }
        j->start[r + 1] = n;
    }
    nm_sparse_close(j);
    return j;
}

/* Output k depends on element k of input i. */
static const nm_sparse *by_element(nm_vop *o, int i)
{
    const double *d[NM_OP_MAX_IN] = {0};
    double *ones = room_of(o, o->n_out), *slope = room_of(o, o->n_out), *out;

    out = room_of(o, o->n_out);
    if (!ones || !slope || !out)
        return NULL;
    for (int64_t k = 0; k < o->n_out; k++)
        ones[k] = 1;
    d[i] = ones;
    o->op->kind->jvp(&o->ex, o->zeros, out, d, slope);
    return o->m->scratch.failed ? NULL : nm_sparse_diagonal(o->m->arena, o->n_out, slope);
}

/* Row by row, by the adjoint of each output. */
static const nm_sparse *by_adjoints(nm_vop *o, int i)
{
    double *unit = room_of(o, o->n_out), *out = room_of(o, o->n_out),
           *row = room_of(o, o->in[i]->n);
    int64_t n_in = o->in[i]->n, n = 0, room = 4 * (o->n_out + n_in);
    int64_t *start = nm_arena_take(&o->m->scratch, (size_t)o->n_out + 1, sizeof *start);
    nm_sparse *j = nm_sparse_open(o->m->arena, o->n_out, n_in, room);
    double *d[NM_OP_MAX_IN] = {0};

    if (!unit || !out || !row || !start || !j)
        return NULL;
    d[i] = row;
    for (int64_t r = 0; r < o->n_out; r++) {
        nm_arena inner = {0};
        nm_exec ex = o->ex;

        ex.arena = &inner;
        memset(row, 0, (size_t)n_in * sizeof *row);
        unit[r] = 1;
        o->op->kind->vjp(&ex, o->zeros, out, unit, d);
        unit[r] = 0;
        o->m->scratch.failed = o->m->scratch.failed || inner.failed;
        nm_arena_clear(&inner);
        if (n + n_in > room) {
            nm_sparse *wider = nm_sparse_open(o->m->arena, o->n_out, n_in, 2 * (room + n_in));

            if (!wider)
                return NULL;
            room = 2 * (room + n_in);
            memcpy(wider->start, j->start, (size_t)(r + 1) * sizeof *j->start);
            memcpy(wider->at, j->at, (size_t)n * sizeof *j->at);
            memcpy(wider->w, j->w, (size_t)n * sizeof *j->w);
            j = wider;
        }
        for (int64_t c = 0; c < n_in; c++)
            if (row[c] != 0) {
                j->at[n] = (int32_t)c;
                j->w[n++] = row[c];
            }
        j->start[r + 1] = n;
    }
    nm_sparse_close(j);
    return o->m->scratch.failed ? NULL : j;
}

static const nm_sparse *jacobian(nm_vop *o, int i)
{
    const nm_op_kind *kind = o->op->kind;
    bool alone = true;

    for (int k = 0; k < o->op->n_in; k++)
        alone = alone && (!o->in[k] || k == 0);
    if (alone && kind->is_view)
        return nm_sparse_diagonal(o->m->arena, o->n_out, NULL);
    if (alone && kind->n_fans)
        return by_fans(o);
    if (alone && kind->n_links)
        return by_links(o);
    if (kind->elementwise && o->in[i]->n == o->n_out)
        return by_element(o, i);
    return by_adjoints(o, i);
}

/* f(inputs) = f(0) + sum_i J_i input_i. */
static nm_vexpr *linear(nm_vop *o)
{
    nm_vexpr *to = nm_vexpr_zero(o->m->arena, o->n_out);
    double *e = room_of(o, o->n_out);

    if (!to || !e || !local_error(o, o->zeros, (const double *[NM_OP_MAX_IN]){0}, e))
        return NULL;
    o->op->kind->forward_f64(&o->ex, o->zeros, to->c);
    for (int64_t k = 0; k < o->n_out; k++)
        to->known[k] = nm_up(e[k] * DOUBLE_PER_FLOAT);
    for (int i = 0; i < o->op->n_in; i++) {
        const nm_sparse *j = o->in[i] ? jacobian(o, i) : NULL;

        if (!o->in[i])
            continue;
        if (!j)
            return NULL;
        if (!nm_vexpr_can_add(j, o->in[i])) {
            /* What comes in gets a node of its own; others that read the value use it as well. */
            o->in[i] = nm_vmaker_node(o->m, NM_VNODE_LINEAR, o->in[i]);
            if (!o->in[i])
                return NULL;
            o->m->value[o->op->in[i]] = o->in[i];
        }
        nm_vexpr_add(o->m->arena, to, j, o->in[i], true);
    }
    return add_deviation(o, to) ? to : NULL;
}

/* -- piecewise linear operators --------------------------------------------------------------- */

/* relu(z - t) of all elements. */
static nm_vexpr *break_at(nm_vop *o, const double *t)
{
    nm_vexpr shifted = *o->in[0];

    shifted.c = nm_arena_take(o->m->arena, (size_t)shifted.n, sizeof(double));
    shifted.known = nm_arena_take(o->m->arena, (size_t)shifted.n, sizeof(double));
    if (!shifted.c || !shifted.known)
        return NULL;
    for (int64_t k = 0; k < shifted.n; k++) {
        double from = o->in[0]->c[k];

        shifted.c[k] = from - t[k];
        shifted.known[k] =
            o->in[0]->known[k] + (t[k] == 0 ? 0 : 0x1p-52 * (fabs(from) + fabs(t[k])));
    }
    return nm_vmaker_node(o->m, NM_VNODE_RELU, &shifted);
}

/* Pieces of all elements: slope[0] in front of all breaks, then break b at t[b] with its step. */
struct steps {
    int n_breaks;
    double *slope, *t[2], *step[2];
    bool any_slope;
};

static bool list_pieces(nm_vop *o, struct steps *s)
{
    const nm_pieces_family *family = o->op->kind->family;

    s->slope = room_of(o, o->n_out);
    for (int b = 0; b < 2; b++) {
        s->t[b] = room_of(o, o->n_out);
        s->step[b] = room_of(o, o->n_out);
    }
    if (o->m->scratch.failed)
        return false;
    for (int64_t k = 0; k < o->n_out; k++) {
        nm_pieces p = family->pieces(o->ex.net, o->op, k);

        s->n_breaks = p.n_breaks > s->n_breaks ? p.n_breaks : s->n_breaks;
        s->slope[k] = p.slope[0];
        s->any_slope = s->any_slope || p.slope[0] != 0;
        for (int b = 0; b < p.n_breaks; b++) {
            s->t[b][k] = p.at[b];
            s->step[b][k] = p.slope[b + 1] - p.slope[b];
        }
    }
    return true;
}

/* f(z) = K + slope z + sum_b step_b relu(z - t_b), K so that f(0) is right. */
static nm_vexpr *piecewise(nm_vop *o)
{
    struct steps s = {0};
    nm_vexpr *to = nm_vexpr_zero(o->m->arena, o->n_out);

    if (!to || !list_pieces(o, &s))
        return NULL;
    o->op->kind->forward_f64(&o->ex, o->zeros, to->c);
    if (s.any_slope) {
        nm_sparse *slope = nm_sparse_diagonal(o->m->arena, o->n_out, s.slope);

        if (!slope)
            return NULL;
        nm_vexpr_add(o->m->arena, to, slope, o->in[0], true);
    }
    for (int b = 0; b < s.n_breaks; b++) {
        nm_sparse *step = nm_sparse_diagonal(o->m->arena, o->n_out, s.step[b]);
        nm_vexpr *on = break_at(o, s.t[b]);

        if (!step || !on)
            return NULL;
        nm_vexpr_add(o->m->arena, to, step, on, false);
        for (int64_t k = 0; k < o->n_out; k++) {
            double at_0 = s.t[b][k] < 0 ? s.step[b][k] * -s.t[b][k] : 0;

            to->known[k] += 0x1p-50 * (fabs(to->c[k]) + fabs(at_0));
            to->c[k] -= at_0;
        }
    }
    return add_deviation(o, to) ? to : NULL;
}

/* -- all ------------------------------------------------------------------------------------ */

static nm_vexpr *smooth(nm_vop *o, nm_vkind kind)
{
    nm_vexpr *to = nm_vmaker_node(o->m, kind, o->in[0]);

    return to && add_deviation(o, to) ? to : NULL;
}

nm_status nm_vmaker_op(nm_vmaker *m, int k, nm_vexpr **out, nm_err *err)
{
    nm_vop o;
    const nm_op_kind *kind = m->net->ops[k].kind;
    nm_err scratch_err = {0};

    *out = NULL;
    if (open_op(m, k, &o)) {
        if (kind->jvp == nm_pieces_jvp && o.in[0])
            *out = piecewise(&o);
        else if (kind == &nm_op_max_pool)
            *out = kind->n_pins(m->net, o.op) > 0 ? nm_vop_max_pool(&o) : linear(&o);
        else if (kind == &nm_op_sigmoid || kind == &nm_op_tanh)
            *out = smooth(&o, kind == &nm_op_tanh ? NM_VNODE_TANH : NM_VNODE_SIGMOID);
        else if (!kind->n_pins && !nm_op_is_smooth(m->net, o.op))
            *out = linear(&o);
        else
            return nm_fail(err, NM_E_UNSUPPORTED,
                           "node '%.100s': %s has no linear bounds here, expected linear and "
                           "piecewise linear operators, Sigmoid, Tanh",
                           o.op->name, kind->name);
    }
    if (!*out || m->arena->failed || nm_arena_reset(&m->scratch, &scratch_err) != NM_OK)
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    return NM_OK;
}
