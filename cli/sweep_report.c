#include "sweep_report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "repair_report.h"

/* -- files ------------------------------------------------------------------------------------- */

nm_status nm_sweep_details_folder(const char *report, nm_err *err)
{
    char path[NM_DETAILS_PATH];

    if (snprintf(path, sizeof path, "%s.rows", report) >= (int)sizeof path)
        return nm_cli_fail(err, NM_E_ARG, "--report: the path %.64s... is too long", report);
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return nm_cli_fail(err, NM_E_IO, "%s: cannot make this folder: %s", path, strerror(errno));
    return NM_OK;
}

nm_status nm_sweep_details_path(const char *report, const nm_row *row, char path[NM_DETAILS_PATH],
                                nm_err *err)
{
    uint64_t digest = nm_row_digest(row);

    if (snprintf(path, NM_DETAILS_PATH, "%s.rows/%016" PRIx64 ".json", report, digest) >=
        NM_DETAILS_PATH)
        return nm_cli_fail(err, NM_E_ARG, "--report: the path %.64s... is too long", report);
    return NM_OK;
}

static nm_status save(const json_t *details, const char *path, nm_err *err)
{
    char temp[NM_DETAILS_PATH + 16];

    (void)snprintf(temp, sizeof temp, "%s.part", path);
    if (json_dump_file(details, temp, JSON_COMPACT) == 0 && rename(temp, path) == 0)
        return NM_OK;
    (void)nm_cli_fail(err, NM_E_IO, "%s: cannot write", path);
    (void)unlink(temp);
    return NM_E_IO;
}

/* -- one row ----------------------------------------------------------------------------------- */

/* Share of the most frequent class. */
static double homogeneity(const nm_points *points, int64_t n_classes)
{
    int64_t most = 0;

    for (int64_t c = 0; c < n_classes; c++) {
        int64_t n = 0;

        for (int64_t i = 0; i < points->n; i++)
            n += points->labels[i] == c;
        most = n > most ? n : most;
    }
    return (double)most / (double)points->n;
}

/* Merges an object given as text, and gives it up. */
static void merge(json_t *into, const char *key, char *text)
{
    json_t *object = text ? json_loads(text, 0, NULL) : NULL;

    if (key)
        (void)json_object_set(into, key, object);
    else
        (void)json_object_update(into, object);
    json_decref(object);
    nm_string_free(text);
}

nm_status nm_sweep_details_write(nm_cli *cli, const char *path, const nm_net *net,
                                 const nm_net *fixed, const nm_repair_task *task,
                                 const nm_strategy_report *passes, nm_err *err)
{
    json_t *all = json_object();
    char *text;
    nm_status rc = NM_OK;

    (void)json_object_set_new(all, "homogeneity",
                              nm_doc_number(homogeneity(task->repair, nm_net_n_out(net))));
    if (passes->n_passes > 0)
        merge(all, NULL, nm_strategy_json(passes));
    (void)json_object_del(all, "strategy"); /* the row has its name */
    if (fixed) {
        NM_CLI_TRY(nm_report_details(cli->ctx, net, fixed, task, &text, err));
        merge(all, "details", text);
    }
    NM_CLI_TRY(save(all, path, err));
done:
    json_decref(all);
    return rc;
}

/* -- all rows ---------------------------------------------------------------------------------- */

/* A row that was run without --report has no details. */
static nm_status row_with_details(const char *report, const nm_row *row, json_t **out, nm_err *err)
{
    char path[NM_DETAILS_PATH];
    json_t *details;
    nm_status rc = nm_sweep_details_path(report, row, path, err);

    if (rc != NM_OK)
        return rc;
    *out = nm_row_json(row);
    details = json_load_file(path, 0, NULL);
    (void)json_object_update_missing(*out, details);
    json_decref(details);
    return NM_OK;
}

/* What the heuristics say of points that the network gets wrong. */
static nm_status put_votes(nm_cli *cli, const nm_repair_args *args, nm_err *err)
{
    enum { MAX_POINTS = 64 };
    nm_repair_opts opts = nm_repair_args_opts(args);
    nm_sweep_task task = {0};
    nm_selection wrong = {0};
    nm_points repair = {0};
    nm_repair_task like;
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_sweep_task_open(cli, args, &task, err));
    NM_CLI_TRY(
        nm_select(cli->ctx, task.net, &task.pool, "Misclassified", MAX_POINTS, 0, &wrong, err));
    if (wrong.n == 0)
        goto done;
    NM_CLI_TRY(nm_points_subset(&task.pool, wrong.indices, wrong.n, &repair, err));
    like = (nm_repair_task){.repair = &repair,
                            .keep = task.keep.n > 0 ? &task.keep : NULL,
                            .reference = task.reference.n > 0 ? &task.reference : NULL};
    rc = nm_report_put_votes(cli, task.net, &like, &opts, NM_FREE_ALL, err);
done:
    nm_points_free(&repair);
    nm_selection_free(&wrong);
    nm_sweep_task_close(&task);
    return rc;
}

nm_status nm_sweep_report_put(nm_cli *cli, const char *report, const nm_row *rows, int64_t n,
                              const nm_repair_args *args, nm_err *err)
{
    json_t *list = json_array(), *row = NULL;
    nm_status rc = NM_OK;

    cli->report = report;
    for (int64_t i = 0; rc == NM_OK && i < n; i++) {
        rc = row_with_details(report, &rows[i], &row, err);
        if (rc == NM_OK)
            nm_doc_append(&cli->doc, list, row);
    }
    nm_doc_put_page(&cli->doc, "rows", list);
    return rc == NM_OK ? put_votes(cli, args, err) : rc;
}
