/* netmend eval: accuracy and loss on labelled points, or just the outputs. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "data_args.h"

typedef struct eval_args {
    nm_common_opts common;
    const char *model, *logits;
    bool in_float64;
    nm_data_set test;
    nm_data_prep prep;
} eval_args;

static const nm_opt model_rows[] = {{.name = "MODEL",
                                     .kind = NM_OPT_PATH,
                                     .positional = true,
                                     .required = true,
                                     .offset = offsetof(eval_args, model),
                                     .help = "network, .onnx or .nnet"},
                                    {0}};

static const nm_opt output_rows[] = {
    {.name = "logits",
     .kind = NM_OPT_PATH,
     .offset = offsetof(eval_args, logits),
     .arg = "OUT.npy",
     .help = "write the network's outputs, float32, one row a point"},
    {.name = "f64",
     .kind = NM_OPT_FLAG,
     .offset = offsetof(eval_args, in_float64),
     .help = "evaluate in float64 instead of float32"},
    {0}};

static const nm_opt_group groups[] = {{"Arguments", model_rows, 0},
                                      {"Data", nm_test_rows, offsetof(eval_args, test)},
                                      {"Data", nm_data_prep_rows, offsetof(eval_args, prep)},
                                      {"Evaluation", output_rows, 0},
                                      NM_COMMON_GROUP,
                                      {0}};

static double share(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : NAN;
}

static double throughput(const nm_eval_report *report)
{
    return report->seconds > 0 ? (double)report->n / report->seconds : NAN;
}

static void put_report(nm_cli *cli, const eval_args *args, const nm_eval_report *report)
{
    json_t *classes = json_array();

    for (int64_t c = 0; report->class_n && c < report->n_classes; c++)
        nm_doc_append(&cli->doc, classes,
                      json_pack("{s:I, s:I, s:I, s:o}", "class", (json_int_t)c, "n",
                                (json_int_t)report->class_n[c], "right",
                                (json_int_t)report->class_right[c], "accuracy",
                                nm_doc_number(share(report->class_right[c], report->class_n[c]))));
    nm_doc_put(&cli->doc, "n", json_integer(report->n));
    nm_doc_put(&cli->doc, "right", report->class_n ? json_integer(report->n_right) : json_null());
    nm_doc_put(&cli->doc, "accuracy", nm_doc_number(report->accuracy));
    nm_doc_put(&cli->doc, "loss", nm_doc_number(report->loss));
    nm_doc_put(&cli->doc, "per_class", classes);
    nm_doc_put(&cli->doc, "throughput", nm_doc_number(throughput(report)));
    nm_doc_put(&cli->doc, "logits", nm_doc_text(args->logits));
    nm_doc_put_time(&cli->doc, "forward", report->seconds);
}

static void print_report(FILE *out, const eval_args *args, const nm_eval_report *report)
{
    (void)fprintf(out, "%s on %s\n", args->model, args->test.path);
    (void)fprintf(out, "  points      %" PRId64 "\n", report->n);
    if (report->class_n) {
        (void)fprintf(out, "  accuracy    %.2f %% (%" PRId64 " right, %" PRId64 " wrong)\n",
                      100 * report->accuracy, report->n_right, report->n - report->n_right);
        (void)fprintf(out, "  loss        %.5f (mean cross entropy)\n", report->loss);
    } else {
        (void)fprintf(out, "  accuracy    unknown (no labels given)\n");
    }
    (void)fprintf(out, "  throughput  %.0f points/s (%s)\n", throughput(report),
                  args->in_float64 ? "float64" : "float32");
    if (args->logits)
        (void)fprintf(out, "  outputs     %s\n", args->logits);
    if (report->class_n)
        (void)fprintf(out, "\n  class   points    right   accuracy\n");
    for (int64_t c = 0; report->class_n && c < report->n_classes; c++)
        if (report->class_n[c] > 0)
            (void)fprintf(out, "  %5" PRId64 " %8" PRId64 " %8" PRId64 "   %6.2f %%\n", c,
                          report->class_n[c], report->class_right[c],
                          100 * share(report->class_right[c], report->class_n[c]));
}

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    const eval_args *args = args_memory;
    nm_status rc = NM_OK;
    nm_net *net = NULL;
    nm_points points = {0};
    nm_eval_report report = {0};
    float *outputs = NULL;
    double start = nm_term_now();

    if (!args->test.path)
        return nm_cli_fail(err, NM_E_ARG, "--test is missing (the points to evaluate)");
    NM_CLI_TRY(nm_net_load(cli->ctx, args->model, &net, err));
    NM_CLI_TRY(nm_data_load(cli, &args->test, &args->prep,
                            &(nm_data_use){.option = "--test", .net = net}, &points, err));
    nm_doc_put_time(&cli->doc, "load", nm_term_now() - start);
    if (args->logits)
        NM_CLI_TRY(
            nm_cli_alloc(&outputs, points.n, (size_t)nm_net_n_out(net) * sizeof *outputs, err));
    NM_CLI_TRY(nm_evaluate(cli->ctx, net, &points, args->in_float64, outputs, &report, err));
    if (args->logits)
        NM_CLI_TRY(nm_npy_write_f32(args->logits, outputs, points.n, nm_net_n_out(net), err));
    put_report(cli, args, &report);
    if (nm_cli_text(cli))
        print_report(nm_cli_text(cli), args, &report);
done:
    free(outputs);
    nm_eval_report_free(&report);
    nm_points_free(&points);
    nm_net_free(net);
    return rc;
}

const nm_verb nm_verb_eval = {
    .name = "eval",
    .summary = "measure accuracy and loss, or write the outputs",
    .synopsis = "MODEL --test FILE [--test-labels FILE] [OPTIONS]",
    .description = "Evaluates a network on points and reports accuracy, mean cross entropy and "
                   "speed; without\nlabels it only writes the outputs.",
    .examples = {"netmend eval mnist.onnx --test t10k-images-idx3-ubyte.gz "
                 "--test-labels t10k-labels-idx1-ubyte.gz",
                 "netmend eval moons.onnx --test points.csv --logits scores.npy --f64"},
    .groups = groups,
    .args_bytes = sizeof(eval_args),
    .run = run,
};
