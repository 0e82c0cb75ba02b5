#include "repair/multilayer.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "repair/layerwise_cuts.h"
#include "repair/multilayer_propose.h"

/* -- moves ------------------------------------------------------------------------------------ */

static void plan_as_it_is(nm_ml *m)
{
    for (int b = 0; b < m->n; b++)
        m->move[b] = (nm_ml_move){.cut = m->now.cut[b], .how = NM_ML_AS_IT_IS};
}

/* One of the cuts of the best proposal; -1 if it has none. */
static int any_cut(nm_ml *m)
{
    int n = 0, at;

    for (int b = 0; b < m->last; b++)
        n += m->now.cut[b];
    if (n == 0)
        return -1;
    at = (int)nm_rng_below(&m->rng, (uint64_t)n);
    for (int b = 0; b < m->last; b++)
        if (m->now.cut[b] && at-- == 0)
            return b;
    return -1;
}

static double either(nm_ml *m, double size)
{
    return nm_rng_below(&m->rng, 2) ? size : -size;
}

/* A cut more, with a share of the gradient step there, or a cut less. */
static void toggle_cut(nm_ml *m)
{
    int b = (int)nm_rng_below(&m->rng, (uint64_t)m->last);

    m->move[b].cut = !m->move[b].cut;
    m->move[b].how = NM_ML_GRADIENT;
    m->move[b].by = nm_lw_shares[nm_rng_below(&m->rng, NM_LW_N_SHARES)];
}

/* @return the cut whose values move, -1 if cuts change */
static int plan_neighbour(nm_ml *m)
{
    enum { TOGGLE_ONE_IN = 6, STRETCH_ONE_IN = 4 };
    const nm_lw *lw = m->search->lw;
    int b = any_cut(m);
    int64_t size;

    plan_as_it_is(m);
    if (b < 0 || nm_rng_below(&m->rng, TOGGLE_ONE_IN) == 0) {
        toggle_cut(m);
        return -1;
    }
    size = lw->n * lw->net->values[nm_lw_out(lw, b)].size;
    m->move[b].how = nm_rng_below(&m->rng, STRETCH_ONE_IN) == 0 ? NM_ML_STRETCH : NM_ML_SHIFT;
    m->move[b].by = either(m, m->reach[b]);
    m->move[b].at = (int64_t)nm_rng_below(&m->rng, (uint64_t)size);
    return b;
}

static void plan_noise(nm_ml *m)
{
    plan_as_it_is(m);
    for (int b = 0; b < m->last; b++)
        if (m->move[b].cut) {
            m->move[b].how = NM_ML_NOISE;
            m->move[b].by = 0.3 * m->reach[b];
        }
}

/* Other shares of the steps at the same cuts. */
static void plan_gradient(nm_ml *m)
{
    plan_as_it_is(m);
    if (any_cut(m) < 0)
        toggle_cut(m);
    for (int b = 0; b < m->last; b++)
        if (m->move[b].cut) {
            m->move[b].how = NM_ML_GRADIENT;
            m->move[b].by = exp(log(0.1) + nm_rng_uniform(&m->rng) * log(20)); /* 0.1 to 2 */
        }
}

/* -- the search ------------------------------------------------------------------------------- */

static bool goes_on(const nm_ml *m)
{
    return m->n_proposals < m->opts->proposals && m->idle < m->opts->patience;
}

static nm_status try_and_count(nm_ml *m, bool *better, nm_err *err)
{
    double before = m->search->found.any ? m->search->found.norm : INFINITY;
    nm_status rc = nm_ml_try(m, better, err);
    double after = m->search->found.any ? m->search->found.norm : INFINITY;
    bool nearer = *better && !m->search->found.any;

    m->idle = nearer || after < before * (1 - NM_ML_WORTH) ? 0 : m->idle + 1;
    return rc;
}

/* All shares of the step, the same at each cut that is marked in m->move. */
static nm_status try_shares(nm_ml *m, const bool *cut, nm_err *err)
{
    bool better;
    nm_status rc = NM_OK;

    for (int i = 0; rc == NM_OK && i < NM_LW_N_SHARES && goes_on(m); i++) {
        for (int b = 0; b < m->n; b++)
            m->move[b] = (nm_ml_move){.cut = cut[b], .how = NM_ML_GRADIENT, .by = nm_lw_shares[i]};
        rc = try_and_count(m, &better, err);
    }
    return rc;
}

/* The last layer alone, each single cut, two and more of them: those first that need least. */
static nm_status try_gradients(nm_ml *m, nm_err *err)
{
    nm_lw *lw = m->search->lw;
    nm_lw_cut *cuts = NULL;
    bool *cut = NULL, reachable;
    int n_cuts = 0;
    nm_status rc = NM_OK;

    m->kind = "gradient";
    NM_TRY(nm_alloc(&cut, (size_t)m->n, sizeof *cut, err));
    NM_TRY(nm_lw_set(lw, NULL, 0, m->last, lw->net->scores, err));
    NM_TRY(nm_lw_aim(lw, m->whole, &reachable, err));
    NM_TRY(nm_lw_cuts_list(lw, m->whole, 0, m->last, &cuts, &n_cuts, err));
    for (int i = 0; i < n_cuts; i++) {
        if (cuts[i].b == m->last)
            continue;
        memset(cut, 0, (size_t)m->n * sizeof *cut);
        cut[cuts[i].b] = true;
        NM_TRY(try_shares(m, cut, err));
    }
    memset(cut, 0, (size_t)m->n * sizeof *cut);
    for (int i = 0; i < n_cuts; i++) {
        cut[cuts[i].b] = cuts[i].b < m->last;
        if (i > 0)
            NM_TRY(try_shares(m, cut, err));
    }
done:
    nm_lw_cuts_free(cuts, n_cuts);
    nm_free(cut);
    return rc;
}

static nm_status try_last_layer(nm_ml *m, nm_err *err)
{
    bool better;

    m->kind = "last layer";
    for (int b = 0; b < m->n; b++)
        m->move[b] = (nm_ml_move){.cut = false};
    return try_and_count(m, &better, err);
}

/* Steps grow where they bring something, and shrink where not. */
static void adapt(nm_ml *m, int b, bool better)
{
    if (b >= 0)
        m->reach[b] = fmin(fmax(m->reach[b] * (better ? 1.6 : 0.9), 1e-3), 1);
}

static nm_status try_neighbours(nm_ml *m, nm_err *err)
{
    static const int order[] = {NM_PROPOSE_GREEDY, NM_PROPOSE_GREEDY, NM_PROPOSE_RANDOM,
                                NM_PROPOSE_GREEDY, NM_PROPOSE_GREEDY, NM_PROPOSE_GRADIENT};
    enum { N_ORDER = sizeof order / sizeof *order };
    bool better;
    nm_status rc = NM_OK;

    for (int64_t i = 0; rc == NM_OK && goes_on(m); i++) {
        int kind = order[i % N_ORDER], b = -1;

        if (!(kind & m->opts->kinds))
            continue;
        m->kind = kind == NM_PROPOSE_GREEDY   ? "greedy"
                  : kind == NM_PROPOSE_RANDOM ? "random"
                                              : "gradient";
        if (kind == NM_PROPOSE_GREEDY)
            b = plan_neighbour(m);
        else if (kind == NM_PROPOSE_RANDOM)
            plan_noise(m);
        else
            plan_gradient(m);
        rc = try_and_count(m, &better, err);
        adapt(m, b, better);
    }
    return rc;
}

/* Without gradients, the search begins with all cuts, at the values as they are. */
static void cut_everywhere(nm_ml *m)
{
    for (int b = 0; b < m->last; b++)
        m->now.cut[b] = true;
}

static nm_status open_ml(nm_ml *m, nm_err *err)
{
    const nm_lw *lw = m->search->lw;
    size_t n = (size_t)m->n;
    nm_status rc = NM_OK;

    NM_TRY(nm_alloc(&m->move, n, sizeof *m->move, err));
    NM_TRY(nm_alloc(&m->reach, n, sizeof *m->reach, err));
    NM_TRY(nm_alloc(&m->origin, n, sizeof *m->origin, err));
    NM_TRY(nm_ml_values_new(lw, &m->now, err));
    NM_TRY(nm_ml_values_new(lw, &m->next, err));
    for (int b = 0; b < m->n; b++) {
        int out = nm_lw_out(lw, b);
        size_t size = (size_t)(lw->n * lw->net->values[out].size);

        m->reach[b] = 0.5;
        NM_TRY(nm_memdup(&m->origin[b], lw->at->val[out], size, sizeof **m->origin, err));
        NM_TRY(nm_memdup(&m->now.wish[b], lw->at->val[out], size, sizeof **m->now.wish, err));
    }
done:
    return rc;
}

static void close_ml(nm_ml *m)
{
    const nm_lw *lw = m->search->lw;

    for (int b = 0; m->origin && b < m->n; b++)
        nm_free(m->origin[b]);
    nm_free(m->origin);
    nm_free(m->move);
    nm_free(m->reach);
    nm_ml_values_clear(lw, &m->now);
    nm_ml_values_clear(lw, &m->next);
}

static nm_status look(nm_lw_search *s, const nm_lw_goal *whole, nm_lw_best *best, void *user,
                      nm_err *err)
{
    const nm_multilayer_opts *opts = user;
    nm_ml m = {.search = s,
               .whole = whole,
               .opts = opts,
               .best = best,
               .n = s->lw->edits->n,
               .last = s->lw->edits->n - 1,
               .rng = {.seed = opts->seed, .stream = 1ULL << 58}};
    nm_status rc = NM_OK;

    NM_TRY(open_ml(&m, err));
    NM_TRY(try_last_layer(&m, err));
    if (m.last == 0) /* there is nothing to cut */
        goto done;
    if (opts->kinds & NM_PROPOSE_GRADIENT)
        NM_TRY(try_gradients(&m, err));
    else
        cut_everywhere(&m);
    m.idle = 0;
    NM_TRY(try_neighbours(&m, err));
done:
    close_ml(&m);
    return rc;
}

/* -- the method ------------------------------------------------------------------------------- */

void nm_multilayer_effort(const nm_net *net, int64_t n, nm_multilayer_opts *opts)
{
    const double affordable = 4e9; /* multiplications of all proposals */
    double work = 1;

    nm_layerwise_effort(net, n, &opts->common);
    for (int k = 0; k < net->n_layers; k++)
        work += (double)net->layers[k].n_weights * (double)n;
    opts->kinds = NM_PROPOSE_ALL;
    opts->proposals = (int64_t)fmin(fmax(affordable / (10 * work), 100), 2000);
    opts->patience = opts->proposals / 5;
}

nm_status nm_multilayer(nm_ctx *ctx, const nm_net *net, const nm_plan *plan, const float *x,
                        int64_t n, const nm_union *goal, const nm_multilayer_opts *opts,
                        nm_changes *out, nm_layerwise_report *report, nm_err *err)
{
    nm_multilayer_opts own = *opts;

    return nm_lw_run(ctx, net, plan, x, n, goal, &opts->common, look, &own, out, report, err);
}
