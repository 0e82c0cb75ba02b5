#include "verify/tighten.h"

#include <math.h>
#include <omp.h>
#include <string.h>

#include "verify/batch.h"

enum { LANES = NM_MOST_LANES, PAIRS = LANES / 2 };

/* The first step moves slopes by this, later ones by less. */
#define FIRST_RATE 0.4
#define FADE 0.85

/* How a bound was found. */
struct witness {
    bool better;
    unsigned char *slopes; /* of the open neurons of nodes before */
    float *multipliers;    /* [n_literals] */
};

struct job {
    nm_ctx *ctx;
    nm_region_proof *proof;    /* NULL = not kept */
    struct witness *witnesses; /* [n_neurons x 2] */
    nm_arena *arenas;          /* of each thread: what witnesses hold */
    nm_batch *batches;         /* of each thread */
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

/* Keeps slopes and multipliers of a lane, which bounded neuron i of node k. */
static void witness_lane(const struct job *job, const nm_batch *b, int k, int lane, int64_t i)
{
    struct witness *w = &job->witnesses[2 * i + lane % 2];
    nm_arena *arena = &job->arenas[omp_get_thread_num()];
    int64_t n = 0;

    if (!w->slopes) {
        w->slopes = nm_arena_take(arena, (size_t)b->v->n_neurons, 1);
        w->multipliers = nm_arena_take(arena, (size_t)job->n_literals + 1, sizeof *w->multipliers);
    }
    if (!w->slopes || !w->multipliers)
        return;
    for (int j = 1; j < k; j++)
        for (int32_t u = 0; u < b->n_unstable[j]; u++) {
            int64_t first = b->v->nodes[j].first;
            int64_t at = (first + b->unstable[first + u]) * LANES + lane;

            w->slopes[n++] = (unsigned char)lrint(b->below[at] * NM_SLOPE_STEPS);
        }
    for (int l = 0; l < job->n_literals; l++)
        w->multipliers[l] =
            job->literals[l].neuron < b->v->nodes[k].first
                ? (float)b->multiplier[(int64_t)job->literals[l].neuron * LANES + lane]
                : 0;
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
            if (b->bound[lane] > best[lane]) {
                best[lane] = b->bound[lane];
                if (job->proof)
                    witness_lane(job, b, k, lane, first + unit[lane / 2]);
            }
        for (int p = 0; p < n; p++)
            n_open += !(best[2 * p] > 0 || best[2 * p + 1] > 0);
        if (step == steps || n_open == 0)
            break;
        for (int lane = 0; lane < LANES; lane++)
            b->rate[lane] = FIRST_RATE * pow(FADE, step);
        nm_batch_forward(b);
        nm_batch_ascend(b);
        if (job->proof)
            nm_batch_round(b);
    }
    for (int p = 0; p < n; p++) { /* other threads write other neurons */
        int64_t i = first + unit[p];

        if (job->proof) {
            job->witnesses[2 * i].better = best[2 * p] > l->lo[i];
            job->witnesses[2 * i + 1].better = -best[2 * p + 1] < l->hi[i];
        }
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

/* The scope's open neurons, and all bounds that became better. */
static void note_bounds(const struct job *job)
{
    const nm_batch *b = &job->batches[0];
    const nm_vnet *v = b->v;
    nm_region_proof *p = job->proof;
    int64_t before = v->nodes[0].n, n_open = 0, n_better = 0;

    for (int k = 1; k < v->n_nodes; k++)
        n_open += b->n_unstable[k];
    nm_proof_int(p, (int32_t)n_open);
    for (int k = 1; k < v->n_nodes; k++)
        for (int32_t u = 0; u < b->n_unstable[k]; u++)
            nm_proof_int(
                p, (int32_t)(v->nodes[k].first - before + b->unstable[v->nodes[k].first + u]));
    for (int64_t i = 0; i < 2 * v->n_neurons; i++)
        n_better += job->witnesses[i].better;
    nm_proof_int(p, (int32_t)n_better);
    n_open = 0;
    for (int k = 1; k < v->n_nodes; n_open += b->n_unstable[k++])
        for (int64_t i = 2 * v->nodes[k].first; i < 2 * (v->nodes[k].first + v->nodes[k].n); i++) {
            const struct witness *w = &job->witnesses[i];

            if (!w->better)
                continue;
            nm_proof_int(p, (int32_t)(i / 2 - before));
            nm_proof_int(p, (int32_t)(i % 2));
            for (int l = 0; l < job->n_literals; l++)
                nm_proof_float(p, w->multipliers[l]);
            for (int64_t s = 0; s < n_open; s++)
                nm_proof_byte(p, w->slopes[s]);
        }
}

nm_status nm_tighten(nm_ctx *ctx, nm_bounder *b, int steps, const nm_literal *literals,
                     int n_literals, nm_region_proof *proof, int64_t *n_passes, nm_err *err)
{
    int n_threads = nm_ctx_threads(ctx), n_open = 0;
    nm_arena arena = {0};
    struct job job = {.ctx = ctx,
                      .batches = nm_arena_take(&arena, (size_t)n_threads, sizeof(nm_batch)),
                      .proof = proof,
                      .arenas = nm_arena_take(&arena, (size_t)n_threads, sizeof(nm_arena)),
                      .lines = &b->lines,
                      .steps = steps,
                      .literals = literals,
                      .n_literals = n_literals};
    size_t n_witnesses = proof ? 2 * (size_t)b->v->n_neurons : 1;
    nm_status rc = NM_OK;

    *n_passes = 0;
    job.witnesses = nm_arena_take(&arena, n_witnesses, sizeof *job.witnesses);
    if (arena.failed) {
        nm_arena_clear(&arena);
        return nm_fail(err, NM_E_NOMEM, "out of memory");
    }
    memset(job.witnesses, 0, n_witnesses * sizeof *job.witnesses);
    memset(job.arenas, 0, (size_t)n_threads * sizeof(nm_arena));
    for (; rc == NM_OK && n_open < n_threads; n_open++)
        rc = nm_batch_open(&job.batches[n_open], b->v, &b->lines, err);
    if (rc == NM_OK)
        tighten_all(&job, b);
    for (int t = 0; t < n_threads; t++)
        if (job.arenas[t].failed)
            rc = nm_fail(err, NM_E_NOMEM, "out of memory");
    if (rc == NM_OK && proof)
        note_bounds(&job);
    for (int t = 0; t < n_threads; t++)
        nm_arena_clear(&job.arenas[t]);
    for (int t = 0; t < n_open; t++)
        if (job.batches[t].v) {
            *n_passes += job.batches[t].n_passes;
            nm_batch_close(&job.batches[t]);
        }
    nm_arena_clear(&arena);
    return rc;
}
