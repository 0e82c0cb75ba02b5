/* netmend repair: the smallest change of weights that makes given inputs right. */
#include <inttypes.h>
#include <stdlib.h>

#include "places.h"
#include "repair_claim.h"
#include "repair_curve.h"
#include "repair_data.h"
#include "repair_layer.h"
#include "repair_minimal.h"
#include "repair_property.h"
#include "repair_regions.h"
#include "repair_report.h"

/* -- output ------------------------------------------------------------------------------------ */

/* Rows of the file behind indices into a set. */
static json_t *file_rows(const nm_points *points, const int64_t *indices, int64_t n)
{
    json_t *array = json_array();

    for (int64_t i = 0; i < n; i++)
        if (json_array_append_new(array, json_integer(points->rows[indices[i]])) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

/* With --elastic: rows of the file of the points that were left out, here and in the reasons. */
static void put_unrepaired_rows(nm_doc *doc, const nm_points *points,
                                const nm_repair_report *report)
{
    json_t *rows = json_array(), *reasons = json_object_get(doc->verb_keys, "unrepaired_reasons");

    for (int64_t i = 0; i < report->n_unrepaired; i++) {
        int64_t row = points->rows[report->unrepaired[i].point];

        (void)json_array_append_new(rows, json_integer(row));
        (void)json_object_set_new(json_array_get(reasons, (size_t)i), "row", json_integer(row));
    }
    nm_doc_put(doc, "unrepaired_rows", rows);
}

/* Which candidates are repaired, in the order of the heuristic. */
static json_t *selection(const nm_repair_args *args, const nm_repair_data *data)
{
    json_t *scores = json_array();

    for (int64_t i = 0; i < data->chosen.n; i++)
        (void)json_array_append_new(scores, nm_doc_number(data->chosen.scores[i]));
    return json_pack("{s:s, s:I, s:I, s:o, s:o}", "heuristic", args->select, "n_candidates",
                     (json_int_t)data->n_candidates, "n", (json_int_t)data->chosen.n, "rows",
                     nm_doc_ints(data->repair.rows, data->repair.n), "scores", scores);
}

static bool is_written(const nm_repair_report *report)
{
    return report->outcome == NM_REPAIRED || report->outcome == NM_PARTLY;
}

/* What the repair set is like; left out where time is up. */
static void put_set(nm_cli *cli, const nm_net *net, const nm_repair_task *task)
{
    nm_set_analysis set;
    nm_err ignored = {0};
    char *json;

    if (nm_set_analyse(cli->ctx, net, task, &set, &ignored) != NM_OK)
        return;
    json = nm_set_analysis_json(&set);
    nm_doc_put(&cli->doc, "set", json ? json_loads(json, 0, NULL) : NULL);
    nm_doc_put_time(&cli->doc, "analyse", set.seconds);
    nm_string_free(json);
    nm_set_analysis_free(&set);
}

static void put_report(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                       const nm_repair_data *data, const nm_repair_task *task,
                       const nm_repair_report *report, bool claimed)
{
    char *json = nm_repair_report_json(report);

    nm_doc_put(&cli->doc, "method", json_string(nm_repair_method_name(args)));
    nm_doc_put(&cli->doc, "norm", json_string(nm_norm_name((nm_norm)args->norm)));
    nm_doc_merge(&cli->doc, json);
    nm_string_free(json);
    nm_doc_put(&cli->doc, "selection", selection(args, data));
    put_set(cli, net, task);
    nm_doc_put(&cli->doc, "conflict_rows",
               file_rows(&data->repair, report->conflict, report->n_conflict));
    if (report->n_unrepaired > 0)
        put_unrepaired_rows(&cli->doc, &data->repair, report);
    nm_doc_put(&cli->doc, "claim", nm_doc_text(claimed ? args->claim : NULL));
    nm_doc_put(&cli->doc, "output", nm_doc_text(is_written(report) ? args->output : NULL));
}

static void print_task(FILE *out, const nm_repair_args *args, const nm_repair_data *data,
                       const nm_net *net, const nm_plan *plan, const nm_layer_use *use)
{
    const char *separator = " ";

    (void)fprintf(out, "%s: %" PRId64 " of %" PRId64 " points of %s to repair\n", args->model,
                  data->repair.n, data->n_candidates, args->inputs.path);
    (void)fprintf(out, "changing layer");
    for (int i = 0; i < nm_net_n_layers(net); i++) {
        nm_layer_info layer;
        nm_err ignored = {0};

        if (!nm_plan_edits(plan, i) || nm_net_layer_info(net, i, &layer, &ignored) != NM_OK)
            continue;
        (void)fprintf(out, "%s%d '%s'", separator, i, layer.name);
        separator = ", ";
    }
    (void)fprintf(out, " (%" PRId64 " parameters)", nm_plan_n_free(plan));
    nm_layer_use_print(out, args, use);
}

/* Rows of the file, where they are not the indices that the report names. */
static void print_rows(FILE *out, const char *what, const nm_points *points, const int64_t *indices,
                       int64_t n)
{
    enum { MAX_SHOWN = 20 };
    bool same = true;

    for (int64_t i = 0; i < n; i++)
        same = same && points->rows[indices[i]] == indices[i];
    if (same)
        return;
    (void)fprintf(out, "%s", what);
    for (int64_t i = 0; i < n && i < MAX_SHOWN; i++)
        (void)fprintf(out, "%s%" PRId64, i ? ", " : " ", points->rows[indices[i]]);
    (void)fprintf(out, "%s\n", n > MAX_SHOWN ? ", ..." : "");
}

static void print_left_out_rows(FILE *out, const nm_repair_data *data,
                                const nm_repair_report *report)
{
    int64_t *points = calloc((size_t)report->n_unrepaired + 1, sizeof *points);

    for (int64_t i = 0; points && i < report->n_unrepaired; i++)
        points[i] = report->unrepaired[i].point;
    if (points)
        print_rows(out, "  those left out are rows of the input file:", &data->repair, points,
                   report->n_unrepaired);
    free(points);
}

static nm_status print_report(FILE *out, const nm_repair_args *args, const nm_repair_data *data,
                              const nm_repair_report *report, bool claimed, nm_err *err)
{
    char *text = nm_repair_report_text(report);

    if (!text)
        return nm_cli_fail(err, NM_E_NOMEM, "out of memory");
    (void)fputs(text, out);
    nm_string_free(text);
    print_rows(out, "  these are rows of the input file:", &data->repair, report->conflict,
               report->n_conflict);
    print_left_out_rows(out, data, report);
    print_rows(out, "  and rows of the keep file:", &data->keep, report->conflict_keep,
               report->n_conflict_keep);
    if (is_written(report))
        (void)fprintf(out, "wrote %s\n", args->output);
    else
        (void)fprintf(out, "%s was not written\n", args->output);
    if (claimed)
        (void)fprintf(out, "wrote %s, for `netmend check`\n", args->claim);
    else if (args->claim)
        (void)fprintf(out, "%s was not written\n", args->claim);
    return NM_OK;
}

static void put_passes(nm_cli *cli, const nm_repair_args *args, const nm_strategy_report *passes)
{
    char *json;

    if (args->strategy == NM_STRATEGY_FULL)
        return;
    json = nm_strategy_json(passes);
    nm_doc_merge(&cli->doc, json);
    nm_string_free(json);
}

static void print_passes(FILE *out, const nm_repair_args *args, const nm_strategy_report *passes)
{
    char *text = args->strategy == NM_STRATEGY_FULL ? NULL : nm_strategy_text(passes);

    (void)fputs(text ? text : "", out);
    nm_string_free(text);
}

/* In the layer of the plan; where the layer was chosen, the next ones, too, until one does. */
static nm_status repair(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                        const nm_repair_task *task, const nm_repair_opts *opts, nm_layer_use *use,
                        nm_plan **plan, nm_net **fixed, nm_repair_report *report,
                        nm_strategy_report *passes, nm_err *err)
{
    nm_strategy_opts how = nm_repair_args_strategy(args);
    bool more = true;
    nm_status rc = NM_OK;

    while (more) {
        nm_repair_report_free(report);
        nm_strategy_report_free(passes);
        NM_CLI_TRY(nm_strategy_run(cli->ctx, net, *plan, task, opts, &how, args->output,
                                   args->report ? fixed : NULL, report, passes, err));
        NM_CLI_TRY(nm_layer_use_next(cli, args, net, report, use, plan, &more, err));
    }
done:
    return rc;
}

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    nm_repair_args *args = args_memory;
    nm_repair_opts opts;
    nm_status rc = NM_OK;
    nm_net *net = NULL, *fixed = NULL;
    nm_plan *plan = NULL;
    nm_repair_data data = {0};
    nm_repair_task task;
    nm_repair_report report = {0};
    nm_strategy_report passes = {0};
    nm_layer_use use = {0};
    nm_curve curve = {0};
    nm_contest contest = {0};
    bool claimed;
    double start = nm_term_now();
    FILE *out;

    NM_CLI_TRY(nm_repair_args_check(args, err));
    NM_CLI_TRY(nm_repair_claim_check(args, err));
    NM_CLI_TRY(nm_cli_can_write(args->output, err));
    NM_CLI_TRY(nm_cli_can_write(args->report, err));
    if (nm_repair_regions_asked(args))
        return nm_repair_regions_run(cli, args, err);
    if (nm_repair_args_property(args))
        return nm_repair_property_run(cli, args, err);
    NM_CLI_TRY(nm_curve_check(args, err));
    nm_repair_args_fill(args);
    opts = nm_repair_args_opts(args);
    NM_CLI_TRY(nm_net_load(cli->ctx, args->model, &net, err));
    NM_CLI_TRY(nm_layer_use_open(cli, args, net, &use, &plan, err));
    NM_CLI_TRY(nm_repair_data_load(cli, args, net, &data, err));
    nm_doc_put_time(&cli->doc, "load", nm_term_now() - start);
    task = nm_repair_data_task(&data);
    NM_CLI_TRY(nm_layer_use_choose(cli, args, net, &task, data.pool.n > 0 ? &data.pool : NULL,
                                   &opts, &use, &plan, err));
    NM_CLI_TRY(nm_contest_run(cli, args, net, &task, &opts, &plan, &contest, err));
    NM_CLI_TRY(repair(cli, args, net, &task, &opts, &use, &plan, &fixed, &report, &passes, err));
    NM_CLI_TRY(nm_repair_claim_write(cli, args, net, plan, &data, &opts, &report, &claimed, err));
    cli->status = nm_outcome_name(report.outcome);
    cli->exit_code = nm_cli_outcome_exit_code(cli, report.outcome);
    if (report.stopped && report.outcome == NM_PARTLY && cli->exit_code == NM_EXIT_DONE)
        cli->exit_code = NM_EXIT_LIMIT;
    nm_layer_use_put(cli, args, &use);
    put_passes(cli, args, &passes);
    nm_contest_put(cli, &contest);
    if (cli->common->json || args->report)
        put_report(cli, args, net, &data, &task, &report, claimed);
    NM_CLI_TRY(nm_curve_trace(cli, args, net, plan, &task, &opts, &report, &curve, err));
    NM_CLI_TRY(nm_repair_report_put(cli, args, net, fixed, &task, &opts, err));
    out = nm_cli_text(cli);
    if (out) {
        print_task(out, args, &data, net, plan, &use);
        print_passes(out, args, &passes);
        nm_contest_print(out, &contest);
        NM_CLI_TRY(print_report(out, args, &data, &report, claimed, err));
        nm_curve_print(out, args, &curve);
    }
done:
    nm_repair_report_free(&report);
    nm_strategy_report_free(&passes);
    nm_repair_data_free(&data);
    nm_layer_use_close(&use);
    nm_curve_free(&curve);
    nm_contest_free(&contest);
    nm_plan_free(plan);
    nm_net_free(fixed);
    nm_net_free(net);
    return rc;
}

const nm_verb nm_verb_repair = {
    .name = "repair",
    .summary = "change a network as little as possible until given inputs are right",
    .synopsis = "MODEL (-x FILE [-y FILE | --spec FILE] | --property FILE |\n"
                "                      --regions FILE --target CLASS) -o OUT.onnx [OPTIONS]",
    .description = "Finds the smallest change of the weights of a layer with which the network "
                   "classifies all\nrepair points as wanted, writes the repaired network, and "
                   "checks the points on the file. With --property, it "
                   "goes on until\nthe property is proven.",
    .exit_codes = NM_REPAIR_EXIT_CODES,
    .examples = {"netmend repair moons.onnx -x bad_x.npy -y bad_y.npy --layer 2 -o fixed.onnx",
                 "netmend repair mnist.onnx -x fog.npy -y fog_labels.npy --select Misclassified "
                 "--size 50\n      --keep train.npz --test t10k-images-idx3-ubyte.gz "
                 "--test-labels t10k-labels-idx1-ubyte.gz\n      --layer 1.. --norm linf+l1n "
                 "-o fixed.onnx"},
    .groups = nm_repair_groups,
    .args_bytes = sizeof(nm_repair_args),
    .run = run,
};
