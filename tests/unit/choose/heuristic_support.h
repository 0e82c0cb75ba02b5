/* Nets and points on which the answers of heuristics are known. */
#ifndef NM_TESTS_HEURISTIC_SUPPORT_H
#define NM_TESTS_HEURISTIC_SUPPORT_H

#include "make_net.h"

#include "netmend/netmend.h"

/** Sets the parameters of a layer. */
static inline void set_layer(nm_net *net, int layer, const double *weights, const double *biases)
{
    nm_err err = {0};

    nm_assert_ok(nm_net_set_layer(net, layer, false, weights, &err), &err);
    nm_assert_ok(nm_net_set_layer(net, layer, true, biases, &err), &err);
}

/** Two inputs, two scores, scores = inputs: class 0 where x0 >= x1. */
static inline nm_net *identity_net(void)
{
    nm_net *net = make_chain(1, "Relu", (int64_t[]){2, 2}, 1);

    set_layer(net, 0, (double[]){1, 0, 0, 1}, (double[]){0, 0});
    return net;
}

static inline nm_points make_points(const float *x, const int64_t *labels, int64_t n, int64_t n_in)
{
    nm_points points;
    nm_err err = {0};

    nm_assert_ok(nm_points_from_arrays(x, n, n_in, labels, &points, &err), &err);
    return points;
}

/** A parse must fail, with a message that says what is expected. */
static inline void assert_refused(bool edit, const char *text, const char *expected)
{
    nm_err err = {0};

    assert_int_equal(nm_heuristic_check(edit, text, &err), NM_E_ARG);
    if (!strstr(err.text, expected))
        fail_msg("%s: '%s' does not say '%s'", text, err.text, expected);
}

/** For every number parameter of every heuristic: the limits are taken, what is beyond is not. */
static inline void assert_limits_hold(bool edit)
{
    const nm_heuristic *h;

    for (int i = 0; (h = edit ? nm_edit_heuristic(i) : nm_set_heuristic(i)) != NULL; i++)
        for (int k = 0; k < h->n_params; k++) {
            const nm_heuristic_param *p = &h->params[k];
            nm_err err = {0};
            char text[256], name[64];

            if (p->kind == NM_PARAM_WORD || p->kind == NM_PARAM_LIST) {
                (void)snprintf(text, sizeof text, "%s:%s=?", h->name, p->name);
                (void)snprintf(name, sizeof name, "%s=?, expected ", p->name);
                assert_refused(edit, text, name);
                continue;
            }
            assert_true(p->initial >= p->min && p->initial <= p->max);
            (void)snprintf(name, sizeof name, "%s=", p->name);
            (void)snprintf(text, sizeof text, "%s:%s=%.17g", h->name, p->name, p->min);
            if (p->above_min)
                assert_refused(edit, text, name);
            else
                nm_assert_ok(nm_heuristic_check(edit, text, &err), &err);
            (void)snprintf(text, sizeof text, "%s:%s=%.17g", h->name, p->name, p->min - 1);
            assert_refused(edit, text, name);
            (void)snprintf(text, sizeof text, "%s:%s=%.17g", h->name, p->name, p->max);
            if (p->below_max)
                assert_refused(edit, text, name);
            else
                nm_assert_ok(nm_heuristic_check(edit, text, &err), &err);
            (void)snprintf(text, sizeof text, "%s:%s=%.17g", h->name, p->name, p->max + 1);
            assert_refused(edit, text, name);
            (void)snprintf(text, sizeof text, "%s:%s=nan", h->name, p->name);
            assert_refused(edit, text, name);
        }
}

#endif
