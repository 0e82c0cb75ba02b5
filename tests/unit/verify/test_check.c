/* From a repair through its claim to the check, with everything that can be forged on the way. */
#include "make_net.h"
#include "test_ctx.h"

#include "base/ctx.h"
#include "base/mem.h"
#include "netmend/eval.h"
#include "verify/check.h"

enum { N_IN = 5, N_REPAIR = 6, N_KEEP = 40, N_CLASSES = 3 };

/* One repair with its files. */
typedef struct story {
    const char *model, *fixed, *claim, *x, *y, *keep_x, *keep_y;
    nm_net *net;
    nm_plan *plan;
    nm_repair_report report;
} story;

static void save_points(uint64_t seed, int64_t n, const char *x_path, const char *y_path,
                        const nm_net *net, bool wrong)
{
    float *x = calloc((size_t)(n * N_IN), sizeof *x);
    int64_t *y = calloc((size_t)n, sizeof *y);
    nm_err err = {0};

    fill_normal(&(nm_rng){.seed = seed}, x, n * N_IN);
    nm_assert_ok(nm_predict(ctx, net, x, n, y, &err), &err);
    for (int64_t i = 0; wrong && i < n; i++)
        y[i] = (y[i] + 1) % N_CLASSES;
    nm_assert_ok(nm_npy_write_f32(x_path, x, n, N_IN, &err), &err);
    nm_assert_ok(nm_npy_write_i64(y_path, y, n, &err), &err);
    free(x);
    free(y);
}

static nm_points load(const char *x, const char *y)
{
    nm_points points;
    nm_err err = {0};

    nm_assert_ok(nm_points_load(ctx, x, y, NULL, &points, &err), &err);
    return points;
}

/* One set of names for all stories: they follow one another. */
static story new_story(void)
{
    static story names;

    if (!names.model)
        names = (story){.model = nm_temp_path(".onnx"),
                        .fixed = nm_temp_path(".onnx"),
                        .claim = nm_temp_path(".json"),
                        .x = nm_temp_path(".npy"),
                        .y = nm_temp_path(".npy"),
                        .keep_x = nm_temp_path(".npy"),
                        .keep_y = nm_temp_path(".npy")};
    return names;
}

/* @param layer, bound  of the edit; the story is repaired or infeasible as these allow */
static story tell(const char *layer, double bound, nm_norm norm, bool keep)
{
    static const int64_t widths[] = {N_IN, 12, 10, N_CLASSES};
    story s = new_story();
    nm_net *built = make_chain(11, "Relu", widths, 3);
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;
    nm_points repair, kept;
    nm_repair_task task = {.repair = &repair, .keep = keep ? &kept : NULL};
    nm_claim_facts facts = {.opts = &opts, .report = &s.report};
    nm_err err = {0};

    nm_assert_ok(nm_net_save(ctx, built, s.model, &err), &err);
    nm_net_free(built);
    nm_assert_ok(nm_net_load(ctx, s.model, &s.net, &err), &err);
    save_points(1, N_REPAIR, s.x, s.y, s.net, true);
    save_points(2, N_KEEP, s.keep_x, s.keep_y, s.net, false);
    repair = load(s.x, s.y);
    kept = load(s.keep_x, s.keep_y);
    nm_assert_ok(nm_plan_new(s.net, &s.plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(s.plan, layer, NM_FREE_ALL, &err), &err);
    nm_assert_ok(nm_plan_set_bounds(s.plan, -bound, bound, &err), &err);
    opts.norm = norm;
    opts.certify = true;
    nm_assert_ok(nm_repair(ctx, s.net, s.plan, &task, &opts, s.fixed, NULL, &s.report, &err), &err);
    facts.model_path = s.model;
    facts.fixed_path = s.report.outcome == NM_REPAIRED ? s.fixed : NULL;
    facts.net = s.net;
    facts.plan = s.plan;
    facts.repair = (nm_claim_source){.points = "inputs",
                                     .points_path = s.x,
                                     .labels = "labels",
                                     .labels_path = s.y,
                                     .opts = NM_DATA_OPTS_INIT,
                                     .wanted = -1};
    if (keep)
        facts.keep = (nm_claim_source){.points = "keep",
                                       .points_path = s.keep_x,
                                       .labels = "keep-labels",
                                       .labels_path = s.keep_y,
                                       .opts = NM_DATA_OPTS_INIT,
                                       .wanted = -1};
    nm_assert_ok(nm_claim_write(ctx, &facts, s.claim, &err), &err);
    nm_points_free(&repair);
    nm_points_free(&kept);
    return s;
}

static void forget(story *s)
{
    nm_repair_report_free(&s->report);
    nm_plan_free(s->plan);
    nm_net_free(s->net);
}

static nm_check_report check(const story *s, const char *fixed, const char *claim)
{
    nm_check_report report;
    nm_err err = {0};

    nm_assert_ok(nm_check(ctx, s->model, fixed, claim, NULL, 0, &report, &err), &err);
    return report;
}

/* What the report says of the first statement of that kind. */
static const nm_check_statement *statement(const nm_check_report *r, const char *what)
{
    for (int i = 0; i < r->n_statements; i++)
        if (strcmp(r->statements[i].what, what) == 0)
            return &r->statements[i];
    return NULL;
}

static void assert_confirmed(const nm_check_report *r, const char *const *whats)
{
    for (int i = 0; i < r->n_statements; i++)
        if (!r->statements[i].confirmed)
            fail_msg("%s: %s", r->statements[i].what, r->statements[i].finding);
    assert_true(r->confirmed);
    for (; *whats; whats++)
        if (!statement(r, *whats))
            fail_msg("no statement %s", *whats);
}

static void claims_of_repairs_are_confirmed(void **state)
{
    static const struct {
        const char *layer;
        double bound;
    } edits[] = {{"last", INFINITY}, {"last", 0.6}, {"1", INFINITY}, {"0..", 1}};

    (void)state;
    for (int norm = 0; norm < 4; norm++)
        for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
            story s = tell(edits[i].layer, edits[i].bound, (nm_norm)norm, i % 2 == 0);
            nm_check_report r;

            assert_int_equal(s.report.outcome, NM_REPAIRED);
            r = check(&s, s.fixed, s.claim);
            assert_confirmed(&r, (const char *const[]){"files", "architecture", "repair_set",
                                                       "optimality", i % 2 == 0 ? "keep_set" : NULL,
                                                       NULL});
            nm_check_report_free(&r);
            forget(&s);
        }
}

/* Where the program is exact, the bound that is proven again is the one that the solver proved. */
static void the_bound_of_an_exact_program_is_tight(void **state)
{
    (void)state;
    for (int norm = 0; norm < 4; norm++) {
        story s = tell("last", norm % 2 ? 0.6 : INFINITY, (nm_norm)norm, true);
        nm_buffer text;
        nm_claim c;
        nm_err err = {0};

        nm_assert_ok(nm_file_read(s.claim, NM_MAX_CLAIM_BYTES, &text, &err), &err);
        nm_assert_ok(nm_claim_parse((char *)text.data, text.n_bytes, &c, &err), &err);
        assert_true(c.is_intact);
        assert_int_equal(c.n_statements, 5);
        nm_assert_close(&c.statements[4].lower_bound, &s.report.lower_bound, 1, 1e-7, 0);
        assert_int_equal(c.statements[4].proof.pieces, NM_PIECES_ANY);
        nm_claim_free(&c);
        nm_buffer_free(&text);
        forget(&s);
    }
}

/* -- forgeries ------------------------------------------------------------------------------ */

typedef void (*forgery)(nm_claim *c);

static nm_claim_statement *claimed(nm_claim *c, nm_claim_what what)
{
    for (int i = 0; i < c->n_statements; i++)
        if (c->statements[i].what == what)
            return &c->statements[i];
    fail_msg("no statement %s", nm_claim_whats[what]);
    return NULL;
}

static void more_margin(nm_claim *c)
{
    claimed(c, NM_CLAIM_REPAIR_SET)->margin *= 1.001;
}
static void more_safe(nm_claim *c)
{
    claimed(c, NM_CLAIM_REPAIR_SET)->n_any_order++;
}
static void other_class(nm_claim *c)
{
    c->sets[NM_SET_REPAIR].wanted = 0;
}
static void more_kept(nm_claim *c)
{
    claimed(c, NM_CLAIM_KEEP_SET)->n_right++;
    claimed(c, NM_CLAIM_KEEP_SET)->n_kept++;
}
static void less_change(nm_claim *c)
{
    claimed(c, NM_CLAIM_ARCHITECTURE)->l2 *= 0.999;
}
static void fewer_changed(nm_claim *c)
{
    claimed(c, NM_CLAIM_ARCHITECTURE)->n_changed--;
}
static void narrower_bounds(nm_claim *c)
{
    c->hi = 0.9 * claimed(c, NM_CLAIM_ARCHITECTURE)->linf;
    c->lo = -c->hi;
}
static void wider_bounds(nm_claim *c)
{
    c->lo = -INFINITY;
    c->hi = INFINITY;
}
static void other_tensor(nm_claim *c)
{
    c->tensors[0].layer = 1;
    c->tensors[1].layer = 1;
}
static void fewer_free(nm_claim *c)
{
    nm_assert_ok(nm_alloc(&c->tensors[0].runs, 2, sizeof(int64_t), NULL), &(nm_err){0});
    c->tensors[0].runs[1] = c->tensors[0].n_runs = 1;
}
static void higher_bound(nm_claim *c)
{
    claimed(c, NM_CLAIM_OPTIMALITY)->lower_bound *= 1.001;
}
static void smaller_gap(nm_claim *c)
{
    claimed(c, NM_CLAIM_OPTIMALITY)->objective *= 0.999;
}
static void other_multiplier(nm_claim *c)
{
    claimed(c, NM_CLAIM_OPTIMALITY)->proof.rows[0].y *= 10;
}
static void no_multiplier(nm_claim *c)
{
    claimed(c, NM_CLAIM_OPTIMALITY)->proof.points[0].n = 0;
}
static void other_margin_in_proof(nm_claim *c)
{
    claimed(c, NM_CLAIM_OPTIMALITY)->proof.points[0].margin -= 1;
}
static void other_norm(nm_claim *c)
{
    claimed(c, NM_CLAIM_OPTIMALITY)->norm = NM_NORM_L1;
}
static void point_that_is_not_there(nm_claim *c)
{
    claimed(c, NM_CLAIM_OPTIMALITY)->proof.points[0].point = 1000000;
}
static void huge_class(nm_claim *c)
{
    claimed(c, NM_CLAIM_OPTIMALITY)->proof.rows[0].k = INT64_MAX;
}

static void check_forgery(const story *s, forgery forge, const char *refuted)
{
    static const char *path;
    nm_buffer text;
    nm_claim c;
    nm_check_report r;
    nm_err err = {0};

    path = path ? path : nm_temp_path(".json");
    nm_assert_ok(nm_file_read(s->claim, NM_MAX_CLAIM_BYTES, &text, &err), &err);
    nm_assert_ok(nm_claim_parse((char *)text.data, text.n_bytes, &c, &err), &err);
    forge(&c);
    nm_assert_ok(nm_claim_save(&c, path, &err), &err); /* with a good hash */
    r = check(s, s->report.outcome == NM_REPAIRED ? s->fixed : NULL, path);
    if (statement(&r, refuted)->confirmed)
        fail_msg("%s was confirmed: %s", refuted, statement(&r, refuted)->finding);
    assert_false(r.confirmed);
    assert_true(statement(&r, refuted)->finding[0] &&
                !strchr(statement(&r, refuted)->finding, '\n'));
    assert_true(statement(&r, "files")->confirmed);
    nm_check_report_free(&r);
    nm_claim_free(&c);
    nm_buffer_free(&text);
}

static void forged_statements_are_refuted_though_the_hash_is_good(void **state)
{
    static const struct {
        forgery forge;
        const char *refuted;
    } forgeries[] = {{more_margin, "repair_set"},
                     {more_safe, "repair_set"},
                     {other_class, "repair_set"},
                     {more_kept, "keep_set"},
                     {less_change, "architecture"},
                     {fewer_changed, "architecture"},
                     {narrower_bounds, "architecture"},
                     {wider_bounds, "optimality"},
                     {other_tensor, "architecture"},
                     {fewer_free, "architecture"},
                     {higher_bound, "optimality"},
                     {smaller_gap, "optimality"},
                     {other_multiplier, "optimality"},
                     {no_multiplier, "optimality"},
                     {other_margin_in_proof, "optimality"},
                     {other_norm, "optimality"},
                     {point_that_is_not_there, "optimality"},
                     {huge_class, "optimality"}};
    story s = tell("last", 0.56, NM_NORM_L2, true);

    (void)state;
    assert_int_equal(s.report.outcome, NM_REPAIRED);
    assert_true(s.report.change_linf > 0.559); /* bounds matter */
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++)
        check_forgery(&s, forgeries[i].forge, forgeries[i].refuted);
    forget(&s);
}

/* -- altered files -------------------------------------------------------------------------- */

/* Every so often one bit of FIXED: the claim is refuted, whatever the bit meant. */
static void a_flipped_bit_in_fixed_is_refuted(void **state)
{
    story s = tell("last", INFINITY, NM_NORM_L2, false);
    const char *path = nm_temp_path(".onnx");
    nm_buffer file;
    int n_read = 0;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_file_read(s.fixed, 1 << 20, &file, &err), &err);
    for (size_t at = 1; at < file.n_bytes; at += 37) {
        nm_check_report r;

        file.data[at] ^= 4;
        nm_assert_ok(nm_file_write(path, file.data, file.n_bytes, &err), &err);
        r = check(&s, path, s.claim);
        assert_false(r.confirmed);
        assert_non_null(strstr(statement(&r, "files")->finding, "'fixed'"));
        n_read += strncmp(statement(&r, "architecture")->finding, "not checked", 11) != 0;
        if (statement(&r, "architecture")->confirmed)
            fail_msg("byte %zu: %s", at, statement(&r, "architecture")->finding);
        nm_check_report_free(&r);
        file.data[at] ^= 4;
    }
    assert_true(n_read > 3);
    nm_buffer_free(&file);
    forget(&s);
}

static void altered_labels_are_refuted(void **state)
{
    story s = tell("last", INFINITY, NM_NORM_L2, false);
    nm_points points = load(s.x, s.y);
    nm_check_report r;
    nm_err err = {0};

    (void)state;
    points.labels[2] = (points.labels[2] + 1) % N_CLASSES;
    nm_assert_ok(nm_npy_write_i64(s.y, points.labels, points.n, &err), &err);
    r = check(&s, s.fixed, s.claim);
    assert_false(statement(&r, "files")->confirmed);
    assert_non_null(strstr(statement(&r, "files")->finding, "'labels'"));
    assert_false(statement(&r, "repair_set")->confirmed);
    nm_check_report_free(&r);
    nm_points_free(&points);
    forget(&s);
}

static void other_models_and_missing_files_are_refused(void **state)
{
    story s = tell("last", INFINITY, NM_NORM_L2, false);
    const nm_check_file moved = {"inputs", s.x}, unknown = {"socks", s.x}, model = {"model", s.x};
    const char *other = nm_temp_path(".npy");
    nm_check_report r;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_check(ctx, s.fixed, s.fixed, s.claim, &moved, 1, &r, &err), &err);
    assert_false(r.confirmed);
    assert_non_null(strstr(statement(&r, "files")->finding, "'model'"));
    nm_check_report_free(&r);
    assert_int_equal(nm_check(ctx, s.model, s.fixed, s.claim, &unknown, 1, &r, &err), NM_E_ARG);
    assert_non_null(strstr(err.text, "socks"));
    err = (nm_err){0};
    assert_int_equal(nm_check(ctx, s.model, s.fixed, s.claim, &model, 1, &r, &err), NM_E_ARG);
    err = (nm_err){0};
    assert_int_equal(nm_check(ctx, s.model, "-", s.claim, NULL, 0, &r, &err), NM_E_ARG);
    assert_int_equal(rename(s.x, other), 0);
    err = (nm_err){0};
    assert_int_equal(nm_check(ctx, s.model, s.fixed, s.claim, NULL, 0, &r, &err), NM_E_IO);
    assert_non_null(strstr(err.text, "--data inputs=FILE"));
    err = (nm_err){0};
    nm_assert_ok(
        nm_check(ctx, s.model, s.fixed, s.claim, &(nm_check_file){"inputs", other}, 1, &r, &err),
        &err);
    assert_true(r.confirmed);
    nm_check_report_free(&r);
    forget(&s);
}

/* -- that there is no repair ------------------------------------------------------------------ */

static void larger_box(nm_claim *c)
{
    claimed(c, NM_CLAIM_INFEASIBLE)->box = 1e30;
}
static void no_bounds(nm_claim *c)
{
    wider_bounds(c);
}
static void less_asked(nm_claim *c)
{
    nm_claim_proof *p = &claimed(c, NM_CLAIM_INFEASIBLE)->proof;

    for (int64_t i = 0; i < p->n_points; i++)
        p->points[i].margin -= 100;
}
static void proofs_of_infeasibility_are_confirmed_and_forgeries_refuted(void **state)
{
    story s = tell("last", 1e-3, NM_NORM_LINF, false);
    nm_check_report r;

    (void)state;
    assert_int_equal(s.report.outcome, NM_INFEASIBLE);
    r = check(&s, "-", s.claim);
    assert_confirmed(&r, (const char *const[]){"files", "infeasible", NULL});
    assert_int_equal(r.n_statements, 2);
    nm_check_report_free(&r);
    check_forgery(&s, no_bounds, "infeasible");
    check_forgery(&s, less_asked, "infeasible");
    forget(&s);
}

/* 40 points of random classes, and 33 parameters: contradictory without any bounds, by a linear
   dependency that rounding blurs. */
static void unbounded_contradictions_are_proven_in_a_finite_box(void **state)
{
    static const int64_t widths[] = {N_IN, 12, 10, N_CLASSES};
    story s = new_story();
    const char *model = s.model, *x = s.x, *y = s.y;
    nm_net *built = make_chain(12, "Relu", widths, 3);
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;
    nm_points points;
    nm_repair_task task = {.repair = &points};
    nm_claim_facts facts = {.opts = &opts, .report = &s.report, .model_path = model};
    nm_rng rng = {.seed = 4};
    nm_check_report r;
    nm_err err = {0};

    (void)state;
    nm_assert_ok(nm_net_save(ctx, built, model, &err), &err);
    nm_net_free(built);
    nm_assert_ok(nm_net_load(ctx, model, &s.net, &err), &err);
    save_points(1, 60, x, y, s.net, true);
    points = load(x, y);
    for (int64_t i = 0; i < points.n; i++)
        points.labels[i] = (int64_t)nm_rng_below(&rng, N_CLASSES);
    nm_assert_ok(nm_npy_write_i64(y, points.labels, points.n, &err), &err);
    nm_assert_ok(nm_plan_new(s.net, &s.plan, &err), &err);
    nm_assert_ok(nm_plan_mark_text(s.plan, "last", NM_FREE_ALL, &err), &err);
    opts.certify = true;
    nm_assert_ok(nm_repair(ctx, s.net, s.plan, &task, &opts, NULL, NULL, &s.report, &err), &err);
    assert_int_equal(s.report.outcome, NM_INFEASIBLE);
    facts.net = s.net;
    facts.plan = s.plan;
    facts.repair = (nm_claim_source){.points = "inputs",
                                     .points_path = x,
                                     .labels = "labels",
                                     .labels_path = y,
                                     .opts = NM_DATA_OPTS_INIT,
                                     .wanted = -1};
    nm_assert_ok(nm_claim_write(ctx, &facts, s.claim, &err), &err);
    r = check(&s, NULL, s.claim);
    assert_confirmed(&r, (const char *const[]){"files", "infeasible", NULL});
    nm_check_report_free(&r);
    check_forgery(&s, larger_box, "infeasible");
    check_forgery(&s, less_asked, "infeasible");
    nm_points_free(&points);
    forget(&s);
}

static void the_number_of_threads_changes_nothing(void **state)
{
    story s = tell("1", INFINITY, NM_NORM_LINF_L1N, true);
    nm_check_report one, four;

    (void)state;
    nm_ctx_set_threads(ctx, 1);
    one = check(&s, s.fixed, s.claim);
    nm_ctx_set_threads(ctx, 4);
    four = check(&s, s.fixed, s.claim);
    assert_int_equal(one.n_statements, four.n_statements);
    for (int i = 0; i < one.n_statements; i++)
        assert_string_equal(one.statements[i].finding, four.statements[i].finding);
    nm_check_report_free(&one);
    nm_check_report_free(&four);
    forget(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forged_statements_are_refuted_though_the_hash_is_good),
        cmocka_unit_test(a_flipped_bit_in_fixed_is_refuted),
        cmocka_unit_test(altered_labels_are_refuted),
        cmocka_unit_test(other_models_and_missing_files_are_refused),
        cmocka_unit_test(proofs_of_infeasibility_are_confirmed_and_forgeries_refuted),
        cmocka_unit_test(unbounded_contradictions_are_proven_in_a_finite_box),
        cmocka_unit_test(the_number_of_threads_changes_nothing),
        cmocka_unit_test(the_bound_of_an_exact_program_is_tight),
        cmocka_unit_test(claims_of_repairs_are_confirmed),
    };

    return cmocka_run_group_tests(tests, open_context, close_context);
}
