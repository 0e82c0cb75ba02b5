/* Analysing a repair set (irdnn.md, section 7). */
#include "netmend/set_analysis.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/ctx.h"
#include "base/mem.h"
#include "base/order.h"
#include "choose/hull.h"
#include "choose/layer_values.h"
#include "choose/patterns.h"
#include "choose/sample.h"
#include "choose/scores.h"

enum { SAMPLE = 128 };

struct analysis {
    nm_ctx *ctx;
    const nm_net *net;
    const nm_points *set;
    const int64_t *target;
    const nm_points *reference; /* NULL: none */
    nm_set_analysis *out;
    nm_sample sample;
};

/* -- classes and deficits -------------------------------------------------------------------- */

static nm_status look_at_scores(struct analysis *a, nm_err *err)
{
    nm_set_analysis *out = a->out;
    float *scores = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&scores, (size_t)out->n, (size_t)out->n_scores * sizeof *scores, err));
    NM_TRY(nm_scores_of(a->ctx, a->net, a->set->x, out->n, scores, err));
    for (int64_t p = 0; p < out->n; p++) {
        const float *s = scores + p * out->n_scores;
        double behind = -INFINITY;

        for (int64_t j = 0; j < out->n_scores; j++)
            if (j != a->target[p])
                behind = fmax(behind, (double)s[j] - (double)s[a->target[p]]);
        out->n_wrong += behind >= 0;
        out->deficit += fmax(behind, 0);
    }
done:
    nm_free(scores);
    return rc;
}

static nm_status count_classes(struct analysis *a, nm_err *err)
{
    nm_set_analysis *out = a->out;
    nm_status rc = nm_alloc(&out->class_n, (size_t)out->n_scores, sizeof *out->class_n, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t p = 0; p < out->n; p++)
        out->class_n[a->target[p]]++;
    for (int64_t c = 0; c < out->n_scores; c++) {
        double share = (double)out->class_n[c] / (double)out->n;

        out->n_classes += share > 0;
        out->class_entropy -= share > 0 ? share * log(share) : 0;
    }
    return NM_OK;
}

/* -- distances ------------------------------------------------------------------------------- */

static double distance(const double *k, int64_t n, int64_t i, int64_t j)
{
    return sqrt(fmax(k[i * n + i] + k[j * n + j] - 2 * k[i * n + j], 0));
}

static nm_status spread_of(const float *x, int64_t n, int64_t width, nm_spread *out, nm_err *err)
{
    double *k = NULL, sum = 0;
    nm_status rc = nm_centred_products(x, n, width, &k, err);

    *out = (nm_spread){NAN, NAN};
    for (int64_t i = 0; rc == NM_OK && i < n; i++)
        for (int64_t j = 0; j < i; j++) {
            sum += distance(k, n, i, j);
            out->least = fmin(out->least, distance(k, n, i, j));
        }
    if (n > 1)
        out->mean = sum / (0.5 * (double)n * (double)(n - 1));
    nm_free(k);
    return rc;
}

static int feature_value(const nm_net *net)
{
    int last = nm_last_layer(net);

    return last < 0 ? net->input : net->ops[net->layers[last].op].in[0];
}

/* Features of the set, then of the reference: for each reference point the distance to the nearest
   point of the set, and to the nearest other reference point. */
static nm_status near_share(const float *x, int64_t n, int64_t n_reference, int64_t width,
                            double *out, nm_err *err)
{
    int64_t all = n + n_reference;
    double *k = NULL, *own = NULL, radius;
    nm_status rc = NM_OK;

    NM_TRY(nm_centred_products(x, all, width, &k, err));
    NM_TRY(nm_alloc(&own, (size_t)n_reference, sizeof *own, err));
    for (int64_t r = 0; r < n_reference; r++) {
        own[r] = INFINITY;
        for (int64_t q = 0; q < n_reference; q++)
            if (q != r)
                own[r] = fmin(own[r], distance(k, all, n + r, n + q));
    }
    radius = nm_median(own, n_reference);
    *out = 0;
    for (int64_t r = 0; r < n_reference; r++) {
        double nearest = INFINITY;

        for (int64_t p = 0; p < n; p++)
            nearest = fmin(nearest, distance(k, all, n + r, p));
        *out += nearest <= radius ? 1.0 / (double)n_reference : 0;
    }
done:
    nm_free(k);
    nm_free(own);
    return rc;
}

static nm_status compare_features(struct analysis *a, nm_err *err)
{
    int value = feature_value(a->net);
    int64_t width = a->net->values[value].size, n = a->sample.n;
    nm_sample reference = {0};
    float *set = NULL, *usual = NULL;
    nm_status rc = NM_OK;

    a->out->near_share = NAN;
    NM_TRY(nm_value_at(a->ctx, a->net, a->sample.x, n, value, &set, err));
    NM_TRY(spread_of(set, n, width, &a->out->feature, err));
    if (!a->reference || a->reference->n < 2)
        goto done;
    NM_TRY(nm_sample_take(a->reference, NULL, 0, 1, SAMPLE, &reference, err));
    NM_TRY(nm_value_at(a->ctx, a->net, reference.x, reference.n, value, &usual, err));
    NM_TRY(nm_realloc(&set, (size_t)((n + reference.n) * width), sizeof *set, err));
    memcpy(set + n * width, usual, (size_t)(reference.n * width) * sizeof *set);
    NM_TRY(near_share(set, n, reference.n, width, &a->out->near_share, err));
done:
    nm_free(set);
    nm_free(usual);
    nm_sample_clear(&reference);
    return rc;
}

/* -- conflicts ------------------------------------------------------------------------------- */

struct seen {
    const float *x; /* what is seen of this point */
    size_t bytes;
    int64_t point;
};

static int by_content(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    int order = memcmp(x->x, y->x, x->bytes);

    return order ? order : (x->point > y->point) - (x->point < y->point);
}

static bool is_known(const nm_set_analysis *out, int64_t p, int64_t q)
{
    int64_t n = out->n_conflicts < NM_SET_MAX_CONFLICTS ? out->n_conflicts : NM_SET_MAX_CONFLICTS;

    for (int64_t i = 0; i < n; i++)
        if (out->conflicts[i].a == p && out->conflicts[i].b == q)
            return true;
    return false;
}

static void note_conflict(nm_set_analysis *out, int64_t p, int64_t q, int layer)
{
    if (out->n_conflicts < NM_SET_MAX_CONFLICTS)
        out->conflicts[out->n_conflicts] =
            (nm_set_conflict){.a = p < q ? p : q, .b = p < q ? q : p, .layer = layer};
    out->n_conflicts++;
}

/* Points that look the same, side by side, of which neighbours want different classes. -0 and 0
   count as different; that misses a pair at worst. @param merged  [n] points that an earlier value
   merges with a conflicting one; they are told once */
static nm_status conflicts_at(struct analysis *a, const float *x, int64_t width, int layer,
                              bool *merged, nm_err *err)
{
    int64_t n = a->out->n;
    struct seen *seen = NULL;
    nm_status rc = nm_alloc(&seen, (size_t)n, sizeof *seen, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t p = 0; p < n; p++)
        seen[p] = (struct seen){x + p * width, (size_t)width * sizeof *x, p};
    qsort(seen, (size_t)n, sizeof *seen, by_content);
    for (int64_t i = 1; i < n; i++) {
        int64_t p = seen[i - 1].point, q = seen[i].point;

        if (memcmp(seen[i - 1].x, seen[i].x, seen[i].bytes) != 0 || a->target[p] == a->target[q] ||
            (merged[p] && merged[q]) || is_known(a->out, p < q ? p : q, p < q ? q : p))
            continue;
        note_conflict(a->out, p, q, layer);
        merged[p] = merged[q] = true;
    }
    nm_free(seen);
    return NM_OK;
}

static nm_status find_conflicts(struct analysis *a, nm_err *err)
{
    bool *merged = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&merged, (size_t)a->out->n, sizeof *merged, err));
    NM_TRY(conflicts_at(a, a->set->x, a->set->n_in, -1, merged, err));
    for (int i = 0; i < a->net->n_layers; i++) {
        int value = a->net->ops[a->net->layers[i].op].in[0];
        float *x = NULL;

        if (value == a->net->input)
            continue;
        rc = nm_value_at(a->ctx, a->net, a->set->x, a->out->n, value, &x, err);
        if (rc == NM_OK)
            rc = conflicts_at(a, x, a->net->values[value].size, i, merged, err);
        nm_free(x);
        if (rc != NM_OK)
            goto done;
    }
done:
    nm_free(merged);
    return rc;
}

/* -- all together ---------------------------------------------------------------------------- */

static nm_status check(const struct analysis *a, nm_err *err)
{
    if (a->out->n < 1 || a->set->n_in != nm_net_n_in(a->net))
        return nm_fail(err, NM_E_SHAPE, "the repair set does not fit the network");
    if (!a->target || a->out->n_scores < 2)
        return nm_fail(err, NM_E_SHAPE, "a set is analysed with labels of two classes or more");
    for (int64_t p = 0; p < a->out->n; p++)
        if (a->target[p] < 0 || a->target[p] >= a->out->n_scores)
            return nm_fail(err, NM_E_SHAPE,
                           "repair set: point %lld has label %lld, expected 0 to "
                           "%lld",
                           (long long)p, (long long)a->target[p], (long long)a->out->n_scores - 1);
    return NM_OK;
}

static nm_status analyse(struct analysis *a, nm_err *err)
{
    nm_hull hull;
    nm_status rc = NM_OK;

    NM_TRY(check(a, err));
    NM_TRY(nm_sample_take(a->set, NULL, 0, 1, SAMPLE, &a->sample, err));
    a->out->n_sampled = a->sample.n;
    NM_TRY(count_classes(a, err));
    NM_TRY(look_at_scores(a, err));
    NM_TRY(spread_of(a->sample.x, a->sample.n, a->set->n_in, &a->out->input, err));
    NM_TRY(compare_features(a, err));
    NM_TRY(nm_count_patterns(a->ctx, a->net, a->sample.x, a->sample.n, &a->out->patterns, err));
    NM_TRY(nm_hull_of(a->ctx, a->sample.x, a->sample.n, a->set->n_in, &hull, err));
    a->out->hull_dimension = hull.dimension;
    a->out->hull_vertices = hull.vertices;
    a->out->hull_log_volume = hull.log_volume;
    a->out->hull_tolerance = NM_HULL_TOLERANCE;
    NM_TRY(find_conflicts(a, err));
done:
    return rc;
}

nm_status nm_set_analyse(nm_ctx *ctx, const nm_net *net, const nm_repair_task *task,
                         nm_set_analysis *out, nm_err *err)
{
    struct analysis a = {.ctx = ctx,
                         .net = net,
                         .set = task->repair,
                         .target = task->targets ? task->targets : task->repair->labels,
                         .reference = task->reference ? task->reference : task->keep,
                         .out = out};
    double start = nm_now();
    int64_t n_scores = net->values[net->scores].size;
    nm_status rc;

    *out = (nm_set_analysis){.n = task->repair->n,
                             .n_in = task->repair->n_in,
                             .n_scores = n_scores,
                             .rows = task->repair->n * (n_scores - 1)};
    rc = analyse(&a, err);
    out->seconds = nm_now() - start;
    nm_sample_clear(&a.sample);
    if (rc != NM_OK)
        nm_set_analysis_free(out);
    return rc;
}

void nm_set_analysis_free(nm_set_analysis *analysis)
{
    nm_free(analysis->class_n);
    *analysis = (nm_set_analysis){0};
}
