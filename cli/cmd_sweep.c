/* netmend sweep: many combinations of heuristics, one row each. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "sweep_report.h"
#include "workers.h"

typedef struct sweep_args {
    nm_repair_args shared; /* begins with the common options */
    const char *config, *csv, *report;
    int64_t jobs;
} sweep_args;

static const nm_opt config_rows[] = {{.name = "CONFIG",
                                      .kind = NM_OPT_PATH,
                                      .positional = true,
                                      .required = true,
                                      .offset = offsetof(sweep_args, config),
                                      .help = "what to combine, a JSON file"},
                                     {0}};

static const nm_opt model_rows[] = {
    {.name = "model",
     .kind = NM_OPT_PATH,
     .offset = offsetof(sweep_args, shared.model),
     .arg = "MODEL",
     .help = "network, instead of the configuration's; data arguments likewise"},
    {0}};

static const nm_opt output_rows[] = {
    {.name = "csv",
     .kind = NM_OPT_PATH,
     .offset = offsetof(sweep_args, csv),
     .arg = "OUT.csv",
     .help = "one line a row, written after each; rows that are there already are not run again"},
    {.name = "jobs",
     .kind = NM_OPT_INT,
     .offset = offsetof(sweep_args, jobs),
     .arg = "N",
     .min = 1,
     .max = 256,
     .initial = "auto",
     .word = "auto",
     .word_value = 0,
     .help = "rows at the same time, each with a share of the threads; auto: one a thread"},
    {.name = "report",
     .kind = NM_OPT_PATH,
     .offset = offsetof(sweep_args, report),
     .arg = "OUT.html",
     .help = "write all rows as one page for a browser; details of each go to OUT.html.rows, so "
             "that a sweep that was stopped goes on with them"},
    {0}};

static const nm_opt_group groups[] = {
    {"Arguments", config_rows, 0},
    {"Arguments", model_rows, 0},
    {"Data", nm_inputs_rows, offsetof(nm_repair_args, inputs)},
    {"Data", nm_keep_rows, offsetof(nm_repair_args, keep)},
    {"Data", nm_reference_rows, offsetof(nm_repair_args, reference)},
    {"Data", nm_test_rows, offsetof(nm_repair_args, test)},
    {"Data", nm_similar_rows, offsetof(nm_repair_args, similar)},
    {"Output", output_rows, 0},
    NM_COMMON_GROUP,
    {0}};

struct sweep {
    nm_cli *cli;
    const sweep_args *args;
    nm_sweep_config config;
    nm_repair_args shared; /* of the configuration, with the command line's data */
    nm_sweep_task task;    /* in a worker */
    bool opened;
    uint64_t digest; /* of the shared options */
    nm_row *rows;    /* [n] */
    int64_t n, n_resumed, n_done;
    double start;
};

/* -- what the rows share ------------------------------------------------------------------------
 */

static void override(nm_data_set *set, const nm_data_set *given)
{
    if (given->path)
        *set = *given;
}

static nm_status merge_args(struct sweep *s, nm_err *err)
{
    const nm_repair_args *given = &s->args->shared;
    nm_repair_args *shared = &s->shared;
    nm_status rc = nm_sweep_config_args(&s->config, s->args->config, shared, err);

    if (rc != NM_OK)
        return rc;
    shared->common = given->common;
    if (given->model)
        shared->model = given->model;
    override(&shared->inputs, &given->inputs);
    override(&shared->keep, &given->keep);
    override(&shared->reference, &given->reference);
    override(&shared->test, &given->test);
    override(&shared->similar, &given->similar);
    if (!shared->model || !shared->inputs.path)
        return nm_cli_fail(err, NM_E_FORMAT, "%s: key '%s' is missing, and --%s is not given",
                           s->args->config, shared->model ? "data" : "model",
                           shared->model ? "inputs" : "model");
    return NM_OK;
}

/* FNV-1a. */
static uint64_t add_text(uint64_t hash, const char *text)
{
    for (; text && *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211U;
    return hash * 1099511628211U;
}

/* Of the shared options, so that rows of another task are not taken for this one's. */
static void make_digest(struct sweep *s)
{
    static const char *const how[] = {"threads", "json", "quiet", "verbose", "color", "time-limit"};
    json_t *echo = nm_opt_echo(nm_repair_groups, &s->shared);
    char *text;

    for (size_t i = 0; i < sizeof how / sizeof *how; i++) /* not what */
        (void)json_object_del(echo, how[i]);
    text = json_dumps(echo, JSON_COMPACT | JSON_SORT_KEYS);
    s->digest = add_text(14695981039346656037U, text);
    free(text);
    json_decref(echo);
}

/* The heuristics' texts count, not only their names. */
static void label_row(struct sweep *s, int64_t i)
{
    nm_sweep_cell cell = nm_sweep_cell_at(&s->config, i);
    char task[32];

    (void)snprintf(task, sizeof task, "x%016" PRIx64,
                   add_text(add_text(s->digest, cell.edit.use), cell.set.use));
    nm_sweep_label(&cell, task, &s->rows[i]);
}

/* -- one row, in a worker ------------------------------------------------------------------------
 */

static int jobs_of(const struct sweep *s)
{
    int threads = nm_ctx_threads(s->cli->ctx);

    return s->args->jobs > 0 ? (int)s->args->jobs : threads;
}

/* A context of its own: the parent's has threads and a progress line. */
static nm_status open_worker(struct sweep *s, nm_err *err)
{
    int threads = nm_ctx_threads(s->cli->ctx) / jobs_of(s);

    nm_ctx_set_threads(s->cli->ctx, threads > 1 ? threads : 1);
    nm_ctx_set_progress(s->cli->ctx, NULL, NULL);
    s->opened = true;
    return nm_sweep_task_open(s->cli, &s->shared, &s->task, err);
}

static nm_status work(void *user, int64_t i, char *text, size_t n_text, nm_err *err)
{
    struct sweep *s = user;
    nm_sweep_cell cell = nm_sweep_cell_at(&s->config, i);
    char path[NM_DETAILS_PATH];
    nm_status rc = s->opened ? NM_OK : open_worker(s, err);

    (void)n_text; /* NM_LINE_TEXT */
    if (rc == NM_OK && s->args->report)
        rc = nm_sweep_details_path(s->args->report, &s->rows[i], path, err);
    if (rc == NM_OK)
        rc = nm_sweep_run(s->cli, &s->task, &cell, s->config.cell_time_limit_s,
                          s->args->report ? path : NULL, &s->rows[i], err);
    if (rc == NM_OK)
        nm_row_write(&s->rows[i], text);
    return rc;
}

/* -- answers, in the parent -----------------------------------------------------------------------
 */

static void show_progress(struct sweep *s)
{
    int64_t fresh = s->n_done - s->n_resumed, left = s->n - s->n_done;
    double seconds = nm_term_now() - s->start;
    char what[64];

    (void)snprintf(what, sizeof what, "rows, about %.0f s left",
                   fresh > 0 ? seconds / (double)fresh * (double)left : NAN);
    nm_term_progress(&s->cli->term, what, s->n_done, s->n, NAN);
}

static nm_status answer(void *user, int64_t i, const char *text, nm_err *err)
{
    struct sweep *s = user;

    if (!text || !nm_row_read(text, &s->rows[i])) {
        nm_row_text(&s->rows[i], NM_COL_STATUS, "error");
        nm_row_text(&s->rows[i], NM_COL_REASON, "the worker process ended, twice");
        s->rows[i].done = true;
    }
    s->n_done++;
    show_progress(s);
    return s->args->csv ? nm_table_save(s->args->csv, s->rows, s->n, err) : NM_OK;
}

static nm_status run_rows(struct sweep *s, nm_err *err)
{
    nm_workers workers = {
        .n = jobs_of(s), .answer_text = NM_LINE_TEXT, .work = work, .answer = answer, .user = s};
    int64_t *todo = NULL, n = 0;
    nm_status rc = nm_cli_alloc(&todo, s->n, sizeof *todo, err);

    if (rc != NM_OK)
        return rc;
    for (int64_t i = 0; i < s->n; i++)
        if (!s->rows[i].done)
            todo[n++] = i;
    rc = nm_workers_run(s->cli, &workers, todo, n, err);
    free(todo);
    return rc;
}

/* -- output ---------------------------------------------------------------------------------- */

static int64_t count(const struct sweep *s, const char *status)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n; i++)
        n += strcmp(s->rows[i].cell[NM_COL_STATUS], status) == 0;
    return n;
}

static void put(struct sweep *s)
{
    static const char *const statuses[] = {"repaired", "partly", "infeasible",
                                           "limit",    "empty",  "error"};
    json_t *rows = json_array(), *counts = json_object();

    for (int64_t i = 0; i < s->n; i++)
        nm_doc_append(&s->cli->doc, rows, nm_row_json(&s->rows[i]));
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        (void)json_object_set_new(counts, statuses[i],
                                  json_integer((json_int_t)count(s, statuses[i])));
    nm_doc_put(&s->cli->doc, "n", json_integer((json_int_t)s->n));
    nm_doc_put(&s->cli->doc, "n_resumed", json_integer((json_int_t)s->n_resumed));
    nm_doc_put(&s->cli->doc, "counts", counts);
    nm_doc_put(&s->cli->doc, "rows", rows);
    nm_doc_put(&s->cli->doc, "csv", nm_doc_text(s->args->csv));
}

static void print_cell(FILE *out, const nm_row *row, nm_column column, int width)
{
    const char *text = row->cell[column];
    char *end, number[32];
    double value = strtod(text, &end);

    if (*text && !*end && column != NM_COL_SIZE) {
        (void)snprintf(number, sizeof number, "%.4g", value);
        text = number;
    }
    (void)fprintf(out, " %*.*s", width, width < 0 ? -width : width, *text ? text : "-");
}

static void print(FILE *out, const struct sweep *s)
{
    (void)fprintf(out, "%-24s %-22s %-8s %-6s %-10s %6s %9s %9s %8s %9s\n", "edit", "set",
                  "strategy", "size", "status", "points", "before", "after", "drawdown", "seconds");
    for (int64_t i = 0; i < s->n; i++) {
        const nm_row *r = &s->rows[i];

        (void)fprintf(out, "%-24.24s", r->cell[NM_COL_EDIT]);
        print_cell(out, r, NM_COL_SET, -22);
        print_cell(out, r, NM_COL_STRATEGY, -8);
        print_cell(out, r, NM_COL_SIZE, -6);
        print_cell(out, r, NM_COL_STATUS, -10);
        print_cell(out, r, NM_COL_N_SET, 6);
        print_cell(out, r, NM_COL_ACCURACY_BEFORE, 9);
        print_cell(out, r, NM_COL_ACCURACY_AFTER, 9);
        print_cell(out, r, NM_COL_DRAWDOWN, 8);
        print_cell(out, r, NM_COL_TIME, 9);
        (void)fputc('\n', out);
    }
    (void)fprintf(out,
                  "\n%" PRId64 " rows: %" PRId64 " repaired, %" PRId64 " partly, %" PRId64
                  " infeasible, %" PRId64 " at a limit, %" PRId64 " empty, %" PRId64 " failed",
                  s->n, count(s, "repaired"), count(s, "partly"), count(s, "infeasible"),
                  count(s, "limit"), count(s, "empty"), count(s, "error"));
    if (s->n_resumed > 0)
        (void)fprintf(out, "; %" PRId64 " were there already", s->n_resumed);
    (void)fprintf(out, "\n");
    if (s->args->csv)
        (void)fprintf(out, "wrote %s\n", s->args->csv);
}

/* -- the verb -------------------------------------------------------------------------------- */

static nm_status run(nm_cli *cli, void *args_memory, nm_err *err)
{
    struct sweep s = {.cli = cli, .args = args_memory, .start = nm_term_now()};
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_sweep_config_load(s.args->config, &s.config, err));
    NM_CLI_TRY(merge_args(&s, err));
    make_digest(&s);
    s.n = nm_sweep_n_cells(&s.config);
    NM_CLI_TRY(nm_cli_alloc(&s.rows, s.n, sizeof *s.rows, err));
    for (int64_t i = 0; i < s.n; i++)
        label_row(&s, i);
    if (s.args->csv)
        NM_CLI_TRY(nm_table_resume(s.args->csv, s.rows, s.n, &s.n_resumed, err));
    s.n_done = s.n_resumed;
    if (s.args->report)
        NM_CLI_TRY(nm_sweep_details_folder(s.args->report, err));
    NM_CLI_TRY(run_rows(&s, err));
    if (s.args->csv)
        NM_CLI_TRY(nm_table_save(s.args->csv, s.rows, s.n, err));
    put(&s);
    if (s.args->report)
        NM_CLI_TRY(nm_sweep_report_put(cli, s.args->report, s.rows, s.n, &s.shared, err));
    if (nm_cli_text(cli))
        print(nm_cli_text(cli), &s);
done:
    free(s.rows);
    nm_sweep_config_free(&s.config);
    return rc;
}

const nm_verb nm_verb_sweep = {
    .name = "sweep",
    .summary = "repair by many combinations of heuristics and compare",
    .synopsis = "CONFIG.json [OPTIONS]",
    .description =
        "Runs every combination of the edit heuristics, set heuristics, sizes, norms and "
        "seeds that a\nconfiguration lists, in parallel, and writes one row each. A run "
        "that was interrupted goes on.",
    .examples = {"netmend sweep examples/irdnn_mlp_published.json --csv grid.csv",
                 "netmend sweep grid.json --model moons.onnx -x x.npy -y y.npy --json"},
    .groups = groups,
    .args_bytes = sizeof(sweep_args),
    .run = run,
};
