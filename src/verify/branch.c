/* Which neuron to split: filtered smart branching (De Palma et al., 2021). */
#include <math.h>
#include <string.h>

#include "verify/parts.h"

enum { LANES = NM_MOST_LANES };

/* Keeps the best `most` behind the first `from`, best first. */
static void offer(nm_candidates *c, int from, int most, int32_t neuron, double score, double reach)
{
    int at;

    for (int i = 0; i < from; i++)
        if (c->neuron[i] == neuron)
            return;
    if (c->n == most && !(score > c->score[most - 1]))
        return;
    at = c->n < most ? c->n++ : most - 1;
    while (at > from && c->score[at - 1] < score) {
        c->neuron[at] = c->neuron[at - 1];
        c->score[at] = c->score[at - 1];
        c->reach[at] = c->reach[at - 1];
        at--;
    }
    c->neuron[at] = neuron;
    c->score[at] = score;
    c->reach[at] = reach;
}

static double loss_here(const nm_batch *b, int64_t at)
{
    double a = b->kept[at], z = b->z[at], x = z > 0 ? z : 0;

    return a > 0 ? a * (x - b->below[at] * z) : -a * (b->above[at] * z + b->above_at[at] - x);
}

static double loss_anywhere(const nm_batch *b, int64_t neuron, int64_t at)
{
    double a = b->kept[at];

    return a > 0 ? a * fmax(b->below[at] * -b->lines->lo[neuron],
                            (1 - b->below[at]) * b->lines->hi[neuron])
                 : -a * b->above_at[at];
}

void nm_branch_candidates(const nm_parts *s, const nm_batch *b, int lane, nm_candidates *to)
{
    to->n = 0;
    for (int half = 0; half < 2; half++) {
        int from = to->n, most = half == 0 ? NM_CANDIDATES / 2 : NM_CANDIDATES;

        for (int64_t i = 0; i < s->n_open; i++) {
            int32_t neuron = s->open[i];
            int64_t at = (int64_t)neuron * LANES + lane;
            double score;

            if (b->open[at] == 0)
                continue;
            score = half == 0 ? loss_here(b, at) : loss_anywhere(b, neuron, at);
            if (score > 0)
                offer(to, from, most, neuron, score, fabs(b->kept[at]));
        }
    }
}

void nm_branch_importance(const nm_batch *b, int lane, double *importance)
{
    const nm_vnet *v = b->v;

    memset(importance, 0, (size_t)v->n_neurons * sizeof *importance);
    for (int k = 1; k < b->from; k++)
        for (int32_t u = 0; u < b->n_unstable[k]; u++) {
            int64_t i = v->nodes[k].first + b->unstable[v->nodes[k].first + u];

            importance[i] = fabs(b->kept[i * LANES + lane]);
        }
}

/* Adds what open neurons before node k may lose in the bounds of eight units of it. */
static void add_losses(const nm_parts *s, nm_batch *b, int k, const int32_t *unit, int n,
                       double *influence)
{
    int64_t first = b->v->nodes[k].first;

    nm_batch_begin_at(b, k, unit, n);
    for (int p = 0; p < n; p++) {
        memset(b->start + (int64_t)unit[p] * LANES, 0, LANES * sizeof(double));
        b->start[(int64_t)unit[p] * LANES + 2 * p] = 1;
        b->start[(int64_t)unit[p] * LANES + 2 * p + 1] = -1;
    }
    nm_batch_back(b);
    for (int64_t i = 0; i < s->n_open && s->open[i] < first; i++)
        for (int lane = 0; lane < 2 * n; lane++) {
            int64_t at = (int64_t)s->open[i] * LANES + lane;

            if (b->open[at] != 0)
                influence[s->open[i]] +=
                    0.5 * s->importance[first + unit[lane / 2]] * loss_anywhere(b, s->open[i], at);
        }
}

int32_t nm_branch_scope(const nm_parts *s, const nm_scope *scope, nm_batch *b)
{
    const nm_vnet *v = b->v;
    nm_arena arena = {0};
    double *influence = nm_arena_take(&arena, (size_t)v->n_neurons, sizeof *influence), best = 0;
    int32_t neuron = -1;

    if (!influence)
        return -1;
    memset(influence, 0, (size_t)v->n_neurons * sizeof *influence);
    for (int lane = 0; lane < LANES; lane++) {
        nm_batch_clear_lane(b, lane);
        for (int i = 0; i < scope->n_literals; i++)
            nm_batch_split(b, lane, scope->literals[i].neuron, scope->literals[i].active, 0, 0);
    }
    for (int k = 1; k < v->n_nodes; k++)
        for (int32_t u = 0; u < b->n_unstable[k]; u += LANES / 2)
            add_losses(s, b, k, b->unstable + v->nodes[k].first + u,
                       b->n_unstable[k] - u < LANES / 2 ? b->n_unstable[k] - u : LANES / 2,
                       influence);
    for (int64_t i = 0; i < s->n_open; i++)
        if (influence[s->open[i]] > best) {
            best = influence[s->open[i]];
            neuron = s->open[i];
        }
    nm_arena_clear(&arena);
    return neuron;
}

int nm_branch_probe(nm_batch *probe, const nm_batch *b, int lane, const nm_candidates *c,
                    double *off, double *on)
{
    double best_gain = -(double)INFINITY;
    int best = 0;

    nm_batch_spread_lane(probe, b, lane);
    for (int i = 0; i < c->n; i++)
        for (int side = 0; side < 2; side++)
            nm_batch_split(probe, 2 * i + side, c->neuron[i], side == 1, 0, c->reach[i]);
    nm_batch_back(probe);
    for (int i = 0; i < c->n; i++) {
        double low = fmin(probe->bound[2 * i], probe->bound[2 * i + 1]);
        double high = fmax(probe->bound[2 * i], probe->bound[2 * i + 1]);
        double gain = fmin(low, 0) + 0.3 * fmin(high, 0);

        if (gain > best_gain) {
            best_gain = gain;
            best = i;
        }
    }
    *off = probe->bound[2 * best];
    *on = probe->bound[2 * best + 1];
    return best;
}
