#include "repair/random_inputs.h"

#include <math.h>

#include "base/mem.h"
#include "base/rng.h"
#include "repair/compare.h"

enum { MOST_DRAWS = 50 };

nm_status nm_random_inputs_new(const nm_net *net, const double *lo, const double *hi, uint64_t seed,
                               nm_random_inputs *out, nm_err *err)
{
    size_t n = (size_t)nm_net_n_in(net);
    nm_status rc = NM_OK;

    *out = (nm_random_inputs){.n_in = nm_net_n_in(net), .seed = seed};
    NM_TRY(nm_alloc(&out->lo, n, sizeof *out->lo, err));
    NM_TRY(nm_alloc(&out->hi, n, sizeof *out->hi, err));
    out->stated = lo || nm_net_in_range(net, out->lo, out->hi);
    for (size_t i = 0; (lo || !out->stated) && i < n; i++) {
        out->lo[i] = lo ? lo[i] : -0.5;
        out->hi[i] = lo ? hi[i] : 0.5;
    }
done:
    return rc;
}

void nm_random_inputs_clear(nm_random_inputs *inputs)
{
    nm_free(inputs->lo);
    nm_free(inputs->hi);
    *inputs = (nm_random_inputs){0};
}

void nm_random_inputs_cover(nm_random_inputs *inputs, const double *x)
{
    for (int64_t i = 0; !inputs->stated && i < inputs->n_in; i++) {
        inputs->lo[i] = fmin(inputs->lo[i], x[i]);
        inputs->hi[i] = fmax(inputs->hi[i], x[i]);
    }
}

void nm_random_inputs_draw(const nm_random_inputs *r, uint64_t stream, int64_t n, float *x)
{
    nm_rng rng = {.seed = r->seed, .stream = (1ULL << 60) + stream};

    for (int64_t p = 0; p < n; p++) {
        float *at = x + p * r->n_in;
        bool again = true;

        for (int draw = 0; again && draw < MOST_DRAWS; draw++) {
            for (int64_t i = 0; i < r->n_in; i++)
                at[i] = (float)(r->lo[i] + nm_rng_uniform(&rng) * (r->hi[i] - r->lo[i]));
            again = r->excluded && r->excluded(r->user, at);
        }
    }
}

int64_t nm_decide(nm_decision decision, int64_t n_out, const float *y)
{
    float sign = decision == NM_DECISION_MIN ? -1.0F : 1.0F;
    int64_t best = 0;

    for (int64_t i = 1; i < n_out; i++)
        best = sign * y[i] > sign * y[best] ? i : best;
    return best;
}

nm_status nm_random_inputs_changed(const nm_ctx *ctx, const nm_random_inputs *inputs,
                                   const nm_net *net, const nm_net *fixed, nm_decision decision,
                                   int64_t n, double *share, nm_err *err)
{
    enum { CHUNK = 10000 };
    int64_t n_out = nm_net_n_out(net), changed = 0;
    float *x = NULL, *before = NULL, *after = NULL;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&x, CHUNK, (size_t)inputs->n_in * sizeof *x, err));
    NM_TRY(nm_alloc(&before, CHUNK, (size_t)n_out * sizeof *before, err));
    NM_TRY(nm_alloc(&after, CHUNK, (size_t)n_out * sizeof *after, err));
    for (int64_t first = 0; first < n; first += CHUNK) {
        int64_t count = n - first < CHUNK ? n - first : CHUNK;

        nm_random_inputs_draw(inputs, 1 + (uint64_t)(first / CHUNK), count, x);
        NM_TRY(nm_compare_scores_f32(ctx, net, fixed, x, count, before, after, err));
        for (int64_t p = 0; p < count; p++)
            changed += nm_decide(decision, n_out, before + p * n_out) !=
                       nm_decide(decision, n_out, after + p * n_out);
    }
    *share = (double)changed / (double)n;
done:
    nm_free(x);
    nm_free(before);
    nm_free(after);
    return rc;
}
