/* Maximum pools as trees of max(a, b) = b + relu(a - b). */
#include "verify/vnet_op.h"

/* to += factor * (rows pick[k] of e). */
static bool add_picked(nm_vmaker *m, nm_vexpr *to, const int64_t *pick, double factor,
                       const nm_vexpr *e)
{
    nm_sparse *j = nm_sparse_open(m->arena, to->n, e->n, to->n);

    if (!j)
        return false;
    for (int64_t k = 0; k < to->n; k++) {
        j->at[k] = (int32_t)pick[k];
        j->w[k] = factor;
        j->start[k + 1] = k + 1;
    }
    nm_sparse_close(j);
    nm_vexpr_add(m->arena, to, j, e, true);
    return true;
}

/* max(a, b) = b + relu(a - b), where a and b are rows of e. The computed maximum is exact. */
static nm_vexpr *larger_of(nm_vmaker *m, const nm_vexpr *e, const int64_t *a, const int64_t *b,
                           int64_t n)
{
    nm_vexpr *difference = nm_vexpr_zero(m->arena, n), *to = nm_vexpr_zero(m->arena, n), *on;
    nm_sparse *identity = nm_sparse_diagonal(m->arena, n, NULL);

    if (!difference || !to || !identity || !add_picked(m, difference, a, 1, e) ||
        !add_picked(m, difference, b, -1, e) || !add_picked(m, to, b, 1, e))
        return NULL;
    on = nm_vmaker_node(m, NM_VNODE_RELU, difference);
    if (on)
        nm_vexpr_add(m->arena, to, identity, on, false);
    return on ? to : NULL;
}

/* window[o * n ...] = the elements that output o is the maximum of; what is outside the input is
   replaced by another. */
static int64_t *windows(nm_vop *o, int64_t *n)
{
    int64_t n_pins = o->op->kind->n_pins(o->ex.net, o->op);
    int64_t *window;

    *n = n_pins / o->n_out + 1;
    window = nm_arena_take(&o->m->scratch, (size_t)(*n * o->n_out), sizeof *window);
    for (int64_t k = 0; window && k < o->n_out; k++) {
        if (*n == 1) /* windows of one element have no pins */
            return NULL;
        for (int64_t l = 0; l + 1 < *n; l++) {
            nm_pin pin = o->op->kind->pin(o->ex.net, o->op, o->zeros[0], k * (*n - 1) + l);

            window[k * *n] = pin.plus;
            window[k * *n + l + 1] = pin.minus;
        }
    }
    return window;
}

nm_vexpr *nm_vop_max_pool(nm_vop *o)
{
    int64_t n, *window;
    nm_vexpr *e = o->in[0];

    window = e ? windows(o, &n) : NULL;
    while (window && n > 1) {
        int64_t half = (n + 1) / 2, n_pairs = half * o->n_out;
        int64_t *a = nm_arena_take(&o->m->scratch, (size_t)n_pairs, sizeof *a);
        int64_t *b = nm_arena_take(&o->m->scratch, (size_t)n_pairs, sizeof *b);

        for (int64_t p = 0; a && b && p < n_pairs; p++) {
            const int64_t *w = window + p / half * n;

            a[p] = w[2 * (p % half)];
            b[p] = 2 * (p % half) + 1 < n ? w[2 * (p % half) + 1] : a[p];
        }
        e = a && b ? larger_of(o->m, e, a, b, n_pairs) : NULL;
        if (!e)
            return NULL;
        for (int64_t p = 0; p < n_pairs; p++)
            window[p] = p;
        n = half;
    }
    return window ? e : NULL;
}
