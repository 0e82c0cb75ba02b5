#include "verify/attack.h"

#include <math.h>

#include "base/mem.h"
#include "base/number.h"
#include "verify/attack_points.h"

enum {
    FEW_INPUTS = 20,  /* free inputs for which random points and moves are worth while */
    MOST_CORNERS = 6, /* free inputs whose corners are all tried */
    MOST_BEST = 60,   /* points that are followed */
    MOST_CHUNK = 256, /* points evaluated at a time: one block, no waiting for other threads */
    PASS_COST = 3000, /* of a pass through however small a network, in multiplications */
    N_STEPS = 20,     /* along the gradient */
    STEP_COST = 8,    /* of one, against a forward pass in float32 */
    STREAM_RANDOM = 1000
};

double nm_attack_cost(const nm_net *net)
{
    double cost = PASS_COST;

    for (int i = 0; i < net->n_ops; i++)
        cost += (double)net->values[net->ops[i].out].size;
    for (int k = 0; k < net->n_layers; k++) {
        const nm_layer *layer = &net->layers[k];
        const nm_value *out = &net->values[net->ops[layer->op].out];
        const nm_shape *w = &net->values[layer->weight].shape;
        /* A convolution's weights serve each place of the output; dense ones serve once. */
        double uses = w->rank > 2 ? (double)out->size / (double)w->dim[0] : 1;

        cost += (double)layer->n_weights * uses;
    }
    return cost;
}

/* -- the first points ------------------------------------------------------------------------- */

static int64_t count_free(const nm_attack_points *p)
{
    int64_t n = 0;

    for (int64_t j = 0; j < p->n_in; j++)
        n += p->lo[j] < p->hi[j];
    return n;
}

static void put_centre(nm_attack_points *p)
{
    float *x = p->x + p->n++ * p->n_in;

    for (int64_t j = 0; j < p->n_in; j++) {
        float middle = (float)(0.5 * (double)p->lo[j] + 0.5 * (double)p->hi[j]);

        x[j] = fminf(fmaxf(middle, p->lo[j]), p->hi[j]);
    }
}

/* The corner whose free inputs are high where `high` has a bit; from the seventh on as the first.
 */
static void put_corner(nm_attack_points *p, unsigned high)
{
    float *x = p->x + p->n++ * p->n_in;
    int bit = 0;

    for (int64_t j = 0; j < p->n_in; j++) {
        bool is_free = p->lo[j] < p->hi[j];

        x[j] = is_free && (high >> (bit % MOST_CORNERS) & 1) ? p->hi[j] : p->lo[j];
        bit += is_free;
    }
}

/* -- the phases ------------------------------------------------------------------------------- */

typedef struct hunt {
    nm_attack_points chunk, best;
    double left; /* forward passes */
    bool found;
    nm_err *err;
} hunt;

static nm_status judge_chunk(hunt *h)
{
    nm_status rc = nm_attack_points_judge(&h->chunk, &h->found, h->err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < h->chunk.n; i++)
        nm_attack_points_offer(&h->best, &h->chunk, i);
    h->left -= (double)h->chunk.n;
    h->chunk.n = 0;
    return NM_OK;
}

static nm_status try_first_points(hunt *h)
{
    int64_t n_free = count_free(&h->chunk);
    unsigned n_corners = n_free <= MOST_CORNERS ? 1U << n_free : 2;

    put_centre(&h->chunk);
    for (unsigned k = 0; k < n_corners; k++)
        put_corner(&h->chunk, n_free <= MOST_CORNERS ? k : k == 0 ? 0 : ~0U);
    return judge_chunk(h);
}

static nm_status try_random_points(hunt *h, int64_t n)
{
    nm_status rc = NM_OK;

    for (int64_t i = 0; i < n && !h->found; i += MOST_CHUNK) {
        int64_t here = n - i < MOST_CHUNK ? n - i : MOST_CHUNK;

        if (nm_ctx_must_stop(h->chunk.attack->ctx))
            break;
        for (int64_t k = 0; k < here; k++)
            nm_attack_points_draw(&h->chunk, k,
                                  h->chunk.attack->stream + (uint64_t)(STREAM_RANDOM + i + k));
        h->chunk.n = here;
        NM_TRY(judge_chunk(h));
    }
done:
    return rc;
}

static int64_t clamp(double x, int64_t least, int64_t most)
{
    return x < (double)least ? least : x > (double)most ? most : (int64_t)x;
}

static nm_status follow_gradients(hunt *h, double passes, bool spread_cases)
{
    int64_t n = clamp(passes / (N_STEPS * STEP_COST), 2, h->best.n);

    h->left -= (double)n * N_STEPS * STEP_COST;
    h->best.n = n < h->best.n ? n : h->best.n;
    return nm_attack_steps(&h->best, N_STEPS, spread_cases, &h->found, h->err);
}

static nm_status polish(hunt *h, double longest)
{
    int64_t n_rounds = clamp(h->left / (double)h->best.n, 0, 400);

    return nm_attack_moves(&h->best, (int)n_rounds, longest, &h->found, h->err);
}

/* -- together --------------------------------------------------------------------------------- */

/* Running out of time ends an attack without a find. */
static nm_status end(nm_status rc, nm_err *err)
{
    if (rc != NM_E_LIMIT)
        return rc;
    if (err)
        *err = (nm_err){0};
    return NM_OK;
}

static nm_status hunt_new(hunt *h, const nm_attack *attack, const float *lo, const float *hi,
                          nm_err *err)
{
    nm_status rc;

    h->err = err;
    rc = nm_attack_points_new(attack, lo, hi, MOST_CHUNK, &h->chunk, err);
    return rc == NM_OK ? nm_attack_points_new(attack, lo, hi, MOST_BEST, &h->best, err) : rc;
}

static void hunt_free(hunt *h)
{
    nm_attack_points_free(&h->chunk);
    nm_attack_points_free(&h->best);
}

nm_status nm_attack_box(const nm_attack *attack, double effort, bool *found, nm_err *err)
{
    hunt h = {.left = effort / nm_attack_cost(attack->net)};
    bool few;
    nm_status rc = NM_OK;

    *found = false;
    NM_TRY(hunt_new(&h, attack, attack->box->lo_in, attack->box->hi_in, err));
    few = count_free(&h.chunk) <= FEW_INPUTS;
    NM_TRY(try_first_points(&h));
    if (!h.found)
        NM_TRY(try_random_points(&h, clamp((few ? 0.4 : 0.1) * h.left, few ? 100 : 8, 1 << 20)));
    if (!h.found)
        NM_TRY(follow_gradients(&h, (few ? 0.5 : 1) * h.left, attack->box->n_cases > 1));
    if (!h.found && few)
        NM_TRY(polish(&h, 0.5));
done:
    *found = h.found;
    hunt_free(&h);
    return end(rc, err);
}

/* Float32 numbers of the box in [lo, hi]; false if some coordinate has none. */
static bool narrow(const nm_attack *attack, const double *lo, const double *hi, float *to_lo,
                   float *to_hi)
{
    for (int64_t j = 0; j < attack->property->n_in; j++) {
        to_lo[j] = fmaxf(attack->box->lo_in[j], nm_f32_up(lo[j]));
        to_hi[j] = fminf(attack->box->hi_in[j], nm_f32_down(hi[j]));
        if (!(to_lo[j] <= to_hi[j]))
            return false;
    }
    return true;
}

nm_status nm_attack_near(const nm_attack *attack, const float *x, const double *lo,
                         const double *hi, double effort, bool *found, nm_err *err)
{
    hunt h = {.left = effort / nm_attack_cost(attack->net)};
    size_t n_in = (size_t)attack->property->n_in;
    float *bounds = NULL;
    nm_status rc = NM_OK;

    *found = false;
    NM_TRY(nm_alloc(&bounds, 2 * n_in, sizeof *bounds, err));
    if (!narrow(attack, lo, hi, bounds, bounds + n_in))
        goto done;
    NM_TRY(hunt_new(&h, attack, bounds, bounds + n_in, err));
    for (size_t j = 0; j < n_in; j++)
        h.chunk.x[j] = fminf(fmaxf(x[j], bounds[j]), bounds[n_in + j]);
    h.chunk.n = 1;
    for (; h.chunk.n < 8; h.chunk.n++)
        nm_attack_points_draw(&h.chunk, h.chunk.n, attack->stream + (uint64_t)h.chunk.n);
    NM_TRY(judge_chunk(&h));
    if (!h.found)
        NM_TRY(follow_gradients(&h, 0.5 * h.left, false));
    if (!h.found && count_free(&h.best) <= FEW_INPUTS)
        NM_TRY(polish(&h, 0.25));
done:
    *found = h.found;
    hunt_free(&h);
    nm_free(bounds);
    return end(rc, err);
}
