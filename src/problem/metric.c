#include "problem/metric.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"

/* Work that estimating one moment may cost, multiplications; and vectors enough for any. */
static const double MOMENT_WORK = 2e10;

/* Share of damping from which float32 products do. */
static const double COARSE = 1e-4;

enum { BLOCKS_A_CHUNK = 4 };

struct build {
    const nm_ctx *ctx;
    const nm_edits *edits;
    const nm_crowd *reference;
    const nm_metric_opts *opts;
    nm_metric *metric;
    nm_tape *at, *adjoint;
    double *vectors; /* scratch: u or g of a chunk */
    int64_t n_scores, chunk;
    int64_t draws;   /* seeds a point: all classes, or so many drawn */
    int64_t *points; /* [edits->n] that made S */
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Vectors worth taking for a moment of size n: at least a few times as many as it has entries. */
static double worthwhile(int64_t n)
{
    return fmax(4 * (double)n, MOMENT_WORK / ((double)n * (double)n));
}

static nm_status open_moments(struct build *b, nm_err *err)
{
    const nm_edits *edits = b->edits;
    nm_metric *m = b->metric;
    int64_t n = b->reference->n;
    nm_status rc = NM_OK;

    m->n = edits->n;
    NM_TRY(nm_alloc(&m->seen, (size_t)m->n, sizeof *m->seen, err));
    NM_TRY(nm_alloc(&m->emitted, (size_t)m->n, sizeof *m->emitted, err));
    NM_TRY(nm_alloc(&m->damping_in, (size_t)m->n, sizeof *m->damping_in, err));
    NM_TRY(nm_alloc(&m->damping_out, (size_t)m->n, sizeof *m->damping_out, err));
    NM_TRY(nm_alloc(&b->points, (size_t)m->n, sizeof *b->points, err));
    for (int i = 0; i < m->n; i++) {
        const nm_edit *e = &edits->at[i];

        NM_TRY(nm_moment_new(e->width, n * e->form.places, &m->seen[i], err));
        NM_TRY(nm_moment_new(e->form.n_out, n * e->form.places * b->draws, &m->emitted[i], err));
        if (b->opts->damping_in >= COARSE)
            nm_moment_make_coarse(m->seen[i]);
        if (b->opts->damping_out >= COARSE)
            nm_moment_make_coarse(m->emitted[i]);
    }
done:
    return rc;
}

static nm_status open_tapes(struct build *b, nm_err *err)
{
    const nm_net *net = b->edits->net;
    const nm_tail_marks *marks = &b->reference->marks;
    int64_t room = 1;
    bool *keep = NULL;
    nm_status rc = NM_OK;

    /* Not as many as there are threads: sums and samples must not depend on their number. */
    b->chunk = smaller(BLOCKS_A_CHUNK * nm_pass_block(net), b->reference->n);
    NM_TRY(nm_alloc(&keep, (size_t)net->n_values, sizeof *keep, err));
    for (int v = 0; v < net->n_values; v++)
        keep[v] = marks->frontier[v] || marks->behind[v];
    NM_TRY(nm_tape_new(net, b->chunk, keep, &b->at, err));
    NM_TRY(nm_tape_new(net, b->chunk, marks->behind, &b->adjoint, err));
    for (int i = 0; i < b->edits->n; i++) {
        const nm_edit *e = &b->edits->at[i];
        int64_t size = nm_edit_seen(e) > nm_edit_emitted(e) ? nm_edit_seen(e) : nm_edit_emitted(e);

        room = size > room ? size : room;
    }
    NM_TRY(nm_alloc(&b->vectors, (size_t)b->chunk, (size_t)room * sizeof *b->vectors, err));
done:
    nm_free(keep);
    return rc;
}

static bool has_enough(const struct build *b, int i)
{
    const nm_edit *e = &b->edits->at[i];
    double vectors = (double)b->points[i] * (double)e->form.places;

    return b->opts->enough > 0 && e->form.places > 1 &&
           vectors >= b->opts->enough * (double)e->width;
}

static nm_status add_seen(struct build *b, nm_err *err)
{
    nm_status rc = NM_OK;

    for (int i = 0; i < b->edits->n; i++) {
        const nm_edit *e = &b->edits->at[i];

        if (has_enough(b, i))
            continue;
        b->points[i] += b->at->n;
        NM_TRY(nm_edit_see(b->ctx, b->edits, i, b->at, 0, b->at->n, b->vectors, err));
        NM_TRY(
            nm_moment_add(b->ctx, b->metric->seen[i], b->vectors, b->at->n * e->form.places, err));
    }
done:
    return rc;
}

/* p of one point; finite for any finite scores. */
static void softmax(const double *score, int64_t n, double *p)
{
    double most = -INFINITY, sum = 0;

    for (int64_t j = 0; j < n; j++)
        most = fmax(most, score[j]);
    for (int64_t j = 0; j < n; j++)
        sum += p[j] = exp(score[j] - most);
    for (int64_t j = 0; j < n; j++)
        p[j] /= sum;
}

/* p becomes the sum over classes of +- sqrt(p_c) (e_c - p), over sqrt(draws). */
static void combine_classes(double *p, int64_t n, int64_t draws, nm_rng rng)
{
    nm_rng again = rng; /* the same signs twice: none is stored */
    double factor = sqrt(1 / (double)draws), sum = 0;

    for (int64_t c = 0; c < n; c++)
        sum += (nm_rng_uniform(&rng) < 0.5 ? -1 : 1) * sqrt(p[c]);
    for (int64_t c = 0; c < n; c++)
        p[c] = factor * ((nm_rng_uniform(&again) < 0.5 ? -1 : 1) * sqrt(p[c]) - sum * p[c]);
}

/* H = diag(p) - p p' = sum over classes of p_c (e_c - p)(e_c - p)': the c-th of these columns, or
 * a combination of all with random signs (the same in the mean), in the adjoint of the scores. */
static void seed_column(const struct build *b, int64_t point, int64_t c)
{
    int64_t n = b->n_scores, local = point - b->metric->n_points;
    double *seed = b->adjoint->val[b->edits->net->scores] + local * n;
    nm_rng rng = {.seed = b->opts->seed, .stream = (uint64_t)point, .index = (uint64_t)(c * n)};
    double factor;

    softmax(b->at->val[b->edits->net->scores] + local * n, n, seed);
    if (b->draws < n) {
        combine_classes(seed, n, b->draws, rng);
        return;
    }
    factor = sqrt(seed[c]);
    for (int64_t j = 0; j < n; j++)
        seed[j] = factor * ((j == c) - seed[j]);
}

static nm_status add_curvature(struct build *b, nm_err *err)
{
    const nm_metric *m = b->metric;
    nm_status rc = NM_OK;

    for (int64_t c = 0; c < b->draws; c++) {
        nm_tape_zero(b->adjoint);
        for (int64_t p = 0; p < b->at->n; p++)
            seed_column(b, m->n_points + p, c);
        NM_TRY(nm_tape_vjp(b->ctx, b->at, b->adjoint, b->reference->marks.op_mask, false, err));
        for (int i = 0; i < b->edits->n; i++) {
            NM_TRY(nm_edit_emit(b->ctx, b->edits, i, b->adjoint, b->at->n, b->vectors, err));
            NM_TRY(nm_moment_add(b->ctx, m->emitted[i], b->vectors,
                                 b->at->n * b->edits->at[i].form.places, err));
        }
    }
done:
    return rc;
}

/* All of the reference data, or as many evenly spaced chunks as are worth their work. */
static int64_t chunk_step(const struct build *b)
{
    double n = (double)b->reference->n, wanted = 0;

    for (int i = 0; i < b->edits->n; i++) {
        const nm_edit *e = &b->edits->at[i];
        double places = (double)e->form.places;

        wanted = fmax(wanted, worthwhile(e->width) / places);
        wanted = fmax(wanted, worthwhile(e->form.n_out) / (places * (double)b->draws));
    }
    return wanted >= n ? 1 : (int64_t)(n / wanted);
}

static nm_status stream(struct build *b, nm_err *err)
{
    int64_t step = chunk_step(b), n = b->reference->n, k = 0;
    nm_status rc = NM_OK;

    for (int64_t first = 0; first < n; first += b->chunk, k++) {
        if (k % step != 0)
            continue;
        b->at->n = b->adjoint->n = smaller(b->chunk, n - first);
        nm_crowd_load(b->reference, first, b->at->n, b->at);
        NM_TRY(nm_tape_forward(b->ctx, b->at, b->reference->marks.op_mask, false, err));
        NM_TRY(add_seen(b, err));
        NM_TRY(add_curvature(b, err));
        b->metric->n_points += b->at->n;
        nm_progress(b->ctx, "measuring the reference data", first + b->at->n, n, NAN);
    }
    b->metric->n_curvatures = b->metric->n_points * b->draws;
done:
    return rc;
}

/* Moments of data that never excite a layer are 0: any damping will do then. */
static double absolute(double share, double scale)
{
    return share * (scale > 0 ? scale : 1);
}

static nm_status finish_moments(struct build *b, nm_err *err)
{
    nm_metric *m = b->metric;
    nm_status rc = NM_OK;

    for (int i = 0; i < m->n; i++) {
        double points = (double)m->n_points, places = (double)b->edits->at[i].form.places;
        double seen = (double)b->points[i];

        m->damping_in[i] = absolute(b->opts->damping_in, nm_moment_scale(m->seen[i], seen));
        m->damping_out[i] =
            absolute(b->opts->damping_out, nm_moment_scale(m->emitted[i], points * places));
        NM_TRY(nm_moment_finish(b->ctx, m->seen[i], seen, m->damping_in[i], err));
        NM_TRY(nm_moment_finish(b->ctx, m->emitted[i], points * places, m->damping_out[i], err));
    }
done:
    return rc;
}

nm_status nm_metric_new(const nm_ctx *ctx, const nm_edits *edits, const nm_crowd *reference,
                        const nm_metric_opts *opts, nm_metric **out, nm_err *err)
{
    enum { ALL_CLASSES = 16, DRAWS = 4 };
    int64_t n_scores = edits->net->values[edits->net->scores].size;
    struct build b = {.ctx = ctx,
                      .edits = edits,
                      .reference = reference,
                      .opts = opts,
                      .n_scores = n_scores,
                      .draws = opts->draws > 0           ? smaller(opts->draws, n_scores)
                               : n_scores <= ALL_CLASSES ? n_scores
                                                         : DRAWS};
    nm_status rc = NM_OK;

    *out = NULL;
    NM_TRY(nm_alloc(&b.metric, 1, sizeof *b.metric, err));
    NM_TRY(open_moments(&b, err));
    NM_TRY(open_tapes(&b, err));
    NM_TRY(stream(&b, err));
    NM_TRY(finish_moments(&b, err));
    *out = b.metric;
    b.metric = NULL;
done:
    nm_metric_free(b.metric);
    nm_tape_free(b.at);
    nm_tape_free(b.adjoint);
    nm_free(b.vectors);
    nm_free(b.points);
    return rc;
}

nm_status nm_metric_solve(const nm_ctx *ctx, const nm_edits *edits, const nm_metric *metric, int b,
                          const double *a, int64_t n, double *out, nm_err *err)
{
    const nm_edit *e = &edits->at[b];
    int64_t n_out = e->form.n_out, width = e->width, size = n_out * width;
    double *turned = NULL, *half = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&turned, (size_t)(n * size), sizeof *turned, err));
    NM_TRY(nm_alloc(&half, (size_t)(n * size), sizeof *half, err));
    NM_TRY(nm_moment_solve(ctx, metric->seen[b], a, n * n_out, half, err));
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < n_out; i++)
            for (int64_t k = 0; k < width; k++)
                turned[r * size + k * n_out + i] = half[r * size + i * width + k];
    NM_TRY(nm_moment_solve(ctx, metric->emitted[b], turned, n * width, half, err));
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < n_out; i++)
            for (int64_t k = 0; k < width; k++)
                out[r * size + i * width + k] = half[r * size + k * n_out + i];
done:
    nm_free(turned);
    nm_free(half);
    return rc;
}

void nm_metric_free(nm_metric *m)
{
    if (!m)
        return;
    for (int i = 0; m->seen && i < m->n; i++)
        nm_moment_free(m->seen[i]);
    for (int i = 0; m->emitted && i < m->n; i++)
        nm_moment_free(m->emitted[i]);
    nm_free(m->seen);
    nm_free(m->emitted);
    nm_free(m->damping_in);
    nm_free(m->damping_out);
    nm_free(m);
}
