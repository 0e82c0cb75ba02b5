/* Worlds in which edit heuristics choose. */
#ifndef NM_TESTS_CHOOSE_EDIT_SUPPORT_H
#define NM_TESTS_CHOOSE_EDIT_SUPPORT_H

#include "heuristic_support.h"

#include "problem/plan.h"

struct world {
    nm_ctx *ctx;
    nm_net *net;
    nm_points repair, reference;
    nm_repair_opts opts;
    nm_free_kind free;
};

/* Takes over the net. n points each; those of the repair set want the class that is not first. */
static inline struct world open_world(nm_net *net, int64_t n)
{
    enum { MOST = 32, WIDE = 128, OUT = 8 };
    struct world w = {.net = net, .opts = NM_REPAIR_OPTS_INIT};
    static float x[2 * MOST * WIDE], y[2 * MOST * OUT];
    int64_t labels[2 * MOST], n_in = nm_net_n_in(net), n_out = nm_net_n_out(net);
    nm_rng rng = {.seed = 17};
    nm_err err = {0};

    assert_true(n <= MOST && n_in <= WIDE && n_out <= OUT);
    nm_assert_ok(nm_ctx_new(&w.ctx, &err), &err);
    fill_normal(&rng, x, 2 * n * n_in);
    nm_assert_ok(nm_net_forward_f32(w.ctx, net, x, 2 * n, y, &err), &err);
    for (int64_t p = 0; p < 2 * n; p++) {
        int64_t best = 0;

        for (int64_t j = 1; j < n_out; j++)
            best = y[p * n_out + j] > y[p * n_out + best] ? j : best;
        labels[p] = p < n ? (best + 1) % n_out : best;
    }
    w.repair = make_points(x, labels, n, n_in);
    w.reference = make_points(x + n * n_in, labels + n, n, n_in);
    w.opts.norm = NM_NORM_L2;
    w.opts.margin = 0.1;
    return w;
}

static inline void close_world(struct world *w)
{
    nm_points_free(&w->repair);
    nm_points_free(&w->reference);
    nm_net_free(w->net);
    nm_ctx_free(w->ctx);
}

static inline nm_edit_choice choose(struct world *w, const char *text)
{
    nm_repair_task task = {.repair = &w->repair,
                           .reference = w->reference.n > 0 ? &w->reference : NULL};
    nm_edit_choice choice;
    nm_err err = {0};

    nm_assert_ok(
        nm_edit_choose(w->ctx, w->net, &task, &w->opts, NULL, w->free, text, &choice, &err), &err);
    return choice;
}

static inline void assert_chooses(struct world *w, const char *text, int layer)
{
    nm_edit_choice c = choose(w, text);

    if (c.best != layer)
        fail_msg("%s: layer %d, wanted %d (%s)", text, c.best, layer, c.why);
    assert_true(nm_plan_edits(c.plan, layer));
    assert_int_equal(c.order[0] == layer || c.n_order > 1, 1);
    nm_edit_choice_free(&c);
}

/* Layer 1's second neuron answers to a second input above 1 only, which reference points never
   have. For repair points (1, 3), (1.2, 2.5), (0.8, 3.5) and reference points (1, 0.5), (1.2, 0.2),
   (0.8, 0.9). */
static inline void make_quiet(nm_net *net)
{
    set_layer(net, 0, (double[]){1, 0, 0, 1}, (double[]){0, 2});
    set_layer(net, 1, (double[]){1, 0, 0, 1}, (double[]){0, -3});
    set_layer(net, 2, (double[]){1, 0, 0, 0.1}, (double[]){5, 5});
}

static const float QUIET_REPAIR[] = {1, 3, 1.2F, 2.5F, 0.8F, 3.5F},
                   QUIET_USUAL[] = {1, 0.5F, 1.2F, 0.2F, 0.8F, 0.9F};

static inline void assert_finds_what_wakes(struct world *w)
{
    nm_edit_choice c;

    assert_chooses(w, "ActivationBased", 1);
    c = choose(w, "ActivationBased");
    /* Behind layer 0: 1 + 3 + 2 = 6, 5.7, 6.3 against 3.5, 3.4, 3.7. */
    nm_assert_close(&c.scores[0], &(double){18.0 / 10.6}, 1, 1e-6, 0);
    nm_edit_choice_free(&c);
    /* Rows: the one with the large input carries more. */
    c = choose(w, "WeightsActivationBased:threshold=1");
    assert_int_equal(c.best, 1);
    assert_int_equal(nm_plan_n_free(c.plan), 3);
    assert_int_equal(c.plan->mask[2][0], 0);
    assert_int_equal(c.plan->mask[2][3], 1);
    assert_int_equal(c.plan->mask[3][1], 1);
    nm_edit_choice_free(&c);
}

/* Layer 1 multiplies one direction a hundredfold; for the repair point (10, 0.2). */
static inline void assert_finds_what_blows_up(struct world *w)
{
    set_layer(w->net, 0, (double[]){1, 0, 0, 1}, (double[]){0, 0.5});
    set_layer(w->net, 1, (double[]){1, 0, 0, 100}, (double[]){0, -60});
    set_layer(w->net, 2, (double[]){1, 0, 0, 1}, (double[]){0, 0});
    assert_chooses(w, "ChangeBased:epsilon=0.05,score=gain", 1);
    assert_chooses(w, "ChangeBased:kind=noise,epsilon=0.05,score=gain", 1);
}

#endif
