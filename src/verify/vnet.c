#include "verify/vnet.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "verify/vnet_make.h"

#define ROUNDOFF 0x1p-53

/* Libm's exp and tanh are right to a few units; nodes with them are not exact beyond this. */
#define SMOOTH_ERROR 1e-14

double nm_vnode_value(nm_vkind kind, double z)
{
    switch (kind) {
    case NM_VNODE_RELU:
        return z > 0 ? z : 0;
    case NM_VNODE_SIGMOID:
        return 1 / (1 + exp(-z));
    case NM_VNODE_TANH:
        return tanh(z);
    default:
        return z;
    }
}

static bool is_smooth(nm_vkind kind)
{
    return kind == NM_VNODE_SIGMOID || kind == NM_VNODE_TANH;
}

static void output_range(const nm_vnode *node, int64_t i, double *lo, double *hi)
{
    double slack = is_smooth(node->kind) ? SMOOTH_ERROR : 0;

    *lo = nm_vnode_value(node->kind, node->lo[i]) - slack;
    *hi = nm_vnode_value(node->kind, node->hi[i]) + slack;
}

void nm_vmaker_range(const nm_vmaker *m, const nm_vexpr *e, double *lo, double *hi)
{
    for (int64_t r = 0; r < e->n; r++) {
        double size = fabs(e->c[r]), low = e->c[r], high = e->c[r], slack;
        int64_t n = 1;

        for (int t = 0; t < e->n_terms; t++) {
            const nm_sparse *a = e->terms[t].m;
            const nm_vnode *node = &m->v->nodes[e->terms[t].node];

            n += a->start[r + 1] - a->start[r];
            for (int64_t k = a->start[r]; k < a->start[r + 1]; k++) {
                double x_lo, x_hi, w = a->w[k];

                output_range(node, a->at[k], &x_lo, &x_hi);
                low += w >= 0 ? w * x_lo : w * x_hi;
                high += w >= 0 ? w * x_hi : w * x_lo;
                size += fabs(w) * fmax(fabs(x_lo), fabs(x_hi));
            }
        }
        slack = ((double)(n + e->ulps + 16) * 2 * ROUNDOFF * size + e->known[r] + e->deviation[r]) *
                (1 + 16 * ROUNDOFF);
        lo[r] = low - slack;
        hi[r] = high + slack;
    }
}

/* -- nodes --------------------------------------------------------------------------------- */

static bool grow(nm_vmaker *m)
{
    int room = m->room > 0 ? 2 * m->room : 16;
    nm_err ignored = {0};

    if (m->v->n_nodes < m->room)
        return true;
    if (nm_realloc(&m->v->nodes, (size_t)room, sizeof *m->v->nodes, &ignored) != NM_OK ||
        nm_realloc(&m->ulps, (size_t)room, sizeof *m->ulps, &ignored) != NM_OK)
        return false;
    m->room = room;
    return true;
}

static bool node_arrays(nm_vmaker *m, nm_vnode *node)
{
    double *room = nm_arena_take(m->arena, 5 * (size_t)node->n, sizeof *room);

    if (!room)
        return false;
    node->bias = room;
    node->error = room + node->n;
    node->lo = room + 2 * node->n;
    node->hi = room + 3 * node->n;
    node->size = room + 4 * node->n;
    return true;
}

static bool take_maps(nm_vmaker *m, nm_vnode *node, const nm_vexpr *e)
{
    node->n_maps = e->n_terms;
    node->maps = nm_arena_take(m->arena, (size_t)e->n_terms + 1, sizeof *node->maps);
    for (int t = 0; node->maps && t < e->n_terms; t++)
        node->maps[t] = (nm_vmap){.from = e->terms[t].node,
                                  .start = e->terms[t].m->start,
                                  .at = e->terms[t].m->at,
                                  .w = e->terms[t].m->w};
    return node->maps != NULL;
}

nm_vexpr *nm_vmaker_node(nm_vmaker *m, nm_vkind kind, const nm_vexpr *e)
{
    nm_vexpr *out = nm_vexpr_zero(m->arena, e->n);
    nm_sparse *identity = nm_sparse_diagonal(m->arena, e->n, NULL);
    nm_vnode node = {.kind = kind, .n = e->n};

    if (!out || !identity || !grow(m) || !node_arrays(m, &node) || !take_maps(m, &node, e))
        return NULL;
    nm_vmaker_range(m, e, node.lo, node.hi);
    for (int64_t i = 0; i < e->n; i++) {
        double x_lo, x_hi;

        output_range(&node, i, &x_lo, &x_hi);
        node.bias[i] = e->c[i];
        node.error[i] = e->known[i] + e->deviation[i];
        node.size[i] = fmax(fabs(x_lo), fabs(x_hi));
    }
    m->ulps[m->v->n_nodes] = e->ulps;
    m->v->nodes[m->v->n_nodes] = node;
    out->n_terms = 1;
    out->terms = nm_arena_take(m->arena, 1, sizeof *out->terms);
    if (!out->terms)
        return NULL;
    out->terms[0] = (nm_vterm){m->v->n_nodes++, identity};
    return out;
}

static nm_vexpr *input_node(nm_vmaker *m, const double *lo, const double *hi)
{
    nm_vexpr *zero = nm_vexpr_zero(m->arena, m->net->values[m->net->input].size), *out;

    out = zero ? nm_vmaker_node(m, NM_VNODE_INPUT, zero) : NULL;
    for (int64_t i = 0; out && i < zero->n; i++) {
        m->v->nodes[0].lo[i] = lo[i];
        m->v->nodes[0].hi[i] = hi[i];
        m->v->nodes[0].size[i] = fmax(fabs(lo[i]), fabs(hi[i]));
        if (m->float32 && lo[i] < NM_F32_UNDERFLOW && hi[i] > -NM_F32_UNDERFLOW) /* flushed */
            out->deviation[i] = fmin(m->v->nodes[0].size[i], NM_F32_UNDERFLOW);
    }
    return out;
}

/* -- the finished form ---------------------------------------------------------------------- */

static bool make_dense(nm_vmaker *m, const nm_vnode *node, nm_vmap *map)
{
    int64_t n_in = m->v->nodes[map->from].n;

    if (4 * map->start[node->n] < node->n * n_in)
        return true;
    map->dense = nm_arena_take(m->arena, (size_t)(node->n * n_in), sizeof *map->dense);
    if (!map->dense)
        return false;
    memset(map->dense, 0, (size_t)(node->n * n_in) * sizeof *map->dense);
    for (int64_t r = 0; r < node->n; r++)
        for (int64_t k = map->start[r]; k < map->start[r + 1]; k++)
            map->dense[r * n_in + map->at[k]] += map->w[k]; /* no column comes twice in a row */
    return true;
}

/* Carrying rows back through z_k sums at most `most` products into one coefficient, with rounded
 * slopes; a coefficient off by d moves the bound by |d| |x|. Weighed over all coefficients that is
 * at most gamma_most |row_k| (sum |w_ki| |x_i| + |b_k|). The same factor pays for the sums of
 * constants, whose terms are no larger. */
static void finish_errors(nm_vmaker *m)
{
    nm_vnet *v = m->v;

    for (int k = 1; k < v->n_nodes; k++) {
        nm_vnode *node = &v->nodes[k];
        double gamma = (4 * (double)v->n_neurons + 64 + (double)m->ulps[k]) * 1.01 * ROUNDOFF;

        for (int64_t r = 0; r < node->n; r++) {
            double size = fabs(node->bias[r]);

            for (int t = 0; t < node->n_maps; t++) {
                const nm_vmap *map = &node->maps[t];
                const double *x = v->nodes[map->from].size;

                for (int64_t i = map->start[r]; i < map->start[r + 1]; i++)
                    size += fabs(map->w[i]) * x[map->at[i]];
            }
            node->error[r] = (node->error[r] + gamma * size) * (1 + 1e-10) + 1e-250;
            if (is_smooth(node->kind))
                node->error[r] += SMOOTH_ERROR;
        }
    }
}

static bool finish(nm_vmaker *m)
{
    nm_vnet *v = m->v;

    for (int k = 0; k < v->n_nodes; k++) {
        v->nodes[k].first = v->n_neurons;
        v->n_neurons += v->nodes[k].n;
        v->widest = v->nodes[k].n > v->widest ? v->nodes[k].n : v->widest;
    }
    finish_errors(m);
    for (int k = 0; k < v->n_nodes; k++)
        for (int t = 0; t < v->nodes[k].n_maps; t++)
            if (!make_dense(m, &v->nodes[k], &v->nodes[k].maps[t]))
                return false;
    return true;
}

nm_status nm_vnet_new(const nm_net *net, const double *lo, const double *hi, bool float32,
                      nm_vnet **out, nm_err *err)
{
    nm_vmaker m = {.net = net, .float32 = float32};
    nm_status rc = nm_alloc(&m.v, 1, sizeof *m.v, err);

    *out = NULL;
    if (rc != NM_OK)
        return rc;
    m.arena = &m.v->arena;
    NM_TRY(nm_alloc(&m.value, (size_t)net->n_values, sizeof(nm_vexpr *), err));
    m.value[net->input] = input_node(&m, lo, hi);
    if (!m.value[net->input])
        NM_THROW(err, NM_E_NOMEM, "out of memory");
    for (int k = 0; k < net->n_ops; k++)
        if (!net->values[net->ops[k].out].constant)
            NM_TRY(nm_vmaker_op(&m, k, &m.value[net->ops[k].out], err));
    if (!m.value[net->output])
        NM_THROW(err, NM_E_UNSUPPORTED, "the output does not depend on the input");
    if (!nm_vmaker_node(&m, NM_VNODE_LINEAR, m.value[net->output]) || !finish(&m))
        NM_THROW(err, NM_E_NOMEM, "out of memory");
    *out = m.v;
    m.v = NULL;
done:
    nm_vnet_free(m.v);
    nm_arena_clear(&m.scratch);
    nm_free(m.value);
    nm_free(m.ulps);
    return rc;
}

void nm_vnet_free(nm_vnet *v)
{
    if (!v)
        return;
    nm_arena_clear(&v->arena);
    nm_free(v->nodes);
    nm_free(v);
}

/* -- values ---------------------------------------------------------------------------------- */

static double row_times(const nm_vmap *map, int64_t r, int64_t n_in, const double *x)
{
    double part[4] = {0};
    int64_t i = 0;

    if (!map->dense) {
        for (int64_t k = map->start[r]; k < map->start[r + 1]; k++)
            part[0] += map->w[k] * x[map->at[k]];
        return part[0];
    }
    for (; i + 4 <= n_in; i += 4)
        for (int64_t l = 0; l < 4; l++)
            part[l] += map->dense[r * n_in + i + l] * x[i + l];
    for (; i < n_in; i++)
        part[0] += map->dense[r * n_in + i] * x[i];
    return (part[0] + part[1]) + (part[2] + part[3]);
}

void nm_vnet_evaluate(const nm_vnet *v, double *x)
{
    for (int k = 1; k < v->n_nodes; k++) {
        const nm_vnode *node = &v->nodes[k];

        for (int64_t r = 0; r < node->n; r++) {
            double z = node->bias[r];

            for (int t = 0; t < node->n_maps; t++) {
                const nm_vnode *from = &v->nodes[node->maps[t].from];

                z += row_times(&node->maps[t], r, from->n, x + from->first);
            }
            x[node->first + r] = nm_vnode_value(node->kind, z);
        }
    }
}
