#include "verify/batch.h"

#include <math.h>
#include <string.h>

#define ROUNDOFF 0x1p-53

enum { LANES = NM_MOST_LANES };

nm_status nm_batch_open(nm_batch *b, const nm_vnet *v, const nm_lines *lines, nm_err *err)
{
    double **const arrays[] = {&b->below,   &b->below_at, &b->above, &b->above_at,   &b->push,
                               &b->sign,    &b->open,     &b->reach, &b->multiplier, &b->mean,
                               &b->largest, &b->row,      &b->kept,  &b->z,          &b->x};
    size_t n = (size_t)v->n_neurons * LANES;

    *b = (nm_batch){.v = v,
                    .lines = lines,
                    .kernels = nm_batch_best_kernels(),
                    .rows_kernels = &nm_lane_best_kernels()[1]};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        *arrays[i] = nm_arena_take(&b->arena, n, sizeof(double));
        if (*arrays[i])
            memset(*arrays[i], 0, n * sizeof(double));
    }
    b->start = nm_arena_take(&b->arena, (size_t)v->widest * LANES, sizeof(double));
    b->unstable = nm_arena_take(&b->arena, (size_t)v->n_neurons, sizeof(int32_t));
    b->n_unstable = nm_arena_take(&b->arena, (size_t)v->n_nodes, sizeof(int32_t));
    b->all = nm_arena_take(&b->arena, (size_t)v->widest, sizeof(int32_t));
    b->reached = nm_arena_take(&b->arena, (size_t)v->n_nodes, sizeof(bool));
    if (b->arena.failed) {
        nm_batch_close(b);
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    }
    memset(b->start, 0, (size_t)v->widest * LANES * sizeof(double));
    for (int64_t i = 0; i < v->widest; i++)
        b->all[i] = (int32_t)i;
    nm_batch_take_lines(b);
    nm_batch_begin_at(b, v->n_nodes - 1, b->all, (int32_t)nm_vnet_output(v)->n);
    return NM_OK;
}

void nm_batch_close(nm_batch *b)
{
    nm_arena_clear(&b->arena);
    *b = (nm_batch){0};
}

void nm_batch_take_lines(nm_batch *b)
{
    for (int k = 0; k < b->v->n_nodes; k++) {
        const nm_vnode *node = &b->v->nodes[k];
        int32_t n = 0;

        for (int64_t r = 0; node->kind == NM_VNODE_RELU && r < node->n; r++)
            if (b->lines->lo[node->first + r] < 0 && b->lines->hi[node->first + r] > 0)
                b->unstable[node->first + n++] = (int32_t)r;
        b->n_unstable[k] = n;
    }
}

void nm_batch_begin_at(nm_batch *b, int k, const int32_t *units, int32_t n_units)
{
    b->from = k;
    b->units = units;
    b->n_units = n_units;
}

void nm_batch_clear_lane(nm_batch *b, int lane)
{
    const nm_lines *l = b->lines;

    for (int64_t i = 0; i < b->v->n_neurons; i++) {
        int64_t at = i * LANES + lane;

        b->below[at] = l->below[i];
        b->below_at[at] = l->below_at[i];
        b->above[at] = l->above[i];
        b->above_at[at] = l->above_at[i];
        b->push[at] = b->sign[at] = b->open[at] = b->reach[at] = b->multiplier[at] = 0;
        b->mean[at] = b->largest[at] = 0;
    }
    for (int k = 0; k < b->v->n_nodes; k++)
        for (int32_t u = 0; u < b->n_unstable[k]; u++) {
            int64_t first = b->v->nodes[k].first;

            b->open[(first + b->unstable[first + u]) * LANES + lane] = 1;
        }
}

void nm_batch_spread_lane(nm_batch *to, const nm_batch *from, int lane)
{
    double *const arrays[] = {to->below, to->below_at, to->above, to->above_at, to->push};
    const double *const source[] = {from->below, from->below_at, from->above, from->above_at,
                                    from->push};
    int64_t n_units = from->v->nodes[from->from].n;

    for (int k = 1; k < from->from; k++)
        for (int32_t u = 0; u < from->lines->n_alive[k]; u++) {
            int64_t first = from->v->nodes[k].first;
            int64_t at = (first + from->lines->alive[first + u]) * LANES;

            for (size_t a = 0; a < sizeof arrays / sizeof *arrays; a++)
                for (int r = 0; r < LANES; r++)
                    arrays[a][at + r] = source[a][at + lane];
        }
    for (int64_t i = 0; i < n_units; i++)
        for (int r = 0; r < LANES; r++)
            to->start[i * LANES + r] = from->start[i * LANES + lane];
    for (int r = 0; r < LANES; r++)
        to->at_0[r] = from->at_0[lane];
}

void nm_batch_split(nm_batch *b, int lane, int32_t neuron, bool active, double multiplier,
                    double reach)
{
    int64_t at = (int64_t)neuron * LANES + lane;

    b->open[at] = 0;
    b->sign[at] = active ? 1 : -1;
    b->below[at] = b->above[at] = active ? 1 : 0;
    b->below_at[at] = b->above_at[at] = 0;
    b->multiplier[at] = multiplier;
    b->push[at] = active ? -multiplier : multiplier;
    b->reach[at] = reach;
    b->mean[at] = b->largest[at] = 0;
}

static nm_batch_node node_of(const nm_batch *b, int k)
{
    const nm_vnode *node = &b->v->nodes[k];
    int64_t at = node->first * LANES;

    return (nm_batch_node){.n = b->lines->n_alive[k],
                           .at = b->lines->alive + node->first,
                           .bias = node->bias,
                           .error = node->error,
                           .below = b->below + at,
                           .below_at = b->below_at + at,
                           .above = b->above + at,
                           .above_at = b->above_at + at,
                           .push = b->push + at,
                           .row = b->row + at,
                           .kept = b->kept + at,
                           .z = b->z + at,
                           .x = b->x + at};
}

/* -- back ----------------------------------------------------------------------------------- */

static void pass_map(nm_batch *b, const nm_vmap *map, const int32_t *rows, int32_t n_rows,
                     const double *from)
{
    const nm_vnode *source = &b->v->nodes[map->from];
    double *to = b->row + source->first * LANES;

    if (map->dense) {
        b->rows_kernels->times(n_rows, rows, b->lines->n_alive[map->from],
                               b->lines->alive + source->first, map->dense, source->n, from, to,
                               b->reached[map->from]);
        b->reached[map->from] = true;
        return;
    }
    if (!b->reached[map->from])
        memset(to, 0, (size_t)(source->n * LANES) * sizeof *to);
    b->reached[map->from] = true;
    for (int32_t i = 0; i < n_rows; i++)
        for (int64_t e = map->start[rows[i]]; e < map->start[rows[i] + 1]; e++)
            for (int r = 0; r < LANES; r++)
                to[(int64_t)map->at[e] * LANES + r] +=
                    map->w[e] * from[(int64_t)rows[i] * LANES + r];
}

static void begin(nm_batch *b)
{
    const nm_vnode *node = &b->v->nodes[b->from];
    double factor = (4 * (double)b->v->n_neurons + 64) * ROUNDOFF;

    memset(b->reached, 0, (size_t)b->v->n_nodes * sizeof *b->reached);
    for (int r = 0; r < LANES; r++) {
        b->constant[r] = b->at_0[r];
        b->lost[r] = fabs(b->at_0[r]) * factor;
    }
    for (int32_t u = 0; u < b->n_units; u++)
        for (int r = 0; r < LANES; r++) {
            double a = b->start[(int64_t)b->units[u] * LANES + r];

            b->constant[r] += a * node->bias[b->units[u]];
            b->lost[r] += fabs(a) * node->error[b->units[u]];
        }
    for (int t = 0; t < node->n_maps; t++)
        pass_map(b, &node->maps[t], b->units, b->n_units, b->start);
}

void nm_batch_back(nm_batch *b)
{
    const nm_vnode *input = &b->v->nodes[0];
    double least[LANES], size[LANES], gamma = (double)(input->n + 16) * 2 * ROUNDOFF;

    begin(b);
    for (int k = b->from - 1; k > 0; k--) {
        nm_batch_node node = node_of(b, k);

        if (!b->reached[k])
            memset(node.row, 0, (size_t)(b->v->nodes[k].n * LANES) * sizeof *node.row);
        b->kernels->back(&node, b->constant, b->lost);
        for (int t = 0; t < b->v->nodes[k].n_maps; t++)
            pass_map(b, &b->v->nodes[k].maps[t], node.at, (int32_t)node.n, node.row);
    }
    if (!b->reached[0])
        memset(b->row, 0, (size_t)(input->n * LANES) * sizeof *b->row);
    b->rows_kernels->least(input->n, b->row, b->lines->lo, b->lines->hi, input->size, least, size);
    for (int r = 0; r < LANES; r++) {
        double lost = (b->lost[r] + gamma * size[r] + 1e-250) * (1 + 1e-9);
        double bound = least[r] + (b->constant[r] - lost);

        b->bound[r] =
            bound - 4 * ROUNDOFF * (fabs(bound) + fabs(least[r]) + fabs(b->constant[r]) + lost);
    }
    b->n_passes++;
}

/* -- forward -------------------------------------------------------------------------------- */

static void apply_map(nm_batch *b, int k, const nm_vmap *map, const int32_t *rows, int32_t n_rows)
{
    const nm_vnode *node = &b->v->nodes[k], *source = &b->v->nodes[map->from];
    const double *from = b->x + source->first * LANES;
    double *to = b->z + node->first * LANES;

    if (map->dense) {
        b->kernels->apply(n_rows, rows, b->lines->n_alive[map->from],
                          b->lines->alive + source->first, map->dense, source->n, from, to);
        return;
    }
    for (int32_t i = 0; i < n_rows; i++)
        for (int64_t e = map->start[rows[i]]; e < map->start[rows[i] + 1]; e++)
            for (int r = 0; r < LANES; r++)
                to[(int64_t)rows[i] * LANES + r] +=
                    map->w[e] * from[(int64_t)map->at[e] * LANES + r];
}

/* z of neurons of node k. */
static void apply_node(nm_batch *b, int k, const int32_t *rows, int32_t n_rows)
{
    const nm_vnode *node = &b->v->nodes[k];
    double *z = b->z + node->first * LANES;

    for (int32_t i = 0; i < n_rows; i++)
        for (int r = 0; r < LANES; r++)
            z[(int64_t)rows[i] * LANES + r] = node->bias[rows[i]];
    for (int t = 0; t < node->n_maps; t++)
        apply_map(b, k, &node->maps[t], rows, n_rows);
}

void nm_batch_forward(nm_batch *b)
{
    const nm_vnode *input = &b->v->nodes[0];

    for (int64_t j = 0; j < input->n; j++)
        for (int r = 0; r < LANES; r++)
            b->x[j * LANES + r] = b->row[j * LANES + r] >= 0 ? b->lines->lo[j] : b->lines->hi[j];
    for (int k = 1; k <= b->from; k++) {
        nm_batch_node node = node_of(b, k);
        const int32_t *alive = b->lines->alive + b->v->nodes[k].first;

        /* Neurons that are off everywhere give nothing; they keep x = 0. */
        if (k == b->from) {
            apply_node(b, k, b->units, b->n_units);
            break;
        }
        apply_node(b, k, alive, b->lines->n_alive[k]);
        b->kernels->forward(&node);
    }
}

void nm_batch_round(nm_batch *b)
{
    for (int k = 1; k < b->from; k++)
        for (int32_t u = 0; u < b->n_unstable[k]; u++) {
            int64_t first = b->v->nodes[k].first;
            int64_t at = (first + b->unstable[first + u]) * LANES;

            for (int64_t i = at; i < at + LANES; i++) {
                if (b->open[i] != 0)
                    b->below[i] = rint(b->below[i] * NM_SLOPE_STEPS) / NM_SLOPE_STEPS;
                b->multiplier[i] = (double)(float)b->multiplier[i];
                b->push[i] = -b->sign[i] * b->multiplier[i];
            }
        }
}

void nm_batch_ascend(nm_batch *b)
{
    for (int k = 1; k < b->from; k++) {
        int64_t first = b->v->nodes[k].first, at = first * LANES;
        nm_batch_step step = {.n = b->n_unstable[k],
                              .at = b->unstable + first,
                              .sign = b->sign + at,
                              .open = b->open + at,
                              .reach = b->reach + at,
                              .kept = b->kept + at,
                              .z = b->z + at,
                              .below = b->below + at,
                              .multiplier = b->multiplier + at,
                              .push = b->push + at,
                              .mean = b->mean + at,
                              .largest = b->largest + at,
                              .rate = b->rate};

        if (step.n > 0)
            b->kernels->ascend(&step);
    }
}
