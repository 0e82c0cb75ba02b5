/* All violated instances of the shared ACAS Xu networks that are repaired in seconds: proven again
 * from the file, without attacks. (1_9 with property 7 and 2_9 with property 8 take minutes.) */
#include "support.h"

#include <stdio.h>
#include <string.h>

#include "netmend/property_repair.h"

typedef struct instance {
    const char *net, *property, *layer;
} instance;

static void repair(const instance *one)
{
    char text[128];
    const char *path = nm_temp_path(".onnx");
    nm_property_opts opts = NM_PROPERTY_OPTS_INIT;
    nm_verify_opts how = NM_VERIFY_OPTS_INIT;
    nm_property_task task = {.n_properties = 1, .n_repair = 1};
    nm_property_report report;
    nm_verify_report proof;
    nm_ctx *ctx;
    nm_net *net, *fixed;
    nm_plan *plan;
    nm_property *property;
    nm_err err = {0};

    nm_assert_ok(nm_ctx_new(&ctx, &err), &err);
    (void)snprintf(text, sizeof text, "acasxu/onnx/ACASXU_run2a_%s_batch_2000.onnx", one->net);
    nm_assert_ok(nm_net_load(ctx, nm_shared(text), &net, &err), &err);
    (void)snprintf(text, sizeof text, "acasxu/vnnlib/prop_%s.vnnlib", one->property);
    nm_assert_ok(nm_property_load(ctx, nm_shared(text), &property, &err), &err);
    nm_assert_ok(nm_plan_new(net, &plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(plan, one->layer, NM_FREE_ALL, &err), &err);
    task.properties = (const nm_property *const *)&property;
    opts.decision = NM_DECISION_MIN;
    opts.repair.norm = NM_NORM_FUNCTION;
    nm_assert_ok(nm_repair_property(ctx, net, plan, &task, &opts, path, &report, &err), &err);
    if (report.repair.outcome != NM_REPAIRED)
        fail_msg("%s prop_%s: %s", one->net, one->property, report.repair.reason);
    assert_int_equal(report.before[0], NM_VERDICT_VIOLATED);
    assert_true(report.changed < 0.01);
    nm_assert_ok(nm_net_load(ctx, path, &fixed, &err), &err);
    how.attack = false;
    nm_assert_ok(nm_verify(ctx, fixed, property, &how, &proof, &err), &err);
    assert_int_equal(proof.verdict, NM_VERDICT_HOLDS);
    nm_verify_report_free(&proof);
    nm_property_report_free(&report);
    nm_property_free(property);
    nm_plan_free(plan);
    nm_net_free(net);
    nm_net_free(fixed);
    nm_ctx_free(ctx);
}

static void test_violated_instances(void **state)
{
    static const instance all[] = {
        {"2_1", "2", "last"}, {"2_9", "2", "last"}, {"3_7", "2", "last"},
        {"4_5", "2", "last"}, {"4_8", "2", "last"}, {"5_3", "2", "last"},
        {"5_9", "2", "last"}, {"1_9", "3", "-2"},   {"1_9", "4", "-2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        repair(&all[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_violated_instances)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
