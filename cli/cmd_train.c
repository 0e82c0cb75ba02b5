/* netmend train: a small dense ReLU network, to have something to repair. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "data_args.h"
#include "moons_data.h"

typedef struct train_args {
    nm_common_opts common;
    const char *output, *save_data;
    nm_data_set data;
    nm_data_prep prep;
    nm_moons_opts moons; /* test_share counts for any data */
    nm_opt_ints hidden;
    int64_t epochs, batch;
    double learning_rate;
} train_args;

#define AT(field) .offset = offsetof(train_args, field)

static const nm_opt data_rows[] = {
    {.name = "data",
     .kind = NM_OPT_PATH,
     AT(data.path),
     .arg = "moons|FILE",
     .required = true,
     .help = "two generated moons, or labelled points from a file"},
    {.name = "labels",
     .short_name = 'y',
     .kind = NM_OPT_PATH,
     AT(data.labels),
     .arg = "FILE",
     .help = "labels, where the file does not hold them"},
    {.name = "data-range",
     .kind = NM_OPT_ROWS,
     AT(data.rows),
     .arg = "A:B",
     .shown = "all",
     .help = "take rows A to B-1 of the file"},
    {.name = "n",
     .kind = NM_OPT_INT,
     AT(moons.n),
     .arg = "N",
     .min = 2,
     .max = 1e7,
     .initial = "1500",
     .help = "points of the moons"},
    {.name = "noise",
     .kind = NM_OPT_DOUBLE,
     AT(moons.noise),
     .arg = "S",
     .max = 1e3,
     .initial = "0.2",
     .help = "standard deviation of the moons' noise"},
    {.name = "test-share",
     .kind = NM_OPT_DOUBLE,
     AT(moons.test_share),
     .arg = "P",
     .max = 0.99,
     .initial = "0.2",
     .help = "share of the points that is held out and only measured"},
    {0}};

static const nm_opt training_rows[] = {{.name = "hidden",
                                        .kind = NM_OPT_INTS,
                                        AT(hidden),
                                        .arg = "N,N,..",
                                        .min = 1,
                                        .max = 1e6,
                                        .initial = "32,64,32",
                                        .help = "widths of the hidden layers"},
                                       {.name = "epochs",
                                        .kind = NM_OPT_INT,
                                        AT(epochs),
                                        .arg = "N",
                                        .min = 1,
                                        .max = 1e6,
                                        .initial = "100",
                                        .help = "passes over the points"},
                                       {.name = "batch",
                                        .kind = NM_OPT_INT,
                                        AT(batch),
                                        .arg = "N",
                                        .min = 1,
                                        .max = 1e9,
                                        .initial = "32",
                                        .word = "all",
                                        .word_value = 0,
                                        .help = "points per step, or all"},
                                       {.name = "lr",
                                        .kind = NM_OPT_DOUBLE,
                                        AT(learning_rate),
                                        .arg = "R",
                                        .above_min = true,
                                        .max = 1e3,
                                        .initial = "0.001",
                                        .help = "learning rate of Adam"},
                                       {0}};

static const nm_opt output_rows[] = {
    {.name = "output",
     .short_name = 'o',
     .kind = NM_OPT_PATH,
     AT(output),
     .arg = "MODEL",
     .required = true,
     .help = "trained network, .onnx or .nnet"},
    {.name = "save-data",
     .kind = NM_OPT_PATH,
     AT(save_data),
     .arg = "PREFIX",
     .help = "write the points, too: PREFIX_train_x.npy, PREFIX_train_y.npy, PREFIX_test_x.npy, "
             "PREFIX_test_y.npy"},
    {0}};

#undef AT

static const nm_opt_group groups[] = {{"Data", data_rows, 0},
                                      {"Data", nm_data_prep_rows, offsetof(train_args, prep)},
                                      {"Training", training_rows, 0},
                                      {"Output", output_rows, 0},
                                      NM_COMMON_GROUP,
                                      {0}};

/* -- data -------------------------------------------------------------------------------------- */

static nm_status load_data(nm_cli *cli, const train_args *args, nm_moons_data *out, nm_err *err)
{
    const nm_data_use use = {
        .option = "--data", .needs_labels = true, .labels_by = "--labels or --label-column"};
    nm_points all = {0};
    nm_status rc;

    *out = (nm_moons_data){0};
    if (strcmp(args->data.path, "moons") == 0) {
        if (args->data.labels)
            return nm_cli_fail(err, NM_E_ARG, "--labels: the moons have their own labels");
        return nm_moons_data_make(&args->moons, cli->common->seed, out, err);
    }
    rc = nm_data_load(cli, &args->data, &args->prep, &use, &all, err);
    if (rc == NM_OK)
        rc = nm_moons_data_split(&all, args->moons.test_share, cli->common->seed, out, err);
    nm_points_free(&all);
    return rc;
}

static nm_status save_data(const train_args *args, const nm_moons_data *data, nm_err *err)
{
    char prefix[NM_PATH_MAX];
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_path_join(prefix, args->save_data, "_train", err));
    NM_CLI_TRY(nm_points_save(&data->train, prefix, err));
    if (data->test.n > 0) {
        NM_CLI_TRY(nm_path_join(prefix, args->save_data, "_test", err));
        NM_CLI_TRY(nm_points_save(&data->test, prefix, err));
    }
done:
    return rc;
}

/* -- output ------------------------------------------------------------------------------------ */

/* What a run came to. */
typedef struct outcome {
    const nm_net *net;
    const nm_moons_data *data;
    nm_train_report train;
    nm_eval_report test; /* of the held-out points; n = 0 if there are none */
} outcome;

static void put_outcome(nm_cli *cli, const train_args *args, const outcome *got)
{
    bool held_out = got->test.n > 0;

    nm_doc_put(&cli->doc, "n", json_integer(got->data->train.n));
    nm_doc_put(&cli->doc, "accuracy", nm_doc_number(got->train.accuracy));
    nm_doc_put(&cli->doc, "loss", nm_doc_number(got->train.loss));
    nm_doc_put(&cli->doc, "steps", json_integer(got->train.steps));
    nm_doc_put(&cli->doc, "n_params", json_integer(nm_net_n_params(got->net)));
    nm_doc_put(&cli->doc, "test",
               json_pack("{s:I, s:o, s:o}", "n", (json_int_t)got->test.n, "accuracy",
                         nm_doc_number(held_out ? got->test.accuracy : NAN), "loss",
                         nm_doc_number(held_out ? got->test.loss : NAN)));
    nm_doc_put(&cli->doc, "output", nm_doc_text(args->output));
    nm_doc_put(&cli->doc, "data_prefix", nm_doc_text(args->save_data));
    nm_doc_put_time(&cli->doc, "train", got->train.seconds);
}

/* The command that goes on from here: repair what the network still gets wrong. */
static void print_next_step(FILE *out, const train_args *args)
{
    const char *p = args->save_data;

    (void)fprintf(out,
                  "\nTo repair what it gets wrong among the held-out points:\n"
                  "  netmend repair %s -x %s_test_x.npy -y %s_test_y.npy --select Misclassified "
                  "\\\n      --keep %s_train_x.npy --keep-labels %s_train_y.npy -o fixed.onnx\n",
                  args->output, p, p, p, p);
}

static void print_outcome(FILE *out, const train_args *args, const outcome *got)
{
    (void)fprintf(out, "trained %" PRId64 "-", got->data->train.n_in);
    for (int i = 0; i < args->hidden.n; i++)
        (void)fprintf(out, "%" PRId64 "-", args->hidden.v[i]);
    (void)fprintf(out, "%" PRId64 " (%" PRId64 " parameters), %" PRId64 " steps in %.2f s\n",
                  nm_net_n_out(got->net), nm_net_n_params(got->net), got->train.steps,
                  got->train.seconds);
    (void)fprintf(out, "  training  %.2f %% of %" PRId64 " points right, loss %.4f\n",
                  100 * got->train.accuracy, got->data->train.n, got->train.loss);
    if (got->test.n > 0)
        (void)fprintf(out, "  held out  %.2f %% of %" PRId64 " points right, loss %.4f\n",
                      100 * got->test.accuracy, got->test.n, got->test.loss);
    (void)fprintf(out, "wrote %s\n", args->output);
    if (args->save_data)
        (void)fprintf(out, "wrote %s_{train,test}_{x,y}.npy\n", args->save_data);
    if (args->save_data && got->test.n > got->test.n_right)
        print_next_step(out, args);
}

/* Classes of all points, also of those that only the held-out share has. */
static int64_t count_classes(const nm_moons_data *data)
{
    int64_t n = 0;

    for (int64_t i = 0; i < data->train.n; i++)
        n = data->train.labels[i] >= n ? data->train.labels[i] + 1 : n;
    for (int64_t i = 0; i < data->test.n; i++)
        n = data->test.labels[i] >= n ? data->test.labels[i] + 1 : n;
    return n;
}

static nm_train_opts library_opts(const train_args *args, const nm_moons_data *data)
{
    nm_train_opts opts = NM_TRAIN_OPTS_INIT;

    opts.hidden = args->hidden.v;
    opts.n_hidden = args->hidden.n;
    opts.n_classes = count_classes(data);
    opts.epochs = (int)args->epochs;
    opts.batch = args->batch;
    opts.learning_rate = args->learning_rate;
    opts.seed = (uint64_t)args->common.seed;
    return opts;
}

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    const train_args *args = args_memory;
    nm_train_opts opts;
    nm_status rc = NM_OK;
    nm_moons_data data = {0};
    nm_net *net = NULL;
    outcome got = {.data = &data};

    NM_CLI_TRY(load_data(cli, args, &data, err));
    opts = library_opts(args, &data);
    NM_CLI_TRY(nm_train(cli->ctx, &data.train, &opts, &net, &got.train, err));
    got.net = net;
    if (data.test.n > 0)
        NM_CLI_TRY(nm_evaluate(cli->ctx, net, &data.test, false, NULL, &got.test, err));
    NM_CLI_TRY(nm_net_save(cli->ctx, net, args->output, err));
    if (args->save_data)
        NM_CLI_TRY(save_data(args, &data, err));
    put_outcome(cli, args, &got);
    if (nm_cli_text(cli))
        print_outcome(nm_cli_text(cli), args, &got);
done:
    nm_eval_report_free(&got.test);
    nm_net_free(net);
    nm_moons_data_free(&data);
    return rc;
}

const nm_verb nm_verb_train = {
    .name = "train",
    .summary = "train a small dense ReLU network",
    .synopsis = "--data moons|FILE -o MODEL [OPTIONS]",
    .description = "Trains a dense ReLU classifier with Adam on generated moons or on labelled "
                   "points, and\nmeasures it on points it has not seen.",
    .examples = {"netmend train --data moons --noise 0.1 --epochs 20 -o moons.onnx --save-data "
                 "moons",
                 "netmend train --data digits.csv --label-column -1 --hidden 100,100 -o "
                 "digits.onnx"},
    .groups = groups,
    .args_bytes = sizeof(train_args),
    .run = run,
};
