/* Hostile tasks: each comes to a clear outcome or a one-line refusal, for every norm and layer,
 * with and without elastic mode. What is reported must be true of the net (es_check). */
#include "elastic_support.h"

#include "base/ctx.h"

typedef struct hostile {
    const char *name;
    int64_t n;
    void (*spoil)(es_world *w, nm_repair_task *task);
    nm_status refused; /* NM_OK: an outcome is expected */
    bool repaired;     /* by the last layer */
} hostile;

/* -- what is done to the task ------------------------------------------------------------------ */

static void scale_layer(es_world *w, int layer, bool bias, double factor, double shift)
{
    double values[64];
    nm_layer_info info;
    nm_err err = {0};

    nm_assert_ok(nm_net_layer_info(w->net, layer, &info, &err), &err);
    nm_assert_ok(nm_net_get_layer(w->net, layer, bias, values, &err), &err);
    for (int64_t i = 0; i < (bias ? info.n_biases : info.n_weights); i++)
        values[i] = factor * values[i] + shift;
    nm_assert_ok(nm_net_set_layer(w->net, layer, bias, values, &err), &err);
}

static void copy_point(es_world *w, int64_t from, int64_t to)
{
    memcpy(w->x + 4 * to, w->x + 4 * from, 4 * sizeof *w->x);
    w->labels[to] = w->labels[from];
}

static void duplicates(es_world *w, nm_repair_task *task)
{
    (void)task;
    for (int64_t p = 1; p < w->repair.n; p++)
        copy_point(w, p / 4 * 4, p);
}

static void near_twins(es_world *w, nm_repair_task *task)
{
    (void)task;
    copy_point(w, 0, 1);
    w->x[4] += 1e-7F;
    w->labels[1] = (w->labels[0] + 1) % 3;
}

static void zero_features(es_world *w, nm_repair_task *task)
{
    (void)task;
    memset(w->x, 0, 4 * sizeof *w->x);
}

static void all_zero(es_world *w, nm_repair_task *task)
{
    (void)task;
    memset(w->x, 0, sizeof w->x);
}

static void dead_layer(es_world *w, nm_repair_task *task)
{
    (void)task;
    scale_layer(w, 0, true, 0, -1e3);
}

static void zero_layer(es_world *w, nm_repair_task *task)
{
    (void)task;
    scale_layer(w, 0, true, 0, 0);
    scale_layer(w, 0, false, 0, 0);
}

static void huge_weights(es_world *w, nm_repair_task *task)
{
    (void)task;
    scale_layer(w, 0, false, 1e6, 0);
    scale_layer(w, 1, false, 1e6, 0);
}

static void tiny_weights(es_world *w, nm_repair_task *task)
{
    (void)task;
    scale_layer(w, 0, false, 1e-20, 0);
}

static void one_reference(es_world *w, nm_repair_task *task)
{
    w->keep.n = 1;
    task->reference = &w->keep;
}

static void constant_reference(es_world *w, nm_repair_task *task)
{
    for (int64_t p = 1; p < w->keep.n; p++)
        memcpy(w->keep_x + 4 * p, w->keep_x, 4 * sizeof *w->keep_x);
    task->reference = &w->keep;
}

static void zero_reference(es_world *w, nm_repair_task *task)
{
    memset(w->keep_x, 0, sizeof w->keep_x);
    task->reference = &w->keep;
}

static void contradicting_keep(es_world *w, nm_repair_task *task)
{
    memcpy(w->x, w->keep_x, 4 * sizeof *w->x);
    w->labels[0] = (w->keep_labels[0] + 1) % 3;
    task->keep = &w->keep;
}

static void near_keep(es_world *w, nm_repair_task *task)
{
    contradicting_keep(w, task);
    w->x[0] += 1e-7F;
}

static void nan_in_net(es_world *w, nm_repair_task *task)
{
    (void)task;
    scale_layer(w, 0, true, NAN, 0);
}

static void nan_in_data(es_world *w, nm_repair_task *task)
{
    (void)task;
    w->x[5] = NAN;
}

static void infinite_data(es_world *w, nm_repair_task *task)
{
    (void)task;
    w->x[5] = INFINITY;
}

static void one_point(es_world *w, nm_repair_task *task)
{
    (void)w;
    (void)task;
}

static void one_label(es_world *w, nm_repair_task *task)
{
    (void)task;
    for (int64_t p = 0; p < w->repair.n; p++)
        w->labels[p] = 2;
}

static void many_points(es_world *w, nm_repair_task *task)
{
    (void)w;
    (void)task;
}

static const hostile cases[] = {
    {"duplicate points", 8, duplicates, NM_OK, false},
    {"points that differ by 1e-7 with other labels", 4, near_twins, NM_OK, false},
    {"a point of zeros", 4, zero_features, NM_OK, false},
    {"nothing but zeros", 4, all_zero, NM_OK, false},
    {"a dead layer", 4, dead_layer, NM_OK, false},
    {"a layer of zeros", 4, zero_layer, NM_OK, false},
    {"huge weights", 4, huge_weights, NM_OK, false},
    {"tiny weights", 4, tiny_weights, NM_OK, false},
    {"a reference of one point", 3, one_reference, NM_OK, false},
    {"a constant reference", 3, constant_reference, NM_OK, false},
    {"a reference of zeros", 3, zero_reference, NM_OK, false},
    {"a keep point of another label", 4, contradicting_keep, NM_OK, false},
    {"a keep point near one of another label", 4, near_keep, NM_OK, false},
    {"NaN in the network", 4, nan_in_net, NM_E_FORMAT, false},
    {"NaN in the data", 4, nan_in_data, NM_E_FORMAT, false},
    {"infinite data", 4, infinite_data, NM_E_FORMAT, false},
    {"one point", 1, one_point, NM_OK, true},
    {"all labels the same", 12, one_label, NM_OK, true},
    {"more points than parameters", 40, many_points, NM_OK, false},
};

/* -- every one of them ----------------------------------------------------------------------------
 */

/* One line, of which a user can make something. */
static void check_refusal(const hostile *h, const nm_err *err)
{
    if (!err->text[0] || strchr(err->text, '\n'))
        fail_msg("%s: message '%s'", h->name, err->text);
}

static void run_case(const hostile *h, nm_norm norm, const char *layer, bool elastic,
                     const char *path)
{
    es_world w;
    nm_repair_task task = {.repair = &w.repair};
    nm_err err = {0};
    nm_status rc;
    double start = nm_now();

    es_open(&w, 70, h->n);
    h->spoil(&w, &task);
    w.layer = layer;
    w.opts.norm = norm;
    w.opts.elastic = elastic;
    w.path = path;
    (void)unlink(path);
    nm_ctx_set_time_limit(w.ctx, 20);
    rc = es_try(&w, &task, &err);
    if (getenv("NM_TELL"))
        print_message("%-46s %-9s %-5s %d: %s %s (%.2f s) %s\n", h->name, nm_norm_name(norm), layer,
                      elastic, nm_status_name(rc), rc ? "" : nm_outcome_name(w.report.outcome),
                      nm_now() - start, rc ? err.text : w.report.reason);
    if (rc != h->refused)
        fail_msg("%s, norm %s, layer %s, elastic %d: %s (%s), expected %s", h->name,
                 nm_norm_name(norm), layer, elastic, nm_status_name(rc), err.text,
                 nm_status_name(h->refused));
    if (rc != NM_OK) {
        check_refusal(h, &err);
        assert_int_not_equal(access(w.path, F_OK), 0);
    } else {
        es_check(&w, &task);
        assert_false(w.report.stopped);
        assert_true(w.report.reason[0] != '\0' || w.report.outcome == NM_REPAIRED);
        assert_int_equal(access(w.path, F_OK) == 0, w.fixed != NULL);
        if (h->repaired && strcmp(layer, "last") == 0 && w.report.outcome != NM_REPAIRED)
            fail_msg("%s, norm %s, layer %s: %s", h->name, nm_norm_name(norm), layer,
                     w.report.reason);
    }
    es_close(&w);
}

static void every_case_has_a_clear_outcome(void **state)
{
    static const nm_norm norms[] = {NM_NORM_FUNCTION, NM_NORM_L2, NM_NORM_LINF, NM_NORM_LINF_L1N,
                                    NM_NORM_L1};
    static const char *const layers[] = {"last", "0", "0,1"};

    const char *path = nm_temp_path(".onnx");

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (size_t i = 0; i < sizeof norms / sizeof *norms; i++)
            for (size_t l = 0; l < sizeof layers / sizeof *layers; l++) {
                run_case(&cases[c], norms[i], layers[l], false, path);
                run_case(&cases[c], norms[i], layers[l], true, path);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_case_has_a_clear_outcome)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
