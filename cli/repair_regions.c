#include "repair_regions.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "repair_layer.h"
#include "verify_net.h"

bool nm_repair_regions_asked(const nm_repair_args *args)
{
    return args->regions || args->boxes ||
           (args->properties.n > 0 && args->method == NM_METHOD_APRNN);
}

/* An option that means nothing here, by name; NULL if there is none. */
static const char *find_stranger(const nm_repair_args *args)
{
    const struct {
        bool given;
        const char *name;
    } strangers[] = {
        {args->inputs.path, "inputs"},
        {args->keep_properties.n > 0, "keep-property"},
        {args->edit, "edit"},
        {args->strategy != NM_STRATEGY_FULL, "strategy"},
        {args->curve, "curve"},
        {args->elastic, "elastic"},
        {args->claim, "claim"},
        {args->report, "report"},
        {args->pins == NM_PINS_NONE, "pins none"},
        {args->norm_includes_outputs && args->properties.n > 0, "norm-includes-outputs"}};

    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (strangers[i].given)
            return strangers[i].name;
    return NULL;
}

nm_status nm_repair_regions_check(const nm_repair_args *args, nm_err *err)
{
    const char *stranger = find_stranger(args);
    bool classes = args->target || args->inputs.labels;

    if (stranger)
        return nm_cli_fail(err, NM_E_ARG, "--%s does not go with regions", stranger);
    if (args->regions && args->boxes)
        return nm_cli_fail(err, NM_E_ARG, "--regions and --boxes exclude each other");
    if (args->method != NM_METHOD_APRNN && args->method != NM_METHOD_POINTWISE)
        return nm_cli_fail(err, NM_E_ARG, "regions are repaired by --method aprnn");
    if (args->properties.n > 1)
        return nm_cli_fail(err, NM_E_ARG, "regions go with one --property");
    if (args->target && args->inputs.labels)
        return nm_cli_fail(err, NM_E_ARG, "--target and --labels exclude each other");
    if (classes == (args->properties.n > 0))
        return nm_cli_fail(err, NM_E_ARG,
                           classes ? "--property and %s exclude each other: both say what is asked"
                                   : "what is asked of the regions is missing: --target, --labels "
                                     "or --property%s",
                           classes ? args->target ? "--target" : "--labels" : "");
    if (args->layer && strcmp(args->layer, "auto") == 0)
        return nm_cli_fail(err, NM_E_ARG,
                           "regions go with a --layer that is named (default: all, jointly)");
    if (args->mask && args->layer)
        return nm_cli_fail(err, NM_E_ARG, "--mask and --layer exclude each other");
    if (args->mask && args->free_kind >= 0)
        return nm_cli_fail(err, NM_E_ARG, "--mask says what is free, --free goes with --layer");
    return NM_OK;
}

/* -- what is given ----------------------------------------------------------------------------- */

typedef struct region_data {
    nm_regions regions;
    nm_property *property;
    int64_t *targets;
    nm_points reference, test, similar;
} region_data;

static void free_data(region_data *d)
{
    nm_regions_free(&d->regions);
    nm_property_free(d->property);
    free(d->targets);
    nm_points_free(&d->reference);
    nm_points_free(&d->test);
    nm_points_free(&d->similar);
}

/* One class for all regions. */
static nm_status set_class(const nm_repair_args *args, int64_t n, int64_t *targets, nm_err *err)
{
    errno = 0;
    long long label = strtoll(args->target, NULL, 10);

    if (errno != 0)
        return nm_cli_fail(err, NM_E_ARG, "--target %s: no class", args->target);
    for (int64_t r = 0; r < n; r++)
        targets[r] = label;
    return NM_OK;
}

/* A file of classes, one for each region. */
static nm_status load_classes(nm_cli *cli, const char *path, int64_t n, int64_t *targets,
                              nm_err *err)
{
    nm_points labels = {0};
    nm_status rc = nm_points_load(cli->ctx, path, NULL, NULL, &labels, err);

    if (rc == NM_OK && (labels.n != n || labels.n_in != 1))
        rc = nm_cli_fail(err, NM_E_SHAPE,
                         "%s: %" PRId64 " rows of %" PRId64 " numbers, expected one class for each "
                         "of the %" PRId64 " regions",
                         path, labels.n, labels.n_in, n);
    for (int64_t r = 0; rc == NM_OK && r < n; r++) {
        targets[r] = (int64_t)labels.x[r];
        if ((double)targets[r] != (double)labels.x[r])
            rc = nm_cli_fail(err, NM_E_FORMAT, "%s: row %" PRId64 ": %g, expected a class", path, r,
                             (double)labels.x[r]);
    }
    nm_points_free(&labels);
    return rc;
}

static nm_status load_targets(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                              region_data *d, nm_err *err)
{
    const char *file = args->target ? args->target : args->inputs.labels;
    bool one = args->target && *file && strspn(file, "0123456789") == strlen(file);
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_cli_alloc(&d->targets, d->regions.n, sizeof *d->targets, err));
    if (one)
        NM_CLI_TRY(set_class(args, d->regions.n, d->targets, err));
    else
        NM_CLI_TRY(load_classes(cli, file, d->regions.n, d->targets, err));
    for (int64_t r = 0; r < d->regions.n; r++)
        if (d->targets[r] < 0 || d->targets[r] >= nm_net_n_out(net))
            return nm_cli_fail(err, one ? NM_E_ARG : NM_E_FORMAT,
                               "%s: class %" PRId64 ", the network has 0 to %" PRId64, file,
                               d->targets[r], nm_net_n_out(net) - 1);
done:
    return rc;
}

static nm_status load_regions(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                              region_data *d, nm_err *err)
{
    const char *path = args->regions ? args->regions : args->boxes;
    nm_status rc;

    if (path)
        return nm_regions_load(cli->ctx, path, args->boxes != NULL, nm_net_n_in(net), &d->regions,
                               err);
    rc = nm_regions_from_property(d->property, &d->regions, err);
    nm_cli_prefix(err, args->properties.v[0]);
    return rc;
}

/* --reference, else --keep: data whose outputs the function norm holds. */
static nm_status load_points(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                             region_data *d, nm_err *err)
{
    bool keep = !args->reference.path && args->keep.path;
    const nm_data_use reference = {.option = keep ? "--keep" : "--reference", .net = net};
    const nm_data_use test = {"--test", net, true, "--test-labels"};
    const nm_data_use similar = {"--similar", net, true, "--similar-labels"};
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_data_load(cli, keep ? &args->keep : &args->reference, &args->prep, &reference,
                            &d->reference, err));
    NM_CLI_TRY(nm_data_load(cli, &args->test, &args->prep, &test, &d->test, err));
    NM_CLI_TRY(nm_data_load(cli, &args->similar, &args->prep, &similar, &d->similar, err));
done:
    return rc;
}

static nm_status load_net(nm_cli *cli, nm_repair_args *args, region_data *d, nm_net **net,
                          nm_err *err)
{
    nm_status rc;

    if (args->properties.n == 0)
        return nm_net_load(cli->ctx, args->model, net, err);
    rc = nm_property_load(cli->ctx, args->properties.v[0], &d->property, err);
    if (rc != NM_OK)
        return rc;
    if (nm_property_n_boxes(d->property) == 0)
        return nm_cli_fail(err, NM_E_FORMAT,
                           "%s: no input meets the conditions on inputs, so there is nothing to "
                           "repair",
                           args->properties.v[0]);
    return nm_cli_load_for_property(cli, args->model, d->property, args->properties.v[0],
                                    &args->units, net, err);
}

/* -- report ----------------------------------------------------------------------------------- */

static json_t *list_regions(const nm_regions_report *report)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < report->n_regions; i++) {
        const nm_region_result *r = &report->regions[i];

        (void)json_array_append_new(
            list, json_pack("{s:I, s:s, s:b, s:I, s:o}", "region", (json_int_t)i, "proof",
                            nm_region_proof_name(r->proof), "proven_before", r->proven_before,
                            "parts", (json_int_t)r->n_parts, "least", nm_doc_number(r->least)));
    }
    return list;
}

static int64_t n_proven_before(const nm_regions_report *report)
{
    int64_t n = 0;

    for (int64_t i = 0; i < report->n_regions; i++)
        n += report->regions[i].proven_before;
    return n;
}

static void put_report(nm_cli *cli, const nm_repair_args *args, const nm_regions_report *report)
{
    char *json = nm_repair_report_json(&report->repair);
    bool written = report->repair.outcome == NM_REPAIRED;

    nm_doc_put(&cli->doc, "method", json_string("aprnn"));
    nm_doc_put(&cli->doc, "norm", json_string(nm_norm_name((nm_norm)args->norm)));
    nm_doc_merge(&cli->doc, json);
    nm_string_free(json);
    nm_doc_put(&cli->doc, "regions",
               json_pack("{s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:o}", "n",
                         (json_int_t)report->n_regions, "proven_before",
                         (json_int_t)n_proven_before(report), "proven",
                         (json_int_t)report->n_proven, "parts", (json_int_t)report->n_parts,
                         "vertices", (json_int_t)report->n_vertices, "programs", report->n_programs,
                         "rounds", report->rounds, "results", list_regions(report)));
    nm_doc_put_time(&cli->doc, "prove", report->s_prove);
    nm_doc_put(&cli->doc, "output", nm_doc_text(written ? args->output : NULL));
}

static void print_accuracy(FILE *out, const char *what, const nm_accuracy_report *a)
{
    if (a->n > 0)
        (void)fprintf(out, "  %-28s %.2f %% before, %.2f %% now, of %" PRId64 " points\n", what,
                      100 * a->before, 100 * a->after, a->n);
}

static void print_proofs(FILE *out, const nm_repair_args *args, const nm_regions_report *report)
{
    int64_t searched = 0;

    for (int64_t i = 0; i < report->n_regions; i++)
        searched += report->regions[i].proof == NM_REGION_SEARCH;
    (void)fprintf(out,
                  "  regions                      %" PRId64 " proven of %" PRId64 " (%" PRId64
                  " before), in %" PRId64 " parts with %" PRId64 " vertices\n",
                  report->n_proven, report->n_regions, n_proven_before(report), report->n_parts,
                  report->n_vertices);
    if (report->repair.outcome == NM_REPAIRED)
        (void)fprintf(out,
                      "  proven by                    %" PRId64 " by their linear region, %" PRId64
                      " by the verifier; for %s\n",
                      report->n_proven - searched, searched,
                      args->safe == NM_SAFE_NONE ? "real arithmetic" : "any float32 evaluation");
}

static void print_report(FILE *out, const nm_repair_args *args, const nm_regions_report *report)
{
    const nm_repair_report *r = &report->repair;
    bool written = r->outcome == NM_REPAIRED;

    (void)fprintf(out, "%s: ", nm_outcome_name(r->outcome));
    if (written)
        (void)fputs(r->n_changed > 0 ? "every input of every region is right, in the network as "
                                       "written\n"
                                     : "all regions are right already, nothing was changed\n",
                    out);
    else
        (void)fprintf(out, "%s\n", r->reason);
    print_proofs(out, args, report);
    (void)fprintf(out, "  vertices                     %" PRId64 " right before",
                  r->repair.right_before);
    if (written)
        (void)fprintf(out, ", %" PRId64 " now", r->repair.right_after);
    (void)fprintf(out, ", of %" PRId64 "\n", r->repair.n);
    (void)fprintf(
        out, "  steps                        %d programs in %d rounds (%.1f s), proofs %.1f s\n",
        report->n_programs, report->rounds, r->s_solve, report->s_prove);
    if (written)
        (void)fprintf(out,
                      "  change                       linf %.4g, l1 %.4g, l2 %.4g (%" PRId64
                      " of %" PRId64 " parameters), margin %.3g\n",
                      r->change_linf, r->change_l1, r->change_l2, r->n_changed, r->n_free,
                      r->margin);
    if (written) {
        print_accuracy(out, "test", &r->test);
        print_accuracy(out, "similar", &r->similar);
    }
    (void)fprintf(out, written ? "wrote %s\n" : "%s was not written\n", args->output);
}

/* -- run -------------------------------------------------------------------------------------- */

static nm_regions_opts options(const nm_repair_args *args)
{
    nm_regions_opts opts = NM_REGIONS_OPTS_INIT;

    opts.repair = nm_repair_args_opts(args);
    opts.max_parts = args->max_parts;
    return opts;
}

nm_status nm_repair_regions_run(nm_cli *cli, nm_repair_args *args, nm_err *err)
{
    region_data data = {0};
    nm_regions_report report = {0};
    nm_regions_opts opts;
    nm_layer_use use = {0};
    nm_net *net = NULL;
    nm_plan *plan = NULL;
    double start = nm_term_now();
    nm_status rc = NM_OK;

    args->method = NM_METHOD_APRNN;
    nm_repair_args_fill(args);
    if (!args->layer && !args->mask) {
        args->layer = "all";
        args->joint = true;
    }
    NM_CLI_TRY(load_net(cli, args, &data, &net, err));
    NM_CLI_TRY(load_regions(cli, args, net, &data, err));
    if (!data.property)
        NM_CLI_TRY(load_targets(cli, args, net, &data, err));
    NM_CLI_TRY(load_points(cli, args, net, &data, err));
    NM_CLI_TRY(nm_layer_use_open(cli, args, net, &use, &plan, err));
    nm_doc_put_time(&cli->doc, "load", nm_term_now() - start);
    nm_regions_task task = {.regions = &data.regions,
                            .targets = data.targets,
                            .property = data.property,
                            .decision = (nm_decision)args->decision,
                            .reference = data.reference.n > 0 ? &data.reference : NULL,
                            .test = data.test.n > 0 ? &data.test : NULL,
                            .similar = data.similar.n > 0 ? &data.similar : NULL};

    opts = options(args);
    NM_CLI_TRY(
        nm_repair_regions(cli->ctx, net, plan, &task, &opts, args->output, NULL, &report, err));
    cli->status = nm_outcome_name(report.repair.outcome);
    cli->exit_code = nm_cli_outcome_exit_code(cli, report.repair.outcome);
    if (cli->common->json)
        put_report(cli, args, &report);
    if (nm_cli_text(cli))
        print_report(nm_cli_text(cli), args, &report);
done:
    nm_regions_report_free(&report);
    free_data(&data);
    nm_layer_use_close(&use);
    nm_plan_free(plan);
    nm_net_free(net);
    return rc;
}
