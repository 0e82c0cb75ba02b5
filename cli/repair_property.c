#include "repair_property.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "repair_layer.h"
#include "verify_net.h"

typedef struct property_files {
    int n, n_repair;
    const char *path[2 * NM_OPT_MAX_LIST];
    nm_property *property[2 * NM_OPT_MAX_LIST];
} property_files;

nm_status nm_repair_property_check(const nm_repair_args *args, nm_err *err)
{
    if (args->inputs.path)
        return nm_cli_fail(err, NM_E_ARG, "--inputs and --property exclude each other");
    if (args->method != NM_METHOD_POINTWISE)
        return nm_cli_fail(err, NM_E_ARG, "--property goes with --method pointwise");
    if (args->edit || (args->layer && strcmp(args->layer, "auto") == 0))
        return nm_cli_fail(err, NM_E_ARG,
                           "--property goes with a --layer that is named (default: last)");
    if (args->mask && args->layer)
        return nm_cli_fail(err, NM_E_ARG, "--mask and --layer exclude each other");
    if (args->norm_includes_outputs)
        return nm_cli_fail(err, NM_E_ARG, "--norm-includes-outputs does not go with --property");
    if (args->strategy != NM_STRATEGY_FULL || args->curve || args->elastic)
        return nm_cli_fail(err, NM_E_ARG, "--%s does not go with --property",
                           args->curve     ? "curve"
                           : args->elastic ? "elastic"
                                           : "strategy");
    return NM_OK;
}

static void close_files(property_files *files)
{
    for (int i = 0; i < files->n; i++)
        nm_property_free(files->property[i]);
}

static nm_status load_files(nm_cli *cli, const nm_repair_args *args, property_files *files,
                            nm_err *err)
{
    nm_status rc = NM_OK;

    files->n_repair = args->properties.n;
    for (int i = 0; rc == NM_OK && i < args->properties.n + args->keep_properties.n; i++) {
        files->path[i] = i < files->n_repair ? args->properties.v[i]
                                             : args->keep_properties.v[i - files->n_repair];
        rc = nm_property_load(cli->ctx, files->path[i], &files->property[i], err);
        files->n += rc == NM_OK;
    }
    return rc;
}

static void warn(nm_cli *cli, const property_files *files)
{
    for (int i = 0; i < files->n; i++) {
        const nm_property *p = files->property[i];

        if (nm_property_n_boxes(p) == 0)
            nm_cli_warn(cli, "%s: no input meets the conditions on inputs, so it holds",
                        files->path[i]);
        else if (nm_property_n_empty(p) > 0)
            nm_cli_warn(cli, "%s: %" PRId64 " disjuncts that no input can meet were dropped",
                        files->path[i], nm_property_n_empty(p));
    }
}

/* -- report ----------------------------------------------------------------------------------- */

static json_t *list_files(const property_files *files, const nm_property_report *report)
{
    json_t *list = json_array();

    for (int i = 0; i < files->n; i++)
        (void)json_array_append_new(
            list,
            json_pack("{s:o, s:b, s:s, s:s, s:I}", "file", nm_doc_text(files->path[i]), "repaired",
                      i < files->n_repair, "before", nm_verdict_name(report->before[i]), "after",
                      nm_verdict_name(report->repair.outcome == NM_REPAIRED
                                          ? report->after[i].verdict
                                          : report->before[i]),
                      "nodes", (json_int_t)report->after[i].n_nodes));
    return list;
}

static void put_report(nm_cli *cli, const nm_repair_args *args, const property_files *files,
                       const nm_property_report *report, const char *claim)
{
    char *json = nm_repair_report_json(&report->repair);
    bool written = report->repair.outcome == NM_REPAIRED;

    nm_doc_put(&cli->doc, "method", json_string(nm_repair_method_name(args)));
    nm_doc_put(&cli->doc, "norm", json_string(nm_norm_name((nm_norm)args->norm)));
    nm_doc_merge(&cli->doc, json);
    nm_string_free(json);
    nm_doc_put(&cli->doc, "property",
               json_pack("{s:s, s:I, s:i, s:i, s:b, s:o}", "status",
                         nm_verdict_name(report->verdict), "counterexamples",
                         (json_int_t)report->n_counterexamples, "rounds", report->rounds, "proofs",
                         report->n_proofs, "already", report->already, "files",
                         list_files(files, report)));
    if (args->pieces == NM_PIECES_EXACT)
        nm_doc_put(&cli->doc, "pieces",
                   json_pack("{s:s, s:I, s:b}", "choice", "exact", "programs",
                             (json_int_t)report->n_piece_programs, "proven",
                             report->pieces_proven));
    nm_doc_put(&cli->doc, "random",
               json_pack("{s:b, s:I, s:o, s:o}", "held", report->held, "n",
                         (json_int_t)report->n_random, "changed", nm_doc_number(report->changed),
                         "drawdown_points", nm_doc_number(100 * report->changed)));
    nm_doc_put_time(&cli->doc, "attack", report->s_hunt);
    nm_doc_put_time(&cli->doc, "verify", report->s_verify);
    nm_doc_put_time(&cli->doc, "repair", report->s_repair);
    nm_doc_put(&cli->doc, "claim", nm_doc_text(claim));
    nm_doc_put(&cli->doc, "output", nm_doc_text(written ? args->output : NULL));
}

static void print_properties(FILE *out, const property_files *files,
                             const nm_property_report *report)
{
    for (int i = 0; i < files->n; i++) {
        (void)fprintf(out, "  %-28s %s before", files->path[i], nm_verdict_name(report->before[i]));
        if (report->repair.outcome == NM_REPAIRED)
            (void)fprintf(out, ", %s now (%" PRId64 " parts)",
                          nm_verdict_name(report->after[i].verdict), report->after[i].n_nodes);
        (void)fputc('\n', out);
    }
}

/* What --pieces exact has found out. */
static void print_pieces(FILE *out, const nm_property_report *report)
{
    (void)fprintf(out, "  choice of conditions         ");
    if (report->n_piece_programs == 0)
        (void)fputs("none: no counterexample has several\n", out);
    else if (report->pieces_proven)
        (void)fprintf(out, "proven: no other one makes the change smaller (%" PRId64 " programs)\n",
                      report->n_piece_programs);
    else if (isfinite(report->repair.gap))
        (void)fprintf(out, "within %.3g %% of the smallest change (%" PRId64 " programs)\n",
                      100 * report->repair.gap, report->n_piece_programs);
    else
        (void)fprintf(out, "the best that was found, nothing proven (%" PRId64 " programs)\n",
                      report->n_piece_programs);
}

static void print_report(FILE *out, const nm_repair_args *args, const property_files *files,
                         const nm_property_report *report, const char *claim)
{
    const nm_repair_report *r = &report->repair;

    (void)fprintf(out, "%s: ", nm_outcome_name(r->outcome));
    if (report->already)
        (void)fputs("all properties hold already, nothing was changed\n", out);
    else if (r->outcome == NM_REPAIRED)
        (void)fprintf(out, "proven for the network as written\n");
    else
        (void)fprintf(out, "%s\n", r->reason);
    print_properties(out, files, report);
    if (!report->already)
        (void)fprintf(out,
                      "  counterexamples              %" PRId64
                      " in %d repairs (%.1f s), %d proofs "
                      "(%.1f s), attacks %.1f s\n",
                      report->n_counterexamples, report->rounds, report->s_repair, report->n_proofs,
                      report->s_verify, report->s_hunt);
    if (r->outcome == NM_REPAIRED && !report->already) {
        (void)fprintf(out, "  changed layer                %s\n",
                      args->layer ? args->layer : args->mask);
        (void)fprintf(out,
                      "  change                       linf %.4g, l1 %.4g, l2 %.4g (%" PRId64
                      " of %" PRId64 " parameters), margin %.3g\n",
                      r->change_linf, r->change_l1, r->change_l2, r->n_changed, r->n_free,
                      r->margin);
        if (args->pieces == NM_PIECES_EXACT)
            print_pieces(out, report);
        (void)fprintf(out,
                      "  elsewhere                    %.3f %% of %" PRId64
                      " random inputs are decided otherwise%s\n",
                      100 * report->changed, report->n_random,
                      report->held ? "" : " (they could not all be held)");
    }
    if (r->outcome == NM_REPAIRED)
        (void)fprintf(out, "wrote %s\n", args->output);
    else
        (void)fprintf(out, "%s was not written\n", args->output);
    if (claim)
        (void)fprintf(out, "wrote %s, for `netmend check %s - %s`\n", claim, args->output, claim);
}

/* -- claims ----------------------------------------------------------------------------------- */

/* "claim.json" for the first property, "claim.json.2" for the second ... */
static nm_status write_claims(nm_cli *cli, const nm_repair_args *args, const property_files *files,
                              const nm_property_report *report, const char **claim, nm_err *err)
{
    double start = nm_term_now();
    nm_status rc = NM_OK;

    *claim = NULL;
    if (!args->claim || report->repair.outcome != NM_REPAIRED)
        return NM_OK;
    for (int i = 0; rc == NM_OK && i < files->n; i++) {
        nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
        size_t room = strlen(args->claim) + 16;
        char *path = malloc(room);

        if (!path)
            return nm_cli_fail(err, NM_E_NOMEM, "out of memory");
        (void)snprintf(path, room, i ? "%s.%d" : "%s", args->claim, i + 1);
        opts.certify = true;
        opts.seed = (uint64_t)args->common.seed;
        rc = nm_claim_write_property(cli->ctx, args->output, files->path[i], &opts,
                                     &report->after[i], path, err);
        if (rc == NM_OK && i == 0)
            *claim = args->claim;
        if (rc == NM_E_ARG || rc == NM_E_UNSUPPORTED || rc == NM_E_LIMIT) {
            nm_cli_warn(cli, "%s was not written: %s", path, err->text);
            *err = (nm_err){0};
            rc = NM_OK;
        }
        free(path);
    }
    nm_doc_put_time(&cli->doc, "claim", nm_term_now() - start);
    return rc;
}

/* -- run -------------------------------------------------------------------------------------- */

static nm_status set_range(const nm_repair_args *args, const nm_net *net, double **range,
                           nm_property_task *task, nm_err *err)
{
    int64_t n = nm_net_n_in(net);
    nm_status rc;

    if (!isfinite(args->range.lo) || !isfinite(args->range.hi))
        return NM_OK;
    rc = nm_cli_alloc(range, 2 * n, sizeof **range, err);
    for (int64_t i = 0; rc == NM_OK && i < n; i++) {
        (*range)[i] = args->range.lo;
        (*range)[n + i] = args->range.hi;
    }
    task->lo = *range;
    task->hi = *range ? *range + n : NULL;
    return rc;
}

/* --reference, else --keep: data whose outputs the function norm holds. */
static nm_status load_reference(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                                nm_points *points, nm_property_task *task, nm_err *err)
{
    bool keep = !args->reference.path && args->keep.path;
    nm_data_use use = {.option = keep ? "--keep" : "--reference", .net = net};
    nm_status rc =
        nm_data_load(cli, keep ? &args->keep : &args->reference, &args->prep, &use, points, err);

    task->reference = points->n > 0 ? points->x : NULL;
    task->n_reference = points->n;
    return rc;
}

static nm_property_opts options(const nm_repair_args *args)
{
    nm_property_opts opts = NM_PROPERTY_OPTS_INIT;

    opts.repair = nm_repair_args_opts(args);
    opts.pieces = (nm_pieces)args->pieces;
    opts.max_nodes = args->max_nodes;
    opts.decision = (nm_decision)args->decision;
    return opts;
}

/* In the layer that was named; else in the last one in which all decisions elsewhere can be held,
   and where there is none, in the last layer without that. */
static nm_status try_layers(nm_cli *cli, nm_repair_args *args, const nm_net *net,
                            const nm_property_task *task, nm_property_opts *opts, nm_layer_use *use,
                            nm_plan **plan, nm_property_report *report, nm_err *err)
{
    static const char *const order[] = {"last", "-2", "-3", "last"};
    enum { N_ORDER = sizeof order / sizeof *order };
    bool named = args->layer || args->mask;
    nm_status rc = NM_OK;

    for (int i = 0; i < (named ? 1 : N_ORDER); i++) {
        if (!named && i < N_ORDER - 1 && i >= nm_net_n_layers(net))
            continue;
        args->layer = named ? args->layer : order[i];
        opts->must_hold = !named && i < N_ORDER - 1;
        nm_property_report_free(report);
        nm_plan_free(*plan);
        *plan = NULL;
        NM_CLI_TRY(nm_layer_use_open(cli, args, net, use, plan, err));
        NM_CLI_TRY(nm_repair_property(cli->ctx, net, *plan, task, opts, args->output, report, err));
        if (!report->lost_hold)
            break;
    }
done:
    return rc;
}

nm_status nm_repair_property_run(nm_cli *cli, nm_repair_args *args, nm_err *err)
{
    property_files files = {0};
    nm_property_task task = {0};
    nm_property_report report = {0};
    nm_property_opts opts;
    nm_points reference = {0};
    nm_layer_use use = {0};
    nm_net *net = NULL;
    nm_plan *plan = NULL;
    double *range = NULL, start = nm_term_now();
    const char *claim;
    nm_status rc = NM_OK;

    if (args->norm < 0)
        args->norm = NM_NORM_FUNCTION;
    if (!args->mask && args->free_kind < 0)
        args->free_kind = NM_FREE_ALL;
    opts = options(args);
    NM_CLI_TRY(load_files(cli, args, &files, err));
    NM_CLI_TRY(nm_cli_load_for_property(cli, args->model, files.property[0], files.path[0],
                                        &args->units, &net, err));
    task = (nm_property_task){.properties = (const nm_property *const *)files.property,
                              .n_properties = files.n,
                              .n_repair = files.n_repair};
    NM_CLI_TRY(set_range(args, net, &range, &task, err));
    NM_CLI_TRY(load_reference(cli, args, net, &reference, &task, err));
    warn(cli, &files);
    nm_doc_put_time(&cli->doc, "load", nm_term_now() - start);
    NM_CLI_TRY(try_layers(cli, args, net, &task, &opts, &use, &plan, &report, err));
    NM_CLI_TRY(write_claims(cli, args, &files, &report, &claim, err));
    cli->status = nm_outcome_name(report.repair.outcome);
    cli->exit_code = nm_cli_outcome_exit_code(cli, report.repair.outcome);
    if (cli->common->json)
        put_report(cli, args, &files, &report, claim);
    if (nm_cli_text(cli))
        print_report(nm_cli_text(cli), args, &files, &report, claim);
done:
    nm_property_report_free(&report);
    nm_points_free(&reference);
    nm_layer_use_close(&use);
    nm_plan_free(plan);
    nm_net_free(net);
    free(range);
    close_files(&files);
    return rc;
}
