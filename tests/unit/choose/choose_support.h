/* A small net with random weights, points that want another class, and reference points. */
#ifndef NM_TESTS_CHOOSE_SUPPORT_H
#define NM_TESTS_CHOOSE_SUPPORT_H

#include "make_net.h"

#include "netmend/netmend.h"

enum { MAX_POINTS = 200 };

struct world {
    nm_ctx *ctx;
    nm_net *net;
    nm_points repair, reference;
    nm_repair_opts opts;
    nm_choose_opts how;
    nm_choice choice;
};

/* n normal points; label: the class with the (first + 1)-th largest score. */
static inline nm_points random_points(const nm_net *net, nm_ctx *ctx, uint64_t seed, int64_t n,
                                      int rank)
{
    int64_t n_in = nm_net_n_in(net), n_out = nm_net_n_out(net);
    static float x[MAX_POINTS * 128], y[MAX_POINTS * 16];
    int64_t labels[MAX_POINTS];
    nm_rng rng = {.seed = seed};
    nm_points points;
    nm_err err = {0};

    assert_true(n <= MAX_POINTS && n_in <= 128 && n_out <= 16);
    fill_normal(&rng, x, n * n_in);
    nm_assert_ok(nm_net_forward_f32(ctx, net, x, n, y, &err), &err);
    for (int64_t p = 0; p < n; p++)
        for (int64_t j = 0; j < n_out; j++) {
            int above = 0;

            for (int64_t k = 0; k < n_out; k++)
                above += y[p * n_out + k] > y[p * n_out + j];
            if (above == rank)
                labels[p] = j;
        }
    nm_assert_ok(nm_points_from_arrays(x, n, n_in, labels, &points, &err), &err);
    return points;
}

/* Takes over the net. The repair points want the class that comes second. */
static inline struct world open_world(nm_net *net, int64_t n_repair)
{
    struct world w = {.net = net};
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&w.ctx, &err), &err);
    w.repair = random_points(net, w.ctx, 1, n_repair, 1);
    w.reference = random_points(net, w.ctx, 2, 120, 0);
    w.opts = (nm_repair_opts)NM_REPAIR_OPTS_INIT;
    w.opts.norm = NM_NORM_FUNCTION;
    w.how = (nm_choose_opts)NM_CHOOSE_OPTS_INIT;
    return w;
}

static inline nm_repair_task task_of(const struct world *w)
{
    return (nm_repair_task){.repair = &w->repair, .reference = &w->reference};
}

static inline void choose(struct world *w)
{
    nm_repair_task task = task_of(w);
    nm_err err = {0};

    nm_choice_free(&w->choice);
    nm_assert_ok(nm_choose_layer(w->ctx, w->net, &task, &w->opts, &w->how, &w->choice, &err), &err);
}

static inline void close_world(struct world *w)
{
    nm_choice_free(&w->choice);
    nm_points_free(&w->repair);
    nm_points_free(&w->reference);
    nm_net_free(w->net);
    nm_ctx_free(w->ctx);
}

#endif
