#include "verify/tighten.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "verify/batch.h"

enum { LANES = NM_MOST_LANES, PAIRS = LANES / 2 };

/* The first step moves slopes by this, later ones by less. */
#define FIRST_RATE 0.4
#define FADE 0.85

/* Lanes 2p and 2p + 1: unit[p] of node k, upwards and downwards. */
static void run_group(nm_batch *b, nm_lines *l, int k, const int32_t *unit, int n, int steps)
{
    int64_t first = b->v->nodes[k].first;
    double best[LANES];

    nm_batch_begin_at(b, k, unit, n);
    for (int lane = 0; lane < LANES; lane++) {
        nm_batch_clear_lane(b, lane);
        best[lane] = -(double)INFINITY;
    }
    for (int p = 0; p < n; p++) {
        memset(b->start + (int64_t)unit[p] * LANES, 0, LANES * sizeof(double));
        b->start[(int64_t)unit[p] * LANES + 2 * p] = 1;
        b->start[(int64_t)unit[p] * LANES + 2 * p + 1] = -1;
    }
    for (int step = 0; step <= steps; step++) {
        int n_open = 0;

        nm_batch_back(b);
        for (int lane = 0; lane < 2 * n; lane++)
            best[lane] = b->bound[lane] > best[lane] ? b->bound[lane] : best[lane];
        for (int p = 0; p < n; p++)
            n_open += !(best[2 * p] > 0 || best[2 * p + 1] > 0);
        if (step == steps || n_open == 0)
            break;
        for (int lane = 0; lane < LANES; lane++)
            b->rate[lane] = FIRST_RATE * pow(FADE, step);
        nm_batch_forward(b);
        nm_batch_ascend(b);
    }
    for (int p = 0; p < n; p++) { /* other threads write other neurons */
        int64_t i = first + unit[p];

        l->lo[i] = best[2 * p] > l->lo[i] ? best[2 * p] : l->lo[i];
        l->hi[i] = -best[2 * p + 1] < l->hi[i] ? -best[2 * p + 1] : l->hi[i];
    }
}

static void tighten_node(nm_ctx *ctx, nm_batch *batches, nm_lines *l, int k, int steps)
{
    const nm_batch *any = &batches[0];
    const int32_t *unit = any->unstable + any->v->nodes[k].first;
    int n = any->n_unstable[k], n_groups = (n + PAIRS - 1) / PAIRS;

#pragma omp parallel for schedule(dynamic) num_threads(nm_ctx_threads(ctx))
    for (int g = 0; g < n_groups; g++)
        if (!nm_ctx_must_stop(ctx))
            run_group(&batches[omp_get_thread_num()], l, k, unit + g * PAIRS,
                      n - g * PAIRS < PAIRS ? n - g * PAIRS : PAIRS, steps);
}

static bool reads_input_only(const nm_vnode *node)
{
    return node->n_maps == 1 && node->maps[0].from == 0;
}

nm_status nm_tighten(nm_ctx *ctx, nm_bounder *b, int steps, nm_err *err)
{
    int n_threads = nm_ctx_threads(ctx), n_open = 0;
    nm_arena arena = {0};
    nm_batch *batches = nm_arena_take(&arena, (size_t)n_threads, sizeof *batches);
    nm_status rc = batches ? NM_OK : nm_fail(err, NM_E_NOMEM, "out of memory");

    for (; rc == NM_OK && n_open < n_threads; n_open++)
        rc = nm_batch_open(&batches[n_open], b->v, &b->lines, err);
    b->lines.n_unstable = 0;
    for (int k = 0; rc == NM_OK && k < b->v->n_nodes; k++) {
        if (k > 0 && !reads_input_only(&b->v->nodes[k]))
            tighten_node(ctx, batches, &b->lines, k, steps);
        nm_bound_set_lines(b, k);
        for (int t = 0; t < n_threads; t++)
            nm_batch_take_lines(&batches[t]);
    }
    for (int t = 0; t < n_open; t++)
        if (batches[t].v)
            nm_batch_close(&batches[t]);
    nm_arena_clear(&arena);
    return rc;
}
