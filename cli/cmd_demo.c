/* netmend demo: the whole way from a network with failures to a repaired one, without any file. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "moons_data.h"
#include "netmend/report.h"

typedef struct demo_args {
    nm_common_opts common;
    const char *out;
} demo_args;

static const nm_opt rows[] = {{.name = "out",
                               .kind = NM_OPT_PATH,
                               .arg = "DIR",
                               .offset = offsetof(demo_args, out),
                               .initial = "netmend-demo",
                               .help = "where networks, data and picture go; made if missing"},
                              {0}};

static const nm_opt_group groups[] = {{"Output", rows, 0}, NM_COMMON_GROUP, {0}};

/* The task: moons that a network of this shape could learn, and too little training. */
static const nm_moons_opts moons_opts = {.n = 1500, .noise = 0.1, .test_share = 0.2};
static const int64_t hidden[] = {32, 64, 32};
enum { N_FRESH = 3000, EPOCHS = 5, BATCH = 64 };
#define LEARNING_RATE 0.001
#define LAYER "2"

/* Everything the demo makes. */
typedef struct demo {
    nm_moons_data seen; /* train: learnt from, and kept right; test: where failures show */
    nm_points fresh;    /* never looked at; drawdown is measured here */
    nm_points failures;
    nm_net *before, *after;
    nm_train_report trained;
    nm_repair_report repair;
    char model[NM_PATH_MAX], fixed[NM_PATH_MAX], picture[NM_PATH_MAX];
} demo;

static void demo_free(demo *d)
{
    nm_moons_data_free(&d->seen);
    nm_points_free(&d->fresh);
    nm_points_free(&d->failures);
    nm_net_free(d->before);
    nm_net_free(d->after);
    nm_repair_report_free(&d->repair);
}

/* -- the steps --------------------------------------------------------------------------------- */

static nm_status name_files(const char *directory, demo *d, nm_err *err)
{
    nm_status rc = NM_OK;

    if (mkdir(directory, 0777) != 0 && errno != EEXIST)
        return nm_cli_fail(err, NM_E_IO, "%s: cannot make the directory: %s", directory,
                           strerror(errno));
    NM_CLI_TRY(nm_path_join(d->model, directory, "/model.onnx", err));
    NM_CLI_TRY(nm_path_join(d->fixed, directory, "/fixed.onnx", err));
    NM_CLI_TRY(nm_path_join(d->picture, directory, "/boundary.svg", err));
done:
    return rc;
}

static nm_status make_data(const demo_args *args, int64_t seed, demo *d, nm_err *err)
{
    const struct {
        const nm_points *points;
        const char *name;
    } files[] = {{&d->seen.train, "/moons_train"},
                 {&d->seen.test, "/moons_test"},
                 {&d->fresh, "/moons_fresh"}};
    char prefix[NM_PATH_MAX];
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_moons_data_make(&moons_opts, seed, &d->seen, err));
    NM_CLI_TRY(nm_moons(N_FRESH, moons_opts.noise, (uint32_t)(seed + 1), &d->fresh, err));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        NM_CLI_TRY(nm_path_join(prefix, args->out, files[i].name, err));
        NM_CLI_TRY(nm_points_save(files[i].points, prefix, err));
    }
done:
    return rc;
}

static nm_status train_too_little(nm_cli *cli, demo *d, nm_err *err)
{
    nm_train_opts opts = NM_TRAIN_OPTS_INIT;
    nm_status rc;

    opts.hidden = hidden;
    opts.n_hidden = sizeof hidden / sizeof *hidden;
    opts.n_classes = 2;
    opts.epochs = EPOCHS;
    opts.batch = BATCH;
    opts.learning_rate = LEARNING_RATE;
    opts.seed = (uint64_t)cli->common->seed;
    rc = nm_train(cli->ctx, &d->seen.train, &opts, &d->before, &d->trained, err);
    return rc == NM_OK ? nm_net_save(cli->ctx, d->before, d->model, err) : rc;
}

/* The held-out points that the network gets wrong. */
static nm_status find_failures(nm_cli *cli, demo *d, nm_err *err)
{
    const nm_points *test = &d->seen.test;
    int64_t *predicted = NULL, *wrong = NULL;
    int64_t n = 0;
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_cli_alloc(&predicted, test->n, sizeof *predicted, err));
    NM_CLI_TRY(nm_cli_alloc(&wrong, test->n, sizeof *wrong, err));
    NM_CLI_TRY(nm_predict(cli->ctx, d->before, test->x, test->n, predicted, err));
    for (int64_t i = 0; i < test->n; i++)
        if (predicted[i] != test->labels[i])
            wrong[n++] = i;
    if (n == 0)
        NM_CLI_THROW(err, NM_E_ARG,
                     "with --seed %" PRId64 " the network makes no "
                     "mistake; take another one",
                     cli->common->seed);
    NM_CLI_TRY(nm_points_subset(test, wrong, n, &d->failures, err));
done:
    free(predicted);
    free(wrong);
    return rc;
}

static nm_status repair(nm_cli *cli, demo *d, nm_err *err)
{
    const nm_repair_task task = {.repair = &d->failures, .keep = &d->seen.train, .test = &d->fresh};
    nm_repair_opts opts = NM_REPAIR_OPTS_INIT;
    nm_status rc = NM_OK;
    nm_plan *plan = NULL;

    opts.norm = NM_NORM_L2;
    NM_CLI_TRY(nm_plan_new(d->before, &plan, err));
    NM_CLI_TRY(nm_plan_mark_text(plan, LAYER, NM_FREE_ALL, err));
    NM_CLI_TRY(
        nm_repair(cli->ctx, d->before, plan, &task, &opts, d->fixed, &d->after, &d->repair, err));
done:
    nm_plan_free(plan);
    return rc;
}

/* -- output ------------------------------------------------------------------------------------ */

static void put_demo(nm_cli *cli, const demo_args *args, const demo *d)
{
    char *json = nm_repair_report_json(&d->repair);

    nm_doc_merge(&cli->doc, json);
    nm_string_free(json);
    nm_doc_put(&cli->doc, "trained",
               json_pack("{s:I, s:o, s:o}", "n", (json_int_t)d->seen.train.n, "accuracy",
                         nm_doc_number(d->trained.accuracy), "loss",
                         nm_doc_number(d->trained.loss)));
    nm_doc_put(&cli->doc, "directory", nm_doc_text(args->out));
    nm_doc_put(&cli->doc, "model", nm_doc_text(d->model));
    nm_doc_put(&cli->doc, "output", nm_doc_text(d->after ? d->fixed : NULL));
    nm_doc_put(&cli->doc, "picture", nm_doc_text(d->after ? d->picture : NULL));
    nm_doc_put_time(&cli->doc, "train", d->trained.seconds);
}

/* The same steps as commands, for the user to replay and vary. */
static void print_commands(FILE *out, const demo_args *args)
{
    const char *dir = args->out;

    (void)fprintf(out, "\nThe same step by step\n");
    (void)fprintf(out,
                  "  netmend train --data moons --n %" PRId64 " --noise %g --test-share %g "
                  "--epochs %d \\\n      --batch %d --lr %g --seed %" PRId64
                  " -o %s/model.onnx --save-data %s/moons\n",
                  moons_opts.n, moons_opts.noise, moons_opts.test_share, EPOCHS, BATCH,
                  LEARNING_RATE, args->common.seed, dir, dir);
    (void)fprintf(
        out,
        "  netmend repair %s/model.onnx -x %s/moons_test_x.npy -y %s/moons_test_y.npy "
        "\\\n      --select Misclassified --layer " LAYER
        " --norm l2 --keep %s/moons_train_x.npy \\\n      --keep-labels %s/moons_train_y.npy "
        "--test %s/moons_fresh_x.npy \\\n      --test-labels %s/moons_fresh_y.npy "
        "-o %s/fixed.onnx\n",
        dir, dir, dir, dir, dir, dir, dir, dir);
    (void)fprintf(out,
                  "  netmend eval %s/fixed.onnx --test %s/moons_fresh_x.npy --test-labels "
                  "%s/moons_fresh_y.npy\n",
                  dir, dir, dir);
}

static nm_status print_demo(FILE *out, const demo_args *args, const demo *d, nm_err *err)
{
    char *text = nm_repair_report_text(&d->repair);

    if (!text)
        return nm_cli_fail(err, NM_E_NOMEM, "out of memory");
    (void)fprintf(out,
                  "1. Two moons: %" PRId64 " points to learn from, %" PRId64 " held out, %" PRId64
                  " fresh ones to measure on.\n",
                  d->seen.train.n, d->seen.test.n, d->fresh.n);
    (void)fprintf(out,
                  "2. A 2-32-64-32-2 network, trained too little: %" PRId64 " of %" PRId64
                  " held-out points are wrong.\n",
                  d->failures.n, d->seen.test.n);
    (void)fprintf(out,
                  "3. Repair of these %" PRId64 " points in layer " LAYER
                  "; what is right among the points learnt from stays right.\n\n%s\n",
                  d->failures.n, text);
    nm_string_free(text);
    (void)fprintf(out, "In %s/\n  model.onnx    the network as trained\n", args->out);
    if (d->after)
        (void)fprintf(out, "  fixed.onnx    the repaired network\n"
                           "  boundary.svg  what both decide: open it in a browser\n");
    (void)fprintf(out, "  moons_{train,test,fresh}_{x,y}.npy    the points\n");
    print_commands(out, args);
    return NM_OK;
}

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    const demo_args *args = args_memory;
    nm_status rc = NM_OK;
    demo d = {0};

    NM_CLI_TRY(name_files(args->out, &d, err));
    NM_CLI_TRY(make_data(args, cli->common->seed, &d, err));
    NM_CLI_TRY(train_too_little(cli, &d, err));
    NM_CLI_TRY(find_failures(cli, &d, err));
    NM_CLI_TRY(repair(cli, &d, err));
    cli->status = nm_outcome_name(d.repair.outcome);
    cli->exit_code = nm_cli_outcome_exit_code(cli, d.repair.outcome);
    if (d.after)
        NM_CLI_TRY(nm_boundary_svg(cli->ctx, d.before, d.after, &d.seen.test, &d.failures,
                                   d.picture, err));
    put_demo(cli, args, &d);
    if (nm_cli_text(cli))
        NM_CLI_TRY(print_demo(nm_cli_text(cli), args, &d, err));
done:
    demo_free(&d);
    return rc;
}

const nm_verb nm_verb_demo = {
    .name = "demo",
    .summary = "the whole way in a few seconds, without any file",
    .synopsis = "[--out DIR] [OPTIONS]",
    .description = "Generates two moons, trains a network too little, repairs its failures, and "
                   "draws the\ndecision boundary before and after.",
    .exit_codes = NM_REPAIR_EXIT_CODES,
    .examples = {"netmend demo", "netmend demo --out /tmp/moons --seed 7"},
    .groups = groups,
    .args_bytes = sizeof(demo_args),
    .run = run,
};
