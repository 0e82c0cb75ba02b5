#include "verify/bound_lines.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

#define ROUNDOFF 0x1p-53

nm_status nm_bounder_open(nm_bounder *b, const nm_vnet *v, bool keep, nm_err *err)
{
    size_t n = (size_t)v->n_neurons;

    *b = (nm_bounder){.v = v, .kernels = nm_lane_best_kernels()};
    b->lines.lo = nm_arena_take(&b->arena, n, sizeof(double));
    b->lines.hi = nm_arena_take(&b->arena, n, sizeof(double));
    b->lines.below = nm_arena_take(&b->arena, n, sizeof(double));
    b->lines.below_at = nm_arena_take(&b->arena, n, sizeof(double));
    b->lines.above = nm_arena_take(&b->arena, n, sizeof(double));
    b->lines.above_at = nm_arena_take(&b->arena, n, sizeof(double));
    b->lines.alive = nm_arena_take(&b->arena, n, sizeof(int32_t));
    b->lines.n_alive = nm_arena_take(&b->arena, (size_t)v->n_nodes, sizeof(int32_t));
    b->rows = nm_arena_take(&b->arena, n * NM_MOST_LANES, sizeof(double));
    b->reached = nm_arena_take(&b->arena, (size_t)v->n_nodes, sizeof(bool));
    if (keep) {
        b->before = nm_arena_take(&b->arena, n * NM_MOST_LANES, sizeof(double));
        b->z_slope = nm_arena_take(&b->arena, n * (size_t)v->nodes[0].n, sizeof(double));
    }
    if (b->arena.failed) {
        nm_bounder_close(b);
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    }
    return NM_OK;
}

void nm_bounder_close(nm_bounder *b)
{
    nm_arena_clear(&b->arena);
    *b = (nm_bounder){0};
}

/* -- carrying -------------------------------------------------------------------------------- */

static double *rows_of(const nm_bounder *b, int k)
{
    return b->rows + b->v->nodes[k].first * NM_MOST_LANES;
}

/* to += W' from, over neurons that count. */
static void pass_map(nm_bounder *b, int k, const nm_vmap *map, int lanes)
{
    const nm_vnode *node = &b->v->nodes[k], *source = &b->v->nodes[map->from];
    const nm_lines *l = &b->lines;
    const int32_t *rows = l->alive + node->first, *cols = l->alive + source->first;
    double *from = rows_of(b, k), *to = rows_of(b, map->from);

    if (map->dense) {
        b->kernels[lanes / NM_LANE_VECTOR - 1].times(l->n_alive[k], rows, l->n_alive[map->from],
                                                     cols, map->dense, source->n, from, to,
                                                     b->reached[map->from]);
        b->reached[map->from] = true;
        return;
    }
    if (!b->reached[map->from])
        memset(to, 0, (size_t)(source->n * lanes) * sizeof *to);
    b->reached[map->from] = true;
    for (int64_t i = 0; i < l->n_alive[k]; i++)
        for (int64_t e = map->start[rows[i]]; e < map->start[rows[i] + 1]; e++) {
            double w = map->w[e], *place = to + (int64_t)map->at[e] * lanes;
            const double *row = from + (int64_t)rows[i] * lanes;

            for (int r = 0; r < lanes; r++)
                place[r] += w * row[r];
        }
}

static void keep_rows(nm_bounder *b, int k, int lanes)
{
    int64_t first = b->v->nodes[k].first;
    const int32_t *alive = b->lines.alive + first;

    for (int64_t i = 0; i < b->lines.n_alive[k]; i++)
        if (nm_bound_is_unstable(b, k, first + alive[i]))
            memcpy(b->before + (first + alive[i]) * NM_MOST_LANES,
                   rows_of(b, k) + (int64_t)alive[i] * lanes, (size_t)lanes * sizeof *b->before);
}

/* From rows on the z of node k (and on the x of nodes before it) to the input. */
static void carry(nm_bounder *b, int k, int lanes, bool keep, double *bound)
{
    const nm_vnode *input = &b->v->nodes[0];
    const nm_lines *l = &b->lines;
    const nm_lane_kernels *kernels = &b->kernels[lanes / NM_LANE_VECTOR - 1];
    double least[NM_MOST_LANES], size[NM_MOST_LANES];

    for (int j = k - 1; j > 0; j--) {
        const nm_vnode *node = &b->v->nodes[j];
        int64_t i = node->first;
        nm_lane_lines lines = {.n = l->n_alive[j],
                               .at = l->alive + i,
                               .below = l->below + i,
                               .above = l->above + i,
                               .below_at = nm_vkind_is_smooth(node->kind) ? l->below_at + i : NULL,
                               .above_at = l->above_at + i,
                               .bias = node->bias,
                               .error = node->error};

        if (!b->reached[j])
            continue;
        if (keep)
            keep_rows(b, j, lanes);
        kernels->relax(&lines, rows_of(b, j), b->constant, b->lost);
        for (int t = 0; t < node->n_maps; t++)
            pass_map(b, j, &node->maps[t], lanes);
    }
    if (!b->reached[0])
        memset(b->rows, 0, (size_t)(input->n * lanes) * sizeof *b->rows);
    kernels->least(input->n, b->rows, l->lo, l->hi, input->size, least, size);
    for (int r = 0; r < lanes; r++) {
        double gamma = (double)(input->n + 16) * 2 * ROUNDOFF;

        b->lost[r] = (b->lost[r] + gamma * size[r] + 1e-250) * (1 + 1e-9);
        b->constant[r] -= b->lost[r];
        /* Two roundings of sums of a magnitude that `lost` does not see. */
        bound[r] = least[r] + b->constant[r];
        bound[r] -= 4 * ROUNDOFF * (fabs(bound[r]) + fabs(least[r]) + fabs(b->constant[r]));
        b->constant[r] -= 8 * ROUNDOFF * fabs(b->constant[r]);
    }
    b->n_carried += lanes;
}

static void begin(nm_bounder *b)
{
    memset(b->reached, 0, (size_t)b->v->n_nodes * sizeof *b->reached);
    memset(b->constant, 0, sizeof b->constant);
    memset(b->lost, 0, sizeof b->lost);
}

/* Lane r begins as sign[r] times the z of neuron unit[r] of node k. */
static void begin_units(nm_bounder *b, int k, int lanes, int n, const int32_t *unit,
                        const double *sign)
{
    const nm_vnode *node = &b->v->nodes[k];

    begin(b);
    for (int t = 0; t < node->n_maps; t++) {
        const nm_vmap *map = &node->maps[t];
        const nm_vnode *source = &b->v->nodes[map->from];
        double *to = rows_of(b, map->from);

        if (!b->reached[map->from])
            memset(to, 0, (size_t)(source->n * lanes) * sizeof *to);
        b->reached[map->from] = true;
        for (int r = 0; r < n; r++)
            if (map->dense)
                for (int64_t j = 0; j < source->n; j++)
                    to[j * lanes + r] += sign[r] * map->dense[unit[r] * source->n + j];
            else
                for (int64_t e = map->start[unit[r]]; e < map->start[unit[r] + 1]; e++)
                    to[map->at[e] * lanes + r] += sign[r] * map->w[e];
    }
    for (int r = 0; r < n; r++) {
        b->constant[r] = sign[r] * node->bias[unit[r]];
        b->lost[r] = node->error[unit[r]];
    }
}

static int lanes_for(int n)
{
    return (n + NM_LANE_VECTOR - 1) / NM_LANE_VECTOR * NM_LANE_VECTOR;
}

void nm_bound_rows(nm_bounder *b, int n, const nm_vrow *rows, double *bound, double *slope,
                   double *constant)
{
    int k = b->v->n_nodes - 1, lanes = lanes_for(n);
    const nm_vnode *output = &b->v->nodes[k];
    int64_t n_in = b->v->nodes[0].n;
    double found[NM_MOST_LANES], *to = rows_of(b, k);

    begin(b);
    memset(to, 0, (size_t)(output->n * lanes) * sizeof *to);
    b->reached[k] = true;
    for (int r = 0; r < n; r++) {
        b->constant[r] = rows[r].at_0;
        b->lost[r] = fabs(rows[r].at_0) * (4 * (double)b->v->n_neurons + 64) * ROUNDOFF;
        for (int64_t j = 0; j < output->n; j++)
            to[j * lanes + r] = rows[r].c[j];
    }
    carry(b, k + 1, lanes, b->before != NULL, found);
    memcpy(bound, found, (size_t)n * sizeof *bound);
    for (int r = 0; slope && r < n; r++) {
        constant[r] = b->constant[r];
        for (int64_t j = 0; j < n_in; j++)
            slope[r * n_in + j] = b->rows[j * lanes + r];
    }
}

/* -- neurons --------------------------------------------------------------------------------- */

/* Bounds of one neuron from those of the nodes before, each at its worst. */
static void interval(const nm_bounder *b, const nm_vnode *node, int64_t r, double *low,
                     double *high)
{
    const nm_lines *l = &b->lines;
    double lo = node->bias[r], hi = node->bias[r];

    for (int t = 0; t < node->n_maps; t++) {
        const nm_vmap *map = &node->maps[t];
        const nm_vnode *source = &b->v->nodes[map->from];
        const double *z_lo = l->lo + source->first, *z_hi = l->hi + source->first;
        int64_t n = map->dense ? source->n : map->start[r + 1] - map->start[r];

        for (int64_t e = 0; e < n; e++) {
            int64_t j = map->dense ? e : map->at[map->start[r] + e];
            double w = map->dense ? map->dense[r * source->n + e] : map->w[map->start[r] + e];
            double x_lo = z_lo[j], x_hi = z_hi[j];

            if (source->kind == NM_VNODE_RELU) {
                x_lo = x_lo > 0 ? x_lo : 0;
                x_hi = x_hi > 0 ? x_hi : 0;
            }
            lo += w > 0 ? w * x_lo : w * x_hi;
            hi += w > 0 ? w * x_hi : w * x_lo;
        }
    }
    *low = lo - node->error[r];
    *high = hi + node->error[r];
}

/* Intervals are worth trying where sources have bounds (linear nodes are passed, not bounded). */
static bool has_intervals(const nm_vnet *v, const nm_vnode *node)
{
    for (int t = 0; t < node->n_maps; t++) {
        nm_vkind kind = v->nodes[node->maps[t].from].kind;

        if (kind == NM_VNODE_LINEAR || nm_vkind_is_smooth(kind))
            return false;
    }
    return true;
}

static void improve(nm_lines *l, int64_t i, double lo, double hi)
{
    if (lo > l->lo[i])
        l->lo[i] = lo;
    if (hi < l->hi[i])
        l->hi[i] = hi;
}

static void keep_slopes(nm_bounder *b, int64_t i, int below, int above, int lanes)
{
    int64_t n_in = b->v->nodes[0].n;

    for (int64_t j = 0; j < n_in; j++)
        b->z_slope[i * n_in + j] =
            0.5 * (fabs(b->rows[j * lanes + below]) + fabs(b->rows[j * lanes + above]));
}

static void keep_weights(nm_bounder *b, const nm_vnode *node, int64_t r)
{
    const nm_vmap *map = &node->maps[0];
    int64_t n_in = b->v->nodes[0].n;
    double *to = b->z_slope + (node->first + r) * n_in;

    memset(to, 0, (size_t)n_in * sizeof *to);
    for (int64_t e = map->start[r]; e < map->start[r + 1]; e++)
        to[map->at[e]] = fabs(map->w[e]);
}

static void bound_units(nm_bounder *b, int k, int n, const int32_t *unit)
{
    const int half = NM_MOST_LANES / 2;
    const nm_vnode *node = &b->v->nodes[k];

    for (int first = 0; first < n; first += half) {
        int m = n - first < half ? n - first : half;
        int32_t at[NM_MOST_LANES];
        double sign[NM_MOST_LANES], bound[NM_MOST_LANES];

        for (int r = 0; r < m; r++) {
            at[r] = at[m + r] = unit[first + r];
            sign[r] = 1;
            sign[m + r] = -1;
        }
        begin_units(b, k, lanes_for(2 * m), 2 * m, at, sign);
        carry(b, k, lanes_for(2 * m), false, bound);
        for (int r = 0; r < m; r++)
            improve(&b->lines, node->first + at[r], bound[r], -bound[m + r]);
        for (int r = 0; b->z_slope && r < m; r++)
            keep_slopes(b, node->first + at[r], r, m + r, lanes_for(2 * m));
    }
}

static bool reads_input_only(const nm_vnode *node)
{
    return node->n_maps == 1 && node->maps[0].from == 0;
}

/* Bounds of the neurons of a node whose sign is open. */
static bool bound_node(nm_bounder *b, int k)
{
    const nm_vnode *node = &b->v->nodes[k];
    nm_lines *l = &b->lines;
    int32_t *open = l->alive + node->first; /* free until the lines are set */
    int n = 0;

    for (int64_t r = 0; r < node->n; r++) {
        int64_t i = node->first + r;

        if (node->kind == NM_VNODE_RELU && !(l->lo[i] < 0 && l->hi[i] > 0))
            continue;
        if (has_intervals(b->v, node)) {
            double lo, hi;

            interval(b, node, r, &lo, &hi);
            improve(l, i, lo, hi);
        }
        if (l->lo[i] < 0 && l->hi[i] > 0 ? true : nm_vkind_is_smooth(node->kind))
            open[n++] = (int32_t)r;
    }
    if (!reads_input_only(node))
        bound_units(b, k, n, open);
    for (int r = 0; b->z_slope && reads_input_only(node) && r < n; r++)
        keep_weights(b, node, open[r]);
    for (int64_t i = node->first; i < node->first + node->n; i++)
        if (l->lo[i] > l->hi[i])
            return false;
    return true;
}

bool nm_bound_neurons(nm_bounder *b, const double *lo, const double *hi, const double *z_lo,
                      const double *z_hi)
{
    const nm_vnet *v = b->v;
    nm_lines *l = &b->lines;

    l->n_unstable = 0;
    for (int k = 0; k < v->n_nodes; k++) {
        const nm_vnode *node = &v->nodes[k];
        const double *from_lo = z_lo ? z_lo + node->first : node->lo;
        const double *from_hi = z_hi ? z_hi + node->first : node->hi;

        memcpy(l->lo + node->first, k == 0 ? lo : from_lo, (size_t)node->n * sizeof *lo);
        memcpy(l->hi + node->first, k == 0 ? hi : from_hi, (size_t)node->n * sizeof *hi);
        if (k > 0 && node->kind != NM_VNODE_LINEAR && !bound_node(b, k))
            return false;
        nm_bound_set_lines(b, k);
    }
    return true;
}

/* What a row with coefficient a on x loses at most where the line is used. */
static double gap(const nm_lines *l, int64_t i, double a)
{
    if (a < 0)
        return -a * l->above_at[i];
    return a * (l->below[i] > 0 ? -l->lo[i] : l->hi[i]);
}

void nm_bound_costs(const nm_bounder *b, int n, const double *weight, double *cost)
{
    const nm_vnet *v = b->v;
    const nm_lines *l = &b->lines;
    int64_t n_in = v->nodes[0].n;

    memset(cost, 0, (size_t)n_in * sizeof *cost);
    for (int k = 1; k < v->n_nodes; k++)
        for (int64_t q = 0; q < l->n_alive[k]; q++) {
            int64_t i = v->nodes[k].first + l->alive[v->nodes[k].first + q];
            const double *slope = b->z_slope + i * n_in;
            double lost = 0, width = 0;

            if (!nm_bound_is_unstable(b, k, i))
                continue;
            for (int r = 0; r < n; r++)
                lost += weight[r] * gap(l, i, b->before[i * NM_MOST_LANES + r]);
            for (int64_t j = 0; j < n_in; j++)
                width += slope[j] * (l->hi[j] - l->lo[j]);
            for (int64_t j = 0; width > 0 && j < n_in; j++)
                cost[j] += lost * slope[j] * (l->hi[j] - l->lo[j]) / width;
        }
}

void nm_bound_copy(const nm_bounder *b, double *z_lo, double *z_hi)
{
    memcpy(z_lo, b->lines.lo, (size_t)b->v->n_neurons * sizeof *z_lo);
    memcpy(z_hi, b->lines.hi, (size_t)b->v->n_neurons * sizeof *z_hi);
}
