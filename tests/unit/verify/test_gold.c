/* Published verdicts: none is contradicted, with attacks and without, in both semantics. */
#include "gold.h"

#include <math.h>

enum { OPEN_LIMIT_S = 1 };

typedef struct run {
    double limit_s;
    const char *const *open; /* instances that no run decides, "net property", NULL at the end */
    bool attack;
    nm_semantics semantics;
    int n, n_decided;
} run;

/* Whether an instance is listed as open: what it takes would only be the whole limit. */
static bool is_open(const run *r, const instance *one)
{
    char net[512], property[512], name[1030];

    stem(one->net, net, sizeof net);
    stem(one->property, property, sizeof property);
    (void)snprintf(name, sizeof name, "%s %s", net, property);
    for (int i = 0; r->open && r->open[i]; i++)
        if (strcmp(r->open[i], name) == 0)
            return true;
    return false;
}

static void decide(const instance *one, void *user)
{
    run *r = user;
    nm_err err = {0};
    nm_ctx *ctx;
    nm_net *net;
    nm_property *property;
    nm_verify_report report;
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;

    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    nm_assert_ok(nm_net_load(ctx, one->net, &net, &err), &err);
    nm_assert_ok(nm_property_load(ctx, one->property, &property, &err), &err);
    nm_ctx_set_time_limit(ctx, is_open(r, one) ? OPEN_LIMIT_S : r->limit_s);
    opts.attack = r->attack;
    opts.semantics = r->semantics;
    nm_assert_ok(nm_verify(ctx, net, property, &opts, &report, &err), &err);
    if (report.verdict == (one->sat ? NM_VERDICT_HOLDS : NM_VERDICT_VIOLATED))
        fail_msg("%s with %s: %s (%s), published %s", one->property, one->net,
                 nm_verdict_name(report.verdict), report.reason, one->sat ? "sat" : "unsat");
    r->n++;
    r->n_decided += report.verdict != NM_VERDICT_UNKNOWN;
    nm_verify_report_free(&report);
    nm_property_free(property);
    nm_net_free(net);
    nm_ctx_free(ctx);
}

static void check(const char *set, run *r)
{
    (void)for_each_instance(set, decide, r);
    print_message("%s: %d of %d decided\n", set, r->n_decided, r->n);
}

static void acas_xu(void **state)
{
    run r = {.limit_s = 60, .attack = true};

    (void)state;
    check("acasxu", &r);
    assert_int_equal(r.n_decided, 46);
}

static void acas_xu_without_attacks(void **state)
{
    run r = {.limit_s = 60};

    (void)state;
    check("acasxu", &r);
    assert_true(r.n_decided >= 43);
}

static void acas_xu_in_float32(void **state)
{
    static const char *const open[] = {
        "ACASXU_run2a_1_1_batch_2000 prop_2",  "ACASXU_run2a_1_9_batch_2000 prop_2",
        "ACASXU_run2a_3_3_batch_2000 prop_2",  "ACASXU_run2a_1_1_batch_2000 prop_5",
        "ACASXU_run2a_1_1_batch_2000 prop_6",  "ACASXU_run2a_3_3_batch_2000 prop_9",
        "ACASXU_run2a_4_5_batch_2000 prop_10", NULL,
    };
    run r = {.limit_s = 60, .open = open, .attack = true, .semantics = NM_SEMANTICS_FLOAT32};

    (void)state;
    check("acasxu", &r);
    assert_true(r.n_decided >= 39); /* all the others */
}

static void mnist_fully_connected(void **state)
{
    run r = {.limit_s = 5, .attack = true};

    (void)state;
    check("mnistfc", &r);
    assert_true(r.n_decided >= 6);
}

static void mnist_fully_connected_without_attacks(void **state)
{
    run r = {.limit_s = 3};

    (void)state;
    check("mnistfc", &r);
}

static void cifar_convolutions(void **state)
{
    run r = {.limit_s = 5, .attack = true};

    (void)state;
    check("cifar_verif", &r);
    assert_true(r.n_decided >= 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acas_xu),
        cmocka_unit_test(acas_xu_without_attacks),
        cmocka_unit_test(acas_xu_in_float32),
        cmocka_unit_test(mnist_fully_connected),
        cmocka_unit_test(mnist_fully_connected_without_attacks),
        cmocka_unit_test(cifar_convolutions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
