#include "repair_claim.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "places.h"

static bool is_nnet(const char *path)
{
    size_t n = strlen(path);

    return n > 5 && strcasecmp(path + n - 5, ".nnet") == 0;
}

nm_status nm_repair_claim_check(const nm_repair_args *args, nm_err *err)
{
    if (!args->claim)
        return NM_OK;
    if (strcmp(args->claim, args->output) == 0)
        return nm_cli_fail(err, NM_E_ARG, "--claim and --output name the same file");
    if (is_nnet(args->model) != is_nnet(args->output))
        return nm_cli_fail(err, NM_E_ARG,
                           "--claim says that nothing but weights changed, so --output must have "
                           "the format of %s",
                           args->model);
    return nm_cli_can_write(args->claim, err);
}

/* The rows follow one another, as in the file. */
static bool is_in_order(const nm_points *points)
{
    bool in_order = true;

    for (int64_t p = 1; p < points->n && points->rows; p++)
        in_order = in_order && points->rows[p] == points->rows[p - 1] + 1;
    return in_order;
}

/* The points to repair: all candidates or some of their rows, with their labels or wanted classes.
 */
static nm_status repair_source(const nm_repair_args *args, const nm_repair_data *data,
                               nm_data_channels *ch, nm_claim_source *out, nm_err *err)
{
    *out = (nm_claim_source){.points = "inputs",
                             .points_path = args->inputs.path,
                             .labels = args->target ? "target" : "labels",
                             .labels_path = args->target ? args->target : args->inputs.labels,
                             .wanted = -1,
                             .n = data->repair.n};
    if (args->target && nm_repair_target_is_class(args->target)) {
        out->wanted = data->repair.labels[0];
        out->labels_path = NULL;
    }
    if (data->repair.n < data->n_candidates || !is_in_order(&data->repair))
        out->rows = data->repair.rows;
    return nm_data_reading(&args->inputs, &args->prep, ch, &out->opts, err);
}

static nm_status keep_source(const nm_repair_args *args, nm_data_channels *ch, nm_claim_source *out,
                             nm_err *err)
{
    *out = (nm_claim_source){.points = "keep",
                             .points_path = args->keep.path,
                             .labels = "keep-labels",
                             .labels_path = args->keep.labels,
                             .wanted = -1};
    return nm_data_reading(&args->keep, &args->prep, ch, &out->opts, err);
}

static nm_status write_claim(nm_cli *cli, const nm_repair_args *args, const nm_repair_data *data,
                             nm_claim_facts *facts, nm_err *err)
{
    nm_data_channels ch[2] = {{0}};
    nm_status rc = repair_source(args, data, &ch[0], &facts->repair, err);

    if (rc == NM_OK)
        rc = keep_source(args, &ch[1], &facts->keep, err);
    return rc == NM_OK ? nm_claim_write(cli->ctx, facts, args->claim, err) : rc;
}

nm_status nm_repair_claim_write(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                                const nm_plan *plan, const nm_repair_data *data,
                                const nm_repair_opts *opts, const nm_repair_report *report,
                                bool *written, nm_err *err)
{
    bool repaired = report->outcome == NM_REPAIRED || report->outcome == NM_PARTLY;
    nm_claim_facts facts = {.model_path = args->model,
                            .fixed_path = repaired ? args->output : NULL,
                            .net = net,
                            .plan = plan,
                            .opts = opts,
                            .report = report};
    double start = nm_term_now();
    nm_status rc;

    *written = false;
    if (!args->claim || report->outcome == NM_LIMIT)
        return NM_OK;
    rc = write_claim(cli, args, data, &facts, err);
    *written = rc == NM_OK;
    nm_doc_put_time(&cli->doc, "claim", nm_term_now() - start);
    if (rc != NM_E_LIMIT)
        return rc;
    nm_cli_warn(cli, "%s", err->text);
    *err = (nm_err){0};
    return NM_OK;
}
