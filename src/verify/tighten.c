#include "verify/tighten.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "verify/batch.h"

enum { LANES = NM_MOST_LANES, PAIRS = LANES / 2 };

/* The first step moves slopes by this, later ones by less. */
#define FIRST_RATE 0.4
#define FADE 0.85

struct job {
    nm_ctx *ctx;
    nm_batch *batches; /* of each thread */
    nm_lines *lines;
    int steps;
    const nm_literal *literals;
    int n_literals;
};

/* What multipliers may move by: as much as arrives at their neurons. */
static void set_reaches(const struct job *job, nm_batch *b, int k)
{
    for (int i = 0; i < job->n_literals; i++)
        for (int lane = 0; lane < LANES && job->literals[i].neuron < b->v->nodes[k].first; lane++) {
            int64_t at = (int64_t)job->literals[i].neuron * LANES + lane;

            b->reach[at] = fabs(b->kept[at]);
        }
}

/* Lanes 2p and 2p + 1: unit[p] of node k, upwards and downwards. */
static void run_group(const struct job *job, nm_batch *b, int k, const int32_t *unit, int n)
{
    nm_lines *l = job->lines;
    int steps = job->steps;
    int64_t first = b->v->nodes[k].first;
    double best[LANES];

    nm_batch_begin_at(b, k, unit, n);
    for (int lane = 0; lane < LANES; lane++) {
        nm_batch_clear_lane(b, lane);
        for (int i = 0; i < job->n_literals; i++)
            nm_batch_split(b, lane, job->literals[i].neuron, job->literals[i].active, 0, 0);
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
        if (step == 0)
            set_reaches(job, b, k);
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

static void tighten_node(const struct job *job, int k)
{
    const nm_batch *any = &job->batches[0];
    const int32_t *unit = any->unstable + any->v->nodes[k].first;
    int n = any->n_unstable[k], n_groups = (n + PAIRS - 1) / PAIRS;

#pragma omp parallel for schedule(dynamic) num_threads(nm_ctx_threads(job->ctx))
    for (int g = 0; g < n_groups; g++)
        if (!nm_ctx_must_stop(job->ctx))
            run_group(job, &job->batches[omp_get_thread_num()], k, unit + g * PAIRS,
                      n - g * PAIRS < PAIRS ? n - g * PAIRS : PAIRS);
}

static bool reads_input_only(const nm_vnode *node)
{
    return node->n_maps == 1 && node->maps[0].from == 0;
}

/* A sign that is given is a bound. It stays open, by next to nothing. */
static void give_signs(const struct job *job, const nm_vnode *node)
{
    for (int i = 0; i < job->n_literals; i++) {
        int32_t at = job->literals[i].neuron;

        if (at < node->first || at >= node->first + node->n)
            continue;
        if (job->literals[i].active)
            job->lines->lo[at] = -1e-300;
        else
            job->lines->hi[at] = 1e-300;
    }
}

static void tighten_all(const struct job *job, nm_bounder *b)
{
    int n_threads = nm_ctx_threads(job->ctx);

    b->lines.n_unstable = 0;
    for (int k = 0; k < b->v->n_nodes; k++) {
        const nm_vnode *node = &b->v->nodes[k];

        if (k > 0 && !reads_input_only(node))
            tighten_node(job, k);
        give_signs(job, node);
        nm_bound_set_lines(b, k);
        for (int t = 0; t < n_threads; t++)
            nm_batch_take_lines(&job->batches[t]);
    }
}

nm_status nm_tighten(nm_ctx *ctx, nm_bounder *b, int steps, const nm_literal *literals,
                     int n_literals, int64_t *n_passes, nm_err *err)
{
    int n_threads = nm_ctx_threads(ctx), n_open = 0;
    nm_arena arena = {0};
    struct job job = {.ctx = ctx,
                      .batches = nm_arena_take(&arena, (size_t)n_threads, sizeof(nm_batch)),
                      .lines = &b->lines,
                      .steps = steps,
                      .literals = literals,
                      .n_literals = n_literals};
    nm_status rc = job.batches ? NM_OK : nm_fail(err, NM_E_NOMEM, "out of memory");

    *n_passes = 0;
    for (; rc == NM_OK && n_open < n_threads; n_open++)
        rc = nm_batch_open(&job.batches[n_open], b->v, &b->lines, err);
    if (rc == NM_OK)
        tighten_all(&job, b);
    for (int t = 0; t < n_open; t++)
        if (job.batches[t].v) {
            *n_passes += job.batches[t].n_passes;
            nm_batch_close(&job.batches[t]);
        }
    nm_arena_clear(&arena);
    return rc;
}
