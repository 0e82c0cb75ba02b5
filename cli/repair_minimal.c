#include "repair_minimal.h"

#include <math.h>
#include <stdlib.h>

#include "repair_layer.h"

static int count_layers(const nm_net *net, const nm_plan *plan)
{
    int n = 0;

    for (int i = 0; i < nm_net_n_layers(net); i++)
        n += nm_plan_edits(plan, i);
    return n;
}

static nm_status plan_of_layer(const nm_repair_args *args, const nm_net *net, int layer,
                               nm_plan **out, nm_err *err)
{
    nm_status rc = NM_OK;

    NM_CLI_TRY(nm_plan_new(net, out, err));
    NM_CLI_TRY(nm_plan_mark(*out, layer, (nm_free_kind)args->free_kind, err));
    NM_CLI_TRY(nm_repair_plan_finish(args, *out, "--layer", err));
done:
    return rc;
}

/* One layer alone. That the method cannot do it is a result, too. */
static nm_status enter(nm_cli *cli, const nm_net *net, const nm_plan *plan,
                       const nm_repair_task *task, const nm_repair_opts *opts, nm_contest_row *row,
                       nm_err *err)
{
    nm_repair_report report = {0};
    nm_repair_opts plain = *opts;
    nm_status rc;

    plain.certify = false;
    rc = nm_repair(cli->ctx, net, plan, task, &plain, NULL, NULL, &report, err);
    if (rc == NM_E_UNSUPPORTED) {
        nm_cli_warn(cli, "layer %d: %s", row->layer, err->text);
        *err = (nm_err){0};
        return NM_OK;
    }
    if (rc != NM_OK)
        return rc;
    row->outcome = nm_outcome_name(report.outcome);
    if (report.outcome == NM_REPAIRED) {
        row->norm = report.objective;
        row->lower_bound = report.lower_bound;
    }
    nm_repair_report_free(&report);
    return NM_OK;
}

/* Layers share the time, and the best one gets what is left for the repair itself. */
static void share_time(nm_cli *cli, double end, int n_left)
{
    if (isfinite(end))
        nm_ctx_set_time_limit(cli->ctx, fmax(end - nm_term_now(), 0) / (n_left + 1));
}

nm_status nm_contest_run(nm_cli *cli, const nm_repair_args *args, const nm_net *net,
                         const nm_repair_task *task, const nm_repair_opts *opts, nm_plan **plan,
                         nm_contest *c, nm_err *err)
{
    nm_plan *single = NULL, *best = NULL;
    double end = nm_term_now() + cli->common->time_limit_s;
    int n_layers = count_layers(net, *plan);
    nm_status rc = NM_OK;

    if (args->method != NM_METHOD_MINIMAL || args->mask || n_layers < 2)
        return NM_OK;
    c->best = -1;
    c->rows = calloc((size_t)nm_net_n_layers(net), sizeof *c->rows);
    if (!c->rows)
        return nm_cli_fail(err, NM_E_NOMEM, "out of memory");
    for (int i = 0; i < nm_net_n_layers(net); i++) {
        nm_contest_row *row = &c->rows[c->n];
        bool better;

        if (!nm_plan_edits(*plan, i))
            continue;
        *row = (nm_contest_row){.layer = i, .outcome = "refused", .norm = NAN, .lower_bound = NAN};
        c->n++;
        share_time(cli, end, n_layers - c->n + 1);
        NM_CLI_TRY(plan_of_layer(args, net, i, &single, err));
        NM_CLI_TRY(enter(cli, net, single, task, opts, row, err));
        better = row->norm == row->norm && (c->best < 0 || row->norm < c->rows[c->best].norm);
        if (better)
            c->best = c->n - 1;
        if (better || c->best < 0) {
            nm_plan_free(best);
            best = single;
            single = NULL;
        }
        nm_plan_free(single);
        single = NULL;
    }
    share_time(cli, end, 0);
    nm_plan_free(*plan);
    *plan = best;
    best = NULL;
done:
    nm_plan_free(single);
    nm_plan_free(best);
    return rc;
}

void nm_contest_print(FILE *out, const nm_contest *c)
{
    if (c->n == 0)
        return;
    (void)fprintf(
        out, "\nsmallest change by layer\n  layer  outcome              norm   proven bound\n");
    for (int i = 0; i < c->n; i++) {
        const nm_contest_row *row = &c->rows[i];

        (void)fprintf(out, "  %5d  %-10s", row->layer, row->outcome);
        if (row->norm == row->norm)
            (void)fprintf(out, "%14.6g %14.6g%s", row->norm, row->lower_bound,
                          i == c->best ? "  taken" : "");
        (void)fputc('\n', out);
    }
}

void nm_contest_put(nm_cli *cli, const nm_contest *c)
{
    json_t *rows = json_array();

    if (c->n == 0) {
        json_decref(rows);
        return;
    }
    for (int i = 0; i < c->n; i++)
        (void)json_array_append_new(
            rows,
            json_pack("{s:i, s:s, s:o, s:o, s:b}", "layer", c->rows[i].layer, "outcome",
                      c->rows[i].outcome, "norm", nm_doc_number(c->rows[i].norm), "lower_bound",
                      nm_doc_number(c->rows[i].lower_bound), "taken", i == c->best));
    nm_doc_put(&cli->doc, "layers_compared", rows);
}

void nm_contest_free(nm_contest *c)
{
    free(c->rows);
    *c = (nm_contest){0};
}
