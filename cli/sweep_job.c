#include "sweep_job.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "places.h"
#include "ranks.h"
#include "sweep_report.h"
#include "workers.h"

/* -- what the rows share ------------------------------------------------------------------------
 */

static void override(nm_data_set *set, const nm_data_set *given)
{
    if (given->path)
        *set = *given;
}

nm_status nm_sweep_merge(nm_sweep *s, const char *source, const nm_repair_args *given, nm_err *err)
{
    nm_repair_args *shared = &s->shared;
    nm_status rc = nm_sweep_config_args(&s->config, source, shared, err);

    if (rc != NM_OK)
        return rc;
    shared->common = given->common;
    if (given->model)
        shared->model = given->model;
    override(&shared->inputs, &given->inputs);
    override(&shared->keep, &given->keep);
    override(&shared->reference, &given->reference);
    override(&shared->validation, &given->validation);
    override(&shared->test, &given->test);
    override(&shared->similar, &given->similar);
    if (!shared->model || !shared->inputs.path)
        return nm_cli_fail(err, NM_E_FORMAT, "%s: key '%s' is missing, and --%s is not given",
                           source, shared->model ? "data" : "model",
                           shared->model ? "inputs" : "model");
    return NM_OK;
}

/* -- labels --------------------------------------------------------------------------------------
 */

/* FNV-1a. */
static uint64_t add_text(uint64_t hash, const char *text)
{
    for (; text && *text; text++)
        hash = (hash ^ (unsigned char)*text) * 1099511628211U;
    return hash * 1099511628211U;
}

static uint64_t add_json(uint64_t hash, const json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

    if (value)
        hash = add_text(hash, text);
    free(text);
    return hash;
}

/* Of the shared options, so that rows of another task are not taken for this one's. */
static void make_digest(nm_sweep *s)
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
static void label_row(nm_sweep *s, int64_t i)
{
    nm_sweep_cell cell = nm_sweep_cell_at(&s->config, i);
    uint64_t digest = add_text(add_text(s->digest, cell.edit.use), cell.set.use);
    char task[32];

    digest = add_json(add_json(digest, cell.edit.repair), cell.edit.without);
    (void)snprintf(task, sizeof task, "x%016" PRIx64, digest);
    nm_sweep_label(&cell, task, &s->rows[i]);
}

/* -- one row, in a worker ------------------------------------------------------------------------
 */

#define AT(field) .offset = offsetof(nm_sweep_output, field)

const nm_opt nm_sweep_output_rows[] = {
    {.name = "csv",
     .kind = NM_OPT_PATH,
     AT(csv),
     .arg = "OUT.csv",
     .help = "one line a row, written after each; rows that are there already are not run again"},
    {.name = "jobs",
     .kind = NM_OPT_INT,
     AT(jobs),
     .arg = "N",
     .min = 1,
     .max = 256,
     .initial = "auto",
     .word = "auto",
     .word_value = 0,
     .help = "rows at the same time, each with a share of the threads; auto: one a thread"},
    {.name = "report",
     .kind = NM_OPT_PATH,
     AT(report),
     .arg = "OUT.html",
     .help = "write all rows as one page for a browser; details of each go to OUT.html.rows, so "
             "that rows that are there already keep them"},
    {0}};

#undef AT

static int jobs_of(const nm_sweep *s)
{
    int threads = nm_ctx_threads(s->cli->ctx);

    return s->to.jobs > 0 ? (int)s->to.jobs : threads;
}

/* The parent loads and classifies for all workers, which see its memory. With one thread, since
   threads do not survive a fork. */
static nm_status open_task(void *user, nm_err *err)
{
    nm_sweep *s = user;
    int threads = nm_ctx_threads(s->cli->ctx);
    nm_status rc;

    nm_ctx_set_threads(s->cli->ctx, 1);
    rc = nm_sweep_task_open(s->cli, &s->shared, &s->task, err);
    nm_ctx_set_threads(s->cli->ctx, threads);
    return rc;
}

/* The parent's context has all threads and a progress line. Launchers start a rank a core: there a
   rank has one thread unless more are asked for. */
static void enter_worker(nm_sweep *s)
{
    int threads =
        nm_ranks_n() == 1 ? nm_ctx_threads(s->cli->ctx) / jobs_of(s) : (int)s->cli->common->threads;

    nm_ctx_set_threads(s->cli->ctx, threads > 1 ? threads : 1);
    nm_ctx_set_progress(s->cli->ctx, NULL, NULL);
    s->entered = true;
}

static nm_status work(void *user, int64_t i, char *text, size_t n_text, nm_err *err)
{
    nm_sweep *s = user;
    nm_sweep_cell cell = nm_sweep_cell_at(&s->config, i);
    char path[NM_DETAILS_PATH];
    nm_status rc = NM_OK;

    (void)n_text; /* NM_LINE_TEXT */
    if (!s->entered)
        enter_worker(s);
    if (s->to.report)
        rc = nm_sweep_details_path(s->to.report, &s->rows[i], path, err);
    if (rc == NM_OK)
        rc = nm_sweep_run(s->cli, &s->task, &cell, s->config.cell_time_limit_s,
                          s->to.report ? path : NULL, &s->rows[i], err);
    if (rc == NM_OK)
        nm_row_write(&s->rows[i], text);
    return rc;
}

/* -- answers, in the parent -----------------------------------------------------------------------
 */

static void show_progress(nm_sweep *s)
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
    nm_sweep *s = user;

    if (!text || !nm_row_read(text, &s->rows[i])) {
        nm_row_text(&s->rows[i], NM_COL_STATUS, "error");
        nm_row_text(&s->rows[i], NM_COL_REASON, "the worker process ended, twice");
        s->rows[i].done = true;
    }
    s->n_done++;
    show_progress(s);
    return s->to.csv ? nm_table_save(s->to.csv, s->rows, s->n, err) : NM_OK;
}

static nm_status run_rows(nm_sweep *s, nm_err *err)
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
    if (nm_ranks_n() > 1)
        rc = nm_ranks_run(s->cli, &workers, open_task, todo, n, err);
    else if (n > 0)
        rc = open_task(s, err);
    if (rc == NM_OK && nm_ranks_n() == 1)
        rc = nm_workers_run(s->cli, &workers, todo, n, err);
    free(todo);
    return rc;
}

/* -- output ---------------------------------------------------------------------------------- */

static int64_t count(const nm_sweep *s, const char *status)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n; i++)
        n += strcmp(s->rows[i].cell[NM_COL_STATUS], status) == 0;
    return n;
}

static void put(nm_sweep *s)
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
    nm_doc_put(&s->cli->doc, "csv", nm_doc_text(s->to.csv));
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

static void print(FILE *out, const nm_sweep *s)
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
    if (s->to.csv)
        (void)fprintf(out, "wrote %s\n", s->to.csv);
}

/* -- the whole ----------------------------------------------------------------------------------
 */

nm_status nm_sweep_all(nm_sweep *s, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_cli_can_write(s->to.csv, err));
    NM_CLI_TRY(nm_cli_can_write(s->to.report, err));
    s->start = nm_term_now();
    make_digest(s);
    s->n = nm_sweep_n_cells(&s->config);
    NM_CLI_TRY(nm_cli_alloc(&s->rows, s->n, sizeof *s->rows, err));
    for (int64_t i = 0; i < s->n; i++)
        label_row(s, i);
    if (s->to.csv)
        NM_CLI_TRY(nm_table_resume(s->to.csv, s->rows, s->n, &s->n_resumed, err));
    s->n_done = s->n_resumed;
    if (s->to.report)
        NM_CLI_TRY(nm_sweep_details_folder(s->to.report, err));
    NM_CLI_TRY(run_rows(s, err));
    if (s->to.csv)
        NM_CLI_TRY(nm_table_save(s->to.csv, s->rows, s->n, err));
    put(s);
    if (s->to.report)
        NM_CLI_TRY(nm_sweep_report_put(s->cli, s->to.report, s->rows, s->n, &s->shared, err));
    if (nm_cli_text(s->cli))
        print(nm_cli_text(s->cli), s);
done:
    return rc;
}

void nm_sweep_close(nm_sweep *s)
{
    nm_sweep_task_close(&s->task);
    free(s->rows);
    nm_sweep_config_free(&s->config);
}
