/* netmend verify: whether a property holds for all inputs. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "verify_net.h"

enum { MOST_SHOWN = 20 }; /* inputs of a counterexample in the text report */

typedef struct verify_args {
    nm_common_opts common;
    const char *model, *property, *vnncomp, *claim;
    int semantics, units;
    bool no_attack;
    int64_t max_nodes;
} verify_args;

#define AT(field) .offset = offsetof(verify_args, field)

static const char *const semantics_names[] = {"real", "float32", NULL};

static const char *const units_names[] = {"auto", "raw", "normalised", NULL};

static const nm_opt argument_rows[] = {{.name = "MODEL",
                                        .kind = NM_OPT_PATH,
                                        .positional = true,
                                        .required = true,
                                        AT(model),
                                        .help = "network, .onnx or .nnet"},
                                       {.name = "PROPERTY",
                                        .kind = NM_OPT_PATH,
                                        .positional = true,
                                        .required = true,
                                        AT(property),
                                        .help = "what must not happen, .vnnlib or .vnnlib.gz"},
                                       {0}};

static const nm_opt verify_rows[] = {
    {.name = "semantics",
     .kind = NM_OPT_CHOICE,
     AT(semantics),
     .choices = semantics_names,
     .initial = "real",
     .arg = "WHAT",
     .help = "what a proof speaks of: real arithmetic on the weights of the file, or every float32 "
             "evaluation whatever its order of summation (float32)"},
    {.name = "units",
     .kind = NM_OPT_CHOICE,
     AT(units),
     .choices = units_names,
     .initial = "auto",
     .arg = "WHAT",
     .help =
         "of a .nnet network: whether the property is about raw or normalised values; auto asks "
         "the range of inputs that the file states"},
    {.name = "no-attack",
     .kind = NM_OPT_FLAG,
     AT(no_attack),
     .help = "do not look for counterexamples but by splitting"},
    {.name = "max-nodes",
     .kind = NM_OPT_INT,
     AT(max_nodes),
     .arg = "N",
     .min = 0,
     .max = INFINITY,
     .initial = "none",
     .word = "none",
     .word_value = -1,
     .help = "stop after this many parts of the input set"},
    {.name = "vnncomp",
     .kind = NM_OPT_PATH,
     AT(vnncomp),
     .arg = "FILE",
     .help = "write the competition's result file: unsat, sat and a point, unknown, timeout or "
             "error"},
    {.name = "claim",
     .kind = NM_OPT_PATH,
     AT(claim),
     .arg = "FILE",
     .help = "write the proof, or the counterexample, for `netmend check MODEL - FILE`"},
    {0}};

static const nm_opt_group groups[] = {
    {"Arguments", argument_rows, 0}, {"Verification", verify_rows, 0}, NM_COMMON_GROUP, {0}};

/* -- report ----------------------------------------------------------------------------------- */

static json_t *numbers(const float *x, int64_t n)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < n; i++)
        if (json_array_append_new(list, nm_doc_number((double)x[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *counterexample(const nm_verify_report *report)
{
    if (report->verdict != NM_VERDICT_VIOLATED)
        return json_null();
    return json_pack("{s:o, s:o, s:o}", "x", numbers(report->x, report->n_in), "y",
                     numbers(report->y, report->n_out), "margin", nm_doc_number(report->margin));
}

static void put_report(nm_cli *cli, const nm_property *property, const nm_verify_report *report)
{
    nm_doc_put(&cli->doc, "reason", nm_doc_text(report->reason));
    nm_doc_put(&cli->doc, "counterexample", counterexample(report));
    nm_doc_put(&cli->doc, "nodes", json_integer(report->n_nodes));
    nm_doc_put(&cli->doc, "open", json_integer(report->n_open));
    nm_doc_put(&cli->doc, "worst_bound", nm_doc_number(report->worst_bound));
    nm_doc_put(&cli->doc, "share_proved", nm_doc_number(report->share_proved));
    nm_doc_put(&cli->doc, "boxes", json_integer(nm_property_n_boxes(property)));
    nm_doc_put(&cli->doc, "cases", json_integer(nm_property_n_cases(property)));
    nm_doc_put(&cli->doc, "centre_violates", json_boolean(report->centre_violates));
    nm_doc_put_time(&cli->doc, "attack", report->attack_s);
    nm_doc_put_time(&cli->doc, "search", report->search_s);
}

static void print_values(FILE *out, char letter, const float *values, int64_t n)
{
    for (int64_t i = 0; i < n && i < MOST_SHOWN; i++)
        (void)fprintf(out, "    %c_%-4" PRId64 " %.9g\n", letter, i, (double)values[i]);
    if (n > MOST_SHOWN)
        (void)fprintf(out, "    ... and %" PRId64 " more; --vnncomp and --json have all\n",
                      n - MOST_SHOWN);
}

static void print_counterexample(FILE *out, const nm_verify_report *report)
{
    if (isfinite(report->margin))
        (void)fprintf(out, "  margin      %.3g (least of its float32 and float64 replays)\n",
                      report->margin);
    (void)fputs("  counterexample\n", out);
    print_values(out, 'X', report->x, report->n_in);
    print_values(out, 'Y', report->y, report->n_out);
}

static void print_report(FILE *out, const verify_args *args, const nm_verify_report *report)
{
    (void)fprintf(out, "%s with %s\n", args->property, args->model);
    (void)fprintf(out, "  %-11s %s\n", nm_verdict_name(report->verdict), report->reason);
    if (report->verdict == NM_VERDICT_HOLDS)
        (void)fprintf(out, "  proved for  %s\n",
                      args->semantics == NM_SEMANTICS_REAL
                          ? "real arithmetic on the weights of the file"
                          : "every float32 evaluation, in any order of summation");
    if (report->n_nodes > 0)
        (void)fprintf(out, "  parts       %" PRId64 " bounded, %" PRId64 " left open\n",
                      report->n_nodes, report->n_open);
    if (report->n_nodes > 0 && report->verdict != NM_VERDICT_VIOLATED)
        (void)fprintf(out, "  worst bound %.3g\n", report->worst_bound);
    if (report->verdict == NM_VERDICT_UNKNOWN)
        (void)fprintf(out, "  proved      %.2f %% of the volume\n", 100 * report->share_proved);
    if (report->verdict == NM_VERDICT_VIOLATED)
        print_counterexample(out, report);
}

static void warn(nm_cli *cli, const verify_args *args, const nm_property *property,
                 const nm_verify_report *report)
{
    if (nm_property_n_boxes(property) == 0)
        nm_cli_warn(cli, "%s: no input meets the conditions on inputs, so nothing can go wrong",
                    args->property);
    else if (nm_property_n_empty(property) > 0)
        nm_cli_warn(cli, "%s: %" PRId64 " disjuncts that no input can meet were dropped",
                    args->property, nm_property_n_empty(property));
    if (report->centre_violates)
        nm_cli_warn(cli,
                    "%s: the very centre of the input box is unsafe; is the order of the inputs "
                    "(channel first or last) and their scale that of %s?",
                    args->property, args->model);
}

/* -- run -------------------------------------------------------------------------------------- */

static int exit_code(const nm_verify_report *report)
{
    return report->verdict == NM_VERDICT_HOLDS      ? NM_EXIT_DONE
           : report->verdict == NM_VERDICT_VIOLATED ? NM_EXIT_NEGATIVE
                                                    : NM_EXIT_LIMIT;
}

/* What cannot be claimed is no failure of the verdict: a warning says why. */
static nm_status write_claim(nm_cli *cli, const verify_args *args, const nm_verify_opts *opts,
                             const nm_verify_report *report, nm_err *err)
{
    double start = nm_term_now();
    nm_status rc = NM_OK;

    if (!args->claim)
        return NM_OK;
    if (report->verdict == NM_VERDICT_UNKNOWN)
        nm_cli_warn(cli, "%s was not written: the verdict is unknown", args->claim);
    else
        rc = nm_claim_write_property(cli->ctx, args->model, args->property, opts, report,
                                     args->claim, err);
    if (rc == NM_E_ARG || rc == NM_E_UNSUPPORTED || rc == NM_E_LIMIT) {
        nm_cli_warn(cli, "not written: %s", err->text);
        *err = (nm_err){0};
        rc = NM_OK;
    }
    nm_doc_put_time(&cli->doc, "claim", nm_term_now() - start);
    return rc;
}

/* An interrupt ends the search, but not the report on it. */
static nm_status verify(nm_cli *cli, const verify_args *args, const nm_net *net,
                        const nm_property *property, nm_verify_report *report, nm_err *err)
{
    nm_verify_opts opts = NM_VERIFY_OPTS_INIT;
    nm_status rc;

    opts.certify = args->claim != NULL;
    opts.semantics = (nm_semantics)args->semantics;
    opts.attack = !args->no_attack;
    opts.seed = (uint64_t)cli->common->seed;
    opts.max_nodes = args->max_nodes < 0 ? INT64_MAX : args->max_nodes;
    rc = nm_verify(cli->ctx, net, property, &opts, report, err);
    cli->status = nm_verdict_name(report->verdict);
    cli->exit_code = exit_code(report);
    if (rc == NM_E_CANCELLED) {
        *err = (nm_err){0};
        rc = NM_OK;
        cli->exit_code = NM_EXIT_INTERRUPTED;
        (void)snprintf(report->reason, sizeof report->reason, "interrupted");
    }
    if (rc == NM_E_SHAPE)
        nm_cli_prefix(err, args->property);
    return rc == NM_OK ? write_claim(cli, args, &opts, report, err) : rc;
}

static nm_status run_all(nm_cli *cli, verify_args *args, nm_err *err)
{
    nm_status rc = NM_OK;
    nm_net *net = NULL;
    nm_property *property = NULL;
    nm_verify_report report = {0};
    double start = nm_term_now();

    NM_CLI_TRY(nm_property_load(cli->ctx, args->property, &property, err));
    NM_CLI_TRY(nm_cli_load_for_property(cli, args->model, property, args->property, &args->units,
                                        &net, err));
    nm_doc_put_time(&cli->doc, "load", nm_term_now() - start);
    NM_CLI_TRY(verify(cli, args, net, property, &report, err));
    warn(cli, args, property, &report);
    if (args->vnncomp)
        NM_CLI_TRY(nm_vnncomp_write(&report, args->vnncomp, err));
    put_report(cli, property, &report);
    if (nm_cli_text(cli))
        print_report(nm_cli_text(cli), args, &report);
done:
    nm_verify_report_free(&report);
    nm_property_free(property);
    nm_net_free(net);
    return rc;
}

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    verify_args *args = args_memory;
    nm_err ignored = {0};
    nm_status rc = run_all(cli, args, err);

    if (rc != NM_OK && args->vnncomp)
        (void)nm_vnncomp_write(NULL, args->vnncomp, &ignored);
    return rc;
}

const nm_verb nm_verb_verify = {
    .name = "verify",
    .summary = "prove a property for all inputs, or find a counterexample",
    .synopsis = "MODEL PROPERTY [OPTIONS]",
    .description = "Decides whether any input that a VNN-LIB property describes leads to outputs "
                   "that it forbids.\nProofs hold with all rounding; counterexamples are float32 "
                   "inputs and are replayed.",
    .exit_codes = "  0 the property holds, 1 it is violated, 2 wrong usage, 3 bad input,\n"
                  "  4 unknown: a limit was reached, 5 internal error, 130 interrupted\n",
    .examples = {"netmend verify acasxu_2_9.onnx prop_8.vnnlib --time-limit 116",
                 "netmend verify mnist.onnx prop.vnnlib.gz --vnncomp result.txt --json"},
    .groups = groups,
    .args_bytes = sizeof(verify_args),
    .run = run,
};
